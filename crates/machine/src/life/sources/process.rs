//! The process itself: started, signalled and waited for here alone.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};

use super::{Inbox, wait};
use crate::life::event::Event;
use crate::shell;
use panda_host::confine::{ConfineError, Sandbox};

/// A process that was started and has not been waited for: its id is its own until then, so a signal meets no other.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// Whether it leads a group of its own; else it shares the terminal.
    apart: bool,
    waited: bool,
}

impl Process {
    /// Starts it in `folder`, which is its own, and in a group of its own, so that a Ctrl-C on the terminal is
    /// ours to handle. Call it from a thread that stays: it is asked to end when that thread does.
    pub(crate) fn start_apart(
        mut command: Command,
        sandbox: Sandbox,
        folder: &Path,
    ) -> Result<Process, ConfineError> {
        command.current_dir(folder).stdin(Stdio::null()).process_group(0);
        log::info!("in {}: {}", folder.display(), shell(&command));
        let child = sandbox.write(folder).spawn(&mut command)?;
        Ok(Process { child, apart: true, waited: false })
    }

    /// Starts it on the program's own terminal. Call it from a thread that stays.
    pub(crate) fn start_attached(mut command: Command, sandbox: Sandbox) -> Result<Process, ConfineError> {
        log::info!("{}", shell(&command));
        let child = sandbox.spawn(&mut command)?;
        Ok(Process { child, apart: false, waited: false })
    }

    /// Tells when it has ended.
    pub(crate) fn tell_end(&self, inbox: Inbox) -> io::Result<()> {
        let pid = self.pid();
        // It ends with the process, for which the driver waits.
        wait("process", move || {
            // The process stays a zombie, and its id its own, until the driver takes its status.
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(waitid(WaitId::Pid(pid), options), Err(Errno::INTR)) {}
            let _ = inbox.send(Event::Exited);
        })?;
        Ok(())
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends it a signal, unless it has ended and its status was taken.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.waited {
            return;
        }
        let sent = match self.apart {
            true => kill_process_group(self.pid(), signal),
            false => kill_process(self.pid(), signal),
        };
        if let Err(error) = sent {
            log::debug!("cannot signal PANDA: {error}");
        }
    }

    /// How it has ended; waits for that.
    pub(crate) fn status(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait();
        self.waited = status.is_ok();
        status
    }
}

/// Ends it where the driver was kept from doing so.
impl Drop for Process {
    fn drop(&mut self) {
        if self.waited {
            return;
        }
        // One that is attached may have an image open that is not to be thrown away.
        self.signal(if self.apart { Signal::KILL } else { Signal::TERM });
        if let Err(error) = self.status() {
            log::warn!("cannot wait for PANDA: {error}");
        }
    }
}
