//! The gateway on a real kernel is killed, started again, changed, and robbed of its datapath: what its frames notice of it.

use std::time::{Duration, Instant};

use agent::view::StatusView;
use nix::sys::signal::Signal;
use tests::lab::frames::{BROADCAST, Frame, Mac};
use tests::lab::gateway::program;
use tests::lab::genl::{self, Call, Family, OtherHand};
use tests::lab::standard;
use tests::lab::testbed::{Testbed, ports};

tests::kernel_tests! {
    group restart;

    fn killed_under_traffic_established_flows_lose_nothing_and_are_adopted() {
        let mut testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        let (there, back) = standard::establish(&testbed, PHYS, VM);
        testbed.gateway.wait_for("the flows to be in force", |gateway| gateway.flows().len() >= 2);
        testbed.gateway.kill();
        for (port, frame, out) in [("leaf1", &there, "vm8"), ("vm8", &back, "leaf1")] {
            testbed.tap(out).drain();
            for _ in 0..200 {
                testbed.tap(port).send(frame);
            }
            assert_eq!(testbed.count(out, 200), 200, "{port} to {out} while the daemon was dead");
        }
        let started = Instant::now();
        testbed.gateway.start();
        let answered = started.elapsed();
        testbed.gateway.wait_for("what is shown to be right", |gateway| {
            let at = |mac: Mac| gateway.macs().iter().any(|one| one.mac.0 == mac);
            gateway.status().settled && at(PHYS) && at(VM) && gateway.flows().len() >= 2
        });
        let right = started.elapsed() - answered;
        assert!(right < Duration::from_secs(1), "right {right:?} after the first answer, which came after {answered:?}");
        assert!(testbed.gateway.log().contains("adopted:"), "{}", testbed.gateway.log());
        testbed.tap("vm8").drain();
        testbed.tap("leaf1").send(&there);
        assert_eq!(testbed.count("vm8", 1), 1);
        assert_eq!(testbed.gateway.counter("l2gw_upcalls_total", &[]), 0, "no frame of an established flow came up");
    }

    fn with_the_file_changed_meanwhile_no_frame_goes_where_the_new_one_does_not_send_it() {
        let mut testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        let (there, _) = standard::establish(&testbed, PHYS, VM);
        let flood = Frame::new(PHYS, BROADCAST).tag(8, 0).payload(0x0800, &[5; 46]);
        testbed.deliver("leaf1", &flood);
        testbed.gateway.kill();
        // vm8 is in VLAN 5 now, and vm8b is gone from the file.
        let file = standard::file_with_port_on("vm8", "vub5");
        testbed.gateway.write_file(&file[..file.find("[[ports]]\nname = \"vm8b\"").expect("the last port")]);
        testbed.gateway.start_up();
        assert!(testbed.gateway.log().contains("revision=2"), "{}", testbed.gateway.log());
        for tap in ["vm5", "vm8", "vm8b"] {
            testbed.tap(tap).drain();
        }
        testbed.tap("leaf1").send(&there);
        testbed.tap("leaf1").send(&flood);
        let outcome = testbed.deliver("vm5", &Frame::new(OTHER, BROADCAST).payload(0x0800, &[5; 46]));
        assert_eq!(ports(&outcome), ["leaf1", "vm8"], "the broadcast of VLAN 5 reaches vm8, VLAN 8's reached nobody: {outcome:02x?}");
    }

    fn with_a_link_gone_and_another_made_anew_meanwhile() {
        let mut testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        standard::establish(&testbed, PHYS, VM);
        let flood = Frame::new(PHYS, BROADCAST).tag(8, 0).payload(0x0800, &[5; 46]);
        testbed.deliver("leaf1", &flood);
        testbed.gateway.kill();
        testbed.gateway.netns().links().delete("vm5");
        testbed.gateway.netns().links().delete("vm8b");
        testbed.reconnect("vm8b");
        testbed.gateway.start();
        testbed.gateway.wait_for("three ports", |gateway| gateway.status().settled && gateway.status().ports_up == 3);
        assert_eq!(testbed.gateway.port("vm5").why, "no such link");
        let outcome = testbed.deliver("leaf1", &flood);
        assert_eq!(ports(&outcome), ["vm8", "vm8b"]);
    }

    fn idle_addresses_survive_without_any_flow() {
        let mut testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        testbed.deliver("vm8", &Frame::new(VM, BROADCAST).payload(0x0800, &[5; 46]));
        let status = testbed.gateway.stop();
        assert_eq!(status.code(), Some(0));
        // The flows are thrown away by another hand: what is known then comes from the saved addresses.
        clear_flows(&testbed);
        testbed.gateway.start_up();
        let to_it = Frame::new(PHYS, VM).tag(8, 0).payload(0x0800, &[5; 46]);
        let outcome = testbed.deliver("leaf1", &to_it);
        assert_eq!(ports(&outcome), ["vm8"], "known, not flooded");
    }

    fn sigterm_leaves_the_flows_in_force_and_teardown_removes_them() {
        let mut testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        let (there, _) = standard::establish(&testbed, PHYS, VM);
        assert_eq!(testbed.gateway.stop().code(), Some(0));
        testbed.tap("vm8").drain();
        testbed.tap("leaf1").send(&there);
        assert_eq!(testbed.count("vm8", 1), 1, "the kernel goes on");
        testbed.gateway.start_with(&["--teardown"]);
        testbed.gateway.wait_until_up();
        assert_eq!(testbed.gateway.stop().code(), Some(0));
        testbed.tap("leaf1").send(&there);
        assert_eq!(testbed.tap("vm8").recv(Duration::from_millis(500)), None);
        assert!(!testbed.gateway.netns().links().has("l2gw"), "the datapath's own link is gone with it");
    }

    fn a_second_daemon_on_the_same_state_is_refused() {
        let testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        let (file, state) = (testbed.gateway.file(), testbed.gateway.state());
        let (file, state) = (file.to_string_lossy().into_owned(), state.to_string_lossy().into_owned());
        let refused = testbed.gateway.l2gw(&["run", &file, "--host", "gw1", "--state", &state]);
        let (code, said) = refused.expect_err("a second daemon");
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(&state) || said.contains("socket"), "{said}");
    }

    fn a_daemon_whose_datapath_another_program_hears_is_refused() {
        let mut testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        testbed.gateway.kill();
        let other = testbed.gateway.netns().run(OtherHand::reach_out);
        other.take_upcalls_of("l2gw", "leaf1");
        let mut again = std::process::Command::new(program());
        again.arg("run").arg(testbed.gateway.file()).args(["--host", "gw1", "--state"]).arg(testbed.gateway.state());
        again.arg("--socket").arg(testbed.gateway.state().with_file_name("again")).stdin(std::process::Stdio::null());
        let ended = testbed.gateway.netns().run(move || again.output()).expect("the l2gw program");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(said.contains("open datapath l2gw") && said.contains("netlink port id"), "{said}");
        drop(other);
        testbed.gateway.start_up();
    }
}

