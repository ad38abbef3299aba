//! What of the cross product (kind of port) × (kind of tag) × (priority) the rows leave out.

use std::collections::{BTreeMap, BTreeSet};

use super::{Section, columns, words};

/// What a frame's tags are to a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// None.
    Untagged,
    /// One with VID 0.
    Priority,
    /// The port's own VID, or the native one.
    Own,
    /// In its set.
    Allowed,
    /// In no set of it.
    Other,
    /// 4095.
    Reserved,
    /// More than one tag.
    Double,
    /// Not the TPID that it reads.
    OtherTpid,
}

/// A line for each kind of port and tag that no row shows, or not with every priority.
pub fn missing(section: &Section<'_>) -> Vec<String> {
    let mut shown: BTreeMap<&str, BTreeMap<Kind, BTreeSet<u16>>> = BTreeMap::new();
    for (line, row) in &section.rows {
        let [port, tags, pcp, _] = columns(row)[..] else { panic!("{line}: four columns") };
        let pcps = words::pcps(pcp).unwrap_or_else(|error| panic!("{line}: {error}"));
        let pcps = if tags.contains("/p") { pcps } else { own_pcps(tags) };
        shown.entry(port).or_default().entry(kind(port, tags)).or_default().extend(pcps);
    }
    let mut missing = Vec::new();
    for (port, kinds) in &shown {
        for kind in required(section.kind, port) {
            let pcps = kinds.get(&kind).map_or(0, BTreeSet::len);
            if pcps < if kind == Kind::Untagged { 1 } else { 8 } {
                missing.push(format!("{} {port}: {kind:?} is shown with {pcps} priorities", section.kind));
            }
        }
    }
    missing
}

/// The priority of a row that names it itself.
fn own_pcps(tags: &str) -> Vec<u16> {
    let first = tags.split_whitespace().next().unwrap_or_default();
    let pcp = first.split_once('/').map_or("0", |(_, pcp)| pcp);
    pcp.trim_end_matches('d').parse().into_iter().collect()
}

fn required(direction: &str, port: &str) -> Vec<Kind> {
    let mut kinds = match direction {
        "ingress" => {
            vec![Kind::Untagged, Kind::Priority, Kind::Other, Kind::Reserved, Kind::Double, Kind::OtherTpid]
        }
        _ => vec![Kind::Other, Kind::Double],
    };
    let has_set = port.starts_with("trunk") || (direction == "ingress" && port.contains("customer-vlans"));
    kinds.extend(has_set.then_some(Kind::Allowed));
    let is_in_one = ["access", "qinq", "native"].iter().any(|word| port.contains(word));
    kinds.extend(is_in_one.then_some(Kind::Own));
    kinds
}

fn kind(port: &str, tags: &str) -> Kind {
    let mut words = tags.split_whitespace();
    let first = words.next().unwrap_or_default();
    if first == "none" {
        return Kind::Untagged;
    }
    if words.next().is_some() {
        return Kind::Double;
    }
    let reads_customer_tags = port.starts_with("qinq") || port.starts_with("plain");
    if first.starts_with('~') || first.starts_with("9100:") || (reads_customer_tags && first.starts_with('s'))
    {
        return Kind::OtherTpid;
    }
    let vid = first.trim_start_matches('c').split(['/', 'd']).next().unwrap_or_default();
    let settings: Vec<&str> = port.split_whitespace().collect();
    let after = |word: &str| settings.iter().position(|w| *w == word).and_then(|at| settings.get(at + 1));
    let is_own = ["access", "qinq", "native"].iter().any(|word| after(word) == Some(&vid));
    let listed = ["trunk", "customer-vlans"].iter().filter_map(|word| after(word));
    let in_set = |set: &&str| set.split(',').any(|each| each == vid);
    match vid {
        "0" => Kind::Priority,
        "4095" => Kind::Reserved,
        _ if is_own => Kind::Own,
        _ if listed.clone().any(in_set) => Kind::Allowed,
        _ => Kind::Other,
    }
}
