//! pandacap as its users meet it: as a process, on a real PANDA.

mod common;
mod salvage;
mod trace;
