//! What the engine makes of what the host and other programs do with its links and its datapath, on the datapath in memory.

use std::time::Duration;

use agent::engine::Settings;
use agent::event::Event;
use agent::input::{Answer, Input};
use agent::list::everything;
use agent::output::Output;
use agent::view::{CounterView, FlowView, PortView};
use datapath::fake::{FakeDatapath, FakeWire};
use datapath::flow::{FlowChange, FlowId};
use datapath::port::{DefaultRoute, LinkAddress, LinkEvent, LinkFacts, LinkIndex, LinkLayer, VlanDevice};
use datapath::{Datapath, FlowTable, Refusal, RefusalCause};
use futures::FutureExt;
use l2gw::config;
use tests::lab::frames::{BROADCAST, Frame, Mac};
use tests::lab::standard;
use tests::sim::gateway::Gateway;
use vlan::model::description::Description;
use vlan::time::Instant;

#[test]
fn a_link_of_the_host_is_left_alone_says_why_and_comes_when_it_is_free() {
    for (facts, why) in [
        (
            with_address("192.0.2.1"),
            "has address 192.0.2.1/24 of the host; host-addresses = \"keep\" takes it all the same",
        ),
        (
            with_address("2001:db8::1"),
            "has address 2001:db8::1/24 of the host; host-addresses = \"keep\" takes it all the same",
        ),
        (
            LinkFacts {
                default_route: Some(DefaultRoute { is_ipv6: true, via: None }),
                ..LinkFacts::default()
            },
            "is the way to the IPv6 default route; host-addresses = \"keep\" takes it all the same",
        ),
        (
            LinkFacts { layer: LinkLayer::Loopback, ..LinkFacts::default() },
            "is the loopback link; no port can be on it",
        ),
        (
            LinkFacts { layer: LinkLayer::Other, kind: "wireguard".to_owned(), ..LinkFacts::default() },
            "has no Ethernet frames (its kind is wireguard); no port can be on it",
        ),
        (
            LinkFacts { master: Some(LinkIndex(99)), ..LinkFacts::default() },
            "belongs to another link, link number 99; `ip link set LINK nomaster` frees it",
        ),
    ] {
        let (wire, mut gateway) = start_with(&standard::file(), |wire| set(wire, "vm5", facts.clone()));
        assert_eq!(port(&gateway, &wire, "vm5"), ("down".to_owned(), why.to_owned()));
        let told = Event::PortDown { port: "vm5".to_owned(), link: "vm5".to_owned(), why: why.to_owned() };
        assert!(gateway.events.contains(&told), "{:?}", gateway.events);
        assert!(
            !gateway
                .outputs
                .iter()
                .any(|(_, output)| matches!(output, Output::Attach { link, .. } if link == "vm5"))
        );
        set(&wire, "vm5", LinkFacts::default());
        gateway.settle();
        assert_eq!(port(&gateway, &wire, "vm5"), up(""));
    }
}

#[test]
fn what_every_link_has_is_no_claim_and_keep_takes_what_is_the_hosts() {
    let from_router =
        LinkAddress { address: "2001:db8::7".parse().unwrap(), prefix_len: 64, is_from_router: true };
    for facts in [
        with_address("169.254.3.4"),
        with_address("fe80::1"),
        LinkFacts { addresses: vec![from_router], ..LinkFacts::default() },
        LinkFacts { kind: "bond".to_owned(), ..LinkFacts::default() },
    ] {
        let (wire, gateway) = start_with(&standard::file(), |wire| set(wire, "vm5", facts.clone()));
        assert_eq!(port(&gateway, &wire, "vm5"), up(""), "{facts:?}");
    }
    let keep = standard::file().replace("link = \"vm5\"\n", "link = \"vm5\"\nhost-addresses = \"keep\"\n");
    let (wire, gateway) = start_with(&keep, |wire| set(wire, "vm5", with_address("192.0.2.1")));
    assert_eq!(port(&gateway, &wire, "vm5"), up(""));
    // What the kernel cannot do is not asked for.
    let member = LinkFacts { master: Some(LinkIndex(99)), ..LinkFacts::default() };
    let (wire, gateway) = start_with(&keep, |wire| set(wire, "vm5", member.clone()));
    assert_eq!(port(&gateway, &wire, "vm5").0, "down");
}

