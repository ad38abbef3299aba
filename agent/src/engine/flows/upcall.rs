//! What becomes of a frame that the kernel has no flow for: it is judged, learned from, sent on, and a flow put for those like it.

use datapath::flow::{Action, FlowKey, FlowStats};
use datapath::{Execute, Upcall};
use smallvec::SmallVec;
use vlan::fdb::Learned;
use vlan::fdb::reflect::Evidence;
use vlan::fdb::refusal::Refused;
use vlan::frame::Header;
use vlan::model::id::{FabricId, PortId};
use vlan::model::topology::Topology;
use vlan::policy;
use vlan::time::Instant;
use vlan::trace::Silent;
use vlan::verdict::{Consulted, Decision, Dependency, DropReason, Effect, Egress, Verdict};

use super::book::{Purpose, Record};
use super::changes::Wanted;
use super::lengths::Lengths;
use super::loops::{Footing, Incoming};
use crate::budget::UNTAGGED;
use crate::counters::{Flaw, Loss, PortKey};
use crate::engine::truth::standing::Cause;
use crate::engine::{Engine, Sending};
use crate::event::Event;
use crate::lower::flows::{is_cacheable, lower_within};

impl Engine {
    pub(in crate::engine) fn judge_upcalls(&mut self, now: Instant, upcalls: Vec<Upcall>) {
        for upcall in upcalls {
            self.judge_upcall(now, upcall);
        }
    }

    fn judge_upcall(&mut self, now: Instant, upcall: Upcall) {
        let Some(port) = self.links.port_of(upcall.vport) else {
            self.counts.strangers += 1;
            return;
        };
        let key = self.key_of(port);
        self.counts.port(key).upcalls += 1;
        match upcall.key {
            Err(malformed) => self.counts.lose(key, Loss::Malformed(Flaw::from(&malformed)), None, 1),
            Ok(flow_key) if self.is_within_budget(now, key, &flow_key.header) => {
                self.judge_frame(now, (port, Evidence::FlowsUnasked), flow_key, upcall.frame);
            }
            Ok(_) => {
                self.counts.lose(key, Loss::OverBudget, None, 1);
                self.time.note_over_budget(now, key);
            }
        }
    }

    /// Control frames have a budget of their own: a port that floods must not silence its spanning tree, nor the other way round.
    fn is_within_budget(&mut self, now: Instant, key: PortKey, header: &Header) -> bool {
        if policy::class(header).is_some() || policy::is_probe(header) {
            return self.budget.admit_control(now, key);
        }
        let vid = header.tag(0).map_or(UNTAGGED, vlan::tag::Tag::raw_vid);
        self.budget.admit(now, key, vid)
    }

    pub(in crate::engine) fn judge_frame(
        &mut self,
        now: Instant,
        (port, evidence): (PortId, Evidence),
        flow_key: FlowKey,
        frame: Vec<u8>,
    ) {
        let mut verdict = std::mem::take(&mut self.verdict);
        let header = &flow_key.header;
        let mut learned = self.switch.forward_by(now, (port, evidence), header, &mut verdict, &mut Silent);
        if let Some(Learned::Undecided { echo, .. }) = learned {
            let incoming = Incoming { port, header, frame: &frame };
            let evidence = self.evidence(now, incoming, &verdict);
            self.verdict = verdict;
            return match echo {
                Some(echo) => self.doubt(now, port, echo, flow_key, frame),
                None => self.judge_frame(now, (port, evidence), flow_key, frame),
            };
        }
        if let Some(learned) = &learned {
            self.note_learned(now, port, &verdict, &flow_key.header, learned);
        }
        let incoming = Incoming { port, header: &flow_key.header, frame: &frame };
        let footing = self.look_for_loop(now, incoming, &mut verdict, &mut learned);
        self.note_effect(now, verdict.effect);
        let (actions, lengths) = self.actions_of(port, &flow_key.header, &verdict);
        let account = Account::of(self.switch.topology(), &verdict, &flow_key.header, &actions);
        let is_too_long = lengths.are_exceeded_by(&frame, &flow_key.header);
        match is_too_long {
            true => self.lose_lengthy(self.key_of(port), &lengths.limits),
            false => self.count_judged(now, port, &verdict, &account),
        }
        let vport = flow_key.vport;
        if is_cacheable(&verdict, learned.as_ref()) && may_be_left_to_kernel(&verdict, footing) {
            self.put_flow(now, (port, flow_key), &verdict, &actions, account);
        }
        if !actions.is_empty() && !is_too_long {
            self.note_flown(now, port, &frame, &verdict);
            let frame = Execute { vport: Some(vport), frame, actions };
            self.changes.frames.push(Sending { port: self.key_of(port), frame });
        }
        self.verdict = verdict;
    }

