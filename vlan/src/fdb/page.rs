//! Addresses a few at a time, for who goes through all, or all of a slot: a look at a million of them in one piece would keep frames waiting.

use super::Slot;
use super::addresses::Addresses;
use super::entry::Entry;
use super::place::Place;
use super::table::Table;
use crate::addr::MacAddr;
use crate::model::id::SegmentId;
use crate::time::Instant;

/// How far a walk through the addresses of a slot has come: the address that is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    pub(super) queue: u32,
    pub(super) second: u32,
    place: Place,
    generation: u32,
}

impl Reached {
    fn new(table: &Table, place: Place) -> Reached {
        let node = &table[place];
        Reached { queue: node.queue, second: node.second, place, generation: node.generation }
    }

    /// Where the walk goes on, if that address is still where it was. If not, its second begins anew: none is passed over.
    pub(super) fn place_in(&self, table: &Table) -> Option<Place> {
        (*self == Reached::new(table, self.place)).then_some(self.place)
    }
}

impl Addresses {
    /// The addresses in `most` places from `from` on, each with its place; those past their age are left out. The order is that of the
    /// places, which has nothing to do with the addresses. An address keeps its place for as long as it is known, so who goes on at
    /// [`Addresses::page_after`] sees it once; one that is forgotten and learned again meanwhile may be seen twice, or missed.
    pub fn page(&self, now: Instant, from: u32, most: u32) -> impl Iterator<Item = (u32, Entry)> + '_ {
        let places = self.table.places_from(from, most as usize);
        places.filter(move |place| self.is_live(now, *place)).map(|place| (place.0, self.view(place)))
    }

    /// The first place behind a page of `most` places that began at `from`; `None` if it was the last page.
    pub fn page_after(&self, from: u32, most: u32) -> Option<u32> {
        let next = from.saturating_add(most);
        ((next as usize) < self.table.room()).then_some(next)
    }

    /// The next dynamic addresses of a slot, at most `most`, and how to go on; `None` at the end. Each that is there all
    /// the while is met, some perhaps twice. Those that come later are news, and frozen ones are when they thaw.
    pub fn walk(
        &self,
        slot: Slot,
        from: Option<Reached>,
        most: usize,
    ) -> (Vec<(SegmentId, MacAddr)>, Option<Reached>) {
        let mut places = self.queues.places_from(&self.table, slot, from);
        let met = places.by_ref().take(most).map(|place| self.table[place].key);
        let met = met.map(|key| (key.segment(), key.mac())).collect();
        (met, places.next().map(|place| Reached::new(&self.table, place)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::super::tests::{fabric, port, segment};
    use super::super::{Fdb, Learn, LearnPolicy};
    use super::*;
    use crate::model::description::OnLimit;
    use crate::model::id::FabricId;

    #[test]
    fn pages_hold_each_address_once_and_end() {
        let (mut fdb, now) = (Fdb::new(), Instant::from_secs(1));
        for number in 0..1_000_u16 {
            let [high, low] = number.to_be_bytes();
            fdb.addresses.declare(segment(1), MacAddr([2, 0, 0, 0, high, low]), port(1));
        }
        let (mut seen, mut from, mut pages) = (BTreeSet::new(), Some(0), 0);
        while let Some(at) = from {
            let page: Vec<_> = fdb.addresses.page(now, at, 64).collect();
            assert!(page.len() <= 64);
            assert!(page.iter().all(|(place, entry)| *place >= at && seen.insert(entry.mac)));
            (from, pages) = (fdb.addresses.page_after(at, 64), pages + 1);
        }
        assert_eq!((seen.len(), pages), (1_000, 16));
        assert_eq!(fdb.addresses.page(now, u32::MAX, 64).count() + fdb.addresses.page(now, 0, 0).count(), 0);
    }

    fn mac(number: u16) -> MacAddr {
        let [high, low] = number.to_be_bytes();
        MacAddr([2, 0, 0, 0, high, low])
    }

    /// Whoever hears them all again, ages or forgets some in between.
    #[test]
    fn a_walk_meets_every_address_of_its_slot_that_stays() {
        let policy =
            |secs| LearnPolicy { ageing: Duration::from_secs(secs), limit: 4_096, on_limit: OnLimit::Evict };
        let mut fdb = Fdb::new();
        for number in 0..1_000 {
            let now = Instant::from_secs(u64::from(number / 300));
            let ageing = if number % 7 == 0 { 600 } else { 300 };
            fdb.learn(now, Learn::new(segment(1), mac(number), fabric(0, 8), policy(ageing)));
            fdb.learn(now, Learn::new(segment(2), mac(number), port(1), policy(300)));
        }
        let slot = Slot::Fabric(FabricId(0));
        let (mut met, mut from, mut steps) = (BTreeSet::new(), None, 0);
        loop {
            let (some, next) = fdb.addresses.walk(slot, from, 64);
            assert!(some.len() <= 64 && some.iter().all(|(on, _)| *on == segment(1)), "{some:?}");
            met.extend(some.into_iter().map(|(_, mac)| mac));
            (from, steps) = (next, steps + 1);
            // The next one is forgotten, and one of those that wait at the front is heard and goes to its place.
            let Some(next) = next else { break };
            let next = fdb.addresses.table[next.place].key.mac();
            fdb.addresses.forget(segment(1), next);
            if steps == 1 {
                fdb.addresses.touch(Instant::from_secs(100), segment(1), mac(1), Instant::from_secs(100));
                fdb.addresses.age(Instant::from_secs(302), 2_000);
            }
        }
        let left = fdb.addresses.entries().filter(|entry| entry.location == fabric(0, 8));
        let missed: Vec<MacAddr> = left.map(|entry| entry.mac).filter(|mac| !met.contains(mac)).collect();
        assert_eq!((missed, fdb.addresses.walk(slot, None, 0).0), (vec![], vec![]));
        assert!(steps >= 10, "{steps}");
    }
}
