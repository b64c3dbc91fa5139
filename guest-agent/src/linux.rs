//! The few system calls that the program makes, and the [`World`] that stands on them.

use crate::{
    Stream, World,
    arch::{self, nr},
    strings::{Strings, Text},
};
use protocol::Registers;

/// A system call's error number.
pub(crate) type Errno = u8;
pub(crate) const EACCES: Errno = 13;
pub(crate) const ENOENT: Errno = 2;

pub(crate) const SIGHUP: u8 = 1;
pub(crate) const SIGINT: u8 = 2;
pub(crate) const SIGQUIT: u8 = 3;
const SIGILL: u8 = 4;
pub(crate) const SIGTERM: u8 = 15;
pub(crate) const SIGCHLD: u8 = 17;

const AT_FDCWD: usize = -100_isize as usize;
const O_CLOEXEC: usize = 0o2000000;
const PR_SET_DUMPABLE: usize = 4;
const SIG_BLOCK: usize = 0;
const SIG_SETMASK: usize = 2;
const SIGSET_SIZE: usize = size_of::<u64>();
const WNOHANG: usize = 1;

/// # Safety
/// The system call must be sound with these arguments: what its pointers point at is as large as it takes it
/// to be, and outlives the call.
unsafe fn call(number: usize, args: [usize; 4]) -> Result<usize, Errno> {
    // SAFETY: the caller's promise.
    let result = unsafe { arch::syscall(number, args) };
    usize::try_from(result).map_err(|_| result.unsigned_abs() as Errno)
}

/// The machine that the program runs on.
pub struct Machine;

impl World for Machine {
    fn has_hypercall(&mut self) -> bool {
        !arch::HYPERCALL_MAY_TRAP || survives(|| _ = self.hypercall(protocol::hello(0)))
    }

    fn hypercall(&mut self, call: Registers) -> Registers {
        // SAFETY: the callers in this crate pass addresses of buffers that they own, which no plugin writes to.
        unsafe { arch::hypercall(call) }
    }

    fn write(&mut self, stream: Stream, text: &[u8]) {
        write(stream as usize, text);
    }

    fn pause(&mut self, milliseconds: u32) {
        let time = [milliseconds as usize / 1000, milliseconds as usize % 1000 * 1_000_000];
        // SAFETY: a timespec is two machine words; the kernel only reads it.
        let _ = unsafe { call(nr::NANOSLEEP, [time.as_ptr() as usize, 0, 0, 0]) };
    }
}

/// Whether `work` succeeds; a child tries it, for it may be an illegal instruction.
fn survives(work: impl FnOnce()) -> bool {
    default_sigchld();
    // SAFETY: the child works and exits.
    match unsafe { fork() } {
        Ok(Some(child)) => wait(child) == Some(Ended(0)),
        Ok(None) => {
            // No core is to be dumped.
            handle(SIGILL, trapped as *const () as usize);
            work();
            exit(0)
        }
        Err(_) => false,
    }
}

/// Ends the process.
pub fn exit(code: u8) -> ! {
    loop {
        // SAFETY: it takes no pointer.
        let _ = unsafe { call(nr::EXIT_GROUP, [code.into(), 0, 0, 0]) };
    }
}

/// Writes what can be written; an error has nowhere to be reported.
pub(crate) fn write(fd: usize, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: the kernel reads as many bytes as the slice has.
        match unsafe { call(nr::WRITE, [fd, bytes.as_ptr() as usize, bytes.len(), 0]) } {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(_) => return,
        }
    }
}

/// Whether a program may be executed, as far as its mode tells.
pub(crate) fn is_executable(path: Text<'_>) -> Result<(), Errno> {
    access(path, 1)
}

/// Whether there is something at a path.
pub(crate) fn exists(path: Text<'_>) -> bool {
    access(path, 0).is_ok()
}

fn access(path: Text<'_>, mode: usize) -> Result<(), Errno> {
    // SAFETY: a C string, only read.
    unsafe { call(nr::FACCESSAT, [AT_FDCWD, path.as_ptr() as usize, mode, 0]) }.map(drop)
}

/// Executes another program; returns only if that fails.
pub(crate) fn execute(path: Text<'_>, args: &Strings<'_>, env: &Strings<'_>) -> Errno {
    let args = [path.as_ptr() as usize, args.as_ptr() as usize, env.as_ptr() as usize, 0];
    // SAFETY: a C string and two arrays of C strings that a null pointer ends, all only read.
    unsafe { call(nr::EXECVE, args) }.err().unwrap_or_default()
}

/// A pipe whose ends close when a program is executed.
pub(crate) struct Pipe {
    ends: [i32; 2],
}

impl Pipe {
    pub(crate) fn new() -> Result<Pipe, Errno> {
        let mut ends = [0; 2];
        // SAFETY: the kernel writes two ints.
        unsafe { call(nr::PIPE2, [ends.as_mut_ptr() as usize, O_CLOEXEC, 0, 0]) }?;
        Ok(Pipe { ends })
    }

