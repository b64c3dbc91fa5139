//! `pandacap guest profile`: where a guest's kernel keeps things, for people and for other programs.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use clap::ValueEnum;
use guest::{Guest, read_profile};
use kernel::{IsfError, isf, kernelinfo};
use kernel_profile::Profile;

use super::ready;
use crate::cli::context::Context;
use crate::cli::error::Error;
use crate::cli::output::enough;
use crate::cli::terminal;

/// Who the profile is printed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// PANDA's plugin osi_linux: a group of its kernelinfo.conf
    Kernelinfo,
    /// Volatility 3: all symbols and types of the kernel (ISF)
    Isf,
}

/// Prints the profile of a guest; `given` becomes its profile first.
pub(super) fn run(
    context: &Context,
    name: &str,
    format: Option<Format>,
    given: Option<&Path>,
) -> Result<(), Error> {
    let guest = ready(context, name)?;
    if let Some(given) = given {
        guest.keep_profile(&read_profile(given)?)?;
    }
    // Opened again, now that it has one.
    let guest = if given.is_some() { ready(context, name)? } else { guest };
    if format == Some(Format::Isf) {
        return print_isf(&guest);
    }
    let profile = guest.profile()?;
    match format {
        None => context.output.give(&profile, |out| describe(&guest, &profile, out))?,
        Some(_) => {
            let text = kernelinfo(&profile, name, 0)?;
            enough(terminal::verbatim().write_all(text.as_bytes()))?;
        }
    }
    Ok(())
}

/// Prints the kernel's own symbols and types, for they are many more than a profile has.
fn print_isf(guest: &Guest) -> Result<(), Error> {
    let kernel = guest.read_kernel()?;
    let mut out = BufWriter::new(terminal::verbatim());
    match isf(&kernel, env!("PANDACAP_VERSION"), &mut out) {
        Err(IsfError::Write(error)) if error.io_error_kind() == Some(io::ErrorKind::BrokenPipe) => Ok(()),
        written => {
            written?;
            Ok(enough(out.flush())?)
        }
    }
}

fn describe(guest: &Guest, profile: &Profile, out: &mut impl Write) -> io::Result<()> {
    let [major, minor, patch] = profile.version;
    let mut row = |what: &str, value: String| writeln!(out, " {what:<13} {value}");
    row("guest", guest.name.clone())?;
    row("kernel", profile.banner.clone())?;
    row("version", format!("{major}.{minor}.{patch}"))?;
    row("target", profile.target.to_string())?;
    row("symbols", profile.symbols.len().to_string())?;
    row("offsets", profile.offsets.len().to_string())
}
