//! What an operator sees of the engine.

use std::collections::BTreeMap;

use datapath::flow::Action;
use vlan::fdb::Slot;
use vlan::fdb::entry::{Entry, Kind};
use vlan::frame::Header;
use vlan::model::bridge::{Bridge, Kind as BridgeKind};
use vlan::model::id::Location;
use vlan::model::port::{Mode, Port};
use vlan::time::Instant;
use vlan::verdict::{Consulted, DropReason, Verdict};
use vlan::vid::VidSet;

use super::Engine;
use super::book::{Purpose, Record};
use super::links::WhyNot;
use super::meters::Scope;
use crate::counters::{Loss, counter};
use crate::view::{BridgeView, CounterView, FlowView, MacView, PortView, StatusView, TraceView, TrunkView};

impl Engine {
    /// The whole at a glance.
    pub fn status(&self, _now: Instant) -> StatusView {
        let ours: Vec<&Port> = self.own_ports().collect();
        let is_up = |port: &&&Port| self.links.standing(port.id).why_not.is_none();
        StatusView {
            host: self.settings.host.clone(),
            revision: self.revision,
            settled: self.revision > 0 && self.heritage.in_force.is_none(),
            datapath: self.settings.datapath.clone(),
            ports_up: ours.iter().filter(is_up).count(),
            ports: ours.len(),
            addresses: self.switch.fdb.len(),
            flows: self.book.len(),
            outstanding: self.asked.len(),
        }
    }

    /// Every exterior port, those of other hosts too.
    pub fn ports(&self, _now: Instant) -> Vec<PortView> {
        self.switch.topology().ports().iter().map(|port| self.port_view(port)).collect()
    }

    fn port_view(&self, port: &Port) -> PortView {
        let standing = self.links.standing(port.id);
        let stats = standing.vport.map(|vport| self.links.stats(vport)).unwrap_or_default();
        let counts = self.counts.port_named(&port.name);
        let slot = port.group.map_or(Slot::Port(port.id), Slot::Fabric);
        PortView {
            port: port.name.clone(),
            bridge: self.switch.topology().bridge(port.bridge).name.clone(),
            mode: mode_name(port).to_owned(),
            vlans: member_vids(port).to_string(),
            link: port.link.clone(),
            state: state_name(standing.why_not.as_ref()).to_owned(),
            why: standing.why_not.as_ref().map(WhyNot::to_string).unwrap_or_default(),
            vport: standing.vport.map(|vport| vport.0),
            addresses: self.switch.fdb.count(slot) as usize + port.macs.len(),
            rx_packets: stats.rx_packets,
            rx_bytes: stats.rx_bytes,
            tx_packets: stats.tx_packets,
            tx_bytes: stats.tx_bytes,
            upcalls: counts.map_or(0, |counts| counts.upcalls),
            over_budget: counts.map_or(0, |counts| counts.lost(Loss::OverBudget)),
        }
    }

    /// Every trunk, and what it carries now.
    pub fn trunks(&self, _now: Instant) -> Vec<TrunkView> {
        let topology = self.switch.topology();
        let trunks = topology.ports().iter().filter(|port| port.is_trunk);
        trunks
            .map(|port| {
                let bridge = topology.bridge(port.bridge);
                let fabric = match bridge.kind {
                    BridgeKind::Aware { fabric, .. } => topology.fabric_name(fabric).to_owned(),
                    BridgeKind::Unaware => String::new(),
                };
                let standing = self.links.standing(port.id);
                TrunkView {
                    trunk: port.name.clone(),
                    bridge: bridge.name.clone(),
                    fabric,
                    link: port.link.clone(),
                    state: state_name(standing.why_not.as_ref()).to_owned(),
                    allowed: member_vids(port).to_string(),
                    carries: if standing.why_not.is_none() {
                        self.carried(port).to_string()
                    } else {
                        String::new()
                    },
                }
            })
            .collect()
    }

    fn carried(&self, port: &Port) -> VidSet {
        let is_carried = |vid: &vlan::vid::Vid| {
            self.switch.designation().carrier(port, Some(*vid)) == vlan::designation::Carrier::This
        };
        member_vids(port).iter().filter(is_carried).collect()
    }

