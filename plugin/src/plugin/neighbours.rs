//! What other plugins may ask of this one: start, stop, and how things stand.
//!
//! No guest waits on a hypercall here, so none is held: PANDA's main loop begins or ends the recording at its next
//! turn, between two blocks of the guest, as it does for its own monitor.

use std::ffi::CStr;

use panda_plugin::recctrl::Reply;
use parking_lot::MutexGuard;
use protocol::Status;

use super::{Plugin, State, effects::Caller};
use crate::recorder::{Event, Mode};

impl<C: Copy + 'static> Plugin<C> {
    /// Asks for a recording; `None`, or a name without a usable character, gets a default name.
    pub fn ask_start(&self, name: Option<&CStr>) -> Reply {
        self.ask(name, Event::StartAsked)
    }

    /// Asks for the end of the recording, unless PANDA's monitor began it.
    pub fn ask_stop(&self) -> Reply {
        self.ask(None, Event::StopAsked)
    }

    fn ask(&self, name: Option<&CStr>, event: Event) -> Reply {
        if self.host.mode() == Mode::Replay {
            return Reply::Refused;
        }
        let mut state = self.state.lock();
        self.observe(&mut state);
        let reply = self.handle(&mut state, Caller::Plugin(name), event).reply;
        self.defer(state);
        reply
    }

    /// How things stand, as a guest is told.
    pub fn status(&self) -> Status {
        let mut state = self.state.lock();
        self.observe(&mut state);
        let status = state.recorder.status(self.dry);
        self.defer(state);
        status
    }

    /// Gives the lock back, and leaves what followers are to hear to the main loop: none of them is called before
    /// another plugin's call returns, so it may hold locks of its own.
    fn defer(&self, mut state: MutexGuard<'_, State>) {
        if state.later.is_due() || state.recorder.wants_ticks() {
            self.watch(&mut state);
        }
    }
}
