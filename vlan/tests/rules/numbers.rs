//! A number that was dealt out never means another host or segment, whatever is published, put first, removed or published again.

use std::collections::{BTreeMap, BTreeSet};

use vlan::model::description::{Bridge, BridgeKind, Description, Host, Mode, Peering, Port, TrunkMode};
use vlan::model::numbers::{FIRST_DEALT_VNI, Further, Numbers};
use vlan::model::segment::SegmentName;
use vlan::model::topology::Topology;
use vlan::vid::Vid;

use crate::described::{aware, bridge, unaware};

/// Numbers that look random and are the same each time (SplitMix64, Steele and others 2014).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn is(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

fn vid(number: u16) -> Vid {
    Vid::new(number).unwrap()
}

/// Two VABs with trunks on two hosts, a few VUBs on three, some of them peered and some with a VNI; all in any order.
fn network(dice: &mut Dice) -> Description {
    let hosts = ["h1", "h2", "h3"].map(|name| Host { name: name.to_owned(), ..Host::default() });
    let mut made = Description { hosts: hosts.into(), ..Description::default() };
    for (number, name) in ["dc1", "dc2"].into_iter().enumerate() {
        made.bridges.push(aware(name, name));
        for host in ["h1", "h2"] {
            let vlans = Some([8, 9, 10].into_iter().filter(|_| !dice.is(3)).map(vid).collect());
            let mode = Mode::Trunk(TrunkMode { vlans, ..TrunkMode::default() });
            made.trunks.push(Port { mode, ..Port::plain(&format!("t{number}-{host}"), name, host, name) });
        }
    }
    for name in ["a", "b", "c", "d"].into_iter().filter(|_| dice.below(4) > 0).collect::<Vec<_>>() {
        let vni = dice.is(2).then(|| [7, 8, 9, FIRST_DEALT_VNI + 2][dice.below(4) as usize]);
        // Some are called otherwise now, with what they were called before, and later with the old name again.
        let renamed_from = dice.is(3).then(|| name.to_owned());
        let name = &if renamed_from.is_some() { format!("{name}{name}") } else { name.to_owned() };
        let kind = BridgeKind::VlanUnaware { vni };
        made.bridges.push(Bridge { renamed_from, ..bridge(name, kind) });
        for host in ["h1", "h2", "h3"].into_iter().filter(|_| !dice.is(2)).collect::<Vec<_>>() {
            let isolated = dice.is(3);
            made.ports.push(Port { isolated, ..Port::plain(&format!("{name}-{host}"), name, host, name) });
        }
        if dice.is(2) {
            let bridge = ["dc1", "dc2"][dice.below(2) as usize].to_owned();
            made.vlans.push(Peering { bridge, vid: vid(8 + dice.below(3) as u16), to: name.clone() });
        }
    }
    dice.shuffle(&mut made.hosts);
    dice.shuffle(&mut made.bridges);
    dice.shuffle(&mut made.vlans);
    dice.shuffle(&mut made.trunks);
    dice.shuffle(&mut made.ports);
    made
}

/// What each number has meant so far.
#[derive(Default)]
struct Meanings {
    /// Of which segment, and of what comes into it by which way.
    segments: BTreeMap<u32, (SegmentName, String)>,
    hosts: BTreeMap<u32, String>,
}

impl Meanings {
    /// Whether a VNI means what it did, of a segment with this name or the one that its bridge had before.
    fn holds(&mut self, topology: &Topology, vni: u32, name: &SegmentName, way: &str) -> bool {
        let now = (name.clone(), way.to_owned());
        let then = self.segments.insert(vni, now.clone());
        let former = topology
            .bridge_named(&name.bridge)
            .and_then(|bridge| topology.description().bridges[bridge.id.0 as usize].renamed_from.clone());
        let former = former.map(|bridge| (SegmentName { bridge, ..name.clone() }, way.to_owned()));
        then.is_none_or(|then| then == now || Some(then) == former)
    }

