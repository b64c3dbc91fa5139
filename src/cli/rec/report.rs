//! The output of `pandacap rec`.

use std::io::{self, Write};
use std::path::Path;

use comfy_table::{Table, presets::NOTHING};
use indicatif::HumanBytes;
use schemars::JsonSchema;
use serde::Serialize;

use run::Kept;
use trace::{Attempts, Manifest};

use crate::cli::output::Output;
use crate::cli::terminal::complain;

#[derive(JsonSchema, Serialize)]
pub(in crate::cli) struct Report<'a> {
    #[serde(serialize_with = "trace::lossy")]
    #[schemars(with = "String")]
    trace: &'a Path,
    #[serde(flatten)]
    manifest: &'a Manifest,
}

impl<'a> From<&'a Kept> for Report<'a> {
    fn from(kept: &'a Kept) -> Report<'a> {
        Report { trace: &kept.folder, manifest: &kept.manifest }
    }
}

/// Prints a command's trace: as a table, or as JSON with the manifest and the trace's folder in `trace`.
pub(super) fn print(kept: &Kept, output: Output) -> io::Result<()> {
    output.give(&Report::from(kept), |out| table(out, kept))?;
    complain_of(kept);
    Ok(())
}

/// Prints every trace of a run: as tables, or as a JSON array.
pub(super) fn print_all(kept: &[Kept], output: Output) -> io::Result<()> {
    let reports: Vec<Report<'_>> = kept.iter().map(Report::from).collect();
    output.give(&reports, |out| {
        for (index, kept) in kept.iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            table(out, kept)?;
        }
        Ok(())
    })?;
    kept.iter().for_each(complain_of);
    Ok(())
}

/// The guest's failed attempts to end the recording or to report an exit status, if there were any.
fn attempts(attempts: &Attempts) -> Option<String> {
    let Attempts { stop, toggle, key, exit_status } = attempts;
    (!attempts.are_none()).then(|| {
        format!("{} to end the recording, {exit_status} to report an exit status", stop + toggle + key)
    })
}

fn table(out: &mut impl Write, Kept { folder, manifest }: &Kept) -> io::Result<()> {
    let verification = manifest.verification.as_ref();
    let verified = match verification {
        Some(verification) if verification.replayed => "yes",
        Some(_) => "FAILED",
        None => "not yet",
    };
    let (recording, seconds) = (&manifest.recording, &manifest.seconds);
    let status = manifest.exit_status.map_or("unknown".to_owned(), |status| status.to_string());
    let disk = manifest.disk.as_ref().and_then(|disk| manifest.files.get(disk.delta.as_ref()?));
    let crash = manifest.panda_ended.filter(|ended| ended.is_crash()).map(|ended| ended.to_string());
    let rows = [
        ("trace", Some(folder.display().to_string())),
        ("exit status", (!manifest.command.is_empty()).then_some(status)),
        ("instructions", Some(recording.instructions.to_string())),
        ("ended by", Some(recording.ended.to_string())),
        ("PANDA", crash),
        ("attempts", attempts(&recording.attempts)),
        ("snapshot", Some(HumanBytes(recording.snapshot_bytes).to_string())),
        ("log", Some(HumanBytes(recording.log_bytes).to_string())),
        ("disk", disk.map(|delta| HumanBytes(delta.bytes).to_string())),
        ("boot", Some(format!("{:.2} s", seconds.boot))),
        ("record", Some(format!("{:.2} s", seconds.record))),
        ("replay", Some(verification.map_or("-".to_owned(), |done| format!("{:.2} s", done.seconds)))),
        ("verified", Some(verified.to_owned())),
    ];
    let mut table = Table::new();
    let rows = rows.into_iter().filter_map(|(what, value)| Some([what.to_owned(), value?]));
    table.load_preset(NOTHING).add_rows(rows);
    writeln!(out, "{}", table.trim_fmt())?;
    Ok(())
}

/// Reports on standard error what is wrong with a trace, in either output format.
fn complain_of(Kept { folder, manifest }: &Kept) {
    if let Some(crash) = manifest.panda_ended.filter(|ended| ended.is_crash()) {
        complain(format_args!(
            "{}: PANDA itself {crash}, which a guest can cause; the recording ends before that",
            folder.display()
        ));
    }
    if let Some(failure) = manifest.verification.as_ref().and_then(|done| done.failure.as_ref()) {
        complain(format_args!("{}: the recording does not replay: {failure}", folder.display()));
    }
}
