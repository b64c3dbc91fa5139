//! What was typed: the command line, and the one place that reads the environment.

use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand};
use log::LevelFilter;

use crate::exit::Exit;
use crate::trace::log::cli::{TraceCommand, TraceError};

/// Records what a guest does, instruction by instruction, and proves that the recording replays.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// Where pandacap keeps PANDA and guests [default: pandacap's folder in the XDG data folder]
    #[arg(long, global = true, env = "PANDACAP_HOME", value_name = "DIR", hide_env_values = true)]
    home: Option<PathBuf>,

    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    json: bool,

    /// Say more on standard error (-vv: everything)
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Look into a recording's log, and mend one that was cut short
    #[command(subcommand)]
    Trace(TraceCommand),
}

/// Why a command failed, whichever command it was.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `pandacap trace` failed.
    #[error(transparent)]
    Trace(#[from] TraceError),
}

impl Cli {
    /// How much is logged on standard error.
    pub fn verbosity(&self) -> LevelFilter {
        match self.verbose {
            0 => LevelFilter::Warn,
            1 => LevelFilter::Info,
            2 => LevelFilter::Debug,
            _ => LevelFilter::Trace,
        }
    }

    /// Does what was typed.
    pub fn run(self) -> Result<Exit, Error> {
        match self.command {
            Command::Trace(command) => Ok(command.run(self.json)?),
        }
    }
}
