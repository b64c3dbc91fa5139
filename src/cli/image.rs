//! Options of every command that takes a disk image.

use machine::{Below, Format};

use super::values;

/// How an image on the command line is to be taken.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct ImageArgs {
    /// The image's format [default: as when it was first used; else qcow2 if it begins like one, else raw]
    #[arg(long, value_parser = values::format(), value_name = "FORMAT", requires = "disk", help_heading = "Machine")]
    pub format: Option<Format>,

    /// Let the image have a backing file, which has to be in the same folder, as have those below that
    ///
    /// A backing file is read as if it were a part of the image: from a stranger, it could be any file of yours.
    #[arg(long, requires = "disk", help_heading = "Machine")]
    pub allow_backing: bool,
}

impl ImageArgs {
    /// What may be below the image.
    pub fn below(&self) -> Below<'static> {
        if self.allow_backing { Below::Beside } else { Below::Nothing }
    }
}
