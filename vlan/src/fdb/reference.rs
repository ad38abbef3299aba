//! A slow database that is easy to believe; `stories` tells the same to both.
//!
//! The reference keeps a plain map and looks through all of it for each answer. Where the database may choose, which is only
//! *which* of those heard in one second is evicted or removed first, the reference checks the choice and
//! follows it; everything else has to be equal.

use std::collections::BTreeMap;
use std::time::Duration;

use super::damping::FREEZE;
use super::entry::{Gone, Kind};
use super::moves::{LEAST_STAY, MOVES, WINDOW};
use super::refusal::{NotLearned, Refused};
use super::{HINT, LearnPolicy, Learned, Slot};
use crate::model::description::OnLimit;
use crate::model::id::{Location, PortId};
use crate::time::Instant;

/// A segment's number and the last byte of an address.
pub(super) type Name = (u32, u8);

/// Each slot has another way to be full, each segment another age.
pub(super) fn policy(name: Name, location: Location) -> LearnPolicy {
    let (limit, on_limit) = match location {
        Location::Port { port: PortId(1), .. } => (2, OnLimit::Evict),
        Location::Port { port: PortId(2), .. } => (2, OnLimit::Drop),
        Location::Port { .. } => (3, OnLimit::Flood),
        Location::Fabric { .. } => (4, OnLimit::Evict),
        Location::Host(_) => (1, OnLimit::Evict),
    };
    let ageing = Duration::from_secs(if name.0 == 1 { 10 } else { 40 });
    LearnPolicy { ageing, limit, on_limit }
}

pub(super) fn slot(location: Location) -> Slot {
    Slot::of(location)
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Known {
    pub(super) location: Location,
    pub(super) kind: Kind,
    pub(super) used: Instant,
    pub(super) learned: Instant,
    pub(super) ageing: Duration,
    pub(super) mobility: u64,
    /// Location, kind, ageing, since, left.
    pub(super) stays: Vec<(Location, Kind, Duration, Instant, Instant)>,
    /// When it moved or was claimed, and when it was claimed last.
    pub(super) counted: Vec<Instant>,
    pub(super) claimed: Instant,
    pub(super) frozen: Option<Instant>,
}

impl Known {
    pub(super) fn is_live(&self, now: Instant) -> bool {
        let ages = self.kind == Kind::Dynamic && !self.ageing.is_zero();
        !ages || !self.is_over(now) || self.frozen.is_some_and(|until| now < until)
    }

    pub(super) fn slot(&self) -> Option<Slot> {
        (self.kind == Kind::Dynamic).then(|| slot(self.location))
    }

    /// Whether the second is over in which its age ends.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        now >= Instant::from_secs(self.second() + 1) + self.ageing
    }

    pub(super) fn second(&self) -> u64 {
        self.used.as_nanos() / 1_000_000_000
    }

    /// Where it was longest, until now.
    fn longest(&self, now: Instant) -> (Location, Kind, Duration) {
        let mut stays = self.stays.clone();
        stays.push((self.location, self.kind, self.ageing, self.learned, now));
        let lasted = |stay: &(Location, Kind, Duration, Instant, Instant)| {
            let lasted = stay.4.since(stay.3);
            if lasted < LEAST_STAY { Duration::ZERO } else { lasted }
        };
        let total = |at: Location| -> Duration { stays.iter().filter(|stay| stay.0 == at).map(lasted).sum() };
        let most = stays.iter().map(|stay| total(stay.0)).max().unwrap();
        let home = stays.iter().find(|stay| total(stay.0) == most).unwrap().0;
        let stay = stays.iter().rfind(|stay| stay.0 == home).unwrap();
        (stay.0, stay.1, stay.2)
    }

    /// With what is remembered of where the address was.
    fn with_history_of(self, known: Known) -> Known {
        let Known { stays, counted, claimed, .. } = known;
        Known { stays, counted, claimed, ..self }
    }

    /// Whether the move or claim of now is the one that freezes.
    fn is_last_straw(&mut self, now: Instant) -> bool {
        self.counted.retain(|at| now.since(*at) <= WINDOW);
        self.counted.len() + 1 >= MOVES
    }
}

#[derive(Debug, Default)]
pub(super) struct Reference {
    pub(super) known: BTreeMap<Name, Known>,
    pub(super) sent: BTreeMap<(Name, u32), Instant>,
}

impl Reference {
    pub(super) fn count(&self, slot: Slot) -> u32 {
        self.known.values().filter(|known| known.slot() == Some(slot)).count() as u32
    }

