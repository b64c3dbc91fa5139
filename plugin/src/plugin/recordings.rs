//! How a recording begins and ends: what the recorder wants done, done to PANDA, the files and the guest.

use std::{
    ffi::CString,
    time::{Duration, Instant},
};

use parking_lot::MutexGuard;
use protocol::{Answer, Name, Registers};
use serde_json::{Value, json};

use super::{Plugin, State, Verdict, with};
use crate::{
    files::{self, Files},
    follow::News,
    host::{Host, Refusal},
    quiet::say,
    recorder::{Denied, Effect, Event, Mode, Request, Why},
};

/// A recording that begins where the guest stands.
pub(super) struct Starting {
    pub(super) files: Files,
    /// The guest's, as it made the call.
    registers: Registers,
    asked: Instant,
}

/// The recording that is on.
pub(super) struct Current {
    files: Option<Files>,
    pub(super) name: String,
    began: Instant,
    /// What those before it take.
    others: u64,
    /// How what is recorded has ended, as told by the one that has the key.
    pub(super) exit_status: Option<u8>,
    pub(super) denied: Denials,
}

/// How often what was denied.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Denials {
    stop: u64,
    toggle: u64,
    key: u64,
}

impl Denials {
    /// Counts it; the word for it in the events file.
    fn count(&mut self, denied: Denied) -> &'static str {
        let (count, word) = match denied {
            Denied::Stop => (&mut self.stop, "stop"),
            Denied::Toggle => (&mut self.toggle, "toggle"),
            Denied::Key => (&mut self.key, "key"),
        };
        *count = count.saturating_add(1);
        word
    }

    /// As it is in the events file; nothing where nothing was denied.
    fn to_json(self) -> Option<Value> {
        let Denials { stop, toggle, key } = self;
        (stop + toggle + key > 0).then(|| json!({ "stop": stop, "toggle": toggle, "key": key }))
    }
}

impl<H: Host> Plugin<H> {
    /// What somebody asked for that may start or stop a recording.
    pub(super) fn request(
        &self,
        mut state: MutexGuard<'_, State>,
        cpu: H::Cpu,
        registers: Registers,
        request: Request,
        name: Option<u64>,
    ) -> Verdict {
        let mut effects = self.decide(&mut state, Event::Asked(request));
        if effects.contains(&Effect::Begin) {
            let name = self.name(&mut state, cpu, name.unwrap_or(0));
            state.events.chatter("asked", json!({ "name": name }));
            if let Err(refusal) = self.may_begin(&mut state) {
                effects = self.refused(&mut state, &refusal);
            } else if self.options.dry {
                state.pretended = Mode::Record;
                effects = self.began(&mut state, name, None, None);
            } else {
                match self.step_out(&name, cpu, registers) {
                    Ok(starting) => {
                        state.starting = Some(starting);
                        self.release(state);
                        return Verdict::SteppedOut;
                    }
                    Err(refusal) => effects = self.refused(&mut state, &refusal),
                }
            }
        } else if effects.contains(&Effect::End) {
            if let (Request::StopLocked { status, .. }, Some(current)) = (request, &mut state.current) {
                current.exit_status = Some(status);
            }
            let ended = if self.options.dry {
                state.pretended = Mode::Off;
                Ok(())
            } else {
                MutexGuard::unlocked(&mut state, || self.host.end())
            };
            let event = match ended {
                Ok(()) => Event::Ended,
                Err(refusal) => {
                    say!(state.lines, error, "the recording goes on: {refusal}");
                    Event::NotEnded
                }
            };
            effects = self.decide(&mut state, event);
        }
        self.release(state);
        let answer = effects.iter().find_map(|effect| match effect {
            Effect::Answer(answer) => Some(*answer),
            _ => None,
        });
        self.host.answer(cpu, with(registers, answer.unwrap_or(Answer::Noop)));
        Verdict::Answered
    }

    /// Has the guest step out of PANDA's execution loop, told that its recording has begun.
    fn step_out(&self, name: &str, cpu: H::Cpu, registers: Registers) -> Result<Starting, Refusal> {
        let files = self.reserve(name)?;
        let asked = Instant::now();
        match self.host.step_out(cpu, with(registers, Answer::Start)) {
            Ok(()) => Ok(Starting { files, registers, asked }),
            Err(refusal) => {
                files.remove();
                Err(refusal)
            }
        }
    }

    /// The guest has stepped out of PANDA's execution loop: begins what it asked for, and tells it when that failed.
    pub fn stepped_out(&self, cpu: H::Cpu) {
        let mut state = self.state.lock();
        let Some(recording) = state.starting.as_ref().map(|starting| starting.files.recording.clone()) else {
            return;
        };
        let begun = MutexGuard::unlocked(&mut state, || self.host.begin(&recording));
        // PANDA may have gone meanwhile, and `shutdown` has seen to it.
        let Some(Starting { files, registers, asked }) = state.starting.take() else { return };
        match begun {
            Ok(()) => {
                self.began(&mut state, files.name.clone(), Some(files), Some(asked.elapsed()));
            }
            Err(refusal) => {
                files.remove();
                self.refused(&mut state, &refusal);
                self.host.answer(cpu, with(registers, Answer::Error));
            }
        }
        self.release(state);
    }

