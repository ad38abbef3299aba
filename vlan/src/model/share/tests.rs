//! A host's share has what the segments of its ports have, and is told apart from the whole by nothing that they meet.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::model::defaults::{DEFAULT_AGEING, DEFAULT_BRIDGE_MAC_LIMIT};
use crate::model::description::{Bridge, Host, Peering, Redundancy, TrunkMode};
use crate::model::id::HostId;
use crate::model::topology::Topology;
use crate::tag::Tpid;
use crate::vid::Vid;

const HOSTS: [&str; 4] = ["h0", "h1", "h2", "h3"];

fn vid(number: u16) -> Vid {
    Vid::new(number).unwrap()
}

fn bridge(name: String, is_aware: bool) -> Bridge {
    let (fabric, redundancy) = (name.clone(), Redundancy::Designated);
    let kind = match is_aware {
        true => BridgeKind::VlanAware { fabric, redundancy, tpid: Tpid::Customer, join_vids: true },
        false => BridgeKind::VlanUnaware { vni: None },
    };
    Bridge {
        name,
        ageing: DEFAULT_AGEING,
        mac_limit: DEFAULT_BRIDGE_MAC_LIMIT,
        renamed_from: None,
        mtu: None,
        kind,
    }
}

/// Four VABs (`b0` …), of which the first two may lead into the others, and four VUBs (`b4` …).
fn network() -> impl Strategy<Value = Description> {
    let peering = (0..4_usize, 1..6_u16, 2..8_usize);
    let port = (0..8_usize, 0..4_usize, 1..6_u16, 0..4_u8);
    (prop::collection::vec(peering, 0..8), prop::collection::vec(port, 0..10)).prop_map(|(vlans, ports)| {
        let mut made = Description {
            hosts: HOSTS.map(|name| Host { name: name.to_owned(), ..Host::default() }).into(),
            bridges: (0..8).map(|number| bridge(format!("b{number}"), number < 4)).collect(),
            ..Description::default()
        };
        let mut taken = BTreeSet::new();
        for (from, number, to) in vlans.into_iter().filter(|(from, _, to)| *from < 2 || *to >= 4) {
            if taken.insert((from, number)) {
                let (bridge, to) = (format!("b{from}"), format!("b{to}"));
                made.vlans.push(Peering { bridge, vid: vid(number), to });
            }
        }
        for (nth, (on, host, number, kind)) in ports.into_iter().enumerate() {
            let plain = Port::plain(&format!("p{nth}"), &format!("b{on}"), HOSTS[host], &format!("eth{nth}"));
            match (on < 4, kind) {
                (false, _) => made.ports.push(plain),
                (true, 0) => made.ports.push(Port { mode: Mode::Access { vid: Some(vid(number)) }, ..plain }),
                (true, 1) => {
                    let mode = Mode::Trunk(TrunkMode::default());
                    made.trunks.push(Port { mode, ..plain });
                }
                (true, _) => {
                    let translate = if kind == 3 { [(vid(9), vid(1))].into() } else { BTreeMap::new() };
                    let vlans = [number, number + 1, 9].map(vid).into_iter();
                    let vlans = Some(vlans.filter(|vid| kind == 2 || vid.get() != 1).collect());
                    let mode = Mode::Trunk(TrunkMode { vlans, translate, ..TrunkMode::default() });
                    made.trunks.push(Port { mode, ..plain });
                }
            }
        }
        made
    })
}

/// What a follower has in the end: it begins with the bridges of the host's ports and reads what it learns of.
fn followed(whole: &Description, host: &str) -> BTreeSet<String> {
    let owned = |names: &BTreeSet<&str>| names.iter().map(|name| (*name).to_owned()).collect();
    let led_from: BTreeMap<String, BTreeSet<String>> =
        whole.led_from().into_iter().map(|(name, from)| (name.to_owned(), owned(&from))).collect();
    let own = whole.bridges_of_hosts().remove(host).unwrap_or_default();
    let mut read = BTreeSet::new();
    loop {
        let mut known = whole.clone();
        known.bridges.retain(|bridge| read.contains(&bridge.name));
        known.vlans.retain(|peering| read.contains(&peering.bridge));
        known.trunks.retain(|trunk| read.contains(&trunk.bridge));
        known.ports.retain(|port| read.contains(&port.bridge));
        let led_from = led_from.iter().filter(|(name, _)| read.contains(*name));
        let led_from = led_from.map(|(name, from)| (name.clone(), from.clone())).collect();
        let reached: BTreeSet<String> =
            known.reach(host, own.iter().copied(), &led_from).into_iter().map(str::to_owned).collect();
        if reached.is_subset(&read) {
            return read;
        }
        read.extend(reached);
    }
}