    /// Every bridge.
    pub fn bridges(&self, now: Instant) -> Vec<BridgeView> {
        let topology = self.switch.topology();
        let mut views: Vec<BridgeView> = topology.bridges().iter().map(bridge_view).collect();
        let places: BTreeMap<&str, usize> = topology
            .bridges()
            .iter()
            .enumerate()
            .map(|(place, bridge)| (bridge.name.as_str(), place))
            .collect();
        for port in topology.ports() {
            if let Some(place) = places.get(topology.bridge(port.bridge).name.as_str()) {
                views[*place].ports.push(port.name.clone());
            }
        }
        for peering in &topology.description().vlans {
            if let Some(place) = places.get(peering.bridge.as_str()) {
                views[*place].peerings.push(format!("{} > {}", peering.vid, peering.to));
            }
            if let Some(place) = places.get(peering.to.as_str()) {
                views[*place].peerings.push(format!("{}.{}", peering.bridge, peering.vid));
            }
        }
        for mac in self.macs(now) {
            if let Some(place) = places.get(mac.bridge.as_str()) {
                views[*place].addresses += 1;
            }
        }
        views
    }

    /// Every address, in the order of bridge, VLAN and address.
    pub fn macs(&self, now: Instant) -> Vec<MacView> {
        let entries = self.switch.fdb.entries();
        let live = entries.filter_map(|entry| self.switch.fdb.entry(now, entry.segment, entry.mac));
        let mut views: Vec<MacView> = live.map(|entry| self.mac_view(now, &entry)).collect();
        views.sort_by(|a, b| (&a.bridge, a.vid, a.mac).cmp(&(&b.bridge, b.vid, b.mac)));
        views
    }

    fn mac_view(&self, now: Instant, entry: &Entry) -> MacView {
        let topology = self.switch.topology();
        let root = topology.segment(entry.segment.number).domain(0);
        let (bridge, vid) = match entry.location {
            Location::Port { port, vid } => (topology.port(port).bridge, vid),
            Location::Fabric { fabric, vid } => {
                (topology.bridge_on(entry.segment.number, fabric, vid).unwrap_or(root.bridge), Some(vid))
            }
            Location::Host(_) => (root.bridge, root.vid),
        };
        let is_dynamic = entry.kind == Kind::Dynamic;
        let idle = now.since(entry.used).as_millis();
        MacView {
            mac: entry.mac,
            bridge: topology.bridge(bridge).name.clone(),
            vid,
            location: self.place_name(entry.location),
            kind: match entry.kind {
                Kind::Dynamic if entry.frozen_until.is_some() => "frozen",
                Kind::Dynamic => "dynamic",
                Kind::Declared => "declared",
                Kind::Remote => "remote",
            }
            .to_owned(),
            age_ms: if is_dynamic { u64::try_from(idle).unwrap_or(u64::MAX) } else { 0 },
        }
    }

    /// Where an address is, in words: a port, the trunks of a fabric, or another host.
    pub(super) fn place_name(&self, location: Location) -> String {
        let topology = self.switch.topology();
        match location {
            Location::Port { port, .. } => topology.port(port).name.clone(),
            Location::Fabric { fabric, .. } => match topology.fabric_name(fabric) {
                // Where trunks stand for themselves, the group of one is called after it.
                trunk if trunk.starts_with("trunk ") => trunk["trunk ".len()..].to_owned(),
                fabric => format!("trunks of {fabric}"),
            },
            Location::Host(host) => format!("host {}", topology.hosts()[host.0 as usize].name),
        }
    }

    /// Every flow, most hit first.
    pub fn flows(&self, now: Instant) -> Vec<FlowView> {
        let mut views: Vec<FlowView> =
            self.book.records().map(|record| self.flow_view(now, record)).collect();
        views.sort_by(|a, b| (b.packets, &a.port, a.src, a.dst).cmp(&(a.packets, &b.port, b.src, b.dst)));
        views
    }

