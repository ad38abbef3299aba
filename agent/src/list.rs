//! Lists that an operator asks for: put together from pages of the engine, each once, in order, and no longer than was asked for.
//!
//! Only the pages are made on the engine's thread, with other work in between. Sorting and writing are done on a thread that nobody waits
//! for.

use std::cmp::{Ordering, Reverse};

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use tokio::sync::mpsc;
use vlan::addr::MacAddr;
use vlan::model::value::quote;
use vlan::time::Instant;
use vlan::vid::Vid;

use crate::engine::Engine;
use crate::page::{Page, Selection};
use crate::runtime::{Request, ask};
use crate::view::{BridgeView, CounterView, FlowView, MacView, PortView, TrunkView};

/// What is asked of a list, as it is in the query of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Only of this port, or of the port on this link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Only of this VLAN.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "vid")]
    pub vlan: Option<Vid>,
    /// Only with this address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
    /// Only what is not up.
    #[serde(default, skip_serializing_if = "is_false")]
    pub down: bool,
    /// By what it is sorted; by the first of [`Listed::ORDERS`] if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<String>,
    /// How many rows, at least 1; all if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

fn is_false(value: &bool) -> bool {
    !*value
}

/// As text has a VID everywhere: without a sign and a leading zero.
fn vid<'de, D: Deserializer<'de>>(query: D) -> Result<Option<Vid>, D::Error> {
    let text = String::deserialize(query)?;
    text.parse()
        .map(Some)
        .map_err(|_| D::Error::custom(format!("{} is no VLAN, allowed is 1 to 4094", quote(&text))))
}

/// Something that there may be many of.
pub trait Listed: Serialize + DeserializeOwned + Clone + Send + 'static {
    /// What a list of it is called: `macs`.
    const NAME: &'static str;
    /// By what it can be filtered.
    const FILTERS: &'static [Filter];
    /// In which orders it can come, with what each is called. What is equal in one order is in that of the first.
    const ORDERS: &'static [Named<Self>];

    /// A page of it.
    ///
    /// # Errors
    /// There is no such port.
    fn page(engine: &Engine, now: Instant, selection: &Selection, from: u64) -> Result<Page<Self>, String>;
}

/// An order and what it is called.
pub type Named<T> = (&'static str, fn(&T, &T) -> Ordering);

/// By what a list can be filtered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// `port`
    Port,
    /// `vlan`
    Vlan,
    /// `mac`
    Mac,
    /// `down`
    Down,
}

impl Filter {
    const ALL: [Filter; 4] = [Filter::Port, Filter::Vlan, Filter::Mac, Filter::Down];

    /// Its name in a query and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Filter::Port => "port",
            Filter::Vlan => "vlan",
            Filter::Mac => "mac",
            Filter::Down => "down",
        }
    }

    fn is_asked(self, asked: &Asked) -> bool {
        match self {
            Filter::Port => asked.port.is_some(),
            Filter::Vlan => asked.vlan.is_some(),
            Filter::Mac => asked.mac.is_some(),
            Filter::Down => asked.down,
        }
    }
}

/// Why there is no list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// It cannot be asked like that.
    #[error("{0}")]
    Wrong(String),
    /// There is no such port.
    #[error("{0}")]
    NoPort(String),
    /// The engine has ended.
    #[error("the daemon is stopping")]
    Stopping,
}

impl Asked {
    /// The order that is asked for.
    ///
    /// # Errors
    /// The list has no such filter or order, or no row would be in it.
    pub fn order<T: Listed>(&self) -> Result<fn(&T, &T) -> Ordering, ListError> {
        let unknown = Filter::ALL.iter().find(|filter| filter.is_asked(self) && !T::FILTERS.contains(filter));
        if let Some(filter) = unknown {
            let known: Vec<&str> = T::FILTERS.iter().map(|filter| filter.name()).collect();
            let known = if known.is_empty() { "no filter".to_owned() } else { known.join(", ") };
            return Err(wrong(format!("{} cannot be filtered by {}: {known}", T::NAME, filter.name())));
        }
        if self.limit == Some(0) {
            return Err(wrong("limit: 0 rows were asked for; at least 1 is allowed".to_owned()));
        }
        let Some(sort) = &self.sort else { return Ok(T::ORDERS[0].1) };
        T::ORDERS.iter().find(|(name, _)| name == sort).map(|(_, order)| *order).ok_or_else(|| {
            let names: Vec<&str> = T::ORDERS.iter().map(|(name, _)| *name).collect();
            wrong(format!("{} cannot be sorted by {}: {}", T::NAME, quote(sort), names.join(", ")))
        })
    }

