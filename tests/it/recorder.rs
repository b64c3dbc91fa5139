//! recctrl on a real PANDA, with good and hostile guests, and machines that end in every way.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;
use testkit::gap::Gap;
use testkit::machine::{Plugin, Run, lab};
use testkit::monitor::PATIENCE;
use testkit::wait::until_said;

/// Boots a guest with our plugin, which writes events to `events.jsonl`.
fn record(script: &str, arguments: &str) -> Run {
    lab().run(script, Plugin::Ours, &with_events(arguments))
}

fn with_events(arguments: &str) -> String {
    if arguments.is_empty() {
        "events=events.jsonl".into()
    } else {
        format!("events=events.jsonl,{arguments}")
    }
}

/// Asserts that every recording of a run replays to its end on a PANDA without recctrl, and returns their names.
fn replays(run: &Run) -> Vec<String> {
    let recordings = run.recordings();
    for name in &recordings {
        if let Err(said) = lab().replay(run.dir.path(), name) {
            panic!("{name} does not replay: {said}");
        }
    }
    recordings
}

/// Starts a guest that records `long` and works until it is stopped; returns once the recording is on.
fn start_long(dir: &Path, script: &str, arguments: &str, options: &[&str]) -> Child {
    let mut panda = lab().booting(dir, script, Plugin::Ours, &with_events(arguments));
    let child = panda.args(options).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until_said(&dir.join("events.jsonl"), "\"began\"", PATIENCE);
    child
}

const LONG: &str = "recctrlu start long; while :; do i=$((i+1)); done";

#[test]
fn a_recording_starts_and_ends_exactly_on_the_hypercall() {
    let run = record("probe gap gap", "");
    run.assert_says(&["gap started=1 stopped=2"]);
    assert_eq!(replays(&run), ["gap_000"]);
    let gap = Gap::of(run.dir.path(), "gap_000", "gap");
    assert_eq!((gap.before, gap.after), (0, 0));
    // The read before the stop, three moves and a nop, then the cpuid, where the recording ends.
    assert_eq!(gap.from_last, Some(5));
}

#[test]
fn the_agent_speaks_every_verb_and_every_recording_replays() {
    let run = record(
        "recctrlu check; recctrlu status
         recctrlu start first; recctrlu start again; recctrlu message 'half way'; recctrlu status; recctrlu stop
         recctrlu stop; recctrlu toggle second; ls / >/dev/null; recctrlu toggle second
         recctrlu run third -- sh -c 'exit 7'; echo status $?
         recctrlu run fourth -- /no/such/program; echo status $?",
        "",
    );
    assert_eq!(replays(&run), ["first_000", "second_001", "third_002"]);
    let message = &run.events_of("message")[0];
    assert_eq!((&message["text"], &message["name"]), (&"half way".into(), &"first_000".into()));
    assert!(message["instructions"].as_u64().is_some_and(|n| n > 0));
    run.assert_says(&["status 7", "status 127"]);
}

#[test]
fn nested_sessions_under_load_replay_one_by_one() {
    let run = record(
        "while :; do i=$((i+1)); done &
         for n in 1 2 3; do
             PAM_TYPE=open_session PAM_USER=ann recctrlu pam --users ann,bob
             PAM_TYPE=open_session PAM_USER=eve recctrlu pam --users ann,bob
             recctrlu open_session bob; recctrlu status; recctrlu message in; recctrlu close_session bob
             PAM_TYPE=close_session PAM_USER=ann recctrlu pam --users ann,bob
         done",
        "session_rec=y",
    );
    assert_eq!(replays(&run), ["ann_session_000", "ann_session_001", "ann_session_002"]);
    let (ended, messages) = (run.events_of("ended"), run.events_of("message"));
    assert!(ended.iter().all(|ended| ended["why"] == "guest" && ended["instructions"].as_u64() > Some(1000)));
    assert_eq!(messages.len(), 3);
}

