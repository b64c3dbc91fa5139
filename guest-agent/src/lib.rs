//! recctrlu, the guest's side of recctrl: what its commands mean.
//!
//! The decisions are here and reach the hypercall and the terminal through [`World`] alone; `main.rs`
//! is the program around them, which has no C library under it.
#![cfg_attr(not(test), no_std)]

pub mod arch;
mod args;
mod bytes;
pub mod exit;
pub mod linux;
mod name;
mod outcome;
mod pam;
mod program;
mod recctrl;
mod reply;
mod run;
mod slices;
mod strings;
mod verbs;

pub use strings::{Strings, Text};
pub use verbs::main;

use protocol::Registers;

/// What a command needs of the world; tests have a fake.
pub trait World {
    /// Whether the hypercall's instruction can be executed at all; off PANDA some processors trap it.
    fn has_hypercall(&mut self) -> bool;
    /// Makes the call and gives the answer.
    fn hypercall(&mut self, call: Registers) -> Registers;
    /// Writes a piece of output, as far as that goes.
    fn write(&mut self, stream: Stream, text: &[u8]);
    /// Lets this many milliseconds pass.
    fn pause(&mut self, milliseconds: u32);
}

/// Where a piece of output goes; its number is the file descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Results.
    Out = 1,
    /// What went wrong.
    Err = 2,
}

#[cfg(test)]
mod fake;
