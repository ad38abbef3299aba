//! Frames up from the kernel and down to it (enum ovs_packet_cmd).
//!
//! The kernel keeps an arriving frame's outermost tag beside its bytes; for an upcall it puts the tag back before it copies
//! them (`queue_userspace_packet`), so the bytes are those of the wire, DEI included.

use vlan::frame::Header;

use super::action;
use super::family::{DpIndex, Family, OVS_HEADER_LEN};
use super::key::{Layers, OVS_KEY_ATTR_IN_PORT};
use super::nla::{NlaIter, NlaWriter, malformed};
use super::transact::{Denial, Message, Outbox};
use super::tunnel::Tunnel;
use super::{Execute, FlowKey, Malformed, Upcall, VportNo};
use crate::padding::pad_for;
use crate::tunnel::TunnelKey;

/// Sends a frame through a list of actions; copies to other hosts go by this tunnel.
pub(super) fn execute(
    out: &mut Outbox,
    family: Family,
    dp: DpIndex,
    (order, tunnel): (&Execute, Option<&Tunnel>),
) {
    let head = family.head(OVS_PACKET_CMD_EXECUTE, 0).quietly();
    out.write(head, |message| fill(message, dp, order, tunnel));
}

/// Appends what the kernel is told of a frame to be sent.
pub(super) fn fill(
    message: &mut NlaWriter,
    dp: DpIndex,
    order: &Execute,
    tunnel: Option<&Tunnel>,
) -> Result<(), Denial> {
    action::check(&order.actions, tunnel)?;
    message.put_header(&dp.0.to_ne_bytes());
    message.put(OVS_PACKET_ATTR_PACKET, &pad_for(&order.frame, &order.actions));
    // Without an arrival port the kernel takes the frame for one of the datapath's own link.
    message.nest(OVS_PACKET_ATTR_KEY, |key| {
        if let Some(vport) = order.vport {
            key.put_u32(OVS_KEY_ATTR_IN_PORT, vport.0);
        }
    });
    action::encode(message, OVS_PACKET_ATTR_ACTIONS, &order.actions, tunnel);
    if let Some(hash) = order.hash {
        message.put(OVS_PACKET_ATTR_HASH, &hash.to_ne_bytes());
    }
    Ok(())
}

/// Reads upcalls.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader {
    family: Family,
    /// The port to other hosts, if there is one.
    tunnel: Option<Tunnel>,
}

impl Reader {
    /// Of a datapath without a tunnel.
    pub(super) const fn new(family: Family) -> Reader {
        Reader { family, tunnel: None }
    }

    /// Of frames to another address than this tunnel's none has a key from now on.
    pub(super) fn set_tunnel(&mut self, tunnel: Option<Tunnel>) {
        self.tunnel = tunnel;
    }

    /// Reads the upcalls in a datagram; what is not a missed frame is skipped. `port` is the one whose socket it came to; none if the
    /// socket is of many, then the key alone says which port it was.
    pub(super) fn read(&self, port: Option<VportNo>, datagram: &[u8], keep: &mut dyn FnMut(Missed)) {
        let mut rest = datagram;
        while let Some((message, behind)) = Message::split(rest) {
            rest = behind;
            let Some((OVS_PACKET_CMD_MISS, body)) = message.command() else { continue };
            if self.family.is(message.kind) {
                match self.read_missed(port, body) {
                    Some(missed) => keep(missed),
                    None => tracing::warn!(bytes = body.len(), "an upcall of no port"),
                }
            }
        }
    }

    fn read_missed(&self, port: Option<VportNo>, body: &[u8]) -> Option<Missed> {
        let parts = Parts::split(body);
        // The key is read for it only where the socket does not say.
        let arrival = || Layers::read(parts.as_ref().ok()?.key).ok()?.vport();
        let vport = port.or_else(arrival)?;
        let Parts { frame, key, hash } = match parts {
            Ok(parts) => parts,
            Err(why) => {
                return Some(Missed::First(Upcall { key: Err(why), vport, frame: Vec::new(), hash: None }));
            }
        };
        let key = self.read_key(vport, frame, key);
        if key.as_ref().is_ok_and(|key| key.recirc != 0) {
            return Some(Missed::Ungrouped);
        }
        Some(Missed::First(Upcall { key, vport, frame: frame.to_vec(), hash }))
    }

    fn read_key(&self, vport: VportNo, frame: &[u8], key: &[u8]) -> Result<FlowKey, Malformed> {
        let header = Header::parse(frame)?;
        let layers = Layers::read(key)?;
        // A mask says of each tag what counts, and is made from the header.
        if layers.tags() != header.tags.len() {
            let (key, frame) = (layers.tags(), header.tags.len());
            return Err(malformed(format!("key with {key} tags of a frame with {frame}")));
        }
        if layers.vport() != Some(vport) {
            let arrival = layers.vport().map_or("no port".to_owned(), |vport| vport.to_string());
            return Err(malformed(format!("key of {arrival} on the upcall socket of {vport}")));
        }
        let tunnel = self.read_tunnel(vport, &layers)?;
        Ok(FlowKey { vport, header, tunnel, recirc: layers.recirc(), opaque: key.into() })
    }

