//! PANDA killed in the middle of recordings: all of them replay once they are salvaged.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::machine::Plugin;
use crate::support::{home, lab, pandacap};

/// How many recordings are cut short.
pub const KILLS: u32 = 20;

/// A guest with something to do and something to say, all the time.
const BUSY: &str = "echo busy; while :; do ls -lR /proc/1 /bin; done";

#[test]
fn recordings_that_sigkill_cut_short_replay_to_their_end_once_salvaged() {
    for kill in 0..KILLS {
        let (kept, replayed) = salvaged(kill);
        assert!(kept >= 0.99, "kill {kill}: only {kept} of the log is kept");
        if let Err(said) = replayed {
            panic!("kill {kill}: the salvaged recording does not replay: {said}");
        }
    }
}

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
    wait(|| fs::read_to_string(dir.join("console")).ok().filter(|said| said.contains("busy")));
    wait(|| UnixStream::connect(&socket).ok()).write_all(b"begin_record torn\n").unwrap();
    let log = dir.join("torn-rr-nondet.log");
    wait(|| fs::metadata(&log).ok().filter(|log| log.len() > 0));
    sleep(after);
    panda.kill().unwrap();
    panda.wait().unwrap();
}

fn wait<T>(mut event: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(event) = event() {
            return event;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "nothing happened for a minute");
        sleep(Duration::from_millis(20));
    }
}
