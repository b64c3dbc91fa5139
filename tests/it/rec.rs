//! `pandacap rec` and `pandacap verify`: a command becomes a verified trace, or nothing is left.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::time::Duration;

use assert_cmd::Command;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use rr_log::Reader;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::files::{entries, running_below, script, sha256};
use testkit::program::{self, home, pandacap, process};
use testkit::wait::until;
use testkit::wheel::PANDA;
use trace::{Event, What};

/// `pandacap rec` into `out`, up to its command.
fn rec(out: &Path, options: &[&str]) -> Command {
    let mut command = pandacap(home());
    command.arg("rec").arg("--out").arg(out).args(options).arg("--");
    command
}

/// Records, and returns the exit code and the JSON document.
fn record<S: AsRef<OsStr>>(out: &Path, options: &[&str], guest_command: &[S]) -> (i32, Value) {
    let output = rec(out, &[options, &["--json"]].concat()).args(guest_command).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    (output.status.code().unwrap(), report)
}

/// The exit code of `pandacap verify`, and its report on the only trace.
fn verify(trace: &Path) -> (i32, Value) {
    let (code, reports) = program::verify(trace);
    (code.unwrap(), reports[0].clone())
}

fn out() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_command_becomes_a_verified_trace_that_can_be_moved() {
    let out = out();
    let (code, report) = record(out.path(), &["--name", "greeting"], &["echo", "hello"]);
    assert_eq!((code, &report["exit_status"]), (0, &json!(0)));
    assert_eq!(
        (&report["command"], &report["recording"]["ended"]),
        (&json!(["echo", "hello"]), &json!("guest"))
    );
    assert_eq!(report["verification"]["replayed"], true);
    assert!(report["recording"]["instructions"].as_u64().unwrap() > 100_000);

    let trace = out.path().join("greeting");
    assert_eq!(fs::read(trace.join("output.log")).unwrap(), b"hello\n");
    assert_eq!(entries(out.path()), ["greeting"]);
    let mut listed: Vec<String> = report["files"].as_object().unwrap().keys().cloned().collect();
    listed.extend(["manifest.json", "replay.log"].map(str::to_owned));
    listed.sort();
    assert_eq!(entries(&trace), listed);

    let moved = out.path().join("elsewhere: with, odd=name");
    fs::rename(&trace, &moved).unwrap();
    let (code, report) = verify(&moved);
    assert_eq!(
        (code, &report["digests_ok"], &report["replay_ok"]),
        (0, &json!(true), &json!(true)),
        "{report}"
    );
}

#[test]
fn every_byte_of_an_argument_arrives_and_the_exit_status_comes_back() {
    let out = out();
    let every_byte: Vec<u8> = (1..=255).collect();
    let odd: Vec<&OsStr> = ["", "it's", "a\nb", " $x `y` \\ \"", "--", "-n"]
        .map(OsStr::new)
        .into_iter()
        .chain([OsStr::from_bytes(&every_byte)])
        .collect();
    let script = [r#"printf '%s\001' "$@"; exit 3"#, "sh"].map(OsStr::new);
    let guest_command = [&["sh", "-c"].map(OsStr::new)[..], &script, &odd].concat();
    let (code, report) = record(out.path(), &["--name", "odd"], &guest_command);
    assert_eq!((code, &report["exit_status"]), (0, &json!(3)));
    let expected: Vec<u8> =
        odd.iter().flat_map(|argument| argument.as_bytes().iter().copied().chain([1])).collect();
    assert_eq!(fs::read(out.path().join("odd/output.log")).unwrap(), expected);
    assert_eq!(report["command"].as_array().unwrap().last(), Some(&json!(every_byte)));
}

#[test]
fn an_interrupt_during_preparation_is_reported_as_one() {
    let dir = tempfile::tempdir().unwrap();
    let apt = dir.path().join("apt-cache");
    script(
        &apt,
        "kill -INT $PPID
sleep 1
exit 1",
    );
    let path = format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap());
    let mut rec = pandacap(&dir.path().join("home"));
    rec.env("PATH", path).arg("--panda").arg(home().join(PANDA));
    rec.args(["rec", "--out"]).arg(dir.path().join("out")).args(["--", "true"]);
    rec.assert().code(130).stderr(contains("interrupted before anything was recorded"));
}

