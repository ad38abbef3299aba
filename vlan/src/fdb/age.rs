//! Ageing: removing addresses that were not heard for their ageing time, and letting frozen ones go.

use std::time::Duration;

use super::HINT;
use super::addresses::Addresses;
use super::entry::Gone;
use super::key::Key;
use super::place::Place;
use crate::addr::MacAddr;
use crate::model::id::{Location, SegmentId};
use crate::time::Instant;

/// What time has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aged {
    /// Addresses that are known no longer.
    pub expired: Vec<Gone>,
    /// Addresses that are where they were, but may move again: frames refused until now may be let in.
    pub thawed: Vec<(SegmentId, MacAddr)>,
}

impl Addresses {
    /// Removes addresses past their age and thaws frozen ones, in at most `budget` steps of one address each, some of which
    /// only find that an address was heard since. [`Addresses::next_due`] is still in the past if there was more to do.
    pub fn age(&mut self, now: Instant, budget: usize) -> Aged {
        let mut aged = Aged::default();
        for step in 0..budget {
            if step % AHEAD == 0 {
                self.table.bring_near(self.queues.all_due(&self.table, now).take(AHEAD));
            }
            if let Some((_, place)) = self.queues.next_thaw().filter(|(until, _)| *until <= now) {
                self.release(place);
                let key = self.table[place].key;
                aged.thawed.push((key.segment(), key.mac()));
            } else if let Some(place) = self.queues.due(now) {
                if !self.queues.requeue(&mut self.table, place) {
                    aged.expired.push(self.remove(place));
                    self.ends.expired += 1;
                }
            } else {
                break;
            }
        }
        aged
    }

    /// When [`Addresses::age`] may have something to do; `None` if never, as things are.
    pub fn next_due(&self) -> Option<Instant> {
        let thaws = self.queues.next_thaw().map(|(until, _)| until);
        [thaws, self.queues.next_due()].into_iter().flatten().min()
    }

    /// Gives every dynamic address the ageing time of where it is; `None` leaves it as it is. For ageing times that were changed:
    /// learning alone would do so with an address' next frame, which a flow of the kernel keeps from being seen.
    pub fn set_ageing(&mut self, mut of: impl FnMut(SegmentId, Location) -> Option<Duration>) {
        let places: Vec<Place> = self.table.places().collect();
        for place in places {
            let node = &self.table[place];
            let Some(ageing) = of(node.key.segment(), node.location) else { continue };
            // What is believed until a word comes is no longer believed than that.
            let is_brief = node.is_hint && self.queues.ageing_of(&self.table, place) == HINT;
            let ageing = if is_brief { HINT } else { ageing };
            self.queues.set_ageing(&mut self.table, place, ageing);
        }
    }

    /// Lets a frozen address move again, as an operator may ask. False if it is not frozen.
    pub fn thaw(&mut self, segment: SegmentId, mac: MacAddr) -> bool {
        let Some(place) = self.table.find(Key::new(segment, mac)) else { return false };
        self.release(place)
    }

    /// Ends a freeze; the address ages and is counted as before. False if it is not frozen.
    pub(super) fn release(&mut self, place: Place) -> bool {
        let is_frozen = self.queues.thaw(&mut self.table, place);
        self.ends.thawed += u64::from(is_frozen);
        // What was refused meanwhile may be so.
        if is_frozen {
            self.news.note(self.table[place].key);
        }
        is_frozen
    }
}

/// How many addresses are waited for together, where many are past their age: as many reads as a processor has under way at once.
const AHEAD: usize = 16;
