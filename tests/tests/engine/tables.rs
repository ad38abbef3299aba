//! What is written into tables, and what is not: differences, refusals, lost reports, meters, and what a datapath can do with tags.

use std::time::Duration;

use agent::lower::Lowering;
use agent::lower::tables::{Lesson, TableWriter};
use datapath::fake::{FakeWire, Limits, Options};
use datapath::port::VportNo;
use datapath::tables::{Admission, Arrives, EntryKey, Ingress, TableChange, TableEvent, TableReport};
use tests::rows::{standing, table};
use tests::sim::standing::Standing;
use tests::sim::table_gateway::TableGateway;
use vlan::addr::MacAddr;
use vlan::designation::Carrier;
use vlan::fdb::Learned;
use vlan::fdb::entry::Kind;
use vlan::model::description::Description;
use vlan::model::id::{Location, PortId};
use vlan::time::Instant;
use vlan::verdict::Dependency;
use vlan::vid::Vid;

#[test]
fn a_new_vlan_writes_what_it_is_about_and_nothing_else() {
    let mut gateway = start(&GATEWAY, Options::default()).1;
    let trunk = carrier(&gateway, 8);
    for (port, tag, source) in [(trunk, Some(8), 1), ("v1", None, 2), ("b1", None, 3)] {
        assert_eq!(gateway.send(port, &frame(BROADCAST, station(source), tag, 0)).decision, "forward");
    }
    let (changes, addresses) = (gateway.changes, gateway.address_changes);
    // Declared first of its kind: every bridge, port and segment has another number in the topology now.
    let next = [&["bridge new unaware", "port n1 new", "vlan sw 5 new"], &GATEWAY[..]].concat();
    let mut next = describe(&next);
    trunk_vlans(&mut next, "5,8,9");
    gateway.change(|host| drop(host.change(&next)));
    let written = gateway.changes - changes;
    assert_eq!(gateway.address_changes, addresses, "no address has another place");
    // VLAN 5 by both trunks and the port: 3 ports and ways in, 2 attachments, their routes and floods.
    assert!((5..25).contains(&written), "{written} entries were written");
    gateway.check().unwrap();
    let out = gateway.send("n1", &frame(BROADCAST, station(4), None, 0)).outputs;
    assert_eq!(out.len(), 1, "by the trunk that carries VLAN 5: {out:02x?}");
    let out = gateway.send(trunk, &frame(station(2), station(1), Some(8), 0)).outputs;
    assert_eq!(ports(&out), ["v1"], "it is still known");
}

#[test]
fn a_frame_to_its_own_port_is_dropped_for_that_whatever_would_keep_it_from_leaving() {
    let chained = [
        "bridge outer tpid 88a8",
        "vlan outer 100 sw",
        "port c1 outer access 100",
        "port c2 outer access 100",
    ];
    let (_, mut gateway) = start(&[&GATEWAY[..], &chained].concat(), Options::default());
    let to_itself = frame(station(1), station(1), Some(8), 0);
    assert_eq!(gateway.send("c1", &to_itself).decision, "drop same-port");
    let from_its_neighbour = frame(station(1), station(2), Some(8), 0);
    assert_eq!(gateway.send("c2", &from_its_neighbour).decision, "drop native-hop");
    gateway.check().unwrap();
}
#[test]
fn what_was_written_is_not_written_again() {
    let mut gateway = start(&GATEWAY, Options::default()).1;
    let changes = gateway.changes;
    gateway.mend();
    assert_eq!(gateway.changes, changes);
}

#[test]
fn a_failover_writes_routes_and_no_address() {
    let (_, mut gateway) = start(&GATEWAY, Options::default());
    let carrier = carrier(&gateway, 8);
    gateway.send(carrier, &frame(BROADCAST, station(1), Some(8), 0));
    gateway.send("v1", &frame(BROADCAST, station(2), None, 0));
    let before = gateway.send("v1", &frame(station(1), station(2), None, 0)).outputs;
    assert_eq!(ports(&before), [carrier]);
    let (changes, addresses) = (gateway.changes, gateway.address_changes);
    gateway.set_carrier(carrier, false);
    assert_eq!(gateway.address_changes, addresses);
    assert!((1..60).contains(&(gateway.changes - changes)), "{} changes", gateway.changes - changes);
    let after = gateway.send("v1", &frame(station(1), station(2), None, 0)).outputs;
    assert_eq!(ports(&after), [if carrier == "t1" { "t2" } else { "t1" }]);
    gateway.check().unwrap();
}

