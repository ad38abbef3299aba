//! Random stories told to the database and to its reference, which have to agree after each event.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::Fdb;
use super::addresses::Touched;
use super::declare::Declared;
use super::entry::{Entry, Gone, Kind};
use super::reference::{Known, Name, Reference, policy, slot};
use super::reflect::Echo;
use super::tests::{LOOK, fabric, host, mac, port, segment};
use super::word::Word;
use super::{HINT, Learn, LearnPolicy, Slot};
use crate::model::id::{FabricId, Location, PortId};
use crate::time::Instant;

/// What happens; small numbers, so that stories meet. Times are milliseconds.
#[derive(Debug, Clone)]
enum Event {
    Pass(u64),
    Learn(Name, usize),
    /// Seen at two places in turn.
    Flap(Name, [usize; 2], u64),
    Word(Name, usize),
    Withdraw(Name, usize),
    Hint(Name, usize),
    Touch(Name, u64),
    Declare(Name, usize),
    Undeclare(Name),
    Sent(Name, u32),
    /// Sent into a fabric, and comes back from it, so often.
    Return(Name, u32, u64),
    Thaw(Name),
    Age(usize),
    FlushPort(u32),
    FlushFabric(u32),
    SwapPorts,
    Restart,
}

fn stories() -> impl Strategy<Value = Vec<Event>> {
    let name = || (1..=2u32, 1..=6u8);
    let span = prop_oneof![Just(250), Just(1_000), 0..5_000u64, 0..60_000u64, Just(300_000)];
    let event = prop_oneof![
        6 => span.prop_map(Event::Pass),
        24 => (name(), 0..PLACES).prop_map(|(n, p)| Event::Learn(n, p)),
        2 => (name(), 0..PLACES, 0..PLACES, 1..6u64).prop_map(|(n, p, q, t)| Event::Flap(n, [p, q], t)),
        3 => (name(), 0..WORDS).prop_map(|(n, w)| Event::Word(n, w)),
        1 => (name(), 0..WORDS).prop_map(|(n, w)| Event::Withdraw(n, w)),
        8 => (name(), 0..WORDS).prop_map(|(n, w)| Event::Hint(n, w)),
        4 => (name(), 0..20_000u64).prop_map(|(n, ago)| Event::Touch(n, ago)),
        1 => (name(), 0..PLACES).prop_map(|(n, p)| Event::Declare(n, p)),
        1 => name().prop_map(Event::Undeclare),
        6 => (name(), 0..2u32).prop_map(|(n, f)| Event::Sent(n, f)),
        1 => (name(), 0..2u32, 1..7u64).prop_map(|(n, f, t)| Event::Return(n, f, t)),
        1 => name().prop_map(Event::Thaw),
        4 => prop_oneof![Just(1usize), Just(100)].prop_map(Event::Age),
        1 => (1..=3u32).prop_map(Event::FlushPort),
        1 => (0..2u32).prop_map(Event::FlushFabric),
        1 => Just(Event::SwapPorts),
        1 => Just(Event::Restart),
    ];
    proptest::collection::vec(event, 1..200)
}

const PLACES: usize = 7;

fn place(number: usize) -> Location {
    [port(1), port(2), port(3), fabric(0, 5), fabric(0, 6), fabric(1, 5), host(3)][number]
}

/// What another host can say, or hint at. With the other places these are eight: of more the database forgets one.
fn told(number: usize) -> Location {
    [host(1), host(3), fabric(0, 5), fabric(1, 5)][number]
}

const WORDS: usize = 4;

struct Story {
    fdb: Fdb,
    reference: Reference,
    now: Instant,
}

impl Story {
    fn new() -> Story {
        Story { fdb: Fdb::with_seed(1), reference: Reference::default(), now: Instant::from_secs(10_000) }
    }

