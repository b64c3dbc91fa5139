//! Whether a guest has booted: it says so to recctrl, asks for a login, or its SSH server answers.

use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{PortForward, Protocol};
use files::Tail;

/// How long to wait before the SSH server is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// What a kernel that gives up writes to its console.
pub const PANIC: &str = "Kernel panic - not syncing";
/// How much of the console is looked through at once.
const RECENT: usize = 4096;

/// The signs of a guest that boots.
#[derive(Debug)]
pub struct Signs {
    console: Tail,
    recent: Vec<u8>,
    /// What a guest that has booted writes to its console.
    text: String,
    ssh: Option<Ssh>,
}

/// What the signs say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Nothing yet.
    None,
    /// It has booted.
    Booted,
    /// Its kernel has given up.
    Panic,
}

impl Signs {
    /// The guest that writes to `console`: it has booted once it writes `text`, if there is one, or once an SSH
    /// server answers on a forwarded port.
    pub fn new(console: PathBuf, forwards: &[PortForward], text: &str) -> Signs {
        let ssh = forwards.iter().find(|forward| forward.guest == 22 && forward.protocol == Protocol::Tcp);
        let ssh = ssh.map(|forward| Ssh { port: forward.host, stream: None, tried: Instant::now() });
        Signs { console: Tail::of(console), recent: Vec::new(), text: text.to_owned(), ssh }
    }

    /// What can be seen now.
    pub fn look(&mut self) -> io::Result<Sign> {
        let new = self.console.bytes()?;
        self.recent.extend(new);
        let says = |text: &str| self.recent.windows(text.len()).any(|window| window == text.as_bytes());
        if says(PANIC) {
            return Ok(Sign::Panic);
        }
        let login = !self.text.is_empty() && says(&self.text);
        let old = self.recent.len().saturating_sub(RECENT);
        self.recent.drain(..old);
        Ok(if login || self.ssh.as_mut().is_some_and(Ssh::answers) { Sign::Booted } else { Sign::None })
    }
}

/// An SSH server behind a forwarded port.
#[derive(Debug)]
struct Ssh {
    port: u16,
    stream: Option<TcpStream>,
    tried: Instant,
}

impl Ssh {
    /// Whether it has said who it is. PANDA takes the connection whether or not somebody is there in the guest.
    fn answers(&mut self) -> bool {
        let Some(stream) = &mut self.stream else {
            if self.tried.elapsed() > AGAIN {
                self.tried = Instant::now();
                let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
                self.stream = stream.and_then(|stream| stream.set_nonblocking(true).map(|()| stream)).ok();
            }
            return false;
        };
        match stream.read(&mut [0; 4]) {
            Ok(1..) => true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            _ => {
                self.stream = None;
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;

    #[test]
    fn the_console_tells_even_in_pieces() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("console.log");
        let mut signs = Signs::new(path.clone(), &[], "login:");
        assert_eq!(signs.look().expect("looks"), Sign::None);
        let mut console = std::fs::File::create(path).expect("made");
        console
            .write_all(&[b'.'; 3 * RECENT])
            .and_then(|()| console.write_all(b"host log"))
            .expect("written");
        assert_eq!(signs.look().expect("looks"), Sign::None);
        console.write_all(b"in: ").expect("written");
        assert_eq!(signs.look().expect("looks"), Sign::Booted);
        console.write_all(b"[ 1.0] Kernel panic - not syncing: VFS").expect("written");
        assert_eq!(signs.look().expect("looks"), Sign::Panic);
    }

    #[test]
    fn an_ssh_server_answers_and_an_open_port_alone_does_not() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = server.local_addr().expect("an address").port();
        let forward = format!("ssh:{port}:l").parse().expect("parses");
        let mut signs = Signs::new(PathBuf::from("/nonexistent"), &[forward], "");
        let began = Instant::now();
        let mut guest = loop {
            assert_eq!(signs.look().expect("looks"), Sign::None);
            server.set_nonblocking(true).expect("set");
            match server.accept() {
                Ok((guest, _)) => break guest,
                Err(_) => assert!(began.elapsed() < 10 * AGAIN, "nobody came"),
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        guest.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").expect("written");
        while signs.look().expect("looks") != Sign::Booted {
            assert!(began.elapsed() < 10 * AGAIN, "the banner is not seen");
        }
    }
}
