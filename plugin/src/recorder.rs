//! The recorder: all that is known of recordings, and what a request, a limit or an end does, as one pure function.
//!
//! ```text
//!      asked            Begun
//! Idle ─────▶ Starting ──────▶ Recording ◀─────────────────┐
//!  ▲ ▲ ▲         │               │     │                   │
//!  │ │ └─NotBegun┘          stop │     │ limit, plugin     │
//!  │ │                           ▼     ▼                   │
//!  │ │                     Stopping   Ending               │
//!  │ │                       │   │     │                   │
//!  │ └─────────Ended─────────┘   └─────┼───── NotEnded ────┘
//!  └──────── PANDA is off again ───────┘
//!
//! Starting, guest:  Naming ──▶ Reserving ──▶ Placing ──▶ Beginning
//! Starting, plugin: Naming ──▶ Reserving ──▶ Placing ──▶ Awaited
//! ```
//!
//! `Beginning` and `Stopping` hold the guest on its hypercall while PANDA's main loop acts; `Awaited` and `Ending` hold
//! no guest. A recording that PANDA's monitor began is `Monitors`, and `StoppingMonitors` while a guest ends it. What a
//! program in the guest has locked ends by its key alone, or as every other recording does by the limits, the machine,
//! PANDA's monitor and other plugins.
//!
//! Nothing here reads a clock, takes a lock, touches a file or knows PANDA.

mod effect;
mod event;
mod made;
mod phase;
mod rules;
mod start;
mod stop;

use protocol::{Answer, Status};

use self::phase::{Owner, Phase, Recording, Stage, Starting};
pub use self::{
    effect::{Began, Complete, Denied, Effect, Odd},
    event::{Event, Mode, Observed, Request, Why},
    made::Made,
    phase::Denials,
    rules::{Rules, Tick},
};
use crate::{files::Files, refusal::Refusal};

/// The recorder's whole state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorder {
    rules: Rules,
    phase: Phase,
    sessions: u32,
    recordings: u32,
    made: Made,
}

/// Whether finished recordings have just been counted, for the event that is being decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    Before,
    Now,
}

impl Recorder {
    /// A recorder that has not recorded anything.
    pub fn new(rules: Rules) -> Recorder {
        Recorder { rules, ..Recorder::default() }
    }

    /// Recordings that are complete.
    pub fn recordings(&self) -> u32 {
        self.recordings
    }

    /// The files of the recording that is on, unless PANDA's monitor began it.
    pub fn current(&self) -> Option<&Files> {
        match &self.phase {
            Phase::Recording(recording) | Phase::Stopping(recording, _) | Phase::Ending(recording, _) => {
                Some(&recording.files)
            }
            Phase::Idle
            | Phase::Starting(_)
            | Phase::Monitors
            | Phase::StoppingMonitors
            | Phase::Finished => None,
        }
    }

    /// Whether ticks are of use: from the start of a recording that is not the monitor's to its end.
    pub fn wants_ticks(&self) -> bool {
        matches!(self.phase, Phase::Starting(_)) || self.current().is_some()
    }

    /// What the guest and other plugins are told when they ask how things stand.
    pub fn status(&self, dry: bool) -> Status {
        Status {
            recording: !matches!(self.phase, Phase::Idle | Phase::Finished),
            session_mode: self.rules.session_rec,
            dry,
            sessions: self.sessions,
            recordings: self.recordings,
        }
    }

    /// Decides what `event` does.
    #[must_use]
    pub fn step(mut self, event: Event) -> (Recorder, Vec<Effect>) {
        let effects = match event {
            Event::Counted(made, event) => {
                self.made = made;
                self.decide(*event, Counted::Now)
            }
            event => self.decide(event, Counted::Before),
        };
        (self, effects)
    }

