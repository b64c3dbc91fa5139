//! The loop that has the recorder decide, and carries out what it decides.

use std::{collections::VecDeque, ffi::CStr, mem};

use panda_plugin::recctrl::Reply;
use parking_lot::MutexGuard;
use protocol::{Name, Registers};
use serde_json::json;

use super::{Plugin, State, Verdict, with};
use crate::{
    files::{Files, numbered},
    host::Place,
    quiet::say,
    recorder::{Effect, Event},
    refusal::Refusal,
};

/// Who brings an event, for as long as its callback lasts.
#[derive(Clone, Copy)]
pub(super) enum Caller<'a, C> {
    /// A guest on its hypercall, or behind it.
    Guest(Guest<C>),
    /// Another plugin, which may name its recording.
    Plugin(Option<&'a CStr>),
    /// PANDA's main loop, or any of its turns: it waits for no answer.
    MainLoop,
}

/// A guest on its hypercall, or behind it.
#[derive(Clone, Copy)]
pub(super) struct Guest<C> {
    pub(super) cpu: C,
    /// As the guest made the call.
    pub(super) registers: Registers,
    /// Where the name of its recording is in its memory.
    pub(super) name: u64,
}

/// What a caller learns.
pub(super) struct Outcome {
    pub(super) verdict: Verdict,
    pub(super) reply: Reply,
}

impl<C: Copy + 'static> Plugin<C> {
    /// Has the recorder decide what `event` does, and carries it out, until no event follows.
    pub(super) fn handle(
        &self,
        state: &mut MutexGuard<'_, State>,
        caller: Caller<'_, C>,
        event: Event,
    ) -> Outcome {
        let mut outcome = Outcome { verdict: Verdict::Answered, reply: Reply::Refused };
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let (recorder, effects) = mem::take(&mut state.recorder).step(event);
            state.recorder = recorder;
            for effect in effects {
                events.extend(self.carry_out(state, caller, effect, &mut outcome));
            }
        }
        outcome
    }

    /// Carries out one effect, and returns the event that it brings.
    fn carry_out(
        &self,
        state: &mut MutexGuard<'_, State>,
        caller: Caller<'_, C>,
        effect: Effect,
        outcome: &mut Outcome,
    ) -> Option<Event> {
        match effect {
            Effect::Answer(answer) => {
                if let Caller::Guest(guest) = caller {
                    self.host.answer(guest.cpu, with(guest.registers, answer));
                }
            }
            Effect::Reply(reply) => outcome.reply = reply,
            Effect::Name(number) => {
                let name = self.name(state, caller, number);
                return Some(Event::Named { name, snapshot_bytes: self.host.snapshot_bytes() });
            }
            Effect::Count(made, event) => {
                return Some(Event::Counted(made.recounted(Files::sizes), event));
            }
            Effect::Reserve(name) => {
                let files = self.host.reserve(&self.folder, &name, self.rules.min_free);
                return Some(or_refusal(files.map(|files| Event::Reserved(files, self.now()))));
            }
            Effect::StepOut => return self.step_out(caller, outcome),
            Effect::Begin(files) => {
                let begun = MutexGuard::unlocked(state, || self.host.begin(files.recording()));
                return Some(or_refusal(begun.map(|()| Event::Begun(self.now()))));
            }
            Effect::AskBegin(files) => {
                let asked = self.host.ask_begin(files.recording());
                return Some(or_refusal(asked.map(|()| Event::Awaited)));
            }
            Effect::LookFor(files) => {
                let written = files.sizes().snapshot_bytes > 0;
                return Some(Event::LookedFor { written, now: self.now() });
            }
            Effect::Discard(files) => {
                if let Err(error) = files.remove() {
                    say!(state.lines, Warn, "can't remove the files of {}: {error}", files.name());
                }
            }
            Effect::Began(began) => {
                self.report_beginning(state, &began);
                self.watch(state);
            }
            Effect::End => return Some(self.end(state)),
            Effect::AskEnd => self.host.ask_end(),
            Effect::Complete(complete) => {
                let sizes = complete.files.sizes();
                self.report_end(state, &complete, sizes);
                return Some(Event::Measured(complete.files, sizes));
            }
            Effect::Refused(refusal) => {
                say!(state.lines, Error, "no recording: {refusal}");
                let fields = json!({ "why": refusal.to_string(), "reason": refusal.word() });
                state.events.chatter("refused", fields);
            }
            Effect::Denied { name, what } => {
                say!(state.lines, Warn, "{name} is locked, and goes on: the guest tried to end it ({what})");
                state.events.chatter("denied", json!({ "name": name, "what": what.to_string() }));
            }
            Effect::Odd(odd) => say!(state.lines, Warn, "ignoring {odd}"),
            Effect::Quit => state.later.quit = true,
        }
        None
    }

    /// The name of a recording that `caller` wants.
    fn name(&self, state: &mut State, caller: Caller<'_, C>, number: Option<u32>) -> String {
        match caller {
            Caller::Guest(guest) => {
                let name = numbered(self.guest_name(state, guest.cpu, guest.name), number);
                state.events.chatter("asked", json!({ "name": name }));
                name
            }
            Caller::Plugin(name) => {
                numbered(name.and_then(|name| Name::from_guest(name.to_bytes_with_nul())), number)
            }
            Caller::MainLoop => numbered(None, number),
        }
    }

    fn step_out(&self, caller: Caller<'_, C>, outcome: &mut Outcome) -> Option<Event> {
        let Caller::Guest(guest) = caller else { return None };
        match self.host.step_out(guest.cpu) {
            Ok(Place::Here) => Some(Event::SteppedOut),
            Ok(Place::Outside) => {
                outcome.verdict = Verdict::SteppedOut;
                None
            }
            Err(refusal) => Some(Event::NotBegun(refusal)),
        }
    }

    fn end(&self, state: &mut MutexGuard<'_, State>) -> Event {
        match MutexGuard::unlocked(state, || self.host.end()) {
            Ok(()) => Event::Ended,
            Err(refusal) => {
                say!(state.lines, Error, "the recording goes on: {refusal}");
                Event::NotEnded
            }
        }
    }
}

/// What a start that can be refused brings.
fn or_refusal(event: Result<Event, Refusal>) -> Event {
    event.unwrap_or_else(Event::NotBegun)
}
