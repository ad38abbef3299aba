//! Which link is which port, and whether the port forwards.
//!
//! ```text
//!   no such link ──appears──► not attached ──attached──► no carrier / admin down ──► up
//!        ▲                                                                           │ a BPDU
//!        └────────────────────────── gone ◄──────────────────────────────────────────┴──► blocked
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use datapath::Refusal;
use datapath::port::{Link, LinkEvent, LinkIndex, Vport, VportNo, VportStats};
use rustc_hash::FxHashMap;
use vlan::designation::Designation;
use vlan::forward::PortState;
use vlan::model::id::PortId;
use vlan::time::Instant;
use vlan::verdict::Dependency;
use vlan::vid::VidSet;

use super::Engine;
use super::book::Tagged;
use crate::event::Event;
use crate::reconcile::{self, Observed};

/// Links and vports as they are known to be, and what became of each port.
#[derive(Debug, Default)]
pub(super) struct Links {
    links: BTreeMap<LinkIndex, Link>,
    vports: BTreeMap<VportNo, Vport>,
    has_links: bool,
    has_vports: bool,
    /// Links and vports may differ from what was reconciled.
    is_dirty: bool,
    attaching: BTreeSet<String>,
    refused: BTreeMap<String, Refused>,
    stats: FxHashMap<VportNo, VportStats>,
    port_of: FxHashMap<VportNo, PortId>,
    /// By port identifier.
    standing: Vec<Standing>,
    /// Links whose MTU is known not to be the expected one.
    odd_mtus: BTreeMap<String, u32>,
}

/// What has become of a port.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Standing {
    /// The vport that its link is, if it is one.
    pub(super) vport: Option<VportNo>,
    /// Why it does not forward; `None` if it does.
    pub(super) why_not: Option<WhyNot>,
}

/// Why a port does not forward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WhyNot {
    /// It is another host's.
    Elsewhere,
    /// There is no link of its name.
    NoLink,
    /// The link is no vport yet, or could not be made one: why.
    NotAttached(Option<String>),
    /// The link is set down.
    AdminDown,
    /// The link has no carrier.
    NoCarrier,
    /// It is blocked.
    Blocked,
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WhyNot::Elsewhere => "on another host",
            WhyNot::NoLink => "no such link",
            WhyNot::NotAttached(None) => "not attached yet",
            WhyNot::NotAttached(Some(why)) => return write!(f, "not attached: {why}"),
            WhyNot::AdminDown => "admin down",
            WhyNot::NoCarrier => "no carrier",
            WhyNot::Blocked => "blocked after a BPDU",
        })
    }
}

/// A link that could not be made a vport.
#[derive(Debug)]
struct Refused {
    why: String,
    times: u32,
    retry_at: Instant,
}

