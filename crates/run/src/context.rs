//! Where a run happens.

use std::fmt;
use std::io;
use std::path::Path;

use panda_host::{Dist, Progress, Selection};

/// What every run on this machine has in common.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Where PANDA and guests are kept.
    pub home: &'a Path,
    /// Which PANDA is used.
    pub selection: &'a Selection,
    /// Where recctrl and its agent lie.
    pub dist: &'a Dist,
    /// The version that manifests name.
    pub version: &'a str,
    /// Where the user hears what goes on.
    pub progress: &'a dyn Progress,
    /// Where the command's output goes as it comes, if anywhere.
    pub output: Option<&'a dyn Sink>,
}

/// Where a command's output goes.
pub trait Sink: Sync {
    /// Takes the next piece; it may block, which holds up the output and nothing else.
    fn write(&self, bytes: &[u8]) -> io::Result<()>;
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("home", &self.home).finish_non_exhaustive()
    }
}
