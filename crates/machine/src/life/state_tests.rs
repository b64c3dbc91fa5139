//! A machine's life against every order of events that a guest, a PANDA, a user and a clock can bring about.

use proptest::prelude::*;

use super::*;
use crate::life::event::Bound;

const SECOND: Duration = Duration::from_secs(1);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A guest that boots and is told a command on its bootstrap disk.
const RUN: Rules = Rules {
    boot: Some(Duration::from_secs(300)),
    hook: Some(Hook { patience: Duration::from_secs(20), needed: true }),
    last_words: Duration::from_secs(2),
    save: None,
    silence: None,
    timeout: Some(Duration::from_secs(600)),
    look: Some(SECOND),
    end: Way::Ask(Some(GRACE)),
};

/// A guest whose state is saved once it has booted.
const WARM: Rules = Rules { hook: None, save: Some(Duration::from_secs(3)), timeout: None, ..RUN };

/// A replay.
const REPLAY: Rules = Rules {
    boot: None,
    hook: None,
    timeout: None,
    look: None,
    silence: Some(Duration::from_secs(120)),
    end: Way::Kill(GRACE),
    ..RUN
};

/// What the events do, each at its time in seconds, looks left out; deadlines come in their time.
fn lived(rules: Rules, events: &[(u64, Event)]) -> Vec<Effect> {
    let (mut life, mut effects) = Life::new(rules);
    for &(at, event) in events {
        while let Some(due) = life.deadline().filter(|due| *due < secs(at)) {
            let (next, more) = life.step(due, Event::Due);
            (life, effects) = (next, [effects, more].concat());
        }
        let (next, more) = life.step(secs(at), event);
        (life, effects) = (next, [effects, more].concat());
    }
    effects.retain(|effect| *effect != Effect::Look);
    effects
}

use Effect::{Kill, Over, Save, Tell, Terminate};
use Event::{
    Booted, Bootstraps, Changed, CommandEnded, Due, Exited, Hangup, Heard, Held, Interrupt, NotSaved, Output,
    Panicked, SaidAll, Saved,
};

const TOLD: Effect = Tell(Notice::Booted);

fn cut(cut: Cut) -> Effect {
    Over(Ended::Cut(cut))
}

#[test]
fn a_guest_that_has_said_all_is_asked_to_end() {
    let events = [(3, Booted), (4, Bootstraps), (5, CommandEnded), (6, SaidAll), (7, Exited)];
    assert_eq!(lived(RUN, &events), [TOLD, Terminate, Over(Ended::Done)]);
}

#[test]
fn a_guest_whose_startup_is_broken_has_its_last_words_and_no_more() {
    let events = [(3, Heard), (5, CommandEnded), (6, CommandEnded), (8, Exited)];
    assert_eq!(lived(RUN, &events), [TOLD, Terminate, Over(Ended::Done)]);
    assert_eq!(lived(RUN, &[(3, Heard), (5, CommandEnded), (6, Exited)]), [TOLD, Over(Ended::Itself)]);
}

#[test]
fn a_guest_that_shows_no_sign_of_life_is_given_up() {
    assert_eq!(lived(RUN, &[(301, Exited)]), [Terminate, cut(Cut::Boot)]);
    assert_eq!(lived(RUN, &[(4, Panicked), (5, Exited)]), [Terminate, cut(Cut::Panic)]);
    // Bootstrapping is not booting.
    assert_eq!(lived(RUN, &[(4, Bootstraps), (301, Exited)]), [Terminate, cut(Cut::Boot)]);
}

#[test]
fn a_guest_that_panics_after_its_boot_is_left_to_itself() {
    assert_eq!(lived(RUN, &[(3, Heard), (4, Panicked), (5, Exited)]), [TOLD, Over(Ended::Itself)]);
}

#[test]
fn a_guest_without_the_hook_is_found_out_only_where_it_matters() {
    assert_eq!(lived(RUN, &[(3, Booted), (24, Exited)]), [TOLD, Terminate, cut(Cut::NoHook)]);
    for told in [Heard, Bootstraps] {
        for events in [[(2, told), (3, Booted), (30, Exited)], [(2, Booted), (3, told), (30, Exited)]] {
            assert_eq!(lived(RUN, &events), [TOLD, Over(Ended::Itself)], "{events:?}");
        }
    }
    let idle = Rules { hook: Some(Hook { patience: secs(20), needed: false }), ..RUN };
    assert_eq!(lived(idle, &[(3, Booted), (90, Exited)]), [TOLD, Tell(Notice::NoHook), Over(Ended::Itself)]);
}

#[test]
fn a_warm_guest_is_left_alone_before_it_is_saved() {
    let events = [(9, Booted), (13, Saved), (14, Exited)];
    assert_eq!(lived(WARM, &events), [TOLD, Save, Terminate, Over(Ended::Done)]);
    let events = [(9, Booted), (13, NotSaved), (14, Exited)];
    assert_eq!(lived(WARM, &events), [TOLD, Save, Terminate, cut(Cut::NotSaved)]);
    // A word about another save is none about this one.
    assert_eq!(lived(WARM, &[(9, Booted), (10, Saved), (11, Exited)]), [TOLD, Over(Ended::Itself)]);
}

