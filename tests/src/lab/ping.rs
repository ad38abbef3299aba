//! Echo requests sent from this process, for IPv4 and IPv6.

use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use super::frames::internet_checksum;
use super::netns::Netns;

/// Sends `count` echo requests from a namespace, each after the answer to the one before, and counts the answers. Waits at
/// most one second for each.
///
/// # Panics
/// The process may not open raw sockets.
pub fn ping(netns: &Netns, to: IpAddr, count: u16) -> u16 {
    ping_within(netns, to, count, Duration::from_secs(1))
}

/// As [`ping`], waiting at most `wait` for each answer: short where no answer is expected.
///
/// # Panics
/// The process may not open raw sockets.
pub fn ping_within(netns: &Netns, to: IpAddr, count: u16, wait: Duration) -> u16 {
    netns.run(|| {
        let mut echo = Echo::open(to).unwrap_or_else(|e| panic!("cannot ping from {}: {e}", netns.name()));
        (0..count).filter(|sequence| echo.is_answered(*sequence, wait)).count() as u16
    })
}

/// A raw ICMP or ICMPv6 socket towards one address.
struct Echo {
    socket: Socket,
    to: IpAddr,
    identifier: u16,
}

impl Echo {
    fn open(to: IpAddr) -> std::io::Result<Self> {
        let (domain, protocol) = match to {
            IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
            IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
        };
        let socket = Socket::new(domain, Type::from(nix::libc::SOCK_RAW), Some(protocol))?;
        // Each socket sees the answers to all of them in its namespace.
        let identifier = NEXT_IDENTIFIER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(Self { socket, to, identifier })
    }

    fn is_answered(&mut self, sequence: u16, wait: Duration) -> bool {
        let deadline = Instant::now() + wait;
        // An address that does not resolve makes the send itself fail.
        if self.socket.send_to(&self.request(sequence), &SocketAddr::new(self.to, 0).into()).is_err() {
            return false;
        }
        while let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
        {
            if self.socket.set_read_timeout(Some(left)).is_err() {
                return false;
            }
            let mut buffer = [0; 2048];
            match self.socket.read(&mut buffer) {
                Ok(length) if self.is_reply(&buffer[..length], sequence) => return true,
                _ => {}
            }
        }
        false
    }

    /// RFC 792 and RFC 4443 4.1. The kernel fills in the checksum of ICMPv6 only.
    fn request(&self, sequence: u16) -> Vec<u8> {
        let kind = if self.to.is_ipv4() { ECHO_REQUEST_V4 } else { ECHO_REQUEST_V6 };
        let mut message = vec![kind, 0, 0, 0];
        message.extend(self.identifier.to_be_bytes());
        message.extend(sequence.to_be_bytes());
        message.extend([0x5a; PAYLOAD]);
        if self.to.is_ipv4() {
            let sum = internet_checksum(&[&message]);
            message[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        message
    }

    /// A raw IPv4 socket delivers the IP header too, a raw IPv6 socket does not.
    fn is_reply(&self, bytes: &[u8], sequence: u16) -> bool {
        let (kind, message) = match self.to {
            IpAddr::V4(_) => {
                let header = usize::from(bytes.first().copied().unwrap_or(0) & 0x0f) * 4;
                (ECHO_REPLY_V4, bytes.get(header..).unwrap_or_default())
            }
            IpAddr::V6(_) => (ECHO_REPLY_V6, bytes),
        };
        let mut expected = self.identifier.to_be_bytes().to_vec();
        expected.extend(sequence.to_be_bytes());
        message.first() == Some(&kind) && message.get(4..8) == Some(&expected[..])
    }
}

static NEXT_IDENTIFIER: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(1);

const ECHO_REQUEST_V4: u8 = 8;
const ECHO_REPLY_V4: u8 = 0;
const ECHO_REQUEST_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;

const PAYLOAD: usize = 56;
