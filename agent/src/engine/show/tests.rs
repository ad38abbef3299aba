//! How much of the engine's thread a page takes, however much there is.

use std::fmt::Write as _;
use std::sync::Arc;

use datapath::flow::{Action, FlowKey, FlowStats};
use datapath::port::{LinkEvent, VportNo};
use smallvec::SmallVec;
use vlan::addr::MacAddr;
use vlan::frame::Header;
use vlan::model::defaults::{DEFAULT_AGEING, DEFAULT_BRIDGE_MAC_LIMIT};
use vlan::model::description::{Bridge, BridgeKind, Description, Host, HostKind, Port};
use vlan::model::id::SegmentId;
use vlan::model::topology::Topology;
use vlan::plane::PortState;
use vlan::switch::Switch;
use vlan::time::Instant;
use vlan::verdict::{Consulted, DropReason};

use crate::counters::Loss;
use crate::engine::flows::book::eras::Era;
use crate::engine::flows::book::{Purpose, Record};
use crate::engine::{Engine, Settings};
use crate::input::Input;
use crate::list::{Listed, everything};
use crate::page::{LOOKED_AT_ONCE, Page, ROWS_AT_ONCE, Selection};
use crate::view::{BridgeView, CounterView, FlowView, MacView, PortView};

const NOW: Instant = Instant::from_secs(100);

fn port(number: usize) -> Port {
    Port::plain(&format!("vm{number}"), "vub", "gw1", &format!("tap{number}"))
}

/// So many ports on one bridge.
fn description(ports: usize) -> Description {
    let bridge = |name: &str| Bridge {
        name: name.to_owned(),
        ageing: DEFAULT_AGEING,
        mac_limit: DEFAULT_BRIDGE_MAC_LIMIT,
        renamed_from: None,
        mtu: None,
        kind: BridgeKind::VlanUnaware { vni: None },
    };
    Description {
        hosts: vec![Host { name: "gw1".to_owned(), ..Host::default() }],
        bridges: vec![bridge("vub"), bridge("other")],
        ports: (0..ports).map(port).collect(),
        ..Description::default()
    }
}

/// A host with so many ports on one bridge, and so many addresses behind them, in turn.
fn engine(ports: usize, addresses: u32) -> Engine {
    let topology = Arc::new(Topology::build(&description(ports)).unwrap());
    let host = topology.host_named("gw1").unwrap();
    let mut engine = Engine::new(Settings::new("gw1"));
    engine.truth.switch = Switch::new(Arc::clone(&topology), host, 0);
    engine.truth.keys =
        topology.ports().iter().map(|port| engine.truth.telling.counts.key(&port.name)).collect();
    for number in 0..addresses {
        let at = topology.ports()[number as usize % ports].location(None);
        engine.truth.switch.fdb.addresses.declare(SegmentId { number: 0, inner: 0 }, mac(number), at);
    }
    engine
}

fn mac(number: u32) -> MacAddr {
    let [a, b, c, d] = number.to_be_bytes();
    MacAddr([2, 0, a, b, c, d])
}

fn enter_flow(engine: &mut Engine, number: u32, outputs: usize) {
    let header = Header { dst: mac(0), src: mac(number), tags: Default::default(), ether_type: 0x0800 };
    let id = engine.flows.cache.book.new_id();
    let record = Record {
        id,
        key: FlowKey { vport: VportNo(1), header, tunnel: None, recirc: 0, opaque: Default::default() },
        mask: Consulted { dst: true, ..Consulted::default() },
        actions: vec![Action::Output(VportNo(7)); outputs],
        port: engine.truth.keys[number as usize % engine.truth.keys.len()],
        purpose: Purpose::Forward,
        judge: None,
        source: None,
        era: Era::UNKNOWN,
        likeness: Default::default(),
        depends: SmallVec::new(),
        into_fabrics: SmallVec::new(),
        turned_at: 0,
        stats: FlowStats::default(),
        used: NOW,
        unanswered: 0,
        heat: 0,
    };
    let class = record.class();
    engine.flows.cache.book.enter(Box::new(record), class);
}