#[test]
fn agents_of_upstreams_time_keep_working_truncated_pointers_included() {
    let manual =
        record("probe call -100 old; probe call -100 old; probe call -100 @41414141; probe call -100 x", "");
    manual.assert_says(&["call -100 -> 1", "call -100 -> 2", "call -100 -> 1", "call -100 -> 2"]);
    assert_eq!(manual.recordings(), ["old_000", "recording_001"]);
    let sessions =
        record("probe call 100 s; probe call 100 s; probe call 200 s; probe call 200 s", "session_rec=y");
    sessions.assert_says(&["call 100 -> 1", "call 100 -> 0", "call 200 -> 0", "call 200 -> 2"]);
    assert_eq!(sessions.recordings(), ["s_000"]);
}

#[test]
fn the_agent_works_with_upstreams_plugin_and_without_any() {
    let upstream = lab().run(
        "recctrlu check; echo check $?; recctrlu start a; echo start $?; recctrlu stop; echo stop $?
         recctrlu status; echo status $?; recctrlu run b -- true; echo run $?",
        Plugin::Upstreams,
        "",
    );
    upstream.assert_says(&["check 0", "start 0", "stop 0", "status 4", "run 0"]);
    assert_eq!(upstream.recordings(), ["a_000", "b_001"]);
    let without =
        lab().run("recctrlu check; echo check $?; recctrlu start a; echo start $?", Plugin::Absent, "");
    without.assert_says(&["check 3", "start 3"]);
}

#[test]
fn a_timeout_ends_a_recording_and_resets_the_session_count() {
    let run = record(
        "recctrlu open_session one; recctrlu open_session one; sleep 3
         recctrlu close_session one; recctrlu open_session two; recctrlu close_session two",
        "session_rec=y,timeout=1",
    );
    assert_eq!(replays(&run), ["one_000", "two_001"]);
    let ended = run.events_of("ended");
    assert_eq!((&ended[0]["why"], &ended[1]["why"]), (&"timeout".into(), &"guest".into()));
    let seconds = ended[0]["seconds"].as_f64().unwrap();
    assert!((1.0..2.0).contains(&seconds), "{seconds} seconds");
}

#[test]
fn nrec_quits_panda_once_the_last_recording_is_on_disk() {
    let run = record("for n in 1 2 3 4; do recctrlu run r -- true; done; echo survived", "nrec=2");
    assert!(run.status.success() && !run.console.contains("survived"));
    assert_eq!(replays(&run), ["r_000", "r_001"]);
    let single = record("recctrlu run only -- true", "nrec=1");
    assert_eq!(replays(&single), ["only"]);
}

#[test]
fn max_instr_ends_a_recording_soon_after_its_limit() {
    let run = record(LONG, "max_instr=5M,nrec=1");
    assert_eq!(replays(&run), ["long"]);
    let ended = &run.events_of("ended")[0];
    assert_eq!(ended["why"], "max_instr");
    assert!(ended["instructions"].as_u64().is_some_and(|n| n >= 5 << 20));
}

#[test]
fn a_disk_that_runs_low_ends_the_recording_while_it_can_still_be_saved() {
    const SPARE: u64 = 3 << 30;
    let dir = tempfile::tempdir().unwrap();
    let free = || {
        let stat = rustix::fs::statvfs(dir.path()).unwrap();
        stat.f_bavail * stat.f_frsize
    };
    let min_free = free() - SPARE;
    let mut panda = start_long(dir.path(), LONG, &format!("min_free={min_free},nrec=1"), &[]);
    // Repeatedly, because others use the disk too, and may free space on it.
    let (hog, mut hogged) = (fs::File::create(dir.path().join("hog")).unwrap(), 0);
    while panda.try_wait().unwrap().is_none() {
        let more = (free() + (64 << 20)).saturating_sub(min_free);
        if more > 64 << 20 {
            rustix::fs::fallocate(&hog, rustix::fs::FallocateFlags::empty(), hogged, more).unwrap();
            hogged += more;
        }
        sleep(Duration::from_millis(100));
    }
    drop(hog);
    let run = Run::after(dir, panda);
    assert_eq!(run.events_of("ended")[0]["why"], "min_free");
    assert_eq!(replays(&run), ["long"]);
    // Too little space for a snapshot is just an error for the guest.
    let refused = record("recctrlu start a; echo start $?", &format!("min_free={}", u64::MAX >> 1));
    refused.assert_says(&["start 1"]);
    assert!(refused.recordings().is_empty() && refused.events_of("refused").len() == 1);
}

