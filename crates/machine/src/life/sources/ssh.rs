//! Whether an SSH server answers on a forwarded port.

use std::io::{self, Read};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Inbox, wait};
use crate::life::event::Event;

/// How long to wait before it is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Tries until the server has said who it is, or this is dropped. PANDA takes the connection whether or not the guest
/// does, so an open port says nothing.
#[derive(Debug)]
pub(crate) struct Probe {
    /// Closed, it ends the probe.
    stop: Option<Sender<()>>,
    /// The connection that is being tried.
    stream: Arc<Mutex<Option<TcpStream>>>,
    thread: Option<JoinHandle<()>>,
}

impl Probe {
    /// Tries this port of the host, and tells of an answer as [`Event::Booted`].
    pub(crate) fn start(port: u16, inbox: Inbox) -> io::Result<Probe> {
        let (stop, stopped) = channel();
        let stream = Arc::default();
        let shared = Arc::clone(&stream);
        let thread = wait("ssh", move || {
            // The first try is of no use: no guest boots that fast.
            while stopped.recv_timeout(AGAIN) == Err(RecvTimeoutError::Timeout) {
                if answers(port, &shared, &stopped) {
                    let _ = inbox.send(Event::Booted);
                    return;
                }
            }
        })?;
        Ok(Probe { stop: Some(stop), stream, thread: Some(thread) })
    }
}

/// Whether a server says something before it or the probe hangs up.
fn answers(port: u16, shared: &Mutex<Option<TcpStream>>, stopped: &Receiver<()>) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(mut stream) = TcpStream::connect_timeout(&address, AGAIN) else { return false };
    let Ok(own) = stream.try_clone() else { return false };
    *shared.lock().unwrap_or_else(PoisonError::into_inner) = Some(own);
    // The probe is told to stop before its connection is shut down.
    if stopped.recv_timeout(Duration::ZERO) == Err(RecvTimeoutError::Disconnected) {
        return false;
    }
    let answered = matches!(stream.read(&mut [0; 4]), Ok(1..));
    *shared.lock().unwrap_or_else(PoisonError::into_inner) = None;
    answered
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(stream) = self.stream.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It may have been closed from the other side.
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(self.thread.take().map(JoinHandle::join));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;
    use std::sync::mpsc::sync_channel;

    fn server() -> (TcpListener, u16) {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = server.local_addr().expect("an address").port();
        (server, port)
    }

    #[test]
    fn an_ssh_server_answers_and_an_open_port_alone_does_not() {
        let (server, port) = server();
        let (send, inbox) = sync_channel(1);
        let _probe = Probe::start(port, send).expect("started");
        drop(server.accept().expect("tried"));
        let (mut guest, _) = server.accept().expect("tried again");
        assert!(inbox.recv_timeout(Duration::from_millis(50)).is_err());
        guest.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").expect("written");
        assert_eq!(inbox.recv_timeout(20 * AGAIN), Ok(Event::Booted));
    }

    #[test]
    fn a_probe_that_is_dropped_hangs_up() {
        let (server, port) = server();
        let (send, inbox) = sync_channel(1);
        let probe = Probe::start(port, send).expect("started");
        let (mut guest, _) = server.accept().expect("tried");
        drop(probe);
        assert_eq!(guest.read(&mut [0; 4]).expect("closed"), 0);
        assert!(inbox.recv().is_err());
    }
}
