//! The other hosts: what is said to them, what they say, and what follows from their silence (behaviour.md 7 and 8).
//!
//! ```text
//!   time ──► hellos, through the tunnel ──►           ──► hello of another: alive, what it carries, which of its trunks are up
//!                                                     └── silence: dead. It carries nothing, and what is behind it is flooded for
//! ```
//! Each VLAN of a fabric has one trunk on one of the hosts: every host chooses the same one by the same reckoning, among its own trunks that
//! are up and those that others say are. While they do not know of each other, each carries what it can: a frame may arrive twice, and
//! no loop can form, since what came in by a trunk of a fabric goes to none of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use datapath::Execute;
use datapath::flow::Action;
use datapath::tunnel::TunnelTo;
use smallvec::smallvec;
use vlan::designation::{Carrier, Choice};
use vlan::model::id::{BridgeId, FabricId, HostId, PortId};
use vlan::model::port::Port;
use vlan::model::topology::Topology;
use vlan::plane::PortState;
use vlan::time::Instant;
use vlan::tunnel::{Ingress, Tunnelled};
use vlan::verdict::{Dependency, DropReason};
use vlan::vid::{Vid, VidSet};

use super::Truth;
use crate::counters::Loss;
use crate::engine::outbox::{Asked, BATCH, Outbox};
use crate::event::Event;
use crate::hello::{Carries, HELLO_VNI, Hello, mark_of};
use crate::lower::Lowering;
use crate::output::Output;
use crate::view::OthersView;

/// What is known of the other hosts, and when something is said to them next.
#[derive(Debug, Default)]
pub(in crate::engine) struct Others {
    /// Those that share a segment with this host and run an agent, by identifier.
    of: BTreeMap<HostId, Other>,
    session: u64,
    sequence: u32,
    /// The revision in force here.
    revision: u64,
    /// What this host carries, until that may have changed; and what it said last that it does.
    carried: Option<Vec<Carries>>,
    said: Vec<Carries>,
    said_at: Instant,
    /// When hellos go to gateways, and when to all.
    next: Option<(Instant, Instant)>,
    next_long: Option<Instant>,
    /// Hellos that are to be sent.
    unsent: Vec<Execute>,
}

/// Another host.
#[derive(Debug, Default)]
struct Other {
    /// Whether it has trunks of a fabric that this host has trunks of too.
    is_gateway: bool,
    /// When it was last heard; before the first time, when one began to listen.
    heard: Option<Instant>,
    is_silent: bool,
    session: u64,
    sequence: u32,
    revision: u64,
    /// The last long hello of it that was heard.
    long: u32,
    carries: BTreeMap<BridgeId, Carries>,
    /// The long hello that was sent to it last, when, and how long its inner frame was.
    asked: Option<(u32, Instant, usize)>,
    is_narrow: bool,
}

impl Other {
    /// How long it may be silent.
    fn patience(&self) -> Duration {
        if self.is_gateway { GATEWAY_SILENT } else { SILENT }
    }
}

impl Others {
    pub(in crate::engine) fn new(seed: u64) -> Others {
        Others { session: seed, ..Others::default() }
    }

    /// Whether a host says that a trunk of it is up.
    fn is_up(&self, host: HostId, bridge: BridgeId, trunk: &str) -> bool {
        let other = self.of.get(&host).filter(|other| !other.is_silent);
        let carries = other.and_then(|other| other.carries.get(&bridge));
        carries.is_some_and(|carries| carries.up.contains(&mark_of(trunk)))
    }

    /// This revision is in force here.
    pub(in crate::engine) fn go_by(&mut self, revision: u64) {
        self.revision = revision;
    }

    /// Other trunks may carry VLANs than before.
    pub(super) fn forget_carried(&mut self) {
        self.carried = None;
    }

    /// Whether some host goes by a later revision.
    fn is_one_ahead(&self) -> bool {
        self.of.values().any(|other| !other.is_silent && other.revision > self.revision)
    }