/// Every page of a list.
fn pages<T: Listed>(engine: &Engine, wanted: &Selection) -> Vec<Page<T>> {
    let (mut pages, mut from) = (Vec::new(), Some(0));
    while let Some(at) = from {
        let page = T::page(engine, NOW, wanted, at).unwrap();
        from = page.next;
        pages.push(page);
    }
    pages
}

/// The most that was looked at for one page, and the most rows of one; and how many rows there are.
fn work<T: Listed>(engine: &Engine, wanted: &Selection) -> (usize, usize, usize) {
    let pages = pages::<T>(engine, wanted);
    let most = |of: fn(&Page<T>) -> usize| pages.iter().map(of).max().unwrap_or(0);
    (
        most(|page| page.looked_at),
        most(|page| page.rows.len()),
        pages.iter().map(|page| page.rows.len()).sum(),
    )
}

#[test]
fn a_page_of_addresses_takes_as_much_whether_there_are_many_or_very_many() {
    for addresses in [20_000, 160_000] {
        let engine = engine(7, addresses);
        let (looked_at, rows, all) = work::<MacView>(&engine, &Selection::default());
        assert!(looked_at <= LOOKED_AT_ONCE && rows <= ROWS_AT_ONCE, "{looked_at} {rows}");
        assert_eq!(all, addresses as usize);
        // What is left out is looked at as well, and no more of it at once.
        let one = Selection { mac: Some(mac(addresses - 1)), ..Selection::default() };
        assert_eq!(work::<MacView>(&engine, &one), (LOOKED_AT_ONCE, 1, 1));
        let (mut counted, mut from) = (0, Some(0));
        while let Some(at) = from {
            let page = engine.view().mac_counts(NOW, at);
            assert!(page.looked_at <= LOOKED_AT_ONCE && page.rows.len() <= 2);
            counted += page
                .rows
                .iter()
                .map(|(_, (bridge, count))| if bridge == "vub" { *count } else { 0 })
                .sum::<usize>();
            from = page.next;
        }
        assert_eq!(counted, addresses as usize);
    }
}

#[test]
fn a_page_of_flows_takes_as_much_whether_there_are_many_or_very_many() {
    for flows in [10_000, 80_000] {
        let mut engine = engine(7, 0);
        (0..flows).for_each(|number| enter_flow(&mut engine, number, 3));
        let (looked_at, rows, all) = work::<FlowView>(&engine, &Selection::default());
        assert!(looked_at <= LOOKED_AT_ONCE + 4 && rows <= ROWS_AT_ONCE, "{looked_at} {rows}");
        assert_eq!(all, flows as usize);
        let port = Selection { port: Some("tap3".to_owned()), ..Selection::default() };
        let (looked_at, _, some) = work::<FlowView>(&engine, &port);
        assert!(looked_at <= LOOKED_AT_ONCE + 4);
        assert_eq!(some, (0..flows).filter(|number| number % 7 == 3).count());
    }
}

/// A flood out of every port is one flow, and thousands of actions.
#[test]
fn flows_with_thousands_of_ways_out_make_short_pages() {
    let mut engine = engine(7, 0);
    (0..100).for_each(|number| enter_flow(&mut engine, number, 4_000));
    let (looked_at, rows, all) = work::<FlowView>(&engine, &Selection::default());
    assert!(looked_at < LOOKED_AT_ONCE + 4_001 && rows <= 3, "{looked_at} {rows}");
    assert_eq!(all, 100);
}

