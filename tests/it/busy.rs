//! Guests that are never idle: PANDA's main loop gets its turns all the same.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::machine::{Plugin, Run};
use crate::support::{in_c, lab};

/// How long anything may take before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(60);

/// PANDA's monitor on a socket.
struct Monitor(UnixStream);

impl Monitor {
    fn connect(socket: &Path) -> Monitor {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut monitor = Monitor(stream);
        monitor.answer();
        monitor
    }

    /// Gives a command; waits for its answer.
    fn ask(&mut self, command: &str) {
        self.0.write_all(format!("{command}\n").as_bytes()).unwrap();
        self.answer();
    }

    /// Reads up to the next prompt.
    fn answer(&mut self) {
        let mut said = Vec::new();
        let mut byte = [0];
        while !said.ends_with(b"(qemu) ") {
            self.0.read_exact(&mut byte).expect("PANDA's monitor answers");
            said.extend(byte);
        }
    }
}

/// A PANDA that does not outlive its test.
struct Killed(Option<Child>);

impl Drop for Killed {
    fn drop(&mut self) {
        if let Some(mut panda) = self.0.take() {
            panda.kill().unwrap();
            panda.wait().unwrap();
        }
    }
}

#[test]
fn a_guest_that_is_never_idle_locks_out_neither_monitor_nor_recordings() {
    let dir = tempfile::tempdir().unwrap();
    let script = "recctrlu start long; while :; do i=$((i+1)); done";
    let mut panda = lab().booting(dir.path(), script, Plugin::Ours, "events=events.jsonl");
    let plugins = dir.path().join("panda-dir/x86_64-softmmu/panda/plugins");
    fs::copy(in_c("tests/plugins/linger.c"), plugins.join("panda_linger.so")).unwrap();
    let socket = dir.path().join("monitor");
    panda.arg("-monitor").arg(format!("unix:{},server,nowait", socket.display())).args(["-panda", "linger"]);
    let mut panda = Killed(Some(panda.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()));

    let begun = Instant::now();
    while !fs::read_to_string(dir.path().join("events.jsonl")).is_ok_and(|said| said.contains("\"began\"")) {
        assert!(begun.elapsed() < PATIENCE, "no recording began");
        sleep(Duration::from_millis(10));
    }
    let mut monitor = Monitor::connect(&socket);
    for _ in 0..20 {
        monitor.ask("info status");
    }
    monitor.ask("end_record");
    monitor.0.write_all(b"quit\n").unwrap();
    let run = Run::after(dir, panda.0.take().unwrap());
    assert_eq!(run.recordings(), ["long_000"]);
    lab().replay(run.dir.path(), "long_000").unwrap_or_else(|said| panic!("{said}"));
}