    /// PANDA goes while a guest is held for its recording, which may have begun, and which PANDA has ended then.
    pub(super) fn settle_starting(&self, state: &mut State) {
        let Some(Starting { files, asked, .. }) = state.starting.take() else { return };
        if files.sizes().snapshot_bytes > 0 {
            self.began(state, files.name.clone(), Some(files), Some(asked.elapsed()));
        } else {
            files.remove();
            self.refused(state, &Refusal::Shutdown);
        }
    }

    /// Whether the bounds leave room for one more recording.
    pub(super) fn may_begin(&self, state: &mut State) -> Result<(), Refusal> {
        let made = state.recorder.recordings();
        if self.rules.max_recordings.is_some_and(|most| made >= most) {
            return Err(Refusal::TooMany(made));
        }
        let used = state.made.bytes();
        let needed = if state.made.is_empty() { 0 } else { self.host.snapshot_bytes() };
        match self.rules.max_bytes.filter(|&most| used.saturating_add(needed) > most) {
            Some(most) => Err(Refusal::MaxBytes { used, needed, most }),
            None => Ok(()),
        }
    }

    /// The files for a recording, if it can be made and there is room for it.
    pub(super) fn reserve(&self, name: &str) -> Result<Files, Refusal> {
        if let Some(obstacle) = self.host.obstacle() {
            return Err(obstacle);
        }
        let needed = self.host.snapshot_bytes().saturating_add(self.rules.min_free);
        let free = self.free();
        if free < needed {
            return Err(Refusal::Space { dir: files::text(self.folder.path()), free, needed });
        }
        self.folder.reserve(name)
    }

    /// A recording has begun; `held` is how long the guest was, behind its hypercall.
    pub(super) fn began(
        &self,
        state: &mut State,
        name: String,
        files: Option<Files>,
        held: Option<Duration>,
    ) -> Vec<Effect> {
        let name = files.as_ref().map_or(name, |files| files.name.clone());
        match &files {
            None => say!(state.lines, info, "recording {name} (not really: dry=y)"),
            Some(files) => {
                say!(state.lines, info, "recording {name}");
                let snapshot_bytes = files.sizes().snapshot_bytes;
                let locked = state.recorder.is_locked();
                let mut fields = json!({ "name": name, "snapshot_bytes": snapshot_bytes, "locked": locked });
                if let Some(held) = held {
                    fields["held_seconds"] = held.as_secs_f64().into();
                }
                state.events.record("began", fields);
            }
        }
        state.news.push(News::Began { name: c_text(&name) });
        let (exit_status, denied) = (None, Denials::default());
        let others = state.made.bytes();
        state.current = Some(Current { name, files, began: Instant::now(), others, exit_status, denied });
        self.watch(state);
        self.decide(state, Event::Begun(self.now()))
    }

    /// A recording can't be made, for this reason.
    pub(super) fn refused(&self, state: &mut State, refusal: &Refusal) -> Vec<Effect> {
        say!(state.lines, error, "no recording: {refusal}");
        state.events.chatter("refused", json!({ "why": refusal.to_string() }));
        self.decide(state, Event::NotBegun)
    }

    /// Something in the guest tried to end a recording that is locked.
    pub(super) fn denied(&self, state: &mut State, denied: Denied) {
        let Some(current) = &mut state.current else { return };
        let what = current.denied.count(denied);
        let name = &current.name;
        say!(state.lines, warn, "{name} is locked, and goes on: the guest tried to end it ({what})");
        state.events.chatter("denied", json!({ "name": name, "what": what }));
    }

    /// The name of the next recording.
    pub(super) fn numbered(&self, state: &State, name: Option<Name>) -> String {
        files::numbered(name, state.recorder.recordings(), self.rules.nrec == Some(1))
    }

    /// What all recordings take, the one that is on included.
    pub(super) fn bytes(&self, state: &State) -> u64 {
        let Some(current) = &state.current else { return 0 };
        current.files.as_ref().map_or(0, |files| state.made.bytes_with(current.others, files))
    }

    /// Has the main loop end the recording.
    pub(super) fn ask_end(&self, state: &mut State) {
        if self.options.dry {
            state.pretended = Mode::Off;
        } else {
            self.host.ask_end();
        }
    }

    /// The recording is on disk.
    pub(super) fn complete(&self, state: &mut State, why: Why) {
        let Some(current) = state.current.take() else { return };
        let sizes = current.files.as_ref().map(Files::sizes).unwrap_or_default();
        let seconds = current.began.elapsed().as_secs_f64();
        state.news.push(News::Ended {
            name: c_text(&current.name),
            why: c_text(why.as_str()),
            instructions: sizes.instructions,
        });
        let (name, instructions) = (&current.name, sizes.instructions);
        say!(state.lines, info, "{name} is complete: {instructions} instructions ({})", why.as_str());
        let mut fields = json!({
            "name": current.name,
            "why": why.as_str(),
            "instructions": sizes.instructions,
            "snapshot_bytes": sizes.snapshot_bytes,
            "log_bytes": sizes.log_bytes,
            "seconds": seconds,
            "dry": current.files.is_none(),
        });
        if let Some(status) = current.exit_status.filter(|_| why == Why::Guest) {
            fields["exit_status"] = status.into();
        }
        if let Some(denied) = current.denied.to_json() {
            fields["denied"] = denied;
        }
        match current.files {
            Some(files) => {
                state.events.record("ended", fields);
                state.made.add(files);
            }
            // It costs a guest nothing to pretend again and again.
            None => state.events.chatter("ended", fields),
        }
    }
}

/// A text of ours for C.
fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "")).unwrap_or_default()
}
