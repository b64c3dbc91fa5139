//! Recordings during which PANDA is killed, and their salvage.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::machine::{Plugin, lab, tail};
use crate::program::{home, pandacap};
use crate::wait;

/// How many recordings are cut short.
pub const KILLS: u32 = 20;

const LOG: &str = "torn-rr-nondet.log";

/// The time limit for anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A guest that keeps working and printing.
const BUSY: &str = "echo busy; while :; do ls -lR /proc/1 /bin; done";

/// Cuts a recording short and salvages it; returns what part of its log is kept, and whether it replays.
///
/// Each kill comes at a different size of the log.
pub fn salvaged(kill: u32) -> (f64, Result<(), String>) {
    let dir = tempfile::tempdir().unwrap();
    record_and_kill(dir.path(), (256 + 96 * u64::from(kill)) << 10);
    let log = fs::read(dir.path().join(LOG)).unwrap();
    assert_eq!(log[..8], [0; 8], "kill {kill}: the recording was not cut short");

    let mut salvage = pandacap(home());
    salvage.args(["trace", "salvage", "--json"]).arg(dir.path());
    let output = salvage.assert().success().get_output().stdout.clone();
    let salvaged = &serde_json::from_slice::<Value>(&output).unwrap()["salvaged"];
    let bytes = |name: &str| salvaged[name].as_f64().unwrap();
    let kept = bytes("kept_bytes") / bytes("found_bytes");
    (kept, lab().replay(dir.path(), "torn-salvaged"))
}

fn record_and_kill(dir: &Path, size: u64) {
    // The monitor records, so that this holds for every PANDA recording and not only for recctrl's.
    let mut panda = lab().booting(dir, BUSY, Plugin::Absent, "");
    let socket = dir.join("monitor");
    panda.arg("-monitor").arg(format!("unix:{},server,nowait", socket.display()));
    let said = fs::File::create(dir.join("said")).unwrap();
    let mut panda = panda.stdout(said.try_clone().unwrap()).stderr(said).spawn().unwrap();
    wait::until_said(&dir.join("console"), "busy", PATIENCE);
    let mut monitor = wait::until("monitor", PATIENCE, || UnixStream::connect(&socket).ok());
    monitor.write_all(b"begin_record torn\n").unwrap();
    let grown = || fs::metadata(dir.join(LOG)).is_ok_and(|log| log.len() >= size);
    let comes = wait::comes(PATIENCE, || grown() || panda.try_wait().unwrap().is_some());
    let ended = panda.try_wait().unwrap();
    panda.kill().unwrap();
    panda.wait().unwrap();
    let tail = |file| tail(&String::from_utf8_lossy(&fs::read(dir.join(file)).unwrap()));
    assert!(
        comes && ended.is_none(),
        "no log of {size} bytes came to be killed; PANDA ended by itself: {ended:?}, and said:\n{}\n{}",
        tail("said"),
        tail("console")
    );
}