#[test]
fn a_reader_that_stops_early_does_not_stop_the_recording() {
    let out = out();
    let script = "for n in 1 2 3 4; do echo $n; sleep 1; done";
    let mut run = spawn(&out, &["--name", "read"], &["sh", "-c", script]);
    await_output(&mut run, "1");
    drop(run.stdout.take());
    assert_eq!(run.wait().unwrap().code(), Some(0));
    assert_eq!(fs::read_to_string(out.path().join("read/output.log")).unwrap().lines().count(), 4);
}

#[test]
fn the_commands_output_is_shown_as_it_arrives_before_the_result() {
    let out = out();
    let assert = rec(out.path(), &["--name", "seen"]).args(["echo", "from the guest"]).assert().success();
    let text = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    assert!(text.starts_with("from the guest\n"), "{text}");
    assert!(text.lines().any(|line| line.split_whitespace().eq(["verified", "yes"])), "{text}");
}

#[test]
fn options_for_guest_recordings_conflict_with_a_command() {
    let out = out();
    for option in [&["--nrec", "1"][..], &["--sessions"]] {
        rec(out.path(), option).arg("true").assert().code(2).stderr(contains(option[0]));
    }
}

#[test]
fn a_command_that_the_guest_does_not_have_leaves_nothing_behind() {
    let out = out();
    rec(out.path(), &[])
        .arg("no-such-command")
        .assert()
        .code(5)
        .stderr(contains("cannot run the command").and(contains("no-such-command")));
    assert_eq!(entries(out.path()), [""; 0]);
}

#[test]
fn a_guest_that_powers_off_or_panics_while_it_is_recorded_gives_a_verified_trace() {
    let out = out();
    let ends = [("off", "poweroff -f"), ("panic", "echo c > /proc/sysrq-trigger")];
    for (name, script) in ends {
        let (code, report) = record(out.path(), &["--name", name], &["sh", "-c", script]);
        assert_eq!((code, &report["exit_status"]), (0, &Value::Null), "{report}");
        assert_eq!(report["verification"]["replayed"], true, "{report}");
    }
}

#[test]
fn an_untrusted_trace_runs_no_program_opens_no_pipe_and_cannot_control_the_terminal() {
    let out = out();
    record(out.path(), &["--name", "t"], &["true"]);
    let trace = out.path().join("t");
    let (manifest, ran) = (trace.join("manifest.json"), out.path().join("ran"));
    let good: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();

    let mut evil = good.clone();
    evil["machine"]["more"] = json!(["-incoming", format!("exec:touch {}", ran.display())]);
    fs::write(&manifest, evil.to_string()).unwrap();
    let (code, report) = verify(&trace);
    assert_eq!((code, &report["digests_ok"], &report["replay_ok"]), (4, &json!(true), &Value::Null));
    assert!(report["problems"][0].as_str().unwrap().contains("--trust-args"), "{report}");
    pandacap(home()).arg("replay").arg(&trace).assert().code(4).stderr(contains("--trust-args"));
    assert!(!ran.exists());

    for (key, value) in [("nic", json!("e1000,addr=9")), ("nic", json!("\u{1b}]0;title\u{7}"))] {
        let mut evil = good.clone();
        evil["machine"][key] = value;
        fs::write(&manifest, evil.to_string()).unwrap();
        let refused = pandacap(home()).arg("verify").arg(&trace).assert().code(4);
        refused.stderr(contains("no such network card").and(contains("\u{1b}").not()));
    }

    fs::write(&manifest, good.to_string()).unwrap();
    let console = trace.join("console.log");
    fs::remove_file(&console).unwrap();
    assert!(Process::new("mkfifo").arg(&console).status().unwrap().success());
    let (code, report) = verify(&trace);
    assert_eq!((code, &report["problems"][0]), (4, &json!("console.log is not a regular file")));
}

