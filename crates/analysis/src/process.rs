//! A process, with all that it did.

use schemars::JsonSchema;
use serde::Serialize;

use crate::event::{Credentials, Fate, How, RecentCall, Socket};

/// A process.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Process {
    /// Its number; a later process may have it again.
    pub pid: u32,
    /// Its parent's place in the list of processes.
    pub parent: Option<usize>,
    /// What it was called last.
    pub name: String,
    /// Whether it is the kernel's own.
    pub kernel: bool,
    /// When it began, in guest instructions; none if it was there before the trace.
    pub began: Option<u64>,
    /// When it ended; none if it outlived the trace.
    pub ended: Option<u64>,
    /// How it ended.
    pub fate: Option<Fate>,
    /// Its credentials at first.
    pub credentials: Credentials,
    /// The programs that it executed, one after another. The first may have been there before the trace.
    pub programs: Vec<Program>,
    /// Each change of its credentials, in order.
    pub changes: Vec<UserChange>,
    /// The files that it opened or used, by path.
    pub files: Vec<Use>,
    /// Names of files that it changed: made, renamed, removed.
    pub names: Vec<NameChange>,
    /// Its connections.
    pub connections: Vec<Connection>,
    /// Whether it did anything in the trace.
    #[serde(skip)]
    #[schemars(skip)]
    pub(crate) acted: bool,
}

/// A program.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Program {
    /// When it was executed; none if that was before the trace.
    pub instructions: Option<u64>,
    /// Its file.
    pub file: String,
    /// Its arguments, its own name among them.
    pub arguments: Vec<String>,
    /// Its environment, if it was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<String>,
}

/// A change of a process's credentials.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct UserChange {
    /// When that was seen.
    pub instructions: u64,
    /// The credentials before.
    pub before: Credentials,
    /// The credentials after.
    pub after: Credentials,
    /// How that came about.
    pub how: How,
    /// The system calls before it, the oldest first.
    pub calls: Vec<RecentCall>,
}

/// What a process did with a file.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Use {
    /// Its path.
    pub path: String,
    /// How often it was opened.
    pub opened: u64,
    /// Whether it was opened to be written.
    pub to_write: bool,
    /// Bytes that were read from it.
    pub read: u64,
    /// Bytes that were written to it.
    pub written: u64,
    /// Whether it was mapped into memory.
    pub mapped: bool,
}

/// A name of a file came or went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NameChange {
    /// When.
    pub instructions: u64,
    /// What was done.
    pub what: Named,
    /// The name.
    pub path: String,
    /// What it was before, or leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// What was done with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Named {
    /// A file got it in place of another.
    Renamed,
    /// A file got it beside another.
    Linked,
    /// It was removed.
    Removed,
    /// A folder was made.
    FolderMade,
    /// The mode, the owner or the size of its file was set.
    AttributesSet,
}

/// A connection, or an attempt at one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Connection {
    /// When.
    pub instructions: u64,
    /// How it came about.
    pub way: Way,
    /// The address that was named: the other end's, or this one's for [`Way::Bound`].
    pub address: String,
    /// Its ends, if it is one of the Internet.
    pub socket: Option<Socket>,
    /// The system's error, if there was one.
    pub error: Option<i32>,
    /// Bytes that were read from it.
    pub read: u64,
    /// Bytes that were written to it.
    pub written: u64,
}

/// How a connection came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// The process connected.
    Connected,
    /// The process accepted.
    Accepted,
    /// The process waits at an address.
    Bound,
    /// The process sent to an address.
    Sent,
    /// It was there before.
    Inherited,
}
