//! Recordings that a program in the guest has locked.

use super::{super::phase::WRONG_KEYS, *};

#[test]
fn a_locked_recording_ends_by_its_key_and_by_no_other_request() {
    for recorder in [manual(), sessions()] {
        let mut played = Played::new(recorder);
        played.after([Asked(StartLocked(7)), BEGUN]);
        assert!(matches!(&played.effects[..], [Effect::Began(Began { locked: true, .. })]));
        for event in [Asked(Stop), with(8), Asked(StartLocked(8)), Asked(Start)] {
            let told = played.then(event.clone());
            assert!(matches!(told.last().map(String::as_str), Some("Error" | "Noop")), "{event:?}");
            assert!(played.status().recording);
        }
        assert_eq!(played.then(with(7)), ["end"]);
        assert_eq!(played.then(Ended), ["Stop", "a_000 complete: guest"]);
        let &Complete { exit_status, denied, .. } = played.complete();
        assert_eq!((exit_status, denied), (Some(3), Denials { stop: 1, toggle: 0, key: 1 }));
    }
    let mut played = Played::new(manual());
    played.after([Asked(StartLocked(7)), BEGUN]);
    assert_eq!(played.then(Asked(Toggle)), ["denied: toggle", "Error"]);
}

#[test]
fn a_key_is_of_no_use_to_the_recording_that_follows() {
    let mut played = Played::new(manual());
    played.after([Asked(StartLocked(7)), BEGUN, off()]);
    assert_eq!(played.then(with(7)), ["Noop"]);
    let mut unlocked = Played::new(played.recorder.clone());
    assert_eq!(unlocked.after([Asked(Start), BEGUN, with(7)]), ["Noop"]);
    assert_eq!(played.after([Asked(StartLocked(8)), BEGUN, with(7)]), ["denied: key", "Error"]);
}

#[test]
fn trying_all_keys_does_not_help() {
    let mut played = Played::new(manual());
    played.after([Asked(StartLocked(u32::MAX)), BEGUN]);
    played.after((0..WRONG_KEYS).map(with));
    assert_eq!(played.then(with(u32::MAX)), ["denied: key", "Error"]);
    // It still ends with the machine, by a limit, and as PANDA's monitor and other plugins want it.
    let mut shut_down = Played::new(played.recorder.clone());
    assert_eq!(shut_down.then(Shutdown), ["a_000 complete: shutdown"]);
    assert_eq!(played.then(StopAsked), ["ask to end", "Asked"]);
}

#[test]
fn an_exit_status_is_only_believed_of_the_stop_that_ended_the_recording() {
    let mut played = Played::new(manual());
    played.after([Asked(StartLocked(7)), BEGUN, with(7), NotEnded, off()]);
    assert_eq!(played.complete().exit_status, None);
}
