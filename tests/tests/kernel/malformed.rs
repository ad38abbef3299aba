//! Frames that no standard allows, or that few programs expect, into a gateway on a real kernel: each is passed on whole or dropped and
//! counted, and the frames behind it go on as if nothing had been.

use tests::lab::captures;
use tests::lab::frames::{BROADCAST, Frame, Mac, Tpid};
use tests::lab::standard::{self, plain, tagged};
use tests::lab::testbed::{Side, Testbed, ports};

tests::kernel_tests! {
    group malformed;

    fn every_captured_frame_at_every_kind_of_port_leaves_the_rest_alone() {
        let testbed = start_with_all_kinds();
        let before: u64 = KINDS.iter().map(|port| testbed.gateway.port(port).rx_packets).sum();
        let (mut sent, mut unfit) = (0, 0);
        for (path, capture) in captures::all() {
            for frame in &capture.frames {
                for port in KINDS {
                    // A packet socket takes nothing shorter than a header and nothing longer than the link's MTU.
                    match testbed.tap(port).try_send(frame) {
                        Ok(()) => sent += 1,
                        Err(_) => unfit += 1,
                    }
                }
            }
            testbed.settle("vm5");
            assert_eq!(testbed.gateway.port("vm5").state, "up", "after {}", path.display());
        }
        println!("{sent} frames sent, {unfit} not taken by the sending link");
        assert!(sent >= 4 * 7_000, "{sent} frames were sent");
        for port in ["leaf1", "vm5"] {
            testbed.settle(port);
        }
        testbed.gateway.wait_for("every frame to be received", |gateway| {
            KINDS.iter().map(|port| gateway.port(port).rx_packets).sum::<u64>() >= before + sent
        });
        let malformed = ["malformed-short-tag", "malformed-short-header"];
        let named: u64 = malformed.iter().map(|reason| testbed.gateway.counter("l2gw_drops_total", &[("reason", reason)])).sum();
        println!("{named} malformed for the daemon; {}", testbed.gateway.l2gw(&["show", "counters"]).expect("l2gw show counters"));
        assert_eq!(testbed.gateway.counter("l2gw_drops_total", &[("reason", "malformed-message")]), 0, "each message of the kernel is read");
        assert!(!testbed.gateway.log().contains("panicked"), "{}", testbed.gateway.log());
    }

    fn frames_of_every_short_length_pass_whole_and_bring_no_foreign_bytes() {
        let testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        for length in 0..=50_usize {
            let payload: Vec<u8> = (0..length).map(|byte| 0xa0 | byte as u8 & 0x0f).collect();
            let untagged = Frame::new(PHYS, BROADCAST).payload(0x0800, &payload);
            let expected = Frame::new(PHYS, BROADCAST).tag(8, 0).payload(0x0800, &payload);
            for (port, frame) in testbed.deliver("vm8", &untagged) {
                let whole = if port == "leaf1" { &expected } else { &untagged };
                let (head, pad) = frame.split_at(whole.len().min(frame.len()));
                assert_eq!(head, whole, "{length} bytes of payload from vm8 to {port}");
                assert!(pad.iter().all(|byte| *byte == 0), "{length} bytes to {port}, padded with {pad:02x?}");
            }
            // The kernel takes no tag off that has fewer than two bytes behind its EtherType.
            if length >= 2 {
                let outcome = testbed.deliver("leaf1", &Frame::new(OTHER, BROADCAST).tag(8, 0).payload(0x0800, &payload));
                assert_eq!(ports(&outcome), ["vm8", "vm8b"], "{length} bytes of payload from leaf1");
                for (port, frame) in &outcome {
                    let (head, pad) = frame.split_at((14 + length).min(frame.len()));
                    assert_eq!(head, &Frame::new(OTHER, BROADCAST).payload(0x0800, &payload)[..], "{length} bytes to {port}");
                    assert!(pad.iter().all(|byte| *byte == 0), "{length} bytes to {port}, padded with {pad:02x?}");
                }
            }
        }
    }

    fn a_jumbo_frame_passes_whole_or_not_at_all() {
        let testbed = Testbed::start_with_mtu("gw", &standard::file(), &standard::SIDES, &[("leaf1", 9_000), ("vm8", 9_000), ("vm8b", 1_500)]);
        let jumbo = Frame::new(PHYS, BROADCAST).tag(8, 0).payload(0x0800, &[0x77; 8_996]);
        let outcome = testbed.deliver("leaf1", &jumbo);
        assert_eq!(ports(&outcome), ["vm8"], "the link of vm8b takes 1500 bytes");
        assert_eq!(outcome[0].1, Frame::new(PHYS, BROADCAST).payload(0x0800, &[0x77; 8_996]));
        let usual = testbed.deliver("leaf1", &Frame::new(PHYS, BROADCAST).tag(8, 0).payload(0x0800, &[0x77; 1_500]));
        assert_eq!(ports(&usual), ["vm8", "vm8b"]);
    }

    fn eight_tags_are_one_and_seven_of_payload() {
        let testbed = start_with_all_kinds();
        let stacked = |first: Frame| (1..8_u16).fold(first, |frame, number| frame.tag_as(if number % 2 == 0 { Tpid::Service } else { Tpid::Customer }, 0x0ff0 | number, 7));
        let seven = stacked(Frame::new(PHYS, BROADCAST)).payload(0x0800, &[9; 46]);
        let eight = stacked(Frame::new(PHYS, BROADCAST).tag(8, 0)).payload(0x0800, &[9; 46]);
        let outcome = testbed.deliver("leaf1", &eight);
        let vms: Vec<_> = outcome.iter().filter(|(port, _)| *port == "vm8").collect();
        assert_eq!(vms.len(), 1, "{:?}", ports(&outcome));
        assert_eq!(vms[0].1, seven, "to vm8");
        assert!(!ports(&outcome).contains(&"printer"), "tagged frames do not leave an access port");
        // Another machine's frame: the very one that was sent to vm8 would be taken for our own, come back by a cable.
        let [seven, eight] = [Frame::new(VM, BROADCAST), Frame::new(VM, BROADCAST).tag(8, 0)]
            .map(|first| stacked(first).payload(0x0800, &[8; 46]));
        let back = testbed.deliver("vm8", &seven);
        let at_leaf: Vec<_> = back.iter().filter(|(port, _)| *port == "leaf1").collect();
        assert_eq!(at_leaf.len(), 1, "{:?}", ports(&back));
        assert_eq!(at_leaf[0].1.len(), eight.len());
        assert_eq!(at_leaf[0].1[16..], eight[16..], "seven tags of payload behind ours");
    }
}

