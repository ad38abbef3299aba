//! Addresses that stick to their port, in the running engine: what is told is what happens, and they stay over a link that goes down, a
//! restart and another revision, until somebody flushes them.

use std::time::Duration;

use agent::engine::Settings;
use agent::input::{Command, Input};
use agent::list::everything;
use agent::view::MacView;
use l2gw::config;
use tests::lab::frames::BROADCAST;
use tests::sim::gateway::Gateway;
use vlan::model::description::Description;

use super::{Host, OTHER, PHYS, VM, bare, file_with, says};

/// Asks for others, at a port where nothing sticks.
const ASKER: [u8; 6] = [0x52, 0x54, 0, 0, 0, 7];

/// VM sticks to vm8, and another machine there is kept out.
fn stuck() -> Host {
    let mut host = Host::with(&file_with("sticky = 1"), |_| {});
    says(&host.told("vm8", &bare(VM, BROADCAST)), "is learned behind port vm8, and sticks there");
    assert_eq!(host.why("vm8", &bare(OTHER, BROADCAST)), "address-limit");
    host
}

/// Whether VM still sticks to vm8, and nobody else is let in there.
fn still_sticks(host: &mut Host) {
    // What came back within a second would be our own.
    host.gateway.pass(Duration::from_secs(2));
    let told = host.told("vm8b", &bare(VM, BROADCAST));
    assert_eq!(told.drop.as_deref(), Some("pinned"));
    says(&told, "the source sticks to port vm8, to which it was pinned when it was heard there first");
    assert_eq!(host.why("vm8", &bare(OTHER, BROADCAST)), "address-limit");
    assert_eq!(host.why("vm8", &bare(VM, BROADCAST)), "forward");
    assert_eq!(host.told("vm8b", &bare(ASKER, VM)).outputs.len(), 1, "it is known behind vm8");
}

fn kinds(host: &Host) -> Vec<(String, String)> {
    let macs: Vec<MacView> = everything(&host.gateway.engine, host.wire.now());
    macs.into_iter().map(|mac| (mac.mac.to_string(), mac.kind)).collect()
}

fn flush(host: &mut Host, port: Option<&str>) {
    host.gateway.handle(Input::Operator(Command::FlushAddresses { port: port.map(ToOwned::to_owned) }));
    host.gateway.settle();
}

/// The first revision's successor, with this said of vm8.
fn change(host: &mut Host, revision: u64, of_vm8: &str) {
    host.gateway.change(revision, &description(of_vm8));
}

#[test]
fn it_sticks_for_ever_and_is_shown_as_such() {
    let mut host = stuck();
    host.gateway.pass(Duration::from_secs(40_000));
    assert_eq!(kinds(&host), [("52:54:00:00:00:01".to_owned(), "sticky".to_owned())]);
    still_sticks(&mut host);
}

#[test]
fn an_address_that_is_known_elsewhere_does_not_come_to_stick() {
    let mut host = Host::with(&file_with("sticky = 1"), |_| {});
    host.told("vm8b", &bare(VM, BROADCAST));
    host.told("leaf1", &super::tagged(PHYS, BROADCAST));
    host.gateway.pass(Duration::from_secs(2));
    let told = host.told("vm8", &bare(VM, BROADCAST));
    assert_eq!(told.drop.as_deref(), Some("sticky"));
    says(&told, "the source is known behind port vm8b");
    // Nor from behind the trunk.
    assert_eq!(host.why("vm8", &bare(PHYS, BROADCAST)), "sticky");
    assert_eq!(host.why("vm8", &bare(OTHER, BROADCAST)), "forward", "there is room for one that is new");
    // Known nowhere any more, it is as good as another.
    host.gateway.pass(Duration::from_secs(400));
    assert_eq!(host.why("vm8", &bare(VM, BROADCAST)), "address-limit");
}

#[test]
fn it_stays_while_the_link_is_down_and_when_it_comes_back() {
    let mut host = stuck();
    host.gateway.set_carrier("vm8", false);
    host.gateway.pass(Duration::from_secs(2));
    assert_eq!(host.why("vm8b", &bare(VM, BROADCAST)), "pinned");
    host.gateway.set_carrier("vm8", true);
    still_sticks(&mut host);
}

