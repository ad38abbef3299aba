//! Meters. Storm control: for each class of flooded frames one of each (port, VLAN), inside one of the port as a whole. Lengths: of each
//! way in and way out that takes less, one that limits nothing and counts the frames that are too long for it.
//!
//! A meter is made when the first flow names it, and removed when none does any more. What the datapath refuses for now is asked
//! again, at growing intervals, as long as it is wanted: until then the flows that name the meter are without its limit.
//!
//! Identifiers are dealt out from 0, the lowest free one first. openvswitch.ko keeps meters in an array that grows with their number
//! and finds them at their identifier modulo its length (`attach_meter` in `net/openvswitch/meter.c`): with at most `n` meters, all of
//! them below `n`, no two ever meet in one place.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use datapath::flow::{Action, MeterId, MeterRate, MeterStats};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use vlan::model::port::Port;
use vlan::time::Instant;
use vlan::verdict::{Meter, StormClass};
use vlan::vid::Vid;

use super::MeterChange;
use crate::counters::PortKey;
use crate::lower::storm::{StormRates, rates};

/// The meters of the datapath.
#[derive(Debug, Default)]
pub(super) struct Meters {
    by_what: FxHashMap<Metered, MeterId>,
    made: BTreeMap<MeterId, Made>,
    ids: Ids,
    /// Made, and named by no flow when last looked at.
    idle: BTreeSet<MeterId>,
    /// The same at the sweep before.
    resting: BTreeSet<MeterId>,
    refused: BTreeMap<MeterId, Refused>,
    set: Vec<MeterChange>,
    unset: Vec<MeterChange>,
}

/// Numbers that are dealt out, the lowest free one first.
#[derive(Debug, Default)]
struct Ids {
    free: BTreeSet<MeterId>,
    /// The lowest that was never dealt out.
    next: u32,
    /// Named by flows of an earlier run that are still in force: one that meant another limit now would count their frames.
    inherited: BTreeSet<MeterId>,
}

impl Ids {
    fn take(&mut self) -> MeterId {
        if let Some(id) = self.free.pop_first() {
            return id;
        }
        loop {
            let id = MeterId(self.next);
            self.next += 1;
            if !self.inherited.contains(&id) {
                return id;
            }
        }
    }

    fn give_back(&mut self, id: MeterId) {
        self.free.insert(id);
    }
}

/// A change that the datapath refused for now.
#[derive(Debug)]
struct Refused {
    times: u32,
    retry_at: Instant,
}

/// What a meter is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Metered {
    /// It limits flooded frames.
    Storm(Storm),
    /// It counts frames that are too long.
    Length(Length),
}

/// Flooded frames of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Storm {
    /// The arrival port.
    pub(super) port: PortKey,
    /// One VLAN of it (`None` inside: of a VUB), or all of them together.
    pub(super) vlan: Scope,
    /// The class of frames.
    pub(super) class: StormClass,
}

/// Frames that are too long for a way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Length {
    /// The arrival port.
    pub(super) port: PortKey,
    /// The port by which a copy does not leave.
    pub(super) exit: PortKey,
    /// Whether there is then no copy at all.
    pub(super) is_whole: bool,
}

/// What a meter has counted since it was read before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Noted {
    /// What it is about.
    pub(super) what: Metered,
    /// Frames that were beyond the limit, or too long.
    pub(super) dropped: u64,
    /// Frames of flows that were left to its judgement, and were not too long.
    pub(super) forwarded: u64,
}

/// How much of a port a meter is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Scope {
    /// One VLAN of its bridge; `None` on a VUB.
    Vlan(Option<Vid>),
    /// All of it.
    Port,
}

#[derive(Debug)]
struct Made {
    what: Metered,
    rate: MeterRate,
    flows: u32,
    stats: MeterStats,
    /// Frames of flows of which it is not known yet whether they were too long.
    unsure: u64,
    /// Frames that were too long and are not in `unsure` yet: flows and meters are read one after the other.
    owed: u64,
}

