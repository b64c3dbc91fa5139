//! `pandacap panda`: what was typed, and how the answer is printed.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Subcommand;

use super::Panda;
use super::install::{Change, install};
use crate::cli::{Context, Error};
use crate::exit::Exit;
use crate::target::Target;
use crate::terminal;

/// What can be done about PANDA.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Install the embedded PANDA, or mend it
    ///
    /// Downloads the Python package pandare 0.1.1.5 (54 MB) with your own pip, checks its SHA-256, and
    /// unpacks PANDA for the targets. For each library that PANDA links and this machine lacks it makes a
    /// stand-in, which aborts with a message when PANDA calls it. Nothing of the package is changed but the
    /// plugins' path to their builder's libraries, and no Python runs. Run it again at any time: after an upgrade of the machine, or to add a target.
    Install {
        /// The guest architectures to install
        #[arg(long, value_delimiter = ',', default_value = "x86_64", value_name = "TARGET,...")]
        target: Vec<Target>,

        /// Take this wheel instead of downloading it (pandare-0.1.1.5-py3-none-any.whl)
        #[arg(long, value_name = "FILE")]
        wheel: Option<PathBuf>,
    },
    /// Print the program that would run a guest
    ///
    /// That is the one in --panda or $PANDA_PATH, else the embedded one, else the first panda-system-<target>
    /// on PATH. With --json, its version, SHA-256 and plugin folders too.
    Path {
        /// The guest architecture
        #[arg(long, default_value = "x86_64")]
        target: Target,
    },
}

impl Command {
    /// Does it.
    pub fn run(self, context: &Context) -> Result<Exit, Error> {
        let mut out = terminal::out();
        match self {
            Command::Install { mut target, wheel } => {
                target.sort_unstable();
                target.dedup();
                let installed =
                    install(&context.home, &target, wheel.as_deref(), &context.selection.confine)?;
                if context.json {
                    serde_json::to_writer_pretty(&mut out, &installed).map_err(io::Error::from)?;
                    writeln!(out)?;
                    return Ok(Exit::Done);
                }
                for one in installed {
                    let what = match one.change {
                        Change::Installed => "installed",
                        Change::Mended => "mended",
                        Change::Unchanged => "nothing to do for",
                    };
                    let (target, stand_ins) = (one.panda.target, one.stand_ins.len());
                    let program = one.panda.program.display();
                    writeln!(out, "{what} {target}: {program} ({stand_ins} stand-ins)")?;
                }
            }
            Command::Path { target } => {
                let panda = Panda::find(&context.home, &context.selection, target)?;
                if context.json {
                    let mut value = serde_json::to_value(&panda).map_err(io::Error::from)?;
                    value["plugin_dirs"] =
                        serde_json::to_value(panda.plugin_dirs()).map_err(io::Error::from)?;
                    writeln!(out, "{value:#}")?;
                } else {
                    writeln!(out, "{}", panda.program.display())?;
                }
            }
        }
        Ok(Exit::Done)
    }
}
