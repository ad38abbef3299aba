//! What a host cannot know of a frame that comes back it does not say: nothing moves, and the frame is dropped.

use std::time::Duration;

use agent::hello::question::Question;
use agent::hello::{HELLO_VNI, Said};
use agent::input::Input;
use tests::lab::frames::{BROADCAST, Frame, Mac};
use tests::sim::cluster::Cluster;
use vlan::addr::MacAddr;
use vlan::fdb::reflect::Likeness;

use super::feed::{is, known};
use super::handover::taking_over;
use super::{PHYS, VM1, VM5, bare, packet, parse, start, tagged, three, two_gateways};

const CN1: &str = "192.0.2.11";

/// VM1 at a8 of cn1 and a machine of the fabric know each other.
fn acquainted() -> Cluster {
    let mut cluster = start(&two_gateways());
    cluster.pass(Duration::from_secs(3));
    let (_, carrier, ..) = taking_over(&mut cluster);
    assert_eq!(cluster.reached(carrier, &tagged(8, 0, PHYS, VM1)), ["a8"]);
    cluster
}

/// A frame of VM1 in a VLAN of its own.
fn inner(vid: u16) -> Vec<u8> {
    Frame::new(VM1, PHYS).tag(100 + vid, 0).payload(0x0800, &[7; 46])
}

/// The first of them as a fabric brings it back.
fn back() -> Vec<u8> {
    Frame::new(VM1, PHYS).tag(8, 0).tag(100, 0).payload(0x0800, &[7; 46])
}

fn dropped(cluster: &mut Cluster, host: &str, reason: &str) -> u64 {
    let counters = cluster.host(host).counters();
    let is_its = |labels: &[(String, String)]| {
        labels.iter().any(|(key, value)| (key.as_str(), value.as_str()) == ("reason", reason))
    };
    counters
        .iter()
        .filter(|row| row.name == "l2gw_drops_total" && is_its(&row.labels))
        .map(|row| row.value)
        .sum()
}

/// A VM with so many VLANs of its own speaks to one machine in all of them. The frame of the first one, sent last, comes back by another
/// gateway. Where its flow is not among those that are asked, nobody knows.
#[test]
fn of_a_guest_with_more_flows_alike_than_are_asked_nobody_knows() {
    for (vlans, expected) in [
        (17, ("reflected", "unanswered")),
        (64, ("reflected", "unanswered")),
        (65, ("unanswered", "reflected")),
    ] {
        let mut cluster = acquainted();
        let (host, carrier, other, standby) = taking_over(&mut cluster);
        for _ in 0..2 {
            (0..vlans).for_each(|vid| assert_eq!(cluster.reached("a8", &inner(vid)), [carrier], "{vid}"));
            cluster.pass(Duration::from_millis(1_500));
        }
        assert_eq!(cluster.reached("a8", &inner(0)), [carrier]);
        cluster.host(host).set_carrier(carrier, false);
        cluster.pass(Duration::from_millis(200));
        assert_eq!(cluster.reached(standby, &back()), Vec::<String>::new());
        cluster.pass(Duration::from_millis(300));
        assert_eq!(known(&mut cluster, other, VM1), is("host cn1", "remote"), "{vlans}");
        let (is_one, is_none) = expected;
        assert_eq!(
            (dropped(&mut cluster, other, is_one), dropped(&mut cluster, other, is_none)),
            (1, 0),
            "{vlans}"
        );
        // What it has not sent is a move, as ever.
        let moved = Frame::new(VM1, BROADCAST).tag(8, 0).payload(0x8035, &[7; 46]);
        assert_eq!(cluster.reached(standby, &moved), ["a8", "b8", "c8", "d8"]);
        assert_eq!(known(&mut cluster, other, VM1), is("trunks of fabric", "dynamic"));
    }
}

