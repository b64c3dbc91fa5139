//! What was typed: the command line, and the one place that reads the environment.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{ArgAction, CommandFactory, Parser, Subcommand};
use etcetera::BaseStrategy;
use log::LevelFilter;

use crate::bootstrap::{self, BootstrapError};
use crate::config::{self, Config, ConfigCommand, ConfigError, Grammar};
use crate::confine;
use crate::dist::DistError;
use crate::doctor;
use crate::exit::Exit;
use crate::guest;
use crate::panda::{self, Selection};
use crate::target::Target;
use crate::terminal;
use crate::trace::log::cli::{TraceCommand, TraceError};
use crate::{maint, plugin, rec, replay, trace};

/// The heading of the options that every command has.
const EVERY_COMMAND: &str = "Every command";

/// Records what a guest does, instruction by instruction, and proves that the recording replays.
#[derive(Debug, Parser)]
#[command(version = env!("PANDACAP_VERSION"), propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// Where pandacap keeps PANDA and guests [default: pandacap's folder in the XDG data folder]
    #[arg(long, global = true, env = "PANDACAP_HOME", value_name = "DIR", hide_env_values = true, help_heading = EVERY_COMMAND)]
    home: Option<PathBuf>,

    /// The PANDA to use: its prefix, build folder, or program [default: the embedded one, else one on PATH]
    #[arg(long, global = true, env = "PANDA_PATH", value_name = "PREFIX", hide_env_values = true, help_heading = EVERY_COMMAND)]
    panda: Option<PathBuf>,

    /// The file with the options' defaults [default: pandacap/pandacap.toml in the XDG configuration folder]
    #[arg(long, global = true, value_name = "FILE", help_heading = EVERY_COMMAND)]
    config: Option<PathBuf>,

    /// Whether every PANDA is kept from all that its job does not need (docs/security.md)
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t, help_heading = EVERY_COMMAND)]
    confine: confine::Mode,

    /// Print the result as one JSON document, for programs
    #[arg(long, global = true, help_heading = EVERY_COMMAND)]
    json: bool,

    /// Say on standard error which programs are run (-vv: and what else may matter when something goes wrong)
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = EVERY_COMMAND)]
    verbose: u8,

    #[command(subcommand)]
    command: Command,

    /// What the file says.
    #[arg(skip)]
    defaults: Config,
    /// What was typed, before the file's settings were added.
    #[arg(skip)]
    typed: Vec<OsString>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install a PANDA, or say where it is
    #[command(subcommand)]
    Panda(panda::command::Command),
    /// Make, import and look after guests: what machines boot
    #[command(subcommand)]
    Guest(guest::command::Command),
    /// Put recctrl into a PANDA's own plugin folder, or take it out; begin a plugin of your own
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

    Rec(Box<rec::Args>),

    Replay(replay::Args),

    Maint(maint::Args),

    /// Check that traces are what was recorded, and that they replay
    ///
    /// Compares the size and SHA-256 of every file with the trace's manifest, then replays the recording on a
    /// PANDA without recctrl. Nothing is written. Exits with 4 if one trace fails.
    Verify(trace::verify::Args),
    /// Look into a recording's log, and mend one that was cut short
    #[command(subcommand)]
    Trace(TraceCommand),
    /// Prepare guests and containers when they start, from one folder of scripts and templates
    #[command(subcommand)]
    Bootstrap(bootstrap::cli::Command),
    /// Look at the options' values
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a shell's completions
    ///
    /// For bash: `pandacap completions bash > ~/.local/share/bash-completion/completions/pandacap`.
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the man pages into a folder
    Man {
        /// The folder, which is made if it is not there
        dir: PathBuf,
    },
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
    /// A guest could not be made or used.
    #[error(transparent)]
    Guest(#[from] guest::GuestError),
    /// A file that belongs to pandacap is missing.
    #[error(transparent)]
    Dist(#[from] DistError),
    /// The plugin was not put in or taken out.
    #[error(transparent)]
    Plugin(#[from] plugin::PluginError),
    /// Nothing was recorded.
    #[error(transparent)]
    Rec(#[from] rec::RecError),
    /// A replay could not be tried.
    #[error(transparent)]
    Replay(#[from] trace::ReplayError),
    /// A trace could not be replayed.
    #[error(transparent)]
    ReplayTrace(#[from] replay::ReplayTraceError),
    /// An image could not be booted to change it.
    #[error(transparent)]
    Maint(#[from] maint::MaintError),
    /// A log could not be looked into or mended.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The man pages cannot be written.
    #[error("cannot write the man pages into {}: {error}", .dir.display())]
    Man {
        /// The folder.
        dir: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// There is nothing to bootstrap with.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
}

/// Why there is nothing to do.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The command line is wrong, or it asks for help.
    #[error(transparent)]
    Typed(#[from] clap::Error),
}

/// Whether JSON was asked for, of a command line that may be wrong.
pub fn asks_for_json(typed: &[OsString]) -> bool {
    typed.iter().skip(1).take_while(|word| *word != "--").any(|word| word == "--json")
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

/// A reader that has read enough of the result is no failure, and changes nothing about the exit code.
pub fn enough(printed: io::Result<()>) -> io::Result<()> {
    match printed {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
}

impl Cli {
    /// Reads what was typed and the configuration.
    pub fn read(typed: Vec<OsString>) -> Result<Cli, ReadError> {
        let grammar = Grammar::of(Cli::command());
        // Never the current folder's: whoever made that folder would choose the programs that are run.
        let base = etcetera::choose_base_strategy().ok();
        let usual = base.map(|base| base.config_dir().join("pandacap").join(config::FILE));
        let defaults = Config::find(&grammar, &typed, usual.as_deref())?;
        match Cli::try_parse_from(defaults.complete(&grammar, &typed)) {
            Ok(cli) => Ok(Cli { defaults, typed, ..cli }),
            Err(error) => match defaults.blame(&grammar, &typed, &error) {
                Some(blamed) => Err(blamed.into()),
                None => Err(error.into()),
            },
        }
    }

    /// Whether errors are to be JSON too.
    pub fn json(&self) -> bool {
        self.json
    }

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
        if self.config.is_none() && self.defaults.leaves_out(Path::new(config::FILE)) {
            log::warn!("./{} is not read; if it is yours, name it with --config", config::FILE);
        }
        match self.dispatch() {
            Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
            result => result,
        }
    }

    fn dispatch(self) -> Result<Exit, Error> {
        let context = self.context()?;
        match self.command {
            Command::Panda(command) => command.run(&context),
            Command::Guest(command) => command.run(&context),
            Command::Plugin(command) => command.run(&context),
            Command::Doctor { target } => Ok(doctor::run(&context, target)?),
            Command::Rec(args) => args.run(&context),
            Command::Replay(args) => args.run(&context),
            Command::Maint(args) => args.run(&context),
            Command::Verify(args) => args.run(&context),
            Command::Trace(command) => Ok(command.run(context.json)?),
            Command::Bootstrap(command) => command.run(),
            Command::Config(command) => {
                Ok(command.run(&self.defaults, &Grammar::of(Cli::command()), &self.typed, self.json)?)
            }
            Command::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Cli::command(), "pandacap", &mut script);
                terminal::verbatim().write_all(&script)?;
                Ok(Exit::Done)
            }
            Command::Man { dir } => {
                let pages = std::fs::create_dir_all(&dir)
                    .and_then(|()| clap_mangen::generate_to(Cli::command(), &dir));
                pages.map_err(|error| Error::Man { dir, error })?;
                Ok(Exit::Done)
            }
        }
    }

    fn context(&self) -> Result<Context, Error> {
        let home = match &self.home {
            Some(home) => std::path::absolute(home).map_err(|_| Error::Home)?,
            None => etcetera::choose_base_strategy().map_err(|_| Error::Home)?.data_dir().join("pandacap"),
        };
        let selection = Selection {
            panda: self.panda.clone(),
            path: std::env::var_os("PATH"),
            confine: confine::Settings { mode: self.confine, environment: std::env::vars_os().collect() },
        };
        Ok(Context { home, selection, json: self.json })
    }
}
