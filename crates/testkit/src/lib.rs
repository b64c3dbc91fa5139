//! What tests and benches share, so that they read like a story: the program, guests, machines, fakes.
//!
//! Everything is in the checkout's `target/`, and what takes long to make (PANDA, guests) is made once and kept.
//! Any error here panics, and so fails the test.

#![allow(clippy::disallowed_methods, reason = "the files are the tests' own")]
#![allow(clippy::unwrap_used, reason = "a test that unwraps fails where it should")]

pub mod checkout;
pub mod debian;
pub mod disk;
pub mod fake;
pub mod figures;
pub mod files;
pub mod foreign;
pub mod gap;
pub mod image;
pub mod machine;
pub mod monitor;
pub mod plugin;
pub mod program;
pub mod skip;
pub mod torn;
pub mod transcript;
pub mod wait;
pub mod wheel;

/// Runs a command that must succeed.
#[track_caller]
pub fn run(command: &mut std::process::Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}
