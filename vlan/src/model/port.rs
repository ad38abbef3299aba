//! Exterior ports of the compiled topology.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::addr::MacAddr;
use crate::model::description::{BpduPolicy, HostAddresses, NativeInner, OnLimit, Storm};
use crate::model::id::{BridgeId, FabricId, HostId, Location, PortId};
use crate::tag::{Pcp, Tpid};
use crate::vid::{Vid, VidSet};

/// An exterior port. What every frame asks of a port comes first and is one cache line: a gateway of every VLAN has more ports
/// than a cache has room for.
#[derive(Debug, Clone, PartialEq)]
#[repr(C, align(64))]
pub struct Port {
    /// Its identifier.
    pub id: PortId,
    /// The bridge it is a port of.
    pub bridge: BridgeId,
    /// The host its link is on.
    pub host: HostId,
    /// Most dynamic addresses; where they stick, as many as may.
    pub mac_limit: u32,
    /// The fabric whose trunk groups it belongs to; `None` where it stands for itself.
    pub group: Option<FabricId>,
    /// How frames are put into VLANs.
    pub mode: Mode,
    /// The ageing time of addresses learned here: its bridge's, and zero (never) where they stick.
    pub ageing: Duration,
    /// The tag that its bridge speaks; see [`Bridge::tpid`](crate::model::bridge::Bridge::tpid).
    pub tpid: Tpid,
    /// Whether it is declared as a trunk into a physical switch, not as a port in trunk mode.
    pub is_trunk: bool,
    /// Whether frames from other sources than `macs` and `shared_macs` are dropped: `macs` are declared, and not on a trunk.
    pub checks_sources: bool,
    /// What happens to the address that is one too many.
    pub on_limit: OnLimit,
    /// Whether a priority that lost its tag leaves as a VID-0 tag.
    pub priority_tags: bool,
    /// Whether frames between it and another isolated port are dropped.
    pub isolated: bool,
    /// Whether frames with a tag of their own are dropped.
    pub drops_tags: bool,
    /// Whether unknown unicast is sent to it.
    pub takes_unknown: bool,
    /// Declared addresses, sorted.
    pub macs: Vec<MacAddr>,
    /// Declared addresses that it shares with other ports, sorted.
    pub shared_macs: Vec<MacAddr>,
    /// Whether the first addresses heard here are pinned, up to `mac_limit`, and further sources dropped.
    pub is_sticky: bool,
    /// What a BPDU does to a port that is no trunk.
    pub bpdu: BpduPolicy,
    /// Storm control, packets per second.
    pub storm: Storm,
    /// Payload MTU that the link is expected to have.
    pub mtu: Option<u32>,
    /// Its name.
    pub name: String,
    /// The netdev.
    pub link: String,
    /// What becomes of the link if it has addresses of the host's own.
    pub host_addresses: HostAddresses,
}

const _: () = assert!(std::mem::offset_of!(Port, macs) <= 64, "what every frame asks for is one cache line");

/// How a port puts frames into VLANs.
#[derive(Debug, Clone, PartialEq)]
pub enum Mode {
    /// On a VUB.
    Plain,
    /// One VLAN, untagged on the wire.
    Access {
        /// The VLAN.
        vid: Vid,
    },
    /// Many VLANs, tagged on the wire.
    Trunk(Box<Trunk>),
    /// Customer tags are payload.
    Qinq {
        /// The outer VLAN.
        vid: Vid,
        /// Which customer VLANs may pass; `None` is all, untagged too.
        customer_vlans: Option<VidSet>,
        /// The outer tag's priority; `None` copies the customer's.
        pcp: Option<Pcp>,
    },
}

/// The settings of a trunk, ready to be looked up.
#[derive(Debug, Clone, PartialEq)]
pub struct Trunk {
    /// Bridge VIDs that may pass.
    pub allowed: VidSet,
    /// Bridge VID of untagged frames.
    pub native: Option<Vid>,
    /// Whether the native VLAN leaves tagged.
    pub native_tagged: bool,
    /// Whether a frame with a further tag may leave untagged by the native VLAN.
    pub native_inner: NativeInner,
    /// Share of VLANs, at least 1.
    pub weight: u32,
    /// Wire VIDs that are translated, ascending, each with what it becomes.
    by_wire: Box<[(Vid, Vid)]>,
    /// What they become, ascending, each with its wire VID.
    by_bridge: Box<[(Vid, Vid)]>,
}

impl Trunk {
    /// A trunk that lets the wire VIDs in `wire` pass, each as the bridge VID that `translate` gives or as itself. A wire VID
    /// that is a value but no key of `translate` does not pass.
    pub fn new(wire: &VidSet, translate: &BTreeMap<Vid, Vid>) -> Trunk {
        let mut allowed = wire.clone();
        for (on_wire, bridge) in translate {
            allowed.remove(*on_wire);
            allowed.remove(*bridge);
        }
        let by_wire: Box<[(Vid, Vid)]> =
            translate.iter().map(|(a, b)| (*a, *b)).filter(|(on_wire, _)| wire.contains(*on_wire)).collect();
        let mut by_bridge: Box<[(Vid, Vid)]> = by_wire.iter().map(|(a, b)| (*b, *a)).collect();
        by_bridge.sort_unstable();
        for (bridge, _) in &by_bridge {
            allowed.insert(*bridge);
        }
        Trunk {
            allowed,
            native: None,
            native_tagged: false,
            native_inner: NativeInner::Drop,
            weight: 1,
            by_wire,
            by_bridge,
        }
    }

