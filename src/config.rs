//! `pandacap.toml`: the options' defaults, and where each value comes from.
//!
//! ```toml
//! [defaults]              # options of every command
//! panda = "/opt/panda"
//! [defaults.rec]          # options of `pandacap rec`
//! timeout = 1200
//! [defaults.panda.install]
//! ```
//!
//! The settings are put into the command line as if they had been typed, but for options that were typed, that
//! the environment sets, or that conflict with either. So a new option can be set without a word here.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, Subcommand};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::exit::Exit;

/// The file's name, in the current folder and in pandacap's folder of the XDG configuration folder.
pub const FILE: &str = "pandacap.toml";
const DEFAULTS: &str = "defaults";

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {error}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Something in it is wrong.
    #[error("{}:{line}: {what}", .path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Where in it.
        line: usize,
        /// What is wrong.
        what: String,
    },
}

/// The command line's commands and options, read leniently: what is missing may be in the file.
#[derive(Clone, Debug)]
pub struct Grammar(Command);

impl Grammar {
    /// The grammar of `cli`.
    pub fn of(cli: Command) -> Grammar {
        let mut cli = cli.ignore_errors(true);
        // Gives every command its global options.
        cli.build();
        Grammar(cli)
    }

    /// Every command that does something, by the words that lead to it.
    fn commands(&self) -> Vec<Vec<String>> {
        fn below(command: &Command, path: &[String], all: &mut Vec<Vec<String>>) {
            for subcommand in command.get_subcommands().filter(|command| command.get_name() != "help") {
                let path = [path, &[subcommand.get_name().to_owned()]].concat();
                match subcommand.has_subcommands() {
                    true => below(subcommand, &path, all),
                    false => all.push(path),
                }
            }
        }
        let mut all = Vec::new();
        below(&self.0, &[], &mut all);
        all
    }
}

/// What a configuration file says.
#[derive(Clone, Debug, Default)]
pub struct Config {
    path: PathBuf,
    settings: Vec<Setting>,
}

/// One line of it.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The subcommands' names; none: an option of every command.
    command: Vec<String>,
    option: String,
    values: Vec<String>,
    line: usize,
}

impl Config {
    /// The configuration in the file that was typed, else in the first of `usual` that is there, else an empty one.
    pub fn find(cli: &Grammar, typed: &[OsString], usual: &[PathBuf]) -> Result<Config, ConfigError> {
        // Help is given whatever the file says.
        let Some(given) = Given::of(cli, typed) else { return Ok(Config::default()) };
        let named = given.matches.get_one::<PathBuf>(CONFIG_OPTION);
        let Some(path) = named.or_else(|| usual.iter().find(|path| path.is_file())) else {
            return Ok(Config::default());
        };
        let text =
            fs::read_to_string(path).map_err(|error| ConfigError::Read { path: path.clone(), error })?;
        Config::parse(path, &text, &cli.0)
    }

    fn parse(path: &Path, text: &str, cli: &Command) -> Result<Config, ConfigError> {
        let mut reader = Reader { path, text, settings: Vec::new() };
        let root =
            DeTable::parse(text).map_err(|error| reader.wrong(error.span(), error.message().to_owned()))?;
        for (key, value) in root.get_ref() {
            match value.get_ref() {
                DeValue::Table(table) if key.get_ref() == DEFAULTS => reader.defaults(table, cli, &[])?,
                _ => {
                    let what = format!("there is only [{DEFAULTS}] here, no {}", key.get_ref());
                    return Err(reader.wrong(Some(key.span()), what));
                }
            }
        }
        Ok(Config { path: path.to_owned(), settings: reader.settings })
    }

    /// What was typed, with the settings for its command in it.
    pub fn complete(&self, cli: &Grammar, typed: &[OsString]) -> Vec<OsString> {
        let Some(given) = Given::of(cli, typed) else { return typed.to_owned() };
        let settings = self.settings.iter().filter(|setting| given.leaves_room_for(setting));
        let added = settings.flat_map(|setting| setting.arguments(given.argument(&setting.option)));
        // What comes after `--` is somebody else's.
        let end = typed.iter().position(|word| word == "--").unwrap_or(typed.len());
        typed[..end].iter().cloned().chain(added).chain(typed[end..].iter().cloned()).collect()
    }

