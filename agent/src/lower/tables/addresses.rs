//! Addresses: what the datapath should have, what it has as far as reports tell, and the changes between.

use std::collections::{BTreeMap, VecDeque};

use datapath::tables::{
    Address, AddressKind, Entry, EntryKey, Generation, LearnId, PlaceId, TableChange, Tables,
};
use vlan::addr::MacAddr;
use vlan::fdb::entry::{self, Kind};
use vlan::fdb::lifetime;
use vlan::fdb::refusal::Refused;
use vlan::model::id::{Location, SegmentId};
use vlan::model::port::Port;
use vlan::model::topology::Topology;
use vlan::switch::reason_of;
use vlan::time::Instant;
use vlan::verdict::DropReason;

use super::compile::Words;

/// A segment as the tables number it, and an address.
pub(super) type Key = (SegmentId, MacAddr);

/// The addresses that the datapath has.
#[derive(Debug, Clone, Default)]
pub(super) struct Mirror {
    known: BTreeMap<Key, Known>,
    /// Addresses that were deleted, by which batch: reports that are older may still be under way.
    deleted: BTreeMap<Key, Generation>,
    /// The same in the order of the batches.
    deletions: VecDeque<(Generation, Key)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    /// `None`: somewhere. It should be nowhere and could not be deleted.
    pub(super) place: Option<PlaceId>,
    pub(super) kind: AddressKind,
    /// The last batch that wrote it.
    written: Generation,
}

impl Known {
    /// The rule by which the datapath has learned it, or counts it.
    pub(super) fn learn(&self) -> Option<LearnId> {
        self.kind.counts_by()
    }
}

impl Mirror {
    pub(super) fn get(&self, key: Key) -> Option<Known> {
        self.known.get(&key).copied()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = Key> + '_ {
        self.known.keys().copied()
    }

    /// Whether an address was written or deleted by a batch after `generation`, so that a report of that time says nothing about it.
    pub(super) fn is_newer(&self, key: Key, generation: Generation) -> bool {
        let written = self.known.get(&key).map(|known| known.written);
        written.max(self.deleted.get(&key).copied()).is_some_and(|changed| changed > generation)
    }

    /// Reports come in order: after one of `generation` none older will come.
    pub(super) fn note_report(&mut self, generation: Generation) {
        while let Some((deleted, key)) = self.deletions.pop_front_if(|(deleted, _)| *deleted <= generation) {
            if self.deleted.get(&key) == Some(&deleted) {
                self.deleted.remove(&key);
            }
        }
    }

    /// The datapath has learned an address, or moved it, by itself.
    pub(super) fn learn(&mut self, key: Key, place: PlaceId, learn: LearnId) {
        let written = self.known.get(&key).map_or(Generation::default(), |known| known.written);
        let kind = AddressKind::Dynamic(learn);
        self.known.insert(key, Known { place: Some(place), kind, written });
    }

    /// The datapath has forgotten an address by itself.
    pub(super) fn forget(&mut self, key: Key) {
        self.known.remove(&key);
    }

    /// Takes the addresses of tables that were read back.
    pub(super) fn replace(&mut self, tables: &Tables) {
        let known = |address: &Address| Known {
            place: Some(address.place),
            kind: address.kind,
            written: address.generation,
        };
        self.known = tables.addresses.iter().map(|(key, address)| (*key, known(address))).collect();
        self.deleted.clear();
        self.deletions.clear();
    }

    /// The change that makes an address as `wanted`; it counts as made.
    pub(super) fn change_to(
        &mut self,
        generation: Generation,
        key: Key,
        wanted: Option<Address>,
    ) -> Option<TableChange> {
        let (segment, mac) = key;
        let Some(address) = wanted else {
            self.known.remove(&key)?;
            self.deleted.insert(key, generation);
            self.deletions.push_back((generation, key));
            return Some(TableChange::Delete(EntryKey::Address(segment, mac)));
        };
        let kind = address.kind;
        if self.get(key).is_some_and(|known| (known.place, known.kind) == (Some(address.place), kind)) {
            return None;
        }
        self.known.insert(key, Known { place: Some(address.place), kind, written: generation });
        Some(TableChange::Put(Entry::Address(segment, mac, Address { generation, ..address })))
    }

    /// A change was not made after all.
    pub(super) fn undo(&mut self, change: &TableChange) {
        match change {
            TableChange::Put(Entry::Address(segment, mac, _)) => drop(self.known.remove(&(*segment, *mac))),
            TableChange::Delete(EntryKey::Address(segment, mac)) => {
                let written = self.deleted.remove(&(*segment, *mac)).unwrap_or_default();
                let kind = AddressKind::Held { reason: DropReason::NotMember, counts_by: None };
                let known = Known { place: None, kind, written };
                self.known.insert((*segment, *mac), known);
            }
            _ => {}
        }
    }
}

/// An entry of the engine's table in the datapath's, at `place`, where it is `known` so far. `None` if there is no rule for it any
/// more. What is declared, remote or frozen is held: the datapath may not move it, and reports who tries. A frozen one takes room under
/// its port's limit, as in [`vlan::fdb::addresses::Addresses::count`].
pub(super) fn lower(
    topology: &Topology,
    words: &Words,
    now: Instant,
    entry: &entry::Entry,
    (place, known): (PlaceId, Option<Known>),
) -> Option<Address> {
    let rule = || rule(topology, words, entry, known.and_then(|known| known.learn()));
    let kind = match entry.kind {
        _ if entry.frozen_until.is_some_and(|until| now < until) => {
            AddressKind::Held { reason: DropReason::Frozen, counts_by: rule() }
        }
        Kind::Declared | Kind::Remote => {
            let reason = reason_of(topology, Refused::Pinned { at: entry.location });
            AddressKind::Held { reason, counts_by: None }
        }
        Kind::Dynamic => AddressKind::Dynamic(rule()?),
    };
    let used = (entry.used > Instant::ZERO).then_some(entry.used);
    Some(Address { place, kind, generation: Generation::default(), used })
}

/// Whether a learned address was not heard for its ageing time.
pub(super) fn is_over_age(now: Instant, entry: &entry::Entry) -> bool {
    let is_learned = entry.kind == Kind::Dynamic && entry.frozen_until.is_none();
    is_learned && lifetime::is_over(now, entry.used, entry.ageing)
}

/// The rule of a learned address: that of its port, or of a trunk of its group. Of several the one by which it was learned, if that has
/// its ageing time, else another that has.
fn rule(
    topology: &Topology,
    words: &Words,
    entry: &entry::Entry,
    learned_by: Option<LearnId>,
) -> Option<LearnId> {
    let is_its = |port: &Port| match entry.location {
        Location::Port { port: id, .. } => port.id == id,
        Location::Fabric { fabric, vid } => port.group == Some(fabric) && port.is_member(vid),
        Location::Host(_) => false,
    };
    let rules = words.learns.iter().map(|(learn, port)| (*learn, topology.port(*port)));
    let able = rules.filter(|(_, port)| is_its(port));
    let rank = |(learn, port): &(LearnId, &Port)| {
        let has_its_ageing = topology.bridge(port.bridge).ageing == entry.ageing;
        (!has_its_ageing, Some(*learn) != learned_by, *learn)
    };
    able.min_by_key(rank).map(|(learn, _)| learn)
}
