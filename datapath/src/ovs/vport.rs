//! Ports of a datapath (enum ovs_vport_cmd).

use super::family::{DpIndex, Family, split_reply};
use super::nla::malformed;
use super::transact::{DUMP, Denial, Request};
use super::{LinkIndex, Malformed, Vport, VportNo, VportStats};

/// Makes a link a port with this number; its upcalls go to the socket with this port id.
pub(super) fn create(
    family: Family,
    dp: DpIndex,
    no: VportNo,
    link: &str,
    upcalls_to: u32,
) -> Result<Request, Denial> {
    family.request(OVS_VPORT_CMD_NEW, 0, dp, |message| {
        message.put_u32(OVS_VPORT_ATTR_PORT_NO, no.0);
        message.put_u32(OVS_VPORT_ATTR_TYPE, OVS_VPORT_TYPE_NETDEV);
        message.put_str(OVS_VPORT_ATTR_NAME, link);
        message.put_u32(OVS_VPORT_ATTR_UPCALL_PID, upcalls_to);
    })
}

/// Sends a port's upcalls elsewhere.
pub(super) fn redirect(family: Family, dp: DpIndex, no: VportNo, upcalls_to: u32) -> Result<Request, Denial> {
    family.request(OVS_VPORT_CMD_SET, 0, dp, |message| {
        message.put_u32(OVS_VPORT_ATTR_PORT_NO, no.0);
        message.put_u32(OVS_VPORT_ATTR_UPCALL_PID, upcalls_to);
    })
}

/// Asks for a port. By its number: the kernel looks a name up where it put the port when it was made, which after a renaming
/// is the wrong place.
pub(super) fn describe(family: Family, dp: DpIndex, no: VportNo) -> Result<Request, Denial> {
    family.request(OVS_VPORT_CMD_GET, 0, dp, |message| message.put_u32(OVS_VPORT_ATTR_PORT_NO, no.0))
}

/// Asks for all ports.
pub(super) fn list(family: Family, dp: DpIndex) -> Result<Request, Denial> {
    family.request(OVS_VPORT_CMD_GET, DUMP, dp, |_| {})
}

/// Releases a port.
pub(super) fn delete(family: Family, dp: DpIndex, no: VportNo) -> Result<Request, Denial> {
    family.request(OVS_VPORT_CMD_DEL, 0, dp, |message| message.put_u32(OVS_VPORT_ATTR_PORT_NO, no.0))
}

/// A port as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Description {
    pub(super) port: Vport,
    pub(super) stats: VportStats,
    /// The port id of the socket that its upcalls go to.
    pub(super) upcalls_to: Option<u32>,
}

/// Reads the answer to [`describe`] or one of the answers to [`list`].
pub(super) fn read(reply: &[u8]) -> Result<Description, Malformed> {
    let (_, attributes) = split_reply(reply)?;
    let (mut no, mut link, mut index, mut stats) = (None, None, None, VportStats::default());
    let mut upcalls_to = None;
    for nla in attributes {
        let nla = nla?;
        match nla.kind {
            OVS_VPORT_ATTR_PORT_NO => no = Some(VportNo(nla.u32()?)),
            OVS_VPORT_ATTR_NAME => link = Some(nla.text()),
            OVS_VPORT_ATTR_UPCALL_PID => {
                upcalls_to = nla.u32s().first().copied().filter(|port_id| *port_id != 0)
            }
            OVS_VPORT_ATTR_IFINDEX => index = Some(LinkIndex(nla.u32()?)),
            OVS_VPORT_ATTR_STATS => {
                // struct ovs_vport_stats: packets, bytes, errors, dropped, each rx before tx.
                stats = VportStats {
                    rx_packets: nla.u64_at(0)?,
                    tx_packets: nla.u64_at(8)?,
                    rx_bytes: nla.u64_at(16)?,
                    tx_bytes: nla.u64_at(24)?,
                    rx_dropped: nla.u64_at(32)?.saturating_add(nla.u64_at(48)?),
                    tx_dropped: nla.u64_at(40)?.saturating_add(nla.u64_at(56)?),
                };
            }
            _ => {}
        }
    }
    let (no, link) = no.zip(link).ok_or_else(|| malformed("port without number or name".into()))?;
    Ok(Description { port: Vport { no, link, index }, stats, upcalls_to })
}

/// OVSP_LOCAL, the port of the datapath's own link.
pub(super) const LOCAL: VportNo = VportNo(0);

/// DP_MAX_PORTS - 1 (net/openvswitch/datapath.h): as many as a topology may have, less those that somebody else makes.
pub(super) const LAST: VportNo = VportNo(vlan::model::port::MOST_PORTS_OF_A_HOST);

/// enum ovs_vport_cmd.
const OVS_VPORT_CMD_NEW: u8 = 1;
pub(super) const OVS_VPORT_CMD_DEL: u8 = 2;
const OVS_VPORT_CMD_GET: u8 = 3;
const OVS_VPORT_CMD_SET: u8 = 4;

/// enum ovs_vport_type.
const OVS_VPORT_TYPE_NETDEV: u32 = 1;

/// enum ovs_vport_attr.
const OVS_VPORT_ATTR_PORT_NO: u16 = 1;
const OVS_VPORT_ATTR_TYPE: u16 = 2;
const OVS_VPORT_ATTR_NAME: u16 = 3;
const OVS_VPORT_ATTR_UPCALL_PID: u16 = 5;
const OVS_VPORT_ATTR_STATS: u16 = 6;
const OVS_VPORT_ATTR_IFINDEX: u16 = 8;
