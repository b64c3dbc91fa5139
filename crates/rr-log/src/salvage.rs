//! Turns a recording that was cut short into one that replays up to where it was cut.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use super::encode::{encode, encode_header};
use super::entry::{Callsite, Entry, Event};
use super::reader::{Error, Reader};
use super::recording::Recording;

/// Where a log can be cut so that what is before it replays.
///
/// The last entry is not always such a place. One instruction can have several entries, and one interrupt has
/// three, and PANDA aborts a replay that executes an instruction and does not find an input for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutPoint {
    /// How many bytes of the log are kept.
    pub offset: u64,
    /// How many instructions the recording has then.
    pub instructions: u64,
}

impl CutPoint {
    /// Reads a log to where it breaks off, and finds its last good place; None where there is none.
    ///
    /// Also says why the log breaks off; no error means that it is whole, and needs no cut.
    pub fn find<R: Read + Seek>(reader: &mut Reader<R>) -> (Option<CutPoint>, Option<Error>) {
        let mut cut = CutPoint { offset: 0, instructions: 0 };
        let mut last = 0;
        for entry in reader {
            match entry {
                Ok(entry) => {
                    cut.pass(&entry, last);
                    last = entry.instructions;
                }
                Err(error) => {
                    // What is left of an entry shows that the instruction before its own has all its entries.
                    if let Error::CutShort { offset, next: Some(next) } = error
                        && next > last
                    {
                        cut = CutPoint { offset, instructions: next - 1 };
                    }
                    return ((cut.instructions > 0).then_some(cut), Some(error));
                }
            }
        }
        (None, None)
    }

    fn pass(&mut self, entry: &Entry, last: u64) {
        if entry.event == Event::End {
            *self = CutPoint { offset: entry.offset, instructions: entry.instructions };
        } else if between_instructions(entry) {
            *self = CutPoint { offset: entry.end(), instructions: entry.instructions };
        } else if entry.instructions > last {
            *self = CutPoint { offset: entry.offset, instructions: entry.instructions - 1 };
        }
    }
}

/// What the main loop does, it does when an instruction is over, and each such act stands alone.
fn between_instructions(entry: &Entry) -> bool {
    entry.callsite == Callsite::MAIN_LOOP && matches!(entry.event, Event::Call(_))
}

/// What was salvaged.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Salvaged {
    /// The new log.
    pub log: PathBuf,
    /// The new recording's snapshot.
    pub snapshot: PathBuf,
    /// Why the recording needed it, as a fragment of a sentence.
    pub reason: String,
    /// How many instructions the new recording has.
    pub instructions: u64,
    /// Length of the log as it was found, in bytes.
    pub found_bytes: u64,
    /// How many of these bytes are in the new log.
    pub kept_bytes: u64,
}

