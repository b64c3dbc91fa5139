//! What processes do with their open files: how much they read and write, and what goes through terminals.

use std::collections::BTreeMap;

use analysis::{Direction, Event, Socket};
use panda_linux::{Call, File, Guest, Kind, Task};

use crate::text;

/// Open files that are kept count of.
const FILES: usize = 1 << 16;
/// Bytes of one call that are told of a terminal.
const TERMINAL: usize = 64 << 10;
/// Pieces of a call that are looked at for that.
const PIECES: u64 = 16;
/// `MAP_ANONYMOUS`
const ANONYMOUS: u64 = 0x20;

/// What was done with an open file.
#[derive(Debug)]
struct Use {
    file: File,
    path: String,
    terminal: bool,
    socket: Option<Socket>,
    read: u64,
    written: u64,
    mapped: bool,
}

impl Use {
    fn of(guest: Guest<'_>, file: File) -> Use {
        let kind = guest.kind(&file);
        let mut used = Use {
            file,
            path: text(&guest.path(&file)),
            terminal: kind.is_some_and(Kind::is_terminal),
            socket: None,
            read: 0,
            written: 0,
            mapped: false,
        };
        if kind == Some(Kind::Socket) {
            used.socket = socket(guest, &file);
        }
        used
    }

    fn told(self) -> Option<Event> {
        let Use { path, read, written, mapped, socket, .. } = self;
        (read > 0 || written > 0 || mapped).then_some(Event::Used { path, read, written, mapped, socket })
    }
}

/// A socket of the Internet.
pub(crate) fn socket(guest: Guest<'_>, file: &File) -> Option<Socket> {
    guest.inet(file).map(|inet| Socket {
        protocol: inet.protocol.to_owned(),
        local: inet.local.to_string(),
        peer: inet.peer.map(|peer| peer.to_string()),
    })
}

/// Which way a call moves bytes, and which of its arguments are the descriptors.
enum Moves {
    Read(usize),
    Write(usize),
    /// From one to the other.
    Copy(usize, usize),
}

fn moves(name: &str) -> Option<Moves> {
    Some(match name {
        "read" | "readv" | "pread64" | "preadv" | "preadv2" | "recvfrom" | "recvmsg" | "recv" => {
            Moves::Read(0)
        }
        "write" | "writev" | "pwrite64" | "pwritev" | "pwritev2" | "sendto" | "sendmsg" | "send" => {
            Moves::Write(0)
        }
        "sendfile" | "sendfile64" => Moves::Copy(1, 0),
        "copy_file_range" | "splice" => Moves::Copy(0, 2),
        _ => return None,
    })
}

/// The open files of all processes, as far as they were used.
#[derive(Debug, Default)]
pub(crate) struct Files(BTreeMap<(u32, i32), Use>);

impl Files {
    /// Counts what a call has moved, if it has.
    pub(crate) fn moved(
        &mut self,
        guest: Guest<'_>,
        task: &Task,
        call: &Call,
        result: i64,
        tell: &mut dyn FnMut(Event),
    ) {
        let Some(name) = call.name() else { return };
        if name == "mmap" || name == "mmap2" {
            if call.arguments[3] & ANONYMOUS == 0
                && !(-4095..0).contains(&result)
                && let Some(used) = self.used(guest, task, call.int(4), tell)
            {
                used.mapped = true;
            }
            return;
        }
        let Ok(bytes @ 1..) = u64::try_from(result) else { return };
        let Some(moves) = moves(name) else { return };
        if let Moves::Read(from) | Moves::Copy(from, _) = moves
            && let Some(used) = self.used(guest, task, call.int(from), tell)
        {
            used.read = used.read.saturating_add(bytes);
            if used.terminal {
                terminal(guest, call, name, bytes, &used.path, Direction::In, tell);
            }
        }
        if let Moves::Write(to) | Moves::Copy(_, to) = moves
            && let Some(used) = self.used(guest, task, call.int(to), tell)
        {
            used.written = used.written.saturating_add(bytes);
            if used.terminal {
                terminal(guest, call, name, bytes, &used.path, Direction::Out, tell);
            }
        }
    }

    /// What is known of a descriptor: of the file that it stands for now.
    fn used(
        &mut self,
        guest: Guest<'_>,
        task: &Task,
        fd: i32,
        tell: &mut dyn FnMut(Event),
    ) -> Option<&mut Use> {
        let file = guest.file(task, fd)?;
        let key = (task.pid, fd);
        if self.0.get(&key).is_none_or(|used| used.file != file) {
            if self.0.len() >= FILES {
                self.0.pop_first();
                let why = "of a file that was used no more is told, because too many are open";
                tell(Event::Incomplete { why: why.to_owned() });
            }
            let before = self.0.insert(key, Use::of(guest, file));
            before.and_then(Use::told).into_iter().for_each(tell);
        }
        self.0.get_mut(&key)
    }

    /// A descriptor is about to be closed.
    pub(crate) fn closed(&mut self, pid: u32, fd: i32) -> Option<Event> {
        self.0.remove(&(pid, fd)).and_then(Use::told)
    }

    /// A process has ended.
    pub(crate) fn ended(&mut self, pid: u32) -> Vec<Event> {
        let mut its = self.0.split_off(&(pid, i32::MIN));
        let mut others = its.split_off(&(pid.saturating_add(1), i32::MIN));
        self.0.append(&mut others);
        its.into_values().filter_map(Use::told).collect()
    }

    /// The trace has ended.
    pub(crate) fn all(&mut self) -> Vec<(u32, Event)> {
        let all = std::mem::take(&mut self.0);
        all.into_iter().filter_map(|((pid, _), used)| Some((pid, used.told()?))).collect()
    }
}

/// Tells what has gone through a terminal.
fn terminal(
    guest: Guest<'_>,
    call: &Call,
    name: &str,
    bytes: u64,
    path: &str,
    direction: Direction,
    tell: &mut dyn FnMut(Event),
) {
    let most = usize::try_from(bytes).unwrap_or(usize::MAX).min(TERMINAL);
    let moved = match name {
        "read" | "write" => guest.bytes(call.arguments[1], most),
        "readv" | "writev" => {
            let mut moved = Vec::new();
            for piece in 0..call.arguments[2].min(PIECES) {
                let at = call.arguments[1].wrapping_add(16 * piece);
                let [Some(base), Some(length)] = [at, at.wrapping_add(8)].map(|at| guest.machine.u64(at))
                else {
                    break;
                };
                let length = usize::try_from(length).unwrap_or(usize::MAX).min(most - moved.len());
                moved.extend(guest.bytes(base, length));
            }
            moved
        }
        _ => return,
    };
    tell(Event::Terminal { path: path.to_owned(), direction, text: text(&moved) });
}