    fn selection(&self) -> Selection {
        Selection { port: self.port.clone(), vlan: self.vlan, mac: self.mac, down: self.down }
    }
}

fn wrong(what: String) -> ListError {
    ListError::Wrong(what)
}

/// A list, put together.
///
/// # Errors
/// It cannot be asked like that, there is no such port, or the engine has ended.
pub async fn list<T: Listed>(requests: &mpsc::Sender<Request>, asked: &Asked) -> Result<Vec<T>, ListError> {
    let order = asked.order::<T>()?;
    let (mut rows, mut met) = (Vec::new(), 0);
    let mut from = Some(0);
    while let Some(at) = from {
        let selection = asked.selection();
        let page = ask(requests, move |engine, now| T::page(engine, now, &selection, at)).await;
        let page = page.ok_or(ListError::Stopping)?.map_err(ListError::NoPort)?;
        let length = page.rows.len();
        rows.extend(page.rows.into_iter().zip(met..).map(|((key, row), met)| Met { key, met, row }));
        (met, from) = (met + length, page.next);
        // What cannot be among the first is let go early, so that a short list of many takes little memory.
        if asked.limit.is_some_and(|limit| rows.len() > limit.saturating_mul(2).saturating_add(SLACK)) {
            rows = settled(rows, order, asked.limit).await?;
        }
    }
    Ok(settled(rows, order, asked.limit).await?.into_iter().map(|met| met.row).collect())
}

/// All there is, in one piece: for who owns the engine and keeps nobody waiting.
pub fn everything<T: Listed>(engine: &Engine, now: Instant) -> Vec<T> {
    let (mut rows, mut from) = (Vec::new(), Some(0));
    while let Some(at) = from {
        // Only a port that is asked for can be missing.
        let Ok(page) = T::page(engine, now, &Selection::default(), at) else { break };
        from = page.next;
        rows.extend(page.rows);
    }
    let met = rows.into_iter().enumerate().map(|(met, (key, row))| Met { key, met, row });
    settle(met.collect(), T::ORDERS[0].1, None).into_iter().map(|met| met.row).collect()
}

/// Every bridge, with its addresses counted.
///
/// # Errors
/// As for [`list`].
pub async fn bridges(requests: &mpsc::Sender<Request>, asked: &Asked) -> Result<Vec<BridgeView>, ListError> {
    let mut bridges: Vec<BridgeView> = list(requests, asked).await?;
    let mut counts = rustc_hash::FxHashMap::default();
    let mut from = Some(0);
    while let Some(at) = from {
        let page = ask(requests, move |engine, now| engine.view().mac_counts(now, at)).await;
        let page = page.ok_or(ListError::Stopping)?;
        for (_, (bridge, count)) in page.rows {
            *counts.entry(bridge).or_insert(0) += count;
        }
        from = page.next;
    }
    for bridge in &mut bridges {
        bridge.addresses = counts.get(&bridge.bridge).copied().unwrap_or_default();
    }
    Ok(bridges)
}

/// Each once, in order, the first of them.
async fn settled<T: Listed>(
    rows: Vec<Met<T>>,
    order: fn(&T, &T) -> Ordering,
    limit: Option<usize>,
) -> Result<Vec<Met<T>>, ListError> {
    let sort = move || settle(rows, order, limit);
    tokio::task::spawn_blocking(sort).await.map_err(|_| ListError::Stopping)
}

