//! One command in a container: what the engine is told, and how it ends.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use machine::{Interrupt, PortForward};
use rustix::process::{Pid, Signal, getgid, getuid, kill_process};

use crate::engine::Engine;
use crate::error::ContainerError;
use crate::mount::Mounts;

/// How long `docker stop` waits before it kills, in seconds: a recording is ended properly within it.
const STOP_TIMEOUT: &str = "60";
/// What an engine exits with if the container was not started.
const NOT_STARTED: std::ops::RangeInclusive<i32> = 125..=127;

/// What a container reaches over the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// Nothing.
    None,
    /// What the engine's default network reaches; these ports of this machine lead into the container.
    Default(Vec<PortForward>),
    /// A network of the engine's, by its name, with the same.
    Named(String, Vec<PortForward>),
}

/// A command in a container.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The image.
    pub image: String,
    /// The container's name.
    pub name: String,
    /// The user and group in it; without one, those that run pandacap here, with no capability and nothing writable but
    /// the mounts.
    pub user: Option<String>,
    /// Start an init that reaps processes and passes signals on.
    pub init: bool,
    /// The folder in which the command runs.
    pub workdir: Option<PathBuf>,
    /// What it reaches over the network.
    pub network: Network,
    /// What it sees of this machine.
    pub mounts: Mounts,
    /// Folders in it that are empty, whatever a mount has there.
    pub empty: Vec<PathBuf>,
    /// Variables of its environment.
    pub environment: Vec<(&'static str, OsString)>,
    /// Whether its scripts may change the container's own files.
    pub writable: bool,
    /// Whether the terminal is the container's.
    pub terminal: bool,
    /// Whether standard input is the container's.
    pub stdin: bool,
    /// pandacap's arguments in it.
    pub arguments: Vec<OsString>,
}

/// How a command in a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code.
    Code(u8),
    /// By a signal.
    Signal(i32),
}

impl Invocation {
    /// The engine's command line.
    pub fn command(&self, engine: &Engine) -> Command {
        let mut command = engine.command();
        command.args(["run", "--rm", "--pull=never", "--stop-timeout", STOP_TIMEOUT, "--name", &self.name]);
        if self.init {
            command.arg("--init");
        }
        if self.terminal {
            command.arg("--tty");
        }
        if self.stdin {
            command.arg("--interactive");
        }
        match &self.user {
            Some(user) => _ = command.args(["--user", user]),
            None => {
                command.arg("--user").arg(format!("{}:{}", getuid().as_raw(), getgid().as_raw()));
                command.args(["--cap-drop", "ALL"]);
                // Without root, the engine maps users; the files are to be the caller's.
                if engine.name == "podman" && !getuid().is_root() {
                    command.args(["--userns", "keep-id"]);
                }
            }
        }
        command.args(["--security-opt", "no-new-privileges"]);
        if !self.writable {
            command.arg("--read-only");
        }
        self.network(&mut command);
        command.args(self.mounts.arguments());
        for folder in &self.empty {
            let mut tmpfs = OsString::from("--tmpfs=");
            tmpfs.push(folder);
            command.arg(tmpfs);
        }
        if let Some(folder) = &self.workdir {
            command.arg("--workdir").arg(folder);
        }
        for (name, value) in &self.environment {
            let mut setting = OsString::from(format!("--env={name}="));
            setting.push(value);
            command.arg(setting);
        }
        command.arg(&self.image).args(&self.arguments);
        command
    }

    fn network(&self, command: &mut Command) {
        let ports = match &self.network {
            Network::None => {
                command.args(["--network", "none"]);
                return;
            }
            Network::Default(ports) => ports,
            Network::Named(name, ports) => {
                command.args(["--network", name]);
                // It has no ports of its own.
                if name == "host" {
                    return;
                }
                ports
            }
        };
        for port in ports {
            let PortForward { address, host, guest, protocol } = port;
            command.arg("--publish").arg(format!("{address}:{host}:{guest}/{protocol}"));
        }
    }

