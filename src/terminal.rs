//! What the user is told, and what guests and other people's files say, made fit for the user's terminal.

use std::borrow::Cow;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// How much of a file's end is read for its last lines, in bytes: a guest can make it as long as it likes.
const END: u64 = 64 << 10;

/// Tells on standard error what is wrong.
pub fn complain(what: impl Display) {
    eprintln!("pandacap: {}", printable(&what.to_string()));
}

/// The text with control characters as their escapes, but for line ends and tabs: whoever wrote it must not
/// command the terminal.
pub fn printable(text: &str) -> Cow<'_, str> {
    let commands = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(commands) {
        return Cow::Borrowed(text);
    }
    let escaped = text.chars().map(|c| if commands(c) { c.escape_default().to_string() } else { c.into() });
    Cow::Owned(escaped.collect())
}

/// The paths, as they stand in a message.
pub fn list(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    paths.join(", ")
}

/// The last lines of a file, at most `count`, that have something in them.
pub fn last_lines(path: &Path, count: usize) -> io::Result<Vec<String>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
    let mut end = Vec::new();
    file.take(END).read_to_end(&mut end)?;
    let text = String::from_utf8_lossy(&end);
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    Ok(lines[lines.len().saturating_sub(count)..].iter().map(|line| (*line).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_guest_commands_the_terminal() {
        assert_eq!(printable("two\n\tlines, naïve"), "two\n\tlines, naïve");
        assert_eq!(printable("\u{1b}]0;title\u{7}a\rb\u{9b}2J"), r"\u{1b}]0;title\u{7}a\rb\u{9b}2J");
    }

    #[test]
    fn the_end_of_a_file_is_told_however_long_it_is() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.as_file().set_len(1 << 40).expect("a hole");
        let mut end = file.reopen().expect("opens");
        end.seek(SeekFrom::End(0)).expect("sought");
        io::Write::write_all(&mut end, b"\none\n\n two \r\nthree\n").expect("written");
        assert_eq!(last_lines(file.path(), 2).expect("read"), [" two", "three"]);
        assert!(last_lines(Path::new("/nonexistent"), 2).is_err());
    }
}
