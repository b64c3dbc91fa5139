//! `pandacap verify`: whether traces are what they were, and replay.

use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use comfy_table::{Table, presets::NOTHING};
use serde::Serialize;

use super::{Failure, MANIFEST, Replay, ReplayError, ReplayOf, Trace, TraceError, replay};
use crate::cli::{Context, Error, enough};
use crate::digest::FileDigest;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::panda::Panda;
use crate::progress::Progress;
use crate::terminal::{self, complain};

/// What was typed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Traces, or folders of traces, of which each is verified
    #[arg(required = true, value_name = "TRACE")]
    traces: Vec<PathBuf>,

    /// Take the traces' own further arguments for PANDA (`rec --qemu-arg`), which can do anything on this machine
    #[arg(long)]
    trust_args: bool,
}

/// What came of one trace.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(serialize_with = "super::lossy")]
    trace: PathBuf,
    instructions: Option<u64>,
    digests_ok: bool,
    /// None: not tried, for the files are not those that were recorded, or PANDA must not see them.
    replay_ok: Option<bool>,
    seconds: Option<f64>,
    problems: Vec<String>,
}

impl Report {
    fn passed(&self) -> bool {
        self.digests_ok && self.replay_ok == Some(true)
    }
}

impl Args {
    /// Verifies every trace, whatever becomes of the others; after an interrupt, what came of those before it is said.
    pub fn run(self, context: &Context) -> Result<Exit, Error> {
        let interrupt = Interrupt::catch()?;
        let mut reports = Vec::new();
        let mut cut_short = false;
        for folder in self.traces.into_iter().flat_map(expand) {
            let report = match Trace::open(&folder) {
                _ if interrupt.is_set() => Err(ReplayError::Interrupted.into()),
                Ok(trace) => verify(&trace, self.trust_args, context, &interrupt),
                Err(error) => Ok(unreadable(folder, &error)),
            };
            match report {
                Err(Error::Replay(ReplayError::Interrupted)) => {
                    cut_short = true;
                    break;
                }
                report => reports.push(report?),
            }
        }
        enough(print(&reports, context.json))?;
        Ok(match cut_short {
            true => Exit::Interrupted,
            false if reports.iter().all(Report::passed) => Exit::Done,
            false => Exit::Unverified,
        })
    }
}

/// The traces in a folder of traces, in order; else the folder itself.
fn expand(folder: PathBuf) -> Vec<PathBuf> {
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

fn unreadable(trace: PathBuf, error: &TraceError) -> Report {
    let problem = match error {
        TraceError::NoManifest(_) => format!("not a trace: it has no {MANIFEST}"),
        error => error.to_string(),
    };
    let problems = vec![problem];
    Report { trace, instructions: None, digests_ok: false, replay_ok: None, seconds: None, problems }
}

fn verify(trace: &Trace, trusted: bool, context: &Context, interrupt: &Interrupt) -> Result<Report, Error> {
    let manifest = &trace.manifest;
    let panda = Panda::find(&context.home, &context.selection, manifest.target)?;
    let problems = changed(trace);
    let mut report = Report {
        trace: trace.folder.clone(),
        instructions: Some(manifest.recording.instructions),
        digests_ok: problems.is_empty(),
        replay_ok: None,
        seconds: None,
        problems,
    };
    let machine = match trace.machine(trusted) {
        Ok(machine) => Some(machine).filter(|_| report.digests_ok),
        Err(error) => {
            report.problems.push(error.to_string());
            None
        }
    };
    if let Some(machine) = machine {
        let progress = Progress::percent(&format!("replaying {}", manifest.name));
        let work = tempfile::tempdir().map_err(ReplayError::from)?;
        let what = ReplayOf {
            panda: &panda,
            machine,
            recording: &trace.recording().map_err(ReplayError::from)?,
            work: work.path(),
            more: &[],
            panda_dir: None,
            plugins: &[],
        };
        let Replay { failure, seconds } = replay(&what, interrupt, |line| {
            if let Some(step) = line.step {
                progress.reach(step.percent);
            }
        })?;
        if !matches!(failure, Some(Failure::Refused(_))) {
            report.replay_ok = Some(failure.is_none());
            report.seconds = Some(seconds);
        }
        report.problems.extend(failure.map(|failure| failure.to_string()));
    }
    Ok(report)
}

/// What is wrong with the trace's files.
fn changed(trace: &Trace) -> Vec<String> {
    let recording = [super::snapshot_name(&trace.manifest.name), super::log_name(&trace.manifest.name)];
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

fn print(reports: &[Report], json: bool) -> io::Result<()> {
    let mut out = terminal::out();
    if json {
        serde_json::to_writer_pretty(&mut out, reports)?;
        return writeln!(out);
    }
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["trace", "instructions", "digests", "replay", "seconds"]);
    for report in reports {
        let replayed = match report.replay_ok {
            Some(true) => "ok",
            Some(false) => "FAILED",
            None => "not tried",
        };
        table.add_row([
            report.trace.display().to_string(),
            report.instructions.map_or("-".to_owned(), |count| count.to_string()),
            if report.digests_ok { "ok" } else { "FAILED" }.to_owned(),
            replayed.to_owned(),
            report.seconds.map_or("-".to_owned(), |seconds| format!("{seconds:.2}")),
        ]);
    }
    writeln!(out, "{}", table.trim_fmt())?;
    drop(out);
    for report in reports {
        for problem in &report.problems {
            complain(format_args!("{}: {problem}", report.trace.display()));
        }
    }
    Ok(())
}