/// The same at a port where nothing sticks: there the plug takes the address with it.
#[test]
fn without_sticky_an_address_goes_with_the_link() {
    let mut host = Host::with(&file_with("mac-limit = 1"), |_| {});
    host.told("vm8", &bare(VM, BROADCAST));
    host.gateway.set_carrier("vm8", false);
    assert_eq!(kinds(&host), []);
    host.gateway.pass(Duration::from_secs(2));
    assert_eq!(host.why("vm8b", &bare(VM, BROADCAST)), "forward");
}

#[test]
fn a_restart_finds_it_where_it_was_however_long_it_was_silent() {
    let mut host = stuck();
    host.gateway.pass(Duration::from_secs(4_000));
    // A flow that drops the one teaches nothing about it, and the other has none.
    assert_eq!(host.why("vm8", &bare(OTHER, BROADCAST)), "address-limit");
    let saved = host.gateway.engine.save(host.wire.now());
    assert_eq!(saved.len(), 1);
    let description = description("sticky = 1");
    host.gateway = Gateway::start(&host.wire, Settings::new("gw1"), (1, &description), saved);
    still_sticks(&mut host);
}

fn description(of_vm8: &str) -> Description {
    config::parse("gateway.toml", &file_with(of_vm8)).expect("a file that is right").description
}

#[test]
fn a_flush_of_its_port_or_of_all_lets_it_go() {
    for port in [Some("vm8"), None] {
        let mut host = stuck();
        flush(&mut host, Some("vm8b"));
        still_sticks(&mut host);
        flush(&mut host, port);
        assert!(kinds(&host).iter().all(|(mac, _)| !mac.ends_with(":01")));
        host.gateway.pass(Duration::from_secs(2));
        assert_eq!(host.why("vm8", &bare(OTHER, BROADCAST)), "forward", "the next one sticks");
        assert_eq!(host.why("vm8", &bare(VM, BROADCAST)), "address-limit");
        assert_eq!(host.why("vm8b", &bare(VM, BROADCAST)), "forward", "it may be anywhere again");
    }
}

/// A frame of which nothing is learned is let in as long as there is room, and a flow of the kernel does it.
#[test]
fn what_teaches_nothing_is_let_in_only_while_there_is_room() {
    let mut host = Host::with(&file_with("sticky = 1"), |_| {});
    let nameless = bare([0; 6], BROADCAST);
    for _ in 0..2 {
        assert_eq!(host.why("vm8", &nameless), "forward");
    }
    host.told("vm8", &bare(VM, BROADCAST));
    for _ in 0..2 {
        assert_eq!(host.why("vm8", &nameless), "address-limit");
    }
    flush(&mut host, Some("vm8"));
    assert_eq!(host.why("vm8", &nameless), "forward");
}

#[test]
fn other_revisions_pin_what_is_there_let_some_go_and_let_all_go() {
    let mut host = Host::with(&file_with("mac-limit = 9"), |_| {});
    for mac in [PHYS, VM] {
        host.told("vm8", &bare(mac, BROADCAST));
        host.gateway.pass(Duration::from_secs(2));
    }
    // Both have flows; the one that was heard longest ago is one too many.
    change(&mut host, 2, "sticky = 1");
    assert_eq!(host.why("vm8", &bare(PHYS, BROADCAST)), "address-limit");
    still_sticks(&mut host);
    change(&mut host, 3, "sticky = 2");
    // There is room for one more, and for one that was kept out as well.
    assert_eq!(host.why("vm8", &bare(OTHER, BROADCAST)), "forward");
    host.gateway.pass(Duration::from_secs(2));
    assert_eq!(host.why("vm8b", &bare(OTHER, BROADCAST)), "pinned");
    assert_eq!(host.why("vm8", &bare(PHYS, BROADCAST)), "address-limit");
    change(&mut host, 4, "mac-limit = 9");
    host.gateway.pass(Duration::from_secs(2));
    assert_eq!(host.why("vm8b", &bare(VM, BROADCAST)), "forward", "it moves again");
    host.gateway.pass(Duration::from_secs(400));
    assert_eq!(kinds(&host), [], "and ages");
}
