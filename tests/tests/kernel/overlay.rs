//! Hosts of one topology on a real kernel, with real daemons that follow a real ensemble: what goes in at a port of one, and what comes out at
//! the ports of all.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rtnetlink::LinkVxlan;
use tests::lab::cluster::{Cluster, Plan, Runs, Site, Wire};
use tests::lab::frames::{BROADCAST, Frame, Mac};
use tests::lab::gateway::Gateway;
use tests::lab::netns::Netns;
use tests::lab::tap::Tap;
use tests::suite::kernel_pair::read;

tests::kernel_tests! {
    group overlay;

    fn all_pairs_of_three_hosts_reach_each_other_on_both_vlans_and_nothing_leaks() {
        let sites = three(v4);
        let Some(cluster) = start("three-v4", &sites, &WIRES, (9_000, 1_500)) else { return };
        everybody_speaks(&cluster);
        everybody_is_answered(&cluster);
        one_copy_goes_to_each_other_host(&cluster, &sites);
        whole_frames_arrive(&cluster, 1_500);
        nothing_is_told_of_the_underlay(&cluster);
    }

    fn over_ipv6_it_is_the_same_and_jumbo_frames_arrive() {
        let sites = three(v6);
        let Some(cluster) = start("three-v6", &sites, &WIRES, (9_000, 8_900)) else { return };
        everybody_speaks(&cluster);
        everybody_is_answered(&cluster);
        one_copy_goes_to_each_other_host(&cluster, &sites);
        whole_frames_arrive(&cluster, 8_900);
        nothing_is_told_of_the_underlay(&cluster);
    }

    fn a_plain_vxlan_device_speaks_with_all_hosts_and_a_narrow_underlay_is_told() {
        let [gateway, compute, _] = three(v4);
        let wires = [LEAF1, vm("d8", "gw1", 8), vm("a8", "cn1", 8)];
        let vtep = "[hosts.vt1]\nkind = \"vtep\"\nunderlay = \"192.0.2.9\"\n[[ports]]\nname = \"v8\"\nbridge = \"vub8\"\nhost = \"vt1\"\n";
        let sites = [gateway, compute];
        let topology = topology(&sites, &wires).replace("[bridges.vub8]", "[bridges.vub8]\nvni = 8008") + vtep;
        let plan = Plan { name: "vtep", topology: &topology, sites: &sites, wires: &wires, underlay_mtu: 1_500, link_mtu: 1_500 };
        if !servers::are_there() {
            return;
        }
        let mut cluster = Cluster::start(&plan);
        let outside = Netns::new("vt1");
        cluster.connect(&outside, "vt1", v4(9));
        let device = LinkVxlan::new("vxlan8", 8008).port(4789).local([192, 0, 2, 9].into());
        outside.links().add("vxlan8", device.up().build());
        sites.iter().for_each(|site| outside.links().append_flood_target("vxlan8", site.underlay));
        cluster.add_wire(vm("v8", "vt1", 8), outside.tap("vxlan8"));
        let members = ["leaf1", "d8", "a8", "v8"];
        for from in members {
            let others = members.into_iter().filter(|to| *to != from).collect();
            assert_eq!(reached(&cluster, from, BROADCAST), others, "{from} to all");
        }
        for _ in 0..2 {
            for to in ["leaf1", "d8", "a8"] {
                assert_eq!(reached(&cluster, "v8", mac(to, 8)), BTreeSet::from([to]));
                assert_eq!(reached(&cluster, to, mac("v8", 8)), BTreeSet::from(["v8"]));
            }
        }
        let long = |len| frame(mac("a8", 8), mac("d8", 8), None, len);
        assert_eq!(cluster.reached(("a8", 8), &long(1_450)), BTreeSet::from(["d8"]));
        assert_eq!(cluster.reached(("a8", 8), &long(1_451)), BTreeSet::new(), "more than the underlay takes");
        cluster.host("gw1").wait_for("the underlay to be told of", |host| has_event(host, "underlay-narrow"));
    }

    fn two_gateways_of_one_fabric_send_nothing_back_and_take_over_from_each_other() {
        let [gateway, compute, _] = three(v4);
        let sites = [gateway, Site { host: "gw2", underlay: v4(2), runs: Runs::L2gw }, compute];
        let wires = [LEAF1, Wire { port: "leaf2", host: "gw2", vid: None }, vm("a8", "cn1", 8), vm("a5", "cn1", 5)];
        let Some(mut cluster) = start("fabric", &sites, &wires, (1_600, 1_500)) else { return };
        one_carries_each_vlan(&cluster);
        // Cut off from each other for so long that each carries all, and together again, of which they have not heard yet.
        cluster.underlay().links().set_down("gw2");
        for (host, trunk) in [("gw1", "leaf1"), ("gw2", "leaf2")] {
            cluster.host(host).wait_for("the other to be silent", |host| carried(host, trunk) == VLANS);
        }
        cluster.underlay().links().set_up("gw2");
        cluster.underlay().links().wait_until_ready("gw2");
        nothing_goes_back(&cluster);
        one_carries_each_vlan(&cluster);
        nothing_goes_back(&cluster);
        for vid in VLANS {
            let vm = if vid == 8 { "a8" } else { "a5" };
            let carrier = carrier(&cluster, vid);
            assert_eq!(cluster.reached((vm, vid), &frame(mac(vm, vid), BROADCAST, None, 46)), BTreeSet::from([carrier]));
            assert_eq!(cluster.reached((carrier, vid), &frame(PHYS, mac(vm, vid), Some(vid), 46)), BTreeSet::from([vm]));
        }
        // The carrier's link goes down and comes back.
        let (first, second) = match carrier(&cluster, 8) {
            "leaf1" => (("leaf1", "gw1"), ("leaf2", "gw2")),
            _ => (("leaf2", "gw2"), ("leaf1", "gw1")),
        };
        cluster.outside().links().set_down(first.0);
        cluster.host(second.1).wait_for("the other trunk to carry all", |host| carried(host, second.0) == VLANS);
        cluster.host(first.1).wait_for("its trunk to carry nothing", |host| carried(host, first.0).is_empty());
        assert_eq!(cluster.reached(("a8", 8), &frame(mac("a8", 8), BROADCAST, None, 46)), BTreeSet::from([second.0]));
        cluster.outside().links().set_up(first.0);
        cluster.host(first.1).wait_until_up();
        one_carries_each_vlan(&cluster);
        // The daemon of the carrier dies.
        assert_eq!(carrier(&cluster, 8), first.0, "as before");
        cluster.host_mut(first.1).kill();
        cluster.host(second.1).wait_for("the other gateway to carry all", |host| carried(host, second.0) == VLANS);
        let new = [2, 0, 0, 0, 0, 0x77];
        assert_eq!(cluster.reached(("a8", 8), &frame(new, BROADCAST, None, 46)), BTreeSet::from([second.0]));
        let phys = frame(PHYS, BROADCAST, Some(8), 46);
        assert_eq!(cluster.reached((second.0, 8), &phys), BTreeSet::from(["a8"]));
        cluster.host("cn1").wait_for("the dead to be known as dead", |host| has_event(host, "host-silent"));
        assert_eq!(cluster.reached(("a8", 8), &frame(new, PHYS, None, 46)), BTreeSet::from([second.0]));
    }

    fn a_daemon_that_is_killed_and_started_again_loses_no_frame_and_a_teardown_leaves_nothing() {
        let sites = three(v4);
        let wires = [LEAF1, vm("d8", "gw1", 8), vm("a8", "cn1", 8), vm("c8", "cn2", 8)];
        let Some(mut cluster) = start("again", &sites, &wires, (1_600, 1_500)) else { return };
        for site in &sites {
            let said = cluster.host(site.host).l2gw(&["show", "status"]).unwrap();
            assert!(said.contains("other hosts: 2 of 2 heard"), "{said}");
        }
        let (there, back) = (frame(mac("leaf1", 8), mac("a8", 8), Some(8), 46), frame(mac("a8", 8), mac("leaf1", 8), None, 46));
        for _ in 0..2 {
            cluster.deliver(("leaf1", 8), &there);
            cluster.deliver(("a8", 8), &back);
        }
        assert_eq!(cluster.reached(("leaf1", 8), &there), BTreeSet::from(["a8"]));
        for host in ["cn1", "gw1"] {
            let lost = lost_while_started_again(&mut cluster, host, (&there, &back));
            assert_eq!(lost, (0, 0), "there and back, while {host} was started again");
            assert!(has_event(cluster.host(host), "adopted"), "{}", cluster.host(host).log());
        }
        cluster.host_mut("cn2").stop();
        assert!(cluster.host("cn2").netns().links().has(DEVICE));
        cluster.host("cn2").l2gw_by_itself(&["teardown"]).unwrap();
        assert!(!cluster.host("cn2").netns().links().has(DEVICE));
    }
}

