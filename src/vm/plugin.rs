//! A PANDA plugin that somebody asks for: `NAME[:ARG=VALUE,...]`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::panda::Panda;

/// PANDA's name for a plugin, and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginSpec {
    name: String,
    arguments: Option<String>,
}

/// A plugin that PANDA does not have: asked to load it, PANDA would abort.
#[derive(Debug, thiserror::Error)]
#[error("no plugin {name:?}: searched {}", searched(.folders))]
pub struct NoPlugin {
    name: String,
    folders: Vec<PathBuf>,
}

fn searched(folders: &[PathBuf]) -> String {
    let folders: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
    folders.join(", ")
}

impl FromStr for PluginSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<PluginSpec, String> {
        let (name, arguments) = match text.split_once(':') {
            Some((name, arguments)) => (name, Some(arguments)),
            None => (text, None),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(plain) {
            return Err(format!("{name:?} is no plugin's name: NAME[:ARG=VALUE,...]"));
        }
        if name == "recctrl" {
            return Err("recctrl is pandacap's own; its options say what it does".to_owned());
        }
        if arguments.is_some_and(|arguments| arguments.is_empty() || arguments.contains(';')) {
            return Err(
                "arguments are ARG=VALUE, with commas between them; repeat --plugin for another plugin"
                    .to_owned(),
            );
        }
        Ok(PluginSpec { name: name.to_owned(), arguments: arguments.map(str::to_owned) })
    }
}

impl fmt::Display for PluginSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.arguments.as_ref().map_or(Ok(()), |arguments| write!(f, ":{arguments}"))
    }
}

impl PluginSpec {
    /// Sees that `panda` has it.
    pub fn check(&self, panda: &Panda) -> Result<(), NoPlugin> {
        let folders = panda.plugin_dirs();
        let file = format!("panda_{}.so", self.name);
        if folders.iter().any(|folder| folder.join(&file).is_file()) {
            return Ok(());
        }
        Err(NoPlugin { name: self.name.clone(), folders })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_specification_is_passed_on_as_it_is_or_refused() {
        for good in ["asidstory", "coverage:mode=osi-block,full=1", "x:file=/a:b"] {
            assert_eq!(good.parse::<PluginSpec>().map(|spec| spec.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", ":a", "../x", "a;b", "a:", "a:b;c", "recctrl:nrec=1"] {
            assert!(bad.parse::<PluginSpec>().is_err(), "{bad}");
        }
    }
}
