//! What `Topology::build` refuses of objects one by one, whatever the description came from: each with a neighbour that is right.

use std::time::Duration;

use vlan::addr::MacAddr;
use vlan::model::description::{
    BpduPolicy, Bridge, BridgeKind, Description, Host, Mode, OnLimit, Peering, Port, Redundancy, Storm,
    TrunkMode,
};
use vlan::vid::{Vid, VidSet};

use crate::described::{Case, aware, hold, said, unaware, vlan_8};

/// VLAN 8 of `dc1` is `vub8`, with a trunk, a VM, a port in mode trunk and a customer's.
fn right() -> Description {
    let port = |name: &str, bridge: &str, mode| Port { mode, ..Port::plain(name, bridge, "gw1", name) };
    let qinq = Mode::Qinq { vid: Vid::new(100), customer_vlans: Some(VidSet::all()), pcp: None };
    Description {
        hosts: vec![Host { name: "gw1".to_owned(), ..Host::default() }],
        bridges: vec![aware("dc1", "leaf-pair"), unaware("vub8", Some(8008))],
        vlans: vec![vlan_8()],
        trunks: vec![port(
            "leaf1",
            "dc1",
            Mode::Trunk(TrunkMode { vlans: Some(VidSet::all()), ..TrunkMode::default() }),
        )],
        ports: vec![
            port("vm8", "vub8", Mode::Plain),
            port("fw", "dc1", Mode::Trunk(TrunkMode::default())),
            port("customer", "dc1", qinq),
        ],
        ..Description::default()
    }
}

