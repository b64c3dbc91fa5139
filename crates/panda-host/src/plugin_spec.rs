//! A PANDA plugin as the user names it: `NAME[:ARG=VALUE,...]`, or `FILE[:ARG=VALUE,...]` with a slash in it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::Panda;
use files::list;

/// PANDA's name for a plugin, its arguments, and its file if PANDA does not have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginSpec {
    name: String,
    arguments: Option<String>,
    file: Option<PathBuf>,
}

/// A plugin that PANDA does not have; PANDA would abort if it were asked to load it.
#[derive(Debug, thiserror::Error)]
pub enum NoPlugin {
    /// PANDA has no such plugin.
    #[error("no plugin {name:?}: searched {}; name a plugin of your own by its file, with a slash", list(.folders))]
    Unknown {
        /// Its name.
        name: String,
        /// PANDA's folders for plugins.
        folders: Vec<PathBuf>,
    },
    /// No such file.
    #[error("no plugin {}: there is no such file; is it built?", .0.display())]
    File(PathBuf),
}

/// The name of the plugin in `panda_NAME.so`, or in `libpanda_NAME.so`, as cargo calls it.
fn name_of(file: &str) -> Option<&str> {
    let file = file.rsplit('/').next()?;
    file.strip_prefix("lib").unwrap_or(file).strip_prefix("panda_")?.strip_suffix(".so")
}

impl FromStr for PluginSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<PluginSpec, String> {
        let (place, arguments) = match text.split_once(':') {
            Some((place, arguments)) => (place, Some(arguments)),
            None => (text, None),
        };
        let (name, file) = match place.contains('/') {
            true => (name_of(place), Some(PathBuf::from(place))),
            false => (Some(place), None),
        };
        let name = name.ok_or_else(|| {
            format!("{place:?} is not the file of a plugin: panda_NAME.so or libpanda_NAME.so")
        })?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(plain) {
            return Err(format!("{name:?} is not the name of a plugin: NAME[:ARG=VALUE,...]"));
        }
        if name == "recctrl" {
            return Err("recctrl is pandacap's own plugin: use pandacap's options instead".to_owned());
        }
        if arguments.is_some_and(|arguments| arguments.is_empty() || arguments.contains(';')) {
            return Err(
                "arguments are ARG=VALUE, with commas between them; repeat --plugin for another plugin"
                    .to_owned(),
            );
        }
        Ok(PluginSpec { name: name.to_owned(), arguments: arguments.map(str::to_owned), file })
    }
}

impl fmt::Display for PluginSpec {
    /// What PANDA is told.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.arguments.as_ref().map_or(Ok(()), |arguments| write!(f, ":{arguments}"))
    }
}

impl PluginSpec {
    /// A plugin of pandacap's own, by its name, its file and its arguments.
    pub fn of_file(name: &str, file: PathBuf, arguments: String) -> PluginSpec {
        PluginSpec { name: name.to_owned(), arguments: Some(arguments), file: Some(file) }
    }

    /// Checks that `panda` has it, or that its file is there.
    pub fn check(&self, panda: &Panda) -> Result<(), NoPlugin> {
        if let Some(file) = &self.file {
            return if file.is_file() { Ok(()) } else { Err(NoPlugin::File(file.clone())) };
        }
        let folders = panda.plugin_dirs();
        let file = format!("panda_{}.so", self.name);
        if folders.iter().any(|folder| folder.join(&file).is_file()) {
            return Ok(());
        }
        Err(NoPlugin::Unknown { name: self.name.clone(), folders })
    }

    /// Its file, if PANDA does not have it.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The link by which PANDA finds a file in `plugins`, one of its folders: where it leads, and where it is.
    pub fn link(&self, plugins: &Path) -> io::Result<Option<(PathBuf, PathBuf)>> {
        let place = plugins.join(format!("panda_{}.so", self.name));
        self.file.as_ref().map(|file| Ok((std::path::absolute(file)?, place))).transpose()
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
        for (file, name) in [("./panda_x.so:n=1", "x:n=1"), ("/a/libpanda_x_y.so", "x_y")] {
            assert_eq!(file.parse::<PluginSpec>().map(|spec| spec.to_string()), Ok(name.to_owned()));
        }
        for bad in [
            "/a/x.so",
            "./panda_x",
            "./panda_.so",
            "./panda_recctrl.so",
            "",
            ":a",
            "../x",
            "a;b",
            "a:",
            "a:b;c",
            "recctrl:nrec=1",
        ] {
            assert!(bad.parse::<PluginSpec>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_a_file_of_ones_own_needs_a_link() {
        let link =
            |spec: &str| spec.parse::<PluginSpec>().map(|spec| spec.link(Path::new("p")).expect("a cwd"));
        assert_eq!(link("x:n=1"), Ok(None));
        assert_eq!(link("/a/libpanda_x.so"), Ok(Some(("/a/libpanda_x.so".into(), "p/panda_x.so".into()))));
    }
}
