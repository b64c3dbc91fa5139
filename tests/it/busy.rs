//! Guests that are never idle: PANDA's main loop runs nevertheless.

use std::fs;
use std::io::Write;
use std::process::Stdio;
use testkit::machine::{Plugin, Run, lab};
use testkit::monitor::{Killed, Monitor, PATIENCE};
use testkit::plugin::in_c;
use testkit::wait::until_said;

#[test]
fn a_busy_guest_locks_out_neither_the_monitor_nor_recordings() {
    let dir = tempfile::tempdir().unwrap();
    let script = "recctrlu start long; while :; do i=$((i+1)); done";
    let mut panda = lab().booting(dir.path(), script, Plugin::Ours, "events=events.jsonl");
    let plugins = dir.path().join("panda-dir/x86_64-softmmu/panda/plugins");
    fs::copy(in_c("tests/plugins/linger.c"), plugins.join("panda_linger.so")).unwrap();
    Monitor::add(dir.path(), &mut panda);
    panda.args(["-panda", "linger"]);
    let mut panda = Killed(Some(panda.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()));

    until_said(&dir.path().join("events.jsonl"), "\"began\"", PATIENCE);
    let mut monitor = Monitor::connect(dir.path()).unwrap();
    for _ in 0..20 {
        monitor.ask("info status").expect("PANDA's monitor answers");
    }
    monitor.ask("end_record").expect("PANDA's monitor answers");
    monitor.0.write_all(b"quit\n").unwrap();
    let run = Run::after(dir, panda.0.take().unwrap());
    assert_eq!(run.recordings(), ["long_000"]);
    lab().replay(run.dir.path(), "long_000").unwrap_or_else(|said| panic!("{said}"));
}
