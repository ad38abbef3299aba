//! Carries addresses from one topology to the next: identifiers change, names stay.

use crate::model::id::{Location, SegmentId};
use crate::model::topology::Topology;
use crate::vid::Vid;

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
            let port = new.port_named(&old.ports.get(port.0 as usize)?.name)?;
            let is_member = vid.is_none_or(|vid| port.is_member(vid));
            let inner = inner_vid(old, segment, |domain| domain.vid == vid);
            let located =
                new.locate(port.bridge, vid, inner).filter(|_| is_member && port.group.is_none())?;
            Some((located.segment, Location::Port { port: port.id, vid }))
        }
        Location::Fabric { fabric, vid } => {
            let fabric = new.fabric_named(old.fabrics.get(fabric.0 as usize)?)?;
            let port = new.ports.iter().find(|port| port.group == Some(fabric) && port.is_member(vid))?;
            let inner = inner_vid(old, segment, |domain| domain.vid == Some(vid));
            let located = new.locate(port.bridge, Some(vid), inner)?;
            Some((located.segment, Location::Fabric { fabric, vid }))
        }
        Location::Host(_) => None,
    }
}

fn inner_vid(
    old: &Topology,
    segment: SegmentId,
    is_it: impl Fn(&crate::model::segment::Domain) -> bool,
) -> Option<u16> {
    if segment.inner != 0 {
        return Some(segment.inner);
    }
    old.segments
        .get(segment.number as usize)?
        .domains
        .iter()
        .find(|domain| is_it(domain))?
        .inner
        .map(Vid::get)
}
