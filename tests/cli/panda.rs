//! `pandacap panda` before a PANDA is installed.

use predicates::str::contains;
use testkit::program::pandacap;

#[test]
fn without_pip_the_error_names_its_package() {
    let home = tempfile::tempdir().unwrap();
    let mut command = pandacap(home.path());
    command.env("PATH", home.path()).args(["panda", "install"]);
    command.assert().code(3).stderr(contains("apt-get install python3-pip"));
}