    /// Leaves a byte.
    pub(crate) fn write(&self) {
        write(self.ends[1] as usize, b"!");
    }

    /// Whether a byte was left, once every other process has closed its end.
    pub(crate) fn was_written(self) -> bool {
        let [from, to] = self.ends;
        let mut byte = 0_u8;
        // SAFETY: the first takes no pointer; the second writes at most one byte.
        unsafe {
            let _ = call(nr::CLOSE, [to as usize, 0, 0, 0]);
            call(nr::READ, [from as usize, &raw mut byte as usize, 1, 0]) == Ok(1)
        }
    }
}

/// Splits the process: the child's id in the parent, `None` in the child.
///
/// # Safety
/// The child must do no more than may be done when other threads, which it does not have, held locks.
pub(crate) unsafe fn fork() -> Result<Option<usize>, Errno> {
    // SAFETY: with no flags but the signal it is fork(2), on every architecture, and shares no memory.
    let child = unsafe { call(nr::CLONE, [SIGCHLD.into(), 0, 0, 0]) }?;
    Ok((child != 0).then_some(child))
}

/// How a child ended, as `wait` encodes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended(i32);

impl Ended {
    /// The exit code by which a shell would pass this on.
    pub(crate) fn code(self) -> u8 {
        match self.0 & 0x7f {
            0 => (self.0 >> 8) as u8,
            signal => 128 + signal as u8,
        }
    }
}

fn wait(child: usize) -> Option<Ended> {
    wait_with(child, 0)
}

/// How a child has ended, if it has.
pub(crate) fn try_wait(child: usize) -> Option<Ended> {
    wait_with(child, WNOHANG)
}

fn wait_with(child: usize, options: usize) -> Option<Ended> {
    let mut status = 0;
    // SAFETY: the kernel writes one int.
    let waited = unsafe { call(nr::WAIT4, [child, &raw mut status as usize, options, 0]) };
    (waited == Ok(child)).then_some(Ended(status))
}

/// Keeps this process's memory from other processes of its user, and from a core file; a program that it executes is
/// as open as every other.
pub(crate) fn hide_memory() {
    // SAFETY: it takes no pointer.
    let _ = unsafe { call(nr::PRCTL, [PR_SET_DUMPABLE, 0, 0, 0]) };
}

/// Makes the end of a child something that can be waited for, whatever the parent was started with.
pub(crate) fn default_sigchld() {
    // SIG_DFL is 0.
    handle(SIGCHLD, 0);
}

/// Sets what a signal does: a function's address or `SIG_DFL`.
fn handle(signal: u8, handler: usize) {
    // The handler comes first on every architecture that we have; no flags and no mask follow.
    let mut action = [0_usize; 8];
    action[0] = handler;
    // SAFETY: the kernel reads a sigaction, which is no larger than this.
    let _ = unsafe { call(nr::RT_SIGACTION, [signal.into(), action.as_ptr() as usize, 0, SIGSET_SIZE]) };
}

extern "C" fn trapped() -> ! {
    exit(1)
}

/// A set of signals, blocked until [`unblock`](Blocked::unblock).
pub(crate) struct Blocked {
    set: u64,
    before: u64,
}

impl Blocked {
    pub(crate) fn new(signals: &[u8]) -> Blocked {
        let set = signals.iter().fold(0, |set, signal| set | 1 << (signal - 1));
        let mut blocked = Blocked { set, before: 0 };
        let (set, before) = (&raw const blocked.set as usize, &raw mut blocked.before as usize);
        // SAFETY: two signal sets of the size that is given, one read, one written.
        let _ = unsafe { call(nr::RT_SIGPROCMASK, [SIG_BLOCK, set, before, SIGSET_SIZE]) };
        blocked
    }

    pub(crate) fn unblock(&self) {
        let before = &raw const self.before as usize;
        // SAFETY: a signal set of the size that is given, only read.
        let _ = unsafe { call(nr::RT_SIGPROCMASK, [SIG_SETMASK, before, 0, SIGSET_SIZE]) };
    }

    /// Waits for one of the signals; gives it if it was sent to us alone, and not to a child as well.
    pub(crate) fn wait(&self) -> Option<usize> {
        // A siginfo has 128 bytes; its third int says who sent the signal.
        let mut info = [0_i32; 32];
        let (set, info_address) = (&raw const self.set as usize, info.as_mut_ptr() as usize);
        // SAFETY: a signal set of the size that is given is read, a siginfo written, no timeout given.
        let signal = unsafe { call(nr::RT_SIGTIMEDWAIT, [set, info_address, 0, SIGSET_SIZE]) }.ok()?;
        let from_process = info[2] <= 0;
        // A terminal's keys reach every process in its foreground. When it goes away, it tells its session's leader
        // alone, which may be us.
        (from_process || signal == SIGHUP.into()).then_some(signal)
    }
}

/// Sends a signal, if the process still exists.
pub(crate) fn kill(process: usize, signal: usize) {
    // SAFETY: it takes no pointer.
    let _ = unsafe { call(nr::KILL, [process, signal, 0, 0]) };
}