    /// A host that carries a VLAN by a later revision than this: its choice holds.
    fn by_later_revision(&self, bridge: BridgeId, vid: Vid) -> Option<HostId> {
        let claims = |other: &Other| {
            !other.is_silent
                && other.revision > self.revision
                && other.carries.get(&bridge).is_some_and(|carries| carries.vids.contains(vid))
        };
        self.of.iter().find(|(_, other)| claims(other)).map(|(host, _)| *host)
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        if self.of.is_empty() {
            return None;
        }
        let silent = self.of.values().filter(|other| !other.is_silent);
        let silent = silent.filter_map(|other| Some(other.heard? + other.patience())).min();
        let asked = self.of.values().filter_map(|other| Some(other.asked?.1 + ANSWERED_WITHIN)).min();
        let (gateways, all) = self.next?;
        let has_gateways = self.of.values().any(|other| other.is_gateway);
        let next = if has_gateways { gateways.min(all) } else { all };
        [Some(next), silent, asked].into_iter().flatten().min()
    }
}

impl Truth {
    /// The hosts that this one shares segments with, under another topology. What is known of them stays, by name.
    pub(super) fn change_others(&mut self, before: &Topology, topology: &Arc<Topology>, host: HostId) {
        let mut known: BTreeMap<String, Other> = std::mem::take(&mut self.others.of)
            .into_iter()
            .filter_map(|(id, other)| Some((before.hosts().get(id.0 as usize)?.name.clone(), other)))
            .collect();
        let own_fabrics: BTreeSet<FabricId> = fabrics_of(topology, host).collect();
        for id in peers_of(topology, host) {
            let mut other = known.remove(&topology.hosts()[id.0 as usize].name).unwrap_or_default();
            other.is_gateway = fabrics_of(topology, id).any(|fabric| own_fabrics.contains(&fabric));
            let carried = std::mem::take(&mut other.carries).into_values();
            let named =
                carried.filter_map(|carries| Some((topology.bridge_named(&carries.bridge)?.id, carries)));
            other.carries = named.collect();
            self.switch.peers.set_alive(id, !other.is_silent);
            for (bridge, carries) in other.carries.iter().filter(|_| !other.is_silent) {
                for vid in carries.vids.iter() {
                    self.switch.peers.claim(id, (*bridge, vid), true);
                }
            }
            self.others.of.insert(id, other);
        }
    }

    /// Says what is due to be said, and notes who is silent.
    pub(in crate::engine) fn keep_company(&mut self, now: Instant, lowering: &mut impl Lowering) {
        if !self.overlay.is_open() || self.others.of.is_empty() {
            self.others.next = None;
            return;
        }
        self.note_carried(now);
        let (gateways, all) = *self.others.next.get_or_insert((now, now));
        if gateways <= now || all <= now {
            let is_for_all = all <= now;
            self.say(now, is_for_all);
            let next_all = if is_for_all { now + EVERY } else { all };
            self.others.next = Some((now + GATEWAYS_EVERY, next_all));
        }
        self.note_silence(now, lowering);
        self.note_unanswered(now);
    }

    /// Whether this host carries other VLANs than it has said is told at once.
    fn note_carried(&mut self, now: Instant) {
        if self.others.carried.is_some() {
            return;
        }
        let carried = self.carried();
        if carried != self.others.said {
            let soon = now.max(self.others.said_at + AT_LEAST_APART);
            self.others.next = Some((soon, soon));
        }
        self.others.carried = Some(carried);
    }

    /// Sends a hello for each bridge of which this host has trunks, or one without a bridge; once a minute as long a one as ports may send.
    fn say(&mut self, now: Instant, is_for_all: bool) {
        let is_long = is_for_all && self.others.next_long.is_none_or(|at| at <= now);
        let long = if is_long { self.longest_frame() } else { 0 };
        if is_long {
            self.others.next_long = Some(now + LONG_EVERY);
        }
        let carried = self.others.carried.take().unwrap_or_else(|| self.carried());
        let mut each: Vec<Option<&Carries>> = carried.iter().map(Some).collect();
        if each.is_empty() {
            each.push(None);
        }
        let topology = Arc::clone(self.switch.topology());
        let hosts: Vec<HostId> = self
            .others
            .of
            .iter()
            .filter(|(_, other)| is_for_all || other.is_gateway)
            .map(|(id, _)| *id)
            .collect();
        let revision = self.others.revision;
        for carries in each {
            self.others.sequence = self.others.sequence.wrapping_add(1).max(1);
            let (session, sequence) = (self.others.session.max(1), self.others.sequence);
            for id in &hosts {
                let Some(remote) = topology.hosts().get(id.0 as usize).and_then(|host| host.underlay) else {
                    continue;
                };
                let Some(other) = self.others.of.get_mut(id) else { continue };
                if is_long && other.asked.is_none() {
                    other.asked = Some((sequence, now, long));
                }
                let (heard, long) = (other.long, long as u32);
                let hello = Hello { session, sequence, revision, heard, long, carries: carries.cloned() };
                let to = TunnelTo { remote, vni: HELLO_VNI, class: HELLO_CLASS };
                let (frame, actions) = (hello.to_frame(), vec![Action::Tunnel(to)]);
                self.others.unsent.push(Execute { vport: None, frame, actions, hash: None });
            }
        }
        (self.others.said, self.others.said_at) = (carried.clone(), now);
        self.others.carried = Some(carried);
    }

