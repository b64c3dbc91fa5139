//! The hypercall ABI between a guest and recctrl, used by both sides.
//!
//! A call is one instruction with four registers ([`Registers`]): the magic, an action and two
//! arguments go in, the answer comes back in the same four. The first three actions and the four
//! answers are those of PANDA's own recctrl plugin of 2019, to the letter, so that old guest binaries
//! keep working; the others are ours. `docs/protocol.md` describes them in prose.
#![no_std]

mod name;

pub use name::{NAME_MAX, Name, is_plain};

/// What the first register holds in a call that is meant for recctrl.
pub const MAGIC: u32 = 0x666;

/// The version of the actions that are ours. A change that an older agent would misread counts it up.
pub const VERSION: u32 = 1;

/// The longest message that a guest may leave, in bytes; more is an [`Answer::Error`].
pub const MESSAGE_MAX: u32 = 1024;

/// Action numbers, as they stand in the low 32 bits of the second register.
pub mod action {
    /// Starts a recording when there is none, else ends it (upstream's manual mode).
    pub const TOGGLE: i32 = -100;
    /// One more session: the first one starts a recording (upstream's session mode).
    pub const SESSION_OPEN: i32 = 100;
    /// One session less: the last one ends the recording (upstream's session mode).
    pub const SESSION_CLOSE: i32 = 200;
    /// Who is there? See [`hello_answer`](crate::hello_answer).
    pub const HELLO: i32 = 1000;
    /// What is going on? See [`Status`](crate::Status).
    pub const STATUS: i32 = 1001;
    /// Starts a recording, in either mode; [`Noop`](crate::Answer::Noop) when there is one already.
    pub const START: i32 = 1002;
    /// Ends the recording, in either mode; [`Noop`](crate::Answer::Noop) when there is none.
    pub const STOP: i32 = 1003;
    /// Leaves a note in the events file; third register: its address, fourth: its length in bytes.
    pub const MESSAGE: i32 = 1004;
    /// Gives a random number to lock a recording with. See [`key_answer`](crate::key_answer).
    pub const NEW_KEY: i32 = 1005;
    /// [`START`], and locks the recording; third register: its name, fourth: the key.
    pub const START_LOCKED: i32 = 1006;
    /// Ends a recording that this key has locked; third register: the key, fourth: the exit status of what was
    /// recorded.
    pub const STOP_LOCKED: i32 = 1007;
}

/// What a plugin can do beyond version 1 of the protocol; bits of the fourth register of a hello's answer.
pub mod feature {
    /// Recordings start and stop exactly on the hypercall.
    pub const EXACT: u32 = 1 << 0;
    /// Answers are part of the recording, which therefore replays without a plugin.
    pub const REPLAYABLE: u32 = 1 << 1;
    /// Messages are kept in an events file.
    pub const EVENTS: u32 = 1 << 2;
    /// Recordings can be locked: then only the process that started one can stop it.
    pub const LOCK: u32 = 1 << 3;
}

/// The four registers of a call or of its answer.
///
/// x86_64 and i386: EAX, EBX, ECX, EDX; arm: r0 to r3; aarch64: x0 to x3. Narrower registers are
/// zero-extended.
pub type Registers = [u64; 4];

/// What upstream's actions, `START` and `STOP` are answered with, in the first register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Answer {
    /// The call failed; nothing has changed.
    Error = -1,
    /// The call was understood; whether there is a recording did not change.
    Noop = 0,
    /// A recording has started with this very call.
    Start = 1,
    /// The recording has ended with this very call.
    Stop = 2,
}

impl Answer {
    /// The answer behind a register's value, if it is one.
    pub fn from_register(value: u64) -> Option<Answer> {
        match value as i32 {
            -1 => Some(Answer::Error),
            0 => Some(Answer::Noop),
            1 => Some(Answer::Start),
            2 => Some(Answer::Stop),
            _ => None,
        }
    }

    /// The register's value for this answer: sign-extended, as upstream's plugin gives it.
    pub fn to_register(self) -> u64 {
        self as i32 as i64 as u64
    }
}

