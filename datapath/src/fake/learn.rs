//! The tables of a datapath that switches by them, and how their addresses come and go.

use std::collections::{HashMap, VecDeque};

use vlan::addr::MacAddr;
use vlan::model::description::OnLimit;
use vlan::model::id::SegmentId;
use vlan::time::Instant;
use vlan::verdict::DropReason;

use super::host::Limits;
use crate::RefusalCause;
use crate::tables::{
    Address, AddressKind, Entry, EntryKey, ForgetCause, Generation, LimitId, PlaceId, TableChange,
    TableEvent, TableReport, TableReports, Tables,
};

#[derive(Debug, Default)]
pub(super) struct Learning {
    pub(super) tables: Tables,
    /// Number of the last batch of changes.
    generation: Generation,
    /// Dynamic addresses of each place.
    counts: HashMap<PlaceId, u32>,
    reports: VecDeque<TableReport>,
    lost: u64,
}

/// A source address that a frame came with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sighting {
    pub(super) segment: SegmentId,
    pub(super) mac: MacAddr,
    pub(super) place: PlaceId,
}

impl Learning {
    pub(super) fn change(
        &mut self,
        now: Instant,
        generation: Generation,
        change: TableChange,
        limit: usize,
    ) -> Result<(), RefusalCause> {
        self.generation = self.generation.max(generation);
        match change {
            TableChange::Put(entry) if !self.tables.contains(entry.key()) && self.tables.len() >= limit => {
                return Err(RefusalCause::TableFull);
            }
            TableChange::Put(Entry::Address(segment, mac, address)) => {
                let is_dynamic = address.kind == AddressKind::Dynamic;
                let used = address.used.or_else(|| is_dynamic.then_some(now));
                self.put((segment, mac), Address { used, generation, ..address });
            }
            TableChange::Put(entry) => self.tables.put(entry),
            TableChange::Delete(EntryKey::Address(segment, mac)) => drop(self.remove((segment, mac))),
            TableChange::Delete(key) => self.tables.delete(key),
        }
        Ok(())
    }

    /// Where an address is, if it is in the table and not over its age.
    pub(super) fn find(&self, now: Instant, segment: SegmentId, mac: MacAddr) -> Option<PlaceId> {
        let address = self.tables.addresses.get(&(segment, mac))?;
        (!self.is_over_age(now, address)).then_some(address.place)
    }

    /// Learns where a source address is.
    ///
    /// # Errors
    /// Why its frame is dropped.
    pub(super) fn learn(&mut self, now: Instant, seen: Sighting, limits: &Limits) -> Result<(), DropReason> {
        let Sighting { segment, mac, place } = seen;
        let known = self.tables.addresses.get(&(segment, mac)).copied();
        match known.filter(|known| !self.is_over_age(now, known)) {
            Some(known) if known.place == place => {
                self.refresh(seen, now);
                Ok(())
            }
            Some(Address { kind: AddressKind::Held(reason), .. }) => {
                self.report(TableEvent::Refused { segment, mac, place, reason }, limits.reports);
                Err(reason)
            }
            Some(known) => {
                let event = TableEvent::Moved { segment, mac, from: known.place, to: place };
                self.insert(now, seen, event, limits)
            }
            None => {
                let event = TableEvent::Learned { segment, mac, place };
                self.insert(now, seen, event, limits)
            }
        }
    }

