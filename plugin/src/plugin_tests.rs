//! The plugin's callbacks against a PANDA that is made of paper, and a guest that means harm.

use std::{
    collections::BTreeMap,
    ffi::{CStr, CString, c_char, c_void},
    fs,
    path::Path,
    sync::Arc,
};

use panda_plugin::recctrl::Reply;
use proptest::prelude::*;
use protocol::{MAGIC, Peer, Status, action};
use serde_json::Value;

use super::*;
use crate::{follow::Follower, host::Refusal};

/// A machine of paper: one page of guest memory for each number, one processor.
#[derive(Default)]
struct Paper {
    mode: Option<Mode>,
    registers: Registers,
    pages: BTreeMap<u64, Vec<u8>>,
    obstacle: Option<Refusal>,
    deaf: bool,
    quits: u32,
    ticks: u32,
    paused: Duration,
    begun: Vec<String>,
    /// A recording that is to begin at the main loop's next turn.
    next: Option<String>,
}

#[derive(Clone, Default)]
struct PaperHost(Arc<Mutex<Paper>>);

const PAGE: u64 = 4096;

impl Host for PaperHost {
    type Cpu = ();

    fn mode(&self) -> Mode {
        self.0.lock().mode.unwrap_or(Mode::Off)
    }

    fn obstacle(&self) -> Option<Refusal> {
        self.0.lock().obstacle.take()
    }

    fn instructions(&self) -> u64 {
        42
    }

    fn snapshot_bytes(&self) -> u64 {
        1 << 20
    }

    fn registers(&self, (): ()) -> Registers {
        self.0.lock().registers
    }

    fn answer(&self, (): (), registers: Registers) {
        self.0.lock().registers = registers;
    }

    fn read(&self, (): (), address: u64, buffer: &mut [u8]) -> bool {
        let paper = self.0.lock();
        let bytes = (0..buffer.len() as u64).map(|i| {
            let at = address.wrapping_add(i);
            paper.pages.get(&(at / PAGE)).map(|page| page[(at % PAGE) as usize])
        });
        let Some(bytes) = bytes.collect::<Option<Vec<u8>>>() else { return false };
        buffer.copy_from_slice(&bytes);
        true
    }

    fn step_out(&self, (): (), answer: Registers) -> Result<(), Refusal> {
        self.0.lock().registers = answer;
        Ok(())
    }

    /// Opens the files as PANDA does: without O_EXCL, without O_TRUNC, and wherever the name leads.
    fn begin(&self, recording: &CStr) -> Result<(), Refusal> {
        if self.0.lock().deaf {
            return Err(Refusal::NoTurn);
        }
        let recording = recording.to_str().expect("a path of ours");
        for kind in ["rr-snp", "rr-nondet.log"] {
            fs::write(format!("{recording}-{kind}"), 7u64.to_le_bytes())
                .expect("PANDA would have crashed here");
        }
        let mut paper = self.0.lock();
        paper.begun.push(recording.to_owned());
        paper.mode = Some(Mode::Record);
        Ok(())
    }

    fn ask_begin(&self, recording: &CStr) -> Result<(), Refusal> {
        self.0.lock().next = Some(recording.to_str().expect("a path of ours").to_owned());
        Ok(())
    }

    fn is_pending(&self) -> bool {
        self.0.lock().next.is_some()
    }

    fn end(&self) -> Result<(), Refusal> {
        let mut paper = self.0.lock();
        if paper.deaf {
            return Err(Refusal::NoTurn);
        }
        paper.mode = Some(Mode::Off);
        Ok(())
    }

    fn ask_end(&self) {
        self.0.lock().mode = Some(Mode::Off);
    }

    fn random(&self) -> Option<u32> {
        Some(0x5eed)
    }

    fn quit(&self) {
        self.0.lock().quits += 1;
    }

    fn arm_ticks(&self, _every: Duration) {
        self.0.lock().ticks += 1;
    }

    fn pause(&self, time: Duration) {
        self.0.lock().paused += time;
    }
}

