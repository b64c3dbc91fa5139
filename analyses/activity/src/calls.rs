//! What system calls say of files, sockets and signals, once they have returned.

use analysis::{Access, Event};
use panda_linux::{Call, Guest, Task};

use crate::{files, name, text};

/// The longest path that the kernel takes.
const PATH: usize = 4096;
/// `AT_FDCWD`: relative to the working directory.
const WORKING_DIRECTORY: i32 = -100;
/// The connection is being made.
const IN_PROGRESS: i64 = -115;

/// Tells what a call has done, if it has done anything.
pub(crate) fn returned(guest: Guest<'_>, task: &Task, call: &Call, result: i64, tell: &mut dyn FnMut(Event)) {
    let Some(known) = call.name() else { return };
    let argument = |i: usize| call.arguments[i];
    let path = |at: usize| path(guest, task, WORKING_DIRECTORY, argument(at));
    let path_at = |folder: usize, at: usize| self::path(guest, task, call.int(folder), argument(at));
    if known == "connect" {
        tell(connected(guest, task, call, result));
        return;
    }
    if result < 0 {
        return;
    }
    let event = match known {
        "open" => opened(guest, task, result, argument(1)),
        "creat" => opened(guest, task, result, 0o1101),
        "openat" => opened(guest, task, result, argument(2)),
        "openat2" => opened(guest, task, result, guest.machine.u64(argument(2)).unwrap_or_default()),
        "memfd_create" => opened(guest, task, result, 0o102),
        "rename" => Some(Event::Renamed { from: path(0), to: path(1) }),
        "renameat" | "renameat2" => Some(Event::Renamed { from: path_at(0, 1), to: path_at(2, 3) }),
        "link" => Some(Event::Linked { target: path(0), path: path(1) }),
        "linkat" => Some(Event::Linked { target: path_at(0, 1), path: path_at(2, 3) }),
        "symlink" => Some(Event::Linked { target: text(&guest.text(argument(0), PATH)), path: path(1) }),
        "symlinkat" => {
            Some(Event::Linked { target: text(&guest.text(argument(0), PATH)), path: path_at(1, 2) })
        }
        "unlink" | "rmdir" => Some(Event::Removed { path: path(0) }),
        "unlinkat" => Some(Event::Removed { path: path_at(0, 1) }),
        "mkdir" => Some(Event::FolderMade { path: path(0) }),
        "mkdirat" => Some(Event::FolderMade { path: path_at(0, 1) }),
        "chmod" | "truncate" => Some(set(call, path(0), &[argument(1)])),
        "fchmodat" | "fchmodat2" => Some(set(call, path_at(0, 1), &[argument(2)])),
        "chown" | "lchown" => Some(set(call, path(0), &[argument(1), argument(2)])),
        "fchownat" => Some(set(call, path_at(0, 1), &[argument(2), argument(3)])),
        "fchmod" | "ftruncate" => {
            guest.file(task, call.int(0)).map(|file| set(call, text(&guest.path(&file)), &[argument(1)]))
        }
        "fchown" => guest
            .file(task, call.int(0))
            .map(|file| set(call, text(&guest.path(&file)), &[argument(1), argument(2)])),
        "bind" => {
            guest.address(argument(1), argument(2)).map(|address| Event::Bound { local: address.to_string() })
        }
        "accept" | "accept4" => {
            let file = guest.file(task, result as i32);
            file.map(|file| Event::Accepted { socket: files::socket(guest, &file) })
        }
        "sendto" if argument(4) != 0 => guest
            .address(argument(4), argument(5))
            .map(|address| Event::Sent { peer: address.to_string(), bytes: result as u64 }),
        "kill" | "tkill" => Some(Event::Signalled { target: call.int(0), signal: call.int(1) }),
        "tgkill" => Some(Event::Signalled { target: call.int(1), signal: call.int(2) }),
        _ => None,
    };
    // Signal 0 only asks.
    event.filter(|event| !matches!(event, Event::Signalled { signal: 0, .. })).into_iter().for_each(tell);
}

fn opened(guest: Guest<'_>, task: &Task, fd: i64, flags: u64) -> Option<Event> {
    let fd = i32::try_from(fd).ok()?;
    let file = guest.file(task, fd)?;
    let access = match flags {
        flags if flags & 0o10_000_000 != 0 => Access::Path,
        flags if flags & 3 == 1 => Access::Write,
        flags if flags & 3 == 0 => Access::Read,
        _ => Access::ReadWrite,
    };
    Some(Event::Opened { path: text(&guest.path(&file)), fd, access, create: flags & 0o100 != 0 })
}

fn set(call: &Call, path: String, values: &[u64]) -> Event {
    Event::AttributesSet { path, call: name(call), values: values.to_vec() }
}

fn connected(guest: Guest<'_>, task: &Task, call: &Call, result: i64) -> Event {
    let peer = guest.address(call.arguments[1], call.arguments[2]);
    let socket = guest.file(task, call.int(0)).and_then(|file| files::socket(guest, &file));
    Event::Connected {
        peer: peer.map_or_else(|| "?".to_owned(), |peer| peer.to_string()),
        socket,
        error: (result < 0 && result != IN_PROGRESS).then_some((-result) as i32),
    }
}

/// The path that a process means: from the root on, with no links followed.
fn path(guest: Guest<'_>, task: &Task, folder: i32, at: u64) -> String {
    let path = guest.text(at, PATH);
    if path.starts_with(b"/") {
        return text(&plain(&path));
    }
    let folder = match folder {
        WORKING_DIRECTORY => guest.working_directory(),
        fd => guest.file(task, fd).map(|file| guest.path(&file)),
    };
    text(&plain(&[&folder.unwrap_or_else(|| b"?".to_vec()), &b"/"[..], &path].concat()))
}

/// A path without `.`, `..` and doubled slashes.
fn plain(path: &[u8]) -> Vec<u8> {
    let mut names: Vec<&[u8]> = Vec::new();
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => _ = names.pop(),
            name => names.push(name),
        }
    }
    let mut plain = Vec::new();
    for (i, name) in names.iter().enumerate() {
        // What begins with `?` could not be followed up to the root.
        if i > 0 || *name != b"?" {
            plain.push(b'/');
        }
        plain.extend(*name);
    }
    if plain.is_empty() { b"/".to_vec() } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_plain() {
        let shown = |path: &[u8]| String::from_utf8(plain(path)).unwrap();
        assert_eq!(shown(b"/a//b/./c/../d"), "/a/b/d");
        assert_eq!(shown(b"/../.."), "/");
        assert_eq!(shown(b"?/x"), "?/x");
    }
}
