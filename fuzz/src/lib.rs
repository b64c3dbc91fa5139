//! Properties that must hold for every untrusted input: each function panics if its property does not hold.
//!
//! `scripts/fuzz` runs them under libFuzzer; the tests here run them on random inputs and on mutated valid ones.

#![allow(clippy::unwrap_used, reason = "what unwraps is what is held")]

mod hypercall;
mod kernel;
mod nondet_log;
mod qcow2;
mod snapshot;
#[cfg(test)]
mod tests;

pub use hypercall::hypercall;
pub use kernel::{kernel, kernel_profile};
pub use nondet_log::nondet_log;
pub use qcow2::qcow2;
pub use snapshot::snapshot;
