//! Loops as only a kernel makes them: a cable between two ports of ours, round which frames go at the speed of the kernel, and our own
//! frames that come back by a trunk though only a flow has sent them.

use std::time::Duration;

use tests::lab::frames::{BROADCAST, Frame, Mac};
use tests::lab::gateway::Gateway;
use tests::lab::standard;
use tests::lab::testbed::{Testbed, ports};
use tests::lab::veth;

tests::kernel_tests! {
    group loops;

    fn no_frame_goes_round_a_cable_between_two_ports_and_the_machine_keeps_its_place() {
        let file = ["c3", "c4"].iter().fold(standard::file(), |file, port| {
            format!("{file}[[ports]]\nname = \"{port}\"\nbridge = \"vub8\"\nhost = \"gw1\"\nlink = \"{port}\"\n")
        });
        let mut testbed = Testbed::prepare("gw", &file, &standard::SIDES);
        let netns = testbed.gateway.netns();
        veth::connect((netns, "c3"), (netns, "c4"));
        testbed.gateway.start_up();
        let (near, far) = (testbed.tap("vm8"), testbed.tap("vm8b"));
        // Never heard before; the daemon sends it, and knows it again.
        near.send(&broadcast(mac(1), 1));
        assert_eq!(far.collect_until(PATIENCE, |frame| *frame == broadcast(mac(1), 1)), [[0; 0]; 0]);
        testbed.gateway.wait_for("its flow", |gateway| gateway.flows().iter().any(|flow| flow.src.0 == mac(1) && flow.port == "vm8"));
        // A flow sends the next one.
        near.send(&broadcast(mac(1), 2));
        testbed.gateway.wait_for("the address to be held", |gateway| held(gateway, mac(1)).is_some());
        assert_eq!(held(&testbed.gateway, mac(1)).as_deref(), Some("vm8"), "{:#?}", testbed.gateway.macs());
        near.send(&broadcast(mac(1), 3));
        let first = far.collect_until(PATIENCE, |frame| *frame == broadcast(mac(1), 3));
        let copies = first.iter().filter(|frame| **frame == broadcast(mac(1), 2)).count();
        assert!((1..=MOST_COPIES).contains(&copies), "{copies} copies of one frame");
        // It does not go round any more: nothing of it comes behind what was sent after it.
        near.send(&broadcast(mac(1), 6));
        let later = far.collect_until(PATIENCE, |frame| *frame == broadcast(mac(1), 6));
        assert_eq!(later, [[0; 0]; 0], "the machine is heard, once, though the loop is still there");
        // Two addresses are proof.
        far.send(&broadcast(mac(2), 4));
        testbed.gateway.wait_for("a port to be blocked", |gateway| blocked(gateway).is_some());
        assert!(["c3", "c4"].contains(&blocked(&testbed.gateway).expect("a port").as_str()));
        for source in [mac(1), mac(3)] {
            near.send(&broadcast(source, 5));
            let before = far.collect_until(PATIENCE, |frame| *frame == broadcast(source, 5));
            assert!(!before.contains(&broadcast(source, 5)));
        }
        assert_eq!(far.drain(), [[0; 0]; 0], "one copy each");
    }

    fn what_a_flow_has_sent_and_comes_back_moves_nothing() {
        let testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        let frame = |number| broadcast(mac(1), number);
        testbed.deliver("vm8", &frame(1));
        for number in 2..5 {
            // So long ago that the daemon has forgotten what it sent itself.
            testbed.gateway.wait_for("more than a second to pass", |gateway| age_ms(gateway, mac(1)) > 1_100);
            let sent = testbed.deliver("vm8", &frame(number));
            assert_eq!(ports(&sent), ["leaf1", "vm8b"]);
            let (_, copy) = sent.iter().find(|(port, _)| *port == "leaf1").expect("a copy into the fabric");
            assert_eq!(ports(&testbed.deliver("leaf1", copy)), [""; 0], "it is our own");
            let places: Vec<String> = place(&testbed.gateway, mac(1)).into_iter().collect();
            assert_eq!(places, ["vm8"]);
            let reflected = [("port", "leaf1"), ("reason", "reflected")];
            assert_eq!(testbed.gateway.counter("l2gw_drops_total", &reflected), u64::from(number) - 1);
        }
        // And one that differs is a move: the VM has migrated.
        let announcement = Frame::new(mac(1), BROADCAST).tag(8, 0).payload(0x8035, &[9; 46]);
        assert_eq!(ports(&testbed.deliver("leaf1", &announcement)), ["vm8", "vm8b"]);
        assert_eq!(place(&testbed.gateway, mac(1)).as_deref(), Some("trunks of fabric"));
    }
}

fn broadcast(source: Mac, number: u8) -> Vec<u8> {
    Frame::new(source, BROADCAST).payload(0x0800, &[number; 46])
}

fn place(gateway: &Gateway, mac: Mac) -> Option<String> {
    gateway.macs().into_iter().find(|one| one.mac.0 == mac).map(|one| one.location)
}

fn held(gateway: &Gateway, mac: Mac) -> Option<String> {
    let held = gateway.macs().into_iter().find(|one| one.mac.0 == mac && one.kind == "frozen");
    held.map(|one| one.location)
}

fn age_ms(gateway: &Gateway, mac: Mac) -> u64 {
    gateway.macs().into_iter().find(|one| one.mac.0 == mac).map_or(0, |one| one.age_ms)
}

fn blocked(gateway: &Gateway) -> Option<String> {
    let ports = ["vm8", "vm8b", "c3", "c4"].map(|port| gateway.port(port));
    ports.into_iter().find(|port| port.state == "blocked").map(|port| port.port)
}

fn mac(last: u8) -> Mac {
    [2, 0, 0, 0, 0x10, last]
}

/// As many as in the simulation of loops.
const MOST_COPIES: usize = 24;
const PATIENCE: Duration = Duration::from_secs(20);