/// A call as it came from the guest: nothing in it is to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// [`action::TOGGLE`]
    Toggle {
        /// Guest address of the recording's name.
        name: u64,
    },
    /// [`action::SESSION_OPEN`]
    OpenSession {
        /// Guest address of the recording's name.
        name: u64,
    },
    /// [`action::SESSION_CLOSE`]; its name means nothing.
    CloseSession,
    /// [`action::START`]
    Start {
        /// Guest address of the recording's name.
        name: u64,
    },
    /// [`action::STOP`]
    Stop,
    /// [`action::STATUS`]
    Status,
    /// [`action::HELLO`]
    Hello {
        /// Comes back changed, which proves that the answer is one to this call.
        nonce: u32,
    },
    /// [`action::MESSAGE`]
    Message {
        /// Guest address of the text.
        text: u64,
        /// Its length in bytes.
        len: u64,
    },
    /// [`action::NEW_KEY`]
    NewKey,
    /// [`action::START_LOCKED`]
    StartLocked {
        /// Guest address of the recording's name.
        name: u64,
        /// What will end it.
        key: u32,
    },
    /// [`action::STOP_LOCKED`]
    StopLocked {
        /// What the recording was locked with.
        key: u32,
        /// How the recorded program ended, as a shell tells it.
        status: u8,
    },
    /// The magic is ours, but there is no such action.
    Unknown(i32),
}

/// Reads a call out of the registers; `None` when the magic is not ours.
///
/// Only the low 32 bits of magic and action count, for that is all that `cpuid` looks at.
pub fn decode(registers: Registers) -> Option<Call> {
    let [magic, action, first, second] = registers;
    if magic as u32 != MAGIC {
        return None;
    }
    Some(match action as i32 {
        action::TOGGLE => Call::Toggle { name: first },
        action::SESSION_OPEN => Call::OpenSession { name: first },
        action::SESSION_CLOSE => Call::CloseSession,
        action::HELLO => Call::Hello { nonce: first as u32 },
        action::STATUS => Call::Status,
        action::START => Call::Start { name: first },
        action::STOP => Call::Stop,
        action::MESSAGE => Call::Message { text: first, len: second },
        action::NEW_KEY => Call::NewKey,
        action::START_LOCKED => Call::StartLocked { name: first, key: second as u32 },
        action::STOP_LOCKED => Call::StopLocked { key: first as u32, status: second as u8 },
        other => Call::Unknown(other),
    })
}

/// "pand", in the second register of a hello's answer.
pub const HELLO_MARK: u32 = u32::from_le_bytes(*b"pand");
/// "acap", exclusive-ored with the nonce in the third register of a hello's answer.
pub const HELLO_MASK: u32 = u32::from_le_bytes(*b"acap");

/// The registers of a hello.
pub fn hello(nonce: u32) -> Registers {
    [MAGIC as u64, action::HELLO as u32 as u64, nonce as u64, VERSION as u64]
}

/// The registers that answer a hello: version, mark, masked nonce, [`feature`] bits.
pub fn hello_answer(nonce: u32, features: u32) -> Registers {
    [VERSION as u64, HELLO_MARK as u64, (nonce ^ HELLO_MASK) as u64, features as u64]
}

/// The registers that answer [`action::NEW_KEY`]: [`Answer::Noop`], the key.
pub fn key_answer(key: u32) -> Registers {
    [Answer::Noop.to_register(), key as u64, 0, 0]
}

/// The key behind an answer's registers.
pub fn key_from_registers(registers: Registers) -> Option<u32> {
    (Answer::from_register(registers[0]) == Some(Answer::Noop)).then_some(registers[1] as u32)
}

/// Who answered a hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Our plugin.
    Recctrl {
        /// Its protocol version.
        version: u32,
        /// Its [`feature`] bits.
        features: u32,
    },
    /// PANDA's own recctrl: it takes the call as a no-op and leaves every other register alone, which
    /// a processor's own `cpuid` never does.
    Upstream,
    /// No PANDA, or one without recctrl: the processor answered as it answers any program.
    Absent,
}

/// Tells who answered `sent`, a hello, with `got`.
pub fn identify(sent: Registers, got: Registers) -> Peer {
    let low = |register: u64| register as u32;
    let nonce = low(sent[2]);
    if low(got[1]) == HELLO_MARK && low(got[2]) == nonce ^ HELLO_MASK {
        return Peer::Recctrl { version: low(got[0]), features: low(got[3]) };
    }
    let untouched = (1..4).all(|i| low(got[i]) == low(sent[i]));
    if untouched && Answer::from_register(got[0]) == Some(Answer::Noop) {
        return Peer::Upstream;
    }
    Peer::Absent
}

