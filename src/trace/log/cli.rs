//! What was typed after `pandacap trace`, and how it is answered.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::plot::plot;
use super::reader::{self, Reader};
use super::recording::{Recording, RecordingError};
use super::salvage::{SalvageError, Salvaged, default_name, salvage};
use super::summary::Summary;
use super::table::grouped;
use crate::exit::Exit;
use crate::terminal;

/// The version of what `--json` prints here.
const SCHEMA: u32 = 1;

/// What can be done with a recording's log.
#[derive(Debug, Subcommand)]
pub enum TraceCommand {
    /// Show what a recording's log holds, without replaying it
    ///
    /// Reads PANDA's log of non-deterministic inputs: entries and bytes by kind and by the place in PANDA that
    /// wrote them, what DMA, network and serial ports moved, and all of it over the guest's instruction count.
    /// A recording that was cut short or damaged is shown up to there.
    Inspect(Inspect),
    /// Make a recording that was cut short replay, up to where it was cut
    ///
    /// After SIGKILL, a power loss or a full disk, PANDA's log has an empty header and ends in the middle of an
    /// entry, and a replay aborts there. This writes a new recording beside the broken one, which it leaves as
    /// it is: the log up to the last instruction whose entries are all there, properly ended, and the same
    /// snapshot. A recording that is complete needs none of it: this says so and succeeds.
    Salvage(Salvage),
}

/// Arguments of `inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// A trace folder, a NAME-rr-nondet.log, or its path without "-rr-nondet.log"
    path: PathBuf,

    /// Draw the time line into this file
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,

    /// At most so many stretches in the time line (each is a power of two of instructions long)
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    buckets: u16,
}

/// Arguments of `salvage`.
#[derive(Debug, Args)]
pub struct Salvage {
    /// A trace folder, a NAME-rr-nondet.log, or its path without "-rr-nondet.log"
    path: PathBuf,

    /// Name of the new recording, in the same folder [default: the old one's with "-salvaged"]
    #[arg(long, value_name = "NAME", value_parser = plain_name)]
    out: Option<OsString>,
}

/// Why a recording's log could not be dealt with.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// No recording there.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// It cannot be read at all.
    #[error("cannot read {log}: {source}")]
    Read {
        /// The log.
        log: PathBuf,
        /// Why.
        source: reader::Error,
    },
    /// It cannot be salvaged.
    #[error(transparent)]
    Salvage(#[from] SalvageError),
    /// The picture cannot be drawn.
    #[error("cannot draw {path}: {reason}")]
    Plot {
        /// The picture.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The result cannot be printed.
    #[error("cannot print the result: {0}")]
    Print(#[from] io::Error),
}

impl TraceCommand {
    /// Does what was typed.
    pub fn run(self, json: bool) -> Result<Exit, TraceError> {
        let done = match self {
            TraceCommand::Inspect(args) => args.run(json),
            TraceCommand::Salvage(args) => args.run(json),
        };
        match done {
            // Whoever reads it has seen enough.
            Err(TraceError::Print(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            done => done,
        }
        .map(|()| Exit::Done)
    }
}

impl Inspect {
    fn run(self, json: bool) -> Result<(), TraceError> {
        let recording = Recording::find(&self.path)?;
        let log = recording.log();
        let summary = summarize(&log, self.buckets.into())
            .map_err(|source| TraceError::Read { log: log.clone(), source })?;
        if let Some(path) = &self.plot {
            draw(&summary, &recording, path)?;
        }
        match json {
            true => print_json("pandacap.trace.inspect", &log, &summary)?,
            false => write!(terminal::out(), "{summary}")?,
        }
        Ok(())
    }
}

impl Salvage {
    fn run(self, json: bool) -> Result<(), TraceError> {
        let recording = Recording::find(&self.path)?;
        let name = self.out.unwrap_or_else(|| default_name(&recording));
        let salvaged = salvage(&recording, &name)?;
        match (json, &salvaged) {
            (true, _) => print_json("pandacap.trace.salvage", &recording.log(), &Outcome { salvaged })?,
            (false, Some(salvaged)) => print_salvaged(salvaged)?,
            (false, None) => {
                writeln!(terminal::out(), "{} is complete: nothing to salvage", recording.log().display())?;
            }
        }
        Ok(())
    }
}

/// What `salvage --json` prints: null where the recording is complete.
#[derive(Serialize)]
struct Outcome {
    salvaged: Option<Salvaged>,
}

fn summarize(log: &Path, buckets: usize) -> Result<Summary, reader::Error> {
    let bar = ProgressBar::no_length().with_style(style());
    let reader = Reader::new(bar.wrap_read(reader::open(log)?))?;
    bar.set_length(reader.file_len());
    let summary = Summary::read(reader, buckets);
    bar.finish_and_clear();
    summary
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {bytes_per_sec}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn draw(summary: &Summary, recording: &Recording, path: &Path) -> Result<(), TraceError> {
    let failed = |reason: String| TraceError::Plot { path: path.into(), reason };
    if path.extension().is_none_or(|extension| extension != "svg") {
        return Err(failed("it has to be a file NAME.svg".into()));
    }
    let title = format!("{}: {} instructions", recording.name.display(), grouped(summary.instructions));
    let svg = plot(summary, &title).map_err(|error| failed(error.to_string()))?;
    fs::write(path, svg).map_err(|error| failed(error.to_string()))
}

fn print_salvaged(salvaged: &Salvaged) -> io::Result<()> {
    let Salvaged { log, snapshot, reason, instructions, found_bytes, kept_bytes } = salvaged;
    let share = 100.0 * *kept_bytes as f64 / (*found_bytes).max(1) as f64;
    let mut out = terminal::out();
    writeln!(out, "broken        {reason}")?;
    writeln!(out, "kept          {} of {} bytes ({share:.3}%)", grouped(*kept_bytes), grouped(*found_bytes))?;
    writeln!(out, "instructions  {}", grouped(*instructions))?;
    writeln!(out, "log           {}", log.display())?;
    writeln!(out, "snapshot      {}", snapshot.display())
}

/// Prints `body` with what it is, its version, and the log that it is about.
fn print_json(schema: &'static str, log: &Path, body: &impl Serialize) -> io::Result<()> {
    #[derive(Serialize)]
    struct Document<'a, T> {
        schema: &'static str,
        version: u32,
        log: std::borrow::Cow<'a, str>,
        #[serde(flatten)]
        body: &'a T,
    }
    let document = Document { schema, version: SCHEMA, log: log.to_string_lossy(), body };
    let mut out = terminal::out();
    serde_json::to_writer_pretty(&mut out, &document)?;
    writeln!(out)
}

fn plain_name(name: &str) -> Result<OsString, &'static str> {
    match name.is_empty() || name.contains('/') {
        true => Err("give a name without \"/\": the new recording goes beside the old one"),
        false => Ok(name.into()),
    }
}
