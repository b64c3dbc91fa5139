//! Running the programs that guests are made with.

use std::io;
use std::process::{Command, ExitStatus, Stdio};

/// Why a program failed.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// It is not installed.
    #[error("cannot start {program}; install it with `apt-get install {package}`")]
    Start {
        /// The program.
        program: String,
        /// Debian's package of it.
        package: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// It failed.
    #[error("`{command}` failed ({status}):\n  {said}")]
    Failed {
        /// What was run.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it said.
        said: String,
    },
}

/// How much of what a program says is told when it fails.
const TOLD: usize = 5;

/// Runs a program, and returns what it wrote to standard output.
pub(super) fn run(command: &mut Command) -> Result<Vec<u8>, ToolError> {
    log::info!("{}", words(command));
    let output = command.env("LC_ALL", "C").stdin(Stdio::null()).output();
    let output = output.map_err(|error| start(command, error))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    // Some tell what is wrong on standard output.
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let said = files::last(lines, TOLD).join("\n  ");
    Err(ToolError::Failed { command: words(command), status: output.status, said })
}

fn start(command: &Command, source: io::Error) -> ToolError {
    let program = command.get_program().to_string_lossy().into_owned();
    let package = match program.as_str() {
        "qemu-img" => "qemu-utils",
        "mke2fs" | "e2fsck" | "dumpe2fs" => "e2fsprogs",
        "chroot" => "coreutils",
        "debootstrap" => "debootstrap",
        "zerofree" => "zerofree",
        _ => "PACKAGE",
    };
    ToolError::Start { program, package, source }
}

fn words(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    shell_words::join(words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>())
}