    fn tell(&mut self, event: &Event) {
        match *event {
            Event::Pass(ms) => self.now = self.now + Duration::from_millis(ms),
            Event::Learn(name, to) => self.learn(name, place(to)),
            Event::Flap(name, places, times) => (0..times).for_each(|i| {
                self.now = self.now + Duration::from_secs(2);
                self.learn(name, place(places[(i % 2) as usize]));
            }),
            Event::Word(name, to) => self.believe(name, told(to)),
            Event::Withdraw(name, to) => self.withdraw(name, told(to)),
            Event::Hint(name, to) => self.hint(name, told(to)),
            Event::Touch(name, ago) => self.touch(name, self.now - Duration::from_millis(ago)),
            Event::Declare(name, at) => self.declare(name, place(at)),
            Event::Undeclare(name) => self.undeclare(name),
            Event::Sent(name, fabric) => self.sent(name, fabric),
            Event::Return(name, number, times) => (0..times).for_each(|_| {
                self.now = self.now + Duration::from_millis(700);
                self.touch(name, self.now);
                self.sent(name, number);
                self.learn(name, fabric(number, 5));
            }),
            Event::Thaw(name) => self.thaw(name),
            Event::Age(budget) => self.age(budget),
            Event::FlushPort(number) => {
                let gone = self.fdb.addresses.flush(Slot::Port(PortId(number)));
                self.flushed(Slot::Port(PortId(number)), &gone);
            }
            Event::FlushFabric(number) => {
                let gone = self.fdb.addresses.flush(Slot::Fabric(FabricId(number)));
                self.flushed(Slot::Fabric(FabricId(number)), &gone);
            }
            Event::SwapPorts => self.swap_ports(),
            Event::Restart => self.restart(),
        }
    }

    fn learn(&mut self, name: Name, location: Location) {
        let learn = Learn {
            likeness: Some(LOOK),
            ..Learn::new(segment(name.0), mac(name.1), location, policy(name, location))
        };
        let got = self.fdb.learn(self.now, learn);
        assert_eq!(got, self.reference.learn(self.now, name, location, &got));
    }

    fn sent(&mut self, name: Name, fabric: u32) {
        let (segment, mac) = (segment(name.0), mac(name.1));
        self.fdb.sent.note(self.now, Echo { segment, mac, likeness: LOOK, fabric: FabricId(fabric) });
        self.reference.sent.insert((name, fabric), self.now);
    }

    fn hint(&mut self, name: Name, location: Location) {
        let policy = LearnPolicy { ageing: HINT, ..policy(name, location) };
        let learn = Learn { is_hint: true, ..Learn::new(segment(name.0), mac(name.1), location, policy) };
        let got = self.fdb.learn(self.now, learn);
        assert_eq!(got, self.reference.hint(self.now, name, location, &got));
    }

    fn believe(&mut self, name: Name, location: Location) {
        let word = Word { segment: segment(name.0), mac: mac(name.1), location };
        let got = self.fdb.believe(self.now, word);
        assert_eq!(got, self.reference.believe(self.now, name, location, got.evicted()));
    }

    fn withdraw(&mut self, name: Name, location: Location) {
        let got = self.fdb.addresses.withdraw(segment(name.0), mac(name.1), location);
        let known = &mut self.reference.known;
        let is_its = known.get(&name).is_some_and(|k| k.kind == Kind::Remote && k.location == location);
        assert_eq!(got.is_some(), is_its);
        if is_its {
            known.remove(&name);
        }
    }

    fn touch(&mut self, name: Name, used: Instant) {
        let got = self.fdb.addresses.touch(self.now, segment(name.0), mac(name.1), used);
        let Some(known) = self.reference.known.get_mut(&name) else {
            return assert_eq!(got, Touched::Unknown);
        };
        let was_live = known.is_live(self.now);
        known.used = known.used.max(used);
        let expected = match (was_live, known.is_live(self.now)) {
            (true, _) if known.kind == Kind::Remote => Touched::Told,
            (true, _) => Touched::Refreshed,
            (false, true) => Touched::Revived,
            (false, false) => Touched::Unknown,
        };
        assert_eq!(got, expected);
    }

