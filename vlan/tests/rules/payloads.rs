//! Payloads that do not fit into the underlay of the hosts that share a segment: each with a neighbour that fits to the byte.

use vlan::model::description::{Description, Host, Mode, Port, TagPolicy, TrunkMode};
use vlan::model::mistake::Mistake;
use vlan::model::topology::Topology;
use vlan::vid::Vid;

use crate::described::{Case, Change, aware, told, unaware, vlan_8};

/// VLAN 8 of `dc1` is `vub8`: with a trunk of gw1 and a VM at gw2 that tags nothing. A second VM at gw1 is on `vub9`, all alone.
fn right() -> Description {
    let host = |name: &str, last| Host {
        name: name.to_owned(),
        underlay: Some([192, 0, 2, last].into()),
        ..Host::default()
    };
    let vm = |name: &str, bridge, host, link| Port {
        tags: Some(TagPolicy::Drop),
        ..Port::plain(name, bridge, host, link)
    };
    let trunk =
        Port { mode: Mode::Trunk(TrunkMode::default()), ..Port::plain("leaf1", "dc1", "gw1", "eth0") };
    Description {
        hosts: vec![host("gw1", 1), host("gw2", 2)],
        bridges: vec![aware("dc1", "leaf-pair"), unaware("vub8", None), unaware("vub9", None)],
        vlans: vec![vlan_8()],
        trunks: vec![trunk],
        ports: vec![vm("vm8", "vub8", "gw2", "tap8"), vm("vm9", "vub9", "gw1", "tap9")],
        ..Description::default()
    }
}