    /// Has hellos sent that are due.
    pub(in crate::engine) fn say_hello(&mut self, outbox: &mut Outbox) {
        let mut hellos = std::mem::take(&mut self.others.unsent).into_iter();
        while hellos.len() > 0 {
            let frames: Vec<Execute> = hellos.by_ref().take(BATCH).collect();
            let asked = Asked::Frames(smallvec![self.stranger; frames.len()]);
            outbox.ask(asked, |id| Output::Execute { id, frames });
        }
    }

    /// What this host carries of each bridge that it has trunks of a group of.
    fn carried(&self) -> Vec<Carries> {
        let topology = self.switch.topology();
        let mut of: BTreeMap<BridgeId, Carries> = BTreeMap::new();
        for port in
            topology.trunks().iter().filter(|port| port.host == self.switch.host() && port.group.is_some())
        {
            let carries = of.entry(port.bridge).or_insert_with(|| {
                let bridge = topology.bridge(port.bridge).name.clone();
                Carries { bridge, vids: VidSet::new(), up: Vec::new() }
            });
            if self.switch.port_state(port.id) != PortState::Up {
                continue;
            }
            carries.up.push(mark_of(&port.name));
            let own = port.vids().into_iter();
            let is_carried = |vid: &Vid| self.switch.designation().carrier(port, Some(*vid)) == Carrier::This;
            for vid in own.filter(is_carried) {
                carries.vids.insert(vid);
            }
        }
        of.into_values().collect()
    }

    /// The longest frame, without FCS, that a port of this host may send: its MTU, the header and one tag.
    fn longest_frame(&self) -> usize {
        let topology = self.switch.topology();
        let own = topology.ports().iter().filter(|port| port.host == self.switch.host());
        let mtu = own.map(|port| self.links.standings.mtu_of(port.id)).max().unwrap_or(0);
        (mtu as usize).min(MOST_ASKED) + ETHERNET_HEADER
    }

    /// The other hosts at a glance, where there are any.
    pub(in crate::engine) fn others_view(&self) -> Option<OthersView> {
        let others = &self.others.of;
        let heard = others.values().filter(|other| !other.is_silent && other.session != 0).count();
        let no_tunnel =
            (!self.overlay.is_open()).then(|| self.overlay.why_not().unwrap_or("not yet").to_owned());
        (!others.is_empty()).then_some(OthersView { hosts: others.len(), heard, no_tunnel })
    }

    /// Takes in what came on the VNI of hellos.
    pub(in crate::engine) fn take_hello(
        &mut self,
        now: Instant,
        tunnelled: Tunnelled,
        frame: &[u8],
        lowering: &mut impl Lowering,
    ) {
        if self.note_hello(now, tunnelled, frame, lowering) {
            return;
        }
        let is_known = self.switch.topology().host_at(tunnelled.remote).is_some();
        let reason = if is_known { DropReason::UnknownVni } else { DropReason::UnknownHost };
        let key = self.key_of_ingress(Ingress::Tunnel(tunnelled));
        self.telling.counts.lose(key, Loss::of(reason, None), None, 1);
        self.tell_of_stranger(now, tunnelled, reason);
    }