tests::kernel_tests! {
    group robbed;

    fn a_datapath_that_somebody_removed_is_made_anew() {
        let testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        let (there, _) = standard::establish(&testbed, PHYS, VM);
        behind_its_back(&testbed, |hand| hand.delete_datapath("l2gw"));
        testbed.gateway.wait_for("the event", |gateway| gateway.counter("l2gw_events_total", &[("event", "datapath-anew")]) == 1);
        testbed.gateway.wait_until_up();
        let outcome = testbed.deliver("leaf1", &there);
        assert_eq!(ports(&outcome), ["vm8"], "addresses are still known");
    }

    fn a_vport_that_somebody_removed_is_attached_again() {
        let testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        let before = testbed.gateway.port("vm8b").vport.expect("a vport");
        behind_its_back(&testbed, |hand| hand.delete_vport("l2gw", "vm8b"));
        testbed.gateway.wait_for("another vport", |gateway| gateway.port("vm8b").vport.is_some_and(|now| now != before));
        let flood = Frame::new(PHYS, BROADCAST).tag(8, 0).payload(0x0800, &[5; 46]);
        testbed.gateway.wait_for("a flood to reach it", |_| testbed.deliver("leaf1", &flood).iter().any(|(port, _)| *port == "vm8b"));
    }

    fn flows_that_somebody_removed_come_back_with_the_next_frame() {
        let testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        let (there, _) = standard::establish(&testbed, PHYS, VM);
        let flows = testbed.gateway.flows().len();
        clear_flows(&testbed);
        testbed.gateway.wait_for("the flows to be struck out", |gateway| gateway.flows().len() < flows);
        let outcome = testbed.deliver("leaf1", &there);
        assert_eq!(ports(&outcome), ["vm8"]);
    }

    fn another_file_is_applied_without_touching_other_vlans() {
        let testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        let (there, _) = standard::establish(&testbed, PHYS, VM);
        let changed = testbed.gateway.file().with_file_name("changed.toml");
        std::fs::write(&changed, standard::file_with_port_on("vm5", "vub8")).expect("a file");
        let changed = changed.to_string_lossy().into_owned();
        let plan = testbed.gateway.l2gw(&["plan", &changed]).expect("l2gw plan");
        assert!(plan.contains("ports.vm5.bridge: vub5 -> vub8"), "{plan}");
        let upcalls = testbed.gateway.counter("l2gw_upcalls_total", &[]);
        let applied = testbed.gateway.l2gw(&["apply", &changed]).expect("l2gw apply");
        assert!(applied.contains("revision 2 is in force"), "{applied}");
        testbed.tap("vm8").drain();
        for _ in 0..50 {
            testbed.tap("leaf1").send(&there);
        }
        assert_eq!(testbed.count("vm8", 50), 50);
        assert_eq!(testbed.gateway.counter("l2gw_upcalls_total", &[]), upcalls, "the flow of VLAN 8 was left alone");
        let flood = Frame::new(PHYS, BROADCAST).tag(8, 0).payload(0x0800, &[6; 46]);
        let outcome = testbed.deliver("leaf1", &flood);
        assert_eq!(ports(&outcome), ["vm5", "vm8", "vm8b"]);
    }

    fn a_daemon_that_stood_still_for_long_goes_on_where_it_was() {
        let testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        let (there, _) = standard::establish(&testbed, PHYS, VM);
        testbed.gateway.signal(Signal::SIGSTOP);
        testbed.tap("vm8").drain();
        let until = Instant::now() + Duration::from_secs(30);
        let mut sent = 0;
        while Instant::now() < until {
            testbed.tap("leaf1").send(&there);
            sent += 1;
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(testbed.count("vm8", sent),
            sent, "frames of an established flow while the daemon stood still");
        testbed.gateway.signal(Signal::SIGCONT);
        testbed.gateway.wait_for("an answer", |gateway| gateway.try_show::<StatusView>("/v1/status").is_some());
        let outcome = testbed.deliver("leaf1", &Frame::new(OTHER, VM).tag(8, 0).payload(0x0800, &[5; 46]));
        assert_eq!(ports(&outcome), ["vm8"], "the address was kept alive by the kernel's hits");
    }
}

/// Does something to the gateway's datapath behind its back.
fn behind_its_back(testbed: &Testbed, act: impl FnOnce(&OtherHand) + Send) {
    testbed.gateway.netns().run(|| act(&OtherHand::reach_out()));
}

/// A withdrawal that names no flow withdraws all (net/openvswitch/datapath.c, ovs_flow_cmd_del).
fn clear_flows(testbed: &Testbed) {
    behind_its_back(testbed, |hand| {
        let datapath = hand.index_of("l2gw");
        let all = Call { family: Family::Flow, command: genl::DEL, flags: 0, datapath, attributes: &[] };
        hand.ask(&all).expect("all flows to go");
    });
}

const PHYS: Mac = [0x52, 0x54, 0, 0, 0, 1];
const VM: Mac = [0x52, 0x54, 0, 0, 0, 2];
const OTHER: Mac = [0x52, 0x54, 0, 0, 0, 3];
