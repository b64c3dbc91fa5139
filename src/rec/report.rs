//! What `pandacap rec` prints.

use std::io::{self, Write};
use std::path::Path;

use comfy_table::{Table, presets::NOTHING};
use indicatif::HumanBytes;
use serde::Serialize;

use crate::trace::Manifest;

#[derive(Serialize)]
struct Report<'a> {
    trace: &'a Path,
    #[serde(flatten)]
    manifest: &'a Manifest,
}

/// Prints what was made: as a table, or as JSON the manifest with the trace's folder in `trace`.
pub(super) fn print(trace: &Path, manifest: &Manifest, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, &Report { trace, manifest })?;
        return writeln!(out);
    }
    let verification = manifest.verification.as_ref();
    let verified = match verification {
        Some(verification) if verification.replayed => "yes",
        Some(_) => "FAILED",
        None => "not yet",
    };
    let (recording, seconds) = (&manifest.recording, &manifest.seconds);
    let rows = [
        ("trace", trace.display().to_string()),
        ("exit status", manifest.exit_status.map_or("unknown".to_owned(), |status| status.to_string())),
        ("instructions", recording.instructions.to_string()),
        ("ended by", recording.ended.clone()),
        ("snapshot", HumanBytes(recording.snapshot_bytes).to_string()),
        ("log", HumanBytes(recording.log_bytes).to_string()),
        ("boot", format!("{:.2} s", seconds.boot)),
        ("record", format!("{:.2} s", seconds.record)),
        ("replay", verification.map_or("-".to_owned(), |done| format!("{:.2} s", done.seconds))),
        ("verified", verified.to_owned()),
    ];
    let mut table = Table::new();
    table.load_preset(NOTHING).add_rows(rows.map(|(what, value)| [what.to_owned(), value]));
    writeln!(out, "{}", table.trim_fmt())?;
    if let Some(failure) = verification.and_then(|verification| verification.failure.as_ref()) {
        eprintln!("pandacap: the recording does not replay: {failure}");
    }
    Ok(())
}