#[test]
fn a_dry_run_answers_and_writes_nothing() {
    let run = record("recctrlu start a; recctrlu status; recctrlu stop; recctrlu run b -- echo hi", "dry=y");
    run.assert_says(&["dry", "hi"]);
    assert!(run.recordings().is_empty());
}

#[test]
fn a_machine_that_goes_down_by_itself_leaves_a_recording_that_replays() {
    for (script, why) in [
        ("recctrlu start long; poweroff -f; sleep 9", "shutdown"),
        ("recctrlu start long; reboot -f; sleep 9", "shutdown"),
        ("mount -t sysfs none /sys; recctrlu start long; echo c >/proc/sysrq-trigger; sleep 9", "shutdown"),
    ] {
        let run = record(script, "");
        assert_eq!(run.events_of("ended")[0]["why"], why, "{script}");
        assert_eq!(replays(&run), ["long_000"], "{script}");
    }
}

#[test]
fn quit_in_the_monitor_and_sigterm_leave_a_recording_that_replays() {
    for by_monitor in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("monitor");
        let monitor = format!("unix:{},server,nowait", socket.display());
        let panda = start_long(dir.path(), LONG, "", &["-monitor", &monitor]);
        sleep(Duration::from_millis(300));
        if by_monitor {
            UnixStream::connect(&socket).unwrap().write_all(b"quit\n").unwrap();
        } else {
            let pid = rustix::process::Pid::from_child(&panda);
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        }
        let run = Run::after(dir, panda);
        assert_eq!(run.events_of("ended")[0]["why"], "shutdown", "by monitor: {by_monitor}");
        assert_eq!(replays(&run), ["long_000"], "by monitor: {by_monitor}");
    }
}

#[test]
fn the_monitor_may_end_a_guests_recording_and_the_guest_may_start_another() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("monitor");
    let monitor = format!("unix:{},server,nowait", socket.display());
    let script = "recctrlu start one
        until recctrlu status | grep -q 'recording: no'; do :; done
        recctrlu run two -- true; poweroff -f";
    let panda = start_long(dir.path(), script, "", &["-monitor", &monitor]);
    // end_record also stops the machine, which continues by itself once the recording has ended
    UnixStream::connect(&socket).unwrap().write_all(b"end_record\n").unwrap();
    let run = Run::after(dir, panda);
    assert_eq!(run.events_of("ended")[0]["why"], "monitor");
    assert_eq!(replays(&run), ["one_000", "two_001"], "{}\n{:?}", run.console, run.events());
}

