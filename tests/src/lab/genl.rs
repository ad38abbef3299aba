//! Another program's hand on openvswitch.ko: generic netlink by bytes, for what a gateway does not do itself.
//!
//! It shares no code with crate `datapath`, whose yardstick it is (`linux/genetlink.h`, `linux/openvswitch.h`).

use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, getsockname, recv, send,
    socket,
};

/// A generic netlink socket in the namespace of the thread that opened it.
#[derive(Debug)]
pub struct OtherHand {
    socket: OwnedFd,
    /// Its netlink port id.
    port_id: u32,
}

/// A family of openvswitch.ko.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Datapaths.
    Datapath,
    /// Ports.
    Vport,
    /// Flows.
    Flow,
}

/// One request, `struct ovs_header` and attributes as bytes.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Whom it is for.
    pub family: Family,
    /// The family's command (`enum ovs_*_cmd`).
    pub command: u8,
    /// Flags besides NLM_F_REQUEST and NLM_F_ACK.
    pub flags: u16,
    /// The interface index of the datapath, 0 if an attribute names it.
    pub datapath: u32,
    /// The attributes, padded.
    pub attributes: &'a [u8],
}

impl OtherHand {
    /// Opens the socket.
    ///
    /// # Panics
    /// The kernel has no generic netlink.
    pub fn reach_out() -> OtherHand {
        let open = || {
            let protocol = SockProtocol::NetlinkGeneric;
            let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
            bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
            let port_id = getsockname::<NetlinkAddr>(fd.as_raw_fd())?.pid();
            nix::Result::Ok(OtherHand { socket: fd, port_id })
        };
        open().unwrap_or_else(|e| panic!("no generic netlink: {e}"))
    }

    /// Makes a datapath of this name. Panics if the kernel refuses.
    pub fn add_datapath(&self, name: &str) {
        let call = Call {
            family: Family::Datapath,
            command: NEW,
            flags: 0,
            datapath: 0,
            attributes: &[text(DP_NAME, name), number(DP_UPCALL_PID, 0)].concat(),
        };
        self.must("add datapath", &call);
    }

    /// Removes the datapath of this name. Panics if the kernel refuses.
    pub fn delete_datapath(&self, name: &str) {
        let attributes = text(DP_NAME, name);
        let call =
            Call { family: Family::Datapath, command: DEL, flags: 0, datapath: 0, attributes: &attributes };
        self.must("delete datapath", &call);
    }

    /// Makes a link a port of a datapath, at a number of the kernel's choice. Panics if the kernel refuses.
    pub fn add_vport(&self, datapath: &str, link: &str) {
        let attributes =
            [text(VPORT_NAME, link), number(VPORT_TYPE, VPORT_TYPE_NETDEV), number(VPORT_UPCALL_PID, 0)]
                .concat();
        self.must("add vport", &self.about_vport(datapath, NEW, &attributes));
    }

    /// Releases a link from a datapath. Panics if the kernel refuses.
    pub fn delete_vport(&self, datapath: &str, link: &str) {
        self.must("delete vport", &self.about_vport(datapath, DEL, &text(VPORT_NAME, link)));
    }

    /// Has the upcalls of a link's port sent to this socket. Panics if the kernel refuses.
    pub fn take_upcalls_of(&self, datapath: &str, link: &str) {
        let attributes = [text(VPORT_NAME, link), number(VPORT_UPCALL_PID, self.port_id)].concat();
        self.must("take upcalls", &self.about_vport(datapath, SET, &attributes));
    }

    /// Has the upcalls of all ports sent to this socket, whatever the ports say. Panics if the kernel refuses.
    pub fn take_upcalls_by_cpu(&self, datapath: &str) {
        let attributes = [
            text(DP_NAME, datapath),
            number(DP_USER_FEATURES, DP_F_DISPATCH_UPCALL_PER_CPU),
            number(DP_PER_CPU_PIDS, self.port_id),
        ];
        let attributes = attributes.concat();
        let call =
            Call { family: Family::Datapath, command: SET, flags: 0, datapath: 0, attributes: &attributes };
        self.must("take upcalls by cpu", &call);
    }

    /// The interface index of a datapath's own link. Panics if there is no such datapath.
    pub fn index_of(&self, datapath: &str) -> u32 {
        let attributes = text(DP_NAME, datapath);
        let call =
            Call { family: Family::Datapath, command: GET, flags: 0, datapath: 0, attributes: &attributes };
        let reply = self.must("find datapath", &call);
        u32_at(&reply, GENL_HEADER)
    }

