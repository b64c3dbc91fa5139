//! What the command line asks for.

use crate::{
    exit,
    reply::Reply,
    slices::same,
    strings::{Strings, Text},
};
use protocol::{MESSAGE_MAX, NAME_MAX};

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Start,
    Stop,
    Toggle,
    OpenSession,
    CloseSession,
    Status,
    Check,
    Message,
    Version,
    Help,
    Run,
    Pam,
}

/// A command line that makes sense.
#[derive(Clone)]
pub(crate) struct Request<'a> {
    pub(crate) verb: Verb,
    /// The recording's name, the message, or the list of users; empty where there is none.
    pub(crate) word: &'a [u8],
    /// The program to run and its arguments.
    pub(crate) command: Strings<'a>,
}

/// What is wrong, and the argument that is at fault, if it is one.
pub(crate) struct Wrong<'a>(pub(crate) Reply, pub(crate) &'a [u8]);

const NO_COMMAND: Reply = Reply::new(exit::USAGE, c"a command is needed; `recctrlu help` lists them");
const UNKNOWN: Reply = Reply::new(exit::USAGE, c": no such command; `recctrlu help` lists them");
const UNEXPECTED: Reply = Reply::new(exit::USAGE, c": not expected here; see `recctrlu help`");
const NO_NAME: Reply = Reply::new(exit::USAGE, c" needs a NAME of 1 to 127 bytes");
const NO_TEXT: Reply = Reply::new(exit::USAGE, c" needs a TEXT of 1 to 1024 bytes");
const NO_PROGRAM: Reply = Reply::new(exit::USAGE, c" needs `--` and a COMMAND after its NAME");
const NO_USERS: Reply = Reply::new(exit::USAGE, c" needs a list, such as `ann,bob`");

/// The longest name that can be sent, and the longest message.
const NAME: u16 = NAME_MAX as u16 - 1;
const TEXT: u16 = MESSAGE_MAX as u16;

/// Each command, and how long the word is that it needs. This is a table, for a `match` would compare byte
/// by byte and be as large as all the rest.
const VERBS: [(Text<'static>, Verb, u16); 15] = [
    (Text::new(c"start"), Verb::Start, NAME),
    (Text::new(c"stop"), Verb::Stop, 0),
    (Text::new(c"toggle"), Verb::Toggle, NAME),
    (Text::new(c"open_session"), Verb::OpenSession, NAME),
    (Text::new(c"close_session"), Verb::CloseSession, 0),
    (Text::new(c"status"), Verb::Status, 0),
    (Text::new(c"check"), Verb::Check, 0),
    (Text::new(c"message"), Verb::Message, TEXT),
    (Text::new(c"version"), Verb::Version, 0),
    (Text::new(c"--version"), Verb::Version, 0),
    (Text::new(c"help"), Verb::Help, 0),
    (Text::new(c"--help"), Verb::Help, 0),
    (Text::new(c"-h"), Verb::Help, 0),
    (Text::new(c"run"), Verb::Run, NAME),
    (Text::new(c"pam"), Verb::Pam, 0),
];

/// Reads the arguments, the program's own name first, which may be missing.
pub(crate) fn parse(mut args: Strings<'_>) -> Result<Request<'_>, Wrong<'_>> {
    let name = args.nth(1).ok_or(Wrong(NO_COMMAND, b""))?;
    let &(_, verb, longest) =
        VERBS.iter().find(|(known, ..)| same(known.bytes(), name)).ok_or(Wrong(UNKNOWN, name))?;
    let mut word: &[u8] = b"";
    if longest > 0 {
        word = args.next().unwrap_or_default();
        if word.is_empty() || word.len() > longest.into() {
            return Err(Wrong(if longest == TEXT { NO_TEXT } else { NO_NAME }, name));
        }
    }
    match verb {
        Verb::Run => {
            if !same(args.next().unwrap_or_default(), b"--") || args.is_empty() {
                return Err(Wrong(NO_PROGRAM, name));
            }
            return Ok(Request { verb, word, command: args });
        }
        // Upstream's program insists on a name; no plugin reads it.
        Verb::CloseSession => _ = args.next(),
        Verb::Pam => {
            let option = args.next().unwrap_or_default();
            if same(option, b"--users") {
                word = args.next().filter(|users| !users.is_empty()).ok_or(Wrong(NO_USERS, option))?;
            } else if !option.is_empty() {
                return Err(Wrong(UNEXPECTED, option));
            }
        }
        _ => {}
    }
    match args.next() {
        Some(argument) => Err(Wrong(UNEXPECTED, argument)),
        None => Ok(Request { verb, word, command: args }),
    }
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