    /// Runs it to its end. Ctrl-C and SIGTERM reach the command in the container, which then ends properly.
    pub fn run(&self, engine: &Engine, interrupt: &Interrupt) -> Result<Ended, ContainerError> {
        self.check_image(engine)?;
        let start = |source| ContainerError::Start { program: engine.program().clone(), source };
        let mut command = self.command(engine);
        if !self.stdin {
            command.stdin(Stdio::null());
        }
        if !self.terminal {
            // The terminal would send Ctrl-C to both, and two end pandacap on the spot.
            command.process_group(0);
        }
        let mut child = command.spawn().map_err(start)?;
        let pid = Pid::from_child(&child);
        let listening = interrupt.listen(move || _ = kill_process(pid, Signal::TERM));
        let status = child.wait();
        drop(listening);
        let status = status.map_err(start)?;
        match (status.code(), status.signal()) {
            (Some(code), _) if NOT_STARTED.contains(&code) => {
                Err(ContainerError::NotStarted { engine: engine.name, name: self.name.clone() })
            }
            (Some(code), _) => Ok(Ended::Code(u8::try_from(code).unwrap_or(u8::MAX))),
            (None, signal) => {
                // The engine's client was ended before the container had begun.
                let _ = engine.ask(&["rm", "--force", &self.name].map(OsStr::new));
                Ok(Ended::Signal(signal.unwrap_or_default()))
            }
        }
    }

    /// Whether the image is there, and this pandacap's; engines would ask a stranger's registry for one that is not.
    fn check_image(&self, engine: &Engine) -> Result<(), ContainerError> {
        let format = "{{index .Config.Labels \"org.opencontainers.image.version\"}}";
        let words = ["image", "inspect", "--format", format, &self.image].map(OsStr::new);
        let version = match engine.ask(&words) {
            Ok(version) => version,
            Err(ContainerError::Engine { said, .. }) if said.to_lowercase().contains("no such image") => {
                return Err(ContainerError::NoImage(self.image.clone()));
            }
            Err(error) => return Err(error),
        };
        let own = env!("CARGO_PKG_VERSION");
        if version.trim() != own {
            log::warn!(
                "{} has pandacap {}, and this is {own}; build it anew with `pandacap image build`",
                self.image,
                version.trim()
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(invocation: &Invocation) -> Vec<String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let docker = folder.path().join("docker");
        std::fs::write(&docker, "").expect("written");
        std::fs::set_permissions(&docker, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("set");
        let engine = Engine::find(Some(folder.path().as_os_str())).expect("found");
        let command = invocation.command(&engine);
        command.get_args().map(|word| word.to_string_lossy().into_owned()).collect()
    }

    fn invocation() -> Invocation {
        Invocation {
            image: "pandacap".to_owned(),
            name: "pandacap-a".to_owned(),
            user: None,
            init: true,
            workdir: None,
            network: Network::None,
            mounts: Mounts::default(),
            empty: Vec::new(),
            environment: Vec::new(),
            writable: false,
            terminal: false,
            stdin: false,
            arguments: ["rec", "--", "sh", "-c", "echo \"a b\" $X"].map(OsString::from).into(),
        }
    }

    #[test]
    fn a_container_gets_nothing_that_was_not_asked_for() {
        let line = words(&invocation()).join(" ");
        for bound in [
            "--read-only",
            "--cap-drop ALL",
            "--security-opt no-new-privileges",
            "--network none",
            "--pull=never",
        ] {
            assert!(line.contains(bound), "{bound}: {line}");
        }
        assert!(!line.contains("--mount") && !line.contains("--publish"), "{line}");
    }

    #[test]
    fn the_commands_words_arrive_as_they_are() {
        assert_eq!(words(&invocation()).rsplit(|word| word == "pandacap").next().map(<[_]>::len), Some(5));
        assert_eq!(words(&invocation()).last().map(String::as_str), Some("echo \"a b\" $X"));
    }

    #[test]
    fn each_port_has_the_scope_that_was_asked_for() {
        let ports = ["22:10000:l", "53:5353:*:udp"].map(|port| port.parse().expect("a port"));
        let line = words(&Invocation { network: Network::Default(ports.into()), ..invocation() }).join(" ");
        assert!(line.contains("--publish 127.0.0.1:10000:22/tcp"), "{line}");
        assert!(line.contains("--publish 0.0.0.0:5353:53/udp"), "{line}");
        let host = Network::Named("host".to_owned(), ports.into());
        let line = words(&Invocation { network: host, ..invocation() }).join(" ");
        assert!(line.contains("--network host") && !line.contains("--publish"), "{line}");
    }
}
