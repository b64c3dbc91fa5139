//! pandacap turns a disk image into verified PANDA traces.
//!
//! The program is a thin `main` over this library; [`trace::log`] is made for others to build on as well.

pub mod cli;
pub mod exit;
pub mod target;
pub mod trace;
