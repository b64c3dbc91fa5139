//! Where the lines go: a file that grows as the guest is followed, to its bound and no further.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use analysis::{Event, Header, Line};

/// A file of lines.
#[derive(Debug)]
pub(crate) struct Sink {
    file: BufWriter<File>,
    /// Bytes that may still be written.
    left: u64,
    /// Lines that were left out.
    dropped: u64,
    /// The first error; nothing more is written after it.
    written: io::Result<()>,
}

impl Sink {
    /// Begins the file with what it is; at most `most` bytes of lines follow.
    pub(crate) fn create(path: &Path, most: u64) -> io::Result<Sink> {
        let file = BufWriter::new(File::create(path)?);
        let mut sink = Sink { file, left: most, dropped: 0, written: Ok(()) };
        let header = serde_json::to_vec(&Header::default())?;
        sink.put(&header)?;
        Ok(sink)
    }

    fn put(&mut self, text: &[u8]) -> io::Result<()> {
        self.file.write_all(text)?;
        self.file.write_all(b"\n")
    }

    /// Adds a line, if there is room for it: once there is none, there is none for shorter ones either.
    pub(crate) fn line(&mut self, line: &Line) {
        if self.written.is_err() {
            return;
        }
        self.written = serde_json::to_vec(line).map_err(io::Error::from).and_then(|text| {
            let room = self.left.checked_sub(text.len() as u64 + 1);
            self.left = room.unwrap_or_default();
            match room {
                Some(_) if self.dropped == 0 => self.put(&text),
                _ => {
                    self.dropped += 1;
                    Ok(())
                }
            }
        });
    }

    /// Ends the file: with what was left out, and with `end`, for which there is always room.
    pub(crate) fn finish(mut self, end: &Line) -> io::Result<()> {
        self.written?;
        self.written = Ok(());
        if self.dropped > 0 {
            let why = format!("{} events were left out, for which there was no room", self.dropped);
            let event = Event::Incomplete { why };
            let line = serde_json::to_vec(&Line { instructions: end.instructions, pid: None, event })?;
            self.put(&line)?;
        }
        let end = serde_json::to_vec(end)?;
        self.put(&end)?;
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_ends_at_its_bound_and_says_what_was_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let line = |instructions| Line { instructions, pid: None, event: Event::End { calls: 1 } };
        let length = serde_json::to_vec(&line(1)).unwrap().len() as u64 + 1;
        let mut sink = Sink::create(&path, 2 * length).unwrap();
        (0..5).for_each(|n| sink.line(&line(n)));
        sink.finish(&line(9)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1 + 2 + 2, "{text}");
        assert!(lines[3].contains("3 events were left out"), "{text}");
        assert!(lines[4].contains("\"instructions\":9"), "{text}");
    }
}
