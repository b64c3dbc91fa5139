//! `pandacap plugin` without a PANDA.

use std::fs;

use predicates::str::contains;
use testkit::program::{nowhere, pandacap};

#[test]
fn existing_files_and_names_that_panda_cannot_load_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let new = |arguments: &[&str]| {
        let mut new = pandacap(nowhere());
        new.args(["plugin", "new"]).args(arguments).current_dir(dir.path());
        new.assert()
    };
    new(&["my-plugin"]).code(2).stderr(contains("lower-case letters"));
    new(&["mine", "--layer", "."]).code(2).stderr(contains("no crate panda-plugin"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    new(&["mine", "--layer", "https://example.org/pandacap"]).success();
    let manifest = fs::read_to_string(dir.path().join("panda_mine/Cargo.toml")).unwrap();
    assert!(manifest.contains("panda-plugin = { git = \"https://example.org/pandacap\" }"), "{manifest}");
    new(&["mine"]).code(2).stderr(contains("panda_mine is not empty"));
}

#[test]
fn without_any_panda_the_error_says_how_to_get_one() {
    let home = tempfile::tempdir().unwrap();
    let nothing = pandacap(home.path()).env("PATH", "/nowhere").args(["plugin", "status"]).assert();
    nothing.code(3).stderr(contains("pandacap panda install --target x86_64"));
}