/// What a follower heard.
type Heard = Mutex<Vec<String>>;

unsafe extern "C" fn hear_began(heard: *mut c_void, name: *const c_char) {
    // SAFETY: `Desk::follow` registers a `Heard` that outlives the desk's calls; texts end with a NUL.
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

/// A plugin on a machine of paper, in a folder of its own inside a larger one.
struct Desk {
    host: PaperHost,
    plugin: Plugin<PaperHost>,
    around: tempfile::TempDir,
}

impl Desk {
    fn new(arguments: &[(&str, &str)]) -> Desk {
        let around = tempfile::tempdir().expect("a temporary folder");
        let dir = around.path().join("dir");
        fs::create_dir(&dir).expect("create");
        let options = Options::parse(arguments.iter().copied()).expect("good arguments");
        let events = Events::open(Some(&around.path().join("events.jsonl"))).expect("opens");
        let host = PaperHost::default();
        let plugin = Plugin::new(host.clone(), options, Folder::open(&dir).expect("is there"), events);
        Desk { host, plugin, around }
    }

    /// PANDA's main loop has a turn: it begins what it was asked to.
    fn turn(&self) {
        let next = self.host.0.lock().next.take();
        if let Some(recording) = next {
            let recording = CString::new(recording).expect("a path of ours");
            self.host.begin(&recording).ok();
        }
        self.plugin.tick();
    }

    /// Follows everything there is to follow.
    fn follow(&self) -> Box<Heard> {
        let heard = Box::<Heard>::default();
        let context = (&raw const *heard).cast_mut().cast();
        self.plugin.followers().add(Follower::BeganWith(hear_began, context));
        self.plugin.followers().add(Follower::EndedWith(hear_ended, context));
        self.plugin.followers().add(Follower::MessageWith(hear_message, context));
        heard
    }

    fn dir(&self) -> std::path::PathBuf {
        self.around.path().join("dir")
    }

    /// Makes a hypercall and returns what the guest reads afterwards.
    fn hypercall(&self, action: i32, first: u64, second: u64) -> Registers {
        self.host.0.lock().registers = [MAGIC.into(), action as u32 as u64, first, second];
        match self.plugin.call(()) {
            Verdict::NotOurs => panic!("{action} is ours"),
            Verdict::Answered => {}
            Verdict::SteppedOut => self.plugin.stepped_out(()),
        }
        self.host.0.lock().registers
    }

    /// Puts a text into guest memory and makes a hypercall with it.
    fn say(&self, action: i32, text: &[u8]) -> Option<Answer> {
        let mut page = text.to_vec();
        page.resize(2 * PAGE as usize, 0);
        {
            let mut paper = self.host.0.lock();
            paper.pages.insert(16, page[..PAGE as usize].to_vec());
            paper.pages.insert(17, page[PAGE as usize..].to_vec());
        }
        Answer::from_register(self.hypercall(action, 16 * PAGE, text.len() as u64)[0])
    }

    fn status(&self) -> Status {
        Status::from_registers(self.hypercall(action::STATUS, 0, 0)).expect("a status")
    }

    fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.dir())
            .expect("is there")
            .map(|entry| entry.expect("readable").file_name().into_string().expect("a plain name"))
            .collect();
        names.sort();
        names
    }

    fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.around.path().join("events.jsonl")).expect("events");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    fn event(&self, kind: &str) -> Value {
        let found = self.events().into_iter().find(|event| event["event"] == kind);
        found.unwrap_or_else(|| panic!("no {kind} among {:?}", self.events()))
    }
}

#[test]
fn a_guest_names_its_recording_and_hears_of_its_end() {
    let desk = Desk::new(&[]);
    assert_eq!(desk.say(action::TOGGLE, b"ssh\0"), Some(Answer::Start));
    assert!(desk.status().recording);
    assert_eq!(desk.say(action::TOGGLE, b"whatever\0"), Some(Answer::Stop));
    assert_eq!(desk.files(), ["ssh_000-rr-nondet.log", "ssh_000-rr-snp"]);
    let ended = desk.event("ended");
    assert_eq!(
        (&ended["name"], &ended["why"], &ended["instructions"]),
        (&"ssh_000".into(), &"guest".into(), &7.into())
    );
    assert_eq!((&ended["snapshot_bytes"], &ended["log_bytes"]), (&8.into(), &8.into()));
}

