//! A machine's network: its card, and the ports of the host that lead into the guest.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A network card that PANDA emulates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Nic(String);

impl Nic {
    /// Every card that a PC can have.
    const MODELS: [&str; 6] = ["e1000", "rtl8139", "virtio-net-pci", "pcnet", "ne2k_pci", "i82551"];

    /// PANDA's name for it.
    pub fn model(&self) -> &str {
        &self.0
    }
}

impl FromStr for Nic {
    type Err = String;

    fn from_str(model: &str) -> Result<Nic, String> {
        if Nic::MODELS.contains(&model) {
            return Ok(Nic(model.to_owned()));
        }
        Err(format!("no such network card; there are {}, and `none`", Nic::MODELS.join(", ")))
    }
}

impl TryFrom<String> for Nic {
    type Error = String;

    fn try_from(model: String) -> Result<Nic, String> {
        model.parse()
    }
}

impl From<Nic> for String {
    fn from(nic: Nic) -> String {
        nic.0
    }
}

/// What a guest with a network card reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Nothing; who comes through a forwarded port is answered
    #[default]
    Restricted,
    /// Whatever this machine reaches, its own ports included (its loopback is 10.0.2.2), as the user who runs this
    Open,
}

impl Reach {
    /// Every reach.
    pub const ALL: [Reach; 2] = [Reach::Restricted, Reach::Open];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Reach::Restricted => "restricted",
            Reach::Open => "open",
        }
    }
}

/// QEMU's arguments for a network card, behind which there is a network of its own.
pub fn network(model: &str, forwards: &[PortForward], reach: Reach) -> [String; 4] {
    let mut user = "user,id=net0".to_owned();
    if reach == Reach::Restricted {
        user += ",restrict=on";
    }
    for forward in forwards {
        user = format!("{user},{}", forward.rule());
    }
    ["-netdev".to_owned(), user, "-device".to_owned(), format!("{model},netdev=net0")]
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Streams.
    Tcp,
    /// Datagrams.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

/// A port of the host that leads to one of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortForward {
    /// The guest's port.
    pub guest: u16,
    /// The host's port; 0 is any that is free.
    pub host: u16,
    /// Who reaches it: any machine, or only the host itself.
    pub address: Ipv4Addr,
    /// Which protocol.
    pub protocol: Protocol,
}

/// Why a port cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use port {port}/{protocol} of this machine; choose another, or 0 for any free one")]
pub struct PortError {
    port: u16,
    protocol: Protocol,
    source: io::Error,
}

impl FromStr for PortForward {
    type Err = String;

    /// Reads `FROM:TO[:SCOPE[:PROTO]]`, where FROM may be `ssh` or `sftp`.
    fn from_str(text: &str) -> Result<PortForward, String> {
        let mut parts = text.split(':');
        let guest = match parts.next().unwrap_or_default() {
            "ssh" => 22,
            // A second SSH server, for file transfers that are not to be recorded.
            "sftp" => 2222,
            from => number(from).filter(|&port| port > 0).ok_or_else(|| {
                format!("FROM is {from:?}: give the guest's port, 1 to 65535, or `ssh` or `sftp`")
            })?,
        };
        let to = parts.next().ok_or("TO is missing: FROM:TO, as in ssh:10000")?;
        let host = number(to).ok_or_else(|| {
            format!("TO is {to:?}: give a port of this machine, 1 to 65535, or 0 for any free one")
        })?;
        let address = match parts.next() {
            None | Some("l") => Ipv4Addr::LOCALHOST,
            Some("*") => Ipv4Addr::UNSPECIFIED,
            Some(scope) => {
                return Err(format!("SCOPE is {scope:?}: `l` is this machine only, `*` everybody"));
            }
        };
        let protocol = match parts.next() {
            None | Some("tcp") => Protocol::Tcp,
            Some("udp") => Protocol::Udp,
            Some(protocol) => return Err(format!("PROTO is {protocol:?}: it is `tcp` or `udp`")),
        };
        match parts.next() {
            None => Ok(PortForward { guest, host, address, protocol }),
            Some(rest) => Err(format!("{rest:?} is too much: FROM:TO[:SCOPE[:PROTO]]")),
        }
    }
}