    fn decide(&mut self, event: Event, counted: Counted) -> Vec<Effect> {
        match event {
            Event::Asked(request) => self.asked(request),
            Event::StartAsked => self.start_asked(),
            Event::StopAsked => self.stop_asked(),
            Event::Named { name, snapshot_bytes } => self.named(name, snapshot_bytes, counted),
            // Counting twice decides nothing.
            Event::Counted(..) => vec![],
            Event::Reserved(files, now) => self.reserved(files, now),
            Event::SteppedOut => self.stepped_out(),
            Event::Awaited => self.awaited(),
            Event::Begun(now) => self.begun(now),
            Event::NotBegun(refusal) => self.not_begun(refusal),
            Event::LookedFor { written, now } => self.looked_for(written, now),
            Event::Ended => self.ended(),
            Event::NotEnded => self.not_ended(),
            Event::Measured(files, sizes) => {
                self.made.add(files, sizes);
                vec![]
            }
            Event::Observed(observed) => self.observed(observed),
            Event::Tick(tick) => self.tick(tick, counted),
            Event::Shutdown => self.shutdown(),
        }
    }

    fn asked(&mut self, request: Request) -> Vec<Effect> {
        let sessions = self.rules.session_rec;
        match request {
            Request::Toggle if sessions => odd(Odd::Toggle),
            Request::OpenSession | Request::CloseSession if !sessions => odd(Odd::Session),
            Request::Toggle if matches!(self.phase, Phase::Recording(_) | Phase::Monitors) => {
                self.stop(Denied::Toggle)
            }
            Request::Toggle | Request::Start => self.start(Owner::Guest, None),
            Request::Stop => self.stop(Denied::Stop),
            Request::StartLocked(key) => self.start(Owner::Guest, Some(key)),
            Request::StopLocked { key, status } => self.unlock(key, status),
            Request::OpenSession => self.start(Owner::Session, None),
            Request::CloseSession => self.close_session(),
        }
    }

    fn observed(&mut self, observed: Observed) -> Vec<Effect> {
        match (observed.mode, std::mem::take(&mut self.phase)) {
            (Mode::Off, Phase::Recording(recording)) => self.complete(recording, Why::Monitor, None),
            (Mode::Off, Phase::Ending(recording, why)) => self.complete(recording, why, None),
            (Mode::Off, Phase::Monitors) => {
                self.sessions = 0;
                vec![]
            }
            (Mode::Record, Phase::Idle) => {
                self.phase = Phase::Monitors;
                vec![]
            }
            (_, Phase::Starting(starting @ Starting { stage: Stage::Awaited(_), .. })) => {
                self.await_begin(starting, observed)
            }
            (_, phase) => self.stay(phase),
        }
    }

    /// PANDA goes: what it was recording it has ended, and what it had not begun it never will.
    fn shutdown(&mut self) -> Vec<Effect> {
        let mut effects = match std::mem::take(&mut self.phase) {
            Phase::Recording(recording) => self.complete(recording, Why::Shutdown, None),
            Phase::Stopping(recording, status) => self.complete(recording, Why::Guest, status),
            Phase::Ending(recording, why) => self.complete(recording, why, None),
            Phase::Starting(starting) => self.look_for(starting, Refusal::Shutdown),
            Phase::Monitors | Phase::StoppingMonitors => {
                self.sessions = 0;
                vec![]
            }
            phase @ (Phase::Idle | Phase::Finished) => self.stay(phase),
        };
        effects.retain(|effect| *effect != Effect::Quit);
        effects
    }

    /// Nothing is to be done in this phase.
    fn stay(&mut self, phase: Phase) -> Vec<Effect> {
        self.phase = phase;
        vec![]
    }

    /// The recording is on disk: sessions start from nothing, and the last one that was wanted quits PANDA.
    fn complete(&mut self, recording: Recording, why: Why, exit_status: Option<u8>) -> Vec<Effect> {
        self.sessions = 0;
        self.recordings = self.recordings.saturating_add(1);
        let mut effects = vec![Effect::Complete(recording.completed(why, exit_status))];
        if self.rules.nrec.is_some_and(|nrec| self.recordings >= nrec) {
            self.phase = Phase::Finished;
            effects.push(Effect::Quit);
        } else {
            self.phase = Phase::Idle;
        }
        effects
    }
}

fn odd(odd: Odd) -> Vec<Effect> {
    vec![Effect::Odd(odd), Effect::Answer(Answer::Noop)]
}

#[cfg(test)]
mod tests;
