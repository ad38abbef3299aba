//! Frames up from the kernel and down to it (enum ovs_packet_cmd).
//!
//! The kernel keeps an arriving frame's outermost tag beside its bytes; for an upcall it puts the tag back before it copies
//! them (`queue_userspace_packet`), so the bytes are those of the wire, DEI included.

use vlan::frame::Header;

use super::action;
use super::family::{DpIndex, Family, OVS_HEADER_LEN};
use super::key::{self, Layers, OVS_KEY_ATTR_IN_PORT};
use super::nla::{NlaIter, NlaWriter, malformed};
use super::transact::{Denial, Message, Outbox};
use crate::padding::pad_for;

use super::{Execute, FlowKey, Malformed, Upcall, VportNo};

/// Sends a frame through a list of actions.
pub(super) fn execute(out: &mut Outbox, family: Family, dp: DpIndex, order: &Execute) {
    out.write(family.head(OVS_PACKET_CMD_EXECUTE, 0).quietly(), |message| fill(message, dp, order));
}

/// Appends what the kernel is told of a frame to be sent.
pub(super) fn fill(message: &mut NlaWriter, dp: DpIndex, order: &Execute) -> Result<(), Denial> {
    action::check_len(&order.actions)?;
    message.put_header(&dp.0.to_ne_bytes());
    message.put(OVS_PACKET_ATTR_PACKET, &pad_for(&order.frame, &order.actions));
    // Without an arrival port the kernel takes the frame for one of the datapath's own link.
    message.nest(OVS_PACKET_ATTR_KEY, |key| {
        if let Some(vport) = order.vport {
            key.put_u32(OVS_KEY_ATTR_IN_PORT, vport.0);
        }
    });
    action::encode(message, OVS_PACKET_ATTR_ACTIONS, &order.actions);
    Ok(())
}

/// Reads the upcalls in a datagram; what is not a missed frame is skipped. `port` is the one whose socket it came to; none if the
/// socket is of many, then the key alone says which port it was.
pub(super) fn read_upcalls(
    family: Family,
    port: Option<VportNo>,
    datagram: &[u8],
    keep: &mut dyn FnMut(Upcall),
) {
    let mut rest = datagram;
    while let Some((message, behind)) = Message::split(rest) {
        rest = behind;
        let Some((OVS_PACKET_CMD_MISS, body)) = message.command() else { continue };
        if family.is(message.kind) {
            match read_upcall(port, body) {
                Some(upcall) => keep(upcall),
                None => tracing::warn!(bytes = body.len(), "an upcall of no port"),
            }
        }
    }
}

fn read_upcall(port: Option<VportNo>, body: &[u8]) -> Option<Upcall> {
    let parts = split_upcall(body);
    // The key is read for it only where the socket does not say.
    let arrival = || parts.as_ref().ok().and_then(|(_, key)| Layers::read(key).ok()?.vport());
    let vport = port.or_else(arrival)?;
    Some(match parts {
        Ok((frame, key)) => {
            Upcall { key: read_key(vport, frame, key), vport, frame: frame.to_vec(), hash: None }
        }
        Err(why) => Upcall { key: Err(why), vport, frame: Vec::new(), hash: None },
    })
}

/// Appends a frame and its key as the kernel does in an upcall.
pub(super) fn put_upcall(message: &mut NlaWriter, frame: &[u8], key: &[u8]) {
    message.put(OVS_PACKET_ATTR_PACKET, frame);
    message.put(OVS_PACKET_ATTR_KEY, key);
}

/// The frame, and its key as the kernel writes it.
fn split_upcall(body: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (mut frame, mut key) = (None, None);
    let mut list = NlaIter::behind(OVS_HEADER_LEN, body);
    while let Some(nla) = list.split() {
        match nla.kind {
            OVS_PACKET_ATTR_PACKET => frame = Some(nla.payload),
            OVS_PACKET_ATTR_KEY => key = Some(nla.payload),
            _ => {}
        }
    }
    list.end()?;
    frame.zip(key).ok_or_else(|| malformed("upcall without frame or key".into()))
}

fn read_key(vport: VportNo, frame: &[u8], key: &[u8]) -> Result<FlowKey, Malformed> {
    let header = Header::parse(frame)?;
    let layers = Layers::read(key)?;
    // A mask says of each tag what counts, and is made from the header.
    if layers.tags() != header.tags.len() {
        let (key, frame) = (layers.tags(), header.tags.len());
        return Err(malformed(format!("key with {key} tags of a frame with {frame}")));
    }
    match layers.vport() {
        Some(arrival) if arrival == vport => Ok(key::of_upcall(vport, header, key, &layers)),
        arrival => {
            let arrival = arrival.map_or("no port".to_owned(), |vport| vport.to_string());
            Err(malformed(format!("key of {arrival} on the upcall socket of {vport}")))
        }
    }
}

/// enum ovs_packet_cmd.
pub(super) const OVS_PACKET_CMD_MISS: u8 = 1;
const OVS_PACKET_CMD_EXECUTE: u8 = 3;

/// enum ovs_packet_attr.
const OVS_PACKET_ATTR_PACKET: u16 = 1;
const OVS_PACKET_ATTR_KEY: u16 = 2;
const OVS_PACKET_ATTR_ACTIONS: u16 = 3;

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
            let read = read_key(VportNo(7), frame, &key(has_tag)).unwrap();
            assert_eq!(read.header.tags.len(), usize::from(has_tag));
            let other = read_key(VportNo(7), frame, &key(!has_tag)).unwrap_err();
            assert!(other.to_string().contains(" tags of a frame with "), "{other}");
        }
    }
}
