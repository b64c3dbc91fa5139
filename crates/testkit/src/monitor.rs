//! A client for PANDA's monitor.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

/// The time after which PANDA counts as hung.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// PANDA's monitor on a socket.
pub struct Monitor(pub UnixStream);

impl Monitor {
    /// Adds the monitor to a machine that will run in `dir`.
    pub fn add(dir: &Path, panda: &mut Command) {
        panda.arg("-monitor").arg(format!("unix:{},server,nowait", dir.join("monitor").display()));
    }

    /// Connects to the monitor of the machine in `dir`.
    pub fn connect(dir: &Path) -> io::Result<Monitor> {
        let stream = UnixStream::connect(dir.join("monitor"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut monitor = Monitor(stream);
        monitor.answer()?;
        Ok(monitor)
    }

    /// Sends a command, and waits for its answer.
    pub fn ask(&mut self, command: &str) -> io::Result<()> {
        self.0.write_all(format!("{command}\n").as_bytes())?;
        self.answer()
    }

    /// Reads up to the next prompt.
    fn answer(&mut self) -> io::Result<()> {
        let mut said = Vec::new();
        let mut byte = [0];
        while !said.ends_with(b"(qemu) ") {
            self.0.read_exact(&mut byte)?;
            said.extend(byte);
        }
        Ok(())
    }
}

/// A PANDA that does not outlive its test.
pub struct Killed(pub Option<Child>);

impl Drop for Killed {
    fn drop(&mut self) {
        if let Some(mut panda) = self.0.take() {
            panda.kill().unwrap();
            panda.wait().unwrap();
        }
    }
}
