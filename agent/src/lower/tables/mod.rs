//! The engine's decisions as the tables of a datapath that switches by itself ([`datapath::tables`]).
//!
//! ```text
//!   topology, port states, designation ──compile──► rules ────┐
//!                                                             ├── difference to what was written ──► TableBatch ──► datapath
//!   the engine's addresses ─────────────lower────► addresses ─┘                                                       │
//!        ▲                                                                                                            │
//!        └──────────── take ◄── TableReport (learned, moved, forgotten, refused, control) ◄───────────────────────────┘
//! ```
//! The forwarding plane decides, here as for single frames: `ways_in` asks it about one frame of each kind that a port tells apart,
//! `ways_out` about all frames of a kind. What becomes of a frame is then the same by tables as by flows, but for what a table cannot
//! know (reflected frames, too many moves): there the report comes first and the address is put right after it.
//!
//! **Who owns an address.** Declared, remote and frozen addresses are the engine's and written as held. Learned ones are the
//! datapath's: the engine hears of them, and writes one only to put it right, or because it remembers it from before. It does not
//! age them; the datapath does, and tells.
//!
//! **What is owed.** Whoever changes the engine's state says so to the writer, as to any [`Lowering`]; reports and walks say so themselves.
//! [`TableWriter::owed`] then comes to the difference.
//!
//! Numbers are given by name (`names`), so that a change of the topology changes only the entries that it is about. A change of a
//! port's state or of the designation compiles all rules anew; only differences are written.

mod addresses;
mod compile;
mod names;
mod reports;
mod ways_in;
mod ways_out;

use std::collections::{BTreeMap, BTreeSet};

use datapath::flow::{MeterId, MeterRate};
use datapath::port::VportNo;
use datapath::tables::{Address, EntryKey, Generation, TableChange, Tables};
use vlan::addr::MacAddr;
use vlan::fdb::Fdb;
use vlan::model::id::{PortId, SegmentId};
use vlan::model::topology::Topology;
use vlan::switch::Switch;
use vlan::time::Instant;
use vlan::verdict::Dependency;

use self::addresses::{Key, Mirror};
use self::compile::{Compiled, Words};
use self::names::Names;
pub use self::reports::Lesson;
use super::Lowering;

/// What one host's datapath has, and what is to be written into it.
#[derive(Debug, Clone, Default)]
pub struct TableWriter {
    names: Names,
    words: Words,
    /// The rules that were written; no addresses.
    rules: Tables,
    meters: BTreeMap<MeterId, MeterRate>,
    mirror: Mirror,
    generation: Generation,
    /// Entries that could not be deleted.
    undeleted: BTreeSet<EntryKey>,
    spoiled: Spoiled,
}

/// What of the engine's state is another than when it was written.
#[derive(Debug, Clone, Default)]
struct Spoiled {
    is_all: bool,
    are_rules: bool,
    addresses: BTreeSet<(SegmentId, MacAddr)>,
}

/// Rules rest on ports, on who is a member of a segment, on who carries a VLAN and on which hosts are alive; addresses are entries of their
/// own.
impl Lowering for TableWriter {
    fn spoil(&mut self, state: Dependency) {
        match state {
            Dependency::Address(segment, mac) => drop(self.spoiled.addresses.insert((segment, mac))),
            Dependency::Port(_)
            | Dependency::Segment(_)
            | Dependency::Designation(..)
            | Dependency::Host(_) => {
                self.spoiled.are_rules = true;
            }
        }
    }

    fn spoil_all(&mut self) {
        self.spoiled.is_all = true;
    }
}

/// Changes to be written together: first meters are set, then entries changed, then unused meters deleted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableBatch {
    /// Their number.
    pub generation: Generation,
    /// Meters to be set.
    pub meters: Vec<(MeterId, MeterRate)>,
    /// Entries to be written and deleted, in order.
    pub changes: Vec<TableChange>,
    /// Meters to be deleted.
    pub unused_meters: Vec<MeterId>,
}

impl TableBatch {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.meters.is_empty() && self.changes.is_empty() && self.unused_meters.is_empty()
    }
}

impl TableWriter {
    /// For a datapath with empty tables, for which everything is owed.
    pub fn new() -> TableWriter {
        let mut writer = TableWriter::default();
        writer.spoil_all();
        writer
    }

    /// What is to be written since state was spoiled: of rules and addresses what is otherwise by now. Before the topology is changed, the
    /// datapath is [walked](Self::walk): an address that is on another segment then is written with the age that the engine knows.
    pub fn owed(
        &mut self,
        now: Instant,
        switch: &Switch,
        vport_of: impl Fn(PortId) -> Option<VportNo>,
    ) -> TableBatch {
        let Spoiled { is_all, are_rules, addresses } = std::mem::take(&mut self.spoiled);
        let mut batch = self.start();
        if is_all || are_rules {
            let compiled = compile::compile(&switch.state(), &vport_of, &mut self.names);
            // Addresses are written in the words of the new rules.
            self.words = compiled.words.clone();
            let changes = match is_all {
                true => self.all_address_changes(now, switch, batch.generation),
                false => self.address_changes(now, switch, addresses, batch.generation),
            };
            self.rule_changes(compiled, changes, &mut batch);
        } else {
            batch.changes = self.address_changes(now, switch, addresses, batch.generation);
        }
        self.finish(batch)
    }

