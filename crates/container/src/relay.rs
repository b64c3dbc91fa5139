//! Lets the engine reach a port that is open on the container's loopback only.
//!
//! An engine's connections come from an address that the guest has no route to: QEMU passes every address on to the guest
//! but that of the loopback, which becomes its own.

use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::str::FromStr;
use std::sync::Arc;
use std::thread;

use crate::error::ContainerError;

/// A port of the container that leads to another one on its loopback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relay {
    /// Where the engine connects.
    pub from: u16,
    /// Where PANDA listens.
    pub to: u16,
}

impl Relay {
    /// What a variable of the environment says of some.
    pub fn join(relays: &[Relay]) -> String {
        relays.iter().map(|relay| format!("{}:{}", relay.from, relay.to)).collect::<Vec<_>>().join(",")
    }

    /// The same, read; what does not fit is left out.
    pub fn split(text: &str) -> Vec<Relay> {
        let pair = |pair: &str| {
            let (from, to) = pair.split_once(':')?;
            Some(Relay { from: u16::from_str(from).ok()?, to: u16::from_str(to).ok()? })
        };
        text.split(',').filter_map(pair).collect()
    }

    /// Relays connections as long as the program runs.
    pub fn start(self) -> Result<(), ContainerError> {
        let port = |source| ContainerError::Relay { port: self.from, source };
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, self.from)).map_err(port)?;
        let accept = move || {
            for client in listener.incoming().flatten() {
                // One that PANDA does not accept is closed, as it would be without the relay.
                let pass = move || pass(client, self.to);
                let _ = thread::Builder::new().name("relay".to_owned()).spawn(pass);
            }
        };
        thread::Builder::new().name("relays".to_owned()).spawn(accept).map_err(port)?;
        Ok(())
    }
}

/// Passes on what either side sends, until both have ended.
fn pass(client: TcpStream, port: u16) -> io::Result<()> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (client, server) = (Arc::new(client), Arc::new(server));
    let back = {
        let (client, server) = (Arc::clone(&client), Arc::clone(&server));
        thread::Builder::new().name("relay".to_owned()).spawn(move || copy(&server, &client))?
    };
    copy(&client, &server);
    let _ = back.join();
    Ok(())
}

fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    /// A port that is free right now.
    fn free() -> u16 {
        let any = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        any.local_addr().expect("an address").port()
    }

    #[test]
    fn both_directions_pass_and_each_ends_by_itself() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let relay = Relay { from: free(), to: server.local_addr().expect("an address").port() };
        relay.start().expect("started");
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, relay.from)).expect("connected");
        let (mut inside, _) = server.accept().expect("accepted");
        client.write_all(b"question").expect("written");
        client.shutdown(Shutdown::Write).expect("ended");
        let mut heard = String::new();
        inside.read_to_string(&mut heard).expect("read");
        inside.write_all(b"answer").expect("written");
        drop(inside);
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("read");
        assert_eq!((&*heard, &*answer), ("question", "answer"));
    }

    #[test]
    fn relays_are_told_in_a_word() {
        let relays = [Relay { from: 40000, to: 22 }, Relay { from: 40001, to: 80 }];
        assert_eq!(Relay::split(&Relay::join(&relays)), relays);
        assert_eq!(Relay::split("x:1,70000:1,1,"), []);
    }
}
