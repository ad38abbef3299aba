//! What flows have sent into a fabric is known by another revision too, which calls segments and fabrics otherwise: our own frame is
//! reflected, and what was not sent is a move.

use std::time::Duration;

use agent::engine::Settings;
use agent::input::Input;
use agent::list::everything;
use agent::view::MacView;
use datapath::fake::FakeWire;
use l2gw::config;
use tests::lab::frames::{BROADCAST, Frame, Mac};
use tests::lab::standard;
use tests::sim::gateway::Gateway;
use vlan::model::description::Description;
use vlan::time::Instant;

const VM: Mac = [0x52, 0x54, 0, 0, 0, 1];
const OTHER: Mac = [0x52, 0x54, 0, 0, 0, 2];

/// A gateway by the standard file, and by what that becomes.
struct Story {
    wire: FakeWire,
    gateway: Gateway,
    file: String,
}

impl Story {
    fn new(file: String) -> Story {
        let wire = Gateway::wire(&parse(&standard::file()), Instant::from_secs(1_000));
        let gateway = Gateway::start(&wire, Settings::new("gw1"), (1, &parse(&file)), Vec::new());
        let mut story = Story { wire, gateway, file };
        story.pass_ms(2_000);
        story
    }

    fn pass_ms(&mut self, ms: u64) {
        self.gateway.pass(Duration::from_millis(ms));
    }

    /// The VM at vm8 sends a frame by a flow. Where copies come out.
    fn vm_sends(&mut self, dst: Mac) -> Vec<String> {
        let frame = Frame::new(VM, dst).payload(0x0800, &[7; 46]);
        self.sent("vm8", &frame);
        // What the daemon has sent itself is forgotten.
        self.pass_ms(1_200);
        self.sent("vm8", &frame)
    }

    /// The fabric brings a frame from the VM's address.
    fn comes(&mut self, dst: Mac) {
        self.sent("leaf1", &Frame::new(VM, dst).tag(8, 0).payload(0x0800, &[7; 46]));
    }

    fn sent(&mut self, port: &str, frame: &[u8]) -> Vec<String> {
        self.gateway.send(port, frame).into_iter().map(|(port, _)| port).collect()
    }

    /// The same network behind other identifiers: each segment and each fabric has one before it.
    fn renumbered(&self) -> Description {
        let before = "[hosts.gw1]\n[bridges.a0]\nkind = \"vlan-aware\"\nfabric = \"a0\"\n[bridges.a1]\nkind = \"vlan-unaware\"\n\
                      [[trunks]]\nname = \"other\"\nbridge = \"a0\"\nhost = \"gw1\"\nlink = \"other\"\nvlans = [\"8\"]\n";
        parse(&self.file.replacen("[hosts.gw1]\n", before, 1))
    }

    fn change(&mut self, description: &Description) {
        self.gateway.change(2, description);
    }

    /// Another revision comes in, and no flow is looked over yet.
    fn begin(&mut self, description: Description) {
        let description = Box::new(description);
        self.gateway.handle(Input::Topology { revision: 2, description, numbers: None, built: None });
    }

    fn place(&self) -> String {
        let macs: Vec<MacView> = everything(&self.gateway.engine, self.wire.now());
        let its = macs.into_iter().find(|one| one.mac.0 == VM);
        its.map_or_else(|| "nowhere".to_owned(), |one| one.location)
    }
}

fn parse(file: &str) -> Description {
    config::parse("gateway.toml", file).expect("a file that is right").description
}

fn without_vlan_8() -> String {
    standard::file().replace("vlans = [\"5\", \"7\", \"8\"]", "vlans = [\"5\", \"7\"]")
}

#[test]
fn what_a_flow_sent_before_a_revision_is_reflected_behind_it() {
    let mut story = Story::new(standard::file());
    assert_eq!(story.vm_sends(BROADCAST), ["leaf1", "vm8b"]);
    let description = story.renumbered();
    story.change(&description);
    story.comes(BROADCAST);
    assert_eq!(story.place(), "vm8");
    story.pass_ms(1_100);
    story.comes(BROADCAST);
    assert_eq!(story.place(), "trunks of fabric", "a second later it is a move");
}

/// The flows are many, and the first of them that are looked over are others.
#[test]
fn and_before_its_flow_was_looked_over() {
    let mut story = Story::new(standard::file());
    assert_eq!(story.vm_sends(BROADCAST), ["leaf1", "vm8b"]);
    for number in 0..1_000_u16 {
        let [a, b] = number.to_be_bytes();
        let frame = Frame::new(OTHER, [2, 0, 0, 0, a, b]).payload(0x0800, &[7; 46]);
        for _ in 0..3 {
            story.gateway.inject("vm8b", &frame);
            story.gateway.settle();
        }
    }
    story.begin(story.renumbered());
    let came = Frame::new(VM, BROADCAST).tag(8, 0).payload(0x0800, &[7; 46]);
    story.gateway.inject("leaf1", &came);
    let upcall = story.gateway.next_upcall();
    story.gateway.handle(upcall);
    assert_eq!(story.place(), "vm8");
    story.gateway.settle();
    assert_eq!(story.place(), "vm8");
}

#[test]
fn what_a_revision_has_a_flow_send_was_not_sent_before() {
    let mut story = Story::new(without_vlan_8());
    assert_eq!(story.vm_sends(BROADCAST), ["vm8b"]);
    story.change(&parse(&standard::file()));
    story.comes(BROADCAST);
    assert_eq!(story.place(), "trunks of fabric");
}

#[test]
fn what_a_revision_has_a_flow_send_is_reflected_when_it_was_sent() {
    let mut story = Story::new(without_vlan_8());
    assert_eq!(story.vm_sends(BROADCAST), ["vm8b"]);
    story.change(&parse(&standard::file()));
    assert_eq!(story.vm_sends(BROADCAST), ["leaf1", "vm8b"]);
    story.comes(BROADCAST);
    assert_eq!(story.place(), "vm8");
}

/// By the revision the destination is at vm8b, where it never spoke.
#[test]
fn what_a_flow_sends_no_more_by_a_revision_it_has_sent_before() {
    let mut story = Story::new(standard::file());
    assert_eq!(story.vm_sends(OTHER), ["leaf1", "vm8b"]);
    let mut description = story.renumbered();
    let port = description.ports.iter_mut().find(|port| port.name == "vm8b").unwrap();
    port.macs = vec![vlan::addr::MacAddr(OTHER)];
    story.change(&description);
    story.comes(OTHER);
    assert_eq!(story.place(), "vm8");
    assert_eq!(story.vm_sends(OTHER), ["vm8b"]);
    story.comes(OTHER);
    assert_eq!(story.place(), "trunks of fabric", "nothing was sent there within the last second");
}

/// A bridge that was renamed back has had all names.
#[test]
fn a_bridge_that_gets_its_name_back_keeps_its_addresses() {
    let mut story = Story::new(standard::file());
    let renamed = standard::file()
        .replace("[bridges.dc1]", "[bridges.dc2]\nrenamed-from = \"dc1\"")
        .replace("\"dc1\"\nhost", "\"dc2\"\nhost")
        .replace("bridge = \"dc1\"\nvid", "bridge = \"dc2\"\nvid");
    story.comes(BROADCAST);
    let there = story.place();
    story.change(&parse(&renamed));
    assert_eq!(story.place(), there);
    story.gateway.change(3, &parse(&standard::file()));
    assert_eq!(story.place(), there);
}
