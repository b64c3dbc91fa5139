//! Bindings to the part of PANDA's plugin ABI that pandacap uses, and the C shim for it; no logic.
//!
//! [`Panda`] looks every function and variable up in the running process, by name: one plugin serves every
//! target and version of PANDA, and each missing symbol is a value that says so.
#![allow(
    missing_docs,
    non_camel_case_types,
    non_upper_case_globals,
    unreachable_pub,
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    clippy::unwrap_used
)]

include!(concat!(env!("OUT_DIR"), "/abi.rs"));

/// The gate that every guest hypercall passes (`shim/gate.h`).
pub mod gate {
    include!(concat!(env!("OUT_DIR"), "/gate.rs"));
}

pub use libloading;