fn settle<T: Listed>(
    mut rows: Vec<Met<T>>,
    order: fn(&T, &T) -> Ordering,
    limit: Option<usize>,
) -> Vec<Met<T>> {
    rows.sort_unstable_by_key(|met| (met.key, met.met));
    rows.dedup_by_key(|met| met.key);
    rows.sort_unstable_by(|a, b| {
        let otherwise = || T::ORDERS[0].1(&a.row, &b.row).then(a.met.cmp(&b.met));
        order(&a.row, &b.row).then_with(otherwise)
    });
    rows.truncate(limit.unwrap_or(usize::MAX));
    rows
}

/// A row of a page.
struct Met<T> {
    /// What it is told apart by.
    key: u128,
    /// Grows from row to row.
    met: usize,
    row: T,
}

impl Listed for PortView {
    const NAME: &'static str = "ports";
    const FILTERS: &'static [Filter] = &[Filter::Port, Filter::Vlan, Filter::Down];
    const ORDERS: &'static [Named<PortView>] = &[
        // As the pages come.
        ("file", |_, _| Ordering::Equal),
        ("name", |a, b| a.port.cmp(&b.port)),
        ("addresses", |a, b| b.addresses.cmp(&a.addresses)),
        ("drops", |a, b| b.drops.cmp(&a.drops)),
        ("rx", |a, b| b.rx_packets.cmp(&a.rx_packets)),
        ("tx", |a, b| b.tx_packets.cmp(&a.tx_packets)),
        ("upcalls", |a, b| b.upcalls.cmp(&a.upcalls)),
    ];

    fn page(
        engine: &Engine,
        now: Instant,
        selection: &Selection,
        from: u64,
    ) -> Result<Page<PortView>, String> {
        engine.view().port_page(now, selection, from)
    }
}

impl Listed for TrunkView {
    const NAME: &'static str = "trunks";
    const FILTERS: &'static [Filter] = &[Filter::Port, Filter::Vlan];
    const ORDERS: &'static [Named<TrunkView>] =
        &[("file", |_, _| Ordering::Equal), ("name", |a, b| a.trunk.cmp(&b.trunk))];

    fn page(
        engine: &Engine,
        _: Instant,
        selection: &Selection,
        from: u64,
    ) -> Result<Page<TrunkView>, String> {
        engine.view().trunk_page(selection, from)
    }
}

impl Listed for BridgeView {
    const NAME: &'static str = "bridges";
    const FILTERS: &'static [Filter] = &[];
    const ORDERS: &'static [Named<BridgeView>] =
        &[("file", |_, _| Ordering::Equal), ("name", |a, b| a.bridge.cmp(&b.bridge))];

    fn page(engine: &Engine, _: Instant, _: &Selection, from: u64) -> Result<Page<BridgeView>, String> {
        Ok(engine.view().bridge_page(from))
    }
}

impl Listed for MacView {
    const NAME: &'static str = "macs";
    const FILTERS: &'static [Filter] = &[Filter::Port, Filter::Vlan, Filter::Mac];
    const ORDERS: &'static [Named<MacView>] = &[
        ("bridge", |a, b| (&a.bridge, a.vid, a.inner, a.mac).cmp(&(&b.bridge, b.vid, b.inner, b.mac))),
        ("address", |a, b| a.mac.cmp(&b.mac)),
        ("location", |a, b| a.location.cmp(&b.location)),
        ("idle", |a, b| b.age_ms.cmp(&a.age_ms)),
    ];

    fn page(
        engine: &Engine,
        now: Instant,
        selection: &Selection,
        from: u64,
    ) -> Result<Page<MacView>, String> {
        engine.view().mac_page(now, selection, from)
    }
}

