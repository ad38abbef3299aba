//! What one changed object costs hosts that share a store, however large the topology is: questions of each host, packets of the servers.

use std::fmt::Write;

use crate::process::Gateway;
use crate::shared::{Network, is_at};

/// A VAB with a trunk on `gw1`, each VLAN a VUB; a port of `compute1` on one of them, and one of another host on each.
fn topology(bridges: u16, mtu: u16) -> String {
    let mut text =
        "[hosts.gw1]\n[hosts.compute1]\n[bridges.dc1]\nkind = \"vlan-aware\"\nfabric = \"rack1\"\n\
        [[trunks]]\nname = \"leaf1\"\nbridge = \"dc1\"\nhost = \"gw1\"\nlink = \"eth2\"\n\
        [[ports]]\nname = \"vm9\"\nbridge = \"vub8\"\nhost = \"compute1\"\nlink = \"tap9\"\n"
            .to_owned();
    for host in 0..HOSTS {
        writeln!(text, "[hosts.h{host}]").unwrap();
    }
    for number in 1..=bridges {
        let mtu = if number == bridges / 2 { mtu } else { 1_500 };
        writeln!(
            text,
            "[bridges.vub{number}]\nkind = \"vlan-unaware\"\n[[vlans]]\nbridge = \"dc1\"\nvid = {number}\nto = \"vub{number}\"\n\
             [[ports]]\nname = \"vm-{number}\"\nbridge = \"vub{number}\"\nhost = \"h{}\"\nlink = \"tap{number}\"\nmtu = {mtu}",
            number % HOSTS
        )
        .unwrap();
    }
    text
}

/// Questions that a host has asked.
fn questions(host: &Gateway) -> u64 {
    let counters = host.ask(&["show", "counters", "--json"]).json();
    let is_it = |counter: &&serde_json::Value| {
        counter["name"] == "l2gw_store_calls_total" && counter["labels"].to_string().contains("read")
    };
    counters.as_array().unwrap().iter().find(is_it).unwrap()["value"].as_u64().unwrap()
}

/// Packets that the servers have received.
fn packets(network: &Network) -> u64 {
    network.ensemble.servers().iter().map(|server| server.statistics().unwrap().received).sum()
}

#[test]
fn one_changed_port_costs_the_way_to_it_and_no_more() {
    if !servers::are_there() {
        return;
    }
    for bridges in [500, 2_000] {
        let mut network = Network::running();
        network.write_topology(&topology(bridges, 1_500));
        network.gateway.ask_about_file("apply", &[]).done();
        for (revision, mtu) in [(2, 1_500), (3, 1_501), (4, 1_502), (5, 1_503)] {
            let before = [questions(&network.gateway), questions(&network.compute), packets(&network)];
            if mtu > 1_500 {
                network.write_topology(&topology(bridges, mtu));
                network.gateway.ask_about_file("apply", &[]).done();
            }
            for host in network.hosts() {
                host.wait_for("the revision", |host| is_at(host, revision));
            }
            let after = [questions(&network.gateway), questions(&network.compute), packets(&network)];
            let [gateway, compute, packets] = [0, 1, 2].map(|n| after[n] - before[n]);
            if revision == 2 {
                continue;
            }
            println!(
                "{bridges} bridges, revision {revision}: {gateway} questions of the gateway, {compute} of the compute host, {packets} packets"
            );
            // The first change reads as a whole what a follower has read in part.
            assert!(revision < 4 || (gateway <= 30 && compute <= 15), "{gateway} and {compute}");
        }
        network.gateway.stop();
        network.compute.stop();
    }
}

const HOSTS: u16 = 50;
