//! Whether a recording can be given to PANDA, which trusts every byte of it.

use std::path::{Path, PathBuf};

use super::log::{CheckError, Limits, Reader, check};
use super::{log_name, snapshot_name};
use crate::target::Target;
use crate::vm::Machine;

/// Why PANDA must not see a recording.
#[derive(Debug, thiserror::Error)]
pub enum Unsound {
    /// Its log.
    #[error("{}: {error}", .path.display())]
    Log {
        /// The log.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        error: CheckError,
    },
    /// PANDA would take an archive instead.
    #[error("{}: PANDA would replay this archive instead of the trace's files", .0.display())]
    Archive(PathBuf),
}

/// Sees that the recording `name` in `folder` can be replayed on a machine without harm to PANDA.
pub(super) fn check_recording(
    folder: &Path,
    name: &str,
    target: Target,
    machine: &Machine,
) -> Result<(), Unsound> {
    let archive = folder.join(name);
    if name.ends_with(".rr2") && archive.exists() {
        return Err(Unsound::Archive(archive));
    }
    let path = folder.join(log_name(name));
    let limits = Limits::of(target, machine.memory_mib, &machine.more);
    let checked =
        Reader::open(&path).map_err(CheckError::from).and_then(|mut reader| check(&mut reader, &limits));
    checked.map_err(|error| Unsound::Log { path, error })?;
    let _ = snapshot_name;
    Ok(())
}
