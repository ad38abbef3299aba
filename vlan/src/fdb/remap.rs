//! Carrying addresses over to a topology with other identifiers.

use std::time::Duration;

use super::Slot;
use super::addresses::Addresses;
use super::entry::Kind;
use super::key::Key;
use super::moves::Moved;
use super::place::Place;
use super::table::Node;
use crate::model::id::{Location, SegmentId};
use crate::time::Instant;

impl Addresses {
    /// Renames every address' segment and location. `to` is given the old ones and returns the new ones, or `None` where there
    /// is no such place any more. Returns how many addresses were lost. Where two addresses become one, a declared one
    /// stays, else the one heard last. Limits are not enforced: see [`Addresses::trim`]. Everything that depended on an old identifier is to be withdrawn.
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
            let target = to(node.key.segment(), node.location);
            match target {
                Some(same)
                    if same == (node.key.segment(), node.location) && self.moves.of(place).is_none() => {}
                Some((segment, location)) => {
                    let mut one = Lifted::out_of(self, place);
                    one.rename(segment, location, &mut to);
                    lifted.push(one);
                }
                None => drop(self.remove(place)),
            }
        }
        lifted.into_iter().for_each(|one| one.put_into(self));
        before - self.len()
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
    fn out_of(addresses: &mut Addresses, place: Place) -> Lifted {
        let Addresses { table, queues, moves, .. } = addresses;
        let (node, slot) = (table[place], queues.slot_of(table, place));
        let lifted = Lifted {
            key: node.key,
            node,
            slot,
            limit: slot.and_then(|slot| queues.limit(slot)),
            ageing: queues.ageing_of(table, place),
            until: queues.freeze_of(table, place).map(|freeze| freeze.until),
            moved: moves.of(place).cloned(),
        };
        addresses.remove(place);
        lifted
    }

    fn put_into(self, addresses: &mut Addresses) {
        if let Some(other) = addresses.table.find(self.key) {
            let rank = |node: &Node| (node.kind == Kind::Declared, node.used);
            if rank(&addresses.table[other]) >= rank(&self.node) {
                return;
            }
            addresses.remove(other);
        }
        let Node { location, kind, used, learned, is_hint, .. } = self.node;
        let mut node = Node::new(self.key, location, kind, used);
        (node.learned, node.is_hint) = (learned, is_hint);
        let place = addresses.enter(node, self.slot, self.ageing);
        let Addresses { table, queues, moves, .. } = addresses;
        if let (Some(slot), Some(limit)) = (self.slot, self.limit) {
            queues.set_limit(slot, limit);
        }
        if let Some(moved) = self.moved {
            *moves.of_mut(place) = moved;
        }
        if let Some(until) = self.until {
            queues.hold(table, place, until);
        }
    }

    fn rename(
        &mut self,
        segment: SegmentId,
        location: Location,
        to: &mut impl FnMut(SegmentId, Location) -> Option<(SegmentId, Location)>,
    ) {
        let before = self.key.segment();
        self.key = Key::new(segment, self.key.mac());
        self.node.location = location;
        self.slot = self.slot.map(|_| Slot::of(location));
        let Some(moved) = &mut self.moved else { return };
        moved.stays.retain_mut(|stay| match to(before, stay.location) {
            Some((now_in, at)) if now_in == segment => {
                stay.location = at;
                stay.slot = stay.slot.map(|_| Slot::of(at));
                true
            }
            _ => false,
        });
    }
}
