//! A world around the recorder: a PANDA, a guest, a user and other plugins that do as they are told to.

use std::collections::BTreeMap;

use super::*;

/// What the world may do next: any of it, at any time, sensible or not.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// The guest asks, PANDA does it or not, and this happens while the guest is held.
    Guest(Request, bool, Vec<Act>),
    PluginStarts(bool),
    PluginStops,
    MonitorBegins,
    MonitorEnds,
    /// PANDA's main loop has a turn, and does what was asked of it or not.
    MainLoop(bool),
    Tick(Tick),
    /// The user takes one of the finished recordings away.
    Removes(usize),
    GoesDown,
}

/// Files of a recording in the world: reserved, then written by PANDA, then complete or discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Reserved,
    Written,
    Discarded,
    Complete,
}

/// Who brings an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Guest { works: bool },
    Plugin { works: bool },
    World,
}

/// A PANDA that does what it is asked, and counts.
pub(super) struct World {
    pub(super) recorder: Recorder,
    mode: Mode,
    /// PANDA's main loop is to begin it.
    pending: Option<String>,
    /// What is to happen while a guest is held.
    held: Vec<Act>,
    /// Recordings that were ever reserved, by number of reservation and name.
    files: Vec<(String, Fate)>,
    /// Sizes of the finished ones that are still there.
    disk: BTreeMap<String, Sizes>,
    finished: Vec<String>,
    /// What has been told to have begun and not to have ended.
    told: Option<String>,
    begins: u32,
    pub(super) completes: u32,
    pub(super) quits: u32,
    answers: Vec<Answer>,
    replies: u32,
    monitors: bool,
    gone: bool,
    /// What the guest's latest recording was locked with.
    key: Option<u32>,
}

impl World {
    pub(super) fn new(rules: Rules) -> World {
        World {
            recorder: Recorder::new(rules),
            mode: Mode::Off,
            pending: None,
            held: vec![],
            files: vec![],
            disk: BTreeMap::new(),
            finished: vec![],
            told: None,
            begins: 0,
            completes: 0,
            quits: 0,
            answers: vec![],
            replies: 0,
            monitors: false,
            gone: false,
            key: None,
        }
    }

    /// The files of this name that are not settled.
    fn fate(&mut self, name: &str) -> &mut Fate {
        let found = self.files.iter_mut().rfind(|(known, _)| known == name);
        &mut found.expect("files that were reserved").1
    }

    /// Bytes of the finished recordings that are there, by the rule of the first snapshot.
    fn bytes(&self) -> u64 {
        let mut sizes = self.finished.iter().filter_map(|name| self.disk.get(name));
        let first = sizes.next().map_or(0, |sizes| sizes.log_bytes);
        first + sizes.map(|sizes| sizes.snapshot_bytes + sizes.log_bytes).sum::<u64>()
    }

    /// An event and all that follows from it, with what must hold after each step.
    fn handle(&mut self, event: Event, from: From) {
        let mut due = vec![event];
        while let Some(event) = due.pop() {
            let (recorder, effects) = std::mem::take(&mut self.recorder).step(event);
            self.recorder = recorder;
            let last = effects.len().saturating_sub(1);
            for (place, effect) in effects.into_iter().enumerate() {
                let quits = matches!(effect, Effect::Complete(_));
                if let Some(event) = self.carry_out(effect, from) {
                    assert!(place == last || quits, "an effect that brings an event has others behind it");
                    due.push(event);
                }
            }
            assert!(self.completes <= self.begins, "a recording was completed that had not begun");
        }
        assert_eq!(self.recorder.recordings(), self.completes);
    }