#[test]
fn addresses_of_a_port_that_goes_down_go() {
    let (_, mut gateway) = start(&GATEWAY, Options::default());
    gateway.send("v1", &frame(BROADCAST, station(2), None, 0));
    gateway.send("v2", &frame(BROADCAST, station(3), None, 0));
    assert_eq!(gateway.read().addresses.len(), 2);
    gateway.set_carrier("v1", false);
    assert_eq!(gateway.read().addresses.len(), 1);
    gateway.check().unwrap();
}

#[test]
fn reports_that_are_lost_are_made_up_for() {
    let (wire, mut gateway) = start(&GATEWAY, Options::default());
    wire.set_limits(Limits { reports: 2, ..Limits::default() });
    // Behind the gateway's back, so that reports pile up.
    for number in 0..50 {
        wire.inject("v1", &frame(BROADCAST, station(number), None, 0));
    }
    gateway.send("v2", &frame(BROADCAST, station(100), None, 0));
    assert_eq!(gateway.walks, 1);
    let learned =
        gateway.switch().fdb.addresses.entries().filter(|entry| entry.kind == Kind::Dynamic).count();
    assert_eq!(learned, 51);
    gateway.check().unwrap();
}

#[test]
fn entries_that_found_no_room_are_written_when_there_is_some() {
    let wire = TableGateway::wire(START, Options::default());
    wire.set_limits(Limits { entries: 20, ..Limits::default() });
    let mut gateway = TableGateway::start(&wire, standing(&describe(&GATEWAY)));
    let refused = gateway.refused;
    assert!(refused > 0);
    assert_ne!(gateway.send("v1", &frame(BROADCAST, station(2), None, 0)).decision, "forward");
    wire.set_limits(Limits::default());
    gateway.mend();
    assert_eq!(gateway.refused, refused);
    gateway.check().unwrap();
    assert_eq!(gateway.send("v1", &frame(BROADCAST, station(2), None, 0)).decision, "forward");
}

#[test]
fn a_storm_of_one_vlan_passes_its_meter_and_the_ports() {
    let rows =
        ["bridge sw", "port p1 sw trunk 8,9 storm 10/0/0", "port a8 sw access 8", "port a9 sw access 9"];
    let (_, mut gateway) = start(&rows, Options::default());
    let mut count = |vid: u16, frames: usize| -> usize {
        let send = |_| gateway.send("p1", &frame(BROADCAST, station(1), Some(vid), 0)).decision;
        (0..frames).map(send).filter(|decision| decision == "forward").count()
    };
    // A second's worth at once.
    assert_eq!(count(8, 20), 10, "VLAN 8 is capped");
    assert_eq!(count(9, 20), 10, "VLAN 9 has a meter of its own");
    gateway.pass(Duration::from_secs(1));
    let passed = gateway.send("p1", &frame(BROADCAST, station(1), Some(8), 0)).decision;
    assert_eq!(passed, "forward", "the meter has filled up again");
    let known = gateway.stats("p1");
    assert_eq!((known.metered, known.forwarded), (20, 21));
}

#[test]
fn dei_and_padding_are_as_the_datapath_can() {
    for (keeps_dei, pads) in [(false, false), (true, false), (false, true), (true, true)] {
        let rows = [
            "bridge sw",
            "port in sw trunk 8",
            "port out sw trunk 108 translate 108=8",
            "port a8 sw access 8",
        ];
        let (_, mut gateway) = start(&rows, Options { keeps_dei, pads, ..Options::default() });
        let arriving = frame(BROADCAST, station(1), Some(8), 0x1000);
        let out = gateway.send("in", &arriving[..50]).outputs;
        assert_eq!(ports(&out), ["a8", "out"]);
        let dei = if keeps_dei { 0x10 } else { 0 };
        assert_eq!(out[1].1[12..16], [0x81, 0, dei, 108], "keeps_dei {keeps_dei}");
        let lens: Vec<usize> = out.iter().map(|(_, frame)| frame.len()).collect();
        assert_eq!(lens, if pads { [60, 60] } else { [46, 50] }, "pads {pads}");
        assert!(out[0].1[46..].iter().all(|byte| *byte == 0), "a pad byte is not zero");
    }
}

