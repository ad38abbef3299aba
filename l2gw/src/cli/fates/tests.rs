//! Classes of frames and of ports against each frame at each port.

use std::collections::BTreeMap;
use std::sync::Arc;

use vlan::addr::MacAddr;
use vlan::frame::Header;
use vlan::model::port::{Mode, Port};
use vlan::model::topology::Topology;
use vlan::switch::Switch;
use vlan::tag::{Pcp, Tag, Tpid};
use vlan::time::Instant;
use vlan::trace::Silent;
use vlan::verdict::{Decision, Egress, Verdict};
use vlan::vid::Vid;

use super::*;
use crate::cli::frames;
use crate::cli::sample::pairs;

/// What becomes of one frame: why it is dropped, else where copies leave and with which tags.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    drop: Option<&'static str>,
    copies: Vec<(String, Vec<(u16, u8)>)>,
}

/// Port, and tag: `None` untagged, else its VID.
type Frame = (String, Option<u16>);

/// Every frame by itself, with a switch of its own.
fn each(topology: &Arc<Topology>, vids: &[u16]) -> BTreeMap<Frame, Row> {
    let mut rows = BTreeMap::new();
    for port in topology.ports() {
        let switch = Switch::offline(Arc::clone(topology), port.host);
        for vid in [None].into_iter().chain(vids.iter().copied().map(Some)) {
            rows.insert((port.name.clone(), vid), row(&switch, port, vid));
        }
    }
    rows
}

fn row(switch: &Switch, port: &Port, vid: Option<u16>) -> Row {
    let topology = switch.topology();
    let tpid = match port.mode {
        Mode::Qinq { .. } | Mode::Plain => Tpid::Customer,
        Mode::Access { .. } | Mode::Trunk(_) => topology.bridge(port.bridge).tpid(),
    };
    let tag = vid.map(|vid| match Vid::new(vid) {
        Some(vid) => Tag::new(tpid, vid, Pcp::ZERO),
        None => Tag::priority(tpid, Pcp::ZERO),
    });
    let src = port.macs.first().copied().unwrap_or(MacAddr([0, 0, 0x5e, 0, 0x53, 1]));
    let header = Header { dst: MacAddr::BROADCAST, src, tags: tag.into_iter().collect(), ether_type: 0x0806 };
    let mut verdict = Verdict::default();
    switch.judge(Instant::ZERO, port.id, &header, &mut verdict, &mut Silent);
    let name = |to: Egress| match to {
        Egress::Port(id) => topology.port(id).name.clone(),
        Egress::Hosts { .. } => "every other host".to_owned(),
        Egress::Tunnel { host, .. } => format!("host {}", topology.hosts()[host.0 as usize].name),
    };
    let tags = |tags: Vec<Tag>| tags.iter().map(|tag| (tag.raw_vid(), tag.pcp().get())).collect();
    let mut copies: Vec<_> =
        verdict.outputs.iter().map(|out| (name(out.to), tags(out.edit.applied_to(&header)))).collect();
    copies.sort();
    let drop = match verdict.decision {
        Decision::Drop(reason) => Some(reason.name()),
        _ => None,
    };
    Row { drop, copies }
}

fn by_classes(topology: &Arc<Topology>, vids: &[u16]) -> BTreeMap<Frame, Row> {
    let mut names = Names::default();
    let fates = Fates::of(topology, &mut names);
    let mut rows = BTreeMap::new();
    for (own, arrivals) in &fates.ports {
        let mut add = |vid: Option<u16>, fate: &Fate| {
            let fate = match vid.and_then(Vid::new) {
                Some(vid) => at_one_vid(fate, vid),
                None => fate.clone(),
            };
            rows.insert((names.name(*own).to_owned(), vid), row_of(&names, &fate, *own));
        };
        add(None, &arrivals.untagged);
        for vid in vids {
            match Vid::new(*vid) {
                None => add(Some(0), &arrivals.priority),
                Some(number) => {
                    let mut holders = arrivals.tagged.iter().filter(|(vids, _)| vids.contains(number));
                    add(Some(*vid), &holders.next().unwrap().1);
                    assert!(holders.next().is_none(), "VID {vid} is in two classes");
                }
            }
        }
    }
    rows
}

fn row_of(names: &Names, fate: &Fate, own: Name) -> Row {
    match fate.seen_by(own) {
        End::Drop(reason) => Row { drop: Some(reason.name()), copies: Vec::new() },
        End::Copies(copies) => {
            let tag = |piece: &Piece| match piece {
                Piece::Fixed(vid, pcp) => (*vid, *pcp),
                Piece::Arriving => panic!("a VID is not filled in"),
            };
            let copy = |copy: &Leaving| (names.name(copy.to).to_owned(), copy.tags.iter().map(tag).collect());
            let mut copies: Vec<_> = copies.iter().map(copy).collect();
            copies.sort();
            Row { drop: None, copies }
        }
    }
}

