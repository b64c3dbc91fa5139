//! What the host has left for one more machine.

use std::fs;
use std::io;
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

/// Checks that there is memory for a guest of `guest_mib` MiB. A host that does not tell is assumed to have it.
pub fn check_memory(guest_mib: u32) -> Result<(), NoMemory> {
    let needed_mib = u64::from(guest_mib) + OWN_MIB;
    match available_memory().map(|bytes| bytes >> 20) {
        Some(available_mib) if available_mib < needed_mib => Err(NoMemory { available_mib, needed_mib }),
        _ => Ok(()),
    }
}

/// Too little disk.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} has {free_mib} MiB free, and a snapshot of the guest may need {needed_mib}; free some space, choose another \
     --out, or give the guest less with --mem", .folder.display()
)]
pub struct NoSpace {
    folder: PathBuf,
    free_mib: u64,
    needed_mib: u64,
}

/// Checks that the snapshot of a guest of `guest_mib` MiB fits into `folder`, which need not exist yet.
pub fn check_space(folder: &Path, guest_mib: u32) -> Result<(), NoSpace> {
    let needed_mib = u64::from(guest_mib) + SPARE_MIB;
    // A relative path's first ancestor is the empty one, which stands for the current folder.
    let mut there =
        folder.ancestors().map(|folder| if folder == Path::new("") { Path::new(".") } else { folder });
    match there.find_map(|folder| free_space(folder).ok()) {
        Some(bytes) if bytes >> 20 < needed_mib => {
            Err(NoSpace { folder: folder.to_owned(), free_mib: bytes >> 20, needed_mib })
        }
        _ => Ok(()),
    }
}

/// The bytes that are free for the user on the disk of `folder`, which has to be there.
pub fn free_space(folder: &Path) -> io::Result<u64> {
    let disk = statvfs(folder)?;
    // A file system that knows no bound may say anything.
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// The bytes of memory that a new program can have, where the system tells.
pub fn available_memory() -> Option<u64> {
    available(&fs::read_to_string("/proc/meminfo").ok()?)
}

fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_what_the_system_calls_available() {
        assert_eq!(available("MemTotal: 9 kB\nMemAvailable:    2048000 kB\n"), Some(2_048_000 << 10));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
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
