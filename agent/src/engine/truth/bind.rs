//! Which link is which port, and whether the port forwards.
//!
//! ```text
//!   no such link ──appears──► not attached ──attached──► no carrier / admin down ──► up
//!        ▲                                                                           │ a BPDU
//!        └────────────────────────── gone ◄──────────────────────────────────────────┴──► blocked
//! ```
//! Links are attached and released a few at a time, with frames in between: each takes the kernel's lock of all links.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vlan::designation::Designation;
use vlan::fdb::Slot;
use vlan::model::id::{FabricId, PortId};
use vlan::plane::PortState;
use vlan::time::Instant;
use vlan::verdict::Dependency;
use vlan::vid::VidSet;

use super::standing::{Standing, WhyNot};
use crate::engine::Engine;
use crate::event::Event;
use crate::reconcile::Fate;

impl Engine {
    /// Looks at the ports and vports whose links changed, at most a bounded number of them, and follows what that does.
    pub(in crate::engine) fn reconcile_links(&mut self, now: Instant) {
        if !self.links.is_known() || self.revision == 0 {
            return;
        }
        self.links.retry(now);
        // Of another topology all ports must be known before the next frame comes.
        let most = if self.links.take_is_new() { usize::MAX } else { PORTS_AT_ONCE };
        self.drop_loose(most);
        let mut fabrics = BTreeSet::new();
        for _ in 0..most {
            let Some(port) = self.links.next_dirty() else { break };
            fabrics.extend(self.refresh_port(now, port));
        }
        self.designate(&fabrics);
        if self.links.is_clean() {
            self.begin_with_heritage(now);
        }
    }

    /// Vports whose link is gone or not wanted are forgotten.
    fn drop_loose(&mut self, most: usize) {
        for _ in 0..most {
            let Some((vport, fate)) = self.links.next_loose() else { break };
            if fate != Fate::Kept {
                // Its port changes with that, and the flows that rest on it are looked over. Until then they harm nobody: numbers of
                // vports do not come back.
                self.links.give_up(vport, fate);
            }
        }
    }

    /// Has a few links made vports, and a few vports released.
    pub(in crate::engine) fn move_vports(&mut self) {
        for _ in 0..VPORTS_AT_ONCE {
            self.changes.detach.extend(self.links.next_leaving());
            let Some(port) = self.links.next_arriving() else { continue };
            // By its own name, whatever the file calls it.
            let link = self.links.observed.link_named(&self.switch.topology().port(port).link);
            let Some(link) = link.map(|link| link.name.clone()) else { continue };
            self.links.note_attaching(link.clone());
            self.changes.attach.push(link);
        }
    }

    /// Passes on at once what changed for a port, before the next frame is judged.
    pub(in crate::engine) fn refresh_at_once(&mut self, now: Instant, id: PortId) {
        let fabric = self.refresh_port(now, id);
        self.designate(&fabric.into_iter().collect());
    }

    /// Compares a port with what it was and passes on what changed. The fabric whose trunks are to be chosen anew, if it is one of
    /// them and its state is another.
    fn refresh_port(&mut self, now: Instant, id: PortId) -> Option<FabricId> {
        let topology = Arc::clone(self.switch.topology());
        let port = topology.port(id);
        let mut standing = match port.host == self.switch.host() {
            true => self.links.stand(&topology, port),
            false => Standing::down(WhyNot::Elsewhere),
        };
        if standing.why_not.is_none()
            && let Some(cause) = self.time.why_blocked(&port.name)
        {
            standing.why_not = Some(WhyNot::Blocked(cause));
        }
        if port.host == self.switch.host() {
            self.links.seek(now, port);
        }
        self.compare_mtu(id);
        let before = self.links.set_standing(id, standing.clone());
        let was = self.switch.set_port_state(id, standing.state());
        self.tell_of_use(id, before.as_ref(), &standing);
        if was == standing.state() && before.is_some_and(|before| before.is_like(&standing)) {
            return None;
        }
        self.spoil(Dependency::Port(id));
        // Behind a link that only lost its vport everything is where it was.
        let is_cut = !matches!(standing.why_not, None | Some(WhyNot::NotAttached(_)));
        // What sticks stays until it is flushed: a plug that is pulled lifts nothing.
        if was == PortState::Up && is_cut && port.group.is_none() && !port.is_sticky {
            let gone = self.switch.fdb.addresses.flush(Slot::Port(id));
            self.spoil_addresses(&gone);
        }
        let is_other = was != standing.state();
        self.tell_of_port(now, id, was, standing);
        port.group.filter(|_| is_other)
    }