    fn note_learned(
        &mut self,
        now: Instant,
        port: PortId,
        verdict: &Verdict,
        header: &Header,
        learned: &Learned,
    ) {
        if let Some(gone) = learned.evicted() {
            self.spoil(Dependency::Address(gone.segment, gone.mac));
        }
        // What no address is learned of is dropped from here on, and flows let it pass.
        if matches!(learned, Learned::New { .. }) && self.switch.fdb.is_stuck_full(port) {
            self.spoil(Dependency::Port(port));
        }
        if learned.is_change() {
            let addresses = verdict.depends.iter().copied();
            let own = addresses.filter(|d| matches!(d, Dependency::Address(_, mac) if *mac == header.src));
            let own: SmallVec<[Dependency; 1]> = own.collect();
            for state in own {
                self.spoil(state);
                if let (Dependency::Address(segment, mac), Learned::Frozen { .. }) = (state, learned) {
                    self.renew_address(now, segment, mac);
                }
            }
        }
        let name = |engine: &Engine| engine.switch.topology().port(port).name.clone();
        match *learned {
            Learned::Frozen { at, from, seen: location, .. } => {
                let held = self.place_name(at);
                // The other of its two sides, where it is seen at the one where it is held.
                let seen = if at == location { self.place_name(from) } else { name(self) };
                self.tell(Event::AddressFrozen { mac: header.src, held, seen });
            }
            Learned::Refused(Refused::Reflected { at }) => {
                let port = name(self);
                if self.time.may_tell(now, (REFLECTED, port.clone())) {
                    let held = self.place_name(at);
                    self.tell(Event::Reflected { mac: header.src, held, port });
                }
            }
            _ => {}
        }
    }

    fn note_effect(&mut self, now: Instant, effect: Option<Effect>) {
        match effect {
            Some(Effect::BlockPort(port)) => {
                self.block(now, port, Cause::Bpdu, self.settings.block_for);
            }
            None => {}
        }
    }

    /// The actions that a verdict comes to, none for a drop; and what is too long for its ways out.
    pub(in crate::engine) fn actions_of(
        &mut self,
        arrival: PortId,
        header: &Header,
        verdict: &Verdict,
    ) -> (Vec<Action>, Lengths) {
        if verdict.decision != Decision::Forward {
            return (Vec::new(), Lengths::default());
        }
        let meters = match verdict.meter {
            Some(meter) => {
                let (key, topology) = (self.key_of(meter.port), self.switch.topology());
                self.meters.of(key, topology.port(meter.port), meter)
            }
            None => Vec::new(),
        };
        let lengths = self.lengths(arrival, header, &verdict.outputs);
        let vport_of = |port| self.links.vport_of(port);
        (lower_within(&verdict.outputs, &meters, &lengths.limits, vport_of), lengths)
    }

    fn count_judged(&mut self, now: Instant, port: PortId, verdict: &Verdict, account: &Account) {
        let key = self.key_of(port);
        match account.purpose {
            Purpose::Drop(reason, vid) => self.counts.lose(key, Loss::of(reason, vid), vid, 1),
            Purpose::Forward => {
                let counts = self.counts.port(key);
                counts.executed += 1;
                counts.floods +=
                    u64::from(verdict.depends.iter().any(|d| matches!(d, Dependency::Segment(_))));
                // It may come back from there within a second, and is no move then.
                for echo in verdict.source.iter().flat_map(|source| {
                    account.into_fabrics.iter().map(|to| source.echo(verdict.likeness, *to))
                }) {
                    self.switch.fdb.sent.note(now, echo);
                }
            }
        }
    }

