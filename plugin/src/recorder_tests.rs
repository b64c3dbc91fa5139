//! The recorder against every order of events that a guest, a monitor and a main loop can bring about.

use super::*;
use proptest::prelude::*;

fn sessions() -> Recorder {
    Recorder::new(Rules { session_rec: true, ..Rules::default() })
}

fn manual() -> Recorder {
    Recorder::new(Rules::default())
}

/// Steps through events, as PANDA would bring them, and returns the last one's effects.
fn after(recorder: Recorder, events: &[Event]) -> (Recorder, Vec<Effect>) {
    events.iter().fold((recorder, vec![]), |(recorder, _), &event| recorder.step(event))
}

use Effect::{Answer as Answers, Begin, Complete, End, Odd, Quit};
use Event::{Asked, Begun, Ended, NotBegun, NotEnded, Observed, Shutdown};
use Request::{CloseSession, OpenSession, Start, StartLocked, Stop, StopLocked, Toggle};

const NOW: Event = Begun(Duration::from_secs(100));

#[test]
fn a_toggle_starts_and_the_next_one_stops() {
    let (recorder, effects) = manual().step(Asked(Toggle));
    assert_eq!(effects, [Begin]);
    let (recorder, effects) = recorder.step(NOW);
    assert_eq!(effects, [Answers(Answer::Start)]);
    let (recorder, effects) = recorder.step(Asked(Toggle));
    assert_eq!(effects, [End]);
    let (recorder, effects) = recorder.step(Ended);
    assert_eq!(effects, [Answers(Answer::Stop), Complete(Why::Guest)]);
    assert_eq!(recorder.recordings(), 1);
}

#[test]
fn nested_sessions_are_one_recording() {
    let (recorder, _) = after(sessions(), &[Asked(OpenSession), NOW]);
    let (recorder, effects) = after(recorder, &[Asked(OpenSession)]);
    assert_eq!(effects, [Answers(Answer::Noop)]);
    assert_eq!(recorder.status(false).sessions, 2);
    let (recorder, effects) = after(recorder, &[Asked(CloseSession)]);
    assert_eq!(effects, [Answers(Answer::Noop)]);
    let (_, effects) = after(recorder, &[Asked(CloseSession)]);
    assert_eq!(effects, [End]);
}

#[test]
fn a_session_whose_recording_did_not_begin_is_not_counted() {
    let (recorder, effects) = after(sessions(), &[Asked(OpenSession), NotBegun]);
    assert_eq!(effects, [Answers(Answer::Error)]);
    assert_eq!(recorder.status(false), Status { session_mode: true, ..Status::default() });
}

#[test]
fn a_session_whose_recording_did_not_end_can_be_closed_again() {
    let (recorder, effects) = after(sessions(), &[Asked(OpenSession), NOW, Asked(CloseSession), NotEnded]);
    assert_eq!(effects, [Answers(Answer::Error)]);
    let (_, effects) = after(recorder, &[Asked(CloseSession), Ended]);
    assert_eq!(effects[0], Answers(Answer::Stop));
}

#[test]
fn after_a_timeout_sessions_count_from_nothing() {
    let rules = Rules { session_rec: true, timeout: Some(Duration::from_secs(5)), ..Rules::default() };
    let (recorder, _) = after(Recorder::new(rules), &[Asked(OpenSession), NOW, Asked(OpenSession)]);
    let tick =
        |now| Event::Tick(Tick { now: Duration::from_secs_f64(now), instructions: 0, bytes: 0, free: 1 });
    assert_eq!(recorder.step(tick(104.9)).1, []);
    let (recorder, effects) = recorder.step(tick(105.0));
    assert_eq!(effects, [Effect::AskEnd]);
    let (recorder, effects) = recorder.step(Observed(Mode::Off));
    assert_eq!(effects, [Complete(Why::Timeout)]);
    let (recorder, effects) = recorder.step(Asked(CloseSession));
    assert!(matches!(effects[..], [Odd(_), Answers(Answer::Noop)]));
    assert_eq!(recorder.step(Asked(OpenSession)).1, [Begin]);
}

