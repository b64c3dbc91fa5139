//! The folder where recordings go: names that nobody has yet, and the room that is left.

use std::{
    ffi::{CString, OsStr},
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::{ffi::OsStrExt as _, fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use protocol::Name;

use crate::host::Refusal;

/// PANDA builds a recording's path in 1,024 bytes; what it adds to the name is at most 16.
const PATH_MAX: usize = 1000;
/// How often another name is tried before giving up.
const TRIES: u32 = 1000;

/// The folder where recordings go.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

/// The two files of one recording, which exist and were nobody's before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    /// The recording's name.
    pub(crate) name: String,
    /// Folder and name, as PANDA takes it.
    pub(crate) recording: CString,
    snapshot: PathBuf,
    log: PathBuf,
}

/// What a recording takes on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) instructions: u64,
    pub(crate) snapshot_bytes: u64,
    pub(crate) log_bytes: u64,
}

impl Folder {
    /// The folder at `path`, which has to be there.
    pub(crate) fn open(path: &Path) -> io::Result<Folder> {
        let path = path.canonicalize()?;
        if !path.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        // the longest name of ours: a guest's 127 bytes, an index of up to 11, a distinguishing suffix of 5
        if path.as_os_str().len() + protocol::NAME_MAX + 16 > PATH_MAX
            || path.as_os_str().as_bytes().contains(&0)
        {
            return Err(io::ErrorKind::InvalidFilename.into());
        }
        Ok(Folder { path })
    }

    /// The folder's absolute path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that are free for us.
    pub(crate) fn free(&self) -> io::Result<u64> {
        let path = CString::new(self.path.as_os_str().as_bytes())?;
        // SAFETY: statvfs is plain old data, for which all zeroes is a value.
        let mut stat: libc::statvfs = unsafe { std::mem::zeroed() };
        // SAFETY: `path` ends with a NUL and `stat` is writable for the whole call.
        if unsafe { libc::statvfs(path.as_ptr(), &mut stat) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Makes the two files of a recording called `name`, or `name-2`, `name-3`, ... when it is taken.
    ///
    /// PANDA opens them by name later, without O_EXCL and without an error check: that they have just been made
    /// here, and nowhere else, is what keeps older recordings, links and missing folders out of its way.
    pub(crate) fn reserve(&self, name: &str) -> Result<Files, Refusal> {
        let mut name = name.to_owned();
        // PANDA of 2024 takes this ending for a request to write one archive.
        if let Some(stem) = name.strip_suffix(".rr2") {
            name = format!("{stem}_rr2");
        }
        let mut candidate = name.clone();
        for number in 2..=TRIES {
            match self.create(&candidate) {
                Ok(files) => return Ok(files),
                Err((_, error)) if error.kind() == io::ErrorKind::AlreadyExists => {
                    candidate = format!("{name}-{number}");
                }
                Err((path, error)) => return Err(refusal(&path, &error)),
            }
        }
        Err(refusal(&self.path.join(name), &io::ErrorKind::AlreadyExists.into()))
    }

    fn create(&self, name: &str) -> Result<Files, (PathBuf, io::Error)> {
        let recording = self.path.join(name);
        let [snapshot, log] =
            ["rr-snp", "rr-nondet.log"].map(|kind| self.path.join(format!("{name}-{kind}")));
        let exclusively = |path: &Path| {
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o660)
                .open(path)
                .map_err(|e| (path.to_owned(), e))
        };
        exclusively(&snapshot)?;
        if let Err(error) = exclusively(&log) {
            let _ = fs::remove_file(&snapshot);
            return Err(error);
        }
        let c_path = CString::new(recording.as_os_str().as_bytes()).map_err(|e| (recording, e.into()))?;
        Ok(Files { name: name.to_owned(), recording: c_path, snapshot, log })
    }
}

fn refusal(path: &Path, error: &io::Error) -> Refusal {
    Refusal::Files { path: path.display().to_string(), reason: error.to_string() }
}

impl Files {
    /// Files of a recording that somebody else named, as PANDA was given it.
    #[cfg(test)]
    pub(crate) fn paths(&self) -> [&Path; 2] {
        [&self.snapshot, &self.log]
    }

