//! What an operator is told of a frame by the running engine is what then becomes of it: limits, freezes, blocks, lengths, reflections.
//! `simulation_slow/engine.rs` asks the same of thousands of random states.

use std::time::Duration;

use agent::budget::Rates;
use agent::engine::Settings;
use agent::input::Input;
use agent::list::everything;
use agent::view::{FlowView, PortView, TraceOutput, TraceView};
use datapath::fake::FakeWire;
use datapath::flow::{MeterId, MeterStats};
use datapath::port::Link;
use l2gw::config;
use tests::lab::frames::{BROADCAST, Frame, Mac};
use tests::lab::standard;
use tests::sim::gateway::Gateway;
use vlan::model::description::{self, Description};
use vlan::time::Instant;

mod sticky;

const VM: Mac = [0x52, 0x54, 0, 0, 0, 1];
const OTHER: Mac = [0x52, 0x54, 0, 0, 0, 2];
const PHYS: Mac = [0x52, 0x54, 0, 0, 0, 9];

struct Host {
    gateway: Gateway,
    wire: FakeWire,
}

impl Host {
    fn new() -> Host {
        Host::with(&standard::file(), |_| {})
    }

    /// With this file; the settings are told what differs from the usual.
    fn with(file: &str, tell: impl FnOnce(&mut Settings)) -> Host {
        let description = config::parse("gateway.toml", file).expect("a file that is right").description;
        Host::of(&description, tell)
    }

    fn of(description: &Description, tell: impl FnOnce(&mut Settings)) -> Host {
        let wire = Gateway::wire(description, Instant::from_secs(1_000));
        let mut settings = Settings::new("gw1");
        tell(&mut settings);
        let gateway = Gateway::start(&wire, settings, (1, description), Vec::new());
        Host { gateway, wire }
    }

    fn trace(&self, port: &str, frame: &[u8]) -> TraceView {
        self.gateway.engine.view().trace(self.wire.now(), port, frame).expect("a port").view(frame)
    }

    /// What is told of a frame, which is then sent: as many copies leave, by the same ports.
    fn told(&mut self, port: &str, frame: &[u8]) -> TraceView {
        let told = self.trace(port, frame);
        let name = |output: &TraceOutput| match output {
            TraceOutput::Port { port, .. } => port.clone(),
            TraceOutput::Host { host, .. } => panic!("nothing goes to {host}"),
        };
        let mut named: Vec<String> = told.outputs.iter().map(name).collect();
        named.sort();
        let sent: Vec<String> = self.gateway.send(port, frame).into_iter().map(|(port, _)| port).collect();
        assert_eq!(named, sent, "{told:#?}");
        told
    }

    fn why(&mut self, port: &str, frame: &[u8]) -> String {
        self.told(port, frame).drop.unwrap_or_else(|| "forward".to_owned())
    }

    fn port(&self, name: &str) -> PortView {
        let ports: Vec<PortView> = everything(&self.gateway.engine, self.wire.now());
        ports.into_iter().find(|port| port.port == name).expect("a port")
    }
}

fn bare(src: Mac, dst: Mac) -> Vec<u8> {
    Frame::new(src, dst).payload(0x0800, &[7; 46])
}

fn tagged(src: Mac, dst: Mac) -> Vec<u8> {
    Frame::new(src, dst).tag(8, 0).payload(0x0800, &[7; 46])
}

/// The standard network with more said of vm8.
fn file_with(of_vm8: &str) -> String {
    let head = "name = \"vm8\"\n";
    standard::file().replace(head, &format!("{head}{of_vm8}\n"))
}

fn says(told: &TraceView, words: &str) {
    assert!(told.steps.iter().any(|step| step.contains(words)), "{words:?}: {told:#?}");
}

#[test]
fn a_full_port_drops_new_addresses_and_lets_known_ones_in() {
    let mut host = Host::with(&file_with("mac-limit = 2\non-limit = \"drop\""), |_| {});
    for last in [1, 2] {
        assert_eq!(host.why("vm8", &bare([2, 0, 0, 0, 0, last], BROADCAST)), "forward");
    }
    let third = bare([2, 0, 0, 0, 0, 3], BROADCAST);
    assert_eq!(host.why("vm8", &third), "address-limit");
    assert_eq!(host.why("vm8", &bare([2, 0, 0, 0, 0, 1], BROADCAST)), "forward");
    says(&host.trace("vm8", &third), "the port has as many addresses as it may have");
}