#[test]
fn a_report_that_is_older_than_a_change_says_nothing() {
    let mut host = Standing::new(&describe(&GATEWAY));
    let mut writer = TableWriter::new();
    let vport = |port: PortId| Some(VportNo(port.0 + 1));
    let first = writer.owed(START, &host.switch, vport).generation;
    let admitted = |host: &Standing, writer: &TableWriter, port: &str| {
        let vport = vport(host.switch.topology().port_named(port).unwrap().id).unwrap();
        match writer.written().ingress[&(vport, Arrives::Untagged)] {
            Ingress::Admit(admission) => admission,
            Ingress::Drop(reason) => panic!("{reason}"),
        }
    };
    let (at_v1, at_v2) = (admitted(&host, &writer, "v1"), admitted(&host, &writer, "v2"));
    let mac = MacAddr(station(1));
    let learned = |generation, at: Admission| {
        let event = TableEvent::Learned { segment: at.segment, mac, place: at.place, learn: at.learn };
        TableReport { generation, event }
    };
    let lesson = writer.take(START, &mut host.switch, &learned(first, at_v1));
    assert!(matches!(lesson, Lesson::Learned(Learned::New { .. })), "{lesson:?}");
    assert!(writer.owed(START, &host.switch, vport).is_empty(), "both have it there");

    let gone = host.set_carrier("v1", false);
    gone.iter().for_each(|gone| writer.spoil(Dependency::Address(gone.segment, gone.mac)));
    let second = writer.owed(START, &host.switch, vport);
    assert_eq!(second.changes, [TableChange::Delete(EntryKey::Address(at_v1.segment, mac))]);
    let lesson = writer.take(START, &mut host.switch, &learned(first, at_v1));
    assert_eq!(lesson, Lesson::Stale, "it was under way while the address was deleted");
    assert!(host.switch.fdb.addresses.is_empty());

    let lesson = writer.take(START, &mut host.switch, &learned(second.generation, at_v2));
    assert!(matches!(lesson, Lesson::Learned(Learned::New { .. })), "{lesson:?}");
    assert_eq!(host.switch.fdb.addresses.len(), 1);
}

#[test]
fn a_frozen_address_takes_room_under_its_ports_limit() {
    let (_, mut gateway) = start(&LIMITED, Options::default());
    freeze(&mut gateway);
    let one_too_many = frame(BROADCAST, station(2), None, 0);
    assert_eq!(gateway.send("p1", &one_too_many).decision, "drop address-limit");
    assert_eq!(places(&gateway), [(station(1), "p1".to_owned())]);
    assert_eq!(gateway.send("p2", &frame(BROADCAST, station(1), None, 0)).decision, "drop frozen");
    let at_home = gateway.send("p1", &frame(BROADCAST, station(1), None, 0)).decision;
    assert_eq!(at_home, "forward", "where it is held it is heard");
    gateway.check().unwrap();
}

#[test]
fn a_frozen_address_takes_no_room_at_another_port_nor_at_its_own_where_there_is_some() {
    let (_, mut gateway) = start(&LIMITED, Options::default());
    freeze(&mut gateway);
    assert_eq!(gateway.send("p2", &frame(BROADCAST, station(2), None, 0)).decision, "forward");
    let mut roomier = LIMITED;
    roomier[1] = "port p1 v limit 2 on-limit=drop";
    gateway.change(|host| drop(host.change(&describe(&roomier))));
    assert_eq!(gateway.send("p1", &frame(BROADCAST, station(3), None, 0)).decision, "forward");
    assert_eq!(gateway.send("p1", &frame(BROADCAST, station(4), None, 0)).decision, "drop address-limit");
    gateway.check().unwrap();
}

