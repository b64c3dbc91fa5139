//! pandacap as its users meet it: as a process, on a real PANDA.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
mod salvage;
mod trace;