#[test]
fn a_link_that_was_bound_before_is_bound_whatever_the_host_does_with_it_now() {
    let how = "the host hears nothing at its address 192.0.2.1/24 on this link".to_owned();
    let in_use = Event::LinkInUse { port: "vm5".to_owned(), link: "vm5".to_owned(), how: how.clone() };
    let (wire, mut gateway) = start_with(&standard::file(), |_| {});
    set(&wire, "vm5", with_address("192.0.2.1"));
    gateway.settle();
    assert_eq!(port(&gateway, &wire, "vm5"), up(&how));
    assert_eq!(gateway.events.iter().filter(|event| **event == in_use).count(), 1);
    // Another run finds it as a vport; and one whose vport somebody released is bound again.
    let mut gateway = Gateway::start(&wire, Settings::new("gw1"), (1, &parse(&standard::file())), Vec::new());
    assert_eq!(port(&gateway, &wire, "vm5"), up(&how));
    assert_eq!(gateway.events.iter().filter(|event| **event == in_use).count(), 1);
    release(&mut gateway, "vm5");
    assert_eq!(port(&gateway, &wire, "vm5"), up(&how));
    set(&wire, "vm5", LinkFacts::default());
    gateway.settle();
    assert_eq!(port(&gateway, &wire, "vm5"), up(""));
    assert!(gateway.events.contains(&Event::LinkFree { port: "vm5".to_owned(), link: "vm5".to_owned() }));
}

/// As after a reboot of the host: no vport is left, and its links have other indices.
#[test]
fn a_link_that_was_bound_before_a_reboot_is_bound_again_and_one_that_left_the_file_is_not() {
    let description = parse(&standard::file());
    let (_, mut gateway) = start_with(&standard::file(), |_| {});
    gateway.pass(Duration::from_secs(10));
    assert_eq!(gateway.bound, ["leaf1", "vm5", "vm8", "vm8b"]);
    let settings = Settings { bound: gateway.bound.clone(), ..Settings::new("gw1") };
    let wire = Gateway::wire(&description, START);
    set(&wire, "vm5", with_address("192.0.2.1"));
    wire.remove_link("vm8b");
    let mut gateway = Gateway::start(&wire, settings, (1, &description), Vec::new());
    assert_eq!(
        port(&gateway, &wire, "vm5"),
        up("the host hears nothing at its address 192.0.2.1/24 on this link")
    );
    let vm5 = "[[ports]]\nname = \"vm5\"\nbridge = \"vub5\"\nhost = \"gw1\"\nlink = \"vm5\"\n";
    let without = Box::new(parse(&standard::file().replace(vm5, "")));
    gateway.handle(Input::Topology { revision: 2, description: without, numbers: None, built: None });
    gateway.pass(Duration::from_secs(10));
    assert_eq!(gateway.bound, ["leaf1", "vm8", "vm8b"], "vm8b is missing, and not forgotten");
}

#[test]
fn a_vlan_device_makes_a_vlan_deaf_only_where_the_port_carries_it() {
    let customer = |vid| VlanDevice { vid, tpid: 0x8100 };
    for (name, device, is_deaf) in [
        ("leaf1", customer(5), true),
        ("leaf1", customer(108), true),
        // It is the VID of the bridge, not of the wire.
        ("leaf1", customer(9), false),
        ("leaf1", customer(6), false),
        ("leaf1", VlanDevice { vid: 5, tpid: 0x88a8 }, false),
        // Untagged frames are dropped there, and so are those with a priority alone.
        ("leaf1", customer(0), false),
        ("acc5", customer(5), false),
        ("acc5", customer(0), true),
        ("cust", customer(20), true),
        ("cust", customer(31), false),
        ("vm5", customer(77), true),
    ] {
        let (wire, mut gateway) = start_with(PORTS, |_| {});
        let lower = wire.links().iter().find(|link| link.name == name).map(|link| link.index);
        wire.add_link("host.7");
        set(
            &wire,
            "host.7",
            LinkFacts { kind: "vlan".to_owned(), lower, vlan: Some(device), ..LinkFacts::default() },
        );
        gateway.settle();
        let deaf = format!(
            "deaf for VID {}: the host's VLAN device host.7 takes its frames; `ip link delete host.7` ends it",
            device.vid
        );
        let expected = if is_deaf { deaf.as_str() } else { "" };
        assert_eq!(port(&gateway, &wire, name), up(expected), "{name}, {device:?}");
        wire.remove_link("host.7");
        gateway.settle();
        assert_eq!(port(&gateway, &wire, name), up(""));
        let told = gateway
            .events
            .iter()
            .filter(|event| matches!(event, Event::LinkInUse { .. } | Event::LinkFree { .. }));
        assert_eq!(told.count(), if is_deaf { 2 } else { 0 }, "{:?}", gateway.events);
    }
}

