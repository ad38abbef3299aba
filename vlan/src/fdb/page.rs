//! Addresses a few at a time, for who shows them all: a look at a million of them in one piece would keep frames waiting.

use super::addresses::Addresses;
use super::entry::Entry;
use crate::time::Instant;

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
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::Fdb;
    use super::super::tests::{port, segment};
    use super::*;
    use crate::addr::MacAddr;

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
}
