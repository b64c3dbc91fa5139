//! Waiting with a time limit.

use std::fs;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The time between two checks.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until `look` returns something; panics with its name if that takes too long.
#[track_caller]
pub fn until<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(begun.elapsed() < patience, "no {what} within {} s", patience.as_secs());
        sleep(PAUSE);
    }
}

/// Whether a condition becomes true in time.
pub fn comes(patience: Duration, mut it: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < patience {
        if it() {
            return true;
        }
        sleep(PAUSE);
    }
    false
}

/// Waits until a file contains `what`.
#[track_caller]
pub fn until_said(file: &Path, what: &str, patience: Duration) {
    let wanted = format!("{what:?} in {}", file.display());
    until(&wanted, patience, || fs::read_to_string(file).ok().filter(|said| said.contains(what)));
}

/// Waits for the end of a process, which is killed if it takes too long.
pub fn ended(mut child: Child, patience: Duration) -> ExitStatus {
    if !comes(patience, || child.try_wait().unwrap().is_some()) {
        child.kill().unwrap();
    }
    child.wait().unwrap()
}
