//! Entries, their keys, and whole tables with the difference between two of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vlan::addr::MacAddr;
use vlan::model::id::SegmentId;

use super::address::{Address, LearnId, LearnRule, PlaceId};
use super::exit::{AttachmentId, AttachmentRule, Route};
use super::ingress::{Arrives, Ingress, PortRule};
use crate::port::VportNo;

/// A change of one entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TableChange {
    /// Write it, over the one with the same key if there is one.
    Put(Entry),
    /// Delete it; one that is not there is no error.
    Delete(EntryKey),
}

impl TableChange {
    /// The key of the entry that it is about.
    pub fn key(&self) -> EntryKey {
        match self {
            TableChange::Put(entry) => entry.key(),
            TableChange::Delete(key) => *key,
        }
    }
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// What holds for a port.
    Port(VportNo, PortRule),
    /// What becomes of frames that arrive at a port in some way.
    Ingress(VportNo, Arrives, Ingress),
    /// Where frames go that came in by an attachment.
    Attachment(AttachmentId, AttachmentRule),
    /// Where frames go from an attachment to a place.
    Route(AttachmentId, PlaceId, Route),
    /// How addresses are learned.
    Learn(LearnId, LearnRule),
    /// Where an address is.
    Address(SegmentId, MacAddr, Address),
}

/// The key of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EntryKey {
    /// Of [`Entry::Port`].
    Port(VportNo),
    /// Of [`Entry::Ingress`].
    Ingress(VportNo, Arrives),
    /// Of [`Entry::Attachment`].
    Attachment(AttachmentId),
    /// Of [`Entry::Route`].
    Route(AttachmentId, PlaceId),
    /// Of [`Entry::Learn`].
    Learn(LearnId),
    /// Of [`Entry::Address`].
    Address(SegmentId, MacAddr),
}

impl Entry {
    /// Its key.
    pub fn key(&self) -> EntryKey {
        match self {
            Entry::Port(vport, _) => EntryKey::Port(*vport),
            Entry::Ingress(vport, arrives, _) => EntryKey::Ingress(*vport, *arrives),
            Entry::Attachment(id, _) => EntryKey::Attachment(*id),
            Entry::Route(from, to, _) => EntryKey::Route(*from, *to),
            Entry::Learn(id, _) => EntryKey::Learn(*id),
            Entry::Address(segment, mac, _) => EntryKey::Address(*segment, *mac),
        }
    }
}

/// All tables of a datapath.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Entry>", into = "Vec<Entry>")]
pub struct Tables {
    /// By arrival vport.
    pub ports: BTreeMap<VportNo, PortRule>,
    /// By arrival vport and front tags.
    pub ingress: BTreeMap<(VportNo, Arrives), Ingress>,
    /// By way in.
    pub attachments: BTreeMap<AttachmentId, AttachmentRule>,
    /// By way in and place of the destination.
    pub routes: BTreeMap<(AttachmentId, PlaceId), Route>,
    /// By number.
    pub learns: BTreeMap<LearnId, LearnRule>,
    /// By segment and address.
    pub addresses: BTreeMap<(SegmentId, MacAddr), Address>,
}

impl Tables {
    /// Writes an entry.
    pub fn put(&mut self, entry: Entry) {
        match entry {
            Entry::Port(vport, rule) => drop(self.ports.insert(vport, rule)),
            Entry::Ingress(vport, arrives, ingress) => drop(self.ingress.insert((vport, arrives), ingress)),
            Entry::Attachment(id, rule) => drop(self.attachments.insert(id, rule)),
            Entry::Route(from, to, route) => drop(self.routes.insert((from, to), route)),
            Entry::Learn(id, rule) => drop(self.learns.insert(id, rule)),
            Entry::Address(segment, mac, address) => drop(self.addresses.insert((segment, mac), address)),
        }
    }

    /// Deletes an entry; one that is not there is no error.
    pub fn delete(&mut self, key: EntryKey) {
        match key {
            EntryKey::Port(vport) => drop(self.ports.remove(&vport)),
            EntryKey::Ingress(vport, arrives) => drop(self.ingress.remove(&(vport, arrives))),
            EntryKey::Attachment(id) => drop(self.attachments.remove(&id)),
            EntryKey::Route(from, to) => drop(self.routes.remove(&(from, to))),
            EntryKey::Learn(id) => drop(self.learns.remove(&id)),
            EntryKey::Address(segment, mac) => drop(self.addresses.remove(&(segment, mac))),
        }
    }

    /// Whether there is an entry with this key.
    pub fn contains(&self, key: EntryKey) -> bool {
        match key {
            EntryKey::Port(vport) => self.ports.contains_key(&vport),
            EntryKey::Ingress(vport, arrives) => self.ingress.contains_key(&(vport, arrives)),
            EntryKey::Attachment(id) => self.attachments.contains_key(&id),
            EntryKey::Route(from, to) => self.routes.contains_key(&(from, to)),
            EntryKey::Learn(id) => self.learns.contains_key(&id),
            EntryKey::Address(segment, mac) => self.addresses.contains_key(&(segment, mac)),
        }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.ports.len()
            + self.ingress.len()
            + self.attachments.len()
            + self.routes.len()
            + self.learns.len()
            + self.addresses.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What a frame meets last comes first: rules of learning, routes, attachments and addresses before the admissions and ports that lead there.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        let learns = self.learns.iter().map(|(id, rule)| Entry::Learn(*id, *rule));
        let routes = self.routes.iter().map(|((from, to), route)| Entry::Route(*from, *to, route.clone()));
        let attachments = self.attachments.iter().map(|(id, rule)| Entry::Attachment(*id, rule.clone()));
        let addresses =
            self.addresses.iter().map(|((segment, mac), address)| Entry::Address(*segment, *mac, *address));
        let ingress = self.ingress.iter().map(|((vport, arrives), to)| Entry::Ingress(*vport, *arrives, *to));
        let ports = self.ports.iter().map(|(vport, rule)| Entry::Port(*vport, rule.clone()));
        learns.chain(routes).chain(attachments).chain(addresses).chain(ingress).chain(ports)
    }

