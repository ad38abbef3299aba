//! What an operator declares, object by object, by name: typed, but not yet checked across objects.
//!
//! A [`Description`] comes from a TOML file, from a socket or from the shared store; [`super::topology::Topology::build`] checks it as a
//! whole. None of its objects is read with a key that it does not know: what is passed over may be what closes a port. Each list keeps the order of the file, so that a mistake can point back at the line it came from.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::mistake::Table;
use crate::tag::Tpid;
use crate::vid::Vid;

mod ports;

pub use ports::{
    BpduPolicy, Flood, HostAddresses, Mode, NativeInner, OnLimit, Port, Storm, TagPolicy, TrunkMode,
};

/// A whole configuration of the virtual topology.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// Hosts, in the file's order.
    pub hosts: Vec<Host>,
    /// Bridges, in the file's order.
    pub bridges: Vec<Bridge>,
    /// Peerings of a VLAN of a VLAN-aware bridge with another bridge, in the file's order.
    pub vlans: Vec<Peering>,
    /// Trunks, in the file's order.
    pub trunks: Vec<Port>,
    /// All other exterior ports, in the file's order.
    pub ports: Vec<Port>,
}

impl Description {
    /// The same in an order that does not depend on the file's: that is nothing that a network would feel.
    pub fn in_order(&self) -> Description {
        let mut ordered = self.clone();
        ordered.hosts.sort_by(|a, b| a.name.cmp(&b.name));
        ordered.bridges.sort_by(|a, b| a.name.cmp(&b.name));
        ordered.vlans.sort_by(|a, b| (&a.bridge, a.vid).cmp(&(&b.bridge, b.vid)));
        ordered.trunks.sort_by(|a, b| a.name.cmp(&b.name));
        ordered.ports.sort_by(|a, b| a.name.cmp(&b.name));
        ordered
    }

    /// The hosts that have a trunk or a port.
    pub fn hosts_with_ports(&self) -> BTreeSet<&str> {
        self.trunks.iter().chain(&self.ports).map(|port| port.host.as_str()).collect()
    }

    /// The list and the index in it of the exterior port with this identifier's number: trunks come first, then ports.
    pub(super) fn place_of(&self, port: usize) -> (Table, usize) {
        match port.checked_sub(self.trunks.len()) {
            Some(index) => (Table::Ports, index),
            None => (Table::Trunks, port),
        }
    }
}

/// A machine that runs an agent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Unique among hosts.
    pub name: String,
    /// Tunnel address.
    pub underlay: Option<IpAddr>,
    /// Which kernel datapath the host drives.
    pub datapath: DatapathKind,
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

/// A bridge of the virtual topology.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bridge {
    /// Unique among bridges.
    pub name: String,
    /// Time until an address not heard from is forgotten, 10 s to 1 000 000 s; zero is never. Default 300 s
    /// (802.1Q table 8-6).
    pub ageing: Duration,
    /// Most dynamic addresses that are learned behind a trunk of it. Default 1 000 000.
    pub mac_limit: u32,
    /// The name that it had before: it keeps the numbers and addresses of the bridge that was called so, if it has none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<String>,
    /// What only one of the two kinds has.
    pub kind: BridgeKind,
}

/// The two kinds of bridges and their own settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum BridgeKind {
    /// VAB: one broadcast domain a VLAN.
    VlanAware {
        /// The connected physical network that its trunks belong to. Default `fabric`.
        fabric: String,
        /// How several trunks of it share the work.
        redundancy: Redundancy,
        /// The tag its trunks speak.
        tpid: Tpid,
        /// Whether two VIDs of its fabric may be on one segment.
        #[serde(default)]
        join_vids: bool,
    },
    /// VUB: one broadcast domain.
    VlanUnaware {
        /// VXLAN network identifier, 1..2^24-1 (RFC 7348 5). Where it is absent, one is dealt out and kept: [`crate::model::numbers`].
        vni: Option<u32>,
    },
}

/// How several trunks of one VLAN-aware bridge live together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Redundancy {
    /// One trunk carries a VLAN; we say which.
    #[default]
    Designated,
    /// Trunks are ordinary ports; the switches' spanning tree blocks.
    Stp,
    /// Trunks are ordinary ports of different fabrics.
    None,
}

/// VLAN `vid` of the VLAN-aware bridge `bridge` is bridge `to`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peering {
    /// A VLAN-aware bridge.
    pub bridge: String,
    /// Its VLAN.
    pub vid: Vid,
    /// A VLAN-unaware bridge, or a VLAN-aware one that classifies by the next tag.
    pub to: String,
}

impl Peering {
    /// Most VLANs that lead to a bridge: all of 64 bridges. A line of a file may stand for 4 094.
    pub const MOST: usize = 64 * 4096;
}