    fn declare(&mut self, name: Name, location: Location) {
        let got = self.fdb.addresses.declare(segment(name.0), mac(name.1), location);
        let before = self.reference.known.remove(&name);
        let expected = match &before {
            Some(k) if k.location != location => Declared::Replaced { from: k.location },
            Some(k) if k.kind == Kind::Declared => Declared::Unchanged,
            _ => Declared::New,
        };
        assert_eq!(got, expected);
        let kept = before.as_ref().filter(|k| k.location == location);
        let declared = Known {
            location,
            kind: Kind::Declared,
            used: before.as_ref().map_or(Instant::ZERO, |k| k.used),
            learned: kept.map_or(Instant::ZERO, |k| k.learned),
            ageing: Duration::ZERO,
            mobility: before.as_ref().map_or(0, |k| k.mobility),
            stays: Vec::new(),
            counted: Vec::new(),
            claimed: before.as_ref().map_or(Instant::ZERO, |k| k.claimed),
            frozen: None,
        };
        self.reference.known.insert(name, declared);
    }

    fn undeclare(&mut self, name: Name) {
        let is_it = |entry: &Entry| {
            let its = (entry.segment, entry.mac, entry.kind);
            its == (segment(name.0), mac(name.1), Kind::Declared)
        };
        let got = self.fdb.addresses.retain(|entry| !is_it(entry));
        let known = &mut self.reference.known;
        let is_declared = known.get(&name).is_some_and(|k| k.kind == Kind::Declared);
        assert_eq!(got.len(), usize::from(is_declared));
        if is_declared {
            known.remove(&name);
        }
    }

    fn thaw(&mut self, name: Name) {
        let got = self.fdb.addresses.thaw(segment(name.0), mac(name.1));
        let until = self.reference.known.get_mut(&name).and_then(|known| known.frozen.take());
        assert_eq!(got, until.is_some());
    }

    fn age(&mut self, budget: usize) {
        let (now, known) = (self.now, &mut self.reference.known);
        let aged = self.fdb.addresses.age(now, budget);
        assert!(aged.expired.len() + aged.thawed.len() <= budget);
        for (segment, mac) in aged.thawed {
            let until = known.get_mut(&(segment.number, mac.0[5])).unwrap().frozen.take();
            assert!(until.is_some_and(|until| until <= now), "thawed too early");
        }
        for gone in aged.expired {
            let expired = known.remove(&named(&gone)).unwrap();
            assert!(expired.frozen.is_none() && !expired.is_live(now), "{expired:?} is live");
        }
        let is_due = |k: &Known| match k.frozen {
            Some(until) => until <= now,
            None => k.kind == Kind::Dynamic && k.is_over(now),
        };
        let overdue = known.values().filter(|k| is_due(k)).count();
        assert!(overdue == 0 || budget == 1, "{overdue} addresses are left over");
        assert!(overdue == 0 || self.fdb.addresses.next_due() <= Some(now), "there is more to do");
    }

    fn flushed(&mut self, slot: Slot, gone: &[Gone]) {
        let known = &mut self.reference.known;
        let before = known.len();
        known.retain(|_, known| known.slot() != Some(slot));
        assert_eq!(before - known.len(), gone.len());
        assert!(gone.iter().all(|gone| !known.contains_key(&named(gone))));
        for known in known.values_mut() {
            // The stays at one place are one, which is as the last of them was.
            let stays = known.stays.clone();
            let last = |at: Location| stays.iter().rfind(|stay| stay.0 == at).map(|stay| stay.1);
            known
                .stays
                .retain(|stay| last(stay.0) != Some(Kind::Dynamic) || super::reference::slot(stay.0) != slot);
        }
    }

