//! Hosts that tell each other of addresses by a real ensemble, on a real kernel with real daemons: what is known without a frame, a VM that
//! moves, and what of it holds while servers die and hosts are cut off.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use servers::Ensemble;
use tests::lab::cluster::{Cluster, Plan, Runs, Site, Wire};
use tests::lab::ensemble::Servers;
use tests::lab::frames::{BROADCAST, Frame, Mac};
use tests::lab::gateway::Gateway;
use tests::lab::tap::Tap;

tests::kernel_tests! {
    group words;

    fn a_vm_that_moves_is_reached_by_its_first_frame_with_and_without_a_store() {
        let Some(mut cluster) = start("moves") else { return };
        let ports = ["leaf1", "d8", "a8", "b8", "c8"];
        ports.into_iter().for_each(|from| drop(send(&cluster, from, (mac(from), BROADCAST))));
        // A VM that speaks to its own host alone is known on the others.
        assert_eq!(send(&cluster, "a8", (VM, mac("b8"))), set(["b8"]));
        let began = Instant::now();
        cluster.host("cn2").wait_for("the word of cn1", |host| is_known(host, VM, "host cn1", "remote"));
        eprintln!("known on cn2 {} ms after its frame", began.elapsed().as_millis());
        cluster.host("gw1").wait_for("the word of cn1", |host| is_known(host, VM, "host cn1", "remote"));
        assert_eq!(send(&cluster, "c8", (mac("c8"), VM)), set(["a8"]));
        assert_eq!(send(&cluster, "d8", (mac("d8"), VM)), set(["a8"]));
        // It moves to cn2, and its first frame goes to gw1 alone.
        std::thread::sleep(JUST_LEFT);
        cluster.sent_by("cn2");
        assert_eq!(send(&cluster, "c8", (VM, mac("d8"))), set(["d8"]));
        assert_eq!(send(&cluster, "d8", (mac("d8"), VM)), set(["c8"]), "as unicast, at once");
        cluster.host("cn1").wait_for("the word of cn2", |host| is_known(host, VM, "host cn2", "remote"));
        assert_eq!(send(&cluster, "b8", (mac("b8"), VM)), set(["c8"]));
        // And back, while there is no store.
        ["gw1", "cn1", "cn2"].into_iter().for_each(|host| cluster.cut_off(host, true));
        for host in ["gw1", "cn1", "cn2"] {
            cluster.host(host).wait_for("it to know", |host| host.status().store_away.is_some());
        }
        assert_eq!(send(&cluster, "a8", (VM, mac("d8"))), set(["d8"]));
        assert_eq!(send(&cluster, "d8", (mac("d8"), VM)), set(["a8"]), "by its frame");
        ["gw1", "cn1", "cn2"].into_iter().for_each(|host| cluster.cut_off(host, false));
        for (host, at, kind) in [("cn2", "host cn1", "remote"), ("gw1", "host cn1", "remote"), ("cn1", "a8", "dynamic")] {
            cluster.host(host).wait_for("all to agree", |host| is_known(host, VM, at, kind));
        }
        assert_eq!(send(&cluster, "c8", (mac("c8"), VM)), set(["a8"]));
    }

    fn servers_that_die_cost_no_address_and_no_frame() {
        let Some(cluster) = start("servers") else { return };
        everybody_is_known(&cluster);
        let servers = Servers::of_this_process();
        let lost = lost_meanwhile(&cluster, || {
            servers.run(each_dies_in_turn);
            servers.run(all_die);
            // Longer than sessions live.
            std::thread::sleep(Duration::from_secs(20));
            assert!(cluster.host("cn1").status().store_away.is_some());
            conversations_begin(&cluster);
            servers.run(all_start_again);
        });
        assert_eq!(lost, (0, 0), "there and back");
        for host in ["gw1", "cn1", "cn2"] {
            cluster.host(host).wait_for("the store to be back", |host| host.status().store_away.is_none());
        }
        everybody_is_reached(&cluster);
        // And what is new is told again.
        assert_eq!(send(&cluster, "a8", (VM, mac("b8"))), set(["b8"]));
        cluster.host("cn2").wait_for("the word of cn1", |host| is_known(host, VM, "host cn1", "remote"));
        nobody_started_again(&cluster);
    }

    fn a_host_that_was_cut_off_for_a_minute_goes_on_and_converges() {
        let Some(mut cluster) = start("minute") else { return };
        everybody_is_known(&cluster);
        cluster.cut_off("cn1", true);
        cluster.host("cn1").wait_for("it to know", |host| host.status().store_away.is_some());
        let lost = lost_meanwhile(&cluster, || {
            std::thread::sleep(Duration::from_secs(60));
            conversations_begin(&cluster);
        });
        assert_eq!(lost, (0, 0), "there and back");
        // Meanwhile a VM came up on cn2 that cn1 has not heard, and one on cn1 that nobody else has.
        assert_eq!(send(&cluster, "c8", (VM, mac("d8"))), set(["d8"]));
        assert_eq!(send(&cluster, "a8", (OTHER, mac("b8"))), set(["b8"]));
        cluster.cut_off("cn1", false);
        cluster.host("cn1").wait_for("the word of cn2", |host| is_known(host, VM, "host cn2", "remote"));
        cluster.host("cn2").wait_for("the word of cn1", |host| is_known(host, OTHER, "host cn1", "remote"));
        everybody_is_reached(&cluster);
        nobody_started_again(&cluster);
    }

    fn what_a_dead_host_had_is_withdrawn_by_one_for_all_and_comes_back_with_it() {
        let Some(mut cluster) = start("dead") else { return };
        everybody_is_known(&cluster);
        cluster.host_mut("cn2").kill();
        let has = |host: &Gateway, port| host.macs().iter().any(|row| row.mac.0 == mac(port));
        let killed = Instant::now();
        while ["gw1", "cn1"].into_iter().any(|name| has(cluster.host(name), "c8")) {
            assert!(killed.elapsed() < BURIED_WITHIN, "c8 is known still\n{}", cluster.host("cn1").log());
            std::thread::sleep(Duration::from_secs(2));
            // A test kernel that says nothing for two minutes is taken to be stuck.
            eprintln!("{} s after it was killed", killed.elapsed().as_secs());
        }
        eprintln!("withdrawn {} s after it was killed", killed.elapsed().as_secs());
        assert!(killed.elapsed() > Duration::from_secs(90), "too soon");
        let told = ["gw1", "cn1"].map(|name| cluster.host(name).log().matches("addresses that it had").count());
        assert_eq!(told.iter().sum::<usize>(), 1, "{told:?}");
        let others = ["leaf1", "d8", "a8", "b8"];
        for name in ["gw1", "cn1"] {
            assert!(others.into_iter().all(|port| has(cluster.host(name), port)), "{name}");
        }
        cluster.host_mut("cn2").start();
        cluster.wait_until_together("cn2");
        send(&cluster, "c8", (mac("c8"), BROADCAST));
        for name in ["gw1", "cn1"] {
            let back = |host: &Gateway| is_known(host, mac("c8"), "host cn2", "remote");
            cluster.host(name).wait_for("the address to be back", back);
        }
        everybody_is_reached(&cluster);
    }
}

