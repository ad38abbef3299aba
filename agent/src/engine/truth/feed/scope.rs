//! Which segments this host hears words of, and what becomes of addresses when the topology or who carries a VLAN is another.

use std::collections::{BTreeMap, BTreeSet};

use nsdb::{AddressKey, Mac};
use vlan::addr::MacAddr;
use vlan::fdb::Slot;
use vlan::fdb::entry::{Entry, Kind};
use vlan::fdb::page::Reached;
use vlan::model::id::{FabricId, HostId};
use vlan::model::topology::Topology;
use vlan::model::vnis::Origin;
use vlan::verdict::Dependency;

use super::pace::Pace;
use super::{Feed, Hearing, vni_of};
use crate::engine::outbox::Outbox;
use crate::lower::Lowering;
use crate::output::Output;

/// How far all words and addresses have been gone over, to be settled.
#[derive(Debug, Default)]
pub(super) struct Looking {
    /// The segment and the word behind which it goes on.
    behind: Option<(u32, Option<(u16, Mac)>)>,
    /// The place in the address table where it goes on; `None` when that is done.
    from: Option<u32>,
    /// Fabrics whose addresses are gone over, and how far that is.
    fabrics: BTreeMap<FabricId, Option<Reached>>,
}

impl Looking {
    /// Whether there is anything left to go over.
    pub(super) fn is_any(&self) -> bool {
        self.behind.is_some() || self.from.is_some() || !self.fabrics.is_empty()
    }
}

impl Feed {
    /// Goes by another topology. Words of segments that are still shared stay.
    pub(in crate::engine::truth) fn change(&mut self, topology: &Topology, host: HostId) {
        self.own = topology.host_number(host).unwrap_or_default();
        let wanted = if self.own == 0 { BTreeSet::new() } else { shared(topology, host) };
        let before = self.segments.len();
        self.segments.retain(|vni, _| wanted.contains(vni));
        let is_less = self.segments.len() < before;
        let had = self.segments.len();
        for vni in wanted {
            self.segments.entry(vni).or_default();
        }
        self.is_to_follow |= is_less || self.segments.len() > had;
        self.unheard = self.segments.values().filter(|segment| !segment.is_heard).count();
        // All addresses are settled anew.
        self.pace = Pace::default();
        let segments = &self.segments;
        self.asking.retain(|key| segments.contains_key(&vni_of(key)));
        // Where nothing is shared any more, what others had is to be forgotten.
        let is_to_look = before > 0 || !self.segments.is_empty();
        let first = self.segments.keys().next();
        let behind = first.map(|first| (*first, None));
        self.looking = Looking { behind, from: is_to_look.then_some(0), ..Looking::default() };
    }

    /// This host carries a VLAN of a fabric from now on. What it knows behind that fabric from before may be nobody's word.
    pub(in crate::engine::truth) fn look_behind(&mut self, fabric: FabricId) {
        if !self.segments.is_empty() {
            self.looking.fabrics.insert(fabric, None);
        }
    }

    /// Has the store followed for other segments than before.
    pub(in crate::engine) fn follow(&mut self, outbox: &mut Outbox) {
        if std::mem::take(&mut self.is_to_follow) {
            outbox.push(Output::Follow(self.segments.keys().copied().collect()));
        }
    }
}

impl<L: Lowering> Hearing<'_, L> {
    /// Goes on through all words and addresses after the topology has become another, and through those behind fabrics.
    pub(super) fn look_at_all(&mut self) {
        self.look_at_words();
        self.look_at_addresses();
        self.look_behind_fabrics();
    }

    fn look_at_addresses(&mut self) {
        let Some(from) = self.truth.feed.looking.from else { return };
        let addresses = &self.truth.switch.fdb.addresses;
        let entries: Vec<Entry> =
            addresses.page(self.now, from, LOOKED_AT_ONCE as u32).map(|(_, entry)| entry).collect();
        let next = addresses.page_after(from, LOOKED_AT_ONCE as u32);
        entries.iter().for_each(|entry| self.look_at(entry));
        self.truth.feed.looking.from = next;
    }

    fn look_behind_fabrics(&mut self) {
        let Some((fabric, from)) = self.truth.feed.looking.fabrics.pop_first() else { return };
        let addresses = &mut self.truth.switch.fdb.addresses;
        let (known, next) = addresses.walk(Slot::Fabric(fabric), from, LOOKED_AT_ONCE);
        known.into_iter().for_each(|(segment, mac)| addresses.news.add(segment, mac));
        if next.is_some() {
            self.truth.feed.looking.fabrics.insert(fabric, next);
        }
    }

    fn look_at_words(&mut self) {
        let feed = &self.truth.feed;
        let Some((vni, behind)) = feed.looking.behind else { return };
        let words = feed.segments.get(&vni).into_iter().flat_map(|segment| segment.words.behind(behind));
        let keys: Vec<AddressKey> = words.take(LOOKED_AT_ONCE).map(|word| word.key).collect();
        let next = match keys.last() {
            Some(last) => Some((vni, Some((last.inner, last.mac)))),
            None => feed.segments.range(vni + 1..).next().map(|(vni, _)| (*vni, None)),
        };
        keys.iter().for_each(|key| self.note(key));
        self.truth.feed.looking.behind = next;
    }

    /// An address is settled if its segment is shared. If it is not any more, nobody tells when another host has it no longer.
    fn look_at(&mut self, entry: &Entry) {
        let Entry { segment, mac, location, kind, .. } = *entry;
        let is_shared = self.truth.feed.key_of(self.truth.switch.topology(), segment, mac).is_some();
        let addresses = &mut self.truth.switch.fdb.addresses;
        if is_shared {
            addresses.news.add(segment, mac);
        } else if kind == Kind::Remote && addresses.withdraw(segment, mac, location).is_some() {
            self.lowering.spoil(Dependency::Address(segment, mac));
        }
    }

    /// An address is to be settled.
    pub(super) fn note(&mut self, key: &AddressKey) {
        if let Some(segment) = self.segment_of(key) {
            self.truth.switch.fdb.addresses.news.add(segment, MacAddr(key.mac.0));
        }
    }
}

/// The VNIs of the segments that a host shares with other l2gw hosts.
fn shared(topology: &Topology, host: HostId) -> BTreeSet<u32> {
    let is_shared = |number: &u32| {
        let hosts = topology.hosts_of(*number);
        let others = || hosts.iter().any(|other| *other != host && !topology.is_vtep(*other));
        hosts.binary_search(&host).is_ok() && others()
    };
    let numbers = (0..topology.segments().len() as u32).filter(is_shared);
    numbers.filter_map(|number| topology.vni(number, Origin::Plain)).collect()
}

/// Words, and places of the address table, that are gone over for one input.
const LOOKED_AT_ONCE: usize = 500;
