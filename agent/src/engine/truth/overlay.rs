//! The way to other hosts: the tunnel port that the datapath is to have, and the one that it has.

use std::time::Duration;

use datapath::Malformed;
use datapath::flow::FlowKey;
use datapath::port::{Vport, VportNo};
use datapath::tunnel::{TunnelEnd, TunnelTo};
use smallvec::SmallVec;
use vlan::model::id::HostId;
use vlan::model::topology::Topology;
use vlan::plane::{Ingress, Tunnelled};
use vlan::switch::Switch;
use vlan::time::Instant;
use vlan::verdict::{DropReason, Egress};

use super::Truth;
use crate::counters::{Flaw, Loss, PortKey};
use crate::engine::outbox::{Asked, Outbox};
use crate::engine::telling::Telling;
use crate::event::Event;
use crate::hello::Said;
use crate::input::Answer;
use crate::lower::Lowering;
use crate::output::Output;

/// The tunnel port.
#[derive(Debug, Default)]
pub(in crate::engine) struct Overlay {
    /// What the topology in force wants.
    wanted: Option<TunnelEnd>,
    /// Whether there is one: before, what an earlier run made stays.
    is_known: bool,
    /// The port that the datapath has.
    port: Option<VportNo>,
    /// What it is known to have been made with.
    end: Option<TunnelEnd>,
    is_asked: bool,
    /// When a refused one is asked for again, and why it was refused.
    refused: Option<(Instant, String)>,
}

impl Overlay {
    /// What the datapath has when it is opened: a port that an earlier run made. With what it was made is not known.
    pub(in crate::engine) fn observe(&mut self, tunnel: Option<&Vport>) {
        (self.port, self.end) = (tunnel.map(|port| port.no), None);
    }

    /// Whether there is a tunnel port.
    pub(in crate::engine) fn is_open(&self) -> bool {
        self.port.is_some()
    }

    /// Why there is none though the topology wants one.
    pub(in crate::engine) fn why_not(&self) -> Option<&str> {
        self.refused.as_ref().map(|(_, why)| why.as_str())
    }

    /// Goes by what a topology wants: none where no segment of this host has ports on another one.
    pub(super) fn want(&mut self, topology: &Topology, host: HostId) {
        let shares = |number: u32| topology.hosts_of(number).binary_search(&host).is_ok();
        let is_shared = (0..topology.segments().len() as u32).any(shares);
        let own = topology.hosts().get(host.0 as usize).filter(|_| is_shared);
        let end = |local| TunnelEnd { local, port: topology.description().overlay.port };
        let wanted = own.and_then(|own| own.underlay).map(end);
        self.is_known = true;
        if self.wanted != wanted {
            (self.wanted, self.refused) = (wanted, None);
        }
    }

    /// Whether the datapath is to be asked for another one.
    fn is_to_be_asked(&self) -> bool {
        let is_right = match self.wanted {
            Some(_) => self.end == self.wanted,
            None => self.port.is_none(),
        };
        self.is_known && !is_right && !self.is_asked && self.refused.is_none()
    }

    /// When a refused one is asked for again.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.refused.as_ref().map(|(at, _)| *at)
    }

    pub(super) fn keep_time(&mut self, now: Instant) {
        self.refused.take_if(|(at, _)| *at <= now);
    }

    /// Has the datapath make, exchange or remove the port.
    pub(in crate::engine) fn move_port(&mut self, outbox: &mut Outbox) {
        if self.is_to_be_asked() {
            let end = self.wanted;
            self.is_asked = true;
            outbox.ask(Asked::Tunnel(end), |id| Output::Tunnel { id, end });
        }
    }

    /// Takes in what became of the port. Whether it is another than before, or has another end.
    pub(in crate::engine) fn note(
        &mut self,
        now: Instant,
        end: Option<TunnelEnd>,
        answer: Option<Answer>,
        telling: &mut Telling,
    ) -> bool {
        self.is_asked = false;
        let before = (self.port, self.end);
        match answer {
            Some(Answer::Attached(port)) => {
                (self.port, self.end) = (Some(port.no), end);
                let end = end.map_or_else(String::new, |end| end.to_string());
                telling.tell(Event::TunnelUp { end });
            }
            Some(Answer::Refused(refusal)) => {
                (self.port, self.end) = (None, None);
                telling.note_refusal(now, "open-tunnel", &refusal, true);
                self.refused = Some((now + TRY_AGAIN, refusal.to_string()));
            }
            _ => (self.port, self.end) = (None, None),
        }
        // An end that nobody knew is that of an earlier run, found equal.
        self.port != before.0 || (before.1.is_some() && self.end != before.1)
    }

    /// Takes in which port there is. Whether the one that there was is gone: somebody has removed it.
    pub(in crate::engine) fn note_seen(&mut self, seen: Option<&Vport>, telling: &mut Telling) -> bool {
        let is_gone = !self.is_asked && self.port.is_some() && self.port != seen.map(|port| port.no);
        if is_gone {
            (self.port, self.end) = (None, None);
            telling.tell(Event::VportGone { link: "the tunnel's".to_owned() });
        }
        is_gone
    }

    /// Where copies to other hosts go; none while there is no port.
    pub(in crate::engine) fn tunnels_to(&self, switch: &Switch, to: Egress) -> SmallVec<[TunnelTo; 2]> {
        if self.port.is_none() {
            return SmallVec::new();
        }
        let topology = switch.topology();
        let one = |host: HostId, vni: u32, class: vlan::tag::Pcp| {
            let remote = topology.hosts().get(host.0 as usize)?.underlay?;
            Some(TunnelTo { remote, vni, class: class.get() })
        };
        match to {
            Egress::Port(_) => SmallVec::new(),
            Egress::Tunnel { host, vni, class } => one(host, vni, class).into_iter().collect(),
            Egress::Hosts { segment, origin, class } => topology
                .copies(switch.host(), segment, origin)
                .filter_map(|(host, vni)| one(host, vni, class))
                .collect(),
        }
    }
}

