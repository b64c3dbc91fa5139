//! One replay of a recording, which is checked before PANDA sees it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::failure::{Failure, Said};
use crate::names::{log_name, snapshot_name};
use crate::sound::check_recording;
use machine::Interrupt;
use machine::life::{Cut, Ended, GRACE, Output, Plan, Rules, Way};
use machine::{Machine, ProcessError, shell};
use panda_host::Panda;
use panda_host::confine::Sandbox;

/// PANDA prints a line for each percent: silent for this long, it hangs.
const PATIENCE: Duration = Duration::from_secs(120);
/// How a replay's machine lives: it keeps nothing, so there is nothing to wait for when it is cut short.
const RULES: Rules = Rules { silence: Some(PATIENCE), end: Way::Kill(GRACE), ..Rules::OPEN };
/// How many pieces of PANDA's output may wait for the reader.
const WAITING: usize = 64;

/// Why a replay could not be tried.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// PANDA does not run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// Its output cannot be kept.
    #[error("cannot follow PANDA's output")]
    Output(#[from] io::Error),
    /// Ctrl-C or SIGTERM.
    #[error("interrupted")]
    Interrupted,
}

/// The result of a replay.
#[derive(Debug)]
pub struct Replay {
    /// Why it is not the recorded run; `None` when it is.
    pub failure: Option<Failure>,
    /// How long it took.
    pub seconds: f64,
}

/// What is replayed, and on what.
#[derive(Clone, Copy, Debug)]
pub struct ReplayOf<'a> {
    /// The PANDA.
    pub panda: &'a Panda,
    /// The machine that was recorded.
    pub machine: &'a Machine,
    /// The recording's folder and name: what its two files begin with, from the root on.
    pub recording: &'a Path,
    /// Where PANDA runs, and what it is asked to load is looked for first: never a folder that came from elsewhere.
    pub work: &'a Path,
    /// Further arguments for PANDA, like plugins.
    pub more: &'a [String],
    /// `PANDA_DIR`, below which PANDA looks for plugins first.
    pub panda_dir: Option<&'a Path>,
    /// That folder, and the plugins to which it leads.
    pub plugins: &'a [PathBuf],
}

impl ReplayOf<'_> {
    fn command(&self) -> Command {
        let mut command = self.panda.command();
        command
            .args(self.machine.replay_args(&self.recording.to_string_lossy()))
            .args(self.more)
            .env_remove("PANDA_DIR");
        if let Some(folder) = self.panda_dir {
            command.env("PANDA_DIR", folder);
        }
        command
    }

    /// What PANDA needs: itself, the recording's two files, and plugins. It keeps nothing but what is in its folder.
    fn sandbox(&self) -> Sandbox {
        let name = self.recording.file_name().unwrap_or_default().to_string_lossy();
        let files = [snapshot_name(&name), log_name(&name)];
        let sandbox = self.panda.sandbox().named_by(self.more);
        sandbox.read_all(files.map(|file| self.recording.with_file_name(file))).read_all(self.plugins)
    }

    /// The replay as a line for a shell.
    pub fn shell(&self) -> String {
        shell(&self.command())
    }
}

/// A line of PANDA's output.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// The line.
    pub text: &'a str,
    /// How far the replay is, if that is what it says.
    pub step: Option<Step>,
}

/// How far a replay is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Instructions that have been replayed.
    pub instructions: u64,
    /// The same in percent of the recording.
    pub percent: f64,
}

/// Replays a recording, unless that could harm PANDA; each line of PANDA's output goes to `hear`, as it comes. While that
/// takes its time PANDA waits, but an interrupt is heard.
pub fn replay(
    what: &ReplayOf<'_>,
    interrupt: &Interrupt,
    mut hear: impl FnMut(Line<'_>),
) -> Result<Replay, ReplayError> {
    let began = Instant::now();
    let done = |failure| Replay { failure, seconds: began.elapsed().as_secs_f64() };
    if let Err(unsound) = check_recording(what.recording, what.panda.target, what.machine) {
        return Ok(done(Some(unsound.into())));
    }
    let watched = !what.more.is_empty();
    let (from, terminal) = pseudo_terminal()?;
    let mut command = what.command();
    command.stdout(terminal.try_clone()?).stderr(terminal);
    let (to, said) = sync_channel(WAITING);
    let mut plan = Plan::apart(command, what.sandbox(), what.work, RULES);
    plan.output = Some(Output { from, to });

    let mut lines = Lines::default();
    // The thread that starts PANDA stays until it has ended, whatever `hear` waits for.
    let lived = thread::scope(|scope| {
        let machine = scope.spawn(|| plan.live(interrupt, &mut ()));
        for piece in said {
            for line in lines.take(&piece) {
                hear(Line { text: &line, step: step(&line) });
            }
        }
        machine.join()
    });
    // A thread that panicked has said why.
    let lived = lived.map_err(|_| io::Error::from(io::ErrorKind::Other))??;
    match lived.ended {
        Ended::Cut(Cut::Interrupt) => Err(ReplayError::Interrupted),
        Ended::Cut(Cut::Silence) => Ok(done(Some(lines.said.hung(PATIENCE.as_secs(), watched)))),
        Ended::Itself | Ended::Done | Ended::Cut(_) => Ok(done(lines.said.failure(lived.status, watched))),
    }
}

/// A terminal for PANDA, to which it writes line by line; into a pipe it would write in blocks.
fn pseudo_terminal() -> io::Result<(File, File)> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let path = ptsname(&ours, Vec::new())?;
    let theirs = open(path.as_c_str(), OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    Ok((ours.into(), theirs.into()))
}

/// What PANDA's `ls:  123456 ( 45.00%) instrs. ...` says.
fn step(line: &str) -> Option<Step> {
    let (before, _) = line.split_once("%) instrs.")?;
    let (before, percent) = before.rsplit_once('(')?;
    let instructions = before.rsplit_once(':')?.1.trim().parse().ok()?;
    Some(Step { instructions, percent: percent.trim().parse().ok()? })
}

/// PANDA's output, cut into lines.
#[derive(Default)]
struct Lines {
    begun: Vec<u8>,
    said: Said,
}

impl Lines {
    const LONGEST: usize = 4096;

    fn take(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for &byte in bytes {
            match byte {
                b'\r' => {}
                b'\n' => lines.push(self.finish()),
                _ => self.begun.push(byte),
            }
            if self.begun.len() >= Lines::LONGEST {
                lines.push(self.finish());
            }
        }
        lines
    }

    fn finish(&mut self) -> String {
        let line = String::from_utf8_lossy(&self.begun).into_owned();
        self.begun.clear();
        self.said.hear(&line);
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pandas_steps_are_read() {
        let said = step("ls:      123456 ( 45.10%) instrs.    0.90 sec.  0.11 GB ram.");
        assert_eq!(said, Some(Step { instructions: 123_456, percent: 45.1 }));
        assert_eq!(step("loading snapshot"), None);
    }
}
