//! The command line: arguments are resolved into a plan before any work starts. Only this module reads the environment.

mod analyze;
mod bootstrap;
mod config;
mod container;
mod context;
mod doctor;
mod error;
pub mod exit;
mod guest;
mod image;
mod maint;
mod output;
mod panda;
mod plugin;
mod progress;
mod rec;
mod replay;
#[cfg(test)]
mod schema;
pub mod terminal;
mod trace;
mod values;
mod verify;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use ::panda_host::{Dist, Selection, confine};
use clap::{ArgAction, ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use etcetera::BaseStrategy;
use log::LevelFilter;
use rr_log::Target;

use self::config::{Config, ConfigCommand, Grammar};
use self::context::Context;
pub use self::error::{Error, ReadError};
use self::exit::Exit;
use self::output::Output;
use self::progress::Bars;

/// The heading of the options that every command has.
const EVERY_COMMAND: &str = "Every command";

/// Records what a guest does, instruction by instruction, and proves that the recording replays.
#[derive(Debug, Parser)]
#[command(version = env!("PANDACAP_VERSION"), propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// Where pandacap keeps PANDA and guests [default: pandacap in the XDG data folder]
    #[arg(long, global = true, env = "PANDACAP_HOME", value_name = "DIR", hide_env_values = true, help_heading = EVERY_COMMAND)]
    home: Option<PathBuf>,

    /// The PANDA to use: its prefix, build folder or program [default: the embedded PANDA, else the one on PATH]
    #[arg(long, global = true, env = "PANDA_PATH", value_name = "PREFIX", hide_env_values = true, help_heading = EVERY_COMMAND)]
    panda: Option<PathBuf>,

    /// The file with defaults for options [default: pandacap/pandacap.toml in the XDG configuration folder]
    #[arg(long, global = true, value_name = "FILE", help_heading = EVERY_COMMAND)]
    config: Option<PathBuf>,

    /// Whether to confine every PANDA to what its job needs (see docs/security.md)
    #[arg(long, global = true, value_parser = values::confine(), value_name = "WHEN", default_value = "auto", help_heading = EVERY_COMMAND)]
    confine: confine::Mode,

    /// Print the result as a single JSON document
    #[arg(long, global = true, help_heading = EVERY_COMMAND)]
    json: bool,

    /// Log which programs are run to standard error (-vv: log more, for troubleshooting)
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = EVERY_COMMAND)]
    verbose: u8,

    #[command(subcommand)]
    command: Command,

    /// The content of the configuration file.
    #[arg(skip)]
    defaults: Config,
    /// What was typed, before the file's settings were added.
    #[arg(skip)]
    typed: Vec<OsString>,
    /// The same with the file's settings, as clap understood it.
    #[arg(skip)]
    matches: ArgMatches,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install PANDA, or print its location
    #[command(subcommand)]
    Panda(panda::Command),
    /// Build, import and manage the guests that machines boot
    #[command(subcommand)]
    Guest(guest::Command),
    /// Install recctrl into a PANDA's own plugin folder, or remove it; start a plugin of your own
    #[command(subcommand)]
    Plugin(plugin::Command),
    /// Check whether recording will work on this machine, and show how to fix what is missing
    ///
    /// Exits with 0 if recording will work, and with 3 if something is missing. Each missing item is followed by
    /// the command that fixes it.
    Doctor {
        /// The guest architecture to record
        #[arg(long, value_parser = values::target(), default_value = "x86_64")]
        target: Target,
    },

    Rec(Box<rec::Args>),

    Replay(replay::Args),

    Analyze(analyze::Args),

    Maint(maint::Args),

    /// Check that traces are unchanged since they were recorded, and that they replay
    ///
    /// Compares the size and SHA-256 of every file with the trace's manifest, then replays the recording on a
    /// PANDA without recctrl. Nothing is written. Exits with 4 if any trace fails.
    Verify(verify::Args),
    /// Build, list and remove container images with pandacap and PANDA in them
    #[command(subcommand)]
    Image(container::images::Command),
    /// Inspect a recording's log, or salvage a recording that was cut short
    #[command(subcommand)]
    Trace(trace::Command),
    /// Prepare a folder of scripts and templates that sets up guests and containers when they start
    #[command(subcommand)]
    Bootstrap(bootstrap::Command),
    /// Show the values of options
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the completion script for a shell
    ///
    /// For bash: `pandacap completions bash > ~/.local/share/bash-completion/completions/pandacap`.
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the man pages to a folder
    Man {
        /// The folder; it is created if it does not exist
        dir: PathBuf,
    },
}