#[test]
fn a_frozen_address_that_is_heard_where_it_is_held_is_known_once_it_has_thawed() {
    for (is_heard, known) in [(true, vec![(station(1), "p1".to_owned())]), (false, vec![])] {
        let (_, mut gateway) = start(&LIMITED, Options::default());
        freeze(&mut gateway);
        gateway.pass(Duration::from_secs(200));
        if is_heard {
            assert_eq!(gateway.send("p1", &frame(BROADCAST, station(1), None, 0)).decision, "forward");
        }
        gateway.pass(Duration::from_secs(110));
        assert_eq!(places(&gateway), known, "heard {is_heard}");
        gateway.check().unwrap();
    }
}

/// Two ports, one of which takes one address.
const LIMITED: [&str; 3] = ["bridge v unaware", "port p1 v limit 1 on-limit=drop", "port p2 v"];

/// Has the first station of [`LIMITED`] move once too often; it is held at `p1`, where it was longest.
fn freeze(gateway: &mut TableGateway) {
    gateway.send("p1", &frame(BROADCAST, station(1), None, 0));
    gateway.pass(Duration::from_secs(60));
    let mut moves = ["p2", "p1"].into_iter().cycle().take(5).map(|port| {
        gateway.pass(Duration::from_secs(1));
        gateway.send(port, &frame(BROADCAST, station(1), None, 0)).was_frozen
    });
    assert!(moves.by_ref().take(4).all(|was_frozen| !was_frozen), "four moves are none too many");
    assert_eq!(moves.next(), Some(true), "the fifth is");
}

/// The addresses that a gateway knows, each with its port.
fn places(gateway: &TableGateway) -> Vec<([u8; 6], String)> {
    let switch = gateway.switch();
    let at = |location| match location {
        Location::Port { port, .. } => switch.topology().port(port).name.clone(),
        other => panic!("{other:?} is no port"),
    };
    let known = switch.fdb.addresses.entries().map(|entry| (entry.mac.0, at(entry.location)));
    known.collect()
}

/// Two trunks into one fabric, two VUBs, VMs.
const GATEWAY: [&str; 11] = [
    "bridge sw",
    "bridge red unaware",
    "bridge blue unaware",
    "vlan sw 8 red",
    "vlan sw 9 blue",
    "trunk t1 sw 8,9",
    "trunk t2 sw 8,9",
    "port v1 red",
    "port v2 red",
    "port b1 blue",
    "port a9 sw access 9",
];

fn describe(rows: &[&str]) -> Description {
    let mut made = Description::default();
    for row in rows {
        assert!(table::stories::declare(&mut made, row).unwrap(), "{row:?} declares nothing");
    }
    made
}

fn trunk_vlans(description: &mut Description, vlans: &str) {
    for trunk in &mut description.trunks {
        if let vlan::model::description::Mode::Trunk(mode) = &mut trunk.mode {
            mode.vlans = Some(table::words::vids(vlans).unwrap());
        }
    }
}

fn start(rows: &[&str], options: Options) -> (FakeWire, TableGateway) {
    let wire = TableGateway::wire(START, options);
    let gateway = TableGateway::start(&wire, Standing::new(&describe(rows)));
    (wire, gateway)
}

/// The trunk that carries a VLAN.
fn carrier(gateway: &TableGateway, vid: u16) -> &'static str {
    let switch = gateway.switch();
    let port = switch.topology().port_named("t1").unwrap();
    let is_first = switch.designation().carrier(port, Vid::new(vid)) == Carrier::This;
    if is_first { "t1" } else { "t2" }
}

fn station(number: u8) -> [u8; 6] {
    [0x52, 0x54, 0, 0, 1, number]
}

/// With a tag of this VID and these other bits of its TCI.
fn frame(dst: [u8; 6], src: [u8; 6], vid: Option<u16>, bits: u16) -> Vec<u8> {
    let tag = vid.map(|vid| [&[0x81, 0][..], &(vid | bits).to_be_bytes()].concat()).unwrap_or_default();
    [&dst[..], &src, &tag, &[8, 0], &[0x5a; 46]].concat()
}

fn ports(outputs: &[(String, Vec<u8>)]) -> Vec<&str> {
    outputs.iter().map(|(port, _)| port.as_str()).collect()
}

const BROADCAST: [u8; 6] = [0xff; 6];
const START: Instant = Instant::from_secs(1_000);