#[test]
fn an_alternative_name_is_a_name_and_gives_way_to_a_proper_one() {
    let file = standard::file().replace("link = \"vm5\"", "link = \"enp3s0f0\"");
    let (wire, mut gateway) = start_with(&file, |wire| {
        wire.remove_link("enp3s0f0");
        wire.add_link("vm5");
    });
    assert_eq!(port(&gateway, &wire, "vm5").1, "no such link");
    set(&wire, "vm5", LinkFacts { alt_names: vec!["enp3s0f0".to_owned()], ..LinkFacts::default() });
    gateway.settle();
    assert_eq!(port(&gateway, &wire, "vm5"), up(""));
    let both = parse(&file.replace("link = \"vm8b\"", "link = \"vm5\""));
    gateway.handle(Input::Topology { revision: 2, description: Box::new(both), numbers: None, built: None });
    gateway.settle();
    assert_eq!(port(&gateway, &wire, "vm8b"), up(""));
    assert_eq!(port(&gateway, &wire, "vm5"), ("down".to_owned(), "the link is that of port vm8b".to_owned()));
    set(&wire, "vm5", LinkFacts::default());
    gateway.settle();
    assert_eq!(port(&gateway, &wire, "vm5").1, "no such link");
}

#[test]
fn a_refusal_says_what_sits_on_the_link() {
    let mut engine = agent::engine::Engine::new(Settings::new("gw1"));
    let wire = Gateway::wire(&parse(&standard::file()), START);
    wire.add_link("mv0");
    let lower = wire.links().iter().find(|link| link.name == "vm5").map(|link| link.index);
    set(&wire, "mv0", LinkFacts { kind: "macvlan".to_owned(), lower, ..LinkFacts::default() });
    let now = wire.now();
    engine
        .handle(now, Input::Observed { vports: Vec::new(), flows: Vec::new(), tunnel: None, groups: vec![] });
    let description = Box::new(parse(&standard::file()));
    engine.handle(now, Input::Topology { revision: 1, description, numbers: None, built: None });
    engine.handle(now, Input::Link(Box::new(LinkEvent::All(wire.links()))));
    for _ in 0..4 {
        while let Some(output) = engine.poll_output() {
            if let Output::Attach { id, link } = output {
                let refusal = Refusal { what: format!("attach {link}"), cause: RefusalCause::Busy };
                engine.handle(now, Input::Done { id, answers: vec![Answer::Refused(refusal)] });
            }
        }
        engine.handle(now, Input::Tick);
    }
    let ports: Vec<PortView> = everything(&engine, now);
    let vm5 = ports.iter().find(|port| port.port == "vm5").unwrap();
    assert_eq!(vm5.why, "not attached: it is in use by something else: macvlan mv0 sits on it");
    let vm8 = ports.iter().find(|port| port.port == "vm8").unwrap();
    assert_eq!(vm8.why, "not attached: it is in use by something else");
}

#[test]
fn flows_of_others_go_and_ours_come_back_and_each_is_told_once_in_a_while() {
    let (wire, mut gateway) = start_with(&standard::file(), |_| {});
    let frame = Frame::new(VM, BROADCAST).payload(0x0800, &[1; 46]);
    assert_eq!(gateway.send("vm8", &frame).len(), 2);
    gateway.events.clear();
    let ours = at_once(gateway.datapath().flows()).unwrap().remove(0);
    for number in 1..=3 {
        let upcall =
            gateway.upcall_of("vm8", &Frame::new([2, 0, 0, 0, 9, number], PHYS).payload(0x9999, &[1; 46]));
        let (key, mask) = (upcall.key.unwrap(), ours.mask.unwrap());
        let id = FlowId(7 << 64 | u128::from(number));
        let put = FlowChange::Put { id, key, mask, actions: Vec::new() };
        at_once(gateway.datapath().change_flows(vec![put])).remove(0).unwrap();
        gateway.read_statistics();
        gateway.settle();
    }
    assert_eq!(gateway.events, [Event::ForeignFlows { removed: 1 }], "the others follow together");
    assert_eq!(at_once(gateway.datapath().flows()).unwrap().len(), 1, "ours is left");
    gateway.events.clear();
    at_once(gateway.datapath().change_flows(vec![FlowChange::Delete { id: ours.id }])).remove(0).unwrap();
    for _ in 0..3 {
        gateway.pass(Duration::from_secs(4));
    }
    assert!(gateway.events.contains(&Event::ForeignFlows { removed: 2 }), "{:?}", gateway.events);
    assert!(gateway.events.contains(&Event::FlowsGone { missing: 1 }), "{:?}", gateway.events);
    gateway.take_sent();
    assert_eq!(gateway.send("vm8", &frame).len(), 2);
    assert_eq!(at_once(gateway.datapath().flows()).unwrap().len(), 1);
    assert_eq!(wire.faults(), Vec::<String>::new());
}

