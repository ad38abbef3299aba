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

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::io;
use std::ops::Bound;
use std::task::{Context, Poll, ready};

use super::calls::{Caller, Calls};
use super::family::Family;
use super::packet::{Missed, Reader};
use super::socket::{Home, Inbox, Left, Watched};
use super::tunnel::Tunnel;
use super::{Upcall, VportNo};

/// The upcall sockets of a datapath.
#[derive(Debug)]
pub(super) struct Ears {
    /// By number, in the order in which they were added.
    ears: BTreeMap<u32, Listening>,
    last_number: u32,
    calls: Calls,
    is_shared: bool,
    /// The ports that are listened to, and the number of the socket that each has for itself.
    ports: BTreeMap<VportNo, Option<u32>>,
    intake: Intake,
}

/// An upcall socket that calls when something comes.
#[derive(Debug)]
struct Listening {
    ear: Ear,
    caller: Caller,
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
            ears: BTreeMap::new(),
            last_number: 0,
            calls: Calls::default(),
            is_shared: false,
            ports: BTreeMap::new(),
            intake: Intake::new(family),
        }
    }

    /// For a socket that is not one of these and is looked at before them: who waits for frames is woken for it too.
    pub(super) fn watcher(&self) -> Caller {
        self.calls.caller(WATCHER)
    }

    /// Listens for a port by a socket of its own; what listened for it before is closed.
    pub(super) fn add(&mut self, port: VportNo, ear: Ear) {
        self.remove(port);
        let number = self.listen(ear);
        self.ports.insert(port, Some(number));
    }

    fn listen(&mut self, ear: Ear) -> u32 {
        self.last_number += 1;
        let caller = self.calls.caller(self.last_number);
        self.ears.insert(self.last_number, Listening { ear, caller });
        self.last_number
    }

    /// Notes that a port is listened to by the sockets that all share.
    pub(super) fn add_shared(&mut self, port: VportNo) {
        self.ports.insert(port, None);
    }

    /// Listens for all ports by these sockets. What waits in the ports' own, which are closed, is kept.
    pub(super) fn share(&mut self, shared: Vec<Ear>) {
        for own in std::mem::take(&mut self.ears).into_values() {
            self.intake.drain(&own.ear);
        }
        self.ports.values_mut().for_each(|own| *own = None);
        for ear in shared {
            self.listen(ear);
        }
        self.is_shared = true;
    }

    /// Stops listening for a port. What waits in its socket or its queue is lost and counted.
    pub(super) fn remove(&mut self, port: VportNo) {
        let own = self.ports.remove(&port).flatten();
        if let Some(own) = own.and_then(|number| self.ears.remove(&number)) {
            self.intake.drain(&own.ear);
        }
        self.intake.sorted.forget(port);
    }

    /// Stops listening for good. What waits is lost and counted.
    pub(super) fn close(&mut self) {
        let ports: Vec<_> = self.ports.keys().copied().collect();
        for own in std::mem::take(&mut self.ears).into_values() {
            self.intake.drain(&own.ear);
        }
        ports.iter().for_each(|port| self.remove(*port));
    }

    /// Frames of these ports that are here already, at most `most`; of each socket as many as in one turn. A socket that fails shows
    /// it when it is waited for.
    pub(super) fn stragglers(&mut self, ports: &[VportNo], most: usize) -> Vec<Upcall> {
        if self.is_shared {
            self.ears.values().for_each(|shared| drop(self.intake.gulp(&shared.ear)));
        } else {
            let own = ports.iter().filter_map(|port| self.ears.get(self.ports.get(port)?.as_ref()?));
            own.for_each(|own| drop(self.intake.gulp(&own.ear)));
        }
        let mut upcalls = Vec::new();
        ports.iter().for_each(|port| self.intake.sorted.take_of(*port, most, &mut upcalls));
        upcalls
    }

    /// The ports that are listened to and are not among these.
    pub(super) fn unlisted(&self, listed: &HashSet<VportNo>) -> Vec<VportNo> {
        self.ports.keys().copied().filter(|port| !listed.contains(port)).collect()
    }

    /// Whether a port is listened to.
    pub(super) fn hears(&self, port: VportNo) -> bool {
        self.ports.contains_key(&port)
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
        let number = self.ports.get(&port)?.as_ref()?;
        self.ears.get(number).map(|own| own.ear.port_id())
    }

    /// The port ids of all sockets.
    pub(super) fn port_ids(&self) -> Vec<u32> {
        self.ears.values().map(|listening| listening.ear.port_id()).collect()
    }

    /// How often a socket was found to have lost frames; the number of frames is in the datapath's `lost`.
    pub(super) fn overruns(&self) -> u64 {
        self.intake.overruns
    }

    /// Frames to another address than this tunnel's come without a key from now on.
    pub(super) fn set_tunnel(&mut self, tunnel: Option<Tunnel>) {
        self.intake.reader.set_tunnel(tunnel);
    }

    /// Frames that came to a group that was not set.
    pub(super) fn ungrouped(&self) -> u64 {
        self.intake.ungrouped
    }

    /// Frames that were lost behind the kernel's back: a port's queue had no room, or nobody listens for the port any more.
    pub(super) fn lost(&self) -> u64 {
        self.intake.sorted.lost
    }

    /// Frames of all ports, at most `most`, at least one; none where the watcher has called. What was taken from a socket is returned by
    /// this or the next call. Only sockets that have called since they were found empty are looked at.
    pub(super) fn poll(&mut self, context: &mut Context<'_>, most: usize) -> Poll<io::Result<Vec<Upcall>>> {
        let mut upcalls = Vec::new();
        let mut may_have_more = true;
        while may_have_more && upcalls.len() < most {
            let (mut was_any_ready, mut has_watcher_called) = (false, false);
            may_have_more = false;
            // One turn for each that has called so far; those that may have more are queued behind them.
            let mut turns = None;
            while turns != Some(0) && upcalls.len() < most {
                let room = if self.is_shared { GULP } else { SHARE.min(most - upcalls.len()) };
                let Some((number, behind)) = self.calls.next(context.waker()) else { break };
                turns = Some(turns.map_or(behind, |turns: usize| turns - 1));
                has_watcher_called |= number == WATCHER;
                let polled = self.poll_one(number, room, &mut upcalls)?;
                was_any_ready |= polled.is_ready();
                may_have_more |= polled == Poll::Ready(Left::Perhaps);
            }
            self.intake.sorted.take(most, &mut upcalls);
            if has_watcher_called {
                return Poll::Ready(Ok(upcalls));
            }
            // What came led to nothing, and its socket is still to be waited for.
            may_have_more |= was_any_ready && upcalls.is_empty();
        }
        if upcalls.is_empty() { Poll::Pending } else { Poll::Ready(Ok(upcalls)) }
    }

    /// One turn of one socket; pending when it is empty and will call. Otherwise it is queued behind the others.
    fn poll_one(&mut self, number: u32, most: usize, upcalls: &mut Vec<Upcall>) -> io::Result<Poll<Left>> {
        let Some(Listening { ear, caller }) = self.ears.get_mut(&number) else { return Ok(Poll::Pending) };
        let Intake { reader, inbox, sorted, overruns, ungrouped } = &mut self.intake;
        let (port, ports) = (ear.port, &self.ports);
        let mut keep = |missed: Missed| match (missed, port) {
            (Missed::First(upcall), Some(_)) => upcalls.push(upcall),
            (Missed::First(upcall), None) if ports.contains_key(&upcall.vport) => sorted.push(upcall),
            // Sockets of all ports hear those of other programs too.
            (Missed::First(_), None) => sorted.lost += 1,
            (Missed::Ungrouped, _) => *ungrouped += 1,
        };
        let mut take = |datagram: Result<&[u8], Lost>| match datagram {
            Ok(datagram) => reader.read(port, datagram, &mut keep),
            Err(Lost) => *overruns += 1,
        };
        let polled = ear.poll_read(&mut Context::from_waker(caller.answer()), inbox, most, &mut take);
        if polled.is_ready() {
            caller.queue();
        }
        match polled {
            Poll::Ready(result) => result.map(Poll::Ready),
            Poll::Pending => Ok(Poll::Pending),
        }
    }
}