    /// Sends one request; the reply's bytes behind the netlink header, empty if there is none but the acknowledgement.
    ///
    /// # Errors
    /// The kernel's errno, positive.
    pub fn ask(&self, call: &Call<'_>) -> Result<Vec<u8>, i32> {
        let (name, version) = match call.family {
            Family::Datapath => ("ovs_datapath", 2),
            Family::Vport => ("ovs_vport", 1),
            Family::Flow => ("ovs_flow", 1),
        };
        let family = self.family(name)?;
        let body = [&call.datapath.to_ne_bytes(), call.attributes].concat();
        self.exchange(family, call.flags, &[&[call.command, version, 0, 0], &body[..]].concat())
    }

    /// The number by which the kernel knows a family. Panics if it has none of this name.
    pub fn number_of(&self, family: &str) -> u16 {
        self.family(family)
            .unwrap_or_else(|errno| panic!("no {family}: {}", nix::errno::Errno::from_raw(errno)))
    }

    fn must(&self, what: &str, call: &Call<'_>) -> Vec<u8> {
        self.ask(call).unwrap_or_else(|errno| panic!("cannot {what}: {}", nix::errno::Errno::from_raw(errno)))
    }

    fn about_vport<'a>(&self, datapath: &str, command: u8, attributes: &'a [u8]) -> Call<'a> {
        Call { family: Family::Vport, command, flags: 0, datapath: self.index_of(datapath), attributes }
    }

    fn family(&self, name: &str) -> Result<u16, i32> {
        let reply = self.exchange(
            CONTROLLER,
            0,
            &[&[CTRL_GETFAMILY, 1, 0, 0], &text(CTRL_FAMILY_NAME, name)[..]].concat(),
        )?;
        let id = find_attribute(&reply[GENL_HEADER..], CTRL_FAMILY_ID);
        id.and_then(|id| id.first_chunk().copied()).map(u16::from_ne_bytes).ok_or(libc::ENOENT)
    }

    fn exchange(&self, kind: u16, flags: u16, payload: &[u8]) -> Result<Vec<u8>, i32> {
        let length = (NETLINK_HEADER + payload.len()) as u32;
        let mut message = length.to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.extend((REQUEST | ACK | flags).to_ne_bytes());
        message.extend([0; 8]);
        message.extend(payload);
        let failed = |errno: nix::errno::Errno| errno as i32;
        send(self.socket.as_raw_fd(), &message, MsgFlags::empty()).map_err(failed)?;
        let mut reply = Vec::new();
        loop {
            let mut buffer = vec![0; 1 << 17];
            let length = recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()).map_err(failed)?;
            buffer.truncate(length);
            if u16::from_ne_bytes([buffer[4], buffer[5]]) != ERROR {
                reply = buffer.split_off(NETLINK_HEADER);
                continue;
            }
            return match u32_at(&buffer, NETLINK_HEADER) as i32 {
                0 => Ok(reply),
                negative => Err(-negative),
            };
        }
    }
}

/// An attribute with these bytes, padded to four.
pub fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = ((4 + payload.len()) as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// An attribute with a number in host order.
pub fn number(kind: u16, value: u32) -> Vec<u8> {
    attribute(kind, &value.to_ne_bytes())
}

/// An attribute with a text and its closing NUL.
pub fn text(kind: u16, text: &str) -> Vec<u8> {
    attribute(kind, &[text.as_bytes(), &[0]].concat())
}

fn find_attribute(mut bytes: &[u8], wanted: u16) -> Option<Vec<u8>> {
    while let [a, b, c, d, ..] = *bytes {
        let length = usize::from(u16::from_ne_bytes([a, b]));
        if u16::from_ne_bytes([c, d]) == wanted {
            return bytes.get(4..length).map(<[u8]>::to_vec);
        }
        bytes = bytes.get(length.max(4).next_multiple_of(4)..)?;
    }
    None
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|part| part.first_chunk().copied()).map_or(0, u32::from_ne_bytes)
}

/// linux/netlink.h.
const NETLINK_HEADER: usize = 16;
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const ERROR: u16 = 2;

/// linux/genetlink.h.
const GENL_HEADER: usize = 4;
const CONTROLLER: u16 = 16;
const CTRL_GETFAMILY: u8 = 3;
const CTRL_FAMILY_ID: u16 = 1;
const CTRL_FAMILY_NAME: u16 = 2;

/// The commands that datapaths, ports and flows have in common.
pub const NEW: u8 = 1;
/// Removes.
pub const DEL: u8 = 2;
/// Asks.
pub const GET: u8 = 3;
/// Changes.
pub const SET: u8 = 4;

/// enum ovs_datapath_attr.
const DP_NAME: u16 = 1;
const DP_UPCALL_PID: u16 = 2;
const DP_USER_FEATURES: u16 = 5;
const DP_PER_CPU_PIDS: u16 = 8;
const DP_F_DISPATCH_UPCALL_PER_CPU: u32 = 8;

/// enum ovs_vport_attr.
const VPORT_TYPE: u16 = 2;
const VPORT_NAME: u16 = 3;
const VPORT_UPCALL_PID: u16 = 5;
const VPORT_TYPE_NETDEV: u32 = 1;