const REFUSED: &[Case] = &[
    Case(
        "a trunk's payload, at its host",
        |d| (d.trunks[0].mtu, d.hosts[0].underlay_mtu) = (Some(1_500), Some(1_549)),
        r#"hosts 0 underlay-mtu: 1549 is too small: vub8, shared with host "gw2", has 1500 (mtu of trunk "leaf1") + 50 (VXLAN over IPv4) = 1550 bytes; allowed is 1550 to 65535 here, or at most 1499 there"#,
        |d| (d.trunks[0].mtu, d.hosts[0].underlay_mtu) = (Some(1_500), Some(1_550)),
    ),
    Case(
        "a trunk's payload, at the host of the others",
        |d| (d.trunks[0].mtu, d.hosts[1].underlay_mtu) = (Some(9_000), Some(9_000)),
        r#"hosts 1 underlay-mtu: 9000 is too small: vub8, shared with host "gw1", has 9000 (mtu of trunk "leaf1") + 50 (VXLAN over IPv4) = 9050 bytes; allowed is 9050 to 65535 here, or at most 8950 there"#,
        |d| (d.trunks[0].mtu, d.hosts[1].underlay_mtu) = (Some(8_950), Some(9_000)),
    ),
    Case(
        "the largest of several",
        |d| {
            (d.trunks[0].mtu, d.ports[0].mtu) = (Some(1_500), Some(9_000));
            d.hosts[0].underlay_mtu = Some(9_049);
        },
        r#"hosts 0 underlay-mtu: 9049 is too small: vub8, shared with host "gw2", has 9000 (mtu of port "vm8") + 50 (VXLAN over IPv4) = 9050 bytes; allowed is 9050 to 65535 here, or at most 8999 there"#,
        |d| {
            (d.trunks[0].mtu, d.ports[0].mtu) = (Some(1_500), Some(9_000));
            d.hosts[0].underlay_mtu = Some(9_050);
        },
    ),
    Case(
        "an underlay of IPv6",
        |d| {
            over_ipv6(d);
            (d.trunks[0].mtu, d.hosts[0].underlay_mtu) = (Some(1_500), Some(1_569));
        },
        r#"hosts 0 underlay-mtu: 1569 is too small: vub8, shared with host "gw2", has 1500 (mtu of trunk "leaf1") + 70 (VXLAN over IPv6) = 1570 bytes; allowed is 1570 to 65535 here, or at most 1499 there"#,
        |d| {
            over_ipv6(d);
            (d.trunks[0].mtu, d.hosts[0].underlay_mtu) = (Some(1_500), Some(1_570));
        },
    ),
    Case(
        "what the VUB says, whatever its ports do",
        |d| {
            (d.bridges[1].mtu, d.trunks[0].mtu) = (Some(1_500), Some(9_000));
            d.hosts[0].underlay_mtu = Some(1_549);
        },
        r#"hosts 0 underlay-mtu: 1549 is too small: vub8, shared with host "gw2", has 1500 (mtu of bridge "vub8") + 50 (VXLAN over IPv4) = 1550 bytes; allowed is 1550 to 65535 here, or at most 1499 there"#,
        |d| {
            (d.bridges[1].mtu, d.trunks[0].mtu) = (Some(1_500), Some(9_000));
            d.hosts[0].underlay_mtu = Some(1_550);
        },
    ),
    Case(
        "what the VAB says of its VLANs",
        |d| (d.bridges[0].mtu, d.hosts[0].underlay_mtu) = (Some(9_000), Some(1_550)),
        r#"hosts 0 underlay-mtu: 1550 is too small: vub8, shared with host "gw2", has 9000 (mtu of bridge "dc1") + 50 (VXLAN over IPv4) = 9050 bytes; allowed is 9050 to 65535 here, or at most 1500 there"#,
        |d| {
            (d.bridges[0].mtu, d.bridges[1].mtu) = (Some(9_000), Some(1_500));
            d.hosts[0].underlay_mtu = Some(1_550);
        },
    ),
    Case(
        "a customer's tag",
        |d| {
            customer(d);
            (d.ports[0].mtu, d.hosts[0].underlay_mtu) = (Some(1_500), Some(1_553));
        },
        r#"hosts 0 underlay-mtu: 1553 is too small: vub8, shared with host "gw2", has 1500 (mtu of port "vm8") + 4 (a tag in it, by port "vm8") + 50 (VXLAN over IPv4) = 1554 bytes; allowed is 1554 to 65535 here, or at most 1499 there"#,
        |d| {
            customer(d);
            (d.ports[0].mtu, d.hosts[0].underlay_mtu) = (Some(1_500), Some(1_554));
        },
    ),
    Case(
        "a customer's tag in what the bridge says",
        |d| {
            customer(d);
            (d.bridges[1].mtu, d.hosts[1].underlay_mtu) = (Some(1_500), Some(1_553));
        },
        r#"hosts 1 underlay-mtu: 1553 is too small: vub8, shared with host "gw1", has 1500 (mtu of bridge "vub8") + 4 (a tag in it, by port "vm8") + 50 (VXLAN over IPv4) = 1554 bytes; allowed is 1554 to 65535 here, or at most 1499 there"#,
        |d| {
            customer(d);
            (d.bridges[1].mtu, d.hosts[1].underlay_mtu) = (Some(1_500), Some(1_554));
        },
    ),
    Case(
        "more than any underlay carries",
        |d| (d.trunks[0].mtu, d.hosts[0].underlay_mtu) = (Some(65_486), Some(65_535)),
        r#"hosts 0 underlay-mtu: 65535 is too small: vub8, shared with host "gw2", has 65486 (mtu of trunk "leaf1") + 50 (VXLAN over IPv4) = 65536 bytes; allowed is at most 65485 there"#,
        |d| (d.trunks[0].mtu, d.hosts[0].underlay_mtu) = (Some(65_485), Some(65_535)),
    ),
    Case(
        "an underlay with no room for any payload",
        |d| (d.trunks[0].mtu, d.hosts[0].underlay_mtu) = (Some(68), Some(117)),
        r#"hosts 0 underlay-mtu: 117 is too small: vub8, shared with host "gw2", has 68 (mtu of trunk "leaf1") + 50 (VXLAN over IPv4) = 118 bytes; allowed is 118 to 65535 here"#,
        |d| (d.trunks[0].mtu, d.hosts[0].underlay_mtu) = (Some(68), Some(118)),
    ),
    Case(
        "both ends out of range",
        |d| (d.trunks[0].mtu, d.hosts[0].underlay_mtu) = (Some(65_535), Some(68)),
        r#"hosts 0 underlay-mtu: 68 is too small: vub8, shared with host "gw2", has 65535 (mtu of trunk "leaf1") + 50 (VXLAN over IPv4) = 65585 bytes; allowed is at most 65485 there"#,
        |d| (d.trunks[0].mtu, d.hosts[0].underlay_mtu) = (Some(65_485), Some(65_535)),
    ),
    Case(
        "a segment that two hosts share, and none that one has alone",
        |d| {
            (d.hosts[0].underlay_mtu, d.ports[1].mtu) = (Some(1_550), Some(9_000));
            d.ports[1].bridge = "vub8".to_owned();
        },
        r#"hosts 0 underlay-mtu: 1550 is too small: vub8, shared with host "gw2", has 9000 (mtu of port "vm9") + 50 (VXLAN over IPv4) = 9050 bytes; allowed is 9050 to 65535 here, or at most 1500 there"#,
        |d| (d.hosts[0].underlay_mtu, d.ports[1].mtu) = (Some(1_550), Some(9_000)),
    ),
];

