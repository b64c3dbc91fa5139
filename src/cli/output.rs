//! How results are printed: as text for people, or as a JSON document for programs.

use std::io::{self, StdoutLock, Write};

use serde::Serialize;

use super::terminal::{self, Printable};

/// Where a command's result goes, and in which form.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Whether to print JSON.
    pub json: bool,
}

impl Output {
    /// Prints the result: `document` as JSON, or what `text` writes. See [`enough`] for a closed pipe.
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

/// Ignores a broken pipe: a reader that stops early is not an error and does not change the exit code.
pub fn enough(printed: io::Result<()>) -> io::Result<()> {
    match printed {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
}
