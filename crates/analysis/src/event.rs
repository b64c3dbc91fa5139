//! What an analysis tells of a guest: a line of JSON each, after a line that says what the file is.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the first line says that the file is.
pub const KIND: &str = "pandacap.activity";
/// The version of the lines' schema; a reader refuses every other.
pub const SCHEMA: u32 = 1;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Header {
    /// [`KIND`]
    pub schema: String,
    /// [`SCHEMA`]
    pub version: u32,
}

impl Default for Header {
    fn default() -> Header {
        Header { schema: KIND.to_owned(), version: SCHEMA }
    }
}

/// Every other line. Text in it is the guest's own; what is not UTF-8 in it is replaced by U+FFFD.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// Guest instructions since the trace began.
    pub instructions: u64,
    /// The process that it is about; none for what is about the trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// The kernel has been found, and is followed from here on.
    Began {
        /// How far it was moved by address space randomisation.
        slide: u64,
    },
    /// The process was there already when the trace began.
    Present {
        /// Its parent.
        parent: u32,
        /// Its name.
        name: String,
        /// The program that it executes; none for the kernel's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<String>,
        /// Who it acts as.
        credentials: Credentials,
        /// Whether it is the kernel's own.
        kernel: bool,
    },
    /// The process has begun.
    Started {
        /// Its parent.
        parent: u32,
        /// Its name, its maker's at first.
        name: String,
        /// Who it acts as.
        credentials: Credentials,
        /// Whether it is the kernel's own.
        kernel: bool,
    },
    /// The process executes another program.
    Executed {
        /// The program's file.
        file: String,
        /// Its arguments, its own name among them.
        arguments: Vec<String>,
        /// Its environment, if it was asked for.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        environment: Vec<String>,
    },
    /// The process has ended.
    Ended {
        /// How.
        fate: Fate,
    },
    /// The process has opened a file.
    Opened {
        /// Its path.
        path: String,
        /// The descriptor.
        fd: i32,
        /// What it was opened for.
        access: Access,
        /// Whether it was to be made if it was not there.
        create: bool,
    },
    /// What the process has done with an open file, told when it is closed.
    Used {
        /// Its path.
        path: String,
        /// Bytes that were read from it.
        read: u64,
        /// Bytes that were written to it.
        written: u64,
        /// Whether it was mapped into memory.
        mapped: bool,
        /// Its ends, if it is a socket of the Internet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        socket: Option<Socket>,
    },
    /// A file has another name.
    Renamed {
        /// The old one.
        from: String,
        /// The new one.
        to: String,
    },
    /// A file has one more name.
    Linked {
        /// What it leads to.
        target: String,
        /// The new name.
        path: String,
    },
    /// A name has been removed.
    Removed {
        /// The name.
        path: String,
    },
    /// A folder has been made.
    FolderMade {
        /// Its path.
        path: String,
    },
    /// A file's mode, owner or size was set.
    AttributesSet {
        /// Its path.
        path: String,
        /// The system call that did it.
        call: String,
        /// The new mode, or the new size; both numbers of the new owner.
        values: Vec<u64>,
    },
    /// The process has connected a socket, or tried to.
    Connected {
        /// What with.
        peer: String,
        /// The socket's ends, if it is one of the Internet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        socket: Option<Socket>,
        /// The system's error, if it failed: 115 (EINPROGRESS) is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<i32>,
    },
    /// The process has given a socket its address.
    Bound {
        /// The address.
        local: String,
    },
    /// The process has accepted a connection.
    Accepted {
        /// The new socket's ends, if it is one of the Internet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        socket: Option<Socket>,
    },
    /// The process has sent something to an address with no connection.
    Sent {
        /// The address.
        peer: String,
        /// How much.
        bytes: u64,
    },
    /// The process's credentials have changed.
    CredentialsChanged {
        /// The credentials before.
        before: Credentials,
        /// The credentials after.
        after: Credentials,
        /// How that came about.
        how: How,
        /// The system calls before it, the oldest first.
        calls: Vec<RecentCall>,
    },
    /// The process has sent a signal.
    Signalled {
        /// To what: as for `kill`.
        target: i32,
        /// Its number.
        signal: i32,
    },
    /// What went through a terminal.
    Terminal {
        /// Which.
        path: String,
        /// From the process to the terminal, or the other way.
        direction: Direction,
        /// The text.
        text: String,
    },
    /// A system call has returned, if calls were asked for.
    Call(Call),
    /// Something was left out, and why.
    Incomplete {
        /// What.
        why: String,
    },
    /// The trace has ended; without this line, it was not followed to its end.
    End {
        /// System calls that were made.
        calls: u64,
    },
}

/// A system call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Call {
    /// The thread.
    pub tid: u32,
    /// Its name, or its number where there is no such call; `i386:` before it if it was made as 32-bit programs do.
    pub call: String,
    /// Its arguments, however many it takes.
    pub arguments: [u64; 6],
    /// What it returned; none if it did not.
    pub result: Option<i64>,
    /// Guest instructions when it was made.
    pub made: u64,
}

/// A system call that came before something else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecentCall {
    /// Guest instructions when it was made.
    pub instructions: u64,
    /// Its name.
    pub call: String,
    /// What it returned.
    pub result: i64,
}

/// A process's users, groups and capabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Credentials {
    /// The real user.
    pub uid: u32,
    /// The effective user, which counts.
    pub euid: u32,
    /// The saved user.
    pub suid: u32,
    /// The real group.
    pub gid: u32,
    /// The effective group.
    pub egid: u32,
    /// The saved group.
    pub sgid: u32,
    /// The effective capabilities.
    pub capabilities: u64,
}

/// How a process's credentials changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "by", content = "call")]
pub enum How {
    /// By executing a program.
    Execution,
    /// By a system call for that.
    Call(String),
    /// By the kernel's own code, outside of a system call that is known.
    Kernel,
    /// By none of the kernel's ways: its memory was written to. That is an exploit.
    None,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// By itself, with this exit status.
    Status(u8),
    /// By this signal.
    Signal(u8),
}

impl Fate {
    /// What `wait` tells of it.
    pub fn of(status: u32) -> Fate {
        match (status & 0x7f) as u8 {
            0 => Fate::Status((status >> 8) as u8),
            signal => Fate::Signal(signal),
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fate::Status(status) => write!(f, "exit status {status}"),
            Fate::Signal(signal) => write!(f, "killed by signal {signal}"),
        }
    }
}

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// To be read.
    Read,
    /// To be written.
    Write,
    /// Both.
    ReadWrite,
    /// Neither: only to name it.
    Path,
}

/// Which way something went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the process.
    Out,
    /// To the process.
    In,
}

/// A socket of the Internet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Socket {
    /// `tcp`, `udp` or `raw`.
    pub protocol: String,
    /// This end.
    pub local: String,
    /// The other end, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.protocol, self.local)?;
        self.peer.as_ref().map_or(Ok(()), |peer| write!(f, " - {peer}"))
    }
}
