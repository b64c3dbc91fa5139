//! `pandacap.toml`, completions and man pages.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::Value;
use tempfile::TempDir;
use testkit::checkout;
use testkit::files::script;

/// A home folder with this `pandacap.toml`.
pub fn configured(text: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let usual = dir.path().join(".config/pandacap");
    fs::create_dir_all(&usual).unwrap();
    fs::write(usual.join("pandacap.toml"), text).unwrap();
    dir
}

/// `pandacap` in `dir`, without this machine's own configuration.
fn pandacap(dir: &Path) -> Command {
    let mut command = Command::new(checkout::pandacap());
    command.current_dir(dir).env_clear().env("HOME", dir);
    command
}

/// Value and source of an option in `config show`; for a file, only its name.
fn shown(command: &mut Command, option: &str) -> (String, String) {
    let output = command.output().unwrap();
    let origins: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let origin = origins.as_array().unwrap().iter().find(|origin| origin["option"] == option);
    let field = |name: &str| origin.unwrap()[name].as_str().unwrap().to_owned();
    let source = field("source");
    (field("value"), source.rsplit('/').next().unwrap().to_owned())
}

#[test]
fn the_command_line_wins_over_the_environment_over_the_file_over_the_default() {
    let dir = configured("[defaults]\nhome = '/file'\n[defaults.rec]\ntimeout = 33\nout = \"a b\"\n");
    let show = |words: &[&str]| {
        let mut command = pandacap(dir.path());
        command.args(["--json", "config", "show", "--"]).args(words).args(["--", "true"]);
        command
    };
    let is = |value: &str, source: &str| (value.to_owned(), source.to_owned());
    assert_eq!(shown(&mut show(&["rec"]), "timeout"), is("33", "pandacap.toml:4"));
    assert_eq!(shown(&mut show(&["rec"]), "out"), is("'a b'", "pandacap.toml:5"));
    assert_eq!(shown(&mut show(&["rec"]), "home"), is("/file", "pandacap.toml:2"));
    assert_eq!(shown(&mut show(&["rec", "--timeout=5"]), "timeout"), is("5", "command line"));
    let environment = |command: &mut Command| shown(command.env("PANDACAP_HOME", "/env"), "home");
    assert_eq!(environment(&mut show(&["rec"])), is("/env", "environment, PANDACAP_HOME"));
    assert_eq!(environment(&mut show(&["rec", "--home", "/typed"])), is("/typed", "command line"));
    assert_eq!(shown(&mut show(&["trace", "inspect", "x"]), "buckets"), is("32", "default"));

    // Settings of other commands and in other files are ignored.
    pandacap(dir.path()).args(["config", "show"]).assert().success().stdout(contains("pandacap.toml:4"));
    pandacap(dir.path())
        .args(["--config", "/dev/null", "config", "show"])
        .assert()
        .success()
        .stdout(contains("pandacap.toml").not());
}

