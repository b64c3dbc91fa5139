//! Drives one machine: starts PANDA, brings its [`Life`] every event, and carries out what that decides.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use panda_host::confine::{ConfineError, Sandbox};
use rustix::process::Signal;

use super::event::{Cut, Effect, Ended, Event, Notice};
use super::sources::Inbox;
use super::sources::files::Changes;
use super::sources::process::Process;
use super::sources::ssh::Probe;
use super::sources::{output, qmp};
use super::state::{Life, Rules, Way};
use crate::interrupt::Interrupt;

/// How many events may wait; a source that has more waits as well.
const INBOX: usize = 64;

/// What is started, and what is wanted of it.
#[derive(Debug)]
pub struct Plan<'a> {
    /// PANDA and its arguments.
    pub command: Command,
    /// What it may do.
    pub sandbox: Sandbox,
    /// Where it runs.
    pub place: Place<'a>,
    /// How its life goes.
    pub rules: Rules,
    /// The files that it writes and that are followed, in the folder where it runs.
    pub files: &'a [&'a str],
    /// The port of this machine behind which an SSH server answers once the guest has booted.
    pub ssh: Option<u16>,
    /// What it says, if that is followed.
    pub output: Option<Output>,
    /// The file to which its state is saved, if the rules have it so.
    pub state: &'a str,
}

/// Where PANDA runs.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// In this folder, which is its own, without input.
    Folder(&'a Path),
    /// On the terminal of the program, in whatever folder the command names.
    Terminal,
}

/// What PANDA says, as it comes.
#[derive(Debug)]
pub struct Output {
    /// Our end of what it writes to.
    pub from: File,
    /// Where it is read; while that is full, PANDA does, and nothing else. It is closed once all was read, which may be after
    /// PANDA's end.
    pub to: SyncSender<Vec<u8>>,
}

/// Follows what a machine does.
pub trait Follow {
    /// Reads what is new in its files, up to a bound, and says what that means; with [`Event::Changed`] among it there
    /// is more.
    fn look(&mut self) -> io::Result<Vec<Event>> {
        Ok(Vec::new())
    }

    /// Hears what has been noticed.
    fn tell(&mut self, _notice: Notice) {}
}

/// Only the end is of interest.
impl Follow for () {}

/// How a machine has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lived {
    /// How PANDA ended.
    pub status: ExitStatus,
    /// Who ended it.
    pub ended: Ended,
}

