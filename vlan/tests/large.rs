//! Topologies at the edge of what is allowed.

// Clippy sees tests only where it sees #[test]; what these share is test code too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use vlan::model::defaults::DEFAULT_BRIDGE_MAC_LIMIT;
use vlan::model::description::{Bridge, BridgeKind, Description, Host, Peering, Redundancy};
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
    Bridge { name, ageing: Duration::ZERO, mac_limit: DEFAULT_BRIDGE_MAC_LIMIT, kind }
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
