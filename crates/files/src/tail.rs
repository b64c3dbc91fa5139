//! A file that another process writes, read as it grows.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use crate::open_unlinked;

/// How much is read at once: a guest may write faster than it is read.
const AT_ONCE: u64 = 1 << 20;

/// Reads what has been added since it was last asked.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    file: Option<File>,
    begun: Vec<u8>,
    /// Whether the last reading came to its bound.
    more: bool,
}

impl Tail {
    /// A file that need not exist yet.
    pub fn of(path: PathBuf) -> Tail {
        Tail { path, file: None, begun: Vec::new(), more: false }
    }

    /// What is new, up to a bound.
    pub fn bytes(&mut self) -> io::Result<Vec<u8>> {
        let mut new = Vec::new();
        if self.file.is_none() {
            // What writes it may be hostile: it must not lead elsewhere, nor have us wait.
            match open_unlinked(&self.path) {
                Ok(file) => self.file = Some(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(file) = &mut self.file {
            file.take(AT_ONCE).read_to_end(&mut new)?;
        }
        self.more = new.len() as u64 == AT_ONCE;
        Ok(new)
    }

    /// Whether there was more to read than is read at once.
    pub fn has_more(&self) -> bool {
        self.more
    }

    /// Whole lines that are new.
    pub fn lines(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let new = self.bytes()?;
        self.begun.extend_from_slice(&new);
        let mut lines: Vec<Vec<u8>> = self.begun.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
        self.begun = lines.pop().unwrap_or_default();
        Ok(lines)
    }
}
