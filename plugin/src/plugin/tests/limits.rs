//! How a guest is kept within bounds.

use super::*;

#[test]
fn a_disk_without_room_for_the_snapshot_is_refused_before_anything_is_written() {
    let fixture = Fixture::new(&[("min_free", "8000000000G")]);
    assert_eq!(fixture.say(action::START, b"a\0"), Some(Answer::Error));
    assert!(fixture.event("refused")["why"].as_str().is_some_and(|why| why.contains("free")));
    assert!(fixture.files().is_empty());
}

#[test]
fn a_guest_makes_no_more_recordings_than_it_may_dry_or_not() {
    for dry in ["n", "y"] {
        let fixture = Fixture::new(&[("max_recordings", "2"), ("dry", dry)]);
        for answer in [Answer::Start, Answer::Start, Answer::Error] {
            assert_eq!(fixture.say(action::START, b"a\0"), Some(answer));
            fixture.say(action::STOP, b"");
        }
        assert!(fixture.event("refused")["why"].as_str().is_some_and(|why| why.contains("max_recordings")));
        assert_eq!(fixture.plugin.ask_start(None), Reply::Refused);
        assert_eq!(fixture.status().recordings, 2);
    }
}

#[test]
fn a_guests_recordings_take_no_more_bytes_than_they_may() {
    let fixture = Fixture::new(&[("max_bytes", "1M")]);
    fixture.say(action::START, b"a\0");
    fixture.say(action::STOP, b"");
    assert_eq!(fixture.say(action::START, b"b\0"), Some(Answer::Error), "there is a snapshot's room less");
    assert!(fixture.event("refused")["why"].as_str().is_some_and(|why| why.contains("max_bytes")));
    for file in fixture.files() {
        fs::remove_file(fixture.dir().join(file)).expect("removed");
    }
    assert_eq!(fixture.say(action::START, b"c\0"), Some(Answer::Start), "what was taken away does not count");
    assert!(fixture.plugin.tick() && fixture.status().recording);
    fs::write(fixture.dir().join("c_001-rr-nondet.log"), vec![0; 1 << 21]).expect("written");
    fixture.plugin.tick();
    fixture.plugin.tick();
    let ended = fixture.events().into_iter().rfind(|event| event["event"] == "ended").expect("it ended");
    assert_eq!(ended["why"], "max_bytes");
}

#[test]
fn a_limit_ends_the_recording_and_quits_only_then() {
    let fixture = Fixture::new(&[("max_instr", "42"), ("nrec", "1")]);
    fixture.say(action::START, b"a\0");
    assert_eq!(fixture.panda().ticks, 1);
    assert!(fixture.plugin.tick(), "asks for the end");
    assert_eq!(fixture.panda().quits, 0);
    assert!(!fixture.plugin.tick(), "sees the end");
    assert_eq!((fixture.event("ended")["why"].as_str(), fixture.panda().quits), (Some("max_instr"), 1));
}