    fn carry_out(&mut self, effect: Effect, from: From) -> Option<Event> {
        let now = Duration::from_secs(100);
        match effect {
            Effect::Answer(answer) => {
                assert!(matches!(from, From::Guest { .. }), "an answer for {from:?}");
                self.answers.push(answer);
            }
            Effect::Reply(_) => {
                assert!(matches!(from, From::Plugin { .. }), "a reply for {from:?}");
                self.replies += 1;
            }
            Effect::Name(_) | Effect::StepOut => return follows(&effect),
            Effect::Reserve(name) => {
                let name = format!("{name}-{}", self.files.len());
                self.files.push((name.clone(), Fate::Reserved));
                return Some(Event::Reserved(Files::pretended(&name), now));
            }
            Effect::Count(made, event) => {
                let made = made.recounted(|files| self.disk.get(files.name()).copied().unwrap_or_default());
                assert_eq!(made.bytes(), self.bytes());
                return Some(Event::Counted(made, event));
            }
            Effect::Begin(files) => {
                let From::Guest { works } = from else { panic!("{from:?} holds a guest") };
                assert_eq!((self.mode, &self.pending), (Mode::Off, &None), "asked PANDA to record twice");
                return Some(self.begin(&files, works));
            }
            Effect::AskBegin(files) => {
                let From::Plugin { works } = from else { panic!("{from:?} asks as a plugin") };
                assert_eq!((self.mode, &self.pending), (Mode::Off, &None), "asked PANDA to record twice");
                if !works {
                    return Some(NotBegun(Refusal::Panda(-1)));
                }
                self.pending = Some(files.name().to_owned());
                return Some(Event::Awaited);
            }
            Effect::LookFor(files) => {
                let written = *self.fate(files.name()) == Fate::Written;
                return Some(Event::LookedFor { written, now });
            }
            Effect::Discard(files) => {
                let fate = self.fate(files.name());
                assert_eq!(*fate, Fate::Reserved, "a recording was thrown away");
                *fate = Fate::Discarded;
            }
            Effect::Began(began) => {
                let name = began.files.name().to_owned();
                assert_eq!(self.told.replace(name), None, "two are told to be on");
            }
            Effect::End => {
                let From::Guest { works } = from else { panic!("{from:?} holds a guest") };
                assert_eq!(self.mode, Mode::Record, "asked PANDA to end what is not there");
                return Some(self.end(works));
            }
            Effect::AskEnd => {
                assert!(!self.monitors, "ended the monitor's recording");
                self.mode = Mode::Off;
            }
            Effect::Complete(complete) => {
                let name = complete.files.name().to_owned();
                assert_eq!(self.told.take().as_ref(), Some(&name), "another one is told to be on");
                let fate = self.fate(&name);
                assert_eq!(*fate, Fate::Written);
                *fate = Fate::Complete;
                self.completes += 1;
                let sizes = Sizes { snapshot_bytes: SNAPSHOT, log_bytes: u64::from(self.completes) };
                self.finished.push(name.clone());
                self.disk.insert(name, sizes);
                return Some(Event::Measured(complete.files, sizes));
            }
            Effect::Refused(Refusal::MaxBytes { used, .. }) => {
                assert_eq!(used, self.bytes(), "refused for what is not there any more");
            }
            Effect::Refused(_) | Effect::Denied { .. } | Effect::Odd(_) => {}
            Effect::Quit => {
                assert!(!self.gone, "told PANDA to quit while it does");
                self.quits += 1;
            }
        }
        None
    }

    /// Holds a guest while PANDA begins, or does not.
    fn begin(&mut self, files: &Files, works: bool) -> Event {
        if works {
            *self.fate(files.name()) = Fate::Written;
            (self.mode, self.monitors) = (Mode::Record, false);
            self.begins += 1;
        }
        self.hold();
        if works { BEGUN } else { NotBegun(Refusal::NoTurn) }
    }

    /// Holds a guest while PANDA ends, or does not.
    fn end(&mut self, works: bool) -> Event {
        self.hold();
        if works && !self.gone {
            self.mode = Mode::Off;
        }
        if works { Ended } else { NotEnded }
    }

    fn hold(&mut self) {
        for act in std::mem::take(&mut self.held) {
            // The guest's own answers and what the others are told are counted apart.
            let (answers, replies) = (std::mem::take(&mut self.answers), self.replies);
            self.act(act);
            (self.answers, self.replies) = (answers, replies);
        }
    }

