//! Sockets that hear upcalls, and a fair share of each port.
//!
//! ```text
//!   few ports:    port ──► socket of the port ─┐
//!                 port ──► socket of the port ─┴─► in turn, some of each ──► caller
//!
//!   many ports:   port ─┐  ┌─► socket of CPU 0 ─┐
//!                 port ─┴──┴─► socket of CPU 1 ─┴─► a queue a port ──► in turn, one of each ──► caller
//! ```
//! With a socket of its own a port's storm fills that socket only. Sockets that ports share are emptied faster than their frames are
//! worked off, and a storm overflows its port's queue. When each is used, docs/design/0002-upcall-sockets.md says.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::io;
use std::ops::Bound;
use std::task::{Context, Poll, ready};

use super::family::Family;
use super::packet;
use super::socket::{Home, Inbox, Left, Watched};
use super::{Upcall, VportNo};

/// The upcall sockets of a datapath.
#[derive(Debug)]
pub(super) struct Ears {
    family: Family,
    ears: Vec<Ear>,
    /// The ear that is asked first.
    next: usize,
    is_shared: bool,
    /// The ports that are listened to.
    ports: BTreeSet<VportNo>,
    sorted: Sorted,
    inbox: Inbox,
    overruns: u64,
}

/// One upcall socket.
#[derive(Debug)]
pub(super) struct Ear {
    /// The port whose upcalls come, if of one alone.
    port: Option<VportNo>,
    port_id: u32,
    socket: Watched,
}

impl Ear {
    /// Opens a socket for one port; the kernel is to be told its port id as the port's.
    ///
    /// # Errors
    /// No socket to be had.
    pub(super) fn of_port(home: &Home, port: VportNo) -> io::Result<Ear> {
        Ear::open(home, Some(port), OWN_BUFFER)
    }

    /// Opens a socket for each possible CPU.
    ///
    /// # Errors
    /// No socket to be had.
    pub(super) fn of_cpus(home: &Home) -> io::Result<Vec<Ear>> {
        let cpus = nix::unistd::sysconf(nix::unistd::SysconfVar::_NPROCESSORS_CONF)?.unwrap_or(1);
        (0..cpus).map(|_| Ear::open(home, None, SHARED_BUFFER)).collect()
    }

    /// The netlink port id of the socket.
    pub(super) fn port_id(&self) -> u32 {
        self.port_id
    }

    fn open(home: &Home, port: Option<VportNo>, buffer: usize) -> io::Result<Ear> {
        let socket = home.open_socket(buffer)?;
        Ok(Ear { port, port_id: socket.pid()?, socket: Watched::new(socket)? })
    }

    /// Datagrams out of the socket, at most `most`; pending when there are none. One where one is usual is taken for all there is: a
    /// look whether there are more costs as much as receiving one, and whoever judges frames looks for stragglers anyway.
    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        inbox: &mut Inbox,
        most: usize,
        take: OnDatagram<'_>,
    ) -> Poll<io::Result<Left>> {
        let mut taken = 0;
        while taken < most {
            // Once for many datagrams: tokio answers "pending" to a task that has asked 128 times.
            let mut guard = ready!(self.socket.poll_read_ready(context))?;
            while taken < most {
                let asked = inbox.usual().min(most - taken);
                match inbox.receive(guard.get_inner(), asked, |datagram| take(datagram.ok_or(Lost))) {
                    Ok((_, Left::Nothing)) => {
                        guard.clear_ready();
                        return Poll::Ready(Ok(Left::Nothing));
                    }
                    Ok((1, Left::Perhaps)) if taken == 0 => return Poll::Ready(Ok(Left::Nothing)),
                    Ok((count, Left::Perhaps)) => taken += count,
                    // Frames were lost and counted by the kernel, as `lost` of the datapath; the socket goes on.
                    Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                        take(Err(Lost));
                        taken += 1;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        guard.clear_ready();
                        break;
                    }
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
        }
        Poll::Ready(Ok(Left::Perhaps))
    }
}

/// Takes each datagram of a socket.
type OnDatagram<'a> = &'a mut dyn FnMut(Result<&[u8], Lost>);