const CASES: &[Case] = &[
    Case(
        "a port's name with a line end and an escape",
        |d| d.ports[0].name = "vm\n\u{1b}[31m8\"".to_owned(),
        r#"ports 0 name: "vm\n\u{1b}[31m8\"" is not a name, allowed is a-z, 0-9 and '-' (not first), at most 63 bytes"#,
        |d| d.ports[0].name = "vm-8".to_owned(),
    ),
    Case(
        "a port's name that is empty",
        |d| d.ports[0].name.clear(),
        r#"ports 0 name: "" is not a name, allowed is a-z, 0-9 and '-' (not first), at most 63 bytes"#,
        |d| d.ports[0].name = "v".to_owned(),
    ),
    Case(
        "a port's name in upper case",
        |d| d.ports[0].name = "VM8".to_owned(),
        r#"ports 0 name: "VM8" is not a name, allowed is a-z, 0-9 and '-' (not first), at most 63 bytes"#,
        |d| d.ports[0].name = "8vm".to_owned(),
    ),
    Case(
        "a trunk's name that is too long",
        |d| d.trunks[0].name = "x".repeat(64),
        r#"trunks 0 name: "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" has 64 bytes, allowed are 63"#,
        |d| d.trunks[0].name = "x".repeat(63),
    ),
    Case(
        "a host's name with a dot",
        |d| d.hosts.push(Host { name: "gw1.example".to_owned(), ..Host::default() }),
        r#"hosts 1 name: "gw1.example" is not a name, allowed is a-z, 0-9 and '-' (not first), at most 63 bytes"#,
        |d| d.hosts.push(Host { name: "gw2".to_owned(), ..Host::default() }),
    ),
    Case(
        "a bridge's name with a space",
        |d| d.bridges.push(Bridge { name: "DC 2".to_owned(), ..d.bridges[0].clone() }),
        r#"bridges 2 name: "DC 2" is not a name, allowed is a-z, 0-9 and '-' (not first), at most 63 bytes"#,
        |d| d.bridges.push(Bridge { name: "dc2".to_owned(), ..d.bridges[0].clone() }),
    ),
    Case(
        "a fabric with a slash",
        |d| fabric(d, "a/b"),
        r#"bridges 0 fabric: "a/b" is not a name, allowed is a-z, 0-9 and '-' (not first), at most 63 bytes"#,
        |d| fabric(d, "a-b"),
    ),
    Case(
        "a link of 40 bytes",
        |d| d.ports[0].link = "x".repeat(40),
        r#"ports 0 link: "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" is longer than a link's name can be, allowed are 1 to 15 bytes without '/', ':' and white space"#,
        |d| d.ports[0].link = "x".repeat(15),
    ),
    Case(
        "a link that is empty",
        |d| d.ports[0].link.clear(),
        r#"ports 0 link: missing: a port is bound to a link of its host, such as "enp3s0f0"; only a port at a VTEP has none"#,
        |d| d.ports[0].link = "x".to_owned(),
    ),
    Case(
        "a link with a zero byte",
        |d| d.ports[0].link = "a\0b".to_owned(),
        r#"ports 0 link: "a\u{0}b" has a control character, allowed are 1 to 15 bytes without '/', ':' and white space"#,
        |d| d.ports[0].link = "a.b".to_owned(),
    ),
    Case(
        "a link with slashes",
        |d| d.trunks[0].link = "../../x".to_owned(),
        r#"trunks 0 link: "../../x" has a character no link has, allowed are 1 to 15 bytes without '/', ':' and white space"#,
        |d| d.trunks[0].link = "..x".to_owned(),
    ),
    Case(
        "no address at all on a port",
        |d| d.ports[0].mac_limit = Some(0),
        "ports 0 mac-limit: 0 is out of range, allowed is 1 to 16000000 addresses",
        |d| d.ports[0].mac_limit = Some(1),
    ),
    Case(
        "more addresses than there is room for",
        |d| d.ports[0].mac_limit = Some(16_000_001),
        "ports 0 mac-limit: 16000001 is out of range, allowed is 1 to 16000000 addresses",
        |d| d.ports[0].mac_limit = Some(16_000_000),
    ),
    Case(
        "an MTU of nothing",
        |d| d.trunks[0].mtu = Some(0),
        "trunks 0 mtu: 0 is out of range, allowed is 68 to 65535 bytes",
        |d| d.trunks[0].mtu = Some(68),
    ),
    Case(
        "an MTU above every length field",
        |d| d.ports[0].mtu = Some(65_536),
        "ports 0 mtu: 65536 is out of range, allowed is 68 to 65535 bytes",
        |d| d.ports[0].mtu = Some(65_535),
    ),
    Case(
        "a storm of more than any link",
        |d| d.ports[0].storm = Some(Storm { unknown: 1_000_000_001, ..Storm::default() }),
        "ports 0 storm: 1000000001 is out of range, allowed is 0 to 1000000000 packets per second",
        |d| d.ports[0].storm = Some(Storm { unknown: 1_000_000_000, ..Storm::default() }),
    ),
    Case(
        "a declared group address",
        |d| d.ports[0].macs = vec![MacAddr([1, 0, 0, 0, 0, 1])],
        r#"ports 0 macs: "01:00:00:00:00:01" is a group address, allowed are individual ones (lowest bit of the first byte 0)"#,
        |d| d.ports[0].macs = vec![MacAddr([2, 0, 0, 0, 0, 1])],
    ),
    Case(
        "a declared null address",
        |d| d.trunks[0].macs = vec![MacAddr::ZERO],
        r#"trunks 0 macs: "00:00:00:00:00:00" is no station's address, allowed are individual ones"#,
        |d| d.trunks[0].macs = vec![MacAddr([0, 0, 0, 0, 0, 1])],
    ),
    Case(
        "an address declared twice",
        |d| d.ports[0].macs = vec![MacAddr([2; 6]); 2],
        r#"ports 0 macs: "02:02:02:02:02:02" is in the list twice"#,
        |d| d.ports[0].macs = vec![MacAddr([2; 6]), MacAddr([4; 6])],
    ),
    Case(
        "a shared group address",
        |d| d.ports[0].shared_macs = vec![MacAddr::BROADCAST],
        r#"ports 0 shared-macs: "ff:ff:ff:ff:ff:ff" is a group address, allowed are individual ones (lowest bit of the first byte 0)"#,
        |d| d.ports[0].shared_macs = vec![MacAddr([0, 0, 0x5e, 0, 1, 1])],
    ),
    Case(
        "a declared loopback address",
        |d| d.ports[0].ips = vec![[127, 0, 0, 1].into()],
        r#"ports 0 ips: "127.0.0.1" is not the address of one machine, allowed is neither multicast, broadcast, loopback nor unspecified"#,
        |d| d.ports[0].ips = vec![[10, 0, 0, 1].into()],
    ),
    Case(
        "a tunnel address of many machines",
        |d| d.hosts[0].underlay = Some([224, 0, 0, 1].into()),
        r#"hosts 0 underlay: "224.0.0.1" is not the address of one machine, allowed is neither multicast, broadcast, loopback nor unspecified"#,
        |d| d.hosts[0].underlay = Some([192, 0, 2, 1].into()),
    ),
    Case(
        "a trunk without weight",
        |d| trunk(d).weight = 0,
        "trunks 0 weight: 0 is out of range, allowed is 1 to 1000",
        |d| trunk(d).weight = 1_000,
    ),
    Case(
        "a trunk of no VLAN",
        |d| trunk(d).vlans = Some(VidSet::new()),
        "trunks 0 vlans: [] allows no VLAN, allowed are one or more",
        |d| trunk(d).vlans = None,
    ),
    Case(
        "a customer of no VLAN",
        |d| customer(d, Some(VidSet::new())),
        "ports 2 customer-vlans: [] allows no VLAN, allowed are one or more",
        |d| customer(d, None),
    ),
    Case(
        "an ageing of a nanosecond",
        |d| d.bridges[0].ageing = Duration::from_nanos(1),
        "bridges 0 ageing: 1ns is too short, allowed is 10s to 1000000s, or \"0s\" for never",
        |d| d.bridges[0].ageing = Duration::ZERO,
    ),
    Case(
        "an ageing of years",
        |d| d.bridges[1].ageing = Duration::MAX,
        "bridges 1 ageing: 18446744073709551615.999999999s is too long, allowed is 10s to 1000000s, or \"0s\" for never",
        |d| d.bridges[1].ageing = Duration::from_secs(1_000_000),
    ),
    Case(
        "a bridge of no address",
        |d| d.bridges[0].mac_limit = 0,
        "bridges 0 mac-limit: 0 is out of range, allowed is 1 to 16000000 addresses",
        |d| d.bridges[0].mac_limit = 1,
    ),
    Case(
        "VNI 0",
        |d| d.bridges[1].kind = BridgeKind::VlanUnaware { vni: Some(0) },
        "bridges 1 vni: 0 is out of range, allowed is 1 to 16777214",
        |d| d.bridges[1].kind = BridgeKind::VlanUnaware { vni: Some(1) },
    ),
    Case(
        "a VNI of 32 bits",
        |d| d.bridges[1].kind = BridgeKind::VlanUnaware { vni: Some(u32::MAX) },
        "bridges 1 vni: 4294967295 is out of range, allowed is 1 to 16777214",
        |d| d.bridges[1].kind = BridgeKind::VlanUnaware { vni: Some(16_777_214) },
    ),
    Case(
        "a trunk with a port's mode",
        |d| d.trunks[0].mode = Mode::Access { vid: Vid::new(8) },
        "trunks 0 mode: a trunk carries many VLANs, tagged, it has no other mode",
        |d| d.ports[1].mode = Mode::Access { vid: Vid::new(8) },
    ),
    Case(
        "a trunk with IP addresses",
        |d| d.trunks[0].ips = vec![[10, 0, 0, 1].into()],
        r#"trunks 0 ips: "ips" is for [[ports]], this is a trunk"#,
        |d| d.ports[1].ips = vec![[10, 0, 0, 1].into()],
    ),
    Case(
        "a trunk that says what a BPDU does",
        |d| d.trunks[0].bpdu = BpduPolicy::Discard,
        r#"trunks 0 bpdu: "bpdu" is for [[ports]], this is a trunk"#,
        |d| d.ports[1].bpdu = BpduPolicy::Discard,
    ),
    Case(
        "a port with a weight",
        |d| d.ports[1].mode = Mode::Trunk(TrunkMode { weight: 2, ..TrunkMode::default() }),
        r#"ports 1 weight: "weight" is for [[trunks]], this is a port with mode "trunk""#,
        |d| trunk(d).weight = 2,
    ),
    Case(
        "a bridge that is not there, by a name that nobody can have",
        |d| d.ports[0].bridge = "\u{1b}".repeat(100),
        r#"ports 0 bridge: "\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}…" is no bridge of this file"#,
        |_| {},
    ),
    Case(
        "an ageing that no file can say",
        |d| d.bridges[0].ageing = Duration::new(300, 1),
        "bridges 0 ageing: 300.000000001s is no whole number of milliseconds, allowed is 10s to 1000000s, or \"0s\" for never",
        |d| d.bridges[0].ageing = Duration::new(300, 1_000_000),
    ),
    Case(
        "an ageing of half a millisecond more",
        |d| d.bridges[1].ageing = Duration::from_micros(10_000_500),
        "bridges 1 ageing: 10.0005s is no whole number of milliseconds, allowed is 10s to 1000000s, or \"0s\" for never",
        |d| d.bridges[1].ageing = Duration::from_millis(10_001),
    ),
    Case(
        "a port to which no address sticks",
        |d| d.ports[0].sticky = Some(0),
        "ports 0 sticky: 0 is out of range, allowed is 1 to 1024 addresses",
        |d| d.ports[0].sticky = Some(1),
    ),
    Case(
        "a port to which too many addresses stick",
        |d| (d.ports[0].sticky, d.ports[0].mac_limit) = (Some(1_025), Some(2_000)),
        "ports 0 sticky: 1025 is out of range, allowed is 1 to 1024 addresses",
        |d| d.ports[0].sticky = Some(1_024),
    ),
    Case(
        "a port to which more addresses stick than it may have",
        |d| (d.ports[0].sticky, d.ports[0].mac_limit) = (Some(3), Some(2)),
        "ports 0 sticky: 3 is more than the port's \"mac-limit\", which is 2",
        |d| (d.ports[0].sticky, d.ports[0].mac_limit) = (Some(3), Some(3)),
    ),
    Case(
        "a port with declared addresses to which others stick",
        |d| (d.ports[0].sticky, d.ports[0].macs) = (Some(1), vec![MacAddr([2, 0, 0, 0, 0, 1])]),
        "ports 0 sticky: \"sticky\" has no use beside \"macs\" or \"shared-macs\", which say whose addresses are here",
        |d| (d.ports[0].sticky, d.ports[1].macs) = (Some(1), vec![MacAddr([2, 0, 0, 0, 0, 1])]),
    ),
    Case(
        "a port with shared addresses to which others stick",
        |d| (d.ports[0].sticky, d.ports[0].shared_macs) = (Some(1), vec![MacAddr([2, 0, 0, 0, 0, 1])]),
        "ports 0 sticky: \"sticky\" has no use beside \"macs\" or \"shared-macs\", which say whose addresses are here",
        |d| d.ports[0].shared_macs = vec![MacAddr([2, 0, 0, 0, 0, 1])],
    ),
    Case(
        "a port to which addresses stick and where others are let in unlearned",
        |d| (d.ports[0].sticky, d.ports[0].on_limit) = (Some(1), OnLimit::Flood),
        "ports 0 on-limit: \"on-limit\" cannot be \"flood\" beside \"sticky\": frames of one address too many are dropped",
        |d| (d.ports[0].sticky, d.ports[0].on_limit) = (Some(1), OnLimit::Drop),
    ),
    Case(
        "a trunk to which addresses stick",
        |d| d.trunks[0].sticky = Some(1),
        "trunks 0 sticky: \"sticky\" is for [[ports]], this is a trunk",
        |d| d.ports[1].sticky = Some(1),
    ),
    Case(
        "trunks of a spanning tree on two hosts",
        |d| stp_trunks(d, "gw2"),
        "trunks 1 host: bridge \"dc1\" has redundancy \"stp\" and trunk \"leaf1\" on host \"gw1\": this version passes spanning tree frames between trunks of one host only, so the switches would not see the loop; allowed is \"gw1\", or redundancy = \"designated\"",
        |d| stp_trunks(d, "gw1"),
    ),
];

