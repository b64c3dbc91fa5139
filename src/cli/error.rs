//! Why a command failed, whichever command it was.

use std::io;
use std::path::{Path, PathBuf};

use ::guest::GuestError;
use ::guest::bootstrap::BootstrapError;
use ::panda_host::{DistError, FolderError, InstallError, LoadError, NoPlugin, PandaError};
use ::trace::{ReplayError, TraceError};
use rr_log::{RecordingError, SalvageError};
use run::RecError;
use run::maint::MaintError;

use super::config::ConfigError;

/// Why a command failed, whichever command it was.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no folder to keep things in.
    #[error("cannot tell which folder to keep things in: set $HOME, or name a folder with --home")]
    Home,
    /// The running program could not be located.
    #[error("cannot tell where pandacap itself is")]
    Myself(#[source] io::Error),
    /// The result could not be written.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
    /// PANDA could not be found.
    #[error(transparent)]
    Panda(#[from] PandaError),
    /// PANDA could not be installed.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// A guest could not be made or used.
    #[error(transparent)]
    Guest(#[from] GuestError),
    /// A file that belongs to pandacap is missing.
    #[error(transparent)]
    Dist(#[from] DistError),
    /// The plugin was not put in or taken out.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// Nothing was recorded.
    #[error(transparent)]
    Rec(#[from] RecError),
    /// A replay could not be tried.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// A trace could not be replayed.
    #[error(transparent)]
    ReplayTrace(#[from] ReplayTraceError),
    /// An image could not be booted to change it.
    #[error(transparent)]
    Maint(#[from] MaintError),
    /// A log could not be looked into or mended.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The man pages cannot be written.
    #[error("cannot write the man pages into {}", .dir.display())]
    Man {
        /// The folder.
        dir: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is nothing to bootstrap with.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
}

/// Why there is nothing to do.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The command line is wrong, or it asks for help.
    #[error(transparent)]
    Typed(#[from] clap::Error),
}

/// Why the plugin was not put in or taken out; the folder is as it was.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// There is no PANDA.
    #[error(transparent)]
    Panda(#[from] PandaError),
    /// No plugin was begun.
    #[error(transparent)]
    New(#[from] NewError),
    /// The folder that was named.
    #[error("--dir {}: there is no such folder", .0.display())]
    NoDir(PathBuf),
    /// One folder holds the plugins of one target.
    #[error("--dir names one folder, and each target has its own: name one --target")]
    OneTarget,
    /// It does not load.
    #[error("{0}; nothing was changed")]
    Load(#[from] LoadError),
    /// A folder of plugins cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A file could not be read or written.
    #[error("cannot use {}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
}

impl PluginError {
    pub fn io(path: &Path) -> impl Fn(io::Error) -> PluginError {
        move |source| PluginError::Io { path: path.to_owned(), source }
    }
}

/// Why no plugin was begun.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// Somebody's files are there.
    #[error("{} is not empty: name a folder that is, or one that is not there yet", .0.display())]
    NotEmpty(PathBuf),
    /// The crate that was named is not there.
    #[error(
        "--layer {}: no crate panda-plugin in it; name a checkout of pandacap, or the URL of its git repository",
        .0.display()
    )]
    NoLayer(PathBuf),
    /// This pandacap is not in a checkout.
    #[error(
        "the crate panda-plugin, on which plugins are built, is in no folder above {}; \
         say with --layer where a checkout of pandacap is, or the URL of its git repository",
        .0.display()
    )]
    Unknown(PathBuf),
}

/// Why a trace cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayTraceError {
    /// No trace.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// A part of the recording is missing.
    #[error("{}: the recording is not whole without it; see `pandacap verify`", .0.display())]
    Missing(PathBuf),
    /// A plugin is not there.
    #[error("--plugin: {0}")]
    Plugin(#[from] NoPlugin),
    /// The embedded PANDA has stand-ins for the libraries.
    #[error(
        "--plog: the embedded PANDA cannot write pandalogs, for it has no protobuf; name a full PANDA with --panda"
    )]
    Pandalog,
}

/// Why a recording's log could not be dealt with.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// No recording there.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// It cannot be read at all.
    #[error("cannot read {}", .log.display())]
    Read {
        /// The log.
        log: PathBuf,
        /// Why.
        source: rr_log::Error,
    },
    /// It cannot be salvaged.
    #[error(transparent)]
    Salvage(#[from] SalvageError),
    /// The picture cannot be drawn.
    #[error("cannot draw {path}: {reason}")]
    Plot {
        /// The picture.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}
