//! The life of a machine: what an event, a deadline or an end does, as one pure function.
//!
//! ```text
//!              a sign          its state is wanted      calm
//!    Booting ──────────▶ Up    Booting ─────────▶ Calm ──────▶ Saving
//!       │                │                         │             │
//!       └── done, cut ───┴─────────────────────────┴─────────────┘
//!                │
//!                ▼          too long
//!             Ending ──────────────────▶ Killed
//!                │                         │
//!                └────── PANDA exits ──────┴──▶ Over      (from every phase)
//! ```
//!
//! The first cause that ends a machine is the one that is told. Deadlines are values: the driver asks for
//! the [next one](Life::deadline), and says with an [`Event`] of any kind that it has come. Nothing here reads a clock, a
//! file or a signal.

use std::time::Duration;

use super::event::{Cut, Effect, Ended, Event, Notice};

/// How long PANDA may take to end when it is asked to; a recording's log is written meanwhile.
pub const GRACE: Duration = Duration::from_secs(10);
/// Files that change all the time are looked at this often, and no more.
const SETTLE: Duration = Duration::from_millis(5);

/// What a machine is started for, and how long everything may take. Times are counted from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long its guest may take to boot; `None` when it need not boot, or whether it does is of no interest.
    pub boot: Option<Duration>,
    /// What is expected of a guest that has a bootstrap disk.
    pub hook: Option<Hook>,
    /// How long a guest that tells its command's exit status may take until it has said all.
    pub last_words: Duration,
    /// The machine's state is saved once the guest has booted and was left alone for so long; then it is done.
    pub save: Option<Duration>,
    /// How long PANDA may say nothing.
    pub silence: Option<Duration>,
    /// How long all of it may take.
    pub timeout: Option<Duration>,
    /// How often what PANDA writes is looked at even if nothing tells that it has changed.
    pub look: Option<Duration>,
    /// How it is ended.
    pub end: Way,
}

/// What is expected of a guest that has a bootstrap disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    /// How long after its boot it may leave the disk alone.
    pub patience: Duration,
    /// Whether the machine ends then: without the disk it has nothing to do.
    pub needed: bool,
}

/// How a machine is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It is asked to, and killed if it has not ended after this; `None` lets it take its time.
    Ask(Option<Duration>),
    /// It is killed: it keeps nothing. One that is about to end by itself gets this long.
    Kill(Duration),
}

impl Rules {
    /// A machine that runs until it ends by itself, and is ended by an interrupt alone.
    pub const OPEN: Rules = Rules {
        boot: None,
        hook: None,
        last_words: Duration::ZERO,
        save: None,
        silence: None,
        timeout: None,
        look: None,
        end: Way::Ask(Some(GRACE)),
    };
}

/// Where a machine stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The guest has shown no sign of having booted; it may take until `late`.
    Booting { late: Duration, bootstraps: bool },
    /// It runs.
    Up(Up),
    /// It is left alone, and its state saved after that.
    Calm { until: Duration },
    /// Its state is being saved.
    Saving,
    /// It is about to end, and killed when it does not.
    Ending { ended: Ended, kill: Option<Duration> },
    /// It was killed.
    Killed(Ended),
    /// It has ended.
    Over,
}

/// What a machine that runs is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Up {
    /// When its guest should have looked at its bootstrap disk.
    hook: Option<Duration>,
    /// When its guest must have said all.
    last_words: Option<Duration>,
    /// When it has been silent for too long.
    silence: Option<Duration>,
}

/// When its files are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    /// When they were last.
    last: Duration,
    /// Whether they have changed since.
    changed: bool,
}

/// A machine's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    rules: Rules,
    phase: Phase,
    look: Look,
}

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deadline {
    Boot,
    Hook,
    LastWords,
    Calm,
    Silence,
    Timeout,
    Kill,
    Look,
}