#[test]
fn each_limit_ends_a_recording_by_its_own_name() {
    let tick = Tick { now: Duration::from_secs(100), instructions: 10, bytes: 10, free: 10 };
    for (rules, why) in [
        (Rules { max_instr: Some(10), ..Rules::default() }, Why::MaxInstr),
        (Rules { min_free: 11, ..Rules::default() }, Why::MinFree),
        (Rules { max_bytes: Some(9), ..Rules::default() }, Why::MaxBytes),
        (Rules { timeout: Some(Duration::ZERO), ..Rules::default() }, Why::Timeout),
    ] {
        let ending = [Asked(Start), NOW, Event::Tick(tick), Observed(Mode::Off)];
        assert_eq!(after(Recorder::new(rules), &ending).1, [Complete(why)]);
    }
    let (_, effects) = after(manual(), &[Asked(Start), NOW, Event::Tick(tick)]);
    assert_eq!(effects, []);
}

#[test]
fn the_last_recording_that_was_wanted_quits_once_it_is_on_disk_and_no_other_follows() {
    let rules = Rules { nrec: Some(1), ..Rules::default() };
    let (recorder, effects) = after(Recorder::new(rules), &[Asked(Toggle), NOW, Asked(Toggle)]);
    assert_eq!(effects, [End]);
    let (recorder, effects) = recorder.step(Ended);
    assert_eq!(effects, [Answers(Answer::Stop), Complete(Why::Guest), Quit]);
    let (_, effects) = recorder.step(Asked(Toggle));
    assert!(matches!(effects[..], [Odd(_), Answers(Answer::Error)]));
}

#[test]
fn verbs_of_the_other_mode_change_nothing() {
    for (recorder, request) in [(sessions(), Toggle), (manual(), OpenSession), (manual(), CloseSession)] {
        let (next, effects) = recorder.step(Asked(request));
        assert!(matches!(effects[..], [Odd(_), Answers(Answer::Noop)]));
        assert_eq!(next, recorder);
    }
}

#[test]
fn start_and_stop_work_in_either_mode() {
    for recorder in [sessions(), manual()] {
        let (recorder, effects) = after(recorder, &[Asked(Start), NOW]);
        assert_eq!(effects, [Answers(Answer::Start)]);
        assert_eq!(recorder.step(Asked(Start)).1, [Answers(Answer::Noop)]);
        let (recorder, _) = after(recorder, &[Asked(Stop), Ended]);
        assert_eq!(recorder.step(Asked(Stop)).1, [Answers(Answer::Noop)]);
    }
}

#[test]
fn closing_sessions_does_not_end_what_was_started_otherwise() {
    let opened = [Asked(Start), NOW, Asked(OpenSession), Asked(CloseSession)];
    let (recorder, effects) = after(sessions(), &opened);
    assert_eq!(effects, [Answers(Answer::Noop)]);
    assert!(recorder.status(false).recording);
}

#[test]
fn the_monitors_recording_is_seen_kept_to_the_monitor_and_stopped_by_a_toggle() {
    let (recorder, _) = after(manual(), &[Observed(Mode::Record)]);
    assert!(recorder.status(false).recording && !recorder.wants_ticks());
    let (_, effects) = after(recorder, &[Asked(Toggle), Ended]);
    assert_eq!(effects, [Answers(Answer::Stop)]);
    let (recorder, effects) = recorder.step(Observed(Mode::Off));
    assert_eq!((effects, recorder.recordings()), (vec![], 0));
}

#[test]
fn another_plugin_ends_a_recording_of_the_guests_but_not_the_monitors() {
    let (recorder, effects) = after(manual(), &[Asked(Start), NOW, Event::StopAsked]);
    assert_eq!(effects, [Effect::AskEnd]);
    assert_eq!(recorder.step(Observed(Mode::Off)).1, [Complete(Why::Plugin)]);
    assert_eq!(after(manual(), &[Observed(Mode::Record), Event::StopAsked]).1, []);
    assert_eq!(manual().step(Event::StopAsked).1, []);
}

