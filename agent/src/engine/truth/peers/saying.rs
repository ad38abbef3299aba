//! What is said to other hosts, and when.

use std::collections::BTreeMap;
use std::time::Duration;

use datapath::Execute;
use datapath::flow::Action;
use datapath::tunnel::TunnelTo;
use smallvec::smallvec;
use vlan::designation::Carrier;
use vlan::model::id::{BridgeId, HostId};
use vlan::model::topology::Topology;
use vlan::plane::PortState;
use vlan::switch::Switch;
use vlan::time::Instant;
use vlan::vid::{Vid, VidSet};

use super::{EVERY, Others};
use crate::counters::PortKey;
use crate::engine::outbox::{Asked, BATCH, Outbox};
use crate::hello::{Carries, HELLO_VNI, Hello, mark_of};
use crate::output::Output;

impl Others {
    /// Says what is due to be said; `longest` is how long a frame of a port may be. Nothing without a tunnel.
    pub(in crate::engine::truth) fn keep_saying(
        &mut self,
        now: Instant,
        switch: &Switch,
        longest: impl FnOnce() -> usize,
    ) {
        self.note_carried(now, switch);
        let (gateways, all) = *self.next.get_or_insert((now, now));
        if gateways <= now || all <= now {
            let is_for_all = all <= now;
            let is_long_due = is_for_all && self.of.values().any(|other| other.long.is_due(now));
            self.say(now, switch, if is_long_due { longest() } else { 0 }, is_for_all);
            let next_all = if is_for_all { now + EVERY } else { all };
            self.next = Some((now + GATEWAYS_EVERY, next_all));
        }
    }

    /// Whether there is anybody to be spoken to.
    pub(in crate::engine::truth) fn are_none(&self) -> bool {
        self.of.is_empty()
    }

    /// Nothing can be said.
    pub(in crate::engine::truth) fn fall_silent(&mut self) {
        self.next = None;
    }

    /// Has sent what is to be said, counted for this key.
    pub(in crate::engine) fn send(&mut self, key: PortKey, outbox: &mut Outbox) {
        let mut unsent = std::mem::take(&mut self.unsent).into_iter();
        while unsent.len() > 0 {
            let frames: Vec<Execute> = unsent.by_ref().take(BATCH).collect();
            let asked = Asked::Frames(smallvec![key; frames.len()]);
            outbox.ask(asked, |id| Output::Execute { id, frames });
        }
    }

    /// Whether this host carries other VLANs than it has said is told at once.
    fn note_carried(&mut self, now: Instant, switch: &Switch) {
        if self.carried.is_some() {
            return;
        }
        let carried = self.carried_of(switch);
        if carried != self.said {
            let soon = now.max(self.said_at + AT_LEAST_APART);
            self.next = Some((soon, soon));
        }
        self.carried = Some(carried);
    }

    /// What this host carries; of a bridge of which it once said that it carries some, that it carries none any more.
    fn carried_of(&self, switch: &Switch) -> Vec<Carries> {
        let mut carried = carried(switch);
        for said in &self.said {
            if !carried.iter().any(|carries| carries.bridge == said.bridge) {
                carried.push(Carries { bridge: said.bridge.clone(), vids: VidSet::new(), up: Vec::new() });
            }
        }
        carried
    }

    /// Sends a hello for each bridge of which this host has trunks, or one without a bridge; once a minute as long a one as ports may send.
    fn say(&mut self, now: Instant, switch: &Switch, longest: usize, is_for_all: bool) {
        let carried = self.carried.take().unwrap_or_else(|| self.carried_of(switch));
        let mut each: Vec<Option<&Carries>> = carried.iter().map(Some).collect();
        if each.is_empty() {
            each.push(None);
        }
        let topology = switch.topology();
        let hosts: Vec<HostId> =
            self.of.iter().filter(|(_, other)| is_for_all || other.is_gateway).map(|(id, _)| *id).collect();
        let revision = self.revision;
        let session = self.session.max(1);
        for carries in each {
            // Two numbers, since a long hello may go beside the ordinary one.
            let sequence = self.sequence.wrapping_add(1).max(1);
            let behind = sequence.wrapping_add(1).max(1);
            self.sequence = behind;
            for id in &hosts {
                let Some(to) = way_to(topology, *id) else { continue };
                let Some(other) = self.of.get_mut(id) else { continue };
                let is_long = is_for_all && longest >= LEAST_LONG && other.long.is_due(now);
                if is_long {
                    (other.long.asked, other.long.next) =
                        (Some((behind, now, longest)), Some(now + LONG_EVERY));
                }
                let heard = other.long.heard;
                // Beside a long one there is an ordinary one: where long ones are lost, the host is heard nevertheless.
                let long = is_long.then_some((behind, longest as u32));
                for (sequence, long) in std::iter::once((sequence, 0)).chain(long) {
                    let carries = carries.cloned();
                    let hello = Hello { session, sequence, revision, heard, long, carries, answers: true };
                    let (frame, actions) = (hello.to_frame(), vec![Action::Tunnel(to)]);
                    self.unsent.push(Execute { vport: None, frame, actions, hash: None });
                }
            }
        }
        (self.said, self.said_at) = (carried.clone(), now);
        self.carried = Some(carried);
    }
}

/// The way that what is said to a host goes.
pub(super) fn way_to(topology: &Topology, host: HostId) -> Option<TunnelTo> {
    let remote = topology.hosts().get(host.0 as usize)?.underlay?;
    Some(TunnelTo { remote, vni: HELLO_VNI, class: HELLO_CLASS })
}

/// What this host carries of each bridge that it has trunks of a group of.
fn carried(switch: &Switch) -> Vec<Carries> {
    let topology = switch.topology();
    let mut of: BTreeMap<BridgeId, Carries> = BTreeMap::new();
    for port in topology.trunks().iter().filter(|port| port.host == switch.host() && port.group.is_some()) {
        let carries = of.entry(port.bridge).or_insert_with(|| {
            let bridge = topology.bridge(port.bridge).name.clone();
            Carries { bridge, vids: VidSet::new(), up: Vec::new() }
        });
        if switch.port_state(port.id) != PortState::Up {
            continue;
        }
        carries.up.push(mark_of(&port.name));
        let own = port.vids().into_iter();
        let is_carried = |vid: &Vid| switch.designation().carrier(port, Some(*vid)) == Carrier::This;
        for vid in own.filter(is_carried) {
            carries.vids.insert(vid);
        }
    }
    of.into_values().collect()
}

/// Hellos among gateways of one fabric (behaviour.md 8).
const GATEWAYS_EVERY: Duration = Duration::from_millis(100);
/// Hellos about what has changed are so far apart, whatever flaps.
const AT_LEAST_APART: Duration = Duration::from_millis(20);
/// How often a hello is as long as frames of ports may be (behaviour.md 8).
const LONG_EVERY: Duration = Duration::from_secs(60);
/// A long hello is longer than any other: one for a bridge with 200 trunks has 1 500 bytes. Ports that send less are not asked for.
const LEAST_LONG: usize = 1_514;
/// Class selector 6, of network control (RFC 4594 3.1).
const HELLO_CLASS: u8 = 6;
