//! The engine when things come in an order that rarely happens.

use agent::budget::Rates;
use agent::engine::Settings;
use agent::input::Input;
use agent::list::everything;
use agent::view::{CounterView, FlowView, MacView};
use l2gw::config;
use tests::lab::frames::{Frame, Mac};
use tests::lab::standard;
use tests::sim::gateway::Gateway;
use vlan::model::description::Description;
use vlan::time::Instant;

/// So many flows that a change of the topology is not through with them at once, and their counters are read before it is: what they
/// name by identifier is then still the topology's before.
#[test]
fn counters_read_in_the_middle_of_a_change_are_not_taken_for_the_new_topologys() {
    let before = parse(&[OTHERS, &standard::file()].concat());
    let wire = Gateway::wire(&before, Instant::from_secs(1_000));
    let mut settings = Settings::new("gw1");
    settings.rates = Rates { port: 0, ..Rates::default() };
    let mut gateway = Gateway::start(&wire, settings, (1, &before), Vec::new());
    let frames: Vec<Vec<u8>> = (0..FLOWS).map(frame).collect();
    for _ in 0..2 {
        // As many as wait for the engine at once.
        for some in frames.chunks(100) {
            some.iter().for_each(|frame| wire.inject("vm8", frame));
            gateway.settle();
        }
    }
    gateway.read_statistics();
    frames.iter().for_each(|frame| wire.inject("vm8", frame));
    assert_eq!(everything::<FlowView>(&gateway.engine, wire.now()).len(), FLOWS);
    // Ports of another host go, and those of ours have other identifiers. Every flow of ours stays as it is, so nothing is to be
    // answered that would let the engine go on.
    gateway.handle(Input::Topology {
        revision: 2,
        description: Box::new(parse(&standard::file())),
        numbers: None,
        built: None,
    });
    assert_eq!(
        gateway.engine.poll_timeout(),
        Some(Instant::ZERO),
        "the engine is not through with the change"
    );
    gateway.read_statistics();
    gateway.settle();
    assert_eq!(everything::<FlowView>(&gateway.engine, wire.now()).len(), FLOWS, "no flow was withdrawn");
    let macs: Vec<MacView> = everything(&gateway.engine, wire.now());
    assert!(macs.iter().any(|one| one.mac.0 == VM && one.location == "vm8"), "{macs:?}");
    let counted: Vec<CounterView> = everything(&gateway.engine, wire.now());
    let of_vm8 = |name: &str| -> u64 {
        let its = counted.iter().filter(|one| one.name == name && one.labels[0].1 == "vm8");
        its.map(|one| one.value).sum()
    };
    let known = of_vm8("l2gw_flow_frames_total") + of_vm8("l2gw_executes_total") + of_vm8("l2gw_drops_total");
    assert_eq!(known, 3 * FLOWS as u64, "each frame of each round is counted once");
}

fn frame(number: usize) -> Vec<u8> {
    let [.., a, b] = number.to_be_bytes();
    Frame::new(VM, [0x52, 0x54, 1, 0, a, b]).payload(0x0800, &[1; 46])
}

fn parse(text: &str) -> Description {
    config::parse("gateway.toml", text).expect("a file that is right").description
}

/// More than the engine looks over for one input.
const FLOWS: usize = 2_500;
const VM: Mac = [0x52, 0x54, 0, 0, 0, 1];
const OTHERS: &str = r#"
[nsdb]
backend = "zookeeper"
servers = ["192.0.2.9:2181"]
[hosts.gw2]
[bridges.dc2]
kind = "vlan-aware"
fabric = "two"
[[trunks]]
name = "far1"
bridge = "dc2"
host = "gw2"
link = "far1"
vlans = ["100"]
[[trunks]]
name = "far2"
bridge = "dc2"
host = "gw2"
link = "far2"
vlans = ["200"]
[[trunks]]
name = "far3"
bridge = "dc2"
host = "gw2"
link = "far3"
vlans = ["300"]
"#;
