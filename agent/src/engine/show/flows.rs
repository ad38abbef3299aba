//! Flows, a page at a time, with names in the place of numbers.

use std::net::IpAddr;

use datapath::flow::Action;
use vlan::frame::Header;
use vlan::model::id::HostId;
use vlan::time::Instant;
use vlan::verdict::Consulted;

use super::{Chosen, View};
use crate::engine::flows::book::{Purpose, Record};
use crate::page::{Page, Selection};
use crate::view::FlowView;

impl View<'_> {
    /// Flows from one place of the book on, in no order.
    ///
    /// # Errors
    /// There is no such port, with the nearest one there is.
    pub fn flow_page(
        &self,
        now: Instant,
        selection: &Selection,
        from: u64,
    ) -> Result<Page<FlowView>, String> {
        let chosen = self.choose(selection)?;
        let (mut page, end) = (Page::empty(), self.flows.cache.book.places() as u64);
        for place in from..end {
            if page.is_full() {
                page.next = Some(place);
                break;
            }
            let record = self.flows.cache.book.at(place as usize);
            match record.filter(|record| self.is_flow_wanted(&chosen, record)) {
                None => page.add(1, None),
                Some(record) => {
                    page.add(1 + length_of(&record.actions), Some((record.id.0, self.flow_view(now, record))))
                }
            }
        }
        Ok(page)
    }

    /// By its arrival port, by either address, and by the VLAN of its segment, or of its tag where it is in no segment.
    fn is_flow_wanted(&self, chosen: &Chosen<'_>, record: &Record) -> bool {
        let header = &record.key.header;
        let has_address = |mac| header.src == mac || (record.mask.dst && header.dst == mac);
        let is_of_vlan = |vlan| match record.source.filter(|_| !self.flows.cache.book.is_stale(record.id)) {
            Some(seen) => self.is_of_vlan(seen.segment.number, vlan),
            None => header.tags.first().and_then(|tag| tag.vid()) == Some(vlan),
        };
        chosen.port.is_none_or(|port| self.truth.key_of(port.id) == record.port)
            && chosen.mac.is_none_or(has_address)
            && chosen.vlan.is_none_or(is_of_vlan)
    }

    fn flow_view(&self, now: Instant, record: &Record) -> FlowView {
        let idle = record.stats.used.map(|used| now.since(used).as_millis());
        FlowView {
            port: self.truth.telling.counts.name(record.port).to_owned(),
            src: record.key.header.src,
            dst: Some(record.key.header.dst).filter(|_| record.mask.dst),
            tags: tags_text(&record.key.header, &record.mask),
            ether_type: record.key.header.ether_type,
            actions: match record.purpose {
                Purpose::Forward => self.actions_text(&record.actions),
                Purpose::Drop(reason, _) => format!("drop {reason}"),
            },
            packets: record.stats.packets,
            bytes: record.stats.bytes,
            idle_ms: idle.map(|ms| u64::try_from(ms).unwrap_or(u64::MAX)),
        }
    }

    fn actions_text(&self, actions: &[Action]) -> String {
        let words = actions.iter().map(|action| match action {
            Action::Output(vport) => match self.truth.links.standings.port_of(*vport) {
                Some(port) => self.truth.switch.topology().port(port).name.clone(),
                None => "a port that is gone".to_owned(),
            },
            Action::Group(_) => "every other host of the segment".to_owned(),
            Action::Tunnel(to) => format!("{} by VNI {}", self.host_at(to.remote), to.vni),
            Action::PushTag(tag) if tag.pcp().get() > 0 => {
                format!("push {} pcp {}", tag.raw_vid(), tag.pcp().get())
            }
            Action::PushTag(tag) => format!("push {}", tag.raw_vid()),
            Action::PopTag => "pop".to_owned(),
            Action::Meter(meter) => match self.flows.cache.meters.what(*meter) {
                Some(what) => what.name(&self.truth.telling.counts),
                None => "a limit that is gone".to_owned(),
            },
            Action::Clone(steps) => format!("clone({})", self.actions_text(steps)),
            Action::IfFits { mtu, fits, .. } => format!("up to MTU {mtu}({})", self.actions_text(fits)),
            _ => "something that this version does not know".to_owned(),
        });
        words.collect::<Vec<_>>().join(", ")
    }

    fn host_at(&self, underlay: IpAddr) -> String {
        let topology = self.truth.switch.topology();
        let name = |host: HostId| format!("host {}", topology.hosts()[host.0 as usize].name);
        topology.host_at(underlay).map_or_else(|| underlay.to_string(), name)
    }
}

/// How many steps a list of actions has, those inside clones too.
fn length_of(actions: &[Action]) -> usize {
    let inside = actions.iter().flat_map(Action::inner).map(length_of);
    actions.len() + inside.sum::<usize>()
}

fn tags_text(header: &Header, mask: &Consulted) -> String {
    if header.tags.is_empty() {
        return "untagged".to_owned();
    }
    let tags = header.tags.iter().zip(mask.tags).map(|(tag, fields)| {
        let vid = if fields.vid { tag.raw_vid().to_string() } else { "any".to_owned() };
        let pcp = if fields.pcp { format!(" pcp {}", tag.pcp().get()) } else { String::new() };
        format!("[{vid}{pcp}]")
    });
    tags.collect()
}
