//! A finished trace.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kernel_profile::{FILE, MAX_BYTES, Profile, ReadError};
use machine::Machine;

use crate::manifest::{MANIFEST, Manifest, ManifestError};

/// The most bytes that a manifest may have; real ones have a few thousand.
const MANIFEST_BYTES: u64 = 16 << 20;

/// Why a folder is not a trace that can be used.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// It has no manifest.
    #[error("{} is not a trace: it has no {MANIFEST}; name the folder that `pandacap rec` printed", .0.display())]
    NoManifest(PathBuf),
    /// A file of it cannot be read.
    #[error("cannot read {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Its manifest cannot be used.
    #[error("cannot use {}", .path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// Its kernel profile cannot be used.
    #[error("cannot use {}", .path.display())]
    Profile {
        /// The profile.
        path: PathBuf,
        /// What is wrong with it.
        source: ReadError,
    },
    /// It gives PANDA arguments other than for hardware.
    #[error(
        "{}: its machine has further arguments for PANDA ({arguments}), which can do anything on this machine; if you \
         trust the source of the trace, use --trust-args", .path.display()
    )]
    Untrusted {
        /// The manifest.
        path: PathBuf,
        /// What PANDA would be told, quoted for a shell.
        arguments: String,
    },
}

/// A finished trace.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Its folder.
    pub folder: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
}

impl Trace {
    /// Opens the trace in `folder`.
    pub fn open(folder: &Path) -> Result<Trace, TraceError> {
        let path = folder.join(MANIFEST);
        match read(&path).map(|text| Manifest::parse(&text)) {
            Ok(Ok(manifest)) => Ok(Trace { folder: folder.to_owned(), manifest }),
            Ok(Err(source)) => Err(TraceError::Manifest { path, source }),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Err(TraceError::NoManifest(folder.to_owned()))
            }
            Err(source) => Err(TraceError::Unreadable { path, source }),
        }
    }

    /// What the recording's files begin with, from the root on.
    pub fn recording(&self) -> io::Result<PathBuf> {
        Ok(std::path::absolute(&self.folder)?.join(&self.manifest.name))
    }

    /// The profile of the kernel that was recorded, if the trace has one. It is as little trusted as the rest of the
    /// trace.
    pub fn profile(&self) -> Result<Option<Profile>, TraceError> {
        if !self.manifest.files.contains_key(FILE) {
            return Ok(None);
        }
        let path = self.folder.join(FILE);
        let text = files::open_unlinked(&path).and_then(|file| files::read_up_to(file, MAX_BYTES));
        match text.map(|text| Profile::read(&text)) {
            Ok(Ok(profile)) => Ok(Some(profile)),
            Ok(Err(source)) => Err(TraceError::Profile { path, source }),
            Err(source) => Err(TraceError::Unreadable { path, source }),
        }
    }

    /// The machine to replay it on. Where the trace may be a stranger's, that is hardware and nothing else.
    pub fn machine(&self, trusted: bool) -> Result<&Machine, TraceError> {
        let machine = &self.manifest.machine;
        if trusted || machine.more.is_empty() {
            return Ok(machine);
        }
        let arguments = shell_words::join(&machine.more);
        Err(TraceError::Untrusted { path: self.folder.join(MANIFEST), arguments })
    }
}

/// Reads a manifest, which is not trusted.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Asked before it is opened: opening a pipe would wait for its other end.
    match fs::metadata(path)? {
        found if !found.is_file() => Err(io::Error::other("not a regular file")),
        found if found.len() > MANIFEST_BYTES => Err(io::ErrorKind::FileTooLarge.into()),
        _ => fs::read(path),
    }
}