    /// A change was refused: the next difference has it again.
    pub fn refused(&mut self, change: &TableChange) {
        self.mirror.undo(change);
        match change {
            TableChange::Put(entry) => self.rules.delete(entry.key()),
            TableChange::Delete(EntryKey::Address(..)) => {}
            TableChange::Delete(key) => drop(self.undeleted.insert(*key)),
        }
    }

    /// Setting a meter was refused: the next difference has it again.
    pub fn refused_meter(&mut self, meter: MeterId) {
        self.meters.remove(&meter);
    }

    /// What was written, but for addresses: what the datapath has too, if all of it was done.
    pub fn written(&self) -> &Tables {
        &self.rules
    }

    /// The port that a vport was when rules were last made.
    pub fn port_of(&self, vport: VportNo) -> Option<PortId> {
        self.words.vports.get(&vport).copied()
    }

    fn start(&self) -> TableBatch {
        TableBatch { generation: Generation(self.generation.0 + 1), ..TableBatch::default() }
    }

    fn finish(&mut self, batch: TableBatch) -> TableBatch {
        if !batch.is_empty() {
            self.generation = batch.generation;
        }
        batch
    }

    /// New rules, then addresses, then old rules go: no frame meets an address whose place has no route yet.
    fn rule_changes(&mut self, compiled: Compiled, addresses: Vec<TableChange>, batch: &mut TableBatch) {
        let Compiled { tables, meters, words } = compiled;
        let changes = self.rules.changes_to(&tables);
        let (puts, deletes): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|change| matches!(change, TableChange::Put(_)));
        let undeleted = std::mem::take(&mut self.undeleted).into_iter().filter(|key| !tables.contains(*key));
        batch.changes.extend(puts);
        batch.changes.extend(addresses);
        batch.changes.extend(deletes);
        batch.changes.extend(undeleted.map(TableChange::Delete));
        batch.meters.extend(
            meters
                .iter()
                .filter(|(id, rate)| self.meters.get(id) != Some(rate))
                .map(|(id, rate)| (*id, *rate)),
        );
        batch.unused_meters.extend(self.meters.keys().filter(|id| !meters.contains_key(id)));
        (self.rules, self.meters, self.words) = (tables, meters, words);
    }

    fn address_changes(
        &mut self,
        now: Instant,
        switch: &Switch,
        addresses: BTreeSet<(SegmentId, MacAddr)>,
        generation: Generation,
    ) -> Vec<TableChange> {
        let mut changes = Vec::new();
        for (segment, mac) in addresses {
            let Some(number) = self.words.in_tables(segment) else { continue };
            let wanted = self.wanted(now, switch.topology(), &switch.fdb, (segment, mac));
            changes.extend(self.mirror.change_to(generation, (number, mac), wanted));
        }
        changes
    }

    fn all_address_changes(
        &mut self,
        now: Instant,
        switch: &Switch,
        generation: Generation,
    ) -> Vec<TableChange> {
        let (topology, fdb) = (switch.topology(), &switch.fdb);
        let mut wanted: BTreeMap<Key, Option<Address>> = self.mirror.keys().map(|key| (key, None)).collect();
        for entry in fdb.addresses.entries() {
            if let Some(segment) = self.words.in_tables(entry.segment) {
                let address = self.wanted(now, topology, fdb, (entry.segment, entry.mac));
                wanted.insert((segment, entry.mac), address);
            }
        }
        let change = |(key, wanted)| self.mirror.change_to(generation, key, wanted);
        wanted.into_iter().filter_map(change).collect()
    }

    /// How the datapath should have an address. What is over its age as far as the engine knows is not written, but not taken
    /// away either: the datapath may have heard it since.
    fn wanted(
        &mut self,
        now: Instant,
        topology: &Topology,
        fdb: &Fdb,
        (segment, mac): (SegmentId, MacAddr),
    ) -> Option<Address> {
        // At time zero nothing is over its age.
        let entry = fdb.addresses.entry(Instant::ZERO, segment, mac)?;
        let known = self.mirror.get((self.words.in_tables(segment)?, mac));
        let place = self.words.place(&mut self.names, entry.location)?;
        let address = addresses::lower(topology, &self.words, now, &entry, (place, known))?;
        let is_there = known.is_some_and(|known| known.place == Some(address.place));
        (is_there || !addresses::is_over_age(now, &entry)).then_some(address)
    }
}