#[test]
fn the_monitor_can_end_the_guests_recording() {
    let (_, effects) = after(manual(), &[Asked(Start), NOW, Observed(Mode::Off)]);
    assert_eq!(effects, [Complete(Why::Monitor)]);
}

#[test]
fn a_machine_that_goes_down_completes_its_recording_and_does_not_quit_twice() {
    let rules = Rules { nrec: Some(1), ..Rules::default() };
    let (_, effects) = after(Recorder::new(rules), &[Asked(Start), NOW, Shutdown]);
    assert_eq!(effects, [Complete(Why::Shutdown)]);
    assert_eq!(manual().step(Shutdown).1, []);
}

/// A stop with a key.
fn with(key: u32) -> Event {
    Asked(StopLocked { key, status: 0 })
}

#[test]
fn a_locked_recording_ends_by_its_key_and_by_no_other_request() {
    for recorder in [manual(), sessions()] {
        let (recorder, effects) = after(recorder, &[Asked(StartLocked(7)), NOW]);
        assert_eq!(effects, [Answers(Answer::Start)]);
        assert!(recorder.is_locked());
        for event in [Asked(Stop), with(8), Asked(StartLocked(8)), Asked(Start)] {
            let (recorder, effects) = recorder.step(event);
            assert!(!effects.contains(&End) && !effects.contains(&Begin), "{event:?}");
            assert!(recorder.status(false).recording);
        }
        let (recorder, effects) = recorder.step(with(7));
        assert_eq!(effects, [End]);
        assert_eq!(recorder.step(Ended).1, [Answers(Answer::Stop), Complete(Why::Guest)]);
    }
    let (recorder, _) = after(manual(), &[Asked(StartLocked(7)), NOW]);
    let (_, effects) = recorder.step(Asked(Toggle));
    assert_eq!(effects, [Effect::Denied(Denied::Toggle), Answers(Answer::Error)]);
}

#[test]
fn a_key_is_of_no_use_to_the_recording_that_follows() {
    let ended = [Asked(StartLocked(7)), NOW, Observed(Mode::Off)];
    let (recorder, _) = after(manual(), &ended);
    assert_eq!(recorder.step(with(7)).1, [Answers(Answer::Noop)]);
    let (unlocked, _) = after(recorder, &[Asked(Start), NOW]);
    assert_eq!(unlocked.step(with(7)).1, [Answers(Answer::Noop)]);
    let (locked, _) = after(recorder, &[Asked(StartLocked(8)), NOW]);
    assert_eq!(locked.step(with(7)).1, [Effect::Denied(Denied::Key), Answers(Answer::Error)]);
}

#[test]
fn trying_all_keys_leads_nowhere() {
    let (mut recorder, _) = after(manual(), &[Asked(StartLocked(u32::MAX)), NOW]);
    for key in 0..WRONG_KEYS {
        recorder = recorder.step(with(key)).0;
    }
    assert_eq!(recorder.step(with(u32::MAX)).1, [Effect::Denied(Denied::Key), Answers(Answer::Error)]);
    // It still ends with the machine, by a limit, and as PANDA's monitor wants it.
    assert_eq!(recorder.step(Shutdown).1, [Complete(Why::Shutdown)]);
    assert_eq!(recorder.step(Event::StopAsked).1, [Effect::AskEnd]);
}

#[test]
fn a_machine_that_goes_down_before_its_recording_began_has_made_none() {
    let (recorder, effects) = after(manual(), &[Asked(Start), Shutdown]);
    assert_eq!(effects, []);
    assert_eq!((recorder.recordings(), recorder.status(false).recording), (0, false));
}

/// What the world may do next: any of it, at any time, sensible or not.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Guest(Request, bool),
    PluginStarts(bool),
    PluginStops,
    MonitorBegins,
    MonitorEnds,
    MainLoop {
        seconds: u64,
        instructions: u64,
        bytes: u64,
    },
    /// PANDA goes, perhaps while a guest is held for its request.
    GoesDown(Option<Request>),
}

