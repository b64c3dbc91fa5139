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
