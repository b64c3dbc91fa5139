//! aarch64: `svc`, and a write to a system register that no processor has as the hypercall.

use core::arch::asm;
use protocol::Registers;

/// Off PANDA the instruction is an undefined one.
pub const HYPERCALL_MAY_TRAP: bool = true;

/// The numbers of the system calls.
pub(crate) mod nr {
    pub(crate) const FACCESSAT: usize = 48;
    pub(crate) const CLOSE: usize = 57;
    pub(crate) const PIPE2: usize = 59;
    pub(crate) const READ: usize = 63;
    pub(crate) const WRITE: usize = 64;
    pub(crate) const EXIT_GROUP: usize = 94;
    pub(crate) const NANOSLEEP: usize = 101;
    pub(crate) const KILL: usize = 129;
    pub(crate) const RT_SIGACTION: usize = 134;
    pub(crate) const RT_SIGPROCMASK: usize = 135;
    pub(crate) const RT_SIGTIMEDWAIT: usize = 137;
    pub(crate) const PRCTL: usize = 167;
    pub(crate) const CLONE: usize = 220;
    pub(crate) const EXECVE: usize = 221;
    pub(crate) const WAIT4: usize = 260;
}

/// Makes a system call.
///
/// # Safety
/// That of the call itself.
pub(crate) unsafe fn syscall(number: usize, args: [usize; 4]) -> isize {
    let result;
    // SAFETY: the kernel changes no register but X0, and memory as the caller allows.
    unsafe {
        asm!(
            "svc #0",
            in("x8") number,
            inlateout("x0") args[0] => result,
            in("x1") args[1],
            in("x2") args[2],
            in("x3") args[3],
            options(nostack),
        );
    }
    result
}

/// Makes a hypercall.
///
/// # Safety
/// What the registers point at must be what the action says, and the instruction must not trap.
pub unsafe fn hypercall([mut a, mut b, mut c, mut d]: Registers) -> Registers {
    // SAFETY: a plugin reads memory and changes these registers.
    unsafe {
        asm!(
            "msr S0_0_c5_c0_0, xzr",
            inout("x0") a,
            inout("x1") b,
            inout("x2") c,
            inout("x3") d,
            options(nostack, preserves_flags),
        );
    }
    [a, b, c, d]
}

/// Defines `_start`, which passes the initial stack to a function that never returns.
#[macro_export]
macro_rules! start {
    ($function:literal) => {
        core::arch::global_asm!(
            ".globl _start",
            "_start:",
            "mov x29, xzr",
            "mov x30, xzr",
            "mov x0, sp",
            "and x1, x0, #-16",
            "mov sp, x1",
            concat!("bl ", $function),
        );
    };
}