    fn tell_of_port(&mut self, now: Instant, id: PortId, was: PortState, standing: Standing) {
        let port = self.switch.topology().port(id);
        let (name, link) = (port.name.clone(), port.link.clone());
        match standing.why_not {
            None if was != PortState::Up => self.tell(Event::PortUp { port: name, link }),
            // A link that is about to be attached is no news.
            Some(WhyNot::Elsewhere | WhyNot::Blocked(_) | WhyNot::NotAttached(None)) | None => {}
            Some(why) => {
                let said = (DOWN, format!("{name} {why}"));
                if was == PortState::Up || self.time.may_tell(now, said) {
                    self.tell(Event::PortDown { port: name, link, why: why.to_string() });
                }
            }
        }
    }

    /// Tells what the host has begun to do with a port's link, or that it does nothing any more.
    fn tell_of_use(&mut self, id: PortId, before: Option<&Standing>, standing: &Standing) {
        let before = before.and_then(|before| before.in_use.as_ref());
        if before == standing.in_use.as_ref() {
            return;
        }
        let port = self.switch.topology().port(id);
        let (port, link) = (port.name.clone(), port.link.clone());
        self.tell(match &standing.in_use {
            Some(how) => Event::LinkInUse { port, link, how: how.clone() },
            None => Event::LinkFree { port, link },
        });
    }

    fn compare_mtu(&mut self, id: PortId) {
        let topology = Arc::clone(self.switch.topology());
        let port = topology.port(id);
        let Some(expected) = port.mtu.filter(|_| port.host == self.switch.host()) else { return };
        let Some(link) = self.links.observed.link_named(&port.link).map(|link| link.mtu) else { return };
        if link == expected {
            self.links.odd_mtus.remove(&port.link);
        } else if self.links.odd_mtus.insert(port.link.clone(), link) != Some(link) {
            self.tell(Event::MtuDiffers { port: port.name.clone(), link, expected });
        }
    }

    /// Chooses the trunk of every VLAN for the first time under a topology.
    fn designate_all(&mut self) {
        let chosen = self.trunks.choose_all(self.switch.topology(), |port| self.is_live(port));
        self.switch.set_designation(chosen);
        self.book.spoil_all();
    }

    /// Chooses the trunk of each VLAN of some fabrics anew among those that are up, and spoils what rested on another choice.
    fn designate(&mut self, fabrics: &BTreeSet<FabricId>) {
        if matches!(self.switch.designation(), Designation::Everyone) {
            return self.designate_all();
        }
        if fabrics.is_empty() {
            return;
        }
        let topology = Arc::clone(self.switch.topology());
        let mut orphans: BTreeMap<String, VidSet> = BTreeMap::new();
        for (vlan @ (bridge, vid), trunk) in self.chosen(fabrics) {
            let before = self.switch.designate(vlan, trunk);
            if before == trunk {
                continue;
            }
            if let Some(fabric) = trunk.or(before).and_then(|trunk| topology.port(trunk).group) {
                self.spoil(Dependency::Designation(fabric, vid));
            }
            if trunk.is_none() {
                orphans.entry(topology.bridge(bridge).name.clone()).or_default().insert(vid);
            }
        }
        for (bridge, vids) in orphans {
            self.tell(Event::NoTrunk { bridge, vids: vids.to_string() });
        }
    }

    /// The best live trunk of each VLAN of these fabrics.
    fn chosen(&self, fabrics: &BTreeSet<FabricId>) -> Vec<vlan::designation::Choice> {
        let choose = |fabric: &FabricId| {
            self.trunks.choose(self.switch.topology(), *fabric, |port| self.is_live(port))
        };
        fabrics.iter().flat_map(choose).collect()
    }

    fn is_live(&self, port: &vlan::model::port::Port) -> bool {
        port.host == self.switch.host() && self.switch.port_state(port.id) == PortState::Up
    }
}

/// The kind of telling that a port is down.
const DOWN: &str = "port-down";
/// Ports that are looked at for one input: some milliseconds.
const PORTS_AT_ONCE: usize = 1_000;
/// Links that are attached, and vports that are released, for one input: each keeps the kernel busy for a millisecond or so.
const VPORTS_AT_ONCE: usize = 2;