    /// The bridge VID of a VID on the wire, if it may pass.
    pub fn bridge_vid(&self, on_wire: Vid) -> Option<Vid> {
        let own = || self.allowed.contains(on_wire) && find(&self.by_bridge, on_wire).is_none();
        find(&self.by_wire, on_wire).or_else(|| own().then_some(on_wire))
    }

    /// The VID on the wire of a bridge VID, if it may pass.
    pub fn wire_vid(&self, bridge: Vid) -> Option<Vid> {
        find(&self.by_bridge, bridge).or_else(|| self.allowed.contains(bridge).then_some(bridge))
    }

    /// The wire VIDs that differ from their bridge VIDs, in the order of these.
    pub fn translated(&self) -> impl Iterator<Item = (Vid, Vid)> + '_ {
        self.by_bridge.iter().map(|(bridge, wire)| (*wire, *bridge)).filter(|(a, b)| a != b)
    }

    /// Whether the VLAN leaves without a tag.
    pub fn sends_untagged(&self, vid: Vid) -> bool {
        self.native == Some(vid) && !self.native_tagged
    }
}

impl Port {
    /// Whether a frame of bridge VID `vid` may leave by this port of a VAB.
    pub fn is_member(&self, vid: Vid) -> bool {
        match &self.mode {
            Mode::Plain => false,
            Mode::Access { vid: own } | Mode::Qinq { vid: own, .. } => *own == vid,
            Mode::Trunk(trunk) => trunk.allowed.contains(vid) || trunk.native == Some(vid),
        }
    }

    /// The bridge VIDs of which it is a member, in ascending order.
    pub fn vids(&self) -> Vec<Vid> {
        match &self.mode {
            Mode::Plain => Vec::new(),
            Mode::Access { vid } | Mode::Qinq { vid, .. } => vec![*vid],
            Mode::Trunk(trunk) => trunk.allowed.iter().collect(),
        }
    }

    /// Where an address is that is heard by this port in a VLAN of its bridge (`None` on a VUB): behind its trunk group, if it is of one.
    pub fn location(&self, vid: Option<Vid>) -> Location {
        match (self.group, vid) {
            (Some(fabric), Some(vid)) => Location::Fabric { fabric, vid },
            (_, vid) => Location::Port { port: self.id, vid },
        }
    }

    /// Whether a frame from `mac` is let in as far as declared addresses go.
    pub fn lets_in(&self, mac: MacAddr) -> bool {
        !self.checks_sources || self.declares(mac)
    }

    /// Whether `mac` is declared here, shared with other ports or not.
    pub fn declares(&self, mac: MacAddr) -> bool {
        self.macs.binary_search(&mac).is_ok() || self.shared_macs.binary_search(&mac).is_ok()
    }

    /// The only sources that are let in, sorted; empty where every one is.
    pub fn only_sources(&self) -> Vec<MacAddr> {
        let declared = self.macs.iter().chain(&self.shared_macs).copied();
        let mut only: Vec<MacAddr> = declared.filter(|_| self.checks_sources).collect();
        only.sort_unstable();
        only
    }

    /// The trunk settings, where it has some.
    pub fn trunk(&self) -> Option<&Trunk> {
        match &self.mode {
            Mode::Trunk(trunk) => Some(trunk),
            _ => None,
        }
    }
}

/// What stands beside a VID in a list that is sorted by it.
fn find(list: &[(Vid, Vid)], vid: Vid) -> Option<Vid> {
    list.binary_search_by_key(&vid, |(key, _)| *key).ok().map(|at| list[at].1)
}

/// Most trunks and ports of a host: openvswitch.ko has 65 535 numbers (`DP_MAX_PORTS` of `net/openvswitch/datapath.h`), of which 0 is the
/// datapath's own.
pub const MOST_PORTS_OF_A_HOST: u32 = 65_534;

#[cfg(test)]
mod tests {
    use super::*;

    fn vid(n: u16) -> Vid {
        Vid::new(n).unwrap()
    }

    #[test]
    fn translation_goes_both_ways_and_hides_the_value() {
        let trunk = Trunk::new(&VidSet::all(), &[(vid(108), vid(9))].into());
        assert_eq!(trunk.bridge_vid(vid(108)), Some(vid(9)));
        assert_eq!(trunk.wire_vid(vid(9)), Some(vid(108)));
        assert_eq!(trunk.bridge_vid(vid(9)), None, "wire 9 would be a second name of bridge 9");
        assert_eq!(trunk.wire_vid(vid(108)), None, "bridge 108 has no wire VID left");
        assert_eq!(trunk.bridge_vid(vid(7)), Some(vid(7)));
    }

    #[test]
    fn two_vids_may_be_swapped() {
        let wire: VidSet = [vid(8), vid(9)].into_iter().collect();
        let trunk = Trunk::new(&wire, &[(vid(8), vid(9)), (vid(9), vid(8))].into());
        assert_eq!(trunk.bridge_vid(vid(8)), Some(vid(9)));
        assert_eq!(trunk.bridge_vid(vid(9)), Some(vid(8)));
        assert_eq!(trunk.wire_vid(vid(8)), Some(vid(9)));
    }
}
