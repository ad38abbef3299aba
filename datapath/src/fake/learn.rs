//! The tables of a datapath that switches by them, and how their addresses come and go.

use std::collections::{BTreeMap, HashMap, VecDeque};

use vlan::addr::MacAddr;
use vlan::fdb::ECHO;
use vlan::fdb::lifetime;
use vlan::fdb::reflect::Likeness;
use vlan::model::description::OnLimit;
use vlan::model::id::SegmentId;
use vlan::time::Instant;
use vlan::verdict::DropReason;

use super::host::Limits;
use crate::RefusalCause;
use crate::tables::{
    Address, AddressKind, Entry, EntryKey, ForgetCause, Generation, GroupId, LearnId, LearnRule, LimitId,
    PlaceId, TableChange, TableEvent, TableReport, TableReports, Tables,
};

#[derive(Debug, Default)]
pub(super) struct Learning {
    pub(super) tables: Tables,
    /// Number of the last batch of changes.
    generation: Generation,
    /// Addresses that count by each rule.
    counts: HashMap<LearnId, u32>,
    reports: VecDeque<TableReport>,
    lost: u64,
    /// When a frame last left by a trunk group.
    sent: BTreeMap<((SegmentId, MacAddr, Likeness), GroupId), Instant>,
}

/// A source address that a frame came with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sighting {
    pub(super) segment: SegmentId,
    pub(super) mac: MacAddr,
    pub(super) likeness: Likeness,
    pub(super) place: PlaceId,
    pub(super) learn: LearnId,
    pub(super) group: Option<GroupId>,
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
                let is_dynamic = matches!(address.kind, AddressKind::Dynamic(_));
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
        let Sighting { segment, mac, likeness, place, learn, group } = seen;
        let known = self.tables.addresses.get(&(segment, mac)).copied();
        match known.filter(|known| !self.is_over_age(now, known)) {
            Some(known) if known.place == place => {
                let is_dynamic = matches!(known.kind, AddressKind::Dynamic(_));
                let kind = if is_dynamic { AddressKind::Dynamic(learn) } else { known.kind };
                self.put((segment, mac), Address { kind, used: Some(now), ..known });
                Ok(())
            }
            Some(_) if group.is_some_and(|group| self.is_echo(now, (segment, mac, likeness), group)) => {
                let reason = DropReason::Reflected;
                self.report(TableEvent::Refused { segment, mac, place, learn, reason }, limits.reports);
                Err(reason)
            }
            Some(Address { kind: AddressKind::Held { reason, .. }, .. }) => {
                self.report(TableEvent::Refused { segment, mac, place, learn, reason }, limits.reports);
                Err(reason)
            }
            Some(known) if let Some(reason) = self.sticks_apart(&known, learn) => {
                self.report(TableEvent::Refused { segment, mac, place, learn, reason }, limits.reports);
                Err(reason)
            }
            Some(known) => {
                let event = TableEvent::Moved { segment, mac, from: known.place, to: place, learn };
                self.insert(now, seen, event, limits)
            }
            None => self.insert(now, seen, TableEvent::Learned { segment, mac, place, learn }, limits),
        }
    }

    fn insert(
        &mut self,
        now: Instant,
        seen: Sighting,
        event: TableEvent,
        limits: &Limits,
    ) -> Result<(), DropReason> {
        let Sighting { segment, mac, place, learn, group, .. } = seen;
        let Some(rule) = self.tables.learns.get(&learn).copied() else { return Ok(()) };
        if !self.has_room(seen, &rule, limits) && !self.makes_room(&rule, limits) {
            let reason = DropReason::AddressLimit;
            self.report(TableEvent::Refused { segment, mac, place, learn, reason }, limits.reports);
            if rule.on_limit == OnLimit::Drop {
                return Err(reason);
            }
            self.forget((segment, mac), ForgetCause::Left, limits.reports);
            return Ok(());
        }
        if group.is_some() {
            self.sent.retain(|((in_segment, of, _), _), _| (*in_segment, *of) != (segment, mac));
        }
        let (generation, used) = (self.generation, Some(now));
        self.put((segment, mac), Address { place, kind: AddressKind::Dynamic(learn), generation, used });
        self.report(event, limits.reports);
        Ok(())
    }

    /// Why a source that is not learned from may not be at a place: the address is held elsewhere or sticks there, or it is none of those
    /// that stick here.
    pub(super) fn keeps_out(&self, now: Instant, seen: Sighting) -> Option<DropReason> {
        let known = self.tables.addresses.get(&(seen.segment, seen.mac));
        match known.filter(|known| !self.is_over_age(now, known)) {
            Some(known) if known.place == seen.place => None,
            Some(Address { kind: AddressKind::Held { reason, .. }, .. }) => Some(*reason),
            Some(known) => self.sticks_apart(known, seen.learn),
            None => {
                let rule = self.tables.learns.get(&seen.learn).filter(|rule| rule.pins)?;
                (self.count(rule.limited_by) >= rule.limit).then_some(DropReason::AddressLimit)
            }
        }
    }

    /// Why an address that is known somewhere is not to be heard elsewhere by a rule: it is pinned, or all that are heard by that rule
    /// are. From one place of a rule to another it goes as it likes.
    fn sticks_apart(&self, known: &Address, learn: LearnId) -> Option<DropReason> {
        if matches!(known.kind, AddressKind::Dynamic(by) if by == learn) {
            return None;
        }
        if self.rule_of(known).is_some_and(|rule| rule.pins) {
            return Some(DropReason::Pinned);
        }
        self.tables.learns.get(&learn).is_some_and(|rule| rule.pins).then_some(DropReason::Sticky)
    }

    /// Notes that a frame leaves by a trunk group.
    pub(super) fn note_sent(&mut self, now: Instant, source: (SegmentId, MacAddr, Likeness), group: GroupId) {
        self.sent.insert((source, group), now);
    }

    fn is_echo(&self, now: Instant, source: (SegmentId, MacAddr, Likeness), group: GroupId) -> bool {
        self.sent.get(&(source, group)).is_some_and(|sent| now.since(*sent) <= ECHO)
    }

    fn has_room(&self, seen: Sighting, rule: &LearnRule, limits: &Limits) -> bool {
        match self.tables.addresses.get(&(seen.segment, seen.mac)) {
            Some(known) if self.limit_of(known) == Some(rule.limited_by) => true,
            Some(_) => self.count(rule.limited_by) < rule.limit,
            None => self.count(rule.limited_by) < rule.limit && self.tables.len() < limits.entries,
        }
    }

    fn makes_room(&mut self, rule: &LearnRule, limits: &Limits) -> bool {
        rule.limit > 0 && rule.on_limit == OnLimit::Evict && self.evict(rule.limited_by, limits.reports)
    }

    fn rule_of(&self, address: &Address) -> Option<&LearnRule> {
        match address.kind {
            AddressKind::Dynamic(learn) => self.tables.learns.get(&learn),
            AddressKind::Held { .. } => None,
        }
    }

    fn limit_of(&self, address: &Address) -> Option<LimitId> {
        self.rule_of(address).map(|rule| rule.limited_by)
    }

    /// Forgets the address of a limit that was not heard for longest; false if there is none.
    fn evict(&mut self, limit: LimitId, reports: usize) -> bool {
        let is_its = |address: &Address| self.limit_of(address) == Some(limit);
        let all = self.tables.addresses.iter().filter(|(_, address)| is_its(address));
        let Some(oldest) = all.min_by_key(|(key, address)| (address.used, **key)).map(|(key, _)| *key) else {
            return false;
        };
        self.forget(oldest, ForgetCause::Evicted, reports);
        true
    }

    /// Forgets what was not heard for its rule's ageing time, to the second.
    pub(super) fn age(&mut self, now: Instant, reports: usize) {
        self.sent.retain(|_, sent| now.since(*sent) <= ECHO);
        let all = self.tables.addresses.iter();
        let old: Vec<_> =
            all.filter(|(_, address)| self.is_over_age(now, address)).map(|(key, _)| *key).collect();
        for key in old {
            self.forget(key, ForgetCause::Aged, reports);
        }
    }

    fn is_over_age(&self, now: Instant, address: &Address) -> bool {
        let (Some(rule), Some(used)) = (self.rule_of(address), address.used) else { return false };
        lifetime::is_over(now, used, rule.ageing)
    }

    fn forget(&mut self, key: (SegmentId, MacAddr), cause: ForgetCause, reports: usize) {
        if let Some(address) = self.remove(key) {
            let (segment, mac) = key;
            self.report(TableEvent::Forgotten { segment, mac, place: address.place, cause }, reports);
        }
    }

    fn put(&mut self, key: (SegmentId, MacAddr), address: Address) {
        self.remove(key);
        if let Some(learn) = address.kind.counts_by() {
            *self.counts.entry(learn).or_default() += 1;
        }
        self.tables.put(Entry::Address(key.0, key.1, address));
    }

    fn remove(&mut self, key: (SegmentId, MacAddr)) -> Option<Address> {
        let address = self.tables.addresses.remove(&key)?;
        if let Some(learn) = address.kind.counts_by()
            && let Some(count) = self.counts.get_mut(&learn)
        {
            *count -= 1;
        }
        Some(address)
    }

    fn count(&self, limit: LimitId) -> u32 {
        let rules = self.tables.learns.iter().filter(|(_, rule)| rule.limited_by == limit);
        rules.map(|(learn, _)| self.counts.get(learn).copied().unwrap_or_default()).sum()
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