/// And the host that has the source does not know it of itself; a trace says so beforehand.
#[test]
fn of_a_guest_of_its_own_with_as_many_flows_alike_a_gateway_does_not_know() {
    for (vlans, reason) in [(64, "reflected"), (65, "unanswered")] {
        let mut cluster = start(&two_gateways());
        cluster.host("gw2").set_carrier("leaf2", false);
        cluster.pass(Duration::from_secs(3));
        cluster.reached("leaf1", &tagged(8, 0, PHYS, VM1));
        for _ in 0..2 {
            (0..vlans).for_each(|vid| assert_eq!(cluster.reached("d8", &inner(vid)), ["leaf1"], "{vid}"));
            cluster.pass(Duration::from_millis(1_500));
        }
        assert_eq!(cluster.reached("d8", &inner(0)), ["leaf1"]);
        cluster.pass(Duration::from_millis(300));
        let now = cluster.now();
        let traced = cluster.host("gw1").engine.view().trace(now, "leaf1", &back()).unwrap().view(&back());
        let said =
            traced.steps.iter().any(|step| step.contains("none of the 64 flows that are asked has sent it"));
        assert_eq!(said, vlans > 64, "{:?}", traced.steps);
        assert_eq!(cluster.reached("leaf1", &back()), Vec::<String>::new());
        assert_eq!(dropped(&mut cluster, "gw1", reason), 1, "{vlans}");
        assert_eq!(known(&mut cluster, "gw1", VM1), is("d8", "dynamic"), "{vlans}");
    }
}

/// Revisions come faster than flows are looked over.
#[test]
fn whose_flows_are_of_a_topology_that_is_forgotten_says_nothing() {
    for (revisions, expected) in [(15, vec![true]), (16, vec![])] {
        let mut cluster = acquainted();
        for _ in 0..2 {
            cluster.reached("a8", &bare(VM1, PHYS));
            cluster.pass(Duration::from_millis(1_200));
        }
        let others: Vec<Vec<u8>> = (0..9_000_u16)
            .map(|number| {
                let [a, b] = number.to_be_bytes();
                bare(VM5, [2, 0, 0, 1, a, b])
            })
            .collect();
        let host = cluster.host("cn1");
        for frames in others.chunks(3_000) {
            for frame in frames {
                host.inject("b8", frame);
                host.settle();
            }
            host.pass(Duration::from_secs(1));
        }
        host.inject("a8", &bare(VM1, PHYS));
        host.settle();
        // Flows that are used more are looked over first.
        (0..2).flat_map(|_| &others).for_each(|frame| host.inject("b8", frame));
        host.settle();
        host.read_statistics();
        let (description, numbers) = (cluster.description().clone(), cluster.numbers().clone());
        let vni = numbers.further[&"vub8".parse().unwrap()].fabrics["fabric"];
        for revision in 2..2 + revisions {
            let (description, numbers) = (Box::new(description.clone()), Some(Box::new(numbers.clone())));
            cluster.host("cn1").handle(Input::Topology { revision, description, numbers, built: None });
        }
        assert_eq!(says(&mut cluster, vni, PHYS), expected, "{revisions}");
        cluster.host("cn1").settle();
        cluster.pass(Duration::from_secs(2));
        assert_eq!(says(&mut cluster, vni, PHYS), [false], "when all are looked over it knows again");
    }
}

/// What cn1 says to a gateway of a frame from VM1 to `dst`.
fn says(cluster: &mut Cluster, vni: u32, dst: Mac) -> Vec<bool> {
    let likeness = Likeness { dst: MacAddr(dst), ether_type: 0x0800 };
    let question = Question { session: 7, number: 1, vni, inner: 0, mac: MacAddr(VM1), likeness };
    cluster.underlay.sent();
    cluster.underlay.inject(packet(("192.0.2.1", CN1), HELLO_VNI, question.to_frame()));
    let host = cluster.host("cn1");
    let question = host.next_upcall();
    host.handle(question);
    let said =
        cluster.underlay.sent().into_iter().filter_map(|packet| match Said::from_frame(&packet.frame)? {
            Said::Reply(reply) => Some(reply.sent.is_some()),
            _ => None,
        });
    said.collect()
}

/// It cannot hear anybody, and must not keep a dead host's words from being withdrawn.
#[test]
fn a_host_without_a_tunnel_says_that_it_hears_nobody() {
    let mut cluster = start(&three());
    cluster.pass(Duration::from_secs(3));
    let heard = |cluster: &mut Cluster| {
        let now = cluster.now();
        let view = cluster.host("cn1").engine.view();
        (view.hears().len(), view.status(now).others.map(|others| others.heard))
    };
    assert_eq!(heard(&mut cluster), (2, Some(2)));
    cluster.host("cn1").datapath().wire().occupy_udp(4790);
    cluster.change(2, &parse(&(three() + "[overlay]\nport = 4790\n")));
    cluster.pass(Duration::from_secs(10));
    assert_eq!(heard(&mut cluster), (0, Some(0)));
    let gateway = cluster.host("gw1").engine.view().hears();
    assert_eq!(gateway.len(), 1, "others hear each other: {gateway:?}");
}
