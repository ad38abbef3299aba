//! Vports of a datapath and links of a host.

use std::fmt;
use std::net::IpAddr;

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
    /// What it is, and what the host does with it.
    #[serde(default, skip_serializing_if = "LinkFacts::is_nothing_special")]
    pub facts: LinkFacts,
}

impl Link {
    /// Whether it is known by this name, its alternative ones among them (`ip link property add altname`).
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.facts.alt_names.iter().any(|other| other == name)
    }
}

/// What a link is, and what the host does with it. The default is a network card that the host leaves alone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkFacts {
    /// What its frames begin with.
    pub layer: LinkLayer,
    /// Its kind as `ip -d link` shows it: `veth`, `bond`, `vlan`, `tun`; empty for a network card.
    pub kind: String,
    /// Its other names.
    pub alt_names: Vec<String>,
    /// The bridge, bond, or datapath that has it (IFLA_MASTER).
    pub master: Option<LinkIndex>,
    /// The link of this namespace that it sits on (IFLA_LINK): what a VLAN device or a macvlan takes its frames from.
    pub lower: Option<LinkIndex>,
    /// The tag whose frames it takes from `lower`, if it is a VLAN device.
    pub vlan: Option<VlanDevice>,
    /// Its IP addresses, sorted.
    pub addresses: Vec<LinkAddress>,
    /// Set if the host's best default route leaves by it.
    pub default_route: Option<DefaultRoute>,
}

impl LinkFacts {
    fn is_nothing_special(&self) -> bool {
        *self == LinkFacts::default()
    }
}

/// What the frames of a link begin with (ARPHRD_* of `linux/if_arp.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkLayer {
    /// An Ethernet header.
    #[default]
    Ethernet,
    /// It is a loopback link.
    Loopback,
    /// Something else, or nothing: a layer-3 tunnel.
    Other,
}

/// What a VLAN device takes from the link below it. It takes it before a datapath sees it, up or down
/// (`vlan_do_receive` in `net/8021q/vlan_core.c`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VlanDevice {
    /// The VID, 0 to 4094; 0 takes priority-tagged frames.
    pub vid: u16,
    /// The tag's type, 0x8100 or 0x88a8.
    pub tpid: u16,
}

/// An IP address of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LinkAddress {
    /// The address.
    pub address: IpAddr,
    /// Length of its prefix in bits.
    pub prefix_len: u8,
    /// Made from what a router announced (RFC 4862), as every link gets one that hears a router.
    pub is_from_router: bool,
}

impl fmt::Display for LinkAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

/// The host's best default route, of IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DefaultRoute {
    /// Whether it is for IPv6.
    pub is_ipv6: bool,
    /// The router, where it names one.
    pub via: Option<IpAddr>,
}

impl fmt::Display for DefaultRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_ipv6 { "IPv6 default route" } else { "IPv4 default route" })?;
        self.via.map_or(Ok(()), |router| write!(f, " via {router}"))
    }
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