    /// Takes in a hello. Whether it was one, of a host that may send it.
    fn note_hello(
        &mut self,
        now: Instant,
        tunnelled: Tunnelled,
        frame: &[u8],
        lowering: &mut impl Lowering,
    ) -> bool {
        let topology = Arc::clone(self.switch.topology());
        let Some(id) = topology.host_at(tunnelled.remote) else { return false };
        let Some(hello) = Hello::from_frame(frame) else { return false };
        let Some(other) = self.others.of.get_mut(&id) else { return true };
        if other.session == hello.session && hello.sequence.wrapping_sub(other.sequence) > u32::MAX / 2 {
            // One that was overtaken.
            return true;
        }
        let is_first = other.session == 0;
        let was_silent = std::mem::replace(&mut other.is_silent, false) || is_first;
        let is_other_revision = other.revision != hello.revision;
        (other.session, other.sequence, other.revision) = (hello.session, hello.sequence, hello.revision);
        other.heard = Some(now);
        if hello.long != 0 && hello.long as usize == frame.len() {
            other.long = hello.sequence;
        }
        let answered =
            other.asked.take_if(|(sequence, ..)| hello.heard.wrapping_sub(*sequence) < u32::MAX / 2);
        let is_wide_again = answered.is_some() && std::mem::replace(&mut other.is_narrow, false);
        let carries =
            hello.carries.and_then(|carries| Some((topology.bridge_named(&carries.bridge)?.id, carries)));
        let mut fabrics = BTreeSet::new();
        if let Some((bridge, carries)) = carries {
            let before = other.carries.insert(bridge, carries.clone());
            if before.as_ref() != Some(&carries) || was_silent || is_other_revision {
                fabrics = self.note_carries(id, bridge, before.filter(|_| !was_silent), &carries, lowering);
            }
        }
        let name = || topology.hosts()[id.0 as usize].name.clone();
        if is_wide_again {
            self.telling.tell(Event::UnderlayWide { host: name() });
        }
        if was_silent {
            self.telling.tell(Event::HostHeard { host: name() });
            if self.switch.peers.set_alive(id, true) {
                lowering.spoil(Dependency::Host(id));
            }
        }
        self.redesignate(&fabrics, lowering);
        true
    }

    /// Another host carries other VLANs than before. The fabrics whose trunks are to be chosen anew.
    fn note_carries(
        &mut self,
        host: HostId,
        bridge: BridgeId,
        before: Option<Carries>,
        now: &Carries,
        lowering: &mut impl Lowering,
    ) -> BTreeSet<FabricId> {
        let topology = Arc::clone(self.switch.topology());
        let fabric = topology.trunks_of(bridge).find_map(|port| port.group);
        let before = before.map(|carries| carries.vids).unwrap_or_default();
        for vid in before.iter().chain(now.vids.iter()) {
            let is_carried = now.vids.contains(vid);
            if self.switch.peers.claim(host, (bridge, vid), is_carried)
                && let Some(fabric) = fabric
            {
                lowering.spoil(Dependency::Designation(fabric, vid));
            }
        }
        fabric.into_iter().collect()
    }

    /// Hosts that have not been heard for too long are dead, as far as this host can tell.
    fn note_silence(&mut self, now: Instant, lowering: &mut impl Lowering) {
        let mut silent = Vec::new();
        for (id, other) in &mut self.others.of {
            let heard = *other.heard.get_or_insert(now);
            if !other.is_silent && now.since(heard) >= other.patience() {
                other.is_silent = true;
                silent.push(*id);
            }
        }
        let mut fabrics = BTreeSet::new();
        for id in silent {
            let other = self.others.of.get(&id);
            let carried: Vec<(BridgeId, Carries)> = other
                .iter()
                .flat_map(|other| &other.carries)
                .map(|(bridge, of)| (*bridge, of.clone()))
                .collect();
            for (bridge, before) in carried {
                let nothing = Carries { vids: VidSet::new(), up: Vec::new(), ..before.clone() };
                fabrics.extend(self.note_carries(id, bridge, Some(before), &nothing, lowering));
            }
            let host = self.switch.topology().hosts()[id.0 as usize].name.clone();
            self.telling.tell(Event::HostSilent { host });
            if self.switch.peers.set_alive(id, false) {
                lowering.spoil(Dependency::Host(id));
            }
        }
        self.redesignate(&fabrics, lowering);
    }

