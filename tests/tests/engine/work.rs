//! Work for one event does not grow with what there is, and nothing is done for what stays as it is: allocations of the thread are counted
//! while the engine handles the same event on a small host and on a large one. How long each takes is measured by `make bench-scale`.

use std::fmt::Write as _;
use std::sync::Arc;

use agent::engine::Settings;
use agent::input::Input;
use agent::output::Output;
use allocation_counter::measure;
use datapath::flow::{FlowChange, FlowId, FlowStats};
use datapath::port::{Link, LinkEvent};
use l2gw::cli::difference::Difference;
use l2gw::config;
use tests::lab::frames::{BROADCAST, Frame, Mac};
use tests::sim::gateway::Gateway;
use vlan::time::Instant;

/// A link loses its carrier, and has it again.
#[test]
fn a_link_event_costs_the_same_with_many_ports() {
    let cost = |vlans| {
        let mut host = Host::new(vlans);
        host.carrier("t1-0", false);
        host.carrier("t1-0", true);
        host.carrier("t1-0", false) + host.carrier("t1-0", true)
    };
    let (small, large) = (cost(8), cost(512));
    assert!(small > 0, "nothing was counted");
    assert_eq!(small, large, "allocations with 24 ports and with 1 536");
}

/// A trunk of a fabric with one VLAN goes while another fabric has hundreds.
#[test]
fn a_trunk_that_goes_has_only_the_vlans_of_its_fabric_chosen_anew() {
    let cost = |vlans| {
        let mut host = Host::new(vlans);
        host.carrier("other1", false);
        host.carrier("other1", true);
        host.carrier("other1", false)
    };
    assert_eq!(cost(8), cost(512), "allocations with 8 VLANs in the other fabric and with 512");
}

/// The first frame of a conversation between two known stations.
#[test]
fn a_first_frame_costs_the_same_with_many_ports() {
    let cost = |vlans| {
        let mut host = Host::new(vlans);
        for number in 0..64 {
            host.first_frame("v1-0", station(number), BROADCAST);
        }
        let known = (0..32).map(|number| host.first_frame("v1-1", station(100 + number), station(number)));
        known.min()
    };
    assert_eq!(cost(8), cost(512));
}

/// What is heard of fifty flows, with few others and with thousands.
#[test]
fn a_slice_of_statistics_costs_what_it_names() {
    let cost = |flows: u64| {
        let mut host = Host::new(2);
        for number in 0..flows {
            host.first_frame("v1-0", station(number), BROADCAST);
        }
        let now = START;
        let ids: Vec<FlowId> = host.put.iter().rev().copied().take(50).collect();
        assert_eq!(ids.len(), 50);
        let mut hear = |packets| {
            let stats = FlowStats { packets, bytes: 60 * packets, used: Some(now) };
            let slice = ids.iter().map(|id| (*id, stats)).collect();
            host.handle(Input::FlowStats { slice, is_last: false })
        };
        hear(1);
        hear(2)
    };
    assert_eq!(cost(100), cost(6_000));
}

/// Another revision comes, which changes nothing for flows that were there.
#[test]
fn a_flow_that_a_revision_leaves_as_it_is_is_not_written_anew() {
    let cost = |flows: u64| {
        let mut host = Host::new(2);
        for number in 0..flows {
            host.first_frame("v1-0", station(number), BROADCAST);
        }
        assert_eq!(host.put.len() as u64, flows);
        let description = config::parse("gateway.toml", &file(3)).expect("a file that is right").description;
        let description = Box::new(description);
        host.handle(Input::Topology { revision: 2, description, numbers: None, built: None });
        (0..20).map(|_| host.handle(Input::Tick)).sum::<u64>()
    };
    // What a flow does is made, to be compared; nothing of it is written anew.
    let (few, many) = (cost(400), cost(1_400));
    assert!(many > few, "nothing was counted: {few} {many}");
    assert!(many - few <= 2 * 1_000, "{few} allocations with 400 flows, {many} with 1 400");
}

/// Nothing happens, and nothing is due.
#[test]
fn an_idle_tick_costs_nothing_with_many_ports_and_flows() {
    let mut host = Host::new(512);
    for number in 0..2_000 {
        host.first_frame("v1-0", station(number), BROADCAST);
    }
    host.handle(Input::Tick);
    assert_eq!(host.handle(Input::Tick), 0);
}

/// Of what two descriptions have alike, no keys are put into words.
#[test]
fn a_difference_costs_little_for_what_is_the_same() {
    let cost = |vlans| {
        let before = config::parse("gateway.toml", &file(vlans)).expect("a file that is right").description;
        let text = file(vlans).replacen("link = \"leaf1\"", "link = \"leaf1\"\nweight = 2", 1);
        let after = Arc::new(config::parse("gateway.toml", &text).expect("a file that is right").topology);
        let mut lines = Vec::new();
        let counted = measure(|| lines = Difference::new(&before, &after).objects);
        assert_eq!(lines, ["~ trunks.leaf1.weight: 1 -> 2"]);
        counted.count_total
    };
    let (small, large) = (cost(8), cost(108));
    // Each VLAN has three ports, a bridge and a line in `[[vlans]]`, before and after.
    let of_a_vlan = (large - small) / 100;
    assert!(of_a_vlan < 200, "{of_a_vlan} allocations for a VLAN that is the same");
}