impl Truth {
    /// Other hosts, by other identifiers.
    pub(super) fn name_hosts(&mut self, topology: &Topology) {
        let counts = &mut self.telling.counts;
        self.host_keys =
            topology.hosts().iter().map(|host| counts.key(&format!("host {}", host.name))).collect();
        // No port can be called so.
        self.stranger = counts.key("the tunnel");
    }

    /// Says to other hosts what is due to be said, and notes who is silent.
    pub(in crate::engine) fn keep_company(&mut self, now: Instant, lowering: &mut impl Lowering) {
        let Truth { overlay, others, switch, links, telling, .. } = self;
        if !overlay.is_open() || others.are_none() {
            return others.fall_silent();
        }
        others.keep_saying(now, switch, || links.standings.longest_frame());
        if !others.is_to_look(now) {
            return;
        }
        others.note_unanswered(now, switch.topology(), telling);
        let fabrics = others.note_silence(now, (switch, telling), lowering);
        self.redesignate(&fabrics, lowering);
    }

    /// Takes in what came on the VNI of hellos. What is no hello is handed back, with whose it is.
    pub(in crate::engine) fn hear(
        &mut self,
        now: Instant,
        tunnelled: Tunnelled,
        frame: &[u8],
        lowering: &mut impl Lowering,
    ) -> Option<(HostId, Said)> {
        let host = self.switch.topology().host_at(tunnelled.remote);
        let own = self.switch.host();
        let speaks = |host: &HostId| *host != own && !self.switch.topology().is_vtep(*host);
        let Some((host, said)) = host.filter(speaks).zip(Said::from_frame(frame)) else {
            let reason = match host {
                None => DropReason::UnknownHost,
                Some(host) if host == own => DropReason::OwnHost,
                Some(_) => DropReason::UnknownVni,
            };
            let key = self.key_of_ingress(Ingress::Tunnel(tunnelled));
            self.telling.counts.lose(key, Loss::of(reason, None), None, 1);
            self.tell_of_stranger(now, tunnelled, reason);
            return None;
        };
        let Said::Hello(hello) = said else { return Some((host, said)) };
        let Truth { others, switch, telling, .. } = self;
        let fabrics = others.hear(now, (host, hello, frame.len()), (switch, telling), lowering);
        self.redesignate(&fabrics, lowering);
        None
    }

    /// By which way frames with this key come in; `None` where they come by a vport that is not ours.
    pub(in crate::engine) fn ingress_of(&self, key: &FlowKey) -> Option<Ingress> {
        let Some(tunnel) = key.tunnel else {
            return self.links.standings.port_of(key.vport).map(Ingress::Port);
        };
        let class = vlan::tag::Pcp::new(tunnel.class)?;
        let tunnelled = Tunnelled { remote: tunnel.remote, vni: tunnel.vni, class };
        (self.overlay.port == Some(key.vport)).then_some(Ingress::Tunnel(tunnelled))
    }

    /// Whom frames are counted for that come in so.
    pub(in crate::engine) fn key_of_ingress(&self, ingress: Ingress) -> PortKey {
        match ingress {
            Ingress::Port(port) => self.key_of(port),
            Ingress::Tunnel(tunnelled) => {
                let host = self.switch.topology().host_at(tunnelled.remote);
                host.and_then(|host| self.host_keys.get(host.0 as usize)).copied().unwrap_or(self.stranger)
            }
        }
    }

    /// What frames come in by, in words.
    pub(in crate::engine) fn name_of_ingress(&self, ingress: Ingress) -> String {
        self.telling.counts.name(self.key_of_ingress(ingress)).to_owned()
    }

    /// A frame came up that cannot be read.
    pub(in crate::engine) fn lose_malformed(&mut self, vport: VportNo, malformed: &Malformed) {
        let key = match self.links.standings.port_of(vport) {
            Some(port) => self.key_of(port),
            None if self.overlay.port == Some(vport) => self.stranger,
            None => {
                self.telling.counts.strangers += 1;
                return;
            }
        };
        self.telling.counts.port(key).upcalls += 1;
        self.telling.counts.lose(key, Loss::Malformed(Flaw::from(malformed)), None, 1);
    }

    /// Somebody sends to the tunnel port what is not taken.
    pub(in crate::engine) fn tell_of_stranger(
        &mut self,
        now: Instant,
        tunnelled: Tunnelled,
        reason: DropReason,
    ) {
        if !matches!(reason, DropReason::UnknownHost | DropReason::OwnHost | DropReason::UnknownVni) {
            return;
        }
        let Tunnelled { remote: from, vni, .. } = tunnelled;
        if self.telling.may_tell(now, (STRANGER, reason.to_string())) {
            self.telling.tell(Event::TunnelStranger { from, vni, reason });
        }
    }
}

/// The kind of telling of a stranger.
const STRANGER: &str = "tunnel-stranger";
/// A tunnel port that was refused is asked for again after this.
const TRY_AGAIN: Duration = Duration::from_secs(10);
