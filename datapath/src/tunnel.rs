//! The tunnel to other hosts: VXLAN over UDP (RFC 7348), one port of the datapath for all of them.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// What a tunnel port is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TunnelEnd {
    /// The host's own underlay address: frames leave from it, and only frames to it are taken. It decides the family of the underlay.
    pub local: IpAddr,
    /// UDP destination port, 1..=65535; 4789 by default (RFC 7348 5).
    pub port: u16,
}

/// How a frame came in by the tunnel port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TunnelKey {
    /// The address that it was sent from.
    pub remote: IpAddr,
    /// VXLAN network identifier, 0..2^24-1: whatever a sender has written.
    pub vni: u32,
    /// The class selector of its DSCP field, 0..=7: the upper three bits of the TOS or traffic class octet (RFC 2474 4.2.2.1).
    pub class: u8,
}

/// Where a copy goes by the tunnel port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TunnelTo {
    /// The address of the receiving host, of the family of [`TunnelEnd::local`].
    pub remote: IpAddr,
    /// VXLAN network identifier, 1..2^24-1.
    pub vni: u32,
    /// The class selector that is written into the DSCP field, 0..=7. The kernel keeps or makes the ECN bits (RFC 6040).
    pub class: u8,
}

/// A list of copies that many flows share, chosen by whoever sets it: 1..=2^24-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupId(pub u32);

/// As an error says what was asked.
impl fmt::Display for TunnelEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VXLAN at {} port {}", self.local, self.port)
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "group {}", self.0)
    }
}

/// What the names of devices begin with that serve a datapath as tunnel port.
pub(crate) const DEVICE_PREFIX: &str = "vx-";
