//! Whether a trace is what was recorded, and replays.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use files::FileDigest;
use machine::Interrupt;
use panda_host::Panda;
use panda_host::progress::{Length, Progress};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::finished::{Trace, TraceError};
use crate::manifest::MANIFEST;
use crate::names::{log_name, snapshot_name};
use crate::replay::{Replay, ReplayError, ReplayOf, replay};

/// The verdict on one trace.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Verdict {
    /// The trace's folder.
    #[serde(serialize_with = "crate::names::lossy")]
    #[schemars(with = "String")]
    pub trace: PathBuf,
    /// Guest instructions, as the manifest has them.
    pub instructions: Option<u64>,
    /// Whether every file is what was recorded.
    pub digests_ok: bool,
    /// Whether it replays; none where that was not tried, for the files are not those that were recorded, or PANDA
    /// must not see them.
    pub replay_ok: Option<bool>,
    /// How long the replay took.
    pub seconds: Option<f64>,
    /// What is wrong.
    pub problems: Vec<String>,
}

impl Verdict {
    /// Whether the trace can be trusted.
    pub fn passed(&self) -> bool {
        self.digests_ok && self.replay_ok == Some(true)
    }
}

/// The traces in a folder of traces, in order; else the folder itself.
pub fn expand(folder: PathBuf) -> Vec<PathBuf> {
    if folder.join(MANIFEST).exists() {
        return vec![folder];
    }
    let entries = fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok);
    let mut traces: Vec<PathBuf> = entries
        .filter(|entry| !entry.file_name().as_bytes().starts_with(b"."))
        .map(|entry| entry.path())
        .filter(|trace| trace.join(MANIFEST).exists())
        .collect();
    traces.sort();
    if traces.is_empty() { vec![folder] } else { traces }
}

/// The verdict on a folder that is no trace.
pub fn unreadable(trace: PathBuf, error: &TraceError) -> Verdict {
    let problem = match error {
        TraceError::NoManifest(_) => format!("not a trace: it has no {MANIFEST}"),
        error => files::chain(error),
    };
    let problems = vec![problem];
    Verdict { trace, instructions: None, digests_ok: false, replay_ok: None, seconds: None, problems }
}

/// Compares every file with the manifest, and replays the recording on `panda`; nothing is written. The trace's own
/// further arguments for PANDA are taken only where they are `trusted`.
pub fn verify(
    trace: &Trace,
    trusted: bool,
    panda: &Panda,
    interrupt: &Interrupt,
    progress: &dyn Progress,
) -> Result<Verdict, ReplayError> {
    let problems = changed(trace);
    let mut verdict = Verdict {
        trace: trace.folder.clone(),
        instructions: Some(trace.manifest.recording.instructions),
        digests_ok: problems.is_empty(),
        replay_ok: None,
        seconds: None,
        problems,
    };
    let machine = match trace.machine(trusted) {
        Ok(machine) => Some(machine).filter(|_| verdict.digests_ok),
        Err(error) => {
            verdict.problems.push(files::chain(&error));
            None
        }
    };
    if let Some(machine) = machine {
        let work = tempfile::tempdir()?;
        let recording = trace.recording()?;
        let what = ReplayOf {
            panda,
            machine,
            recording: &recording,
            work: work.path(),
            more: &[],
            panda_dir: None,
            plugins: &[],
        };
        let task = progress.begin(&format!("replaying {}", trace.manifest.name), Length::Percent);
        let Replay { failure, seconds } = replay(&what, interrupt, |line| {
            if let Some(step) = line.step {
                task.reach(step.percent as u64);
            }
        })?;
        if !matches!(failure, Some(Failure::Refused(_))) {
            verdict.replay_ok = Some(failure.is_none());
            verdict.seconds = Some(seconds);
        }
        verdict.problems.extend(failure.map(|failure| files::chain(&failure)));
    }
    Ok(verdict)
}

/// What is wrong with the trace's files.
fn changed(trace: &Trace) -> Vec<String> {
    let recording = [snapshot_name(&trace.manifest.name), log_name(&trace.manifest.name)];
    let unlisted = recording.into_iter().filter(|name| !trace.manifest.files.contains_key(name));
    let unlisted = unlisted.map(|name| format!("the manifest has no digest of {name}"));
    let files = trace.manifest.files.iter().filter_map(|(name, expected)| {
        let path = trace.folder.join(name);
        // Asked before it is opened: a pipe would wait for its other end, and a device need not have one.
        let found = match fs::metadata(&path) {
            Ok(found) if !found.is_file() => return Some(format!("{name} is not a regular file")),
            Ok(found) if found.len() != expected.bytes => {
                return Some(format!("{name} has {} bytes, not {}", found.len(), expected.bytes));
            }
            Ok(_) => FileDigest::of(&path),
            Err(error) => Err(error),
        };
        match found {
            Ok(digest) if digest == *expected => None,
            Ok(_) => Some(format!("{name} is not what was recorded: its SHA-256 differs")),
            Err(error) => Some(format!("{name}: {error}")),
        }
    });
    unlisted.chain(files).collect()
}
