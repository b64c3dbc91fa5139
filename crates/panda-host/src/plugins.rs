//! Makes PANDA load our recctrl instead of its own.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use crate::panda::Panda;
use crate::plugin_folder::RECCTRL;

/// Where the plugin says that it is loaded.
const EVENTS: &str = "events.jsonl";

/// Why it is not certain that PANDA loads a plugin.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// PANDA could not be started.
    #[error("cannot test {} in {}", .plugin.display(), .program.display())]
    Try {
        /// The plugin.
        plugin: PathBuf,
        /// PANDA.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// PANDA does not load it.
    #[error("{} does not load {}: {said}", .program.display(), .plugin.display())]
    Refused {
        /// The plugin.
        plugin: PathBuf,
        /// PANDA.
        program: PathBuf,
        /// The plugin's reason, or PANDA's last line.
        said: String,
    },
}

impl Panda {
    /// Where it looks for plugins first, below the folder that `PANDA_DIR` names.
    pub fn plugins_below(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}-softmmu/panda/plugins", self.target))
    }

    /// Makes `folder` one that `PANDA_DIR` can point at, with `plugin` as its only one, recctrl.
    ///
    /// PANDA searches that folder first and then its own, so its other plugins are found as well.
    pub fn plugin_folder(&self, folder: &Path, plugin: &Path) -> io::Result<()> {
        let plugins = self.plugins_below(folder);
        fs::create_dir_all(&plugins)?;
        symlink(plugin, plugins.join(RECCTRL))
    }

    /// Starts PANDA with recctrl from `folder`, which [`Panda::plugin_folder`] made, and no machine, and has it quit:
    /// how it ended, and what it said on standard error.
    pub fn load_recctrl(&self, folder: &Path, arguments: &str) -> io::Result<Output> {
        let mut command = self.command();
        command.env("PANDA_DIR", folder).current_dir(folder);
        command.args(["-nodefaults", "-display", "none", "-M", "none", "-S", "-monitor", "stdio"]);
        command.arg("-panda").arg(format!("recctrl:{arguments}"));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let plugins = fs::read_dir(self.plugins_below(folder))?;
        let plugins = plugins.map(|entry| fs::canonicalize(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        let sandbox = self.sandbox().write(folder).read_all(plugins);
        let mut child = sandbox.spawn(&mut command).map_err(io::Error::other)?;
        if let Some(mut monitor) = child.stdin.take() {
            // A PANDA that has refused the plugin is gone by now.
            let _ = monitor.write_all(b"quit\n");
        }
        child.wait_with_output()
    }

    /// Checks that this PANDA loads `plugin`, a recctrl, which itself refuses an ABI that it cannot be sure of.
    pub fn try_recctrl(&self, plugin: &Path) -> Result<(), LoadError> {
        let (plugin, program) = (plugin.to_owned(), self.program.clone());
        match self.probe(&plugin) {
            Ok(None) => Ok(()),
            Ok(Some(said)) => Err(LoadError::Refused { plugin, program, said }),
            Err(source) => Err(LoadError::Try { plugin, program, source }),
        }
    }

    /// Why PANDA does not load `plugin`, if it does not.
    fn probe(&self, plugin: &Path) -> io::Result<Option<String>> {
        let folder = tempfile::tempdir()?;
        self.plugin_folder(folder.path(), plugin)?;
        let output = self.load_recctrl(folder.path(), &format!("events={EVENTS},dir=."))?;
        let events = fs::read_to_string(folder.path().join(EVENTS)).unwrap_or_default();
        let loaded = events.contains(r#""loaded""#);
        Ok((!loaded).then(|| reason(&String::from_utf8_lossy(&output.stderr))))
    }
}

/// What the plugin gave as its reason, else PANDA's last line.
fn reason(said: &str) -> String {
    let ours = said.lines().find_map(|line| line.strip_prefix("PANDA[recctrl]: error: "));
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    ours.or(last).unwrap_or("it gives no reason").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugins_own_reason_comes_before_what_panda_says_about_it() {
        let said = "PANDA[core]: initializing recctrl\nPANDA[recctrl]: error: not loaded: too old\nFAIL\n\n";
        assert_eq!(reason(said), "not loaded: too old");
        assert_eq!(reason("Failed to load x\n"), "Failed to load x");
    }
}
