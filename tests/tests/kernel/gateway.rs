//! The gateway on a real kernel: what goes in at one end of its links, and what comes out at the others, byte by byte.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use tests::lab::frames::{BROADCAST, Frame, Mac, Tpid};
use tests::lab::gateway::Gateway;
use tests::lab::host::Station;
use tests::lab::ping::{ping, ping_within};
use tests::lab::standard::{self, plain, tagged};
use tests::lab::switch::Switch;
use tests::lab::testbed::{Side, Testbed, ports};

tests::kernel_tests! {
    group segments;

    fn physical_machines_and_vms_of_a_vlan_reach_each_other_and_no_others() {
        let mut gateway = Gateway::new("gw", &standard::file());
        let switch = Switch::new("switch");
        switch.trunk("uplink", (gateway.netns(), "leaf1"), &[5, 8], None);
        let (phys5, phys8) = (Station::physical("phys5"), Station::physical("phys8"));
        switch.access("port5", phys5.card(), 5);
        switch.trunk("port8", phys8.card(), &[8], None);
        let phys5 = phys5.with_address(v4(15), 24);
        let phys8 = phys8.with_vlan_address(8, v4(18), 24);
        let vm5 = Station::vm("vm5", gateway.netns(), "vm5").with_address(v4(25), 24);
        let vm8 = Station::vm("vm8", gateway.netns(), "vm8").with_address(v4(28), 24);
        let _spare = Station::vm("vm8b", gateway.netns(), "vm8b");
        gateway.start_up();
        for (from, to) in [(&phys5, 25), (&vm5, 15), (&phys8, 28), (&vm8, 18)] {
            assert_eq!(ping(from.netns(), v4(to), 3), 3, "{} to {}", from.netns().name(), v4(to));
        }
        for (from, to) in [(&phys5, 28), (&vm5, 18), (&phys8, 25), (&vm8, 15), (&vm5, 28), (&vm8, 25)] {
            assert_eq!(ping_within(from.netns(), v4(to), 1, Duration::from_millis(300)), 0, "{} to {}", from.netns().name(), v4(to));
        }
    }

    fn nothing_leaks_between_vlans_or_from_unmapped_vids() {
        let testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        for vid in [1, 2, 4, 5, 6, 7, 8, 9, 10, 100, 1000, 2048, 4093, 4094] {
            for (kind, frame) in kinds(vid) {
                let outcome = testbed.deliver("leaf1", &frame);
                let expected: Vec<&str> = match vid {
                    5 => vec!["vm5"],
                    8 => vec!["vm8", "vm8b"],
                    _ => Vec::new(),
                };
                assert_eq!(ports(&outcome), expected, "{kind} on VID {vid}: {outcome:02x?}");
                for (_, got) in &outcome {
                    assert_eq!(*got, padded(without_tag(&frame)), "{kind} on VID {vid}");
                }
            }
        }
    }

    fn a_vm_reaches_its_own_vlan_tagged_and_nothing_else() {
        let testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        for (port, vid, others) in [("vm5", 5, &["leaf1"][..]), ("vm8", 8, &["leaf1", "vm8b"])] {
            for (kind, frame) in kinds_untagged(0x40 + vid as u8) {
                let outcome = testbed.deliver(port, &frame);
                assert_eq!(ports(&outcome), others, "{kind} from {port}");
                let tagged = with_tag(&frame, vid, 0);
                assert_eq!(outcome[0].1, tagged, "{kind} from {port} on the trunk");
            }
        }
    }

    fn a_known_address_is_sent_to_its_port_only() {
        let testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        let (near, far) = (mac(1), mac(2));
        let unknown = Frame::new(far, near).tag(8, 0).payload(0x0800, &[7; 46]);
        assert_eq!(ports(&testbed.deliver("leaf1", &unknown)), ["vm8", "vm8b"]);
        testbed.deliver("vm8", &Frame::new(near, BROADCAST).payload(0x0800, &[7; 46]));
        assert_eq!(ports(&testbed.deliver("leaf1", &unknown)), ["vm8"]);
        let back = Frame::new(near, far).payload(0x0800, &[7; 46]);
        assert_eq!(ports(&testbed.deliver("vm8", &back)), ["leaf1"]);
        let shown = testbed.gateway.macs();
        let at = |mac: Mac| shown.iter().find(|one| one.mac.0 == mac).map(|one| one.location.clone());
        assert_eq!((at(near).as_deref(), at(far).as_deref()), (Some("vm8"), Some("trunks of fabric")), "{shown:?}");
    }

    fn an_address_that_moves_is_followed_within_one_frame() {
        let testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        let (it, other) = (mac(1), mac(2));
        let hello = |tag: Option<u16>| match tag {
            Some(vid) => Frame::new(it, BROADCAST).tag(vid, 0).payload(0x0800, &[1; 46]),
            None => Frame::new(it, BROADCAST).payload(0x0800, &[1; 46]),
        };
        let to_it = Frame::new(other, it).payload(0x0800, &[2; 46]);
        let to_it_tagged = Frame::new(other, it).tag(8, 0).payload(0x0800, &[2; 46]);
        testbed.deliver("vm8", &hello(None));
        assert_eq!(ports(&testbed.deliver("vm8b", &to_it)), ["vm8"]);
        // VM to VM: the sender is on the trunk now. With the very bytes that we sent to vm8b within the last second it would be our own frame,
        // come back by a cable.
        let moved = Frame::new(it, BROADCAST).payload(0x0800, &[3; 46]);
        testbed.deliver("vm8b", &moved);
        assert_eq!(ports(&testbed.deliver("leaf1", &to_it_tagged)), ["vm8b"]);
        // VM to trunk, a second after our last frame from it: before, it would be our own frame come back.
        std::thread::sleep(Duration::from_millis(1_600));
        testbed.deliver("leaf1", &hello(Some(8)));
        assert_eq!(ports(&testbed.deliver("vm8", &to_it)), ["leaf1"]);
        // Trunk to VM.
        testbed.deliver("vm8", &moved);
        assert_eq!(ports(&testbed.deliver("vm8b", &to_it)), ["vm8"]);
    }

    fn one_address_in_two_vlans_is_two() {
        let testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        let it = mac(1);
        testbed.deliver("vm5", &Frame::new(it, BROADCAST).payload(0x0800, &[1; 46]));
        testbed.deliver("vm8", &Frame::new(it, BROADCAST).payload(0x0800, &[1; 46]));
        for (vid, port) in [(5, "vm5"), (8, "vm8")] {
            let frame = Frame::new(mac(2), it).tag(vid, 0).payload(0x0800, &[1; 46]);
            assert_eq!(ports(&testbed.deliver("leaf1", &frame)), [port]);
        }
        assert_eq!(testbed.gateway.macs().iter().filter(|one| one.mac.0 == it).count(), 2);
    }
}

