//! The socket on which the kernel tells of links, addresses and routes, unasked.
//!
//! Each link that becomes a port is told of twice, and hundreds may within half a second. So what is told is read many messages at a
//! time, and of each only what counts.

use std::io;

use neli::socket::NlSocket;

use super::message::{News, read};
use crate::netlink::message::Message;
use crate::netlink::socket::{Home, Inbox, Left, Watched, join};

/// It hears everything from when it was opened.
#[derive(Debug)]
pub(super) struct Listener {
    socket: Watched,
    inbox: Inbox,
}

/// What was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// Something that is watched.
    News(News),
    /// That something was told for which there was no room.
    Overrun,
}

impl Listener {
    /// Listens from now on.
    ///
    /// # Errors
    /// No socket to be had.
    pub(super) fn open(home: &Home) -> io::Result<Listener> {
        let socket = home.open_route_socket(RECEIVE_BUFFER)?;
        for group in GROUPS {
            join(&socket, group)?;
        }
        Ok(Listener { socket: Watched::new(socket)?, inbox: Inbox::new(AT_ONCE, LONGEST_MESSAGE) })
    }

    /// Waits until something is told, and appends what of it is watched. Cancel-safe.
    ///
    /// # Errors
    /// The socket cannot be read.
    pub(super) async fn hear(&mut self, heard: &mut Vec<Heard>) -> io::Result<()> {
        let Listener { socket, inbox } = self;
        loop {
            let mut guard = socket.readable().await?;
            match guard.try_io(|socket| receive(socket.get_ref(), inbox, heard)) {
                Ok(Ok(Left::Perhaps)) => return Ok(()),
                Ok(Ok(Left::Nothing)) => {
                    guard.clear_ready();
                    return Ok(());
                }
                Ok(Err(error)) => return Err(error),
                Err(_would_block) => {}
            }
        }
    }

    /// Appends what has been told and was not heard yet, without waiting.
    ///
    /// # Errors
    /// The socket cannot be read.
    pub(super) fn hear_rest(&mut self, heard: &mut Vec<Heard>) -> io::Result<()> {
        loop {
            match receive(self.socket.get_ref(), &mut self.inbox, heard) {
                Ok(Left::Perhaps) => {}
                Ok(Left::Nothing) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Receives datagrams that are there, in one system call.
fn receive(socket: &NlSocket, inbox: &mut Inbox, heard: &mut Vec<Heard>) -> io::Result<Left> {
    let most = inbox.usual();
    let came = inbox.receive(socket, most, |datagram| match datagram {
        Some(datagram) => read_all(datagram, heard),
        None => heard.push(Heard::Overrun),
    });
    match came {
        Ok((_, left)) => Ok(left),
        Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
            heard.push(Heard::Overrun);
            Ok(Left::Perhaps)
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Left::Perhaps),
        Err(error) => Err(error),
    }
}

fn read_all(mut datagram: &[u8], heard: &mut Vec<Heard>) {
    while let Some((message, rest)) = Message::split(datagram) {
        datagram = rest;
        heard.extend(read(&message).map(Heard::News));
    }
}

/// RTNLGRP_LINK, _IPV4_IFADDR, _IPV6_IFADDR, _IPV4_ROUTE and _IPV6_ROUTE.
const GROUPS: [u32; 5] = [1, 5, 9, 7, 11];

/// Bytes of receive buffer asked for.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Datagrams read at once.
const AT_ONCE: usize = 16;

/// A link has about 1.5 KiB, and 128 bytes more for each alternative name. What is longer is asked for.
const LONGEST_MESSAGE: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use super::super::message::samples::{link, told};
    use super::*;

    #[test]
    fn each_message_of_a_datagram_is_heard() {
        let mut datagram = told("eth2");
        datagram.extend(told("eth3"));
        let mut heard = Vec::new();
        read_all(&datagram, &mut heard);
        assert_eq!(heard, ["eth2", "eth3"].map(|name| Heard::News(News::Link(link(name)))));
        heard.clear();
        read_all(&datagram[..datagram.len() - 4], &mut heard);
        assert_eq!(heard.len(), 1, "the second is cut short");
    }
}