/// A cluster, if there are servers.
fn start(
    name: &str,
    sites: &[Site],
    wires: &[Wire],
    (underlay_mtu, link_mtu): (u32, u32),
) -> Option<Cluster> {
    let topology = topology(sites, wires);
    let plan = Plan { name, topology: &topology, sites, wires, underlay_mtu, link_mtu };
    servers::are_there().then(|| Cluster::start(&plan))
}

/// Everybody of a VLAN but `mute` is heard by everybody else of it, and by nobody of the other.
fn everybody_speaks(cluster: &Cluster) {
    for vid in VLANS {
        for from in members(vid).into_iter().filter(|port| *port != MUTE) {
            let mut others = members(vid);
            others.remove(from);
            let frame = frame(mac(from, vid), BROADCAST, tag_of(from, vid), 46);
            assert_eq!(cluster.reached((from, vid), &frame), others, "{from} on VLAN {vid}");
            let unknown = [0x52, 0x54, 0, 0xff, 0, 1];
            for to in [unknown, mac(MUTE, vid)] {
                let frame = self::frame(mac(from, vid), to, tag_of(from, vid), 46);
                assert_eq!(
                    cluster.reached((from, vid), &frame),
                    others,
                    "{from} to somebody unknown on VLAN {vid}"
                );
            }
        }
    }
}