impl Links {
    pub(super) fn note_link(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Changed(link) => drop(self.links.insert(link.index, link)),
            LinkEvent::Gone(index) => drop(self.links.remove(&index)),
            LinkEvent::All(links) => {
                self.links = links.into_iter().map(|link| (link.index, link)).collect();
                self.has_links = true;
            }
        }
        self.is_dirty = true;
    }

    /// Takes in what the datapath really has: somebody else may have removed a port.
    pub(super) fn note_vports(&mut self, vports: Vec<Vport>) {
        let vports = vports.into_iter().map(|vport| (vport.no, vport)).collect();
        self.is_dirty |= !self.has_vports || self.vports != vports;
        self.vports = vports;
        self.has_vports = true;
    }

    pub(super) fn note_stats(&mut self, stats: Vec<(VportNo, VportStats)>) {
        self.stats = stats.into_iter().collect();
    }

    pub(super) fn note_attached(&mut self, link: &str, vport: Vport) {
        self.attaching.remove(link);
        self.refused.remove(link);
        self.vports.insert(vport.no, vport);
        self.is_dirty = true;
    }

    /// Whether this is the first refusal of the link, or another than the last.
    pub(super) fn note_attach_refused(&mut self, now: Instant, link: &str, refusal: &Refusal) -> bool {
        self.attaching.remove(link);
        self.is_dirty = true;
        let why = refusal.cause.to_string();
        let before = self.refused.remove(link);
        let times = before.as_ref().map_or(0, |refused| refused.times) + 1;
        let is_news = before.is_none_or(|refused| refused.why != why);
        let pause = RETRY_AFTER * 2_u32.pow(times.min(RETRY_DOUBLINGS));
        self.refused.insert(link.to_owned(), Refused { why, times, retry_at: now + pause });
        is_news
    }

    /// Whether enough is known to say which port is which vport.
    pub(super) fn is_known(&self) -> bool {
        self.has_links && self.has_vports
    }

    /// Forgets what is known by port identifiers: they are another topology's.
    pub(super) fn forget_ports(&mut self) {
        self.standing.clear();
        self.port_of.clear();
        self.odd_mtus.clear();
    }

    /// Says that ports or links may be others than before.
    pub(super) fn mark_dirty(&mut self) {
        self.is_dirty = true;
    }

    /// When an attachment is to be tried again.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let waiting = self.refused.iter().filter(|(link, _)| !self.attaching.contains(*link));
        waiting.map(|(_, refused)| refused.retry_at).min()
    }

    pub(super) fn port_of(&self, vport: VportNo) -> Option<PortId> {
        self.port_of.get(&vport).copied()
    }

    pub(super) fn vport_of(&self, port: PortId) -> Option<VportNo> {
        self.standing.get(port.0 as usize)?.vport
    }

    pub(super) fn standing(&self, port: PortId) -> Standing {
        self.standing.get(port.0 as usize).cloned().unwrap_or_default()
    }

    pub(super) fn stats(&self, vport: VportNo) -> VportStats {
        self.stats.get(&vport).copied().unwrap_or_default()
    }

    fn observed(&self) -> Observed<'_> {
        Observed { links: &self.links, vports: &self.vports }
    }

    /// Which vport a link is, and whether it can carry frames.
    fn stand(&self, name: &str) -> Standing {
        let observed = self.observed();
        let Some(link) = observed.link_named(name) else {
            return Standing { vport: None, why_not: Some(WhyNot::NoLink) };
        };
        let is_its = |vport: &&Vport| observed.link_of(vport).is_some_and(|other| other.index == link.index);
        let Some(vport) = self.vports.values().find(is_its) else {
            let why = self.refused.get(name).map(|refused| refused.why.clone());
            return Standing { vport: None, why_not: Some(WhyNot::NotAttached(why)) };
        };
        let why_not = match (link.is_up, link.has_carrier) {
            (false, _) => Some(WhyNot::AdminDown),
            (true, false) => Some(WhyNot::NoCarrier),
            (true, true) => None,
        };
        Standing { vport: Some(vport.no), why_not }
    }
}

impl Engine {
    /// Makes the wanted links ports, releases the others, and follows what that does to the ports.
    pub(super) fn reconcile_links(&mut self, now: Instant) {
        let is_retry_due = self.links.next_due().is_some_and(|due| due <= now);
        let is_ready = self.links.is_known() && self.revision > 0;
        if !is_ready || !(self.links.is_dirty || is_retry_due) {
            return;
        }
        self.links.is_dirty = false;
        self.carry_out_plan(now);
        self.refresh_ports(now);
        self.begin_with_heritage(now);
    }

    fn carry_out_plan(&mut self, now: Instant) {
        let topology = std::sync::Arc::clone(self.switch.topology());
        let host = self.switch.host();
        let ours = topology.ports().iter().filter(|port| port.host == host);
        let wanted: BTreeSet<&str> = ours.map(|port| port.link.as_str()).collect();
        let plan = reconcile::plan(&wanted, self.links.observed());
        for vport in plan.gone.iter().chain(&plan.unwanted) {
            // Looked over they are found to have no port any more. Until then they harm nobody: numbers of vports do not come back.
            self.book.spoil(Tagged::Vport(*vport));
            self.links.vports.remove(vport);
        }
        self.changes.detach.extend(plan.unwanted);
        self.links.refused.retain(|link, _| wanted.contains(link.as_str()));
        for link in plan.attach {
            let is_early = self.links.refused.get(&link).is_some_and(|refused| now < refused.retry_at);
            if !is_early && self.links.attaching.insert(link.clone()) {
                self.changes.attach.push(link);
            }
        }
    }

