//! The recorder: what a guest's request, a limit or an end of recording does, as one pure function.
//!
//! ```text
//!              start            Begun
//!      Idle ──────────▶ Starting ─────▶ Recording ◀──────────────┐
//!     ▲  ▲ ▲               │             │     │                 │
//!     │  │ └───NotBegun────┘        stop │     │ limit, shutdown │
//!     │  │                              ▼     ▼                 │
//!     │  │                          Stopping  Ending             │
//!     │  │                           │    │     │               │
//!     │  └──────────Ended────────────┘    └─────┼───NotEnded────┘
//!     └─────────────PANDA is off again──────────┘
//! ```
//!
//! `Starting` and `Stopping` hold the guest on its hypercall while PANDA's main loop acts; `Ending` is asked for by
//! the main loop itself, or by another plugin, whose starts hold nobody either. A recording that PANDA's monitor began
//! is `Recording` with [`Owner::Monitor`]. One that a program in the guest has locked is ended by the limits, the
//! machine, PANDA's monitor and other plugins as every other is, but by the guest with the program's key alone. Nothing here reads a clock, takes a lock or knows PANDA.

mod event;
mod rules;

use std::time::Duration;

use protocol::{Answer, Status};

pub use self::{
    event::{Denied, Effect, Event, Mode, Request, Why},
    rules::{Rules, Tick},
};

/// Who a recording belongs to: only sessions are ended by their last close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Asked for by toggle or start.
    Guest,
    /// Asked for by the first session.
    Session,
    /// Begun by PANDA's monitor, library or command line.
    Monitor,
}

/// Where the recorder stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Starting(Owner, Option<Lock>),
    Recording(Recording),
    Stopping(Recording),
    Ending(Recording, Why),
    /// As many recordings as were asked for have been made.
    Finished,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Recording {
    owner: Owner,
    began: Duration,
    lock: Option<Lock>,
}

/// What keeps everything in the guest but one program from ending a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lock {
    key: u32,
    wrong_keys: u32,
}

/// How many wrong keys are taken; then the right one doesn't help either, so that trying them all leads nowhere.
const WRONG_KEYS: u32 = 100;

/// The recorder's whole state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorder {
    rules: Rules,
    phase: Phase,
    sessions: u32,
    recordings: u32,
}

impl Recorder {
    /// A recorder that has not recorded anything.
    pub fn new(rules: Rules) -> Recorder {
        Recorder { rules, phase: Phase::Idle, sessions: 0, recordings: 0 }
    }

    /// Recordings that are complete.
    pub fn recordings(&self) -> u32 {
        self.recordings
    }

    /// Whether ticks are of use: from the start of a recording of the guest's to its end.
    pub fn wants_ticks(&self) -> bool {
        match self.phase {
            Phase::Idle | Phase::Finished => false,
            Phase::Starting(..) => true,
            Phase::Recording(r) | Phase::Stopping(r) | Phase::Ending(r, _) => r.owner != Owner::Monitor,
        }
    }

    /// Whether there is a recording that is locked.
    pub fn is_locked(&self) -> bool {
        match self.phase {
            Phase::Idle | Phase::Finished => false,
            Phase::Starting(_, lock) => lock.is_some(),
            Phase::Recording(r) | Phase::Stopping(r) | Phase::Ending(r, _) => r.lock.is_some(),
        }
    }

    /// Whether no recording is just being begun or ended.
    pub fn is_settled(&self) -> bool {
        matches!(self.phase, Phase::Idle | Phase::Recording(_) | Phase::Finished)
    }

    /// What the guest is told when it asks how things stand.
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
    pub fn step(self, event: Event) -> (Recorder, Vec<Effect>) {
        let mut next = self;
        let effects = match event {
            Event::Asked(request) => next.asked(request),
            Event::StopAsked => next.stop_asked(),
            Event::Begun(now) => next.begun(now),
            Event::NotBegun => next.not_begun(),
            Event::Ended => next.ended(),
            Event::NotEnded => next.not_ended(),
            Event::Observed(mode) => next.observed(mode),
            Event::Tick(tick) => next.tick(&tick),
            Event::Shutdown => next.shutdown(),
        };
        (next, effects)
    }

    fn asked(&mut self, request: Request) -> Vec<Effect> {
        let sessions = self.rules.session_rec;
        match request {
            Request::Toggle if sessions => odd("toggle, but sessions are counted (session_rec=y)"),
            Request::OpenSession | Request::CloseSession if !sessions => {
                odd("a session, for they are counted with session_rec=y only")
            }
            Request::Toggle if self.is_recording() => self.stop(Denied::Toggle),
            Request::Toggle | Request::Start => self.start(Owner::Guest, None),
            Request::Stop => self.stop(Denied::Stop),
            Request::StartLocked(key) => self.start(Owner::Guest, Some(Lock { key, wrong_keys: 0 })),
            Request::StopLocked { key, .. } => self.unlock(key),
            Request::OpenSession => self.start(Owner::Session, None),
            Request::CloseSession => self.close_session(),
        }
    }

    fn is_recording(&self) -> bool {
        matches!(self.phase, Phase::Recording(_))
    }

    fn start(&mut self, owner: Owner, lock: Option<Lock>) -> Vec<Effect> {
        match self.phase {
            Phase::Idle => {
                self.phase = Phase::Starting(owner, lock);
                vec![Effect::Begin]
            }
            Phase::Finished => vec![
                Effect::Odd("a start, but as many recordings as were asked for have been made"),
                Effect::Answer(Answer::Error),
            ],
            _ => {
                if owner == Owner::Session {
                    self.sessions = self.sessions.saturating_add(1);
                }
                vec![Effect::Answer(Answer::Noop)]
            }
        }
    }