#[test]
fn a_folder_may_have_any_name_in_a_report() {
    let out = out();
    let (code, report) = verify(&out.path().join(OsStr::from_bytes(b"\xff")));
    assert_eq!((code, &report["digests_ok"]), (4, &json!(false)));
    assert!(report["trace"].as_str().unwrap().ends_with("/\u{fffd}"), "{report}");
}

#[test]
fn a_trace_that_was_tampered_with_does_not_pass() {
    let out = out();
    record(out.path(), &["--name", "t"], &["true"]);
    let trace = out.path().join("t");
    let log = trace.join("t-rr-nondet.log");
    for file in [&log, &trace.join("t-rr-snp"), &trace.join("output.log")] {
        let good = fs::read(file).unwrap();
        let mut bad = good.clone();
        match bad.len() / 2 {
            0 => bad.push(b'x'),
            middle => bad[middle] ^= 1,
        }
        fs::write(file, bad).unwrap();
        let (code, report) = verify(&trace);
        let name = file.file_name().unwrap().to_str().unwrap();
        assert_eq!((code, &report["digests_ok"], &report["replay_ok"]), (4, &json!(false), &Value::Null));
        assert!(report["problems"][0].as_str().unwrap().starts_with(name), "{report}");
        fs::write(file, good).unwrap();
    }

    // Matching digests do not prove that a trace replays: half a log is not given to PANDA, and a log from which an
    // input was removed fails in the replay.
    let whole = fs::read(&log).unwrap();
    let entries: Vec<usize> =
        Reader::open(&log).unwrap().map(|entry| entry.unwrap().offset as usize).collect();
    let middle = entries.len() / 2;
    let half = whole[..whole.len() / 2].to_vec();
    let missing = [&whole[..entries[middle]], &whole[entries[middle + 1]..]].concat();
    let manifest = trace.join("manifest.json");
    let mut changed: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    for (bad, replayed) in [(half, Value::Null), (missing, json!(false))] {
        fs::write(&log, &bad).unwrap();
        changed["files"]["t-rr-nondet.log"] = json!({ "bytes": bad.len(), "sha256": sha256(&log) });
        fs::write(&manifest, changed.to_string()).unwrap();
        let (code, report) = verify(&trace);
        let found = (code, &report["digests_ok"], &report["replay_ok"]);
        assert_eq!(found, (4, &json!(true), &replayed), "{report}");
    }

    changed["schema"] = json!(3);
    fs::write(&manifest, changed.to_string()).unwrap();
    let (code, report) = verify(&trace);
    assert!(code == 4 && report["problems"][0].as_str().unwrap().contains("schema is 3"), "{report}");
}

#[test]
fn a_trace_of_an_earlier_pandacap_is_verified_and_replayed() {
    let out = out();
    rec(out.path(), &["--name", "t"]).arg("true").assert().success();
    let trace = out.path().join("t");
    let manifest = trace.join("manifest.json");
    let mut old: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    old["schema"] = json!(1);
    for field in ["panda_ended", "confinement"] {
        old.as_object_mut().unwrap().remove(field);
    }
    old["verification"]["failure"] = json!("PANDA printed something");
    fs::write(&manifest, old.to_string()).unwrap();
    let (code, report) = verify(&trace);
    assert_eq!((code, &report["replay_ok"]), (0, &json!(true)), "{report}");
    pandacap(home()).arg("replay").arg(&trace).assert().success();
}

#[test]
fn every_event_of_a_recording_is_one_of_the_schemas() {
    let out = out();
    rec(out.path(), &["--name", "t"]).arg("true").assert().success();
    let events = fs::read_to_string(out.path().join("t/events.jsonl")).unwrap();
    let events: Vec<Event> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.len() >= 3, "{events:?}");
    assert!(events.iter().all(|event| event.what != What::Unknown), "{events:?}");
}

