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
use vlan::model::id::{BridgeId, FabricId, HostId, PortId};
use vlan::model::topology::Topology;
use vlan::peers::Peers;
use vlan::switch::Switch;
use vlan::time::Instant;
use vlan::verdict::Dependency;
use vlan::vid::{Vid, VidSet};

use super::overlay::Overlay;
use crate::engine::telling::Telling;
use crate::event::Event;
use crate::hello::{Carries, Hello, mark_of};
use crate::lower::Lowering;
use crate::view::OthersView;

mod asking;
mod saying;

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
    has_gateways: bool,
    /// When it was last looked who is silent.
    looked_at: Instant,
    /// Hellos, questions and replies that are to be sent.
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
    /// Whether it was ever heard.
    is_known: bool,
    session: u64,
    sequence: u32,
    revision: u64,
    carries: BTreeMap<BridgeId, Carries>,
    /// Whether it says that it answers questions.
    answers: bool,
    long: Long,
}

/// Whether long frames arrive at another host, and its at this one.
#[derive(Debug, Default)]
struct Long {
    /// The last long hello of it that was heard.
    heard: u32,
    /// The long hello that was sent to it last, when, and how long its inner frame was.
    asked: Option<(u32, Instant, usize)>,
    /// When the next one is sent; `None`: with the next hello to all.
    next: Option<Instant>,
    /// Long hellos in a row that it did not answer, though it was heard.
    unanswered: u32,
    is_narrow: bool,
}

impl Long {
    /// The host is there now, or is another daemon than before: what it was asked then it may not have heard, and the numbers of another
    /// session answer nothing of this one.
    fn begin_anew(&mut self) {
        let is_narrow = self.is_narrow;
        *self = Long { is_narrow, ..Long::default() };
    }

    fn is_due(&self, now: Instant) -> bool {
        self.next.is_none_or(|at| at <= now)
    }

    /// Takes in a hello of so many bytes. Whether it says that long frames arrive again.
    fn hear(&mut self, hello: &Hello, len: usize) -> bool {
        if hello.long != 0 && hello.long as usize == len {
            self.heard = hello.sequence;
        }
        let answered =
            self.asked.take_if(|(sequence, ..)| hello.heard.wrapping_sub(*sequence) < u32::MAX / 2);
        if answered.is_none() {
            return false;
        }
        self.unanswered = 0;
        std::mem::replace(&mut self.is_narrow, false)
    }
}

impl Other {
    fn is_heard(&self) -> bool {
        !self.is_silent && self.is_known
    }

    /// How long it may be silent.
    fn patience(&self, revision: u64) -> Duration {
        // By another revision it may take this host for none, and speak once a second.
        if self.is_gateway && self.revision == revision { GATEWAY_SILENT } else { SILENT }
    }
}

impl Others {
    pub(in crate::engine) fn new(seed: u64) -> Others {
        Others { session: seed, ..Others::default() }
    }

    /// Whether a host that is heard says that it does not carry a VLAN of a bridge, or has no trunk of that by the revision that is in force on
    /// both. What it says by another revision may be about another bridge of that name.
    pub(super) fn says_it_leaves(
        &self,
        topology: &Topology,
        host: HostId,
        (bridge, vid): (BridgeId, Vid),
    ) -> bool {
        let is_alike = |other: &&Other| other.is_heard() && other.revision == self.revision;
        let Some(other) = self.of.get(&host).filter(is_alike) else { return false };
        let says_so = || other.carries.get(&bridge).is_some_and(|carries| !carries.vids.contains(vid));
        !topology.trunks_of(bridge).any(|port| port.host == host) || says_so()
    }

