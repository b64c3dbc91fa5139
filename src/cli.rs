//! What was typed: the command line, and the one place that reads the environment.

use std::io;
use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand};
use etcetera::BaseStrategy;
use log::LevelFilter;

use crate::doctor;
use crate::exit::Exit;
use crate::panda::{self, Selection};
use crate::target::Target;
use crate::trace::log::cli::{TraceCommand, TraceError};
use crate::{plugin, rec, trace};

/// Records what a guest does, instruction by instruction, and proves that the recording replays.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// Where pandacap keeps PANDA and guests [default: pandacap's folder in the XDG data folder]
    #[arg(long, global = true, env = "PANDACAP_HOME", value_name = "DIR", hide_env_values = true)]
    home: Option<PathBuf>,

    /// The PANDA to use: its prefix, build folder, or program [default: the embedded one, else one on PATH]
    #[arg(long, global = true, env = "PANDA_PATH", value_name = "PREFIX", hide_env_values = true)]
    panda: Option<PathBuf>,

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
    /// Install a PANDA, or say where it is
    #[command(subcommand)]
    Panda(panda::command::Command),
    /// Put recctrl into a PANDA's own plugin folder, or take it out
    #[command(subcommand)]
    Plugin(plugin::Command),
    /// Say whether recording will work here, and what to do when it will not
    ///
    /// Exit code 0: it will work. Exit code 3: something is missing; each line that says so is followed by
    /// the command that mends it.
    Doctor {
        /// The guest architecture to record
        #[arg(long, default_value = "x86_64")]
        target: Target,
    },

    /// Record one command in a guest, and verify the recording
    Rec(rec::Args),

    /// Check that traces are what was recorded, and that they replay
    ///
    /// Compares the size and SHA-256 of every file with the trace's manifest, then replays the recording on a
    /// PANDA without recctrl. Nothing is written. Exits with 4 if one trace fails.
    Verify(trace::verify::Args),
    /// Look into a recording's log, and mend one that was cut short
    #[command(subcommand)]
    Trace(TraceCommand),
}

/// Why a command failed, whichever command it was.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no folder to keep things in.
    #[error("cannot tell which folder to keep things in: set $HOME, or name a folder with --home")]
    Home,
    /// The result could not be written.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
    /// PANDA could not be found.
    #[error(transparent)]
    Panda(#[from] panda::PandaError),
    /// PANDA could not be installed.
    #[error(transparent)]
    Install(#[from] panda::InstallError),
    /// The plugin was not put in or taken out.
    #[error(transparent)]
    Plugin(#[from] plugin::PluginError),
    /// Nothing was recorded.
    #[error(transparent)]
    Rec(#[from] rec::RecError),
    /// A replay could not be tried.
    #[error(transparent)]
    Replay(#[from] trace::ReplayError),
    /// A log could not be looked into or mended.
    #[error(transparent)]
    Trace(#[from] TraceError),
}

impl Error {
    /// The exit code that says so.
    pub fn exit(&self) -> Exit {
        match self {
            Error::Panda(_) => Exit::Missing,
            Error::Install(error) if error.is_missing() => Exit::Missing,
            Error::Plugin(error) => error.exit(),
            Error::Rec(error) => error.exit(),
            Error::Replay(trace::ReplayError::Interrupted) => Exit::Interrupted,
            _ => Exit::Failed,
        }
    }
}

/// What every command may need to know, resolved from the command line and the environment.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where pandacap keeps PANDA and guests.
    pub home: PathBuf,
    /// Which PANDA to use.
    pub selection: Selection,
    /// Print JSON.
    pub json: bool,
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

    /// Does what was typed; a reader that has read enough of the result is no failure.
    pub fn run(self) -> Result<Exit, Error> {
        match self.dispatch() {
            Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
            result => result,
        }
    }

    fn dispatch(self) -> Result<Exit, Error> {
        let context = self.context()?;
        match self.command {
            Command::Panda(command) => command.run(&context),
            Command::Plugin(command) => command.run(&context),
            Command::Doctor { target } => Ok(doctor::run(&context, target)?),
            Command::Rec(args) => args.run(&context),
            Command::Verify(args) => args.run(&context),
            Command::Trace(command) => Ok(command.run(context.json)?),
        }
    }

    fn context(&self) -> Result<Context, Error> {
        let home = match &self.home {
            Some(home) => std::path::absolute(home).map_err(|_| Error::Home)?,
            None => etcetera::choose_base_strategy().map_err(|_| Error::Home)?.data_dir().join("pandacap"),
        };
        let selection = Selection { panda: self.panda.clone(), path: std::env::var_os("PATH") };
        Ok(Context { home, selection, json: self.json })
    }
}