/// Twice: by the daemons, and by the flows that these have made.
fn everybody_is_answered(cluster: &Cluster) {
    for round in 0..2 {
        for vid in VLANS {
            let members: BTreeSet<&str> = members(vid).into_iter().filter(|port| *port != MUTE).collect();
            for from in &members {
                for to in members.iter().filter(|to| *to != from) {
                    let frame = frame(mac(from, vid), mac(to, vid), tag_of(from, vid), 46);
                    let reached = cluster.reached((from, vid), &frame);
                    assert_eq!(reached, BTreeSet::from([*to]), "{from} to {to} on VLAN {vid}, round {round}");
                }
            }
        }
    }
}

/// A host sends one packet to each other host, however many ports of the segment that has.
fn one_copy_goes_to_each_other_host(cluster: &Cluster, sites: &[Site]) {
    for from in ["leaf1", "a8", "c8"] {
        let own = WIRES.iter().find(|wire| wire.port == from).unwrap().host;
        // By the daemon, and by the flow that it has made.
        for by in ["the daemon", "a flow"] {
            cluster.sent_by(own);
            let frame = frame([2, 0, 0, 9, 9, from.as_bytes()[0]], BROADCAST, tag_of(from, 8), 100);
            let mut others = members(8);
            others.remove(from);
            assert_eq!(cluster.reached((from, 8), &frame), others);
            let mut copies: BTreeMap<IpAddr, usize> = BTreeMap::new();
            for packet in cluster.sent_by(own).iter().filter_map(|bytes| read(bytes)) {
                if packet.frame.ends_with(&frame[frame.len() - 102..]) && packet.frame[6..12] == frame[6..12]
                {
                    *copies.entry(packet.to).or_default() += 1;
                }
            }
            let others = sites.iter().filter(|site| site.host != own).map(|site| (site.underlay, 1));
            assert_eq!(copies, others.collect(), "from {from} by {by}");
        }
    }
}

