//! Files and paths as they stand in messages.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// How much of a file's end is read for its last lines, in bytes: a guest decides how long it is.
const END: u64 = 64 << 10;

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
    let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
    Ok(last(lines, count).into_iter().map(str::to_owned).collect())
}

/// The last of some lines, at most `count`.
pub fn last<'a>(lines: impl Iterator<Item = &'a str>, count: usize) -> Vec<&'a str> {
    let mut lines: Vec<&str> = lines.collect();
    lines.split_off(lines.len().saturating_sub(count))
}

/// The line, counted from 1, in which a span of `text` begins.
pub fn line_of(text: &str, span: Option<std::ops::Range<usize>>) -> usize {
    let begin = span.map_or(0, |span| span.start.min(text.len()));
    1 + text.as_bytes()[..begin].iter().filter(|&&byte| byte == b'\n').count()
}

/// Whether this is a name that recctrl leaves as it is: one path component that begins no option.
pub fn is_plain(name: &str) -> bool {
    let kept = protocol::Name::from_guest(name.as_bytes());
    !name.starts_with('-') && kept.is_some_and(|kept| kept.as_str() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_file_is_told_however_long_it_is() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.as_file().set_len(1 << 40).expect("a hole");
        let mut end = file.reopen().expect("opens");
        end.seek(SeekFrom::End(0)).expect("sought");
        std::io::Write::write_all(&mut end, b"\none\n\n two \r\nthree\n").expect("written");
        assert_eq!(last_lines(file.path(), 2).expect("read"), [" two", "three"]);
        assert!(last_lines(Path::new("/nonexistent"), 2).is_err());
    }
}