    /// Compares each port with what it was and passes on what changed.
    pub(super) fn refresh_ports(&mut self, now: Instant) {
        let topology = std::sync::Arc::clone(self.switch.topology());
        let before = std::mem::take(&mut self.links.standing);
        self.links.port_of.clear();
        let mut has_changed = false;
        for port in topology.ports() {
            let mut standing = match port.host == self.switch.host() {
                true => self.links.stand(&port.link),
                false => Standing { vport: None, why_not: Some(WhyNot::Elsewhere) },
            };
            if standing.why_not.is_none() && self.time.is_blocked(&port.name) {
                standing.why_not = Some(WhyNot::Blocked);
            }
            if let Some(vport) = standing.vport {
                self.links.port_of.insert(vport, port.id);
            }
            self.links.standing.push(standing);
            has_changed |= self.pass_on(now, port.id, before.get(port.id.0 as usize));
        }
        if has_changed || matches!(self.switch.designation(), Designation::Everyone) {
            self.designate();
        }
    }

    /// Whether the state of the port is another than before.
    fn pass_on(&mut self, now: Instant, id: PortId, before: Option<&Standing>) -> bool {
        let topology = std::sync::Arc::clone(self.switch.topology());
        let (port, standing) = (topology.port(id), self.links.standing(id));
        self.compare_mtu(id);
        let state = state_of(&standing);
        let was = self.switch.set_port_state(id, state);
        if was == state && before == Some(&standing) {
            return false;
        }
        self.spoil(Dependency::Port(id));
        // Behind a link that only lost its vport everything is where it was.
        let is_cut = !matches!(standing.why_not, None | Some(WhyNot::NotAttached(_)));
        if was == PortState::Up && is_cut && port.group.is_none() {
            let gone = self.switch.fdb.flush_port(id);
            self.spoil_addresses(&gone);
        }
        let (name, link) = (port.name.clone(), port.link.clone());
        match standing.why_not {
            None if was != PortState::Up => self.tell(Event::PortUp { port: name, link }),
            // A link that is about to be attached is no news.
            Some(WhyNot::Elsewhere | WhyNot::Blocked | WhyNot::NotAttached(None)) | None => {}
            Some(why) => {
                let said = (DOWN, format!("{name} {why}"));
                if was == PortState::Up || self.time.may_tell(now, said) {
                    self.tell(Event::PortDown { port: name, link, why: why.to_string() });
                }
            }
        }
        was != state
    }

    fn compare_mtu(&mut self, id: PortId) {
        let topology = std::sync::Arc::clone(self.switch.topology());
        let port = topology.port(id);
        let Some(expected) = port.mtu.filter(|_| port.host == self.switch.host()) else { return };
        let Some(link) = self.links.observed().link_named(&port.link).map(|link| link.mtu) else { return };
        if link == expected {
            self.links.odd_mtus.remove(&port.link);
        } else if self.links.odd_mtus.insert(port.link.clone(), link) != Some(link) {
            self.tell(Event::MtuDiffers { port: port.name.clone(), link, expected });
        }
    }

    /// Chooses the trunk of each VLAN anew among those that are up, and spoils what rested on another choice.
    fn designate(&mut self) {
        let topology = std::sync::Arc::clone(self.switch.topology());
        let host = self.switch.host();
        let is_live = |port: &vlan::model::port::Port| {
            port.host == host && self.switch.port_state(port.id) == PortState::Up
        };
        let chosen = Designation::among(&topology, is_live);
        let before = self.switch.set_designation(chosen.clone());
        let (Designation::Map(old), Designation::Map(new)) = (before, chosen) else {
            self.book.spoil_all();
            return;
        };
        let mut orphans: BTreeMap<String, VidSet> = BTreeMap::new();
        let vlans: BTreeSet<_> = old.keys().chain(new.keys()).copied().collect();
        for vlan @ (bridge, vid) in vlans {
            if old.get(&vlan) == new.get(&vlan) {
                continue;
            }
            let trunk = new.get(&vlan).or_else(|| old.get(&vlan));
            if let Some(fabric) = trunk.and_then(|trunk| topology.port(*trunk).group) {
                self.spoil(Dependency::Designation(fabric, vid));
            }
            if !new.contains_key(&vlan) {
                orphans.entry(topology.bridge(bridge).name.clone()).or_default().insert(vid);
            }
        }
        for (bridge, vids) in orphans {
            self.tell(Event::NoTrunk { bridge, vids: vids.to_string() });
        }
    }
}

fn state_of(standing: &Standing) -> PortState {
    match standing.why_not {
        None => PortState::Up,
        Some(WhyNot::Blocked) => PortState::Blocked,
        Some(_) => PortState::Down,
    }
}

/// The kind of telling that a port is down.
const DOWN: &str = "port-down";
/// The first retry of an attachment comes after twice this.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// The longest pause is 2^5 times as long: 16 s.
const RETRY_DOUBLINGS: u32 = 5;