/// Where the oldest address has to go for a new one, and that is the one it wants to talk to.
#[test]
fn what_is_evicted_for_a_frame_is_known_no_more_to_it() {
    let mut host = Host::with(&file_with("mac-limit = 1"), |_| {});
    host.told("vm8", &bare(VM, BROADCAST));
    assert_eq!(host.told("vm8b", &bare(OTHER, VM)).outputs.len(), 1, "it is known");
    let told = host.told("vm8", &bare(PHYS, VM));
    says(&told, "52:54:00:00:00:01 had to go for it");
    assert_eq!(told.outputs.len(), 2, "to everyone: {told:#?}");
}

#[test]
fn a_frozen_address_is_kept_out_for_a_time_that_is_told_as_a_span() {
    let mut host = Host::new();
    let ports = ["vm8", "vm8b"];
    let mut frozen_at = 0;
    for flight in 0..8 {
        let told = host.told(ports[flight % 2], &bare(VM, BROADCAST));
        frozen_at = flight;
        if told.drop.as_deref() == Some("frozen") {
            break;
        }
        host.gateway.pass(Duration::from_millis(1_500));
    }
    let elsewhere = ports[frozen_at % 2];
    host.gateway.pass(Duration::from_secs(50));
    let told = host.told(elsewhere, &bare(VM, BROADCAST));
    assert_eq!(told.drop.as_deref(), Some("frozen"));
    says(&told, "for another 4m10s");
    assert!(told.steps.iter().all(|step| !step.contains("until")), "{told:#?}");
    assert_eq!(host.why(ports[(frozen_at + 1) % 2], &bare(VM, BROADCAST)), "forward", "where it is held");
}

#[test]
fn a_frame_to_its_own_source_goes_nowhere() {
    let mut host = Host::new();
    assert_eq!(host.why("vm8", &bare(VM, VM)), "same-port", "it is learned first, then looked for");
    assert_eq!(host.why("vm8", &bare(VM, OTHER)), "forward");
}

#[test]
fn our_own_frame_come_back_is_reflected_for_a_second() {
    let mut host = Host::new();
    assert_eq!(host.why("vm8", &bare(VM, BROADCAST)), "forward");
    assert_eq!(host.why("leaf1", &tagged(VM, BROADCAST)), "reflected");
    host.gateway.pass(Duration::from_secs(2));
    assert_eq!(host.why("leaf1", &tagged(VM, BROADCAST)), "forward", "by now it has moved");
}

/// A flow of the kernel sends such frames, which the engine does not see.
#[test]
fn a_frame_that_a_flow_has_sent_lately_is_reflected_too() {
    let mut host = Host::new();
    for _ in 0..3 {
        host.told("vm8", &bare(VM, BROADCAST));
        host.gateway.pass(Duration::from_millis(1_200));
    }
    host.told("vm8", &bare(VM, BROADCAST));
    assert_eq!(host.why("leaf1", &tagged(VM, BROADCAST)), "reflected");
}

/// A flow that is replaced in place counts on: what it counted while it led elsewhere never went into the fabric.
#[test]
fn what_a_flow_sent_elsewhere_before_does_not_come_back_from_a_fabric() {
    for has_sent_since in [false, true] {
        let mut host = Host::new();
        host.told("vm8b", &bare(OTHER, BROADCAST));
        host.told("vm8", &bare(VM, OTHER));
        host.gateway.pass(Duration::from_millis(1_200));
        assert_eq!(host.told("vm8", &bare(VM, OTHER)).outputs.len(), 1, "a flow carries it to vm8b");
        host.gateway.set_carrier("vm8b", false);
        if has_sent_since {
            host.told("vm8", &bare(VM, OTHER));
        }
        let why = if has_sent_since { "reflected" } else { "forward" };
        assert_eq!(host.why("leaf1", &tagged(VM, OTHER)), why, "has sent since: {has_sent_since}");
    }
}

