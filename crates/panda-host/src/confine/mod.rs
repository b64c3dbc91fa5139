//! What a PANDA may do on this machine: each job's PANDA gets what the job needs, and nothing else.
//!
//! PANDA contains a QEMU of 2017 and is assumed to be exploitable: a guest or a trace that takes it over must not get
//! any further. Files, TCP ports, signals and devices are left to Landlock, everything else to seccomp, which
//! limits the system calls. Both are prepared before the fork and take effect between fork and exec, before any
//! code of PANDA or its libraries has run; neither needs privileges.

mod calls;
mod files;
mod start;

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether PANDA is confined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// As far as this machine's kernel can
    #[default]
    Auto,
    /// Only start PANDA where the kernel can do all of it
    Require,
    /// Not at all: PANDA may do what its user may
    Off,
}

/// Something that PANDA is kept from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Files that it does not need.
    Files,
    /// Truncation of files (Landlock 3).
    Truncation,
    /// TCP ports (Landlock 4).
    Ports,
    /// Control of devices (Landlock 5).
    Devices,
    /// Signals to other processes, and their abstract sockets (Landlock 6).
    Signals,
    /// System calls.
    Calls,
}

/// How far a PANDA was confined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Confinement {
    /// What was asked for.
    pub mode: Mode,
    /// What the kernel could not do.
    pub missing: Vec<Part>,
}

/// Why a PANDA cannot be confined.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// The kernel is too old for what was required.
    #[error(
        "--confine=require: this machine's kernel cannot restrict {}; use a newer kernel, or --confine=auto",
        words(.0)
    )]
    Kernel(Vec<Part>),
    /// A script would have to execute something else.
    #[error(
        "{} is a script, and a confined PANDA executes nothing: name the program itself, or use --confine=off",
        .0.display()
    )]
    Script(PathBuf),
    /// Landlock refuses.
    #[error("cannot confine PANDA's files")]
    Files(#[source] landlock::RulesetError),
    /// seccomp refuses.
    #[error("cannot confine PANDA's system calls")]
    Calls(#[source] seccompiler::BackendError),
    /// An argument that no program can have.
    #[error("an argument for PANDA contains a zero byte")]
    Argument(#[from] std::ffi::NulError),
    /// It did not start.
    #[error("cannot start {}", .program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

fn words(parts: &[Part]) -> String {
    let word = |part: &Part| match part {
        Part::Files => "files",
        Part::Truncation => "truncation of files",
        Part::Ports => "TCP ports",
        Part::Devices => "control of devices",
        Part::Signals => "signals to other processes",
        Part::Calls => "system calls",
    };
    parts.iter().map(word).collect::<Vec<_>>().join(", ")
}

impl Mode {
    /// Every mode.
    pub const ALL: [Mode; 3] = [Mode::Auto, Mode::Require, Mode::Off];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Auto => "auto",
            Mode::Require => "require",
            Mode::Off => "off",
        }
    }

    /// How far a PANDA is confined on this machine.
    pub fn here(self) -> Confinement {
        let missing = if self == Mode::Off { Vec::new() } else { missing() };
        Confinement { mode: self, missing }
    }

    /// Checks that the kernel can do what is required.
    pub fn check(self) -> Result<(), ConfineError> {
        match self.here().missing {
            missing if self == Mode::Require && !missing.is_empty() => Err(ConfineError::Kernel(missing)),
            _ => Ok(()),
        }
    }
}

/// What this machine's kernel cannot do.
pub fn missing() -> Vec<Part> {
    let abi = files::abi();
    let landlock =
        [(Part::Files, 1), (Part::Truncation, 3), (Part::Ports, 4), (Part::Devices, 5), (Part::Signals, 6)];
    let old = landlock.into_iter().filter(|(_, since)| abi < *since).map(|(part, _)| part);
    old.chain((!calls::supported()).then_some(Part::Calls)).collect()
}

/// What is missing, in words; none where nothing is.
pub fn missing_words() -> Option<String> {
    let missing = missing();
    (!missing.is_empty()).then(|| words(&missing))
}

/// How PANDA is started: the mode, and the environment.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Whether they are confined.
    pub mode: Mode,
    /// The environment, of which PANDA gets only a few variables.
    pub environment: Vec<(OsString, OsString)>,
}

/// The variables that every PANDA gets, if they are set.
const VARIABLES: [&str; 6] = ["LD_LIBRARY_PATH", "LANG", "LC_ALL", "TERM", "TZ", "RUST_BACKTRACE"];
/// The further ones of a PANDA with a window.
const SCREEN: [&str; 5] = ["DISPLAY", "XAUTHORITY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "HOME"];

/// What one PANDA may do.
#[derive(Clone, Debug, Default)]
pub struct Sandbox {
    settings: Settings,
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
    execute: Vec<PathBuf>,
    inherit: Vec<Arc<File>>,
    sockets: Sockets,
    screen: bool,
}

/// Which sockets it may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sockets {
    /// TCP ports that it may listen on.
    listen: Vec<u16>,
    /// UDP, which Landlock cannot restrict.
    datagrams: bool,
    /// A monitor's Unix socket.
    monitor: bool,
    /// All kinds.
    all: bool,
}

