//! pandacap as its users meet it: as a process, on a real PANDA.

#![allow(clippy::unwrap_used, reason = "a test that unwraps fails where it should")]

mod analyses;
mod gap;
mod machine;
mod neighbours;
mod panda;
mod rec;
mod recorder;
mod salvage;
mod support;
mod trace;
