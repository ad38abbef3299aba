//! The way back: what the datapath tells, as changes of the engine's own table.
//!
//! The datapath is first to see a source address, and has acted on it when its report comes. The engine judges the report by the same
//! rules as a frame. It may come to another result: the address moved once too often, or another host has it. Then the address is written
//! as it should be. So a frame or two may go where the pure verdict would not have sent them, and no more.

use datapath::tables::{
    Address, AddressKind, ControlClass, LearnId, PlaceId, TableEvent, TableReport, Tables,
};
use smallvec::{SmallVec, smallvec};
use vlan::addr::MacAddr;
use vlan::control::Control;
use vlan::fdb::entry::{Gone, Kind};
use vlan::fdb::reflect::Evidence;
use vlan::fdb::{Learn, Learned, Slot};
use vlan::model::id::{Location, PortId, SegmentId};
use vlan::switch::Switch;
use vlan::time::Instant;
use vlan::verdict::{DropReason, Effect};

use super::TableWriter;
use super::addresses::Key;
use super::compile::CLASSES;

/// What came of a report, and which addresses may now differ from what the datapath has.
struct Heard {
    lesson: Lesson,
    changed: SmallVec<[(SegmentId, MacAddr); 2]>,
}

/// What came of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lesson {
    /// Nothing: the address was written since, or the port, place or segment is no more.
    Stale,
    /// A source address was judged like that of a frame.
    Learned(Learned),
    /// The datapath forgot an address, and so did the engine; `None` if it did not know it there.
    Forgotten(Option<Gone>),
    /// An address was not learned at a port because there are as many as there may be.
    Full(PortId),
    /// A frame of ours came back by a trunk and was dropped; its address has not moved.
    Reflected(PortId),
    /// A control frame arrived.
    Control {
        /// At this port.
        port: PortId,
        /// Of this class.
        class: ControlClass,
        /// What is to be done about it.
        effect: Option<Effect>,
    },
}

/// A source address that the datapath saw.
#[derive(Debug, Clone, Copy)]
struct Sighting {
    key: Key,
    place: PlaceId,
    learn: LearnId,
}

impl TableWriter {
    /// Takes a report in, in the order in which they came. The switch's addresses change; its port states are the caller's to change.
    pub fn take(&mut self, now: Instant, switch: &mut Switch, report: &TableReport) -> Lesson {
        let Heard { lesson, changed } = self.hear(now, switch, report);
        self.spoiled.addresses.extend(changed);
        lesson
    }

    fn hear(&mut self, now: Instant, switch: &mut Switch, report: &TableReport) -> Heard {
        self.mirror.note_report(report.generation);
        let is_stale = |writer: &TableWriter, key| writer.mirror.is_newer(key, report.generation);
        match report.event {
            TableEvent::Control { vport, class } => {
                self.words.vports.get(&vport).map_or_else(stale, |port| control(switch, *port, class))
            }
            TableEvent::Learned { segment, mac, .. }
            | TableEvent::Moved { segment, mac, .. }
            | TableEvent::Forgotten { segment, mac, .. }
            | TableEvent::Refused { segment, mac, .. }
                if is_stale(self, (segment, mac)) =>
            {
                stale()
            }
            TableEvent::Learned { segment, mac, place, learn } => {
                self.mirror.learn((segment, mac), place, learn);
                self.see(now, switch, Sighting { key: (segment, mac), place, learn })
            }
            TableEvent::Moved { segment, mac, to, learn, .. } => {
                self.mirror.learn((segment, mac), to, learn);
                if let Some(segment) = self.words.in_topology(segment) {
                    // It was not over its age in the datapath, whose hits are not told one by one.
                    switch.fdb.addresses.touch(now, segment, mac, now);
                }
                self.see(now, switch, Sighting { key: (segment, mac), place: to, learn })
            }
            TableEvent::Forgotten { segment, mac, place, .. } => {
                self.mirror.forget((segment, mac));
                self.forget(switch, (segment, mac), place)
            }
            TableEvent::Refused { learn, reason: DropReason::AddressLimit, .. } => {
                self.at_port(learn, Lesson::Full)
            }
            TableEvent::Refused { segment, mac, place, learn, reason: DropReason::Reflected } => {
                let known = self
                    .words
                    .in_topology(segment)
                    .and_then(|segment| switch.fdb.addresses.find(now, segment, mac));
                if known.is_none_or(|at| matches!(at, Location::Fabric { .. })) {
                    return self.at_port(learn, Lesson::Reflected);
                }
                let seen = Sighting { key: (segment, mac), place, learn };
                let heard = self.see_by(now, switch, seen, Evidence::OurOwn);
                match heard.lesson {
                    // A claim of the trunk, and one too many.
                    Lesson::Learned(Learned::Frozen { .. }) => heard,
                    _ => self.at_port(learn, Lesson::Reflected),
                }
            }
            TableEvent::Refused { segment, mac, place, learn, .. } => {
                self.see(now, switch, Sighting { key: (segment, mac), place, learn })
            }
        }
    }

