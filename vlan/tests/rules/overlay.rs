//! What `Topology::build` refuses of hosts that send each other frames, and of VTEPs: each with a neighbour that is right.

use std::net::IpAddr;

use vlan::addr::MacAddr;
use vlan::model::description::{
    BpduPolicy, BridgeKind, DatapathKind, Description, Flood, Host, HostAddresses, HostKind, Mode, OnLimit,
    Port, Storm, TagPolicy, TrunkMode,
};
use vlan::model::topology::Topology;
use vlan::vid::Vid;

use crate::described::{Case, aware, hold, said, unaware, vlan_8};

/// VLAN 8 of `dc1` is `vub8`: with a trunk of gw1, a VM at gw2, and a VTEP.
fn right() -> Description {
    let host = |name: &str, kind, last| Host {
        name: name.to_owned(),
        kind,
        underlay: Some([192, 0, 2, last].into()),
        ..Host::default()
    };
    let trunk =
        Port { mode: Mode::Trunk(TrunkMode::default()), ..Port::plain("leaf1", "dc1", "gw1", "eth0") };
    Description {
        hosts: vec![
            host("gw1", HostKind::L2gw, 1),
            host("gw2", HostKind::L2gw, 2),
            host("vtep1", HostKind::Vtep, 9),
        ],
        bridges: vec![aware("dc1", "leaf-pair"), unaware("vub8", Some(8_008)), unaware("vub9", None)],
        vlans: vec![vlan_8()],
        trunks: vec![trunk],
        ports: vec![Port::plain("vm8", "vub8", "gw2", "tap8"), Port::plain("racks", "vub8", "vtep1", "")],
        ..Description::default()
    }
}

