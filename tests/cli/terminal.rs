//! Untrusted names and text cannot control the terminal.

use std::fs;
use std::path::Path;
use std::process::Command as Process;

use serde_json::{Value, json};
use testkit::checkout;
use testkit::program::pandacap;

/// Clears the screen, sets the title, reverses the text that follows.
const EVIL: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}cod.exe";
const SHOWN: &str = r"\u001b[2J\u001b]0;owned\u0007\u009b31m\u202ecod.exe";

/// What a command writes to both outputs, after checking that nothing in it can control a terminal.
fn said(home: &Path, arguments: &[&str]) -> String {
    let output = pandacap(home).args(arguments).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let commands = |c: char| c.is_control() && c != '\n' && c != '\t' || matches!(c, '\u{202a}'..='\u{202e}');
    assert!(!said.contains(commands), "{arguments:?}: {said:?}");
    said
}

#[test]
fn names_in_an_untrusted_folder_cannot_control_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let (home, evil) = (dir.path().join("home"), dir.path().join(EVIL));
    fs::create_dir(&evil).unwrap();
    let path = |name: &str| evil.join(name).to_str().unwrap().to_owned();
    fs::create_dir_all(path("scripts")).unwrap();
    fs::write(path("bootstrap.env"), "").unwrap();
    for file in ["disk.img", "a-rr-nondet.log"] {
        fs::write(path(file), "x").unwrap();
    }
    for arguments in [
        &["verify", &path("")][..],
        &["verify", "--json", &path("")],
        &["replay", &path("")],
        &["trace", "inspect", &path("")],
        &["trace", "salvage", &path("a")],
        &["rec", "--disk", &path("disk.img")],
        &["maint", "--disk", &path("none.img")],
        &["guest", "import", "g", "--disk", &path("disk.img")],
        &["bootstrap", "render", &path("none")],
        &["bootstrap", "render", &path(""), "--disk", &path("none/disk")],
        &["-v", "bootstrap", "render", &path(""), "--disk", &path("disk")],
        &["panda", "path", "--panda", &path("")],
    ] {
        let said = said(&home, arguments);
        assert!(said.contains(SHOWN), "{arguments:?} does not name it: {said}");
    }
}

#[test]
fn text_in_a_guests_manifest_cannot_control_the_terminal_and_json_keeps_it() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("guests/g");
    fs::create_dir_all(&folder).unwrap();
    let manifest = json!({
        "schema": 2, "target": "x86_64", "memory_mib": 256, "append": EVIL, "booted": { "console": EVIL },
        "origin": { "built": { "recipe": EVIL, "packages": [] } }, "files": {},
        "login": { "user": EVIL, "key": EVIL },
    });
    fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    for command in ["ls", "inspect"] {
        let name = if command == "ls" { &[][..] } else { &["g"] };
        let told = said(home.path(), &[&["guest", command], name].concat());
        assert!(told.contains(SHOWN), "{command}: {told}");
    }
    let document: Value =
        serde_json::from_str(&said(home.path(), &["--json", "guest", "inspect", "g"])).unwrap();
    assert!(document.to_string().contains(&json!(EVIL).to_string()), "{document:#}");
}

#[test]
fn an_untrusted_file_is_verbatim_in_a_pipe_and_escaped_on_a_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("folder");
    fs::create_dir_all(folder.join("scripts")).unwrap();
    fs::write(folder.join("bootstrap.env"), EVIL).unwrap();
    let piped = pandacap(dir.path()).args(["bootstrap", "render"]).arg(&folder).output().unwrap();
    assert!(String::from_utf8(piped.stdout).unwrap().contains(EVIL));
    // `script` gives it a terminal.
    let typed = format!("'{}' bootstrap render '{}'", checkout::pandacap().display(), folder.display());
    let mut terminal = Process::new("script");
    let shown = terminal.args(["-qec", &typed, "/dev/null"]).current_dir(dir.path()).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains(SHOWN) && !shown.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{shown:?}");
}
