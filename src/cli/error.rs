//! The errors of all commands.

use std::io;
use std::path::{Path, PathBuf};

use ::guest::GuestError;
use ::guest::bootstrap::BootstrapError;
use ::panda_host::{DistError, FolderError, InstallError, LoadError, NoPlugin, PandaError};
use ::trace::{ReplayError, TraceError};
use container::ContainerError;
use kernel::{IsfError, KernelinfoError};
use rr_log::{RecordingError, SalvageError};
use run::RecError;
use run::maint::MaintError;

use super::config::ConfigError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no home folder.
    #[error("cannot determine pandacap's home folder: set $HOME, or name a folder with --home")]
    Home,
    /// The running program could not be located.
    #[error("cannot locate the pandacap program itself")]
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
    /// The plugin was not installed or removed.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// Nothing was recorded.
    #[error(transparent)]
    Rec(#[from] RecError),
    /// A replay could not be run.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// A trace could not be replayed.
    #[error(transparent)]
    ReplayTrace(#[from] ReplayTraceError),
    /// A trace could not be analysed.
    #[error(transparent)]
    Analyze(#[from] AnalyzeError),
    /// An image could not be booted for maintenance.
    #[error(transparent)]
    Maint(#[from] MaintError),
    /// A log could not be inspected or salvaged.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The man pages cannot be written.
    #[error("cannot write the man pages to {}", .dir.display())]
    Man {
        /// The folder.
        dir: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The kernel cannot be described to another program.
    #[error(transparent)]
    Kernelinfo(#[from] KernelinfoError),
    /// The kernel's symbols cannot be written for another program.
    #[error(transparent)]
    Isf(#[from] IsfError),
    /// There is no container image, or nothing ran in it.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// The bootstrap folder cannot be used.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
}

/// Why the command line could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The command line is invalid, or asks for help.
    #[error(transparent)]
    Typed(#[from] clap::Error),
}

/// Why the plugin was not installed or removed; the folder is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// No PANDA was found.
    #[error(transparent)]
    Panda(#[from] PandaError),
    /// No plugin crate was created.
    #[error(transparent)]
    New(#[from] NewError),
    /// The named folder does not exist.
    #[error("--dir {}: no such folder", .0.display())]
    NoDir(PathBuf),
    /// A folder holds the plugins of a single target.
    #[error("--dir names the folder of a single target: give exactly one --target")]
    OneTarget,
    /// The plugin does not load.
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

/// Why no plugin crate was created.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// The folder already has files in it.
    #[error("{} is not empty: name an empty or a new folder", .0.display())]
    NotEmpty(PathBuf),
    /// There is no such crate in the named folder.
    #[error(
        "--layer {}: contains no crate panda-plugin; name a checkout of pandacap, or the URL of its git repository",
        .0.display()
    )]
    NoLayer(PathBuf),
    /// This pandacap is not in a checkout.
    #[error(
        "the crate panda-plugin, which plugins are built on, was not found in any folder above {}; \
         use --layer to name a checkout of pandacap, or the URL of its git repository",
        .0.display()
    )]
    Unknown(PathBuf),
}

/// Why a trace cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayTraceError {
    /// The folder is not a trace.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// A part of the recording is missing.
    #[error("{} is missing, so the recording is incomplete; see `pandacap verify`", .0.display())]
    Missing(PathBuf),
    /// A plugin does not exist.
    #[error("--plugin: {0}")]
    Plugin(#[from] NoPlugin),
    /// The embedded PANDA has only stand-ins for the libraries.
    #[error(
        "--plog: the embedded PANDA cannot write pandalogs because it lacks protobuf; name a full PANDA with --panda"
    )]
    Pandalog,
}

/// Why a trace cannot be analysed.
#[derive(Debug, thiserror::Error)]
pub enum AnalyzeError {
    /// Its kernel is not known.
    #[error(
        "{} has no profile of its guest's kernel, and none can be made of the guest; name one with --profile",
        .trace.display()
    )]
    NoProfile {
        /// The trace.
        trace: PathBuf,
        /// Why none can be made.
        source: Box<GuestError>,
    },
    /// Guests of this kind are not followed.
    #[error("guests of {0} cannot be analysed yet: only those of x86_64 can")]
    Target(rr_log::Target),
    /// A file that was asked for cannot be written.
    #[error("cannot write {}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The plugin's events cannot be read.
    #[error("cannot use what the analysis has written")]
    Events(#[from] analysis::ReadError),
}

/// Why a recording's log could not be inspected or salvaged.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// There is no recording at the path.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// The log cannot be read at all.
    #[error("cannot read {}", .log.display())]
    Read {
        /// The log.
        log: PathBuf,
        /// Why.
        source: rr_log::Error,
    },
    /// The recording cannot be salvaged.
    #[error(transparent)]
    Salvage(#[from] SalvageError),
    /// The plot cannot be drawn.
    #[error("cannot draw {path}: {reason}")]
    Plot {
        /// The plot's file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}
