//! What becomes of a frame that the kernel has no flow for: it is judged, learned from, sent on, and a flow put for those like it.

use datapath::flow::{Action, FlowKey, FlowStats};
use datapath::{Execute, Upcall};
use smallvec::SmallVec;
use vlan::fdb::Learned;
use vlan::fdb::reflect::{Echo, Evidence};
use vlan::fdb::refusal::Refused;
use vlan::frame::Header;
use vlan::model::id::{FabricId, HostId};
use vlan::model::topology::Topology;
use vlan::model::vnis::Origin;
use vlan::plane::Ingress;
use vlan::policy::{self, Special};
use vlan::switch::Switch;
use vlan::time::Instant;
use vlan::trace::Silent;
use vlan::verdict::{Consulted, Decision, Dependency, DropReason, Effect, Egress, Seen, Verdict};

use super::Flows;
use super::book::{Purpose, Record};
use super::changes::{Sending, Wanted};
use super::class::Class;
use super::doubt::Came;
use super::hosts::Inquiry;
use super::lengths::Lengths;
use super::loops::{Footing, Incoming};
use crate::budget::UNTAGGED;
use crate::counters::{Loss, PortKey};
use crate::engine::truth::Truth;
use crate::engine::truth::standing::Cause;
use crate::event::Event;
use crate::hello::HELLO_VNI;
use crate::lower::Lowering;
use crate::lower::flows::{is_cacheable, lower_within};

impl Flows {
    pub(in crate::engine) fn judge_upcalls(&mut self, now: Instant, truth: &mut Truth, upcalls: Vec<Upcall>) {
        for upcall in upcalls {
            self.judge_upcall(now, truth, upcall);
        }
    }

    fn judge_upcall(&mut self, now: Instant, truth: &mut Truth, upcall: Upcall) {
        let flow_key = match upcall.key {
            Err(malformed) => return truth.lose_malformed(upcall.vport, &malformed),
            Ok(flow_key) => flow_key,
        };
        let Some(ingress) = truth.ingress_of(&flow_key) else {
            truth.telling.counts.strangers += 1;
            return;
        };
        let (key, telling) = (truth.key_of_ingress(ingress), &mut truth.telling);
        telling.counts.port(key).upcalls += 1;
        let special = policy::special(&flow_key.header);
        if !self.is_within_budget(now, key, &flow_key, special) {
            return telling.note_over_budget(now, key);
        }
        if let Ingress::Tunnel(tunnelled) = ingress
            && tunnelled.vni == HELLO_VNI
        {
            let said = truth.hear(now, tunnelled, &upcall.frame, self);
            return said.into_iter().for_each(|said| Inquiry::new(now, truth, self).hear(said));
        }
        let came = Came { key: flow_key, frame: upcall.frame, hash: upcall.hash };
        self.judge_frame(now, truth, (ingress, Evidence::FlowsUnasked, special), came);
    }

    /// Special frames have a budget of their own: a port that floods must not silence its spanning tree, nor the other way round.
    fn is_within_budget(
        &mut self,
        now: Instant,
        key: PortKey,
        flow_key: &FlowKey,
        special: Option<Special>,
    ) -> bool {
        if special.is_some() {
            return self.budget.admit_control(now, key);
        }
        self.budget.admit(now, key, share_of(flow_key))
    }

    pub(super) fn judge_frame(
        &mut self,
        now: Instant,
        truth: &mut Truth,
        (ingress, evidence, special): (Ingress, Evidence, Option<Special>),
        Came { key: flow_key, frame, hash }: Came,
    ) {
        let mut verdict = self.verdict.take().unwrap_or_default();
        let incoming = Incoming { from: ingress, header: &flow_key.header, frame: &frame };
        let header = incoming.header;
        let mut learned =
            truth.switch.forward_by(now, (ingress, evidence, special), header, &mut verdict, &mut Silent);
        if let Some(Learned::Undecided { at, echo }) = learned {
            let own = self.loops.evidence(now, &truth.switch, incoming, &verdict);
            self.verdict = Some(verdict);
            let came = Came { key: flow_key, frame, hash };
            return match echo {
                Some(echo) if evidence == Evidence::HostUnasked => {
                    Inquiry::new(now, truth, self).ask((ingress, at, echo), came)
                }
                Some(echo) => self.doubt(now, truth, (ingress, echo), came),
                None => self.judge_frame(now, truth, (ingress, own, special), came),
            };
        }
        if let Some(learned) = &learned {
            self.note_learned(now, truth, incoming, &verdict, learned);
        }
        let footing = self.look_for_loop(now, truth, incoming, &mut verdict, &mut learned);
        self.note_effect(now, truth, verdict.effect);
        if let (Ingress::Tunnel(tunnelled), Decision::Drop(reason)) = (ingress, verdict.decision) {
            truth.tell_of_stranger(now, tunnelled, reason);
        }
        let (actions, lengths) = self.actions_of(truth, ingress, header, &verdict);
        let account = Account::of(truth, ingress, &verdict, header, &actions);
        let is_too_long = lengths.are_exceeded_by(&frame, header);
        match is_too_long {
            true => lengths.lose(truth, account.port),
            false => account.count(now, truth, &verdict),
        }
        let (vport, key) = (flow_key.vport, account.port);
        let is_strange = matches!(
            verdict.decision,
            Decision::Drop(DropReason::UnknownHost | DropReason::OwnHost | DropReason::UnknownVni)
        );
        if is_cacheable(&verdict, learned.as_ref())
            // Whoever is no host may make up addresses: the flow table is not for them.
            && !is_strange
            && may_be_left_to_kernel(&verdict, footing)
            && !self.put_flow(now, flow_key, &verdict, &actions, account)
        {
            truth.telling.counts.refuse("put-flow", "flow-limit");
        }
        if !actions.is_empty() && !is_too_long {
            self.loops.note_flown(now, truth.switch.topology(), ingress, &frame, &verdict);
            let frame = Execute { vport: Some(vport), frame, actions, hash };
            self.cache.changes.frames.push(Sending { port: key, frame });
        }
        self.verdict = Some(verdict);
    }