/// Every VID that the samples name, its neighbours, and some that they do not.
const VIDS: &[u16] = &[
    0, 1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 19, 20, 21, 24, 25, 26, 27, 29, 30, 31, 107, 108, 109, 300, 2000,
    4094,
];

#[test]
fn a_class_says_what_each_of_its_frames_meets() {
    for (seed, before, after) in pairs(25) {
        for topology in [before, after] {
            assert_eq!(by_classes(&topology, VIDS), each(&topology, VIDS), "seed {seed}");
        }
    }
}

#[test]
fn all_4094_vids_are_in_a_class_of_their_own_kind() {
    let all: Vec<u16> = (0..=Vid::MAX).collect();
    for (seed, before, _) in pairs(2) {
        assert_eq!(by_classes(&before, &all), each(&before, &all), "seed {seed}");
    }
}

/// What has to be told of a frame: it fares differently; a port that is new or gone passes it; and its change does not follow from
/// that of the untagged frame.
fn differences(before: &Arc<Topology>, after: &Arc<Topology>) -> BTreeMap<Frame, (Vec<String>, Vec<String>)> {
    let (old, new) = (each(before, VIDS), each(after, VIDS));
    let mut differences = BTreeMap::new();
    for frame in old.keys().chain(new.keys()) {
        let (was, is) = (old.get(frame), new.get(frame));
        let plain = (frame.0.clone(), None);
        let follows = frame
            .1
            .is_some_and(|vid| is_payload(old.get(&plain), was, vid) && is_payload(new.get(&plain), is, vid));
        let never_passes =
            (was.is_none() || is.is_none()) && was.or(is).is_some_and(|row| row.drop.is_some());
        if was != is && !follows && !never_passes {
            differences.insert(frame.clone(), (texts(was), texts(is)));
        }
    }
    differences
}

fn is_payload(untagged: Option<&Row>, tagged: Option<&Row>, vid: u16) -> bool {
    let with_tag = |row: &Row| {
        let mut row = row.clone();
        if vid != 0 {
            row.copies.iter_mut().for_each(|(_, tags)| tags.push((vid, 0)));
            row.copies.sort();
        }
        row
    };
    untagged.map(with_tag) == tagged.cloned()
}

/// A row as a difference tells it, sorted.
fn texts(row: Option<&Row>) -> Vec<String> {
    let Some(row) = row else { return vec!["no such port".to_owned()] };
    let tag = |(vid, pcp): &(u16, u8)| match pcp {
        0 => format!("[{vid}]"),
        pcp => format!("[{vid} pcp {pcp}]"),
    };
    let copy = |(port, tags): &(String, Vec<(u16, u8)>)| {
        let tags: String = tags.iter().map(tag).collect();
        format!("{port} {}", if tags.is_empty() { "untagged" } else { &tags })
    };
    let mut texts: Vec<String> = match row.drop {
        Some(reason) => vec![format!("drop {reason}")],
        None => row.copies.iter().map(copy).collect(),
    };
    texts.sort();
    texts
}

fn told(before: &Arc<Topology>, after: &Arc<Topology>) -> BTreeMap<Frame, (Vec<String>, Vec<String>)> {
    let mut told = BTreeMap::new();
    for change in frames::changes(before, after) {
        let vids = change.vids.as_deref().map(vids_of);
        let frames: Vec<Option<u16>> = match (&vids, change.tags.first()) {
            (Some(vids), _) => VIDS.iter().copied().filter(|vid| vids.contains(vid)).map(Some).collect(),
            (None, Some((vid, _))) => vec![Some(*vid)],
            (None, None) => vec![None],
        };
        for vid in frames {
            let filled = |text: &str| {
                let text = text.replace("[v]", &format!("[{}]", vid.unwrap_or_default()));
                let mut texts: Vec<String> = text.split(", ").map(str::to_owned).collect();
                texts.sort();
                texts
            };
            let was =
                told.insert((change.port.clone(), vid), (filled(&change.before), filled(&change.after)));
            assert_eq!(was, None, "{change} is told twice");
        }
    }
    told
}

fn vids_of(ranges: &str) -> Vec<u16> {
    let range = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        first.parse::<u16>().unwrap()..=last.parse().unwrap()
    };
    ranges.split(',').flat_map(range).collect()
}

#[test]
fn what_is_told_of_a_change_is_what_each_frame_meets() {
    let mut count = 0;
    for (seed, before, after) in pairs(60) {
        let told = told(&before, &after);
        count += told.len();
        assert_eq!(told, differences(&before, &after), "seed {seed}");
    }
    assert!(count > 600, "only {count} differences in all");
}
