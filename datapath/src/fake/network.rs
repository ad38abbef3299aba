//! What an underlay knows: who is where, what is cut, what waits, what was counted.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use super::packet::{Departed, Packet};
use super::wire::{FakeWire, WeakWire};

/// Packets that came to nobody, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Losses {
    /// Where hosts were cut off from each other.
    pub cut: u64,
    /// Longer than the MTU.
    pub too_long: u64,
    /// Nobody has the address, or has a tunnel at it and at that UDP port.
    pub unheard: u64,
    /// Lost on purpose while they were held.
    pub chosen: u64,
}

#[derive(Debug, Default)]
pub(super) struct Network {
    pub(super) cuts: BTreeSet<(IpAddr, IpAddr)>,
    pub(super) mtu: Option<u32>,
    pub(super) is_holding: bool,
    pub(super) counts: BTreeMap<(IpAddr, IpAddr, u32), u64>,
    pub(super) sent: VecDeque<Packet>,
    pub(super) losses: Losses,
    members: BTreeMap<IpAddr, Member>,
    held: BTreeMap<u64, Departed>,
    last_number: u64,
}

/// Who has an address.
#[derive(Debug)]
enum Member {
    Host(WeakWire),
    Vtep(VecDeque<Packet>),
}

/// Where a packet ends.
#[derive(Debug)]
pub(super) enum Fate {
    Host(FakeWire),
    Vtep,
    Lost,
}

impl Network {
    pub(super) fn add_host(&mut self, wire: &WeakWire, addresses: &[IpAddr]) {
        addresses.iter().for_each(|address| self.add(*address, Member::Host(wire.clone())));
    }

    pub(super) fn add_vtep(&mut self, address: IpAddr) {
        self.add(address, Member::Vtep(VecDeque::new()));
    }

    fn add(&mut self, address: IpAddr, member: Member) {
        match self.members.entry(address) {
            Entry::Vacant(free) => drop(free.insert(member)),
            Entry::Occupied(_) => panic!("somebody has {address} already"),
        }
    }

    /// Counts packets, and returns those that are to be delivered now.
    pub(super) fn note_sent(&mut self, packets: Vec<Departed>) -> Vec<Departed> {
        for Departed { packet, .. } in &packets {
            *self.counts.entry((packet.from, packet.to, packet.vni)).or_default() += 1;
            self.sent.push_back(packet.clone());
        }
        let too_many = self.sent.len().saturating_sub(SENT_DEPTH);
        self.sent.drain(..too_many);
        if !self.is_holding {
            return packets;
        }
        for departed in packets {
            self.last_number += 1;
            self.held.insert(self.last_number, departed);
        }
        Vec::new()
    }

    /// Where a packet ends; one that is lost is counted.
    pub(super) fn fate_of(&mut self, packet: &Packet) -> Fate {
        let is_too_long = self.mtu.is_some_and(|mtu| packet.ip_len() > mtu as usize);
        let lost = if self.cuts.contains(&(packet.from, packet.to)) {
            &mut self.losses.cut
        } else if is_too_long {
            &mut self.losses.too_long
        } else {
            match self.members.get(&packet.to) {
                Some(Member::Vtep(_)) => return Fate::Vtep,
                Some(Member::Host(wire)) if let Some(wire) = wire.upgrade() => return Fate::Host(wire),
                _ => &mut self.losses.unheard,
            }
        };
        *lost += 1;
        Fate::Lost
    }

    /// Keeps a packet for whoever looks at what came to its VTEP.
    pub(super) fn keep(&mut self, packet: Packet) {
        if let Some(Member::Vtep(received)) = self.members.get_mut(&packet.to)
            && received.len() < RECEIVED_DEPTH
        {
            received.push_back(packet);
        }
    }

    pub(super) fn received(&mut self, vtep: IpAddr) -> Vec<Packet> {
        match self.members.get_mut(&vtep) {
            Some(Member::Vtep(received)) => received.drain(..).collect(),
            _ => panic!("there is no VTEP at {vtep}"),
        }
    }

    pub(super) fn held(&self) -> Vec<(u64, Packet)> {
        self.held.iter().map(|(number, departed)| (*number, departed.packet.clone())).collect()
    }

    pub(super) fn take_held(&mut self, number: u64) -> Departed {
        self.held.remove(&number).unwrap_or_else(|| panic!("no packet {number} is held"))
    }

    pub(super) fn stop_holding(&mut self) -> Vec<Departed> {
        self.is_holding = false;
        std::mem::take(&mut self.held).into_values().collect()
    }
}

/// Packets that are remembered as sent.
const SENT_DEPTH: usize = 4_096;
/// Packets that wait at a VTEP to be looked at.
const RECEIVED_DEPTH: usize = 65_536;
