//! Every order of what the world may do.

use proptest::prelude::*;

use super::{
    world::{Act, World},
    *,
};

fn requests() -> Vec<Request> {
    let stop = |key| StopLocked { key, status: 0 };
    vec![Toggle, OpenSession, CloseSession, Start, Stop, StartLocked(1), StartLocked(2), stop(1), stop(2)]
}

fn request() -> impl Strategy<Value = Request> {
    prop::sample::select(requests())
}

fn ticks() -> impl Strategy<Value = Tick> {
    (0..20u64, 0..20u64, 0..20u64, 0..20u64, 0..20u64).prop_map(
        |(seconds, instructions, snapshot_bytes, log_bytes, free)| Tick {
            now: Duration::from_secs(100 + seconds),
            instructions,
            sizes: Sizes { snapshot_bytes, log_bytes },
            free,
        },
    )
}

/// What may happen at any moment, a guest being held or not.
fn others() -> impl Strategy<Value = Act> {
    let works = || prop::bool::weighted(0.9);
    prop_oneof![
        2 => works().prop_map(Act::PluginStarts),
        2 => Just(Act::PluginStops),
        4 => ticks().prop_map(Act::Tick),
        1 => (0..4usize).prop_map(Act::Removes),
        1 => Just(Act::GoesDown),
    ]
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let works = || prop::bool::weighted(0.9);
    let held = prop::collection::vec(others(), 0..3);
    let act = prop_oneof![
        8 => (request(), works(), held).prop_map(|(request, works, held)| Act::Guest(request, works, held)),
        1 => Just(Act::MonitorBegins),
        1 => Just(Act::MonitorEnds),
        4 => works().prop_map(Act::MainLoop),
        6 => others(),
    ];
    prop::collection::vec(act, 0..60)
}

fn rules() -> impl Strategy<Value = Rules> {
    let limit = || prop::option::of(1..15u64);
    let few = || prop::option::of(1..4u32);
    (any::<bool>(), few(), limit(), limit(), few(), prop::option::of(1..300u64), 0..10u64).prop_map(
        |(session_rec, nrec, timeout, max_instr, max_recordings, max_bytes, min_free)| Rules {
            session_rec,
            nrec,
            timeout: timeout.map(Duration::from_secs),
            max_instr,
            max_recordings,
            max_bytes,
            min_free,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 2_000 }))]

    #[test]
    fn whatever_happens_each_recording_begins_once_and_ends_once(rules in rules(), acts in acts()) {
        let mut world = World::new(rules);
        for act in acts {
            world.act(act);
            prop_assert!(world.recorder.status(false).sessions == 0 || rules.session_rec);
        }
        world.act(Act::GoesDown);
        world.is_settled();
        let enough = rules.nrec.is_some_and(|nrec| world.completes >= nrec);
        prop_assert!(world.quits <= 1 && (world.quits == 0 || enough));
        for most in [rules.nrec, rules.max_recordings].into_iter().flatten() {
            prop_assert!(world.completes <= most);
        }
    }

    #[test]
    fn no_order_of_raw_events_is_too_much(rules in rules(), picks in prop::collection::vec((0..17u8, any::<u64>()), 0..50)) {
        let mut recorder = Recorder::new(rules);
        for (pick, n) in picks {
            let now = Duration::from_secs(n % 1000);
            let sizes = Sizes { snapshot_bytes: n % 1000, log_bytes: n % 7 };
            let event = match pick {
                0 => Asked(requests()[(n % 9) as usize]),
                1 => Event::Begun(now),
                2 => NotBegun(Refusal::NoTurn),
                3 => Ended,
                4 => NotEnded,
                5 => observed(Mode::Off, n % 2 == 0),
                6 => observed(Mode::Record, n % 2 == 0),
                7 => Event::Tick(Tick { now, instructions: n, sizes, free: n }),
                8 => StopAsked,
                9 => StartAsked,
                10 => Event::Named { name: "a".into(), snapshot_bytes: n },
                11 => Event::Reserved(Files::pretended("a"), now),
                12 => Event::SteppedOut,
                13 => Event::Awaited,
                14 => Event::LookedFor { written: n % 2 == 0, now },
                15 => Event::Measured(Files::pretended("a"), sizes),
                _ => Shutdown,
            };
            recorder = recorder.step(event).0;
        }
    }
}
