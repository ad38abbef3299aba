//! What an operator declares, object by object, by name: typed, but not yet checked across objects.
//!
//! A [`Description`] comes from a TOML file, from a socket or from the shared store; [`super::topology::Topology::build`] checks it as a
//! whole. None of its objects is read with a key that it does not know: what is passed over may be what closes a port. Each list keeps the order of the file, so that a mistake can point back at the line it came from.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::addr::MacAddr;
use crate::model::mistake::Table;
use crate::tag::{Pcp, Tpid};
use crate::vid::{Vid, VidSet};

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
        /// VXLAN network identifier, 1..2^24-1; allocated and kept when absent (RFC 7348 5).
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

/// An exterior port: bound to a link of a host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// Unique among trunks and ports together.
    pub name: String,
    /// The bridge it is a port of.
    pub bridge: String,
    /// The host its link is on.
    pub host: String,
    /// The netdev, at most 15 bytes (`IFNAMSIZ` of `include/uapi/linux/if.h`, less its end).
    pub link: String,
    /// How frames are put into VLANs.
    pub mode: Mode,
    /// Declared addresses: they never move elsewhere, and a port that is no trunk lets no other source in. On a trunk they are behind
    /// its group, in every VLAN that it carries, and other sources stay welcome. Empty: any.
    pub macs: Vec<MacAddr>,
    /// Declared addresses that ports share on purpose (VRRP, HSRP): they move among the ports that declare them and nowhere else.
    /// Where `macs` are declared, frames from these are let in as well.
    #[serde(default)]
    pub shared_macs: Vec<MacAddr>,
    /// Declared IP addresses. Nothing announces them yet.
    pub ips: Vec<IpAddr>,
    /// Most dynamic addresses. `None`: 1 024, on a trunk the bridge's.
    pub mac_limit: Option<u32>,
    /// What happens to the address that is one too many.
    pub on_limit: OnLimit,
    /// Whether a priority that lost its tag leaves as a VID-0 tag.
    #[serde(default)]
    pub priority_tags: bool,
    /// What a BPDU does to a port that is no trunk. A qinq port knows only [`BpduPolicy::Discard`]; otherwise a customer's BPDUs pass
    /// within its outer VLAN.
    pub bpdu: BpduPolicy,
    /// Storm control; `None`: the defaults.
    pub storm: Option<Storm>,
    /// Payload MTU that the link is expected to have, bytes; checked, never set.
    pub mtu: Option<u32>,
    /// What becomes of a link that has addresses of the host's own.
    #[serde(default)]
    pub host_addresses: HostAddresses,
}

/// What becomes of a link that has IP addresses of the host's own: once it is bound, the host hears nothing by it any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostAddresses {
    /// It is not bound.
    #[default]
    Refuse,
    /// It is bound all the same.
    Keep,
}

impl Port {
    /// A port of a VLAN-unaware bridge, with defaults.
    pub fn plain(name: &str, bridge: &str, host: &str, link: &str) -> Port {
        Port {
            name: name.to_owned(),
            bridge: bridge.to_owned(),
            host: host.to_owned(),
            link: link.to_owned(),
            mode: Mode::Plain,
            macs: Vec::new(),
            shared_macs: Vec::new(),
            ips: Vec::new(),
            mac_limit: None,
            on_limit: OnLimit::default(),
            priority_tags: false,
            bpdu: BpduPolicy::default(),
            storm: None,
            mtu: None,
            host_addresses: HostAddresses::default(),
        }
    }
}

/// How an exterior port puts frames into VLANs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Mode {
    /// On a VUB: frames are untagged as far as the bridge is concerned.
    Plain,
    /// One VLAN, untagged on the wire.
    Access {
        /// The VLAN; required (absent only in a description that has not been checked).
        vid: Option<Vid>,
    },
    /// Many VLANs, tagged on the wire.
    Trunk(TrunkMode),
    /// 802.1Q tunnelling: customer tags are payload.
    Qinq {
        /// The outer VLAN; required.
        vid: Option<Vid>,
        /// Which customer VLANs may pass; `None` is all, untagged too.
        customer_vlans: Option<VidSet>,
        /// The outer tag's priority; `None` copies the customer's.
        pcp: Option<Pcp>,
    },
}

/// The settings of a trunk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrunkMode {
    /// VIDs on the wire; `None`: those that are mapped, each as its wire VID.
    pub vlans: Option<VidSet>,
    /// Bridge VID of untagged frames.
    pub native: Option<Vid>,
    /// Whether the native VLAN leaves tagged.
    #[serde(default)]
    pub native_tagged: bool,
    /// Whether a frame with a further tag may leave untagged by the native VLAN.
    pub native_inner: NativeInner,
    /// Wire VID to bridge VID.
    pub translate: BTreeMap<Vid, Vid>,
    /// Share of VLANs among the trunks of the fabric, 1..=1000. Default 1.
    pub weight: u32,
}

impl Default for TrunkMode {
    fn default() -> TrunkMode {
        TrunkMode {
            vlans: None,
            native: None,
            native_tagged: false,
            native_inner: NativeInner::default(),
            translate: BTreeMap::new(),
            weight: 1,
        }
    }
}

/// What happens to a frame that would leave untagged with another tag first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NativeInner {
    /// It is dropped: the next switch would take it for another VLAN's.
    #[default]
    Drop,
    /// It passes.
    Pass,
}

/// What happens to an address that is one more than a port may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnLimit {
    /// The port's own oldest address goes.
    #[default]
    Evict,
    /// Its frame is dropped.
    Drop,
    /// It is not learned.
    Flood,
}

/// What a BPDU does to a VM or access port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BpduPolicy {
    /// The port is blocked for 300 s.
    #[default]
    Block,
    /// The BPDU is dropped.
    Discard,
}

/// Storm control: packets per second a VLAN, by class; 0 is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storm {
    /// Broadcast frames.
    pub broadcast: u32,
    /// Multicast frames.
    pub multicast: u32,
    /// Frames to an unknown individual address.
    pub unknown: u32,
}
