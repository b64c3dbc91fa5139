//! `pandacap trace`: inspects a recording's log, and salvages a recording that was cut short.

mod plot;
mod table;

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use rr_log::{Reader, Recording, Salvaged, Summary, default_name, salvage};
use schemars::JsonSchema;
use serde::Serialize;

use self::plot::plot;
use self::table::grouped;
use super::context::Context;
use super::error::{Error, LogError};
use super::exit::Exit;
use super::output::Output;

/// The version of what `--json` prints here.
const SCHEMA: u32 = 1;

/// The subcommands of `trace`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the content of a recording's log without replaying it
    ///
    /// Summarises PANDA's log of non-deterministic inputs: entries and bytes by kind and by the place in PANDA that
    /// wrote them, data moved by DMA, network and serial ports, and a timeline over the guest's instruction count.
    /// A recording that was cut short or damaged is shown up to that point.
    Inspect(Inspect),
    /// Make a recording that was cut short replay up to the cut
    ///
    /// After SIGKILL, a power loss or a full disk, PANDA's log has an empty header and ends in the middle of an
    /// entry, where a replay aborts. This command writes a new recording beside the broken one, which it does not
    /// change: the log up to the last instruction whose entries are all present, properly terminated, and the same
    /// snapshot. If the recording is already complete, the command says so and succeeds.
    Salvage(Salvage),
}

/// Arguments of `inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// A trace folder, a NAME-rr-nondet.log, or its path without "-rr-nondet.log"
    path: PathBuf,

    /// Plot the timeline to this file
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,

    /// Divide the timeline into at most N intervals; their length in instructions is a power of two
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    buckets: u16,
}

/// Arguments of `salvage`.
#[derive(Debug, Args)]
pub struct Salvage {
    /// A trace folder, a NAME-rr-nondet.log, or its path without "-rr-nondet.log"
    path: PathBuf,

    /// Name of the new recording, in the same folder [default: the old name with "-salvaged" appended]
    #[arg(long, value_name = "NAME", value_parser = plain_name)]
    out: Option<OsString>,
}

impl Command {
    /// Runs the subcommand.
    pub fn run(self, context: &Context) -> Result<Exit, Error> {
        match self {
            Command::Inspect(args) => args.run(context.output)?,
            Command::Salvage(args) => args.run(context.output)?,
        }
        Ok(Exit::Done)
    }
}

impl Inspect {
    fn run(self, output: Output) -> Result<(), Error> {
        let recording = Recording::find(&self.path).map_err(LogError::from)?;
        let log = recording.log();
        let summary = summarize(&log, self.buckets.into())
            .map_err(|source| LogError::Read { log: log.clone(), source })?;
        if let Some(path) = &self.plot {
            draw(&summary, &recording, path)?;
        }
        let document = Document::of("pandacap.trace.inspect", &log, &summary);
        Ok(output.give(&document, |out| table::write(&summary, out))?)
    }
}

impl Salvage {
    fn run(self, output: Output) -> Result<(), Error> {
        let recording = Recording::find(&self.path).map_err(LogError::from)?;
        let name = self.out.unwrap_or_else(|| default_name(&recording));
        let outcome = Outcome { salvaged: salvage(&recording, &name).map_err(LogError::from)? };
        let log = recording.log();
        let document = Document::of("pandacap.trace.salvage", &log, &outcome);
        output.give(&document, |out| match &outcome.salvaged {
            Some(salvaged) => print_salvaged(salvaged, out),
            None => writeln!(out, "{} is complete: nothing to salvage", log.display()),
        })?;
        Ok(())
    }
}

/// What `salvage --json` prints; null if the recording is complete.
#[derive(JsonSchema, Serialize)]
pub(super) struct Outcome {
    salvaged: Option<Salvaged>,
}

fn summarize(log: &Path, buckets: usize) -> Result<Summary, rr_log::Error> {
    let bar = ProgressBar::no_length().with_style(style());
    let reader = Reader::new(bar.wrap_read(rr_log::open(log)?))?;
    bar.set_length(reader.file_len());
    let summary = Summary::read(reader, buckets);
    bar.finish_and_clear();
    summary
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {bytes_per_sec}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn draw(summary: &Summary, recording: &Recording, path: &Path) -> Result<(), LogError> {
    let failed = |reason: String| LogError::Plot { path: path.into(), reason };
    if path.extension().is_none_or(|extension| extension != "svg") {
        return Err(failed("the file name must end in .svg, as in NAME.svg".into()));
    }
    let title = format!("{}: {} instructions", recording.name.display(), grouped(summary.instructions));
    let svg = plot(summary, &title).map_err(|error| failed(error.to_string()))?;
    fs::write(path, svg).map_err(|error| failed(error.to_string()))
}

fn print_salvaged(salvaged: &Salvaged, out: &mut impl Write) -> io::Result<()> {
    let Salvaged { log, snapshot, reason, instructions, found_bytes, kept_bytes } = salvaged;
    let share = 100.0 * *kept_bytes as f64 / (*found_bytes).max(1) as f64;
    writeln!(out, "broken        {reason}")?;
    writeln!(out, "kept          {} of {} bytes ({share:.3}%)", grouped(*kept_bytes), grouped(*found_bytes))?;
    writeln!(out, "instructions  {}", grouped(*instructions))?;
    writeln!(out, "log           {}", log.display())?;
    writeln!(out, "snapshot      {}", snapshot.display())
}

/// What `--json` prints: a body with what it is, its version, and the log that it is about.
#[derive(JsonSchema, Serialize)]
pub(super) struct Document<'a, T> {
    schema: &'static str,
    version: u32,
    log: std::borrow::Cow<'a, str>,
    #[serde(flatten)]
    body: &'a T,
}

impl<'a, T> Document<'a, T> {
    fn of(schema: &'static str, log: &'a Path, body: &'a T) -> Document<'a, T> {
        Document { schema, version: SCHEMA, log: log.to_string_lossy(), body }
    }
}

fn plain_name(name: &str) -> Result<OsString, &'static str> {
    match name.is_empty() || name.contains('/') {
        true => Err("give a name without \"/\": the new recording is written beside the old one"),
        false => Ok(name.into()),
    }
}
