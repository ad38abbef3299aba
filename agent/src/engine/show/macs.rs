//! Addresses, a page at a time.

use rustc_hash::FxHashMap;
use vlan::fdb::entry::{Entry, Kind};
use vlan::model::id::{BridgeId, Location};
use vlan::time::Instant;
use vlan::vid::Vid;

use super::{Chosen, View};
use crate::page::{LOOKED_AT_ONCE, Page, Selection};
use crate::view::MacView;

impl View<'_> {
    /// Addresses from one place of the table on, in no order.
    ///
    /// # Errors
    /// There is no such port, with the nearest one there is.
    pub fn mac_page(&self, now: Instant, selection: &Selection, from: u64) -> Result<Page<MacView>, String> {
        let chosen = self.choose(selection)?;
        let (first, mut page) = (place(from), Page::empty());
        page.next = self.truth.switch.fdb.addresses.page_after(first, AT_ONCE).map(u64::from);
        page.looked_at = AT_ONCE as usize;
        for (place, entry) in self.truth.switch.fdb.addresses.page(now, first, AT_ONCE) {
            if page.rows.len() >= crate::page::ROWS_AT_ONCE {
                page.next = Some(u64::from(place));
                page.looked_at = (place - first) as usize;
                break;
            }
            let row = self.is_wanted(&chosen, &entry).then(|| (key_of(&entry), self.mac_view(now, &entry)));
            page.rows.extend(row);
        }
        Ok(page)
    }

    /// How many addresses each bridge has among those in the places from `from` on: a row for each bridge that has any.
    pub fn mac_counts(&self, now: Instant, from: u64) -> Page<(String, usize)> {
        let mut counts: FxHashMap<BridgeId, usize> = FxHashMap::default();
        for (_, entry) in self.truth.switch.fdb.addresses.page(now, place(from), AT_ONCE) {
            *counts.entry(self.home_of(&entry).0).or_default() += 1;
        }
        let name = |bridge: BridgeId| self.truth.switch.topology().bridge(bridge).name.clone();
        Page {
            rows: counts.into_iter().map(|(id, count)| (u128::from(id.0), (name(id), count))).collect(),
            next: self.truth.switch.fdb.addresses.page_after(place(from), AT_ONCE).map(u64::from),
            looked_at: AT_ONCE as usize,
        }
    }

    fn is_wanted(&self, chosen: &Chosen<'_>, entry: &Entry) -> bool {
        let is_at = |location: Location| match (location, chosen.port) {
            (_, None) => true,
            (Location::Port { port, .. }, Some(chosen)) => port == chosen.id,
            (Location::Fabric { fabric, .. }, Some(chosen)) => chosen.group == Some(fabric),
            (Location::Host(_), Some(_)) => false,
        };
        chosen.mac.is_none_or(|mac| entry.mac == mac)
            && is_at(entry.location)
            && chosen.vlan.is_none_or(|vlan| self.is_of_vlan(entry.segment.number, vlan))
    }

    /// The bridge that an address was learned on, and its VLAN there.
    fn home_of(&self, entry: &Entry) -> (BridgeId, Option<Vid>) {
        let topology = self.truth.switch.topology();
        let root = topology.segment(entry.segment.number).domain(0);
        match entry.location {
            Location::Port { port, vid } => (topology.port(port).bridge, vid),
            Location::Fabric { fabric, vid } => {
                (topology.bridge_on(entry.segment.number, fabric, vid).unwrap_or(root.bridge), Some(vid))
            }
            Location::Host(_) => (root.bridge, root.vid),
        }
    }

    fn mac_view(&self, now: Instant, entry: &Entry) -> MacView {
        let (bridge, vid) = self.home_of(entry);
        let is_dynamic = entry.kind == Kind::Dynamic;
        let idle = now.since(entry.used).as_millis();
        MacView {
            mac: entry.mac,
            bridge: self.truth.switch.topology().bridge(bridge).name.clone(),
            vid,
            inner: Some(entry.segment.inner).filter(|inner| *inner != 0),
            location: self.truth.place_name(entry.location),
            kind: self.kind_name(entry).to_owned(),
            age_ms: if is_dynamic { u64::try_from(idle).unwrap_or(u64::MAX) } else { 0 },
        }
    }

    fn kind_name(&self, entry: &Entry) -> &'static str {
        match entry.kind {
            Kind::Dynamic if self.truth.switch.fdb.sticky.pins(entry.location) => "sticky",
            Kind::Dynamic | Kind::Remote if entry.frozen_until.is_some() => "frozen",
            Kind::Dynamic => "dynamic",
            Kind::Declared => "declared",
            Kind::Remote => "remote",
        }
    }
}

fn key_of(entry: &Entry) -> u128 {
    let segment = u128::from(entry.segment.number) << 16 | u128::from(entry.segment.inner);
    segment << 48 | u128::from(entry.mac.to_u64())
}

fn place(from: u64) -> u32 {
    u32::try_from(from).unwrap_or(u32::MAX)
}

const AT_ONCE: u32 = LOOKED_AT_ONCE as u32;
