//! Vports of a datapath and links of a host.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A port of a datapath.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VportNo(pub u32);

impl fmt::Display for VportNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vport {}", self.0)
    }
}

/// The kernel's index of a link in its namespace, never reused while the namespace lives (`if_nametoindex(3)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LinkIndex(pub u32);

/// A vport as the datapath has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vport {
    /// Its number.
    pub no: VportNo,
    /// The name of its link.
    pub link: String,
    /// Its link's index, where the backend tells.
    pub index: Option<LinkIndex>,
}

/// What went through a vport, as the datapath counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct VportStats {
    /// Frames received.
    pub rx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Frames sent.
    pub tx_packets: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Frames received and dropped by the link.
    pub rx_dropped: u64,
    /// Frames not sent: queue full, and over the MTU where the backend `counts_over_mtu`. Those for a link that is down may be missing.
    pub tx_dropped: u64,
}

/// A link (netdev) of this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its index.
    pub index: LinkIndex,
    /// Its name, at most 15 bytes.
    pub name: String,
    /// Admin state, IFF_UP.
    pub is_up: bool,
    /// Carrier, IFF_LOWER_UP (`linux/if.h`).
    pub has_carrier: bool,
    /// Payload MTU in bytes.
    pub mtu: u32,
    /// Its hardware address, where it has one of 6 bytes.
    pub mac: Option<vlan::addr::MacAddr>,
}

/// A change of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkEvent {
    /// It appeared, or something about it changed.
    Changed(Link),
    /// It is gone from this namespace.
    Gone(LinkIndex),
    /// Events were lost; this is every link there is.
    All(Vec<Link>),
}
