//! Topologies at the edge of what is allowed.

use std::time::Duration;

use vlan::model::defaults::DEFAULT_BRIDGE_MAC_LIMIT;
use vlan::model::description::{Bridge, BridgeKind, Description, Host, Peering, Port, Redundancy};
use vlan::model::mistake::Table;
use vlan::model::topology::Topology;
use vlan::tag::Tpid;
use vlan::vid::Vid;

/// `bridges` VABs, of which every VLAN is the VUB `red`.
fn everything_is_red(bridges: usize) -> Description {
    let mut made = Description::default();
    made.hosts.push(Host { name: "h1".to_owned(), ..Host::default() });
    made.bridges.push(bridge("red".to_owned(), BridgeKind::VlanUnaware { vni: None }));
    for number in 0..bridges {
        let name = format!("sw{number}");
        let kind = BridgeKind::VlanAware {
            fabric: name.clone(),
            redundancy: Redundancy::Designated,
            tpid: Tpid::Customer,
            join_vids: true,
        };
        made.bridges.push(bridge(name.clone(), kind));
        made.vlans.extend((1..=Vid::MAX).filter_map(Vid::new).map(|vid| Peering {
            bridge: name.clone(),
            vid,
            to: "red".to_owned(),
        }));
    }
    made
}

fn bridge(name: String, kind: BridgeKind) -> Bridge {
    Bridge {
        name,
        ageing: Duration::ZERO,
        mac_limit: DEFAULT_BRIDGE_MAC_LIMIT,
        renamed_from: None,
        mtu: None,
        kind,
    }
}

#[test]
fn a_segment_has_as_many_vlans_as_its_index_can_count() {
    let topology = Topology::build(&everything_is_red(16)).unwrap();
    assert_eq!(topology.segments().iter().map(|segment| segment.domains.len()).max(), Some(65_505));
    let last = topology.bridge_named("sw15").unwrap().id;
    let located = topology.locate(last, Vid::new(4094), None).unwrap();
    assert_eq!(topology.segment(located.segment.number).domain(located.domain).bridge, last);
}

#[test]
fn one_more_bridge_is_refused_and_says_why() {
    let mistakes = Topology::build(&everything_is_red(17)).unwrap_err();
    let [mistake] = &mistakes[..] else { panic!("{mistakes:?}") };
    assert_eq!((mistake.place.table, mistake.place.key), (Table::Vlans, "to"));
    assert_eq!(mistake.text, "69599 VLANs and bridges are one segment, at most 65535 are allowed");
}

/// A provider's bridge, so many VLANs of which lead into one customer's.
fn stacked(outer: u16, join_vids: bool) -> Description {
    let mut made = Description::default();
    made.hosts.push(Host { name: "h1".to_owned(), ..Host::default() });
    for name in ["provider", "customer"] {
        let kind = BridgeKind::VlanAware {
            fabric: name.to_owned(),
            redundancy: Redundancy::Designated,
            tpid: Tpid::Customer,
            join_vids,
        };
        made.bridges.push(bridge(name.to_owned(), kind));
    }
    made.vlans.extend((1..=outer).filter_map(Vid::new).map(|vid| Peering {
        bridge: "provider".to_owned(),
        vid,
        to: "customer".to_owned(),
    }));
    made
}

#[test]
fn pairs_of_a_vlan_and_a_next_tag_are_bounded() {
    let topology = Topology::build(&stacked(128, true)).unwrap();
    assert_eq!(topology.segments().iter().map(|segment| segment.domains.len()).max(), Some(129));
    let mistakes = Topology::build(&stacked(1_500, true)).unwrap_err();
    let [mistake] = &mistakes[..] else { panic!("{mistakes:?}") };
    assert_eq!((mistake.place.table, mistake.place.index, mistake.place.key), (Table::Vlans, 128, "to"));
    let text = "with the VLANs of \"customer\" behind this one there are 528126 pairs of a VLAN and a next tag's VLAN, at most 524288 \
                are allowed";
    assert_eq!(mistake.text, text);
}

/// In each of 4 094 next tags 100 VLANs meet: that is 100 mistakes to be told, not 409 400.
#[test]
fn vlans_that_meet_in_every_next_tag_are_told_once_each() {
    let mistakes = Topology::build(&stacked(100, false)).unwrap_err();
    let places: Vec<usize> = mistakes.iter().map(|mistake| mistake.place.index).collect();
    assert_eq!(places, (1..100).collect::<Vec<_>>());
    assert!(
        mistakes[0].text.starts_with("VIDs 1.1 of \"provider\" and 2.1 of \"provider\" are one segment"),
        "{mistakes:?}"
    );
}

/// A host with so many ports of VMs, and another with one.
fn crowded(ports: u32) -> Description {
    let mut made = Description::default();
    made.hosts.extend(["h1", "h2"].map(|name| Host { name: name.to_owned(), ..Host::default() }));
    made.bridges.push(bridge("red".to_owned(), BridgeKind::VlanUnaware { vni: None }));
    let port = |host: &str, number: u32| {
        Port::plain(&format!("{host}-{number}"), "red", host, &format!("t{number}"))
    };
    made.ports.push(port("h2", 0));
    made.ports.extend((0..ports).map(|number| port("h1", number)));
    made
}

#[test]
fn a_host_has_as_many_ports_as_its_datapath_has_numbers() {
    let topology = Topology::build(&crowded(65_534)).unwrap();
    assert_eq!(topology.ports().len(), 65_535, "those of the other host are not counted");
}

#[test]
fn a_host_with_more_ports_is_refused_once_and_says_which_and_how_many() {
    for ports in [65_535, 150_000] {
        let mistakes = Topology::build(&crowded(ports)).unwrap_err();
        let [mistake] = &mistakes[..] else { panic!("{} mistakes", mistakes.len()) };
        assert_eq!(
            (mistake.place.table, mistake.place.index, mistake.place.key),
            (Table::Ports, 65_535, "host")
        );
        let expected = format!(
            "host \"h1\" has {ports} trunks and ports, at most 65534 are allowed: its datapath has no more numbers"
        );
        assert_eq!(mistake.text, expected);
    }
}
