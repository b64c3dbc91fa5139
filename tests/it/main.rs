//! Tests of pandacap as a process, on a real PANDA.

#![allow(clippy::disallowed_methods, reason = "the files are the tests' own")]
#![allow(clippy::print_stdout, reason = "shown where a test fails")]
#![allow(clippy::unwrap_used, reason = "a test that unwraps fails where it should")]

mod analyses;
mod analyze;
mod bootstrap;
mod busy;
mod confine;
mod container;
mod guest;
mod guest_setup;
mod hostile;
mod maint;
mod neighbours;
mod network;
mod panda;
mod plugin_install;
mod plugin_new;
mod profile;
mod pypanda;
mod rec;
mod recorder;
mod replay;
mod runs;
mod salvage;
mod stages;
mod targets;
mod transcripts;