/// What is going on, as [`action::STATUS`] answers it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// A recording is on.
    pub recording: bool,
    /// The plugin counts sessions (`session_rec=y`).
    pub session_mode: bool,
    /// The plugin only pretends (`dry=y`).
    pub dry: bool,
    /// Sessions that are open.
    pub sessions: u32,
    /// Recordings that are complete.
    pub recordings: u32,
}

impl Status {
    const RECORDING: u64 = 1 << 0;
    const SESSION_MODE: u64 = 1 << 1;
    const DRY: u64 = 1 << 2;

    /// The registers that answer with this status: [`Answer::Noop`], flags, sessions, recordings.
    pub fn to_registers(self) -> Registers {
        let flag = |set: bool, bit: u64| if set { bit } else { 0 };
        let flags = flag(self.recording, Self::RECORDING)
            | flag(self.session_mode, Self::SESSION_MODE)
            | flag(self.dry, Self::DRY);
        [Answer::Noop.to_register(), flags, self.sessions as u64, self.recordings as u64]
    }

    /// The status behind an answer's registers.
    pub fn from_registers(registers: Registers) -> Option<Status> {
        let [answer, flags, sessions, recordings] = registers;
        (Answer::from_register(answer) == Some(Answer::Noop)).then_some(Status {
            recording: flags & Self::RECORDING != 0,
            session_mode: flags & Self::SESSION_MODE != 0,
            dry: flags & Self::DRY != 0,
            sessions: sessions as u32,
            recordings: recordings as u32,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn upstreams_numbers_are_kept_to_the_letter() {
        assert_eq!(
            (MAGIC, action::TOGGLE, action::SESSION_OPEN, action::SESSION_CLOSE),
            (0x666, -100, 100, 200)
        );
        let answers = [Answer::Error, Answer::Noop, Answer::Start, Answer::Stop].map(|a| a as i32);
        assert_eq!(answers, [-1, 0, 1, 2]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 50 } else { 256 }))]

        #[test]
        fn a_call_is_ours_exactly_when_its_low_half_is_the_magic(registers: Registers) {
            prop_assert_eq!(decode(registers).is_some(), registers[0] as u32 == MAGIC);
        }

        #[test]
        fn an_action_is_read_from_the_low_half_whatever_is_above_it(high: u32, action: i32, a: u64, b: u64) {
            let plain = decode([MAGIC as u64, action as u32 as u64, a, b]);
            let dirty = (high as u64) << 32;
            prop_assert_eq!(decode([MAGIC as u64 | dirty, action as u32 as u64 | dirty, a, b]), plain);
        }

        #[test]
        fn our_answer_to_a_hello_is_recognised(nonce: u32, features: u32) {
            let peer = identify(hello(nonce), hello_answer(nonce, features));
            prop_assert_eq!(peer, Peer::Recctrl { version: VERSION, features });
        }

        #[test]
        fn upstreams_no_op_is_recognised(nonce: u32) {
            let mut answer = hello(nonce);
            answer[0] = Answer::Noop.to_register();
            prop_assert_eq!(identify(hello(nonce), answer), Peer::Upstream);
        }

        #[test]
        fn an_answer_of_the_processor_itself_means_no_recctrl(nonce: u32, got: [u32; 4]) {
            let sent = hello(nonce);
            let got = got.map(u64::from);
            prop_assume!(got[1] as u32 != HELLO_MARK && got[1] != sent[1]);
            prop_assert_eq!(identify(sent, got), Peer::Absent);
        }

        #[test]
        fn a_key_survives_the_registers_and_an_error_is_none(key: u32) {
            prop_assert_eq!(key_from_registers(key_answer(key)), Some(key));
            prop_assert_eq!(key_from_registers([Answer::Error.to_register(), key.into(), 0, 0]), None);
        }

        #[test]
        fn a_status_survives_the_registers(recording: bool, session_mode: bool, dry: bool, sessions: u32, recordings: u32) {
            let status = Status { recording, session_mode, dry, sessions, recordings };
            prop_assert_eq!(Status::from_registers(status.to_registers()), Some(status));
        }
    }
}
