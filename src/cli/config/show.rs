//! `pandacap config show`: the value of every option, and where it comes from.

use std::ffi::OsString;
use std::io::{self, Write};

use clap::parser::ValueSource;
use clap::{Arg, Subcommand};

use super::given::{Given, Grammar};
use super::read::is_settable;
use super::{Config, Setting};
use crate::cli::exit::Exit;
use crate::cli::output::Output;

/// The subcommands of `config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show the value of every option and where it comes from
    ///
    /// A value comes from the first of these that sets it: the command line, the environment, the configuration
    /// file (--config FILE, else pandacap/pandacap.toml in the XDG configuration folder), the built-in default.
    Show {
        /// Show the values that this command line would use, as in `-- rec --timeout 5 -- true`
        #[arg(last = true, value_name = "COMMAND")]
        words: Vec<OsString>,
    },
}

impl ConfigCommand {
    /// Prints the options' values for the command line that was typed.
    pub fn run(
        &self,
        config: &Config,
        cli: &Grammar,
        typed: &[OsString],
        output: Output,
    ) -> io::Result<Exit> {
        let ConfigCommand::Show { words } = self;
        let origins = config.origins(cli, typed, words);
        output.give(&origins, |out| {
            let mut command = None;
            for origin in &origins {
                if command.replace(&origin.command) != Some(&origin.command) {
                    let command = if origin.command.is_empty() { "every command" } else { &origin.command };
                    writeln!(out, "{command}")?;
                }
                writeln!(out, "  {:<16} {:<32} {}", origin.option, origin.value, origin.source)?;
            }
            Ok(())
        })?;
        Ok(Exit::Done)
    }
}

/// One option's value.
#[derive(Clone, Debug, PartialEq, Eq, schemars::JsonSchema, serde::Serialize)]
pub(in crate::cli) struct Origin {
    /// The subcommands' names; empty for an option of every command.
    command: String,
    /// The option, without its dashes.
    option: String,
    /// Its value, as it would be typed.
    value: String,
    /// `default`, `command line`, `environment, NAME`, or the file and line.
    source: String,
}

impl Config {
    /// The value and origin of every option of a command line; options without a value are left out.
    fn explain(&self, cli: &Grammar, typed: &[OsString]) -> Vec<Origin> {
        let Some(given) = Given::of(cli, typed) else { return Vec::new() };
        let options = given.command.get_arguments().filter(|argument| is_settable(argument));
        options.filter_map(|argument| self.origin(&given, argument)).collect()
    }

    fn origin(&self, given: &Given<'_>, argument: &Arg) -> Option<Origin> {
        let option = argument.get_long()?.to_owned();
        let room = |setting: &&Setting| setting.option == option && given.leaves_room_for(setting);
        let (value, source) = match self.settings.iter().find(room) {
            Some(setting) => {
                (shell_words::join(&setting.values), format!("{}:{}", self.path.display(), setting.line))
            }
            None => {
                let source = match given.matches.value_source(argument.get_id().as_str())? {
                    ValueSource::EnvVariable => {
                        format!("environment, {}", argument.get_env().unwrap_or_default().display())
                    }
                    ValueSource::CommandLine => "command line".to_owned(),
                    _ => "default".to_owned(),
                };
                (given.value(argument)?, source)
            }
        };
        let command = if argument.is_global_set() { String::new() } else { given.path.join(" ") };
        Some(Origin { command, option, value, source })
    }

    /// The values for the command line `words` or, if that is empty, for every command.
    fn origins(&self, cli: &Grammar, typed: &[OsString], words: &[OsString]) -> Vec<Origin> {
        let line = |words: &[OsString]| [&typed[..typed.len().min(1)], words].concat();
        if !words.is_empty() {
            return self.explain(cli, &line(words));
        }
        let each = cli.commands().into_iter().flat_map(|path| {
            let words: Vec<OsString> = path.into_iter().map(OsString::from).collect();
            self.explain(cli, &line(&words)).into_iter().filter(|origin| !origin.command.is_empty())
        });
        self.explain(cli, typed).into_iter().chain(each).collect()
    }
}
