//! A bootstrap folder that may be a stranger's: nothing outside of it is read, and not more of it than fits.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, OpenOptions, OpenOptionsExt, PermissionsExt};
use rustix::fs::OFlags;

use super::BootstrapError;

/// The most files and folders, counted by every way that leads to them.
const FILES: u64 = 4096;
/// The most bytes in all.
const BYTES: u64 = 1 << 30;
/// The most bytes of a file that is read as text.
const TEXT: u64 = 1 << 20;

/// The folder, held open; paths are below it. Links are followed as long as they stay within.
#[derive(Debug)]
pub(super) struct Source {
    dir: Dir,
    path: PathBuf,
    files: Cell<u64>,
    bytes: Cell<u64>,
}

impl Source {
    /// Opens the folder at `path`.
    pub(super) fn open(path: &Path) -> Result<Source, BootstrapError> {
        let dir = Dir::open_ambient_dir(path, ambient_authority()).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                BootstrapError::NoScripts(path.to_owned())
            }
            _ => BootstrapError::file("read", path)(error),
        })?;
        Ok(Source { dir, path: path.to_owned(), files: Cell::new(0), bytes: Cell::new(0) })
    }

    /// A path below it as it stands in a message.
    pub(super) fn path(&self, below: &Path) -> PathBuf {
        self.path.join(below)
    }

    /// What is at `below`, if there is something.
    pub(super) fn metadata(&self, below: &Path) -> Result<Option<Metadata>, BootstrapError> {
        match self.dir.metadata(below) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            metadata => metadata.map(Some).map_err(self.failed(below)),
        }
    }

    /// What is in a folder, in the order of the names: those, and the paths.
    pub(super) fn entries(&self, folder: &Path) -> Result<BTreeMap<String, PathBuf>, BootstrapError> {
        let mut entries = BTreeMap::new();
        for entry in self.dir.read_dir(folder).map_err(self.failed(folder))? {
            let name = entry.map_err(self.failed(folder))?.file_name();
            self.count(&self.files, 1, FILES, "files")?;
            let path = folder.join(&name);
            let name = name.into_string().map_err(|_| BootstrapError::Strange(self.path(&path)))?;
            entries.insert(name, path);
        }
        Ok(entries)
    }

    /// A plain file, opened, of which no more can be read than was counted, and its mode.
    pub(super) fn file(&self, below: &Path) -> Result<(io::Take<File>, u32), BootstrapError> {
        let strange = || BootstrapError::Strange(self.path(below));
        // What is no file is not even opened, and what becomes a pipe meanwhile is not waited for.
        if self.metadata(below)?.is_some_and(|metadata| !metadata.is_file()) {
            return Err(strange());
        }
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        let file = self.dir.open_with(below, &options).map_err(self.failed(below))?;
        let metadata = file.metadata().map_err(self.failed(below))?;
        if !metadata.is_file() {
            return Err(strange());
        }
        self.count(&self.bytes, metadata.len(), BYTES, "bytes")?;
        Ok((file.into_std().take(metadata.len()), metadata.permissions().mode()))
    }

    /// A short file's text.
    pub(super) fn text(&self, below: &Path) -> Result<String, BootstrapError> {
        let (mut file, _) = self.file(below)?;
        if file.limit() > TEXT {
            return Err(too_much(self.path(below), TEXT, "bytes of text"));
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(self.failed(below))?;
        Ok(text)
    }

    fn count(&self, what: &Cell<u64>, more: u64, most: u64, name: &str) -> Result<(), BootstrapError> {
        what.set(what.get().saturating_add(more));
        if what.get() > most {
            return Err(too_much(self.path.clone(), most, name));
        }
        Ok(())
    }

    /// For `map_err`: why `below` cannot be read.
    fn failed(&self, below: &Path) -> impl Fn(io::Error) -> BootstrapError {
        let path = self.path(below);
        move |error| match (error.kind(), error.raw_os_error()) {
            // Not the system says so, but what keeps us in the folder.
            (io::ErrorKind::PermissionDenied, None) => BootstrapError::Outside(path.clone()),
            _ => BootstrapError::file("read", &path)(error),
        }
    }
}

fn too_much(path: PathBuf, most: u64, name: &str) -> BootstrapError {
    BootstrapError::TooMuch { path, most: format!("{most} {name}") }
}
