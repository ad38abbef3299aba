//! What `l2gw show` and the socket answer with: snapshots of the engine in the field's words.

use std::fmt;

use serde::{Deserialize, Serialize};
use vlan::addr::MacAddr;
use vlan::model::topology::Topology;
use vlan::vid::Vid;

use crate::event::Event;
use crate::revisions::Unconfirmed;

pub use others::{FeedView, OthersView};
pub use trace::{AboutPort, Elsewhere, TraceOutput, TraceView, of_another_host};

mod others;
mod trace;

/// One exterior port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortView {
    /// Its name.
    pub port: String,
    /// Its bridge.
    pub bridge: String,
    /// `plain`, `access`, `trunk` or `qinq`.
    pub mode: String,
    /// The VLANs of its bridge that it is a member of, as ranges; empty on a VUB.
    pub vlans: String,
    /// Its link.
    pub link: String,
    /// `up`, `down` or `blocked`.
    pub state: String,
    /// Why it is not up; empty if it is.
    pub why: String,
    /// Its vport, if it has one.
    pub vport: Option<u32>,
    /// Its learned and declared addresses.
    pub addresses: usize,
    /// Frames received.
    pub rx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Frames sent.
    pub tx_packets: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Upcalls handled.
    pub upcalls: u64,
    /// Upcalls dropped because the port was over its budget.
    pub over_budget: u64,
    /// Frames of this port that went nowhere, for whatever reason; those beyond a storm limit among them.
    #[serde(default)]
    pub drops: u64,
    /// The reason of most of them; empty if there are none.
    #[serde(default)]
    pub drop_reason: String,
}

/// One trunk and what it carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrunkView {
    /// Its name.
    pub trunk: String,
    /// Its bridge.
    pub bridge: String,
    /// Its fabric.
    pub fabric: String,
    /// Its link.
    pub link: String,
    /// `up`, `down` or `blocked`.
    pub state: String,
    /// Bridge VIDs that it may carry, as ranges.
    pub allowed: String,
    /// Bridge VIDs that it carries now, as ranges.
    pub carries: String,
}

/// One bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeView {
    /// Its name.
    pub bridge: String,
    /// `vlan-aware` or `vlan-unaware`.
    pub kind: String,
    /// Its exterior ports.
    pub ports: Vec<String>,
    /// Its peerings: `8 > vub8` on a VAB, `dc1.8` on a VUB.
    pub peerings: Vec<String>,
    /// Addresses known on its segments.
    pub addresses: usize,
    /// Ageing time in seconds; 0 is never.
    pub ageing_s: u64,
}

/// One address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MacView {
    /// The address.
    pub mac: MacAddr,
    /// The bridge it was learned on.
    pub bridge: String,
    /// The VLAN of that bridge; `None` on a VUB.
    pub vid: Option<Vid>,
    /// The VID of the next tag, where the VLAN leads into another VAB that does not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inner: Option<u16>,
    /// The port, `trunks of FABRIC`, or `host NAME`.
    pub location: String,
    /// `dynamic`, `sticky` (pinned to the port where it was heard), `frozen` (moved too often), `declared` or `remote` (another host says so).
    pub kind: String,
    /// Milliseconds since it was last heard; 0 for a declared one.
    pub age_ms: u64,
}

/// One flow of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowView {
    /// The arrival port.
    pub port: String,
    /// The source address.
    pub src: MacAddr,
    /// The destination address, if it counts.
    pub dst: Option<MacAddr>,
    /// The tags as far as they count: `untagged`, `[8]`, `[8 pcp 3]`, `any`.
    pub tags: String,
    /// EtherType behind its tags, of the frame that it was made for. openvswitch.ko always matches it.
    pub ether_type: u16,
    /// What it does: `push 8, leaf1`, `pop, vm1`, `drop not-designated`.
    pub actions: String,
    /// Frames.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// Milliseconds since it was last hit; `None` if never.
    pub idle_ms: Option<u64>,
}

/// A counter. Names are stable and end in `_total` (Prometheus text format).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterView {
    /// Its name: `l2gw_drops_total`.
    pub name: String,
    /// Its labels: `port`, `reason`, `vid`, …
    pub labels: Vec<(String, String)>,
    /// Its value.
    pub value: u64,
}

/// Something that happened, from the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventView {
    /// When, in milliseconds since 1970 by the host's wall clock.
    pub at_ms: u64,
    /// What it says.
    pub text: String,
    /// The event itself: its kind under `event`, and its values.
    #[serde(flatten)]
    pub event: Event,
}

/// A revision that a host cannot take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    /// Its number.
    pub revision: u64,
    /// Why: it is damaged, a newer version wrote it, or it does not build.
    pub why: String,
}

/// The hosts that a topology has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherHosts {
    /// The first of them.
    pub hosts: Vec<String>,
    /// How many there are behind these.
    #[serde(default)]
    pub more: usize,
}

impl OtherHosts {
    /// Those of a topology.
    pub fn of(topology: &Topology) -> OtherHosts {
        let hosts = topology.hosts();
        let first = hosts.iter().take(HOSTS_NAMED).map(|host| host.name.clone()).collect();
        OtherHosts { hosts: first, more: hosts.len().saturating_sub(HOSTS_NAMED) }
    }
}

impl fmt::Display for OtherHosts {
    /// `gw1, gw2 and 3 more`, or `none`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.hosts[..], self.more) {
            ([], _) => f.write_str("none"),
            (hosts, 0) => f.write_str(&hosts.join(", ")),
            (hosts, more) => write!(f, "{} and {more} more", hosts.join(", ")),
        }
    }
}

/// Hosts that a message lists.
const HOSTS_NAMED: usize = 8;

/// The whole at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusView {
    /// The host's name.
    pub host: String,
    /// The revision in force; 0 before the first.
    pub revision: u64,
    /// Whether every flow is as that revision has it; false while those of the one before are still looked over.
    pub settled: bool,
    /// A newer revision that is not in force and will not be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<Unread>,
    /// A revision that has to be confirmed and is not yet. The engine does not know of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unconfirmed: Option<Unconfirmed>,
    /// The store that this host shares cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_away: Option<StoreAway>,
    /// On which machine another process has this host's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namesake: Option<String>,
    /// The hosts of the revision in force, where this host is none of them: nothing is forwarded then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_such_host: Option<OtherHosts>,
    /// The other hosts that share segments with this one, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others: Option<OthersView>,
    /// What hosts say to each other of addresses, where segments are shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feed: Option<FeedView>,
    /// The datapath: `ovs`, `fake`.
    pub datapath: String,
    /// Ports that are up, and all.
    pub ports_up: usize,
    /// All ports of this host.
    pub ports: usize,
    /// The first of those that are not up.
    #[serde(default)]
    pub down: Vec<String>,
    /// Addresses known.
    pub addresses: usize,
    /// Flows in the datapath that are ours.
    pub flows: usize,
    /// Outputs not yet answered.
    pub outstanding: usize,
}

/// A store that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreAway {
    /// For how many seconds.
    pub seconds: u64,
    /// Why, in words.
    pub why: String,
}
