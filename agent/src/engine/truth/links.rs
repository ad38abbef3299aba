//! What is known of links and vports, and which of them changed since their ports were looked at.
//!
//! Each event names the links and vports that it is about; their ports become *dirty* and are looked at, no others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use datapath::port::{Link, LinkEvent, LinkIndex, Vport, VportNo, VportStats};
use datapath::{Refusal, RefusalCause};
use rustc_hash::{FxHashMap, FxHashSet};
use vlan::model::description::HostAddresses;
use vlan::model::id::PortId;
use vlan::model::port::Port;
use vlan::model::topology::Topology;
use vlan::time::Instant;

use super::claims::{self, Claim};
use super::standing::{Standing, WhyNot};
use crate::reconcile::{Fate, Observed, Touched, names_of};

/// Links and vports as they are known to be, and what became of each port.
#[derive(Debug, Default)]
pub(in crate::engine) struct Links {
    pub(in crate::engine) observed: Observed,
    has_links: bool,
    has_vports: bool,
    /// The port of each link that is to be a vport.
    wanted: FxHashMap<String, PortId>,
    /// Ports whose link or vport changed.
    dirty: BTreeSet<PortId>,
    /// Vports whose link changed.
    loose: BTreeSet<VportNo>,
    /// Ports whose link is to become a vport.
    arriving: BTreeSet<PortId>,
    /// Vports that are to be released.
    leaving: BTreeMap<VportNo, Vport>,
    /// Links that have been vports since the daemon started, or were when it did.
    bound: FxHashSet<LinkIndex>,
    /// Links that an earlier run had bound, and those of this one when they were last told, by name.
    remembered: BTreeSet<String>,
    /// They may be others by now.
    is_news_of_bound: bool,
    /// Vports that another program has made.
    strangers: BTreeSet<VportNo>,
    /// Links whose vport is gone though they are there; some may be on their way out.
    lost: FxHashSet<LinkIndex>,
    /// Links of strangers, and links that were lost and are vports again, as far as they are not told yet.
    foreign: Vec<String>,
    regained: Vec<String>,
    attaching: BTreeSet<String>,
    refused: BTreeMap<String, Refused>,
    retries: BTreeSet<(Instant, String)>,
    reading: Reading,
    /// What each vport counted, and the reading that told it last.
    told: FxHashMap<VportNo, Told>,
    port_of: FxHashMap<VportNo, PortId>,
    /// By port identifier.
    standing: Vec<Standing>,
    /// No port of the topology in force was looked at yet.
    is_new: bool,
    /// Links whose MTU is known not to be the expected one.
    pub(in crate::engine) odd_mtus: BTreeMap<String, u32>,
}

/// A link that could not be made a vport.
#[derive(Debug)]
struct Refused {
    why: String,
    times: u32,
    retry_at: Instant,
}

/// What was last read of a vport.
#[derive(Debug, Clone, Copy, Default)]
struct Told {
    stats: VportStats,
    /// By which reading.
    reading: u64,
}

/// How far the vports of the datapath have been read, slice by slice.
#[derive(Debug, Default)]
struct Reading {
    /// The number of the one that is under way, or was last.
    number: u64,
    is_under_way: bool,
    /// Those that the reading before did not come to.
    missed: FxHashSet<VportNo>,
    /// A vport went meanwhile: the kernel's list may have skipped another in its place.
    is_shaken: bool,
}

impl Links {
    pub(in crate::engine) fn note_link(&mut self, event: LinkEvent) {
        let touched = match event {
            LinkEvent::Changed(link) => self.observed.put_link(link),
            LinkEvent::Gone(index) => {
                self.reading.is_shaken = true;
                self.lost.remove(&index);
                self.bound.remove(&index);
                self.observed.remove_link(index)
            }
            LinkEvent::All(links) => {
                self.has_links = true;
                self.reading.is_shaken = true;
                self.observed.put_all_links(links)
            }
        };
        self.touch(touched);
    }

    /// Takes in every vport that the datapath has.
    pub(in crate::engine) fn note_all_vports(&mut self, vports: Vec<Vport>) {
        self.reading = Reading { number: self.reading.number, ..Reading::default() };
        self.bound.extend(vports.iter().filter_map(|vport| vport.index));
        self.is_news_of_bound = true;
        self.note_vports(vports.into_iter().map(|vport| (vport, None)), true);
        self.has_vports = true;
    }

