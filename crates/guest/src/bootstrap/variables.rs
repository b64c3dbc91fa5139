//! The variables of the templates: one TOML file, and what is set differently for one run.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use minijinja::Value;

use super::BootstrapError;
use super::source::Source;
use files::line_of;

/// The file of the variables, in the bootstrap folder.
pub(super) const FILE: &str = "variables.toml";

/// A variable's value for one run: what `--set NAME=VALUE` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    key: String,
    value: String,
}

impl FromStr for Setting {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Setting, &'static str> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                Ok(Setting { key: key.to_owned(), value: value.to_owned() })
            }
            _ => Err("expected NAME=VALUE"),
        }
    }
}

/// The variables of the bootstrap folder `source`, some of them set differently.
///
/// Only what is in the file can be set, so that a typo is noticed; a value keeps its type.
pub(super) fn read(source: &Source, settings: &[Setting]) -> Result<BTreeMap<String, Value>, BootstrapError> {
    let path = source.path(Path::new(FILE));
    let there = source.metadata(Path::new(FILE))?.is_some();
    let text = if there { source.text(Path::new(FILE))? } else { String::new() };
    let mut table: toml::Table = toml::from_str(&text).map_err(|error| BootstrapError::Variables {
        path,
        line: line_of(&text, error.span()),
        what: error.message().to_owned(),
    })?;
    for Setting { key, value } in settings {
        let wrong = |what: String| BootstrapError::Setting { key: key.clone(), what };
        let Some(variable) = table.get_mut(key) else {
            return Err(wrong(format!("{FILE} has no such variable")));
        };
        *variable = typed(variable, value).map_err(wrong)?;
    }
    Ok(table.into_iter().map(|(key, value)| (key, template_value(value))).collect())
}

/// `text` as a value of the same type as `like`.
fn typed(like: &toml::Value, text: &str) -> Result<toml::Value, String> {
    let parsed = match like {
        toml::Value::String(_) => Some(toml::Value::String(text.to_owned())),
        toml::Value::Integer(_) => text.parse().ok().map(toml::Value::Integer),
        toml::Value::Float(_) => text.parse().ok().map(toml::Value::Float),
        toml::Value::Boolean(_) => text.parse().ok().map(toml::Value::Boolean),
        _ => return Err(format!("it is a {} in {FILE}, and has to be changed there", like.type_str())),
    };
    parsed.ok_or_else(|| format!("{text:?} is no {}, as in {FILE}", like.type_str()))
}

fn template_value(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(boolean) => boolean.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(values) => values.into_iter().map(template_value).collect::<Vec<_>>().into(),
        toml::Value::Table(table) => {
            table.into_iter().map(|(key, value)| (key, template_value(value))).collect()
        }
    }
}