fn start(name: &str) -> Option<Cluster> {
    let plan =
        Plan { name, topology: TOPOLOGY, sites: &SITES, wires: &WIRES, underlay_mtu: 1_600, link_mtu: 1_500 };
    servers::are_there().then(|| Cluster::start(&plan))
}

fn each_dies_in_turn(ensemble: &Ensemble) {
    for server in ensemble.servers() {
        server.kill().expect("a server that is killed");
        std::thread::sleep(Duration::from_secs(2));
        server.restart().expect("a server that starts again");
        ensemble.wait_until_ready().expect("three servers");
    }
}

fn all_die(ensemble: &Ensemble) {
    ensemble.servers().iter().for_each(|server| server.kill().expect("a server that is killed"));
}

fn all_start_again(ensemble: &Ensemble) {
    ensemble.servers().iter().for_each(|server| server.restart().expect("a server that starts again"));
    ensemble.wait_until_ready().expect("three servers");
}

/// Every port's own address has been heard, and is told of everywhere.
fn everybody_is_known(cluster: &Cluster) {
    for from in PORTS {
        send(cluster, from, (mac(from), BROADCAST));
    }
    for host in ["gw1", "cn1", "cn2"] {
        cluster.host(host).wait_for("all words", |host| {
            let macs = host.macs();
            PORTS.iter().all(|port| {
                macs.iter().any(|row| row.mac.0 == mac(port) && !is_hint(&row.kind, &row.location))
            })
        });
    }
    everybody_is_reached(cluster);
}