/// Frames with this payload arrive as they are, by the daemons and by flows, in one piece each: between VMs with a tag in it, and on the trunk
/// with that of the VLAN.
fn whole_frames_arrive(cluster: &Cluster, len: usize) {
    cluster.sent_by("cn1");
    for (to, inner) in [("c8", Some(77)), ("d8", Some(77)), ("leaf1", None)] {
        for _ in 0..3 {
            let frame = frame(mac("a8", 8), mac(to, 8), inner, len);
            assert_eq!(cluster.reached(("a8", 8), &frame), BTreeSet::from([to]), "{len} bytes, {inner:?}");
        }
    }
    let long = cluster.sent_by("cn1").into_iter().filter(|bytes| bytes.len() > len);
    let long: Vec<Vec<u8>> =
        long.filter(|bytes| read(bytes).is_some_and(|packet| packet.frame[6..12] == mac("a8", 8))).collect();
    assert_eq!(long.len(), 9);
    // Neither more fragments nor an offset (RFC 791 3.1); IPv6 would have another next header than UDP.
    let is_whole = |bytes: &Vec<u8>| {
        bytes[12..14] != [0x08, 0] || u16::from_be_bytes([bytes[20], bytes[21]]) & 0x3fff == 0
    };
    assert!(long.iter().all(is_whole));
}

fn nothing_is_told_of_the_underlay(cluster: &Cluster) {
    for host in ["gw1", "cn1", "cn2"] {
        assert!(!has_event(cluster.host(host), "underlay-narrow"), "{host}:\n{}", cluster.host(host).log());
    }
}

/// What comes in by one trunk of the fabric leaves by none.
fn nothing_goes_back(cluster: &Cluster) {
    let trunks = ["leaf1", "leaf2"];
    trunks.iter().for_each(|trunk| drop(cluster.tap(trunk).drain()));
    for number in 0..20 {
        let frame = frame([2, 0, 0, 0, 3, number], BROADCAST, Some(8), 46);
        cluster.tap(trunks[usize::from(number) % 2]).send(&frame);
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(300));
    for trunk in trunks {
        let came = cluster.tap(trunk).drain();
        assert!(!came.iter().any(|came| came[6..11] == [2, 0, 0, 0, 3]), "{trunk}: {came:02x?}");
    }
}

/// Waits until each VLAN has one carrier.
fn one_carries_each_vlan(cluster: &Cluster) {
    cluster.host("gw1").wait_for("one trunk to carry each VLAN", |gw1| {
        let mut all = [carried(gw1, "leaf1"), carried(cluster.host("gw2"), "leaf2")].concat();
        all.sort_unstable();
        all == VLANS
    });
}

/// The VLANs that a trunk of a gateway carries.
fn carried(gateway: &Gateway, trunk: &str) -> Vec<u16> {
    let trunks = gateway.trunks();
    let own =
        trunks.iter().find(|one| one.trunk == trunk).unwrap_or_else(|| panic!("no {trunk}: {trunks:?}"));
    // Ranges are of two VLANs at least, and these are no neighbours.
    VLANS.into_iter().filter(|vid| own.carries.split(',').any(|one| one == vid.to_string())).collect()
}

fn carrier(cluster: &Cluster, vid: u16) -> &'static str {
    if carried(cluster.host("gw1"), "leaf1").contains(&vid) { "leaf1" } else { "leaf2" }
}

/// Frames of a conversation between leaf1 and a8 that do not arrive, there and back, while a host's daemon is killed and started.
fn lost_while_started_again(
    cluster: &mut Cluster,
    host: &'static str,
    (there, back): (&[u8], &[u8]),
) -> (usize, usize) {
    let (leaf1, a8) = (cluster.outside().tap("leaf1"), cluster.outside().tap("a8"));
    let is_over = AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut sent = 0;
            while !is_over.load(Ordering::Relaxed) {
                leaf1.send(there);
                a8.send(back);
                sent += 1;
                std::thread::sleep(Duration::from_millis(10));
            }
            sent
        });
        let gateway = cluster.host_mut(host);
        gateway.kill();
        gateway.start_up();
        cluster.wait_until_together(host);
        is_over.store(true, Ordering::Relaxed);
        sender.join().unwrap()
    });
    std::thread::sleep(Duration::from_millis(200));
    let arrived = |tap: &Tap, dst: Mac| tap.drain().into_iter().filter(|frame| frame[..6] == dst).count();
    (sent - arrived(&a8, mac("a8", 8)), sent - arrived(&leaf1, mac("leaf1", 8)))
}

