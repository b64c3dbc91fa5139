//! How recordings end.

use super::*;

#[test]
fn a_session_whose_recording_did_not_end_can_be_closed_again() {
    let mut played = Played::new(sessions());
    assert_eq!(played.after([Asked(OpenSession), BEGUN, Asked(CloseSession), NotEnded]), ["Error"]);
    assert_eq!(played.after([Asked(CloseSession), Ended])[0], "Stop");
}

#[test]
fn closing_sessions_does_not_end_what_was_started_otherwise() {
    for asked in [[Asked(Start), BEGUN], [StartAsked, observed(Mode::Record, false)]] {
        let mut played = Played::new(sessions());
        played.after(asked);
        assert_eq!(played.after([Asked(OpenSession), Asked(CloseSession)]), ["Noop"]);
        assert!(played.status().recording);
    }
}

#[test]
fn the_monitors_recording_is_seen_kept_to_the_monitor_and_stopped_by_a_toggle() {
    let mut played = Played::new(manual());
    played.then(observed(Mode::Record, false));
    assert!(played.status().recording && !played.recorder.wants_ticks());
    assert_eq!(played.then(StopAsked), ["Refused"]);
    assert_eq!(played.after([Asked(Toggle), NotEnded]), ["Error"]);
    assert_eq!(played.after([Asked(Toggle), Ended]), ["Stop"]);
    assert!(played.then(off()).is_empty());
    assert_eq!(played.recorder, manual());
}

#[test]
fn another_plugin_ends_a_recording_of_the_guests() {
    let mut played = Played::new(manual());
    assert_eq!(played.then(StopAsked), ["Already"]);
    assert_eq!(played.after([Asked(Start), BEGUN, StopAsked]), ["ask to end", "Asked"]);
    assert_eq!(played.then(StopAsked), ["Busy"]);
    assert_eq!(played.then(off()), ["a_000 complete: plugin"]);
}

#[test]
fn the_monitor_can_end_the_guests_recording() {
    let mut played = Played::new(manual());
    assert_eq!(played.after([Asked(Start), BEGUN, off()]), ["a_000 complete: monitor"]);
}

#[test]
fn the_last_recording_that_was_wanted_quits_once_it_is_on_disk_and_no_other_follows() {
    let mut played = Played::new(Recorder::new(Rules { nrec: Some(1), ..Rules::default() }));
    assert_eq!(played.after([Asked(Toggle), BEGUN, Asked(Toggle)]), ["end"]);
    assert_eq!(played.then(Ended), ["Stop", "a complete: guest", "quit"]);
    assert_eq!(played.then(Asked(Toggle)), ["odd", "Error"]);
    assert_eq!(played.then(StartAsked), ["odd", "Refused"]);
}

#[test]
fn a_machine_that_goes_down_completes_its_recording_and_does_not_quit_twice() {
    let mut played = Played::new(Recorder::new(Rules { nrec: Some(1), ..Rules::default() }));
    assert_eq!(played.after([Asked(Start), BEGUN, Shutdown]), ["a complete: shutdown"]);
    assert!(Played::new(manual()).then(Shutdown).is_empty());
}
