//! Reads events line by line, in bounded memory: the file was written beside a guest's influence.

use std::io::{self, BufRead, Read as _};

use crate::event::{Header, KIND, Line, SCHEMA};

/// The longest line that is read: real ones have a terminal's or a program's arguments in them.
const LONGEST: u64 = 4 << 20;

/// Why events can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file can't be read.
    #[error("the events cannot be read")]
    Io(#[from] io::Error),
    /// The first line does not say that these are events.
    #[error("the file does not have events of {KIND}")]
    Kind,
    /// It is of another version.
    #[error("the events' schema is {0}, and this pandacap reads schema {SCHEMA}")]
    Schema(u32),
    /// A line is something else.
    #[error("line {line} is not an event")]
    Line {
        /// Its number.
        line: u64,
        /// Why.
        source: serde_json::Error,
    },
    /// A line is longer than any event.
    #[error("line {0} is longer than any event")]
    Long(u64),
}

/// The events in a file, one after another. A last line that was cut short is left out.
#[derive(Debug)]
pub struct Events<R> {
    from: R,
    line: u64,
}

impl<R: BufRead> Events<R> {
    /// Reads the first line.
    pub fn open(from: R) -> Result<Events<R>, ReadError> {
        let mut events = Events { from, line: 0 };
        let first = events.text()?.ok_or(ReadError::Kind)?;
        let header: Header = serde_json::from_slice(&first).map_err(|_| ReadError::Kind)?;
        match header {
            Header { schema, .. } if schema != KIND => Err(ReadError::Kind),
            Header { version: SCHEMA, .. } => Ok(events),
            Header { version, .. } => Err(ReadError::Schema(version)),
        }
    }

    /// The next line without its end; `None` where there is none that is whole.
    fn text(&mut self) -> Result<Option<Vec<u8>>, ReadError> {
        self.line += 1;
        let mut text = Vec::new();
        (&mut self.from).take(LONGEST).read_until(b'\n', &mut text)?;
        match text.pop() {
            Some(b'\n') => Ok(Some(text)),
            Some(_) if text.len() as u64 + 1 == LONGEST => Err(ReadError::Long(self.line)),
            _ => Ok(None),
        }
    }
}

impl<R: BufRead> Iterator for Events<R> {
    type Item = Result<Line, ReadError>;

    fn next(&mut self) -> Option<Result<Line, ReadError>> {
        let text = match self.text() {
            Ok(text) => text?,
            Err(error) => return Some(Err(error)),
        };
        let line = self.line;
        Some(serde_json::from_slice(&text).map_err(|source| ReadError::Line { line, source }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;

    fn lines(text: &str) -> Result<Vec<Line>, ReadError> {
        Events::open(text.as_bytes())?.collect()
    }

    const HEADER: &str = "{\"schema\":\"pandacap.activity\",\"version\":1}\n";

    #[test]
    fn a_last_line_that_was_cut_short_is_left_out() {
        let text = format!("{HEADER}{}", "{\"instructions\":7,\"event\":\"end\",\"calls\":3}\n{\"instruc");
        let end = Line { instructions: 7, pid: None, event: Event::End { calls: 3 } };
        assert_eq!(lines(&text).unwrap(), [end]);
    }

    #[test]
    fn what_is_no_event_is_refused_with_its_line() {
        assert!(matches!(lines(""), Err(ReadError::Kind)));
        assert!(matches!(lines("{\"schema\":\"x\",\"version\":1}\n"), Err(ReadError::Kind)));
        assert!(matches!(
            lines("{\"schema\":\"pandacap.activity\",\"version\":2}\n"),
            Err(ReadError::Schema(2))
        ));
        assert!(matches!(lines(&format!("{HEADER}x\n")), Err(ReadError::Line { line: 2, .. })));
        let long = format!("{HEADER}{}", "x".repeat(LONGEST as usize));
        assert!(matches!(lines(&long), Err(ReadError::Long(2))));
    }
}
