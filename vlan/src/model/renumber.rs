//! Carries addresses from one topology to the next: identifiers change, names stay.

use crate::model::id::{Location, SegmentId};
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
            let bridge = new.bridge_named(&old.bridge(was).name)?.id;
            let fabric = new.fabric_named(old.fabrics.get(fabric.0 as usize)?)?;
            let is_its = |port: &&Port| port.group == Some(fabric) && port.is_member(vid);
            let port = new.trunks_of(bridge).find(is_its)?;
            let inner = old.next_vid(segment, was, Some(vid));
            let located = new.locate(port.bridge, Some(vid), inner)?;
            Some((located.segment, Location::Fabric { fabric, vid }))
        }
        Location::Host(_) => None,
    }
}