    fn put_flow(
        &mut self,
        now: Instant,
        (port, key): (PortId, FlowKey),
        verdict: &Verdict,
        actions: &[Action],
        account: Account,
    ) {
        let mask = kernel_mask(verdict.consulted);
        let known = self.book.find_class(&key, &mask);
        let (mut stats, mut turned_at, mut before) = (FlowStats::default(), 0, SmallVec::new());
        if let Some(record) = known.and_then(|id| self.book.get(id)) {
            // It came up before the flow was there, as did others like it.
            if record.actions == actions {
                return;
            }
            // The datapath replaces it in place and counts on.
            (stats, turned_at, before) = (record.stats, record.turned_at, record.echoes().collect());
        } else if self.book.len() >= self.settings.flow_limit {
            self.counts.refuse("put-flow", "flow-limit");
            return;
        }
        let id = known.unwrap_or_else(|| self.book.new_id());
        let Account { purpose, into_fabrics } = account;
        let record = Record {
            id,
            key: key.clone(),
            mask,
            actions: actions.to_vec(),
            port: self.key_of(port),
            purpose,
            judge: None,
            source: verdict.source,
            likeness: verdict.likeness,
            depends: verdict.depends.clone(),
            into_fabrics,
            turned_at,
            stats,
            used: now,
            unanswered: 1,
            heat: 1,
        };
        if known.is_some() {
            self.note_diverted(before, &record);
        }
        self.enter(record);
        let flow = Wanted { id, key, mask, actions: actions.to_vec() };
        self.changes.put_flow(flow, known.is_none());
    }

    /// Writes a flow into the book, or over the one of its id.
    pub(in crate::engine) fn enter(&mut self, mut record: Record) {
        self.meters.hold(&record.actions);
        record.judge = self.meters.judge_of(&record.actions);
        if let Some(before) = self.book.get(record.id) {
            self.meters.release(&before.actions);
        }
        self.book.enter(record);
    }
}

/// What becomes of frames of a verdict, as far as the book keeps it.
pub(in crate::engine) struct Account {
    /// What they are counted as.
    pub(in crate::engine) purpose: Purpose,
    /// The fabrics that they go out into.
    pub(in crate::engine) into_fabrics: SmallVec<[FabricId; 1]>,
}

impl Account {
    /// Of frames with this header, where the verdict comes to these actions.
    pub(in crate::engine) fn of(
        topology: &Topology,
        verdict: &Verdict,
        header: &Header,
        actions: &[Action],
    ) -> Account {
        let into_fabrics = into_fabrics(topology, verdict).collect();
        Account { purpose: purpose(verdict, header, actions), into_fabrics }
    }
}

/// A frame whose every way out is to a vport that is gone, or to another host, has no member to go to.
fn purpose(verdict: &Verdict, header: &Header, actions: &[Action]) -> Purpose {
    match verdict.decision {
        Decision::Forward if !actions.is_empty() => Purpose::Forward,
        Decision::Forward | Decision::Unjudged => Purpose::Drop(DropReason::NoMember, None),
        Decision::Drop(reason) => {
            let vid = header.tag(0).map(vlan::tag::Tag::raw_vid).filter(|_| verdict.consulted.tags[0].vid);
            Purpose::Drop(reason, vid)
        }
    }
}

fn into_fabrics<'a>(topology: &'a Topology, verdict: &'a Verdict) -> impl Iterator<Item = FabricId> + 'a {
    verdict.outputs.iter().filter_map(move |output| match output.to {
        Egress::Port(port) => topology.port(port).group,
        Egress::Tunnel { .. } => None,
    })
}

/// Whether a frame may go round in the kernel without anybody seeing it: not one that is back, nor a flood of an address on the move.
/// What is dropped goes nowhere.
fn may_be_left_to_kernel(verdict: &Verdict, footing: Footing) -> bool {
    let is_flood = || verdict.depends.iter().any(|state| matches!(state, Dependency::Segment(_)));
    match footing {
        _ if verdict.decision != Decision::Forward => true,
        Footing::Settled => true,
        Footing::Unsettled => !is_flood(),
        Footing::Back => false,
    }
}

/// openvswitch.ko always tells apart how many tags there are, and what type is behind them.
pub(in crate::engine) fn kernel_mask(consulted: Consulted) -> Consulted {
    let mut mask = consulted;
    mask.tag_presence(vlan::frame::MAX_TAGS);
    mask
}

/// The kind of telling that our own frame came back.
const REFLECTED: &str = "reflected";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_always_tells_tags_apart() {
        let mask = kernel_mask(Consulted::default());
        assert!(
            mask.tags.iter().all(|tag| tag.presence && !tag.vid && !tag.pcp) && mask.ether_type && !mask.dst
        );
    }
}
