//! i386: `int 0x80`, and `cpuid` as the hypercall.

use core::arch::asm;
use protocol::Registers;

/// Any processor of the last thirty years answers a `cpuid`.
pub const HYPERCALL_MAY_TRAP: bool = false;

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
    pub(crate) const EXIT_GROUP: usize = 252;
    pub(crate) const FACCESSAT: usize = 307;
    pub(crate) const PIPE2: usize = 331;
}

/// Makes a system call.
///
/// # Safety
/// That of the call itself.
pub(crate) unsafe fn syscall(number: usize, args: [usize; 4]) -> isize {
    let result;
    // SAFETY: the kernel changes no register but EAX, and memory as the caller allows; EBX and ESI, which
    // the compiler keeps for itself, get their values back.
    unsafe {
        asm!(
            "push ebx",
            "push esi",
            "mov ebx, [edi]",
            "mov esi, [edi + 12]",
            "int 0x80",
            "pop esi",
            "pop ebx",
            inlateout("eax") number => result,
            in("edi") args.as_ptr(),
            in("ecx") args[1],
            in("edx") args[2],
        );
    }
    result
}

/// Makes a hypercall with the low halves of the registers.
///
/// # Safety
/// What the registers point at must be what the action says.
pub unsafe fn hypercall(call: Registers) -> Registers {
    let [mut a, mut b, mut c, mut d] = call.map(|register| register as u32);
    // SAFETY: a plugin reads memory and changes these registers, a processor only changes them; EBX, which
    // the compiler keeps for itself, gets its value back.
    unsafe {
        asm!(
            "xchg ebx, edi",
            "cpuid",
            "xchg ebx, edi",
            inout("edi") b,
            inout("eax") a,
            inout("ecx") c,
            inout("edx") d,
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
            ".globl _start",
            "_start:",
            "xor ebp, ebp",
            "mov eax, esp",
            "and esp, -16",
            "sub esp, 12",
            "push eax",
            concat!("call ", $function),
        );
    };
}
