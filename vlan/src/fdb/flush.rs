//! Forgetting many addresses at once.

use super::entry::{Entry, Gone, Kind};
use super::key::Key;
use super::place::Place;
use super::{Fdb, Slot};
use crate::addr::MacAddr;
use crate::model::id::{FabricId, HostId, Location, PortId, SegmentId};

impl Fdb {
    /// Forgets one learned address, as when a kernel that ages addresses by itself says that it did. A declared, remote or frozen one
    /// stays.
    pub fn forget(&mut self, segment: SegmentId, mac: MacAddr) -> Option<Gone> {
        let place = self.table.find(Key::new(segment, mac))?;
        let is_in_queue = self.queues.of(&self.table[place]).is_some();
        is_in_queue.then(|| self.remove(place))
    }

    /// Forgets what was learned behind a port that went down. Its declared addresses stay. Addresses that are elsewhere
    /// forget that they were there, so that none is frozen at a port that is down.
    pub fn flush_port(&mut self, port: PortId) -> Vec<Gone> {
        self.flush_slot(Slot::Port(port))
    }

    /// Forgets what was learned behind all trunks of a fabric.
    pub fn flush_fabric(&mut self, fabric: FabricId) -> Vec<Gone> {
        self.flush_slot(Slot::Fabric(fabric))
    }

    /// Forgets what is behind a host that is dead, but for declared addresses. Looks at every address.
    pub fn flush_host(&mut self, host: HostId) -> Vec<Gone> {
        let at = Location::Host(host);
        self.moves.retain_stays(|stay| stay.location != at);
        self.retain(|entry| entry.location != at || entry.kind == Kind::Declared)
    }

    /// Forgets all of a segment but its declared addresses. Looks at every address.
    pub fn flush_segment(&mut self, segment: SegmentId) -> Vec<Gone> {
        self.retain(|entry| entry.segment != segment || entry.kind == Kind::Declared)
    }

    /// Forgets every address for which `keep` is false, declared ones too.
    pub fn retain(&mut self, mut keep: impl FnMut(&Entry) -> bool) -> Vec<Gone> {
        let going: Vec<Place> = self.table.places().filter(|place| !keep(&self.view(*place))).collect();
        going.into_iter().map(|place| self.remove(place)).collect()
    }

    /// Evicts a slot's oldest until it has at most `limit` dynamic addresses: for a limit that was changed. Learning alone
    /// never goes over a limit, but replaces one by one where a slot is over it already. Frozen addresses stay.
    pub fn trim(&mut self, slot: Slot, limit: u32) -> Vec<Gone> {
        let mut gone = Vec::new();
        self.queues.set_limit(slot, limit);
        while self.count(slot) > limit
            && let Some(place) = self.queues.oldest(&mut self.table, crate::time::Instant::ZERO, slot)
        {
            self.counters.evicted += 1;
            gone.push(self.remove(place));
        }
        gone
    }

    fn flush_slot(&mut self, slot: Slot) -> Vec<Gone> {
        self.moves.note_flush(slot);
        let going = self.queues.places(&self.table, slot);
        going.into_iter().map(|place| self.remove(place)).collect()
    }
}