#[test]
fn what_has_locked_a_recording_ends_it_and_nothing_else_in_the_guest_does() {
    let desk = Desk::new(&[]);
    let key = protocol::key_from_registers(desk.hypercall(action::NEW_KEY, 0, 0)).expect("a key");
    let start = desk.hypercall(action::START_LOCKED, 0, key.into());
    assert_eq!(Answer::from_register(start[0]), Some(Answer::Start));
    let wrong = u64::from(key ^ 1);
    for (action, third) in
        [(action::STOP, 0), (action::TOGGLE, 0), (action::STOP_LOCKED, wrong), (action::STOP_LOCKED, 0)]
    {
        let answer = desk.hypercall(action, third, 0);
        assert_eq!(Answer::from_register(answer[0]), Some(Answer::Error), "{action}");
        assert!(desk.status().recording, "{action}");
    }
    let stop = desk.hypercall(action::STOP_LOCKED, key.into(), 3);
    assert_eq!(Answer::from_register(stop[0]), Some(Answer::Stop));
    assert_eq!(desk.event("began")["locked"], true);
    let ended = desk.event("ended");
    assert_eq!((&ended["why"], &ended["exit_status"]), (&"guest".into(), &3.into()));
    assert_eq!(ended["denied"], serde_json::json!({ "stop": 1, "toggle": 1, "key": 2 }));
}

#[test]
fn who_tries_to_end_a_locked_recording_all_the_time_is_counted_and_fills_no_disk() {
    let desk = Desk::new(&[]);
    desk.hypercall(action::START_LOCKED, 0, 7);
    for _ in 0..20_000 {
        desk.hypercall(action::STOP, 0, 0);
    }
    desk.hypercall(action::STOP_LOCKED, 7, 0);
    assert_eq!(desk.event("ended")["denied"]["stop"], 20_000);
    assert!(desk.events().len() < 3_000, "{}", desk.events().len());
}

#[test]
fn recordings_are_numbered_and_a_single_one_is_not() {
    let desk = Desk::new(&[]);
    for _ in 0..2 {
        desk.say(action::START, b"a\0");
        desk.say(action::STOP, b"");
    }
    assert!(desk.files().contains(&"a_001-rr-snp".to_owned()));
    let single = Desk::new(&[("nrec", "1")]);
    single.say(action::START, b"a\0");
    assert_eq!(single.host.0.lock().quits, 0, "quit before the recording was on disk");
    single.say(action::STOP, b"");
    assert_eq!((single.files().len(), single.host.0.lock().quits), (2, 1));
    assert!(single.files().contains(&"a-rr-snp".to_owned()));
}

#[test]
fn calls_of_others_are_left_to_the_processor() {
    let desk = Desk::new(&[]);
    desk.host.0.lock().registers = [0x667, 1, 2, 3];
    assert_eq!(desk.plugin.call(()), Verdict::NotOurs);
    assert_eq!(desk.host.0.lock().registers, [0x667, 1, 2, 3]);
}

#[test]
fn in_a_replay_the_plugin_changes_nothing() {
    let desk = Desk::new(&[]);
    let before = [MAGIC.into(), action::TOGGLE as u32 as u64, 0, 0];
    {
        let mut paper = desk.host.0.lock();
        (paper.mode, paper.registers) = (Some(Mode::Replay), before);
    }
    assert_eq!(desk.plugin.call(()), Verdict::NotOurs);
    assert_eq!(desk.host.0.lock().registers, before);
    assert!(!desk.plugin.tick());
    assert!(desk.files().is_empty());
}

