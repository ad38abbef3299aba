//! Addresses that several ports have in turn, as the operator says: VRRP, HSRP, a VM that migrates. Each moves among its places, undamped,
//! and nowhere else. Where it is now is learned like that of any other.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::key::Key;
use crate::addr::MacAddr;
use crate::model::id::{Location, SegmentId};

/// The places of each shared address.
#[derive(Debug, Clone, Default)]
pub struct Shared(FxHashMap<Key, SmallVec<[Location; 2]>>);

impl Shared {
    /// Says that an address may be at a place as well as at those said before; see [`Fdb::settle_shared`](super::Fdb::settle_shared).
    pub fn allow(&mut self, segment: SegmentId, mac: MacAddr, location: Location) {
        let places = self.0.entry(Key::new(segment, mac)).or_default();
        if !places.contains(&location) {
            places.push(location);
        }
    }

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

    /// Every shared address, in no order.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> + '_ {
        self.0.keys().copied()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
