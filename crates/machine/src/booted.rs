//! Whether a guest has booted, told by its console.

use std::io;
use std::path::PathBuf;

use files::Tail;

use crate::life::Event;
use crate::net::{PortForward, Protocol};

/// What a kernel that gives up writes to its console.
pub const PANIC: &str = "Kernel panic - not syncing";
/// How much of what was written before is looked through again: a text may come in pieces.
const RECENT: usize = 4096;

/// A guest's console, looked through for signs.
#[derive(Debug)]
pub struct Console {
    file: Tail,
    recent: Vec<u8>,
    /// What a guest that has booted writes to it, if anything.
    text: String,
}

impl Console {
    /// The guest that writes to this file has booted once it writes `text`, if there is one.
    pub fn of(file: PathBuf, text: &str) -> Console {
        Console { file: Tail::of(file), recent: Vec::new(), text: text.to_owned() }
    }

    /// What can be seen in what is new, up to a bound; [`Event::Changed`] when there is more.
    pub fn look(&mut self) -> io::Result<Vec<Event>> {
        let new = self.file.bytes()?;
        self.recent.extend(new);
        let says = |text: &str| self.recent.windows(text.len()).any(|window| window == text.as_bytes());
        let mut seen = Vec::new();
        if says(PANIC) {
            seen.push(Event::Panicked);
        }
        if !self.text.is_empty() && says(&self.text) {
            seen.push(Event::Booted);
        }
        if self.file.has_more() {
            seen.push(Event::Changed);
        }
        let old = self.recent.len().saturating_sub(RECENT);
        self.recent.drain(..old);
        Ok(seen)
    }
}

/// The port of the host behind which the guest's SSH server answers once it has booted.
pub fn ssh_port(forwards: &[PortForward]) -> Option<u16> {
    let ssh = forwards.iter().find(|forward| forward.guest == 22 && forward.protocol == Protocol::Tcp);
    ssh.map(|forward| forward.host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_console_tells_even_in_pieces() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("console.log");
        let mut signs = Console::of(path.clone(), "login:");
        assert_eq!(signs.look().expect("looks"), []);
        let mut console = std::fs::File::create(path).expect("made");
        console
            .write_all(&[b'.'; 3 * RECENT])
            .and_then(|()| console.write_all(b"host log"))
            .expect("written");
        assert_eq!(signs.look().expect("looks"), []);
        console.write_all(b"in: ").expect("written");
        assert_eq!(signs.look().expect("looks"), [Event::Booted]);
        console.write_all(b"[ 1.0] Kernel panic - not syncing: VFS").expect("written");
        assert_eq!(signs.look().expect("looks")[0], Event::Panicked);
    }

    #[test]
    fn a_long_console_is_looked_through_to_its_end() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("console.log");
        std::fs::write(&path, [&[b'.'; 3 << 20][..], b"login:"].concat()).expect("written");
        let mut signs = Console::of(path, "login:");
        while signs.look().expect("looks") == [Event::Changed] {}
        assert_eq!(signs.look().expect("looks"), [Event::Booted]);
    }

    #[test]
    fn an_ssh_server_is_expected_behind_its_own_port_alone() {
        let forwards = ["80:1000", "ssh:2000:l:udp", "ssh:3000"].map(|text| text.parse().expect("parses"));
        assert_eq!(ssh_port(&forwards), Some(3000));
        assert_eq!(ssh_port(&forwards[..2]), None);
    }
}
