//! Tests of pandacap as a process, without a PANDA.

#![allow(clippy::disallowed_methods, reason = "the files are the tests' own")]
#![allow(clippy::unwrap_used, reason = "a test that unwraps fails where it should")]

mod bootstrap;
mod config;
mod exit;
mod guest;
mod help;
mod house;
mod images;
mod packages;
mod panda;
mod plugin;
mod rec;
mod setup;
mod terminal;
mod trace;
mod transcripts;
