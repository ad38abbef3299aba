//! Ports and trunks, a page at a time.

use vlan::fdb::Slot;
use vlan::model::bridge::Awareness;
use vlan::model::port::{Mode, Port};
use vlan::time::{Instant, span};
use vlan::vid::{Vid, VidSet};

use super::{Chosen, View};
use crate::counters::{Loss, PortCounts};
use crate::engine::truth::standing::{Standing, WhyNot};
use crate::page::{Page, Selection};
use crate::view::{PortView, TrunkView};

impl View<'_> {
    /// Exterior ports from one of them on, those of other hosts too, in the order of the file: trunks first.
    ///
    /// # Errors
    /// There is no such port, with the nearest one there is.
    pub fn port_page(
        &self,
        now: Instant,
        selection: &Selection,
        from: u64,
    ) -> Result<Page<PortView>, String> {
        let chosen = self.choose(selection)?;
        Ok(self.page_of_ports(from, |port| {
            let standing = self.truth.links.standings.of(port.id);
            let is_down = !matches!(standing.why_not, None | Some(WhyNot::Elsewhere));
            let is_wanted = chosen.port.is_none_or(|chosen| chosen.id == port.id)
                && chosen.vlan.is_none_or(|vlan| self.has_vlan(port, vlan))
                && (!selection.down || is_down);
            is_wanted.then(|| self.port_view(now, port, standing))
        }))
    }

    /// Trunks and what they carry now, from one port on.
    ///
    /// # Errors
    /// There is no such port, with the nearest one there is.
    pub fn trunk_page(&self, selection: &Selection, from: u64) -> Result<Page<TrunkView>, String> {
        let chosen: Chosen<'_> = self.choose(selection)?;
        Ok(self.page_of_ports(from, |port| {
            let is_wanted = port.is_trunk
                && chosen.port.is_none_or(|chosen| chosen.id == port.id)
                && chosen.vlan.is_none_or(|vlan| port.is_member(vlan));
            is_wanted.then(|| self.trunk_view(port))
        }))
    }

    fn page_of_ports<T>(&self, from: u64, row: impl Fn(&Port) -> Option<T>) -> Page<T> {
        let (mut page, ports) = (Page::empty(), self.truth.switch.topology().ports());
        for (index, port) in ports.iter().enumerate().skip(usize::try_from(from).unwrap_or(usize::MAX)) {
            if page.is_full() {
                page.next = Some(index as u64);
                break;
            }
            let row = row(port).map(|row| (u128::from(self.truth.key_of(port.id).0), row));
            let vlans = port.trunk().map_or(0, |trunk| trunk.allowed.len());
            page.add(if row.is_some() { OF_A_PORT + vlans } else { 1 }, row);
        }
        page
    }

    fn port_view(&self, now: Instant, port: &Port, standing: Standing) -> PortView {
        let stats = standing.vport.map(|vport| self.truth.links.census.stats(vport)).unwrap_or_default();
        let counts = self.truth.telling.counts.port_named(&port.name);
        let slot = port.group.map_or(Slot::Port(port.id), Slot::Fabric);
        PortView {
            port: port.name.clone(),
            bridge: self.truth.switch.topology().bridge(port.bridge).name.clone(),
            mode: mode_name(port).to_owned(),
            vlans: member_vids(port).to_string(),
            link: port.link.clone(),
            state: state_name(standing.why_not.as_ref()).to_owned(),
            why: self.why_not(now, port, &standing),
            vport: standing.vport.map(|vport| vport.0),
            addresses: self.truth.switch.fdb.addresses.count(slot) as usize + port.macs.len(),
            rx_packets: stats.rx_packets,
            rx_bytes: stats.rx_bytes,
            tx_packets: stats.tx_packets,
            tx_bytes: stats.tx_bytes,
            upcalls: counts.map_or(0, |counts| counts.upcalls),
            over_budget: counts.map_or(0, |counts| counts.lost(Loss::OverBudget)),
            drops: counts.map_or(0, PortCounts::drops),
            drop_reason: counts.and_then(PortCounts::top_reason).unwrap_or_default().to_owned(),
        }
    }

    /// Why a port is not up, or what is in the way of its frames; of a blocked one, for how long still.
    fn why_not(&self, now: Instant, port: &Port, standing: &Standing) -> String {
        let until = match standing.why_not {
            Some(WhyNot::Blocked(_)) => self.truth.blocks.until(&port.name),
            _ => None,
        };
        let for_how_long = until.map(|until| format!(", for another {}", span(until.since(now))));
        let why = standing.why_not.as_ref().map(WhyNot::to_string).or_else(|| standing.in_use.clone());
        why.unwrap_or_default() + &for_how_long.unwrap_or_default()
    }

    fn trunk_view(&self, port: &Port) -> TrunkView {
        let topology = self.truth.switch.topology();
        let bridge = topology.bridge(port.bridge);
        let fabric = match bridge.kind {
            Awareness::Aware { fabric, .. } => topology.fabric_name(fabric).to_owned(),
            Awareness::Unaware => String::new(),
        };
        let standing = self.truth.links.standings.of(port.id);
        TrunkView {
            trunk: port.name.clone(),
            bridge: bridge.name.clone(),
            fabric,
            link: port.link.clone(),
            state: state_name(standing.why_not.as_ref()).to_owned(),
            allowed: member_vids(port).to_string(),
            carries: match standing.why_not {
                None => self.carried(port).to_string(),
                Some(_) => String::new(),
            },
        }
    }

    fn carried(&self, port: &Port) -> VidSet {
        let is_carried = |vid: &Vid| {
            self.truth.switch.designation().carrier(port, Some(*vid)) == vlan::designation::Carrier::This
        };
        member_vids(port).iter().filter(is_carried).collect()
    }

    /// Whether a port is a member of a VLAN, or of the bridge that it leads to.
    fn has_vlan(&self, port: &Port, vlan: Vid) -> bool {
        port.is_member(vlan)
            || port.vids().is_empty()
                && self
                    .truth
                    .switch
                    .topology()
                    .locate(port.bridge, None, None)
                    .is_some_and(|located| self.is_of_vlan(located.segment.number, vlan))
    }
}

/// How much is looked at for a port that is shown, its VLANs apart: as long as so many places of a table take.
const OF_A_PORT: usize = 32;

fn mode_name(port: &Port) -> &'static str {
    match port.mode {
        Mode::Plain => "plain",
        Mode::Access { .. } => "access",
        Mode::Trunk(_) => "trunk",
        Mode::Qinq { .. } => "qinq",
    }
}

fn member_vids(port: &Port) -> VidSet {
    let native = port.trunk().and_then(|trunk| trunk.native);
    port.vids().into_iter().chain(native).collect()
}

fn state_name(why_not: Option<&WhyNot>) -> &'static str {
    match why_not {
        None => "up",
        Some(WhyNot::Blocked(_)) => "blocked",
        Some(_) => "down",
    }
}
