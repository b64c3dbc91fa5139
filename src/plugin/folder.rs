//! One of PANDA's plugin folders: whose recctrl is in it, ours put in, and taken out without a trace.
//!
//! ```text
//! panda_recctrl.so             ours
//! panda_recctrl.so.json        [`Record`]: that it is ours
//! panda_recctrl.so.upstream    what was there before, if anything
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{FILE, PluginError};
use crate::digest::{self, FileDigest};
use crate::dist;
use crate::target::Target;

/// The version of [`Record`].
const SCHEMA: u32 = 1;

/// Whose plugin lies in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Owner {
    /// There is none.
    Nobody,
    /// PANDA's own, or another that we did not put there.
    Upstream,
    /// This pandacap's.
    Ours,
    /// One of another version of pandacap, which `install` replaces.
    Outdated,
}

/// What `panda_recctrl.so.json` says.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    /// The version of this format.
    schema: u32,
    /// The version of pandacap.
    version: String,
    /// The plugin that was put in: when the file is another, somebody replaced it.
    plugin: FileDigest,
}

/// One folder with plugins of one target.
#[derive(Debug, Serialize)]
pub(super) struct Folder {
    pub(super) target: Target,
    pub(super) dir: PathBuf,
    pub(super) owner: Owner,
    /// Whether PANDA's own is kept aside.
    pub(super) upstream_kept: bool,
}

impl Folder {
    /// The folder `dir`, and whose plugin is there.
    pub(super) fn open(target: Target, dir: PathBuf) -> Result<Folder, PluginError> {
        let mut folder = Folder { target, dir, owner: Owner::Nobody, upstream_kept: false };
        folder.look()?;
        Ok(folder)
    }

    fn plugin(&self) -> PathBuf {
        self.dir.join(FILE)
    }

    fn record(&self) -> PathBuf {
        self.dir.join(format!("{FILE}.json"))
    }

    fn upstream(&self) -> PathBuf {
        self.dir.join(format!("{FILE}.upstream"))
    }

    /// Finds out whose plugin is there.
    fn look(&mut self) -> Result<(), PluginError> {
        self.upstream_kept = self.upstream().exists();
        let digest = match FileDigest::of(&self.plugin()) {
            Ok(digest) => digest,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.owner = Owner::Nobody;
                return Ok(());
            }
            Err(error) => return Err(PluginError::io(&self.plugin())(error)),
        };
        let record = fs::read(self.record()).ok().and_then(|text| serde_json::from_slice(&text).ok());
        self.owner = match record {
            Some(Record { schema: SCHEMA, plugin, .. }) if plugin == digest => {
                let mine = dist::find(FILE, self.target).ok().and_then(|path| FileDigest::of(&path).ok());
                if mine.is_some_and(|mine| mine == digest) { Owner::Ours } else { Owner::Outdated }
            }
            _ => Owner::Upstream,
        };
        Ok(())
    }

    /// Puts `plugin` in; at every moment the folder has one that is whole, for a PANDA may be starting.
    pub(super) fn install(&mut self, plugin: &Path) -> Result<(), PluginError> {
        let content = fs::read(plugin).map_err(PluginError::io(plugin))?;
        if self.owner == Owner::Upstream {
            let kept = self.upstream();
            let upstream = fs::read(self.plugin()).map_err(PluginError::io(&self.plugin()))?;
            digest::replace(&kept, &upstream).map_err(PluginError::io(&kept))?;
        }
        let record = Record {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            plugin: FileDigest::read(&mut content.as_slice()).map_err(PluginError::io(plugin))?,
        };
        let json = serde_json::to_vec_pretty(&record)
            .map_err(|error| PluginError::Io { path: self.record(), error: error.into() })?;
        // The record first: without its plugin it says nothing, but a plugin without it would pass for PANDA's own.
        for (path, content) in [(self.record(), json), (self.plugin(), content)] {
            digest::replace(&path, &content).map_err(PluginError::io(&path))?;
        }
        self.look()
    }

    /// Takes ours out, and puts back what was there before.
    pub(super) fn uninstall(&mut self) -> Result<(), PluginError> {
        if matches!(self.owner, Owner::Ours | Owner::Outdated) {
            let plugin = self.plugin();
            if self.upstream_kept {
                fs::rename(self.upstream(), &plugin).map_err(PluginError::io(&plugin))?;
            } else {
                fs::remove_file(&plugin).map_err(PluginError::io(&plugin))?;
            }
        }
        match fs::remove_file(self.record()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(PluginError::io(&self.record())(error));
            }
            _ => {}
        }
        self.look()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_comes_back_byte_for_byte() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let plugin = dir.path().join("built");
        fs::write(&plugin, "ours")?;
        fs::write(dir.path().join(FILE), "upstream's")?;
        let open = || Folder::open(Target::X86_64, dir.path().to_owned());
        assert_eq!(open()?.owner, Owner::Upstream);
        // Twice: the second time must not take ours for PANDA's own.
        for _ in 0..2 {
            open()?.install(&plugin)?;
            assert_eq!(fs::read(dir.path().join(FILE))?, b"ours");
            assert!(open()?.upstream_kept);
        }
        open()?.uninstall()?;
        assert_eq!(fs::read(dir.path().join(FILE))?, b"upstream's");
        assert_eq!(fs::read_dir(dir.path())?.count(), 2);
        Ok(())
    }

    #[test]
    fn a_plugin_that_somebody_else_put_over_ours_is_left_alone() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let plugin = dir.path().join("built");
        fs::write(&plugin, "ours")?;
        let open = || Folder::open(Target::X86_64, dir.path().to_owned());
        open()?.install(&plugin)?;
        fs::write(dir.path().join(FILE), "an upgrade's")?;
        open()?.uninstall()?;
        assert_eq!(fs::read(dir.path().join(FILE))?, b"an upgrade's");
        Ok(())
    }
}
