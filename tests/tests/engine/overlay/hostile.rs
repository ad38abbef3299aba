//! What a hostile reader of the overlay found: silence, neighbouring revisions, a tunnel port that goes, strangers.

use std::time::Duration;

use agent::event::Event;
use agent::output::Output;
use datapath::flow::{Action, FlowChange};
use datapath::{Datapath, FlowTable};
use futures::FutureExt;
use tests::lab::frames::BROADCAST;
use tests::sim::cluster::Cluster;
use vlan::model::description::Mode;
use vlan::vid::Vid;

use super::{VM1, VM2, VM5, bare, carriers, ip, packet, start, three, two_gateways};

/// What two VABs of one gateway carry is said by two hellos.
#[test]
fn after_a_silence_each_vlan_of_each_bridge_has_one_carrier_again() {
    let second = "[bridges.dc2]\nkind = \"vlan-aware\"\nfabric = \"other\"\n[[vlans]]\nbridge = \"dc2\"\nvid = 5\nto = \"vub5\"\n";
    let trunk = |name: &str, host: &str| {
        format!("[[trunks]]\nname = \"{name}\"\nbridge = \"dc2\"\nhost = \"{host}\"\nlink = \"{name}\"\n")
    };
    let text = two_gateways() + second + &trunk("other1", "gw1") + &trunk("other2", "gw2");
    let mut cluster = start(&text);
    let carriers = |cluster: &mut Cluster| {
        let reached = cluster.reached("a5", &bare(VM5, BROADCAST));
        let of = |fabric: &str| reached.iter().filter(|port| port.starts_with(fabric)).count();
        (of("leaf"), of("other"))
    };
    cluster.pass(Duration::from_secs(1));
    assert_eq!(carriers(&mut cluster), (1, 1));
    cluster.underlay.cut(&[ip("192.0.2.1")], &[ip("192.0.2.2")]);
    cluster.pass(Duration::from_secs(2));
    assert_eq!(carriers(&mut cluster), (2, 2));
    cluster.underlay.mend();
    cluster.pass(Duration::from_secs(1));
    assert_eq!(carriers(&mut cluster), (1, 1));
}

#[test]
fn a_tunnel_port_with_another_end_gets_all_that_leaves_by_it_once_more() {
    let mut cluster = start(&three());
    cluster.reached("a8", &bare(VM1, BROADCAST));
    cluster.reached("c8", &bare(VM2, BROADCAST));
    cluster.reached("a8", &bare(VM1, VM2));
    let before = cluster.host("cn1").outputs.len();
    let mut description = cluster.description().clone();
    description.overlay.port = 4_790;
    cluster.change(2, &description);
    assert_eq!(cluster.reached("a8", &bare(VM1, VM2)), ["c8"]);
    let sends = |change: &FlowChange| match change {
        FlowChange::Put { actions, .. } => actions.iter().any(|step| matches!(step, Action::Tunnel(_))),
        FlowChange::Delete { .. } => false,
    };
    let puts = |output: &Output| match output {
        Output::Flows { changes, .. } => changes.iter().filter(|change| sends(change)).count(),
        _ => 0,
    };
    let host = cluster.host("cn1");
    let again: usize = host.outputs[before..].iter().map(|(_, output)| puts(output)).sum();
    assert!(again >= 2, "the flood and the unicast: {again}");
}

#[test]
fn a_tunnel_port_that_somebody_has_removed_is_made_again() {
    let mut cluster = start(&three());
    cluster.reached("c8", &bare(VM2, BROADCAST));
    assert_eq!(cluster.reached("a8", &bare(VM1, VM2)), ["c8"]);
    cluster.host("cn1").datapath().close_tunnel().now_or_never().unwrap().unwrap();
    cluster.pass(Duration::from_secs(1));
    let told = |event: &Event| matches!(event, Event::VportGone { .. });
    assert!(cluster.host("cn1").events.iter().any(told));
    assert_eq!(cluster.reached("a8", &bare(VM1, VM2)), ["c8"]);
}

#[test]
fn what_strangers_send_takes_no_place_in_the_flow_table_and_is_told_once() {
    let mut cluster = start(&three());
    let flows =
        |cluster: &mut Cluster| cluster.host("cn1").datapath().flows().now_or_never().unwrap().unwrap().len();
    let before = flows(&mut cluster);
    for last in 1..=40 {
        let from = format!("198.51.100.{last}");
        cluster.underlay.inject(packet((&from, "192.0.2.11"), 8008, bare([2, 0, 0, 0, 9, last], BROADCAST)));
        cluster.settle();
    }
    assert_eq!(flows(&mut cluster), before);
    let told = |event: &&Event| matches!(event, Event::TunnelStranger { .. });
    assert_eq!(cluster.host("cn1").events.iter().filter(told).count(), 1);
}

/// A gateway that follows a later revision gives a VLAN up; the other, which does not have it yet, takes the VLAN over.
#[test]
fn a_vlan_that_a_later_revision_takes_from_a_trunk_is_carried_by_the_other() {
    let mut cluster = start(&two_gateways());
    cluster.pass(Duration::from_secs(1));
    let (of8, _) = carriers(&mut cluster);
    let (ahead, other) = if of8 == ["leaf1"] { ("gw1", "leaf2") } else { ("gw2", "leaf1") };
    let mut description = cluster.description().clone();
    let trunk = description.trunks.iter_mut().find(|trunk| trunk.name == of8[0]).unwrap();
    let Mode::Trunk(mode) = &mut trunk.mode else { panic!("a trunk") };
    mode.vlans = Some([Vid::new(5).unwrap()].into_iter().collect());
    cluster.host(ahead).change(2, &description);
    cluster.pass(Duration::from_secs(2));
    assert_eq!(carriers(&mut cluster).0, [other]);
}
