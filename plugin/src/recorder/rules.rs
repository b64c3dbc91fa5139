//! How recordings are bounded, and which bound one has come to.

use std::time::Duration;

use super::{Made, Why};
use crate::{files::Sizes, refusal::Refusal};

/// How a guest's recordings are bounded, as the plugin's arguments say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Count sessions instead of toggling.
    pub session_rec: bool,
    /// Quit after this many recordings.
    pub nrec: Option<u32>,
    /// End a recording after this time.
    pub timeout: Option<Duration>,
    /// End a recording after this many guest instructions.
    pub max_instr: Option<u64>,
    /// The most recordings to begin.
    pub max_recordings: Option<u32>,
    /// End a recording when all of them together take this many bytes.
    pub max_bytes: Option<u64>,
    /// End a recording when fewer bytes are free where it is written.
    pub min_free: u64,
}

impl Rules {
    /// Whether one more recording may be made, after `recordings` that take what `made` says.
    pub(super) fn allow(&self, recordings: u32, made: &Made, snapshot_bytes: u64) -> Result<(), Refusal> {
        if self.max_recordings.is_some_and(|most| recordings >= most) {
            return Err(Refusal::TooMany(recordings));
        }
        let used = made.bytes();
        let needed = if made.is_empty() { 0 } else { snapshot_bytes };
        match self.max_bytes.filter(|&most| used.saturating_add(needed) > most) {
            Some(most) => Err(Refusal::MaxBytes { used, needed, most }),
            None => Ok(()),
        }
    }

    /// Why a recording that began at `began`, after those that were `made`, is due to end at this tick, if it is.
    pub(super) fn due(&self, began: Duration, made: &Made, tick: &Tick) -> Option<Why> {
        if tick.free < self.min_free {
            Some(Why::MinFree)
        } else if self.max_bytes.is_some_and(|most| made.bytes_with(tick.sizes) > most) {
            Some(Why::MaxBytes)
        } else if self.timeout.is_some_and(|timeout| tick.now.saturating_sub(began) >= timeout) {
            Some(Why::Timeout)
        } else if self.max_instr.is_some_and(|most| tick.instructions >= most) {
            Some(Why::MaxInstr)
        } else {
            None
        }
    }
}

/// What the main loop sees, again and again, while a recording is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// A clock that never goes back.
    pub now: Duration,
    /// Guest instructions recorded so far.
    pub instructions: u64,
    /// What the recording takes on disk so far.
    pub sizes: Sizes,
    /// Bytes free where recordings are written.
    pub free: u64,
}