#[test]
fn a_frame_that_is_too_long_for_its_way_out_is_told_with_both_lengths() {
    let mut host = Host::new();
    for port in ["vm8", "vm8b"] {
        host.wire.change_link(port, |link: &mut Link| link.mtu = 9_000);
    }
    host.gateway.settle();
    let long = |length: usize| Frame::new(VM, BROADCAST).payload(0x0800, &vec![7; length]);
    let told = host.told("vm8", &long(3_000));
    says(
        &told,
        "not by leaf1: 3000 bytes behind Ethernet header and first tag are more than the MTU of leaf1, which is 1500 (over-mtu)",
    );
    assert_eq!(told.outputs.len(), 1, "vm8b takes it");
    says(&told, "forwarded, one copy");
    let counted = |told: &TraceView| told.steps.iter().filter(|step| step.starts_with("forwarded")).count();
    assert_eq!(counted(&told), 1, "copies that do not leave are in no count: {:?}", told.steps);
    says(&told, "handed to the driver of vm8b");
    let told = host.told("vm8", &long(1_500));
    assert_eq!((told.outputs.len(), counted(&told)), (2, 1));
    says(&told, "forwarded, 2 copies");
    host.told("leaf1", &tagged(PHYS, BROADCAST));
    let to_trunk = Frame::new(VM, PHYS).payload(0x0800, &[7; 3_000]);
    assert_eq!(host.why("vm8", &to_trunk), "over-mtu", "no copy is left");
    let told = host.told("vm8", &to_trunk);
    assert_eq!(counted(&told), 0, "{:?}", told.steps);
    says(&told, "dropped (over-mtu): no copy is left");
}

#[test]
fn a_blocked_port_is_told_with_what_is_left_of_its_time() {
    let mut host = Host::new();
    let bpdu = Frame::new(VM, [0x01, 0x80, 0xc2, 0, 0, 0]).payload(0x0026, &[0x42; 46]);
    assert_eq!(host.why("vm8", &bpdu), "bpdu");
    host.gateway.pass(Duration::from_secs(50));
    assert_eq!(host.why("vm8", &bare(VM, BROADCAST)), "port-blocked");
    assert_eq!(host.port("vm8").why, "blocked after a BPDU, for another 4m10s");
    host.gateway.pass(Duration::from_secs(251));
    assert_eq!(host.why("vm8", &bare(VM, BROADCAST)), "forward");
}

/// Of all that only the physical network's own devices read, nothing is bridged, and the kernel is told so.
#[test]
fn control_frames_of_a_trunk_are_not_bridged_and_come_up_once() {
    let mut host = Host::new();
    let to = |dst: Mac, ether_type: u16| Frame::new(PHYS, dst).payload(ether_type, &[0x42; 46]);
    let lldp = to([0x01, 0x80, 0xc2, 0, 0, 0x0e], 0x88cc);
    let bpdu = to([0x01, 0x80, 0xc2, 0, 0, 0], 0x0026);
    let pvst = to([0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcd], 0x010b);
    let probe = to(BROADCAST, 0x88b5);
    for (frame, reason) in [(lldp, "reserved"), (bpdu, "reserved"), (pvst, "reserved"), (probe, "probe")] {
        let before = host.port("leaf1").upcalls;
        for _ in 0..3 {
            let told = host.told("leaf1", &frame);
            assert_eq!(told.drop.as_deref(), Some(reason));
            says(&told, "not bridged");
        }
        assert_eq!(host.port("leaf1").upcalls, before + 1, "{reason}: a flow drops the others");
    }
    let flows: Vec<FlowView> = everything(&host.gateway.engine, host.wire.now());
    assert_eq!(flows.iter().filter(|flow| flow.actions.starts_with("drop ")).count(), 4, "{flows:#?}");
}

#[test]
fn a_copy_for_a_host_without_a_tunnel_is_none() {
    // A file with two hosts is refused where the store is a host's own, a revision may have them.
    let file = config::parse("gateway.toml", &standard::file()).expect("a file that is right");
    let mut description = file.description;
    description.hosts.push(description::Host { name: "gw2".to_owned(), ..description::Host::default() });
    let vm5 = description.ports.iter().find(|port| port.name == "vm5").expect("a port").clone();
    let far = |what: &str| what.to_owned();
    description.ports.push(description::Port { name: far("far"), host: far("gw2"), link: far("far"), ..vm5 });
    let mut host = Host::of(&description, |_| {});
    let told = host.told("vm5", &bare(VM, BROADCAST));
    says(&told, "no copy for gw2: no tunnel leads there from gw1, for each end needs an underlay address");
    says(&told, "forwarded, one copy");
    host.wire.change_link("leaf1", |link: &mut Link| link.has_carrier = false);
    host.gateway.settle();
    assert_eq!(host.why("vm5", &bare(VM, BROADCAST)), "no-member", "only the other host is left");
}