impl Life {
    /// A machine that is being started, and what is to be done first.
    #[must_use]
    pub fn new(rules: Rules) -> (Life, Vec<Effect>) {
        let late = rules.boot.unwrap_or_default();
        let look = Look { last: Duration::ZERO, changed: false };
        let mut life = Life { rules, phase: Phase::Booting { late, bootstraps: false }, look };
        let mut effects = Vec::new();
        if rules.boot.is_none() {
            life.up(Duration::ZERO, &mut effects);
        }
        (life, effects)
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// When something has to be decided even if nothing happens.
    pub fn deadline(&self) -> Option<Duration> {
        self.deadlines().into_iter().filter_map(|(at, _)| at).min()
    }

    /// Decides what `event` does, and what every deadline does that has come by then.
    #[must_use]
    pub fn step(self, at: Duration, event: Event) -> (Life, Vec<Effect>) {
        let (mut next, mut effects) = (self, Vec::new());
        next.take(at, event, &mut effects);
        // An event comes before the deadlines: it had happened before the clock was looked at.
        while let Some(deadline) = next.due(at) {
            next.reach(at, deadline, &mut effects);
        }
        (next, effects)
    }

    fn take(&mut self, at: Duration, event: Event, effects: &mut Vec<Effect>) {
        if event == Event::Exited {
            return self.exited(effects);
        }
        if !self.runs() {
            return;
        }
        match event {
            Event::Exited | Event::Due => {}
            Event::Changed => self.look.changed = true,
            Event::Booted => self.up(at, effects),
            Event::Heard => self.heard(at, effects),
            Event::Bootstraps => self.bootstraps(),
            Event::CommandEnded => {
                self.heard(at, effects);
                if let Phase::Up(up) = &mut self.phase {
                    up.last_words.get_or_insert(at.saturating_add(self.rules.last_words));
                }
            }
            Event::SaidAll => {
                if self.rules.save.is_none() {
                    self.end(at, Ended::Done, effects);
                }
            }
            Event::Output => self.talks(Some(at)),
            Event::Held => self.talks(None),
            Event::Hangup => self.hangup(at),
            Event::Saved => {
                if self.phase == Phase::Saving {
                    self.end(at, Ended::Done, effects);
                }
            }
            Event::NotSaved => {
                if self.phase == Phase::Saving {
                    self.cut(at, Cut::NotSaved, effects);
                }
            }
            // What a guest that has booted does does not matter; one that panics while it is recorded ends by itself.
            Event::Panicked => {
                if matches!(self.phase, Phase::Booting { .. } | Phase::Calm { .. }) {
                    self.cut(at, Cut::Panic, effects);
                }
            }
            Event::BootstrapFailed => self.cut(at, Cut::Bootstrap, effects),
            Event::Reached(bound) => self.cut(at, Cut::Bound(bound), effects),
            Event::Interrupt => self.cut(at, Cut::Interrupt, effects),
            Event::Lost => self.cut(at, Cut::Lost, effects),
        }
    }

    /// Whether nothing has ended it yet.
    fn runs(&self) -> bool {
        match self.phase {
            Phase::Booting { .. } | Phase::Up(_) | Phase::Calm { .. } | Phase::Saving => true,
            Phase::Ending { .. } | Phase::Killed(_) | Phase::Over => false,
        }
    }

    fn exited(&mut self, effects: &mut Vec<Effect>) {
        let ended = match self.phase {
            Phase::Over => return,
            Phase::Ending { ended, .. } | Phase::Killed(ended) => ended,
            Phase::Booting { .. } | Phase::Up(_) | Phase::Calm { .. } | Phase::Saving => Ended::Itself,
        };
        self.phase = Phase::Over;
        effects.push(Effect::Over(ended));
    }

    /// The guest has booted, as far as can be seen.
    fn up(&mut self, at: Duration, effects: &mut Vec<Effect>) {
        let Phase::Booting { bootstraps, .. } = self.phase else { return };
        let hook = self.rules.hook.filter(|_| !bootstraps);
        self.phase = match self.rules.save {
            Some(calm) => Phase::Calm { until: at.saturating_add(calm) },
            None => Phase::Up(Up {
                hook: hook.map(|hook| at.saturating_add(hook.patience)),
                last_words: None,
                silence: self.rules.silence.map(|silence| at.saturating_add(silence)),
            }),
        };
        effects.push(Effect::Tell(Notice::Booted));
    }

    /// The guest has said something, which it does only after its bootstrapping, if it does that at all.
    fn heard(&mut self, at: Duration, effects: &mut Vec<Effect>) {
        self.bootstraps();
        self.up(at, effects);
    }

    fn bootstraps(&mut self) {
        match &mut self.phase {
            Phase::Booting { bootstraps, .. } => *bootstraps = true,
            Phase::Up(up) => up.hook = None,
            _ => {}
        }
    }

    /// PANDA has said something at this time, or is kept from it.
    fn talks(&mut self, at: Option<Duration>) {
        if let (Phase::Up(up), Some(silence)) = (&mut self.phase, self.rules.silence) {
            up.silence = at.map(|at| at.saturating_add(silence));
        }
    }

    fn hangup(&mut self, at: Duration) {
        let grace = match self.rules.end {
            Way::Ask(grace) => grace,
            Way::Kill(grace) => Some(grace),
        };
        self.phase =
            Phase::Ending { ended: Ended::Itself, kill: grace.map(|grace| at.saturating_add(grace)) };
    }

    fn cut(&mut self, at: Duration, cut: Cut, effects: &mut Vec<Effect>) {
        self.end(at, Ended::Cut(cut), effects);
    }

    fn end(&mut self, at: Duration, ended: Ended, effects: &mut Vec<Effect>) {
        match self.rules.end {
            Way::Ask(grace) => {
                self.phase = Phase::Ending { ended, kill: grace.map(|grace| at.saturating_add(grace)) };
                effects.push(Effect::Terminate);
            }
            Way::Kill(_) => {
                self.phase = Phase::Killed(ended);
                effects.push(Effect::Kill);
            }
        }
    }

    /// Every deadline that there is in this phase; the first of two at the same time is the one that counts.
    fn deadlines(&self) -> [(Option<Duration>, Deadline); 8] {
        let phase = self.phase;
        let up = if let Phase::Up(up) = phase { up } else { Up::default() };
        let runs = self.runs();
        [
            (if let Phase::Booting { late, .. } = phase { Some(late) } else { None }, Deadline::Boot),
            (up.hook, Deadline::Hook),
            (up.last_words, Deadline::LastWords),
            (if let Phase::Calm { until } = phase { Some(until) } else { None }, Deadline::Calm),
            (up.silence, Deadline::Silence),
            (self.rules.timeout.filter(|_| runs), Deadline::Timeout),
            (if let Phase::Ending { kill, .. } = phase { kill } else { None }, Deadline::Kill),
            (self.next_look().filter(|_| runs), Deadline::Look),
        ]
    }

    fn next_look(&self) -> Option<Duration> {
        let after = if self.look.changed { Some(SETTLE) } else { self.rules.look };
        after.map(|after| self.look.last.saturating_add(after.max(SETTLE)))
    }

    /// The first deadline that has come.
    fn due(&self, at: Duration) -> Option<Deadline> {
        let come = self.deadlines().into_iter().filter_map(|(due, what)| Some((due?, what)));
        come.filter(|(due, _)| *due <= at).min_by_key(|(due, _)| *due).map(|(_, what)| what)
    }

    fn reach(&mut self, at: Duration, deadline: Deadline, effects: &mut Vec<Effect>) {
        match deadline {
            Deadline::Boot => self.cut(at, Cut::Boot, effects),
            Deadline::Hook if self.rules.hook.is_some_and(|hook| hook.needed) => {
                self.cut(at, Cut::NoHook, effects);
            }
            Deadline::Hook => {
                self.bootstraps();
                effects.push(Effect::Tell(Notice::NoHook));
            }
            Deadline::LastWords => self.end(at, Ended::Done, effects),
            Deadline::Calm => {
                self.phase = Phase::Saving;
                effects.push(Effect::Save);
            }
            Deadline::Silence => self.cut(at, Cut::Silence, effects),
            Deadline::Timeout => self.cut(at, Cut::Timeout, effects),
            Deadline::Kill => {
                if let Phase::Ending { ended, .. } = self.phase {
                    self.phase = Phase::Killed(ended);
                    effects.push(Effect::Kill);
                }
            }
            Deadline::Look => {
                self.look = Look { last: at, changed: false };
                effects.push(Effect::Look);
            }
        }
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
