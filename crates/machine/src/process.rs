//! A PANDA that runs as a child process, which never outlives the program that started it.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::{qmp, shell};
use crate::Interrupt;
use panda_host::confine::{ConfineError, Sandbox};

/// How long PANDA may take to end when it is asked to; a recording's log is written meanwhile.
const GRACE: Duration = Duration::from_secs(10);
/// How often it is looked at.
const TICK: Duration = Duration::from_millis(10);

/// Why PANDA could not be run.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It did not start, or must not.
    #[error(transparent)]
    Start(#[from] ConfineError),
    /// It started, and the system does not tell what became of it.
    #[error("cannot wait for PANDA: {0}")]
    Wait(#[source] io::Error),
}

/// A running PANDA in its own process group, so that a Ctrl-C on the terminal is pandacap's to handle.
#[derive(Debug)]
pub struct Process {
    child: Child,
    folder: PathBuf,
}

impl Process {
    /// Starts PANDA with `folder` as its working directory, in which it may do as it likes. Call it from a thread that
    /// stays: PANDA is asked to end when that thread does.
    pub fn start(mut command: Command, folder: &Path, sandbox: Sandbox) -> Result<Process, ProcessError> {
        command.current_dir(folder).stdin(Stdio::null()).process_group(0);
        log::info!("in {}: {}", folder.display(), shell(&command));
        let child = sandbox.write(folder).spawn(&mut command)?;
        Ok(Process { child, folder: folder.to_owned() })
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, ProcessError> {
        self.child.try_wait().map_err(ProcessError::Wait)
    }

    /// Stops the machine, and writes its state to `file` in the folder where it runs.
    pub fn save(&self, file: &str) -> io::Result<()> {
        qmp::save(&self.folder, file)
    }

    /// Ends PANDA, and with it properly a recording that is on: SIGTERM, then SIGKILL.
    pub fn end(&mut self) -> Result<ExitStatus, ProcessError> {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits for PANDA, which is about to end; if it takes too long it is killed.
    pub fn wait(&mut self) -> Result<ExitStatus, ProcessError> {
        let began = Instant::now();
        while began.elapsed() < GRACE {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            sleep(TICK);
        }
        log::warn!("PANDA did not end within {} s, and is killed", GRACE.as_secs());
        self.kill()
    }

    /// Ends PANDA on the spot.
    pub fn kill(&mut self) -> Result<ExitStatus, ProcessError> {
        self.signal(Signal::KILL);
        self.child.wait().map_err(ProcessError::Wait)
    }

    fn signal(&self, signal: Signal) {
        // The child has not been waited for, or its id would mean nothing; the group has its id.
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
            && let Err(error) = kill_process_group(pid, signal)
        {
            log::debug!("cannot signal PANDA: {error}");
        }
    }
}

/// A machine whose console is the terminal of the program.
#[derive(Debug)]
pub struct Attached(Child);

impl Attached {
    /// Starts it on the program's own terminal. Call it from a thread that stays.
    pub fn start(mut command: Command, sandbox: &Sandbox) -> Result<Attached, ProcessError> {
        log::info!("{}", shell(&command));
        Ok(Attached(sandbox.spawn(&mut command)?))
    }

    /// How it ended by itself; none when an interrupt ended it, by SIGTERM, on which an emulator closes its disks.
    pub fn wait(mut self, interrupt: &Interrupt) -> Result<Option<ExitStatus>, ProcessError> {
        loop {
            match self.0.try_wait().map_err(ProcessError::Wait)? {
                None if interrupt.is_set() => return self.terminate().map(|()| None),
                None => sleep(TICK),
                ended => return Ok(ended),
            }
        }
    }

    fn terminate(&mut self) -> Result<(), ProcessError> {
        if let Some(pid) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw)
            && let Err(error) = kill_process(pid, Signal::TERM)
        {
            log::debug!("cannot signal the machine: {error}");
        }
        self.0.wait().map(drop).map_err(ProcessError::Wait)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.ended(), Ok(None))
            && let Err(error) = self.end()
        {
            log::warn!("{error}");
        }
    }
}
