//! Why guests cannot be made, opened or booted.

use std::io;
use std::path::PathBuf;

use files::Schema;
use kernel::{GivenError, KernelError};
use machine::{DiskError, PortError, ProcessError, how_many};
use rr_log::Target;

use crate::apt::AptError;
use crate::manifest::SCHEMA;
use crate::tool::ToolError;

/// Why there is no guest to boot.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// There is none for the target.
    #[error("there is no tiny guest for {0} yet, only for x86_64")]
    Target(Target),
    /// No guest has this name.
    #[error("there is no guest {name:?} in {}; `pandacap guest ls` lists the guests", .guests.display())]
    Unknown {
        /// What was asked for.
        name: String,
        /// Where guests are kept.
        guests: PathBuf,
    },
    /// A name that could lead out of the folder of guests.
    #[error(
        "{0:?} is not a guest name: use letters, digits, `.`, `_` and `-`, and do not begin with `.` or `-`"
    )]
    Name(String),
    /// There is one of that name.
    #[error("the guest {0:?} already exists; remove it with `pandacap guest rm {0}`, or choose another name")]
    Taken(String),
    /// Another process is changing it.
    #[error("the guest {0:?} is being made, changed or removed by another pandacap; try again")]
    Busy(String),
    /// A machine runs it.
    #[error("the guest {0:?} is in use; end the machines that run it first")]
    InUse(String),
    /// It cannot have another name.
    #[error("the tiny guest is always called tiny: leave out --name; `guest build debian` takes one")]
    TinyName,
    /// There is no console to use, and nothing to shrink.
    #[error(
        "the guest {0:?} has no disk, which this command needs; `pandacap guest ls` shows which guests have one"
    )]
    NoDisk(String),
    /// Traces would lose their disks.
    #[error(
        "the image of {name:?} is the base of the disks of {}: the traces would still replay, but their disks could \
         no longer be read; --force goes ahead",
        how_many(*.traces)
    )]
    Needed {
        /// The guest.
        name: String,
        /// How many.
        traces: usize,
    },
    /// A package is missing.
    #[error("cannot make the guest")]
    Package(#[from] AptError),
    /// A program failed.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// It could not be kept warm.
    #[error(transparent)]
    Warm(Box<WarmError>),
    /// Its disk cannot be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Only root can do it.
    #[error("making this guest needs root: run the same command with `sudo` and the same --home")]
    Root,
    /// Nothing of its kernel is known.
    #[error(
        "the guest {0:?} boots with its disk's own boot loader, so there is no kernel to make a profile of; give its \
         profile with `pandacap guest profile {0} --profile FILE`"
    )]
    NoKernel(String),
    /// Its kernel does not tell enough.
    #[error("there is no kernel profile of the guest {name:?}")]
    Kernel {
        /// The guest.
        name: String,
        /// Why not.
        source: Box<KernelError>,
    },
    /// A profile cannot be read.
    #[error("cannot read the kernel profile {}", .path.display())]
    ProfileFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A profile cannot be used.
    #[error("cannot use the kernel profile {}", .path.display())]
    Profile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: GivenError,
    },
    /// Its folder cannot be used.
    #[error("cannot use the guest in {}", .folder.display())]
    Files {
        /// The guest's folder.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It was made by another version of pandacap.
    #[error(
        "the guest {name:?} was made by another version of pandacap (its manifest has schema {schema}, not {SCHEMA}); \
         remove it with `pandacap guest rm --force {name}`, and make it again"
    )]
    Schema {
        /// The guest's name.
        name: String,
        /// What it has.
        schema: Schema,
    },
    /// Its files are not those that were made.
    #[error(
        "the guest in {} is damaged ({what}); remove it with `pandacap guest rm --force {name}`, and make it again",
        .folder.display()
    )]
    Damaged {
        /// The guest's name.
        name: String,
        /// The guest's folder.
        folder: PathBuf,
        /// What is wrong.
        what: String,
    },
}

/// Why a guest has no warm state.
#[derive(Debug, thiserror::Error)]
pub enum WarmError {
    /// It has not booted in time.
    #[error("the guest {name:?} has not booted within {after} s; the end of its console:\n{said}")]
    Boot {
        /// The guest.
        name: String,
        /// Seconds.
        after: u64,
        /// The end of its console.
        said: String,
    },
    /// PANDA ended.
    #[error("PANDA ended while the guest booted:\n{0}")]
    Died(String),
    /// The state was not saved.
    #[error("PANDA could not save the machine's state")]
    Save(#[source] io::Error),
    /// Files cannot be handled.
    #[error("cannot keep a warm state in {}", .folder.display())]
    Files {
        /// Where.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The disk cannot be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// There is no port to look for the SSH server with.
    #[error(transparent)]
    Port(#[from] PortError),
    /// PANDA does not run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// Ctrl-C.
    #[error("interrupted before the guest had booted")]
    Interrupted,
}

impl From<WarmError> for GuestError {
    fn from(error: WarmError) -> GuestError {
        GuestError::Warm(Box::new(error))
    }
}