fn requests() -> Vec<Request> {
    let stop = |key| StopLocked { key, status: 0 };
    vec![Toggle, OpenSession, CloseSession, Start, Stop, StartLocked(1), StartLocked(2), stop(1), stop(2)]
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let request = prop::sample::select(requests());
    let deed = prop_oneof![
        6 => (request, prop::bool::weighted(0.9)).prop_map(|(request, works)| Deed::Guest(request, works)),
        1 => prop::bool::weighted(0.9).prop_map(Deed::PluginStarts),
        1 => Just(Deed::PluginStops),
        1 => Just(Deed::MonitorBegins),
        1 => Just(Deed::MonitorEnds),
        2 => (0..20u64, 0..20u64, 0..20u64)
            .prop_map(|(seconds, instructions, bytes)| Deed::MainLoop { seconds, instructions, bytes }),
        1 => prop::option::of(prop::sample::select(requests())).prop_map(Deed::GoesDown),
    ];
    prop::collection::vec(deed, 0..60)
}

fn rules() -> impl Strategy<Value = Rules> {
    let limit = || prop::option::of(1..15u64);
    (any::<bool>(), prop::option::of(1..4u32), limit(), limit(), limit(), 0..10u64).prop_map(
        |(session_rec, nrec, timeout, max_instr, max_bytes, min_free)| Rules {
            session_rec,
            nrec,
            timeout: timeout.map(Duration::from_secs),
            max_instr,
            max_recordings: None,
            max_bytes,
            min_free,
        },
    )
}

/// A PANDA that does as it is asked, and counts.
struct World {
    recorder: Recorder,
    mode: Mode,
    begins: u32,
    completes: u32,
    quits: u32,
    monitors: bool,
    now: u64,
    gone: bool,
    /// What the guest's latest recording was locked with.
    key: Option<u32>,
}

impl World {
    /// One step, with what must hold after each.
    fn step(&mut self, event: Event) -> Vec<Effect> {
        let (recorder, effects) = self.recorder.step(event);
        self.recorder = recorder;
        self.completes += effects.iter().filter(|effect| matches!(effect, Complete(_))).count() as u32;
        self.quits += effects.iter().filter(|effect| **effect == Quit).count() as u32;
        assert_eq!(self.recorder.recordings(), self.completes);
        assert!(self.completes <= self.begins, "a recording was completed that nobody had begun");
        effects
    }

    fn guest(&mut self, request: Request, works: bool) {
        self.step(Observed(self.mode));
        let mut effects = self.step(Asked(request));
        if let StartLocked(key) = request
            && effects.contains(&Begin)
        {
            self.key = Some(key);
        } else if effects.contains(&Begin) {
            self.key = None;
        }
        if effects.contains(&End)
            && let Some(locked) = self.key.filter(|_| !self.monitors)
        {
            let is_key = matches!(request, StopLocked { key, .. } if key == locked);
            assert!(is_key, "{request:?} ended what {locked} had locked");
        }
        if effects.contains(&Begin) {
            assert_eq!(self.mode, Mode::Off, "asked PANDA to record twice");
            let event = if works { NOW } else { NotBegun };
            if works {
                (self.mode, self.monitors) = (Mode::Record, false);
                self.begins += 1;
            }
            effects = self.step(event);
        } else if effects.contains(&End) {
            assert_eq!(self.mode, Mode::Record, "asked PANDA to end what is not there");
            if works {
                self.mode = Mode::Off;
            }
            effects = self.step(if works { Ended } else { NotEnded });
        }
        let answers = effects.iter().filter(|effect| matches!(effect, Answers(_))).count();
        assert_eq!(answers, 1, "a guest gets exactly one answer: {effects:?}");
        if self.quits == 0 {
            assert_eq!(self.recorder.status(false).recording, self.mode == Mode::Record);
        }
    }

