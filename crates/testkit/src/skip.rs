//! What cannot be tried on this machine is skipped by name, and `scripts/test` counts it in its last line.

use std::fs::OpenOptions;
use std::io::Write;

use crate::checkout::scratch;

/// Writes down what is skipped, and why; the test returns then.
#[allow(clippy::print_stderr, reason = "the test that is skipped says so")]
pub fn skip(name: &str, why: &str) {
    let line = format!("skipped: {name}: {why}\n");
    eprint!("{line}");
    let list = scratch().join("skipped");
    let mut list = OpenOptions::new().create(true).append(true).open(list).unwrap();
    list.write_all(line.as_bytes()).unwrap();
}
