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
use std::time::Duration;

use vlan::designation::{Choice, Designation};
use vlan::fdb::Slot;
use vlan::model::id::{FabricId, PortId};
use vlan::plane::PortState;
use vlan::time::Instant;
use vlan::verdict::Dependency;
use vlan::vid::VidSet;

use super::Truth;
use super::addresses::spoil_addresses;
use super::standing::{Cause, Standing, WhyNot};
use crate::engine::outbox::{Asked, Outbox};
use crate::event::Event;
use crate::input::Answer;
use crate::lower::Lowering;
use crate::output::Output;
use crate::reconcile::Fate;

impl Truth {
    /// Looks at the ports and vports whose links changed, at most a bounded number of them, and follows what that does. Whether all of
    /// them are known now.
    pub(in crate::engine) fn reconcile_links(&mut self, now: Instant, lowering: &mut impl Lowering) -> bool {
        if !self.links.is_known() {
            return false;
        }
        self.links.retry(now);
        // Of another topology all ports must be known before the next frame comes.
        let most = if self.links.take_is_new() { usize::MAX } else { PORTS_AT_ONCE };
        self.drop_loose(most);
        let mut fabrics = BTreeSet::new();
        for _ in 0..most {
            let Some(port) = self.links.work.next_dirty() else { break };
            fabrics.extend(self.refresh_port(now, port, lowering));
        }
        self.designate(&fabrics, lowering);
        self.links.work.is_clean()
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

    /// Has a few vports released, and a few links made vports.
    pub(in crate::engine) fn move_vports(&mut self, outbox: &mut Outbox) {
        for _ in 0..VPORTS_AT_ONCE {
            let Some(vport) = self.links.next_leaving() else { break };
            outbox.ask(Asked::Detach, |id| Output::Detach { id, vport });
        }
        for _ in 0..VPORTS_AT_ONCE {
            let Some(port) = self.links.work.next_arriving() else { break };
            // By its own name, whatever the file calls it.
            let link = self.links.observed.link_named(&self.switch.topology().port(port).link);
            let Some(link) = link.map(|link| link.name.clone()) else { continue };
            self.links.attempts.begin(link.clone());
            outbox.ask(Asked::Attach(link.clone()), |id| Output::Attach { id, link });
        }
    }

    /// Takes in whether a link was made a vport.
    pub(in crate::engine) fn note_attached(&mut self, now: Instant, link: &str, answer: Answer) {
        match answer {
            Answer::Attached(vport) => self.links.note_attached(link, vport),
            Answer::Done | Answer::Withdrawn(_) | Answer::Counted(_) => {}
            Answer::Refused(refusal) => {
                self.telling.counts.refuse("attach", refusal.cause.name());
                if self.links.note_attach_refused(now, link, &refusal) {
                    self.telling.tell(Event::Refused { what: refusal.to_string(), retried: true });
                }
            }
        }
    }

    /// Tells what other hands have done to vports.
    pub(in crate::engine) fn tell_of_hands(&mut self) {
        let (strangers, regained) = self.links.others.take_untold();
        for link in strangers {
            self.telling.tell(Event::ForeignVport { link });
        }
        for link in regained {
            self.telling.tell(Event::VportGone { link });
        }
    }

    /// Blocks a port, or blocks it for longer.
    pub(in crate::engine) fn block(
        &mut self,
        now: Instant,
        port: PortId,
        cause: Cause,
        pause: Duration,
        lowering: &mut impl Lowering,
    ) {
        let name = self.switch.topology().port(port).name.clone();
        if self.blocks.block(name.clone(), cause, now + pause) {
            let why = cause.sentence().to_owned();
            self.telling.tell(Event::PortBlocked { port: name, why, seconds: pause.as_secs() });
            self.refresh_at_once(now, port, lowering);
        }
    }

    /// Lets one port forward again.
    pub(in crate::engine) fn unblock(&mut self, now: Instant, port: &str, lowering: &mut impl Lowering) {
        if self.blocks.lift(port) {
            self.telling.tell(Event::PortUnblocked { port: port.to_owned() });
            let id = self.switch.topology().port_named(port).map(|port| port.id);
            if let Some(id) = id {
                self.refresh_at_once(now, id, lowering);
            }
        }
    }

    /// Passes on at once what changed for a port, before the next frame is judged.
    fn refresh_at_once(&mut self, now: Instant, id: PortId, lowering: &mut impl Lowering) {
        let fabric = self.refresh_port(now, id, lowering);
        self.designate(&fabric.into_iter().collect(), lowering);
    }

    /// Compares a port with what it was and passes on what changed. The fabric whose trunks are to be chosen anew, if it is one of
    /// them and its state is another.
    fn refresh_port(&mut self, now: Instant, id: PortId, lowering: &mut impl Lowering) -> Option<FabricId> {
        let topology = Arc::clone(self.switch.topology());
        let port = topology.port(id);
        let mut standing = match port.host == self.switch.host() {
            true => self.links.stand(&topology, port),
            false => Standing::down(WhyNot::Elsewhere),
        };
        if standing.why_not.is_none()
            && let Some(cause) = self.blocks.why(&port.name)
        {
            standing.why_not = Some(WhyNot::Blocked(cause));
        }
        if port.host == self.switch.host() {
            self.links.seek(now, port);
        }
        self.compare_mtu(id);
        let before = self.links.standings.set(id, standing.clone());
        let was = self.switch.set_port_state(id, standing.state());
        self.tell_of_use(id, before.as_ref(), &standing);
        if was == standing.state() && before.is_some_and(|before| before.is_like(&standing)) {
            return None;
        }
        lowering.spoil(Dependency::Port(id));
        // Behind a link that only lost its vport everything is where it was.
        let is_cut = !matches!(standing.why_not, None | Some(WhyNot::NotAttached(_)));
        // What sticks stays until it is flushed: a plug that is pulled lifts nothing.
        if was == PortState::Up && is_cut && port.group.is_none() && !port.is_sticky {
            let gone = self.switch.fdb.addresses.flush(Slot::Port(id));
            spoil_addresses(&gone, lowering);
        }
        let is_other = was != standing.state();
        self.tell_of_port(now, id, was, standing);
        port.group.filter(|_| is_other)
    }

    fn tell_of_port(&mut self, now: Instant, id: PortId, was: PortState, standing: Standing) {
        let port = self.switch.topology().port(id);
        let (name, link) = (port.name.clone(), port.link.clone());
        match standing.why_not {
            None if was != PortState::Up => self.telling.tell(Event::PortUp { port: name, link }),
            // A link that is about to be attached is no news.
            Some(WhyNot::Elsewhere | WhyNot::Blocked(_) | WhyNot::NotAttached(None)) | None => {}
            Some(why) => {
                let said = (DOWN, format!("{name} {why}"));
                if was == PortState::Up || self.telling.may_tell(now, said) {
                    self.telling.tell(Event::PortDown { port: name, link, why: why.to_string() });
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
        self.telling.tell(match &standing.in_use {
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
            self.telling.tell(Event::MtuDiffers { port: port.name.clone(), link, expected });
        }
    }

    /// Chooses the trunk of every VLAN for the first time under a topology.
    fn designate_all(&mut self, lowering: &mut impl Lowering) {
        let fabrics = self.trunks.fabrics().collect();
        let chosen = self.chosen(&fabrics).into_iter().filter_map(|(vlan, trunk)| Some((vlan, trunk?)));
        self.switch.set_designation(Designation::Map(chosen.collect()));
        self.others.forget_carried();
        lowering.spoil_all();
    }

    /// Chooses the trunk of each VLAN of some fabrics anew among those that are up, and spoils what rested on another choice.
    fn designate(&mut self, fabrics: &BTreeSet<FabricId>, lowering: &mut impl Lowering) {
        if matches!(self.switch.designation(), Designation::Everyone) {
            return self.designate_all(lowering);
        }
        self.redesignate(fabrics, lowering);
    }

    /// The same, where trunks were chosen before.
    pub(super) fn redesignate(&mut self, fabrics: &BTreeSet<FabricId>, lowering: &mut impl Lowering) {
        if fabrics.is_empty() || matches!(self.switch.designation(), Designation::Everyone) {
            return;
        }
        self.others.forget_carried();
        let topology = Arc::clone(self.switch.topology());
        let mut orphans: BTreeMap<String, VidSet> = BTreeMap::new();
        for (vlan @ (bridge, vid), trunk) in self.chosen(fabrics) {
            let before = self.switch.designate(vlan, trunk);
            if before == trunk {
                continue;
            }
            if let Some(fabric) = trunk.or(before).and_then(|trunk| topology.port(trunk).group) {
                lowering.spoil(Dependency::Designation(fabric, vid));
                let is_own = |trunk: PortId| topology.port(trunk).host == self.switch.host();
                if trunk.is_some_and(is_own) && !before.is_some_and(is_own) {
                    self.feed.look_behind(fabric);
                }
            }
            if trunk.is_none() {
                orphans.entry(topology.bridge(bridge).name.clone()).or_default().insert(vid);
            }
        }
        for (bridge, vids) in orphans {
            self.telling.tell(Event::NoTrunk { bridge, vids: vids.to_string() });
        }
    }
}

impl Truth {
    /// The best live trunk of each VLAN of these fabrics, wherever it is.
    fn chosen(&self, fabrics: &BTreeSet<FabricId>) -> Vec<Choice> {
        let topology = self.switch.topology();
        let choose = |fabric: &FabricId| self.trunks.choose(topology, *fabric, |port| self.is_live(port));
        let chosen = fabrics.iter().flat_map(choose);
        if !self.others.is_one_ahead() {
            return chosen.collect();
        }
        let is_left = |port: &vlan::model::port::Port| self.is_live(port) && !self.others.is_ahead(port.host);
        let others = fabrics.iter().flat_map(|fabric| self.trunks.choose(topology, *fabric, is_left));
        let settle = |((vlan, trunk), (_, other)): (Choice, Choice)| {
            let is_given_up = trunk.is_some_and(|trunk| self.others.is_ahead(topology.port(trunk).host));
            (vlan, self.others.later_choice(topology, vlan).or(if is_given_up { other } else { trunk }))
        };
        chosen.zip(others).map(settle).collect()
    }

    fn is_live(&self, port: &vlan::model::port::Port) -> bool {
        match port.host == self.switch.host() {
            true => self.switch.port_state(port.id) == PortState::Up,
            false => self.others.is_up(port.host, port.bridge, &port.name),
        }
    }
}

/// The kind of telling that a port is down.
const DOWN: &str = "port-down";
/// Ports that are looked at for one input: some milliseconds.
const PORTS_AT_ONCE: usize = 1_000;
/// Links that are attached, and vports that are released, for one input: each keeps the kernel busy for a millisecond or so.
const VPORTS_AT_ONCE: usize = 2;