#[test]
fn a_name_that_is_taken_or_leads_elsewhere_is_refused() {
    let out = out();
    fs::create_dir(out.path().join("mine")).unwrap();
    rec(out.path(), &["--name", "mine"]).arg("true").assert().code(1).stderr(contains("already exists"));
    for name in ["../x", "a/b", ".hidden", "a b", ""] {
        rec(out.path(), &["--name", name]).arg("true").assert().code(2).stderr(contains("--name"));
    }
    assert_eq!(entries(out.path()), ["mine"]);
}

#[test]
fn concurrent_runs_in_one_folder_do_not_interfere() {
    let out = out();
    let start = |word: &str| spawn(&out, &["--json"], &["echo", word]);
    let runs = ["one", "two"].map(|word| (word, start(word)));
    for (word, child) in runs {
        let output = child.wait_with_output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["verification"]["replayed"], true);
        let trace = PathBuf::from(report["trace"].as_str().unwrap());
        assert_eq!(fs::read_to_string(trace.join("output.log")).unwrap(), format!("{word}\n"));
    }
    assert_eq!(entries(out.path()).len(), 2);
}

#[test]
fn ctrl_c_ends_the_recording_properly_and_keeps_it() {
    let out = out();
    let mut run = spawn(&out, &["--name", "cut"], &["sh", "-c", "echo begun; sleep 1000"]);
    await_output(&mut run, "begun");
    signal(&run, Signal::INT);
    assert_eq!(run.wait().unwrap().code(), Some(130));
    let (code, report) = verify(&out.path().join("cut"));
    assert_eq!((code, &report["replay_ok"]), (0, &json!(true)), "{report}");
}

#[test]
fn ctrl_c_during_verify_prints_the_results_so_far() {
    let out = out();
    assert_eq!(record(out.path(), &["--name", "t"], &["true"]).0, 0);
    let mut verify = process(home());
    verify.args(["--json", "verify"]).args(vec![out.path().join("t"); 200]);
    let mut run = verify.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(run.stderr.take().unwrap()).lines().map(Result::unwrap);
    for _trace in 0..2 {
        said.find(|line| line.contains("replaying")).unwrap();
    }
    signal(&run, Signal::INT);
    let output = run.wait_with_output().unwrap();
    let reports: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!((1..200).contains(&reports.len()), "{}", reports.len());
    assert!(reports.iter().all(|report| report["replay_ok"] == true), "{reports:?}");
}

#[test]
fn a_run_that_takes_too_long_is_ended_and_keeps_what_it_has() {
    let out = out();
    rec(out.path(), &["--cold", "--timeout", "1", "--name", "a"])
        .args(["sleep", "1000"])
        .assert()
        .code(5)
        .stderr(contains("nothing was recorded within 1 s"));
    assert_eq!(entries(out.path()), [""; 0]);
    let (code, report) = record(out.path(), &["--timeout", "20", "--name", "b"], &["sleep", "1000"]);
    assert_eq!((code, &report["verification"]["replayed"]), (5, &json!(true)), "{report}");
}

#[test]
fn no_panda_outlives_a_pandacap_that_is_killed() {
    let out = out();
    let mut run = spawn(&out, &["--name", "orphan"], &["sh", "-c", "echo begun; sleep 1000"]);
    await_output(&mut run, "begun");
    let folder = out.path().join(".orphan.partial");
    assert_eq!(running_below(&folder), 1);
    run.kill().unwrap();
    run.wait().unwrap();
    until("end of PANDA", Duration::from_secs(10), || (running_below(&folder) == 0).then_some(()));
    rec(out.path(), &["--name", "orphan"]).arg("true").assert().code(1).stderr(contains("was left by a run"));
}

/// Starts `pandacap rec` and leaves it running.
fn spawn(out: &TempDir, options: &[&str], guest_command: &[&str]) -> Child {
    let mut run = process(home());
    run.arg("rec").arg("--out").arg(out.path()).args(options).arg("--").args(guest_command);
    run.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

fn await_output(run: &mut Child, line: &str) {
    let mut lines = BufReader::new(run.stdout.as_mut().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), line);
}

