//! Addresses that several ports have in turn, as the operator says: VRRP, HSRP, a VM that migrates. Each moves among its places, undamped,
//! and nowhere else. Where it is now is learned like that of any other.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::key::Key;
use super::place::Place;
use super::{Fdb, Gone};
use crate::addr::MacAddr;
use crate::model::id::{Location, SegmentId};

/// The places of each shared address.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared(FxHashMap<Key, SmallVec<[Location; 2]>>);

impl Shared {
    /// Where an address may be, if it is shared.
    pub(super) fn places(&self, key: Key) -> Option<&[Location]> {
        // Most networks have none, and then no frame pays for them.
        if self.0.is_empty() { None } else { self.0.get(&key).map(SmallVec::as_slice) }
    }

    /// A place where a shared address may be, if it may not be at `location`.
    pub(super) fn keeps_out(&self, key: Key, location: Location) -> Option<Location> {
        let places = self.places(key)?;
        if places.contains(&location) { None } else { places.first().copied() }
    }

    /// Has an address shared as it is elsewhere.
    pub(super) fn share_as(&mut self, other: &Shared, key: Key) {
        self.0.extend(other.0.get(&key).map(|places| (key, places.clone())));
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Fdb {
    /// Says that an address may be at a place as well as at those said before. If it is known elsewhere it is forgotten, and if it is
    /// frozen it may move.
    pub fn share(&mut self, segment: SegmentId, mac: MacAddr, location: Location) {
        let places = self.shared.0.entry(Key::new(segment, mac)).or_default();
        if !places.contains(&location) {
            places.push(location);
        }
    }

    /// Forgets shared addresses that are known where they may not be, and lets frozen ones move: after the last [`Fdb::share`].
    pub fn settle_shared(&mut self) -> Vec<Gone> {
        let known = self.shared.0.iter().filter_map(|(key, places)| {
            let place = self.table.find(*key)?;
            Some((place, places.contains(&self.table[place].location)))
        });
        let known: Vec<(Place, bool)> = known.collect();
        let mut gone = Vec::new();
        for (place, may_be_there) in known {
            self.release(place);
            if !may_be_there {
                gone.push(self.remove(place));
            }
        }
        gone
    }
}
