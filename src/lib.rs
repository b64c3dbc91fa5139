//! pandacap turns a disk image into verified PANDA traces.
//!
//! The program is a thin `main` over this library; [`trace::log`] is made for others to build on as well.

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod bootstrap;
pub mod cli;
pub mod config;
pub mod confine;
pub mod digest;
pub mod dist;
pub mod doctor;
pub mod exit;
pub mod files;
pub mod guest;
pub mod interrupt;
pub mod maint;
pub mod panda;
pub mod plugin;
pub mod progress;
pub mod rec;
pub mod replay;
pub mod target;
pub mod terminal;
pub mod trace;
pub mod vm;