#[test]
fn flows_that_are_withdrawn_as_usual_are_no_other_hands_work() {
    let (wire, mut gateway) = start_with(&standard::file(), |_| {});
    for number in 0..20 {
        let frame = Frame::new([2, 0, 0, 0, 1, number], BROADCAST).payload(0x0800, &[1; 46]);
        gateway.send("vm8", &frame);
    }
    for _ in 0..10 {
        gateway.pass(Duration::from_secs(5));
    }
    // And by another run, which knows the flows of the one before.
    gateway.send("vm8", &Frame::new(VM, BROADCAST).payload(0x0800, &[1; 46]));
    let mut gateway = Gateway::start(&wire, Settings::new("gw1"), (1, &parse(&standard::file())), Vec::new());
    for _ in 0..10 {
        gateway.pass(Duration::from_secs(5));
    }
    let is_of_hands = |event: &&Event| matches!(event, Event::ForeignFlows { .. } | Event::FlowsGone { .. });
    assert_eq!(gateway.events.iter().find(is_of_hands), None);
}

#[test]
fn vports_of_others_go_and_ours_come_back() {
    let (wire, mut gateway) = start_with(&standard::file(), |_| {});
    gateway.events.clear();
    release(&mut gateway, "vm5");
    assert_eq!(port(&gateway, &wire, "vm5"), up(""));
    assert!(gateway.events.contains(&Event::VportGone { link: "vm5".to_owned() }), "{:?}", gateway.events);
    wire.add_link("theirs");
    at_once(gateway.datapath().attach("theirs")).unwrap();
    gateway.read_statistics();
    gateway.settle();
    assert!(
        gateway.events.contains(&Event::ForeignVport { link: "theirs".to_owned() }),
        "{:?}",
        gateway.events
    );
    let vports = at_once(gateway.datapath().vports()).unwrap();
    assert!(vports.iter().all(|vport| vport.link != "theirs"), "{vports:?}");
    // A link that goes takes its vport with it: nobody else's hand.
    gateway.events.clear();
    wire.remove_link("vm5");
    gateway.settle();
    gateway.read_statistics();
    gateway.settle();
    assert!(
        !gateway.events.iter().any(|event| matches!(event, Event::VportGone { .. })),
        "{:?}",
        gateway.events
    );
}

#[test]
fn what_is_too_long_is_counted_and_nothing_else_asks_for_lengths() {
    let (wire, mut gateway) = start_with(&standard::file(), |_| {});
    let frame = |payload: usize| Frame::new(VM, BROADCAST).payload(0x0800, &vec![1; payload]);
    gateway.send("vm8", &frame(46));
    assert_eq!(asks_for_lengths(&gateway, &wire), 0, "all MTUs are the same");
    wire.change_link("vm8", |link| link.mtu = 9_000);
    wire.change_link("vm8b", |link| link.mtu = 4_000);
    gateway.settle();
    assert_eq!(asks_for_lengths(&gateway, &wire), 1, "the flow is renewed");
    for (payload, sent) in [(1_500, 2), (1_501, 1), (4_000, 1), (4_001, 0), (9_000, 0)] {
        gateway.take_sent();
        assert_eq!(gateway.send("vm8", &frame(payload)).len(), sent, "{payload} bytes");
    }
    read_meters(&mut gateway);
    gateway.pass(Duration::from_secs(1));
    read_meters(&mut gateway);
    let counted = |name: &str, port: &str| -> u64 {
        let all: Vec<CounterView> = everything(&gateway.engine, wire.now());
        all.iter()
            .filter(|one| one.name == name && one.labels.iter().any(|(_, value)| value == port))
            .map(|one| one.value)
            .sum()
    };
    assert_eq!(counted("l2gw_drops_total", "vm8"), 2);
    assert_eq!(
        (counted("l2gw_port_tx_over_mtu_total", "leaf1"), counted("l2gw_port_tx_over_mtu_total", "vm8b")),
        (4, 2)
    );
    let forwarded = counted("l2gw_flow_frames_total", "vm8") + counted("l2gw_executes_total", "vm8");
    assert_eq!(forwarded, 4, "one before the MTUs changed, three after");
    wire.change_link("vm8", |link| link.mtu = 1_500);
    gateway.settle();
    assert_eq!(asks_for_lengths(&gateway, &wire), 0);
    assert_eq!(wire.faults(), Vec::<String>::new());
}

