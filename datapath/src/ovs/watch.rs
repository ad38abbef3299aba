//! What the kernel tells everyone of datapaths and ports, whoever changed them (multicast groups `ovs_datapath` and `ovs_vport`).
//!
//! A port's upcalls go where the last program said that set it, and a datapath is gone when any program removes it. Neither shows on
//! the sockets that wait for upcalls: they stay silent for ever. So these notices are listened to, by a socket of their own.

use std::io;
use std::task::{Context, Poll, ready};

use super::calls::Caller;
use super::families::Families;
use super::family::{DpIndex, Family, split_reply};
use super::socket::{Home, Watched, join, receive};
use super::transact::Message;
use super::{VportNo, dp, vport};

/// The socket that hears what is told of datapaths and ports.
#[derive(Debug)]
pub(super) struct Watch {
    datapath: Family,
    vport: Family,
    socket: Watched,
    caller: Caller,
    buffer: Box<[u8]>,
}

/// What was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Notice {
    /// A port is there, new or changed, and this is where its upcalls go.
    Vport(VportNo, Option<u32>),
    /// A port is no more.
    VportGone(VportNo),
    /// The datapath is there, and this is where its upcalls go if not where its ports say.
    Datapath(Option<Vec<u32>>),
    /// The datapath is no more.
    DatapathGone,
    /// Something was told that did not arrive.
    Lost,
}

impl Watch {
    /// Listens from now on, and calls as `caller` when there is something.
    ///
    /// # Errors
    /// No socket to be had.
    pub(super) fn open(home: &Home, families: &Families, caller: Caller) -> io::Result<Watch> {
        let socket = home.open_socket(RECEIVE_BUFFER)?;
        for group in families.notices.into_iter().flatten() {
            join(&socket, group)?;
        }
        Ok(Watch {
            caller,
            datapath: families.datapath,
            vport: families.vport,
            socket: Watched::new(socket)?,
            buffer: vec![0; LONGEST_NOTICE].into(),
        })
    }

    /// One datagram's notices about this datapath; pending when there is none. It costs next to nothing where there was none before
    /// and nobody has called since. Who waits for the caller's calls is woken for more.
    pub(super) fn poll(&mut self, dp: DpIndex) -> Poll<io::Result<Vec<Notice>>> {
        if !self.caller.has_called() {
            return Poll::Pending;
        }
        let polled = self.poll_socket(dp);
        if polled.is_ready() {
            self.caller.queue();
        }
        polled
    }

    fn poll_socket(&mut self, dp: DpIndex) -> Poll<io::Result<Vec<Notice>>> {
        let mut context = Context::from_waker(self.caller.answer());
        loop {
            let mut guard = ready!(self.socket.poll_read_ready(&mut context))?;
            match guard.try_io(|socket| receive(socket.get_ref(), &mut self.buffer)) {
                Ok(Ok(len)) => {
                    let lost = || vec![Notice::Lost];
                    let read = |datagram| read_notices(self.datapath, self.vport, dp, datagram);
                    return Poll::Ready(Ok(self.buffer.get(..len).map_or_else(lost, read)));
                }
                Ok(Err(error)) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    return Poll::Ready(Ok(vec![Notice::Lost]));
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }
}

/// What a datagram tells of this datapath.
pub(super) fn read_notices(datapath: Family, vport: Family, dp: DpIndex, datagram: &[u8]) -> Vec<Notice> {
    let mut notices = Vec::new();
    let mut rest = datagram;
    while let Some((message, behind)) = Message::split(rest) {
        rest = behind;
        let Some((command, body)) = message.command() else { continue };
        if !split_reply(body).is_ok_and(|(index, _)| index == dp) {
            continue;
        }
        if datapath.is(message.kind) {
            notices.push(read_datapath(command, body));
        } else if vport.is(message.kind) {
            notices.push(read_vport(command, body));
        }
    }
    notices
}

fn read_datapath(command: u8, body: &[u8]) -> Notice {
    match dp::read(body) {
        _ if command == dp::OVS_DP_CMD_DEL => Notice::DatapathGone,
        Ok(description) => Notice::Datapath(description.by_cpu),
        Err(_) => Notice::Lost,
    }
}

fn read_vport(command: u8, body: &[u8]) -> Notice {
    match vport::read(body) {
        Ok(description) if command == vport::OVS_VPORT_CMD_DEL => Notice::VportGone(description.port.no),
        Ok(description) => Notice::Vport(description.port.no, description.upcalls_to),
        Err(_) => Notice::Lost,
    }
}

/// Bytes of receive buffer asked for. When more is told than fits, everything is asked for instead.
const RECEIVE_BUFFER: usize = 256 << 10;

/// A port or a datapath has under 1 KiB, or a few more bytes for each CPU.
const LONGEST_NOTICE: usize = 32 << 10;
