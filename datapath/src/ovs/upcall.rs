//! One socket for the upcalls of each port, read in turn.
//!
//! A port's storm fills the port's own socket only. In a turn each socket gives at most [`SHARE`] frames, and the next call
//! starts behind the socket that was served last. See docs/design/0002-upcall-sockets.md.

use std::io;
use std::task::{Context, Poll, ready};

use super::family::Family;
use super::packet;
use super::socket::{Home, Watched, receive};
use super::{Upcall, VportNo};

/// The upcall sockets of a datapath.
#[derive(Debug)]
pub(super) struct Ears {
    family: Family,
    ears: Vec<Ear>,
    /// The ear that is asked first.
    next: usize,
    buffer: Box<[u8]>,
    overruns: u64,
}

/// The upcall socket of one port.
#[derive(Debug)]
pub(super) struct Ear {
    vport: VportNo,
    socket: Watched,
}

impl Ear {
    /// Opens a socket whose port id is to be told to the kernel as the port's.
    ///
    /// # Errors
    /// No socket to be had.
    pub(super) fn open(home: &Home, vport: VportNo) -> io::Result<(Ear, u32)> {
        let socket = home.open_socket(RECEIVE_BUFFER)?;
        let pid = socket.pid()?;
        Ok((Ear { vport, socket: Watched::new(socket)? }, pid))
    }

    /// Frames out of the socket, at most `most`; pending when it is empty.
    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
        most: usize,
        take: OnDatagram<'_>,
    ) -> Poll<io::Result<()>> {
        for _ in 0..most {
            let mut guard = ready!(self.socket.poll_read_ready(context))?;
            match guard.try_io(|socket| receive(socket.get_ref(), buffer)) {
                Ok(Ok(len)) => take(self.vport, buffer.get(..len).ok_or(Lost)),
                // Frames were lost and counted by the kernel, as `lost` of the datapath; the socket goes on.
                Ok(Err(error)) if error.raw_os_error() == Some(libc::ENOBUFS) => take(self.vport, Err(Lost)),
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                // Registers for the wake-up, or finds that something came just now.
                Err(_would_block) => {}
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Takes each datagram of a port.
type OnDatagram<'a> = &'a mut dyn FnMut(VportNo, Result<&[u8], Lost>);

/// A datagram that was lost or did not fit.
#[derive(Debug)]
struct Lost;

impl Ears {
    pub(super) fn new(family: Family) -> Ears {
        Ears { family, ears: Vec::new(), next: 0, buffer: vec![0; LONGEST_UPCALL].into(), overruns: 0 }
    }

    /// Listens for a port; what listened for it before is closed.
    pub(super) fn add(&mut self, ear: Ear) {
        self.remove(ear.vport);
        self.ears.push(ear);
    }

    /// Stops listening for a port.
    pub(super) fn remove(&mut self, vport: VportNo) {
        self.ears.retain(|ear| ear.vport != vport);
    }

    /// Stops listening for ports that are no more, and tells which.
    pub(super) fn keep(&mut self, is_there: impl Fn(VportNo) -> bool) -> Vec<VportNo> {
        let gone = self.ears.extract_if(.., |ear| !is_there(ear.vport));
        gone.map(|ear| ear.vport).collect()
    }

    /// How often a socket was found to have lost frames; the number of frames is in the datapath's `lost`.
    pub(super) fn overruns(&self) -> u64 {
        self.overruns
    }

    /// Frames of all ports, at most `most`, at least one. What was taken from a socket is returned by the same call.
    pub(super) fn poll(&mut self, context: &mut Context<'_>, most: usize) -> Poll<io::Result<Vec<Upcall>>> {
        let mut upcalls = Vec::new();
        let mut is_any_ready = true;
        while is_any_ready && upcalls.len() < most {
            is_any_ready = false;
            for _ in 0..self.ears.len() {
                let room = most.saturating_sub(upcalls.len()).min(SHARE);
                is_any_ready |= self.poll_next(context, room, &mut upcalls)?.is_ready();
            }
        }
        if upcalls.is_empty() { Poll::Pending } else { Poll::Ready(Ok(upcalls)) }
    }

    /// One turn of one port; pending when its socket is empty and the task will be woken for it.
    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        most: usize,
        upcalls: &mut Vec<Upcall>,
    ) -> io::Result<Poll<()>> {
        let index = self.next % self.ears.len().max(1);
        let Some(ear) = self.ears.get_mut(index).filter(|_| most > 0) else { return Ok(Poll::Pending) };
        self.next = index + 1;
        let (family, overruns) = (self.family, &mut self.overruns);
        let mut take = |vport, datagram: Result<&[u8], Lost>| match datagram {
            Ok(datagram) => packet::read_upcalls(family, vport, datagram, upcalls),
            Err(Lost) => *overruns += 1,
        };
        match ear.poll_read(context, &mut self.buffer, most, &mut take) {
            Poll::Ready(result) => result.map(Poll::Ready),
            Poll::Pending => Ok(Poll::Pending),
        }
    }
}

/// Frames from one socket in one turn.
const SHARE: usize = 16;

/// Bytes of receive buffer asked for, a port; about 1 500 short frames as the kernel counts them.
const RECEIVE_BUFFER: usize = 1 << 20;

/// A frame is at most 64 KiB (the kernel splits super-frames before), its key under 1 KiB.
const LONGEST_UPCALL: usize = 72 << 10;
