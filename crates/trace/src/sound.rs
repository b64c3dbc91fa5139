//! Whether a recording can be given to PANDA, which trusts every byte of it.

use std::path::{Path, PathBuf};

use crate::names::{log_name, snapshot_name};
use crate::snapshot::{Expected, SnapshotError, check_file};
use machine::Machine;
use rr_log::Target;
use rr_log::{CheckError, Limits, Reader, check};

/// Why PANDA must not see a recording.
#[derive(Debug, thiserror::Error)]
pub enum Unsound {
    /// Its log.
    #[error("{} is not sound", .path.display())]
    Log {
        /// The log.
        path: PathBuf,
        /// What is wrong with it.
        source: CheckError,
    },
    /// Its snapshot.
    #[error("{} is not sound", .path.display())]
    Snapshot {
        /// The snapshot.
        path: PathBuf,
        /// What is wrong with it.
        source: SnapshotError,
    },
    /// PANDA would take an archive instead.
    #[error("{}: PANDA would replay this archive instead of the trace's files", .0.display())]
    Archive(PathBuf),
}

/// Checks that a recording, of which this is what its two files begin with, can be replayed without harm to PANDA.
pub(super) fn check_recording(recording: &Path, target: Target, machine: &Machine) -> Result<(), Unsound> {
    if recording.extension().is_some_and(|extension| extension == "rr2") && recording.exists() {
        return Err(Unsound::Archive(recording.to_owned()));
    }
    let name = recording.file_name().unwrap_or_default().to_string_lossy();
    let path = recording.with_file_name(log_name(&name));
    let limits = Limits::of(target, machine.memory_mib, &machine.more);
    let checked =
        Reader::open(&path).map_err(CheckError::from).and_then(|mut reader| check(&mut reader, &limits));
    checked.map_err(|source| Unsound::Log { path, source })?;
    let path = recording.with_file_name(snapshot_name(&name));
    let pc = matches!(target, Target::X86_64 | Target::I386);
    let expected = Expected { memory_mib: machine.memory_mib, usual: pc && machine.more.is_empty() };
    check_file(&path, expected).map_err(|source| Unsound::Snapshot { path, source })
}
