//! Learned addresses over a restart.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::addresses::Addresses;
use super::entry::{Entry, Kind};
use super::key::Key;
use super::learn::not_a_station;
use super::lifetime;
use super::table::Node;
use super::{LearnPolicy, Slot};
use crate::addr::MacAddr;
use crate::model::id::{Location, SegmentId};
use crate::time::Instant;

/// A learned address with times that mean something after the clock has begun anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// The segment it is on.
    pub segment: SegmentId,
    /// The address.
    pub mac: MacAddr,
    /// Where it is.
    pub location: Location,
    /// How long it has not been heard. Who restores adds the time that has passed since it was saved.
    pub idle: Duration,
    /// How long it has been there.
    pub known: Duration,
    /// Its moves.
    pub mobility: u64,
}

impl Saved {
    /// A learned address, as it is saved. Declared and remote ones have another origin; freezes are not saved.
    pub fn of(now: Instant, entry: &Entry) -> Option<Saved> {
        (entry.kind == Kind::Dynamic).then(|| Saved {
            segment: entry.segment,
            mac: entry.mac,
            location: entry.location,
            idle: now.since(entry.used),
            known: now.since(entry.learned),
            mobility: entry.mobility,
        })
    }
}

impl Addresses {
    /// The learned addresses, in no order.
    pub fn save(&self, now: Instant) -> impl Iterator<Item = Saved> + '_ {
        let live = self.table.places().filter(move |place| self.is_live(now, *place));
        live.filter_map(move |place| Saved::of(now, &self.view(place)))
    }

    /// Learns saved addresses again, those heard last first until their slot is full, and returns how many. Of those heard at the same time
    /// the lesser come first, in whatever order they were saved. What is known already, is past its age, or for which `policy` returns
    /// `None` because the place is no more, is passed over. Where the clock began after an address was last heard, the address is taken
    /// to have been heard at its beginning.
    pub fn restore(
        &mut self,
        now: Instant,
        saved: impl IntoIterator<Item = Saved>,
        mut policy: impl FnMut(&Saved) -> Option<LearnPolicy>,
    ) -> usize {
        let mut saved: Vec<Saved> = saved.into_iter().collect();
        saved.sort_unstable_by_key(|one| (one.idle, one.segment, one.mac));
        let mut restored = 0;
        for one in &saved {
            let Some(policy) = policy(one) else { continue };
            restored += usize::from(self.restore_one(now, one, &policy));
        }
        restored
    }

    fn restore_one(&mut self, now: Instant, saved: &Saved, policy: &LearnPolicy) -> bool {
        let (key, slot) = (Key::new(saved.segment, saved.mac), Slot::of(saved.location));
        let is_past = lifetime::is_over_after(now, saved.idle, policy.ageing);
        let is_wanted = not_a_station(saved.mac).is_none() && self.table.find(key).is_none();
        if is_past || !is_wanted || self.count(slot) >= policy.limit {
            return false;
        }
        let mut node = Node::new(key, saved.location, Kind::Dynamic, now - saved.idle);
        node.learned = now - saved.known;
        let place = self.enter(node, Some(slot), policy.ageing);
        self.queues.set_limit(slot, policy.limit);
        self.moves.adopt_mobility(place, saved.mobility);
        true
    }
}