/// What another host has sent and not told of.
fn is_hint(kind: &str, location: &str) -> bool {
    kind == "dynamic" && location.starts_with("host ")
}

fn everybody_is_reached(cluster: &Cluster) {
    for from in PORTS {
        for to in PORTS.into_iter().filter(|to| *to != from) {
            assert_eq!(send(cluster, from, (mac(from), mac(to))), set([to]), "{from} to {to}");
        }
    }
}

/// Conversations that no flow is there for yet, between addresses that are known: each frame reaches who it is for, and nobody else.
fn conversations_begin(cluster: &Cluster) {
    for host in ["gw1", "cn1", "cn2"] {
        let known = cluster.host(host).macs();
        assert!(PORTS.iter().all(|port| known.iter().any(|row| row.mac.0 == mac(port))), "{host}: {known:?}");
    }
    for (from, to) in [("a8", "c8"), ("c8", "leaf1"), ("leaf1", "b8"), ("b8", "d8")] {
        let frame = frame(from, (mac(from), mac(to)), NEW);
        let mut outcome = cluster.deliver((from, 8), &frame);
        outcome.values_mut().for_each(|frames| frames.retain(|frame| has_type(frame, NEW)));
        outcome.retain(|_, frames| !frames.is_empty());
        assert_eq!(outcome.into_keys().collect::<BTreeSet<_>>(), set([to]), "{from} to {to}");
    }
}

/// Frames of a conversation between leaf1 and a8 that do not arrive, there and back, while something happens.
fn lost_meanwhile(cluster: &Cluster, happens: impl FnOnce()) -> (usize, usize) {
    let (leaf1, a8) = (cluster.outside().tap("leaf1"), cluster.outside().tap("a8"));
    let there = frame("leaf1", (mac("leaf1"), mac("a8")), TALK);
    let back = frame("a8", (mac("a8"), mac("leaf1")), TALK);
    let is_over = AtomicBool::new(false);
    let (mut sent, mut came) = (0, (0, 0));
    std::thread::scope(|scope| {
        let talk = scope.spawn(|| {
            let (mut sent, mut came) = (0, (0, 0));
            while !is_over.load(Ordering::Relaxed) {
                leaf1.send(&there);
                a8.send(&back);
                sent += 1;
                std::thread::sleep(Duration::from_millis(10));
                came.0 += arrived(&a8, mac("a8"));
                came.1 += arrived(&leaf1, mac("leaf1"));
            }
            std::thread::sleep(Duration::from_millis(300));
            came.0 += arrived(&a8, mac("a8"));
            came.1 += arrived(&leaf1, mac("leaf1"));
            (sent, came)
        });
        happens();
        is_over.store(true, Ordering::Relaxed);
        (sent, came) = talk.join().expect("a conversation");
    });
    assert!(sent > 500, "{sent} frames");
    (sent - came.0, sent - came.1)
}

