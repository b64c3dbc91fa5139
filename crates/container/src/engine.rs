//! The container engine of this machine: Docker or Podman.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use panda_host::on_path;

use crate::error::ContainerError;

/// How much of what an engine says is told if it fails, in lines.
const TOLD: usize = 15;

/// Docker or Podman, which understand the same commands.
#[derive(Clone, Debug)]
pub struct Engine {
    program: PathBuf,
    /// `docker` or `podman`.
    pub name: &'static str,
}

impl Engine {
    /// Finds Docker, or else Podman, on the search path.
    pub fn find(path: Option<&OsStr>) -> Result<Engine, ContainerError> {
        let found = ["docker", "podman"]
            .into_iter()
            .find_map(|name| Some(Engine { program: on_path(name, path)?, name }));
        found.ok_or(ContainerError::NoEngine)
    }

    /// A command of the engine's.
    pub(crate) fn command(&self) -> Command {
        Command::new(&self.program)
    }

    /// The engine's program.
    pub(crate) fn program(&self) -> &PathBuf {
        &self.program
    }

    /// Runs one of the engine's commands, and returns what it printed.
    pub(crate) fn ask(&self, arguments: &[&OsStr]) -> Result<String, ContainerError> {
        let mut command = self.command();
        command.args(arguments).stdin(Stdio::null());
        let output = command.output();
        let output =
            output.map_err(|source| ContainerError::Start { program: self.program.clone(), source })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let lines = said.lines().map(str::trim_end).filter(|line| !line.is_empty());
        Err(ContainerError::Engine {
            engine: self.name,
            what: arguments.first().map_or_else(String::new, |word| word.to_string_lossy().into_owned()),
            status: output.status,
            said: files::last(lines, TOLD).join("\n  "),
        })
    }
}