    /// The changes that make these tables into `desired`, addresses left alone. Frames that would have to go elsewhere are never let
    /// in by an old rule and out by a missing one: new entries come before those that lead to them, and old ones go after.
    pub fn changes_to(&self, desired: &Tables) -> Vec<TableChange> {
        let learns = new(&self.learns, &desired.learns).map(|(id, rule)| Entry::Learn(*id, *rule));
        let routes = new(&self.routes, &desired.routes)
            .map(|((from, to), route)| Entry::Route(*from, *to, route.clone()));
        let attachments = new(&self.attachments, &desired.attachments)
            .map(|(id, rule)| Entry::Attachment(*id, rule.clone()));
        let ingress = new(&self.ingress, &desired.ingress)
            .map(|((vport, arrives), to)| Entry::Ingress(*vport, *arrives, *to));
        let ports = new(&self.ports, &desired.ports).map(|(vport, rule)| Entry::Port(*vport, rule.clone()));
        let puts = learns.chain(routes).chain(attachments).chain(ingress).chain(ports);
        puts.map(TableChange::Put).chain(self.stale(desired).map(TableChange::Delete)).collect()
    }

    /// The keys of rules that are not desired, in the order in which they go.
    fn stale<'a>(&'a self, desired: &'a Tables) -> impl Iterator<Item = EntryKey> + 'a {
        let ports = old(&self.ports, &desired.ports).map(|vport| EntryKey::Port(*vport));
        let ingress =
            old(&self.ingress, &desired.ingress).map(|(vport, arrives)| EntryKey::Ingress(*vport, *arrives));
        let attachments = old(&self.attachments, &desired.attachments).map(|id| EntryKey::Attachment(*id));
        let routes = old(&self.routes, &desired.routes).map(|(from, to)| EntryKey::Route(*from, *to));
        let learns = old(&self.learns, &desired.learns).map(|id| EntryKey::Learn(*id));
        ports.chain(ingress).chain(attachments).chain(routes).chain(learns)
    }
}

/// What is in `to` and not the same in `from`.
fn new<'a, K: Ord, V: PartialEq>(
    from: &'a BTreeMap<K, V>,
    to: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (&'a K, &'a V)> {
    to.iter().filter(|(key, value)| from.get(key) != Some(value))
}

/// The keys of `from` that are not in `to`.
fn old<'a, K: Ord, V>(from: &'a BTreeMap<K, V>, to: &'a BTreeMap<K, V>) -> impl Iterator<Item = &'a K> {
    from.keys().filter(|key| !to.contains_key(key))
}

impl From<Vec<Entry>> for Tables {
    fn from(entries: Vec<Entry>) -> Tables {
        let mut tables = Tables::default();
        entries.into_iter().for_each(|entry| tables.put(entry));
        tables
    }
}

impl From<Tables> for Vec<Entry> {
    fn from(tables: Tables) -> Vec<Entry> {
        tables.entries().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::{Exit, PortGate};
    use vlan::verdict::DropReason;

    fn tables(vports: std::ops::Range<u32>) -> Tables {
        let mut tables = Tables::default();
        for no in vports {
            let rule =
                PortRule { gate: PortGate::Open, macs: Vec::new(), drops_tags: false, controls: Vec::new() };
            tables.put(Entry::Port(VportNo(no), rule));
            let ingress = Ingress::Drop(DropReason::VlanNotAllowed);
            tables.put(Entry::Ingress(VportNo(no), Arrives::Untagged, ingress));
            let route = Route::By(vec![Exit::unchanged(VportNo(no))]);
            tables.put(Entry::Route(AttachmentId(0), PlaceId(no), route));
        }
        tables
    }

    #[test]
    fn the_difference_makes_one_into_the_other() {
        let (mut from, to) = (tables(1..4), tables(2..7));
        let changes = from.changes_to(&to);
        assert_eq!(changes.len(), 3 * 3 + 3, "three new ports, one old, three entries each");
        for change in changes {
            match change {
                TableChange::Put(entry) => from.put(entry),
                TableChange::Delete(key) => from.delete(key),
            }
        }
        assert_eq!(from, to);
        assert_eq!(from.changes_to(&to), []);
    }

    #[test]
    fn a_port_opens_after_its_routes_and_closes_before_them() {
        let kinds = |changes: Vec<TableChange>| -> Vec<u8> {
            let kind = |key| match key {
                EntryKey::Route(..) => 0,
                EntryKey::Ingress(..) => 1,
                _ => 2,
            };
            let key = |change: &TableChange| match change {
                TableChange::Put(entry) => entry.key(),
                TableChange::Delete(key) => *key,
            };
            changes.iter().map(|change| kind(key(change))).collect()
        };
        assert_eq!(kinds(Tables::default().changes_to(&tables(1..2))), [0, 1, 2]);
        assert_eq!(kinds(tables(1..2).changes_to(&Tables::default())), [2, 1, 0]);
    }

    #[test]
    fn tables_are_read_back_from_their_entries() {
        let before = tables(1..3);
        assert_eq!(Tables::from(Vec::from(before.clone())), before);
    }
}