    /// Takes the files back: the recording did not begin.
    pub(crate) fn remove(&self) {
        for path in [&self.snapshot, &self.log] {
            if let Err(error) = fs::remove_file(path) {
                log::warn!("can't remove {}: {error}", path.display());
            }
        }
    }

    /// Whether any of them is still there.
    pub(crate) fn exist(&self) -> bool {
        self.snapshot.exists() || self.log.exists()
    }

    /// What the recording takes; a complete log begins with its instruction count.
    pub(crate) fn sizes(&self) -> Sizes {
        let length = |path: &Path| fs::metadata(path).map_or(0, |meta| meta.len());
        let mut header = [0; 8];
        let read = File::open(&self.log).and_then(|mut log| log.read_exact(&mut header));
        Sizes {
            instructions: read.map_or(0, |()| u64::from_le_bytes(header)),
            snapshot_bytes: length(&self.snapshot),
            log_bytes: length(&self.log),
        }
    }
}

/// The name of a recording: the guest's, numbered as upstream does it.
pub(crate) fn numbered(name: Option<Name>, recordings: u32, only_one: bool) -> String {
    let name = name.as_ref().map_or("recording", Name::as_str);
    if only_one { name.to_owned() } else { format!("{name}_{recordings:03}") }
}

/// The folder's name as text, for messages.
pub(crate) fn text(path: &Path) -> String {
    OsStr::to_string_lossy(path.as_os_str()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn folder() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = Folder::open(dir.path()).expect("is there");
        (dir, folder)
    }

    #[test]
    fn a_recording_gets_the_name_it_asks_for() {
        let (_dir, folder) = folder();
        let files = folder.reserve("ssh_000").expect("free");
        assert_eq!(files.name, "ssh_000");
        assert!(files.paths().iter().all(|path| path.exists()));
        files.remove();
        assert!(!files.paths().iter().any(|path| path.exists()));
    }

    #[test]
    fn an_older_recording_is_never_written_to() {
        let (dir, folder) = folder();
        fs::write(dir.path().join("a-rr-snp"), "old").expect("write");
        fs::write(dir.path().join("b-rr-nondet.log"), "old").expect("write");
        assert_eq!(folder.reserve("a").expect("another name").name, "a-2");
        assert_eq!(folder.reserve("b").expect("another name").name, "b-2");
        assert_eq!(folder.reserve("b").expect("another name").name, "b-3");
        assert!(!dir.path().join("b-rr-snp").exists(), "half a recording was left behind");
        assert_eq!(fs::read(dir.path().join("a-rr-snp")).expect("read"), b"old");
    }

    #[test]
    fn a_link_that_waits_at_the_name_is_not_followed() {
        let (dir, folder) = folder();
        symlink("elsewhere", dir.path().join("a-rr-snp")).expect("link");
        assert_eq!(folder.reserve("a").expect("another name").name, "a-2");
        assert!(!dir.path().join("elsewhere").exists());
    }

    #[test]
    fn a_folder_that_has_gone_is_a_refusal() {
        let (dir, folder) = folder();
        drop(dir);
        assert!(matches!(folder.reserve("a"), Err(Refusal::Files { .. })));
        assert!(folder.free().is_err());
    }

    #[test]
    fn pandas_archive_ending_is_not_passed_on() {
        let (_dir, folder) = folder();
        assert_eq!(folder.reserve("a.rr2").expect("free").name, "a_rr2");
    }

    #[test]
    fn names_are_numbered_unless_there_is_only_one() {
        let name = Name::from_guest(b"x\0");
        assert_eq!(numbered(name, 7, false), "x_007");
        assert_eq!(numbered(name, 0, true), "x");
        assert_eq!(numbered(None, 1000, false), "recording_1000");
    }
}