    /// Where to mend it, when `error` is about a value of this file.
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

    /// Every option's value for what was typed, and where it comes from; options without a value are left out.
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

    /// The values of the command line `words`, or with none of every command.
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

/// What can be done with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show every option's value, and where it comes from
    ///
    /// A value comes from the command line, else from the environment, else from the file (--config FILE, else
    /// ./pandacap.toml, else pandacap/pandacap.toml in the XDG configuration folder), else it is the default.
    Show {
        /// Show the values that this command line would have, as in `-- rec --timeout 5 -- true`
        #[arg(last = true, value_name = "COMMAND")]
        words: Vec<OsString>,
    },
}

impl ConfigCommand {
    /// Shows what `config` makes of what was typed.
    pub fn run(&self, config: &Config, cli: &Grammar, typed: &[OsString], json: bool) -> io::Result<Exit> {
        let ConfigCommand::Show { words } = self;
        let origins = config.origins(cli, typed, words);
        let mut out = io::stdout().lock();
        if json {
            serde_json::to_writer_pretty(&mut out, &origins)?;
            writeln!(out)?;
            return Ok(Exit::Done);
        }
        let mut command = None;
        for origin in &origins {
            if command.replace(&origin.command) != Some(&origin.command) {
                writeln!(
                    out,
                    "{}",
                    if origin.command.is_empty() { "every command" } else { &origin.command }
                )?;
            }
            writeln!(out, "  {:<16} {:<32} {}", origin.option, origin.value, origin.source)?;
        }
        Ok(Exit::Done)
    }
}

/// One option's value.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
struct Origin {
    /// The subcommands' names; empty for an option of every command.
    command: String,
    /// The option, without its dashes.
    option: String,
    /// Its value, as it would be typed.
    value: String,
    /// `default`, `command line`, `environment, NAME`, or the file and line.
    source: String,
}

/// What was typed, before the settings are added.
struct Given<'a> {
    path: Vec<&'a str>,
    command: &'a Command,
    matches: ArgMatches,
}

impl<'a> Given<'a> {
    /// `None` when it only asks for help.
    fn of(cli: &'a Grammar, typed: &[OsString]) -> Option<Given<'a>> {
        let mut matches = cli.0.clone().try_get_matches_from(typed).ok()?;
        let (mut path, mut command) = (Vec::new(), &cli.0);
        while let Some((name, below)) = matches.remove_subcommand() {
            command = command.find_subcommand(name)?;
            path.push(command.get_name());
            matches = below;
        }
        Some(Given { path, command, matches })
    }

    fn argument(&self, option: &str) -> Option<&'a Arg> {
        self.command.get_arguments().find(|argument| argument.get_long() == Some(option))
    }

    /// Whether it was typed, or the environment sets it.
    fn is_given(&self, argument: &Arg) -> bool {
        let source = self.matches.value_source(argument.get_id().as_str());
        matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
    }

    /// Whether the setting is for this command, and nothing that was given contradicts it.
    fn leaves_room_for(&self, setting: &Setting) -> bool {
        let meant = setting.command.is_empty() || self.path.iter().eq(setting.command.iter());
        // A command that lacks its subcommand does nothing but help.
        if !meant || self.command.has_subcommands() {
            return false;
        }
        let Some(argument) = self.argument(&setting.option) else { return false };
        let conflict = |one: &Arg, other: &Arg| {
            self.command
                .get_arg_conflicts_with(one)
                .iter()
                .any(|conflict| conflict.get_id() == other.get_id())
        };
        let exclusive = |one: &Arg, other: &Arg| {
            self.command.get_groups().any(|group| {
                let has = |argument: &Arg| group.get_args().any(|id| id == argument.get_id());
                has(one) && has(other) && !group.clone().is_multiple()
            })
        };
        let mut given = self.command.get_arguments().filter(|other| self.is_given(other));
        !given.any(|other| {
            other.get_id() == argument.get_id()
                || conflict(argument, other)
                || conflict(other, argument)
                || exclusive(argument, other)
        })
    }