fn trunk(description: &mut Description) -> &mut TrunkMode {
    match &mut description.trunks[0].mode {
        Mode::Trunk(trunk) => trunk,
        other => panic!("{other:?}"),
    }
}

fn customer(description: &mut Description, vids: Option<VidSet>) {
    match &mut description.ports[2].mode {
        Mode::Qinq { customer_vlans, .. } => *customer_vlans = vids,
        other => panic!("{other:?}"),
    }
}

/// A second trunk of the bridge, on this host, with spanning tree.
fn stp_trunks(description: &mut Description, host: &str) {
    if let BridgeKind::VlanAware { redundancy, .. } = &mut description.bridges[0].kind {
        *redundancy = Redundancy::Stp;
    }
    if host != "gw1" {
        description.hosts.push(Host { name: host.to_owned(), ..Host::default() });
    }
    let second = Port {
        name: "leaf9".to_owned(),
        host: host.to_owned(),
        link: "eth9".to_owned(),
        ..description.trunks[0].clone()
    };
    description.trunks.push(second);
}

fn fabric(description: &mut Description, name: &str) {
    match &mut description.bridges[0].kind {
        BridgeKind::VlanAware { fabric, .. } => *fabric = name.to_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_wrong_value_is_refused_and_its_neighbour_is_not() {
    hold(right, CASES);
}

/// Several wrong things are told together, in the order of the description.
#[test]
fn every_mistake_is_told_at_once() {
    let mut description = right();
    let mut expected = Vec::new();
    for case in [25, 27, 28, 13, 8, 11, 1] {
        let Case(_, wrong, text, _) = &CASES[case];
        wrong(&mut description);
        expected.push((*text).to_owned());
    }
    assert_eq!(said(&description), expected);
}

#[test]
fn there_are_no_more_vlans_than_a_file_may_have() {
    let most = Peering::MOST;
    let told = |count: usize| {
        let mut description = right();
        let peering = |nth: usize| Peering {
            bridge: format!("dc{}", nth / 4_094),
            vid: Vid::new((nth % 4_094 + 1) as u16).unwrap(),
            to: "vub8".to_owned(),
        };
        description.vlans = (0..count).map(peering).collect();
        let text = "at most that many are allowed";
        said(&description).into_iter().filter(|said| said.ends_with(text)).collect::<Vec<_>>()
    };
    assert_eq!(told(most), Vec::<String>::new());
    let expected = format!(
        "vlans {most} vid: with this one there are more than {most} VLANs ({}), at most that many are allowed",
        most + 1
    );
    assert_eq!(told(most + 1), [expected]);
}