impl Meters {
    /// The meters that a flooded frame of this class passes, the narrower first: what a VLAN may not send is not taken from what the
    /// port may send.
    pub(super) fn of(&mut self, key: PortKey, port: &Port, meter: Meter) -> Vec<MeterId> {
        let Some(StormRates { vlan, port }) = rates(port, meter.class) else { return Vec::new() };
        [(Scope::Vlan(meter.vid), vlan), (Scope::Port, port)]
            .map(|(vlan, rate)| {
                self.make(Metered::Storm(Storm { port: key, vlan, class: meter.class }), rate)
            })
            .to_vec()
    }

    /// The meter that counts the frames that are too long for a way out.
    pub(super) fn of_length(&mut self, what: Length) -> MeterId {
        self.make(Metered::Length(what), NO_LIMIT)
    }

    /// The meter that frames of these actions reach if they are too long for every way out.
    pub(super) fn judge_of(&self, actions: &[Action]) -> Option<MeterId> {
        let is_whole =
            |id: &MeterId| matches!(self.what(*id), Some(Metered::Length(Length { is_whole: true, .. })));
        named(actions).into_iter().find(is_whole)
    }

    /// Frames of a flow that this meter judges; `false` if there is no such meter.
    pub(super) fn put_off(&mut self, id: MeterId, frames: u64) -> bool {
        let made = self.made.get_mut(&id);
        made.map(|made| made.unsure += frames).is_some()
    }

    fn make(&mut self, what: Metered, rate: MeterRate) -> MeterId {
        let id = *self.by_what.entry(what).or_insert_with(|| self.ids.take());
        let made = self.made.entry(id).or_insert_with(|| {
            self.set.push((id, Some(rate)));
            self.idle.insert(id);
            Made { what, rate, flows: 0, stats: MeterStats::default(), unsure: 0, owed: 0 }
        });
        if made.rate != rate {
            made.rate = rate;
            self.set.push((id, Some(rate)));
        }
        id
    }

    /// A flow of an earlier run names these meters.
    pub(super) fn inherit(&mut self, actions: &[Action]) {
        self.ids.inherited.extend(named(actions));
    }

    /// No flow of an earlier run is left as it was: what they named is to go.
    pub(super) fn disown(&mut self) {
        for id in std::mem::take(&mut self.ids.inherited) {
            self.unset.push((id, None));
            if id.0 < self.ids.next {
                self.ids.give_back(id);
            }
        }
    }

    /// The datapath is another one, without any meter.
    pub(super) fn make_again(&mut self) {
        self.set.extend(self.made.iter().map(|(id, made)| (*id, Some(made.rate))));
    }

    /// A flow with these actions is in the book.
    pub(super) fn hold(&mut self, actions: &[Action]) {
        for id in named(actions) {
            if let Some(made) = self.made.get_mut(&id) {
                made.flows += 1;
            }
        }
    }

    /// A flow with these actions is in the book no longer.
    pub(super) fn release(&mut self, actions: &[Action]) {
        for id in named(actions) {
            if let Some(made) = self.made.get_mut(&id) {
                made.flows = made.flows.saturating_sub(1);
                if made.flows == 0 {
                    self.idle.insert(id);
                }
            }
        }
    }

    /// Removes the meters that no flow names, and none did when this was last called: their last counts are read by then.
    pub(super) fn sweep(&mut self) {
        let idle = std::mem::take(&mut self.idle);
        for id in std::mem::replace(&mut self.resting, idle) {
            if self.idle_of(id)
                && let Some(made) = self.made.remove(&id)
            {
                self.by_what.remove(&made.what);
                self.refused.remove(&id);
                self.resting.remove(&id);
                self.ids.give_back(id);
                self.unset.push((id, None));
            }
        }
    }

    fn idle_of(&self, id: MeterId) -> bool {
        self.made.get(&id).is_some_and(|made| made.flows == 0)
    }

