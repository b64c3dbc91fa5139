//! A guest on this machine, opened.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use files::{FileDigest, Schema};
use machine::{Base, Below, DiskError, Machine};

use crate::apt::Package;
use crate::error::GuestError;
use crate::manifest::{GuestManifest, MANIFEST, Origin, SCHEMA};

/// A guest that is there. As long as the value lives, no other pandacap changes or removes the guest.
#[derive(Clone, Debug)]
pub struct Guest {
    /// Its name, which is that of its folder.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Its manifest.
    pub manifest: GuestManifest,
    /// The folder, locked for all who only read it.
    pub(crate) _lock: Arc<File>,
}

/// A guest's name, and the guest unless it cannot be used.
pub type Listed = (String, Result<Guest, GuestError>);

/// Where the guests of `home` are kept.
pub fn guests(home: &Path) -> PathBuf {
    home.join("guests")
}

impl Guest {
    /// Opens the guest `name` of `home`. Its files are there in their full size; [`Guest::check`] reads them.
    pub fn open(home: &Path, name: &str) -> Result<Guest, GuestError> {
        let name = plain(name)?;
        let folder = guests(home).join(&name);
        let files = |source| GuestError::Files { folder: folder.clone(), source };
        let lock = match File::open(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(GuestError::Unknown { name, guests: guests(home) });
            }
            opened => opened.map_err(files)?,
        };
        match lock.try_lock_shared() {
            Err(TryLockError::WouldBlock) => return Err(GuestError::Busy(name)),
            Err(TryLockError::Error(error)) => return Err(files(error)),
            Ok(()) => {}
        }
        let manifest = read(&name, &folder)?;
        let guest = Guest { name, folder, manifest, _lock: Arc::new(lock) };
        for (file, expected) in &guest.manifest.files {
            match fs::metadata(guest.folder.join(file)) {
                Ok(found) if found.len() == expected.bytes => {}
                Ok(found) => {
                    return Err(guest.damaged(format!(
                        "{file} has {} bytes, not {}",
                        found.len(),
                        expected.bytes
                    )));
                }
                Err(error) => return Err(guest.damaged(format!("{file}: {error}"))),
            }
        }
        Ok(guest)
    }

    /// The guests of `home` by name; those that cannot be used as the reason why.
    pub fn list(home: &Path) -> Result<Vec<Listed>, GuestError> {
        let guests = guests(home);
        let entries = match fs::read_dir(&guests) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|source| GuestError::Files { folder: guests, source })?,
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        // What begins with a dot is being made.
        let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        Ok(names.into_iter().map(|name| (name.clone(), Guest::open(home, &name))).collect())
    }

    /// Reads every file, and compares it with the manifest.
    pub fn check(&self) -> Result<(), GuestError> {
        for (name, expected) in &self.manifest.files {
            match FileDigest::of(&self.folder.join(name)) {
                Ok(digest) if digest == *expected => {}
                Ok(_) => return Err(self.damaged(format!("{name} has changed"))),
                Err(error) => return Err(self.damaged(format!("{name}: {error}"))),
            }
        }
        Ok(())
    }

    /// The kernel that PANDA is to load.
    pub fn kernel(&self) -> Option<PathBuf> {
        Some(self.folder.join(self.manifest.kernel.as_ref()?))
    }

    /// Its initramfs.
    pub fn initramfs(&self) -> Option<PathBuf> {
        Some(self.folder.join(self.manifest.initramfs.as_ref()?))
    }

    /// Its disk image.
    pub fn disk(&self) -> Option<PathBuf> {
        // An absolute path stays as it is.
        Some(self.folder.join(&self.manifest.disk.as_ref()?.file))
    }

    /// Its disk image, looked at.
    pub fn base(&self) -> Result<Option<Base>, DiskError> {
        let disk = self.disk().zip(self.manifest.disk.as_ref());
        disk.map(|(path, disk)| Base::inspect(&path, disk.format, Below::Nothing)).transpose()
    }

    /// The machine that it is meant for.
    pub fn machine(&self) -> Machine {
        let manifest = &self.manifest;
        Machine {
            memory_mib: manifest.memory_mib,
            serial_ports: if manifest.disk.is_some() { 1 } else { 2 },
            disk_bytes: manifest.disk.as_ref().map(|disk| disk.bytes),
            bootstrap_bytes: None,
            nic: manifest.nic.clone(),
            // Boot loaders want a screen.
            vga: manifest.kernel.is_none(),
            more: Vec::new(),
        }
    }

    /// The packages that it was made from; none are known of an imported one.
    pub fn packages(&self) -> &[Package] {
        match &self.manifest.origin {
            Origin::Built { packages, .. } => packages,
            Origin::Imported { .. } => &[],
        }
    }

    /// The size of its files, in bytes.
    pub fn bytes(&self) -> u64 {
        self.manifest.files.values().map(|file| file.bytes).sum()
    }

    fn damaged(&self, what: String) -> GuestError {
        damaged(&self.name, &self.folder, what)
    }
}

fn damaged(name: &str, folder: &Path, what: String) -> GuestError {
    GuestError::Damaged { name: name.to_owned(), folder: folder.to_owned(), what }
}

/// A name that stays in the folder of guests and does not look like an option.
pub(crate) fn plain(name: &str) -> Result<String, GuestError> {
    if files::is_plain(name) { Ok(name.to_owned()) } else { Err(GuestError::Name(name.to_owned())) }
}

fn read(name: &str, folder: &Path) -> Result<GuestManifest, GuestError> {
    let bad = |what: &dyn std::fmt::Display| damaged(name, folder, format!("{MANIFEST}: {what}"));
    let text = fs::read(folder.join(MANIFEST)).map_err(|error| bad(&error))?;
    let schema = Schema::of(&text).map_err(|error| bad(&error))?;
    if schema != SCHEMA {
        return Err(GuestError::Schema { name: name.to_owned(), schema });
    }
    serde_json::from_slice(&text).map_err(|error| bad(&error))
}
