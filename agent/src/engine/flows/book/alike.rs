//! Flows whose frames look alike when they come back from a fabric.

use std::collections::hash_map::{Entry, HashMap};
use std::hash::BuildHasher;

use datapath::flow::FlowId;
use smallvec::SmallVec;
use vlan::fdb::key::Seed;
use vlan::fdb::reflect::Echo;

use super::{Book, NO_SLOT, Record};

/// The flows that send frames into fabrics, by what these look like.
#[derive(Debug)]
pub(super) struct Alike {
    /// The last flow put of those whose frames look alike, by a hash; the others follow by `next_alike`.
    first: HashMap<u64, u32, Seed>,
    hashing: Seed,
}

impl Alike {
    pub(super) fn new(hashing: Seed) -> Alike {
        Alike { first: HashMap::with_hasher(hashing), hashing }
    }

    /// What a flow is found by that sends frames into fabrics.
    pub(super) fn hash_of(&self, record: &Record) -> Option<u64> {
        let source = record.source.filter(|_| !record.into_fabrics.is_empty())?;
        Some(self.hashing.hash_one((source.segment, source.mac, record.likeness)))
    }

    /// A flow is the last one put of a hash. Which was it before.
    pub(super) fn put_first(&mut self, hash: u64, slot: u32) -> Option<u32> {
        self.first.insert(hash, slot)
    }
}

/// Flows that may have sent a frame of which an echo is heard.
#[derive(Debug, Default)]
pub(in crate::engine) struct Suspects {
    /// At most [`MOST_ASKED`], the last ones put.
    pub(in crate::engine) flows: SmallVec<[FlowId; 2]>,
    /// Whether there may be others. Then it says nothing that none of these has sent it.
    pub(in crate::engine) may_be_more: bool,
}

impl Book {
    /// Flows that may have sent a frame of which an echo is heard.
    pub(in crate::engine) fn may_have_sent(&self, echo: &Echo) -> Suspects {
        let mut suspects = Suspects { flows: SmallVec::new(), may_be_more: self.eras.are_some_lost() };
        for dated in self.eras.ever(*echo) {
            let Echo { segment, mac, likeness, .. } = dated.echo;
            let hash = self.alike.hashing.hash_one((segment, mac, likeness));
            let mut next = self.alike.first.get(&hash).copied().unwrap_or(NO_SLOT);
            while let Some(slot) = self.records.get(next as usize) {
                let its = slot.record.as_ref().filter(|record| record.echoes().any(|its| its == dated));
                if its.is_some() && suspects.flows.len() == MOST_ASKED {
                    suspects.may_be_more = true;
                    return suspects;
                }
                suspects.flows.extend(its.map(|record| record.id));
                next = slot.next_alike;
            }
        }
        suspects
    }

    /// What may come back of a flow's frames, as it is called now; `None` where an earlier run has made it, and it was not looked over yet.
    pub(in crate::engine) fn echoes_of(&self, record: &Record) -> Option<SmallVec<[Echo; 1]>> {
        let echoes = record.echoes().filter_map(|dated| self.eras.today(dated));
        record.era.is_known().then(|| echoes.collect())
    }

    /// How many packets a flow had counted when it began to send what it sends now.
    pub(in crate::engine) fn turned_at(&self, flow: FlowId) -> u64 {
        self.get(flow).map_or(0, |record| record.turned_at)
    }

    /// A flow begins to send into another fabric, after so many packets.
    pub(in crate::engine) fn note_turned(&mut self, flow: FlowId, packets: u64) {
        if let Some(record) = self.get_mut(flow) {
            record.turned_at = packets;
        }
    }

    /// A flow of a hash is gone.
    pub(super) fn forget_likeness(&mut self, hash: u64, slot: u32) {
        let behind = std::mem::replace(&mut self.records[slot as usize].next_alike, NO_SLOT);
        let Entry::Occupied(mut first) = self.alike.first.entry(hash) else { return };
        let mut at = *first.get();
        if at == slot {
            if behind == NO_SLOT {
                first.remove();
            } else {
                first.insert(behind);
            }
            return;
        }
        while let Some(place) = self.records.get_mut(at as usize) {
            if place.next_alike == slot {
                place.next_alike = behind;
                return;
            }
            at = place.next_alike;
        }
    }
}

/// Flows that are asked for one frame: the last ones put of those that may have sent it. They differ in priorities and inner tags.
pub(in crate::engine) const MOST_ASKED: usize = 64;
