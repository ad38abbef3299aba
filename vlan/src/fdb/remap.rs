//! Carrying addresses over to a topology with other identifiers.

use std::time::Duration;

use super::entry::Kind;
use super::key::Key;
use super::moves::Moved;
use super::place::Place;
use super::reflect::Echo;
use super::table::Node;
use super::{Fdb, Slot};
use crate::model::id::{FabricId, Location, SegmentId};
use crate::time::Instant;

impl Fdb {
    /// Renames every address' segment and location. `to` is given the old ones and returns the new ones, or `None` where there
    /// is no such place any more. Returns how many addresses were lost. Where two addresses become one, a declared one
    /// stays, else the one heard last. Addresses learned behind another host are lost: their slot has no location to go
    /// by. Limits are not enforced: see [`Fdb::trim`]. Everything that depended on an old identifier is to be withdrawn.
    pub fn remap(
        &mut self,
        mut to: impl FnMut(SegmentId, Location) -> Option<(SegmentId, Location)>,
    ) -> usize {
        let before = self.len();
        self.moves.settle_flushes();
        let places: Vec<Place> = self.table.places().collect();
        let mut lifted = Vec::new();
        for place in places {
            let node = self.table[place];
            let target = to(node.key.segment(), node.location).filter(|_| has_place_of_its_own(&node));
            match target {
                Some(same)
                    if same == (node.key.segment(), node.location) && self.moves.of(place).is_none() => {}
                Some((segment, location)) => {
                    let mut lift = self.lift(place);
                    lift.rename(segment, location, &mut to);
                    lifted.push(lift);
                }
                None => drop(self.remove(place)),
            }
        }
        for lift in lifted {
            self.lower(lift);
        }
        before - self.len()
    }

    /// Renames what was sent within the last second. `to` is given a segment and a fabric that something was sent into, and returns the
    /// new ones, or `None` where that fabric has no VLAN on the segment any more: nothing comes back from there.
    pub fn rename_sent(&mut self, mut to: impl FnMut(SegmentId, FabricId) -> Option<(SegmentId, FabricId)>) {
        self.sent.rename(|echo| {
            let (segment, fabric) = to(echo.segment, echo.fabric)?;
            Some(Echo { segment, fabric, ..echo })
        });
    }

    fn lift(&mut self, place: Place) -> Lifted {
        let (slot, ageing) = (self.slot_of(place), self.queues.ageing_of(&self.table, place));
        let until = self.queues.freeze_of(&self.table, place).map(|freeze| freeze.until);
        let (node, moved) = (self.table[place], self.moves.of(place).cloned());
        let limit = slot.and_then(|slot| self.queues.limit(slot));
        self.remove(place);
        Lifted { key: node.key, node, slot, limit, ageing, until, moved }
    }

    fn lower(&mut self, lifted: Lifted) {
        if let Some(other) = self.table.find(lifted.key) {
            let rank = |node: &Node| (node.kind == Kind::Declared, node.used);
            if rank(&self.table[other]) >= rank(&lifted.node) {
                return;
            }
            self.remove(other);
        }
        let Node { location, kind, used, learned, .. } = lifted.node;
        let mut node = Node::new(lifted.key, location, kind, used);
        node.learned = learned;
        let place = self.enter(node, lifted.slot, lifted.ageing);
        if let (Some(slot), Some(limit)) = (lifted.slot, lifted.limit) {
            self.queues.set_limit(slot, limit);
        }
        if let Some(moved) = lifted.moved {
            *self.moves.of_mut(place) = moved;
        }
        if let Some(until) = lifted.until {
            self.hold(place, until);
        }
    }
}

/// An address between two topologies.
struct Lifted {
    key: Key,
    node: Node,
    slot: Option<Slot>,
    limit: Option<u32>,
    ageing: Duration,
    /// When it thaws, if it is frozen.
    until: Option<Instant>,
    moved: Option<Moved>,
}

impl Lifted {
    fn rename(
        &mut self,
        segment: SegmentId,
        location: Location,
        to: &mut impl FnMut(SegmentId, Location) -> Option<(SegmentId, Location)>,
    ) {
        let before = self.key.segment();
        self.key = Key::new(segment, self.key.mac());
        self.node.location = location;
        self.slot = self.slot.and(Slot::of(location));
        let Some(moved) = &mut self.moved else { return };
        moved.stays.retain_mut(|stay| match to(before, stay.location) {
            Some((now_in, at)) if now_in == segment && (stay.slot.is_none() || Slot::of(at).is_some()) => {
                stay.location = at;
                stay.slot = stay.slot.and(Slot::of(at));
                true
            }
            _ => false,
        });
    }
}

/// Whether the slot of an address follows from where it is.
fn has_place_of_its_own(node: &Node) -> bool {
    node.kind != Kind::Dynamic || Slot::of(node.location).is_some()
}