/// Whether a command line, which may be invalid, asks for JSON.
pub fn asks_for_json(typed: &[OsString]) -> bool {
    typed.iter().skip(1).take_while(|word| *word != "--").any(|word| word == "--json")
}

impl Cli {
    /// Reads the command line and the configuration.
    pub fn read(typed: Vec<OsString>) -> Result<Cli, ReadError> {
        let grammar = Grammar::of(Cli::command());
        // Never from the current folder: its author could choose the programs that are run.
        let base = etcetera::choose_base_strategy().ok();
        let usual = base.map(|base| base.config_dir().join("pandacap").join(config::FILE));
        let defaults = Config::find(&grammar, &typed, usual.as_deref())?;
        let matches = Cli::command().try_get_matches_from(defaults.complete(&grammar, &typed));
        let parsed = matches.and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
        match parsed {
            Ok((cli, matches)) => Ok(Cli { defaults, typed, matches, ..cli }),
            Err(error) => match defaults.blame(&grammar, &typed, &error) {
                Some(blamed) => Err(blamed.into()),
                None => Err(error.into()),
            },
        }
    }

    /// Whether errors are printed as JSON too.
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

    /// Runs the command. It is not an error if the reader of standard output closes it early.
    pub fn run(self) -> Result<Exit, Error> {
        if self.config.is_none() && self.defaults.leaves_out(Path::new(config::FILE)) {
            log::warn!("./{0} is not read; if you trust it, pass --config {0}", config::FILE);
        }
        match self.dispatch() {
            Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
            result => result,
        }
    }

    fn dispatch(self) -> Result<Exit, Error> {
        let context = self.context()?;
        if let Some(done) = self.in_container(&context) {
            return done;
        }
        match self.command {
            Command::Panda(command) => command.run(&context),
            Command::Guest(command) => command.run(&context),
            Command::Plugin(command) => command.run(&context),
            Command::Doctor { target } => Ok(doctor::run(&context, target)?),
            Command::Rec(args) => args.run(&context),
            Command::Replay(args) => args.run(&context),
            Command::Analyze(args) => args.run(&context),
            Command::Maint(args) => args.run(&context),
            Command::Verify(args) => args.run(&context),
            Command::Image(command) => command.run(&context),
            Command::Trace(command) => command.run(&context),
            Command::Bootstrap(command) => command.run(),
            Command::Config(command) => {
                Ok(command.run(&self.defaults, &Grammar::of(Cli::command()), &self.typed, context.output)?)
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
                pages.map_err(|source| Error::Man { dir, source })?;
                Ok(Exit::Done)
            }
        }
    }

    /// Runs the command in a container, if that was asked for.
    fn in_container(&self, context: &Context) -> Option<Result<Exit, Error>> {
        use container::Command as Inside;
        let (docker, command) = match &self.command {
            Command::Rec(args) => (&args.docker, Inside::Rec),
            Command::Replay(args) => (&args.docker, Inside::Replay),
            Command::Verify(args) => (&args.docker, Inside::Verify),
            Command::Maint(args) => (&args.docker, Inside::Maint),
            _ => return None,
        };
        let (_, typed) = self.matches.subcommand()?;
        docker.run(command, typed, context)
    }

    fn context(&self) -> Result<Context, Error> {
        let home = match &self.home {
            Some(home) => std::path::absolute(home).map_err(|_| Error::Home)?,
            None => etcetera::choose_base_strategy().map_err(|_| Error::Home)?.data_dir().join("pandacap"),
        };
        let program = std::env::current_exe().map_err(Error::Myself)?;
        let dist = Dist::beside(&program);
        let selection = Selection {
            panda: self.panda.clone(),
            shipped: dist.home(),
            path: std::env::var_os("PATH"),
            confine: confine::Settings { mode: self.confine, environment: std::env::vars_os().collect() },
        };
        let output = Output { json: self.json };
        Ok(Context { home, selection, program, dist, output, progress: Bars::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every command that can be typed, by its words.
    fn commands(command: &clap::Command, words: &str, each: &mut dyn FnMut(&str, &clap::Command)) {
        each(words, command);
        for subcommand in command.get_subcommands() {
            commands(subcommand, &format!("{words}-{}", subcommand.get_name()), each);
        }
    }

    #[test]
    fn every_command_says_what_it_and_each_argument_is_for() {
        commands(&Cli::command(), "pandacap", &mut |name, command| {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(!about.is_empty(), "{name} has no help");
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{name}: {} has no help", argument.get_id());
            }
        });
    }
}
