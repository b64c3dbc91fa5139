//! Activity: what the processes of a Linux guest do, as JSON Lines that the crate `analysis` describes.

mod calls;
mod files;
mod recent;
mod sink;

use std::error::Error;
use std::ffi::CStr;

use analysis::{Call as Made, Credentials, Event as Told, Fate, How, Line};
use panda_linux::{Abi, Analysis, Call, Event, Guest, PROFILE, Task, Unfollowable};
use panda_plugin::{Argument, Arguments, Panda, argument};

use crate::files::Files;
use crate::recent::Recent;
use crate::sink::Sink;

/// Processes that are there when the trace begins, at most.
const PRESENT: usize = 1 << 15;
/// Bytes of a program's arguments, and of its environment.
const STRINGS: usize = 64 << 10;

/// The plugin.
pub struct Activity {
    sink: Sink,
    /// Whether every system call is told.
    every_call: bool,
    environment: bool,
    calls: u64,
    files: Files,
    recent: Recent,
}

impl Activity {
    fn tell(&mut self, guest: Guest<'_>, pid: Option<u32>, event: Told) {
        self.sink.line(&Line { instructions: guest.instructions(), pid, event });
    }

    /// The processes that are there already.
    fn present(&mut self, guest: Guest<'_>) {
        let processes = guest.processes(PRESENT + 1);
        for task in processes.iter().take(PRESENT) {
            let event = Told::Present {
                parent: guest.parent(task).map_or(0, |parent| parent.pid),
                name: text(&guest.name(task)),
                file: guest.executable(task).map(|file| text(&file)),
                credentials: credentials(guest, task),
                kernel: task.kernel,
            };
            self.tell(guest, Some(task.pid), event);
        }
        if processes.len() > PRESENT {
            let why =
                format!("the list of processes has more than {PRESENT} entries: it was not followed further");
            self.tell(guest, None, Told::Incomplete { why });
        }
    }

    fn started(&mut self, guest: Guest<'_>, task: &Task) {
        // A thread is part of its process.
        if task.tid != task.pid {
            return;
        }
        let event = Told::Started {
            parent: guest.parent(task).map_or(0, |parent| parent.pid),
            name: text(&guest.name(task)),
            credentials: credentials(guest, task),
            kernel: task.kernel,
        };
        self.tell(guest, Some(task.pid), event);
    }

    fn executed(&mut self, guest: Guest<'_>, task: &Task) {
        let strings =
            |found: Option<Vec<Vec<u8>>>| found.unwrap_or_default().iter().map(|one| text(one)).collect();
        let environment = if self.environment { strings(guest.environment(STRINGS)) } else { Vec::new() };
        let event = Told::Executed {
            file: text(&guest.executable(task).unwrap_or_default()),
            arguments: strings(guest.arguments(STRINGS)),
            environment,
        };
        self.tell(guest, Some(task.pid), event);
    }

    fn entered(&mut self, guest: Guest<'_>, task: &Task, call: &Call) {
        self.calls += 1;
        if call.name() == Some("close")
            && let Some(used) = self.files.closed(task.pid, call.int(0))
        {
            self.tell(guest, Some(task.pid), used);
        }
        // Those that end their task never return.
        if self.every_call && matches!(call.name(), Some("exit" | "exit_group")) {
            self.tell(guest, Some(task.pid), made(task, call, None));
        }
    }

    fn returned(&mut self, guest: Guest<'_>, task: &Task, call: &Call, result: i64) {
        self.recent.add(task.pid, call, result);
        let Activity { sink, files, .. } = self;
        let mut tell = |event| {
            sink.line(&Line { instructions: guest.instructions(), pid: Some(task.pid), event });
        };
        files.moved(guest, task, call, result, &mut tell);
        calls::returned(guest, task, call, result, &mut tell);
        if self.every_call {
            tell(made(task, call, Some(result)));
        }
    }

    fn ended(&mut self, guest: Guest<'_>, task: &Task, status: u32) {
        for used in self.files.ended(task.pid) {
            self.tell(guest, Some(task.pid), used);
        }
        self.recent.forget(task.pid);
        self.tell(guest, Some(task.pid), Told::Ended { fate: Fate::of(status) });
    }
}

