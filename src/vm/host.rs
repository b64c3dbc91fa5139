//! What the host has left for one more machine.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::statvfs;

/// What PANDA takes besides the guest's memory, in MiB: itself, and its translated code.
const OWN_MIB: u64 = 192;
/// What a recording takes besides the guest's memory, and what recctrl keeps free, in MiB.
const SPARE_MIB: u64 = 80;

/// Too little memory.
#[derive(Debug, thiserror::Error)]
#[error(
    "this machine has {available_mib} MiB of memory left, and the guest needs {needed_mib}; \
     give it less with --mem, or wait until another run has ended"
)]
pub struct NoMemory {
    available_mib: u64,
    needed_mib: u64,
}

/// Sees that there is memory for a guest of so many MiB. A host that does not tell is taken for one that has it.
pub fn check_memory(guest_mib: u32) -> Result<(), NoMemory> {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let needed_mib = u64::from(guest_mib) + OWN_MIB;
    match available(&text) {
        Some(available_mib) if available_mib < needed_mib => Err(NoMemory { available_mib, needed_mib }),
        _ => Ok(()),
    }
}

/// Too little disk.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} has {free_mib} MiB free, and a snapshot of the guest may need {needed_mib}; free some, choose another \
     --out, or give the guest less with --mem", .folder.display()
)]
pub struct NoSpace {
    folder: PathBuf,
    free_mib: u64,
    needed_mib: u64,
}

/// Sees that the snapshot of a guest of so many MiB fits into `folder`, which need not be there yet.
pub fn check_space(folder: &Path, guest_mib: u32) -> Result<(), NoSpace> {
    let needed_mib = u64::from(guest_mib) + SPARE_MIB;
    // A relative path's first ancestor is the empty one, which stands for the current folder.
    let there =
        folder.ancestors().map(|folder| if folder == Path::new("") { Path::new(".") } else { folder });
    match there.filter_map(|folder| statvfs(folder).ok()).next() {
        Some(disk) if (disk.f_bavail * disk.f_frsize) >> 20 < needed_mib => Err(NoSpace {
            folder: folder.to_owned(),
            free_mib: (disk.f_bavail * disk.f_frsize) >> 20,
            needed_mib,
        }),
        _ => Ok(()),
    }
}

fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_what_the_system_calls_available() {
        assert_eq!(available("MemTotal: 9 kB\nMemAvailable:    2048000 kB\n"), Some(2000));
        assert!(check_memory(1).is_ok());
        assert!(check_memory(u32::MAX).is_err());
    }

    #[test]
    fn a_snapshot_has_to_fit_even_where_the_folder_is_yet_to_be_made() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        assert!(check_space(&dir.path().join("a/b"), 1).is_ok());
        assert!(check_space(&dir.path().join("a/b"), u32::MAX).is_err());
        assert!(check_space(Path::new("not-there"), u32::MAX).is_err());
    }
}