    /// Follows an eviction if there had to be one, and fails if it was the wrong one.
    fn make_room(
        &mut self,
        now: Instant,
        slot: Slot,
        policy: &LearnPolicy,
        evicted: Option<Gone>,
    ) -> Result<(), ()> {
        if self.count(slot) < policy.limit {
            return Ok(());
        }
        let movable: Vec<&Known> =
            self.known.values().filter(|k| k.slot() == Some(slot) && k.frozen.is_none()).collect();
        let Some(gone) = evicted else {
            assert!(
                !movable.iter().any(|known| known.is_over(now)),
                "one is past its age, and none made room"
            );
            assert!(policy.on_limit != OnLimit::Evict || movable.is_empty(), "none was evicted");
            return Err(());
        };
        let name = (gone.segment.number, gone.mac.0[5]);
        let victim = &self.known[&name];
        assert_eq!(victim.location, gone.location);
        assert!(victim.slot() == Some(slot) && victim.frozen.is_none(), "{victim:?} is not of the slot");
        let oldest = movable.iter().map(|k| k.second()).min().unwrap();
        let is_oldest = policy.on_limit == OnLimit::Evict && victim.second() == oldest;
        assert!(is_oldest || !victim.is_live(now), "{victim:?} is not the oldest");
        self.known.remove(&name);
        Ok(())
    }

    pub(super) fn learn(&mut self, now: Instant, name: Name, to: Location, got: &Learned) -> Learned {
        self.learn_by(now, (name, to, false), policy(name, to), got)
    }

    /// The same of what another host has heard.
    pub(super) fn hint(&mut self, now: Instant, name: Name, to: Location, got: &Learned) -> Learned {
        self.learn_by(now, (name, to, true), LearnPolicy { ageing: HINT, ..policy(name, to) }, got)
    }

    fn learn_by(
        &mut self,
        now: Instant,
        (name, to, is_hint): (Name, Location, bool),
        policy: LearnPolicy,
        got: &Learned,
    ) -> Learned {
        let arrival = Known {
            location: to,
            kind: Kind::Dynamic,
            used: now,
            learned: now,
            ageing: policy.ageing,
            mobility: 0,
            stays: Vec::new(),
            counted: Vec::new(),
            claimed: Instant::ZERO,
            frozen: None,
        };
        let evicted = got.evicted();
        let Some(known) = self.known.get(&name).cloned() else {
            if self.make_room(now, slot(to), &policy, evicted).is_err() {
                return self.full(name, &policy);
            }
            self.known.insert(name, arrival);
            return Learned::New { evicted };
        };
        let at = known.location;
        let is_live = known.is_live(now);
        if at == to && is_live {
            return self.hear_there(now, (name, is_hint), &policy, evicted);
        }
        let has_left = |stay: &(Location, Kind, Duration, Instant, Instant)| {
            stay.0 == to && now.since(stay.4) < Duration::from_secs(1)
        };
        if is_live && is_hint && known.stays.iter().any(has_left) {
            return Learned::NotLearned(NotLearned::JustLeft);
        }
        if is_live && !is_hint && self.is_echo(now, name, to) {
            let claim = self.note_claim(now, name, to, evicted);
            return claim.unwrap_or(Learned::Refused(Refused::Reflected { at }));
        }
        if is_live && let Some(refused) = self.refused(now, name) {
            return Learned::Refused(refused);
        }
        if is_live && let Some(frozen) = self.freeze(now, name, to, evicted) {
            return frozen;
        }
        if known.slot() != Some(slot(to)) && self.make_room(now, slot(to), &policy, evicted).is_err() {
            return self.full(name, &policy);
        }
        self.arrive(now, name, arrival, is_live);
        if is_live { Learned::Moved { from: at, evicted } } else { Learned::New { evicted } }
    }

    /// It is heard where it is known to be.
    fn hear_there(
        &mut self,
        now: Instant,
        (name, is_hint): (Name, bool),
        policy: &LearnPolicy,
        evicted: Option<Gone>,
    ) -> Learned {
        let known = self.known.get_mut(&name).unwrap();
        known.used = now;
        if known.frozen.is_some() || (is_hint && known.kind != Kind::Dynamic) {
            return Learned::Refreshed;
        }
        if known.kind == Kind::Dynamic {
            let is_no_shorter = !known.ageing.is_zero() && known.ageing < policy.ageing;
            if !is_hint || is_no_shorter {
                known.ageing = policy.ageing;
            }
            return Learned::Refreshed;
        }
        let slot = slot(known.location);
        if known.kind == Kind::Remote && self.make_room(now, slot, policy, evicted).is_ok() {
            let known = self.known.get_mut(&name).unwrap();
            (known.kind, known.ageing) = (Kind::Dynamic, policy.ageing);
        }
        if evicted.is_some() { Learned::New { evicted } } else { Learned::Refreshed }
    }

    fn full(&mut self, name: Name, policy: &LearnPolicy) -> Learned {
        if policy.on_limit == OnLimit::Drop {
            return Learned::Refused(Refused::AtLimitDrop);
        }
        let forgotten = self.known.remove(&name).map(|known| known.location);
        Learned::NotLearned(NotLearned::AtLimit { forgotten })
    }

