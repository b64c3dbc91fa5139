//! The folder where recordings go: names that are not taken, and the room that is left.

use std::{
    ffi::{CStr, CString},
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::{ffi::OsStrExt as _, fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use protocol::Name;

use crate::refusal::Refusal;

/// PANDA builds a recording's path in 1,024 bytes; what it adds to the name is at most 16.
const PATH_MAX: usize = 1000;
/// How often another name is tried before giving up.
const TRIES: u32 = 1000;

/// The folder where recordings go.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

/// The two files of one recording, which were created for it; a pretended one has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    name: String,
    /// Folder and name, as PANDA takes it.
    recording: CString,
    /// Snapshot and log.
    paths: Option<[PathBuf; 2]>,
}

/// What a recording takes on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Bytes of the snapshot.
    pub snapshot_bytes: u64,
    /// Bytes of the log.
    pub log_bytes: u64,
}

impl Folder {
    /// The folder at `path`, which has to exist.
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

    /// Bytes that are free for us: none when the folder has gone.
    pub(crate) fn free(&self) -> u64 {
        self.available().unwrap_or(0)
    }

    fn available(&self) -> io::Result<u64> {
        let path = CString::new(self.path.as_os_str().as_bytes())?;
        // SAFETY: statvfs is plain old data, for which all zeroes is a value.
        let mut stat: libc::statvfs = unsafe { std::mem::zeroed() };
        // SAFETY: `path` ends with a NUL and `stat` is writable for the whole call.
        if unsafe { libc::statvfs(path.as_ptr(), &mut stat) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Creates the two files of a recording called `name`, or `name-2`, `name-3`, ... when it is taken.
    ///
    /// PANDA opens them by name later, without O_EXCL and without an error check: that they have just been
    /// created here is what keeps older recordings, links and missing folders out of its way.
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
        Ok(Files { name: name.to_owned(), recording: c_path, paths: Some([snapshot, log]) })
    }
}

fn refusal(path: &Path, error: &io::Error) -> Refusal {
    Refusal::Files { path: path.to_owned(), reason: error.to_string() }
}

impl Files {
    /// Those of a recording that is only pretended: none.
    pub fn pretended(name: &str) -> Files {
        Files { name: name.to_owned(), recording: CString::default(), paths: None }
    }

    /// Whether there are none.
    pub fn are_pretended(&self) -> bool {
        self.paths.is_none()
    }

    /// The recording's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Folder and name, as PANDA takes it.
    pub(crate) fn recording(&self) -> &CStr {
        &self.recording
    }

    /// Removes them: the recording did not begin.
    pub(crate) fn remove(&self) -> io::Result<()> {
        self.paths.iter().flatten().map(fs::remove_file).fold(Ok(()), io::Result::and)
    }

    /// What they take; nothing when they are gone.
    pub(crate) fn sizes(&self) -> Sizes {
        let length = |path: &PathBuf| fs::metadata(path).map_or(0, |meta| meta.len());
        let [snapshot_bytes, log_bytes] =
            self.paths.as_ref().map_or([0; 2], |paths| paths.each_ref().map(length));
        Sizes { snapshot_bytes, log_bytes }
    }

    /// Guest instructions, with which a complete log begins.
    pub(crate) fn instructions(&self) -> u64 {
        let Some([_, log]) = &self.paths else { return 0 };
        let mut header = [0; 8];
        let read = File::open(log).and_then(|mut log| log.read_exact(&mut header));
        read.map_or(0, |()| u64::from_le_bytes(header))
    }
}

/// The name of a recording: the one that was asked for, numbered as upstream does it.
pub(crate) fn numbered(name: Option<Name>, number: Option<u32>) -> String {
    let name = name.as_ref().map_or("recording", Name::as_str);
    match number {
        Some(number) => format!("{name}_{number:03}"),
        None => name.to_owned(),
    }
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
        let exist = || files.paths.iter().flatten().filter(|path| path.exists()).count();
        assert_eq!(exist(), 2);
        files.remove().expect("removed");
        assert_eq!(exist(), 0);
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
        assert_eq!(folder.free(), 0);
    }

    #[test]
    fn pandas_archive_ending_is_not_passed_on() {
        let (_dir, folder) = folder();
        assert_eq!(folder.reserve("a.rr2").expect("free").name, "a_rr2");
    }

    #[test]
    fn names_are_numbered_unless_there_is_only_one() {
        let name = Name::from_guest(b"x\0");
        assert_eq!(numbered(name, Some(7)), "x_007");
        assert_eq!(numbered(name, None), "x");
        assert_eq!(numbered(None, Some(1000)), "recording_1000");
    }
}