tests::kernel_tests! {
    group tags;

    fn priorities_survive_from_tag_to_tag_and_the_payload_is_ours_alone() {
        let file = format!("{}\n[[trunks]]\nname = \"far\"\nbridge = \"dc2\"\nhost = \"gw1\"\nlink = \"far\"\nvlans = [\"108\"]\n", with_second_bridge());
        let sides = [("leaf1", tagged(8, "vm8")), ("far", tagged(108, "vm8")), ("vm5", plain("leaf1")), ("vm8", plain("leaf1")), ("vm8b", plain("leaf1"))];
        let testbed = Testbed::start("gw", &file, &sides);
        for pcp in 0..8 {
            let payload: Vec<u8> = (0..100).collect();
            let frame = Frame::new(mac(1), BROADCAST).tag(8, pcp).payload(0x0800, &payload);
            let outcome = testbed.deliver("leaf1", &frame);
            assert_eq!(ports(&outcome), ["far", "vm8", "vm8b"], "PCP {pcp}");
            assert_eq!(outcome[0].1, with_tag(&without_tag(&frame), 108, pcp), "translated by two bridges, PCP {pcp}");
            assert_eq!(outcome[1].1, without_tag(&frame), "PCP {pcp}");
        }
    }

    fn wire_vids_are_translated_both_ways() {
        let file = standard::file().replace("vlans = [\"5\", \"7\", \"8\"]", "vlans = [\"5\", \"7\", \"108\"]\ntranslate = { 108 = 8 }");
        let sides = [("leaf1", tagged(108, "vm8")), ("vm5", plain("leaf1")), ("vm8", plain("leaf1")), ("vm8b", plain("leaf1"))];
        let testbed = Testbed::start("gw", &file, &sides);
        let frame = Frame::new(mac(1), BROADCAST).tag(108, 3).payload(0x0800, &[9; 46]);
        assert_eq!(ports(&testbed.deliver("leaf1", &frame)), ["vm8", "vm8b"]);
        let untranslated = Frame::new(mac(2), BROADCAST).tag(8, 3).payload(0x0800, &[9; 46]);
        assert_eq!(ports(&testbed.deliver("leaf1", &untranslated)), [""; 0]);
        let back = Frame::new(mac(3), BROADCAST).payload(0x0800, &[9; 46]);
        assert_eq!(testbed.deliver("vm8", &back)[0], ("leaf1", with_tag(&back, 108, 0)));
    }

    fn the_native_vlan_goes_untagged_both_ways_and_hopping_is_refused() {
        let file = standard::file().replace("vlans = [\"5\", \"7\", \"8\"]", "vlans = [\"5\", \"7\", \"8\"]\nnative = 8");
        let sides = [("leaf1", plain("vm8")), ("vm5", plain("leaf1")), ("vm8", plain("leaf1")), ("vm8b", plain("leaf1"))];
        let testbed = Testbed::start("gw", &file, &sides);
        let frame = Frame::new(mac(1), BROADCAST).payload(0x0800, &[9; 46]);
        assert_eq!(testbed.deliver("leaf1", &frame), [("vm8", frame.clone()), ("vm8b", frame.clone())]);
        let back = Frame::new(mac(2), BROADCAST).payload(0x0800, &[9; 46]);
        assert_eq!(testbed.deliver("vm8", &back), [("leaf1", back.clone()), ("vm8b", back.clone())]);
        let hop = Frame::new(mac(3), BROADCAST).tag(5, 0).payload(0x0800, &[9; 46]);
        let outcome = testbed.deliver("vm8", &hop);
        assert_eq!(ports(&outcome), ["vm8b"], "a tag inside must not leave untagged by the native VLAN");
    }

    fn customer_tags_are_payload_of_a_qinq_port() {
        let testbed = Testbed::start("gw", QINQ, &[
            ("up", Side { tag: Some((Tpid::Service, 100)), witness: "cust" }),
            ("cust", Side { tag: None, witness: "up" }),
        ]);
        let customer = Frame::new(mac(1), BROADCAST).tag(10, 5).payload(0x0800, &[9; 46]);
        let outcome = testbed.deliver("cust", &customer);
        let expected = Frame::new(mac(1), BROADCAST).tag_as(Tpid::Service, 100, 5).tag(10, 5).payload(0x0800, &[9; 46]);
        assert_eq!(outcome, [("up", expected)]);
        let back = Frame::new(mac(2), mac(1)).tag_as(Tpid::Service, 100, 0).tag(10, 2).payload(0x0800, &[9; 46]);
        let expected = Frame::new(mac(2), mac(1)).tag(10, 2).payload(0x0800, &[9; 46]);
        assert_eq!(testbed.deliver("up", &back), [("cust", expected)]);
    }

    fn two_tags_come_off_on_the_way_through_two_bridges() {
        let testbed = Testbed::start("gw", CHAIN, &[
            ("up", Side { tag: Some((Tpid::Service, 100)), witness: "flat" }),
            ("vm10", Side { tag: None, witness: "up" }),
            ("flat", Side { tag: None, witness: "up" }),
        ]);
        let double = Frame::new(mac(1), BROADCAST).tag_as(Tpid::Service, 100, 1).tag(10, 6).payload(0x0800, &[9; 46]);
        let bare = Frame::new(mac(1), BROADCAST).payload(0x0800, &[9; 46]);
        let with_inner = Frame::new(mac(1), BROADCAST).tag(10, 6).payload(0x0800, &[9; 46]);
        assert_eq!(testbed.deliver("up", &double), [("flat", with_inner), ("vm10", bare)]);
        let reply = Frame::new(mac(2), mac(1)).payload(0x0800, &[8; 46]);
        let expected = Frame::new(mac(2), mac(1)).tag_as(Tpid::Service, 100, 0).tag(10, 0).payload(0x0800, &[8; 46]);
        assert_eq!(testbed.deliver("vm10", &reply), [("up", expected)]);
        let unknown = Frame::new(mac(2), mac(9)).payload(0x0800, &[8; 46]);
        let inner = Frame::new(mac(2), mac(9)).tag(10, 0).payload(0x0800, &[8; 46]);
        assert_eq!(testbed.deliver("vm10", &unknown)[0], ("flat", inner), "flooded into the outer VLAN too");
    }

    fn a_full_payload_with_a_tag_passes_and_more_does_not() {
        let testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        let full = Frame::new(mac(1), BROADCAST).tag(8, 0).payload(0x0800, &[3; 1500]);
        assert_eq!(testbed.deliver("leaf1", &full)[0], ("vm8", without_tag(&full)));
        let back = Frame::new(mac(2), BROADCAST).payload(0x0800, &[3; 1500]);
        assert_eq!(testbed.deliver("vm8", &back)[0], ("leaf1", with_tag(&back, 8, 0)));
    }

    fn a_short_frame_gets_zeros_and_no_foreign_bytes() {
        let testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        // What was in the buffers before must not come out behind a shorter frame.
        for round in 0..3 {
            testbed.deliver("leaf1", &Frame::new(mac(10 + round), BROADCAST).tag(8, 0).payload(0x0800, &[0xee; 1400]));
            for length in [2_usize, 10, 41, 42] {
                let frame = Frame::new(mac(20 + round), BROADCAST).tag(8, 0).payload(0x0800, &vec![1; length]);
                for (port, got) in testbed.deliver("leaf1", &frame) {
                    let bare = without_tag(&frame);
                    assert_eq!(got[..bare.len()], bare, "{port}");
                    assert!(got[bare.len()..].iter().all(|byte| *byte == 0), "{port}: {got:02x?}");
                }
            }
        }
    }
}