    /// Ends a recording, unless it is locked: that is denied, as `what` was tried.
    fn stop(&mut self, what: Denied) -> Vec<Effect> {
        let Phase::Recording(recording) = self.phase else { return vec![Effect::Answer(Answer::Noop)] };
        if recording.lock.is_some() {
            return denied(what);
        }
        self.phase = Phase::Stopping(recording);
        vec![Effect::End]
    }

    /// Ends a recording that this key has locked, and no other.
    fn unlock(&mut self, key: u32) -> Vec<Effect> {
        let Phase::Recording(recording) = &mut self.phase else {
            return vec![Effect::Answer(Answer::Noop)];
        };
        // The one that the key was for has ended, and this is another one.
        let Some(lock) = &mut recording.lock else { return vec![Effect::Answer(Answer::Noop)] };
        if key != lock.key || lock.wrong_keys >= WRONG_KEYS {
            lock.wrong_keys = lock.wrong_keys.saturating_add(1);
            return denied(Denied::Key);
        }
        self.phase = Phase::Stopping(*recording);
        vec![Effect::End]
    }

    fn stop_asked(&mut self) -> Vec<Effect> {
        match self.phase {
            Phase::Recording(recording) if recording.owner != Owner::Monitor => {
                self.phase = Phase::Ending(recording, Why::Plugin);
                vec![Effect::AskEnd]
            }
            _ => vec![],
        }
    }

    fn close_session(&mut self) -> Vec<Effect> {
        match (self.sessions, self.phase) {
            (0, _) => odd("a session was closed after its recording had ended"),
            (1, Phase::Recording(Recording { owner: Owner::Session, .. })) => self.stop(Denied::Stop),
            _ => {
                self.sessions -= 1;
                vec![Effect::Answer(Answer::Noop)]
            }
        }
    }

    fn begun(&mut self, now: Duration) -> Vec<Effect> {
        let Phase::Starting(owner, lock) = self.phase else { return vec![] };
        if owner == Owner::Session {
            self.sessions = 1;
        }
        self.phase = Phase::Recording(Recording { owner, began: now, lock });
        vec![Effect::Answer(Answer::Start)]
    }

    fn not_begun(&mut self) -> Vec<Effect> {
        if let Phase::Starting(..) = self.phase {
            self.phase = Phase::Idle;
        }
        vec![Effect::Answer(Answer::Error)]
    }

    fn ended(&mut self) -> Vec<Effect> {
        let Phase::Stopping(recording) = self.phase else { return vec![Effect::Answer(Answer::Noop)] };
        let mut effects = self.complete(recording, Why::Guest);
        effects.insert(0, Effect::Answer(Answer::Stop));
        effects
    }

    fn not_ended(&mut self) -> Vec<Effect> {
        if let Phase::Stopping(recording) = self.phase {
            self.phase = Phase::Recording(recording);
        }
        vec![Effect::Answer(Answer::Error)]
    }

    fn observed(&mut self, mode: Mode) -> Vec<Effect> {
        match (mode, self.phase) {
            (Mode::Off, Phase::Recording(recording)) => self.complete(recording, Why::Monitor),
            (Mode::Off, Phase::Ending(recording, why)) => self.complete(recording, why),
            (Mode::Record, Phase::Idle) => {
                self.phase =
                    Phase::Recording(Recording { owner: Owner::Monitor, began: Duration::ZERO, lock: None });
                vec![]
            }
            _ => vec![],
        }
    }

    fn tick(&mut self, tick: &Tick) -> Vec<Effect> {
        let Phase::Recording(recording) = self.phase else { return vec![] };
        if recording.owner == Owner::Monitor {
            return vec![];
        }
        let Some(why) = self.rules.due(recording.began, tick) else { return vec![] };
        self.phase = Phase::Ending(recording, why);
        vec![Effect::AskEnd]
    }

    fn shutdown(&mut self) -> Vec<Effect> {
        let (recording, why) = match self.phase {
            Phase::Recording(recording) => (recording, Why::Shutdown),
            Phase::Stopping(recording) => (recording, Why::Guest),
            Phase::Ending(recording, why) => (recording, why),
            Phase::Starting(..) => {
                // PANDA has not begun it, and nothing of it is on disk.
                self.phase = Phase::Idle;
                return vec![];
            }
            Phase::Idle | Phase::Finished => return vec![],
        };
        let mut effects = self.complete(recording, why);
        effects.retain(|effect| *effect != Effect::Quit);
        effects
    }

    /// The recording is on disk: sessions start from nothing, and the last one that was wanted quits PANDA.
    fn complete(&mut self, recording: Recording, why: Why) -> Vec<Effect> {
        self.sessions = 0;
        self.phase = Phase::Idle;
        if recording.owner == Owner::Monitor {
            return vec![];
        }
        self.recordings = self.recordings.saturating_add(1);
        let mut effects = vec![Effect::Complete(why)];
        if self.rules.nrec.is_some_and(|nrec| self.recordings >= nrec) {
            self.phase = Phase::Finished;
            effects.push(Effect::Quit);
        }
        effects
    }
}

fn denied(what: Denied) -> Vec<Effect> {
    vec![Effect::Denied(what), Effect::Answer(Answer::Error)]
}

fn odd(reason: &'static str) -> Vec<Effect> {
    vec![Effect::Odd(reason), Effect::Answer(Answer::Noop)]
}

#[cfg(test)]
#[path = "recorder_tests.rs"]
mod tests;