    /// The world looks, before anything else.
    fn look(&mut self) {
        self.handle(observed(self.mode, self.pending.is_some()), From::World);
    }

    pub(super) fn act(&mut self, act: Act) {
        if self.gone {
            return;
        }
        match act {
            Act::Guest(request, works, held) => {
                self.held = held;
                self.guest(request, works);
            }
            Act::PluginStarts(works) => self.plugin(StartAsked, works),
            Act::PluginStops => self.plugin(StopAsked, true),
            // Ticks are closer together than a monitor's commands.
            Act::MonitorBegins if self.mode == Mode::Off && self.pending.is_none() => {
                self.look();
                (self.mode, self.monitors) = (Mode::Record, true);
            }
            Act::MonitorBegins => {}
            Act::MonitorEnds => self.mode = Mode::Off,
            Act::MainLoop(works) => {
                if let Some(name) = self.pending.take()
                    && works
                {
                    *self.fate(&name) = Fate::Written;
                    (self.mode, self.monitors) = (Mode::Record, false);
                    self.begins += 1;
                }
                // PANDA's monitor may end it before recctrl looks.
            }
            Act::Tick(tick) => {
                self.look();
                self.handle(Event::Tick(tick), From::World);
            }
            Act::Removes(which) => {
                let name = self.disk.keys().nth(which).cloned();
                name.map(|name| self.disk.remove(&name));
            }
            Act::GoesDown => self.goes_down(),
        }
    }

    fn guest(&mut self, request: Request, works: bool) {
        self.look();
        let (begins, before) = (self.begins, self.mode);
        let key = self.key.filter(|_| before == Mode::Record && !self.monitors);
        self.answers.clear();
        self.handle(Asked(request), From::Guest { works });
        if self.gone {
            // It runs no more, and may have been held with an answer that did not come true.
            return;
        }
        let (first, last) = (self.answers.first().copied(), self.answers.last().copied());
        match self.answers.len() {
            1 => {}
            2 => assert_eq!((first, last), (Some(Answer::Start), Some(Answer::Error)), "two answers"),
            more => panic!("{more} answers: {:?}", self.answers),
        }
        if last == Some(Answer::Start) {
            assert!(self.begins > begins, "told of a recording that has not begun");
            self.key = if let StartLocked(key) = request { Some(key) } else { None };
        }
        if last == Some(Answer::Stop)
            && let Some(locked) = key
        {
            let is_key = matches!(request, StopLocked { key, .. } if key == locked);
            assert!(is_key, "{request:?} ended what {locked} had locked");
        }
        self.is_told();
    }

    fn plugin(&mut self, event: Event, works: bool) {
        self.look();
        let (replies, begins) = (self.replies, self.begins);
        self.handle(event, From::Plugin { works });
        assert_eq!(self.replies, replies + 1, "a plugin gets one reply");
        assert_eq!(self.begins, begins);
        if self.pending.is_some() {
            self.key = None;
        }
    }

    /// The status says what PANDA does.
    fn is_told(&self) {
        if !self.gone && self.quits == 0 {
            let records = self.mode == Mode::Record || self.pending.is_some();
            assert_eq!(self.recorder.status(false).recording, records);
        }
    }

    fn goes_down(&mut self) {
        // PANDA ends what it records, and recctrl is told; it may not have looked before.
        (self.mode, self.gone, self.pending) = (Mode::Off, true, None);
        self.handle(Shutdown, From::World);
        assert!(!self.recorder.status(false).recording && !self.recorder.wants_ticks());
        self.is_settled();
    }

    /// Every recording that PANDA has begun is told to have ended, and nothing is left of the others.
    pub(super) fn is_settled(&self) {
        assert_eq!(self.begins, self.completes, "a recording was lost, or made up");
        assert_eq!(self.told, None);
        for (name, fate) in &self.files {
            assert!(matches!(fate, Fate::Complete | Fate::Discarded), "{name}: {fate:?}");
        }
    }
}
