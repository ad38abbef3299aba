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
use datapath::{Refusal, RefusalCause};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use vlan::model::port::Port;
use vlan::time::Instant;
use vlan::verdict::{Meter, StormClass};
use vlan::vid::Vid;

use crate::counters::{Counts, Loss, PortKey};
use crate::engine::due::Due;
use crate::engine::telling::Telling;
use crate::input::Answer;
use crate::lower::storm::{StormRates, rates};

/// The meters of the datapath.
#[derive(Debug, Default)]
pub(in crate::engine) struct Meters {
    by_what: FxHashMap<Metered, MeterId>,
    made: BTreeMap<MeterId, Made>,
    ids: Ids,
    /// Made, and named by no flow when last looked at.
    idle: BTreeSet<MeterId>,
    /// The same at the sweep before.
    resting: BTreeSet<MeterId>,
    /// What the datapath refused for now, how often in a row.
    refused: BTreeMap<MeterId, u32>,
    /// When they are asked again.
    retry: Due<MeterId>,
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

/// What a meter is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::engine) enum Metered {
    /// It limits flooded frames.
    Storm(Storm),
    /// It counts frames that are too long.
    Length(Length),
}

/// Flooded frames of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::engine) struct Storm {
    /// The arrival port.
    pub(in crate::engine) port: PortKey,
    /// One VLAN of it (`None` inside: of a VUB), or all of them together.
    pub(in crate::engine) vlan: Scope,
    /// The class of frames.
    pub(in crate::engine) class: StormClass,
}

/// Frames that are too long for a way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::engine) struct Length {
    /// The arrival port.
    pub(in crate::engine) port: PortKey,
    /// The port by which a copy does not leave.
    pub(in crate::engine) exit: PortKey,
    /// Whether there is then no copy at all.
    pub(in crate::engine) is_whole: bool,
}

impl Metered {
    /// What a meter limits, in words.
    pub(in crate::engine) fn name(self, counts: &Counts) -> String {
        let what = match self {
            Metered::Storm(what) => what,
            Metered::Length(Length { port, exit, .. }) => {
                let (port, exit) = (counts.name(port), counts.name(exit));
                return format!("count of frames from {port} that are too long for {exit}");
            }
        };
        let class = match what.class {
            StormClass::Broadcast => "broadcast",
            StormClass::Multicast => "multicast",
            StormClass::Unknown => "unknown unicast",
        };
        let port = counts.name(what.port);
        match what.vlan {
            Scope::Vlan(Some(vid)) => format!("limit of {class} of VLAN {vid} from {port}"),
            Scope::Vlan(None) | Scope::Port => format!("limit of {class} from {port}"),
        }
    }
}

impl Length {
    /// Counts what a meter of it counted.
    fn count(self, too_long: u64, forwarded: u64, counts: &mut Counts) {
        counts.port(self.port).flow_frames += forwarded;
        if too_long > 0 {
            counts.port(self.exit).over_mtu += too_long;
            if self.is_whole {
                counts.lose(self.port, Loss::OverMtu, None, too_long);
            }
        }
    }
}

/// What a meter has counted since it was read before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Noted {
    /// What it is about.
    pub(in crate::engine) what: Metered,
    /// Frames that were beyond the limit, or too long.
    pub(in crate::engine) dropped: u64,
    /// Frames of flows that were left to its judgement, and were not too long.
    pub(in crate::engine) forwarded: u64,
}

