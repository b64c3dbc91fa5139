//! Guests: what a machine boots, each in its own folder of pandacap's home.

mod apt;
pub mod command;
pub mod cpio;
pub mod debian;
mod draft;
mod import;
mod manifest;
mod shell;
pub mod startup;
pub mod tiny;
mod tool;
pub mod warm;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};

pub use self::apt::{AptError, Package};
use self::draft::Draft;
pub use self::manifest::{Disk, GuestManifest, Login, MANIFEST, Origin, SCHEMA, Sign};
pub use self::tool::ToolError;
pub use self::warm::{Warm, WarmError, WarmKey};
use crate::digest::FileDigest;
use crate::target::Target;
use crate::vm::{Base, Below, DiskError, Machine, Overlays, how_many};

/// Why there is no guest to boot.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// There is none for the target.
    #[error("there is no tiny guest for {0} yet, only for x86_64")]
    Target(Target),
    /// No guest has this name.
    #[error("there is no guest {name:?} in {}; `pandacap guest ls` names those that are", .guests.display())]
    Unknown {
        /// What was asked for.
        name: String,
        /// Where guests are kept.
        guests: PathBuf,
    },
    /// A name that could lead out of the folder of guests.
    #[error("{0:?} is no name for a guest: use letters, digits, `.`, `_` and `-`, the first no `.` or `-`")]
    Name(String),
    /// There is one of that name.
    #[error("there is a guest {0:?} already; remove it with `pandacap guest rm {0}`, or choose another name")]
    Taken(String),
    /// Somebody changes it right now.
    #[error("the guest {0:?} is being made, changed or removed by another pandacap; try again")]
    Busy(String),
    /// A machine runs it.
    #[error("the guest {0:?} is in use; end the machines that run it first")]
    InUse(String),
    /// It cannot have another name.
    #[error("the tiny guest is always called tiny: leave --name away; `guest build debian` takes one")]
    TinyName,
    /// There is no console to use, and nothing to shrink.
    #[error(
        "the guest {0:?} has no disk, and this is for guests that have one; `pandacap guest ls` shows which"
    )]
    NoDisk(String),
    /// Traces would lose their disks.
    #[error(
        "the image of {name:?} is the base of the disks of {}: the traces would still replay, and their disks could \
         not be read any more; --force does it",
        how_many(*.traces)
    )]
    Needed {
        /// The guest.
        name: String,
        /// How many.
        traces: usize,
    },
    /// A package is missing.
    #[error("cannot make the guest: {0}")]
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
    #[error("making this guest takes root: run the same command with `sudo`, and --home as it is now")]
    Root,
    /// Its folder cannot be used.
    #[error("cannot use the guest in {}: {error}", .folder.display())]
    Files {
        /// The guest's folder.
        folder: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It was made by another version of pandacap.
    #[error(
        "the guest {name:?} was made by another version of pandacap (its manifest has schema {schema}, not {SCHEMA}); \
         remove it with `pandacap guest rm --force {name}`, and make it anew"
    )]
    Schema {
        /// The guest's name.
        name: String,
        /// What it has.
        schema: u32,
    },
    /// Its files are not those that were made.
    #[error(
        "the guest in {} is damaged ({what}); remove it with `pandacap guest rm --force {name}`, and make it anew",
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

/// A guest that is there. As long as the value lives, no other pandacap changes or removes the guest.
#[derive(Clone, Debug)]
pub struct Guest {
    /// Its name, which is that of its folder.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// What it says of itself.
    pub manifest: GuestManifest,
    /// The folder, locked for all who only read it.
    _lock: Arc<File>,
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
        let files = |error| GuestError::Files { folder: folder.clone(), error };
        let lock = match File::open(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(GuestError::Unknown { name, guests: guests(home) });
            }
            opened => opened.map_err(files)?,
        };
        match flock(&lock, FlockOperation::NonBlockingLockShared) {
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(GuestError::Busy(name)),
            locked => locked.map_err(|error| files(error.into()))?,
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
            entries => entries.map_err(|error| GuestError::Files { folder: guests, error })?,
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        // What begins with a dot is being made.
        let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        Ok(names.into_iter().map(|name| (name.clone(), Guest::open(home, &name))).collect())
    }

    /// The tiny guest for `target`, made now if it has not been, or by an older pandacap.
    pub fn ready_tiny(home: &Path, target: Target) -> Result<Guest, GuestError> {
        tiny::ready(home, target)
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
        // A path that is whole stays what it is.
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
            serial_ports: if manifest.disk.is_some() { 1 } else { tiny::MACHINE.serial_ports },
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

    /// How many traces have their disks on its image, or on that of a warm state.
    fn traces(&self, home: &Path) -> Result<usize, GuestError> {
        let files = |error| GuestError::Files { folder: self.folder.clone(), error };
        let states = fs::read_dir(self.warm_folder()).into_iter().flatten();
        let states = states.filter_map(|state| Some(state.ok()?.path().join(warm::DISK)));
        let disks = self.disk().into_iter().chain(states).filter(|disk| disk.is_file());
        let overlays = Overlays::of(home);
        let traces: Vec<_> =
            disks.map(|disk| overlays.on(&disk)).collect::<io::Result<_>>().map_err(files)?;
        Ok(traces.into_iter().flatten().collect::<BTreeSet<_>>().len())
    }

    /// The size of its files, in bytes.
    pub fn bytes(&self) -> u64 {
        self.manifest.files.values().map(|file| file.bytes).sum()
    }

    fn damaged(&self, what: String) -> GuestError {
        damaged(&self.name, &self.folder, what)
    }
}

