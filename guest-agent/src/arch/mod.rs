//! What differs between processors, one file each: the system call and its numbers, the hypercall, `_start`.

#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "x86", path = "i386.rs")]
#[cfg_attr(target_arch = "arm", path = "arm.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
mod this;

pub use this::{HYPERCALL_MAY_TRAP, hypercall};
pub(crate) use this::{nr, syscall};
