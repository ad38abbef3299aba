//! Links, addresses and routes as they are now, asked for.

use std::io;
use std::time::Duration;

use tokio::io::Interest;
use tokio::time::{Instant, timeout_at};

use super::known::Known;
use super::message::{
    ADDRESS_HEAD_LEN, LINK_HEAD_LEN, ROUTE_HEAD_LEN, Way, read_address, read_link, read_way,
};
use crate::netlink::message::{Denial, Message, NLMSG_DONE, NLMSG_ERROR, NLMSG_HEADER_LEN, Outcome};
use crate::netlink::nla::NlaWriter;
use crate::netlink::socket::{Home, Unwatched};

/// A socket for questions, each answered with a list, and for orders.
#[derive(Debug)]
pub(super) struct Asker {
    socket: Unwatched,
    seq: u32,
    buffer: Box<[u8]>,
}

impl Asker {
    /// A socket of its own.
    ///
    /// # Errors
    /// No socket to be had.
    pub(super) fn open(home: &Home) -> io::Result<Asker> {
        let socket = Unwatched::new(home.open_route_socket(RECEIVE_BUFFER)?);
        Ok(Asker { socket, seq: 0, buffer: vec![0; LONGEST_ANSWER].into() })
    }

    /// Everything that is to be known.
    ///
    /// # Errors
    /// The kernel refuses, or does not answer.
    pub(super) async fn everything(&mut self) -> io::Result<Everything> {
        let mut body = NlaWriter::behind(&[0; LINK_HEAD_LEN]);
        // What they have counted is most of an answer.
        body.put_u32(libc::IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
        let links = self.all(libc::RTM_GETLINK, &body.into_bytes(), read_link).await?;
        let addresses = self.all(libc::RTM_GETADDR, &[0; ADDRESS_HEAD_LEN], read_address).await?;
        let ways = self.ways().await?;
        Ok(Everything {
            is_torn: links.is_torn || addresses.is_torn,
            are_ways_torn: ways.is_torn,
            known: Known::new(links.all, addresses.all, ways.all),
        })
    }

    /// The default routes. The kernel sends all routes of a family: no request asks for less.
    ///
    /// # Errors
    /// The kernel refuses, or does not answer.
    pub(super) async fn ways(&mut self) -> io::Result<Listed<Way>> {
        let mut ways = Listed::new();
        for family in [libc::AF_INET, libc::AF_INET6] {
            let mut head = [0; ROUTE_HEAD_LEN];
            head[0] = family as u8;
            self.list(libc::RTM_GETROUTE, &head, read_way, &mut ways).await?;
        }
        Ok(ways)
    }

    /// Has something done, and waits until it is.
    ///
    /// # Errors
    /// The kernel refuses, or does not answer.
    pub(super) async fn order(&mut self, kind: u16, flags: i32, body: &[u8]) -> Outcome {
        self.seq = self.seq.wrapping_add(1);
        self.socket.send(&request(kind, flags | libc::NLM_F_ACK, self.seq, body)).await?;
        let mut nothing = Listed::new();
        self.take_answer(|_| None::<()>, &mut nothing).await
    }

    /// Asks for a list, a few times where it comes torn.
    ///
    /// # Errors
    /// The kernel refuses, or does not answer.
    pub(super) async fn all<T: Send>(
        &mut self,
        kind: u16,
        body: &[u8],
        read: fn(&[u8]) -> Option<T>,
    ) -> io::Result<Listed<T>> {
        let mut listed = Listed::new();
        for _ in 0..TRIES {
            listed = Listed::new();
            self.list(kind, body, read, &mut listed).await?;
            if !listed.is_torn {
                break;
            }
        }
        Ok(listed)
    }

    /// Asks for a list.
    async fn list<T: Send>(
        &mut self,
        kind: u16,
        body: &[u8],
        read: fn(&[u8]) -> Option<T>,
        listed: &mut Listed<T>,
    ) -> io::Result<()> {
        self.seq = self.seq.wrapping_add(1);
        self.socket.send(&request(kind, libc::NLM_F_DUMP, self.seq, body)).await?;
        self.take_answer(read, listed).await.map_err(error_of)
    }

    /// Takes in the answer to the last request, to its end.
    async fn take_answer<T: Send>(
        &mut self,
        read: fn(&[u8]) -> Option<T>,
        listed: &mut Listed<T>,
    ) -> Outcome {
        loop {
            let len = self.receive().await?;
            let datagram = self.buffer.get(..len).ok_or(Denial::Lost)?;
            if let Some(outcome) = listed.take_in(datagram, self.seq, read) {
                return outcome;
            }
        }
    }

    async fn receive(&mut self) -> io::Result<usize> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.socket.receive(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    timeout_at(deadline, self.socket.wait(Interest::READABLE)).await??;
                }
                received => return received,
            }
        }
    }
}