    /// Whether the numbers of a topology mean what they meant in every revision before.
    fn hold(&mut self, topology: &Topology, numbers: &Numbers) -> bool {
        let mut do_hold = true;
        for number in 0..topology.segments().len() as u32 {
            let (vni, name) = (topology.segment(number).vni, topology.segment_name(number));
            assert!(vni != 0 || !topology.is_on_several_hosts(number), "{name} has no VNI");
            assert!(vni == 0 || numbers.segments[&name] == vni);
            do_hold &= vni == 0 || self.holds(topology, vni, &name, "");
            let further = numbers.further.get(&name).cloned().unwrap_or_default();
            has_what_it_needs(topology, number, &further);
            for (fabric, vni) in &further.fabrics {
                do_hold &= self.holds(topology, *vni, &name, fabric);
            }
            do_hold &= further.isolated.is_none_or(|vni| self.holds(topology, vni, &name, "isolated"));
        }
        for host in topology.hosts() {
            let number = numbers.hosts[&host.name];
            do_hold &= *self.hosts.entry(number).or_insert_with(|| host.name.clone()) == host.name;
        }
        do_hold
    }
}

/// Whether a segment that is on several hosts has a further VNI for each of its trunk groups and for isolated ports, and for nothing else.
fn has_what_it_needs(topology: &Topology, number: u32, further: &Further) {
    let ports = || topology.segment(number).members.iter().map(|member| topology.port(member.port));
    let groups = ports().filter_map(|port| port.group).map(|group| topology.fabric_name(group));
    let groups: BTreeSet<&str> = groups.collect();
    let had: BTreeSet<&str> = further.fabrics.keys().map(String::as_str).collect();
    let is_isolated = ports().any(|port| port.isolated);
    assert!(had.is_subset(&groups) && (is_isolated || further.isolated.is_none()));
    if topology.is_on_several_hosts(number) {
        assert_eq!((had, further.isolated.is_some()), (groups, is_isolated));
    }
}

/// Revisions one after another, some of them again; `deal` says which numbers the next has. Whether all numbers kept their meaning, and how
/// many pairs of neighbours there were.
fn history(seed: u64, deal: fn(&Numbers, &Topology) -> Option<Numbers>) -> (bool, usize) {
    let dice = &mut Dice(seed);
    let (mut numbers, mut published, mut meanings) = (Numbers::default(), Vec::new(), Meanings::default());
    for _ in 0..12 {
        let description = match published.len() {
            0 => network(dice),
            many if dice.is(4) => Description::clone(&published[dice.below(many as u64) as usize]),
            _ => network(dice),
        };
        let Ok(topology) = Topology::build(&description) else { continue };
        let Some(next) = deal(&numbers, &topology) else { continue };
        let topology = Topology::with_numbers(&description, &next).unwrap();
        for host in topology.hosts() {
            next.check(&topology, &host.name).unwrap();
        }
        if !meanings.hold(&topology, &next) {
            return (false, published.len());
        }
        assert!(next.next_vni >= numbers.next_vni && next.next_host >= numbers.next_host);
        numbers = next;
        published.push(description);
    }
    (true, published.len().saturating_sub(1))
}

#[test]
fn a_number_never_means_another_host_or_segment() {
    let (mut seed, mut pairs) = (0, 0);
    while pairs < 10_000 {
        let (do_hold, count) = history(seed, |numbers, topology| numbers.after(topology).ok());
        assert!(do_hold, "seed {seed}");
        (seed, pairs) = (seed + 1, pairs + count);
    }
    // Numbers that are dealt out anew at each build do not hold.
    assert!((0..seed).any(|seed| !history(seed, |_, next| Numbers::default().after(next).ok()).0));
}

