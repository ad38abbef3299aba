//! The difference between two descriptions: in the file's words, and what changes for frames.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use vlan::model::description::{Description, Peering};
use vlan::model::topology::Topology;

use crate::cli::table::{Row, RowOutput, copies_text, rows_of, tags_text, vid_not_in, vids_mentioned};

/// What a change would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// In the file's words: `+ vlans dc1.200`, `~ trunks.leaf1.vlans: 5,8 -> 5,8,200`, `- ports.vm1`.
    pub objects: Vec<String>,
    /// What changes for a broadcast frame of each port and VLAN. A change for tagged frames that only follows from the
    /// change for untagged ones, their tag being payload, is left out.
    pub frames: Vec<FrameChange>,
}

/// What changes for a broadcast frame with these tags at this port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FrameChange {
    /// The arrival port.
    pub port: String,
    /// Its tags, the outermost first, each VID and PCP.
    pub tags: Vec<(u16, u8)>,
    /// What becomes of it now: `drop vlan-not-allowed`, `vm3 untagged, leaf2 [8]`, `no such port`.
    pub before: String,
    /// What would become of it.
    pub after: String,
}

impl fmt::Display for FrameChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {} => {}", self.port, tags_text(&self.tags), self.before, self.after)
    }
}

impl Difference {
    /// From `before` to `after`; `before` may be empty. What is in a store was built before it was put there, so one that does not
    /// build any more, of another version, counts as empty for frames.
    pub fn new(before: &Description, after: &Arc<Topology>) -> Difference {
        let old = Topology::build(before).or_else(|_| Topology::build(&Description::default()));
        let frames = old.map(|old| frames(&Arc::new(old), after)).unwrap_or_default();
        Difference { objects: objects(before, after.description()), frames }
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.frames.is_empty()
    }
}

fn objects(before: &Description, after: &Description) -> Vec<String> {
    let mut lines = Vec::new();
    let (old, new) = (by_path(before), by_path(after));
    for path in old.keys().filter(|path| !new.contains_key(*path)) {
        lines.push(format!("- {path}"));
    }
    for (path, value) in &new {
        match old.get(path) {
            None => lines.push(format!("+ {path}")),
            Some(was) => changed_keys(path, was, value, &mut lines),
        }
    }
    lines
}

/// Every object under the path that the file gives it.
fn by_path(description: &Description) -> BTreeMap<String, Value> {
    let hosts = description.hosts.iter().map(|host| (format!("hosts.{}", host.name), value(host)));
    let bridges =
        description.bridges.iter().map(|bridge| (format!("bridges.{}", bridge.name), value(bridge)));
    let vlan = |peering: &Peering| (format!("vlans {}.{}", peering.bridge, peering.vid), value(peering));
    let trunks = description.trunks.iter().map(|port| (format!("trunks.{}", port.name), value(port)));
    let ports = description.ports.iter().map(|port| (format!("ports.{}", port.name), value(port)));
    hosts.chain(bridges).chain(description.vlans.iter().map(vlan)).chain(trunks).chain(ports).collect()
}

fn value(object: &impl Serialize) -> Value {
    serde_json::to_value(object).unwrap_or(Value::Null)
}

fn changed_keys(path: &str, was: &Value, is: &Value, lines: &mut Vec<String>) {
    match (was, is) {
        (Value::Object(was), Value::Object(is)) => {
            for (key, value) in is {
                changed_keys(
                    &format!("{path}.{}", key.replace('_', "-")),
                    was.get(key).unwrap_or(&Value::Null),
                    value,
                    lines,
                );
            }
        }
        _ if was != is => lines.push(format!("~ {path}: {} -> {}", text(was), text(is))),
        _ => {}
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "default".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => ranges(items).unwrap_or_else(|| value.to_string()),
        other => other.to_string(),
    }
}

/// A list of VIDs as ranges.
fn ranges(items: &[Value]) -> Option<String> {
    let vids =
        items.iter().map(|item| item.as_u64().and_then(|n| vlan::vid::Vid::new(u16::try_from(n).ok()?)));
    let set: Option<vlan::vid::VidSet> = vids.collect();
    set.filter(|set| !set.is_empty()).map(|set| set.to_string())
}

/// What changes for a broadcast frame of each port and VLAN.
fn frames(before: &Arc<Topology>, after: &Arc<Topology>) -> Vec<FrameChange> {
    let mut vids = vids_mentioned(before);
    vids.extend(vids_mentioned(after));
    vids.extend(vid_not_in(&vids));
    let (old, new) = (by_port(rows_of(before, &vids)), by_port(rows_of(after, &vids)));
    let ports: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let none = Vec::new();
    let mut changes = Vec::new();
    for port in ports {
        let (old, new) = (old.get(port).unwrap_or(&none), new.get(port).unwrap_or(&none));
        changes.extend(port_changes(old, new));
    }
    changes
}

fn by_port(rows: Vec<Row>) -> BTreeMap<String, Vec<Row>> {
    let mut ports: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in rows {
        ports.entry(row.port.clone()).or_default().push(row);
    }
    ports
}