    /// How the frame came from another host. The kernel's device hears all addresses of its own.
    fn read_tunnel(&self, vport: VportNo, layers: &Layers<'_>) -> Result<Option<TunnelKey>, Malformed> {
        let Some((key, to)) = layers.tunnel()? else { return Ok(None) };
        match self.tunnel.filter(|tunnel| tunnel.no == vport && tunnel.local != to) {
            None => Ok(Some(key)),
            Some(tunnel) => {
                let (remote, local) = (key.remote, tunnel.local);
                Err(malformed(format!("a frame from {remote} to {to} by the tunnel of {local}")))
            }
        }
    }
}

/// A frame that no flow matched.
#[derive(Debug)]
pub(super) enum Missed {
    /// As it came in.
    First(Upcall),
    /// On its way through a group that is not set. Its flow is the group's affair, so it is none to be set up.
    Ungrouped,
}

/// Appends a frame, its key and its hash as the kernel does in an upcall.
pub(super) fn put_upcall(message: &mut NlaWriter, upcall: &Upcall, key: &[u8]) {
    message.put(OVS_PACKET_ATTR_PACKET, &upcall.frame);
    message.put(OVS_PACKET_ATTR_KEY, key);
    if let Some(hash) = upcall.hash {
        message.put(OVS_PACKET_ATTR_HASH, &hash.to_ne_bytes());
    }
}

/// What the kernel writes of a frame.
#[derive(Debug, Clone, Copy)]
struct Parts<'a> {
    frame: &'a [u8],
    key: &'a [u8],
    /// With two bits above the hash that say whose it is (`queue_userspace_packet()` in `net/openvswitch/datapath.c`); since Linux 5.5.
    hash: Option<u64>,
}

impl<'a> Parts<'a> {
    fn split(body: &'a [u8]) -> Result<Parts<'a>, Malformed> {
        let (mut frame, mut key, mut hash) = (None, None, None);
        let mut list = NlaIter::behind(OVS_HEADER_LEN, body);
        while let Some(nla) = list.split() {
            match nla.kind {
                OVS_PACKET_ATTR_PACKET => frame = Some(nla.payload),
                OVS_PACKET_ATTR_KEY => key = Some(nla.payload),
                OVS_PACKET_ATTR_HASH => hash = Some(nla.u64()?),
                _ => {}
            }
        }
        list.end()?;
        let parts = frame.zip(key).map(|(frame, key)| Parts { frame, key, hash });
        parts.ok_or_else(|| malformed("upcall without frame or key".into()))
    }
}

/// enum ovs_packet_cmd.
pub(super) const OVS_PACKET_CMD_MISS: u8 = 1;
const OVS_PACKET_CMD_EXECUTE: u8 = 3;

/// enum ovs_packet_attr.
const OVS_PACKET_ATTR_PACKET: u16 = 1;
const OVS_PACKET_ATTR_KEY: u16 = 2;
const OVS_PACKET_ATTR_ACTIONS: u16 = 3;
const OVS_PACKET_ATTR_HASH: u16 = 11;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::nla::NlaWriter;

    /// Enum ovs_key_attr: IN_PORT, ETHERNET, ETHERTYPE and, of a tagged frame, VLAN and ENCAP.
    fn key(is_tagged: bool) -> Vec<u8> {
        let mut key = NlaWriter::default();
        key.put_u32(OVS_KEY_ATTR_IN_PORT, 7);
        key.put(4, &[2; 12]);
        if is_tagged {
            key.put_be16(6, 0x8100);
            key.put_be16(5, 0x1008);
            key.nest(1, |inner| inner.put_be16(6, 0x0800));
        } else {
            key.put_be16(6, 0x0800);
        }
        key.into_bytes()
    }

    #[test]
    fn a_key_has_as_many_tags_as_its_frame() {
        let bare = [&[2; 12][..], &[8, 0]].concat();
        let tagged = [&[2; 12][..], &[0x81, 0, 0, 8, 8, 0]].concat();
        for (frame, has_tag) in [(&bare, false), (&tagged, true)] {
            let reader = Reader::new(Family::numbered(31));
            let read = reader.read_key(VportNo(7), frame, &key(has_tag)).unwrap();
            assert_eq!(read.header.tags.len(), usize::from(has_tag));
            let other = reader.read_key(VportNo(7), frame, &key(!has_tag)).unwrap_err();
            assert!(other.to_string().contains(" tags of a frame with "), "{other}");
        }
    }
}