/// VUBs with a VNI or none, on two hosts each.
fn vubs(vubs: &[(&str, Option<u32>)]) -> Topology {
    let hosts = ["h1", "h2"].map(|name| Host { name: name.to_owned(), ..Host::default() });
    let mut made = Description { hosts: hosts.into(), ..Description::default() };
    for (name, vni) in vubs {
        made.bridges.push(unaware(name, *vni));
        for host in ["h1", "h2"] {
            made.ports.push(Port::plain(&format!("{name}-{host}"), name, host, name));
        }
    }
    Topology::build(&made).unwrap()
}

fn refusal(numbers: &Numbers, topology: &Topology) -> String {
    let mistakes = numbers.after(topology).unwrap_err();
    assert!(mistakes.iter().all(|mistake| mistake.place.key == "vni"));
    mistakes.iter().map(|mistake| format!("{} {}", mistake.place.index, mistake.text)).collect()
}

#[test]
fn a_declared_vni_that_another_segment_has_or_had_is_refused() {
    let first = Numbers::default().after(&vubs(&[("a", Some(7)), ("b", None)])).unwrap();
    assert_eq!(first.segments.values().copied().collect::<Vec<_>>(), [7, FIRST_DEALT_VNI]);
    let said = refusal(&first, &vubs(&[("a", None), ("b", Some(7))]));
    assert!(said.starts_with("1 7 is the VNI of segment a: hosts that follow"), "{said}");
    let without = first.after(&vubs(&[("c", None)])).unwrap();
    assert_eq!(without.segments.values().copied().collect::<Vec<_>>(), [FIRST_DEALT_VNI + 1]);
    let said = refusal(&without, &vubs(&[("c", Some(7))]));
    assert!(said.starts_with("0 7 was the VNI of segment a: "), "{said}");
    let said = refusal(&without, &vubs(&[("c", Some(FIRST_DEALT_VNI))]));
    assert!(said.starts_with("0 8388608 was the VNI of a segment that is gone: "), "{said}");
    // Its own it may have back, and one that nobody had is anybody's.
    let back = without.after(&vubs(&[("a", Some(7)), ("c", Some(9))])).unwrap();
    assert_eq!(back.segments.values().copied().collect::<Vec<_>>(), [7, 9]);
    assert!(back.retired.is_empty());
}

#[test]
fn a_segment_keeps_its_vni_when_it_is_declared_no_more_or_is_on_one_host() {
    let first = Numbers::default().after(&vubs(&[("a", Some(7)), ("b", None)])).unwrap();
    let mut description = vubs(&[("b", None), ("a", None)]).description().clone();
    description.ports.retain(|port| port.host == "h1");
    let next = first.after(&Topology::build(&description).unwrap()).unwrap();
    assert_eq!(next, first);
}

#[test]
fn what_is_on_one_host_needs_no_vni() {
    let mut description = vubs(&[("a", None)]).description().clone();
    description.ports.retain(|port| port.host == "h1");
    let topology = Topology::build(&description).unwrap();
    assert!(topology.has_own_numbers());
    assert_eq!(topology.segment(0).vni, 0);
    assert!(Numbers::default().after(&topology).unwrap().segments.is_empty());
}

#[test]
fn numbers_that_lack_a_name_are_told() {
    let topology = vubs(&[("a", Some(7)), ("b", None)]);
    let all = Numbers::default().after(&topology).unwrap();
    all.check(&topology, "h1").unwrap();
    let mut less = all.clone();
    less.hosts.remove("h2");
    assert_eq!(less.check(&topology, "h1"), Err("host h2".to_owned()));
    let mut less = all;
    less.segments.pop_last();
    assert_eq!(less.check(&topology, "h1"), Err("segment b".to_owned()));
}

#[test]
fn the_last_vni_is_dealt_and_then_none_is_left() {
    let mut numbers = Numbers { next_vni: (1 << 24) - 2, ..Numbers::default() };
    numbers = numbers.after(&vubs(&[("a", None)])).unwrap();
    assert_eq!(numbers.segments.values().copied().collect::<Vec<_>>(), [(1 << 24) - 2]);
    let said = refusal(&numbers, &vubs(&[("a", None), ("b", None)]));
    assert!(said.starts_with("1 segment b needs a VNI, and all from 8388608 up"), "{said}");
}

