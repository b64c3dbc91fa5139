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
//! is `Recording` with [`Owner::Monitor`]. Nothing here reads a clock, takes a lock or knows PANDA.

mod rules;

use std::time::Duration;

use protocol::{Answer, Status};

pub use self::rules::{Rules, Tick};

/// What the guest may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Start when off, stop when on.
    Toggle,
    /// One more session.
    OpenSession,
    /// One session less.
    CloseSession,
    /// Start, in either mode.
    Start,
    /// Stop, in either mode.
    Stop,
}

/// What PANDA is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The guest just runs.
    Off,
    /// The guest is recorded.
    Record,
    /// A recording is replayed.
    Replay,
}

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

/// Why a recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The guest asked for it.
    Guest,
    /// It has lasted as long as it may.
    Timeout,
    /// It has as many instructions as it may.
    MaxInstr,
    /// The disk runs low.
    MinFree,
    /// PANDA's monitor ended it.
    Monitor,
    /// Another plugin asked for it.
    Plugin,
    /// The machine went down, or PANDA was told to quit.
    Shutdown,
}

impl Why {
    /// The word for it in the events file.
    pub fn as_str(self) -> &'static str {
        match self {
            Why::Guest => "guest",
            Why::Timeout => "timeout",
            Why::MaxInstr => "max_instr",
            Why::MinFree => "min_free",
            Why::Monitor => "monitor",
            Why::Plugin => "plugin",
            Why::Shutdown => "shutdown",
        }
    }
}

/// What happens to the recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The guest asks, and is held until it has its answer.
    Asked(Request),
    /// Another plugin wants the recording to end; nobody is held for it.
    StopAsked,
    /// PANDA has begun the recording that was asked for, at this time.
    Begun(Duration),
    /// PANDA has not begun it, and will not.
    NotBegun,
    /// PANDA has ended the recording that the guest wanted ended.
    Ended,
    /// PANDA has not ended it, and will not.
    NotEnded,
    /// What PANDA is doing just now, looked at before anything else is decided.
    Observed(Mode),
    /// The main loop came by.
    Tick(Tick),
    /// PANDA is about to go; it has ended a recording that was on.
    Shutdown,
}

/// What is to be done about it, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Begin the recording while the guest is held; then `Begun` or `NotBegun`.
    Begin,
    /// End the recording while the guest is held; then `Ended` or `NotEnded`.
    End,
    /// Have the main loop end the recording at its next turn.
    AskEnd,
    /// The recording is complete on disk.
    Complete(Why),
    /// The guest's answer.
    Answer(Answer),
    /// A request that does not fit the mode or the moment; the text says why.
    Odd(&'static str),
    /// As many recordings as were asked for are on disk: quit.
    Quit,
}

/// Where the recorder stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Starting(Owner),
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
}

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
            Phase::Starting(_) => true,
            Phase::Recording(r) | Phase::Stopping(r) | Phase::Ending(r, _) => r.owner != Owner::Monitor,
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
            Request::Toggle if self.is_recording() => self.stop(),
            Request::Toggle | Request::Start => self.start(Owner::Guest),
            Request::Stop => self.stop(),
            Request::OpenSession => self.start(Owner::Session),
            Request::CloseSession => self.close_session(),
        }
    }

    fn is_recording(&self) -> bool {
        matches!(self.phase, Phase::Recording(_))
    }

    fn start(&mut self, owner: Owner) -> Vec<Effect> {
        match self.phase {
            Phase::Idle => {
                self.phase = Phase::Starting(owner);
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

    fn stop(&mut self) -> Vec<Effect> {
        let Phase::Recording(recording) = self.phase else { return vec![Effect::Answer(Answer::Noop)] };
        self.phase = Phase::Stopping(recording);
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
            (1, Phase::Recording(Recording { owner: Owner::Session, .. })) => self.stop(),
            _ => {
                self.sessions -= 1;
                vec![Effect::Answer(Answer::Noop)]
            }
        }
    }

    fn begun(&mut self, now: Duration) -> Vec<Effect> {
        let Phase::Starting(owner) = self.phase else { return vec![] };
        if owner == Owner::Session {
            self.sessions = 1;
        }
        self.phase = Phase::Recording(Recording { owner, began: now });
        vec![Effect::Answer(Answer::Start)]
    }

    fn not_begun(&mut self) -> Vec<Effect> {
        if let Phase::Starting(_) = self.phase {
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
                self.phase = Phase::Recording(Recording { owner: Owner::Monitor, began: Duration::ZERO });
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
            Phase::Starting(_) => {
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

fn odd(reason: &'static str) -> Vec<Effect> {
    vec![Effect::Odd(reason), Effect::Answer(Answer::Noop)]
}

#[cfg(test)]
#[path = "recorder_tests.rs"]
mod tests;
