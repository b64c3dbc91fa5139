//! What other plugins call, by C name: `plugin/include/recctrl.h` is the C side of it.
//!
//! Functions that follow something are added and removed as PANDA's own plugins do it (`ppp_add_cb_*`), with or
//! without a context. All of it is called with QEMU's big lock held, as every callback of PANDA has it.

use std::ffi::{CStr, c_char, c_int, c_void};

use panda_plugin::recctrl::abi::{
    self, Began, BeganWith, Ended, EndedWith, Message, MessageWith, Reply, State,
};

use crate::{INSTANCE, follow::Follower};

// Every plugin that is built on the layer calls these by these types.
const _: abi::Start = recctrl_start;
const _: abi::Stop = recctrl_stop;
const _: abi::Status = recctrl_status;

/// Asks for a recording called `name`; NULL: a default name.
///
/// # Safety
///
/// `name` is NULL or ends with a NUL; the caller has QEMU's big lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn recctrl_start(name: *const c_char) -> c_int {
    let name = if name.is_null() {
        None
    } else {
        // SAFETY: the caller's promise.
        Some(unsafe { CStr::from_ptr(name) })
    };
    INSTANCE.with(Reply::Refused, |instance| instance.plugin.ask_start(name)).code()
}

/// Asks for the end of the recording.
#[unsafe(no_mangle)]
pub extern "C" fn recctrl_stop() -> c_int {
    INSTANCE.with(Reply::Refused, |instance| instance.plugin.ask_stop()).code()
}

/// Says how things stand; false when recctrl could not be loaded.
///
/// # Safety
///
/// `state` can be written to; the caller has QEMU's big lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn recctrl_status(state: *mut State) -> bool {
    INSTANCE.with(false, |instance| {
        let status = instance.plugin.status();
        let found = State {
            recording: status.recording,
            session_mode: status.session_mode,
            dry: status.dry,
            sessions: status.sessions,
            recordings: status.recordings,
        };
        // SAFETY: the caller's promise.
        unsafe { state.write(found) };
        true
    })
}

#[expect(clippy::disallowed_macros, reason = "another plugin causes it, when it is loaded")]
fn add(follower: Follower) {
    let added = INSTANCE.with(false, |instance| {
        instance.plugin.followers().add(follower);
        true
    });
    if !added {
        log::error!("another plugin wants to follow recordings, but recctrl is not loaded");
    }
}

fn remove(follower: Follower) -> bool {
    INSTANCE.with(false, |instance| instance.plugin.followers().remove(follower))
}

/// The four functions by which one kind of news is followed.
macro_rules! followed {
    ($what:literal, $plain:ident, $with:ident, $add:ident, $remove:ident, $add_with:ident, $remove_with:ident) => {
        #[doc = concat!("Has `function` called for every `", $what, "`.")]
        #[unsafe(no_mangle)]
        pub extern "C" fn $add(function: Option<$plain>) {
            if let Some(function) = function {
                add(Follower::$plain(function));
            }
        }

        #[doc = concat!("No longer calls `function` for every `", $what, "`; false when it was not called.")]
        #[unsafe(no_mangle)]
        pub extern "C" fn $remove(function: Option<$plain>) -> bool {
            function.is_some_and(|function| remove(Follower::$plain(function)))
        }

        #[doc = concat!("Has `function` called with `context` for every `", $what, "`.")]
        #[unsafe(no_mangle)]
        pub extern "C" fn $add_with(function: Option<$with>, context: *mut c_void) {
            if let Some(function) = function {
                add(Follower::$with(function, context));
            }
        }

        const _: abi::Add<Option<$with>> = $add_with;

        #[doc = concat!("No longer calls `function` with `context` for every `", $what, "`.")]
        #[unsafe(no_mangle)]
        pub extern "C" fn $remove_with(function: Option<$with>, context: *mut c_void) -> bool {
            function.is_some_and(|function| remove(Follower::$with(function, context)))
        }
    };
}

followed!(
    "on_recording_began",
    Began,
    BeganWith,
    ppp_add_cb_on_recording_began,
    ppp_remove_cb_on_recording_began,
    ppp_add_cb_on_recording_began_with_context,
    ppp_remove_cb_on_recording_began_with_context
);
followed!(
    "on_recording_ended",
    Ended,
    EndedWith,
    ppp_add_cb_on_recording_ended,
    ppp_remove_cb_on_recording_ended,
    ppp_add_cb_on_recording_ended_with_context,
    ppp_remove_cb_on_recording_ended_with_context
);
followed!(
    "on_guest_message",
    Message,
    MessageWith,
    ppp_add_cb_on_guest_message,
    ppp_remove_cb_on_guest_message,
    ppp_add_cb_on_guest_message_with_context,
    ppp_remove_cb_on_guest_message_with_context
);
