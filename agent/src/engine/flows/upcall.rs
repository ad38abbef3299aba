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
use vlan::policy::{self, Special};
use vlan::time::Instant;
use vlan::trace::Silent;
use vlan::verdict::{Consulted, Decision, Dependency, DropReason, Effect, Egress, Verdict};

use super::Flows;
use super::book::{Purpose, Record};
use super::changes::{Sending, Wanted};
use super::class::Class;
use super::lengths::Lengths;
use super::loops::{Footing, Incoming};
use crate::budget::UNTAGGED;
use crate::counters::{Flaw, Loss, PortKey};
use crate::engine::truth::Truth;
use crate::engine::truth::standing::Cause;
use crate::event::Event;
use crate::lower::Lowering;
use crate::lower::flows::{is_cacheable, lower_within};

impl Flows {
    pub(in crate::engine) fn judge_upcalls(&mut self, now: Instant, truth: &mut Truth, upcalls: Vec<Upcall>) {
        for upcall in upcalls {
            self.judge_upcall(now, truth, upcall);
        }
    }

    fn judge_upcall(&mut self, now: Instant, truth: &mut Truth, upcall: Upcall) {
        let Some(port) = truth.links.standings.port_of(upcall.vport) else {
            truth.telling.counts.strangers += 1;
            return;
        };
        let (key, telling) = (truth.key_of(port), &mut truth.telling);
        telling.counts.port(key).upcalls += 1;
        let flow_key = match upcall.key {
            Err(malformed) => {
                return telling.counts.lose(key, Loss::Malformed(Flaw::from(&malformed)), None, 1);
            }
            Ok(flow_key) => flow_key,
        };
        let special = policy::special(&flow_key.header);
        if !self.is_within_budget(now, key, &flow_key.header, special) {
            return telling.note_over_budget(now, key);
        }
        self.judge_frame(now, truth, (port, Evidence::FlowsUnasked, special), flow_key, upcall.frame);
    }

    /// Special frames have a budget of their own: a port that floods must not silence its spanning tree, nor the other way round.
    fn is_within_budget(
        &mut self,
        now: Instant,
        key: PortKey,
        header: &Header,
        special: Option<Special>,
    ) -> bool {
        if special.is_some() {
            return self.budget.admit_control(now, key);
        }
        let vid = header.tag(0).map_or(UNTAGGED, vlan::tag::Tag::raw_vid);
        self.budget.admit(now, key, vid)
    }

    pub(super) fn judge_frame(
        &mut self,
        now: Instant,
        truth: &mut Truth,
        (port, evidence, special): (PortId, Evidence, Option<Special>),
        flow_key: FlowKey,
        frame: Vec<u8>,
    ) {
        let mut verdict = self.verdict.take().unwrap_or_default();
        let incoming = Incoming { port, header: &flow_key.header, frame: &frame };
        let header = incoming.header;
        let mut learned =
            truth.switch.forward_by(now, (port, evidence, special), header, &mut verdict, &mut Silent);
        if let Some(Learned::Undecided { echo, .. }) = learned {
            let evidence = self.loops.evidence(now, &truth.switch, incoming, &verdict);
            self.verdict = Some(verdict);
            return match echo {
                Some(echo) => self.doubt(now, truth, (port, echo), flow_key, frame),
                None => self.judge_frame(now, truth, (port, evidence, special), flow_key, frame),
            };
        }
        if let Some(learned) = &learned {
            self.note_learned(now, truth, incoming, &verdict, learned);
        }
        let footing = self.look_for_loop(now, truth, incoming, &mut verdict, &mut learned);
        self.note_effect(now, truth, verdict.effect);
        let (actions, lengths) = self.actions_of(truth, port, header, &verdict);
        let account = Account::of(truth, port, &verdict, header, &actions);
        let is_too_long = lengths.are_exceeded_by(&frame, header);
        match is_too_long {
            true => lengths.lose(truth, account.port),
            false => account.count(now, truth, &verdict),
        }
        let (vport, key) = (flow_key.vport, account.port);
        if is_cacheable(&verdict, learned.as_ref())
            && may_be_left_to_kernel(&verdict, footing)
            && !self.put_flow(now, flow_key, &verdict, &actions, account)
        {
            truth.telling.counts.refuse("put-flow", "flow-limit");
        }
        if !actions.is_empty() && !is_too_long {
            self.loops.note_flown(now, truth.switch.topology(), port, &frame, &verdict);
            let frame = Execute { vport: Some(vport), frame, actions, hash: None };
            self.cache.changes.frames.push(Sending { port: key, frame });
        }
        self.verdict = Some(verdict);
    }

    fn note_learned(
        &mut self,
        now: Instant,
        truth: &mut Truth,
        Incoming { port, header, .. }: Incoming<'_>,
        verdict: &Verdict,
        learned: &Learned,
    ) {
        if let Some(gone) = learned.evicted() {
            self.spoil(Dependency::Address(gone.segment, gone.mac));
        }
        // What no address is learned of is dropped from here on, and flows let it pass.
        if matches!(learned, Learned::New { .. }) && truth.switch.fdb.is_stuck_full(port) {
            self.spoil(Dependency::Port(port));
        }
        if learned.is_change() {
            let addresses = verdict.depends.iter().copied();
            let own = addresses.filter(|d| matches!(d, Dependency::Address(_, mac) if *mac == header.src));
            for state in own {
                self.spoil(state);
                if let (Dependency::Address(segment, mac), Learned::Frozen { .. }) = (state, learned) {
                    self.renew_address(now, truth, segment, mac);
                }
            }
        }
        let name = |truth: &Truth| truth.switch.topology().port(port).name.clone();
        match *learned {
            Learned::Frozen { at, from, seen: location, .. } => {
                let held = truth.place_name(at);
                // The other of its two sides, where it is seen at the one where it is held.
                let seen = if at == location { truth.place_name(from) } else { name(truth) };
                truth.telling.tell(Event::AddressFrozen { mac: header.src, held, seen });
            }
            Learned::Refused(Refused::Reflected { at }) => {
                let port = name(truth);
                if truth.telling.may_tell(now, (REFLECTED, port.clone())) {
                    let held = truth.place_name(at);
                    truth.telling.tell(Event::Reflected { mac: header.src, held, port });
                }
            }
            _ => {}
        }
    }

