//! How results are given: as text for people, or as one JSON document for programs.

use std::io::{self, StdoutLock, Write};

use serde::Serialize;

use super::terminal::{self, Printable};

/// Where a command's result goes, and in which form.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Whether it is JSON.
    pub json: bool,
}

impl Output {
    /// Gives the result: `document` as JSON, or what `text` writes. A reader that has read enough is no failure.
    pub fn give(
        self,
        document: &(impl Serialize + ?Sized),
        text: impl FnOnce(&mut Printable<StdoutLock<'static>>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut out = terminal::out();
        let given = match self.json {
            true => serde_json::to_writer_pretty(&mut out, document)
                .map_err(io::Error::from)
                .and_then(|()| writeln!(out)),
            false => text(&mut out),
        };
        enough(given.and_then(|()| out.flush()))
    }
}

/// A reader that has read enough of the result is no failure, and changes nothing about the exit code.
pub fn enough(printed: io::Result<()>) -> io::Result<()> {
    match printed {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
}
