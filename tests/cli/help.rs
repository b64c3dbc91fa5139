//! Compares every command's `--help` with its snapshot in `help/`.

use testkit::checkout::root;
use testkit::files::entries;
use testkit::program::{nowhere, pandacap};

/// A command's `--help`, split into its own part and that of every command.
fn help(words: &[String]) -> (String, String) {
    let output = pandacap(nowhere()).env("COLUMNS", "100").args(words).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let help: String = help.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    let parts = help.split_once("\nEvery command:\n");
    let (own, every) = parts.unwrap_or_else(|| panic!("{words:?} has no \"Every command:\": {help}"));
    (own.to_owned(), every.to_owned())
}

/// The subcommands that a command's help lists.
fn subcommands(help: &str) -> impl Iterator<Item = String> {
    let list = help.split_once("\nCommands:\n").map_or("", |(_, list)| list);
    let list = list.split("\n\n").next().unwrap_or_default();
    let names = list.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names.filter(|name| !name.is_empty() && *name != "help").map(str::to_owned)
}

/// Every command, by its words, with its own help.
fn commands(words: &[String], each: &mut dyn FnMut(&[String], &str)) {
    let (own, _) = help(words);
    each(words, &own);
    for name in subcommands(&own) {
        commands(&[words, &[name]].concat(), each);
    }
}

#[test]
fn man_writes_a_page_for_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("pages");
    pandacap(nowhere()).arg("man").arg(&pages).assert().success();
    commands(&[], &mut |words, _| {
        let name = [&["pandacap".to_owned()], words].concat().join("-");
        let page = std::fs::read_to_string(pages.join(format!("{name}.1"))).unwrap_or_default();
        assert!(page.contains(".SH SYNOPSIS"), "no man page for {name}");
    });
}

#[test]
fn the_help_of_every_command_matches_its_snapshot() {
    let folder = root().join("tests/cli/help");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(&folder);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut names = Vec::new();
    commands(&[], &mut |words, own| {
        let name = if words.is_empty() { "pandacap".to_owned() } else { words.join("-") };
        settings.bind(|| insta::assert_snapshot!(name.as_str(), own));
        names.push(format!("{name}.snap"));
    });
    settings.bind(|| insta::assert_snapshot!("every-command", help(&[]).1));
    names.push("every-command.snap".to_owned());
    names.sort();
    assert_eq!(entries(&folder), names, "a snapshot of a command that no longer exists");
}

#[test]
fn the_help_of_a_command_begins_with_its_own_options() {
    let every_commands = help(&[]).1;
    commands(&[], &mut |words, own| {
        assert!(!own.contains("--home <DIR>"), "{words:?}: {own}");
        assert_eq!(help(words).1, every_commands, "{words:?}");
    });
    assert!(every_commands.contains("--home <DIR>"));
}

#[test]
fn the_help_describes_both_ways_to_record() {
    let (own, _) = help(&["rec".to_owned()]);
    assert!(own.contains("With a command:") && own.contains("Without a command:"), "{own}");
}