/// Removes a guest. One that cannot be opened, or that traces have their disks on, only when forced; one that a
/// machine runs, never.
pub fn remove(home: &Path, name: &str, force: bool) -> Result<(), GuestError> {
    match Guest::open(home, name) {
        Ok(guest) if !force => {
            let traces = guest.traces(home)?;
            if traces > 0 {
                return Err(GuestError::Needed { name: guest.name.clone(), traces });
            }
        }
        Ok(_) => {}
        Err(GuestError::Damaged { .. } | GuestError::Schema { .. }) if force => {}
        Err(error) => return Err(error),
    }
    let folder = guests(home).join(plain(name)?);
    let files = |error: io::Error| GuestError::Files { folder: folder.clone(), error };
    let lock = File::open(&folder).map_err(files)?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => return Err(GuestError::InUse(name.to_owned())),
        locked => locked.map_err(|error| files(error.into()))?,
    }
    // It is gone at once, even if removing its files is cut short; the next guest of that name clears them away.
    // The place is claimed, for somebody may be making another guest of that name there.
    let draft = Draft::claim(home, name)?;
    fs::rename(&folder, draft.folder()).and_then(|()| fs::remove_dir_all(draft.folder())).map_err(files)
}

fn damaged(name: &str, folder: &Path, what: String) -> GuestError {
    GuestError::Damaged { name: name.to_owned(), folder: folder.to_owned(), what }
}

/// A name that stays in the folder of guests and does not look like an option.
fn plain(name: &str) -> Result<String, GuestError> {
    if crate::trace::is_plain(name) { Ok(name.to_owned()) } else { Err(GuestError::Name(name.to_owned())) }
}

fn read(name: &str, folder: &Path) -> Result<GuestManifest, GuestError> {
    #[derive(serde::Deserialize)]
    struct Version {
        schema: u32,
    }
    let bad = |what: &dyn std::fmt::Display| damaged(name, folder, format!("{MANIFEST}: {what}"));
    let text = fs::read(folder.join(MANIFEST)).map_err(|error| bad(&error))?;
    let Version { schema } = serde_json::from_slice(&text).map_err(|error| bad(&error))?;
    if schema != SCHEMA {
        return Err(GuestError::Schema { name: name.to_owned(), schema });
    }
    serde_json::from_slice(&text).map_err(|error| bad(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Removes it; where children of other tests have our locks, between fork and exec, once they have let go of them.
    fn patiently_remove(home: &Path, force: bool) -> Result<(), GuestError> {
        for _ in 0..200 {
            match remove(home, "g", force) {
                Err(GuestError::InUse(_)) => std::thread::sleep(std::time::Duration::from_millis(10)),
                removed => return removed,
            }
        }
        remove(home, "g", force)
    }

    #[test]
    fn a_guest_whose_image_is_no_image_any_more_can_be_removed() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let folder = guests(home.path()).join("g");
        fs::create_dir_all(&folder).expect("made");
        fs::write(folder.join("disk.qcow2"), b"QFI\xfb and nothing that fits").expect("written");
        let manifest = serde_json::json!({
            "schema": SCHEMA, "target": "x86_64", "memory_mib": 256, "append": "",
            "disk": { "file": "disk.qcow2", "format": "qcow2", "bytes": 1 << 20 },
            "booted": { "ssh": 22 }, "origin": { "imported": { "from": "/disk" } }, "files": {},
        });
        fs::write(folder.join(MANIFEST), manifest.to_string()).expect("written");
        patiently_remove(home.path(), false).expect("removed");
        assert!(!folder.exists());
    }

    #[test]
    fn a_guest_that_is_removed_takes_none_with_it_that_is_being_made() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let folder = guests(home.path()).join("g");
        fs::create_dir_all(&folder).expect("made");
        let draft = Draft::claim(home.path(), "g").expect("claimed");
        let removed = patiently_remove(home.path(), true);
        assert!(matches!(removed, Err(GuestError::Busy(_))), "{removed:?}");
        assert!(draft.folder().exists() && folder.exists());
        drop(draft);
        patiently_remove(home.path(), true).expect("removed");
        assert_eq!(fs::read_dir(guests(home.path())).expect("read").count(), 0);
    }
}
