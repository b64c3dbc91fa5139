//! What other plugins may ask of this one: start, stop, and how things stand.
//!
//! No guest waits on a hypercall here, so none is held: PANDA's main loop begins or ends the recording at its next
//! turn, between two blocks of the guest, as it does for its own monitor.

use std::ffi::CStr;

use panda_plugin::recctrl::Reply;
use parking_lot::MutexGuard;
use protocol::{Name, Status};

use super::{Plugin, State};
use crate::{
    files::Files,
    host::{Host, Refusal},
    recorder::{Effect, Event, Mode, Request},
};

/// A recording that another plugin asked for, until the main loop has begun it.
pub(super) struct Wanted {
    name: String,
    /// None in a dry run.
    files: Option<Files>,
}

impl<H: Host> Plugin<H> {
    /// Asks for a recording; `None`, or a name without a usable character, gets one of ours.
    pub fn ask_start(&self, name: Option<&CStr>) -> Reply {
        if self.host.mode() == Mode::Replay {
            return Reply::Refused;
        }
        let mut state = self.state.lock();
        self.observe(&mut state);
        if !state.recorder.is_settled() {
            self.defer(state);
            return Reply::Busy;
        }
        let reply = if self.decide(&mut state, Event::Asked(Request::Start)).contains(&Effect::Begin) {
            let name = name.and_then(|name| Name::from_guest(name.to_bytes_with_nul()));
            let name = self.numbered(&state, name);
            match self.may_begin(&mut state).and_then(|()| self.want(&name)) {
                Ok(files) => {
                    state.wanted = Some(Wanted { name, files });
                    self.watch(&mut state);
                    Reply::Asked
                }
                Err(refusal) => {
                    self.refused(&mut state, &refusal);
                    Reply::Refused
                }
            }
        } else if state.recorder.status(false).recording {
            Reply::Already
        } else {
            Reply::Refused
        };
        self.defer(state);
        reply
    }

    /// Asks for the end of the recording, whoever started it; not of one that PANDA's monitor began.
    pub fn ask_stop(&self) -> Reply {
        if self.host.mode() == Mode::Replay {
            return Reply::Refused;
        }
        let mut state = self.state.lock();
        self.observe(&mut state);
        let reply = if !state.recorder.is_settled() {
            Reply::Busy
        } else if self.decide(&mut state, Event::StopAsked).contains(&Effect::AskEnd) {
            self.ask_end(&mut state);
            self.watch(&mut state);
            Reply::Asked
        } else if state.recorder.status(false).recording {
            Reply::Refused
        } else {
            Reply::Already
        };
        self.defer(state);
        reply
    }

    /// How things stand, as a guest is told.
    pub fn status(&self) -> Status {
        let mut state = self.state.lock();
        self.observe(&mut state);
        let status = state.recorder.status(self.options.dry);
        self.defer(state);
        status
    }

    /// Gives the lock back, and leaves what followers are to hear to the main loop: none of them is called before
    /// another plugin's call returns, so it may hold locks of its own.
    fn defer(&self, mut state: MutexGuard<'_, State>) {
        if state.has_news() {
            self.watch(&mut state);
        }
    }

    fn want(&self, name: &str) -> Result<Option<Files>, Refusal> {
        if self.options.dry {
            return Ok(None);
        }
        let files = self.reserve(name)?;
        match self.host.ask_begin(&files.recording) {
            Ok(()) => Ok(Some(files)),
            Err(refusal) => {
                files.remove();
                Err(refusal)
            }
        }
    }

    /// Sees whether the recording that was asked for has begun; with `finally`, it never will later.
    pub(super) fn settle(&self, state: &mut State, finally: bool) {
        let Some(wanted) = state.wanted.take() else { return };
        let begun = match &wanted.files {
            None => {
                state.pretended = Mode::Record;
                true
            }
            // Where it has ended since, its snapshot is there.
            Some(files) => self.host.mode() == Mode::Record || files.sizes().snapshot_bytes > 0,
        };
        if begun {
            self.began(state, wanted.name, wanted.files, None);
        } else if self.host.is_pending() && !finally {
            state.wanted = Some(wanted);
        } else {
            if let Some(files) = wanted.files {
                files.remove();
            }
            self.refused(state, if finally { &Refusal::Shutdown } else { &Refusal::NoTurn });
        }
    }
}
