//! x86_64: `syscall`, and `cpuid` as the hypercall.

use core::arch::asm;
use protocol::Registers;

/// Any processor answers a `cpuid`.
pub const HYPERCALL_MAY_TRAP: bool = false;

/// The numbers of the system calls.
pub(crate) mod nr {
    pub(crate) const READ: usize = 0;
    pub(crate) const WRITE: usize = 1;
    pub(crate) const CLOSE: usize = 3;
    pub(crate) const RT_SIGACTION: usize = 13;
    pub(crate) const RT_SIGPROCMASK: usize = 14;
    pub(crate) const NANOSLEEP: usize = 35;
    pub(crate) const CLONE: usize = 56;
    pub(crate) const EXECVE: usize = 59;
    pub(crate) const WAIT4: usize = 61;
    pub(crate) const KILL: usize = 62;
    pub(crate) const RT_SIGTIMEDWAIT: usize = 128;
    pub(crate) const PRCTL: usize = 157;
    pub(crate) const EXIT_GROUP: usize = 231;
    pub(crate) const FACCESSAT: usize = 269;
    pub(crate) const PIPE2: usize = 293;
}

/// Makes a system call.
///
/// # Safety
/// That of the call itself.
pub(crate) unsafe fn syscall(number: usize, args: [usize; 4]) -> isize {
    let result;
    // SAFETY: the kernel changes no registers but these, and memory as the caller allows.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Makes a hypercall.
///
/// # Safety
/// What the registers point at must be what the action says.
pub unsafe fn hypercall([mut a, mut b, mut c, mut d]: Registers) -> Registers {
    // SAFETY: a plugin reads memory and changes these registers, a processor only changes them; RBX, which
    // the compiler keeps for itself, gets its value back.
    unsafe {
        asm!(
            "xchg rbx, {b}",
            "cpuid",
            "xchg rbx, {b}",
            b = inout(reg) b,
            inout("rax") a,
            inout("rcx") c,
            inout("rdx") d,
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
            "xor ebp, ebp",
            "mov rdi, rsp",
            "and rsp, -16",
            concat!("call ", $function),
        );
    };
}
