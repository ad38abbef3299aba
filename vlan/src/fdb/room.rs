//! Room: a slot has as many addresses as its limit allows, and a full one gives up its own oldest, or none.

use super::addresses::Addresses;
use super::entry::Gone;
use super::place::Place;
use super::{LearnPolicy, Slot};
use crate::model::description::OnLimit;
use crate::time::Instant;

impl Addresses {
    /// Evicts a slot's oldest until it has at most `limit` dynamic addresses: for a limit that was changed. Learning alone
    /// never goes over a limit, but replaces one by one where a slot is over it already. Frozen addresses stay.
    pub fn trim(&mut self, slot: Slot, limit: u32) -> Vec<Gone> {
        let mut gone = Vec::new();
        self.queues.set_limit(slot, limit);
        while self.count(slot) > limit
            && let Some(place) = self.queues.oldest(&mut self.table, Instant::ZERO, slot)
        {
            self.ends.evicted += 1;
            gone.push(self.remove(place));
        }
        gone
    }

    /// Makes room for one address more, which may be `known` in that slot already. A slot evicts from itself only, or one port could push
    /// out every other's.
    pub(super) fn make_room(
        &mut self,
        now: Instant,
        known: Option<Place>,
        slot: Slot,
        policy: &LearnPolicy,
    ) -> Result<Option<Gone>, Full> {
        if known.is_some_and(|place| self.queues.slot_of(&self.table, place) == Some(slot)) {
            return Ok(None);
        }
        self.queues.set_limit(slot, policy.limit);
        if self.count(slot) < policy.limit {
            return Ok(None);
        }
        let victim = match policy.on_limit {
            _ if policy.limit == 0 => None,
            OnLimit::Evict => self.queues.oldest(&mut self.table, now, slot),
            OnLimit::Drop | OnLimit::Flood => self.queues.past(&mut self.table, now, slot),
        };
        victim.map(|place| Some(self.evict(now, place))).ok_or(Full)
    }

    /// Makes room for an address that goes back to where it was. The limit of the slot is the one of its last learned address; a frozen
    /// address that comes back counts like any.
    pub(super) fn make_room_to_return(
        &mut self,
        now: Instant,
        place: Place,
        slot: Option<Slot>,
    ) -> Result<Option<Gone>, Full> {
        let Some(slot) = slot else { return Ok(None) };
        if self.queues.slot_of(&self.table, place) == Some(slot) || !self.queues.is_full(slot) {
            return Ok(None);
        }
        let victim = self.queues.oldest(&mut self.table, now, slot).ok_or(Full)?;
        Ok(Some(self.evict(now, victim)))
    }

    fn evict(&mut self, now: Instant, place: Place) -> Gone {
        if self.is_live(now, place) {
            self.ends.evicted += 1;
        } else {
            self.ends.expired += 1;
        }
        self.remove(place)
    }
}

/// A slot has no room and gives none up.
pub(super) struct Full;
