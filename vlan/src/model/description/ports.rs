//! Exterior ports, as they are declared, and their settings.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::is_default;
use crate::addr::MacAddr;
use crate::tag::Pcp;
use crate::vid::{Vid, VidSet};

/// An exterior port: bound to a link of a host, or a VTEP's membership in a bridge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// Unique among trunks and ports together.
    pub name: String,
    /// The bridge it is a port of.
    pub bridge: String,
    /// The host that it is at.
    pub host: String,
    /// The netdev, at most 15 bytes (`IFNAMSIZ` of `include/uapi/linux/if.h`, less its end). Empty of a port at a VTEP, which has none.
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
    /// Whether frames between this port and another isolated one are dropped; it reaches trunks and all other ports. Not of a trunk.
    #[serde(default, skip_serializing_if = "is_default")]
    pub isolated: bool,
    /// What becomes of frames with a tag of their own on a port of a VUB. `None`: they pass, and at a VTEP they are dropped.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tags: Option<TagPolicy>,
    /// How many addresses are pinned to it, those heard first; further sources are dropped. 1..=1024, and at most `mac_limit`. Not of a
    /// trunk, and not beside `macs` or `shared_macs`, which say themselves who may send here.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sticky: Option<u32>,
    /// What is flooded to it. Not of a trunk.
    #[serde(default, skip_serializing_if = "is_default")]
    pub flood: Flood,
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

/// What becomes of frames that arrive at a port of a VUB with a tag of their own; a priority tag is none. At a VTEP those that would
/// leave with one as well: it may take them for frames of another network (RFC 7348 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TagPolicy {
    /// The tag is payload.
    #[default]
    Pass,
    /// They are dropped.
    Drop,
}

/// Which flooded frames are not sent to a port. Broadcast and multicast always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flood {
    /// Unicast to an unknown address is not: `flood = { unknown = false }`. What is stored leaves out what is false, so that is the default.
    #[serde(default)]
    pub withholds_unknown: bool,
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
            isolated: false,
            tags: None,
            sticky: None,
            flood: Flood::default(),
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