/// How much of a port a meter is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::engine) enum Scope {
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
    pub(in crate::engine) fn of(&mut self, key: PortKey, port: &Port, meter: Meter) -> Vec<MeterId> {
        let Some(StormRates { vlan, port }) = rates(port, meter.class) else { return Vec::new() };
        [(Scope::Vlan(meter.vid), vlan), (Scope::Port, port)]
            .map(|(vlan, rate)| {
                self.make(Metered::Storm(Storm { port: key, vlan, class: meter.class }), rate)
            })
            .to_vec()
    }

    /// The meter that counts the frames that are too long for a way out.
    pub(in crate::engine) fn of_length(&mut self, what: Length) -> MeterId {
        self.make(Metered::Length(what), NO_LIMIT)
    }

    /// The meter that frames of these actions reach if they are too long for every way out.
    pub(in crate::engine) fn judge_of(&self, actions: &[Action]) -> Option<MeterId> {
        let is_whole =
            |id: &MeterId| matches!(self.what(*id), Some(Metered::Length(Length { is_whole: true, .. })));
        named(actions).into_iter().find(is_whole)
    }

    /// Frames of a flow that this meter judges; `false` if there is no such meter.
    pub(in crate::engine) fn put_off(&mut self, id: MeterId, frames: u64) -> bool {
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
    pub(in crate::engine) fn inherit(&mut self, actions: &[Action]) {
        self.ids.inherited.extend(named(actions));
    }

    /// No flow of an earlier run is left as it was: what they named is to go.
    pub(in crate::engine) fn disown(&mut self) {
        for id in std::mem::take(&mut self.ids.inherited) {
            self.unset.push((id, None));
            if id.0 < self.ids.next {
                self.ids.give_back(id);
            }
        }
    }

    /// The datapath is another one, without any meter.
    pub(in crate::engine) fn make_again(&mut self) {
        self.set.extend(self.made.iter().map(|(id, made)| (*id, Some(made.rate))));
    }

    /// A flow with these actions is in the book.
    pub(in crate::engine) fn hold(&mut self, actions: &[Action]) {
        for id in named(actions) {
            if let Some(made) = self.made.get_mut(&id) {
                made.flows += 1;
            }
        }
    }

    /// A flow with these actions is in the book no longer.
    pub(in crate::engine) fn release(&mut self, actions: &[Action]) {
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
    pub(in crate::engine) fn sweep(&mut self) {
        let idle = std::mem::take(&mut self.idle);
        for id in std::mem::replace(&mut self.resting, idle) {
            if self.idle_of(id)
                && let Some(made) = self.made.remove(&id)
            {
                self.by_what.remove(&made.what);
                self.no_retry(id);
                self.resting.remove(&id);
                self.ids.give_back(id);
                self.unset.push((id, None));
            }
        }
    }

    fn idle_of(&self, id: MeterId) -> bool {
        self.made.get(&id).is_some_and(|made| made.flows == 0)
    }

    /// Takes in what the datapath says of changes. A limit that was refused for now is asked for again; its flows are without it until
    /// then.
    pub(in crate::engine) fn note_answers(
        &mut self,
        now: Instant,
        ids: &[MeterId],
        answers: Vec<Answer>,
        telling: &mut Telling,
    ) {
        for (id, answer) in ids.iter().zip(answers) {
            let Answer::Refused(refusal) = answer else {
                self.no_retry(*id);
                continue;
            };
            // A datapath that is made anew gets all of them.
            let is_gone = matches!(refusal.cause, RefusalCause::DatapathGone | RefusalCause::TakenOver);
            if refusal.is_retryable() {
                self.retry_later(now, *id);
            }
            let is_retried = is_gone || refusal.is_retryable();
            let refusal = match self.what(*id) {
                Some(what) => {
                    let what = format!("{} ({})", what.name(&telling.counts), refusal.what);
                    Refusal { what, ..refusal }
                }
                None => refusal,
            };
            telling.note_refusal(now, "set-meter", &refusal, is_retried);
        }
    }

    /// The datapath refused a change for now: it is asked again, unless it has become pointless by then.
    fn retry_later(&mut self, now: Instant, id: MeterId) {
        let times = self.refused.entry(id).or_insert(0);
        let doublings = (*times).min(RETRY_DOUBLINGS);
        *times += 1;
        self.retry.set(id, now + RETRY_AFTER * 2_u32.pow(doublings));
    }

    fn no_retry(&mut self, id: MeterId) {
        self.refused.remove(&id);
        self.retry.remove(&id);
    }

    /// Asks again for what was refused, as it is wanted now.
    pub(in crate::engine) fn retry_due(&mut self, now: Instant) {
        while let Some(id) = self.retry.take(now) {
            // Until its answer is there.
            self.retry.set(id, now + RETRY_AFTER * 2_u32.pow(RETRY_DOUBLINGS));
            match self.made.get(&id) {
                Some(made) => self.set.push((id, Some(made.rate))),
                None => self.unset.push((id, None)),
            }
        }
    }

    /// When something that was refused is to be asked again.
    pub(in crate::engine) fn next_due(&self) -> Option<Instant> {
        self.retry.next()
    }

    /// What a meter is about, if it is there.
    pub(in crate::engine) fn what(&self, id: MeterId) -> Option<Metered> {
        self.made.get(&id).map(|made| made.what)
    }

    /// The first meter whose number is not below `id`: what it limits, and what it counted.
    pub(in crate::engine) fn from(&self, id: MeterId) -> Option<(MeterId, Metered, MeterStats)> {
        self.made.range(id..).next().map(|(id, made)| (*id, made.what, made.stats))
    }

    /// The meters from a number on.
    pub(in crate::engine) fn ids_from(&self, id: MeterId) -> impl Iterator<Item = MeterId> {
        self.made.range(id..).map(|(id, _)| *id)
    }

    /// Takes in what meters counted.
    pub(in crate::engine) fn count(&mut self, stats: &[(MeterId, MeterStats)], counts: &mut Counts) {
        for (id, stats) in stats {
            match self.note(*id, *stats) {
                Some(Noted { what: Metered::Storm(what), dropped: dropped @ 1.., .. }) => {
                    let vid = match what.vlan {
                        Scope::Vlan(vid) => vid.map(Vid::get),
                        Scope::Port => None,
                    };
                    counts.lose(what.port, Loss::Storm(what.class), vid, dropped);
                }
                Some(Noted { what: Metered::Length(what), dropped, forwarded }) => {
                    what.count(dropped, forwarded, counts);
                }
                _ => {}
            }
        }
    }

    /// Takes in what a meter counted; what that comes to since it was last read.
    fn note(&mut self, id: MeterId, stats: MeterStats) -> Option<Noted> {
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

    /// Whether something is to be set or removed.
    pub(in crate::engine) fn has_changes(&self) -> bool {
        !self.set.is_empty() || !self.unset.is_empty()
    }

    /// What is to be set before flows change, and what is to be removed after.
    pub(in crate::engine) fn take_changes(&mut self) -> (Vec<MeterChange>, Vec<MeterChange>) {
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
            other => {
                let lists = other.inner().into_iter().filter(|steps| !steps.is_empty());
                lists.for_each(|steps| collect(steps, meters));
            }
        }
    }
}

/// A meter and its rate; `None` removes it.
pub(super) type MeterChange = (MeterId, Option<MeterRate>);

/// A meter that drops nothing.
const NO_LIMIT: MeterRate = MeterRate { packets_per_second: u32::MAX, burst: u32::MAX };

/// A change that was refused is asked again after this, then after twice, four times as long …
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// … and at last every 64 s.
const RETRY_DOUBLINGS: u32 = 6;

#[cfg(test)]
mod tests;
