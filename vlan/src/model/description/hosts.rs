//! Hosts, and what they have in common.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::is_default;

/// A machine that has ports.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Unique among hosts.
    pub name: String,
    /// What it is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub kind: HostKind,
    /// Tunnel address, unique among hosts. A VTEP has one.
    pub underlay: Option<IpAddr>,
    /// The largest IP packet that the underlay carries to and from it, 68..=65535 bytes, tunnel headers included; checked, never set.
    /// `None`: nothing is said.
    #[serde(default, skip_serializing_if = "is_default")]
    pub underlay_mtu: Option<u32>,
    /// Which kernel datapath the host drives. A VTEP is not told any.
    pub datapath: DatapathKind,
}

/// What a host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostKind {
    /// It runs an agent.
    #[default]
    L2gw,
    /// A VXLAN tunnel endpoint that knows nothing of us (RFC 7348 3): a switch, or a plain VXLAN device of a kernel. It has no trunks, and
    /// one port on each VLAN-unaware bridge that it is a member of, without a link.
    Vtep,
}

/// The datapath a host is told to drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatapathKind {
    /// The best that the host has.
    #[default]
    Auto,
    /// openvswitch.ko.
    Ovs,
    /// eBPF programs at the links.
    Ebpf,
}

/// How hosts send each other frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlay {
    /// The UDP port that VXLAN is sent to, 1..=65535. Default 4789 (RFC 7348 5).
    pub port: u16,
}

/// Default UDP port of VXLAN (RFC 7348 5, IANA's `vxlan`).
pub const DEFAULT_OVERLAY_PORT: u16 = 4_789;

impl Default for Overlay {
    fn default() -> Overlay {
        Overlay { port: DEFAULT_OVERLAY_PORT }
    }
}
