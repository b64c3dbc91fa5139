//! How recordings are bounded.

use super::*;

#[test]
fn after_a_timeout_sessions_count_from_nothing() {
    let rules = Rules { session_rec: true, timeout: Some(Duration::from_secs(5)), ..Rules::default() };
    let mut played = Played::new(Recorder::new(rules));
    played.after([Asked(OpenSession), BEGUN, Asked(OpenSession)]);
    assert!(played.then(Event::Tick(tick(104.9))).is_empty());
    assert_eq!(played.then(Event::Tick(tick(105.0))), ["ask to end"]);
    assert_eq!(played.then(off()), ["a_000 complete: timeout"]);
    assert_eq!(played.then(Asked(CloseSession)), ["odd", "Noop"]);
    assert_eq!(played.then(Asked(OpenSession)), ["Start", "begin a_001"]);
}

#[test]
fn each_limit_ends_a_recording_by_its_own_name() {
    let sizes = Sizes { snapshot_bytes: 1000, log_bytes: 10 };
    let tick = Event::Tick(Tick { now: Duration::from_secs(100), instructions: 10, sizes, free: 10 });
    for (rules, why) in [
        (Rules { max_instr: Some(10), ..Rules::default() }, Why::MaxInstr),
        (Rules { min_free: 11, ..Rules::default() }, Why::MinFree),
        (Rules { max_bytes: Some(9), ..Rules::default() }, Why::MaxBytes),
        (Rules { timeout: Some(Duration::ZERO), ..Rules::default() }, Why::Timeout),
    ] {
        let mut played = Played::new(Recorder::new(rules));
        played.after([Asked(Start), BEGUN, tick.clone(), off()]);
        assert_eq!(played.complete().why, why);
    }
    assert!(Played::new(manual()).after([Asked(Start), BEGUN, tick]).is_empty());
}

#[test]
fn no_more_recordings_than_allowed() {
    let mut played = Played::new(Recorder::new(Rules { max_recordings: Some(1), ..Rules::default() }));
    played.after([Asked(Start), BEGUN, off()]);
    assert_eq!(played.then(Asked(Start)), ["refused: max_recordings", "Error"]);
    assert_eq!(played.then(StartAsked), ["refused: max_recordings", "Refused"]);
}

/// A recorder whose first recording has taken all that it may, but for its snapshot.
fn full() -> Recorder {
    let mut played = Played::new(Recorder::new(Rules { max_bytes: Some(SNAPSHOT), ..Rules::default() }));
    played.after([Asked(Start), BEGUN, off()]);
    played.recorder
}

#[test]
fn finished_recordings_are_counted_again_only_when_there_is_no_room() {
    let mut played = Played::new(full());
    assert_eq!(played.then(Asked(Start)), ["count", "refused: max_bytes", "Error"]);
    let mut roomy = Played::new(manual());
    roomy.after([Asked(Start), BEGUN, off(), Asked(Start), BEGUN, Event::Tick(tick(100.0)), off()]);
    assert!(!roomy.words().contains(&"count".to_owned()));
}

#[test]
fn a_finished_recording_that_is_taken_away_gives_its_bytes_back() {
    let (recorder, _) = full().step(Asked(Start));
    let named = Event::Named { name: "b".into(), snapshot_bytes: SNAPSHOT };
    let (recorder, effects) = recorder.step(named.clone());
    let [Effect::Count(made, event)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(**event, named);
    let gone = made.clone().recounted(|_| Sizes::default());
    assert!(gone.is_empty());
    let (_, effects) = recorder.step(Event::Counted(gone, event.clone()));
    assert_eq!(effects, [Effect::Reserve("b".into())]);
}

#[test]
fn a_recording_that_is_on_profits_from_what_is_taken_away() {
    let rules = Rules { max_bytes: Some(2 * SNAPSHOT), ..Rules::default() };
    let mut played = Played::new(Recorder::new(rules));
    played.after([Asked(Start), BEGUN, off(), Asked(Start), BEGUN]);
    let sizes = Sizes { snapshot_bytes: SNAPSHOT, log_bytes: SNAPSHOT };
    let (recorder, effects) = played.recorder.step(Event::Tick(Tick { sizes, ..tick(100.0) }));
    let [Effect::Count(_, event)] = &effects[..] else { panic!("{effects:?}") };
    assert!(recorder.clone().step(Event::Counted(Made::default(), event.clone())).1.is_empty());
    let Effect::Count(made, event) = effects[0].clone() else { unreachable!() };
    assert_eq!(recorder.step(Event::Counted(made, event)).1, [Effect::AskEnd]);
}
