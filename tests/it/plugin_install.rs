//! `pandacap plugin`: installing recctrl in a PANDA's own plugin folder, and removing it.

use std::fs;
use std::path::{Path, PathBuf};

use predicates::str::contains;
use serde_json::Value;
use tempfile::TempDir;
use testkit::fake;
use testkit::program::pandacap;
use testkit::wheel::wheel;

/// A home with its own PANDA, whose folders may be changed.
fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let mut command = pandacap(home.path());
    command.args(["panda", "install", "--target", "x86_64,i386", "--wheel"]).arg(wheel()).assert().success();
    home
}

fn plugins(home: &Path, target: &str) -> PathBuf {
    home.join(format!("panda/0.1.1.5/{target}-softmmu/panda/plugins"))
}

/// The output of `pandacap plugin VERB` for the first target.
fn plugin(home: &Path, arguments: &[&str]) -> Value {
    let mut command = pandacap(home);
    let output = command.args(["--json", "plugin"]).args(arguments).assert().success().get_output().clone();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn our_plugin_is_installed_if_panda_loads_it_and_upstreams_is_restored() {
    let home = home();
    let before = fs::read(plugins(home.path(), "i386").join("panda_recctrl.so")).unwrap();
    assert_eq!(plugin(home.path(), &["status"])[1]["owner"], "upstream");

    let installed = plugin(home.path(), &["install"]);
    assert_eq!((&installed[0]["target"], &installed[0]["owner"]), (&"x86_64".into(), &"ours".into()));
    assert_eq!((&installed[1]["target"], &installed[1]["owner"]), (&"i386".into(), &"ours".into()));
    assert_eq!(installed[1]["upstream_kept"], true);

    assert_eq!(plugin(home.path(), &["uninstall", "--target", "i386"])[0]["owner"], "upstream");
    assert_eq!(fs::read(plugins(home.path(), "i386").join("panda_recctrl.so")).unwrap(), before);
    let status = plugin(home.path(), &["status"]);
    assert_eq!((&status[0]["owner"], &status[1]["owner"]), (&"ours".into(), &"upstream".into()));
}

#[test]
fn a_custom_folder_works_as_well() {
    let home = home();
    let own = tempfile::tempdir().unwrap();
    let dir = own.path().to_str().unwrap();
    assert_eq!(plugin(home.path(), &["install", "--dir", dir, "--target", "i386"])[0]["owner"], "ours");
    assert_eq!(plugin(home.path(), &["uninstall", "--dir", dir])[0]["owner"], "none");
    assert_eq!(fs::read_dir(own.path()).unwrap().count(), 0, "nothing is left behind");

    let two = pandacap(home.path()).args(["plugin", "status", "--dir", dir, "--target", "arm,i386"]).assert();
    two.code(2).stderr(contains("exactly one --target"));
    for what in ["install", "status"] {
        let nowhere = pandacap(home.path()).args(["plugin", what, "--dir", "/nowhere"]).assert();
        nowhere.code(2).stderr(contains("/nowhere: no such folder"));
    }
}

#[test]
fn a_panda_that_does_not_load_it_is_unchanged_and_the_reason_is_shown() {
    let own = tempfile::tempdir().unwrap();
    let says = "PANDA[recctrl]: error: not loaded: this PANDA's number for guest hypercalls can't be told";
    fake::panda(own.path(), "2.9", &format!("echo \"{says}\" >&2\nexit 1"));

    let install = |confine: &str| {
        pandacap(own.path()).arg(confine).arg("--panda").arg(own.path()).args(["plugin", "install"]).assert()
    };
    install("--confine=auto").code(3).stderr(contains("is a script, and a confined PANDA executes nothing"));
    // This PANDA is a script, which needs a shell.
    let refused = install("--confine=off");
    refused.code(1).stderr(contains("number for guest hypercalls can't be told; nothing was changed"));
    assert_eq!(fs::read_dir(own.path().join("bin/panda/plugins")).unwrap().count(), 0);
}