/// The bridges of the segments that a host has ports on. A VAB that another leads to is one of them whether it knows a VLAN or not.
fn bridges_of(topology: &Topology, host: HostId) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for segment in topology.segments() {
        if segment.members.iter().any(|member| topology.port(member.port).host == host) {
            for domain in &segment.domains {
                let inner = domain.vid.and_then(|vid| topology.inner_bridge(domain.bridge, vid));
                let both = [Some(domain.bridge), inner].into_iter().flatten();
                found.extend(both.map(|bridge| topology.bridge(bridge).name.clone()));
            }
        }
    }
    found
}

/// Who hears whom on the segments of a host, and behind which tags.
fn members_of(topology: &Topology, host: HostId) -> BTreeMap<String, BTreeSet<(String, Vec<Vid>)>> {
    let mut found = BTreeMap::new();
    for (number, segment) in topology.segments().iter().enumerate() {
        if segment.members.iter().any(|member| topology.port(member.port).host == host) {
            let members = segment.members.iter().map(|member| {
                let stack = segment.domain(member.domain).stack().to_vec();
                (topology.port(member.port).name.clone(), stack)
            });
            found.insert(topology.segment_name(number as u32).to_string(), members.collect());
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn a_share_has_the_segments_of_its_host_and_nothing_else(whole in network()) {
        let Ok(topology) = Topology::build(&whole) else { return Ok(()) };
        for host in HOSTS {
            let read = followed(&whole, host);
            let share = Topology::build(&whole.clone().share(&read));
            let share = share.map_err(|mistakes| TestCaseError::fail(format!("{host}: {mistakes:?}")))?;
            let (in_whole, in_share) = (topology.host_named(host).unwrap(), share.host_named(host).unwrap());
            prop_assert_eq!(members_of(&share, in_share), members_of(&topology, in_whole), "{}", host);
            // A trunk into a VAB without any VLAN is on no segment; the VAB is read all the same.
            let mut needed = bridges_of(&topology, in_whole);
            let own = whole.bridges_of_hosts().remove(host).unwrap_or_default();
            needed.extend(own.into_iter().map(str::to_owned));
            let led_from = whole.led_from();
            let leading = needed.iter().filter_map(|name| led_from.get(name.as_str())).flatten();
            let leading: Vec<String> = leading.map(|name| (*name).to_owned()).collect();
            needed.extend(leading);
            prop_assert_eq!(&read, &needed, "{}", host);
        }
    }
}

/// One VAB of many VLANs: who has a VM in one of them needs the VAB and that one; a gateway with a trunk needs all.
#[test]
fn a_vm_needs_its_bridge_and_what_leads_there() {
    let mut made = Description {
        hosts: HOSTS.map(|name| Host { name: name.to_owned(), ..Host::default() }).into(),
        bridges: vec![bridge("dc1".to_owned(), true)],
        ..Description::default()
    };
    for number in 1..=40 {
        made.bridges.push(bridge(format!("vub{number}"), false));
        let (bridge, to) = ("dc1".to_owned(), format!("vub{number}"));
        made.vlans.push(Peering { bridge, vid: vid(number), to });
    }
    let native = Mode::Trunk(TrunkMode { native: Some(vid(9)), ..TrunkMode::default() });
    made.trunks.push(Port { mode: native, ..Port::plain("leaf1", "dc1", "h0", "eth0") });
    made.ports.push(Port::plain("vm8", "vub8", "h1", "tap8"));
    assert_eq!(followed(&made, "h0").len(), 41);
    let read = followed(&made, "h1");
    assert_eq!(read, ["dc1", "vub8"].map(str::to_owned).into());
    assert!(followed(&made, "h2").is_empty());
    // The trunk has all VLANs there too, its native one among them, though only one leads somewhere.
    let share = made.share(&read);
    assert_eq!((share.bridges.len(), share.vlans.len()), (2, 1));
    let topology = Topology::build(&share).unwrap();
    assert_eq!(topology.port_named("leaf1").unwrap().vids().len(), 40);
}
