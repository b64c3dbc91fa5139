//! Having PANDA load our recctrl, wherever it has its own plugins.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use super::Panda;

/// Why a PANDA could not be seen to load a plugin.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// PANDA could not be tried.
    #[error("cannot try {plugin} in PANDA: {error}")]
    Try {
        /// The plugin.
        plugin: String,
        /// What the system says.
        error: io::Error,
    },
    /// PANDA does not take it.
    #[error("PANDA does not load {plugin}: {said}")]
    Refused {
        /// The plugin.
        plugin: String,
        /// What PANDA and the plugin said last.
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
        symlink(plugin, plugins.join("panda_recctrl.so"))
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

    /// Whether this PANDA loads `plugin`, a recctrl.
    pub fn try_plugin(&self, plugin: &Path) -> Result<(), LoadError> {
        let tried = |error| LoadError::Try { plugin: plugin.display().to_string(), error };
        let folder = tempfile::tempdir().map_err(tried)?;
        self.plugin_folder(folder.path(), plugin).map_err(tried)?;
        let output = self.load_recctrl(folder.path(), "dry=y").map_err(tried)?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rev().find(|line| line.contains("recctrl]: error")).or(said.lines().last());
        let said = last.map_or_else(|| output.status.to_string(), str::to_owned);
        Err(LoadError::Refused { plugin: plugin.display().to_string(), said })
    }
}