#[test]
fn a_page_of_ports_or_counters_takes_as_much_whether_there_are_many_or_very_many() {
    for ports in [3_000, 12_000] {
        let mut engine = engine(ports, 0);
        for key in engine.truth.keys.clone() {
            engine.truth.telling.counts.lose(key, Loss::Verdict(DropReason::AntiSpoof, None), None, 1);
        }
        let (looked_at, rows, all) = work::<PortView>(&engine, &Selection::default());
        assert!(looked_at <= LOOKED_AT_ONCE && rows <= 256, "{looked_at} {rows}");
        assert_eq!(all, ports);
        let (looked_at, rows, all) = work::<CounterView>(&engine, &Selection::default());
        assert!(looked_at <= LOOKED_AT_ONCE && rows < ROWS_AT_ONCE + 50, "{looked_at} {rows}");
        assert!(all > 13 * ports, "{all}");
        assert_eq!(
            work::<CounterView>(&engine, &Selection { port: Some("vm9".to_owned()), ..Selection::default() })
                .2,
            13
        );
    }
}

#[test]
fn the_status_names_a_few_of_the_ports_that_are_down() {
    let mut engine = Engine::new(Settings::new("gw1"));
    engine.handle(NOW, Input::Observed { vports: vec![], flows: vec![], tunnel: None, groups: vec![] });
    let description = Box::new(description(12));
    engine.handle(NOW, Input::Topology { revision: 1, description, numbers: None, built: None });
    engine.handle(NOW, Input::Link(Box::new(LinkEvent::All(vec![]))));
    let status = engine.view().status(NOW);
    assert_eq!((status.ports, status.ports_up), (12, 0));
    assert_eq!(status.down, ["vm0", "vm1", "vm2", "vm3", "vm4", "vm5", "vm6", "vm7"]);
    let down = Selection { down: true, ..Selection::default() };
    assert_eq!(work::<PortView>(&engine, &down).2, 12);
}

#[test]
fn no_port_is_up_while_the_hosts_links_are_being_read() {
    let mut engine = Engine::new(Settings::new("gw1"));
    engine.handle(NOW, Input::Observed { vports: vec![], flows: vec![], tunnel: None, groups: vec![] });
    let description = Box::new(description(2));
    engine.handle(NOW, Input::Topology { revision: 1, description, numbers: None, built: None });
    assert_eq!(engine.view().status(NOW).ports_up, 0);
    let ports = pages::<PortView>(&engine, &Selection::default());
    let told = ports[0].rows.iter().map(|(_, port)| (port.state.as_str(), port.why.as_str()));
    assert!(told.eq([("down", "the host's links are still being read"); 2]), "{ports:?}");
    engine.handle(NOW, Input::Link(Box::new(LinkEvent::All(vec![]))));
    assert_eq!(pages::<PortView>(&engine, &Selection::default())[0].rows[0].1.why, "no such link");
}

#[test]
fn a_host_is_settled_when_no_flow_is_stale() {
    let mut engine = Engine::new(Settings::new("gw1"));
    engine.handle(NOW, Input::Observed { vports: vec![], flows: vec![], tunnel: None, groups: vec![] });
    let description = Box::new(description(2));
    engine.handle(NOW, Input::Topology { revision: 1, description, numbers: None, built: None });
    engine.handle(NOW, Input::Link(Box::new(LinkEvent::All(vec![]))));
    assert!(engine.view().status(NOW).settled);
    enter_flow(&mut engine, 1, 1);
    assert!(engine.view().status(NOW).settled, "a flow that rests on what is so");
    engine.flows.cache.book.spoil_all();
    assert!(!engine.view().status(NOW).settled);
    engine.handle(NOW, Input::Tick);
    assert!(engine.view().status(NOW).settled);
}

#[test]
fn a_port_with_thousands_of_vlans_in_its_drops_is_one_long_page() {
    let mut engine = engine(2, 0);
    for vid in 0..4_096 {
        let key = engine.truth.keys[0];
        engine.truth.telling.counts.lose(
            key,
            Loss::Verdict(DropReason::VlanNotAllowed, Some(vid)),
            Some(vid),
            1,
        );
    }
    let (_, rows, all) = work::<CounterView>(&engine, &Selection::default());
    assert!(rows <= 4_096 + 50 && all > 4_096, "{rows} {all}");
}

