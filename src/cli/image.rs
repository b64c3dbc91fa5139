//! The options of every command that takes a disk image.

use machine::{Below, Format};

use super::values;

/// How to read an image that is named on the command line.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct ImageArgs {
    /// The image's format [default: as on first use; else qcow2 if it has a qcow2 header, else raw]
    #[arg(long, value_parser = values::format(), value_name = "FORMAT", requires = "disk", help_heading = "Machine")]
    pub format: Option<Format>,

    /// Allow the image to have a backing file; the whole backing chain must be in the image's folder
    ///
    /// A backing file is read as part of the image, so an image from an untrusted source could name any of your files.
    #[arg(long, requires = "disk", help_heading = "Machine")]
    pub allow_backing: bool,
}

impl ImageArgs {
    /// Which backing files the image may have.
    pub fn below(&self) -> Below<'static> {
        if self.allow_backing { Below::Beside } else { Below::Nothing }
    }
}