/// Where datagrams come in, and what of them waits.
#[derive(Debug)]
struct Intake {
    reader: Reader,
    inbox: Inbox,
    sorted: Sorted,
    /// How often a socket was found to have lost some.
    overruns: u64,
    /// Frames that came to a group that is not set.
    ungrouped: u64,
}

impl Intake {
    fn new(family: Family) -> Intake {
        let (inbox, sorted) = (Inbox::new(SHARE, LONGEST_UPCALL), Sorted::default());
        Intake { reader: Reader::new(family), inbox, sorted, overruns: 0, ungrouped: 0 }
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
        let Intake { reader, sorted, overruns, ungrouped, .. } = self;
        let mut sort = |missed: Missed| match missed {
            Missed::First(upcall) => sorted.push(upcall),
            Missed::Ungrouped => *ungrouped += 1,
        };
        let keep = |datagram: Option<&[u8]>| match datagram {
            Some(datagram) => reader.read(ear.port, datagram, &mut sort),
            None => *overruns += 1,
        };
        match self.inbox.receive(ear.socket.get_ref(), self.inbox.usual().min(SHARE), keep) {
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

/// The number of no ear: theirs begin with 1.
const WATCHER: u32 = 0;

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
        Upcall { key, vport: VportNo(port), frame: vec![number], hash: None }
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