#[test]
fn a_port_over_its_budget_drops_what_no_flow_carries() {
    let mut host = Host::with(&standard::file(), |settings| settings.rates = Rates::of_port(2));
    assert_eq!(host.why("vm8", &bare(VM, BROADCAST)), "forward");
    assert_eq!(host.why("vm8", &bare(OTHER, BROADCAST)), "over-budget");
    let told = host.told("vm8", &bare(VM, BROADCAST));
    assert_eq!(told.drop, None, "a flow carries it");
    says(&told, "the kernel has a flow for such frames");
    host.gateway.pass(Duration::from_secs(2));
    assert_eq!(host.why("vm8", &bare(OTHER, BROADCAST)), "forward");
}

/// From the meters' counts to what is told: events at both ends, columns, and the trace of a frame of that kind.
#[test]
fn a_storm_is_told_everywhere_while_it_lasts() {
    let mut host = Host::with(&file_with("storm = { broadcast = 50 }"), |_| {});
    host.told("vm8", &bare(VM, BROADCAST));
    let flows: Vec<FlowView> = everything(&host.gateway.engine, host.wire.now());
    let limited = "limit of broadcast from vm8";
    assert!(flows.iter().any(|flow| flow.actions.contains(limited)), "by name, not by number: {flows:#?}");
    let meter = *host.gateway.engine.meters(MeterId(0), 1).first().expect("a meter");
    host.gateway.events.clear();
    // Between the two the meter of this datapath is read, which has counted nothing: it begins again.
    for dropped in [40, 50] {
        let stats = MeterStats { packets: 200, dropped };
        host.gateway.handle(Input::MeterStats(vec![(meter, stats)]));
        host.gateway.pass(Duration::from_secs(1));
    }
    let told: Vec<String> = host.gateway.events.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["port vm8 drops frames: storm-broadcast"]);
    let view = host.port("vm8");
    assert_eq!((view.drops, view.drop_reason.as_str()), (90, "storm-broadcast"));
    says(
        &host.trace("vm8", &bare(VM, BROADCAST)),
        "are beyond the limit now and are dropped (storm-broadcast): 90 frames within the last 2s",
    );
    host.gateway.events.clear();
    host.gateway.pass(Duration::from_secs(12));
    let told: Vec<String> = host.gateway.events.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["port vm8 drops no more frames: storm-broadcast; 90 frames within 1s"]);
    assert!(
        host.trace("vm8", &bare(VM, BROADCAST))
            .steps
            .iter()
            .all(|step| !step.contains("beyond the limit now"))
    );
}

/// A flow drops what a limit or a declared address keeps out, so only its count tells of the burst.
#[test]
fn what_flows_drop_begins_and_ends_a_burst_as_well() {
    let mut host = Host::with(&file_with("macs = [\"52:54:00:00:00:01\"]"), |_| {});
    host.gateway.events.clear();
    for _ in 0..5 {
        assert_eq!(host.why("vm8", &bare(OTHER, BROADCAST)), "anti-spoof");
        host.gateway.pass(Duration::from_secs(1));
    }
    assert_eq!(host.port("vm8").upcalls, 1, "a flow dropped the others");
    host.gateway.pass(Duration::from_secs(15));
    let told: Vec<String> = host.gateway.events.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "port vm8 drops frames: anti-spoof",
            "port vm8 drops no more frames: anti-spoof; 5 frames within 4s"
        ]
    );
    assert_eq!(host.port("vm8").drop_reason, "anti-spoof");
}

/// A flood out of thousands of ports is a verdict like another, and not thousands of sentences on the engine's thread.
#[test]
fn the_story_of_a_flood_is_cut_and_says_how_it_ended() {
    let ports = (0..700).map(|number| {
        format!("[[ports]]\nname = \"p{number}\"\nbridge = \"vub8\"\nhost = \"gw1\"\nlink = \"p{number}\"\n")
    });
    let mut host = Host::with(&(standard::file() + &ports.collect::<String>()), |_| {});
    let told = host.told("vm8", &bare(VM, BROADCAST));
    assert_eq!(told.outputs.len(), 702);
    assert!(told.steps.len() < 510, "{} sentences", told.steps.len());
    says(&told, "sentences more, of other ports of the segment)");
    says(&told, "forwarded, 702 copies");
    says(&told, " and 694 more; whether they send it, nobody else knows");
}
