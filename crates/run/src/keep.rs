//! From a run's recordings to traces: each in its folder, with its digests, replayed once.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;

use jiff::Timestamp;

use crate::error::RecError;
use crate::events::Recorded;
use crate::layout::{BOOTSTRAP, CONSOLE, DISK, EVENTS, OUTPUT, PANDA_LOG, PROFILE, REPLAY_LOG};
use crate::plan::Plan;
use crate::run::Outcome;
use files::FileDigest;
use machine::life::{Bound, Cut};
use machine::{Base, Interrupt, Overlays};
use panda_host::progress::Length;
use trace::{
    Arguments, DiskId, EndedBy, Failed, Manifest, Partial, RecordingInfo, ReplayError, ReplayOf, SCHEMA,
    Seconds, Verification, log_name, replay, snapshot_name,
};

/// A run that is over, and what its traces have in common.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    pub(crate) plan: &'a Plan<'a>,
    pub(crate) outcome: &'a Outcome,
    pub(crate) created: Timestamp,
    pub(crate) out: &'a Path,
    pub(crate) overlays: &'a Overlays,
    pub(crate) discard_disk: bool,
}

/// A trace that has been made.
#[derive(Debug)]
pub struct Kept {
    /// Its folder.
    pub folder: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
}

impl Run<'_> {
    /// Makes every trace of the run from what lies in `partial`; what cannot be kept stays there.
    pub(crate) fn keep(&self, partial: Partial, interrupt: &Interrupt) -> Result<Vec<Kept>, RecError> {
        let folder = partial.folder().to_owned();
        let kept = if self.plan.command.is_empty() {
            self.each(&partial, interrupt)
        } else {
            match self.command(&folder, interrupt) {
                // Only a whole trace takes the place of what lies there.
                Ok(manifest) => return self.finish(partial, manifest).map(|kept| vec![kept]),
                Err(error) => Err(error),
            }
        };
        kept.map_err(|error| RecError::Left { folder: partial.leave(), source: Box::new(error) })
    }

    /// The trace of the command, in the folder of the run itself.
    fn command(&self, folder: &Path, interrupt: &Interrupt) -> Result<Manifest, RecError> {
        // A guest that goes on after its command may record more; that is not what was asked for.
        let first = &self.outcome.recordings[0];
        if self.outcome.recordings.len() > 1 {
            log::warn!("the guest made other recordings, which are not kept");
        }
        // These go first: one of them may have the name that the first is given.
        for recording in &self.outcome.recordings[1..] {
            for file in [snapshot_name, log_name] {
                fs::remove_file(folder.join(file(&recording.name)))?;
            }
        }
        let name = self.plan.name;
        for file in [snapshot_name, log_name] {
            fs::rename(folder.join(file(&first.name)), folder.join(file(name)))?;
        }
        let shared = self.shared(folder)?;
        self.manifest(folder, name, first, shared, interrupt)
    }

    /// A trace of each recording, in a folder of its own.
    fn each(&self, run: &Partial, interrupt: &Interrupt) -> Result<Vec<Kept>, RecError> {
        let shared = self.shared(run.folder())?;
        let mut kept = Vec::new();
        for (index, recording) in self.outcome.recordings.iter().enumerate() {
            let name = trace_name(self.plan.name, &recording.name, index);
            let partial = Partial::claim(self.out, &name)?;
            for file in [snapshot_name, log_name] {
                fs::rename(run.folder().join(file(&recording.name)), partial.folder().join(file(&name)))?;
            }
            for file in shared.keys() {
                fs::hard_link(run.folder().join(file), partial.folder().join(file))?;
            }
            kept.push(match self.manifest(partial.folder(), &name, recording, shared.clone(), interrupt) {
                Ok(manifest) => self.finish(partial, manifest)?,
                Err(error) => {
                    return Err(RecError::Left { folder: partial.leave(), source: Box::new(error) });
                }
            });
        }
        Ok(kept)
    }

    /// The files that every trace of the run has.
    fn shared(&self, folder: &Path) -> io::Result<BTreeMap<String, FileDigest>> {
        if self.discard_disk && folder.join(DISK).exists() {
            fs::remove_file(folder.join(DISK))?;
        }
        let files = [CONSOLE, OUTPUT, EVENTS, PANDA_LOG, PROFILE, BOOTSTRAP, DISK].into_iter();
        let there = files.filter(|file| folder.join(file).exists());
        there.map(|file| FileDigest::of(&folder.join(file)).map(|digest| (file.to_owned(), digest))).collect()
    }

    fn manifest(
        &self,
        folder: &Path,
        name: &str,
        recorded: &Recorded,
        mut files: BTreeMap<String, FileDigest>,
        interrupt: &Interrupt,
    ) -> Result<Manifest, RecError> {
        let (plan, outcome) = (self.plan, self.outcome);
        let (digests, verification) = thread::scope(|scope| {
            let digests = scope.spawn(|| {
                [snapshot_name(name), log_name(name)]
                    .into_iter()
                    .map(|file| FileDigest::of(&folder.join(&file)).map(|digest| (file, digest)))
                    .collect::<io::Result<Vec<_>>>()
            });
            let verification = match outcome.ended_by.cut() {
                Some(Cut::Interrupt) => Ok(None),
                _ => verify(plan, folder, name, interrupt),
            };
            // A thread that panicked has said why.
            (digests.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into())), verification)
        });
        files.extend(digests?);
        let last = recorded.ended.unwrap_or(outcome.ended);
        let disk = plan.subject.base().map(|base| DiskId {
            base: base.clone(),
            delta: files.contains_key(DISK).then(|| DISK.to_owned()),
        });
        Ok(Manifest {
            schema: SCHEMA,
            name: name.to_owned(),
            created: self.created,
            pandacap: plan.context.version.to_owned(),
            target: plan.panda.target,
            panda: plan.panda.into(),
            guest: plan.subject.id.clone(),
            machine: plan.subject.machine.clone(),
            disk,
            arguments: Arguments {
                record: outcome.arguments.clone(),
                replay: plan.subject.machine.replay_args(name),
            },
            command: plan.command.to_owned(),
            exit_status: outcome.exit_status,
            recording: RecordingInfo {
                instructions: instructions(&folder.join(log_name(name)))?,
                ended: self.by(recorded),
                snapshot_bytes: fs::metadata(folder.join(snapshot_name(name)))?.len(),
                log_bytes: fs::metadata(folder.join(log_name(name)))?.len(),
                locked: recorded.locked,
                attempts: recorded.attempts,
            },
            seconds: Seconds {
                boot: recorded.began - outcome.started,
                record: last - recorded.began,
                shutdown: outcome.ended - last,
            },
            panda_ended: Some(outcome.panda),
            confinement: Some(plan.panda.confine.mode.here()),
            files,
            verification: verification?,
        })
    }

    /// Who ended a recording: what ended the run, if that ended it.
    fn by(&self, recorded: &Recorded) -> EndedBy {
        match (self.outcome.ended_by.cut(), &recorded.by) {
            (Some(Cut::Bound(Bound::Output(_))), Some(EndedBy::Shutdown)) => EndedBy::MaxOutput,
            (Some(Cut::Bound(Bound::Space)), Some(EndedBy::Shutdown)) => EndedBy::MinFree,
            (_, by) => by.clone().unwrap_or(EndedBy::Died),
        }
    }

    fn finish(&self, partial: Partial, manifest: Manifest) -> Result<Kept, RecError> {
        if let Some(DiskId { base, delta: Some(_) }) = &manifest.disk {
            // Before the trace is there: maintenance must not miss one.
            if let Err(error) = self.note(base, &manifest.name) {
                return Err(RecError::Left { folder: partial.leave(), source: Box::new(error) });
            }
        }
        let left = partial.folder().to_owned();
        match partial.finish(&manifest) {
            Ok(folder) => Ok(Kept { folder, manifest }),
            Err(error) => Err(RecError::Left { folder: left, source: Box::new(error.into()) }),
        }
    }

    /// Notes with every image below the trace's disk that the trace needs it.
    fn note(&self, base: &Base, trace: &str) -> Result<(), RecError> {
        let folder = self.out.join(trace);
        Ok(base.chain().try_for_each(|image| self.overlays.note(image, &folder))?)
    }
}

