//! Tests that this machine cannot run are skipped by name, and `scripts/test` counts them in its last line.

use std::fs::OpenOptions;
use std::io::Write;

use crate::checkout::scratch;

/// Notes what is skipped, and why; the test then returns.
#[allow(clippy::print_stderr, reason = "the test that is skipped says so")]
pub fn skip(name: &str, why: &str) {
    let line = format!("skipped: {name}: {why}\n");
    eprint!("{line}");
    let list = scratch().join("skipped");
    let mut list = OpenOptions::new().create(true).append(true).open(list).unwrap();
    list.write_all(line.as_bytes()).unwrap();
}