    /// Whether a host says that a trunk of it is up.
    pub(super) fn is_up(&self, host: HostId, bridge: BridgeId, trunk: &str) -> bool {
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
    pub(super) fn is_one_ahead(&self) -> bool {
        self.of.values().any(|other| !other.is_silent && other.revision > self.revision)
    }

    /// Whether a trunk is of a host that goes by a later revision: what it does not say that it carries, it does not.
    pub(super) fn is_ahead(&self, host: HostId) -> bool {
        self.of.get(&host).is_some_and(|other| !other.is_silent && other.revision > self.revision)
    }

    /// The trunk of a host that carries a VLAN by a later revision than this: its choice holds. `None` where there is none.
    pub(super) fn later_choice(&self, topology: &Topology, (bridge, vid): (BridgeId, Vid)) -> Option<PortId> {
        let claims = |other: &Other| {
            !other.is_silent
                && other.revision > self.revision
                && other.carries.get(&bridge).is_some_and(|carries| carries.vids.contains(vid))
        };
        let (host, _) = self.of.iter().find(|(_, other)| claims(other))?;
        let mut trunks = topology.trunks_of(bridge);
        trunks.find(|port| port.host == *host && port.is_member(vid)).map(|port| port.id)
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        if self.of.is_empty() {
            return None;
        }
        let (gateways, all) = self.next?;
        let next = if self.has_gateways { gateways.min(all) } else { all };
        Some(next.min(self.looked_at + LOOK_EVERY))
    }

    /// How many of them are heard.
    pub(in crate::engine) fn heard(&self, overlay: &Overlay) -> usize {
        self.of.values().filter(|other| overlay.is_open() && other.is_heard()).count()
    }

    /// Which of them are heard, by their numbers, rising.
    pub(in crate::engine) fn hears(&self, topology: &Topology, overlay: &Overlay) -> Vec<u32> {
        let heard = self.of.iter().filter(|(_, other)| overlay.is_open() && other.is_heard());
        let mut numbers: Vec<u32> = heard.filter_map(|(id, _)| topology.host_number(*id)).collect();
        numbers.sort_unstable();
        numbers
    }

    /// At a glance, where there are any.
    pub(in crate::engine) fn view(&self, topology: &Topology, overlay: &Overlay) -> Option<OthersView> {
        let heard = self.heard(overlay);
        let silent = self.of.iter().filter(|(_, other)| !other.is_heard()).take(NAMED);
        let silent = silent.map(|(id, _)| topology.hosts()[id.0 as usize].name.clone()).collect();
        let no_tunnel = (!overlay.is_open()).then(|| overlay.why_not().unwrap_or("not yet").to_owned());
        (!self.of.is_empty()).then_some(OthersView { hosts: self.of.len(), heard, silent, no_tunnel })
    }

    /// The hosts that this one shares segments with, under another topology. What is known of them stays, by name.
    pub(super) fn change(
        &mut self,
        (before, topology): (&Topology, &Topology),
        host: HostId,
        peers: &mut Peers,
    ) {
        let mut known: BTreeMap<String, Other> = std::mem::take(&mut self.of)
            .into_iter()
            .filter_map(|(id, other)| Some((before.hosts().get(id.0 as usize)?.name.clone(), other)))
            .collect();
        let own_fabrics: BTreeSet<FabricId> = fabrics_of(topology, host).collect();
        let ours = topology
            .trunks()
            .iter()
            .filter(|port| port.group.is_some_and(|fabric| own_fabrics.contains(&fabric)));
        let gateways: BTreeSet<HostId> = ours.map(|port| port.host).collect();
        for id in peers_of(topology, host) {
            let mut other = known.remove(&topology.hosts()[id.0 as usize].name).unwrap_or_default();
            other.is_gateway = gateways.contains(&id);
            let carried = std::mem::take(&mut other.carries).into_values();
            let named =
                carried.filter_map(|carries| Some((topology.bridge_named(&carries.bridge)?.id, carries)));
            other.carries = named.collect();
            peers.set_alive(id, !other.is_silent);
            for (bridge, carries) in other.carries.iter().filter(|_| !other.is_silent) {
                for vid in carries.vids.iter() {
                    peers.claim(id, (*bridge, vid), true);
                }
            }
            self.of.insert(id, other);
        }
        self.has_gateways = self.of.values().any(|other| other.is_gateway);
    }

    /// Whether it is time to look who is silent. Where this host has slept, what others said meanwhile may not have been read yet: their
    /// silence counts from now.
    pub(super) fn is_to_look(&mut self, now: Instant) -> bool {
        let since = now.since(self.looked_at);
        if since < LOOK_EVERY {
            return false;
        }
        if since >= SLEPT {
            self.of
                .values_mut()
                .filter(|other| other.heard.is_some())
                .for_each(|other| other.heard = Some(now));
        }
        self.looked_at = now;
        true
    }

    /// Takes in a hello of a host. The fabrics whose trunks are to be chosen anew.
    pub(super) fn hear(
        &mut self,
        now: Instant,
        (id, hello, len): (HostId, Hello, usize),
        (switch, telling): (&mut Switch, &mut Telling),
        lowering: &mut impl Lowering,
    ) -> BTreeSet<FabricId> {
        let topology = Arc::clone(switch.topology());
        let mut fabrics = BTreeSet::new();
        let Some(other) = self.of.get_mut(&id) else { return fabrics };
        if other.session == hello.session
            && hello.sequence.wrapping_sub(other.sequence).wrapping_sub(1) > u32::MAX / 2
        {
            // One that was overtaken, or comes once more.
            return fabrics;
        }
        let was_silent =
            std::mem::replace(&mut other.is_silent, false) || !std::mem::replace(&mut other.is_known, true);
        let is_other_revision = other.revision != hello.revision;
        if was_silent || other.session != hello.session {
            other.long.begin_anew();
        }
        (other.session, other.sequence, other.revision) = (hello.session, hello.sequence, hello.revision);
        other.answers = hello.answers;
        other.heard = Some(now);
        let is_wide_again = other.long.hear(&hello, len);
        let named = |carries: Carries| Some((topology.bridge_named(&carries.bridge)?.id, carries));
        // Of a bridge that it has no trunk of it has nothing to say.
        let has_trunk = |bridge: &BridgeId| topology.trunks_of(*bridge).any(|port| port.host == id);
        let carries = hello.carries.and_then(named).filter(|(bridge, _)| has_trunk(bridge));
        if let Some((bridge, carries)) = carries {
            let before = other.carries.insert(bridge, carries.clone());
            if before.as_ref() != Some(&carries) {
                fabrics = note_carries(switch, (id, bridge), before, &carries, lowering);
            }
        }
        if is_other_revision {
            // Whose choice holds may be another for each VLAN of each bridge.
            let bridges = other.carries.keys();
            fabrics
                .extend(bridges.filter_map(|bridge| topology.trunks_of(*bridge).find_map(|port| port.group)));
        }
        let name = || topology.hosts()[id.0 as usize].name.clone();
        if is_wide_again {
            telling.tell(Event::UnderlayWide { host: name() });
        }
        if was_silent {
            telling.tell(Event::HostHeard { host: name() });
            if switch.peers.set_alive(id, true) {
                lowering.spoil(Dependency::Host(id));
            }
        }
        fabrics
    }

    /// Hosts that have not been heard for too long are dead, as far as this host can tell. The fabrics whose trunks are to be chosen anew.
    pub(super) fn note_silence(
        &mut self,
        now: Instant,
        (switch, telling): (&mut Switch, &mut Telling),
        lowering: &mut impl Lowering,
    ) -> BTreeSet<FabricId> {
        let mut silent = Vec::new();
        for (id, other) in &mut self.of {
            let heard = *other.heard.get_or_insert(now);
            if !other.is_silent && now.since(heard) >= other.patience(self.revision) {
                other.is_silent = true;
                silent.push(*id);
            }
        }
        let mut fabrics = BTreeSet::new();
        for id in silent {
            // It says anew what it carries when it is heard again.
            let carried = self.of.get_mut(&id).map(|other| std::mem::take(&mut other.carries));
            for (bridge, before) in carried.into_iter().flatten() {
                let nothing = Carries { vids: VidSet::new(), up: Vec::new(), ..before.clone() };
                fabrics.extend(note_carries(switch, (id, bridge), Some(before), &nothing, lowering));
            }
            let host = switch.topology().hosts()[id.0 as usize].name.clone();
            telling.tell(Event::HostSilent { host });
            if switch.peers.set_alive(id, false) {
                lowering.spoil(Dependency::Host(id));
            }
        }
        fabrics
    }

    /// A host that is heard, but not its answer to a long hello: the underlay loses what is long.
    pub(super) fn note_unanswered(&mut self, now: Instant, topology: &Topology, telling: &mut Telling) {
        let mut narrow = Vec::new();
        for (id, other) in &mut self.of {
            let is_late = other.long.asked.is_some_and(|(_, at, _)| now.since(at) >= ANSWERED_WITHIN);
            let Some((_, at, bytes)) = other.long.asked.take_if(|_| is_late) else { continue };
            // It has said something since that would have been the answer.
            let has_answered = other.is_known && other.heard.is_some_and(|heard| heard.since(at) > EVERY);
            if !has_answered {
                continue;
            }
            other.long.unanswered = other.long.unanswered.saturating_add(1);
            if other.long.unanswered < NARROW_AFTER {
                other.long.next = None;
            } else if !std::mem::replace(&mut other.long.is_narrow, true) {
                narrow.push((*id, bytes));
            }
        }
        for (id, bytes) in narrow {
            let host = topology.hosts()[id.0 as usize].name.clone();
            telling.tell(Event::UnderlayNarrow { host, bytes });
        }
    }
}

/// Another host carries other VLANs than before. The fabrics whose trunks are to be chosen anew.
fn note_carries(
    switch: &mut Switch,
    (host, bridge): (HostId, BridgeId),
    before: Option<Carries>,
    now: &Carries,
    lowering: &mut impl Lowering,
) -> BTreeSet<FabricId> {
    let topology = Arc::clone(switch.topology());
    let fabric = topology.trunks_of(bridge).find_map(|port| port.group);
    let before = before.map(|carries| carries.vids).unwrap_or_default();
    for vid in before.symmetric_difference(&now.vids).iter() {
        let is_carried = now.vids.contains(vid);
        if switch.peers.claim(host, (bridge, vid), is_carried)
            && let Some(fabric) = fabric
        {
            lowering.spoil(Dependency::Designation(fabric, vid));
        }
    }
    fabric.into_iter().collect()
}

/// The l2gw hosts that have ports on a segment that a host has ports on, and can be reached.
fn peers_of(topology: &Topology, host: HostId) -> BTreeSet<HostId> {
    let mut is_shared = vec![false; topology.hosts().len()];
    for hosts in (0..topology.segments().len() as u32).map(|number| topology.hosts_of(number)) {
        if hosts.binary_search(&host).is_ok() {
            hosts.iter().for_each(|other| is_shared[other.0 as usize] = true);
        }
    }
    let shared = (0..).map(HostId).zip(is_shared).filter(|(_, is_shared)| *is_shared).map(|(other, _)| other);
    let others = shared.filter(|other| *other != host && !topology.is_vtep(*other));
    others.filter(|other| topology.is_reached(host, *other)).collect()
}

fn fabrics_of(topology: &Topology, host: HostId) -> impl Iterator<Item = FabricId> + '_ {
    topology.trunks().iter().filter(move |port| port.host == host).filter_map(|port| port.group)
}

/// How often it is looked who is silent: each is a look at every host.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Who has not looked for so long has slept.
const SLEPT: Duration = Duration::from_millis(700);
/// A gateway of the same fabric that is silent for so long is taken to be dead: ten hellos.
const GATEWAY_SILENT: Duration = Duration::from_secs(1);
/// Any other host: three hellos, and a little for their way.
const SILENT: Duration = Duration::from_millis(3_500);
/// One long hello may be lost for any reason. If it is not answered another follows, and that many in a row tell of the length.
const NARROW_AFTER: u32 = 2;
/// A long hello is answered by the next ordinary one.
const ANSWERED_WITHIN: Duration = Duration::from_millis(2_500);
/// Hellos to everybody else (behaviour.md 8).
const EVERY: Duration = Duration::from_secs(1);
/// Silent hosts that are named where more may be.
const NAMED: usize = 8;
