//! Counters, a page at a time: those of ports, then the kernel's of their vports, then meters, then those that there is one of.

use datapath::flow::MeterId;

use super::{Chosen, View};
use crate::counters::{PortKey, counter};
use crate::engine::flows::meters::{Metered, Scope, Storm};
use crate::page::{LOOKED_AT_ONCE, Page, ROWS_AT_ONCE, Selection};
use crate::view::CounterView;

impl View<'_> {
    /// Counters from one of them on.
    ///
    /// # Errors
    /// There is no such port, with the nearest one there is.
    pub fn counter_page(&self, selection: &Selection, from: u64) -> Result<Page<CounterView>, String> {
        let chosen = self.choose(selection)?;
        let (stage, mut index) = ((from >> STAGE) as u32, from as u32 as usize);
        let (mut rows, mut looked_at) = (Vec::new(), 0);
        let next = loop {
            if looked_at >= LOOKED_AT_ONCE || rows.len() >= ROWS_AT_ONCE {
                break Some((stage, index));
            }
            match self.counters_at(stage, index, &chosen, &mut rows) {
                Some(next) => index = next,
                None => break (stage + 1 < STAGES).then_some((stage + 1, 0)),
            }
            looked_at += 1;
        };
        let vlan = chosen.vlan.map(|vlan| vlan.to_string());
        let is_wanted = |view: &CounterView| {
            vlan.as_ref()
                .is_none_or(|vlan| view.labels.iter().any(|(key, value)| key == "vid" && value == vlan))
        };
        let rows = rows.into_iter().enumerate().map(|(row, view)| (key_of(from, row), view));
        Ok(Page {
            rows: rows.filter(|(_, view)| is_wanted(view)).collect(),
            next: next.map(|(stage, index)| u64::from(stage) << STAGE | index as u64),
            looked_at,
        })
    }

    /// Adds one object's counters. The place of the next object, `None` if that was the last of its kind.
    fn counters_at(
        &self,
        stage: u32,
        index: usize,
        chosen: &Chosen<'_>,
        rows: &mut Vec<CounterView>,
    ) -> Option<usize> {
        let is_of = |key: PortKey| chosen.port.is_none_or(|port| self.truth.key_of(port.id) == key);
        match stage {
            0 => {
                let key = PortKey(index as u32);
                let port = self.truth.telling.counts.at(key)?;
                if is_of(key) {
                    port.views(rows);
                }
                Some(index + 1)
            }
            1 => {
                let port = self.truth.switch.topology().ports().get(index)?;
                if port.host == self.truth.switch.host() && is_of(self.truth.key_of(port.id)) {
                    self.vport_counters(port, rows);
                }
                Some(index + 1)
            }
            2 => {
                let (id, what, stats) = self.flows.cache.meters.from(MeterId(index as u32))?;
                if let Metered::Storm(what) = what
                    && is_of(what.port)
                {
                    rows.push(self.meter_counter(what, stats.dropped));
                }
                Some(id.0 as usize + 1)
            }
            _ => {
                if chosen.port.is_none() {
                    self.truth.telling.counts.views(rows);
                    rows.extend(self.datapath_counters());
                    rows.extend(self.address_counters());
                    rows.extend(self.word_counters());
                }
                None
            }
        }
    }

    fn vport_counters(&self, port: &vlan::model::port::Port, rows: &mut Vec<CounterView>) {
        let stats = self
            .truth
            .links
            .standings
            .vport_of(port.id)
            .map(|vport| self.truth.links.census.stats(vport))
            .unwrap_or_default();
        for (name, value) in [
            ("l2gw_port_rx_frames_total", stats.rx_packets),
            ("l2gw_port_rx_bytes_total", stats.rx_bytes),
            ("l2gw_port_tx_frames_total", stats.tx_packets),
            ("l2gw_port_tx_bytes_total", stats.tx_bytes),
            ("l2gw_port_rx_dropped_total", stats.rx_dropped),
            ("l2gw_port_tx_dropped_total", stats.tx_dropped),
        ] {
            rows.push(counter(name, &[("port", &port.name)], value));
        }
    }

    fn datapath_counters(&self) -> impl Iterator<Item = CounterView> {
        let counted = [
            ("hit", self.flows.hands.datapath.hit),
            ("missed", self.flows.hands.datapath.missed),
            ("lost", self.flows.hands.datapath.lost),
            ("ungrouped", self.flows.hands.datapath.ungrouped),
        ];
        counted
            .into_iter()
            .map(|(what, value)| counter("l2gw_datapath_frames_total", &[("lookup", what)], value))
    }

    fn address_counters(&self) -> impl Iterator<Item = CounterView> {
        let fdb = &self.truth.switch.fdb;
        let (fdb, ends) = (fdb.counters(), fdb.addresses.ends());
        [
            ("learned", fdb.learned),
            ("moved", fdb.moved),
            ("frozen", fdb.frozen),
            ("thawed", ends.thawed),
            ("expired", ends.expired),
            ("evicted", ends.evicted),
            ("not-learned-at-limit", fdb.not_learned_at_limit),
            ("not-learned-just-left", fdb.not_learned_just_left),
            ("not-learned-too-many", fdb.not_learned_hints),
        ]
        .into_iter()
        .map(|(what, value)| counter("l2gw_addresses_total", &[("what", what)], value))
    }

    fn word_counters(&self) -> impl Iterator<Item = CounterView> {
        let counted = &self.truth.feed.counted;
        [("heard", counted.heard), ("said", counted.said)]
            .into_iter()
            .map(|(what, value)| counter("l2gw_address_words_total", &[("what", what)], value))
    }

    fn meter_counter(&self, what: Storm, dropped: u64) -> CounterView {
        let class = format!("{:?}", what.class).to_lowercase();
        let vid = match what.vlan {
            Scope::Vlan(vid) => vid.map_or_else(|| "-".to_owned(), |vid| vid.to_string()),
            Scope::Port => "all".to_owned(),
        };
        let labels = [
            ("port", self.truth.telling.counts.name(what.port)),
            ("vid", vid.as_str()),
            ("class", class.as_str()),
        ];
        counter("l2gw_storm_dropped_total", &labels, dropped)
    }
}

/// Pages begin at different places, so this differs for each row.
fn key_of(from: u64, row: usize) -> u128 {
    u128::from(from) << 64 | row as u128
}

/// Where the kind of counter is in a place.
const STAGE: u32 = 32;
/// Kinds of counters.
const STAGES: u32 = 4;
