//! A trace in the making: a hidden folder, which takes its name when it is whole.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use files::is_left;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::manifest::{MANIFEST, Manifest};

/// The file that marks the folder as ours.
const MARK: &str = ".pandacap";

/// Why a trace cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PartialError {
    /// It exists already.
    #[error("{} already exists; choose another --name or --out", .0.display())]
    Taken(PathBuf),
    /// Another run is making it.
    #[error("another run is making {} right now; choose another --name or --out", .0.display())]
    Busy(PathBuf),
    /// A run that was killed has left it.
    #[error("{} was left by a run that was killed; remove it, or choose another --name", .0.display())]
    Left(PathBuf),
    /// The disk refuses.
    #[error("cannot make the trace in {}", .folder.display())]
    Files {
        /// Where.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// A trace in the making; removed with all that is in it unless it is finished.
#[derive(Debug)]
pub struct Partial {
    folder: PathBuf,
    trace: PathBuf,
    left: bool,
    /// Says that the run is alive: the lock goes with the process.
    _lock: File,
}

impl Partial {
    /// Claims the trace `name` in `out`, which is made when it is not there.
    pub fn claim(out: &Path, name: &str) -> Result<Partial, PartialError> {
        let files = |source| PartialError::Files { folder: out.to_owned(), source };
        fs::create_dir_all(out).map_err(files)?;
        let (trace, folder) = (out.join(name), out.join(format!(".{name}.partial")));
        if trace.symlink_metadata().is_ok() {
            return Err(PartialError::Taken(trace));
        }
        let made = match fs::create_dir(&folder) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(files(error)),
        };
        let lock = match File::open(&folder) {
            Ok(lock) => lock,
            Err(_) if !made => return Err(PartialError::Busy(trace)),
            Err(error) => return Err(files(error)),
        };
        match lock.try_lock() {
            Ok(()) if made => {
                let partial = Partial { folder, trace, left: false, _lock: lock };
                File::create(partial.folder.join(MARK)).map_err(files)?;
                Ok(partial)
            }
            Ok(()) => Err(PartialError::Left(folder)),
            Err(TryLockError::WouldBlock) => Err(PartialError::Busy(trace)),
            Err(TryLockError::Error(error)) => Err(files(error)),
        }
    }

    /// Keeps what is in it for inspection; returns where that is.
    pub fn leave(mut self) -> PathBuf {
        self.left = true;
        self.folder.clone()
    }

    /// Where its files go.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes the manifest, gets everything onto the disk, and gives the trace its name; returns its folder.
    ///
    /// Where that fails, what is in it is left, as by [`Partial::leave`].
    pub fn finish(mut self, manifest: &Manifest) -> Result<PathBuf, PartialError> {
        self.left = true;
        let files = |source| PartialError::Files { folder: self.folder.clone(), source };
        let text = manifest.to_json().map_err(|error| files(error.into()))?;
        fs::remove_file(self.folder.join(MARK)).map_err(files)?;
        files::sync_folder(&self.folder).map_err(files)?;
        files::replace(&self.folder.join(MANIFEST), &text).map_err(files)?;
        match renameat_with(CWD, &self.folder, CWD, &self.trace, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Err(PartialError::Taken(self.trace.clone())),
            Err(error) => return Err(files(error.into())),
        }
        let out = files::folder_of(&self.trace);
        File::open(out).and_then(|out| out.sync_all()).map_err(files)?;
        Ok(self.trace.clone())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.left {
            return;
        }
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                log::warn!("cannot remove {}: {error}", self.folder.display());
            }
            _ => {}
        }
    }
}

/// What runs that were killed have left in `out`: without a recording in it, it is removed; else it is returned.
/// What is not ours stays.
pub fn leftovers(out: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(out).into_iter().flatten().filter_map(Result::ok);
    let partial = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with('.') && name.ends_with(".partial")
    };
    entries.map(|entry| entry.path()).filter(partial).filter(|folder| is_left(folder)).filter(keep).collect()
}

/// Whether there is a recording in it; if not, and it is ours, it goes.
fn keep(folder: &PathBuf) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let files: Vec<_> = entries.map(|entry| entry.file_name()).collect();
    if files.iter().any(|file| file.to_string_lossy().ends_with("-rr-nondet.log")) {
        return true;
    }
    if !files.is_empty() && !files.iter().any(|file| file == MARK) {
        return false;
    }
    if let Err(error) = fs::remove_dir_all(folder) {
        log::warn!("cannot remove {}, left by a run that was killed: {error}", folder.display());
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::tests::example;
    use files::YOUNG;

    #[test]
    fn a_name_is_claimed_by_one_run_at_a_time() {
        let out = tempfile::tempdir().expect("a temporary folder");
        let first = Partial::claim(out.path(), "a").expect("claimed");
        assert!(matches!(Partial::claim(out.path(), "a"), Err(PartialError::Busy(_))));
        drop(first);
        Partial::claim(out.path(), "a").expect("free again").finish(&example()).expect("finished");
        assert!(matches!(Partial::claim(out.path(), "a"), Err(PartialError::Taken(_))));
    }

    #[test]
    fn a_trace_that_cannot_take_its_name_is_left_and_not_lost() {
        let out = tempfile::tempdir().expect("a temporary folder");
        let partial = Partial::claim(out.path(), "a").expect("claimed");
        let folder = partial.folder().to_owned();
        fs::write(folder.join("a-rr-snp"), "recorded").expect("written");
        fs::create_dir(out.path().join("a")).expect("made");
        assert!(matches!(partial.finish(&example()), Err(PartialError::Taken(_))));
        assert_eq!(fs::read(folder.join("a-rr-snp")).expect("still there"), b"recorded");
    }

    #[test]
    fn what_a_killed_run_left_is_reported_and_kept() {
        let out = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(out.path().join(".a.partial")).expect("made");
        assert!(matches!(Partial::claim(out.path(), "a"), Err(PartialError::Left(_))));
        assert!(out.path().join(".a.partial").exists());
    }

    #[test]
    fn a_leftover_is_reported_only_if_no_run_is_making_it() {
        let out = tempfile::tempdir().expect("a temporary folder");
        let old = std::time::SystemTime::now() - 2 * YOUNG;
        let folder = |name: &str, log: bool| {
            let folder = out.path().join(format!(".{name}.partial"));
            fs::create_dir(&folder).expect("made");
            if log {
                fs::write(folder.join("a-rr-nondet.log"), "").expect("written");
            }
            let made = File::open(&folder).expect("opens");
            made.set_modified(old).expect("set");
            (folder, made)
        };
        let (recording, _) = folder("recording", true);
        let (empty, _) = folder("empty", false);
        let claimed = Partial::claim(out.path(), "killed").expect("claimed").leave();
        File::open(&claimed).and_then(|folder| folder.set_modified(old)).expect("set");
        let foreign = out.path().join(".foreign.partial");
        fs::create_dir(&foreign).expect("made");
        fs::write(foreign.join("precious"), "").expect("written");
        File::open(&foreign).and_then(|folder| folder.set_modified(old)).expect("set");
        let (busy, held) = folder("busy", false);
        held.try_lock().expect("locked");
        let young = out.path().join(".young.partial");
        fs::create_dir(&young).expect("made");
        assert_eq!(leftovers(out.path()), [recording]);
        assert!(!empty.exists() && !claimed.exists());
        assert!(busy.exists() && young.exists() && foreign.exists());
    }
}