#[test]
fn a_segment_is_called_as_its_vub_or_its_vlan() {
    for text in ["vub8", "dc1.8", "dc1.8.5"] {
        assert_eq!(text.parse::<SegmentName>().unwrap().to_string(), text);
    }
    for text in ["", ".8", "dc1.0", "dc1.4095", "dc1.x", "dc1.8.5.1", "dc1."] {
        assert!(text.parse::<SegmentName>().is_err(), "{text}");
    }
}

/// Of a bridge that is called otherwise now.
fn renamed(from: &str, to: &str, topology: &Topology) -> Topology {
    let mut description = topology.description().clone();
    for bridge in description.bridges.iter_mut().filter(|bridge| bridge.name == from) {
        (bridge.name, bridge.renamed_from) = (to.to_owned(), Some(from.to_owned()));
    }
    for port in description.ports.iter_mut().filter(|port| port.bridge == from) {
        port.bridge = to.to_owned();
    }
    Topology::build(&description).unwrap()
}

#[test]
fn a_bridge_that_is_renamed_keeps_its_numbers() {
    let old = vubs(&[("a", Some(7)), ("b", None)]);
    let first = Numbers::default().after(&old).unwrap();
    let said = refusal(&first, &vubs(&[("c", Some(7)), ("b", None)]));
    assert!(said.starts_with("0 7 is the VNI of segment a: "), "{said}");
    let new = renamed("b", "d", &renamed("a", "c", &old));
    let next = first.after(&new).unwrap();
    let names: Vec<(String, u32)> =
        next.segments.iter().map(|(name, vni)| (name.to_string(), *vni)).collect();
    assert_eq!(names, [("c".to_owned(), 7), ("d".to_owned(), FIRST_DEALT_VNI)]);
    assert!(next.retired.is_empty());
    // It says so as long as it likes. Whoever is called as it was gets numbers of its own.
    assert_eq!(next.after(&new).unwrap(), next);
    let back = next.after(&vubs(&[("a", None), ("c", None), ("d", None)])).unwrap();
    let names: Vec<u32> = back.segments.values().copied().collect();
    assert_eq!(names, [FIRST_DEALT_VNI + 1, 7, FIRST_DEALT_VNI]);
    // Who has numbers already takes none over.
    let both = Numbers::default().after(&vubs(&[("a", None), ("c", None)])).unwrap();
    let kept = both.after(&renamed("a", "c", &vubs(&[("a", None)]))).unwrap();
    assert_eq!(kept.segments.values().copied().collect::<Vec<_>>(), [FIRST_DEALT_VNI + 1]);
}

#[test]
fn a_further_vni_is_declared_by_nobody() {
    let mut description = vubs(&[("a", None)]).description().clone();
    description.ports[0].isolated = true;
    let first = Numbers::default().after(&Topology::build(&description).unwrap()).unwrap();
    let [further] = &first.further.values().collect::<Vec<_>>()[..] else { panic!("{first:?}") };
    assert_eq!((further.isolated, first.next_vni), (Some(FIRST_DEALT_VNI + 1), FIRST_DEALT_VNI + 2));
    let said = refusal(&first, &vubs(&[("a", None), ("b", Some(FIRST_DEALT_VNI + 1))]));
    assert!(said.starts_with("1 8388609 is a further VNI of segment a: "), "{said}");
    // No port is isolated any more: the next that is gets another one.
    let none = first.after(&vubs(&[("a", None)])).unwrap();
    assert!(none.further.is_empty());
    let again = none.after(&Topology::build(&description).unwrap()).unwrap();
    assert_eq!(again.further.values().next().and_then(|further| further.isolated), Some(FIRST_DEALT_VNI + 2));
}
