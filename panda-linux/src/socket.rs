//! Sockets: their own addresses and those of their peers.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::file::File;
use crate::guest::Guest;

const UNIX: u16 = 1;
const INET: u16 = 2;
const INET6: u16 = 10;
/// The longest address that the kernel takes.
const LONGEST: usize = 128;

/// An address as a process gives it to the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// Of the Internet.
    Inet(SocketAddr),
    /// A path, or a name that begins with a NUL.
    Unix(Vec<u8>),
    /// Another family, by its number.
    Other(u16),
}

impl Address {
    /// Reads a `sockaddr`.
    pub fn parse(bytes: &[u8]) -> Option<Address> {
        let family = u16::from_le_bytes(bytes.get(..2)?.try_into().ok()?);
        let port = || Some(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?));
        Some(match family {
            INET => {
                let ip: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
                Address::Inet((ip, port()?).into())
            }
            INET6 => {
                let ip: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
                Address::Inet((ip, port()?).into())
            }
            UNIX => {
                let name = &bytes[2..];
                // A path ends at a NUL; a name without a file begins with one, and may have more in it.
                let most = name.iter().skip(1).position(|byte| *byte == 0).map_or(name.len(), |end| end + 1);
                Address::Unix(if name.first() == Some(&0) { name } else { &name[..most] }.to_vec())
            }
            family => Address::Other(family),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Inet(address) => write!(f, "{address}"),
            Address::Unix(name) if name.is_empty() => f.write_str("unix"),
            Address::Unix(name) => match name.strip_prefix(b"\0") {
                Some(name) => write!(f, "unix:@{}", String::from_utf8_lossy(name)),
                None => write!(f, "unix:{}", String::from_utf8_lossy(name)),
            },
            Address::Other(16) => f.write_str("netlink"),
            Address::Other(family) => write!(f, "family {family}"),
        }
    }
}

/// A socket of the Internet, as the kernel has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Inet {
    /// `tcp`, `udp` or `raw`.
    pub protocol: &'static str,
    /// This end.
    pub local: SocketAddr,
    /// The other end, if it has one.
    pub peer: Option<SocketAddr>,
}

impl Guest<'_> {
    /// The address at a place in the running process, of so many bytes.
    pub fn address(&self, at: u64, length: u64) -> Option<Address> {
        let length = usize::try_from(length).ok()?.min(LONGEST);
        Address::parse(&self.machine.bytes(at, length)?)
    }

    /// What the kernel knows of a socket of the Internet.
    pub fn inet(&self, file: &File) -> Option<Inet> {
        let layout = &self.kernel.layout;
        let socket = self.pointer(file.address, layout.file_private)?;
        let protocol = match self.machine.u16(socket.wrapping_add(layout.socket_type))? {
            1 => "tcp",
            2 => "udp",
            3 => "raw",
            _ => return None,
        };
        let sk = self.pointer(socket, layout.socket_sk)?;
        let at = |offset: u64| sk.wrapping_add(offset);
        let ip = |four: u64, six: u64, family: u16| -> Option<IpAddr> {
            let mut bytes = [0; 16];
            match family {
                INET => self
                    .machine
                    .read(at(four), &mut bytes[..4])
                    .then(|| Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).into()),
                INET6 => self.machine.read(at(six), &mut bytes).then(|| IpAddr::from(bytes).to_canonical()),
                _ => None,
            }
        };
        let family = self.machine.u16(at(layout.sock_family))?;
        let local = ip(layout.sock_local, layout.sock_local_6, family)?;
        let peer = ip(layout.sock_peer, layout.sock_peer_6, family)?;
        let peer_port = u16::from_be(self.machine.u16(at(layout.sock_peer_port))?);
        let peer = (peer_port != 0).then(|| SocketAddr::new(peer, peer_port));
        let local = SocketAddr::new(local, self.machine.u16(at(layout.sock_local_port))?);
        Some(Inet { protocol, local, peer })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn shown(bytes: &[u8]) -> Option<String> {
        Address::parse(bytes).map(|address| address.to_string())
    }

    #[test]
    fn addresses_are_read_as_processes_give_them() {
        assert_eq!(shown(&[2, 0, 0, 80, 10, 0, 2, 2]).as_deref(), Some("10.0.2.2:80"));
        let six = [&[10, 0, 0x1f, 0x90, 0, 0, 0, 0][..], &Ipv6Addr::LOCALHOST.octets(), &[0; 4]].concat();
        assert_eq!(shown(&six).as_deref(), Some("[::1]:8080"));
        assert_eq!(shown(b"\x01\0/dev/log\0junk").as_deref(), Some("unix:/dev/log"));
        assert_eq!(shown(b"\x01\0\0name").as_deref(), Some("unix:@name"));
        assert_eq!(shown(b"\x11\0\0\0").as_deref(), Some("family 17"));
    }

    #[test]
    fn an_address_that_is_cut_short_is_none() {
        for bytes in [&b""[..], b"\x02", b"\x02\0\0\x50", b"\x0a\0\0\x50\0\0\0\0\0"] {
            assert_eq!(shown(bytes), None, "{bytes:?}");
        }
        assert_eq!(shown(b"\x01\0").as_deref(), Some("unix"));
    }
}
