//! Truth with a lowering that is not flows: what it says of its state is all that tables need to hear.

use std::sync::Arc;
use std::time::Duration;

use datapath::port::{Link, LinkEvent, LinkFacts, LinkIndex, Vport, VportNo};
use vlan::frame::Header;
use vlan::model::defaults::{DEFAULT_AGEING, DEFAULT_BRIDGE_MAC_LIMIT};
use vlan::model::description::{Bridge, BridgeKind, Description, Host, Mode, Peering, Port};
use vlan::model::id::PortId;
use vlan::model::topology::Topology;
use vlan::tag::Tpid;
use vlan::time::Instant;
use vlan::trace::Silent;
use vlan::verdict::Verdict;
use vlan::vid::Vid;

use super::Truth;
use super::standing::Cause;
use crate::engine::Settings;
use crate::lower::Lowering;
use crate::lower::tables::{TableBatch, TableWriter};

const NOW: Instant = Instant::from_secs(100);
const NAMES: [&str; 4] = ["t1", "t2", "v1", "v2"];

/// Two trunks into one fabric, and two VMs in VLAN 8 of it.
fn description(ports: usize) -> Description {
    let bridge = |name: &str, kind: BridgeKind| Bridge {
        name: name.to_owned(),
        ageing: DEFAULT_AGEING,
        mac_limit: DEFAULT_BRIDGE_MAC_LIMIT,
        kind,
        renamed_from: None,
        mtu: None,
    };
    let aware = BridgeKind::VlanAware {
        fabric: "fabric".to_owned(),
        redundancy: Default::default(),
        tpid: Tpid::Customer,
        join_vids: false,
    };
    let trunk =
        |name: &str| Port { mode: Mode::Trunk(Default::default()), ..Port::plain(name, "sw", "gw1", name) };
    Description {
        hosts: vec![Host { name: "gw1".to_owned(), ..Host::default() }],
        bridges: vec![bridge("sw", aware), bridge("red", BridgeKind::VlanUnaware { vni: None })],
        trunks: NAMES[..2].iter().map(|name| trunk(name)).collect(),
        ports: NAMES[2..2 + ports].iter().map(|name| Port::plain(name, "red", "gw1", name)).collect(),
        vlans: vec![Peering { bridge: "sw".to_owned(), vid: Vid::new(8).unwrap(), to: "red".to_owned() }],
        ..Description::default()
    }
}

fn link(number: u32, has_carrier: bool) -> Link {
    Link {
        index: LinkIndex(number),
        name: NAMES[number as usize].to_owned(),
        is_up: true,
        has_carrier,
        mtu: 1_500,
        mac: None,
        facts: LinkFacts::default(),
    }
}

/// A host that switches by tables.
struct Switching {
    truth: Truth,
    writer: TableWriter,
}

impl Switching {
    /// All ports are up.
    fn start() -> Switching {
        let truth = Truth::new(&Settings::new("gw1"));
        let mut host = Switching { truth, writer: TableWriter::new() };
        host.go_by(2);
        host.truth.links.note_link(LinkEvent::All((0..4).map(|number| link(number, true)).collect()));
        let vport = |number| Vport {
            no: VportNo(number + 1),
            link: NAMES[number as usize].to_owned(),
            index: Some(LinkIndex(number)),
        };
        host.truth.links.note_all_vports((0..4).map(vport).collect());
        assert!(!host.follow().is_empty());
        host
    }

    fn go_by(&mut self, ports: usize) {
        self.truth.change_topology(&Arc::new(Topology::build(&description(ports)).unwrap()));
        self.writer.spoil_all();
    }

    fn port(&self, name: &str) -> PortId {
        self.truth.switch.topology().port_named(name).unwrap().id
    }

    /// A machine speaks from v1.
    fn speak(&mut self) {
        let header = Header::parse(&[[0xff; 6], [2, 0, 0, 0, 0, 1], [8, 0, 0, 0, 0, 0]].concat()).unwrap();
        let port = self.port("v1");
        self.truth.switch.forward(NOW, port, &header, &mut Verdict::default(), &mut Silent);
        assert_eq!(self.truth.switch.fdb.addresses.len(), 1);
        self.writer.spoil_all();
        assert_eq!(self.follow().changes.len(), 1);
    }

    fn owed(&mut self) -> TableBatch {
        let Switching { truth, writer } = self;
        writer.owed(NOW, &truth.switch, |port| truth.links.standings.vport_of(port))
    }

    /// Looks at links and writes what follows. Whoever compares everything finds nothing more.
    fn follow(&mut self) -> TableBatch {
        self.truth.reconcile_links(NOW, &mut self.writer);
        let owed = self.owed();
        self.writer.spoil_all();
        let missed = self.owed();
        assert!(missed.is_empty(), "{missed:?} was not said");
        owed
    }
}

#[test]
fn tables_hear_of_links() {
    let mut host = Switching::start();
    host.speak();
    for (number, has_carrier) in [(0, false), (2, false), (0, true), (1, false), (2, true), (1, true)] {
        host.truth.links.note_link(LinkEvent::Changed(link(number, has_carrier)));
        assert!(!host.follow().is_empty(), "link {number} {has_carrier}");
    }
    assert!(host.truth.switch.fdb.addresses.is_empty(), "it went with the carrier of v1");
    assert!(host.follow().is_empty(), "nothing happened");
}

#[test]
fn tables_hear_of_blocks_flushes_and_ages() {
    let mut host = Switching::start();
    let (port, pause) = (host.port("v1"), Duration::from_secs(60));
    host.truth.block(NOW, port, Cause::Loop, pause, &mut host.writer);
    assert!(!host.follow().is_empty());
    host.truth.keep_time(NOW + pause, &mut host.writer);
    assert!(!host.follow().is_empty(), "it is let go");
    host.speak();
    host.truth.flush_addresses(Some("v1"), &mut host.writer);
    assert_eq!(host.follow().changes.len(), 1);
    host.speak();
    host.truth.keep_time(NOW + 2 * DEFAULT_AGEING, &mut host.writer);
    assert_eq!(host.follow().changes.len(), 1);
}

#[test]
fn tables_hear_of_another_topology() {
    let mut host = Switching::start();
    host.speak();
    host.go_by(1);
    assert!(!host.follow().is_empty());
    host.go_by(1);
    assert!(host.follow().is_empty(), "the same once more");
}