impl Listed for FlowView {
    const NAME: &'static str = "flows";
    const FILTERS: &'static [Filter] = &[Filter::Port, Filter::Vlan, Filter::Mac];
    const ORDERS: &'static [Named<FlowView>] = &[
        ("frames", |a, b| {
            (Reverse(a.packets), &a.port, a.src, a.dst).cmp(&(Reverse(b.packets), &b.port, b.src, b.dst))
        }),
        ("bytes", |a, b| b.bytes.cmp(&a.bytes)),
        ("idle", |a, b| b.idle_ms.unwrap_or(u64::MAX).cmp(&a.idle_ms.unwrap_or(u64::MAX))),
        ("port", |a, b| a.port.cmp(&b.port)),
    ];

    fn page(
        engine: &Engine,
        now: Instant,
        selection: &Selection,
        from: u64,
    ) -> Result<Page<FlowView>, String> {
        engine.view().flow_page(now, selection, from)
    }
}

impl Listed for CounterView {
    const NAME: &'static str = "counters";
    const FILTERS: &'static [Filter] = &[Filter::Port, Filter::Vlan];
    const ORDERS: &'static [Named<CounterView>] = &[
        ("name", |a, b| (&a.name, &a.labels).cmp(&(&b.name, &b.labels))),
        ("value", |a, b| b.value.cmp(&a.value)),
    ];

    fn page(
        engine: &Engine,
        _: Instant,
        selection: &Selection,
        from: u64,
    ) -> Result<Page<CounterView>, String> {
        engine.view().counter_page(selection, from)
    }
}

/// Rows that are kept beyond twice the limit before the list is cut.
const SLACK: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn mac(last: u8, age_ms: u64) -> Met<MacView> {
        let row = MacView {
            mac: MacAddr([2, 0, 0, 0, 0, last]),
            bridge: "dc1".to_owned(),
            vid: Vid::new(8),
            inner: None,
            location: "leaf1".to_owned(),
            kind: "dynamic".to_owned(),
            age_ms,
        };
        Met { key: u128::from(last), met: 0, row }
    }

    fn shown(mut rows: Vec<Met<MacView>>, sort: &str, limit: Option<usize>) -> Vec<(u8, u64)> {
        let asked = Asked { sort: Some(sort.to_owned()), limit, ..Asked::default() };
        let order = asked.order::<MacView>().unwrap();
        rows.iter_mut().enumerate().for_each(|(met, row)| row.met = met);
        settle(rows, order, limit).iter().map(|met| (met.row.mac.0[5], met.row.age_ms)).collect()
    }

    #[test]
    fn what_two_pages_have_is_there_once() {
        let rows = vec![mac(2, 5), mac(1, 7), mac(2, 6)];
        assert_eq!(shown(rows, "address", None), [(1, 7), (2, 5)]);
    }

    #[test]
    fn the_limit_leaves_the_first_in_the_order_that_was_asked_for() {
        let rows = || (1..=9).map(|last| mac(last, u64::from(last % 4))).collect();
        assert_eq!(shown(rows(), "idle", Some(3)), [(3, 3), (7, 3), (2, 2)]);
        assert_eq!(shown(rows(), "bridge", Some(2)), [(1, 1), (2, 2)]);
    }

    #[test]
    fn what_a_list_does_not_have_is_refused_with_what_it_has() {
        let refused = |asked: Asked| asked.order::<MacView>().map(|_| ()).unwrap_err().to_string();
        let down = Asked { down: true, ..Asked::default() };
        assert_eq!(refused(down), "macs cannot be filtered by down: port, vlan, mac");
        let sort = Asked { sort: Some("drops".to_owned()), ..Asked::default() };
        assert_eq!(refused(sort), "macs cannot be sorted by \"drops\": bridge, address, location, idle");
        let none = Asked { limit: Some(0), ..Asked::default() };
        assert_eq!(refused(none), "limit: 0 rows were asked for; at least 1 is allowed");
        let all =
            Asked { port: Some("vm8".to_owned()), vlan: Vid::new(8), limit: Some(1), ..Asked::default() };
        assert!(all.order::<MacView>().is_ok());
        let bridges = Asked { vlan: Vid::new(8), ..Asked::default() };
        let refused = bridges.order::<BridgeView>().map(|_| ()).unwrap_err().to_string();
        assert_eq!(refused, "bridges cannot be filtered by vlan: no filter");
    }
}