const CASES: &[Case] = &[
    Case(
        "no UDP port",
        |d| d.overlay.port = 0,
        "overlay 0 port: 0 is out of range, allowed is 1 to 65535",
        |d| d.overlay.port = 65_535,
    ),
    Case(
        "an underlay that carries too little",
        |d| d.hosts[0].underlay_mtu = Some(67),
        "hosts 0 underlay-mtu: 67 is out of range, allowed is 68 to 65535 bytes",
        |d| d.hosts[0].underlay_mtu = Some(68),
    ),
    Case(
        "a bridge of larger payloads than there are",
        |d| d.bridges[0].mtu = Some(65_536),
        "bridges 0 mtu: 65536 is out of range, allowed is 68 to 65535 bytes",
        |d| d.bridges[0].mtu = Some(65_535),
    ),
    Case(
        "a tunnel address of this machine",
        |d| d.hosts[2].underlay = Some([127, 0, 0, 9].into()),
        r#"hosts 2 underlay: "127.0.0.9" is not the address of one machine, allowed is neither multicast, broadcast, loopback nor unspecified"#,
        |d| d.hosts[2].underlay = Some([128, 0, 0, 9].into()),
    ),
    Case(
        "a tunnel address of this network",
        |d| d.hosts[2].underlay = Some([0, 0, 0, 9].into()),
        r#"hosts 2 underlay: "0.0.0.9" is of "this network" (0.0.0.0/8), allowed is the address of one machine"#,
        |d| d.hosts[2].underlay = Some([1, 0, 0, 9].into()),
    ),
    Case(
        "a tunnel address on a link",
        |d| {
            d.ports.clear();
            d.hosts[2].underlay = Some(ip("fe80::9"));
        },
        r#"hosts 2 underlay: "fe80::9" is an address on one link (fe80::/10), allowed is one that routers know"#,
        |d| {
            d.ports.clear();
            d.hosts[2].underlay = Some(ip("fd00::9"));
        },
    ),
    Case(
        "two hosts with one tunnel address",
        |d| d.hosts[2].underlay = d.hosts[0].underlay,
        r#"hosts 2 underlay: "192.0.2.1" is the tunnel address of host "gw1" already, each host has its own"#,
        |d| d.hosts[2].underlay = Some([192, 0, 2, 3].into()),
    ),
    Case(
        "two IP versions on one segment",
        |d| d.hosts[1].underlay = Some(ip("2001:db8::2")),
        r#"hosts 1 underlay: "2001:db8::2" is IPv6, and host "gw1", with which it shares vub8, has "192.0.2.1": between two hosts both are IPv4 or both IPv6"#,
        |d| {
            // Nothing goes between the two.
            d.hosts[1].underlay = Some(ip("2001:db8::2"));
            d.ports[0].bridge = "vub9".to_owned();
        },
    ),
    Case(
        "a VTEP that is nowhere",
        |d| d.hosts[2].underlay = None,
        r#"hosts 2 underlay: missing: a VTEP is reached at its tunnel address, such as "192.0.2.9""#,
        |d| d.hosts[1].underlay = None,
    ),
    Case(
        "a VTEP that is told what to drive",
        |d| d.hosts[2].datapath = DatapathKind::Ovs,
        r#"hosts 2 datapath: "datapath" is for kind "l2gw", this host is a VTEP"#,
        |d| d.hosts[1].datapath = DatapathKind::Ovs,
    ),
    Case(
        "a VTEP's trunk",
        |d| d.trunks[0].host = "vtep1".to_owned(),
        r#"trunks 0 host: "vtep1" is a VTEP, which has no trunks: it is a member of VLAN-unaware bridges, by [[ports]]"#,
        |d| d.trunks[0].host = "gw2".to_owned(),
    ),
    Case(
        "a VTEP's link",
        |d| d.ports[1].link = "eth0".to_owned(),
        r#"ports 1 link: "link" has no use here: host "vtep1" is a VTEP, which has none"#,
        |d| d.ports[1] = Port::plain("vm9", "vub8", "gw1", "tap9"),
    ),
    Case(
        "a port without a link",
        |d| d.ports[1].host = "gw1".to_owned(),
        r#"ports 1 link: missing: a port is bound to a link of its host, such as "enp3s0f0"; only a port at a VTEP has none"#,
        |_| {},
    ),
    Case(
        "a trunk without a link",
        |d| d.trunks[0].link = String::new(),
        r#"trunks 0 link: missing: a port is bound to a link of its host, such as "enp3s0f0"; only a port at a VTEP has none"#,
        |d| d.trunks[0].link = "eth1".to_owned(),
    ),
    Case(
        "a VTEP in VLANs",
        |d| d.ports[1].bridge = "dc1".to_owned(),
        r#"ports 1 bridge: "dc1" is VLAN-aware, a VTEP is a member of VLAN-unaware bridges"#,
        |d| d.vlans.clear(),
    ),
    Case(
        "a VTEP's port with a mode",
        |d| d.ports[1].mode = Mode::Access { vid: Vid::new(8) },
        r#"ports 1 mode: bridge "vub8" is VLAN-unaware, a port of it has no mode"#,
        |d| d.ports[1].mode = Mode::Plain,
    ),
    Case(
        "a VTEP on a segment whose number is dealt out",
        |d| d.ports[1].bridge = "vub9".to_owned(),
        r#"ports 1 bridge: "vub9" declares no "vni", and a VTEP has to be configured with the same number"#,
        |d| {
            d.ports[1].bridge = "vub9".to_owned();
            d.bridges[2].kind = BridgeKind::VlanUnaware { vni: Some(8_009) };
        },
    ),
    Case(
        "a VTEP that is a member twice",
        |d| d.ports.push(Port::plain("more", "vub8", "vtep1", "")),
        r#"ports 2 bridge: host "vtep1" is a member of "vub8" by port "racks" already, a VTEP is one port of a bridge"#,
        |d| {
            d.ports.push(Port::plain("more", "vub8", "vtep2", ""));
            let vtep2 = Host { name: "vtep2".to_owned(), ..d.hosts[2].clone() };
            d.hosts.push(Host { underlay: Some([192, 0, 2, 10].into()), ..vtep2 });
        },
    ),
    Case(
        "an isolated VTEP",
        |d| d.ports[1].isolated = true,
        r#"ports 1 isolated: "isolated" has no use here: host "vtep1" is a VTEP, which would not keep its own stations apart"#,
        |d| d.ports[0].isolated = true,
    ),
    Case(
        "addresses that stick to a VTEP",
        |d| d.ports[1].sticky = Some(2),
        r#"ports 1 sticky: "sticky" has no use here: host "vtep1" is a VTEP, and each host learns by itself which addresses are behind it"#,
        |d| d.ports[1].macs = vec![MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2])],
    ),
    Case(
        "priorities in tags to a VTEP",
        |d| d.ports[1].priority_tags = true,
        r#"ports 1 priority-tags: "priority-tags" has no use here: host "vtep1" is a VTEP, which may discard a frame with a tag in it (RFC 7348 6.1)"#,
        |d| d.ports[1].tags = Some(TagPolicy::Pass),
    ),
    Case(
        "BPDUs of a VTEP",
        |d| d.ports[1].bpdu = BpduPolicy::Discard,
        r#"ports 1 bpdu: "bpdu" has no use here: host "vtep1" is a VTEP, which no BPDU blocks"#,
        |d| d.ports[0].bpdu = BpduPolicy::Discard,
    ),
    Case(
        "storms from a VTEP",
        |d| d.ports[1].storm = Some(Storm::default()),
        r#"ports 1 storm: "storm" has no use here: host "vtep1" is a VTEP, and storm control counts what comes in by a link"#,
        |d| d.ports[0].storm = Some(Storm::default()),
    ),
    Case(
        "a VTEP's own addresses",
        |d| d.ports[1].host_addresses = HostAddresses::Keep,
        r#"ports 1 host-addresses: "host-addresses" has no use here: host "vtep1" is a VTEP, which has no link"#,
        |d| d.ports[0].host_addresses = HostAddresses::Keep,
    ),
];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_wrong_value_is_refused_and_its_neighbour_is_not() {
    hold(right, CASES);
}