tests::kernel_tests! {
    group ports;

    fn a_link_goes_down_up_away_and_comes_back() {
        let mut testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        let frame = Frame::new(mac(1), BROADCAST).tag(8, 0).payload(0x0800, &[9; 46]);
        assert_eq!(ports(&testbed.deliver("leaf1", &frame)), ["vm8", "vm8b"]);
        testbed.gateway.netns().links().set_down("vm8b");
        testbed.gateway.wait_for("vm8b to be down", |gateway| gateway.port("vm8b").why == "admin down");
        assert_eq!(ports(&testbed.deliver("leaf1", &frame)), ["vm8"]);
        testbed.gateway.netns().links().set_up("vm8b");
        testbed.gateway.wait_until_up();
        assert_eq!(ports(&testbed.deliver("leaf1", &frame)), ["vm8", "vm8b"]);
        testbed.outside().links().set_down("vm8b");
        testbed.gateway.wait_for("vm8b to have no carrier", |gateway| gateway.port("vm8b").why == "no carrier");
        testbed.outside().links().set_up("vm8b");
        testbed.gateway.wait_until_up();
        let before = testbed.gateway.port("vm8b").vport;
        testbed.gateway.netns().links().delete("vm8b");
        testbed.gateway.wait_for("vm8b to be gone", |gateway| gateway.port("vm8b").why == "no such link");
        testbed.reconnect("vm8b");
        testbed.gateway.wait_until_up();
        assert_ne!(testbed.gateway.port("vm8b").vport, before, "a number that a flow may still name is not used again");
        assert_eq!(ports(&testbed.deliver("leaf1", &frame)), ["vm8", "vm8b"]);
    }

    fn a_link_that_does_not_exist_yet_is_bound_when_it_appears() {
        let mut testbed = Testbed::prepare("gw", &standard::file(), &standard::SIDES[..3]);
        testbed.gateway.start();
        testbed.gateway.wait_for("three ports", |gateway| gateway.status().ports_up == 3);
        assert_eq!(testbed.gateway.port("vm8b").why, "no such link");
        testbed.reconnect("vm8b");
        testbed.gateway.wait_until_up();
        let frame = Frame::new(mac(1), BROADCAST).tag(8, 0).payload(0x0800, &[9; 46]);
        assert_eq!(ports(&testbed.deliver("leaf1", &frame)), ["vm8", "vm8b"]);
    }

    fn a_bpdu_blocks_a_vm_port_and_reaches_nobody() {
        let sides = [("leaf1", tagged(8, "vm8b")), ("vm5", plain("leaf1")), ("vm8", plain("leaf1")), ("vm8b", plain("leaf1"))];
        let testbed = Testbed::start("gw", &standard::file(), &sides);
        let bpdu = Frame::new(mac(1), [1, 0x80, 0xc2, 0, 0, 0]).llc(&[0x42, 0x42, 3, 0, 0, 0, 0, 0]);
        testbed.tap("vm8").send(&bpdu);
        testbed.gateway.wait_for("vm8 to be blocked", |gateway| gateway.port("vm8").state == "blocked");
        let frame = Frame::new(mac(2), BROADCAST).payload(0x0800, &[9; 46]);
        testbed.tap("vm8").send(&frame);
        let outcome = testbed.deliver("leaf1", &Frame::new(mac(3), BROADCAST).tag(8, 0).payload(0x0800, &[9; 46]));
        assert_eq!(ports(&outcome), ["vm8b"], "neither the BPDU nor the frame behind it came out, and nothing goes to the port");
        testbed.gateway.l2gw(&["unblock", "vm8"]).expect("l2gw unblock vm8");
        testbed.gateway.wait_until_up();
        assert_eq!(ports(&testbed.deliver("vm8", &frame)), ["leaf1", "vm8b"]);
    }

    fn idle_addresses_age() {
        let file = standard::file().replace("[bridges.vub8]\nkind = \"vlan-unaware\"", "[bridges.vub8]\nkind = \"vlan-unaware\"\nageing = \"10s\"");
        let testbed = Testbed::start("gw", &file, &standard::SIDES);
        testbed.deliver("vm8", &Frame::new(mac(1), BROADCAST).payload(0x0800, &[9; 46]));
        let to_it = Frame::new(mac(2), mac(1)).tag(8, 0).payload(0x0800, &[9; 46]);
        assert_eq!(ports(&testbed.deliver("leaf1", &to_it)), ["vm8"]);
        testbed.gateway.wait_for("the address to be forgotten", |gateway| !gateway.macs().iter().any(|one| one.mac.0 == mac(1)));
        // It is not found from that moment on; flows that rest on it go within a second.
        testbed.gateway.wait_for("its flow to be replaced", |gateway| {
            let flows = gateway.flows();
            flows.iter().filter(|flow| flow.dst.is_some_and(|dst| dst.0 == mac(1))).all(|flow| flow.actions.contains("vm8b"))
        });
        assert_eq!(ports(&testbed.deliver("leaf1", &to_it)), ["vm8", "vm8b"]);
    }

    fn a_storm_is_capped_and_another_vlan_still_speaks() {
        let file = standard::file().replace("vlans = [\"5\", \"7\", \"8\"]", "vlans = [\"5\", \"7\", \"8\"]\nstorm = { broadcast = 100, multicast = 100, unknown = 100 }")
            + "\n[[ports]]\nname = \"vm7\"\nbridge = \"dc1\"\nmode = \"access\"\nvid = 7\nhost = \"gw1\"\nlink = \"vm7\"\n";
        let sides: Vec<_> = standard::SIDES.iter().copied().chain([("vm7", plain("leaf1"))]).collect();
        let testbed = Testbed::start("gw", &file, &sides);
        let storm = Frame::new(mac(1), BROADCAST).tag(7, 0).payload(0x0800, &[9; 46]);
        testbed.deliver("leaf1", &storm);
        let frames: Vec<&[u8]> = std::iter::repeat_n(&storm[..], 3_000).collect();
        let started = std::time::Instant::now();
        let outcome = testbed.deliver_all("leaf1", &frames);
        let seconds = started.elapsed().as_secs_f64();
        let passed = outcome.iter().filter(|(port, _)| *port == "vm7").count();
        let allowed = (seconds + 1.0) * 100.0 + 50.0;
        assert!((passed as f64) < allowed, "{passed} of 3000 in {seconds:.1} s, at most {allowed:.0} expected");
        let arp = Frame::new(mac(2), BROADCAST).tag(8, 0).arp_request(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        let mut mixed: Vec<&[u8]> = std::iter::repeat_n(&storm[..], 1_000).collect();
        mixed.push(&arp);
        mixed.extend(std::iter::repeat_n(&storm[..], 1_000));
        let outcome = testbed.deliver_all("leaf1", &mixed);
        let arps = outcome.iter().filter(|(port, frame)| *port == "vm8" && *frame == padded(without_tag(&arp))).count();
        assert_eq!(arps, 1, "the ARP of VLAN 8 in the middle of VLAN 7's storm");
    }

    fn every_frame_is_accounted_for() {
        let testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        let sent_before = testbed.gateway.port("leaf1").rx_packets;
        let mut frames: Vec<Vec<u8>> = Vec::new();
        for round in 0..20_u8 {
            frames.push(Frame::new(mac(1), BROADCAST).tag(8, 0).payload(0x0800, &[round; 46]));
            frames.push(Frame::new(mac(2), BROADCAST).tag(9, 0).payload(0x0800, &[round; 46]));
            frames.push(Frame::new(mac(100 + round), mac(200)).tag(5, 0).payload(0x0800, &[round; 46]));
            frames.push(Frame::new(BROADCAST, mac(3)).tag(5, 0).payload(0x0800, &[round; 46]));
            // It moves between VLANs' ports and floods: flows come, change and go under it.
            frames.push(Frame::new(mac(5), mac(100 + round)).tag(5, 0).payload(0x0800, &[round; 46]));
            frames.push(Frame::new(mac(4), [1, 0x80, 0xc2, 0, 0, 2]).payload(0x8809, &[1; 46]));
        }
        testbed.deliver_all("leaf1", &frames);
        // Flows that were just hit are withdrawn before anyone has read their counters.
        testbed.gateway.l2gw(&["flush", "macs"]).expect("l2gw flush macs");
        testbed.deliver_all("leaf1", &frames);
        testbed.gateway.netns().links().set_down("vm5");
        testbed.gateway.wait_for("all frames to be accounted for", |gateway| {
            let of = |name: &str| gateway.counter(name, &[("port", "leaf1")]);
            let known = of("l2gw_flow_frames_total") + of("l2gw_executes_total") + of("l2gw_drops_total");
            let lost = gateway.counter("l2gw_datapath_frames_total", &[("lookup", "lost")]);
            let received = gateway.port("leaf1").rx_packets;
            received - sent_before > 2 * frames.len() as u64 && known + lost == received
        });
    }
}

tests::kernel_tests! {
    group trunks;

    fn two_trunks_into_one_fabric_make_no_loop() {
        let mut gateway = Gateway::new("gw", &standard::file_with_second_trunk());
        let switch = Switch::new("switch");
        switch.trunk("up1", (gateway.netns(), "leaf1"), &[5, 8], None);
        switch.trunk("up2", (gateway.netns(), "leaf2"), &[5, 8], None);
        let phys = Station::physical("phys");
        switch.trunk("port", phys.card(), &[5, 8], None);
        let phys = phys.with_vlan_address(8, v4(18), 24).with_vlan_address(5, v4_other(15), 24);
        let vm8 = Station::vm("vm8", gateway.netns(), "vm8").with_address(v4(28), 24);
        let vm5 = Station::vm("vm5", gateway.netns(), "vm5").with_address(v4_other(25), 24);
        let _spare = Station::vm("vm8b", gateway.netns(), "vm8b");
        gateway.start_up();
        assert_eq!(ping(vm8.netns(), v4(18), 3), 3);
        assert_eq!(ping(vm5.netns(), v4_other(15), 3), 3);
        let watch = phys.tap();
        watch.drain();
        for round in 0..50_u8 {
            vm8.tap().send(&Frame::new(vm8.mac(), BROADCAST).payload(0x0800, &[round; 46]));
        }
        assert_eq!(ping(vm8.netns(), v4(18), 1), 1);
        let copies = watch.drain().iter().filter(|frame| frame[6..12] == vm8.mac() && frame[..6] == BROADCAST && frame[12..14] == [0x81, 0]).count();
        assert_eq!(copies, 50, "each broadcast once");
        let received = |gateway: &Gateway| gateway.port("leaf1").rx_packets + gateway.port("leaf2").rx_packets;
        // Whatever circulates would go on doing so: statistics are read every half second.
        std::thread::sleep(Duration::from_millis(1_200));
        let before = received(&gateway);
        std::thread::sleep(Duration::from_millis(1_500));
        assert!(received(&gateway) - before < 20, "{} frames came in with nobody sending", received(&gateway) - before);
        let carried: Vec<_> = gateway.trunks().into_iter().map(|trunk| (trunk.trunk, trunk.carries)).collect();
        switch.links().set_down("up1");
        gateway.wait_for("leaf1 to be down", |gateway| gateway.port("leaf1").state == "down");
        assert_eq!(ping(vm8.netns(), v4(18), 2), 2, "after leaf1 lost its carrier; before: {carried:?}");
        assert_eq!(ping(vm5.netns(), v4_other(15), 2), 2);
        let after: Vec<_> = gateway.trunks().into_iter().map(|trunk| trunk.carries).collect();
        assert_eq!(after, ["", "5,7-8"]);
    }
}

/// Broadcast, multicast, unicast, IPv4 and IPv6, each with an address of its own.
fn kinds(vid: u16) -> Vec<(&'static str, Vec<u8>)> {
    let tagged = |(kind, frame): (&'static str, Vec<u8>)| (kind, with_tag(&frame, vid, 0));
    kinds_untagged(vid as u8).into_iter().map(tagged).collect()
}

fn kinds_untagged(salt: u8) -> Vec<(&'static str, Vec<u8>)> {
    let from = |n: u8| [0x52, 0x54, 0, 1, salt, n];
    let (a, b) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
    let (a6, b6) = (Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1), Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2));
    vec![
        ("broadcast", Frame::new(from(1), BROADCAST).arp_request(a, b)),
        ("multicast", Frame::new(from(2), [1, 0, 0x5e, 0, 0, 5]).payload(0x0800, &[4; 46])),
        ("unicast", Frame::new(from(3), [0x52, 0x54, 0, 9, 9, 9]).payload(0x88b6, &[4; 46])),
        (
            "IPv4",
            Frame::new(from(4), [0x52, 0x54, 0, 9, 9, 8]).udp4((a, 1000), (b, 2000), b"twenty bytes of text"),
        ),
        (
            "IPv6",
            Frame::new(from(5), [0x33, 0x33, 0, 0, 0, 1]).udp6(
                (a6, 1000),
                (b6, 2000),
                b"twenty bytes of text",
            ),
        ),
    ]
}

