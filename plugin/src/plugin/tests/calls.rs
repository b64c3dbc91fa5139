//! Calls that are not about recordings, and those that are not ours.

use super::*;

#[test]
fn calls_of_others_are_left_to_the_processor() {
    let fixture = Fixture::new(&[]);
    fixture.panda().registers = [0x667, 1, 2, 3];
    assert_eq!(fixture.plugin.call(()), Verdict::NotOurs);
    assert_eq!(fixture.panda().registers, [0x667, 1, 2, 3]);
}

#[test]
fn in_a_replay_the_plugin_changes_nothing() {
    let fixture = Fixture::new(&[]);
    let before = [MAGIC.into(), action::TOGGLE as u32 as u64, 0, 0];
    {
        let mut panda = fixture.panda();
        (panda.mode, panda.registers) = (Some(Mode::Replay), before);
    }
    assert_eq!(fixture.plugin.call(()), Verdict::NotOurs);
    assert_eq!(fixture.panda().registers, before);
    assert!(!fixture.plugin.tick());
    assert!(fixture.files().is_empty());
}

#[test]
fn a_hello_is_answered_as_the_protocol_says() {
    let fixture = Fixture::new(&[]);
    let sent = protocol::hello(0xdead_beef);
    let got = fixture.hypercall(action::HELLO, sent[2], sent[3]);
    assert!(matches!(protocol::identify(sent, got), Peer::Recctrl { version: protocol::VERSION, .. }));
}

#[test]
fn a_message_is_kept_with_its_place_in_the_recording() {
    let fixture = Fixture::new(&[]);
    fixture.say(action::START, b"a\0");
    assert_eq!(fixture.say(action::MESSAGE, b"exit=\"3\"\n\xff"), Some(Answer::Noop));
    let message = fixture.event("message");
    assert_eq!(message["text"], "exit=\"3\"\n\u{fffd}");
    assert_eq!((&message["name"], &message["instructions"]), (&"a_000".into(), &42.into()));
}

#[test]
fn a_message_that_is_too_long_or_nowhere_is_an_error() {
    let fixture = Fixture::new(&[]);
    assert_eq!(fixture.say(action::MESSAGE, &[b'x'; 1024]), Some(Answer::Noop));
    assert_eq!(fixture.say(action::MESSAGE, &[b'x'; 1025]), Some(Answer::Error));
    for (address, len) in
        [(16 * PAGE, 0), (0, 1), (u64::MAX, 1024), (16 * PAGE, u64::MAX), (0x1234_5678_9abc, 5)]
    {
        assert_eq!(
            Answer::from_register(fixture.hypercall(action::MESSAGE, address, len)[0]),
            Some(Answer::Error)
        );
    }
}

#[test]
fn a_flood_of_calls_slows_the_guest_that_makes_them() {
    let fixture = Fixture::new(&[]);
    for _ in 0..3000 {
        fixture.hypercall(action::STATUS, 0, 0);
    }
    let paused = fixture.panda().paused;
    assert!(paused >= Duration::from_millis(500), "{paused:?}");
}

proptest! {
    #[test]
    fn whatever_is_in_the_registers_the_guest_gets_an_answer(calls: Vec<(i32, u64, u64)>, session_rec: bool) {
        let fixture = Fixture::new(if session_rec { &[("session_rec", "y")] } else { &[] });
        for (action, first, second) in calls {
            let known = [-100, 100, 200, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007];
            let action = if action % 3 == 0 { action } else { known[action.unsigned_abs() as usize % known.len()] };
            fixture.hypercall(action, first, second);
        }
    }
}
