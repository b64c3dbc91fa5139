//! pandacap as its users meet it: as a process, on a real PANDA.

#![allow(clippy::unwrap_used, reason = "a test that unwraps fails where it should")]
#![allow(unreachable_pub, reason = "a program has no outside: `pub` is for its other modules")]

mod panda;
mod rec;
mod support;
