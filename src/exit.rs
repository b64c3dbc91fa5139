//! The exit codes of `pandacap`, one meaning each; `docs/exit-codes.md` is their prose twin.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All that was asked for was done.
    Done = 0,
    /// Something failed; the message says what, and what to do next.
    Failed = 1,
    /// The command line was wrong (clap's own code).
    Usage = 2,
    /// Something that is needed is not installed; `pandacap doctor` says what.
    Missing = 3,
    /// A trace did not pass its verification.
    Unverified = 4,
    /// The guest or its machine failed: it did not boot, its command could not be run, PANDA died.
    Guest = 5,
    /// Stopped by Ctrl-C or SIGTERM, after everything was ended properly.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}