    /// Takes in a slice of the vports that the datapath really has: somebody else may have removed one.
    pub(in crate::engine) fn note_vports(
        &mut self,
        slice: impl Iterator<Item = (Vport, Option<VportStats>)>,
        is_last: bool,
    ) {
        if !std::mem::replace(&mut self.reading.is_under_way, !is_last) {
            self.reading.number += 1;
            self.reading.is_shaken = false;
        }
        for (vport, stats) in slice {
            let told = self.told.entry(vport.no).or_default();
            told.reading = self.reading.number;
            told.stats = stats.unwrap_or(told.stats);
            let known = self.observed.vport(vport.no);
            if known == Some(&vport) {
                continue;
            }
            if stats.is_some() && known.is_none() {
                self.note_stranger(&vport);
            }
            // One that was to be released is on its way out.
            if !self.leaving.contains_key(&vport.no) {
                let touched = self.observed.put_vport(vport);
                self.touch(touched);
            }
        }
        if is_last {
            self.lose_untold();
        }
    }

    /// Vports that the reading did not tell are gone.
    fn lose_untold(&mut self) {
        let is_told =
            |no: &VportNo| self.told.get(no).is_some_and(|told| told.reading == self.reading.number);
        let untold: FxHashSet<VportNo> = self.observed.vports().filter(|no| !is_told(no)).collect();
        let is_sure = |no: &&VportNo| !self.reading.is_shaken || self.reading.missed.contains(no);
        let mut gone: Vec<VportNo> = untold.iter().filter(is_sure).copied().collect();
        gone.sort_unstable();
        self.reading.missed = untold;
        for no in gone {
            let link = self.observed.vport(no).and_then(|vport| self.observed.link_of(vport));
            self.lost.extend(link.map(|link| link.index));
            self.told.remove(&no);
            let touched = self.observed.remove_vport(no);
            self.touch(touched);
        }
    }

    /// A vport that is not known is not ours, and goes, whosever link it is: its frames would not come here. One whose making was not
    /// answered may be ours.
    fn note_stranger(&mut self, vport: &Vport) {
        let may_be_ours = self.leaving.contains_key(&vport.no)
            || self.attaching.contains(&vport.link)
            || self.refused.contains_key(&vport.link);
        if !may_be_ours && self.strangers.insert(vport.no) {
            self.foreign.push(vport.link.clone());
        }
    }

    /// Links that another program has made vports, and links that were taken again after another program had released them.
    pub(in crate::engine) fn take_foreign(&mut self) -> (Vec<String>, Vec<String>) {
        (std::mem::take(&mut self.foreign), std::mem::take(&mut self.regained))
    }

    pub(in crate::engine) fn note_attached(&mut self, link: &str, vport: Vport) {
        self.bound.extend(vport.index);
        self.is_news_of_bound = true;
        if vport.index.is_some_and(|index| self.lost.remove(&index)) {
            self.regained.push(vport.link.clone());
        }
        self.attaching.remove(link);
        self.forget_refusal(link);
        // It was made behind the back of a reading that is under way.
        self.told.entry(vport.no).or_default().reading = self.reading.number;
        let touched = self.observed.put_vport(vport);
        self.touch(touched);
    }

    /// Whether this is the first refusal of the link, or another than the last.
    pub(in crate::engine) fn note_attach_refused(
        &mut self,
        now: Instant,
        link: &str,
        refusal: &Refusal,
    ) -> bool {
        self.attaching.remove(link);
        let why = match self.observed.link_named(link).and_then(|link| claims::holder(link, &self.observed)) {
            Some(holder) if refusal.cause == RefusalCause::Busy => format!("{}: {holder}", refusal.cause),
            _ => refusal.cause.to_string(),
        };
        let before = self.forget_refusal(link);
        let times = before.as_ref().map_or(0, |refused| refused.times) + 1;
        let is_news = before.is_none_or(|refused| refused.why != why);
        let retry_at = now + RETRY_AFTER * 2_u32.pow(times.min(RETRY_DOUBLINGS));
        self.retries.insert((retry_at, link.to_owned()));
        self.refused.insert(link.to_owned(), Refused { why, times, retry_at });
        self.touch_name(link);
        is_news
    }

    fn forget_refusal(&mut self, link: &str) -> Option<Refused> {
        let refused = self.refused.remove(link)?;
        self.retries.remove(&(refused.retry_at, link.to_owned()));
        Some(refused)
    }

    /// Links that are bound because an earlier run had bound them.
    pub(in crate::engine) fn remember(&mut self, links: &[String]) {
        self.remembered = links.iter().cloned().collect();
    }