#[test]
fn a_setting_is_used_as_if_it_had_been_typed() {
    let dir = configured(
        "[defaults]\njson = true\n[defaults.bootstrap.render]\nset = ['a=1', 'b=2']\nfor = 'docker'\n",
    );
    fs::create_dir_all(dir.path().join("x/scripts")).unwrap();
    fs::write(dir.path().join("x/variables.toml"), "a = 0\nb = 0\n").unwrap();
    fs::write(dir.path().join("x/bootstrap.env.j2"), "{{ a }}{{ b }}\n").unwrap();
    fs::write(dir.path().join("x/scripts/docker_10_a.sh"), "").unwrap();
    let render = |more: &[&str]| {
        let output = pandacap(dir.path()).args(["bootstrap", "render", "x"]).args(more).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(render(&[]).contains("\n12\n") && render(&[]).contains("10_a.sh"));
    assert!(!render(&["--for", "vm"]).contains("10_a.sh"));
    // A typed value replaces a list instead of adding to it.
    assert!(render(&["--set", "a=5"]).contains("\n50\n"));
    // A flag, in a command that prints JSON.
    pandacap(dir.path()).args(["config", "show"]).assert().success().stdout(contains("\"source\""));
}

#[test]
fn a_setting_that_conflicts_with_the_command_line_is_ignored() {
    let dir = configured("[defaults.bootstrap.render]\ndisk = 'from-file'\n");
    fs::create_dir_all(dir.path().join("x/scripts")).unwrap();
    pandacap(dir.path()).args(["bootstrap", "render", "x", "--out", "o"]).assert().success();
    assert!(dir.path().join("o/bootstrap.sh").is_file() && !dir.path().join("from-file").exists());
}

#[test]
fn an_error_in_the_file_is_reported_with_its_line() {
    let wrong = [
        ("[defaults.rec]\ntimeuot = 3\n", "pandacap.toml:2: rec has no option --timeuot"),
        ("[defaults]\n\n[defaults.recc]\nx = 1\n", "pandacap.toml:3: there is no command \"recc\""),
        ("[default]\n", "pandacap.toml:1: unknown key default; only [defaults]"),
        ("[defaults]\ntimeout = 3\n", "pandacap.toml:2: pandacap has no option --timeout"),
        ("[defaults.rec]\nhome = 'x'\n", "pandacap.toml:2: rec has no option --home"),
        ("[defaults]\nconfig = 'x'\n", "pandacap.toml:2: pandacap has no option --config"),
        ("[defaults]\njson = 'yes'\n", "pandacap.toml:2: json must be true or false"),
        ("[defaults.rec]\nout = ['a']\n", "pandacap.toml:2: out takes one value"),
        (
            "[defaults.rec]\n\ntimeout = 'soon'\n",
            "pandacap.toml:3: invalid value 'soon' for '--timeout <SECS>'",
        ),
        ("[defaults\n", "pandacap.toml:1: "),
    ];
    for (text, said) in wrong {
        let dir = configured(text);
        pandacap(dir.path()).args(["rec", "--", "true"]).assert().code(2).stderr(contains(said));
        pandacap(dir.path()).arg("--help").assert().success();
    }
    let dir = configured("");
    let mut missing = pandacap(dir.path());
    missing
        .args(["--config", "none.toml", "config", "show"])
        .assert()
        .code(2)
        .stderr(contains("cannot read none.toml"));
}

#[test]
fn files_in_the_current_folder_are_read_only_if_named() {
    let home = configured("[defaults]\nverbose = 1\n");
    let stranger = tempfile::tempdir().unwrap();
    let program = stranger.path().join("panda");
    script(&program, &format!("touch {}/ran", stranger.path().display()));
    let settings = format!("[defaults]\npanda = '{}'\n\nverbose = 2\n", program.display());
    fs::create_dir(stranger.path().join("pandacap")).unwrap();
    for file in ["pandacap.toml", "pandacap/pandacap.toml"] {
        fs::write(stranger.path().join(file), &settings).unwrap();
    }
    let here = |words: &[&str]| {
        let mut command = pandacap(home.path());
        command.current_dir(stranger.path()).args(words);
        command
    };
    let usual = contains(".config/pandacap/pandacap.toml:2");
    let note = contains("./pandacap.toml is not read");
    here(&["config", "show"]).assert().success().stdout(usual).stderr(note.clone());
    // A relative XDG folder is ignored.
    here(&["panda", "path"]).env("XDG_CONFIG_HOME", ".").assert().code(3).stderr(note.clone());
    here(&["verify", "."]).assert().code(4);
    assert!(!stranger.path().join("ran").exists(), "an untrusted program was run");

    let named = here(&["config", "show", "--config", "pandacap.toml"]).assert().success();
    named.stdout(contains(" pandacap.toml:4")).stderr(note.not());
}

#[test]
fn completions_know_the_commands_and_their_options() {
    let dir = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let output = pandacap(dir.path()).args(["completions", shell]).output().unwrap();
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success() && script.contains("salvage") && script.contains("timeout"),
            "{shell}"
        );
    }
    pandacap(dir.path()).args(["completions", "cmd.exe"]).assert().code(2).stderr(contains("bash"));
}

#[test]
fn there_is_no_color_without_a_terminal_or_with_no_color() {
    let dir = tempfile::tempdir().unwrap();
    let escapes = |arguments: &[&str], variable: (&str, &str)| {
        // `script` gives it a terminal.
        let typed = format!("'{}' {}", checkout::pandacap().display(), arguments.join(" "));
        let mut terminal = std::process::Command::new("script");
        terminal.args(["-qec", &typed, "/dev/null"]).current_dir(dir.path()).env("TERM", "xterm");
        let output = terminal.env(variable.0, variable.1).output().unwrap();
        output.stdout.contains(&0x1b)
    };
    for arguments in [&["--help"][..], &["--no-such-option"], &["config", "show"], &["completions", "bash"]] {
        assert!(!escapes(arguments, ("NO_COLOR", "1")), "{arguments:?}");
        let piped = pandacap(dir.path()).env("TERM", "xterm").args(arguments).output().unwrap();
        assert!(![piped.stdout, piped.stderr].concat().contains(&0x1b), "{arguments:?}");
    }
    assert!(escapes(&["--help"], ("TERM", "xterm")), "clap colours its help on a terminal");
}