    /// The datapath refused a change for now: it is asked again, unless it has become pointless by then.
    pub(super) fn retry_later(&mut self, now: Instant, id: MeterId) {
        let refused = self.refused.entry(id).or_insert(Refused { times: 0, retry_at: now });
        refused.times += 1;
        refused.retry_at = now + RETRY_AFTER * 2_u32.pow((refused.times - 1).min(RETRY_DOUBLINGS));
    }

    /// The datapath did as it was told.
    pub(super) fn note_done(&mut self, id: MeterId) {
        self.refused.remove(&id);
    }

    /// Asks again for what was refused, as it is wanted now.
    pub(super) fn retry_due(&mut self, now: Instant) {
        if self.next_due().is_none_or(|due| due > now) {
            return;
        }
        for (id, refused) in &mut self.refused {
            if refused.retry_at <= now {
                // Until its answer is there.
                refused.retry_at = now + RETRY_AFTER * 2_u32.pow(RETRY_DOUBLINGS);
                match self.made.get(id) {
                    Some(made) => self.set.push((*id, Some(made.rate))),
                    None => self.unset.push((*id, None)),
                }
            }
        }
    }

    /// When something that was refused is to be asked again.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.refused.values().map(|refused| refused.retry_at).min()
    }

    /// What a meter is about, if it is there.
    pub(super) fn what(&self, id: MeterId) -> Option<Metered> {
        self.made.get(&id).map(|made| made.what)
    }

    /// The first meter from a number on, what it is about and what it counted.
    pub(super) fn from(&self, id: MeterId) -> Option<(MeterId, Metered, MeterStats)> {
        self.made.range(id..).next().map(|(id, made)| (*id, made.what, made.stats))
    }

    /// The meters from a number on.
    pub(super) fn ids_from(&self, id: MeterId) -> impl Iterator<Item = MeterId> {
        self.made.range(id..).map(|(id, _)| *id)
    }

    /// Takes in what a meter counted; what that comes to since it was last read.
    pub(super) fn note(&mut self, id: MeterId, stats: MeterStats) -> Option<Noted> {
        let made = self.made.get_mut(&id)?;
        let before = std::mem::replace(&mut made.stats, stats);
        // One that was made anew begins again.
        let since = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
        let what = made.what;
        let Metered::Length(Length { is_whole, .. }) = what else {
            return Some(Noted { what, dropped: since(stats.dropped, before.dropped), forwarded: 0 });
        };
        let dropped = since(stats.packets, before.packets);
        made.owed += dropped * u64::from(is_whole);
        let unsure = std::mem::take(&mut made.unsure);
        let forwarded = unsure.saturating_sub(made.owed);
        made.owed -= unsure - forwarded;
        Some(Noted { what, dropped, forwarded })
    }

    /// What is to be set before flows change, and what is to be removed after.
    pub(super) fn take_changes(&mut self) -> (Vec<MeterChange>, Vec<MeterChange>) {
        (std::mem::take(&mut self.set), std::mem::take(&mut self.unset))
    }
}

/// Every meter that a list of actions names.
fn named(actions: &[Action]) -> SmallVec<[MeterId; 2]> {
    let mut meters = SmallVec::new();
    collect(actions, &mut meters);
    meters
}

fn collect(actions: &[Action], meters: &mut SmallVec<[MeterId; 2]>) {
    for action in actions {
        match action {
            Action::Meter(id) => meters.push(*id),
            other => other.inner().into_iter().for_each(|steps| collect(steps, meters)),
        }
    }
}

/// A meter that drops nothing.
const NO_LIMIT: MeterRate = MeterRate { packets_per_second: u32::MAX, burst: u32::MAX };

