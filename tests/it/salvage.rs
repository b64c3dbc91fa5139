//! PANDA killed in the middle of recordings: all of them replay once they are salvaged.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{panda, pandacap};

/// No two of the kills come at the same moment of the guest's boot, in which it is busy with devices all the time.
const KILLS: u32 = 20;

#[test]
fn recordings_that_sigkill_cut_short_replay_to_their_end_once_salvaged() {
    for kill in 0..KILLS {
        let dir = tempfile::tempdir().unwrap();
        record_and_kill(dir.path(), Duration::from_millis(300 + 97 * u64::from(kill)));
        let log = fs::read(dir.path().join("torn-rr-nondet.log")).unwrap();
        assert_eq!(log[..8], [0; 8], "kill {kill}: the recording was not cut short");

        let mut salvage = pandacap();
        salvage.args(["trace", "salvage", "--json"]).arg(dir.path());
        let output = salvage.assert().success().get_output().stdout.clone();
        let salvaged = &serde_json::from_slice::<Value>(&output).unwrap()["salvaged"];
        let bytes = |name: &str| salvaged[name].as_f64().unwrap();
        let kept = bytes("kept_bytes") / bytes("found_bytes");
        assert!(kept >= 0.99, "kill {kill}: only {kept} of the log is kept");
        if let Err(said) = replay(dir.path(), "torn-salvaged") {
            panic!("kill {kill}: the salvaged recording does not replay: {said}");
        }
    }
}

fn record_and_kill(dir: &Path, after: Duration) {
    let socket = dir.join("monitor");
    let mut panda = panda();
    panda.arg("-monitor").arg(format!("unix:{},server,nowait", socket.display()));
    panda.args(["-serial", "file:console"]).current_dir(dir);
    panda.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut panda = panda.spawn().unwrap();
    // Not before: PANDA does not replay what it records of the firmware, salvaged or not.
    wait(|| fs::read_to_string(dir.join("console")).ok().filter(|said| said.contains("Linux version")));
    wait(|| UnixStream::connect(&socket).ok()).write_all(b"begin_record torn\n").unwrap();
    let log = dir.join("torn-rr-nondet.log");
    wait(|| fs::metadata(&log).ok().filter(|log| log.len() > 0));
    sleep(after);
    panda.kill().unwrap();
    panda.wait().unwrap();
}

/// Replays a recording, and says what PANDA said where it does not come to its end.
fn replay(dir: &Path, name: &str) -> Result<(), String> {
    let mut panda = panda();
    panda.args(["-monitor", "none", "-serial", "null", "-replay", name]).current_dir(dir);
    let output = panda.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    match output.status.success() && said.contains("Replay completed successfully") {
        true => Ok(()),
        false => Err(format!("{}: {said}{}", output.status, String::from_utf8_lossy(&output.stderr))),
    }
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
