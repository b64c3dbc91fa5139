//! seccomp: which system calls a PANDA may make.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen as Length, SeccompCmpOp as Op,
    SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use super::Sockets;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// The placeholder in the filter for the process's own id, which is not known before the fork.
pub(super) const OWN_ID: u32 = 0x9d5c_a93e;

/// How the filter knows the first and only exec: random values in two registers that the call does not use. PANDA cannot
/// read them, for exec clears registers and memory, and reading a filter takes privileges.
pub(super) type Secret = [u64; 2];

/// Whether this kernel has seccomp filters.
pub(super) fn supported() -> bool {
    let action = libc::SECCOMP_RET_ERRNO;
    // SAFETY: the call reads the four bytes of `action`, and changes nothing.
    unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) == 0 }
}

/// The calls that are harmless with any arguments: memory, time, threads, files that are open already.
/// Opening by path is left to Landlock.
const HARMLESS: &[i64] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_preadv2,
    libc::SYS_pwritev2,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getcwd,
    libc::SYS_chdir,
    libc::SYS_getdents64,
    libc::SYS_fcntl,
    libc::SYS_flock,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_pipe2,
    libc::SYS_eventfd2,
    libc::SYS_signalfd4,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_msync,
    libc::SYS_mincore,
    libc::SYS_mlock,
    libc::SYS_mlock2,
    libc::SYS_munlock,
    libc::SYS_mlockall,
    libc::SYS_munlockall,
    libc::SYS_brk,
    libc::SYS_membarrier,
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_rseq,
    libc::SYS_set_tid_address,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getpgid,
    libc::SYS_getsid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_getgroups,
    libc::SYS_capget,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_wait4,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_rt_sigsuspend,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_times,
    libc::SYS_getrusage,
    libc::SYS_timer_create,
    libc::SYS_timer_settime,
    libc::SYS_timer_gettime,
    libc::SYS_timer_getoverrun,
    libc::SYS_timer_delete,
    libc::SYS_setitimer,
    libc::SYS_getitimer,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_get_priority_max,
    libc::SYS_sched_get_priority_min,
    libc::SYS_getpriority,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getrandom,
    libc::SYS_getcpu,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_sync_file_range,
    libc::SYS_ftruncate,
    libc::SYS_truncate,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_unlinkat,
    libc::SYS_umask,
    // Denied by the other filter.
    libc::SYS_clone3,
];

/// The same for architectures that have the older calls as well.
#[cfg(target_arch = "x86_64")]
const OLDER: &[i64] = &[
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_getdents,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_eventfd,
    libc::SYS_signalfd,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_arch_prctl,
    libc::SYS_getpgrp,
    libc::SYS_time,
    libc::SYS_alarm,
    libc::SYS_pause,
    libc::SYS_getrlimit,
    libc::SYS_rename,
    libc::SYS_unlink,
    libc::SYS_rmdir,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[i64] = &[];

/// The calls on its sockets.
const SOCKETS: &[i64] = &[
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept4,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_accept,
];

/// setuid and setgid, which files that PANDA makes must not have.
const SPECIAL: u64 = 0o6000;
/// The flags of a new thread, as opposed to a process.
const THREAD: u64 = (libc::CLONE_THREAD | libc::CLONE_VM) as u64;
const NAMESPACES: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u64;

/// The two filters, in the order in which they are installed: glibc makes threads with `clone3`, whose flags no filter
/// sees, unless there is no such call.
pub(super) fn filters(sockets: &Sockets, secret: Secret) -> Result<[BpfProgram; 2], BackendError> {
    let refused = |errno: i32| SeccompAction::Errno(errno.unsigned_abs());
    let newer = Rules::from([(libc::SYS_clone3, Vec::new())]);
    let newer = compile(newer, SeccompAction::Allow, refused(libc::ENOSYS))?;
    let calls = compile(rules(sockets, secret)?, refused(libc::EPERM), SeccompAction::Allow)?;
    Ok([newer, calls])
}

fn compile(
    rules: Rules,
    otherwise: SeccompAction,
    action: SeccompAction,
) -> Result<BpfProgram, BackendError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, otherwise, action, arch)?.try_into()
}

