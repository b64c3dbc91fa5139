//! A machine at each stage of its life: Ctrl-C ends it properly, and a reader that does not read delays nothing.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use testkit::disk::{APPEND, image_that_runs, initramfs, kernel};
use testkit::files::{entries, json};
use testkit::program::{home, own_home, process};
use testkit::wait::{ended, until};

/// The time limit for reaching or leaving a stage.
const PATIENCE: Duration = Duration::from_secs(120);
/// A command that takes a few seconds, in a replay as well.
const BUSY: &str = "n=0; while [ $n -lt 300000 ]; do n=$((n + 1)); done";

/// `pandacap rec` of a command in the tiny guest.
fn rec(out: &Path, options: &[&str], guest_command: &[&str]) -> Command {
    let mut rec = process(home());
    rec.arg("rec").arg("--out").arg(out).args(options).arg("--").args(guest_command);
    rec
}

fn start(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(run: &Child, signal: Signal) {
    kill_process(Pid::from_child(run), signal).unwrap();
}

/// Reads a run's output up to a line with this text.
fn until_said(from: impl Read, what: &str) {
    let said = BufReader::new(from).lines().map(Result::unwrap).find(|line| line.contains(what));
    assert!(said.is_some(), "{what:?} was not said");
}

/// Waits until a process runs in this folder, and returns its id.
fn machine_in(folder: &Path) -> Pid {
    until("machine", PATIENCE, || {
        let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok).map(|entry| entry.path());
        let mut here = processes.filter(|process: &PathBuf| {
            fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder))
        });
        here.find_map(|process| Pid::from_raw(process.file_name()?.to_str()?.parse().ok()?))
    })
}

/// The exit code after a Ctrl-C, and the rest of the output.
fn interrupted(mut run: Child) -> (Option<i32>, String) {
    signal(&run, Signal::INT);
    let mut said = String::new();
    if let Some(mut errors) = run.stderr.take() {
        errors.read_to_string(&mut said).unwrap();
    }
    (ended(run, PATIENCE).code(), said)
}

#[test]
fn ctrl_c_while_a_guest_boots_leaves_nothing() {
    let out = tempfile::tempdir().unwrap();
    let run = start(&mut rec(out.path(), &["--cold"], &["true"]));
    machine_in(out.path());
    let (code, said) = interrupted(run);
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("interrupted before anything was recorded"), "{said}");
    assert_eq!(entries(out.path()), [""; 0]);
}

#[test]
fn ctrl_c_while_a_guest_is_warmed_leaves_no_state() {
    let dir = tempfile::tempdir().unwrap();
    let own = own_home(dir.path());
    let run = start(process(&own).args(["guest", "warm", "tiny"]));
    let warm = own.join("guests/tiny/warm");
    machine_in(&warm);
    let (code, said) = interrupted(run);
    assert_eq!(code, Some(130), "{said}");
    assert_eq!(entries(&warm), [""; 0]);
}

#[test]
fn ctrl_c_while_a_recording_is_replayed_keeps_it_and_says_that_it_is_not_verified() {
    let out = tempfile::tempdir().unwrap();
    let mut run = start(&mut rec(out.path(), &["--name", "t"], &["sh", "-c", BUSY]));
    until_said(run.stderr.as_mut().unwrap(), "replaying");
    assert_eq!(interrupted(run).0, Some(130));
    let trace = out.path().join("t");
    assert_eq!(json(&trace.join("manifest.json"))["verification"], Value::Null);

    let mut replay = start(process(home()).arg("replay").arg(&trace));
    until_said(replay.stderr.as_mut().unwrap(), "replaying");
    assert_eq!(interrupted(replay).0, Some(130));
}

#[test]
fn ctrl_c_ends_maintenance_and_the_machine_with_it() {
    let (dir, image) = image_that_runs("echo I am here; sleep 1000");
    let mut maint = process(home());
    maint.args(["maint", "--no-kvm", "--mem", "128", "--append", APPEND, "--disk"]).arg(&image);
    maint.arg("--kernel").arg(kernel()).arg("--initrd").arg(initramfs());
    let mut run = start(&mut maint);
    until_said(run.stdout.as_mut().unwrap(), "I am here");
    let machine = machine_of(&run);
    let (code, said) = interrupted(run);
    assert_eq!(code, Some(130), "{said}");
    assert!(!Path::new("/proc").join(machine.as_raw_nonzero().to_string()).exists());
    drop(dir);
}

/// The machine that a program has started, wherever it runs.
fn machine_of(run: &Child) -> Pid {
    let children = format!("/proc/{0}/task/{0}/children", run.id());
    until("machine", PATIENCE, || {
        let children = fs::read_to_string(&children).unwrap();
        Pid::from_raw(children.split_whitespace().next()?.parse().ok()?)
    })
}

#[test]
fn the_second_ctrl_c_ends_the_program_on_the_spot() {
    let out = tempfile::tempdir().unwrap();
    let mut run = start(&mut rec(out.path(), &["--name", "t"], &["sh", "-c", "echo begun; sleep 1000"]));
    until_said(run.stdout.as_mut().unwrap(), "begun");
    // A stopped machine cannot react.
    let machine = machine_in(out.path());
    kill_process(machine, Signal::STOP).unwrap();
    signal(&run, Signal::INT);
    std::thread::sleep(Duration::from_millis(500));
    assert!(run.try_wait().unwrap().is_none(), "the first Ctrl-C waits for the machine");
    signal(&run, Signal::INT);
    assert_eq!(ended(run, Duration::from_secs(5)).signal(), Some(Signal::INT.as_raw()));
    kill_process(machine, Signal::KILL).unwrap();
}

#[test]
fn a_reader_who_does_not_read_holds_up_neither_the_limits_nor_the_trace_and_misses_nothing() {
    let out = tempfile::tempdir().unwrap();
    let script = "head -c 1000000 /dev/zero; echo; echo the last; sleep 1000";
    let mut run = start(&mut rec(out.path(), &["--name", "t", "--timeout", "30"], &["sh", "-c", script]));
    let manifest = out.path().join("t/manifest.json");
    until("trace", PATIENCE, || manifest.exists().then_some(()));
    assert_eq!(json(&manifest)["recording"]["ended"], "shutdown");
    assert!(run.try_wait().unwrap().is_none(), "the rest waits for its reader");
    let mut said = Vec::new();
    run.stdout.as_mut().unwrap().read_to_end(&mut said).unwrap();
    assert_eq!(ended(run, PATIENCE).code(), Some(5));
    let said = String::from_utf8(said).unwrap();
    assert_eq!(said.matches('\0').count(), 1_000_000);
    let rest = said.trim_start_matches('\0');
    assert!(rest.starts_with("\nthe last\n") && rest.contains("verified"), "{rest}");
}
