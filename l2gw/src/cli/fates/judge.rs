//! Which frames are judged so that all are, and what is read off their verdicts.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;
use std::sync::Arc;

use vlan::addr::MacAddr;
use vlan::frame::Header;
use vlan::model::id::{HostId, PortId};
use vlan::model::port::{Mode, Port};
use vlan::model::topology::Topology;
use vlan::switch::Switch;
use vlan::tag::{Pcp, Tag, Tpid};
use vlan::time::Instant;
use vlan::trace::Silent;
use vlan::verdict::{Decision, DropReason, Egress, Output, Verdict};
use vlan::vid::{Vid, VidSet};

use super::kin::Kin;
use super::{Arrivals, Fate, Fates, Leaving, Name, Names, Piece, Why, all_vids};

/// Judges every class of frames at every kind of port.
pub(super) fn all(topology: &Arc<Topology>, names: &mut Names) -> Fates {
    let numbers: Vec<Name> = topology.ports().iter().map(|port| names.number(&port.name)).collect();
    let mut judge = Judge::new(topology, names, &numbers);
    let mut ports = vec![None; numbers.len()];
    for group in groups(topology) {
        let arrivals = Rc::new(judge.arrivals(&group));
        for port in group {
            ports[port.id.0 as usize] = Some(Rc::clone(&arrivals));
        }
    }
    Fates { ports: numbers.into_iter().zip(ports.into_iter().map(Option::unwrap_or_default)).collect() }
}

/// The ports, those that are alike together.
fn groups(topology: &Topology) -> Vec<Vec<&Port>> {
    let mut groups: Vec<Vec<&Port>> = Vec::new();
    let mut known: HashMap<Kin, usize> = HashMap::new();
    for port in topology.ports() {
        let at = match Kin::of(topology, port) {
            Some(kin) => *known.entry(kin).or_insert(groups.len()),
            None => groups.len(),
        };
        if at == groups.len() {
            groups.push(Vec::new());
        }
        groups[at].push(port);
    }
    groups
}

/// VIDs of one fate together, by their lowest.
fn by_fate(judged: Vec<(Fate, VidSet)>) -> Vec<(VidSet, Fate)> {
    let mut classes: HashMap<Fate, VidSet> = HashMap::new();
    for (fate, vids) in judged {
        match classes.entry(fate) {
            Entry::Vacant(none) => {
                none.insert(vids);
            }
            Entry::Occupied(mut class) => vids.iter().for_each(|vid| {
                class.get_mut().insert(vid);
            }),
        }
    }
    let mut tagged: Vec<(VidSet, Fate)> = classes.into_iter().map(|(fate, vids)| (vids, fate)).collect();
    tagged.sort_by_cached_key(|(vids, _)| vids.iter().next());
    tagged
}

struct Judge<'t, 'n> {
    topology: &'t Arc<Topology>,
    names: &'n mut Names,
    /// By port identifier.
    ports: &'n [Name],
    switches: HashMap<HostId, Switch>,
    source: MacAddr,
    verdict: Verdict,
}

impl<'t, 'n> Judge<'t, 'n> {
    fn new(topology: &'t Arc<Topology>, names: &'n mut Names, ports: &'n [Name]) -> Judge<'t, 'n> {
        let source = undeclared(topology);
        Judge { topology, names, ports, switches: HashMap::new(), source, verdict: Verdict::default() }
    }

    /// What becomes of the frames that arrive at ports that are alike.
    fn arrivals(&mut self, group: &[&Port]) -> Arrivals {
        let Some(port) = group.first() else { return Arrivals::default() };
        let mut judged = Vec::new();
        for vids in parts(self.topology, port) {
            let Some(one) = vids.iter().next() else { continue };
            judged.push((self.fate(group, Some(one.get())), vids));
        }
        let tagged = by_fate(judged);
        Arrivals { untagged: self.fate(group, None), priority: self.fate(group, Some(0)), tagged }
    }