/// The name of the trace of a recording that the guest has named; all its files have plain names.
fn trace_name(run: &str, recording: &str, index: usize) -> String {
    let name = format!("{run}-{recording}");
    if [snapshot_name, log_name].iter().all(|file| files::is_plain(&file(&name))) {
        name
    } else {
        format!("{run}-{index:03}")
    }
}

/// The guest instructions in a recording: the first thing in its log.
fn instructions(log: &Path) -> io::Result<u64> {
    let mut header = [0; 8];
    File::open(log)?.read_exact(&mut header)?;
    Ok(u64::from_le_bytes(header))
}

/// Replays the recording; `None` when that was interrupted.
fn verify(
    plan: &Plan<'_>,
    folder: &Path,
    name: &str,
    interrupt: &Interrupt,
) -> Result<Option<Verification>, RecError> {
    let mut log = io::BufWriter::new(File::create(folder.join(REPLAY_LOG))?);
    let task = plan.context.progress.begin(&format!("replaying {name}"), Length::Percent);
    let machine = &plan.subject.machine;
    let recording = std::path::absolute(folder)?.join(name);
    let work = tempfile::tempdir()?;
    let (recording, work) = (&*recording, work.path());
    let what =
        ReplayOf { panda: plan.panda, machine, recording, work, more: &[], panda_dir: None, plugins: &[] };
    let mut written = Ok(());
    let replayed = replay(&what, interrupt, |line| {
        if let Some(step) = line.step {
            task.reach(step.percent as u64);
        }
        if written.is_ok() {
            written = writeln!(log, "{}", line.text);
        }
    });
    written.and_then(|()| log.flush())?;
    let replay = match replayed {
        Err(ReplayError::Interrupted) => return Ok(None),
        replayed => replayed?,
    };
    Ok(Some(Verification {
        at: Timestamp::now(),
        panda: plan.panda.into(),
        replayed: replay.failure.is_none(),
        failure: replay.failure.as_ref().map(Failed::from),
        seconds: replay.seconds,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NAME_LENGTH;

    #[test]
    fn however_long_the_names_a_trace_can_be_opened_again() {
        for run in [1, NAME_LENGTH].map(|length| "r".repeat(length)) {
            for length in 1..128 {
                let name = trace_name(&run, &"s".repeat(length), 7);
                for file in [snapshot_name(&name), log_name(&name)] {
                    assert!(files::is_plain(&file), "{file} ({})", file.len());
                }
            }
        }
        assert_eq!(trace_name("run", "ssh_000", 0), "run-ssh_000");
    }
}