fn rules(sockets: &Sockets, secret: Secret) -> Result<Rules, BackendError> {
    let mut rules: Rules = HARMLESS.iter().chain(OLDER).map(|call| (*call, Vec::new())).collect();
    let mut only = |call: i64, conditions: &[(u8, Length, Op, u64)]| -> Result<(), BackendError> {
        let conditions = conditions.iter().map(|(argument, length, op, value)| {
            SeccompCondition::new(*argument, length.clone(), op.clone(), *value)
        });
        let rule = SeccompRule::new(conditions.collect::<Result<_, _>>()?)?;
        rules.entry(call).or_default().push(rule);
        Ok(())
    };
    let is = |argument, value| (argument, Length::Dword, Op::Eq, value);
    let without = |argument, bits| (argument, Length::Dword, Op::MaskedEq(bits), 0);

    only(libc::SYS_execve, &[(3, Length::Qword, Op::Eq, secret[0]), (4, Length::Qword, Op::Eq, secret[1])])?;
    only(libc::SYS_clone, &[(0, Length::Qword, Op::MaskedEq(THREAD | NAMESPACES), THREAD)])?;
    for call in [libc::SYS_tgkill, libc::SYS_rt_tgsigqueueinfo] {
        only(call, &[is(0, OWN_ID.into())])?;
    }
    only(libc::SYS_openat, &[without(3, SPECIAL)])?;
    only(libc::SYS_mkdirat, &[without(2, SPECIAL)])?;
    #[cfg(target_arch = "x86_64")]
    for (call, mode) in [(libc::SYS_open, 2), (libc::SYS_creat, 1), (libc::SYS_mkdir, 1)] {
        only(call, &[without(mode, SPECIAL)])?;
    }
    // Only to read its own limits.
    only(libc::SYS_prlimit64, &[is(0, 0), (2, Length::Qword, Op::Eq, 0)])?;
    for option in [libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_SET_TIMERSLACK, 0x5356_4d41] {
        only(libc::SYS_prctl, &[is(0, option as u64)])?;
    }
    // It must not fake input of the user's terminal, nor change how the terminal works.
    let terminal = [libc::TIOCSTI, libc::TIOCLINUX, libc::TIOCSETD, libc::TIOCCONS];
    only(libc::SYS_ioctl, &terminal.map(|request| (1, Length::Dword, Op::Ne, request)))?;

    let any = sockets.all || sockets.monitor || sockets.datagrams || !sockets.listen.is_empty();
    // TCP Fast Open connects by sending, which Landlock does not see.
    let fast_open = without(3, libc::MSG_FASTOPEN as u64);
    let kind =
        |family: i32, kind: i32| [is(0, family as u64), (1, Length::Dword, Op::MaskedEq(0xf), kind as u64)];
    if sockets.all {
        for call in
            [libc::SYS_socket, libc::SYS_socketpair, libc::SYS_connect, libc::SYS_sendto, libc::SYS_sendmsg]
        {
            rules.insert(call, Vec::new());
        }
    } else if any {
        if sockets.monitor {
            only(libc::SYS_socket, &kind(libc::AF_UNIX, libc::SOCK_STREAM))?;
        }
        if !sockets.listen.is_empty() {
            only(libc::SYS_socket, &kind(libc::AF_INET, libc::SOCK_STREAM))?;
        }
        if sockets.datagrams {
            only(libc::SYS_socket, &kind(libc::AF_INET, libc::SOCK_DGRAM))?;
            only(libc::SYS_sendto, std::slice::from_ref(&fast_open))?;
        } else {
            only(libc::SYS_sendto, &[(4, Length::Qword, Op::Eq, 0), fast_open])?;
        }
        only(libc::SYS_sendmsg, &[without(2, libc::MSG_FASTOPEN as u64)])?;
    }
    if any {
        rules.extend(SOCKETS.iter().map(|call| (*call, Vec::new())));
    }
    Ok(rules)
}