    /// The links to be remembered, if they are others than before: those that are wanted and bound, or are missing and were.
    pub(in crate::engine) fn news_of_bound(&mut self) -> Option<Vec<String>> {
        if !self.is_known() || self.is_busy() || !std::mem::take(&mut self.is_news_of_bound) {
            return None;
        }
        let is_to_be_kept = |name: &&String| match self.observed.link_named(name) {
            Some(link) => self.bound.contains(&link.index),
            None => self.remembered.contains(*name),
        };
        let wanted = self.wanted.keys().filter(is_to_be_kept);
        let by_own_name = |name: &String| {
            self.observed.link_named(name).map_or_else(|| name.clone(), |link| link.name.clone())
        };
        let now: BTreeSet<String> = wanted.map(by_own_name).collect();
        if now == self.remembered {
            return None;
        }
        self.remembered.clone_from(&now);
        Some(now.into_iter().collect())
    }

    /// Whether enough is known to say which port is which vport.
    pub(in crate::engine) fn is_known(&self) -> bool {
        self.has_links && self.has_vports
    }

    /// Another topology: these links are to be vports, each of its port, and every port is to be looked at.
    pub(in crate::engine) fn want(&mut self, wanted: FxHashMap<String, PortId>, ports: usize) {
        self.wanted = wanted;
        self.is_news_of_bound = true;
        self.standing = vec![Standing::down(WhyNot::NotSeen); ports];
        self.port_of.clear();
        self.odd_mtus.clear();
        self.arriving.clear();
        let unwanted = |link: &&String| !self.wanted.contains_key(*link);
        let refused: Vec<String> = self.refused.keys().filter(unwanted).cloned().collect();
        refused.iter().for_each(|link| drop(self.forget_refusal(link)));
        self.is_new = true;
        for (_, vport) in std::mem::take(&mut self.leaving) {
            self.observed.put_vport(vport);
        }
        self.dirty = (0..ports as u32).map(PortId).collect();
        self.loose = self.observed.vports().collect();
    }

    fn touch(&mut self, touched: Touched) {
        touched.names.iter().for_each(|name| self.touch_name(name));
        self.loose.extend(touched.vports);
    }

    fn touch_name(&mut self, link: &str) {
        self.dirty.extend(self.wanted.get(link));
        let names = self.observed.link_named(link).map(names_of).into_iter().flatten();
        self.dirty.extend(names.filter_map(|name| self.wanted.get(name)));
    }

    /// Whether no port of the topology in force was looked at yet; from now on they are.
    pub(in crate::engine) fn take_is_new(&mut self) -> bool {
        std::mem::take(&mut self.is_new)
    }

    /// Ports whose attachment is to be tried again by now are looked at.
    pub(in crate::engine) fn retry(&mut self, now: Instant) {
        while let Some((at, link)) = self.retries.pop_first() {
            if at > now {
                self.retries.insert((at, link));
                return;
            }
            self.touch_name(&link);
        }
    }

    /// When an attachment is to be tried again.
    pub(in crate::engine) fn next_due(&self) -> Option<Instant> {
        if self.has_work() {
            return Some(Instant::ZERO);
        }
        self.retries.first().map(|(at, _)| *at)
    }

    /// Whether there is something to be looked at, attached or released.
    fn has_work(&self) -> bool {
        let is_dirty = !(self.dirty.is_empty() && self.loose.is_empty());
        self.is_known() && (is_dirty || !self.arriving.is_empty() || !self.leaving.is_empty())
    }

    /// Whether links are still to be attached or released, or ports to be looked at.
    pub(in crate::engine) fn is_busy(&self) -> bool {
        self.has_work() || !self.attaching.is_empty()
    }

    /// Whether nothing waits to be looked at.
    pub(in crate::engine) fn is_clean(&self) -> bool {
        self.dirty.is_empty() && self.loose.is_empty()
    }

    pub(in crate::engine) fn next_dirty(&mut self) -> Option<PortId> {
        self.dirty.pop_first()
    }

    /// The next vport whose link changed, and what is to become of it if it cannot stay.
    pub(in crate::engine) fn next_loose(&mut self) -> Option<(VportNo, Fate)> {
        let no = self.loose.pop_first()?;
        let fate = match self.observed.vport(no) {
            Some(vport) if self.strangers.contains(&vport.no) => Fate::Unwanted,
            Some(vport) => self.observed.fate(vport, |link| self.wanted.contains_key(link)),
            None => Fate::Gone,
        };
        Some((no, fate))
    }

    /// Forgets a vport; it is to be released if it is there and unwanted.
    pub(in crate::engine) fn give_up(&mut self, no: VportNo, fate: Fate) {
        if fate == Fate::Unwanted {
            self.leaving.extend(self.observed.vport(no).map(|vport| (no, vport.clone())));
        }
        let touched = self.observed.remove_vport(no);
        self.strangers.remove(&no);
        self.told.remove(&no);
        touched.names.iter().for_each(|name| self.touch_name(name));
        self.dirty.extend(self.port_of.get(&no));
    }

