//! Recordings that are only pretended.

use super::*;

#[test]
fn a_guest_that_pretends_all_the_time_fills_no_disk() {
    let fixture = Fixture::new(&[("dry", "y"), ("max_recordings", "0")]);
    for _ in 0..10_000 {
        fixture.hypercall(action::TOGGLE, 0, 0);
    }
    assert_eq!(fixture.status().recordings, 5_000);
    assert!(fixture.events().len() < 3_000, "{}", fixture.events().len());
}

#[test]
fn a_dry_run_answers_alike_and_writes_nothing() {
    let fixture = Fixture::new(&[("dry", "y"), ("session_rec", "y")]);
    assert_eq!(fixture.say(action::SESSION_OPEN, b"a\0"), Some(Answer::Start));
    assert_eq!(fixture.say(action::SESSION_OPEN, b"a\0"), Some(Answer::Noop));
    assert!(fixture.status().recording && fixture.status().dry);
    assert_eq!(fixture.say(action::SESSION_CLOSE, b"a\0"), Some(Answer::Noop));
    assert_eq!(fixture.say(action::SESSION_CLOSE, b"a\0"), Some(Answer::Stop));
    assert!(fixture.files().is_empty() && fixture.panda().begun.is_empty());
}

#[test]
fn the_events_of_a_dry_run_say_so() {
    let fixture = Fixture::new(&[("dry", "y")]);
    let heard = fixture.follow();
    fixture.say(action::START, b"a\0");
    fixture.say(action::STOP, b"");
    let kinds: Vec<_> = fixture.events().iter().map(|event| event["event"].clone()).collect();
    assert_eq!(kinds, ["loaded", "asked", "ended"]);
    assert_eq!(fixture.event("loaded")["dry"], true);
    let ended = fixture.event("ended");
    assert_eq!(
        (&ended["dry"], &ended["instructions"], &ended["log_bytes"]),
        (&true.into(), &0.into(), &0.into())
    );
    assert_eq!(*heard.lock(), ["began a_000", "ended a_000 guest 0"]);
}

#[test]
fn another_plugin_pretends_as_well() {
    let fixture = Fixture::new(&[("dry", "y")]);
    let heard = fixture.follow();
    assert_eq!(fixture.plugin.ask_start(Some(c"mine")), Reply::Asked);
    assert!(fixture.plugin.status().recording);
    assert_eq!(fixture.plugin.ask_start(None), Reply::Already);
    assert_eq!(fixture.plugin.ask_stop(), Reply::Asked);
    fixture.turn();
    assert_eq!(*heard.lock(), ["began mine_000", "ended mine_000 plugin 0"]);
    assert!(fixture.files().is_empty() && fixture.panda().next.is_none());
}

#[test]
fn what_cannot_be_recorded_can_be_pretended_and_ends_by_the_limits() {
    let fixture = Fixture::new(&[("dry", "y"), ("timeout", "1"), ("max_instr", "1")]);
    fixture.panda().obstacle = Some(Refusal::Kvm);
    assert_eq!(fixture.say(action::START, b"a\0"), Some(Answer::Start));
    assert!(fixture.plugin.tick(), "no instruction is recorded");
    std::thread::sleep(Duration::from_millis(1100));
    assert!(fixture.plugin.tick() && !fixture.plugin.tick());
    assert_eq!(fixture.event("ended")["why"], "timeout");
}
