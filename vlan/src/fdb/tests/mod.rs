//! Rules one by one. Whether they hold together is asked by `stories`.

use std::time::Duration;

use crate::addr::MacAddr;
use crate::fdb::counters::Counters;
use crate::fdb::declare::Declared;
use crate::fdb::entry::{Gone, Kind};
use crate::fdb::reflect::{Echo, Likeness};
use crate::fdb::refusal::{NotLearned, Refused};
use crate::fdb::{Fdb, Learn, LearnPolicy, Learned, Slot};
use crate::model::description::OnLimit;
use crate::model::id::{FabricId, HostId, Location, PortId, SegmentId};
use crate::time::Instant;
use crate::verdict::DropReason;
use crate::vid::Vid;

mod ageing;
mod flushing;
mod limits;
mod moves;
mod news;
mod sticky;
mod words;

pub(in crate::fdb) fn segment(number: u32) -> SegmentId {
    SegmentId { number, inner: 0 }
}

pub(in crate::fdb) fn mac(last: u8) -> MacAddr {
    MacAddr([0x52, 0x54, 0, 0, 0, last])
}

pub(in crate::fdb) fn port(number: u32) -> Location {
    Location::Port { port: PortId(number), vid: None }
}

pub(in crate::fdb) fn fabric(number: u32, vid: u16) -> Location {
    Location::Fabric { fabric: FabricId(number), vid: Vid::new(vid).unwrap() }
}

pub(in crate::fdb) fn host(number: u32) -> Location {
    Location::Host(HostId(number))
}

fn at(seconds: u64) -> Instant {
    Instant::from_secs(seconds)
}

fn learn(mac: MacAddr, location: Location) -> Learn {
    limited(mac, location, 1_024, OnLimit::Evict)
}

fn limited(mac: MacAddr, location: Location, limit: u32, on_limit: OnLimit) -> Learn {
    let policy = LearnPolicy { ageing: Duration::from_secs(300), limit, on_limit };
    Learn { likeness: Some(LOOK), ..Learn::new(segment(1), mac, location, policy) }
}

/// What the frames of these tests look like.
pub(in crate::fdb) const LOOK: Likeness = Likeness { dst: MacAddr::BROADCAST, ether_type: 0x0806 };

fn gone(mac: MacAddr, location: Location) -> Gone {
    Gone { segment: segment(1), mac, location }
}

const NEW: Learned = Learned::New { evicted: None };

fn moved(from: Location) -> Learned {
    Learned::Moved { from, evicted: None }
}

/// Lets an address move to and fro, a second each, so that the last of `moves` happens at `from + moves`.
fn flap(fdb: &mut Fdb, from: u64, moves: u64, places: [Location; 2]) -> Learned {
    let mut last = fdb.learn(at(from), learn(mac(1), places[0]));
    for i in 1..=moves {
        last = fdb.learn(at(from + i), learn(mac(1), places[(i % 2) as usize]));
    }
    last
}

#[test]
fn one_address_in_two_segments_is_two() {
    let mut fdb = Fdb::new();
    fdb.learn(at(0), learn(mac(1), port(1)));
    let other = Learn { segment: SegmentId { number: 1, inner: 7 }, ..learn(mac(1), port(2)) };
    assert_eq!(fdb.learn(at(0), other), NEW);
    assert_eq!(fdb.addresses.find(at(1), segment(1), mac(1)), Some(port(1)));
    assert_eq!(fdb.addresses.find(at(1), other.segment, mac(1)), Some(port(2)));
}

#[test]
fn what_is_no_stations_address_is_not_learned() {
    let mut fdb = Fdb::new();
    let zero = fdb.learn(at(0), learn(MacAddr::ZERO, port(1)));
    assert_eq!((zero, zero.refusal()), (Learned::NotLearned(NotLearned::Zero), None));
    let group = fdb.learn(at(0), learn(MacAddr::BROADCAST, port(1)));
    assert_eq!(group.refusal(), Some(DropReason::GroupSource));
    assert!(fdb.addresses.is_empty());
}

#[test]
fn a_declared_address_stays_where_it_is() {
    let mut fdb = Fdb::new();
    assert_eq!(fdb.addresses.declare(segment(1), mac(1), port(1)), Declared::New);
    assert_eq!(fdb.addresses.declare(segment(1), mac(1), port(1)), Declared::Unchanged);
    let elsewhere = fdb.learn(at(5), learn(mac(1), port(2)));
    assert_eq!(elsewhere, Learned::Refused(Refused::Pinned { at: port(1) }));
    assert_eq!(elsewhere.refusal(), Some(DropReason::Pinned));
    assert_eq!(fdb.learn(at(6), learn(mac(1), port(1))), Learned::Refreshed);
    assert_eq!(fdb.addresses.flush(Slot::Port(PortId(1))), []);
    let entry = fdb.addresses.entry(at(1_000_000), segment(1), mac(1)).unwrap();
    assert_eq!((entry.kind, entry.used, entry.ageing), (Kind::Declared, at(6), Duration::ZERO));
    assert_eq!((fdb.addresses.count(Slot::Port(PortId(1))), fdb.addresses.next_due()), (0, None));
    assert_eq!(fdb.undeclare_all(), [gone(mac(1), port(1))]);
    assert_eq!(fdb.undeclare_all(), []);
}

#[test]
fn a_declaration_takes_over_what_was_learned_elsewhere() {
    let mut fdb = Fdb::new();
    fdb.learn(at(0), learn(mac(1), port(2)));
    assert_eq!(fdb.undeclare_all(), []);
    assert_eq!(fdb.addresses.declare(segment(1), mac(1), port(1)), Declared::Replaced { from: port(2) });
    assert_eq!(fdb.addresses.count(Slot::Port(PortId(2))), 0);
    assert_eq!(fdb.addresses.age(at(1_000), 10).expired, []);
    assert_eq!(fdb.undeclare_all(), [gone(mac(1), port(1))]);
}

#[test]
fn generations_change_with_the_place_only() {
    let mut fdb = Fdb::new();
    fdb.learn(at(0), learn(mac(1), port(1)));
    let generation = |fdb: &Fdb| fdb.addresses.entry(at(9), segment(1), mac(1)).unwrap().generation;
    let first = generation(&fdb);
    fdb.learn(at(1), learn(mac(1), port(1)));
    assert_eq!(generation(&fdb), first);
    fdb.learn(at(2), learn(mac(1), port(2)));
    assert_ne!(generation(&fdb), first);
}

#[test]
fn each_outcome_has_its_counter() {
    let mut fdb = Fdb::new();
    fdb.addresses.declare(segment(1), mac(1), port(1));
    fdb.learn(at(0), learn(mac(2), port(1)));
    fdb.learn(at(0), learn(mac(2), port(1)));
    fdb.learn(at(0), learn(mac(2), fabric(0, 8)));
    fdb.learn(at(0), learn(mac(2), port(3)));
    fdb.learn(at(0), learn(mac(1), port(2)));
    fdb.learn(at(0), learn(MacAddr::ZERO, port(2)));
    let expected =
        Counters { learned: 1, moved: 2, refused_pinned: 1, not_a_station: 1, ..Counters::default() };
    assert_eq!(*fdb.counters(), expected);
}