impl Sandbox {
    /// What every PANDA needs: its program, its own files beside that, and this machine's libraries.
    pub fn of(program: &Path, settings: &Settings) -> Sandbox {
        let mut sandbox = Sandbox { settings: settings.clone(), ..Sandbox::default() };
        sandbox.execute = files::loaders();
        sandbox.execute.push(program.to_owned());
        sandbox.read = files::libraries();
        if let Some(path) = sandbox.variable("LD_LIBRARY_PATH") {
            sandbox.read.extend(std::env::split_paths(&path).filter(|folder| folder.is_absolute()));
        }
        sandbox.read.extend(files::beside(program));
        sandbox
    }

    fn variable(&self, name: &str) -> Option<OsString> {
        self.settings.environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    }

    /// May read this file, or all in this folder.
    #[must_use]
    pub fn read(mut self, path: impl Into<PathBuf>) -> Sandbox {
        self.read.push(path.into());
        self
    }

    /// The same of several.
    #[must_use]
    pub fn read_all(mut self, paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Sandbox {
        self.read.extend(paths.into_iter().map(Into::into));
        self
    }

    /// May change this file, or make and change what is in this folder.
    #[must_use]
    pub fn write(mut self, path: impl Into<PathBuf>) -> Sandbox {
        self.write.push(path.into());
        self
    }

    /// Has these files open from the beginning.
    #[must_use]
    pub fn inherit(mut self, files: impl IntoIterator<Item = Arc<File>>) -> Sandbox {
        self.inherit.extend(files);
        self
    }

    /// Listens on these TCP ports.
    #[must_use]
    pub fn listen(mut self, ports: impl IntoIterator<Item = u16>) -> Sandbox {
        self.sockets.listen.extend(ports);
        self
    }

    /// Receives and sends datagrams, on any port.
    #[must_use]
    pub fn datagrams(mut self) -> Sandbox {
        self.sockets.datagrams = true;
        self
    }

    /// Uses the network as its user can.
    #[must_use]
    pub fn whole_network(mut self) -> Sandbox {
        self.sockets.all = true;
        self
    }

    /// Has a monitor behind a socket in its folder.
    #[must_use]
    pub fn monitor(mut self) -> Sandbox {
        self.sockets.monitor = true;
        self
    }

    /// Shows the guest's screen: in a window, or on a port for VNC. For that it gets all sockets, and may read
    /// what graphical programs read.
    #[must_use]
    pub fn display(mut self, display: Option<&str>) -> Sandbox {
        if display.is_some_and(|display| display != "none") {
            self.screen = true;
            self.sockets.all = true;
            self.read.extend(["/usr/share", "/etc/fonts", "/tmp/.X11-unix"].map(PathBuf::from));
            self.read.extend(self.variable("XAUTHORITY").map(PathBuf::from));
        }
        self
    }

    /// May use the files that the user's own arguments name by absolute paths.
    #[must_use]
    pub fn named_by<'a>(mut self, arguments: impl IntoIterator<Item = &'a String>) -> Sandbox {
        for argument in arguments {
            let words = argument.split([',', '=', ':']).map(Path::new);
            for path in words.filter(|path| path.is_absolute() && path.parent().is_some() && path.exists()) {
                self.write.push(path.to_owned());
            }
        }
        self
    }

    /// The part of the environment that it gets.
    fn environment(&self) -> impl Iterator<Item = &(OsString, OsString)> {
        self.settings.environment.iter().filter(|(name, _)| {
            VARIABLES.iter().any(|known| name == known)
                || (self.screen && SCREEN.iter().any(|known| name == known))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_environment_panda_gets_what_it_needs() {
        let variable = |name: &str| (OsString::from(name), OsString::from("x"));
        let environment = ["LANG", "AWS_SECRET_ACCESS_KEY", "DISPLAY"].map(variable).to_vec();
        let settings = Settings { environment, ..Settings::default() };
        let names =
            |sandbox: &Sandbox| sandbox.environment().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let sandbox = Sandbox::of(Path::new("/bin/true"), &settings);
        assert_eq!(names(&sandbox), ["LANG"]);
        assert_eq!(names(&sandbox.display(Some("gtk"))), ["LANG", "DISPLAY"]);
    }

    #[test]
    fn only_whole_paths_of_arguments_are_given() {
        let given = |argument: &str| Sandbox::default().named_by([&argument.to_owned()]).write;
        assert_eq!(given("file=/etc/hostname,format=raw"), [Path::new("/etc/hostname")]);
        assert!(given("dir=/,x=etc,y=/nosuch/file").is_empty());
    }
}
