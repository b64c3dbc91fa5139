//! The command line's grammar, and what was typed before the settings are added.

use std::ffi::{OsStr, OsString};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::Setting;

/// The command line's commands and options, parsed leniently: what is missing may be in the file.
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

    /// The root command.
    pub(super) fn command(&self) -> &Command {
        &self.0
    }

    /// The path of every command that has no subcommands.
    pub(super) fn commands(&self) -> Vec<Vec<String>> {
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

/// What was typed, before the settings are added.
pub(super) struct Given<'a> {
    pub(super) path: Vec<&'a str>,
    pub(super) command: &'a Command,
    pub(super) matches: ArgMatches,
}

impl<'a> Given<'a> {
    /// `None` if the command line only asks for help.
    pub(super) fn of(cli: &'a Grammar, typed: &[OsString]) -> Option<Given<'a>> {
        let mut matches = cli.0.clone().try_get_matches_from(typed).ok()?;
        let (mut path, mut command) = (Vec::new(), &cli.0);
        while let Some((name, below)) = matches.remove_subcommand() {
            command = command.find_subcommand(name)?;
            path.push(command.get_name());
            matches = below;
        }
        Some(Given { path, command, matches })
    }

    pub(super) fn argument(&self, option: &str) -> Option<&'a Arg> {
        self.command.get_arguments().find(|argument| argument.get_long() == Some(option))
    }

    /// Whether the argument was typed or is set by the environment.
    fn is_given(&self, argument: &Arg) -> bool {
        let source = self.matches.value_source(argument.get_id().as_str());
        matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
    }

    /// Whether the setting is for this command and conflicts with nothing that was given.
    pub(super) fn leaves_room_for(&self, setting: &Setting) -> bool {
        let meant = setting.command.is_empty() || self.path.iter().eq(setting.command.iter());
        // A command without its subcommand only prints help.
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

    pub(super) fn value(&self, argument: &Arg) -> Option<String> {
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