    /// The first port of the group shows the copies to all the others; the second shows the copy to the first.
    fn fate(&mut self, group: &[&Port], vid: Option<u16>) -> Fate {
        let Some((first, others)) = group.split_first() else { return Fate::default() };
        let mut fate = self.fate_at(first, vid);
        if let Some(second) = others.first() {
            let own = self.port_name(first.id);
            let told = self.fate_at(second, vid);
            fate.copies.extend(told.copies.into_iter().filter(|copy| copy.to == own));
            fate.withheld.extend(told.withheld.into_iter().filter(|(to, _)| *to == own));
            fate.copies.sort_unstable();
            fate.withheld.sort_unstable();
        }
        fate
    }

    fn fate_at(&mut self, port: &Port, vid: Option<u16>) -> Fate {
        let header = self.header(port, vid);
        let switch = self
            .switches
            .entry(port.host)
            .or_insert_with(|| Switch::offline(Arc::clone(self.topology), port.host));
        let mut verdict = std::mem::take(&mut self.verdict);
        switch.judge(Instant::ZERO, port.id, &header, &mut verdict, &mut Silent);
        let fate = self.read(port, vid, &header, &verdict);
        self.verdict = verdict;
        fate
    }

    fn header(&self, port: &Port, vid: Option<u16>) -> Header {
        let tpid = tpid_of(port);
        let tag = vid.map(|vid| {
            Vid::new(vid).map_or(Tag::priority(tpid, Pcp::ZERO), |vid| Tag::new(tpid, vid, Pcp::ZERO))
        });
        let src = port.only_sources().first().copied().unwrap_or(self.source);
        Header { dst: MacAddr::BROADCAST, src, tags: tag.into_iter().collect(), ether_type: ARP }
    }

    fn read(&mut self, port: &Port, vid: Option<u16>, header: &Header, verdict: &Verdict) -> Fate {
        let refused = match verdict.decision {
            Decision::Drop(DropReason::NoMember) => None,
            Decision::Drop(reason) => Some(reason),
            Decision::Forward | Decision::Unjudged => None,
        };
        let arriving = vid.filter(|vid| *vid != 0);
        let mut copies: Vec<Leaving> =
            verdict.outputs.iter().map(|output| self.leaving(port, arriving, header, output)).collect();
        copies.sort_unstable();
        let mut withheld: Vec<(Name, DropReason)> =
            verdict.withheld.iter().map(|(to, why)| (self.port_name(*to), *why)).collect();
        withheld.sort_unstable();
        let is_lonely = refused.is_none() && copies.is_empty() && withheld.is_empty();
        let lonely = if is_lonely { self.why(port, header) } else { Why::Nothing };
        Fate { refused, copies, withheld, lonely }
    }

    fn leaving(&mut self, port: &Port, arriving: Option<u16>, header: &Header, output: &Output) -> Leaving {
        let to = match output.to {
            Egress::Port(id) => self.port_name(id),
            Egress::Hosts { .. } => self.names.number("every other host"),
            Egress::Tunnel { host, .. } => {
                self.names.number(&format!("host {}", self.topology.hosts()[host.0 as usize].name))
            }
        };
        let reads_tag = is_read(self.topology, port);
        let fixed = |tag: &Tag| Piece::Fixed(tag.raw_vid(), tag.pcp().get());
        let is_arriving = |tag: &Tag| Some(tag.raw_vid()) == arriving && tag.pcp() == Pcp::ZERO;
        let pushed = output.edit.push.iter().map(|tag| match reads_tag && is_arriving(tag) {
            true => Piece::Arriving,
            false => fixed(tag),
        });
        let left = header.tags.iter().skip(usize::from(output.edit.pop));
        let left = left.map(|tag| if is_arriving(tag) { Piece::Arriving } else { fixed(tag) });
        Leaving { to, tags: pushed.chain(left).collect() }
    }

    fn port_name(&self, port: PortId) -> Name {
        self.ports[port.0 as usize]
    }

