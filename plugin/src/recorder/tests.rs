//! The recorder against every order of events that a guest, a monitor, other plugins and a main loop can bring about.

mod limits;
mod locks;
mod orders;
mod starts;
mod stops;
mod world;

use std::time::Duration;

use protocol::Answer;

use super::*;
use crate::files::Sizes;
use Event::{Asked, Ended, NotBegun, NotEnded, Shutdown, StartAsked, StopAsked};
use Request::{CloseSession, OpenSession, Start, StartLocked, Stop, StopLocked, Toggle};

/// When recordings begin in these tests.
const BEGUN: Event = Event::Begun(Duration::from_secs(100));
/// The most that a snapshot takes in these tests.
const SNAPSHOT: u64 = 100;

fn sessions() -> Recorder {
    Recorder::new(Rules { session_rec: true, ..Rules::default() })
}

fn manual() -> Recorder {
    Recorder::new(Rules::default())
}

fn observed(mode: Mode, pending: bool) -> Event {
    Event::Observed(Observed { mode, pending, now: Duration::from_secs(100) })
}

fn off() -> Event {
    observed(Mode::Off, false)
}

/// A stop with a key.
fn with(key: u32) -> Event {
    Asked(StopLocked { key, status: 3 })
}

fn tick(seconds: f64) -> Tick {
    Tick { now: Duration::from_secs_f64(seconds), instructions: 0, sizes: Sizes::default(), free: 1 }
}

/// What an effect brings that always works in these tests.
fn follows(effect: &Effect) -> Option<Event> {
    match effect {
        Effect::Name(number) => {
            let name = number.map_or("a".to_owned(), |number| format!("a_{number:03}"));
            Some(Event::Named { name, snapshot_bytes: SNAPSHOT })
        }
        Effect::Count(made, event) => Some(Event::Counted(made.clone(), event.clone())),
        Effect::Reserve(name) => Some(Event::Reserved(Files::pretended(name), Duration::from_secs(99))),
        Effect::StepOut => Some(Event::SteppedOut),
        Effect::AskBegin(_) => Some(Event::Awaited),
        Effect::Complete(complete) => {
            let sizes = Sizes { snapshot_bytes: SNAPSHOT, log_bytes: 1 };
            Some(Event::Measured(complete.files.clone(), sizes))
        }
        _ => None,
    }
}

/// An effect in short.
fn word(effect: &Effect) -> String {
    match effect {
        Effect::Answer(answer) => format!("{answer:?}"),
        Effect::Reply(reply) => format!("{reply:?}"),
        Effect::Name(_) => "name".into(),
        Effect::Count(..) => "count".into(),
        Effect::Reserve(name) => format!("reserve {name}"),
        Effect::StepOut => "step out".into(),
        Effect::Begin(files) => format!("begin {}", files.name()),
        Effect::AskBegin(files) => format!("ask to begin {}", files.name()),
        Effect::LookFor(files) => format!("look for {}", files.name()),
        Effect::Discard(files) => format!("discard {}", files.name()),
        Effect::Began(began) => format!("{} began", began.files.name()),
        Effect::End => "end".into(),
        Effect::AskEnd => "ask to end".into(),
        Effect::Complete(complete) => format!("{} complete: {}", complete.files.name(), complete.why),
        Effect::Refused(refusal) => format!("refused: {}", refusal.word()),
        Effect::Denied { what, .. } => format!("denied: {what}"),
        Effect::Odd(_) => "odd".into(),
        Effect::Quit => "quit".into(),
    }
}

/// A recorder whose effects always work, but for those that hold a guest or wait for PANDA.
struct Played {
    recorder: Recorder,
    /// What the last event did.
    effects: Vec<Effect>,
}

impl Played {
    fn new(recorder: Recorder) -> Played {
        Played { recorder, effects: vec![] }
    }

    /// One event, with all that follow from it; what they did.
    fn then(&mut self, event: Event) -> Vec<String> {
        self.effects.clear();
        let mut due = vec![event];
        while let Some(event) = due.pop() {
            let (recorder, effects) = std::mem::take(&mut self.recorder).step(event);
            self.recorder = recorder;
            due.extend(effects.iter().filter_map(follows));
            self.effects.extend(effects);
        }
        self.words()
    }

    fn words(&self) -> Vec<String> {
        let plain = |effect: &&Effect| {
            !matches!(effect, Effect::Name(_) | Effect::Reserve(_) | Effect::StepOut | Effect::AskBegin(_))
        };
        self.effects.iter().filter(plain).map(word).collect()
    }

    /// Several events; what the last one did.
    fn after(&mut self, events: impl IntoIterator<Item = Event>) -> Vec<String> {
        events.into_iter().fold(vec![], |_, event| self.then(event))
    }

    fn status(&self) -> Status {
        self.recorder.status(false)
    }

    /// The recording that has just been completed.
    fn complete(&self) -> &Complete {
        let complete = self.effects.iter().find_map(|effect| match effect {
            Effect::Complete(complete) => Some(complete),
            _ => None,
        });
        complete.expect("a recording was completed")
    }
}
