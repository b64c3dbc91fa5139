//! What happens to the recorder.

use std::{fmt, time::Duration};

use super::{Made, Tick};
use crate::{
    files::{Files, Sizes},
    refusal::Refusal,
};

/// What the guest may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Start when off, stop when on.
    Toggle,
    /// One more session.
    OpenSession,
    /// One session less.
    CloseSession,
    /// Start, in either mode.
    Start,
    /// Stop, in either mode.
    Stop,
    /// Start, in either mode, a recording that the guest ends with this key alone.
    StartLocked(u32),
    /// Stop what this key has locked.
    StopLocked {
        /// The key.
        key: u32,
        /// The exit status of what was recorded, as a shell has it.
        status: u8,
    },
}

/// What PANDA is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The guest just runs.
    Off,
    /// The guest is recorded.
    Record,
    /// A recording is replayed.
    Replay,
}

/// PANDA as it is just now, looked at before anything else is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// What it is doing.
    pub mode: Mode,
    /// Its main loop has yet to act on what was asked of it.
    pub pending: bool,
    /// A clock that never goes back.
    pub now: Duration,
}

/// Why a recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The guest asked for it.
    Guest,
    /// It has lasted as long as it may.
    Timeout,
    /// It has as many instructions as it may.
    MaxInstr,
    /// The recordings take as many bytes as they may.
    MaxBytes,
    /// The disk runs low.
    MinFree,
    /// PANDA's monitor ended it.
    Monitor,
    /// Another plugin asked for it.
    Plugin,
    /// The machine went down, or PANDA was told to quit.
    Shutdown,
}

/// The word in the events file.
impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::Guest => "guest",
            Why::Timeout => "timeout",
            Why::MaxInstr => "max_instr",
            Why::MaxBytes => "max_bytes",
            Why::MinFree => "min_free",
            Why::Monitor => "monitor",
            Why::Plugin => "plugin",
            Why::Shutdown => "shutdown",
        })
    }
}

/// What happens to the recorder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The guest asks, and is held until it has its answer.
    Asked(Request),
    /// Another plugin wants a recording; no guest is held for it.
    StartAsked,
    /// Another plugin wants the recording to end; no guest is held for it.
    StopAsked,
    /// The new recording has a name.
    Named {
        /// The name, numbered, but perhaps taken already.
        name: String,
        /// The most that the snapshot takes.
        snapshot_bytes: u64,
    },
    /// The finished recordings have been counted again; the event that was in doubt is decided now.
    Counted(Made, Box<Event>),
    /// The new recording's files have been created, at this time.
    Reserved(Files, Duration),
    /// The guest stands where its recording is to begin.
    SteppedOut,
    /// PANDA's main loop will begin the recording at its next turn.
    Awaited,
    /// PANDA has begun the recording that was asked for, at this time.
    Begun(Duration),
    /// The recording that was asked for will not begin.
    NotBegun(Refusal),
    /// The recording that was asked for has been looked for on disk, at this time.
    LookedFor {
        /// Its snapshot is there: it has begun, and ended since.
        written: bool,
        /// A clock that never goes back.
        now: Duration,
    },
    /// PANDA has ended the recording that the guest wanted ended.
    Ended,
    /// PANDA has not ended it, and will not.
    NotEnded,
    /// What a finished recording takes on disk.
    Measured(Files, Sizes),
    /// PANDA was looked at.
    Observed(Observed),
    /// The main loop came by.
    Tick(Tick),
    /// PANDA is about to exit; it has ended a recording that was on.
    Shutdown,
}
