//! Addresses behind a fabric: they are the word of the host that carries their VLAN.

use nsdb::Presence;
use vlan::fdb::Learn;
use vlan::model::id::{FabricId, Location, PortId, SegmentId};
use vlan::verdict::{Dependency, Seen};
use vlan::vid::Vid;

use super::Hearing;
use crate::lower::Lowering;

impl<L: Lowering> Hearing<'_, L> {
    /// The trunk of this host that carries a VLAN of a fabric, which is on this segment.
    pub(super) fn carrier_of(&self, segment: SegmentId, (fabric, vid): (FabricId, Vid)) -> Option<PortId> {
        let switch = &self.truth.switch;
        let (plane, topology) = (switch.state(), switch.topology());
        let members = plane.members_at(segment.number, Location::Fabric { fabric, vid });
        let mut own =
            members.map(|member| topology.port(member.port)).filter(|port| port.host == switch.host());
        let carrier = own.find(|port| plane.may_leave(None, port, Some(vid), &mut |_| {}).is_ok());
        carrier.map(|port| port.id)
    }

    /// A flow of a trunk was used by an address behind its fabric that is another host's word. If that host has left the VLAN to this one, the
    /// address is this one's to say from here on, as if the frame had come up.
    pub(in crate::engine) fn hear_by_flow(&mut self, seen: &Seen) {
        let Some(trunk) = self.trunk_left_with(seen) else { return };
        let switch = &mut self.truth.switch;
        let policy = switch.learn_policy(trunk);
        let learned = switch.fdb.learn(self.now, Learn::new(seen.segment, seen.mac, seen.location, policy));
        if let Some(gone) = learned.evicted() {
            self.lowering.spoil(Dependency::Address(gone.segment, gone.mac));
        }
    }

    /// The trunk of this host that carries the VLAN of an address which is the word of a host that says that it does not carry it: that one
    /// hears no frame of it any more, and takes its word back in time. Where both carry it, as long as they do not know of each other, each
    /// would take the word from the other whenever flows are read.
    fn trunk_left_with(&self, seen: &Seen) -> Option<PortId> {
        let Location::Fabric { fabric, vid } = seen.location else { return None };
        let topology = self.truth.switch.topology();
        let word = self.truth.feed.word(&self.truth.feed.key_of(topology, seen.segment, seen.mac)?)?;
        let owner =
            topology.host_numbered(word.owner.0).filter(|owner| *owner != self.truth.switch.host())?;
        let bridge = topology.bridge_on(seen.segment.number, fabric, vid)?;
        let is_left = word.presence == Presence::Present
            && self.truth.others.says_it_leaves(topology, owner, (bridge, vid));
        self.carrier_of(seen.segment, (fabric, vid)).filter(|_| is_left)
    }
}