#[test]
fn a_vtep_may_have_what_our_own_hosts_do_about_it() {
    let mut description = right();
    description.ports[1] = Port {
        macs: vec![MacAddr([2, 0, 0, 0, 0, 1])],
        shared_macs: vec![MacAddr([0, 0, 0x5e, 0, 1, 1])],
        ips: vec![[10, 8, 0, 1].into()],
        mac_limit: Some(64),
        on_limit: OnLimit::Drop,
        flood: Flood { withholds_unknown: true },
        mtu: Some(1_500),
        ..description.ports[1].clone()
    };
    assert_eq!(said(&description), Vec::<String>::new());
}

#[test]
fn frames_with_a_tag_of_their_own_pass_at_our_hosts_and_not_at_a_vtep() {
    let drops = |tags: [Option<TagPolicy>; 2]| {
        let mut description = right();
        (description.ports[0].tags, description.ports[1].tags) = (tags[0], tags[1]);
        let topology = Topology::build(&description).unwrap();
        ["vm8", "racks"].map(|name| topology.port_named(name).unwrap().drops_tags)
    };
    assert_eq!(drops([None, None]), [false, true]);
    assert_eq!(drops([Some(TagPolicy::Drop), Some(TagPolicy::Pass)]), [true, false]);
}

/// A segment on several hosts is no reason to refuse what was in force before there were tunnels: it is told.
#[test]
fn a_host_that_shares_a_segment_and_has_no_tunnel_address_is_told() {
    let warnings = |description: &Description| {
        let topology = Topology::build(description).unwrap();
        let about = topology.warnings().iter().filter(|warning| warning.place.key == "underlay");
        about.map(|warning| (warning.place.index, warning.text.clone())).collect::<Vec<_>>()
    };
    let mut description = right();
    assert_eq!(warnings(&description), []);
    description.hosts[1].underlay = None;
    let said =
        "missing: it shares vub8 with host \"gw1\", and without a tunnel address nothing goes between them";
    assert_eq!(warnings(&description), [(1, said.to_owned())]);
    description.hosts[0].underlay = None;
    description.ports.push(Port::plain("a", "vub9", "gw1", "tap-a"));
    description.ports.push(Port::plain("b", "vub9", "gw2", "tap-b"));
    let said = |other: &str| {
        format!(
            "missing: it shares vub8, and one more segment with host \"{other}\", and without a tunnel address nothing goes between them"
        )
    };
    assert_eq!(warnings(&description), [(0, said("gw2")), (1, said("gw1"))]);
    // Alone on its segments, a host needs none.
    description.ports.retain(|port| port.name == "b");
    assert_eq!(warnings(&description), []);
}
