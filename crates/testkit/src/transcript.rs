//! Compares the transcripts in the documentation with the output of commands.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::checkout::{self, root};
use crate::program::{home, selection};

/// What `page` shows after `$ command`, up to the next command or the end of the block.
pub fn shown(page: &str, command: &str) -> String {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let prompt = format!("$ {command}");
    let mut lines = text.lines().skip_while(|line| *line != prompt).skip(1);
    let shown: Vec<&str> =
        lines.by_ref().take_while(|line| !line.starts_with("$ ") && !line.starts_with("```")).collect();
    assert!(!shown.is_empty(), "{page} shows nothing of {prompt:?}");
    shown.join("\n")
}

/// Runs a command from the page in a shell in `dir`, with `pandacap` on its path, and asserts that it prints
/// what the page shows; see [`assert_shown`].
pub fn hold(page: &str, command: &str, dir: &Path) {
    assert_shown(page, command, &said(command, dir, &[]));
}

/// The same for a command that needs the shared home with PANDA and the tiny guest.
pub fn hold_with_panda(page: &str, command: &str, dir: &Path) {
    assert_shown(page, command, &said_with_panda(command, dir));
}

/// The output of a shell command in `dir`, with the shared home; both streams.
pub fn said_with_panda(command: &str, dir: &Path) -> String {
    let panda = selection().panda.map(|panda| ("PANDA_PATH", panda));
    let variables = [Some(("PANDACAP_HOME", home().to_owned())), panda];
    said(command, dir, &variables.into_iter().flatten().collect::<Vec<_>>())
}

fn said(command: &str, dir: &Path, variables: &[(&str, PathBuf)]) -> String {
    let program = checkout::pandacap();
    let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", program.parent().unwrap().display());
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec 2>&1; {command}")]).current_dir(dir).env_clear();
    shell.env("PATH", path).env("HOME", dir).envs(variables.iter().map(|(name, value)| (name, value)));
    String::from_utf8(shell.stdin(Stdio::null()).output().unwrap().stdout).unwrap()
}

/// Asserts that a command's output matches the page, except for what differs between runs: words with a
/// digit in them, paths, and the width of columns. A line `...` of the page stands for any number of lines.
#[track_caller]
pub fn assert_shown(page: &str, command: &str, said: &str) {
    let shown = shown(page, command);
    let (pattern, lines) = (shape(&shown), shape(said));
    assert!(fits(&pattern, &lines), "{page} shows of `{command}`:\n{shown}\nIt says:\n{said}");
}

fn fits(pattern: &[String], lines: &[String]) -> bool {
    match pattern.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first == "..." => (0..=lines.len()).any(|skip| fits(rest, &lines[skip..])),
        Some((first, rest)) => lines.first() == Some(first) && fits(rest, &lines[1..]),
    }
}

/// The non-empty lines of a text, with what differs elided.
fn shape(text: &str) -> Vec<String> {
    let differs = |word: &str| word.starts_with('/') || word.contains(|c: char| c.is_ascii_digit());
    let word = |word| if differs(word) { "#" } else { word };
    let lines = text.lines().map(|line| line.split_whitespace().map(word).collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_elided_and_what_does_not_is_held() {
        let fits = |pattern, said| fits(&shape(pattern), &shape(said));
        assert!(fits(" boot   2.34 s\n at /home/me", " boot 12.9 s\n\n at /tmp/x"));
        assert!(!fits("boot 2.34 s", "boot 2.34 min"));
        assert!(fits("a\n...\nz", "a\nb\nc\nz") && fits("a\n...\nz", "a\nz"));
        assert!(!fits("a\n...\nz", "a\nb") && !fits("a", "a\nb"));
    }
}