    /// Why a frame that was let in is alone on its segment.
    fn why(&self, port: &Port, header: &Header) -> Why {
        let mut consulted = vlan::verdict::Consulted::default();
        let Ok(admitted) = vlan::ingress::admit(port, port.tpid, header, &mut consulted) else {
            return Why::Nothing;
        };
        let next = header.tag(admitted.taken).map(Tag::raw_vid);
        match self.topology.locate(port.bridge, admitted.vid, next) {
            Some(located) => Why::of(self.topology, port, located),
            None => Why::Nothing,
        }
    }
}

/// A source that no port declares, from the range for documentation (RFC 7042 2.1.2).
fn undeclared(topology: &Topology) -> MacAddr {
    let is_declared = |mac: &MacAddr| topology.ports().iter().any(|port| port.declares(*mac));
    let sources = (1..=u8::MAX).map(|last| MacAddr([0x00, 0x00, 0x5e, 0x00, 0x53, last]));
    sources.clone().find(|mac| !is_declared(mac)).unwrap_or(MacAddr([0x00, 0x00, 0x5e, 0x00, 0x53, 0x01]))
}

/// A qinq port and a plain one read customer tags, all others their bridge's.
fn tpid_of(port: &Port) -> Tpid {
    match port.mode {
        Mode::Qinq { .. } | Mode::Plain => Tpid::Customer,
        Mode::Access { .. } | Mode::Trunk(_) => port.tpid,
    }
}

/// Whether the first tag's VID decides on which segment a frame is, so that it may come back as a tag that is put on.
fn is_read(topology: &Topology, port: &Port) -> bool {
    match &port.mode {
        Mode::Trunk(_) => true,
        Mode::Qinq { vid, .. } => topology.inner_bridge(port.bridge, *vid).is_some(),
        Mode::Plain | Mode::Access { .. } => false,
    }
}

/// All VIDs in parts, of each of which one stands for the others.
fn parts(topology: &Topology, port: &Port) -> Vec<VidSet> {
    match &port.mode {
        Mode::Access { .. } => vec![VidSet::all()],
        Mode::Trunk(trunk) => {
            let (known, other): (VidSet, VidSet) = partition(|vid| trunk.bridge_vid(vid).is_some());
            known.iter().map(|vid| [vid].into_iter().collect()).chain([other]).collect()
        }
        Mode::Qinq { .. } if is_read(topology, port) => {
            all_vids().map(|vid| [vid].into_iter().collect()).collect()
        }
        Mode::Qinq { vid, .. } => by_customers(topology, port, Some(*vid)),
        Mode::Plain => by_customers(topology, port, None),
    }
}

/// A payload tag is looked at only by qinq ports that name their customers' VLANs.
fn by_customers(topology: &Topology, port: &Port, vid: Option<Vid>) -> Vec<VidSet> {
    let located = topology.locate(port.bridge, vid, None);
    let members = located.map_or(&[][..], |at| &topology.segment(at.segment.number).members[..]);
    let on_segment = members.iter().map(|member| topology.port(member.port));
    let mut named: Vec<&VidSet> = Vec::new();
    for port in on_segment.chain([port]) {
        if let Mode::Qinq { customer_vlans: Some(vlans), .. } = &port.mode
            && !named.contains(&vlans)
        {
            named.push(vlans);
        }
    }
    let mut parts = vec![VidSet::all()];
    for vlans in named {
        let halves = parts.iter().flat_map(|part| {
            let (inside, outside): (Vec<Vid>, Vec<Vid>) = part.iter().partition(|vid| vlans.contains(*vid));
            [inside, outside]
        });
        parts = halves.filter(|half| !half.is_empty()).map(|half| half.into_iter().collect()).collect();
    }
    parts
}

fn partition(is_in: impl Fn(Vid) -> bool) -> (VidSet, VidSet) {
    let (inside, outside): (Vec<Vid>, Vec<Vid>) = all_vids().partition(|vid| is_in(*vid));
    (inside.into_iter().collect(), outside.into_iter().collect())
}

/// EtherType of ARP.
const ARP: u16 = 0x0806;
