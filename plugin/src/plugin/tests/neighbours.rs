//! Other plugins, which follow recordings and ask for them.

use std::ffi::{CStr, c_char, c_void};

use super::*;
use crate::follow::Follower;

/// What a follower heard.
pub(super) type Heard = Mutex<Vec<String>>;

unsafe extern "C" fn hear_began(heard: *mut c_void, name: *const c_char) {
    // SAFETY: `Fixture::follow` registers a `Heard` that outlives the fixture's calls; texts end with a NUL.
    let (heard, name) = unsafe { (&*heard.cast::<Heard>(), CStr::from_ptr(name)) };
    heard.lock().push(format!("began {}", name.to_string_lossy()));
}

unsafe extern "C" fn hear_ended(
    heard: *mut c_void,
    name: *const c_char,
    why: *const c_char,
    instructions: u64,
) {
    // SAFETY: as above.
    let (heard, name, why) = unsafe { (&*heard.cast::<Heard>(), CStr::from_ptr(name), CStr::from_ptr(why)) };
    let (name, why) = (name.to_string_lossy(), why.to_string_lossy());
    heard.lock().push(format!("ended {name} {why} {instructions}"));
}

unsafe extern "C" fn hear_message(heard: *mut c_void, text: *const c_char, len: usize) {
    // SAFETY: as above; the text is as long as we are told.
    let (heard, text) = unsafe { (&*heard.cast::<Heard>(), std::slice::from_raw_parts(text.cast(), len)) };
    heard.lock().push(format!("message {}", String::from_utf8_lossy(text)));
}

impl Fixture {
    /// Follows everything there is to follow.
    pub(super) fn follow(&self) -> Box<Heard> {
        let heard = Box::<Heard>::default();
        let context = (&raw const *heard).cast_mut().cast();
        self.plugin.followers().add(Follower::BeganWith(hear_began, context));
        self.plugin.followers().add(Follower::EndedWith(hear_ended, context));
        self.plugin.followers().add(Follower::MessageWith(hear_message, context));
        heard
    }
}

#[test]
fn another_plugin_follows_what_the_guest_does() {
    let fixture = Fixture::new(&[]);
    let heard = fixture.follow();
    fixture.say(action::START, b"a\0");
    fixture.say(action::MESSAGE, b"half way");
    fixture.say(action::STOP, b"");
    assert_eq!(*heard.lock(), ["began a_000", "message half way", "ended a_000 guest 7"]);
}

#[test]
fn another_plugin_starts_and_stops_and_hears_of_it_when_it_is_so() {
    let fixture = Fixture::new(&[]);
    let heard = fixture.follow();
    assert_eq!(fixture.plugin.ask_stop(), Reply::Already);
    assert_eq!(fixture.plugin.ask_start(Some(c"../mine")), Reply::Asked);
    assert_eq!((fixture.plugin.ask_start(None), fixture.plugin.ask_stop()), (Reply::Busy, Reply::Busy));
    assert!(heard.lock().is_empty());
    fixture.turn();
    assert_eq!(*heard.lock(), ["began _._mine_000"]);
    assert_eq!(fixture.plugin.ask_start(None), Reply::Already);
    assert_eq!(fixture.plugin.ask_stop(), Reply::Asked);
    fixture.turn();
    assert_eq!(heard.lock()[1..], ["ended _._mine_000 plugin 7"]);
    assert_eq!(fixture.event("ended")["why"], "plugin");
}

#[test]
fn no_follower_is_called_before_another_plugins_call_returns() {
    let fixture = Fixture::new(&[]);
    let heard = fixture.follow();
    fixture.say(action::START, b"a\0");
    // The monitor ends it, and recctrl has not noticed yet.
    fixture.panda().mode = Some(Mode::Off);
    assert!(!fixture.plugin.status().recording);
    assert_eq!(*heard.lock(), ["began a_000"]);
    fixture.turn();
    assert_eq!(heard.lock()[1..], ["ended a_000 monitor 7"]);
}

#[test]
fn a_guest_that_calls_while_another_plugins_recording_is_awaited_changes_nothing() {
    let fixture = Fixture::new(&[]);
    fixture.plugin.ask_start(Some(c"mine"));
    assert_eq!(fixture.say(action::TOGGLE, b"a\0"), Some(Answer::Noop));
    fixture.turn();
    assert_eq!(fixture.say(action::TOGGLE, b"a\0"), Some(Answer::Stop));
    assert_eq!(fixture.files(), ["mine_000-rr-nondet.log", "mine_000-rr-snp"]);
}

#[test]
fn a_recording_that_panda_does_not_begin_leaves_nothing_and_a_later_one_works() {
    let fixture = Fixture::new(&[]);
    fixture.plugin.ask_start(Some(c"mine"));
    fixture.panda().next = None;
    fixture.turn();
    assert!(fixture.files().is_empty() && !fixture.plugin.status().recording);
    fixture.panda().obstacle = Some(Refusal::Kvm);
    assert_eq!(fixture.plugin.ask_start(None), Reply::Refused);
    assert_eq!(fixture.plugin.ask_start(None), Reply::Asked);
}

#[test]
fn a_machine_that_goes_down_before_an_asked_recording_began_leaves_no_files() {
    let fixture = Fixture::new(&[]);
    fixture.plugin.ask_start(Some(c"mine"));
    fixture.plugin.shutdown();
    assert!(fixture.files().is_empty());
}
