//! Runtime bootstrapping: what a machine or a container does first, from one folder of scripts and templates.
//!
//! ```text
//! variables.toml         what the templates may use
//! bootstrap.env.j2       what the scripts find in their environment
//! scripts/10_hello.sh    run in the order of the numbers, everywhere
//! scripts/vm_20_x.sh     run in machines only, as 20_x.sh
//! scripts/docker_20_x.sh run in containers only, as 20_x.sh
//! files/                 what the scripts need; every NAME.j2 in here or above is rendered to NAME
//! ```
//!
//! [`Bootstrap::render`] turns it into a folder that needs nothing but a shell, and [`disk`] puts that on a disk which a
//! guest with [`guest`]'s files runs exactly once, before any login.

mod command;
mod disk;
mod here;
mod render;
mod source;
mod variables;

use std::io;
use std::path::PathBuf;

pub use self::command::GuestCommand;
pub use self::disk::{BootstrapDisk, MAKERS, disk};
pub use self::here::run_here;
pub use self::render::{Bootstrap, set_mode};
pub use self::variables::Setting;

/// The label by which a guest finds the disk.
pub const LABEL: &str = "bootstrap";

/// What a guest image needs, to run the disk's scripts at boot.
pub mod guest {
    /// Finds the disk and runs it once: an executable for `/usr/sbin`, or a script for `/etc/init.d`.
    pub const HOOK: &str = include_str!("guest/pandacap-bootstrap");
    /// The hook's name.
    pub const HOOK_NAME: &str = "pandacap-bootstrap";
    /// Starts `/usr/sbin/pandacap-bootstrap` before any login: a file for `/etc/systemd/system`, to be
    /// enabled.
    pub const UNIT: &str = include_str!("guest/pandacap-bootstrap.service");
    /// The unit's name.
    pub const UNIT_NAME: &str = "pandacap-bootstrap.service";
}

/// How the message begins by which a guest tells that its bootstrapping failed; what follows is the script's
/// name and its exit status.
pub const FAILED: &str = "bootstrap failed: ";
/// What each message of a step begins with.
pub const STEP: &str = "bootstrap: ";
/// The step after the last script.
pub const DONE: &str = "done";

/// A working bootstrap folder, file by file.
pub const EXAMPLE: [(&str, &str); 6] = [
    ("variables.toml", include_str!("example/variables.toml")),
    ("bootstrap.env.j2", include_str!("example/bootstrap.env.j2")),
    ("scripts/10_greet.sh", include_str!("example/scripts/10_greet.sh")),
    ("scripts/vm_20_user.sh", include_str!("example/scripts/vm_20_user.sh")),
    ("scripts/docker_20_hello.sh", include_str!("example/scripts/docker_20_hello.sh")),
    ("files/motd.j2", include_str!("example/files/motd.j2")),
];

/// Where the scripts are to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a machine
    Vm,
    /// In a container
    Docker,
}

/// Why there is nothing to bootstrap with.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// A file or folder cannot be used.
    #[error("cannot {what} {}", .path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The folder has no scripts.
    #[error("{} is not a bootstrap folder: it has no folder scripts; `pandacap bootstrap new DIR` makes an example", .0.display())]
    NoScripts(PathBuf),
    /// There is something in the way of a new folder.
    #[error("{} is not empty: name a new folder", .0.display())]
    NotEmpty(PathBuf),
    /// A script whose place in the order cannot be told.
    #[error("{}: call it NN_name.sh, vm_NN_name.sh or docker_NN_name.sh (letters, digits, `.`, `_`, `-`; with .j2 if it is a template), or put it into files", .0.display())]
    ScriptName(PathBuf),
    /// A name that cannot be put onto the disk.
    #[error("{}: not a plain file or folder, or its name is not UTF-8", .0.display())]
    Strange(PathBuf),
    /// A link that leads out of the folder.
    #[error("{} leads out of the bootstrap folder; put what is needed into the folder", .0.display())]
    Outside(PathBuf),
    /// More than a small disk can have.
    #[error("{}: more than {most}, which is too much for a bootstrap folder", .path.display())]
    TooMuch {
        /// The folder, or a file in it.
        path: PathBuf,
        /// What it may have.
        most: String,
    },
    /// Two files would become one.
    #[error("{} and another file would both become {become_}: rename one", .path.display())]
    Clash {
        /// The second of them.
        path: PathBuf,
        /// Their name.
        become_: String,
    },
    /// A template cannot be rendered.
    #[error("{}:{line}: {what}", .path.display())]
    Template {
        /// The template.
        path: PathBuf,
        /// Where in it.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// The variables cannot be read.
    #[error("{}:{line}: {what}", .path.display())]
    Variables {
        /// The file.
        path: PathBuf,
        /// Where in it.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// A variable that cannot be set from outside.
    #[error("--set {key}: {what}")]
    Setting {
        /// Its name.
        key: String,
        /// What is wrong.
        what: String,
    },
    /// A container's script failed.
    #[error("bootstrapping the container: {failed}; it said:\n  {said}")]
    Container {
        /// Which script, and how.
        failed: String,
        /// The end of what the scripts said.
        said: String,
    },
    /// A program is missing.
    #[error("cannot run {program}; install e2fsprogs (`apt-get install e2fsprogs`)")]
    Program {
        /// Which.
        program: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// A program failed.
    #[error("{program} cannot make the disk {}: {said}", .path.display())]
    Disk {
        /// Which program.
        program: &'static str,
        /// The disk.
        path: PathBuf,
        /// What it said.
        said: String,
    },
}

impl BootstrapError {
    /// For `map_err`: `what` could not be done with `path`.
    pub fn file(what: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> BootstrapError {
        let path = path.to_owned();
        move |source| BootstrapError::File { what, path, source }
    }
}