/// Everything there is, as far as it was listed.
#[derive(Debug)]
pub(super) struct Everything {
    pub(super) known: Known,
    /// The list of links or of addresses was torn each time.
    pub(super) is_torn: bool,
    /// That of routes was.
    pub(super) are_ways_torn: bool,
}

/// A list.
#[derive(Debug)]
pub(super) struct Listed<T> {
    pub(super) all: Vec<T>,
    /// Something came or went meanwhile, and what stood behind it may have been passed over.
    pub(super) is_torn: bool,
}

impl<T> Listed<T> {
    fn new() -> Listed<T> {
        Listed { all: Vec::new(), is_torn: false }
    }

    /// Takes in a datagram of the answer to a request; how the request ended, if that is its last.
    fn take_in(
        &mut self,
        mut datagram: &[u8],
        seq: u32,
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> Option<Outcome> {
        while let Some((message, rest)) = Message::split(datagram) {
            datagram = rest;
            if message.seq != seq {
                continue;
            }
            self.is_torn |= message.flags & NLM_F_DUMP_INTR != 0;
            match message.kind {
                NLMSG_DONE | NLMSG_ERROR => return Some(message.outcome()),
                _ => self.all.extend(read(message.payload)),
            }
        }
        None
    }
}

/// A request: struct nlmsghdr, and what it says.
fn request(kind: u16, flags: i32, seq: u32, body: &[u8]) -> Vec<u8> {
    let len = (NLMSG_HEADER_LEN + body.len()) as u32;
    let flags = (libc::NLM_F_REQUEST | flags) as u16;
    let mut request = len.to_ne_bytes().to_vec();
    request.extend(kind.to_ne_bytes());
    request.extend(flags.to_ne_bytes());
    request.extend(seq.to_ne_bytes());
    request.extend([0; 4]);
    request.extend(body);
    request
}

fn error_of(denial: Denial) -> io::Error {
    match denial {
        Denial::Errno { errno, .. } => io::Error::from_raw_os_error(errno),
        Denial::TimedOut(_) => io::ErrorKind::TimedOut.into(),
        Denial::Lost => io::ErrorKind::InvalidData.into(),
    }
}

/// linux/rtnetlink.h.
pub(super) const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;
/// linux/netlink.h.
const NLM_F_DUMP_INTR: u16 = 0x10;

/// How often a list is asked for at once, where things come and go meanwhile.
const TRIES: usize = 3;

/// The kernel prepares one datagram while the one before is being read.
const RECEIVE_BUFFER: usize = 256 << 10;
/// The kernel answers in pieces of at most 32 KiB, or of one link, if that has more.
const LONGEST_ANSWER: usize = 128 << 10;
/// The kernel answers within `recv`; this is for one that does not.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    /// One message of an answer; its payload is a number.
    fn message(kind: u16, flags: u16, seq: u32, number: u32) -> Vec<u8> {
        let mut message = ((NLMSG_HEADER_LEN + 4) as u32).to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.extend(flags.to_ne_bytes());
        message.extend([seq, 0, number].iter().flat_map(|word| word.to_ne_bytes()));
        message
    }

    fn number(payload: &[u8]) -> Option<u32> {
        payload.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
    }

    #[test]
    fn a_list_is_torn_if_any_of_its_messages_says_so() {
        const MULTI: u16 = libc::NLM_F_MULTI as u16;
        let torn = MULTI | NLM_F_DUMP_INTR;
        for (flags, is_torn) in [
            ([MULTI, MULTI, MULTI], false),
            ([torn, MULTI, MULTI], true),
            ([MULTI, torn, MULTI], true),
            ([MULTI, MULTI, torn], true),
        ] {
            let mut listed = Listed::new();
            // What is left of an answer to another request says nothing of this one.
            let first = [message(16, torn, 6, 1), message(16, flags[0], 7, 2)].concat();
            assert_eq!(listed.take_in(&first, 7, number), None, "there is more to come");
            let last = [message(16, flags[1], 7, 3), message(NLMSG_DONE, flags[2], 7, 0)].concat();
            assert_eq!(listed.take_in(&last, 7, number), Some(Ok(())));
            assert_eq!((listed.all, listed.is_torn), (vec![2, 3], is_torn), "{flags:?}");
        }
    }
}