    fn swap_ports(&mut self) {
        let swapped = |location| match location {
            Location::Port { port: PortId(1), .. } => port(2),
            Location::Port { port: PortId(2), .. } => port(1),
            other => other,
        };
        let known = &mut self.reference.known;
        let before = known.len();
        for known in known.values_mut() {
            known.location = swapped(known.location);
            known.stays.iter_mut().for_each(|stay| stay.0 = swapped(stay.0));
        }
        let lost = self.fdb.addresses.remap(|segment, location| Some((segment, swapped(location))));
        assert_eq!(lost, before - known.len());
    }

    fn restart(&mut self) {
        let now = self.now;
        let saved: Vec<_> = self.fdb.addresses.save(now).collect();
        self.fdb = Fdb::with_seed(2);
        let restored = self
            .fdb
            .addresses
            .restore(now, saved, |one| Some(policy((one.segment.number, one.mac.0[5]), one.location)));
        let known = &mut self.reference.known;
        known.retain(|_, known| known.kind == Kind::Dynamic && known.is_live(now));
        for (name, known) in known.iter_mut() {
            known.ageing = policy(*name, known.location).ageing;
            known.stays.clear();
            known.counted.clear();
            (known.frozen, known.claimed) = (None, Instant::ZERO);
        }
        known.retain(|_, known| !known.is_over(now));
        self.reference.sent.clear();
        assert_eq!(restored, known.len());
    }

    fn check(&self) {
        let held: BTreeMap<Name, _> = self
            .fdb
            .addresses
            .entries()
            .map(|e| {
                let times = (e.used, e.learned, e.ageing, e.frozen_until);
                ((e.segment.number, e.mac.0[5]), (e.location, e.kind, times, e.mobility))
            })
            .collect();
        let expected: BTreeMap<Name, _> = self
            .reference
            .known
            .iter()
            .map(|(name, k)| {
                let times = (k.used, k.learned, k.ageing, k.frozen);
                (*name, (k.location, k.kind, times, k.mobility))
            })
            .collect();
        assert_eq!(held, expected);
        assert_eq!(self.fdb.addresses.len(), expected.len());
        for (name, known) in &self.reference.known {
            let found = self.fdb.addresses.find(self.now, segment(name.0), mac(name.1));
            assert_eq!(found, known.is_live(self.now).then_some(known.location), "{name:?}");
        }
        for location in (0..PLACES).map(place) {
            let (count, most) = (self.fdb.addresses.count(slot(location)), policy((1, 1), location).limit);
            assert_eq!(count, self.reference.count(slot(location)));
            assert!(count <= most, "{:?} has {count} addresses, allowed are {most}", slot(location));
        }
    }
}

fn named(gone: &Gone) -> Name {
    (gone.segment.number, gone.mac.0[5])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn the_database_and_its_reference_agree(events in stories()) {
        let mut story = Story::new();
        for event in &events {
            story.tell(event);
            story.check();
        }
    }
}

/// Stories that never come to the point would show nothing.
#[test]
fn stories_meet_every_outcome() {
    let mut runner = TestRunner::deterministic();
    let mut least = BTreeMap::new();
    for _ in 0..200 {
        let events = stories().new_tree(&mut runner).unwrap().current();
        let mut story = Story::new();
        for event in events.iter().filter(|event| !matches!(event, Event::Restart)) {
            story.tell(event);
        }
        let (c, ends) = (*story.fdb.counters(), *story.fdb.addresses.ends());
        for (name, count) in [
            ("learned", c.learned),
            ("moved", c.moved),
            ("frozen", c.frozen),
            ("thawed", ends.thawed),
            ("expired", ends.expired),
            ("evicted", ends.evicted),
            ("not learned at limit", c.not_learned_at_limit),
            ("pinned", c.refused_pinned),
            ("refused frozen", c.refused_frozen),
            ("reflected", c.refused_reflected),
            ("at limit", c.refused_at_limit),
            ("just left", c.not_learned_just_left),
        ] {
            *least.entry(name).or_insert(0) += count;
        }
    }
    assert!(least.values().all(|count| *count >= 20), "too rare: {least:?}");
}