/// A trunk, VM ports, an access port and a 802.1Q tunnel; no BPDU blocks any of them.
fn start_with_all_kinds() -> Testbed {
    let mut file = standard::file().replace("link = \"vm8\"\n", "link = \"vm8\"\nbpdu = \"discard\"\n");
    file += "[[ports]]\nname = \"printer\"\nbridge = \"dc1\"\nmode = \"access\"\nvid = 8\nhost = \"gw1\"\nlink = \"printer\"\nbpdu = \"discard\"\n";
    file += "[[ports]]\nname = \"customer\"\nbridge = \"dc1\"\nmode = \"qinq\"\nvid = 100\nhost = \"gw1\"\nlink = \"customer\"\n";
    let mut sides: Vec<(&'static str, Side)> = standard::SIDES.to_vec();
    sides[0] = ("leaf1", tagged(8, "vm8b"));
    sides.extend([("printer", plain("leaf1")), ("customer", plain("leaf1"))]);
    Testbed::start("gw", &file, &sides)
}

const KINDS: [&str; 4] = ["leaf1", "vm8", "printer", "customer"];
const VM: Mac = [0x52, 0x54, 0, 0, 8, 0x55];
const PHYS: Mac = [0x52, 0x54, 0, 0, 0, 1];
const OTHER: Mac = [0x52, 0x54, 0, 0, 0, 3];
