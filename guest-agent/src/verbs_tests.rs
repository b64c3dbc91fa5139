use crate::{
    exit,
    fake::{Fake, Who},
};
use protocol::{Answer, Status, feature};

fn ours(answer: Answer) -> Fake {
    Fake::ours(feature::EVENTS, answer)
}

#[test]
fn without_recctrl_it_says_so_once_and_calls_nothing() {
    for who in [Who::Absent, Who::Trap] {
        for args in
            ["start a", "stop", "toggle a", "open_session a", "close_session", "status", "check", "message a"]
        {
            let args: Vec<&str> = ["recctrlu"].into_iter().chain(args.split(' ')).collect();
            let mut world = Fake { who, ..Fake::without_recctrl() };
            assert_eq!(world.run(&args, &[]), exit::NO_RECCTRL, "{args:?}");
            assert_eq!((world.calls.len(), world.out.as_str(), world.err.lines().count()), (0, "", 1));
            assert!(world.err.starts_with("recctrlu: not inside PANDA"), "{}", world.err);
        }
    }
}

#[test]
fn a_wrong_command_line_makes_no_hypercall() {
    let mut world = ours(Answer::Start);
    assert_eq!(world.run(&["recctrlu", "start"], &[]), exit::USAGE);
    assert_eq!(world.run(&[], &[]), exit::USAGE);
    assert_eq!((world.calls.len(), world.out.as_str(), world.err.lines().count()), (0, "", 2));
}

#[test]
fn each_verb_is_one_call_to_our_plugin() {
    for (args, call) in [
        (["recctrlu", "start", "../x"].as_slice(), "start ../x"),
        (&["recctrlu", "stop"], "stop"),
        (&["recctrlu", "toggle", "x"], "toggle x"),
        (&["recctrlu", "open_session", "x"], "open x"),
        (&["recctrlu", "close_session", "x"], "close"),
        (&["recctrlu", "message", "a note"], "message a note"),
        (&["recctrlu", "status"], "status"),
    ] {
        let mut world = ours(Answer::Noop);
        assert_eq!(world.run(args, &[]), exit::OK);
        assert_eq!((world.calls, world.pauses), (vec![call.to_string()], 0));
    }
}

#[test]
fn what_our_plugin_answers_is_said() {
    for (verb, answer, said) in [
        ("start", Answer::Start, "recording started\n"),
        ("start", Answer::Noop, "a recording is on already\n"),
        ("stop", Answer::Stop, "recording ended\n"),
        ("stop", Answer::Noop, "no recording ended\n"),
        ("toggle", Answer::Start, "recording started\n"),
        ("toggle", Answer::Stop, "recording ended\n"),
        ("open_session", Answer::Noop, "no recording started or ended\n"),
    ] {
        let args = ["recctrlu", verb, "x"];
        let args = if verb == "stop" { &args[..2] } else { &args };
        let mut world = ours(answer);
        assert_eq!((world.run(args, &[]), world.out.as_str(), world.err.as_str()), (exit::OK, said, ""));
        let mut world = ours(Answer::Error);
        assert_eq!((world.run(args, &[]), world.out.as_str()), (exit::FAILED, ""));
        assert!(world.err.contains("PANDA's log"), "{}", world.err);
    }
}

#[test]
fn a_status_is_one_fact_a_line() {
    let mut world = ours(Answer::Noop);
    world.status = Status { recording: true, session_mode: true, dry: true, sessions: 2, recordings: 17 };
    assert_eq!(world.run(&["recctrlu", "status"], &[]), exit::OK);
    assert_eq!(world.out, "recording: yes\nmode: sessions, dry\nopen sessions: 2\nrecordings made: 17\n");
}

#[test]
fn a_message_needs_a_plugin_that_keeps_events() {
    let mut world = Fake::ours(feature::EXACT, Answer::Noop);
    assert_eq!(world.run(&["recctrlu", "message", "x"], &[]), exit::UNSUPPORTED);
    assert_eq!(world.calls.len(), 0);
}

#[test]
fn check_tells_who_is_there() {
    for (mut world, said) in [
        (ours(Answer::Error), "recctrl, protocol 1, keeps events\n"),
        (Fake::ours(0, Answer::Error), "recctrl, protocol 1\n"),
        (Fake::upstream(false), "PANDA's own recctrl: toggle and sessions only\n"),
    ] {
        assert_eq!((world.run(&["recctrlu", "check"], &[]), world.out.as_str()), (exit::OK, said));
        assert_eq!(world.calls.len(), 0);
    }
}

