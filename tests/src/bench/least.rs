//! The least that a program can do which makes flows from upcalls: it looks at nothing but where the frame and its key are, copies the
//! key, puts the same mask and actions to every one, sends all that has come up in one datagram, and wants no acknowledgement. It learns,
//! counts and checks nothing. What it costs is nearly all the kernel's part, which no program that drives openvswitch.ko is spared.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, getsockname, recv, send,
    socket,
};

use super::static_flow::{actions, make_datapath, mask};
use crate::lab::genl::{NEW, OtherHand, attribute};
use crate::lab::netns::Netns;

/// The program, in a thread of its own. Dropping it ends it.
#[derive(Debug)]
pub struct LeastProgram {
    thread: Option<JoinHandle<()>>,
    is_over: Arc<AtomicBool>,
}

impl LeastProgram {
    /// Makes a datapath in a namespace and works off what comes up from the station's port.
    ///
    /// # Panics
    /// The kernel refuses.
    pub fn start(netns: &Netns) -> LeastProgram {
        let is_over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&is_over);
        let work = netns.run(|| {
            let ear = open().unwrap_or_else(|e| panic!("no generic netlink: {e}"));
            let port_id = getsockname::<NetlinkAddr>(ear.as_raw_fd()).unwrap_or_else(|e| panic!("{e}")).pid();
            let datapath = make_datapath(port_id);
            let mouth = open().unwrap_or_else(|e| panic!("no generic netlink: {e}"));
            let numbers = OtherHand::reach_out();
            let (flow, packet) = (numbers.number_of("ovs_flow"), numbers.number_of("ovs_packet"));
            Work { ear, mouth, datapath, flow, packet }
        });
        let thread = std::thread::spawn(move || work.go_on(&seen));
        LeastProgram { thread: Some(thread), is_over }
    }
}

impl Drop for LeastProgram {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Work {
    ear: OwnedFd,
    mouth: OwnedFd,
    datapath: u32,
    flow: u16,
    packet: u16,
}

impl Work {
    fn go_on(&self, is_over: &AtomicBool) {
        let (mask, actions) = (attribute(FLOW_MASK, &mask()), actions());
        let (flow_actions, packet_actions) =
            (attribute(FLOW_ACTIONS, &actions), attribute(PACKET_ACTIONS, &actions));
        let (mut buffer, mut out) = (vec![0; 4096], Vec::with_capacity(1 << 16));
        while !is_over.load(Ordering::Relaxed) {
            // Waits for the first, takes what else is there.
            let mut flags = MsgFlags::empty();
            out.clear();
            while let Ok(length) = recv(self.ear.as_raw_fd(), &mut buffer, flags) {
                flags = MsgFlags::MSG_DONTWAIT;
                let Some((frame, key)) = frame_and_key(&buffer[..length]) else { continue };
                self.write(&mut out, self.flow, NEW, &[&attribute(FLOW_KEY, key), &mask, &flow_actions]);
                let parts = [&attribute(PACKET_FRAME, frame), &attribute(PACKET_KEY, key), &packet_actions];
                self.write(&mut out, self.packet, PACKET_EXECUTE, &parts.map(Vec::as_slice));
                if out.len() > MOST_BYTES {
                    break;
                }
            }
            if !out.is_empty() {
                let _ = send(self.mouth.as_raw_fd(), &out, MsgFlags::empty());
            }
        }
    }

    fn write(&self, out: &mut Vec<u8>, family: u16, command: u8, attributes: &[&[u8]]) {
        let length = 24 + attributes.iter().map(|part| part.len()).sum::<usize>();
        out.extend((length as u32).to_ne_bytes());
        out.extend(family.to_ne_bytes());
        out.extend((REQUEST | if command == NEW { CREATE } else { 0 }).to_ne_bytes());
        out.extend([0; 8]);
        out.extend([command, 1, 0, 0]);
        out.extend(self.datapath.to_ne_bytes());
        attributes.iter().for_each(|part| out.extend(*part));
    }
}

/// Frame and key of an upcall: netlink, generic netlink and Open vSwitch headers, then attributes.
fn frame_and_key(datagram: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut frame, mut key, mut rest) = (None, None, datagram.get(24..)?);
    while let [a, b, c, d, ..] = *rest {
        let length = usize::from(u16::from_ne_bytes([a, b]));
        match u16::from_ne_bytes([c, d]) & 0x3fff {
            PACKET_FRAME => frame = rest.get(4..length),
            PACKET_KEY => key = rest.get(4..length),
            _ => {}
        }
        rest = rest.get(length.max(4).next_multiple_of(4)..).unwrap_or_default();
    }
    frame.zip(key)
}

/// Its reads end now and then, so that it can be told to end.
fn open() -> io::Result<OwnedFd> {
    let protocol = SockProtocol::NetlinkGeneric;
    let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
    let socket = socket2::SockRef::from(&fd);
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    socket.set_recv_buffer_size(1 << 20)?;
    Ok(fd)
}

/// linux/netlink.h.
const REQUEST: u16 = 1;
const CREATE: u16 = 0x400;
/// Less than a netlink socket sends at once by default.
const MOST_BYTES: usize = 48 << 10;

/// enum ovs_flow_attr.
const FLOW_KEY: u16 = 1;
const FLOW_ACTIONS: u16 = 2;
const FLOW_MASK: u16 = 7;

/// enum ovs_packet_cmd, enum ovs_packet_attr.
const PACKET_EXECUTE: u8 = 3;
const PACKET_FRAME: u16 = 1;
const PACKET_KEY: u16 = 2;
const PACKET_ACTIONS: u16 = 3;
