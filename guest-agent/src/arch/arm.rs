//! arm, in either instruction set: `svc`, and a move to a coprocessor that no processor has as the hypercall.

use core::arch::asm;
use protocol::Registers;

/// Off PANDA the instruction is an undefined one.
pub const HYPERCALL_MAY_TRAP: bool = true;

/// The numbers of the system calls.
pub(crate) mod nr {
    pub(crate) const READ: usize = 3;
    pub(crate) const WRITE: usize = 4;
    pub(crate) const CLOSE: usize = 6;
    pub(crate) const EXECVE: usize = 11;
    pub(crate) const KILL: usize = 37;
    pub(crate) const WAIT4: usize = 114;
    pub(crate) const CLONE: usize = 120;
    pub(crate) const NANOSLEEP: usize = 162;
    pub(crate) const PRCTL: usize = 172;
    pub(crate) const RT_SIGACTION: usize = 174;
    pub(crate) const RT_SIGPROCMASK: usize = 175;
    pub(crate) const RT_SIGTIMEDWAIT: usize = 177;
    pub(crate) const EXIT_GROUP: usize = 248;
    pub(crate) const FACCESSAT: usize = 334;
    pub(crate) const PIPE2: usize = 359;
}

/// Makes a system call.
///
/// # Safety
/// That of the call itself.
pub(crate) unsafe fn syscall(number: usize, args: [usize; 4]) -> isize {
    let result;
    // SAFETY: the kernel changes no register but R0, and memory as the caller allows; R7, which the compiler
    // may keep for itself, gets its value back.
    unsafe {
        asm!(
            "mov {saved}, r7",
            "mov r7, {number}",
            "svc 0",
            "mov r7, {saved}",
            saved = out(reg) _,
            number = in(reg) number,
            inlateout("r0") args[0] => result,
            in("r1") args[1],
            in("r2") args[2],
            in("r3") args[3],
            options(nostack),
        );
    }
    result
}

/// Makes a hypercall with the low halves of the registers.
///
/// # Safety
/// What the registers point at must be what the action says, and the instruction must not trap.
pub unsafe fn hypercall(call: Registers) -> Registers {
    let [mut a, mut b, mut c, mut d] = call.map(|register| register as u32);
    // SAFETY: a plugin reads memory and changes these registers.
    unsafe {
        asm!(
            "mcr p7, 0, r0, c0, c0, 0",
            inout("r0") a,
            inout("r1") b,
            inout("r2") c,
            inout("r3") d,
            options(nostack, preserves_flags),
        );
    }
    [a, b, c, d].map(u64::from)
}

/// Defines `_start`, which passes the initial stack to a function that never returns.
#[macro_export]
macro_rules! start {
    ($function:literal) => {
        core::arch::global_asm!(
            // Even where the rest is Thumb code: the linker has the call change over.
            ".arm",
            ".globl _start",
            "_start:",
            "mov fp, #0",
            "mov r0, sp",
            "bic sp, sp, #7",
            concat!("bl ", $function),
        );
    };
}
