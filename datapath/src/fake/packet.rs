//! What crosses the underlay: a VXLAN packet, as far as anybody looks at it.

use std::fmt;
use std::net::IpAddr;

/// A frame on its way from host to host: what its outer headers say, and the frame (RFC 7348 5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Packet {
    /// Outer source address.
    pub from: IpAddr,
    /// Outer destination address.
    pub to: IpAddr,
    /// UDP destination port.
    pub port: u16,
    /// VXLAN network identifier, 0..2^24-1.
    pub vni: u32,
    /// The class selector of its DSCP field, 0..=7.
    pub class: u8,
    /// Its ECN field, 0..=3 (RFC 3168 5).
    pub ecn: u8,
    /// What routers choose one of several equal paths by; a real packet has it as its UDP source port. 0 for a frame of which nobody said
    /// which conversation it is of.
    pub path: u64,
    /// The frame inside, from its destination address on, without FCS.
    pub frame: Vec<u8>,
}

impl Packet {
    /// How long its IP packet is, in bytes.
    pub fn ip_len(&self) -> usize {
        let ip = if self.to.is_ipv4() { IPV4_HEADER } else { IPV6_HEADER };
        ip + UDP_HEADER + VXLAN_HEADER + self.frame.len()
    }
}

/// A packet, and how often its frame has crossed the underlay with it, without ever having been asked about.
#[derive(Debug, Clone)]
pub(super) struct Departed {
    pub(super) packet: Packet,
    pub(super) crossings: u8,
}

/// What takes a host's packets where they go.
pub(super) trait Road: fmt::Debug + Send + Sync {
    /// Takes packets on; what follows from it has happened when this returns, unless packets are held.
    fn take(&self, packets: Vec<Departed>);
}

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const UDP_HEADER: usize = 8;
const VXLAN_HEADER: usize = 8;
