//! Why there is no image, or nothing ran in it.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use guest::GuestError;
use machine::PortError;
use panda_host::{DistError, InstallError};

/// Why an image could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// There is neither Docker nor Podman.
    #[error(
        "no docker or podman on PATH; on Debian, `apt-get install podman` or `apt-get install docker.io`"
    )]
    NoEngine,
    /// The engine does not start.
    #[error("cannot start {}", .program.display())]
    Start {
        /// The engine.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The engine refused.
    #[error("{engine} {what} failed ({status}):\n  {said}")]
    Engine {
        /// Which engine.
        engine: &'static str,
        /// Which of its commands.
        what: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it said.
        said: String,
    },
    /// There is no such image.
    #[error("there is no image {0:?} on this machine; build it with `pandacap image build`")]
    NoImage(String),
    /// The image is somebody else's.
    #[error("{0:?} is not an image of pandacap's, so it is left alone")]
    NotOurs(String),
    /// The container was not started; the engine has said why.
    #[error("{engine} could not start the container {name:?}")]
    NotStarted {
        /// Which engine.
        engine: &'static str,
        /// The container's name.
        name: String,
    },
    /// A PANDA of this machine's.
    #[error(
        "--panda names a PANDA of this machine, which the container cannot run; give its place in the container with \
         --docker-panda-root"
    )]
    Panda,
    /// A port cannot be used.
    #[error(transparent)]
    Port(#[from] PortError),
    /// An argument that would be another one in the container.
    #[error("{0:?} is not UTF-8, and container engines pass on nothing else")]
    Text(OsString),
    /// The engine cannot be let in.
    #[error("cannot relay port {port} of the container")]
    Relay {
        /// The port.
        port: u16,
        /// What the system says.
        source: io::Error,
    },
    /// A path that cannot be at the same place in a container.
    #[error("{} cannot be mounted into a container: {why}", .path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// Why not.
        why: &'static str,
    },
    /// pandacap's own files are not there.
    #[error(transparent)]
    Dist(#[from] DistError),
    /// PANDA could not be installed for the image.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// The tiny guest could not be made.
    #[error(transparent)]
    Guest(#[from] GuestError),
    /// A file could not be read or written.
    #[error("cannot use {}", .path.display())]
    Files {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl ContainerError {
    /// For `map_err`: what happened to `path`.
    pub(crate) fn files(path: &std::path::Path) -> impl FnOnce(io::Error) -> ContainerError {
        let path = path.to_owned();
        move |source| ContainerError::Files { path, source }
    }
}