/// A frame that comes up is judged by its bytes before any flow is there.
#[test]
fn a_first_frame_that_is_too_long_for_every_way_out_is_not_sent() {
    let (wire, mut gateway) =
        start_with(&standard::file(), |wire| wire.change_link("vm5", |link| link.mtu = 9_000));
    gateway.inject("vm5", &Frame::new(VM, BROADCAST).payload(0x0800, &[1; 1_501]));
    gateway.settle();
    assert_eq!(gateway.take_sent(), []);
    let counted: Vec<CounterView> = everything(&gateway.engine, wire.now());
    let of = |name: &str| counted.iter().filter(|one| one.name == name).map(|one| one.value).sum::<u64>();
    assert_eq!(
        (of("l2gw_drops_total"), of("l2gw_executes_total"), of("l2gw_port_tx_over_mtu_total")),
        (1, 0, 1)
    );
}

/// Starts a gateway on a wire with every link of the file, which is prepared before.
fn start_with(file: &str, prepare: impl FnOnce(&FakeWire)) -> (FakeWire, Gateway) {
    let description = parse(file);
    let wire = Gateway::wire(&description, START);
    prepare(&wire);
    let gateway = Gateway::start(&wire, Settings::new("gw1"), (1, &description), Vec::new());
    (wire, gateway)
}

fn set(wire: &FakeWire, link: &str, facts: LinkFacts) {
    wire.change_link(link, |link| link.facts = facts);
}

fn with_address(address: &str) -> LinkFacts {
    let address = LinkAddress { address: address.parse().unwrap(), prefix_len: 24, is_from_router: false };
    LinkFacts { addresses: vec![address], ..LinkFacts::default() }
}

/// State and reason of a port.
fn port(gateway: &Gateway, wire: &FakeWire, name: &str) -> (String, String) {
    let ports: Vec<PortView> = everything(&gateway.engine, wire.now());
    let port = ports.into_iter().find(|port| port.port == name).unwrap();
    (port.state, port.why)
}

fn up(why: &str) -> (String, String) {
    ("up".to_owned(), why.to_owned())
}

/// Releases a link's vport behind the engine's back, and lets it find out.
fn release(gateway: &mut Gateway, link: &str) {
    let vports = at_once(gateway.datapath().vports()).unwrap();
    let vport = vports.iter().find(|vport| vport.link == link).unwrap().no;
    at_once(gateway.datapath().detach(vport)).unwrap();
    for _ in 0..3 {
        gateway.read_statistics();
        gateway.settle();
    }
}

fn asks_for_lengths(gateway: &Gateway, wire: &FakeWire) -> usize {
    let flows: Vec<FlowView> = everything(&gateway.engine, wire.now());
    flows.iter().filter(|flow| flow.actions.contains("MTU")).count()
}

fn read_meters(gateway: &mut Gateway) {
    let ids = gateway.engine.meters(datapath::flow::MeterId(0), usize::MAX);
    let datapath: &mut FakeDatapath = gateway.datapath();
    let stats = ids.into_iter().map(|id| (id, at_once(datapath.meter_stats(id)).unwrap())).collect();
    gateway.handle(Input::MeterStats(stats));
}

fn parse(text: &str) -> Description {
    config::parse("gateway.toml", text).expect("a file that is right").description
}

fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("the fake datapath answers at once")
}

const START: Instant = Instant::from_secs(1_000);
const PHYS: Mac = [0x52, 0x54, 0, 0, 0, 1];
const VM: Mac = [0x52, 0x54, 0, 0, 0, 2];
/// A port of each mode.
const PORTS: &str = r#"
[hosts.gw1]
[bridges.dc1]
kind = "vlan-aware"
[bridges.vub5]
kind = "vlan-unaware"
[[vlans]]
bridge = "dc1"
vid = 5
to = "vub5"
[[trunks]]
name = "leaf1"
bridge = "dc1"
host = "gw1"
link = "leaf1"
vlans = ["5", "108"]
translate = { "108" = 9 }
[[ports]]
name = "acc5"
bridge = "dc1"
host = "gw1"
link = "acc5"
mode = "access"
vid = 5
[[ports]]
name = "cust"
bridge = "dc1"
host = "gw1"
link = "cust"
mode = "qinq"
vid = 9
customer-vlans = ["20-30"]
[[ports]]
name = "vm5"
bridge = "vub5"
host = "gw1"
link = "vm5"
"#;