const WARNED: &[Case] = &[
    Case(
        "a tag that a VM may send",
        |d| {
            (d.ports[0].mtu, d.ports[0].tags) = (Some(1_500), None);
            d.hosts[1].underlay_mtu = Some(1_553);
        },
        r#"hosts 1 underlay-mtu: 1553 is too small for a tag in a payload of that size: vub8, shared with host "gw1", has 1500 (mtu of port "vm8") + 4 (a tag in it, by port "vm8") + 50 (VXLAN over IPv4) = 1554 bytes; allowed is 1554 to 65535 here, or at most 1499 there, or tags = "drop" at ports of the bridge"#,
        |d| {
            (d.ports[0].mtu, d.ports[0].tags) = (Some(1_500), None);
            d.hosts[1].underlay_mtu = Some(1_554);
        },
    ),
    Case(
        "a tag that a VM may send, in what the bridge says",
        |d| {
            (d.bridges[1].mtu, d.ports[0].tags) = (Some(1_500), Some(TagPolicy::Pass));
            d.hosts[0].underlay_mtu = Some(1_550);
        },
        r#"hosts 0 underlay-mtu: 1550 is too small for a tag in a payload of that size: vub8, shared with host "gw2", has 1500 (mtu of bridge "vub8") + 4 (a tag in it, by port "vm8") + 50 (VXLAN over IPv4) = 1554 bytes; allowed is 1554 to 65535 here, or at most 1496 there, or tags = "drop" at ports of the bridge"#,
        |d| {
            (d.bridges[1].mtu, d.ports[0].tags) = (Some(1_500), Some(TagPolicy::Drop));
            d.hosts[0].underlay_mtu = Some(1_550);
        },
    ),
];

fn over_ipv6(description: &mut Description) {
    for (host, last) in description.hosts.iter_mut().zip(1..) {
        host.underlay = Some([0x2001, 0xdb8, 0, 0, 0, 0, 0, last].into());
    }
}

/// Makes the VM a customer whose tags are payload, in the same VLAN.
fn customer(description: &mut Description) {
    let port = &mut description.ports[0];
    port.bridge = "dc1".to_owned();
    port.tags = None;
    port.mode = Mode::Qinq { vid: Vid::new(8), customer_vlans: None, pcp: None };
}

/// What is said of underlays.
fn of_underlays(mistakes: &[Mistake]) -> Vec<String> {
    mistakes.iter().filter(|mistake| mistake.place.key == "underlay-mtu").map(told).collect()
}

/// What is refused, and what is warned of.
fn said(change: Change) -> (Vec<String>, Vec<String>) {
    let mut description = right();
    change(&mut description);
    match Topology::build(&description) {
        Ok(topology) => (Vec::new(), of_underlays(topology.warnings())),
        Err(mistakes) => (of_underlays(&mistakes), Vec::new()),
    }
}

const NOTHING: (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());

#[test]
fn a_payload_that_does_not_fit_is_refused_and_one_that_fits_is_not() {
    for Case(name, wrong, expected, twin) in REFUSED {
        assert_eq!(said(*wrong), (vec![(*expected).to_owned()], Vec::new()), "{name}");
        assert_eq!(said(*twin), NOTHING, "the neighbour of {name}");
    }
}

#[test]
fn a_tag_that_may_not_fit_is_warned_of_and_one_that_fits_is_not() {
    for Case(name, odd, expected, twin) in WARNED {
        assert_eq!(said(*odd), (Vec::new(), vec![(*expected).to_owned()]), "{name}");
        assert_eq!(said(*twin), NOTHING, "the neighbour of {name}");
    }
}

#[test]
fn what_is_not_declared_is_not_judged() {
    let too_small: Change = |d| (d.trunks[0].mtu, d.hosts[0].underlay_mtu) = (Some(1_500), Some(1_500));
    assert_eq!(said(too_small).0.len(), 1);
    let unsaid: [Change; 3] = [
        |d| d.trunks[0].mtu = Some(1_500),
        |d| d.hosts[0].underlay_mtu = Some(1_500),
        // Nothing goes to a host without a tunnel address.
        |d| {
            (d.trunks[0].mtu, d.hosts[0].underlay_mtu) = (Some(1_500), Some(1_500));
            d.hosts[1].underlay = None;
        },
    ];
    for change in unsaid {
        assert_eq!(said(change), NOTHING);
    }
}

/// Each host is told of its own, once, and of what needs the most.
#[test]
fn each_host_is_told_once() {
    let (refused, _) = said(|d| {
        for host in &mut d.hosts {
            host.underlay_mtu = Some(1_500);
        }
        let twin = Port { mtu: Some(9_000), ..Port::plain("vm9b", "vub9", "gw2", "tap9b") };
        d.ports.push(twin);
        d.trunks[0].mtu = Some(1_500);
    });
    let starts: Vec<&str> = refused.iter().filter_map(|text| text.split(", ").next()).collect();
    assert_eq!(
        starts,
        ["hosts 0 underlay-mtu: 1500 is too small: vub9", "hosts 1 underlay-mtu: 1500 is too small: vub9"]
    );
}
