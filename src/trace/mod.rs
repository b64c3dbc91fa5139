//! One recording on disk: its folder, its manifest, and the proof that it replays.

mod argv;
pub mod log;
mod manifest;
mod partial;
mod replay;
pub mod verify;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use self::manifest::{
    Arguments, DiskId, GuestId, MANIFEST, Manifest, ManifestError, Recording, SCHEMA, Seconds, Verification,
    is_plain,
};
pub use self::partial::{Partial, PartialError, leftovers};
pub use self::replay::{Line, Replay, ReplayError, ReplayOf, Step, replay};

/// The name of the recording's snapshot.
pub fn snapshot_name(name: &str) -> String {
    format!("{name}-rr-snp")
}

/// The name of the recording's log.
pub fn log_name(name: &str) -> String {
    format!("{name}-rr-nondet.log")
}

/// Why a folder is not a trace that can be used.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// It has no manifest.
    #[error("{} is not a trace: it has no {MANIFEST}; name the folder that `pandacap rec` printed", .0.display())]
    NoManifest(PathBuf),
    /// Its manifest cannot be read.
    #[error("cannot read {}: {error}", .path.display())]
    Unreadable {
        /// The manifest.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Its manifest is not one.
    #[error("{}: {error}", .path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        error: ManifestError,
    },
}

/// A finished trace.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Its folder.
    pub folder: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
}

impl Trace {
    /// Opens the trace in `folder`.
    pub fn open(folder: &Path) -> Result<Trace, TraceError> {
        let path = folder.join(MANIFEST);
        match fs::read(&path).map(|text| Manifest::parse(&text)) {
            Ok(Ok(manifest)) => Ok(Trace { folder: folder.to_owned(), manifest }),
            Ok(Err(error)) => Err(TraceError::Manifest { path, error }),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Err(TraceError::NoManifest(folder.to_owned()))
            }
            Err(error) => Err(TraceError::Unreadable { path, error }),
        }
    }
}
