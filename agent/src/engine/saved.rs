//! Learned addresses over a restart, by names: identifiers are another topology's by then.

use std::time::Duration;

use vlan::fdb::saved::Saved;
use vlan::model::id::{Location, SegmentId};
use vlan::model::port::Port;
use vlan::model::topology::Topology;
use vlan::time::Instant;
use vlan::vid::Vid;

use super::Engine;
use crate::input::SavedAddress;
use crate::output::SavedPiece;

/// How far the learned addresses have been gone over, to be saved.
#[derive(Debug, Default)]
pub(super) struct Saving {
    /// The place in the address table where it goes on; `None` between two rounds.
    from: Option<u32>,
    /// When the next round begins.
    due: Option<Instant>,
    number: usize,
    addresses: Vec<SavedAddress>,
}

impl Saving {
    /// When there is something to do.
    pub(super) fn next_due(&self) -> Option<Instant> {
        if self.from.is_some() { Some(Instant::ZERO) } else { self.due }
    }
}

impl Engine {
    /// The learned addresses.
    pub fn save(&self, now: Instant) -> Vec<SavedAddress> {
        self.switch.fdb.addresses.save(now).filter_map(|saved| self.by_name(&saved)).collect()
    }

    /// Goes on saving the learned addresses, some places of their table at a time, a piece whenever one is full.
    pub(super) fn save_on(&mut self, now: Instant) {
        let due = *self.saving.due.get_or_insert(now + SAVE_EVERY);
        let from = match self.saving.from {
            Some(from) => from,
            None if due <= now => 0,
            None => return,
        };
        let page = self.switch.fdb.addresses.page(now, from, PLACES_AT_ONCE);
        let saved = page.filter_map(|(_, entry)| self.by_name(&Saved::of(now, &entry)?));
        let page: Vec<SavedAddress> = saved.collect();
        self.saving.addresses.extend(page);
        self.saving.from = self.switch.fdb.addresses.page_after(from, PLACES_AT_ONCE);
        let is_last = self.saving.from.is_none();
        if is_last || self.saving.addresses.len() >= ADDRESSES_A_PIECE {
            let addresses = std::mem::take(&mut self.saving.addresses);
            let number = self.saving.number;
            let bound = if number == 0 { self.links.news_of_bound() } else { None };
            self.changes.save = Some(SavedPiece { number, addresses, is_last, bound });
            self.saving.number += 1;
        }
        if is_last {
            self.saving.number = 0;
            let pause = SAVE_EVERY * (1 + self.switch.fdb.addresses.len() as u32 / ADDRESSES_A_PAUSE);
            self.saving.due = Some(now + pause);
        }
    }

    /// An address by the names of its port; `None` if it has none here.
    fn by_name(&self, saved: &Saved) -> Option<SavedAddress> {
        let topology = self.switch.topology();
        let (port, vid) = witness(topology, saved.segment, saved.location)?;
        Some(SavedAddress {
            mac: saved.mac,
            port: port.name.clone(),
            vid,
            inner: topology.next_vid(saved.segment, port.bridge, vid).unwrap_or(0),
            age_ms: u64::try_from(saved.idle.as_millis()).unwrap_or(u64::MAX),
            mobility: saved.mobility,
        })
    }

    /// A saved address where it is in the topology in force; `None` if its port or VLAN is no more.
    pub(super) fn located(&self, saved: &SavedAddress) -> Option<Saved> {
        let topology = self.switch.topology();
        let port = topology.port_named(&saved.port)?;
        let next = Some(saved.inner).filter(|inner| *inner != 0);
        let segment = topology.locate(port.bridge, saved.vid, next)?.segment;
        let is_member = saved.vid.is_none_or(|vid| port.is_member(vid)) && port.host == self.switch.host();
        let location = match (port.group, saved.vid) {
            (Some(fabric), Some(vid)) => Location::Fabric { fabric, vid },
            (_, vid) => Location::Port { port: port.id, vid },
        };
        let idle = Duration::from_millis(saved.age_ms);
        let saved = Saved { segment, mac: saved.mac, location, idle, known: idle, mobility: saved.mobility };
        is_member.then_some(saved)
    }
}

/// A port that an address is behind, and the VLAN of its bridge; of a trunk group, any trunk.
fn witness(topology: &Topology, segment: SegmentId, location: Location) -> Option<(&Port, Option<Vid>)> {
    match location {
        Location::Port { port, vid } => Some((topology.port(port), vid)),
        Location::Fabric { fabric, vid } => {
            topology.trunk_on(segment.number, fabric, vid).map(|port| (port, Some(vid)))
        }
        Location::Host(_) => None,
    }
}

/// How often learned addresses are saved, for each [`ADDRESSES_A_PAUSE`] of them.
const SAVE_EVERY: Duration = Duration::from_secs(3);
const ADDRESSES_A_PAUSE: u32 = 20_000;
/// Places of the address table that are gone over for one input.
const PLACES_AT_ONCE: u32 = 1_000;
/// Addresses in a piece, and up to [`PLACES_AT_ONCE`] more: one record of the store has a limit.
const ADDRESSES_A_PIECE: usize = 10_000;