#[test]
fn what_is_met_by_pages_is_what_there_is() {
    let mut engine = engine(5, 3_000);
    (0..2_500).for_each(|number| enter_flow(&mut engine, number, 1));
    let macs: Vec<MacView> = everything(&engine, NOW);
    assert_eq!(macs.len(), 3_000);
    assert!(macs.windows(2).all(|two| two[0].mac < two[1].mac), "sorted, and each once");
    assert_eq!(everything::<FlowView>(&engine, NOW).len(), 2_500);
    assert_eq!(
        everything::<PortView>(&engine, NOW).iter().map(|port| &port.port).collect::<Vec<_>>(),
        ["vm0", "vm1", "vm2", "vm3", "vm4"]
    );
    assert_eq!(everything::<BridgeView>(&engine, NOW)[0].ports.len(), 5);
}

#[test]
fn a_port_is_found_by_its_link_and_a_wrong_name_is_told_with_the_nearest() {
    let engine = engine(3, 0);
    let found = |name: &str| engine.view().find_port(name).map(|port| port.name.clone());
    assert_eq!(found("vm1"), Ok("vm1".to_owned()));
    assert_eq!(found("tap1"), Ok("vm1".to_owned()));
    let mut expected = String::from("\"vm01\" is no port of the topology in force, nor a link of one");
    let _ = write!(expected, ", did you mean \"vm0\"?");
    assert_eq!(found("vm01"), Err(expected));
}

/// `gw1` on a bridge with a host of ours and a switch that is none, and nothing of a datapath.
fn among_others() -> Engine {
    let mut description = description(1);
    let host = |name: &str, last: u8, kind| Host {
        name: name.to_owned(),
        underlay: Some([192, 0, 2, last].into()),
        kind,
        ..Host::default()
    };
    description.hosts =
        vec![host("gw1", 1, HostKind::L2gw), host("gw2", 2, HostKind::L2gw), host("rack", 3, HostKind::Vtep)];
    description.bridges[0].kind = BridgeKind::VlanUnaware { vni: Some(8008) };
    let far = [("far", "gw2", "tap7"), ("rack-8", "rack", "")];
    description.ports.extend(far.map(|(name, host, link)| Port::plain(name, "vub", host, link)));
    let topology = Arc::new(Topology::build(&description).unwrap());
    let mut engine = Engine::new(Settings::new("gw1"));
    let mut switch = Switch::new(Arc::clone(&topology), topology.host_named("gw1").unwrap(), 0);
    switch.set_port_state(topology.port_named("vm0").unwrap().id, PortState::Up);
    engine.truth.switch = switch;
    engine
}

const BROADCAST: [u8; 16] = [255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 8, 6, 0, 0];

#[test]
fn that_there_is_no_tunnel_port_is_told_once() {
    let engine = among_others();
    let told = engine.view().trace(NOW, "vm0", &BROADCAST).unwrap().view(&BROADCAST);
    let none: Vec<&String> =
        told.steps.iter().filter(|step| step.contains("there is no tunnel port")).collect();
    assert_eq!(none, ["not to other hosts: there is no tunnel port: it is being made"], "{told:#?}");
    assert_eq!(told.drop.as_deref(), Some("no-member"));
}

#[test]
fn a_port_of_another_host_is_not_called_down() {
    let engine = among_others();
    let said = engine.view().trace(NOW, "far", &BROADCAST).unwrap_err();
    let expected =
        "far is a port of host gw2, and the daemon that was asked is host gw1: run this on gw2; or, ";
    assert!(said.starts_with(expected), "{said}");
    // A switch has no daemon of ours that could be asked: its frames come in here.
    assert!(engine.view().trace(NOW, "rack-8", &BROADCAST).is_ok());
}