    fn note_learned(
        &mut self,
        now: Instant,
        truth: &mut Truth,
        Incoming { from, header, .. }: Incoming<'_>,
        verdict: &Verdict,
        learned: &Learned,
    ) {
        if let Some(gone) = learned.evicted() {
            self.spoil(Dependency::Address(gone.segment, gone.mac));
        }
        // What no address is learned of is dropped from here on, and flows let it pass.
        if let (Learned::New { .. }, Ingress::Port(port)) = (learned, from)
            && truth.switch.fdb.is_stuck_full(port)
        {
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
        let name = |truth: &Truth| truth.name_of_ingress(from);
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
        arrival: Ingress,
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
        let ways = self.cache.groups.ways(truth, verdict.outputs.iter().map(|output| output.to));
        (lower_within(&verdict.outputs, &meters, &lengths.limits, &ways), lengths)
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
        let (mut stats, mut turned_at, mut before) = (FlowStats::default(), 0, None);
        if let Some(record) = known.and_then(|id| book.get(id)) {
            // It came up before the flow was there, as did others like it.
            if record.actions == actions {
                return true;
            }
            // The datapath replaces it in place and counts on.
            (stats, turned_at, before) = (record.stats, record.turned_at, book.echoes_of(record));
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
            era: self.cache.book.eras.now(),
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
            self.cache.divert(before, &record);
        }
        self.cache.enter(record, class);
        let flow = Wanted { id, key, mask, actions: actions.to_vec() };
        self.cache.changes.put_flow(flow, known.is_none());
        true
    }
}

/// Whose share of a budget a frame is: that of its first tag, or of its VNI. There are as many shares as VIDs.
pub(in crate::engine) fn share_of(key: &FlowKey) -> u16 {
    match key.tunnel {
        Some(tunnel) => (tunnel.vni % u32::from(UNTAGGED)) as u16,
        None => key.header.tag(0).map_or(UNTAGGED, vlan::tag::Tag::raw_vid),
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
        ingress: Ingress,
        verdict: &Verdict,
        header: &Header,
        actions: &[Action],
    ) -> Account {
        let into_fabrics = into_fabrics(&truth.switch, ingress, verdict);
        Account {
            port: truth.key_of_ingress(ingress),
            purpose: purpose(verdict, header, actions),
            into_fabrics,
        }
    }

    /// What may come back of one with this source.
    fn echoes_of<'a>(&'a self, source: &'a Seen, verdict: &'a Verdict) -> impl Iterator<Item = Echo> + 'a {
        self.into_fabrics.iter().map(|to| source.echo(verdict.likeness, *to))
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
            }
        }
        // It may come back from there within a second, and is no move then.
        for echo in verdict.source.iter().flat_map(|source| self.echoes_of(source, verdict)) {
            truth.switch.fdb.sent.note(now, echo);
        }
    }
}

/// A frame whose every way out is to a vport that is gone, or to another host while there is no tunnel, has no member to go to.
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

/// The fabrics that copies go into, here or by another host: never the one that the frame came from. What another host floods it sends to all
/// gateways of a fabric, and whichever of them carries the VLAN has sent it there: it may come back by a trunk of another.
fn into_fabrics(switch: &Switch, ingress: Ingress, verdict: &Verdict) -> SmallVec<[FabricId; 1]> {
    let topology = switch.topology();
    let mut into = SmallVec::new();
    let is_flood = verdict.depends.iter().any(|state| matches!(state, Dependency::Segment(_)));
    if let (true, Ingress::Tunnel(tunnelled)) = (is_flood, ingress)
        && let Some(of) = topology.by_vni(tunnelled.vni)
    {
        add_fabrics(topology, of, |there| there == switch.host(), &mut into);
    }
    for output in &verdict.outputs {
        match output.to {
            Egress::Port(port) => into.extend(topology.port(port).group),
            Egress::Tunnel { host, vni, .. } => {
                let of = topology.by_vni(vni);
                of.into_iter().for_each(|of| add_fabrics(topology, of, |there| there == host, &mut into));
            }
            Egress::Hosts { segment, origin, .. } => {
                add_fabrics(topology, (segment, origin), |there| there != switch.host(), &mut into);
            }
        }
    }
    into
}

/// The fabrics into which some hosts' trunks on a segment lead.
fn add_fabrics(
    topology: &Topology,
    (segment, origin): (u32, Origin),
    is_sent: impl Fn(HostId) -> bool,
    into: &mut SmallVec<[FabricId; 1]>,
) {
    for member in topology.segment(segment).trunk_members(topology) {
        let port = topology.port(member.port);
        let fabric = port.group.filter(|fabric| is_sent(port.host) && origin != Origin::Group(*fabric));
        into.extend(fabric.filter(|fabric| !into.contains(fabric)));
    }
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