#[test]
fn a_hello_is_answered_as_the_protocol_says() {
    let desk = Desk::new(&[]);
    let sent = protocol::hello(0xdead_beef);
    let got = desk.hypercall(action::HELLO, sent[2], sent[3]);
    assert!(matches!(protocol::identify(sent, got), Peer::Recctrl { version: protocol::VERSION, .. }));
}

#[test]
fn a_name_that_cannot_be_read_costs_the_name_and_not_the_recording() {
    let desk = Desk::new(&[]);
    assert_eq!(Answer::from_register(desk.hypercall(action::TOGGLE, 0x4141_4141, 0)[0]), Some(Answer::Start));
    assert!(desk.files().contains(&"recording_000-rr-snp".to_owned()));
}

#[test]
fn a_name_at_the_end_of_a_page_is_read_although_the_next_page_is_missing() {
    let desk = Desk::new(&[]);
    let mut page = vec![b'x'; PAGE as usize];
    page[PAGE as usize - 4..].copy_from_slice(b"end\0");
    desk.host.0.lock().pages.insert(16, page);
    desk.hypercall(action::TOGGLE, 17 * PAGE - 4, 0);
    assert!(desk.files().contains(&"end_000-rr-snp".to_owned()));
}

#[test]
fn a_name_that_runs_into_a_missing_page_is_no_name() {
    let desk = Desk::new(&[]);
    desk.host.0.lock().pages.insert(16, vec![b'x'; PAGE as usize]);
    desk.hypercall(action::TOGGLE, 17 * PAGE - 4, 0);
    assert!(desk.files().contains(&"recording_000-rr-snp".to_owned()));
}

#[test]
fn what_can_not_be_recorded_is_refused_with_a_reason_and_leaves_nothing() {
    for (refusal, word) in [(Refusal::Kvm, "KVM"), (Refusal::Smp(2), "processors")] {
        let desk = Desk::new(&[("session_rec", "y")]);
        desk.host.0.lock().obstacle = Some(refusal);
        assert_eq!(desk.say(action::SESSION_OPEN, b"a\0"), Some(Answer::Error));
        assert!(desk.event("refused")["why"].as_str().is_some_and(|why| why.contains(word)));
        assert_eq!((desk.status().sessions, desk.files().len()), (0, 0));
        assert_eq!(desk.say(action::SESSION_OPEN, b"a\0"), Some(Answer::Start), "a later try works");
    }
}

#[test]
fn a_main_loop_that_does_not_come_by_leaves_no_files_and_no_session() {
    let desk = Desk::new(&[("session_rec", "y")]);
    desk.host.0.lock().deaf = true;
    assert_eq!(desk.say(action::SESSION_OPEN, b"a\0"), Some(Answer::Error));
    assert_eq!((desk.status().sessions, desk.files().len()), (0, 0));
    desk.host.0.lock().deaf = false;
    desk.say(action::SESSION_OPEN, b"a\0");
    desk.host.0.lock().deaf = true;
    assert_eq!(desk.say(action::SESSION_CLOSE, b""), Some(Answer::Error));
    assert!(desk.status().recording, "the recording goes on");
}

#[test]
fn a_folder_that_has_gone_is_an_error_for_the_guest_and_no_more() {
    let desk = Desk::new(&[]);
    fs::remove_dir(desk.dir()).expect("empty");
    assert_eq!(desk.say(action::START, b"a\0"), Some(Answer::Error));
}

#[test]
fn a_disk_without_room_for_the_snapshot_is_refused_before_anything_is_written() {
    let desk = Desk::new(&[("min_free", "8000000000G")]);
    assert_eq!(desk.say(action::START, b"a\0"), Some(Answer::Error));
    assert!(desk.event("refused")["why"].as_str().is_some_and(|why| why.contains("free")));
    assert!(desk.files().is_empty());
}

