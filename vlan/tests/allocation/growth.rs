//! Building a topology takes a time and a room that grow as the description does, whatever it is made of and whether it is right.
//!
//! Time is compared between sizes on a machine that may do other things as well, so the bound is far from linear and still far below
//! what looking at everything for everything would take. `--nocapture` shows what was measured.
// It measures time.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]
use std::time::{Duration, Instant};

use allocation_counter::measure;
use vlan::model::defaults::{DEFAULT_AGEING, DEFAULT_BRIDGE_MAC_LIMIT};
use vlan::model::description::{
    Bridge, BridgeKind, Description, Host, Mode, Peering, Port, Redundancy, TrunkMode,
};
use vlan::model::topology::Topology;
use vlan::tag::Tpid;
use vlan::vid::{Vid, VidSet};

/// A kind of description, the smaller of its two sizes, and how many mistakes are in one of a size.
struct Growth(&'static str, fn(usize) -> Description, usize, fn(usize) -> usize);

const KINDS: &[Growth] = &[
    Growth("VLANs with three ports each", vlans_with_ports, 1_023, |_| 0),
    Growth("bridges, each VLAN of which leads to the next", chain, 4_000, |size| size - 2),
    Growth("ports of a bridge that is misspelt", misspelt, 10_000, |size| size),
    Growth("access ports of one bridge, many in each VLAN", access_ports, 10_000, |_| 0),
    Growth("ports in mode trunk, with few VLANs each", trunk_ports, 5_000, |_| 0),
    Growth("bridges with a fabric each, one VLAN of all is one segment", fabrics, 2_000, |_| 0),
    Growth("bridges of one fabric and one VLAN, one segment", one_fabric, 2_000, |_| 0),
    Growth("bridges of one fabric and many VLANs, one segment", clashing, 1_000, |size| size - 1),
    Growth("bridges of one fabric with spanning tree, one segment", spanning_trees, 1_000, |size| size - 1),
    Growth("trunks of a bridge with spanning tree", stp_trunks, 2_000, |_| 0),
    Growth("hosts with a port each", hosts, 5_000, |_| 0),
];

#[test]
fn a_description_of_four_times_the_size_takes_about_four_times_as_much() {
    for Growth(name, make, size, mistakes) in KINDS {
        let [(small_bytes, small_time), (bytes, time)] = [*size, size * 4].map(|size| {
            let description = make(size);
            let start = Instant::now();
            let mut said = 0;
            let allocated =
                measure(|| said = Topology::build(&description).map_or_else(|all| all.len(), |_| 0));
            assert_eq!(said, mistakes(size), "{name}, {size}");
            (allocated.bytes_total, start.elapsed())
        });
        println!(
            "{name}: {small_time:?} and {small_bytes} bytes with {size}, {time:?} and {bytes} bytes with four times as many"
        );
        assert!(bytes <= small_bytes * 5, "{name}: {small_bytes} bytes, with four times as many {bytes}");
        let bound = small_time.max(Duration::from_millis(50)) * 12;
        assert!(time <= bound, "{name}: {small_time:?}, with four times as many {time:?}");
    }
}

fn vlans_with_ports(size: usize) -> Description {
    let mut made = gateway();
    made.bridges.push(aware("dc1", "fabric", Redundancy::Designated));
    made.trunks.push(trunk("leaf1", "dc1", None));
    for number in 1..=size.min(4_094) {
        let name = format!("v{number}");
        made.bridges.push(unaware(&name));
        made.vlans.push(Peering { bridge: "dc1".to_owned(), vid: vid(number), to: name.clone() });
        made.ports.extend((0..3).map(|nth| {
            let port = format!("p{number}-{nth}");
            Port::plain(&port, &name, "gw1", &port)
        }));
    }
    made
}

fn chain(size: usize) -> Description {
    let mut made = gateway();
    made.bridges =
        (0..size).map(|number| aware(&format!("b{number}"), "fabric", Redundancy::Designated)).collect();
    let peering = |number: usize| Peering {
        bridge: format!("b{number}"),
        vid: vid(number),
        to: format!("b{}", number + 1),
    };
    made.vlans = (0..size - 1).map(peering).collect();
    made
}

fn misspelt(size: usize) -> Description {
    let mut made = gateway();
    made.bridges = (0..size).map(|number| unaware(&format!("bridge{number}"))).collect();
    let port = |number: usize| {
        Port::plain(&format!("p{number}"), &format!("bridgx{number}"), "gw1", &format!("l{number}"))
    };
    made.ports = (0..size).map(port).collect();
    made
}

fn access_ports(size: usize) -> Description {
    let mut made = gateway();
    made.bridges.push(aware("dc1", "fabric", Redundancy::Designated));
    let port = |number: usize| {
        let name = format!("p{number}");
        Port { mode: Mode::Access { vid: Some(vid(number)) }, ..Port::plain(&name, "dc1", "gw1", &name) }
    };
    made.ports = (0..size).map(port).collect();
    made
}

fn trunk_ports(size: usize) -> Description {
    let mut made = gateway();
    made.bridges.push(aware("dc1", "fabric", Redundancy::Designated));
    let vids = |number: usize| Some((0..3).map(|nth| vid(number * 3 + nth)).collect());
    made.ports = (0..size).map(|number| trunk(&format!("p{number}"), "dc1", vids(number))).collect();
    made
}

/// VABs into one VUB, each with a trunk.
fn joined(
    size: usize,
    fabric: fn(usize) -> String,
    vlan: fn(usize) -> usize,
    redundancy: Redundancy,
) -> Description {
    let mut made = gateway();
    made.bridges.push(unaware("red"));
    for number in 0..size {
        let name = format!("sw{number}");
        made.bridges.push(aware(&name, &fabric(number), redundancy));
        made.trunks.push(trunk(&format!("t{number}"), &name, None));
        made.vlans.push(Peering { bridge: name, vid: vid(vlan(number)), to: "red".to_owned() });
    }
    made
}

fn fabrics(size: usize) -> Description {
    joined(size, |number| format!("f{number}"), |number| number, Redundancy::Designated)
}

fn one_fabric(size: usize) -> Description {
    joined(size, |_| "fabric".to_owned(), |_| 7, Redundancy::Designated)
}

fn clashing(size: usize) -> Description {
    joined(size, |_| "fabric".to_owned(), |number| number, Redundancy::Designated)
}

fn spanning_trees(size: usize) -> Description {
    joined(size, |_| "fabric".to_owned(), |_| 7, Redundancy::Stp)
}

fn stp_trunks(size: usize) -> Description {
    let mut made = gateway();
    made.bridges.push(aware("dc1", "fabric", Redundancy::Stp));
    let vids: VidSet = (1..=30).map(vid).collect();
    made.trunks = (0..size).map(|number| trunk(&format!("t{number}"), "dc1", Some(vids.clone()))).collect();
    made
}

fn hosts(size: usize) -> Description {
    let mut made = Description::default();
    made.bridges.push(unaware("red"));
    for number in 0..size {
        let name = format!("h{number}");
        made.ports.push(Port::plain(&format!("p{number}"), "red", &name, "eth0"));
        made.hosts.push(Host { name, ..Host::default() });
    }
    made
}

fn gateway() -> Description {
    Description { hosts: vec![Host { name: "gw1".to_owned(), ..Host::default() }], ..Description::default() }
}

fn aware(name: &str, fabric: &str, redundancy: Redundancy) -> Bridge {
    bridge(
        name,
        BridgeKind::VlanAware {
            fabric: fabric.to_owned(),
            redundancy,
            tpid: Tpid::Customer,
            join_vids: false,
        },
    )
}

fn unaware(name: &str) -> Bridge {
    bridge(name, BridgeKind::VlanUnaware { vni: None })
}

fn bridge(name: &str, kind: BridgeKind) -> Bridge {
    Bridge {
        name: name.to_owned(),
        ageing: DEFAULT_AGEING,
        mac_limit: DEFAULT_BRIDGE_MAC_LIMIT,
        renamed_from: None,
        mtu: None,
        kind,
    }
}

fn trunk(name: &str, bridge: &str, vlans: Option<VidSet>) -> Port {
    let mode = Mode::Trunk(TrunkMode { vlans, ..TrunkMode::default() });
    Port { mode, ..Port::plain(name, bridge, "gw1", name) }
}

fn vid(number: usize) -> Vid {
    Vid::new((number % 4_094) as u16 + 1).unwrap()
}
