//! `pandacap panda` where there is no PANDA yet.

use predicates::str::contains;
use testkit::program::pandacap;

#[test]
fn without_pip_the_error_names_the_package_that_brings_it() {
    let home = tempfile::tempdir().unwrap();
    let mut command = pandacap(home.path());
    command.env("PATH", home.path()).args(["panda", "install"]);
    command.assert().code(3).stderr(contains("apt-get install python3-pip"));
}
