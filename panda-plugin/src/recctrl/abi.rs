//! recctrl's functions as C sees them, for both sides of the call; recctrl's header `recctrl.h` is the same for C.
//!
//! All of them are called with QEMU's big lock held, as every callback of PANDA has it.

use std::ffi::{c_char, c_int, c_void};

/// What becomes of a start or a stop that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// PANDA's main loop does it at its next turn; followers hear of it.
    Asked,
    /// It is so already.
    Already,
    /// A recording is just being begun or ended: ask again later.
    Busy,
    /// It can't be done; recctrl says why on standard error and in the events file.
    Refused,
}

impl Reply {
    /// What C is told.
    pub fn code(self) -> c_int {
        match self {
            Reply::Asked => 0,
            Reply::Already => 1,
            Reply::Busy => -1,
            Reply::Refused => -2,
        }
    }

    /// What a code means; an unknown one is a refusal.
    pub fn from_code(code: c_int) -> Reply {
        let replies = [Reply::Asked, Reply::Already, Reply::Busy];
        replies.into_iter().find(|reply| reply.code() == code).unwrap_or(Reply::Refused)
    }
}

/// How things stand: `struct recctrl_state`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// A recording is on, or just being begun or ended.
    pub recording: bool,
    /// Sessions are counted.
    pub session_mode: bool,
    /// Nothing is recorded really.
    pub dry: bool,
    /// Sessions that are open.
    pub sessions: u32,
    /// Recordings that are complete.
    pub recordings: u32,
}

/// `recctrl_start`: asks for a recording, and returns a [`Reply`]'s code. NULL: a name of recctrl's.
pub type Start = unsafe extern "C" fn(name: *const c_char) -> c_int;
/// `recctrl_stop`: asks for the end of the recording, and returns a [`Reply`]'s code.
pub type Stop = unsafe extern "C" fn() -> c_int;
/// `recctrl_status`: says how things stand; false when recctrl could not be loaded.
pub type Status = unsafe extern "C" fn(state: *mut State) -> bool;

/// `on_recording_began`: a recording has begun.
pub type Began = unsafe extern "C" fn(name: *const c_char);
/// `on_recording_ended`: a recording is complete on disk; `why` is the word of the events file.
pub type Ended = unsafe extern "C" fn(name: *const c_char, why: *const c_char, instructions: u64);
/// `on_guest_message`: the guest left a note of `len` bytes, with no NUL behind them.
pub type Message = unsafe extern "C" fn(text: *const c_char, len: usize);

/// `on_recording_began` of a follower that registered a context.
pub type BeganWith = unsafe extern "C" fn(context: *mut c_void, name: *const c_char);
/// `on_recording_ended` of a follower that registered a context.
pub type EndedWith =
    unsafe extern "C" fn(context: *mut c_void, name: *const c_char, why: *const c_char, instructions: u64);
/// `on_guest_message` of a follower that registered a context.
pub type MessageWith = unsafe extern "C" fn(context: *mut c_void, text: *const c_char, len: usize);

/// `ppp_add_cb_*_with_context`: has `function`, one of those above or none, called with `context`.
pub type Add<F> = unsafe extern "C" fn(function: F, context: *mut c_void);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_understood_as_it_was_meant_and_one_that_is_not_known_as_a_refusal() {
        for reply in [Reply::Asked, Reply::Already, Reply::Busy, Reply::Refused] {
            assert_eq!(Reply::from_code(reply.code()), reply);
        }
        assert_eq!(Reply::from_code(7), Reply::Refused);
    }
}