    /// A host that is heard, but not its answer to a long hello: the underlay loses what is long.
    fn note_unanswered(&mut self, now: Instant) {
        let mut narrow = Vec::new();
        for (id, other) in &mut self.others.of {
            let is_late = other.asked.is_some_and(|(_, at, _)| now.since(at) >= ANSWERED_WITHIN);
            let Some((_, at, bytes)) = other.asked.take_if(|_| is_late) else { continue };
            // It has said something since that would have been the answer.
            let has_answered = other.session != 0 && other.heard.is_some_and(|heard| heard.since(at) > EVERY);
            if has_answered && !std::mem::replace(&mut other.is_narrow, true) {
                narrow.push((*id, bytes));
            }
        }
        for (id, bytes) in narrow {
            let host = self.switch.topology().hosts()[id.0 as usize].name.clone();
            self.telling.tell(Event::UnderlayNarrow { host, bytes });
        }
    }

    /// Whether a trunk can carry VLANs, wherever it is.
    fn is_live(&self, port: &Port) -> bool {
        match port.host == self.switch.host() {
            true => self.switch.port_state(port.id) == PortState::Up,
            false => self.others.is_up(port.host, port.bridge, &port.name),
        }
    }

    /// The trunk that carries a VLAN by the choice of a host that goes by a later revision; `None` where there is none.
    fn chosen_later(&self, (bridge, vid): (BridgeId, Vid)) -> Option<PortId> {
        let host = self.others.by_later_revision(bridge, vid)?;
        let mut trunks = self.switch.topology().trunks_of(bridge);
        trunks.find(|port| port.host == host && port.is_member(vid)).map(|port| port.id)
    }

    /// The best live trunk of each VLAN of these fabrics.
    pub(super) fn chosen(&self, fabrics: &BTreeSet<FabricId>) -> Vec<Choice> {
        let topology = self.switch.topology();
        let choose = |fabric: &FabricId| self.trunks.choose(topology, *fabric, |port| self.is_live(port));
        let chosen = fabrics.iter().flat_map(choose);
        if !self.others.is_one_ahead() {
            return chosen.collect();
        }
        chosen.map(|(vlan, trunk)| (vlan, self.chosen_later(vlan).or(trunk))).collect()
    }
}

/// The l2gw hosts that have ports on a segment that a host has ports on, and can be reached.
fn peers_of(topology: &Topology, host: HostId) -> BTreeSet<HostId> {
    let numbers = 0..topology.segments().len() as u32;
    let shared = numbers.map(|number| topology.hosts_of(number)).filter(|hosts| hosts.contains(&host));
    let others = shared.flatten().copied().filter(|other| *other != host && !topology.is_vtep(*other));
    others.filter(|other| topology.is_reached(host, *other)).collect()
}

fn fabrics_of(topology: &Topology, host: HostId) -> impl Iterator<Item = FabricId> + '_ {
    topology.trunks().iter().filter(move |port| port.host == host).filter_map(|port| port.group)
}

/// Hellos among gateways of one fabric (behaviour.md 8).
const GATEWAYS_EVERY: Duration = Duration::from_millis(100);
/// Hellos to everybody else (behaviour.md 8).
const EVERY: Duration = Duration::from_secs(1);
/// Hellos about what has changed are so far apart, whatever flaps.
const AT_LEAST_APART: Duration = Duration::from_millis(20);
/// How often a hello is as long as frames of ports may be (behaviour.md 8).
const LONG_EVERY: Duration = Duration::from_secs(60);
/// A gateway of the same fabric that is silent for so long is taken to be dead: ten hellos.
const GATEWAY_SILENT: Duration = Duration::from_secs(1);
/// Any other host: three hellos, and a little for their way.
const SILENT: Duration = Duration::from_millis(3_500);
/// A long hello is answered by the next ordinary one.
const ANSWERED_WITHIN: Duration = Duration::from_millis(2_500);
/// Class selector 6, of network control (RFC 4594 3.1).
const HELLO_CLASS: u8 = 6;
/// The longest payload that is asked for: a jumbo frame's.
const MOST_ASKED: usize = 9_216;
/// Destination, source and EtherType (802.3 3.1.1).
const ETHERNET_HEADER: usize = 14;