    fn insert(
        &mut self,
        now: Instant,
        seen: Sighting,
        event: TableEvent,
        limits: &Limits,
    ) -> Result<(), DropReason> {
        let Sighting { segment, mac, place } = seen;
        let Some(rule) = self.tables.places.get(&place).copied() else { return Ok(()) };
        let is_known = self.tables.addresses.contains_key(&(segment, mac));
        let has_room = is_known || self.tables.len() < limits.entries;
        let is_full = self.count(rule.limited_by) >= rule.limit || !has_room;
        let makes_room = rule.on_limit == OnLimit::Evict;
        if is_full && !(makes_room && self.evict(rule.limited_by, limits.reports)) {
            let reason = DropReason::AddressLimit;
            self.report(TableEvent::Refused { segment, mac, place, reason }, limits.reports);
            return if rule.on_limit == OnLimit::Drop { Err(reason) } else { Ok(()) };
        }
        let (generation, used) = (self.generation, Some(now));
        self.put((segment, mac), Address { place, kind: AddressKind::Dynamic, generation, used });
        self.report(event, limits.reports);
        Ok(())
    }

    fn refresh(&mut self, seen: Sighting, now: Instant) {
        if let Some(address) = self.tables.addresses.get_mut(&(seen.segment, seen.mac)) {
            address.used = Some(now);
        }
    }

    /// Forgets the address of a limit that was not heard for longest; false if there is none.
    fn evict(&mut self, limit: LimitId, reports: usize) -> bool {
        let is_its = |address: &Address| {
            address.kind == AddressKind::Dynamic
                && self.tables.places.get(&address.place).is_some_and(|rule| rule.limited_by == limit)
        };
        let all = self.tables.addresses.iter().filter(|(_, address)| is_its(address));
        let Some(oldest) = all.min_by_key(|(key, address)| (address.used, **key)).map(|(key, _)| *key) else {
            return false;
        };
        self.forget(oldest, ForgetCause::Evicted, reports);
        true
    }

    /// Forgets what was not heard for its place's ageing time.
    pub(super) fn age(&mut self, now: Instant, reports: usize) {
        let all = self.tables.addresses.iter();
        let old: Vec<_> =
            all.filter(|(_, address)| self.is_over_age(now, address)).map(|(key, _)| *key).collect();
        for key in old {
            self.forget(key, ForgetCause::Aged, reports);
        }
    }

    fn is_over_age(&self, now: Instant, address: &Address) -> bool {
        let ageing = self.tables.places.get(&address.place).map(|rule| rule.ageing);
        let (AddressKind::Dynamic, Some(ageing), Some(used)) = (address.kind, ageing, address.used) else {
            return false;
        };
        !ageing.is_zero() && now.since(used) >= ageing
    }

    fn forget(&mut self, key: (SegmentId, MacAddr), cause: ForgetCause, reports: usize) {
        if let Some(address) = self.remove(key) {
            let (segment, mac) = key;
            self.report(TableEvent::Forgotten { segment, mac, place: address.place, cause }, reports);
        }
    }

    fn put(&mut self, key: (SegmentId, MacAddr), address: Address) {
        self.remove(key);
        if address.kind == AddressKind::Dynamic {
            *self.counts.entry(address.place).or_default() += 1;
        }
        self.tables.put(Entry::Address(key.0, key.1, address));
    }

    fn remove(&mut self, key: (SegmentId, MacAddr)) -> Option<Address> {
        let address = self.tables.addresses.remove(&key)?;
        if address.kind == AddressKind::Dynamic
            && let Some(count) = self.counts.get_mut(&address.place)
        {
            *count -= 1;
        }
        Some(address)
    }

    fn count(&self, limit: LimitId) -> u32 {
        let places = self.tables.places.iter().filter(|(_, rule)| rule.limited_by == limit);
        places.map(|(place, _)| self.counts.get(place).copied().unwrap_or_default()).sum()
    }

    /// Queues a report; the oldest is lost when too many wait.
    pub(super) fn report(&mut self, event: TableEvent, most: usize) {
        self.reports.push_back(TableReport { generation: self.generation, event });
        while self.reports.len() > most {
            self.reports.pop_front();
            self.lost += 1;
        }
    }

    pub(super) fn take_reports(&mut self, most: usize) -> TableReports {
        let count = self.reports.len().min(most);
        TableReports { reports: self.reports.drain(..count).collect(), lost: std::mem::take(&mut self.lost) }
    }
}
