//! How long a frame is, for a header and for the MTU.

/// Bytes that count against the MTU: a first tag is free, as in the kernel (net/openvswitch/vport.c, packet_length).
pub(super) fn wire_payload(frame: &[u8]) -> usize {
    let is_tagged = vlan::frame::Header::parse(frame).is_ok_and(|header| !header.tags.is_empty());
    let tag = if is_tagged { vlan::tag::Tag::LEN } else { 0 };
    frame.len().saturating_sub(ETHERNET_HEADER + tag)
}

/// Destination, source and EtherType (802.3 3.1.1).
pub(super) const ETHERNET_HEADER: usize = 14;