#[test]
fn hostile_names_leave_the_folder_alone_and_the_machine_running() {
    let dir = tempfile::tempdir().unwrap();
    let inside = dir.path().join("inside");
    fs::create_dir(&inside).unwrap();
    for precious in ["precious_006-rr-snp", "precious_006-rr-nondet.log"] {
        fs::write(inside.join(precious), "precious").unwrap();
    }
    let script = "probe hostile-names 50; echo alive";
    let run = Run::of(dir, {
        let mut panda = lab().booting(&inside, script, Plugin::Ours, "");
        panda.args(["-serial", "null"]);
        panda
    });
    let outside: Vec<_> =
        fs::read_dir(run.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(outside.len(), 2, "something was written outside: {outside:?}");
    let console = fs::read_to_string(inside.join("console")).unwrap();
    assert_eq!(console.matches(" 1 2").count(), 50, "{console}");
    assert!(console.contains("alive") && run.status.success());
    assert_eq!(fs::read(inside.join("precious_006-rr-snp")).unwrap(), b"precious");
    assert!(inside.join("precious_006-2-rr-snp").exists());
    assert!(!Path::new("/tmp/escape_013-rr-snp").exists());
}

#[test]
fn floods_and_bad_calls_neither_stop_the_machine_nor_fill_the_disk() {
    let run = record(
        "probe flood 1004 20000; recctrlu start f; probe flood 1001 3000; probe flood 7 3000; recctrlu stop
         probe mischief 2000; echo alive",
        "",
    );
    run.assert_says(&["mischief done", "alive"]);
    assert!(run.status.success());
    assert!(fs::metadata(run.dir.path().join("events.jsonl")).unwrap().len() < 2 << 20);
    assert!(run.said.len() < 1 << 20, "{} bytes of log", run.said.len());
    replays(&run);
}

#[test]
fn a_guest_that_records_in_a_loop_is_stopped_by_the_limits_and_survives() {
    let script = "for n in $(seq 12); do recctrlu run r -- true; done; echo alive";
    for bound in ["max_recordings=3", "max_bytes=400M"] {
        let run = record(script, bound);
        run.assert_says(&["alive"]);
        let (made, refused) = (run.recordings().len(), run.events_of("refused"));
        assert!((1..=6).contains(&made) && refused.len() == 12 - made, "{bound}: {made} recordings");
        let name = bound.split('=').next().unwrap();
        assert!(refused[0]["why"].as_str().is_some_and(|why| why.contains(name)), "{refused:?}");
    }
}

#[test]
fn pretended_recordings_in_a_loop_do_not_fill_the_disk() {
    let run = record("probe flood -100 20000; echo alive", "dry=y,max_recordings=0");
    run.assert_says(&["flood 20000", "alive"]);
    assert!(fs::metadata(run.dir.path().join("events.jsonl")).unwrap().len() < 2 << 20);
    assert!(run.said.len() < 1 << 17, "{} bytes of log", run.said.len());
}

#[test]
fn a_removed_folder_is_an_error_for_the_guest_and_panda_survives() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("gone")).unwrap();
    let script = "echo ready; sleep 1; recctrlu start a; echo start $?; recctrlu status; echo alive";
    let mut panda = lab().booting(dir.path(), script, Plugin::Ours, "dir=gone");
    let panda = panda.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until_said(&dir.path().join("console"), "ready", PATIENCE);
    fs::remove_dir(dir.path().join("gone")).unwrap();
    let run = Run::after(dir, panda);
    run.assert_says(&["start 1", "alive"]);
    assert!(run.status.success());
}

#[test]
fn a_replay_with_the_plugin_loaded_is_the_same_replay() {
    let run =
        record("recctrlu start a; recctrlu status; recctrlu toggle x; recctrlu message m; recctrlu stop", "");
    let mut replays = run.recordings().into_iter();
    let name = replays.next().unwrap();
    let mut panda = lab().booting(run.dir.path(), "", Plugin::Ours, "");
    let output = panda.args(["-replay", &name]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("Replay completed successfully"), "{said}");
    assert_eq!(run.recordings(), [name], "the replay made a recording");
}

#[test]
fn arguments_are_listed_by_pandas_help_and_invalid_ones_are_refused_by_name() {
    let help = lab().run("", Plugin::Ours, "help");
    for argument in [
        "session_rec",
        "nrec",
        "timeout",
        "dry",
        "dir",
        "events",
        "max_instr",
        "max_recordings",
        "max_bytes",
        "min_free",
    ] {
        assert!(help.said.contains(argument), "{argument} is not in: {}", help.said);
    }
    for nonsense in
        ["nrec=many", "session_rec=perhaps", "dir=/no/such/folder", "nosuch=1", "events=/no/such/file"]
    {
        let run = lab().run("echo booted", Plugin::Ours, nonsense);
        let name = nonsense.split('=').next().unwrap();
        assert!(!run.status.success() && run.said.contains(name), "{nonsense}: {}", run.said);
        assert!(!run.console.contains("booted"));
    }
}