/// A datagram that was lost or did not fit.
#[derive(Debug)]
struct Lost;

impl Ears {
    pub(super) fn new(family: Family) -> Ears {
        Ears {
            family,
            ears: Vec::new(),
            next: 0,
            is_shared: false,
            ports: BTreeSet::new(),
            sorted: Sorted::default(),
            inbox: Inbox::new(SHARE, LONGEST_UPCALL),
            overruns: 0,
        }
    }

    /// Listens for a port by a socket of its own; what listened for it before is closed.
    pub(super) fn add(&mut self, port: VportNo, ear: Ear) {
        self.remove(port);
        self.ports.insert(port);
        self.ears.push(ear);
    }

    /// Notes that a port is listened to by the sockets that all share.
    pub(super) fn add_shared(&mut self, port: VportNo) {
        self.ports.insert(port);
    }

    /// Listens for all ports by these sockets. What waits in the ports' own, which are closed, is kept.
    pub(super) fn share(&mut self, shared: Vec<Ear>) {
        for own in std::mem::replace(&mut self.ears, shared) {
            self.drain(&own);
        }
        self.is_shared = true;
        self.next = 0;
    }

    /// Stops listening for a port. What waits in its socket or its queue is lost and counted.
    pub(super) fn remove(&mut self, port: VportNo) {
        if let Some(index) = self.ears.iter().position(|ear| ear.port == Some(port)) {
            let own = self.ears.remove(index);
            self.drain(&own);
        }
        self.sorted.forget(port);
        self.ports.remove(&port);
    }

    /// Stops listening for good. What waits is lost and counted.
    pub(super) fn close(&mut self) {
        let ports: Vec<_> = self.ports.iter().copied().collect();
        for ear in std::mem::take(&mut self.ears) {
            self.drain(&ear);
        }
        ports.iter().for_each(|port| self.remove(*port));
    }

    /// Puts what waits in a socket into the queues.
    fn drain(&mut self, ear: &Ear) {
        while self.gulp(ear).is_ok() {}
    }

