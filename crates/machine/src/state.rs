//! A saved state, from which a machine goes on instead of booting.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;

/// A saved state, opened: PANDA is given it as an open file, for it could start nothing that reads it.
#[derive(Clone, Debug)]
pub struct SavedState(Arc<File>);

impl SavedState {
    /// Opens the state at `path`.
    pub fn open(path: &Path) -> io::Result<SavedState> {
        File::open(path).map(Arc::new).map(SavedState)
    }

    /// Where PANDA finds it, in QEMU's words.
    pub fn incoming(&self) -> String {
        format!("fd:{}", self.0.as_raw_fd())
    }

    /// The file that PANDA inherits.
    pub fn file(&self) -> Arc<File> {
        self.0.clone()
    }
}
