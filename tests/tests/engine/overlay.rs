//! Hosts of one topology with an underlay between them: what reaches whom, how often, and what is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use agent::event::Event;
use agent::output::Output;
use agent::view::CounterView;
use datapath::Datapath;
use datapath::fake::Packet;
use futures::FutureExt;
use l2gw::config;
use tests::lab::frames::{BROADCAST, Frame, Mac, tags};
use tests::sim::cluster::Cluster;
use tests::sim::gateway::Gateway;
use vlan::model::description::Description;
use vlan::model::topology::Topology;
use vlan::model::vnis::Origin;
use vlan::time::Instant;
use vlan::verdict::DropReason;

mod feed;
mod handover;
mod hostile;
mod pace;
mod reflected;
mod unclear;

const PHYS: Mac = [2, 0, 0, 0, 0, 9];
const VM1: Mac = [2, 0, 0, 0, 0, 1];
const VM2: Mac = [2, 0, 0, 0, 0, 2];
const VM5: Mac = [2, 0, 0, 0, 0, 5];

/// A gateway with a trunk, and two hosts with VMs on two VUBs.
const THREE: &str = r#"
[nsdb]
backend = "zookeeper"
servers = ["127.0.0.1:2181"]
[hosts.gw1]
underlay = "192.0.2.1"
[hosts.cn1]
underlay = "192.0.2.11"
[hosts.cn2]
underlay = "192.0.2.12"
[bridges.dc1]
kind = "vlan-aware"
[bridges.vub8]
kind = "vlan-unaware"
vni = 8008
[bridges.vub5]
kind = "vlan-unaware"
[[vlans]]
bridge = "dc1"
vid = 8
to = "vub8"
[[vlans]]
bridge = "dc1"
vid = 5
to = "vub5"
[[trunks]]
name = "leaf1"
bridge = "dc1"
host = "gw1"
link = "eth1"
"#;

fn ports(list: &[(&str, &str, &str, &str)]) -> String {
    let port = |(name, bridge, host, more): &(&str, &str, &str, &str)| {
        format!(
            "[[ports]]\nname = \"{name}\"\nbridge = \"{bridge}\"\nhost = \"{host}\"\nlink = \"{name}\"\n{more}\n"
        )
    };
    list.iter().map(port).collect()
}

const VMS: [(&str, &str, &str, &str); 6] = [
    ("a8", "vub8", "cn1", ""),
    ("b8", "vub8", "cn1", ""),
    ("c8", "vub8", "cn2", ""),
    ("d8", "vub8", "gw1", ""),
    ("a5", "vub5", "cn1", ""),
    ("c5", "vub5", "cn2", ""),
];

fn three() -> String {
    THREE.to_owned() + &ports(&VMS)
}

fn parse(text: &str) -> Description {
    config::parse("gateway.toml", text).unwrap_or_else(|mistakes| panic!("{mistakes:#?}")).description
}

fn start(text: &str) -> Cluster {
    Cluster::start(&parse(text), Instant::from_secs(1_000))
}

fn bare(src: Mac, dst: Mac) -> Vec<u8> {
    Frame::new(src, dst).payload(0x0800, &[7; 46])
}

