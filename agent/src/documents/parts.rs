//! What hangs on a bridge, in one shard or in many.
//!
//! Where one shard ends and the next begins follows from the objects' own names: an object that is added, removed or put first changes the
//! shard that it is in, and no other.

use std::collections::{BTreeMap, BTreeSet};

use nsdb::ShardId;
use serde_json::Value;
use vlan::model::numbers::Numbers;

use super::DocumentError;
use super::shard::{BridgeShard, ListShard, Segment, VTEP, Writer};
use crate::tree::Tree;

/// Objects under the names by which they are sorted.
type Named<T> = Vec<(String, T)>;

/// What hangs on one bridge.
#[derive(Default)]
pub(super) struct OfBridge {
    vlans: Named<Value>,
    trunks: Named<Value>,
    ports: Named<Value>,
    segments: Named<Segment>,
}

/// What hangs on each bridge.
pub(super) struct Hanging<'a>(BTreeMap<&'a str, OfBridge>);

impl<'a> Hanging<'a> {
    pub(super) fn of(
        tree: &'a Tree,
        numbers: Option<&'a Numbers>,
        writer: &Writer<'_>,
    ) -> Result<Hanging<'a>, DocumentError> {
        let mut all = BTreeMap::<&str, OfBridge>::new();
        for peering in &tree.vlans {
            let object = writer.object(&peering.path(), peering)?;
            all.entry(peering.bridge()).or_default().vlans.push((peering.vid().to_string(), object));
        }
        for trunk in &tree.trunks {
            let object = writer.object(&trunk.path(true), trunk)?;
            all.entry(trunk.bridge()).or_default().trunks.push((trunk.name().to_owned(), object));
        }
        for port in &tree.ports {
            let object = writer.object(&port.path(false), port)?;
            all.entry(port.bridge()).or_default().ports.push((port.name().to_owned(), object));
        }
        if let Some(numbers) = numbers {
            for (name, vni) in &numbers.segments {
                let segment = Segment::of(numbers, name, *vni);
                all.entry(&name.bridge).or_default().segments.push((name.to_string(), segment));
            }
        }
        Ok(Hanging(all))
    }

    pub(super) fn of_bridge(&mut self, bridge: &str) -> OfBridge {
        self.0.remove(bridge).unwrap_or_default()
    }
}

/// A bridge's shard, first, and those in which it goes on, each with the rest of its name.
pub(super) fn parts(
    bridge: Value,
    led_from: BTreeSet<String>,
    hanging: OfBridge,
) -> Vec<(Option<String>, BridgeShard)> {
    let mut first = BridgeShard { bridge: Some(bridge), led_from, ..BridgeShard::default() };
    let mut more = Vec::new();
    let OfBridge { vlans, trunks, ports, segments } = hanging;
    let is_of_vtep = |port: &Value| port.get("link").is_none();
    let mut put =
        |kind: &str, (inside, parts): Split<Value>, field: fn(&mut BridgeShard) -> &mut Vec<Value>| {
            *field(&mut first) = inside;
            for (key, objects) in parts {
                let mut part = BridgeShard::default();
                *field(&mut part) = objects;
                more.push((Some(format!("{kind}/{key}")), part));
            }
        };
    put("vlans", split(vlans), |shard| &mut shard.vlans);
    put("trunks", split(trunks), |shard| &mut shard.trunks);
    put("ports", split(ports), |shard| &mut shard.ports);
    let (inside, parts) = split(segments);
    first.segments = inside;
    for (key, segments) in parts {
        more.push((Some(format!("segments/{key}")), BridgeShard { segments, ..BridgeShard::default() }));
    }
    more.insert(0, (None, first));
    for (_, part) in &mut more {
        if part.ports.iter().any(is_of_vtep) {
            part.needs.push(VTEP);
        }
    }
    more
}

/// The shards of a host's list, each with the rest of its name.
pub(super) fn lists(bridges: &BTreeSet<&str>) -> Vec<(Option<String>, ListShard)> {
    let named = bridges.iter().map(|bridge| ((*bridge).to_owned(), (*bridge).to_owned())).collect();
    let (inside, parts) = split(named);
    let more = parts.into_iter().map(|(key, bridges)| (Some(key), ListShard { bridges }));
    let first = (!inside.is_empty()).then_some((None, ListShard { bridges: inside }));
    first.into_iter().chain(more).collect()
}

/// Objects in the bridge's own shard, or else in others, each after its first object.
type Split<T> = (Vec<T>, Named<Vec<T>>);

fn split<T: serde::Serialize>(objects: Named<T>) -> Split<T> {
    let bytes = |object: &T| serde_json::to_string(object).map_or(0, |text| text.len());
    let sizes: Vec<usize> = objects.iter().map(|(_, object)| bytes(object)).collect();
    if sizes.iter().sum::<usize>() <= FEW_BYTES {
        return (objects.into_iter().map(|(_, object)| object).collect(), Vec::new());
    }
    let mut parts: Named<Vec<T>> = Vec::new();
    let mut filled = 0;
    for ((key, object), size) in objects.into_iter().zip(sizes) {
        match parts.last_mut() {
            Some((_, part)) if !begins_a_part(&key) && filled + size <= MOST_BYTES => {
                part.push(object);
                filled += size;
            }
            _ => {
                parts.push((key, vec![object]));
                filled = size;
            }
        }
    }
    (Vec::new(), parts)
}

/// So does one in 32 names, whatever its neighbours are.
fn begins_a_part(key: &str) -> bool {
    ShardId::of(key.as_bytes()).as_bytes()[0].is_multiple_of(32)
}

/// Bytes of objects of one kind that are in the bridge's own shard.
const FEW_BYTES: usize = 4_096;
/// Most bytes of objects in one shard, unless one alone has more.
const MOST_BYTES: usize = 16_384;
