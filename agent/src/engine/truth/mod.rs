//! What is so on this host, whatever a datapath was told of it: topology, designation and addresses (`vlan`'s switch), which link is which
//! port and whether it forwards; and what of it an operator was told.
//!
//! What changes is said to the [`Lowering`] that rests on it, by the piece of state that has become another.

use std::sync::Arc;

use vlan::designation::TrunkGroups;
use vlan::fdb::reflect::Echo;
use vlan::model::id::{HostId, Location, PortId};
use vlan::model::topology::Topology;
use vlan::switch::Switch;
use vlan::time::Instant;
use vlan::verdict::{Dependency, Seen};

use super::Settings;
use super::telling::Telling;
use crate::counters::PortKey;
use crate::lower::Lowering;
use crate::view::OtherHosts;

use addresses::spoil_addresses;
use blocks::Blocks;
use feed::Feed;
use links::Links;
use overlay::Overlay;
use peers::Others;

mod addresses;
mod bind;
pub(super) mod blocks;
mod change;
pub(super) mod claims;
pub(super) mod feed;
pub(super) mod links;
mod overlay;
mod peers;
pub(super) mod standing;
#[cfg(test)]
mod tests;

/// What is so.
#[derive(Debug)]
pub(super) struct Truth {
    /// Which host of a topology this is.
    host: String,
    pub(super) switch: Switch,
    pub(super) links: Links,
    pub(super) overlay: Overlay,
    pub(super) others: Others,
    pub(super) feed: Feed,
    pub(super) blocks: Blocks,
    pub(super) telling: Telling,
    /// Which trunks a VLAN's is chosen among.
    trunks: TrunkGroups,
    /// By port identifier of the topology in force.
    pub(super) keys: Vec<PortKey>,
    /// By host identifier: what came from it.
    host_keys: Vec<PortKey>,
    /// What came by the tunnel from no host.
    pub(super) stranger: PortKey,
}

impl Truth {
    /// Nothing is known.
    pub(super) fn new(settings: &Settings) -> Truth {
        let mut links = Links::default();
        links.bound.remember(&settings.bound);
        Truth {
            host: settings.host.clone(),
            switch: Switch::new(Arc::new(Topology::empty()), NO_HOST, settings.seed),
            links,
            overlay: Overlay::default(),
            others: Others::new(settings.seed),
            feed: Feed::new(settings.session),
            blocks: Blocks::new(settings.block_for),
            telling: Telling::default(),
            trunks: TrunkGroups::default(),
            keys: Vec::new(),
            host_keys: Vec::new(),
            stranger: PortKey(0),
        }
    }

    /// A port as counters know it.
    pub(super) fn key_of(&self, port: PortId) -> PortKey {
        self.keys.get(port.0 as usize).copied().unwrap_or(PortKey(0))
    }

    /// The hosts of the topology, if this host is none of them.
    pub(in crate::engine) fn other_hosts(&self) -> Option<OtherHosts> {
        (self.switch.host() == NO_HOST).then(|| OtherHosts::of(self.switch.topology()))
    }

    /// Where an address is, in words: a port, the trunks of a fabric, or another host.
    pub(super) fn place_name(&self, location: Location) -> String {
        let topology = self.switch.topology();
        match location {
            Location::Port { port, .. } => topology.port(port).name.clone(),
            Location::Fabric { fabric, .. } => match topology.fabric_name(fabric) {
                // Where trunks stand for themselves, the group of one is called after it.
                trunk if trunk.starts_with("trunk ") => trunk["trunk ".len()..].to_owned(),
                fabric => format!("trunks of {fabric}"),
            },
            Location::Host(host) => format!("host {}", topology.hosts()[host.0 as usize].name),
        }
    }

    /// A flow lets frames of its source pass unseen, so its source must be known to be where they come in.
    pub(super) fn is_source_there(&self, now: Instant, source: Option<Seen>) -> bool {
        source.is_none_or(|seen| {
            self.switch.fdb.addresses.find(now, seen.segment, seen.mac) == Some(seen.location)
        })
    }

    /// Frames that may come back were sent last at this time; what is long ago says nothing.
    pub(super) fn note_sent(&mut self, now: Instant, echo: Echo, used: Option<Instant>) {
        let Some(used) = used.filter(|used| now.since(*used) <= vlan::fdb::ECHO) else { return };
        self.switch.fdb.addresses.touch(now, echo.segment, echo.mac, used);
        self.switch.fdb.sent.note(used, echo);
    }

    /// Addresses age, blocked ports are let go, and what waited to be told is told.
    pub(super) fn keep_time(&mut self, now: Instant, lowering: &mut impl Lowering) {
        let aged = self.switch.fdb.addresses.age(now, AGEING_AT_ONCE);
        spoil_addresses(&aged.expired, lowering);
        for (segment, mac) in aged.thawed {
            lowering.spoil(Dependency::Address(segment, mac));
        }
        while let Some(port) = self.blocks.take_due(now) {
            self.unblock(now, &port, lowering);
        }
        self.overlay.keep_time(now);
        self.telling.keep_time(now);
    }

    /// When something is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let (addresses, links) = (self.switch.fdb.addresses.next_due(), self.links.next_due());
        let news = self.switch.fdb.addresses.news.is_any().then_some(Instant::ZERO);
        let others = [
            news,
            self.feed.next_due(),
            self.blocks.next_due(),
            self.overlay.next_due(),
            self.others.next_due(),
            self.telling.next_due(),
        ];
        [addresses, links].into_iter().chain(others).flatten().min()
    }
}

/// No host of any topology.
const NO_HOST: HostId = HostId(u32::MAX);
/// Addresses aged for one input.
const AGEING_AT_ONCE: usize = 2_000;
