//! Starting a PANDA: what happens between fork and exec.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use rustix::process::{Pid, Resource, Rlimit, Signal, getppid, set_parent_process_death_signal, setrlimit};
use seccompiler::{BpfProgram, apply_filter};

use super::calls::{self, OWN_ID, Secret};
use super::{ConfineError, Mode, Sandbox, files};

/// The first descriptor after standard input, output and error.
const FIRST: u32 = 3;

impl Sandbox {
    /// Starts a PANDA, with its environment cleared but for what `command` sets; it ends when the thread that calls
    /// this does.
    pub fn spawn(&self, command: &mut Command) -> Result<Child, ConfineError> {
        self.settings.mode.check()?;
        let program = PathBuf::from(command.get_program());
        let (ruleset, filters, secret) = match self.settings.mode {
            Mode::Off => (None, None, Secret::default()),
            Mode::Auto | Mode::Require => {
                if is_script(&program) {
                    return Err(ConfineError::Script(program));
                }
                let mut secret = Secret::default();
                for part in &mut secret {
                    *part = random()
                        .map_err(|source| ConfineError::Start { program: program.clone(), source })?;
                }
                let filters = match calls::supported() {
                    true => Some(calls::filters(&self.sockets, secret).map_err(ConfineError::Calls)?),
                    false => None,
                };
                (files::ruleset(self)?, filters, secret)
            }
        };
        let inherit = self.inherit.iter().map(|file| file.as_raw_fd()).collect();
        let parent = rustix::process::getpid();
        let mut image = Image { exec: Exec::of(command, self)?, ruleset, filters, secret, inherit, parent };
        // SAFETY: between fork and exec only async-signal-safe calls are sound; `enter` makes system calls on what was
        // prepared before, and allocates nothing.
        unsafe { command.pre_exec(move || image.enter()) };
        command.spawn().map_err(|source| ConfineError::Start { program, source })
    }
}

/// All that the child needs, prepared.
struct Image {
    exec: Exec,
    ruleset: Option<OwnedFd>,
    filters: Option<[BpfProgram; 2]>,
    secret: Secret,
    inherit: Vec<RawFd>,
    parent: Pid,
}

impl Image {
    /// Confines the child and executes PANDA; returns only when that fails.
    fn enter(&mut self) -> io::Result<()> {
        set_parent_process_death_signal(Some(Signal::TERM))?;
        // The parent may have died before the line above.
        if getppid() != Some(self.parent) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
        close_others();
        for file in &self.inherit {
            // SAFETY: setting a descriptor's flags touches no memory.
            check(unsafe { libc::fcntl(*file, libc::F_SETFD, 0) })?;
        }
        if let Some(ruleset) = &self.ruleset {
            // SAFETY: the call has no pointers.
            check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
            // SAFETY: the same.
            check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) })?;
        }
        if let Some(filters) = &mut self.filters {
            for filter in filters {
                for instruction in filter.iter_mut().filter(|instruction| instruction.k == OWN_ID) {
                    instruction.k = std::process::id();
                }
                apply_filter(filter).map_err(|_| io::Error::last_os_error())?;
            }
        }
        Err(self.exec.run(self.secret))
    }
}

fn check(result: impl Into<i64>) -> io::Result<()> {
    if result.into() < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Makes exec close everything but standard input, output and error.
fn close_others() {
    // SAFETY: the call has no pointers.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, FIRST, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if closed < 0 {
        // A kernel before 5.11: one by one, as far as programs usually get.
        for file in FIRST..4096 {
            // SAFETY: setting a descriptor's flags touches no memory, and one that is not open is refused.
            unsafe { libc::fcntl(file as RawFd, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
}

/// What execve takes.
struct Exec {
    program: CString,
    /// The addresses of the strings, and 0.
    arguments: Vec<usize>,
    variables: Vec<usize>,
    /// The strings, whose addresses stay while they are here.
    _strings: [Vec<CString>; 2],
}

impl Exec {
    fn of(command: &Command, sandbox: &Sandbox) -> Result<Exec, ConfineError> {
        let string = |bytes: &OsStr| CString::new(bytes.as_bytes());
        let program = string(command.get_program())?;
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let arguments = words.map(string).collect::<Result<Vec<_>, _>>()?;
        let own = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        let given = sandbox.environment().map(|(name, value)| (&**name, &**value));
        let pair = |(name, value): (&OsStr, &OsStr)| {
            CString::new([name.as_bytes(), b"=", value.as_bytes()].concat())
        };
        let variables = own.chain(given).map(pair).collect::<Result<Vec<_>, _>>()?;
        let addresses = |strings: &[CString]| {
            strings.iter().map(|string| string.as_ptr().expose_provenance()).chain([0]).collect()
        };
        Ok(Exec {
            program,
            arguments: addresses(&arguments),
            variables: addresses(&variables),
            _strings: [arguments, variables],
        })
    }

    /// Executes the program; returns only with an error.
    fn run(&self, secret: Secret) -> io::Error {
        let (arguments, variables) = (self.arguments.as_ptr(), self.variables.as_ptr());
        // SAFETY: the program is a C string, and the two lists are addresses of C strings that live as long as `self`,
        // with 0 at their ends. The kernel does not look at the two arguments after them; the filter does.
        unsafe {
            libc::syscall(libc::SYS_execve, self.program.as_ptr(), arguments, variables, secret[0], secret[1])
        };
        io::Error::last_os_error()
    }
}

fn is_script(program: &Path) -> bool {
    let mut mark = [0; 2];
    File::open(program).and_then(|mut file| file.read_exact(&mut mark)).is_ok() && mark == *b"#!"
}

fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}
