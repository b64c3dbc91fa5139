//! Recordings that PANDA was killed in the middle of, salvaged.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use crate::machine::{Plugin, lab};
use crate::program::{home, pandacap};
use crate::wait;

/// How many recordings are cut short.
pub const KILLS: u32 = 20;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// A guest with something to do and something to say, all the time.
const BUSY: &str = "echo busy; while :; do ls -lR /proc/1 /bin; done";

/// Cuts a recording short and salvages it: which part of its log is kept, and whether it replays.
///
/// No two of the kills come at the same moment of the guest's work.
pub fn salvaged(kill: u32) -> (f64, Result<(), String>) {
    let dir = tempfile::tempdir().unwrap();
    record_and_kill(dir.path(), Duration::from_millis(300 + 97 * u64::from(kill)));
    let log = fs::read(dir.path().join("torn-rr-nondet.log")).unwrap();
    assert_eq!(log[..8], [0; 8], "kill {kill}: the recording was not cut short");

    let mut salvage = pandacap(home());
    salvage.args(["trace", "salvage", "--json"]).arg(dir.path());
    let output = salvage.assert().success().get_output().stdout.clone();
    let salvaged = &serde_json::from_slice::<Value>(&output).unwrap()["salvaged"];
    let bytes = |name: &str| salvaged[name].as_f64().unwrap();
    let kept = bytes("kept_bytes") / bytes("found_bytes");
    (kept, lab().replay(dir.path(), "torn-salvaged"))
}

fn record_and_kill(dir: &Path, after: Duration) {
    // The monitor records, so that this holds for every PANDA recording and not only for recctrl's.
    let mut panda = lab().booting(dir, BUSY, Plugin::Absent, "");
    let socket = dir.join("monitor");
    panda.arg("-monitor").arg(format!("unix:{},server,nowait", socket.display()));
    let mut panda = panda.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait::until_said(&dir.join("console"), "busy", PATIENCE);
    let mut monitor = wait::until("monitor", PATIENCE, || UnixStream::connect(&socket).ok());
    monitor.write_all(b"begin_record torn\n").unwrap();
    let log = dir.join("torn-rr-nondet.log");
    wait::until("log", PATIENCE, || fs::metadata(&log).ok().filter(|log| log.len() > 0));
    sleep(after);
    panda.kill().unwrap();
    panda.wait().unwrap();
}