/// Frames of the conversation to an address.
fn arrived(tap: &Tap, dst: Mac) -> usize {
    tap.drain().iter().filter(|frame| frame[..6] == dst && has_type(frame, TALK)).count()
}

fn has_type(frame: &[u8], ether_type: u16) -> bool {
    [12, 16].into_iter().any(|at| frame.get(at..at + 2) == Some(&ether_type.to_be_bytes()[..]))
}

fn nobody_started_again(cluster: &Cluster) {
    for host in ["gw1", "cn1", "cn2"] {
        let log = cluster.host(host).log();
        assert_eq!(log.matches("datapath is open").count(), 1, "{host}:\n{log}");
    }
}

fn is_known(host: &Gateway, mac: Mac, at: &str, kind: &str) -> bool {
    host.macs().iter().any(|row| row.mac.0 == mac && row.location == at && row.kind == kind)
}

/// Sends a frame into a port of VLAN 8; the ports by which it came out.
fn send(cluster: &Cluster, from: &'static str, addresses: (Mac, Mac)) -> BTreeSet<&'static str> {
    cluster.reached((from, 8), &frame(from, addresses, 0x0800))
}

fn frame(from: &str, (src, dst): (Mac, Mac), ether_type: u16) -> Vec<u8> {
    let frame = Frame::new(src, dst);
    let frame = if from == "leaf1" { frame.tag(8, 0) } else { frame };
    frame.payload(ether_type, &[7; 46])
}

fn set<const N: usize>(ports: [&'static str; N]) -> BTreeSet<&'static str> {
    BTreeSet::from(ports)
}

/// A port's own address.
fn mac(port: &str) -> Mac {
    [0x52, 0x54, 0, 0, port.as_bytes()[0], port.as_bytes()[1]]
}

const TOPOLOGY: &str = r#"
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
[[vlans]]
bridge = "dc1"
vid = 8
to = "vub8"
[[trunks]]
name = "leaf1"
bridge = "dc1"
host = "gw1"
link = "leaf1"
[[ports]]
name = "d8"
bridge = "vub8"
host = "gw1"
link = "d8"
[[ports]]
name = "a8"
bridge = "vub8"
host = "cn1"
link = "a8"
[[ports]]
name = "b8"
bridge = "vub8"
host = "cn1"
link = "b8"
[[ports]]
name = "c8"
bridge = "vub8"
host = "cn2"
link = "c8"
"#;
const SITES: [Site; 3] = [
    Site { host: "gw1", underlay: underlay(1), runs: Runs::L2gw },
    Site { host: "cn1", underlay: underlay(11), runs: Runs::Agent },
    Site { host: "cn2", underlay: underlay(12), runs: Runs::Agent },
];
const WIRES: [Wire; 5] = [
    Wire { port: "leaf1", host: "gw1", vid: None },
    Wire { port: "d8", host: "gw1", vid: Some(8) },
    Wire { port: "a8", host: "cn1", vid: Some(8) },
    Wire { port: "b8", host: "cn1", vid: Some(8) },
    Wire { port: "c8", host: "cn2", vid: Some(8) },
];
const PORTS: [&str; 5] = ["leaf1", "d8", "a8", "b8", "c8"];
/// A session that nobody keeps (40 s), the time that is waited then (90 s), and two looks (30 s each).
const BURIED_WITHIN: Duration = Duration::from_secs(200);
const VM: Mac = [0x52, 0x54, 0, 0xaa, 0, 1];
const OTHER: Mac = [0x52, 0x54, 0, 0xaa, 0, 2];
/// By which conversations are told apart: unassigned by IEEE.
const TALK: u16 = 0x9101;
const NEW: u16 = 0x9102;
/// A frame from where an address was so short a time ago says nothing.
const JUST_LEFT: Duration = Duration::from_millis(1_200);

const fn underlay(last: u8) -> std::net::IpAddr {
    std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, last))
}
