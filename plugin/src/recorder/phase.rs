//! Where the recorder stands, with all that belongs to it.

use std::time::Duration;

use super::{Began, Complete, Denied, Why};
use crate::{files::Files, refusal::Refusal};

/// Where the recorder stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Idle,
    Starting(Starting),
    Recording(Recording),
    /// A guest is held until the recording has ended; it told this exit status.
    Stopping(Recording, Option<u8>),
    /// The main loop has been asked to end it.
    Ending(Recording, Why),
    /// PANDA's monitor, library or command line began one.
    Monitors,
    /// A guest is held until the monitor's has ended.
    StoppingMonitors,
    /// As many recordings as were asked for have been made.
    Finished,
}

/// Who asked for a recording: only sessions are ended by their last close, and only guests are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The guest, by toggle or start.
    Guest,
    /// The guest, by its first session.
    Session,
    /// Another plugin.
    Plugin,
}

/// A recording that has been asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Starting {
    pub(super) owner: Owner,
    pub(super) lock: Option<Lock>,
    pub(super) stage: Stage,
}

/// How far the start of a recording has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Naming,
    Reserving,
    /// A guest steps out, or the main loop is being asked, since this time.
    Placing(Files, Duration),
    /// A guest is held while PANDA begins.
    Beginning(Files, Duration),
    /// Another plugin's: the main loop begins it at its next turn.
    Awaited(Files),
    /// PANDA is not recording: it may have begun and ended since. If not, this is why.
    LookedFor(Files, Refusal),
}

impl Stage {
    /// The files, once there are some.
    pub(super) fn into_files(self) -> Option<Files> {
        match self {
            Stage::Naming | Stage::Reserving => None,
            Stage::Placing(files, _)
            | Stage::Beginning(files, _)
            | Stage::Awaited(files)
            | Stage::LookedFor(files, _) => Some(files),
        }
    }
}

/// A recording of ours that is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recording {
    pub(super) owner: Owner,
    pub(super) files: Files,
    pub(super) began: Duration,
    pub(super) lock: Option<Lock>,
    pub(super) denied: Denials,
}

impl Recording {
    /// How it is told that it has begun.
    pub(super) fn told(&self, held: Option<Duration>) -> Began {
        Began { files: self.files.clone(), locked: self.lock.is_some(), held }
    }

    /// What is left of it when it has ended.
    pub(super) fn completed(self, why: Why, exit_status: Option<u8>) -> Complete {
        let Recording { files, began, denied, .. } = self;
        Complete { files, began, why, exit_status, denied }
    }
}

/// What keeps everything in the guest but one program from ending a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lock {
    pub(super) key: u32,
    pub(super) wrong_keys: u32,
}

/// How many wrong keys are taken; then the right one is refused too, so that trying all of them does not help.
pub(super) const WRONG_KEYS: u32 = 100;

impl Lock {
    /// Whether it opens with `key`; a wrong one is counted.
    pub(super) fn opens(&mut self, key: u32) -> bool {
        let opens = key == self.key && self.wrong_keys < WRONG_KEYS;
        if !opens {
            self.wrong_keys = self.wrong_keys.saturating_add(1);
        }
        opens
    }
}

/// How often the guest tried in vain to end a locked recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Denials {
    /// By a stop without a key.
    pub stop: u64,
    /// By a toggle.
    pub toggle: u64,
    /// By a wrong key.
    pub key: u64,
}

impl Denials {
    pub(super) fn count(&mut self, what: Denied) {
        let count = match what {
            Denied::Stop => &mut self.stop,
            Denied::Toggle => &mut self.toggle,
            Denied::Key => &mut self.key,
        };
        *count = count.saturating_add(1);
    }
}