fn tagged(vid: u16, pcp: u8, src: Mac, dst: Mac) -> Vec<u8> {
    Frame::new(src, dst).tag(vid, pcp).payload(0x0800, &[7; 46])
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_flood_reaches_every_member_of_its_segment_and_an_answer_only_who_asked() {
    for file in [three(), three().replace("192.0.2.", "2001:db8::")] {
        let mut cluster = start(&file);
        assert_eq!(cluster.reached("leaf1", &tagged(8, 0, PHYS, BROADCAST)), ["a8", "b8", "c8", "d8"]);
        assert_eq!(cluster.reached("leaf1", &tagged(5, 0, PHYS, BROADCAST)), ["a5", "c5"]);
        let answer = cluster.send("a8", &bare(VM1, PHYS));
        assert_eq!(answer, [("leaf1".to_owned(), tagged(8, 0, VM1, PHYS))]);
        assert_eq!(cluster.reached("leaf1", &tagged(8, 0, PHYS, VM1)), ["a8"]);
        // From VM to VM on other hosts, and what VLAN 5 knows is not what VLAN 8 knows.
        assert_eq!(cluster.reached("c8", &bare(VM2, VM1)), ["a8"]);
        assert_eq!(cluster.reached("a8", &bare(VM1, VM2)), ["c8"]);
        assert_eq!(cluster.reached("c5", &bare(VM5, VM1)), ["a5", "leaf1"]);
        // By flows, without any more upcalls, it is the same.
        assert_eq!(cluster.reached("a8", &bare(VM1, VM2)), ["c8"]);
    }
}

#[test]
fn one_copy_goes_to_each_other_host_however_many_ports_it_has() {
    let mut cluster = start(&three());
    let before = sent(&cluster, 8008);
    cluster.reached("d8", &bare(VM1, BROADCAST));
    let mut after = sent(&cluster, 8008);
    after.retain(|pair, count| before.get(pair) != Some(count));
    let one = |to: &str| ((ip("192.0.2.1"), ip(to)), 1);
    assert_eq!(after, BTreeMap::from([one("192.0.2.11"), one("192.0.2.12")]));
}

/// Packets by sender and receiver with a VNI.
fn sent(cluster: &Cluster, vni: u32) -> BTreeMap<(IpAddr, IpAddr), u64> {
    let counts = cluster.underlay.counts().into_iter();
    counts.filter(|((_, _, of), _)| *of == vni).map(|((from, to, _), count)| ((from, to), count)).collect()
}

#[test]
fn what_came_in_by_a_trunk_goes_to_no_trunk_of_its_fabric_on_any_host() {
    let mut cluster = start(&two_gateways());
    let (one, two) = ([ip("192.0.2.1")], [ip("192.0.2.2")]);
    cluster.underlay.cut(&one, &two);
    cluster.pass(Duration::from_secs(2));
    // Both gateways carry the VLAN now, and nothing but the VNI keeps the frame from the second trunk.
    let topology = Topology::build(&parse(&two_gateways())).unwrap();
    let fabric = topology.fabric_named("fabric").unwrap();
    let segment = topology.locate(topology.bridge_named("vub8").unwrap().id, None, None).unwrap().segment;
    let vni = topology.vni(segment.number, Origin::Group(fabric)).unwrap();
    assert_ne!(vni, 8008);
    cluster.underlay.mend();
    for (vni, reached) in [(vni, vec![]), (8008, vec!["leaf2"])] {
        cluster.underlay.inject(packet(("192.0.2.1", "192.0.2.2"), vni, bare(PHYS, BROADCAST)));
        cluster.settle();
        let sent: Vec<String> = cluster.host("gw2").take_sent().into_iter().map(|(port, _)| port).collect();
        assert_eq!(sent, reached, "VNI {vni}");
    }
    cluster.reached("leaf1", &tagged(8, 0, PHYS, BROADCAST));
    assert!(sent(&cluster, vni).contains_key(&(one[0], two[0])), "{:?}", cluster.underlay.counts());
}

fn packet((from, to): (&str, &str), vni: u32, frame: Vec<u8>) -> Packet {
    Packet { from: ip(from), to: ip(to), port: 4789, vni, class: 0, ecn: 0, path: 0, frame }
}

/// Two gateways of one fabric.
fn two_gateways() -> String {
    let second = "[hosts.gw2]\nunderlay = \"192.0.2.2\"\n";
    let trunk = "[[trunks]]\nname = \"leaf2\"\nbridge = \"dc1\"\nhost = \"gw2\"\nlink = \"eth1\"\n";
    format!("{}{second}{trunk}", three())
}

/// By which trunk a VLAN is carried: where a VM's broadcast comes out.
fn carriers(cluster: &mut Cluster) -> (Vec<String>, Vec<String>) {
    let trunks = |reached: Vec<String>| reached.into_iter().filter(|port| port.starts_with("leaf")).collect();
    (
        trunks(cluster.reached("a8", &bare(VM1, BROADCAST))),
        trunks(cluster.reached("a5", &bare(VM5, BROADCAST))),
    )
}

#[test]
fn each_vlan_of_a_fabric_has_one_carrier_and_another_when_its_host_is_silent_or_its_link_down() {
    let mut cluster = start(&two_gateways());
    cluster.pass(Duration::from_secs(1));
    let (of8, of5) = carriers(&mut cluster);
    assert_eq!((of8.len(), of5.len()), (1, 1), "{of8:?} {of5:?}");
    // What the fabric floods by the trunk that does not carry the VLAN is dropped there.
    let other = if of8 == ["leaf1"] { "leaf2" } else { "leaf1" };
    assert_eq!(cluster.reached(other, &tagged(8, 0, PHYS, BROADCAST)), Vec::<String>::new());
    assert_eq!(cluster.reached(&of8[0], &tagged(8, 0, PHYS, BROADCAST)), ["a8", "b8", "c8", "d8"]);
    // Known behind the fabric, it is reached by whichever trunk carries the VLAN.
    assert_eq!(cluster.reached("a8", &bare(VM1, PHYS)), of8);
    let host = |trunk: &str| if trunk == "leaf1" { "gw1" } else { "gw2" };
    cluster.host(host(&of8[0])).set_carrier(&of8[0], false);
    cluster.pass(Duration::from_millis(200));
    assert_eq!(cluster.reached("a8", &bare(VM1, PHYS)), [other]);
    assert_eq!(carriers(&mut cluster).0, [other]);
    cluster.host(host(&of8[0])).set_carrier(&of8[0], true);
    cluster.pass(Duration::from_millis(200));
    assert_eq!(carriers(&mut cluster).0, of8, "and back");
    // Gateways that do not hear each other carry every VLAN both; whoever hears both says so.
    let (one, two) = ([ip("192.0.2.1")], [ip("192.0.2.2")]);
    cluster.underlay.cut(&one, &two);
    cluster.pass(Duration::from_secs(2));
    assert_eq!(carriers(&mut cluster).0, ["leaf1", "leaf2"]);
    assert_eq!(
        cluster.reached("leaf1", &tagged(8, 0, PHYS, BROADCAST)),
        ["a8", "b8", "c8", "d8"],
        "and no loop"
    );
    cluster.underlay.mend();
    cluster.pass(Duration::from_secs(1));
    assert_eq!(carriers(&mut cluster).0, of8);
}

#[test]
fn hosts_that_are_heard_are_counted_and_one_that_is_silent_is_flooded_for() {
    let mut cluster = start(&three());
    cluster.pass(Duration::from_secs(2));
    let others = |cluster: &mut Cluster| {
        let now = cluster.now();
        cluster.host("cn1").engine.view().status(now).others.map(|others| (others.hosts, others.heard))
    };
    assert_eq!(others(&mut cluster), Some((2, 2)));
    cluster.reached("c8", &bare(VM2, BROADCAST));
    assert_eq!(cluster.reached("a8", &bare(VM1, VM2)), ["c8"]);
    cluster.underlay.cut(&[ip("192.0.2.12")], &[ip("192.0.2.1"), ip("192.0.2.11")]);
    cluster.pass(Duration::from_secs(5));
    assert_eq!(others(&mut cluster), Some((2, 1)));
    let silent = Event::HostSilent { host: "cn2".to_owned() };
    assert!(cluster.host("cn1").events.contains(&silent));
    assert_eq!(cluster.reached("a8", &bare(VM1, VM2)), ["b8", "d8", "leaf1"], "it may be anywhere by now");
    cluster.underlay.mend();
    cluster.pass(Duration::from_secs(2));
    assert_eq!(others(&mut cluster), Some((2, 2)));
    assert_eq!(cluster.reached("a8", &bare(VM1, VM2)), ["c8"]);
}

#[test]
fn an_underlay_that_loses_long_frames_is_told_by_the_host_that_does_not_get_them() {
    let mut cluster = start(&three());
    cluster.underlay.set_mtu(Some(1_500));
    // A port's 1 500 bytes of payload need 1 550, and the one tag that no MTU counts 4 more.
    cluster.pass(Duration::from_secs(70));
    let narrow = |cluster: &mut Cluster| {
        let events = &cluster.host("cn1").events;
        let names = events.iter().filter_map(|event| match event {
            Event::UnderlayNarrow { host, .. } => Some(host.clone()),
            _ => None,
        });
        names.collect::<BTreeSet<_>>()
    };
    assert_eq!(narrow(&mut cluster), ["cn2".to_owned(), "gw1".to_owned()].into());
    cluster.underlay.set_mtu(Some(1_554));
    cluster.pass(Duration::from_secs(65));
    let wide = |host: &str| Event::UnderlayWide { host: host.to_owned() };
    let events = &cluster.host("cn1").events;
    assert!(events.contains(&wide("cn2")) && events.contains(&wide("gw1")), "{events:?}");
}

/// As when a host starts a moment after another one.
#[test]
fn one_long_hello_that_is_lost_says_nothing_of_the_underlay() {
    let is_long = |packet: &Packet| packet.frame.len() >= 1_514 && packet.to == ip("192.0.2.12");
    let step = Duration::from_millis(100);
    // The steps in which long ones are sent are the same in each run.
    let mut cluster = start(&three());
    cluster.pass(Duration::from_secs(10));
    cluster.underlay.sent();
    let lost_in = (0..700).find(|_| {
        cluster.pass(step);
        cluster.underlay.sent().iter().any(is_long)
    });
    let lost_in = lost_in.expect("a long hello in a minute");
    let mut cluster = start(&three());
    cluster.pass(Duration::from_secs(10));
    (0..lost_in).for_each(|_| cluster.pass(step));
    cluster.underlay.cut(&[ip("192.0.2.12")], &[ip("192.0.2.1"), ip("192.0.2.11")]);
    cluster.pass(step);
    cluster.underlay.mend();
    cluster.underlay.sent();
    cluster.pass(Duration::from_secs(10));
    assert!(cluster.underlay.sent().iter().any(is_long), "it is sent again");
    for host in ["gw1", "cn1", "cn2"] {
        let is_narrow = |event: &Event| matches!(event, Event::UnderlayNarrow { .. });
        assert!(!cluster.host(host).events.iter().any(is_narrow), "{host}");
    }
}

#[test]
fn isolated_ports_do_not_reach_each_other_on_any_host() {
    let isolated = |name: &'static str, host: &'static str| (name, "vub8", host, "isolated = true");
    let vms = [isolated("a8", "cn1"), isolated("c8", "cn2"), ("d8", "vub8", "cn2", "")];
    let mut cluster = start(&(THREE.to_owned() + &ports(&vms)));
    assert_eq!(cluster.reached("a8", &bare(VM1, BROADCAST)), ["d8", "leaf1"]);
    assert_eq!(cluster.reached("c8", &bare(VM2, BROADCAST)), ["d8", "leaf1"]);
    assert_eq!(cluster.reached("a8", &bare(VM1, VM2)), Vec::<String>::new(), "known there, and not reached");
    assert_eq!(cluster.reached("d8", &bare(VM5, BROADCAST)), ["a8", "c8", "leaf1"]);
    assert_eq!(cluster.reached("a8", &bare(VM1, VM5)), ["d8"]);
}

#[test]
fn priority_crosses_and_a_vm_gets_class_5_at_most() {
    let mut cluster = start(&three());
    cluster.reached("a8", &bare(VM1, BROADCAST));
    cluster.reached("c8", &bare(VM2, BROADCAST));
    let by_trunk = |cluster: &mut Cluster, port: &str, frame: &[u8]| {
        let sent = cluster.send(port, frame);
        assert_eq!(sent.len(), 1, "{sent:?}");
        tags(&sent[0].1)
    };
    // The trunk's priority goes along; the VM's port does not show it.
    cluster.underlay.sent();
    assert_eq!(by_trunk(&mut cluster, "leaf1", &tagged(8, 7, PHYS, VM1)), []);
    let classes: Vec<u8> = cluster.underlay.sent().into_iter().map(|packet| packet.class).collect();
    assert_eq!(classes, [7]);
    // What a VM's priority tag asks for arrives on the trunk, but for the classes of the underlay itself.
    for (asked, got) in [(3, 3), (5, 5), (6, 5), (7, 5)] {
        let frame = Frame::new(VM1, PHYS).tag(0, asked).payload(0x0800, &[7; 46]);
        assert_eq!(by_trunk(&mut cluster, "a8", &frame), [(0x8100, got << 13 | 8)], "{asked}");
    }
    assert_eq!(by_trunk(&mut cluster, "a8", &bare(VM1, PHYS)), [(0x8100, 8)]);
}

#[test]
fn tags_inside_are_payload_on_every_host() {
    let mut cluster = start(&three());
    let frame = Frame::new(VM1, BROADCAST).tag(77, 1).payload(0x0800, &[7; 46]);
    let sent = cluster.send("a8", &frame);
    let inside = |port: &str| sent.iter().find(|(at, _)| at == port).map(|(_, frame)| tags(frame));
    assert_eq!(inside("c8"), Some(vec![(0x8100, 1 << 13 | 77)]));
    assert_eq!(inside("leaf1"), Some(vec![(0x8100, 8), (0x8100, 1 << 13 | 77)]));
}

#[test]
fn strangers_wrong_vnis_and_a_hosts_own_address_are_dropped_counted_and_named() {
    let mut cluster = start(&(three() + &ports(&[("m8", "vub8", "cn1", "macs = [\"02:00:00:00:00:07\"]")])));
    let packet = |from: &str, vni: u32, src: Mac| packet((from, "192.0.2.11"), vni, bare(src, BROADCAST));
    let declared = [2, 0, 0, 0, 0, 7];
    for (from, vni, src, reason) in [
        ("198.51.100.9", 8008, PHYS, DropReason::UnknownHost),
        ("192.0.2.11", 8008, PHYS, DropReason::OwnHost),
        ("192.0.2.12", 4711, PHYS, DropReason::UnknownVni),
        ("192.0.2.12", 8008, declared, DropReason::Pinned),
        ("192.0.2.12", 8008, [3, 0, 0, 0, 0, 1], DropReason::GroupSource),
    ] {
        cluster.underlay.inject(packet(from, vni, src));
        cluster.settle();
        assert_eq!(cluster.host("cn1").take_sent(), [], "{reason}");
        let of = |host: &mut Cluster| {
            let (counters, label) = (host.host("cn1").counters(), ("reason".to_owned(), reason.to_string()));
            let of =
                counters.iter().filter(|one| one.name == "l2gw_drops_total" && one.labels.contains(&label));
            of.map(|one| one.value).sum::<u64>()
        };
        assert_eq!(of(&mut cluster), 1, "{reason}");
        let told = cluster
            .host("cn1")
            .events
            .iter()
            .any(|event| matches!(event, Event::TunnelStranger { reason: told, .. } if *told == reason));
        let is_stranger =
            matches!(reason, DropReason::UnknownHost | DropReason::OwnHost | DropReason::UnknownVni);
        assert_eq!(told, is_stranger, "{reason}");
    }
    // The twin: the same by whoever may.
    cluster.underlay.inject(packet("192.0.2.12", 8008, PHYS));
    cluster.settle();
    let reached: Vec<String> = cluster.host("cn1").take_sent().into_iter().map(|(port, _)| port).collect();
    assert_eq!(reached, ["a8", "b8", "m8"]);
}

#[test]
fn nothing_that_came_by_a_tunnel_leaves_by_one() {
    let mut cluster = start(&three());
    cluster.reached("c8", &bare(VM2, BROADCAST));
    cluster.underlay.sent();
    cluster.underlay.inject(packet(("192.0.2.1", "192.0.2.11"), 8008, bare(PHYS, VM2)));
    cluster.settle();
    assert_eq!(cluster.host("cn1").take_sent(), []);
    assert_eq!(cluster.underlay.sent().len(), 1, "what was injected, and nothing else");
}

#[test]
fn a_vm_that_moves_is_found_by_its_first_frame_and_its_host_forgets_it() {
    let mut cluster = start(&three());
    cluster.reached("a8", &bare(VM1, BROADCAST));
    assert_eq!(cluster.reached("leaf1", &tagged(8, 0, PHYS, VM1)), ["a8"]);
    cluster.pass(Duration::from_secs(2));
    assert_eq!(cluster.reached("c8", &bare(VM1, BROADCAST)), ["a8", "b8", "d8", "leaf1"]);
    assert_eq!(cluster.reached("leaf1", &tagged(8, 0, PHYS, VM1)), ["c8"]);
    assert_eq!(cluster.reached("b8", &bare(VM5, VM1)), ["c8"]);
}

#[test]
fn a_daemon_that_starts_again_takes_over_its_flows_of_the_tunnel() {
    let mut cluster = start(&three());
    for _ in 0..3 {
        cluster.reached("a8", &bare(VM1, BROADCAST));
        cluster.reached("leaf1", &tagged(8, 0, PHYS, VM1));
        cluster.reached("a8", &bare(VM1, PHYS));
    }
    cluster.restart("cn1");
    let is_closed = |output: &Output| matches!(output, Output::Tunnel { end: None, .. });
    assert!(!cluster.host("cn1").outputs.iter().any(|(_, output)| is_closed(output)), "its tunnel stays");
    let adopted = cluster.host("cn1").events.iter().find_map(|event| match event {
        Event::Adopted { kept, replaced, deleted, .. } => Some((*kept, *replaced, *deleted)),
        _ => None,
    });
    assert!(matches!(adopted, Some((kept, replaced, 0)) if kept + replaced >= 3), "{adopted:?}");
    assert_eq!(cluster.reached("leaf1", &tagged(8, 0, PHYS, VM1)), ["a8"]);
    assert_eq!(cluster.reached("a8", &bare(VM1, PHYS)), ["leaf1"]);
}

/// So many hosts more, each with one VM on `vub8`.
fn start_with(many: usize) -> Cluster {
    let mut text = THREE.to_owned();
    for host in 0..many {
        text += &format!("[hosts.m{host}]\nunderlay = \"192.0.2.{}\"\n", 100 + host);
    }
    let names: Vec<(String, String)> =
        (0..many).map(|host| (format!("v{host}"), format!("m{host}"))).collect();
    let far: Vec<_> = names.iter().map(|(port, host)| (port.as_str(), "vub8", host.as_str(), "")).collect();
    start(&(text + &ports(&VMS) + &ports(&far)))
}

/// Somebody has removed the group: what is lost by it until the flows are looked over is counted where an operator looks.
#[test]
fn frames_to_a_group_that_is_gone_are_counted() {
    let mut cluster = start_with(12);
    cluster.reached("a8", &bare(VM1, BROADCAST));
    let host = cluster.host("cn1");
    let ungrouped = |host: &Gateway| {
        let counters = host.counters();
        let is_it = |row: &&CounterView| row.labels.iter().any(|(_, value)| value == "ungrouped");
        counters.iter().find(is_it).map(|row| (row.name.clone(), row.value))
    };
    let made = host.datapath().groups().now_or_never().unwrap().unwrap();
    host.datapath().delete_group(made[0].0).now_or_never().unwrap().unwrap();
    host.read_statistics();
    assert_eq!(ungrouped(host), Some(("l2gw_datapath_frames_total".into(), 0)));
    assert_eq!(cluster.reached("a8", &bare(VM1, BROADCAST)), ["b8"], "the rest of it");
    let host = cluster.host("cn1");
    host.read_statistics();
    assert_eq!(ungrouped(host), Some(("l2gw_datapath_frames_total".into(), 1)));
}

#[test]
fn a_flood_to_many_hosts_is_a_group_that_all_senders_share() {
    let many = 12;
    let mut cluster = start_with(many);
    let groups = |cluster: &mut Cluster| {
        let groups = cluster.host("cn1").datapath().groups().now_or_never().unwrap().unwrap();
        groups.into_iter().map(|(id, steps)| (id, steps.map_or(0, |steps| steps.len()))).collect::<Vec<_>>()
    };
    assert_eq!(groups(&mut cluster), [], "nobody has flooded yet");
    let reached = cluster.reached("a8", &bare(VM1, BROADCAST));
    assert_eq!(reached.len(), 4 + many, "{reached:?}");
    // Once more by the flow, and by that of another sender, whose list names the same group.
    assert_eq!(cluster.reached("a8", &bare(VM1, BROADCAST)), reached);
    cluster.reached("b8", &bare(VM5, BROADCAST));
    let made = groups(&mut cluster);
    assert_eq!(made.iter().map(|(_, copies)| *copies).collect::<Vec<_>>(), [many + 2]);
    // A daemon that starts again goes by the group that is there; a host that leaves is taken out of it in place.
    cluster.restart("cn1");
    assert_eq!(groups(&mut cluster), made);
    let mut description = cluster.description().clone();
    description.ports.retain(|port| port.name != "v3");
    cluster.change(2, &description);
    cluster.reached("a8", &bare(VM1, BROADCAST));
    assert_eq!(groups(&mut cluster), [(made[0].0, many + 1)]);
    // With few hosts left, copies stand in the flows, and the group goes.
    description.ports.retain(|port| !port.name.starts_with('v'));
    cluster.change(3, &description);
    assert_eq!(cluster.reached("a8", &bare(VM1, BROADCAST)), ["b8", "c8", "d8", "leaf1"]);
    cluster.pass(Duration::from_secs(11));
    assert_eq!(groups(&mut cluster), []);
}
