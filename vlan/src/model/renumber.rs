//! Carries addresses from one topology to the next: identifiers change, names stay.

use crate::model::id::{BridgeId, FabricId, Location, SegmentId};
use crate::model::port::Port;
use crate::model::topology::Topology;

/// Where an address of `old` is in `new`: behind the port or fabric of the same name, in the VLAN that it was seen in and the
/// segment that this VLAN is now. `None` if the port, the fabric or the VLAN is no more.
pub(crate) fn renumber(
    old: &Topology,
    new: &Topology,
    segment: SegmentId,
    location: Location,
) -> Option<(SegmentId, Location)> {
    match location {
        Location::Port { port, vid } => {
            let was = old.ports.get(port.0 as usize)?;
            let port = new.port_named(&was.name)?;
            let is_member = vid.is_none_or(|vid| port.is_member(vid));
            let inner = old.next_vid(segment, was.bridge, vid);
            let located =
                new.locate(port.bridge, vid, inner).filter(|_| is_member && port.group.is_none())?;
            Some((located.segment, Location::Port { port: port.id, vid }))
        }
        Location::Fabric { fabric, vid } => {
            let was = old.bridge_on(segment.number, fabric, vid)?;
            let bridge = renumber_bridge(old, new, was)?;
            let fabric = new.fabric_named(old.fabrics.get(fabric.0 as usize)?)?;
            let is_its = |port: &&Port| port.group == Some(fabric) && port.is_member(vid);
            let port = new.trunks_of(bridge).find(is_its)?;
            let inner = old.next_vid(segment, was, Some(vid));
            let located = new.locate(port.bridge, Some(vid), inner)?;
            Some((located.segment, Location::Fabric { fabric, vid }))
        }
        Location::Host(host) => {
            let host = new.host_named(&old.hosts().get(host.0 as usize)?.name)?;
            let named = old.segments.get(segment.number as usize)?.domain(0);
            let bridge = renumber_bridge(old, new, named.bridge)?;
            let inner = old.next_vid(segment, named.bridge, named.vid);
            let located = new.locate(bridge, named.vid, inner)?;
            let has_ports = new.hosts_of(located.segment.number).binary_search(&host).is_ok();
            has_ports.then_some((located.segment, Location::Host(host)))
        }
    }
}

/// What a segment and a fabric that it is sent into are called in `new`; `None` where that fabric has no VLAN on the segment any more.
pub fn renumber_way(
    old: &Topology,
    new: &Topology,
    (segment, fabric): (SegmentId, FabricId),
) -> Option<(SegmentId, FabricId)> {
    let its = old.segments.get(segment.number as usize)?;
    let members = its.trunk_members(old).iter();
    let mut vids = members
        .filter(|member| old.port(member.port).group == Some(fabric))
        .filter_map(|member| its.domain(member.domain).vid);
    // Several of its VLANs may be one segment, of which some are no more.
    vids.find_map(|vid| match renumber(old, new, segment, Location::Fabric { fabric, vid })? {
        (segment, Location::Fabric { fabric, .. }) => Some((segment, fabric)),
        _ => None,
    })
}

/// A bridge by its name, by that of before a change, or by that which it gets back.
fn renumber_bridge(old: &Topology, new: &Topology, bridge: BridgeId) -> Option<BridgeId> {
    let was = old.bridge(bridge);
    let back = || new.bridge_named(old.name_before(bridge)?);
    let renamed = || new.bridge_once_named(&was.name).or_else(back);
    Some(new.bridge_named(&was.name).or_else(renamed)?.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::defaults::{DEFAULT_AGEING, DEFAULT_BRIDGE_MAC_LIMIT};
    use crate::model::description::{
        Bridge, BridgeKind, Description, Host, Mode, Port, Redundancy, TrunkMode,
    };
    use crate::tag::Tpid;
    use crate::vid::{Vid, VidSet};

    fn network(bridge: &str, renamed_from: Option<&str>) -> Topology {
        let (fabric, redundancy) = ("fabric".to_owned(), Redundancy::Designated);
        let kind = BridgeKind::VlanAware { fabric, redundancy, tpid: Tpid::Customer, join_vids: false };
        let mode = Mode::Trunk(TrunkMode { vlans: Some(VidSet::all()), ..TrunkMode::default() });
        let (ageing, mac_limit) = (DEFAULT_AGEING, DEFAULT_BRIDGE_MAC_LIMIT);
        let renamed_from = renamed_from.map(str::to_owned);
        Topology::build(&Description {
            hosts: vec![Host { name: "h".to_owned(), ..Host::default() }],
            bridges: vec![Bridge {
                name: bridge.to_owned(),
                ageing,
                mac_limit,
                renamed_from,
                mtu: None,
                kind,
            }],
            trunks: vec![Port { mode, ..Port::plain("t", bridge, "h", "eth0") }],
            ..Description::default()
        })
        .unwrap()
    }

    #[test]
    fn what_is_behind_the_trunks_of_a_bridge_stays_when_it_says_what_it_was_called() {
        let old = network("dc1", None);
        let vid = Vid::new(8).unwrap();
        let segment = old.locate(old.bridges()[0].id, Some(vid), None).unwrap().segment;
        let there = Location::Fabric { fabric: FabricId(0), vid };
        for (new, expected) in [
            (network("dc1", None), Some((segment, there))),
            (network("dc2", Some("dc1")), Some((segment, there))),
            (network("dc2", Some("dc3")), None),
            (network("dc2", None), None),
        ] {
            assert_eq!(renumber(&old, &new, segment, there), expected);
            let way = expected.map(|_| (segment, FabricId(0)));
            assert_eq!(renumber_way(&old, &new, (segment, FabricId(0))), way);
            // And back, as in a rollback.
            let back = expected.and_then(|(segment, there)| renumber(&new, &old, segment, there));
            assert_eq!(back, expected);
        }
    }
}
