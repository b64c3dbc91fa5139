//! What the host has left for one more machine.

use std::fs;

/// What PANDA takes besides the guest's memory, in MiB: itself, and its translated code.
const OWN_MIB: u64 = 192;

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
}
