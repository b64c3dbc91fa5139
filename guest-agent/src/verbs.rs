//! The commands, from the arguments to the exit code.

use crate::{
    Stream, World,
    args::{self, Request, Verb, Wrong},
    exit,
    name::Name,
    outcome::{FAILED, started, stopped, told},
    pam::{self, Session},
    recctrl::{self, Outcome, Plugin},
    reply::{Line, Reply, write},
    run,
    strings::Strings,
};
use core::ffi::CStr;
use protocol::{VERSION, action, feature};

// Tabs, for they are shorter.
const HELP: &[u8] = b"\
recctrlu starts and ends PANDA recordings of this guest.

  start NAME\t\tstart a recording
  stop\t\t\tend it
  run NAME -- COMMAND\trecord it, pass its exit status on
  toggle NAME\t\tstart a recording, or end the one that is on
  open_session NAME\tthe first session starts a recording
  close_session [NAME]\tthe last one ends it
  pam [--users A,B]\topen or close one for pam_exec.so
  message TEXT\t\tleave a note in recctrl's events
  status\t\tis a recording on?
  check\t\t\twhich recctrl is there?
  version\t\tof this program

Exit codes: 0 done, 1 recctrl failed, 2 wrong usage, 3 no PANDA or recctrl,
4 unknown to this recctrl; run: as env(1), 125 if not recorded.
";

// The texts that name the protocol's version.
const _: () = assert!(VERSION == 1);
const VERSION_TEXT: Reply = Reply::new(
    exit::OK,
    match CStr::from_bytes_with_nul(VERSION_LINE.as_bytes()) {
        Ok(line) => line,
        Err(_) => c"",
    },
);
const VERSION_LINE: &str = concat!("recctrlu ", env!("CARGO_PKG_VERSION"), " (protocol 1)\0");
const OURS: Reply = Reply::new(exit::OK, c"recctrl, protocol 1");
const OURS_WITH_EVENTS: Reply = Reply::new(exit::OK, c"recctrl, protocol 1, keeps events");
const OURS_IN_PART: Reply = Reply::new(exit::OK, c"recctrl, another protocol: toggle and sessions only");
const UPSTREAM: Reply = Reply::new(exit::OK, c"PANDA's own recctrl: toggle and sessions only");

const NO_RECCTRL: Reply = Reply::new(
    exit::NO_RECCTRL,
    c"not inside PANDA, or PANDA runs without recctrl (start it with `-panda recctrl`)",
);
const NOT_UPSTREAM: Reply =
    Reply::new(exit::UNSUPPORTED, c"PANDA's own recctrl knows toggle and sessions only");
const OTHER_VERSION: Reply =
    Reply::new(exit::UNSUPPORTED, c"recctrl speaks another protocol: copy its own recctrlu into the guest");
const NO_EVENTS: Reply =
    Reply::new(exit::UNSUPPORTED, c"recctrl keeps no events (start it with `-panda recctrl:events=FILE`)");

/// Does what the arguments ask for; gives the code to exit with.
pub fn main(world: &mut impl World, args: Strings<'_>, env: Strings<'_>) -> u8 {
    // The stack's address: another one each time, and proof enough that it was our call that got answered.
    let nonce = args.as_ptr() as usize as u32;
    let request = match args::parse(args) {
        Ok(request) => request,
        Err(Wrong(reply, argument)) => return reply.complain(world, argument),
    };
    let mut session = None;
    match request.verb {
        Verb::Help => {
            world.write(Stream::Out, HELP);
            return exit::OK;
        }
        Verb::Version => return VERSION_TEXT.give(world),
        Verb::Pam => match pam::session(&env, request.word) {
            Session::Ignored => return exit::OK,
            begun_or_ended => session = Some(begun_or_ended),
        },
        _ => {}
    }
    match (recctrl::find(world, nonce), session) {
        (Some(plugin), Some(session)) => login(world, plugin, session),
        (Some(plugin), None) => ask(world, plugin, &request, &env),
        // The image runs elsewhere, and its users are to get in.
        (None, Some(_)) => exit::OK,
        (None, None) => NO_RECCTRL.give(world),
    }
}

fn ask(world: &mut impl World, plugin: Plugin, request: &Request<'_>, env: &Strings<'_>) -> u8 {
    let name = Name::new(request.word);
    let reply = match (request.verb, plugin) {
        (Verb::Check, _) => there(plugin),
        (Verb::Toggle, _) => told(plugin.call(world, action::TOGGLE, name)),
        (Verb::OpenSession, _) => told(plugin.call(world, action::SESSION_OPEN, name)),
        (Verb::CloseSession, _) => told(plugin.call(world, action::SESSION_CLOSE, Name::UNUSED)),
        (_, Plugin::OtherVersion) => OTHER_VERSION,
        (Verb::Start, _) => started(plugin.start(world, name, None)),
        (Verb::Stop, _) => stopped(plugin.stop(world, None, 0)),
        (Verb::Run, _) => return run::run(world, plugin, name, &request.command, env),
        (_, Plugin::Upstream) => NOT_UPSTREAM,
        (Verb::Message, Plugin::Ours { features }) if features & feature::EVENTS == 0 => NO_EVENTS,
        (Verb::Message, _) => {
            let outcome = recctrl::message(world, request.word);
            return quiet(world, outcome);
        }
        _ => return status(world),
    };
    reply.give(world)
}

fn there(plugin: Plugin) -> Reply {
    match plugin {
        Plugin::Ours { features } if features & feature::EVENTS != 0 => OURS_WITH_EVENTS,
        Plugin::Ours { .. } => OURS,
        Plugin::OtherVersion => OURS_IN_PART,
        Plugin::Upstream => UPSTREAM,
    }
}

/// Only a failure is worth a word.
fn quiet(world: &mut impl World, outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Failed => FAILED.give(world),
        _ => exit::OK,
    }
}

fn login(world: &mut impl World, plugin: Plugin, session: Session<'_>) -> u8 {
    let (action, name) = match session {
        Session::Opened(user) => (action::SESSION_OPEN, Name::session_of(user)),
        _ => (action::SESSION_CLOSE, Name::UNUSED),
    };
    let outcome = plugin.call(world, action, name);
    quiet(world, outcome)
}

fn status(world: &mut impl World) -> u8 {
    let Some(status) = recctrl::status(world) else {
        return FAILED.give(world);
    };
    let mut line = Line::new();
    line.push_text(if status.recording { c"recording: yes" } else { c"recording: no" });
    line.push_text(if status.session_mode { c"\nmode: sessions" } else { c"\nmode: manual" });
    line.push_text(if status.dry { c", dry" } else { c"" });
    line.push_text(c"\nopen sessions: ");
    line.push_decimal(status.sessions);
    line.push_text(c"\nrecordings made: ");
    line.push_decimal(status.recordings);
    write(world, Stream::Out, line);
    exit::OK
}

#[cfg(test)]
#[path = "verbs_tests.rs"]
mod tests;
