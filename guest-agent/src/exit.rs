//! The exit codes, one meaning each; `docs/recctrlu.md` describes them.

/// Done, or there was nothing to do.
pub const OK: u8 = 0;
/// recctrl answered with an error.
pub const FAILED: u8 = 1;
/// The command line was wrong; no call was made.
pub const USAGE: u8 = 2;
/// Not inside PANDA, or PANDA runs without recctrl.
pub const NO_RECCTRL: u8 = 3;
/// This recctrl cannot do what was asked for.
pub const UNSUPPORTED: u8 = 4;
/// `run` itself failed: the command was not recorded, or its recording could not be ended.
pub const RUN_FAILED: u8 = 125;
/// `run`'s command exists but cannot be executed.
pub const CANNOT_EXECUTE: u8 = 126;
/// `run`'s command does not exist.
pub const NOT_FOUND: u8 = 127;