#[test]
fn an_interrupt_ends_a_machine_at_each_stage() {
    let stages = [(RUN, vec![]), (RUN, vec![Booted]), (RUN, vec![Heard, CommandEnded]), (WARM, vec![Booted])];
    for (rules, before) in stages {
        let events: Vec<_> = before.into_iter().chain([Interrupt, Exited]).map(|event| (1, event)).collect();
        let effects = lived(rules, &events);
        assert!(effects.ends_with(&[Terminate, cut(Cut::Interrupt)]), "{events:?}: {effects:?}");
    }
    let saving = [(1, Booted), (5, Interrupt), (6, Exited)];
    assert_eq!(lived(WARM, &saving), [TOLD, Save, Terminate, cut(Cut::Interrupt)]);
    assert_eq!(lived(REPLAY, &[(5, Interrupt), (6, Exited)]), [TOLD, Kill, cut(Cut::Interrupt)]);
}

#[test]
fn a_panda_that_does_not_end_is_killed_after_its_grace_unless_it_may_take_its_time() {
    assert_eq!(lived(RUN, &[(1, Interrupt), (12, Exited)]), [Terminate, Kill, cut(Cut::Interrupt)]);
    let attached = [(1, Interrupt), (1200, Interrupt), (1201, Exited)];
    let patient = Rules { end: Way::Ask(None), ..Rules::OPEN };
    assert_eq!(lived(patient, &attached), [TOLD, Terminate, cut(Cut::Interrupt)]);
}

#[test]
fn a_replay_that_is_silent_hangs_unless_what_it_says_waits_to_be_read() {
    assert_eq!(lived(REPLAY, &[(100, Output), (221, Exited)]), [TOLD, Kill, cut(Cut::Silence)]);
    let read_late = [(1, Held), (1000, Output), (1100, Hangup), (1101, Exited)];
    assert_eq!(lived(REPLAY, &read_late), [TOLD, Over(Ended::Itself)]);
    assert_eq!(lived(REPLAY, &[(1, Hangup), (12, Exited)]), [TOLD, Kill, Over(Ended::Itself)]);
}

#[test]
fn files_that_change_all_the_time_are_looked_at_now_and_then() {
    let (mut life, _) = Life::new(RUN);
    let (mut looks, moments) = (0, 1000);
    for moment in 0..moments {
        let (next, effects) = life.step(Duration::from_millis(moment), Changed);
        looks += effects.iter().filter(|effect| **effect == Effect::Look).count();
        life = next;
    }
    let most = Duration::from_millis(moments).as_micros() / SETTLE.as_micros();
    assert!((most / 2..=most).contains(&(looks as u128)), "{looks} looks of {most}");
    // And the last change is not forgotten.
    let due = life.deadline().expect("a look");
    assert!(due <= Duration::from_millis(moments) + SETTLE);
    assert_eq!(life.step(due, Due).1, [Effect::Look]);
}

