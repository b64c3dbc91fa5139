//! pandacap as its users meet it: as a process, on a real PANDA.

#![allow(clippy::unwrap_used, reason = "a test that unwraps fails where it should")]

mod foreign;
mod machine;
mod panda;
mod plugin_install;
mod pypanda;
mod rec;
mod recorder;
mod salvage;
mod support;
mod targets;
mod trace;
