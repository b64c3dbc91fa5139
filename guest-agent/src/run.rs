//! `run`: a recording that begins with a command's first instruction and ends with its last.
//!
//! The child makes the start call and executes the command at once, with nothing in between; when it
//! has ended, the parent wakes and makes the stop call. Whether there is a recording to end the parent
//! learns from a pipe that a successful exec closes. It is read after the child's end, so that nothing of it is
//! in the recording.
//!
//! The recording is locked: the parent has the key before there is a child, which forgets it as it executes the
//! command. So the command can neither end its recording nor say how it has ended.

use crate::{
    World, exit,
    linux::{self, Blocked, ENOENT, Ended, Errno, Pipe},
    name::Name,
    outcome::started,
    program::Path,
    recctrl::{Outcome, Plugin},
    reply::Reply,
    strings::Strings,
};

/// The child's end, and what is passed on to it when it has not got it itself.
const WAITED_FOR: &[u8] = &[linux::SIGCHLD, linux::SIGHUP, linux::SIGINT, linux::SIGQUIT, linux::SIGTERM];

const NO_PROCESS: Reply = Reply::new(exit::RUN_FAILED, c"no process could be made");
const NOT_ENDED: Reply =
    Reply::new(exit::RUN_FAILED, c"the recording could not be ended; PANDA's log says why");
const ENDED_EARLY: Reply = Reply::new(exit::OK, c"the recording ended before the command did");
const NOT_FOUND: Reply = Reply::new(exit::NOT_FOUND, c": not found");
const CANNOT_EXECUTE: Reply = Reply::new(exit::CANNOT_EXECUTE, c": cannot be executed");

/// Records the command.
pub(crate) fn run(
    world: &mut impl World,
    plugin: Plugin,
    name: Name<'_>,
    command: &Strings<'_>,
    env: &Strings<'_>,
) -> u8 {
    let program = command.clone().next().unwrap_or_default();
    let mut path = Path::new();
    if let Err(errno) = path.find(program, env.variable(b"PATH")) {
        return not_executed(errno).complain(world, program);
    }
    let Ok(refusal) = Pipe::new() else { return NO_PROCESS.give(world) };
    linux::default_sigchld();
    linux::hide_memory();
    let key = plugin.new_key(world);
    let signals = Blocked::new(WAITED_FOR);
    // SAFETY: the child makes system calls only.
    let child = match unsafe { linux::fork() } {
        Ok(Some(child)) => child,
        Ok(None) => {
            signals.unblock();
            let outcome = plugin.start(world, name, key);
            if outcome == Outcome::Started {
                let errno = linux::execute(path.as_text(), command, env);
                linux::exit(not_executed(errno).complain(world, program));
            }
            refusal.write();
            started(outcome).complain(world, b"");
            linux::exit(exit::RUN_FAILED)
        }
        Err(_) => return NO_PROCESS.give(world),
    };
    let code = wait(child, &signals).code();
    if refusal.was_written() {
        return code;
    }
    match plugin.stop(world, key, code) {
        Outcome::Stopped => {}
        Outcome::Failed => return NOT_ENDED.give(world),
        _ => _ = ENDED_EARLY.complain(world, b""),
    }
    code
}

fn wait(child: usize, signals: &Blocked) -> Ended {
    loop {
        if let Some(ended) = linux::try_wait(child) {
            return ended;
        }
        if let Some(signal) = signals.wait() {
            linux::kill(child, signal);
        }
    }
}

fn not_executed(errno: Errno) -> Reply {
    if errno == ENOENT { NOT_FOUND } else { CANNOT_EXECUTE }
}