fn rules() -> impl Strategy<Value = Rules> {
    let time = || prop_oneof![Just(None), (0..2000u64).prop_map(|ms| Some(Duration::from_millis(ms)))];
    let way = (any::<bool>(), time()).prop_map(|(kill, grace)| match kill {
        true => Way::Kill(grace.unwrap_or_default()),
        false => Way::Ask(grace),
    });
    let hook = (time(), any::<bool>())
        .prop_map(|(patience, needed)| patience.map(|patience| Hook { patience, needed }));
    (time(), hook, time(), time(), (time(), time(), time()), way).prop_map(
        |(boot, hook, last_words, save, (silence, timeout, look), end)| Rules {
            boot,
            hook,
            last_words: last_words.unwrap_or_default(),
            save,
            silence,
            timeout,
            look,
            end,
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    prop::sample::select(vec![
        Exited,
        Changed,
        Booted,
        Panicked,
        Heard,
        Bootstraps,
        Event::BootstrapFailed,
        CommandEnded,
        SaidAll,
        Output,
        Held,
        Hangup,
        Event::Reached(Bound::Space),
        Interrupt,
        Saved,
        NotSaved,
        Event::Lost,
        Due,
    ])
}

/// Events, each with the milliseconds since the one before.
fn events() -> impl Strategy<Value = Vec<(u64, Event)>> {
    prop::collection::vec((0..400u64, event()), 0..40)
}

/// Every effect with its time; the clock is right, or late when `late` says so.
fn all(rules: Rules, events: &[(u64, Event)], late: bool) -> (Life, Duration, Vec<(Duration, Effect)>) {
    let (mut life, first) = Life::new(rules);
    let mut at = Duration::ZERO;
    let mut effects: Vec<_> = first.into_iter().map(|effect| (at, effect)).collect();
    for &(after, event) in events {
        let then = at + Duration::from_millis(after);
        while let Some(due) = life.deadline().filter(|due| !late && *due <= then) {
            let (next, more) = life.step(due.max(at), Due);
            effects.extend(more.into_iter().map(|effect| (due.max(at), effect)));
            life = next;
        }
        at = then;
        let (next, more) = life.step(at, event);
        effects.extend(more.into_iter().map(|effect| (at, effect)));
        life = next;
    }
    (life, at, effects)
}

proptest! {
    #[test]
    fn panda_is_asked_and_killed_at_most_once_and_its_end_is_told_once_and_last(
        rules in rules(), events in events(), late in any::<bool>(),
    ) {
        let (life, at, mut effects) = all(rules, &events, late);
        effects.extend(life.step(at, Exited).1.into_iter().map(|effect| (at, effect)));
        let times = |which: Effect| -> Vec<Duration> {
            effects.iter().filter(|(_, effect)| *effect == which).map(|(at, _)| *at).collect()
        };
        let (asked, killed) = (times(Terminate), times(Kill));
        prop_assert!(asked.len() <= 1 && killed.len() <= 1, "{:?}", effects);
        prop_assert!(times(Save).len() <= 1);
        if let (Some(asked), Some(killed), Way::Ask(grace)) = (asked.first(), killed.first(), rules.end) {
            prop_assert!(*killed >= *asked + grace.expect("one without grace is never killed"));
        }
        let over = effects.iter().filter(|(_, effect)| matches!(effect, Over(_))).count();
        prop_assert_eq!(over, 1, "{:?}", effects);
        prop_assert!(matches!(effects.last(), Some((_, Over(_)))), "{:?}", effects);
    }

    #[test]
    fn the_first_cause_is_the_one_that_is_told(
        rules in rules(), events in events(), more in events(), late in any::<bool>(),
    ) {
        let (life, at, effects) = all(rules, &events, late);
        prop_assume!(!life.is_over());
        let [.., over] = life.step(at, Exited).1[..] else { panic!("no end") };
        let ending = effects.iter().any(|(_, effect)| matches!(effect, Terminate | Kill));
        prop_assert!(ending || over == Over(Ended::Itself));
        prop_assume!(ending);
        let mut later = life;
        for (after, event) in more {
            let (next, effects) = later.step(at + Duration::from_millis(after), event);
            for effect in effects {
                prop_assert!(effect == Kill || effect == over, "{:?} after {:?}", effect, event);
            }
            later = next;
        }
    }

    #[test]
    fn no_deadline_is_forgotten(rules in rules(), events in events(), late in any::<bool>()) {
        let (life, at, _) = all(rules, &events, late);
        // What has come has been dealt with.
        prop_assert!(life.deadline().is_none_or(|due| due > at), "{:?}", life);
        let mut life = life;
        let mut last = at;
        for _ in 0..20 {
            let Some(due) = life.deadline() else { break };
            prop_assert!(due > last, "{:?}", life);
            let (next, effects) = life.step(due, Due);
            prop_assert!(!effects.is_empty(), "nothing came of {:?}", life);
            (life, last) = (next, due);
        }
    }

    #[test]
    fn a_machine_never_outlives_its_limits(rules in rules(), events in events(), late in any::<bool>()) {
        let (life, at, effects) = all(rules, &events, late);
        let (after, more) = life.step(at.max(secs(10)), Due);
        prop_assume!(!after.is_over());
        let ended = effects.iter().map(|(_, effect)| effect).chain(&more).any(|effect| {
            matches!(effect, Terminate | Kill)
        });
        let hung = events.iter().any(|(_, event)| *event == Hangup);
        if rules.timeout.is_some() {
            prop_assert!(ended || hung, "{:?}", after);
        }
        let signs = [Booted, Heard, CommandEnded];
        if rules.boot.is_some() && !events.iter().any(|(_, event)| signs.contains(event)) {
            prop_assert!(ended || hung, "{:?}", after);
        }
        let grace = matches!(rules.end, Way::Ask(Some(_)) | Way::Kill(_));
        if grace && ended {
            let (last, last_effects) = after.step(secs(20), Due);
            let killed = effects.iter().map(|(_, effect)| effect).chain(&more).chain(&last_effects);
            prop_assert!(killed.into_iter().any(|effect| *effect == Kill), "{:?}", last);
        }
    }

    #[test]
    fn nothing_happens_after_the_end(rules in rules(), events in events(), more in events()) {
        let (life, at, _) = all(rules, &events, false);
        let (over, _) = life.step(at, Exited);
        prop_assert!(over.is_over() && over.deadline().is_none());
        for (after, event) in more {
            prop_assert_eq!(over.step(at + Duration::from_millis(after), event), (over, vec![]));
        }
    }
}