#[test]
fn a_guest_makes_no_more_recordings_than_it_may_dry_or_not() {
    for dry in ["n", "y"] {
        let desk = Desk::new(&[("max_recordings", "2"), ("dry", dry)]);
        for answer in [Answer::Start, Answer::Start, Answer::Error] {
            assert_eq!(desk.say(action::START, b"a\0"), Some(answer));
            desk.say(action::STOP, b"");
        }
        assert!(desk.event("refused")["why"].as_str().is_some_and(|why| why.contains("max_recordings")));
        assert_eq!(desk.plugin.ask_start(None), Reply::Refused);
        assert_eq!(desk.status().recordings, 2);
    }
}

#[test]
fn a_guests_recordings_take_no_more_bytes_than_they_may() {
    let desk = Desk::new(&[("max_bytes", "1M")]);
    desk.say(action::START, b"a\0");
    desk.say(action::STOP, b"");
    assert_eq!(desk.say(action::START, b"b\0"), Some(Answer::Error), "there is a snapshot's room less");
    assert!(desk.event("refused")["why"].as_str().is_some_and(|why| why.contains("max_bytes")));
    for file in desk.files() {
        fs::remove_file(desk.dir().join(file)).expect("removed");
    }
    assert_eq!(desk.say(action::START, b"c\0"), Some(Answer::Start), "what was taken away does not count");
    assert!(desk.plugin.tick() && desk.status().recording);
    fs::write(desk.dir().join("c_001-rr-nondet.log"), vec![0; 1 << 21]).expect("written");
    desk.plugin.tick();
    desk.plugin.tick();
    let ended = desk.events().into_iter().rfind(|event| event["event"] == "ended").expect("it ended");
    assert_eq!(ended["why"], "max_bytes");
}

#[test]
fn a_guest_that_pretends_all_the_time_fills_no_disk() {
    let desk = Desk::new(&[("dry", "y"), ("max_recordings", "0")]);
    for _ in 0..10_000 {
        desk.hypercall(action::TOGGLE, 0, 0);
    }
    assert_eq!(desk.status().recordings, 5_000);
    assert!(desk.events().len() < 3_000, "{}", desk.events().len());
}

#[test]
fn a_limit_ends_the_recording_and_quits_only_then() {
    let desk = Desk::new(&[("max_instr", "42"), ("nrec", "1")]);
    desk.say(action::START, b"a\0");
    assert_eq!(desk.host.0.lock().ticks, 1);
    assert!(desk.plugin.tick(), "asks for the end");
    assert_eq!(desk.host.0.lock().quits, 0);
    assert!(!desk.plugin.tick(), "sees the end");
    assert_eq!((desk.event("ended")["why"].as_str(), desk.host.0.lock().quits), (Some("max_instr"), 1));
}

#[test]
fn a_machine_that_goes_down_leaves_a_complete_recording() {
    let desk = Desk::new(&[]);
    desk.say(action::START, b"a\0");
    desk.host.0.lock().mode = Some(Mode::Off);
    desk.plugin.shutdown();
    assert_eq!(desk.event("ended")["why"], "shutdown");
}

#[test]
fn a_machine_that_goes_down_while_the_guest_is_held_counts_what_is_on_disk_and_tells_of_it() {
    for begun in [false, true] {
        let desk = Desk::new(&[]);
        desk.host.0.lock().registers = [MAGIC.into(), action::START as u32 as u64, 0, 0];
        assert_eq!(desk.plugin.call(()), Verdict::SteppedOut);
        if begun {
            // PANDA begins it, and ends it on its way out, before the guest's thread comes back to us.
            let name = desk.dir().join("recording_000");
            desk.host.begin(&CString::new(name.to_str().expect("UTF-8")).expect("no NUL")).expect("begins");
            desk.host.0.lock().mode = Some(Mode::Off);
        }
        desk.plugin.shutdown();
        assert_eq!(desk.plugin.state.lock().recorder.recordings(), u32::from(begun));
        assert_eq!(desk.files().len(), if begun { 2 } else { 0 });
        if begun {
            assert_eq!(desk.event("ended")["why"], "shutdown");
        } else {
            assert!(desk.event("refused")["why"].as_str().is_some_and(|why| why.contains("PANDA ended")));
        }
        // The guest's thread may come back still.
        desk.plugin.stepped_out(());
        assert_eq!(desk.plugin.state.lock().recorder.recordings(), u32::from(begun));
    }
}