impl Analysis for Activity {
    const NAME: &'static CStr = c"activity";
    const ARGUMENTS: &'static [Argument] = &[
        PROFILE,
        argument("out", "activity.jsonl", "file for the result"),
        argument("most", "1G", "bytes of the result at most (K, M, G)"),
        argument("calls", "n", "every system call too"),
        argument("environment", "n", "programs' environments too"),
    ];

    fn load(arguments: &Arguments) -> Result<Activity, Box<dyn Error>> {
        Ok(Activity {
            sink: Sink::create(&arguments.path("out")?, arguments.size("most")?)?,
            every_call: arguments.flag("calls")?,
            environment: arguments.flag("environment")?,
            calls: 0,
            files: Files::default(),
            recent: Recent::default(),
        })
    }

    fn event(&mut self, guest: Guest<'_>, event: Event<'_>) {
        match (event, guest.current) {
            (Event::Began, _) => {
                self.tell(guest, None, Told::Began { slide: guest.kernel.slide });
                self.present(guest);
            }
            (Event::Started(task), _) => self.started(guest, &task),
            (Event::Forgot(tasks), _) => {
                let why = format!("{tasks} tasks were forgotten, because there were too many");
                self.tell(guest, None, Told::Incomplete { why });
            }
            (_, None) => {}
            (Event::Executed, Some(task)) => self.executed(guest, &task),
            (Event::Entered(call), Some(task)) => self.entered(guest, &task, call),
            (Event::Returned(call, result), Some(task)) => self.returned(guest, &task, call, result),
            // Its other threads go on.
            (Event::Ended { last: false, .. }, Some(_)) => {}
            (Event::Ended { status, .. }, Some(task)) => self.ended(guest, &task, status),
            (Event::Changed { before, after, call, committed }, Some(task)) => {
                let event = Told::CredentialsChanged {
                    before: plain(before),
                    after: plain(after),
                    how: how(call, committed),
                    calls: self.recent.of(task.pid),
                };
                self.tell(guest, Some(task.pid), event);
            }
        }
    }

    fn unfollowable(&mut self, why: &Unfollowable) {
        let event = Told::Incomplete { why: why.to_string() };
        self.sink.line(&Line { instructions: 0, pid: None, event });
    }

    fn unload(mut self, panda: &Panda) {
        let instructions = panda.instructions();
        for (pid, event) in self.files.all() {
            self.sink.line(&Line { instructions, pid: Some(pid), event });
        }
        let end = Line { instructions, pid: None, event: Told::End { calls: self.calls } };
        if let Err(error) = self.sink.finish(&end) {
            log::error!("the result can't be written: {error}");
        }
    }
}

/// Text of the guest's own.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A call's name, or its number.
fn name(call: &Call) -> String {
    let abi = if call.abi == Abi::I386 { "i386:" } else { "" };
    call.name().map_or_else(|| format!("{abi}{}", call.number), |name| format!("{abi}{name}"))
}

fn made(task: &Task, call: &Call, result: Option<i64>) -> Told {
    Told::Call(Made { tid: task.tid, call: name(call), arguments: call.arguments, result, made: call.made })
}

fn credentials(guest: Guest<'_>, task: &Task) -> Credentials {
    guest.credentials(task).map(plain).unwrap_or_default()
}

fn plain(found: panda_linux::Credentials) -> Credentials {
    let panda_linux::Credentials { uid, gid, suid, sgid, euid, egid, capabilities } = found;
    Credentials { uid, euid, suid, gid, egid, sgid, capabilities }
}

/// How credentials changed.
fn how(call: Option<&Call>, committed: bool) -> How {
    match (call.and_then(Call::name), call) {
        _ if !committed => How::None,
        (Some("execve" | "execveat"), _) => How::Execution,
        (_, Some(call)) => How::Call(name(call)),
        (_, None) => How::Kernel,
    }
}

panda_linux::export!(Activity);
