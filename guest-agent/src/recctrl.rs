//! The plugin on the other side: ours or upstream's, and how each starts and stops a recording.

use crate::{World, name::Name};
use protocol::{Answer, MAGIC, Peer, Registers, Status, VERSION, action, feature};

/// What is known to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plugin {
    /// Ours, in our version of the protocol.
    Ours {
        /// Its [`protocol::feature`] bits.
        features: u32,
    },
    /// Ours, in a version of which only upstream's actions are understood.
    OtherVersion,
    /// Upstream's: no start, stop, status or message.
    Upstream,
}

/// What a call did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Failed,
    Unchanged,
    Started,
    Stopped,
    /// Upstream's toggle did the opposite of what was asked for.
    Contrary,
}

impl From<Option<Answer>> for Outcome {
    fn from(answer: Option<Answer>) -> Outcome {
        match answer {
            Some(Answer::Start) => Outcome::Started,
            Some(Answer::Stop) => Outcome::Stopped,
            Some(Answer::Noop) => Outcome::Unchanged,
            Some(Answer::Error) | None => Outcome::Failed,
        }
    }
}

/// Upstream answers as soon as it has asked PANDA to begin or end a recording, PANDA does so some
/// milliseconds later, and a toggle in between goes wrong. So every such answer is followed by a pause.
const UPSTREAM_SETTLES: u32 = 100;

/// Finds out which recctrl answers, if any.
pub(crate) fn find(world: &mut impl World, nonce: u32) -> Option<Plugin> {
    if !world.has_hypercall() {
        return None;
    }
    let hello = protocol::hello(nonce);
    match protocol::identify(hello, world.hypercall(hello)) {
        Peer::Recctrl { version: VERSION, features } => Some(Plugin::Ours { features }),
        Peer::Recctrl { .. } => Some(Plugin::OtherVersion),
        Peer::Upstream => Some(Plugin::Upstream),
        Peer::Absent => None,
    }
}

fn call(world: &mut impl World, action: i32, bytes: &[u8]) -> Registers {
    call_with(world, action, address(bytes), bytes.len() as u64)
}

fn call_with(world: &mut impl World, action: i32, first: u64, second: u64) -> Registers {
    world.hypercall([MAGIC.into(), u64::from(action as u32), first, second])
}

fn address(bytes: &[u8]) -> u64 {
    bytes.as_ptr().expose_provenance() as u64
}

fn outcome([answer, ..]: Registers) -> Outcome {
    Answer::from_register(answer).into()
}

impl Plugin {
    /// Makes a call that every plugin knows: toggle, open a session or close one.
    pub(crate) fn call(self, world: &mut impl World, action: i32, name: Name<'_>) -> Outcome {
        self.call_with(world, action, name, 0)
    }

    fn call_with(self, world: &mut impl World, action: i32, name: Name<'_>, second: u64) -> Outcome {
        let name = name.to_buffer(self == Plugin::Upstream);
        let outcome = outcome(call_with(world, action, address(name.padded()), second));
        if self == Plugin::Upstream && matches!(outcome, Outcome::Started | Outcome::Stopped) {
            world.pause(UPSTREAM_SETTLES);
        }
        outcome
    }

    /// A random key, from a plugin that knows locks.
    pub(crate) fn new_key(self, world: &mut impl World) -> Option<u32> {
        match self {
            Plugin::Ours { features } if features & feature::LOCK != 0 => {
                protocol::key_from_registers(call(world, action::NEW_KEY, b""))
            }
            _ => None,
        }
    }

    /// Starts a recording of this name unless there is one, and locks it if there is a key.
    pub(crate) fn start(self, world: &mut impl World, name: Name<'_>, key: Option<u32>) -> Outcome {
        if self != Plugin::Upstream {
            let action = if key.is_some() { action::START_LOCKED } else { action::START };
            return self.call_with(world, action, name, key.unwrap_or_default().into());
        }
        match self.call(world, action::TOGGLE, name) {
            Outcome::Stopped => Outcome::Contrary,
            // It counts sessions and takes no toggle.
            Outcome::Unchanged => match self.call(world, action::SESSION_OPEN, name) {
                Outcome::Unchanged => self.call(world, action::SESSION_CLOSE, name),
                outcome => outcome,
            },
            outcome => outcome,
        }
    }

    /// Ends the recording if there is one, with its key if it is locked, and with the exit status of what was recorded.
    pub(crate) fn stop(self, world: &mut impl World, key: Option<u32>, status: u8) -> Outcome {
        if self != Plugin::Upstream {
            let action = if key.is_some() { action::STOP_LOCKED } else { action::STOP };
            return outcome(call_with(world, action, key.unwrap_or_default().into(), status.into()));
        }
        match self.call(world, action::TOGGLE, Name::UNUSED) {
            Outcome::Started => match self.call(world, action::TOGGLE, Name::UNUSED) {
                Outcome::Stopped => Outcome::Contrary,
                _ => Outcome::Failed,
            },
            Outcome::Unchanged => self.call(world, action::SESSION_CLOSE, Name::UNUSED),
            outcome => outcome,
        }
    }
}

/// What is going on; only ours can tell.
pub(crate) fn status(world: &mut impl World) -> Option<Status> {
    Status::from_registers(call(world, action::STATUS, b""))
}

/// Leaves a note; only ours takes one.
pub(crate) fn message(world: &mut impl World, text: &[u8]) -> Outcome {
    outcome(call(world, action::MESSAGE, text))
}