/// Links whose vports are gone are not attached in one piece: frames are judged in between.
#[test]
fn links_are_attached_a_few_at_a_time() {
    let mut host = Host::new(64);
    let links = host.gateway.engine.view().status(START).ports;
    // Somebody else has removed every vport; a list may skip some, so it is read twice.
    let mut attached = 0;
    for _ in 0..2 {
        attached += host.attachments(Input::Vports { slice: Vec::new(), is_last: true });
    }
    for _ in 0..links {
        attached += host.attachments(Input::Tick);
    }
    assert!(attached >= links, "{attached} of {links} links were attached");
}

/// However much is told of links before anything is asked for, few are attached then.
#[test]
fn news_of_many_links_attaches_no_more_than_news_of_one() {
    let mut host = Host::new(64);
    host.attachments(Input::Vports { slice: Vec::new(), is_last: true });
    for link in host.gateway.links() {
        host.gateway.engine.handle(START, Input::Link(Box::new(LinkEvent::Changed(link))));
    }
    host.attachments(Input::Tick);
}

/// A gateway of so many VLANs, three ports each, behind one trunk; another fabric has one VLAN and two trunks.
struct Host {
    gateway: Gateway,
    /// Flows that were put.
    put: Vec<FlowId>,
}

impl Host {
    fn new(vlans: u16) -> Host {
        let description =
            config::parse("gateway.toml", &file(vlans)).expect("a file that is right").description;
        let wire = Gateway::wire(&description, START);
        let settings = Settings { seed: 7, ..Settings::new("gw1") };
        let gateway = Gateway::start(&wire, settings, (1, &description), Vec::new());
        let status = gateway.engine.view().status(START);
        assert_eq!((status.ports, status.ports_up), (3 * usize::from(vlans) + 3, status.ports));
        Host { gateway, put: Vec::new() }
    }

    /// The allocations that an input takes, its outputs polled. What is asked for is taken to be done.
    fn handle(&mut self, input: Input) -> u64 {
        let engine = &mut self.gateway.engine;
        let mut outputs = Vec::with_capacity(64);
        let counted = measure(|| {
            engine.handle(START, input);
            while let Some(output) = engine.poll_output() {
                outputs.push(output);
            }
        });
        for output in outputs {
            if let Output::Flows { changes: flows, .. } | Output::SetUp { flows, .. } = &output {
                self.put.extend(flows.iter().filter_map(|change| match change {
                    FlowChange::Put { id, .. } => Some(*id),
                    FlowChange::Delete { .. } => None,
                }));
            }
            if let Output::Flows { id, .. }
            | Output::SetUp { id, .. }
            | Output::Execute { id, .. }
            | Output::Meters { id, .. } = output
            {
                engine.handle(START, Input::Done { id, answers: Vec::new() });
            }
        }
        counted.count_total
    }

    /// How many links are to be attached after an input; few at a time.
    fn attachments(&mut self, input: Input) -> usize {
        let engine = &mut self.gateway.engine;
        engine.handle(START, input);
        let outputs = std::iter::from_fn(|| engine.poll_output());
        let at_once = outputs.filter(|output| matches!(output, Output::Attach { .. })).count();
        assert!(at_once <= 4, "{at_once} links for one input");
        at_once
    }

    fn carrier(&mut self, name: &str, has_carrier: bool) -> u64 {
        let link = self.gateway.links().into_iter().find(|link| link.name == name).expect("a link");
        self.handle(Input::Link(Box::new(LinkEvent::Changed(Link { has_carrier, ..link }))))
    }

    fn first_frame(&mut self, port: &str, from: Mac, to: Mac) -> u64 {
        let frame = Frame::new(from, to).payload(0x0800, &[1; 46]);
        let upcall = self.gateway.upcall_of(port, &frame);
        self.handle(Input::Upcalls(vec![upcall]))
    }
}

fn station(number: u64) -> Mac {
    let [.., a, b, c] = number.to_be_bytes();
    [2, 0, 0, a, b, c]
}

fn file(vlans: u16) -> String {
    let mut text = String::from(
        "[hosts.gw1]\n[bridges.dc1]\nkind = \"vlan-aware\"\n[bridges.dc2]\nkind = \"vlan-aware\"\nfabric = \"other\"\n\
         [bridges.other]\nkind = \"vlan-unaware\"\n[[vlans]]\nbridge = \"dc2\"\nvid = 9\nto = \"other\"\n\
         [[trunks]]\nname = \"leaf1\"\nbridge = \"dc1\"\nhost = \"gw1\"\nlink = \"leaf1\"\n",
    );
    for name in ["other1", "other2"] {
        let _ = write!(
            text,
            "[[trunks]]\nname = \"{name}\"\nbridge = \"dc2\"\nhost = \"gw1\"\nlink = \"{name}\"\n"
        );
    }
    for vid in 1..=vlans {
        let _ = write!(
            text,
            "[bridges.v{vid}]\nkind = \"vlan-unaware\"\n[[vlans]]\nbridge = \"dc1\"\nvid = {vid}\nto = \"v{vid}\"\n"
        );
        for port in 0..3 {
            let _ = write!(
                text,
                "[[ports]]\nname = \"v{vid}-{port}\"\nbridge = \"v{vid}\"\nhost = \"gw1\"\nlink = \"t{vid}-{port}\"\n"
            );
        }
    }
    text
}

const START: Instant = Instant::from_secs(1_000);
