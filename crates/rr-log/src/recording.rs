//! The files of one recording: `<name>-rr-nondet.log` and `<name>-rr-snp`, side by side.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

const LOG: &str = "-rr-nondet.log";
const SNAPSHOT: &str = "-rr-snp";

/// Where a recording is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// The folder of its files.
    pub dir: PathBuf,
    /// Its name, which its files' names begin with.
    pub name: OsString,
}

/// Why no recording was found.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// Nothing there.
    #[error(
        "no recording at {0}: give a trace folder, a file NAME{LOG}, or the path of such a file without \"{LOG}\""
    )]
    NotFound(PathBuf),
    /// A folder without a recording.
    #[error("no file NAME{LOG} in the folder {0}")]
    Empty(PathBuf),
    /// A folder with more than one recording.
    #[error("more than one recording in the folder {dir}: give one of {}", names.join(", "))]
    Several {
        /// The folder.
        dir: PathBuf,
        /// The logs in it.
        names: Vec<String>,
    },
    /// A recording in one archive.
    #[error("{0} is a packed recording: unpack it first (tar -xzf)")]
    Packed(PathBuf),
    /// A folder that cannot be read.
    #[error("cannot read the folder {dir}")]
    Io {
        /// The folder.
        dir: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Recording {
    /// Finds the recording that `path` means: a trace folder, a log, or a recording's path as PANDA takes it.
    pub fn find(path: &Path) -> Result<Recording, RecordingError> {
        if path.is_dir() {
            return Recording::only_one_in(path);
        }
        if path.extension() == Some(OsStr::new("rr2")) {
            return Err(RecordingError::Packed(path.into()));
        }
        let recording = match path.file_name().map(|file| (file, stem(file))) {
            Some((_, Some(name))) => Recording::at(path, name),
            Some((name, None)) => Recording::at(path, name.into()),
            None => return Err(RecordingError::NotFound(path.into())),
        };
        match recording.log().exists() {
            true => Ok(recording),
            false => Err(RecordingError::NotFound(path.into())),
        }
    }

    /// The log of non-deterministic inputs.
    pub fn log(&self) -> PathBuf {
        self.file(LOG)
    }

    /// The machine's state at the beginning.
    pub fn snapshot(&self) -> PathBuf {
        self.file(SNAPSHOT)
    }

    /// The recording of another name in the same folder.
    pub fn beside(&self, name: &OsStr) -> Recording {
        Recording { dir: self.dir.clone(), name: name.into() }
    }

    fn at(path: &Path, name: OsString) -> Recording {
        Recording { dir: path.parent().unwrap_or(Path::new("")).into(), name }
    }

    fn file(&self, suffix: &str) -> PathBuf {
        let mut file = self.name.clone();
        file.push(suffix);
        self.dir.join(file)
    }

    fn only_one_in(dir: &Path) -> Result<Recording, RecordingError> {
        let failed = |source| RecordingError::Io { dir: dir.into(), source };
        let mut names = Vec::new();
        for file in dir.read_dir().map_err(failed)? {
            names.extend(stem(&file.map_err(failed)?.file_name()));
        }
        names.sort();
        match names.as_slice() {
            [] => Err(RecordingError::Empty(dir.into())),
            [name] => Ok(Recording { dir: dir.into(), name: name.clone() }),
            _ => Err(RecordingError::Several {
                dir: dir.into(),
                names: names.iter().map(|name| format!("{}{LOG}", name.display())).collect(),
            }),
        }
    }
}

/// The recording's name in the name of its log.
fn stem(file: &OsStr) -> Option<OsString> {
    use std::os::unix::ffi::OsStrExt;
    let name = file.as_bytes().strip_suffix(LOG.as_bytes())?;
    (!name.is_empty()).then(|| OsStr::from_bytes(name).into())
}
