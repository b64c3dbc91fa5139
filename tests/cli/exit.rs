//! Exit codes and errors as other programs see them.

use std::fs;
use std::path::Path;
use std::process::Command as Process;

use serde_json::Value;
use testkit::program::pandacap;

/// The error of a command with `--json`: one document on standard output, whose code is the exit code.
fn error(home: &Path, arguments: &[&str]) -> (i64, String, String) {
    let output = pandacap(home).args(arguments).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{arguments:?}: {error}: {}", String::from_utf8_lossy(&output.stdout))
    });
    let error = &document["error"];
    assert_eq!(error["code"].as_i64(), output.status.code().map(i64::from), "{arguments:?}: {document}");
    assert!(error["causes"].is_array(), "{document}");
    let text = |name: &str| error[name].as_str().unwrap().to_owned();
    assert!(String::from_utf8_lossy(&output.stderr).contains(text("message").lines().next().unwrap()));
    (error["code"].as_i64().unwrap(), text("kind"), text("message"))
}

#[test]
fn an_error_is_json_if_json_was_requested() {
    let dir = tempfile::tempdir().unwrap();
    let wrong = dir.path().join("wrong.toml");
    fs::write(&wrong, "[defaults.rec]\ntimeuot = 3\n").unwrap();
    for (arguments, code, kind, said) in [
        (&["--json", "rec", "--no-such"][..], 2, "usage", "--no-such"),
        (&["no-such", "--json"], 2, "usage", "no-such"),
        (&["rec", "--json", "--name", "a/b", "--", "true"], 2, "usage", "--name"),
        (&["config", "show", "--json", "--config", wrong.to_str().unwrap()], 2, "usage", "timeuot"),
        (&["guest", "inspect", "x", "--json"], 3, "missing", "there is no guest"),
        (&["panda", "path", "--json", "--panda", "/nowhere"], 3, "missing", "/nowhere"),
        (&["bootstrap", "render", "/nowhere", "--json"], 1, "failed", "/nowhere"),
        (&["trace", "inspect", "/nowhere", "--json"], 1, "failed", "/nowhere"),
        (&["replay", "/nowhere", "--json"], 4, "unverified", "/nowhere"),
        (&["maint", "--disk", "/nowhere", "--json"], 1, "failed", "/nowhere"),
    ] {
        let (found, word, message) = error(dir.path(), arguments);
        assert_eq!((found, &*word), (code, kind), "{arguments:?}: {message}");
        assert!(message.contains(said), "{arguments:?}: {message}");
    }
    // After `--` the option is the guest's, and help stays help.
    let text = pandacap(dir.path()).args(["rec", "--name", "a/b", "--", "--json"]).output().unwrap();
    assert_eq!((text.status.code(), &*text.stdout), (Some(2), &b""[..]));
    let help = pandacap(dir.path()).args(["--json", "rec", "--help"]).assert().success();
    assert!(help.get_output().stdout.starts_with(b"Record"));
}

#[test]
fn without_qemu_img_every_command_says_that_it_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    let mut create = Process::new("qemu-img");
    assert!(create.args(["create", "-q", "-f", "qcow2"]).arg(&image).arg("1M").status().unwrap().success());
    let image = image.to_str().unwrap();
    for command in [&["guest", "import", "g"][..], &["maint"], &["rec"]] {
        let mut pandacap = pandacap(dir.path());
        pandacap.args(command).args(["--disk", image]).env("PATH", "/nowhere");
        pandacap.assert().code(3).stderr(predicates::str::contains("qemu-img"));
    }
}