fn has_event(host: &Gateway, kind: &str) -> bool {
    host.l2gw(&["show", "events", "--newest", "1000"]).is_ok_and(|said| said.contains(kind))
}

/// The ports of VLAN 8 that are reached from one of its ports.
fn reached(cluster: &Cluster, from: &'static str, to: Mac) -> BTreeSet<&'static str> {
    cluster.reached((from, 8), &frame(mac(from, 8), to, tag_of(from, 8), 46))
}

/// A port's own address in a VLAN.
fn mac(port: &str, vid: u16) -> Mac {
    let [a, b] = [port.as_bytes()[0], port.as_bytes()[1]];
    [0x52, 0x54, 0, a, b, vid as u8]
}

/// What goes in at a port: tagged on a trunk.
fn frame(src: Mac, dst: Mac, tag: Option<u16>, len: usize) -> Vec<u8> {
    let frame = Frame::new(src, dst);
    let frame = match tag {
        Some(vid) => frame.tag(vid, 0),
        None => frame,
    };
    frame.payload(0x0800, &vec![7; len])
}

fn tag_of(port: &str, vid: u16) -> Option<u16> {
    port.starts_with("leaf").then_some(vid)
}

fn members(vid: u16) -> BTreeSet<&'static str> {
    WIRES.iter().filter(|wire| wire.vid.is_none_or(|of| of == vid)).map(|wire| wire.port).collect()
}

fn v4(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

fn v6(last: u8) -> IpAddr {
    [0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()].into()
}

/// A gateway that `l2gw` runs, and two hosts of agents.
fn three(address: fn(u8) -> IpAddr) -> [Site; 3] {
    [("gw1", 1, Runs::L2gw), ("cn1", 11, Runs::Agent), ("cn2", 12, Runs::Agent)]
        .map(|(host, last, runs)| Site { host, underlay: address(last), runs })
}

/// Hosts, two VLANs of a VLAN-aware bridge that are bridges of their own, and the ports.
fn topology(sites: &[Site], wires: &[Wire]) -> String {
    let mut text = String::new();
    for Site { host, underlay, .. } in sites {
        text += &format!("[hosts.{host}]\nunderlay = \"{underlay}\"\n");
    }
    text += "[bridges.dc1]\nkind = \"vlan-aware\"\n";
    for vid in VLANS {
        text += &format!(
            "[bridges.vub{vid}]\nkind = \"vlan-unaware\"\n[[vlans]]\nbridge = \"dc1\"\nvid = {vid}\nto = \"vub{vid}\"\n"
        );
    }
    for Wire { port, host, vid } in wires {
        let (table, bridge, vlans) = match vid {
            Some(vid) => ("ports", format!("vub{vid}"), ""),
            None => ("trunks", "dc1".to_owned(), "vlans = [\"5\", \"8\"]\n"),
        };
        text += &format!(
            "[[{table}]]\nname = \"{port}\"\nbridge = \"{bridge}\"\nhost = \"{host}\"\nlink = \"{port}\"\n{vlans}"
        );
    }
    text
}

const fn vm(port: &'static str, host: &'static str, vid: u16) -> Wire {
    Wire { port, host, vid: Some(vid) }
}

const LEAF1: Wire = Wire { port: "leaf1", host: "gw1", vid: None };
/// Three ports of VLAN 8 on each host.
const WIRES: [Wire; 11] = [
    LEAF1,
    vm("d8", "gw1", 8),
    vm("h8", "gw1", 8),
    vm("a8", "cn1", 8),
    vm("b8", "cn1", 8),
    vm("e8", "cn1", 8),
    vm("a5", "cn1", 5),
    vm("c8", "cn2", 8),
    vm("f8", "cn2", 8),
    vm(MUTE, "cn2", 8),
    vm("c5", "cn2", 5),
];
/// By which `l2gw` reaches other hosts.
const DEVICE: &str = "vx-l2gw";
const PHYS: Mac = [2, 0, 0, 0, 0, 9];
const VLANS: [u16; 2] = [5, 8];
/// A VM that never speaks.
const MUTE: &str = "m8";
