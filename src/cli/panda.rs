//! `pandacap panda`: its arguments and output.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Subcommand;
use schemars::JsonSchema;
use serde::Serialize;

use panda_host::{Change, Installed, Panda, install};
use rr_log::Target;

use super::context::Context;
use super::error::Error;
use super::exit::Exit;
use super::values;

/// The subcommands of `panda`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Install or repair the embedded PANDA
    ///
    /// Downloads the Python package pandare 0.1.1.5 (54 MB) with your own pip, checks its SHA-256 and unpacks PANDA
    /// for the targets. For each library that PANDA links to and this machine lacks, it creates a stand-in, which
    /// aborts with a message if PANDA calls it. Nothing else is changed, except that plugins lose the search path to
    /// their builder's libraries. No Python code of the package is run. Run this again at any time, for instance after
    /// a system upgrade or to add a target.
    Install {
        /// The guest architectures to install
        #[arg(long, value_parser = values::target(), value_delimiter = ',', default_value = "x86_64", value_name = "TARGET,...")]
        target: Vec<Target>,

        /// Use this wheel instead of downloading it (pandare-0.1.1.5-py3-none-any.whl)
        #[arg(long, value_name = "FILE")]
        wheel: Option<PathBuf>,
    },
    /// Print the path of the program that would run a guest
    ///
    /// This is the one from --panda or $PANDA_PATH, else the embedded one, else the first panda-system-<target>
    /// on PATH. With --json, also prints its version, SHA-256 and plugin folders.
    Path {
        /// The guest architecture
        #[arg(long, value_parser = values::target(), default_value = "x86_64")]
        target: Target,
    },
}

impl Command {
    /// Runs the subcommand.
    pub fn run(self, context: &Context) -> Result<Exit, Error> {
        let output = context.output;
        match self {
            Command::Install { mut target, wheel } => {
                target.sort_unstable();
                target.dedup();
                let confine = &context.selection.confine;
                let installed =
                    install(&context.home, &target, wheel.as_deref(), confine, &context.progress)?;
                output.give(&installed, |out| installed.iter().try_for_each(|one| tell(one, out)))?;
            }
            Command::Path { target } => {
                let panda = Panda::find(&context.home, &context.selection, target)?;
                let found = Found { plugin_dirs: panda.plugin_dirs(), panda: &panda };
                output.give(&found, |out| writeln!(out, "{}", panda.program.display()))?;
            }
        }
        Ok(Exit::Done)
    }
}

/// What `path --json` prints.
#[derive(JsonSchema, Serialize)]
pub(super) struct Found<'a> {
    #[serde(flatten)]
    panda: &'a Panda,
    plugin_dirs: Vec<PathBuf>,
}

fn tell(one: &Installed, out: &mut impl Write) -> io::Result<()> {
    let what = match one.change {
        Change::Installed => "installed",
        Change::Repaired => "repaired",
        Change::Unchanged => "nothing to do for",
    };
    let (target, stand_ins) = (one.panda.target, one.stand_ins.len());
    writeln!(out, "{what} {target}: {} ({stand_ins} stand-ins)", one.panda.program.display())
}