#[test]
fn a_dry_run_answers_alike_and_writes_nothing() {
    let desk = Desk::new(&[("dry", "y"), ("session_rec", "y")]);
    assert_eq!(desk.say(action::SESSION_OPEN, b"a\0"), Some(Answer::Start));
    assert_eq!(desk.say(action::SESSION_OPEN, b"a\0"), Some(Answer::Noop));
    assert!(desk.status().recording && desk.status().dry);
    assert_eq!(desk.say(action::SESSION_CLOSE, b"a\0"), Some(Answer::Noop));
    assert_eq!(desk.say(action::SESSION_CLOSE, b"a\0"), Some(Answer::Stop));
    assert!(desk.files().is_empty() && desk.host.0.lock().begun.is_empty());
}

#[test]
fn another_plugin_follows_what_the_guest_does() {
    let desk = Desk::new(&[]);
    let heard = desk.follow();
    desk.say(action::START, b"a\0");
    desk.say(action::MESSAGE, b"half way");
    desk.say(action::STOP, b"");
    assert_eq!(*heard.lock(), ["began a_000", "message half way", "ended a_000 guest 7"]);
}

#[test]
fn another_plugin_starts_and_stops_and_hears_of_it_when_it_is_so() {
    let desk = Desk::new(&[]);
    let heard = desk.follow();
    assert_eq!(desk.plugin.ask_stop(), Reply::Already);
    assert_eq!(desk.plugin.ask_start(Some(c"../mine")), Reply::Asked);
    assert_eq!((desk.plugin.ask_start(None), desk.plugin.ask_stop()), (Reply::Busy, Reply::Busy));
    assert!(heard.lock().is_empty());
    desk.turn();
    assert_eq!(*heard.lock(), ["began _._mine_000"]);
    assert_eq!(desk.plugin.ask_start(None), Reply::Already);
    assert_eq!(desk.plugin.ask_stop(), Reply::Asked);
    desk.turn();
    assert_eq!(heard.lock()[1..], ["ended _._mine_000 plugin 7"]);
    assert_eq!(desk.event("ended")["why"], "plugin");
}

#[test]
fn no_follower_is_called_before_another_plugins_call_returns() {
    let desk = Desk::new(&[]);
    let heard = desk.follow();
    desk.say(action::START, b"a\0");
    // The monitor ends it, and nobody has noticed yet.
    desk.host.0.lock().mode = Some(Mode::Off);
    assert!(!desk.plugin.status().recording);
    assert_eq!(*heard.lock(), ["began a_000"]);
    desk.turn();
    assert_eq!(heard.lock()[1..], ["ended a_000 monitor 7"]);
}

#[test]
fn a_guest_that_calls_while_another_plugins_recording_is_awaited_changes_nothing() {
    let desk = Desk::new(&[]);
    desk.plugin.ask_start(Some(c"mine"));
    assert_eq!(desk.say(action::TOGGLE, b"a\0"), Some(Answer::Noop));
    desk.turn();
    assert_eq!(desk.say(action::TOGGLE, b"a\0"), Some(Answer::Stop));
    assert_eq!(desk.files(), ["mine_000-rr-nondet.log", "mine_000-rr-snp"]);
}

#[test]
fn a_recording_that_panda_does_not_begin_leaves_nothing_and_a_later_one_works() {
    let desk = Desk::new(&[]);
    desk.plugin.ask_start(Some(c"mine"));
    desk.host.0.lock().next = None;
    desk.turn();
    assert!(desk.files().is_empty() && !desk.plugin.status().recording);
    desk.host.0.lock().obstacle = Some(Refusal::Kvm);
    assert_eq!(desk.plugin.ask_start(None), Reply::Refused);
    assert_eq!(desk.plugin.ask_start(None), Reply::Asked);
}