fn signal(run: &Child, signal: Signal) {
    kill_process(Pid::from_child(run), signal).unwrap();
}

/// A program for x86_64 that makes one hypercall, as a shell's `printf` writes it.
fn hypercall(action: i32, third: u32) -> String {
    let mut code = vec![0xb8, 0x66, 0x06, 0, 0, 0xbb];
    code.extend(action.to_le_bytes());
    code.push(0xb9);
    code.extend(third.to_le_bytes());
    // edx = 0; cpuid; exit(0)
    code.extend([0x31, 0xd2, 0x0f, 0xa2, 0x31, 0xff, 0xb8, 0x3c, 0, 0, 0, 0x0f, 0x05]);
    let (base, headers) = (0x40_0000_u64, 64 + 56);
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    elf.extend([base + headers, 64, 0].into_iter().flat_map(u64::to_le_bytes));
    elf.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
    elf.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    let size = headers + code.len() as u64;
    elf.extend([0, base, base, size, size, 4096].into_iter().flat_map(u64::to_le_bytes));
    elf.extend(code);
    elf.iter().map(|byte| format!("\\{byte:03o}")).collect()
}

#[test]
fn a_recorded_program_can_neither_end_its_recording_nor_forge_its_exit_status() {
    let (out, guess) = (out(), hypercall(protocol::action::STOP_LOCKED, 0x1234_5678));
    let script = format!(
        "recctrlu stop; recctrlu toggle x; recctrlu message exit=0; recctrlu run y -- true
         cat /proc/$PPID/cmdline /proc/$PPID/environ; ls -l /proc/$PPID/fd
         printf '{guess}' >/guess; chmod +x /guess; /guess && echo guessed
         mv /bin/recctrlu /bin/real
         printf '#!/bin/sh\n/bin/real message exit=0\n' >/bin/recctrlu; chmod +x /bin/recctrlu
         echo still here; exit 3"
    );
    let (code, report) = record(out.path(), &["--name", "a"], &["sh", "-c", &script]);
    assert_eq!((code, &report["exit_status"]), (0, &json!(3)), "{report}");
    let recording = &report["recording"];
    assert_eq!((&recording["ended"], &recording["locked"]), (&json!("guest"), &json!(true)));
    let attempts = json!({ "stop": 1, "toggle": 1, "key": 1, "exit_status": 2 });
    assert_eq!(recording["attempts"], attempts);
    let output = fs::read_to_string(out.path().join("a/output.log")).unwrap();
    assert!(output.contains("guessed\n") && output.contains("still here\n"), "{output}");
}

#[test]
fn a_recorded_program_that_kills_its_recorder_leaves_no_exit_status() {
    let out = out();
    let (_, report) = record(out.path(), &["--name", "a"], &["sh", "-c", "kill -9 $PPID; sleep 1; exit 0"]);
    assert_eq!((&report["exit_status"], &report["recording"]["ended"]), (&json!(null), &json!("shutdown")));
    assert_eq!(report["recording"]["attempts"]["exit_status"], 1, "{report}");
}

#[test]
fn too_much_output_ends_the_run_and_is_in_the_manifest() {
    let out = out();
    let noise = "while :; do cat /bin/busybox; done";
    for (name, to) in [("output", ""), ("console", ">/dev/ttyS0")] {
        let script = format!("{noise} {to}");
        let (code, report) =
            record(out.path(), &["--name", name, "--max-output", "256K"], &["sh", "-c", &script]);
        assert_eq!((code, &report["recording"]["ended"]), (5, &json!("max_output")), "{name}: {report}");
        assert_eq!(report["verification"]["replayed"], true, "{name}: {report}");
        let file = out.path().join(name).join(format!("{name}.log"));
        assert!((256 << 10..32 << 20).contains(&fs::metadata(file).unwrap().len()), "{name}");
    }
}
