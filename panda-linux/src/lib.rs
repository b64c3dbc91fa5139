//! What a Linux guest does, as typed events for plugins of PANDA: system calls, processes, files and credentials.
//!
//! An analysis is a type with the trait [`Analysis`], exported with [`export!`] from a crate of type `cdylib`. It needs
//! neither PANDA's `-os` nor any of PANDA's own plugins, but the profile of the guest's kernel, which
//! `pandacap analyze` hands over as the argument `profile`.
//!
//! ```
//! use std::{error::Error, ffi::CStr};
//! use panda_linux::{Analysis, Event, Guest, PROFILE};
//! use panda_plugin::{Argument, Arguments, Panda};
//!
//! /// Logs each program that the guest executes.
//! struct Programs;
//!
//! impl Analysis for Programs {
//!     const NAME: &'static CStr = c"programs";
//!     const ARGUMENTS: &'static [Argument] = &[PROFILE];
//!
//!     fn load(_arguments: &Arguments) -> Result<Programs, Box<dyn Error>> {
//!         Ok(Programs)
//!     }
//!
//!     fn event(&mut self, guest: Guest<'_>, event: Event<'_>) {
//!         if let (Event::Executed, Some(task)) = (event, guest.current) {
//!             let program = guest.executable(&task).unwrap_or_default();
//!             log::info!("{}: {}", task.pid, program.escape_ascii());
//!         }
//!     }
//! }
//!
//! panda_linux::export!(Programs);
//! ```
//!
//! Nothing but the guest's own memory says what it does, and a guest whose kernel has been taken over can forge all of
//! it: every list is followed so far and no further, and what can't be read is left out.

mod call;
mod file;
mod follow;
mod guest;
mod kernel;
mod layout;
mod linux;
mod machine;
mod socket;
mod task;

pub use call::{Abi, Call};
pub use file::{File, Kind};
pub use follow::Event;
pub use guest::Guest;
pub use kernel::Kernel;
pub use kernel_profile::Profile;
pub use layout::Layout;
pub use linux::{Analysis, Linux, PROFILE};
pub use machine::Machine;
/// What [`export!`] needs.
pub use panda_plugin;
pub use socket::{Address, Inet};
pub use task::{Credentials, Task};

/// Why a guest can't be followed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unfollowable {
    /// The profile has no such symbol.
    #[error("the kernel's profile has no symbol {0}")]
    Symbol(&'static str),
    /// The profile has no such member.
    #[error("the kernel's profile has no member {0}")]
    Offset(&'static str),
    /// System calls are handled in a way that is not known.
    #[error("how this kernel is entered from user mode is not known")]
    Entries,
    /// The target is another one.
    #[error("only guests of x86_64 can be followed")]
    Target,
    /// There is no such kernel.
    #[error("the guest does not run the kernel that the profile describes")]
    NotFound,
}
