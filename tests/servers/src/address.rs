//! Loopback addresses that are ours alone, whatever else runs on this machine.
//!
//! A block is 127.x.y.0/24. Its holder has bound an abstract Unix socket of that name: that is atomic, is per network namespace as the
//! addresses are, and ends with the process, however it ends. Ports are tried before they are given out, since a program that knows
//! nothing of this may listen on all addresses.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};

use crate::ServersError;

/// 127.x.y.0/24, until it is dropped.
#[derive(Debug)]
pub(crate) struct Block {
    x: u8,
    y: u8,
    port: u16,
    _held: UnixListener,
}

impl Block {
    /// A block in which `hosts` addresses from `.1` on, and as many from `.101` on, have [`PORTS`] free ports each.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn claim(hosts: usize) -> Result<Block, ServersError> {
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        let random = RandomState::new();
        for attempt in 0..ATTEMPTS {
            let [x, y, ..] = random.hash_one(attempt).to_le_bytes();
            let port = FIRST_PORT + attempt * PORTS;
            match Block::try_claim(x % X_COUNT + X_FIRST, y, port, hosts) {
                Ok(block) => return Ok(block),
                Err(cause) => last = cause,
            }
        }
        Err(ServersError::system("find a free loopback address")(last))
    }

    fn try_claim(x: u8, y: u8, port: u16, hosts: usize) -> io::Result<Block> {
        let name = format!("l2gw-servers/127.{x}.{y}");
        let held = UnixListener::bind_addr(&UnixAddr::from_abstract_name(name)?)?;
        let block = Block { x, y, port, _held: held };
        for host in 0..hosts {
            for at in [block.server(host, 0), block.relay(host)] {
                for port in at.port()..at.port() + PORTS {
                    TcpListener::bind((at.ip(), port))?;
                }
            }
        }
        Ok(block)
    }

    /// The address of a server by its place, from 0, with the first, second or third of its ports.
    pub(crate) fn server(&self, place: usize, port: u16) -> SocketAddr {
        self.at(place + 1, port)
    }

    /// The address of the relay in front of it.
    pub(crate) fn relay(&self, place: usize) -> SocketAddr {
        self.at(place + 101, 0)
    }

    fn at(&self, host: usize, port: u16) -> SocketAddr {
        let host = u8::try_from(host).unwrap_or(u8::MAX);
        (Ipv4Addr::new(127, self.x, self.y, host), self.port + port).into()
    }
}

/// Ports that each address of a block has.
pub(crate) const PORTS: u16 = 3;

const ATTEMPTS: u16 = 200;

/// Below those that the kernel gives out itself.
const FIRST_PORT: u16 = 12_181;

/// 127.64.0.0 to 127.223.255.255: far from what people type.
const X_FIRST: u8 = 64;
const X_COUNT: u8 = 160;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_had_once_until_it_is_dropped() {
        let block = Block::claim(1).unwrap();
        let again = || Block::try_claim(block.x, block.y, block.port, 1).map(|_| ());
        assert_eq!(again().unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let (x, y, port) = (block.x, block.y, block.port);
        drop(block);
        Block::try_claim(x, y, port, 1).unwrap();
    }

    #[test]
    fn a_port_that_another_program_has_is_not_given_out() {
        let block = Block::claim(1).unwrap();
        let (x, y, port, taken) = (block.x, block.y, block.port, block.server(0, 2));
        drop(block);
        let held = TcpListener::bind(taken).unwrap();
        assert_eq!(Block::try_claim(x, y, port, 1).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(held);
        Block::try_claim(x, y, port, 1).unwrap();
    }
}
