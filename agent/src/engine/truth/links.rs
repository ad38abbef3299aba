//! What is known of links and vports, and which of them changed since their ports were looked at.
//!
//! Each event names the links and vports that it is about; their ports become *dirty* and are looked at, no others.

use std::collections::BTreeMap;

use datapath::port::{Link, LinkEvent, Vport, VportNo, VportStats};
use datapath::{Refusal, RefusalCause};
use rustc_hash::FxHashMap;
use vlan::model::description::HostAddresses;
use vlan::model::id::PortId;
use vlan::model::port::Port;
use vlan::model::topology::Topology;
use vlan::time::Instant;

use super::claims::{self, Claim};
use super::standing::{Standing, Standings, WhyNot};
use crate::reconcile::{Fate, Observed, Touched, names_of};

use attempts::Attempts;
use bound::Bound;
use census::Census;
use others::Others;
use work::Work;

mod attempts;
mod bound;
mod census;
mod others;
mod work;

/// Links and vports as they are known to be, and what became of each port.
#[derive(Debug, Default)]
pub(in crate::engine) struct Links {
    pub(in crate::engine) observed: Observed,
    has_links: bool,
    has_vports: bool,
    /// The port of each link that is to be a vport.
    wanted: FxHashMap<String, PortId>,
    pub(in crate::engine) work: Work,
    pub(in crate::engine) bound: Bound,
    pub(in crate::engine) others: Others,
    pub(in crate::engine) attempts: Attempts,
    pub(in crate::engine) census: Census,
    pub(in crate::engine) standings: Standings,
    /// No port of the topology in force was looked at yet.
    is_new: bool,
    /// Links whose MTU is known not to be the expected one.
    pub(in crate::engine) odd_mtus: BTreeMap<String, u32>,
}

impl Links {
    pub(in crate::engine) fn note_link(&mut self, event: LinkEvent) {
        let touched = match event {
            LinkEvent::Changed(link) => self.observed.put_link(link),
            LinkEvent::Gone(index) => {
                self.census.shake();
                self.others.forget_link(index);
                self.bound.forget(index);
                self.observed.remove_link(index)
            }
            LinkEvent::All(links) => {
                self.has_links = true;
                self.census.shake();
                self.observed.put_all_links(links)
            }
        };
        self.touch(touched);
    }

    /// Takes in every vport that the datapath has.
    pub(in crate::engine) fn note_all_vports(&mut self, vports: Vec<Vport>) {
        self.census.begin_anew();
        self.bound.note(vports.iter().filter_map(|vport| vport.index));
        self.note_vports(vports.into_iter().map(|vport| (vport, None)).collect(), true);
        self.has_vports = true;
    }

