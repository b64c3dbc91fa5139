//! `pandacap.toml`: defaults for options, and where each value comes from.
//!
//! ```toml
//! [defaults]              # options of every command
//! panda = "/opt/panda"
//! [defaults.rec]          # options of `pandacap rec`
//! timeout = 1200
//! [defaults.panda.install]
//! ```
//!
//! Settings are added to the command line as if they had been typed, except for options that were typed, that
//! the environment sets, or that conflict with either. So a new option needs no code here.

mod given;
mod read;
mod show;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction};

use self::given::Given;
pub use self::given::Grammar;
pub use self::show::ConfigCommand;
#[cfg(test)]
pub(super) use self::show::Origin;

/// The option that names the file itself.
pub const CONFIG_OPTION: &str = "config";
/// The file's name, in `pandacap/` in the XDG configuration folder.
pub const FILE: &str = "pandacap.toml";

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file contains an error.
    #[error("{}:{line}: {what}", .path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The line of the error.
        line: usize,
        /// What is wrong.
        what: String,
    },
}

/// The content of a configuration file.
#[derive(Clone, Debug, Default)]
pub struct Config {
    path: PathBuf,
    settings: Vec<Setting>,
}

/// One setting of the file.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The names of the subcommands; empty for an option of every command.
    command: Vec<String>,
    option: String,
    values: Vec<String>,
    line: usize,
}

impl Config {
    /// Reads the file named by --config, else the `usual` one if it exists; else the configuration is empty.
    pub fn find(cli: &Grammar, typed: &[OsString], usual: Option<&Path>) -> Result<Config, ConfigError> {
        // Help works even if the file is broken.
        let Some(given) = Given::of(cli, typed) else { return Ok(Config::default()) };
        let named = given.matches.get_one::<PathBuf>(CONFIG_OPTION);
        let Some(path) = named.map(PathBuf::as_path).or(usual.filter(|path| path.is_file())) else {
            return Ok(Config::default());
        };
        let text =
            fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let settings = read::read(path, &text, cli.command())?;
        Ok(Config { path: path.to_owned(), settings })
    }

    /// Whether `path` is a file other than the one that was read.
    pub fn leaves_out(&self, path: &Path) -> bool {
        path.is_file() && fs::canonicalize(path).ok() != fs::canonicalize(&self.path).ok()
    }

    /// The typed command line with the settings for its command added.
    pub fn complete(&self, cli: &Grammar, typed: &[OsString]) -> Vec<OsString> {
        let Some(given) = Given::of(cli, typed) else { return typed.to_owned() };
        let settings = self.settings.iter().filter(|setting| given.leaves_room_for(setting));
        let added = settings.flat_map(|setting| setting.arguments(given.argument(&setting.option)));
        // What follows `--` is not pandacap's to interpret.
        let end = typed.iter().position(|word| word == "--").unwrap_or(typed.len());
        typed[..end].iter().cloned().chain(added).chain(typed[end..].iter().cloned()).collect()
    }

    /// The place in the file to fix, if `error` is about a value from it.
    pub fn blame(&self, cli: &Grammar, typed: &[OsString], error: &clap::Error) -> Option<ConfigError> {
        let about = error.get(clap::error::ContextKind::InvalidArg)?.to_string();
        let given = Given::of(cli, typed)?;
        let setting = self.settings.iter().find(|setting| {
            given.leaves_room_for(setting)
                && given.argument(&setting.option).is_some_and(|argument| argument.to_string() == about)
        })?;
        let text = error.render().to_string();
        let what = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Some(ConfigError::Wrong { path: self.path.clone(), line: setting.line, what })
    }
}

impl Setting {
    fn arguments(&self, argument: Option<&Arg>) -> Vec<OsString> {
        let option = format!("--{}", self.option);
        let values = self.values.iter();
        match argument.map(Arg::get_action) {
            Some(ArgAction::SetTrue) => {
                values.filter(|value| *value == "true").map(|_| option.clone().into()).collect()
            }
            Some(ArgAction::Count) => {
                let count = values.filter_map(|value| value.parse::<u8>().ok()).sum::<u8>();
                vec![option.into(); count.into()]
            }
            _ => values.map(|value| format!("{option}={value}").into()).collect(),
        }
    }
}
