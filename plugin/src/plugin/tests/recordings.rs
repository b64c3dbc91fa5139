//! A guest's recordings, from the start to the end.

use super::*;

#[test]
fn a_guest_names_its_recording_and_hears_of_its_end() {
    let fixture = Fixture::new(&[]);
    assert_eq!(fixture.say(action::TOGGLE, b"ssh\0"), Some(Answer::Start));
    assert!(fixture.status().recording);
    assert_eq!(fixture.say(action::TOGGLE, b"whatever\0"), Some(Answer::Stop));
    assert_eq!(fixture.files(), ["ssh_000-rr-nondet.log", "ssh_000-rr-snp"]);
    let ended = fixture.event("ended");
    assert_eq!(
        (&ended["name"], &ended["why"], &ended["instructions"]),
        (&"ssh_000".into(), &"guest".into(), &7.into())
    );
    assert_eq!((&ended["snapshot_bytes"], &ended["log_bytes"]), (&8.into(), &8.into()));
}

#[test]
fn only_the_program_that_locked_a_recording_can_end_it() {
    let fixture = Fixture::new(&[]);
    let key = protocol::key_from_registers(fixture.hypercall(action::NEW_KEY, 0, 0)).expect("a key");
    let start = fixture.hypercall(action::START_LOCKED, 0, key.into());
    assert_eq!(Answer::from_register(start[0]), Some(Answer::Start));
    let wrong = u64::from(key ^ 1);
    for (action, third) in
        [(action::STOP, 0), (action::TOGGLE, 0), (action::STOP_LOCKED, wrong), (action::STOP_LOCKED, 0)]
    {
        let answer = fixture.hypercall(action, third, 0);
        assert_eq!(Answer::from_register(answer[0]), Some(Answer::Error), "{action}");
        assert!(fixture.status().recording, "{action}");
    }
    let stop = fixture.hypercall(action::STOP_LOCKED, key.into(), 3);
    assert_eq!(Answer::from_register(stop[0]), Some(Answer::Stop));
    assert_eq!(fixture.event("began")["locked"], true);
    let ended = fixture.event("ended");
    assert_eq!((&ended["why"], &ended["exit_status"]), (&"guest".into(), &3.into()));
    assert_eq!(ended["denied"], serde_json::json!({ "stop": 1, "toggle": 1, "key": 2 }));
}

#[test]
fn attempts_to_end_a_locked_recording_are_counted_and_fill_no_disk() {
    let fixture = Fixture::new(&[]);
    fixture.hypercall(action::START_LOCKED, 0, 7);
    for _ in 0..20_000 {
        fixture.hypercall(action::STOP, 0, 0);
    }
    fixture.hypercall(action::STOP_LOCKED, 7, 0);
    assert_eq!(fixture.event("ended")["denied"]["stop"], 20_000);
    assert!(fixture.events().len() < 3_000, "{}", fixture.events().len());
}

#[test]
fn what_can_not_be_recorded_is_refused_with_a_reason_and_leaves_nothing() {
    for (refusal, word) in [(Refusal::Kvm, "KVM"), (Refusal::Smp(2), "processors")] {
        let fixture = Fixture::new(&[("session_rec", "y")]);
        fixture.panda().obstacle = Some(refusal);
        assert_eq!(fixture.say(action::SESSION_OPEN, b"a\0"), Some(Answer::Error));
        assert!(fixture.event("refused")["why"].as_str().is_some_and(|why| why.contains(word)));
        assert_eq!((fixture.status().sessions, fixture.files().len()), (0, 0));
        assert_eq!(fixture.say(action::SESSION_OPEN, b"a\0"), Some(Answer::Start), "a later try works");
    }
}

#[test]
fn a_main_loop_that_does_not_come_by_leaves_no_files_and_no_session() {
    let fixture = Fixture::new(&[("session_rec", "y")]);
    fixture.panda().is_deaf = true;
    assert_eq!(fixture.say(action::SESSION_OPEN, b"a\0"), Some(Answer::Error));
    assert_eq!((fixture.status().sessions, fixture.files().len()), (0, 0));
    fixture.panda().is_deaf = false;
    fixture.say(action::SESSION_OPEN, b"a\0");
    fixture.panda().is_deaf = true;
    assert_eq!(fixture.say(action::SESSION_CLOSE, b""), Some(Answer::Error));
    assert!(fixture.status().recording, "the recording goes on");
}

#[test]
fn a_folder_that_has_gone_is_an_error_for_the_guest_and_no_more() {
    let fixture = Fixture::new(&[]);
    fs::remove_dir(fixture.dir()).expect("empty");
    assert_eq!(fixture.say(action::START, b"a\0"), Some(Answer::Error));
}

#[test]
fn a_machine_that_goes_down_leaves_a_complete_recording() {
    let fixture = Fixture::new(&[]);
    fixture.say(action::START, b"a\0");
    fixture.panda().mode = Some(Mode::Off);
    fixture.plugin.shutdown();
    assert_eq!(fixture.event("ended")["why"], "shutdown");
}

#[test]
fn a_machine_that_goes_down_while_the_guest_is_held_counts_what_is_on_disk_and_tells_of_it() {
    for begun in [false, true] {
        let fixture = Fixture::new(&[]);
        fixture.panda().registers = [MAGIC.into(), action::START as u32 as u64, 0, 0];
        assert_eq!(fixture.plugin.call(()), Verdict::SteppedOut);
        if begun {
            // PANDA begins it, and ends it on its way out, before the guest's thread comes back to us.
            let name = fixture.dir().join("recording_000");
            fixture
                .host
                .begin(&CString::new(name.to_str().expect("UTF-8")).expect("no NUL"))
                .expect("begins");
            fixture.panda().mode = Some(Mode::Off);
        }
        fixture.plugin.shutdown();
        assert_eq!(fixture.plugin.state.lock().recorder.recordings(), u32::from(begun));
        assert_eq!(fixture.files().len(), if begun { 2 } else { 0 });
        if begun {
            assert_eq!(fixture.event("ended")["why"], "shutdown");
        } else {
            assert!(fixture.event("refused")["why"].as_str().is_some_and(|why| why.contains("PANDA ended")));
        }
        // The guest's thread may come back still.
        fixture.plugin.stepped_out(());
        assert_eq!(fixture.plugin.state.lock().recorder.recordings(), u32::from(begun));
    }
}
