//! Reads the file, and checks every setting against the options that exist.

use std::path::Path;

use clap::{Arg, ArgAction, Command};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use files::line_of;

use super::{CONFIG_OPTION, ConfigError, Setting};

/// The only table of the file.
const DEFAULTS: &str = "defaults";

/// The settings in `text`, the content of the file `path`.
pub(super) fn read(path: &Path, text: &str, cli: &Command) -> Result<Vec<Setting>, ConfigError> {
    let mut reader = Reader { path, text, settings: Vec::new() };
    let root =
        DeTable::parse(text).map_err(|error| reader.wrong(error.span(), error.message().to_owned()))?;
    for (key, value) in root.get_ref() {
        match value.get_ref() {
            DeValue::Table(table) if key.get_ref() == DEFAULTS => reader.defaults(table, cli, &[])?,
            _ => {
                let what = format!("unknown key {}; only [{DEFAULTS}] is allowed here", key.get_ref());
                return Err(reader.wrong(Some(key.span()), what));
            }
        }
    }
    Ok(reader.settings)
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

    /// Reads the options of `command` and of its subcommands.
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
            // A global option may be set at the top level only.
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

/// Whether the option can be set in the file.
pub(super) fn is_settable(argument: &Arg) -> bool {
    use ArgAction::{Append, Count, Set, SetTrue};
    let action = matches!(argument.get_action(), Set | Append | SetTrue | Count);
    action && argument.get_id() != CONFIG_OPTION
}

/// The value as it would be typed, or several for an option that may be repeated.
fn values(argument: &Arg, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, String> {
    let option = argument.get_long().unwrap_or_default();
    match (argument.get_action(), value.get_ref()) {
        (ArgAction::SetTrue, DeValue::Boolean(on)) => Ok(vec![on.to_string()]),
        (ArgAction::SetTrue, _) => Err(format!("{option} must be true or false")),
        (ArgAction::Count, DeValue::Integer(count)) if count.as_str().parse::<u8>().is_ok_and(|n| n < 8) => {
            Ok(vec![count.as_str().to_owned()])
        }
        (ArgAction::Count, _) => Err(format!("{option} must be a number from 0 to 7")),
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
