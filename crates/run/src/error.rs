//! Why a run has not become a trace.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use guest::GuestError;
use guest::bootstrap::BootstrapError;
use machine::life::Bound;
use machine::{DiskError, NoMemory, NoSpace, PortError, ProcessError};
use panda_host::{DistError, NoPlugin, PandaError};
use rr_log::Target;
use trace::{PartialError, ReplayError};

/// The longest name of a run: recctrl adds to it, and the whole has to be a plain name.
pub const NAME_LENGTH: usize = 100;

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
pub enum RecError {
    /// A name that recctrl would change.
    #[error(
        "--name {0:?}: use at most {NAME_LENGTH} letters, digits, `.`, `_` and `-`, not beginning with `.` or `-`"
    )]
    Name(String),
    /// The guest is for another architecture.
    #[error("--target {asked}: the guest {guest} is for {target}")]
    OtherTarget {
        /// The guest.
        guest: String,
        /// Its architecture.
        target: Target,
        /// What was asked for.
        asked: Target,
    },
    /// The tiny guest does nothing by itself.
    #[error(
        "nothing to record: give the tiny guest a command after `--`, or use a guest with a disk (--guest, --disk)"
    )]
    NoCommand,
    /// The tiny guest has no disk driver.
    #[error(
        "--bootstrap: the tiny guest has no disk driver; use a guest that has one, such as that of `guest build debian`"
    )]
    TinyBootstrap,
    /// The command is on a disk that the guest does not read.
    #[error(
        "the guest has booted but does not run its bootstrap disk, which has the command; install pandacap's hook \
         in it (docs/guide/bootstrap.md), or leave out the command and call `recctrlu run NAME -- CMD` in it"
    )]
    NoHook,
    /// The bootstrap disk cannot be made.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    /// A script failed.
    #[error(
        "bootstrapping the guest failed at {script}; nothing was recorded; the end of its console:{said}"
    )]
    BootstrapFailed {
        /// The script and its status.
        script: String,
        /// What the guest said.
        said: String,
    },
    /// A port that leads nowhere.
    #[error("--port-fwd, --net: the guest has no network card; give it one, as in --nic e1000")]
    NoNic,
    /// No machine that boots a disk.
    #[error("--disk: images boot on x86_64 and i386 only, not on {0}")]
    Target(Target),
    /// Something to boot cannot be read.
    #[error("cannot read {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The image cannot be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A port cannot be used.
    #[error("cannot forward the ports of --port-fwd")]
    Port(#[from] PortError),
    /// A plugin is not there.
    #[error("cannot find what --plugin names")]
    Plugin(#[from] NoPlugin),
    /// The host is full.
    #[error(transparent)]
    Memory(#[from] NoMemory),
    /// The disk is full.
    #[error(transparent)]
    Space(#[from] NoSpace),
    /// There is no PANDA.
    #[error(transparent)]
    Panda(#[from] PandaError),
    /// The guest is missing.
    #[error(transparent)]
    Guest(#[from] GuestError),
    /// Plugin or agent are missing.
    #[error(transparent)]
    Dist(#[from] DistError),
    /// The trace's folder cannot be made.
    #[error(transparent)]
    Partial(#[from] PartialError),
    /// PANDA does not run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The recording cannot be replayed.
    #[error("cannot verify the recording")]
    Replay(#[from] ReplayError),
    /// Files of the run cannot be handled.
    #[error("cannot use the files of the run")]
    Files(#[from] io::Error),
    /// Recorded, and not made a trace.
    #[error("cannot make a trace of the recording, which is left in {}", .folder.display())]
    Left {
        /// Where.
        folder: PathBuf,
        /// Why.
        source: Box<RecError>,
    },
    /// The guest has no such command.
    #[error("the guest cannot run the command, so nothing was recorded:{0}")]
    Command(String),
    /// The agent failed.
    #[error("the guest's agent could not record:{0}")]
    Agent(String),
    /// recctrl refused.
    #[error("recctrl refused to record: {0}")]
    Refused(String),
    /// Its kernel gave up.
    #[error(
        "the guest's kernel panicked before anything was recorded; if it does not find its disk, it needs the \
         driver in its initramfs (--initrd) and root= in --append; the end of its console:{0}"
    )]
    Panic(String),
    /// It took too long to boot.
    #[error(
        "the guest shows no sign of having booted within {after} s; see what its kernel waits for (the disk: a \
         driver in --initrd, root= in --append), or allow more time with --boot-timeout; the end of its console:{said}"
    )]
    Boot {
        /// Seconds.
        after: u64,
        /// The end of the console.
        said: String,
    },
    /// It took too long.
    #[error("nothing was recorded within {after} s; the end of the guest's console:{said}")]
    Timeout {
        /// Seconds.
        after: u64,
        /// The end of the console.
        said: String,
    },
    /// It said too much.
    #[error(
        "the guest has reached the limit of what it may write to {0}, so the run ended; --max-output raises it"
    )]
    Output(&'static str),
    /// There is no room left.
    #[error("the disk of --out is full, so the run ended")]
    Full,
    /// PANDA ended early.
    #[error("PANDA ended ({0}) before anything was recorded:{1}")]
    Died(ExitStatus, String),
    /// Ctrl-C before anything was recorded.
    #[error("interrupted before anything was recorded")]
    Interrupted,
}

impl From<Bound> for RecError {
    fn from(bound: Bound) -> RecError {
        match bound {
            Bound::Output(file) => RecError::Output(file),
            Bound::Space => RecError::Full,
        }
    }
}