    fn value(&self, argument: &Arg) -> Option<String> {
        let id = argument.get_id().as_str();
        match argument.get_action() {
            ArgAction::SetTrue => Some(self.matches.get_flag(id).to_string()),
            ArgAction::Count => Some(self.matches.get_count(id).to_string()),
            _ => {
                let words: Vec<_> = self.matches.get_raw(id)?.map(OsStr::to_string_lossy).collect();
                Some(shell_words::join(&words))
            }
        }
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

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    settings: Vec<Setting>,
}

impl Reader<'_> {
    fn wrong(&self, span: Option<std::ops::Range<usize>>, what: String) -> ConfigError {
        ConfigError::Wrong { path: self.path.to_owned(), line: line_of(self.text, span), what }
    }

    /// Takes the options of `command`, and of its subcommands.
    fn defaults(&mut self, table: &DeTable<'_>, command: &Command, path: &[&str]) -> Result<(), ConfigError> {
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            if let DeValue::Table(below) = value.get_ref() {
                let Some(subcommand) = command.find_subcommand(name) else {
                    let what = format!("there is no command {:?}", [path, &[name]].concat().join(" "));
                    return Err(self.wrong(Some(key.span()), what));
                };
                self.defaults(below, subcommand, &[path, &[name]].concat())?;
                continue;
            }
            // Each option of every command has one place in the file.
            let own = |argument: &&Arg| {
                argument.get_long() == Some(name) && argument.is_global_set() == path.is_empty()
            };
            let argument = command.get_arguments().find(own).filter(|argument| is_settable(argument));
            let Some(argument) = argument else {
                let whose = if path.is_empty() { "pandacap".to_owned() } else { path.join(" ") };
                let what = format!("{whose} has no option --{name} that can be set here");
                return Err(self.wrong(Some(key.span()), what));
            };
            let values = values(argument, value).map_err(|what| self.wrong(Some(value.span()), what))?;
            self.settings.push(Setting {
                command: path.iter().map(|&name| name.to_owned()).collect(),
                option: name.to_owned(),
                values,
                line: line_of(self.text, Some(key.span())),
            });
        }
        Ok(())
    }
}

fn is_settable(argument: &Arg) -> bool {
    use ArgAction::{Append, Count, Set, SetTrue};
    let action = matches!(argument.get_action(), Set | Append | SetTrue | Count);
    action && argument.get_id() != CONFIG_OPTION
}

/// The option that names the file itself.
pub const CONFIG_OPTION: &str = "config";

/// A value as it would be typed; a list for options that can be repeated.
fn values(argument: &Arg, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, String> {
    let option = argument.get_long().unwrap_or_default();
    match (argument.get_action(), value.get_ref()) {
        (ArgAction::SetTrue, DeValue::Boolean(on)) => Ok(vec![on.to_string()]),
        (ArgAction::SetTrue, _) => Err(format!("{option} is true or false")),
        (ArgAction::Count, DeValue::Integer(count)) if count.as_str().parse::<u8>().is_ok_and(|n| n < 8) => {
            Ok(vec![count.as_str().to_owned()])
        }
        (ArgAction::Count, _) => Err(format!("{option} is a small number")),
        (ArgAction::Append, DeValue::Array(values)) => {
            values.iter().map(|value| word(option, value)).collect()
        }
        _ => Ok(vec![word(option, value)?]),
    }
}

fn word(option: &str, value: &Spanned<DeValue<'_>>) -> Result<String, String> {
    match value.get_ref() {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => Ok(number.to_string()),
        DeValue::Float(number) => Ok(number.to_string()),
        DeValue::Boolean(boolean) => Ok(boolean.to_string()),
        DeValue::Datetime(time) => Ok(time.to_string()),
        DeValue::Array(_) => Err(format!("{option} takes one value, not a list")),
        DeValue::Table(_) => Err(format!("{option} takes a value, not a table")),
    }
}

/// The line, counted from 1, in which a span of `text` begins.
pub fn line_of(text: &str, span: Option<std::ops::Range<usize>>) -> usize {
    let begin = span.map_or(0, |span| span.start.min(text.len()));
    1 + text.as_bytes()[..begin].iter().filter(|&&byte| byte == b'\n').count()
}