fn with_tag(frame: &[u8], vid: u16, pcp: u8) -> Vec<u8> {
    let tci = u16::from(pcp) << 13 | vid;
    [&frame[..12], &[0x81, 0], &tci.to_be_bytes(), &frame[12..]].concat()
}

fn without_tag(frame: &[u8]) -> Vec<u8> {
    [&frame[..12], &frame[16..]].concat()
}

/// A frame that the daemon has sent on itself: 60 bytes at least, zeros behind (802.3 3.2.8).
fn padded(mut frame: Vec<u8>) -> Vec<u8> {
    frame.resize(frame.len().max(60), 0);
    frame
}

fn mac(last: u8) -> Mac {
    [0x52, 0x54, 0, 0, 0, last]
}

fn v4(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
}

fn v4_other(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 5, last))
}

/// A second fabric in which VLAN 8 is VLAN 108.
fn with_second_bridge() -> String {
    standard::file()
        + "[bridges.dc2]\nkind = \"vlan-aware\"\nfabric = \"other\"\n[[vlans]]\nbridge = \"dc2\"\nvid = 108\nto = \"vub8\"\n"
}

const QINQ: &str = r#"
[hosts.gw1]
[bridges.provider]
kind = "vlan-aware"
tpid = "0x88a8"
[[trunks]]
name = "up"
bridge = "provider"
host = "gw1"
link = "up"
vlans = ["100"]
[[ports]]
name = "cust"
bridge = "provider"
mode = "qinq"
vid = 100
host = "gw1"
link = "cust"
"#;

const CHAIN: &str = r#"
[hosts.gw1]
[bridges.provider]
kind = "vlan-aware"
tpid = "0x88a8"
fabric = "provider"
[bridges.tenant]
kind = "vlan-aware"
fabric = "tenant"
[bridges.vub10]
kind = "vlan-unaware"
[[vlans]]
bridge = "provider"
vid = 100
to = "tenant"
[[vlans]]
bridge = "tenant"
vid = 10
to = "vub10"
[[trunks]]
name = "up"
bridge = "provider"
host = "gw1"
link = "up"
vlans = ["100"]
[[ports]]
name = "vm10"
bridge = "vub10"
host = "gw1"
link = "vm10"
[[ports]]
name = "flat"
bridge = "provider"
mode = "qinq"
vid = 100
host = "gw1"
link = "flat"
"#;
