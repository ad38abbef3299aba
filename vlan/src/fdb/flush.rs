//! Forgetting many addresses at once.

use super::Slot;
use super::addresses::Addresses;
use super::entry::{Entry, Gone, Kind};
use super::key::Key;
use super::place::Place;
use crate::addr::MacAddr;
use crate::model::id::{HostId, Location, SegmentId};

impl Addresses {
    /// Forgets one learned address, as when a kernel that ages addresses by itself says that it did. A declared, remote or frozen one
    /// stays.
    pub fn forget(&mut self, segment: SegmentId, mac: MacAddr) -> Option<Gone> {
        let place = self.table.find(Key::new(segment, mac))?;
        let is_in_queue = self.queues.of(&self.table[place]).is_some();
        is_in_queue.then(|| self.remove(place))
    }

    /// Forgets what was learned behind a port that went down, or behind all trunks of a fabric. Its declared addresses stay. Addresses
    /// that are elsewhere forget that they were there, so that none is frozen at a port that is down.
    pub fn flush(&mut self, slot: Slot) -> Vec<Gone> {
        self.moves.note_flush(slot);
        let going = self.queues.places(&self.table, slot);
        going.into_iter().map(|place| self.remove(place)).collect()
    }

    /// Forgets what is behind a host that is dead, but for declared addresses. Looks at every address.
    pub fn flush_host(&mut self, host: HostId) -> Vec<Gone> {
        let at = Location::Host(host);
        self.moves.retain_stays(|stay| stay.location != at);
        self.retain(|entry| entry.location != at || entry.kind == Kind::Declared)
    }

    /// Forgets every address for which `keep` is false, declared ones too.
    pub fn retain(&mut self, mut keep: impl FnMut(&Entry) -> bool) -> Vec<Gone> {
        let going: Vec<Place> = self.table.places().filter(|place| !keep(&self.view(*place))).collect();
        going.into_iter().map(|place| self.remove(place)).collect()
    }
}