/// Why PANDA could not be run.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It did not start, or must not.
    #[error(transparent)]
    Start(#[from] ConfineError),
    /// It started, and the system does not tell what becomes of it.
    #[error("cannot wait for PANDA")]
    Wait(#[source] io::Error),
    /// What it writes cannot be read.
    #[error("cannot follow what PANDA writes")]
    Follow(#[source] io::Error),
    /// The machine's state was not saved.
    #[error("PANDA could not save the machine's state")]
    Save(#[source] io::Error),
}

impl<'a> Plan<'a> {
    /// A PANDA that runs in `folder`, of which nothing is followed but whether it has ended.
    pub fn apart(command: Command, sandbox: Sandbox, folder: &'a Path, rules: Rules) -> Plan<'a> {
        Plan {
            command,
            sandbox,
            place: Place::Folder(folder),
            rules,
            files: &[],
            ssh: None,
            output: None,
            state: "",
        }
    }

    /// A machine whose console is the terminal of the program. It takes its time to end: it closes its disks then.
    pub fn attached(command: Command, sandbox: Sandbox) -> Plan<'a> {
        let rules = Rules { end: Way::Ask(None), ..Rules::OPEN };
        Plan { place: Place::Terminal, ..Plan::apart(command, sandbox, Path::new(""), rules) }
    }

    /// Starts PANDA and returns once it has ended. Call it from a thread that stays, as it does itself: PANDA is asked to
    /// end when that thread does.
    pub fn live(self, interrupt: &Interrupt, follow: &mut dyn Follow) -> Result<Lived, ProcessError> {
        let (inbox, events) = sync_channel(INBOX);
        let began = Instant::now();
        let (life, effects) = Life::new(self.rules);
        // Before there is anything to be missed.
        let changes = changes(self.place, self.files, &inbox);
        let process = match self.place {
            Place::Folder(folder) => Process::start_apart(self.command, self.sandbox, folder)?,
            Place::Terminal => Process::start_attached(self.command, self.sandbox)?,
        };
        let to = inbox.clone();
        let _listening = interrupt.listen(move || {
            let _ = to.send(Event::Interrupt);
        });
        if let Some(Output { from, to }) = self.output {
            output::follow(from, to, inbox.clone()).map_err(ProcessError::Wait)?;
        }
        process.tell_end(inbox.clone()).map_err(ProcessError::Wait)?;
        let probe = self.ssh.map(|port| Probe::start(port, inbox.clone()));
        let driver = Driver {
            place: self.place,
            state: self.state,
            end: self.rules.end,
            process,
            changes,
            probe: probe.transpose().map_err(ProcessError::Wait)?,
            saving: None,
            pending: VecDeque::new(),
            failed: None,
            inbox,
            follow,
        };
        driver.drive(began, life, effects, events)
    }
}

/// Has changes of files told; where the kernel has no room for that, the rules' own looks have to do.
fn changes(place: Place<'_>, files: &[&str], inbox: &Inbox) -> Option<Changes> {
    let Place::Folder(folder) = place else { return None };
    if files.is_empty() {
        return None;
    }
    match Changes::of(folder, files, inbox.clone()) {
        Ok(changes) => Some(changes),
        Err(error) => {
            log::warn!("cannot watch files for changes, so they are polled: {error}");
            None
        }
    }
}

/// What a machine's life is carried out with.
struct Driver<'a> {
    place: Place<'a>,
    state: &'a str,
    end: Way,
    process: Process,
    changes: Option<Changes>,
    probe: Option<Probe>,
    saving: Option<JoinHandle<io::Result<()>>>,
    /// What was seen at the last look.
    pending: VecDeque<Event>,
    /// Why what PANDA writes cannot be followed any more.
    failed: Option<io::Error>,
    inbox: Inbox,
    follow: &'a mut dyn Follow,
}

impl Driver<'_> {
    fn drive(
        mut self,
        began: Instant,
        mut life: Life,
        mut effects: Vec<Effect>,
        events: Receiver<Event>,
    ) -> Result<Lived, ProcessError> {
        let ended = loop {
            let ended = effects.into_iter().find_map(|effect| self.carry_out(effect));
            if let Some(ended) = ended {
                break ended;
            }
            let event = self.pending.pop_front().unwrap_or_else(|| next(&life, began, &events));
            (life, effects) = life.step(began.elapsed(), event);
        };
        // A source that still has something to tell waits no longer.
        drop(events);
        let status = self.process.status().map_err(ProcessError::Wait)?;
        self.look_to_the_end();
        let saved = self.saving.map_or(Ok(()), |saving| saving.join().unwrap_or_else(|_| panicked()));
        match (self.failed, ended) {
            (Some(error), _) => Err(ProcessError::Follow(error)),
            (None, Ended::Cut(Cut::NotSaved)) => {
                Err(ProcessError::Save(saved.err().unwrap_or_else(|| io::ErrorKind::Other.into())))
            }
            (None, ended) => Ok(Lived { status, ended }),
        }
    }

    /// Does what was decided; returns the end.
    fn carry_out(&mut self, effect: Effect) -> Option<Ended> {
        match effect {
            Effect::Look => self.look(),
            Effect::Tell(notice) => {
                // The machine is left alone from now on.
                self.probe = None;
                self.follow.tell(notice);
            }
            Effect::Save => self.save(),
            Effect::Terminate => self.process.signal(Signal::TERM),
            Effect::Kill => {
                self.process.signal(Signal::KILL);
                if let Way::Ask(Some(grace)) = self.end {
                    log::warn!("PANDA did not end within {} s, and is killed", grace.as_secs());
                }
            }
            Effect::Over(ended) => return Some(ended),
        }
        None
    }

    fn look(&mut self) {
        if let Some(changes) = &self.changes {
            changes.arm();
        }
        match self.follow.look() {
            Ok(seen) => self.pending.extend(seen),
            Err(error) => {
                self.failed = Some(error);
                self.pending.push_back(Event::Lost);
            }
        }
    }

    /// Looks at what PANDA has written last, which decides nothing any more.
    fn look_to_the_end(&mut self) {
        while self.failed.is_none() {
            match self.follow.look() {
                Ok(seen) if seen.contains(&Event::Changed) => {}
                Ok(_) => return,
                Err(error) => self.failed = Some(error),
            }
        }
    }

    fn save(&mut self) {
        let Place::Folder(folder) = self.place else { return self.pending.push_back(Event::NotSaved) };
        match qmp::save(folder, self.state, self.inbox.clone()) {
            Ok(saving) => self.saving = Some(saving),
            Err(error) => {
                log::debug!("{error}");
                self.pending.push_back(Event::NotSaved);
            }
        }
    }
}

/// The next thing that happens, which may be that a deadline comes.
fn next(life: &Life, began: Instant, events: &Receiver<Event>) -> Event {
    let Some(deadline) = life.deadline() else {
        // The process's end comes in any case.
        return events.recv().unwrap_or(Event::Exited);
    };
    match events.recv_timeout(deadline.saturating_sub(began.elapsed())) {
        Ok(event) => event,
        Err(RecvTimeoutError::Timeout) => Event::Due,
        Err(RecvTimeoutError::Disconnected) => Event::Exited,
    }
}

/// A thread that panicked has said why.
fn panicked<T>() -> io::Result<T> {
    Err(io::ErrorKind::Other.into())
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;