fn number(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

impl PortForward {
    /// The forward with a port that is free right now, or why the one asked for is not.
    pub fn ready(self) -> Result<PortForward, PortError> {
        let (address, port, protocol) = ((self.address, self.host), self.host, self.protocol);
        let bound = match protocol {
            Protocol::Tcp => TcpListener::bind(address).and_then(|socket| socket.local_addr()),
            Protocol::Udp => UdpSocket::bind(address).and_then(|socket| socket.local_addr()),
        };
        let bound = bound.map_err(|source| PortError { port, protocol, source })?;
        Ok(PortForward { host: bound.port(), ..self })
    }

    /// As QEMU writes it.
    fn rule(&self) -> String {
        format!("hostfwd={}:{}:{}-:{}", self.protocol, self.address, self.host, self.guest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> String {
        text.parse::<PortForward>().map_or_else(|error| error, |forward| forward.rule())
    }

    #[test]
    fn guest_port_comes_first_and_names_stand_for_ports() {
        assert_eq!(rule("ssh:10000:*"), "hostfwd=tcp:0.0.0.0:10000-:22");
        assert_eq!(rule("sftp:10001:l"), "hostfwd=tcp:127.0.0.1:10001-:2222");
        assert_eq!(rule("53:5353:*:udp"), "hostfwd=udp:0.0.0.0:5353-:53");
    }

    #[test]
    fn a_port_is_open_to_other_machines_only_where_that_was_asked_for() {
        assert_eq!(rule("ssh:10000"), "hostfwd=tcp:127.0.0.1:10000-:22");
        assert_eq!(rule("ssh:10000:l"), rule("ssh:10000"));
        assert_eq!(rule("53:5353"), "hostfwd=tcp:127.0.0.1:5353-:53");
    }

    #[test]
    fn a_guest_reaches_nothing_unless_that_was_asked_for() {
        let forward = [PortForward::from_str("ssh:10000").expect("parses")];
        let netdev = |reach| network("e1000", &forward, reach)[1].clone();
        let rule = "hostfwd=tcp:127.0.0.1:10000-:22";
        assert_eq!(netdev(Reach::default()), format!("user,id=net0,restrict=on,{rule}"));
        assert_eq!(netdev(Reach::Open), format!("user,id=net0,{rule}"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, part) in [
            ("", "FROM"),
            ("ftp:21", "FROM"),
            ("0:21", "FROM"),
            ("22", "TO"),
            ("22:", "TO"),
            ("22:+5", "TO"),
            ("22:65536", "TO"),
            ("22:1:h", "SCOPE"),
            ("22:1::tcp", "SCOPE"),
            ("22:1:l:sctp", "PROTO"),
            ("22:1:l:tcp:x", "too much"),
        ] {
            assert!(rule(text).contains(part), "{text}: {}", rule(text));
        }
    }

    #[test]
    fn a_card_from_a_file_is_one_that_there_is_and_no_options_with_it() {
        assert_eq!(serde_json::from_str::<Nic>(r#""e1000""#).ok(), "e1000".parse().ok());
        assert!(serde_json::from_str::<Nic>(r#""e1000,romfile=/etc/passwd""#).is_err());
    }

    #[test]
    fn a_port_in_use_is_refused_and_zero_is_one_that_is_not() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = taken.local_addr().expect("an address").port();
        let forward = |port| PortForward::from_str(&format!("ssh:{port}:l")).expect("parses");
        let error = forward(port).ready().expect_err("refused").to_string();
        assert!(error.contains(&format!("port {port}/tcp")), "{error}");
        assert_ne!(forward(0).ready().expect("free").host, 0);
    }
}
