//! Removes guests, unless traces or machines need them.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

use machine::Overlays;

use crate::draft::Draft;
use crate::error::GuestError;
use crate::guest::{Guest, guests, plain};
use crate::warm;

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
    let files = |source: io::Error| GuestError::Files { folder: folder.clone(), source };
    let lock = File::open(&folder).map_err(files)?;
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => return Err(GuestError::InUse(name.to_owned())),
        Err(TryLockError::Error(error)) => return Err(files(error)),
        Ok(()) => {}
    }
    // It is gone at once, even if removing its files is cut short; the next guest of that name clears them away.
    // The place is claimed, for another process may be making a guest of that name there.
    let draft = Draft::claim(home, name)?;
    fs::rename(&folder, draft.folder()).and_then(|()| fs::remove_dir_all(draft.folder())).map_err(files)
}

impl Guest {
    /// How many traces have their disks on its image, or on that of a warm state.
    fn traces(&self, home: &Path) -> Result<usize, GuestError> {
        let files = |source| GuestError::Files { folder: self.folder.clone(), source };
        let states = fs::read_dir(self.warm_folder()).into_iter().flatten();
        let states = states.filter_map(|state| Some(state.ok()?.path().join(warm::DISK)));
        let disks = self.disk().into_iter().chain(states).filter(|disk| disk.is_file());
        let overlays = Overlays::of(home);
        let traces: Vec<_> =
            disks.map(|disk| overlays.on(&disk)).collect::<io::Result<_>>().map_err(files)?;
        Ok(traces.into_iter().flatten().collect::<BTreeSet<_>>().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{MANIFEST, SCHEMA};

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