#[test]
fn a_machine_that_goes_down_before_an_asked_recording_began_leaves_no_files() {
    let desk = Desk::new(&[]);
    desk.plugin.ask_start(Some(c"mine"));
    desk.plugin.shutdown();
    assert!(desk.files().is_empty());
}

#[test]
fn a_message_is_kept_with_its_place_in_the_recording() {
    let desk = Desk::new(&[]);
    desk.say(action::START, b"a\0");
    assert_eq!(desk.say(action::MESSAGE, b"exit=\"3\"\n\xff"), Some(Answer::Noop));
    let message = desk.event("message");
    assert_eq!(message["text"], "exit=\"3\"\n\u{fffd}");
    assert_eq!((&message["name"], &message["instructions"]), (&"a_000".into(), &42.into()));
}

#[test]
fn a_message_that_is_too_long_or_nowhere_is_an_error() {
    let desk = Desk::new(&[]);
    assert_eq!(desk.say(action::MESSAGE, &[b'x'; 1024]), Some(Answer::Noop));
    assert_eq!(desk.say(action::MESSAGE, &[b'x'; 1025]), Some(Answer::Error));
    for (address, len) in
        [(16 * PAGE, 0), (0, 1), (u64::MAX, 1024), (16 * PAGE, u64::MAX), (0x1234_5678_9abc, 5)]
    {
        assert_eq!(
            Answer::from_register(desk.hypercall(action::MESSAGE, address, len)[0]),
            Some(Answer::Error)
        );
    }
}

#[test]
fn a_flood_of_calls_slows_the_guest_that_makes_them() {
    let desk = Desk::new(&[]);
    for _ in 0..3000 {
        desk.hypercall(action::STATUS, 0, 0);
    }
    let paused = desk.host.0.lock().paused;
    assert!(paused >= Duration::from_millis(500), "{paused:?}");
}

/// Everything below `path`, with contents.
fn tree(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(path).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(tree(&path));
        } else {
            found.insert(path.display().to_string(), fs::read(&path).expect("readable"));
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn a_hostile_name_never_leaves_the_folder_nor_overwrites(
        name in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            "[./]{0,3}(dir|\\.\\.|etc|a|old|/){1,4}[-.\\x00-\\x1f_]{0,3}(rr2|rr-snp)?".prop_map(String::into_bytes),
        ],
        nrec in prop::bool::ANY,
    ) {
        let desk = Desk::new(if nrec { &[("nrec", "1")] } else { &[] });
        for old in ["old-rr-snp", "old_000-rr-snp", "a-rr-nondet.log", "a_000-rr-nondet.log"] {
            fs::write(desk.dir().join(old), "old").expect("write");
        }
        let before = tree(desk.around.path());
        prop_assert_eq!(desk.say(action::START, &name), Some(Answer::Start));
        prop_assert_eq!(desk.say(action::STOP, b""), Some(Answer::Stop));
        let after = tree(desk.around.path());
        for (path, old) in &before {
            prop_assert!(path.ends_with("events.jsonl") || after.get(path) == Some(old), "{} has changed", path);
        }
        let dir = desk.dir().display().to_string();
        let new: Vec<_> = after.keys().filter(|path| !before.contains_key(*path)).collect();
        prop_assert_eq!(new.len(), 2);
        for path in new {
            let name = path.strip_prefix(&dir).and_then(|name| name.strip_prefix('/'));
            prop_assert!(name.is_some_and(|name| !name.contains('/') && !name.starts_with('.')), "{}", path);
        }
    }

}

proptest! {
    #[test]
    fn whatever_is_in_the_registers_the_guest_gets_an_answer(calls: Vec<(i32, u64, u64)>, session_rec: bool) {
        let desk = Desk::new(if session_rec { &[("session_rec", "y")] } else { &[] });
        for (action, first, second) in calls {
            let known = [-100, 100, 200, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007];
            let action = if action % 3 == 0 { action } else { known[action.unsigned_abs() as usize % known.len()] };
            desk.hypercall(action, first, second);
        }
    }
}
