//! How recordings start.

use super::*;

#[test]
fn a_guest_has_its_answer_before_its_recording_begins() {
    let mut played = Played::new(manual());
    assert_eq!(played.then(Asked(Toggle)), ["Start", "begin a_000"]);
    assert_eq!(played.then(BEGUN), ["a_000 began"]);
    assert_eq!(played.then(Asked(Toggle)), ["end"]);
    assert_eq!(played.then(Ended), ["Stop", "a_000 complete: guest"]);
    assert_eq!(played.recorder.recordings(), 1);
}

#[test]
fn a_guest_is_held_from_its_files_to_the_beginning() {
    let mut played = Played::new(manual());
    played.after([Asked(Start), BEGUN]);
    let Some(Effect::Began(began)) = played.effects.last() else { panic!("it began") };
    assert_eq!((began.held, began.locked), (Some(Duration::from_secs(1)), false));
}

#[test]
fn a_recording_that_does_not_begin_leaves_neither_files_nor_a_session() {
    let mut played = Played::new(sessions());
    let told = played.after([Asked(OpenSession), NotBegun(Refusal::NoTurn)]);
    assert_eq!(told, ["discard a_000", "refused: main_loop", "Error"]);
    assert_eq!(played.status(), Status { session_mode: true, ..Status::default() });
}

#[test]
fn a_recording_without_files_is_refused_before_the_guest_is_answered() {
    let (recorder, _) = manual().step(Asked(Start));
    let (recorder, effects) = recorder.step(Event::Named { name: "a".into(), snapshot_bytes: 0 });
    assert_eq!(effects, [Effect::Reserve("a".into())]);
    let (recorder, effects) = recorder.step(NotBegun(Refusal::Kvm));
    assert_eq!(effects, [Effect::Refused(Refusal::Kvm), Effect::Answer(Answer::Error)]);
    assert_eq!(recorder, manual());
}

#[test]
fn the_only_recording_has_no_number() {
    let rules = Rules { nrec: Some(1), ..Rules::default() };
    assert_eq!(Recorder::new(rules).step(Asked(Start)).1, [Effect::Name(None)]);
    assert_eq!(manual().step(Asked(Start)).1, [Effect::Name(Some(0))]);
}

#[test]
fn nested_sessions_are_one_recording() {
    let mut played = Played::new(sessions());
    played.after([Asked(OpenSession), BEGUN]);
    assert_eq!(played.then(Asked(OpenSession)), ["Noop"]);
    assert_eq!(played.status().sessions, 2);
    assert_eq!(played.then(Asked(CloseSession)), ["Noop"]);
    assert_eq!(played.then(Asked(CloseSession)), ["end"]);
}

#[test]
fn verbs_of_the_other_mode_change_nothing() {
    for (recorder, request) in [(sessions(), Toggle), (manual(), OpenSession), (manual(), CloseSession)] {
        let mut played = Played::new(recorder.clone());
        assert_eq!(played.then(Asked(request)), ["odd", "Noop"]);
        assert_eq!(played.recorder, recorder);
    }
}

#[test]
fn start_and_stop_work_in_either_mode() {
    for recorder in [sessions(), manual()] {
        let mut played = Played::new(recorder);
        assert_eq!(played.then(Asked(Start)), ["Start", "begin a_000"]);
        assert_eq!(played.after([BEGUN, Asked(Start)]), ["Noop"]);
        assert_eq!(played.after([Asked(Stop), Ended, Asked(Stop)]), ["Noop"]);
    }
}

#[test]
fn another_plugin_starts_a_recording_and_learns_at_once_that_it_is_asked_for() {
    let mut played = Played::new(manual());
    assert_eq!(played.then(StartAsked), ["Asked"]);
    assert_eq!(played.after([observed(Mode::Off, true), StartAsked]), ["Busy"]);
    assert_eq!(played.then(StopAsked), ["Busy"]);
    assert_eq!(played.then(Asked(Toggle)), ["Noop"], "a guest changes nothing meanwhile");
    assert_eq!(played.then(observed(Mode::Record, false)), ["a_000 began"]);
    assert!(matches!(&played.effects[..], [Effect::Began(Began { held: None, .. })]));
    assert_eq!(played.then(StartAsked), ["Already"]);
}

#[test]
fn what_another_plugin_asked_for_is_looked_for_where_panda_does_not_record() {
    let looked = |written| Event::LookedFor { written, now: Duration::from_secs(100) };
    let mut played = Played::new(manual());
    assert_eq!(played.after([StartAsked, off()]), ["look for a_000"]);
    assert_eq!(played.then(looked(false)), ["discard a_000", "refused: main_loop"]);
    assert_eq!(played.after([StartAsked, off()]), ["look for a_000"]);
    assert_eq!(played.then(looked(true)), ["a_000 began", "a_000 complete: monitor"]);
}

#[test]
fn another_plugin_is_refused_with_a_reply_and_no_answer() {
    let (recorder, _) = manual().step(StartAsked);
    let (_, effects) = recorder.step(NotBegun(Refusal::Kvm));
    assert_eq!(effects.iter().map(word).collect::<Vec<_>>(), ["refused: kvm", "Refused"]);
}

#[test]
fn a_machine_that_goes_down_completes_what_has_begun_and_takes_back_what_has_not() {
    for asked in [Asked(Start), StartAsked] {
        for written in [false, true] {
            let mut played = Played::new(manual());
            assert_eq!(played.after([asked.clone(), Shutdown]), ["look for a_000"]);
            let told = played.then(Event::LookedFor { written, now: Duration::from_secs(100) });
            let expected = if written {
                ["a_000 began", "a_000 complete: shutdown"]
            } else {
                ["discard a_000", "refused: shutdown"]
            };
            assert_eq!(told, expected);
            // The guest's thread may come back.
            assert!(played.then(BEGUN).is_empty());
            assert_eq!((played.recorder.recordings(), played.status().recording), (written.into(), false));
        }
    }
}