    fn flow_view(&self, now: Instant, record: &Record) -> FlowView {
        let idle = record.stats.used.map(|used| now.since(used).as_millis());
        FlowView {
            port: self.counts.name(record.port).to_owned(),
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
            Action::Output(vport) => match self.links.port_of(*vport) {
                Some(port) => self.switch.topology().port(port).name.clone(),
                None => vport.to_string(),
            },
            Action::PushTag(tag) if tag.pcp().get() > 0 => {
                format!("push {} pcp {}", tag.raw_vid(), tag.pcp().get())
            }
            Action::PushTag(tag) => format!("push {}", tag.raw_vid()),
            Action::PopTag => "pop".to_owned(),
            Action::Meter(meter) => format!("meter {}", meter.0),
            Action::Clone(steps) => format!("clone({})", self.actions_text(steps)),
            other => format!("{other:?}"),
        });
        words.collect::<Vec<_>>().join(", ")
    }

    /// Every counter.
    pub fn counters(&self, _now: Instant) -> Vec<CounterView> {
        let mut views = self.counts.views();
        for port in self.own_ports() {
            let stats = self.links.vport_of(port.id).map(|vport| self.links.stats(vport)).unwrap_or_default();
            for (name, value) in [
                ("l2gw_port_rx_frames_total", stats.rx_packets),
                ("l2gw_port_rx_bytes_total", stats.rx_bytes),
                ("l2gw_port_tx_frames_total", stats.tx_packets),
                ("l2gw_port_tx_bytes_total", stats.tx_bytes),
                ("l2gw_port_rx_dropped_total", stats.rx_dropped),
                ("l2gw_port_tx_dropped_total", stats.tx_dropped),
            ] {
                views.push(counter(name, &[("port", &port.name)], value));
            }
        }
        views.extend(self.datapath_counters());
        views.extend(self.address_counters());
        views.extend(self.meter_counters());
        views
    }

    fn datapath_counters(&self) -> Vec<CounterView> {
        let counted =
            [("hit", self.datapath.hit), ("missed", self.datapath.missed), ("lost", self.datapath.lost)];
        counted
            .iter()
            .map(|(what, value)| counter("l2gw_datapath_frames_total", &[("lookup", what)], *value))
            .collect()
    }

    fn address_counters(&self) -> Vec<CounterView> {
        let fdb = self.switch.fdb.counters();
        [
            ("learned", fdb.learned),
            ("moved", fdb.moved),
            ("frozen", fdb.frozen),
            ("thawed", fdb.thawed),
            ("expired", fdb.expired),
            ("evicted", fdb.evicted),
            ("not-learned-at-limit", fdb.not_learned_at_limit),
        ]
        .iter()
        .map(|(what, value)| counter("l2gw_addresses_total", &[("what", what)], *value))
        .collect()
    }

    fn meter_counters(&self) -> Vec<CounterView> {
        let mut views = Vec::new();
        for (_, what, stats) in self.meters.all() {
            let port = self.counts.name(what.port);
            let class = format!("{:?}", what.class).to_lowercase();
            let vid = match what.vlan {
                Scope::Vlan(vid) => vid.map_or_else(|| "-".to_owned(), |vid| vid.to_string()),
                Scope::Port => "all".to_owned(),
            };
            let labels = [("port", port), ("vid", vid.as_str()), ("class", class.as_str())];
            views.push(counter("l2gw_storm_dropped_total", &labels, stats.dropped));
        }
        views
    }

    /// What would become of a frame now; nothing is learned.
    ///
    /// # Errors
    /// No port of that name, with the nearest one there is.
    pub fn trace(&self, now: Instant, port: &str, frame: &[u8]) -> Result<TraceView, String> {
        let port = self.find_port(port)?;
        let header = match Header::parse(frame) {
            Ok(header) => header,
            Err(error) => {
                let step = format!("{error}: dropped ({})", DropReason::Malformed);
                return Ok(TraceView::malformed(step));
            }
        };
        let (mut verdict, mut steps) = (Verdict::default(), Vec::new());
        self.switch.judge(now, port.id, &header, &mut verdict, &mut steps);
        Ok(TraceView::of(self.switch.topology(), frame, &verdict, steps))
    }

    /// The port of that name.
    ///
    /// # Errors
    /// There is none, with the nearest one there is.
    pub fn find_port(&self, name: &str) -> Result<&Port, String> {
        let topology = self.switch.topology();
        topology.port_named(name).ok_or_else(|| {
            let names = topology.ports().iter().map(|port| port.name.as_str());
            let near = vlan::model::nearest::nearest(name, names);
            let hint = near.map(|near| format!(", did you mean {near:?}?")).unwrap_or_default();
            format!("{name:?} is no port of the topology in force{hint}")
        })
    }

    fn own_ports(&self) -> impl Iterator<Item = &Port> {
        let host = self.switch.host();
        self.switch.topology().ports().iter().filter(move |port| port.host == host)
    }
}

/// A bridge by itself, without what hangs on it.
fn bridge_view(bridge: &Bridge) -> BridgeView {
    let kind = match bridge.kind {
        BridgeKind::Aware { .. } => "vlan-aware",
        BridgeKind::Unaware => "vlan-unaware",
    };
    BridgeView {
        bridge: bridge.name.clone(),
        kind: kind.to_owned(),
        ports: Vec::new(),
        peerings: Vec::new(),
        addresses: 0,
        ageing_s: bridge.ageing.as_secs(),
    }
}

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
        Some(WhyNot::Blocked) => "blocked",
        Some(_) => "down",
    }
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
