//! Storm meters: for each class of flooded frames one of each (port, VLAN), inside one of the port as a whole.
//!
//! A meter is made when the first flow names it, and removed when none does any more.

use datapath::flow::{Action, MeterId, MeterRate, MeterStats};
use rustc_hash::FxHashMap;
use vlan::model::port::Port;
use vlan::verdict::{Meter, StormClass};
use vlan::vid::Vid;

use super::MeterChange;
use crate::counters::PortKey;
use crate::lower::storm::{StormRates, rates};

/// The meters of the datapath.
#[derive(Debug, Default)]
pub(super) struct Meters {
    by_what: FxHashMap<Metered, MeterId>,
    made: FxHashMap<MeterId, Made>,
    free: Vec<MeterId>,
    last: u32,
    set: Vec<MeterChange>,
    unset: Vec<MeterChange>,
}

/// What a meter is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Metered {
    /// The arrival port.
    pub(super) port: PortKey,
    /// One VLAN of it (`None` inside: of a VUB), or all of them together.
    pub(super) vlan: Scope,
    /// The class of frames.
    pub(super) class: StormClass,
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
}

impl Meters {
    /// The meters that a flooded frame of this class passes, the narrower first: what a VLAN may not send is not taken from what the
    /// port may send.
    pub(super) fn of(&mut self, key: PortKey, port: &Port, meter: Meter) -> Vec<MeterId> {
        let Some(StormRates { vlan, port }) = rates(port, meter.class) else { return Vec::new() };
        [(Scope::Vlan(meter.vid), vlan), (Scope::Port, port)]
            .map(|(vlan, rate)| self.make(Metered { port: key, vlan, class: meter.class }, rate))
            .to_vec()
    }

    fn make(&mut self, what: Metered, rate: MeterRate) -> MeterId {
        let id = match self.by_what.get(&what) {
            Some(id) => *id,
            None => self.free.pop().unwrap_or_else(|| {
                self.last += 1;
                MeterId(self.last)
            }),
        };
        let made = self.made.entry(id).or_insert_with(|| {
            self.set.push((id, Some(rate)));
            Made { what, rate, flows: 0, stats: MeterStats::default() }
        });
        if made.rate != rate {
            made.rate = rate;
            self.set.push((id, Some(rate)));
        }
        self.by_what.insert(what, id);
        id
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
            }
        }
    }

    /// Removes the meters that no flow names.
    pub(super) fn sweep(&mut self) {
        let unused: Vec<MeterId> =
            self.made.iter().filter(|(_, made)| made.flows == 0).map(|(id, _)| *id).collect();
        for id in unused {
            if let Some(made) = self.made.remove(&id) {
                self.by_what.remove(&made.what);
                self.free.push(id);
                self.unset.push((id, None));
            }
        }
        self.free.sort_unstable_by(|a, b| b.cmp(a));
    }

    /// What meters counted.
    pub(super) fn note(&mut self, stats: &[(MeterId, MeterStats)]) {
        for (id, stats) in stats {
            if let Some(made) = self.made.get_mut(id) {
                made.stats = *stats;
            }
        }
    }

    /// What is to be set before flows change, and what is to be removed after.
    pub(super) fn take_changes(&mut self) -> (Vec<MeterChange>, Vec<MeterChange>) {
        (std::mem::take(&mut self.set), std::mem::take(&mut self.unset))
    }

    /// Every meter in ascending order, with what it dropped.
    pub(super) fn all(&self) -> Vec<(MeterId, Metered, MeterStats)> {
        let mut all: Vec<_> = self.made.iter().map(|(id, made)| (*id, made.what, made.stats)).collect();
        all.sort_unstable_by_key(|(_, what, _)| *what);
        all
    }
}

fn named(actions: &[Action]) -> impl Iterator<Item = MeterId> {
    actions.iter().filter_map(|action| match action {
        Action::Meter(id) => Some(*id),
        _ => None,
    })
}