    fn deed(&mut self, deed: Deed) {
        match deed {
            _ if self.gone => {}
            Deed::Guest(request, works) => self.guest(request, works),
            Deed::PluginStarts(works) => {
                self.step(Observed(self.mode));
                if self.step(Asked(Start)).contains(&Begin) {
                    self.key = None;
                    assert_eq!(self.mode, Mode::Off, "asked PANDA to record twice");
                    // The guest goes on, and calls, before the main loop begins it.
                    let effects = self.step(Asked(Toggle));
                    assert!(!effects.contains(&Begin) && !effects.contains(&End));
                    if works {
                        (self.mode, self.monitors) = (Mode::Record, false);
                        self.begins += 1;
                    }
                    self.step(if works { NOW } else { NotBegun });
                }
            }
            Deed::PluginStops => {
                self.step(Observed(self.mode));
                if self.step(Event::StopAsked).contains(&Effect::AskEnd) {
                    assert!(!self.monitors, "ended the monitor's recording");
                    self.mode = Mode::Off;
                }
            }
            Deed::MonitorBegins if self.mode == Mode::Off => {
                // ticks are closer together than a monitor's commands
                self.step(Observed(Mode::Off));
                (self.mode, self.monitors) = (Mode::Record, true);
            }
            Deed::MonitorEnds => self.mode = Mode::Off,
            Deed::MonitorBegins => {}
            Deed::MainLoop { seconds, instructions, bytes } => {
                self.now += seconds;
                self.step(Observed(self.mode));
                let now = Duration::from_secs(100 + self.now);
                if self
                    .step(Event::Tick(Tick { now, instructions, bytes, free: bytes }))
                    .contains(&Effect::AskEnd)
                {
                    assert!(!self.monitors, "ended the monitor's recording");
                    self.mode = Mode::Off;
                }
            }
            Deed::GoesDown(held) => self.goes_down(held),
        }
    }

    fn goes_down(&mut self, held: Option<Request>) {
        self.step(Observed(self.mode));
        let held = held.map(|request| self.step(Asked(request))).unwrap_or_default();
        assert!(!held.contains(&Begin) || self.mode == Mode::Off, "asked PANDA to record twice");
        (self.mode, self.gone) = (Mode::Off, true);
        assert!(!self.step(Shutdown).contains(&Quit), "told PANDA to quit while it does");
        assert!(!self.recorder.status(false).recording && self.recorder.is_settled());
        assert_eq!(self.begins, self.completes, "a recording was lost, or made up");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 20 } else { 2_000 }))]

    #[test]
    fn whatever_happens_each_recording_begins_once_and_ends_once(rules in rules(), deeds in deeds()) {
        let mut world = World {
            recorder: Recorder::new(rules), mode: Mode::Off, begins: 0, completes: 0, quits: 0, monitors: false, now: 0, gone: false, key: None,
        };
        for deed in deeds {
            world.deed(deed);
            prop_assert!(world.recorder.status(false).sessions == 0 || rules.session_rec);
        }
        world.step(Observed(world.mode));
        if world.mode == Mode::Record {
            world.step(Shutdown);
        }
        prop_assert_eq!(world.begins, world.completes, "a recording was lost");
        let enough = rules.nrec.is_some_and(|nrec| world.completes >= nrec);
        prop_assert!(world.quits <= 1 && (world.quits == 0 || enough));
        if let Some(nrec) = rules.nrec {
            prop_assert!(world.completes <= nrec);
        }
    }

    #[test]
    fn no_order_of_raw_events_is_too_much(rules in rules(), picks in prop::collection::vec((0..10u8, any::<u64>()), 0..50)) {
        let mut recorder = Recorder::new(rules);
        for (pick, n) in picks {
            let event = match pick {
                0 => Asked(requests()[(n % 9) as usize]),
                1 => Begun(Duration::from_secs(n % 1000)),
                2 => NotBegun,
                3 => Ended,
                4 => NotEnded,
                5 => Observed(Mode::Off),
                6 => Observed(Mode::Record),
                7 => Event::Tick(Tick { now: Duration::from_secs(n % 1000), instructions: n, bytes: n, free: n }),
                8 => Event::StopAsked,
                _ => Shutdown,
            };
            recorder = recorder.step(event).0;
        }
    }
}
