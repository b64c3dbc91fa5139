//! One of PANDA's plugin folders: whose recctrl is in it, installing ours, and removing it completely.
//!
//! ```text
//! panda_recctrl.so             ours
//! panda_recctrl.so.json        [`PluginRecord`]: that it is ours
//! panda_recctrl.so.upstream    what was there before, if anything
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use files::{FileDigest, Schema, list};
use rr_log::Target;

use crate::dist::Dist;
use crate::panda::Panda;

/// recctrl's file in a folder of plugins.
pub const RECCTRL: &str = "panda_recctrl.so";
/// The file of the plugin with which `analyze` follows a guest.
pub const ACTIVITY: &str = "panda_activity.so";

/// The version of [`PluginRecord`].
const SCHEMA: Schema = Schema::new(1);

/// Whose plugin is in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// There is none.
    None,
    /// PANDA's own, or another that we did not put there.
    Upstream,
    /// This pandacap's.
    Ours,
    /// One of another version of pandacap, which `install` replaces.
    Outdated,
}

/// What `panda_recctrl.so.json` says.
#[derive(Debug, Serialize, Deserialize)]
struct PluginRecord {
    /// The version of this format.
    schema: Schema,
    /// The version of pandacap.
    version: String,
    /// The plugin that was put in: if the file differs, it was replaced since.
    plugin: FileDigest,
}

/// Why the plugin was not put in or taken out; the folder is as it was.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// PANDA has no folder for plugins.
    #[error("none of the plugin folders of {} exists ({}); name one with --dir", .program.display(), list(.searched))]
    None {
        /// Which PANDA.
        program: PathBuf,
        /// Where it searches.
        searched: Vec<PathBuf>,
    },
    /// A file could not be read or written.
    #[error("cannot use {}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
}

impl FolderError {
    fn io(path: &Path) -> impl Fn(io::Error) -> FolderError {
        move |source| FolderError::Io { path: path.to_owned(), source }
    }
}

/// One folder with plugins of one target.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Folder {
    /// The target.
    pub target: Target,
    /// Where it is.
    pub dir: PathBuf,
    /// Whose recctrl is in it.
    pub owner: Owner,
    /// Whether PANDA's own is kept aside.
    pub upstream_kept: bool,
    /// Our own plugin, if it is there to be compared with.
    #[serde(skip)]
    ours: Option<FileDigest>,
}

impl Folder {
    /// The folder `dir`, and whose plugin is there.
    pub fn open(target: Target, dir: PathBuf, dist: &Dist) -> Result<Folder, FolderError> {
        let ours = dist.find(RECCTRL, target).ok().and_then(|path| FileDigest::of(&path).ok());
        let mut folder = Folder { target, dir, owner: Owner::None, upstream_kept: false, ours };
        folder.look()?;
        Ok(folder)
    }

    /// The folder that `panda` searches first.
    pub fn searched_first(panda: &Panda) -> Result<PathBuf, FolderError> {
        let searched = panda.plugin_dirs();
        match searched.iter().find(|dir| dir.is_dir()) {
            Some(dir) => Ok(dir.clone()),
            None => Err(FolderError::None { program: panda.program.clone(), searched }),
        }
    }

    fn plugin(&self) -> PathBuf {
        self.dir.join(RECCTRL)
    }

    fn record(&self) -> PathBuf {
        self.dir.join(format!("{RECCTRL}.json"))
    }

    fn upstream(&self) -> PathBuf {
        self.dir.join(format!("{RECCTRL}.upstream"))
    }

    /// Finds out whose plugin is there.
    fn look(&mut self) -> Result<(), FolderError> {
        self.upstream_kept = self.upstream().exists();
        let digest = match FileDigest::of(&self.plugin()) {
            Ok(digest) => digest,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.owner = Owner::None;
                return Ok(());
            }
            Err(error) => return Err(FolderError::io(&self.plugin())(error)),
        };
        let record = fs::read(self.record()).ok().and_then(|text| serde_json::from_slice(&text).ok());
        self.owner = match record {
            Some(PluginRecord { schema: SCHEMA, plugin, .. }) if plugin == digest => {
                if self.ours.as_ref() == Some(&digest) { Owner::Ours } else { Owner::Outdated }
            }
            _ => Owner::Upstream,
        };
        Ok(())
    }

    /// Puts `plugin` in; at every moment the folder has one that is whole, for a PANDA may be starting.
    pub fn install(&mut self, plugin: &Path) -> Result<(), FolderError> {
        let content = fs::read(plugin).map_err(FolderError::io(plugin))?;
        if self.owner == Owner::Upstream {
            let kept = self.upstream();
            let upstream = fs::read(self.plugin()).map_err(FolderError::io(&self.plugin()))?;
            files::replace(&kept, &upstream).map_err(FolderError::io(&kept))?;
        }
        let record = PluginRecord {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            plugin: FileDigest::read(&mut content.as_slice()).map_err(FolderError::io(plugin))?,
        };
        let json = serde_json::to_vec_pretty(&record)
            .map_err(|error| FolderError::Io { path: self.record(), source: error.into() })?;
        // The record first: without its plugin it says nothing, but a plugin without it would pass for PANDA's own.
        for (path, content) in [(self.record(), json), (self.plugin(), content)] {
            files::replace(&path, &content).map_err(FolderError::io(&path))?;
        }
        self.look()
    }

    /// Takes ours out, and puts back what was there before.
    pub fn uninstall(&mut self) -> Result<(), FolderError> {
        if matches!(self.owner, Owner::Ours | Owner::Outdated) {
            let plugin = self.plugin();
            if self.upstream_kept {
                fs::rename(self.upstream(), &plugin).map_err(FolderError::io(&plugin))?;
            } else {
                fs::remove_file(&plugin).map_err(FolderError::io(&plugin))?;
            }
        }
        match fs::remove_file(self.record()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(FolderError::io(&self.record())(error));
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
        fs::write(dir.path().join(RECCTRL), "upstream's")?;
        let dist = Dist::beside(Path::new("/nonexistent/pandacap"));
        let open = || Folder::open(Target::X86_64, dir.path().to_owned(), &dist);
        assert_eq!(open()?.owner, Owner::Upstream);
        // Twice: the second time must not take ours for PANDA's own.
        for _ in 0..2 {
            open()?.install(&plugin)?;
            assert_eq!(fs::read(dir.path().join(RECCTRL))?, b"ours");
            assert!(open()?.upstream_kept);
        }
        open()?.uninstall()?;
        assert_eq!(fs::read(dir.path().join(RECCTRL))?, b"upstream's");
        assert_eq!(fs::read_dir(dir.path())?.count(), 2);
        Ok(())
    }

    #[test]
    fn a_plugin_that_replaced_ours_is_left_alone() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let plugin = dir.path().join("built");
        fs::write(&plugin, "ours")?;
        let dist = Dist::beside(Path::new("/nonexistent/pandacap"));
        let open = || Folder::open(Target::X86_64, dir.path().to_owned(), &dist);
        open()?.install(&plugin)?;
        fs::write(dir.path().join(RECCTRL), "an upgrade's")?;
        open()?.uninstall()?;
        assert_eq!(fs::read(dir.path().join(RECCTRL))?, b"an upgrade's");
        Ok(())
    }
}