/// The rows of one port before and after, either of them empty if there is no such port: the same tags in the same order.
fn port_changes(old: &[Row], new: &[Row]) -> Vec<FrameChange> {
    let pairs = (0..old.len().max(new.len())).map(|index| (old.get(index), new.get(index)));
    let untagged = (old.first(), new.first());
    let mut changes = Vec::new();
    for (index, (old, new)) in pairs.enumerate() {
        let Some(row) = new.or(old) else { continue };
        let change = FrameChange {
            port: row.port.clone(),
            tags: row.tags.clone(),
            before: fate(old),
            after: fate(new),
        };
        let follows = index > 0 && is_payload(untagged.0, old) && is_payload(untagged.1, new);
        let never_passes = (old.is_none() || new.is_none()) && row.drop.is_some();
        if change.before != change.after && !follows && !never_passes {
            changes.push(change);
        }
    }
    changes
}

/// Whether a tagged frame goes where the untagged one goes, its tag being payload: then it needs no line of its own.
fn is_payload(untagged: Option<&Row>, tagged: Option<&Row>) -> bool {
    match (untagged, tagged) {
        (Some(untagged), Some(tagged)) => {
            let own: &[(u16, u8)] = if tagged.tags == [(0, 0)] { &[] } else { &tagged.tags };
            let same = |(plain, with_tag): (&RowOutput, &RowOutput)| {
                plain.port == with_tag.port && [&plain.tags[..], own].concat() == with_tag.tags
            };
            untagged.drop == tagged.drop
                && untagged.outputs.len() == tagged.outputs.len()
                && untagged.outputs.iter().zip(&tagged.outputs).all(same)
        }
        (None, None) => true,
        _ => false,
    }
}

fn fate(row: Option<&Row>) -> String {
    match row {
        None => "no such port".to_owned(),
        Some(Row { drop: Some(reason), .. }) => format!("drop {reason}"),
        Some(row) => copies_text(row),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology(text: &str) -> Arc<Topology> {
        Arc::new(crate::config::parse("f", text).unwrap().topology)
    }

    fn gateway(vid: u16, rest: &str) -> Arc<Topology> {
        topology(&format!(
            "[hosts.gw1]\n[bridges.dc1]\nkind = \"vlan-aware\"\n[bridges.vub8]\nkind = \"vlan-unaware\"\n\
             [[vlans]]\nbridge = \"dc1\"\nvid = {vid}\nto = \"vub8\"\n\
             [[trunks]]\nname = \"leaf1\"\nbridge = \"dc1\"\nhost = \"gw1\"\nlink = \"eth2\"\n\
             [[ports]]\nname = \"vm8\"\nbridge = \"vub8\"\nhost = \"gw1\"\nlink = \"tap8\"\n{rest}"
        ))
    }

    fn lines(before: &Arc<Topology>, after: &Arc<Topology>) -> Vec<String> {
        let difference = Difference::new(before.description(), after);
        difference
            .objects
            .iter()
            .cloned()
            .chain(difference.frames.iter().map(FrameChange::to_string))
            .collect()
    }

    #[test]
    fn the_same_is_no_difference() {
        assert!(Difference::new(gateway(8, "").description(), &gateway(8, "")).is_empty());
    }

    #[test]
    fn another_vid_changes_one_vlan_and_the_tag_of_what_leaves() {
        let expected = [
            "- vlans dc1.8",
            "+ vlans dc1.9",
            "leaf1 [8]: vm8 untagged => drop vlan-not-allowed",
            "leaf1 [9]: drop vlan-not-allowed => vm8 untagged",
            "vm8 untagged: leaf1 [8] => leaf1 [9]",
        ];
        assert_eq!(lines(&gateway(8, ""), &gateway(9, "")), expected);
    }

    #[test]
    fn a_changed_key_has_both_values() {
        let port = "[[ports]]\nname = \"vm9\"\nbridge = \"dc1\"\nhost = \"gw1\"\nlink = \"tap9\"\nmode = \"access\"\nvid = 8\n";
        let lines =
            lines(&gateway(8, port), &gateway(8, &format!("{port}mac-limit = 7\non-limit = \"drop\"\n")));
        assert_eq!(lines, ["~ ports.vm9.mac-limit: default -> 7", "~ ports.vm9.on-limit: evict -> drop"]);
    }

    #[test]
    fn a_port_that_goes_is_named_at_its_own_rows_and_at_those_that_reached_it() {
        let more = "[[ports]]\nname = \"vm9\"\nbridge = \"vub8\"\nhost = \"gw1\"\nlink = \"tap9\"\n";
        let expected = [
            "- ports.vm9",
            "leaf1 [8]: vm8 untagged, vm9 untagged => vm8 untagged",
            "vm8 untagged: leaf1 [8], vm9 untagged => leaf1 [8]",
            "vm9 untagged: leaf1 [8], vm8 untagged => no such port",
        ];
        assert_eq!(lines(&gateway(8, more), &gateway(8, "")), expected);
    }

    #[test]
    fn against_an_empty_store_everything_is_new() {
        let difference = Difference::new(&Description::default(), &gateway(8, ""));
        assert_eq!(difference.objects.len(), 6, "{:?}", difference.objects);
        assert!(difference.objects.iter().all(|line| line.starts_with("+ ")), "{:?}", difference.objects);
        assert_eq!(difference.frames.len(), 2, "{:?}", difference.frames);
    }
}
