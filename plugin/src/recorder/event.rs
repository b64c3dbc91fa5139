//! What happens to the recorder, and what is to be done about it.

use std::time::Duration;

use protocol::Answer;

use super::Tick;

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
    /// Start, in either mode, a recording that nothing in the guest ends without this key.
    StartLocked(u32),
    /// Stop what this key has locked.
    StopLocked {
        /// The key.
        key: u32,
        /// How what was recorded has ended, as a shell tells it.
        status: u8,
    },
}

/// What was tried on a recording that is locked, and denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// A stop without a key.
    Stop,
    /// A toggle, which has none.
    Toggle,
    /// A stop with another key, or with any after too many others.
    Key,
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

impl Why {
    /// The word for it in the events file.
    pub fn as_str(self) -> &'static str {
        match self {
            Why::Guest => "guest",
            Why::Timeout => "timeout",
            Why::MaxInstr => "max_instr",
            Why::MaxBytes => "max_bytes",
            Why::MinFree => "min_free",
            Why::Monitor => "monitor",
            Why::Plugin => "plugin",
            Why::Shutdown => "shutdown",
        }
    }
}

/// What happens to the recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The guest asks, and is held until it has its answer.
    Asked(Request),
    /// Another plugin wants the recording to end; no guest is held for it.
    StopAsked,
    /// PANDA has begun the recording that was asked for, at this time.
    Begun(Duration),
    /// PANDA has not begun it, and will not.
    NotBegun,
    /// PANDA has ended the recording that the guest wanted ended.
    Ended,
    /// PANDA has not ended it, and will not.
    NotEnded,
    /// What PANDA is doing just now, looked at before anything else is decided.
    Observed(Mode),
    /// The main loop came by.
    Tick(Tick),
    /// PANDA is about to go; it has ended a recording that was on.
    Shutdown,
}

/// What is to be done about it, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Begin the recording while the guest is held; then `Begun` or `NotBegun`.
    Begin,
    /// End the recording while the guest is held; then `Ended` or `NotEnded`.
    End,
    /// Have the main loop end the recording at its next turn.
    AskEnd,
    /// The recording is complete on disk.
    Complete(Why),
    /// The guest's answer.
    Answer(Answer),
    /// A request that does not fit the mode or the moment; the text says why.
    Odd(&'static str),
    /// What was tried on a locked recording.
    Denied(Denied),
    /// As many recordings as were asked for are on disk: quit.
    Quit,
}