#[test]
fn another_protocol_version_is_only_asked_what_every_version_knows() {
    let other = || Fake { who: Who::Ours { version: 2, features: 0 }, ..Fake::ours(0, Answer::Start) };
    for args in
        [["recctrlu", "toggle", "x"], ["recctrlu", "open_session", "x"], ["recctrlu", "close_session", "x"]]
    {
        let mut world = other();
        assert_eq!((world.run(&args, &[]), world.calls.len()), (exit::OK, 1));
    }
    for args in [["recctrlu", "start", "x"].as_slice(), &["recctrlu", "stop"], &["recctrlu", "status"]] {
        let mut world = other();
        assert_eq!((world.run(args, &[]), world.calls.len()), (exit::UNSUPPORTED, 0));
    }
}

#[test]
fn upstream_is_started_and_stopped_by_its_toggle() {
    let mut world = Fake::upstream(false);
    assert_eq!(world.run(&["recctrlu", "start", "nodir/x"], &[]), exit::OK);
    assert_eq!(world.run(&["recctrlu", "stop"], &[]), exit::OK);
    assert_eq!(world.calls, ["toggle nodir_x", "toggle recctrlu"], "and its names are made plain for it");
    assert_eq!(world.pauses, 2, "it has time to do what it has answered");
}

#[test]
fn upstream_ending_what_was_to_be_started_is_a_failure() {
    let mut world = Fake::upstream(true);
    assert_eq!((world.run(&["recctrlu", "start", "x"], &[]), world.calls.len()), (exit::FAILED, 1));
    assert!(world.err.contains("has ended a recording"), "{}", world.err);
}

#[test]
fn a_recording_that_upstreams_toggle_starts_by_mistake_is_stopped() {
    let mut world = Fake::upstream(false);
    assert_eq!((world.run(&["recctrlu", "stop"], &[]), world.calls.len()), (exit::OK, 2));
    assert!(world.out.contains("made one"), "{}", world.out);
}

#[test]
fn upstream_counting_sessions_is_started_and_stopped_by_a_session() {
    let mut world = Fake::upstream_with_sessions(0);
    assert_eq!(world.run(&["recctrlu", "start", "x"], &[]), exit::OK);
    assert_eq!(world.out, "recording started\n");
    assert_eq!(world.run(&["recctrlu", "stop"], &[]), exit::OK);
    assert_eq!(world.out, "recording started\nrecording ended\n");
}

#[test]
fn a_start_leaves_upstreams_count_as_it_was_when_others_have_sessions() {
    let mut world = Fake::upstream_with_sessions(1);
    assert_eq!(world.run(&["recctrlu", "start", "x"], &[]), exit::OK);
    assert_eq!(
        (world.out.as_str(), world.calls.last().map(String::as_str)),
        ("a recording is on already\n", Some("close"))
    );
}

#[test]
fn upstream_has_no_status_and_takes_no_message() {
    for args in [["recctrlu", "status"].as_slice(), &["recctrlu", "message", "x"]] {
        let mut world = Fake::upstream(false);
        assert_eq!((world.run(args, &[]), world.calls.len()), (exit::UNSUPPORTED, 0));
    }
}

#[test]
fn a_login_opens_a_session_in_silence() {
    let mut world = ours(Answer::Start);
    assert_eq!(world.run(&["recctrlu", "pam"], &["PAM_TYPE=open_session", "PAM_USER=ann"]), exit::OK);
    assert_eq!(world.run(&["recctrlu", "pam"], &["PAM_TYPE=close_session", "PAM_USER=ann"]), exit::OK);
    assert_eq!(
        world.run(&["recctrlu", "pam", "--users", "bob"], &["PAM_TYPE=open_session", "PAM_USER=ann"]),
        exit::OK
    );
    assert_eq!(world.calls, ["open ann_session", "close"]);
    assert_eq!((world.out.as_str(), world.err.as_str()), ("", ""));
}

#[test]
fn a_login_off_panda_is_let_in_and_one_that_cannot_be_recorded_is_reported() {
    let login = ["PAM_TYPE=open_session", "PAM_USER=ann"];
    let mut world = Fake::without_recctrl();
    assert_eq!((world.run(&["recctrlu", "pam"], &login), world.err.as_str()), (exit::OK, ""));
    let mut world = ours(Answer::Error);
    assert_eq!(world.run(&["recctrlu", "pam"], &login), exit::FAILED);
}
