//! A guest in the making: a hidden folder beside the others, which takes its name when it is whole.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::error::GuestError;
use crate::guest::{Guest, guests, plain};
use crate::manifest::{GuestManifest, MANIFEST};
use files::FileDigest;
use panda_host::Progress;

/// Removed with all that is in it unless it is finished.
#[derive(Debug)]
pub(crate) struct Draft {
    home: PathBuf,
    name: String,
    folder: PathBuf,
    /// Marks the guest as being made: the lock goes with the process.
    _lock: File,
}

impl Draft {
    /// Claims the name. What a killed process left is removed.
    pub(crate) fn claim(home: &Path, name: &str) -> Result<Draft, GuestError> {
        let name = plain(name)?;
        let folder = place(home, &name);
        let files = |source| GuestError::Files { folder: folder.clone(), source };
        let lock = loop {
            fs::create_dir_all(&folder).map_err(files)?;
            let lock = File::open(&folder).map_err(files)?;
            match lock.try_lock() {
                Err(TryLockError::WouldBlock) => return Err(GuestError::Busy(name)),
                Err(TryLockError::Error(error)) => return Err(files(error)),
                Ok(()) => {}
            }
            if fs::read_dir(&folder).map_err(files)?.next().is_none() {
                break lock;
            }
            fs::remove_dir_all(&folder).map_err(files)?;
        };
        Ok(Draft { home: home.to_owned(), name, folder, _lock: lock })
    }

    /// Waits until another process that has claimed the name has finished or given up.
    pub(crate) fn wait_for_other(home: &Path, name: &str, progress: &dyn Progress) -> Result<(), GuestError> {
        let folder = place(home, name);
        let opened = match File::open(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened,
        };
        let _waiting = progress.waiting(&format!("waiting for another pandacap that makes the guest {name}"));
        opened.and_then(|folder| folder.lock_shared()).map_err(|source| GuestError::Files { folder, source })
    }

    /// Where its files go.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// An error about its files.
    pub(crate) fn files(&self, source: io::Error) -> GuestError {
        GuestError::Files { folder: self.folder.clone(), source }
    }

    /// Gives the guest its name; `manifest` gets the digests of the files. One of that name that is there stays,
    /// unless it is to be replaced.
    pub(crate) fn finish(self, mut manifest: GuestManifest, replace: bool) -> Result<Guest, GuestError> {
        let files = |error| self.files(error);
        for entry in fs::read_dir(&self.folder).map_err(files)? {
            let entry = entry.map_err(files)?;
            if let Ok(name) = entry.file_name().into_string() {
                manifest.files.insert(name, FileDigest::of(&entry.path()).map_err(files)?);
            }
        }
        let text = serde_json::to_vec_pretty(&manifest).map_err(|error| self.files(error.into()))?;
        fs::write(self.folder.join(MANIFEST), text).map_err(files)?;
        files::sync_folder(&self.folder).map_err(files)?;
        let place = guests(&self.home).join(&self.name);
        match renameat_with(CWD, &self.folder, CWD, &place, RenameFlags::NOREPLACE) {
            // The one that was there goes with the draft.
            Err(Errno::EXIST) if replace => {
                renameat_with(CWD, &self.folder, CWD, &place, RenameFlags::EXCHANGE)
            }
            Err(Errno::EXIST) => return Err(GuestError::Taken(self.name.clone())),
            renamed => renamed,
        }
        .map_err(|error| self.files(error.into()))?;
        File::open(guests(&self.home)).and_then(|folder| folder.sync_all()).map_err(files)?;
        let (home, name) = (self.home.clone(), self.name.clone());
        drop(self);
        Guest::open(&home, &name)
    }
}

/// Where a guest of that name is made.
fn place(home: &Path, name: &str) -> PathBuf {
    guests(home).join(format!(".{name}.partial"))
}

impl Drop for Draft {
    fn drop(&mut self) {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                log::warn!("cannot remove {}: {error}", self.folder.display());
            }
            _ => {}
        }
    }
}