    /// Notes that a port's link is to become a vport. The link must be there, not be a vport yet, and may be tried by now.
    pub(in crate::engine) fn seek(&mut self, now: Instant, port: &Port) {
        let is_to_come = self.observed.link_named(&port.link).is_some_and(|link| {
            let is_early = self.refused.get(&link.name).is_some_and(|refused| now < refused.retry_at);
            self.observed.vport_of(link).is_none()
                && !is_early
                && !self.attaching.contains(&link.name)
                && self.owner_of(link) == Some(port.id)
                && self.claim_on(link, port).is_none()
        });
        if is_to_come {
            self.arriving.insert(port.id);
        } else {
            self.arriving.remove(&port.id);
        }
    }

    /// The next port whose link is to become a vport.
    pub(in crate::engine) fn next_arriving(&mut self) -> Option<PortId> {
        self.arriving.pop_first()
    }

    /// Notes that a link is being made a vport.
    pub(in crate::engine) fn note_attaching(&mut self, link: String) {
        self.attaching.insert(link);
    }

    /// The next vport to be released.
    pub(in crate::engine) fn next_leaving(&mut self) -> Option<VportNo> {
        let (no, _) = self.leaving.pop_first()?;
        self.reading.is_shaken = true;
        Some(no)
    }

    pub(in crate::engine) fn port_of(&self, vport: VportNo) -> Option<PortId> {
        self.port_of.get(&vport).copied()
    }

    pub(in crate::engine) fn vport_of(&self, port: PortId) -> Option<VportNo> {
        self.standing.get(port.0 as usize)?.vport
    }

    /// The MTU of a port's link; 0 if it is not known.
    pub(in crate::engine) fn mtu_of(&self, port: PortId) -> u32 {
        self.standing.get(port.0 as usize).map_or(0, |standing| standing.mtu)
    }

    pub(in crate::engine) fn standing(&self, port: PortId) -> Standing {
        self.standing.get(port.0 as usize).cloned().unwrap_or_else(|| Standing::down(WhyNot::NotSeen))
    }

    /// Writes down what has become of a port, and returns what it was.
    pub(in crate::engine) fn set_standing(&mut self, port: PortId, standing: Standing) -> Option<Standing> {
        let slot = self.standing.get_mut(port.0 as usize)?;
        if slot.vport != standing.vport {
            if let Some(before) = slot.vport
                && self.port_of.get(&before) == Some(&port)
            {
                self.port_of.remove(&before);
            }
            self.port_of.extend(standing.vport.map(|vport| (vport, port)));
        }
        Some(std::mem::replace(slot, standing))
    }

    pub(in crate::engine) fn stats(&self, vport: VportNo) -> VportStats {
        self.told.get(&vport).map(|told| told.stats).unwrap_or_default()
    }

    /// Which vport the link of a port is, and whether it can carry frames.
    pub(in crate::engine) fn stand(&self, topology: &Topology, port: &Port) -> Standing {
        let Some(link) = self.observed.link_named(&port.link) else {
            return Standing::down(WhyNot::NoLink);
        };
        if let Some(owner) = self.owner_of(link).filter(|owner| *owner != port.id) {
            return Standing::down(WhyNot::SameLink(topology.port(owner).name.clone()));
        }
        let Some(vport) = self.observed.vport_of(link) else {
            let refused = self.refused.get(&link.name).map(|refused| refused.why.clone());
            let claim = self.claim_on(link, port).map(WhyNot::Claimed);
            return Standing::down(claim.unwrap_or(WhyNot::NotAttached(refused)));
        };
        let why_not = match (link.is_up, link.has_carrier) {
            (false, _) => Some(WhyNot::AdminDown),
            (true, false) => Some(WhyNot::NoCarrier),
            (true, true) => None,
        };
        let in_use = claims::uses(port, link, &self.observed);
        Standing { vport: Some(vport.no), why_not, mtu: link.mtu, in_use }
    }

    /// The port whose link it is. Two ports may name one link, each by another of its names.
    fn owner_of(&self, link: &Link) -> Option<PortId> {
        names_of(link).find_map(|name| self.wanted.get(name)).copied()
    }

    /// Whose a link is, if it may not be taken. What the host does with one that was bound before is no reason any more.
    fn claim_on(&self, link: &Link, port: &Port) -> Option<Claim> {
        let was_bound = self.bound.contains(&link.index) || self.remembered.contains(&link.name);
        let policy = if was_bound { HostAddresses::Keep } else { port.host_addresses };
        Claim::on(link, &self.observed, policy)
    }
}

/// The first retry of an attachment comes after twice this.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// The longest pause is 2^5 times as long: 16 s.
const RETRY_DOUBLINGS: u32 = 5;