    fn note_effect(&mut self, now: Instant, truth: &mut Truth, effect: Option<Effect>) {
        match effect {
            Some(Effect::BlockPort(port)) => {
                let pause = truth.blocks.after_bpdu();
                truth.block(now, port, Cause::Bpdu, pause, self);
            }
            None => {}
        }
    }

    /// The actions that a verdict comes to, none for a drop; and what is too long for its ways out.
    pub(super) fn actions_of(
        &mut self,
        truth: &Truth,
        arrival: PortId,
        header: &Header,
        verdict: &Verdict,
    ) -> (Vec<Action>, Lengths) {
        if verdict.decision != Decision::Forward {
            return (Vec::new(), Lengths::default());
        }
        let limits = &mut self.cache.meters;
        let meters = match verdict.meter {
            Some(meter) => {
                let (key, topology) = (truth.key_of(meter.port), truth.switch.topology());
                limits.of(key, topology.port(meter.port), meter)
            }
            None => Vec::new(),
        };
        let lengths = Lengths::of(limits, truth, arrival, header, &verdict.outputs);
        let vport_of = |port| truth.links.standings.vport_of(port);
        (lower_within(&verdict.outputs, &meters, &lengths.limits, vport_of), lengths)
    }

    /// Enters a flow into the book and has it put, if it is not there yet; `false` if there is no room for it.
    fn put_flow(
        &mut self,
        now: Instant,
        key: FlowKey,
        verdict: &Verdict,
        actions: &[Action],
        account: Account,
    ) -> bool {
        let mask = kernel_mask(verdict.consulted);
        let book = &mut self.cache.book;
        let class = Class::of(&key, &mask);
        let known = book.find_class(class);
        let (mut stats, mut turned_at, mut before) = (FlowStats::default(), 0, SmallVec::new());
        if let Some(record) = known.and_then(|id| book.get(id)) {
            // It came up before the flow was there, as did others like it.
            if record.actions == actions {
                return true;
            }
            // The datapath replaces it in place and counts on.
            (stats, turned_at, before) = (record.stats, record.turned_at, record.echoes().collect());
        } else if book.len() >= self.most {
            return false;
        }
        let id = known.unwrap_or_else(|| book.new_id());
        let Account { port, purpose, into_fabrics } = account;
        let record = Box::new(Record {
            id,
            key: key.clone(),
            mask,
            actions: actions.to_vec(),
            port,
            purpose,
            judge: None,
            source: verdict.source,
            likeness: verdict.likeness,
            depends: SmallVec::from_slice(&verdict.depends),
            into_fabrics,
            turned_at,
            stats,
            used: now,
            unanswered: 1,
            heat: 1,
        });
        if known.is_some() {
            self.divert(before, &record);
        }
        self.cache.enter(record, class);
        let flow = Wanted { id, key, mask, actions: actions.to_vec() };
        self.cache.changes.put_flow(flow, known.is_none());
        true
    }
}

/// What becomes of frames of a verdict, as far as the book keeps it.
pub(in crate::engine) struct Account {
    /// Whom they are counted for.
    pub(in crate::engine) port: PortKey,
    /// What they are counted as.
    pub(in crate::engine) purpose: Purpose,
    /// The fabrics that they go out into.
    pub(in crate::engine) into_fabrics: SmallVec<[FabricId; 1]>,
}

impl Account {
    /// Of frames with this header that come in by a port, where the verdict comes to these actions.
    pub(in crate::engine) fn of(
        truth: &Truth,
        port: PortId,
        verdict: &Verdict,
        header: &Header,
        actions: &[Action],
    ) -> Account {
        let into_fabrics = into_fabrics(truth.switch.topology(), verdict).collect();
        Account { port: truth.key_of(port), purpose: purpose(verdict, header, actions), into_fabrics }
    }

    /// Counts one of them that came up.
    fn count(&self, now: Instant, truth: &mut Truth, verdict: &Verdict) {
        let counts = &mut truth.telling.counts;
        match self.purpose {
            Purpose::Drop(reason, vid) => counts.lose(self.port, Loss::of(reason, vid), vid, 1),
            Purpose::Forward => {
                let counts = counts.port(self.port);
                counts.executed += 1;
                counts.floods +=
                    u64::from(verdict.depends.iter().any(|d| matches!(d, Dependency::Segment(_))));
                // It may come back from there within a second, and is no move then.
                for echo in verdict
                    .source
                    .iter()
                    .flat_map(|source| self.into_fabrics.iter().map(|to| source.echo(verdict.likeness, *to)))
                {
                    truth.switch.fdb.sent.note(now, echo);
                }
            }
        }
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