    /// Takes in all addresses that the datapath has, as when reports were lost, or now and then to know when each was last heard: before
    /// [`vlan::fdb::addresses::Addresses::age`], which knows only what was told. Every batch of changes was answered before they were read.
    pub fn walk(&mut self, now: Instant, switch: &mut Switch, tables: &Tables) {
        self.mirror.replace(tables);
        let mut changed = Vec::new();
        for (key, address) in &tables.addresses {
            let AddressKind::Dynamic(learn) = address.kind else {
                self.touch_held(now, switch, (*key, address));
                continue;
            };
            let used = address.used.unwrap_or(now);
            let sighting = Sighting { key: *key, place: address.place, learn };
            match self.words.in_topology(key.0).filter(|_| self.is_known(switch, sighting)) {
                Some(segment) => drop(switch.fdb.addresses.touch(now, segment, key.1, used)),
                None => changed.extend(self.see(used, switch, sighting).changed),
            }
        }
        changed.extend(self.forget_missing(switch));
        self.spoiled.addresses.extend(changed);
    }

    /// Notes when a held address was last heard: a frozen one ages by that once it has thawed.
    fn touch_held(&self, now: Instant, switch: &mut Switch, (key, address): (Key, &Address)) {
        let Some((segment, used)) = self.words.in_topology(key.0).zip(address.used) else { return };
        let addresses = &mut switch.fdb.addresses;
        let at = addresses.entry(Instant::ZERO, segment, key.1).map(|entry| entry.location);
        if at.is_some() && at == self.words.locations.get(&address.place).copied() {
            addresses.touch(now, segment, key.1, used);
        }
    }

    /// Whether the engine has learned an address where the datapath has it, and by the same rule.
    fn is_known(&self, switch: &Switch, seen: Sighting) -> bool {
        let (segment, mac) = seen.key;
        let entry = self
            .words
            .in_topology(segment)
            .and_then(|segment| switch.fdb.addresses.entry(Instant::ZERO, segment, mac));
        let location = self.words.locations.get(&seen.place).copied();
        let port = self.words.learns.get(&seen.learn).copied();
        let (Some(entry), Some(location), Some(port)) = (entry, location, port) else { return false };
        let ageing = switch.learn_policy(port).ageing;
        (entry.kind, entry.location, entry.ageing) == (Kind::Dynamic, location, ageing)
    }

    /// Forgets what the engine has learned and the datapath does not have.
    fn forget_missing(&self, switch: &mut Switch) -> Vec<(SegmentId, MacAddr)> {
        let has = |segment, mac| {
            let key = self.words.in_tables(segment).map(|segment| (segment, mac));
            key.and_then(|key| self.mirror.get(key)).is_some_and(|known| known.learn().is_some())
        };
        let learned = switch.fdb.addresses.entries().filter(|entry| entry.kind == Kind::Dynamic);
        let missing = learned.filter(|entry| !has(entry.segment, entry.mac));
        let missing: Vec<_> = missing.map(|entry| (entry.segment, entry.mac)).collect();
        for (segment, mac) in &missing {
            switch.fdb.addresses.forget(*segment, *mac);
        }
        missing
    }

    fn at_port(&self, learn: LearnId, lesson: impl Fn(PortId) -> Lesson) -> Heard {
        let heard = |port: &PortId| Heard { lesson: lesson(*port), changed: smallvec![] };
        self.words.learns.get(&learn).map_or_else(stale, heard)
    }

    fn see(&self, now: Instant, switch: &mut Switch, seen: Sighting) -> Heard {
        self.see_by(now, switch, seen, Evidence::Complete)
    }

    fn see_by(&self, now: Instant, switch: &mut Switch, seen: Sighting, evidence: Evidence) -> Heard {
        let (segment, mac) = seen.key;
        let location = self.words.locations.get(&seen.place).copied();
        let port = self.words.learns.get(&seen.learn).copied();
        let Some(segment) = self.words.in_topology(segment) else { return stale() };
        let Some((location, port)) = location.zip(port) else {
            // The datapath has it where nothing is any more.
            return Heard { lesson: Lesson::Stale, changed: smallvec![(segment, mac)] };
        };
        let mut policy = switch.learn_policy(port);
        // The datapath has counted already, and has let another go where it must.
        let slot = Slot::of(location);
        policy.limit = policy.limit.max(switch.fdb.addresses.count(slot).saturating_add(1));
        let learned = switch.fdb.learn(now, Learn { evidence, ..Learn::new(segment, mac, location, policy) });
        let evicted = learned.evicted().map(|gone| (gone.segment, gone.mac));
        let changed = std::iter::once((segment, mac)).chain(evicted).collect();
        Heard { lesson: Lesson::Learned(learned), changed }
    }

    fn forget(&self, switch: &mut Switch, key: Key, place: PlaceId) -> Heard {
        let Some(segment) = self.words.in_topology(key.0) else { return stale() };
        let location = self.words.locations.get(&place).copied();
        let at = |location: Option<Location>| {
            let entry = switch.fdb.addresses.entry(Instant::ZERO, segment, key.1);
            entry.is_some_and(|entry| Some(entry.location) == location)
        };
        let gone = if at(location) { switch.fdb.addresses.forget(segment, key.1) } else { None };
        Heard { lesson: Lesson::Forgotten(gone), changed: smallvec![(segment, key.1)] }
    }
}

fn stale() -> Heard {
    Heard { lesson: Lesson::Stale, changed: smallvec![] }
}

/// What the verdict on such a frame would have had as its effect.
fn control(switch: &Switch, port: PortId, class: ControlClass) -> Heard {
    let policy_class = CLASSES.into_iter().find(|known| ControlClass::from(*known) == class);
    let at = switch.topology().port(port);
    let effect = policy_class.and_then(|class| match switch.state().control(at, class) {
        Control::Drop(_, effect) => effect,
        Control::Classify | Control::PassBetweenTrunks => None,
    });
    Heard { lesson: Lesson::Control { port, class, effect }, changed: smallvec![] }
}
