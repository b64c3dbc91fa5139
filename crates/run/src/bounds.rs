//! How much a guest may make the host keep, watched while it runs.
//!
//! Recordings are bounded by recctrl, events too, and what the guest writes to its disk by the size of that disk. The rest
//! is unbounded: its serial ports, and what its PANDA complains about.

use std::fs;
use std::io;
use std::path::Path;

use machine::free_space;
use machine::life::Bound;

use crate::layout::{CONSOLE, OUTPUT, PANDA_LOG};

/// The run ends when fewer bytes are free: half of what ends a recording.
const MIN_FREE: u64 = 32 << 20;

/// The bound that the run in `folder` has come to, if any; each file may have `max_output` bytes.
pub(crate) fn reached(folder: &Path, max_output: u64) -> io::Result<Option<Bound>> {
    for file in [CONSOLE, OUTPUT, PANDA_LOG] {
        match fs::metadata(folder.join(file)) {
            Ok(there) if there.len() > max_output => return Ok(Some(Bound::Output(file))),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok((free_space(folder)? < MIN_FREE).then_some(Bound::Space))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_that_a_guest_can_fill_has_a_bound() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(reached(dir.path(), 5).expect("readable"), None);
        for file in [CONSOLE, OUTPUT, PANDA_LOG] {
            fs::write(dir.path().join(file), "12345").expect("written");
            assert_eq!(reached(dir.path(), 5).expect("readable"), None);
            assert_eq!(reached(dir.path(), 4).expect("readable"), Some(Bound::Output(file)));
            fs::remove_file(dir.path().join(file)).expect("removed");
        }
    }
}
