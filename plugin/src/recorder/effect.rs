//! What is to be done about an event.

use std::{fmt, time::Duration};

use panda_plugin::recctrl::Reply;
use protocol::Answer;

use super::{Denials, Event, Made, Why};
use crate::{files::Files, refusal::Refusal};

/// What is to be done about an event. Effects are carried out in order; those that say so bring another event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Put the answer into the guest's registers.
    Answer(Answer),
    /// Tell the plugin that asked.
    Reply(Reply),
    /// Name the new recording, with this number if it has one; then `Named`.
    Name(Option<u32>),
    /// Count what the finished recordings take on disk; then `Counted`, with the same event.
    Count(Made, Box<Event>),
    /// Create the files of a recording of this name; then `Reserved` or `NotBegun`.
    Reserve(String),
    /// Have the guest stand where its recording is to begin; then `SteppedOut` or `NotBegun`.
    StepOut,
    /// Begin the recording while the guest is held; then `Begun` or `NotBegun`.
    Begin(Files),
    /// Have the main loop begin the recording at its next turn; then `Awaited` or `NotBegun`.
    AskBegin(Files),
    /// Look for the recording on disk; then `LookedFor`.
    LookFor(Files),
    /// Remove the files of a recording that did not begin.
    Discard(Files),
    /// Tell that a recording has begun.
    Began(Began),
    /// End the recording while the guest is held; then `Ended` or `NotEnded`.
    End,
    /// Have the main loop end the recording at its next turn.
    AskEnd,
    /// Tell that a recording is complete on disk; then `Measured`.
    Complete(Complete),
    /// Tell that a recording can't be made.
    Refused(Refusal),
    /// Tell that the guest tried to end a locked recording.
    Denied {
        /// The recording.
        name: String,
        /// What was tried.
        what: Denied,
    },
    /// Tell that a request does not fit the mode or the moment.
    Odd(Odd),
    /// Quit PANDA: as many recordings as were asked for are on disk.
    Quit,
}

/// A recording that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Began {
    /// Its files.
    pub files: Files,
    /// The guest ends it with a key alone.
    pub locked: bool,
    /// How long the guest was held for it.
    pub held: Option<Duration>,
}

/// A recording that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complete {
    /// Its files.
    pub files: Files,
    /// When it began.
    pub began: Duration,
    /// Why it ended.
    pub why: Why,
    /// The exit status of what was recorded, from the holder of its key.
    pub exit_status: Option<u8>,
    /// What was tried to end it before.
    pub denied: Denials,
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

/// The word in the events file.
impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Denied::Stop => "stop",
            Denied::Toggle => "toggle",
            Denied::Key => "key",
        })
    }
}

/// Why a request is ignored.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Odd {
    /// `toggle` in session mode.
    #[error("a toggle: sessions are counted (session_rec=y)")]
    Toggle,
    /// `open_session` or `close_session` outside of session mode.
    #[error("a session: sessions are only counted with session_rec=y")]
    Session,
    /// `close_session` with none open.
    #[error("the end of a session: its recording has ended already")]
    SessionOver,
    /// A start after the last recording that was asked for.
    #[error("a start: as many recordings as nrec asks for have been made")]
    Finished,
}