    fn is_echo(&self, now: Instant, name: Name, to: Location) -> bool {
        let Location::Fabric { fabric, .. } = to else { return false };
        let sent = self.sent.get(&(name, fabric.0));
        !matches!(self.known[&name].location, Location::Fabric { .. })
            && sent.is_some_and(|sent| now.since(*sent) <= Duration::from_secs(1))
    }

    /// What became of the address, if that was one claim too many. Within a second of one that counted it is none.
    fn note_claim(
        &mut self,
        now: Instant,
        name: Name,
        to: Location,
        evicted: Option<Gone>,
    ) -> Option<Learned> {
        let known = &self.known[&name];
        let is_part = known.claimed > Instant::ZERO && now.since(known.claimed) < Duration::from_secs(1);
        if is_part || self.refused(now, name).is_some() {
            return None;
        }
        let known = self.known.get_mut(&name).unwrap();
        if known.is_last_straw(now) {
            return Some(self.freeze_at_longest(now, name, to, evicted));
        }
        known.counted.push(now);
        known.claimed = now;
        None
    }

    fn refused(&mut self, now: Instant, name: Name) -> Option<Refused> {
        let known = self.known.get_mut(&name).unwrap();
        let at = known.location;
        if known.kind == Kind::Declared {
            return Some(Refused::Pinned { at });
        }
        let until = known.frozen?;
        if now < until {
            return Some(Refused::Frozen { at, until });
        }
        known.frozen = None;
        None
    }

    /// `None` if this is not the move that freezes.
    fn freeze(&mut self, now: Instant, name: Name, seen: Location, evicted: Option<Gone>) -> Option<Learned> {
        let known = self.known.get_mut(&name).unwrap();
        let is_frozen = is_other_group(known.location, seen) && known.is_last_straw(now);
        is_frozen.then(|| self.freeze_at_longest(now, name, seen, evicted))
    }

    fn freeze_at_longest(
        &mut self,
        now: Instant,
        name: Name,
        seen: Location,
        evicted: Option<Gone>,
    ) -> Learned {
        let mut known = self.known[&name].clone();
        let from = known.location;
        let (mut at, kind, ageing) = known.longest(now);
        let returns_to = (kind == Kind::Dynamic).then(|| slot(at)).filter(|to| known.slot() != Some(*to));
        if let Some(to) = returns_to {
            let any = policy(name, at);
            if self.make_room(now, to, &LearnPolicy { on_limit: OnLimit::Evict, ..any }, evicted).is_err() {
                at = from;
            }
        }
        if at != from {
            known.mobility += 1;
            known.stays.push((from, known.kind, known.ageing, known.learned, now));
            (known.location, known.kind, known.ageing, known.learned) = (at, kind, ageing, now);
        }
        if at == seen {
            known.used = now;
        }
        let until = now + FREEZE;
        known.counted.clear();
        known.frozen = Some(until);
        self.known.insert(name, known);
        Learned::Frozen { at, from, seen, until, evicted }
    }

    fn arrive(&mut self, now: Instant, name: Name, mut arrival: Known, is_move: bool) {
        let before = self.known.remove(&name).unwrap();
        arrival.mobility = before.mobility;
        arrival.stays = before.stays;
        arrival.counted = if is_move { before.counted } else { Vec::new() };
        arrival.claimed = before.claimed;
        if is_other_group(before.location, arrival.location) {
            arrival.mobility += 1;
            let left = if is_move { now } else { before.used };
            arrival.stays.push((before.location, before.kind, before.ageing, before.learned, left));
            if is_move {
                arrival.counted.push(now);
            }
        }
        self.known.insert(name, arrival);
    }

    pub(super) fn believe(
        &mut self,
        now: Instant,
        name: Name,
        to: Location,
        evicted: Option<Gone>,
    ) -> Learned {
        let mut arrival = Known {
            location: to,
            kind: Kind::Remote,
            used: now,
            learned: now,
            ageing: Duration::ZERO,
            mobility: 0,
            stays: Vec::new(),
            counted: Vec::new(),
            claimed: Instant::ZERO,
            frozen: None,
        };
        let Some(known) = self.known.get(&name).cloned() else {
            self.known.insert(name, arrival);
            return Learned::New { evicted: None };
        };
        arrival.mobility = known.mobility;
        if !known.is_live(now) {
            self.known.insert(name, arrival.with_history_of(known));
            return Learned::New { evicted: None };
        }
        let at = known.location;
        if at == to {
            if known.kind == Kind::Dynamic && known.frozen.is_none() {
                self.known.insert(name, arrival.with_history_of(known));
            }
            return Learned::Refreshed;
        }
        if let Some(refused) = self.refused(now, name) {
            return Learned::Refused(refused);
        }
        if let Some(frozen) = self.freeze(now, name, to, evicted) {
            return frozen;
        }
        self.arrive(now, name, arrival, true);
        Learned::Moved { from: at, evicted: None }
    }
}

fn is_other_group(from: Location, to: Location) -> bool {
    Slot::of(from) != Slot::of(to)
}