    /// Takes in a slice of the vports that the datapath really has: somebody else may have removed one.
    pub(in crate::engine) fn note_vports<S>(&mut self, slice: Vec<(Vport, S)>, is_last: bool)
    where
        S: Into<Option<VportStats>> + Copy,
    {
        self.census.begin_slice(is_last);
        // Nearly all are as they were. To look them up is to wait for memory, together where nothing stands in between.
        let is_news = |(vport, _): &(Vport, S)| self.observed.vport(vport.no) != Some(vport);
        let are_news: Vec<bool> = slice.iter().map(is_news).collect();
        slice.iter().for_each(|(vport, stats)| self.census.tell(vport.no, (*stats).into()));
        let news = slice.into_iter().zip(are_news).filter(|(_, is_news)| *is_news);
        for ((vport, stats), _) in news {
            if stats.into().is_some() && self.observed.vport(vport.no).is_none() {
                self.note_stranger(&vport);
            }
            // One that was to be released is on its way out.
            if !self.work.leaving.contains_key(&vport.no) {
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
        for no in self.census.end(self.observed.vports()) {
            let link = self.observed.vport(no).and_then(|vport| self.observed.link_of(vport));
            link.into_iter().for_each(|link| self.others.note_lost(link.index));
            self.census.forget(no);
            let touched = self.observed.remove_vport(no);
            self.touch(touched);
        }
    }

    /// A vport that is not known is not ours, and goes, whosever link it is: its frames would not come here. One whose making was not
    /// answered may be ours.
    fn note_stranger(&mut self, vport: &Vport) {
        let may_be_ours =
            self.work.leaving.contains_key(&vport.no) || self.attempts.may_have_made(&vport.link);
        if !may_be_ours {
            self.others.note_stranger(vport);
        }
    }

    /// A link was made a vport.
    pub(in crate::engine) fn note_attached(&mut self, link: &str, vport: Vport) {
        self.bound.note(vport.index);
        self.others.note_attached(&vport);
        self.attempts.succeed(link);
        // It was made behind the back of a reading that is under way.
        self.census.tell(vport.no, None);
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
        let why = match self.observed.link_named(link).and_then(|link| claims::holder(link, &self.observed)) {
            Some(holder) if refusal.cause == RefusalCause::Busy => format!("{}: {holder}", refusal.cause),
            _ => refusal.cause.to_string(),
        };
        let is_news = self.attempts.fail(now, link, why);
        self.touch_name(link);
        is_news
    }

    /// The links to be remembered, if they are others than before: those that are wanted and bound, or are missing and were.
    pub(in crate::engine) fn news_of_bound(&mut self) -> Option<Vec<String>> {
        if !self.is_known() || self.is_busy() {
            return None;
        }
        self.bound.news(self.wanted.keys(), &self.observed)
    }

    /// Whether enough is known to say which port is which vport.
    pub(in crate::engine) fn is_known(&self) -> bool {
        self.has_links && self.has_vports
    }

    /// Another topology: these links are to be vports, each of its port, and every port is to be looked at.
    pub(in crate::engine) fn want(&mut self, wanted: FxHashMap<String, PortId>, ports: usize) {
        self.wanted = wanted;
        self.bound.note_others_wanted();
        self.standings.forget(ports);
        self.odd_mtus.clear();
        self.work.arriving.clear();
        self.attempts.keep_only(|link| self.wanted.contains_key(link));
        self.is_new = true;
        for (_, vport) in std::mem::take(&mut self.work.leaving) {
            self.observed.put_vport(vport);
        }
        self.work.dirty = (0..ports as u32).map(PortId).collect();
        self.work.loose = self.observed.vports().collect();
    }

    fn touch(&mut self, touched: Touched) {
        touched.names.iter().for_each(|name| self.touch_name(name));
        self.work.loose.extend(touched.vports);
    }

    fn touch_name(&mut self, link: &str) {
        self.work.dirty.extend(self.wanted.get(link));
        let names = self.observed.link_named(link).map(names_of).into_iter().flatten();
        self.work.dirty.extend(names.filter_map(|name| self.wanted.get(name)));
    }

    /// Whether no port of the topology in force was looked at yet; from now on they are.
    pub(in crate::engine) fn take_is_new(&mut self) -> bool {
        std::mem::take(&mut self.is_new)
    }

    /// Ports whose attachment is to be tried again by now are looked at.
    pub(in crate::engine) fn retry(&mut self, now: Instant) {
        while let Some(link) = self.attempts.take_due(now) {
            self.touch_name(&link);
        }
    }

    /// When an attachment is to be tried again.
    pub(in crate::engine) fn next_due(&self) -> Option<Instant> {
        if self.has_work() {
            return Some(Instant::ZERO);
        }
        self.attempts.next_due()
    }

    /// Whether there is something to be looked at, attached or released.
    fn has_work(&self) -> bool {
        self.is_known() && !self.work.is_done()
    }

    /// Whether links are still to be attached or released, or ports to be looked at.
    pub(in crate::engine) fn is_busy(&self) -> bool {
        self.has_work() || self.attempts.is_one_under_way()
    }

    /// The next vport whose link changed, and what is to become of it if it cannot stay.
    pub(in crate::engine) fn next_loose(&mut self) -> Option<(VportNo, Fate)> {
        let no = self.work.loose.pop_first()?;
        let fate = match self.observed.vport(no) {
            Some(vport) if self.others.is_stranger(vport.no) => Fate::Unwanted,
            Some(vport) => self.observed.fate(vport, |link| self.wanted.contains_key(link)),
            None => Fate::Gone,
        };
        Some((no, fate))
    }

    /// Forgets a vport; it is to be released if it is there and unwanted.
    pub(in crate::engine) fn give_up(&mut self, no: VportNo, fate: Fate) {
        if fate == Fate::Unwanted {
            self.work.leaving.extend(self.observed.vport(no).map(|vport| (no, vport.clone())));
        }
        let touched = self.observed.remove_vport(no);
        self.others.forget(no);
        self.census.forget(no);
        touched.names.iter().for_each(|name| self.touch_name(name));
        self.work.dirty.extend(self.standings.port_of(no));
    }

    /// Notes that a port's link is to become a vport. The link must be there, not be a vport yet, and may be tried by now.
    pub(in crate::engine) fn seek(&mut self, now: Instant, port: &Port) {
        let is_to_come = self.observed.link_named(&port.link).is_some_and(|link| {
            self.observed.vport_of(link).is_none()
                && self.attempts.may_begin(now, &link.name)
                && self.owner_of(link) == Some(port.id)
                && self.claim_on(link, port).is_none()
        });
        if is_to_come {
            self.work.arriving.insert(port.id);
        } else {
            self.work.arriving.remove(&port.id);
        }
    }

    /// The next vport to be released.
    pub(in crate::engine) fn next_leaving(&mut self) -> Option<VportNo> {
        let (no, _) = self.work.leaving.pop_first()?;
        self.census.shake();
        Some(no)
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
            let refused = self.attempts.why_refused(&link.name);
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
        let policy = if self.bound.has(link) { HostAddresses::Keep } else { port.host_addresses };
        Claim::on(link, &self.observed, policy)
    }
}