/// A change that was refused is asked again after this, then after twice, four times as long …
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// … and at last every 64 s.
const RETRY_DOUBLINGS: u32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn what(port: u32, vid: u16) -> Metered {
        let vlan = Scope::Vlan(Vid::new(vid));
        Metered::Storm(Storm { port: PortKey(port), vlan, class: StormClass::Broadcast })
    }

    fn rate() -> MeterRate {
        MeterRate { packets_per_second: 50, burst: 5 }
    }

    fn flow(id: MeterId) -> [Action; 1] {
        [Action::Meter(id)]
    }

    /// Meters as openvswitch.ko keeps them: an array that is found into by the remainder, and doubles when it is full.
    struct Array {
        places: Vec<Option<MeterId>>,
        count: usize,
    }

    impl Array {
        fn set(&mut self, id: MeterId) {
            let len = self.places.len();
            let place = &mut self.places[id.0 as usize % len];
            if *place == Some(id) {
                return;
            }
            assert_eq!(*place, None, "{id:?} is refused as busy among {len} places");
            *place = Some(id);
            self.count += 1;
            if self.count >= len {
                let mut larger = vec![None; len * 2];
                for id in self.places.iter().flatten() {
                    larger[id.0 as usize % (len * 2)] = Some(*id);
                }
                self.places = larger;
            }
        }

        fn unset(&mut self, id: MeterId) {
            let len = self.places.len();
            assert_eq!(self.places[id.0 as usize % len].take(), Some(id));
            self.count -= 1;
            if len > 16 && self.count <= len / 4 && self.places[len / 2..].iter().all(Option::is_none) {
                self.places.truncate(len / 2);
            }
        }
    }

    #[test]
    fn no_two_meters_meet_in_one_place_of_the_kernels_array() {
        let (mut meters, mut array) = (Meters::default(), Array { places: vec![None; 16], count: 0 });
        let mut random = 1_u64;
        let mut held: Vec<(u16, MeterId)> = Vec::new();
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let vid = (random >> 33) as u16 % 4_094 + 1;
            // It grows for long, then shrinks for long.
            let grows = (random >> 50) % 16 < if random >> 63 == 0 { 14 } else { 7 };
            match held.iter().position(|(known, _)| *known == vid) {
                Some(place) if !grows => meters.release(&flow(held.swap_remove(place).1)),
                None if grows => {
                    let id = meters.make(what(1, vid), rate());
                    meters.hold(&flow(id));
                    held.push((vid, id));
                }
                _ => {}
            }
            if random.is_multiple_of(64) {
                meters.sweep();
            }
            let (set, unset) = meters.take_changes();
            set.iter().for_each(|(id, _)| array.set(*id));
            unset.iter().for_each(|(id, _)| array.unset(*id));
        }
        assert!(array.count > 500, "only {} meters", array.count);
    }

    #[test]
    fn numbers_begin_at_0_and_the_lowest_free_one_is_used_again() {
        let mut meters = Meters::default();
        let ids: Vec<u32> = (1..=4_094).map(|vid| meters.make(what(1, vid), rate()).0).collect();
        assert_eq!(ids, (0..4_094).collect::<Vec<_>>());
        for id in ids.iter().filter(|id| ![7, 300].contains(*id)) {
            meters.hold(&flow(MeterId(*id)));
        }
        meters.sweep();
        assert_eq!(meters.take_changes().1, [], "what they counted last is still to be read");
        meters.sweep();
        assert_eq!(meters.take_changes().1, [(MeterId(7), None), (MeterId(300), None)]);
        assert_eq!(meters.make(what(2, 9), rate()), MeterId(7));
        assert_eq!(meters.make(what(2, 10), rate()), MeterId(300));
        assert_eq!(meters.make(what(2, 11), rate()), MeterId(4_094));
    }

    #[test]
    fn what_is_refused_is_asked_again_with_the_rate_that_is_wanted_then() {
        let mut meters = Meters::default();
        let id = meters.make(what(1, 5), rate());
        meters.take_changes();
        let second = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        meters.retry_later(second(0), id);
        assert_eq!(meters.next_due(), Some(second(1)));
        let faster = MeterRate { packets_per_second: 70, ..rate() };
        meters.make(what(1, 5), faster);
        assert_eq!(meters.take_changes().0, [(id, Some(faster))], "a new rate is asked for at once");
        meters.retry_due(second(1));
        assert_eq!(meters.take_changes().0, [(id, Some(faster))]);
        meters.retry_due(second(1));
        assert_eq!(meters.take_changes().0, [], "it is not answered yet");
        meters.retry_later(second(1), id);
        assert_eq!(meters.next_due(), Some(second(3)), "the second pause is twice as long");
        meters.note_done(id);
        assert_eq!(meters.next_due(), None);
    }

    #[test]
    fn a_removal_that_is_refused_is_asked_again_unless_the_number_is_in_use() {
        let mut meters = Meters::default();
        let id = meters.make(what(1, 5), rate());
        meters.sweep();
        meters.sweep();
        assert_eq!(meters.take_changes().1, [(id, None)]);
        meters.retry_later(Instant::ZERO, id);
        meters.retry_due(Instant::ZERO + RETRY_AFTER);
        assert_eq!(meters.take_changes(), (vec![], vec![(id, None)]));
        assert_eq!(meters.make(what(1, 6), rate()), id);
        meters.take_changes();
        meters.retry_later(Instant::ZERO, id);
        meters.retry_due(Instant::ZERO + RETRY_AFTER * 2);
        assert_eq!(meters.take_changes(), (vec![(id, Some(rate()))], vec![]));
    }

    #[test]
    fn what_an_earlier_run_left_means_nothing_else_before_it_goes() {
        let mut meters = Meters::default();
        meters.inherit(&[Action::Meter(MeterId(0)), Action::Meter(MeterId(2_047)), Action::PopTag]);
        assert_eq!(meters.make(what(1, 5), rate()), MeterId(1), "flows of an earlier run still name 0");
        meters.disown();
        let gone = vec![(MeterId(0), None), (MeterId(2_047), None)];
        assert_eq!(meters.take_changes(), (vec![(MeterId(1), Some(rate()))], gone));
        assert_eq!(meters.make(what(1, 6), rate()), MeterId(0), "and then they do no longer");
        meters.take_changes();
        meters.disown();
        assert_eq!(meters.take_changes(), (vec![], vec![]));
    }

    fn length(is_whole: bool) -> Length {
        Length { port: PortKey(1), exit: PortKey(2), is_whole }
    }

    fn read(meters: &mut Meters, id: MeterId, packets: u64) -> (u64, u64) {
        let noted = meters.note(id, MeterStats { packets, dropped: 0 }).unwrap();
        (noted.dropped, noted.forwarded)
    }

    #[test]
    fn frames_that_were_too_long_are_not_taken_for_forwarded() {
        let mut meters = Meters::default();
        let id = meters.of_length(length(true));
        assert!(meters.put_off(id, 10));
        assert_eq!(read(&mut meters, id, 3), (3, 7));
        // The meter was read after two more frames that the flow's counts do not have yet, both too long.
        assert!(meters.put_off(id, 1));
        assert_eq!(read(&mut meters, id, 6), (3, 0));
        assert!(meters.put_off(id, 4));
        assert_eq!(read(&mut meters, id, 6), (0, 2));
        // It was set anew.
        assert!(meters.put_off(id, 5));
        assert_eq!(read(&mut meters, id, 1), (1, 4));
        assert!(!meters.put_off(MeterId(9), 1));
    }

    #[test]
    fn a_copy_that_was_too_long_leaves_the_frame_forwarded() {
        let mut meters = Meters::default();
        let id = meters.of_length(length(false));
        assert_eq!(read(&mut meters, id, 3), (3, 0));
        let of = |meter| [Action::IfFits { mtu: 1_500, fits: vec![], longer: vec![Action::Meter(meter)] }];
        let whole = meters.of_length(length(true));
        assert_eq!((meters.judge_of(&of(id)), meters.judge_of(&of(whole))), (None, Some(whole)));
        meters.hold(&of(whole));
        meters.sweep();
        meters.sweep();
        assert_eq!((meters.what(id), meters.what(whole).is_some()), (None, true), "it is named inside");
    }
}