    /// Puts some of what waits in a socket into the queues.
    ///
    /// # Errors
    /// There is nothing, or the socket fails.
    fn gulp(&mut self, ear: &Ear) -> io::Result<()> {
        let (sorted, overruns) = (&mut self.sorted, &mut self.overruns);
        let keep = |datagram: Option<&[u8]>| match datagram {
            Some(datagram) => {
                packet::read_upcalls(self.family, ear.port, datagram, &mut |upcall| sorted.push(upcall));
            }
            None => *overruns += 1,
        };
        match self.inbox.receive(ear.socket.get_ref(), SHARE, keep) {
            Ok((_, Left::Perhaps)) => {}
            Ok((_, Left::Nothing)) => ear.socket.note_empty(),
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => self.overruns += 1,
            Err(error) => {
                if error.kind() == io::ErrorKind::WouldBlock {
                    ear.socket.note_empty();
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Frames of these ports that are here already, at most `most`; of each socket as many as in one turn. A socket that fails shows
    /// it when it is waited for.
    pub(super) fn stragglers(&mut self, ports: &[VportNo], most: usize) -> Vec<Upcall> {
        let ears = std::mem::take(&mut self.ears);
        let may_have_some = |ear: &&Ear| ear.port.is_none_or(|port| ports.contains(&port));
        ears.iter().filter(may_have_some).for_each(|ear| drop(self.gulp(ear)));
        self.ears = ears;
        let mut upcalls = Vec::new();
        ports.iter().for_each(|port| self.sorted.take_of(*port, most, &mut upcalls));
        upcalls
    }

    /// The ports that are listened to and are not among these.
    pub(super) fn unlisted(&self, listed: &HashSet<VportNo>) -> Vec<VportNo> {
        self.ports.iter().copied().filter(|port| !listed.contains(port)).collect()
    }

    /// Whether a port is listened to.
    pub(super) fn hears(&self, port: VportNo) -> bool {
        self.ports.contains(&port)
    }

    /// How many ports are listened to.
    pub(super) fn ports(&self) -> usize {
        self.ports.len()
    }

    /// Whether the ports share their sockets.
    pub(super) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// The port id of the socket that a port has for itself.
    pub(super) fn port_id_of(&self, port: VportNo) -> Option<u32> {
        self.ears.iter().find(|ear| ear.port == Some(port)).map(Ear::port_id)
    }

    /// The port ids of all sockets.
    pub(super) fn port_ids(&self) -> Vec<u32> {
        self.ears.iter().map(Ear::port_id).collect()
    }

    /// How often a socket was found to have lost frames; the number of frames is in the datapath's `lost`.
    pub(super) fn overruns(&self) -> u64 {
        self.overruns
    }

    /// Frames that were lost behind the kernel's back: a port's queue had no room, or nobody listens for the port any more.
    pub(super) fn lost(&self) -> u64 {
        self.sorted.lost
    }

    /// Frames of all ports, at most `most`, at least one. What was taken from a socket is returned by this or the next call.
    pub(super) fn poll(&mut self, context: &mut Context<'_>, most: usize) -> Poll<io::Result<Vec<Upcall>>> {
        let mut upcalls = Vec::new();
        let mut may_have_more = true;
        while may_have_more && upcalls.len() < most {
            let mut was_any_ready = false;
            may_have_more = false;
            for _ in 0..self.ears.len() {
                let room = most.saturating_sub(upcalls.len()).min(SHARE);
                let polled = self.poll_next(context, room, &mut upcalls)?;
                was_any_ready |= polled.is_ready();
                may_have_more |= polled == Poll::Ready(Left::Perhaps);
            }
            self.sorted.take(most, &mut upcalls);
            // What came led to nothing, and its socket is still to be waited for.
            may_have_more |= was_any_ready && upcalls.is_empty();
        }
        if upcalls.is_empty() { Poll::Pending } else { Poll::Ready(Ok(upcalls)) }
    }

    /// One turn of one socket; pending when it is empty and the task will be woken for it.
    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        room: usize,
        upcalls: &mut Vec<Upcall>,
    ) -> io::Result<Poll<Left>> {
        let index = self.next % self.ears.len().max(1);
        let most = if self.is_shared { GULP } else { room };
        let Some(ear) = self.ears.get_mut(index).filter(|_| most > 0) else { return Ok(Poll::Pending) };
        self.next = index + 1;
        let (family, port, overruns) = (self.family, ear.port, &mut self.overruns);
        let (ports, sorted) = (&self.ports, &mut self.sorted);
        let mut keep = |upcall: Upcall| match port {
            Some(_) => upcalls.push(upcall),
            None if ports.contains(&upcall.vport) => sorted.push(upcall),
            // Sockets of all ports hear those of other programs too.
            None => sorted.lost += 1,
        };
        let mut take = |datagram: Result<&[u8], Lost>| match datagram {
            Ok(datagram) => packet::read_upcalls(family, port, datagram, &mut keep),
            Err(Lost) => *overruns += 1,
        };
        match ear.poll_read(context, &mut self.inbox, most, &mut take) {
            Poll::Ready(result) => result.map(Poll::Ready),
            Poll::Pending => Ok(Poll::Pending),
        }
    }
}

/// Frames from sockets that ports share, by port.
#[derive(Debug, Default)]
struct Sorted {
    /// None of them empty.
    queues: BTreeMap<VportNo, VecDeque<Upcall>>,
    last_served: Option<VportNo>,
    lost: u64,
}

impl Sorted {
    fn push(&mut self, upcall: Upcall) {
        let queue = self.queues.entry(upcall.vport).or_default();
        if queue.len() < QUEUE {
            queue.push_back(upcall);
        } else {
            self.lost += 1;
        }
    }

    /// One of each port in turn, beginning behind the port that was served last, until there are `most`.
    fn take(&mut self, most: usize, upcalls: &mut Vec<Upcall>) {
        while upcalls.len() < most {
            let after = (self.last_served.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
            let next = self.queues.range(after).next().or_else(|| self.queues.iter().next());
            let Some(port) = next.map(|(port, _)| *port) else { return };
            self.last_served = Some(port);
            let queue = self.queues.get_mut(&port);
            let is_last = queue.is_some_and(|queue| {
                upcalls.extend(queue.pop_front());
                queue.is_empty()
            });
            if is_last {
                self.queues.remove(&port);
            }
        }
    }

    /// Those of one port, until there are `most`.
    fn take_of(&mut self, port: VportNo, most: usize, upcalls: &mut Vec<Upcall>) {
        let Some(queue) = self.queues.get_mut(&port) else { return };
        upcalls.extend(queue.drain(..queue.len().min(most.saturating_sub(upcalls.len()))));
        if queue.is_empty() {
            self.queues.remove(&port);
        }
    }

    fn forget(&mut self, port: VportNo) {
        self.lost += self.queues.remove(&port).map_or(0, |queue| queue.len() as u64);
    }
}

/// Frames from a port's own socket in one turn.
const SHARE: usize = 16;

/// Frames from a socket that ports share in one turn: its whole buffer if they are short.
const GULP: usize = 8_192;

/// Frames of one port that wait beside the sockets that ports share.
const QUEUE: usize = 256;

/// Bytes of receive buffer asked for, a port; about 3 000 short frames as the kernel counts them.
const OWN_BUFFER: usize = 2 << 20;

/// Bytes of receive buffer asked for, a CPU.
const SHARED_BUFFER: usize = 8 << 20;

/// A frame is at most 64 KiB (the kernel splits super-frames before), its key under 1 KiB.
const LONGEST_UPCALL: usize = 72 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Malformed;

    fn upcall(port: u32, number: u8) -> Upcall {
        let key = Err(Malformed::Message("not under test".into()));
        Upcall { key, vport: VportNo(port), frame: vec![number] }
    }

    fn taken(sorted: &mut Sorted, most: usize) -> Vec<(u32, u8)> {
        let mut upcalls = Vec::new();
        sorted.take(most, &mut upcalls);
        upcalls.iter().map(|upcall| (upcall.vport.0, upcall.frame[0])).collect()
    }

    #[test]
    fn ports_are_served_in_turn_and_each_in_its_order() {
        let mut sorted = Sorted::default();
        (0..4).for_each(|number| sorted.push(upcall(1, number)));
        sorted.push(upcall(2, 0));
        (0..2).for_each(|number| sorted.push(upcall(7, number)));
        assert_eq!(taken(&mut sorted, 4), [(1, 0), (2, 0), (7, 0), (1, 1)]);
        assert_eq!(taken(&mut sorted, 9), [(7, 1), (1, 2), (1, 3)]);
        assert_eq!(taken(&mut sorted, 9), []);
    }

    #[test]
    fn of_one_port_the_first_come_first() {
        let mut sorted = Sorted::default();
        (0..3).for_each(|number| sorted.push(upcall(1, number)));
        sorted.push(upcall(2, 0));
        let mut upcalls = Vec::new();
        sorted.take_of(VportNo(1), 2, &mut upcalls);
        assert_eq!(upcalls.iter().map(|upcall| upcall.frame[0]).collect::<Vec<_>>(), [0, 1]);
        sorted.take_of(VportNo(1), 3, &mut upcalls);
        sorted.take_of(VportNo(7), 9, &mut upcalls);
        assert_eq!(upcalls.len(), 3);
        assert_eq!(taken(&mut sorted, 9), [(2, 0)], "the other port's are left");
    }

    #[test]
    fn a_storm_overflows_its_own_queue_only() {
        let mut sorted = Sorted::default();
        (0..1_000).for_each(|_| sorted.push(upcall(1, 0)));
        sorted.push(upcall(2, 9));
        assert_eq!(sorted.lost, 1_000 - QUEUE as u64);
        assert_eq!(taken(&mut sorted, 2), [(1, 0), (2, 9)]);
        sorted.forget(VportNo(1));
        assert_eq!(taken(&mut sorted, 9), []);
        assert_eq!(sorted.lost, 999, "all but the one that was taken");
    }
}
