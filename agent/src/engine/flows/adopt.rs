//! What an earlier run left behind: its flows, still in force in the kernel, and the addresses that it saved.
//!
//! Flows say where addresses are, and when they were last heard. Then each is looked over like any flow whose ground has shifted:
//! what it would be under the topology in force decides whether it stays.

use datapath::Group;
use datapath::flow::{Action, Flow};
use smallvec::SmallVec;
use vlan::fdb::reflect::Likeness;
use vlan::fdb::saved::Saved;
use vlan::time::Instant;

use super::Flows;
use super::book::eras::Era;
use super::book::{Purpose, Record};
use super::changes::Wanted;
use super::heritage::Tally;
use super::upcall::kernel_mask;
use crate::engine::truth::Truth;
use crate::event::Event;
use crate::input::Answer;
use crate::lower::Lowering;

impl Flows {
    /// The flows that the datapath has at the start; later, those that it has after it was opened anew: none that is ours if somebody had
    /// removed it.
    pub(in crate::engine) fn observe(
        &mut self,
        now: Instant,
        truth: &mut Truth,
        (flows, groups): (Vec<Flow>, Vec<Group>),
    ) {
        let Some(flows) = self.heritage.keep(flows) else { return self.cache.groups.inherit(groups) };
        self.cache.meters.make_again();
        let there: Vec<_> = flows.iter().map(|flow| (flow.id, flow.stats)).collect();
        self.read_flow_stats(now, truth, &there, true);
        truth.telling.tell(Event::DatapathAnew);
    }

    /// Once ports and topology are known: learns from the flows, writes them into the book, and has them looked over.
    pub(in crate::engine) fn begin_with_heritage(&mut self, now: Instant, truth: &mut Truth) {
        let Some((flows, saved)) = self.heritage.begin(now) else { return };
        let mut addresses: Vec<Saved> = flows.iter().filter_map(|flow| truth.lesson_of(now, flow)).collect();
        addresses.extend(saved.iter().filter_map(|one| truth.located(one)));
        let mut tally = Tally::of(truth.switch.restore(now, addresses));
        for flow in flows {
            let id = flow.id;
            self.cache.book.ids.know_run_of(id);
            self.cache.meters.inherit(flow.actions.as_deref().unwrap_or_default());
            match Record::of_earlier_run(now, truth, flow) {
                Some(record) => {
                    let class = record.class();
                    self.cache.enter(Box::new(record), class);
                }
                None => {
                    self.cache.changes.delete_flow(id);
                    tally.deleted += 1;
                }
            }
        }
        self.spoil_all();
        self.heritage.count_from(tally);
    }

    /// The tunnel port is another one. What leaves by it is put once more, since a datapath has the port's number in it; what came in by
    /// the one before is gone.
    pub(in crate::engine) fn follow_tunnel(&mut self, truth: &Truth) {
        self.spoil_all();
        if !truth.overlay.is_open() {
            return;
        }
        self.cache.groups.make_again();
        for place in 0..self.cache.book.places() {
            let Some(record) = self.cache.book.at(place) else { continue };
            let Record { id, mask, .. } = *record;
            if truth.ingress_of(&record.key).is_none() {
                self.cache.withdraw(id);
            } else if names_tunnel(&record.actions) {
                let (key, actions) = (record.key.clone(), record.actions.clone());
                self.cache.put_again(Wanted { id, key, mask, actions });
            }
        }
    }

    /// Takes in what became of groups. Where one was refused, copies stand in the flows that named it.
    pub(in crate::engine) fn note_groups(
        &mut self,
        now: Instant,
        truth: &mut Truth,
        is_set: bool,
        answers: Vec<Answer>,
    ) {
        let mut is_one_refused = false;
        for answer in answers {
            if let Answer::Refused(refusal) = answer {
                truth.telling.note_refusal(now, "set-group", &refusal, false);
                is_one_refused = true;
            }
        }
        // One that could not be removed harms nobody.
        if is_one_refused && is_set {
            self.cache.groups.give_up();
            self.spoil_all();
        }
    }

    /// Whether something waits to be told and can be.
    pub(super) fn can_tell_of_renewal(&self, truth: &Truth) -> bool {
        self.heritage.is_to_be_told() && !truth.links.is_busy() && self.cache.book.is_fresh()
    }

    /// No stale flow is left: what waited for that is told.
    pub(super) fn tell_of_renewal(&mut self, truth: &mut Truth) {
        if let Some(tally) = self.heritage.take_tally() {
            self.cache.meters.disown();
            tally.event().into_iter().for_each(|event| truth.telling.tell(event));
        }
        if let Some(revision) = self.heritage.take_in_force() {
            truth.telling.tell(Event::Applied { revision });
        }
    }
}

/// Whether steps send by the tunnel.
fn names_tunnel(steps: &[Action]) -> bool {
    let is_one = |step: &Action| matches!(step, Action::Tunnel(_) | Action::Group(_));
    steps.iter().any(|step| is_one(step) || step.inner().into_iter().any(names_tunnel))
}

impl Record {
    /// A flow of the kernel as the book has it; `None` if it is not one that we would make.
    fn of_earlier_run(now: Instant, truth: &Truth, flow: Flow) -> Option<Record> {
        let ingress = truth.ingress_of(&flow.key)?;
        let mask = kernel_mask(flow.mask?);
        Some(Record {
            id: flow.id,
            key: flow.key,
            mask,
            actions: flow.actions?,
            port: truth.key_of_ingress(ingress),
            purpose: Purpose::Forward,
            judge: None,
            source: None,
            era: Era::UNKNOWN,
            likeness: Likeness::default(),
            depends: SmallVec::new(),
            into_fabrics: SmallVec::new(),
            turned_at: 0,
            stats: flow.stats,
            used: flow.stats.used.unwrap_or(now),
            unanswered: 0,
            heat: 1,
        })
    }
}
