//! What an operator declares, object by object, by name: typed, but not yet checked across objects.
//!
//! A [`Description`] comes from a TOML file, from a socket or from the shared store; [`super::topology::Topology::build`] checks it as a
//! whole. None of its objects is read with a key that it does not know: what is passed over may be what closes a port. Each list keeps the order of the file, so that a mistake can point back at the line it came from.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::mistake::Table;
use crate::tag::Tpid;
use crate::vid::Vid;

mod hosts;
mod ports;

pub use hosts::{DEFAULT_OVERLAY_PORT, DatapathKind, Host, HostKind, Overlay};
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
    /// What all hosts have to agree on to send each other frames.
    #[serde(default, skip_serializing_if = "is_default")]
    pub overlay: Overlay,
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

    /// The hosts that run an agent.
    pub fn agents(&self) -> impl Iterator<Item = &Host> {
        self.hosts.iter().filter(|host| host.kind == HostKind::L2gw)
    }

    /// Those of them that have a trunk or a port.
    pub fn agents_with_ports(&self) -> BTreeSet<&str> {
        let agents: BTreeSet<&str> = self.agents().map(|host| host.name.as_str()).collect();
        let hosts = self.trunks.iter().chain(&self.ports).map(|port| port.host.as_str());
        hosts.filter(|host| agents.contains(host)).collect()
    }

    /// The list and the index in it of the exterior port with this identifier's number: trunks come first, then ports.
    pub(super) fn place_of(&self, port: usize) -> (Table, usize) {
        match port.checked_sub(self.trunks.len()) {
            Some(index) => (Table::Ports, index),
            None => (Table::Trunks, port),
        }
    }
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
    /// The largest payload that its segments carry between hosts, 68..=65535 bytes; checked, never set. `None`: nothing is said.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mtu: Option<u32>,
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

/// Whether a setting need not be written, so that what does not use it is stored as before.
fn is_default<T: Default + PartialEq>(setting: &T) -> bool {
    *setting == T::default()
}

impl Peering {
    /// Most VLANs that lead to a bridge: all of 64 bridges. A line of a file may stand for 4 094.
    pub const MOST: usize = 64 * 4096;
}