/// Why there is nothing salvaged.
#[derive(Debug, thiserror::Error)]
pub enum SalvageError {
    /// The log cannot be read.
    #[error("cannot salvage {log}")]
    Read {
        /// The log.
        log: PathBuf,
        /// Why.
        source: Error,
    },
    /// The log breaks off too early.
    #[error("nothing to salvage in {log}, where no instruction is complete")]
    Nothing {
        /// The log.
        log: PathBuf,
        /// Why it breaks off.
        source: Error,
    },
    /// There is no snapshot, or not a whole one.
    #[error("cannot salvage the recording: {path} is missing, and no replay starts without it")]
    NoSnapshot {
        /// Where it should be.
        path: PathBuf,
    },
    /// A file of the recording is no plain file.
    #[error("cannot use {path}; the files of a recording must be regular files in one folder")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Salvaging overwrites nothing.
    #[error("{path} is already there: remove it, or choose another name with --out")]
    Taken {
        /// What is there.
        path: PathBuf,
    },
    /// A file cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Makes a recording `name` beside a broken one, which is left as it is; None if it is not broken.
pub fn salvage(broken: &Recording, name: &OsStr) -> Result<Option<Salvaged>, SalvageError> {
    let log = broken.log();
    let failed = |source| SalvageError::Read { log: log.clone(), source };
    let mut reader = match Reader::open(&log) {
        Err(source @ Error::CutShort { .. }) => return Err(SalvageError::Nothing { log, source }),
        reader => reader.map_err(failed)?,
    };
    let (cut, reason) = CutPoint::find(&mut reader);
    let (cut, reason) = match (cut, reason) {
        (_, None) => return Ok(None),
        (_, Some(error @ (Error::Io { .. } | Error::NotAFile))) => return Err(failed(error)),
        (None, Some(source)) => return Err(SalvageError::Nothing { log, source }),
        (Some(cut), Some(reason)) => (cut, reason),
    };
    let new = broken.beside(name);
    if !broken.snapshot().is_file() {
        return Err(SalvageError::NoSnapshot { path: broken.snapshot() });
    }
    if new.log().exists() {
        return Err(SalvageError::Taken { path: new.log() });
    }
    // The log comes last: where it is, the recording is complete.
    share(&broken.snapshot(), &new.snapshot())?;
    if let Err(error) = write_log(&log, cut, &new.log()) {
        let _ = fs::remove_file(new.snapshot());
        return Err(error);
    }
    Ok(Some(Salvaged {
        log: new.log(),
        snapshot: new.snapshot(),
        reason: reason.to_string(),
        instructions: cut.instructions,
        found_bytes: reader.file_len(),
        kept_bytes: cut.offset,
    }))
}

/// The default name of a salvaged recording.
pub fn default_name(broken: &Recording) -> OsString {
    let mut name = broken.name.clone();
    name.push("-salvaged");
    name
}

/// Writes the log that `cut` leaves of `from`.
fn write_log(from: &Path, cut: CutPoint, to: &Path) -> Result<(), SalvageError> {
    let failed = |source| SalvageError::Write { path: to.into(), source };
    let dir = files::folder_of(to);
    let mut file = files::fresh_in(dir).map_err(failed)?;
    let (mut header, mut end) = (Vec::new(), Vec::new());
    encode_header(cut.instructions, &mut header);
    encode(cut.instructions, Callsite::END, Event::End, &[], &mut end);

    let mut source = unlinked(from)?;
    // From its beginning, the old header included: aligned so, a file system can share it instead of copying.
    let kept = io::copy(&mut (&mut source).take(cut.offset), file.as_file_mut()).map_err(failed)?;
    if kept != cut.offset {
        return Err(failed(io::ErrorKind::UnexpectedEof.into()));
    }
    file.write_all(&end).map_err(failed)?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    file.write_all(&header).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist_noclobber(to).map_err(|error| taken(to, error.error))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)
}

/// Makes `to` the same file as `from`, which is no longer written to, or else a copy of it.
fn share(from: &Path, to: &Path) -> Result<(), SalvageError> {
    unlinked(from)?;
    match fs::hard_link(from, to) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(taken(to, error)),
        Err(_) => {}
    }
    let failed = |source| SalvageError::Write { path: to.into(), source };
    let mut file = files::fresh_in(files::folder_of(to)).map_err(failed)?;
    let mut source = unlinked(from)?;
    io::copy(&mut source, file.as_file_mut()).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist_noclobber(to).map_err(|error| taken(to, error.error)).map(drop)
}

/// Opens a file of the recording. A link is none: it could make us copy what only we may read.
fn unlinked(path: &Path) -> Result<File, SalvageError> {
    files::open_unlinked(path).map_err(|source| SalvageError::Open { path: path.into(), source })
}

fn taken(path: &Path, source: io::Error) -> SalvageError {
    match source.kind() {
        io::ErrorKind::AlreadyExists => SalvageError::Taken { path: path.into() },
        _ => SalvageError::Write { path: path.into(), source },
    }
}
