//! Bridges, a page at a time: what hangs on each.

use rustc_hash::FxHashMap;
use vlan::model::bridge::{Awareness, Bridge};

use super::View;
use crate::page::Page;
use crate::view::BridgeView;

impl View<'_> {
    /// Bridges from one of them on, in the order of the file. Their addresses are counted apart, by `mac_counts`.
    pub fn bridge_page(&self, from: u64) -> Page<BridgeView> {
        let (topology, first) = (self.truth.switch.topology(), usize::try_from(from).unwrap_or(usize::MAX));
        let bridges = topology.bridges().iter().skip(first).take(BRIDGES_AT_ONCE);
        let mut views: Vec<BridgeView> = bridges.map(bridge_view).collect();
        let end = first.saturating_add(views.len());
        let of_page = |bridge: u32| (bridge as usize).checked_sub(first);
        for port in topology.ports() {
            if let Some(view) = of_page(port.bridge.0).and_then(|place| views.get_mut(place)) {
                view.ports.push(port.name.clone());
            }
        }
        let places: FxHashMap<String, usize> =
            views.iter().enumerate().map(|(place, view)| (view.bridge.clone(), place)).collect();
        for peering in &topology.description().vlans {
            if let Some(place) = places.get(&peering.bridge) {
                views[*place].peerings.push(format!("{} > {}", peering.vid, peering.to));
            }
            if let Some(place) = places.get(&peering.to) {
                views[*place].peerings.push(format!("{}.{}", peering.bridge, peering.vid));
            }
        }
        Page {
            rows: views.into_iter().enumerate().map(|(row, view)| ((first + row) as u128, view)).collect(),
            next: (end < topology.bridges().len()).then_some(end as u64),
            looked_at: BRIDGES_AT_ONCE,
        }
    }
}

/// A bridge by itself, without what hangs on it.
fn bridge_view(bridge: &Bridge) -> BridgeView {
    let kind = match bridge.kind {
        Awareness::Aware { .. } => "vlan-aware",
        Awareness::Unaware => "vlan-unaware",
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

/// Bridges of a page. For each page all ports and VLANs of the file are gone through once, some nanoseconds each.
const BRIDGES_AT_ONCE: usize = 1_000;
