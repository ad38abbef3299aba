//! The gateway on a real kernel is killed, started again, changed, and robbed of its datapath: what its frames notice of it.

use std::time::{Duration, Instant};

use agent::view::StatusView;
use nix::sys::signal::Signal;
use tests::lab::bench::{Bench, ports};
use tests::lab::frames::{BROADCAST, Frame, Mac};
use tests::lab::gateway::program;
use tests::lab::genl::{self, Call, Family, OtherHand};
use tests::lab::standard;

tests::kernel_tests! {
    group restart;

    fn killed_under_traffic_established_flows_lose_nothing_and_are_adopted() {
        let mut bench = Bench::start("gw", &standard::file(), &standard::SIDES);
        let (there, back) = standard::establish(&bench, PHYS, VM);
        bench.gateway.wait_for("the flows to be in force", |gateway| gateway.flows().len() >= 2);
        bench.gateway.kill();
        for (port, frame, out) in [("leaf1", &there, "vm8"), ("vm8", &back, "leaf1")] {
            bench.tap(out).drain();
            for _ in 0..200 {
                bench.tap(port).send(frame);
            }
            assert_eq!(bench.count(out, 200), 200, "{port} to {out} while the daemon was dead");
        }
        let started = Instant::now();
        bench.gateway.start();
        let answered = started.elapsed();
        bench.gateway.wait_for("what is shown to be right", |gateway| {
            let at = |mac: Mac| gateway.macs().iter().any(|one| one.mac.0 == mac);
            gateway.status().settled && at(PHYS) && at(VM) && gateway.flows().len() >= 2
        });
        let right = started.elapsed() - answered;
        assert!(right < Duration::from_secs(1), "right {right:?} after the first answer, which came after {answered:?}");
        assert!(bench.gateway.log().contains("adopted:"), "{}", bench.gateway.log());
        bench.tap("vm8").drain();
        bench.tap("leaf1").send(&there);
        assert_eq!(bench.count("vm8", 1), 1);
        assert_eq!(bench.gateway.counter("l2gw_upcalls_total", &[]), 0, "no frame of an established flow came up");
    }

    fn with_the_file_changed_meanwhile_no_frame_goes_where_the_new_one_does_not_send_it() {
        let mut bench = Bench::start("gw", &standard::file(), &standard::SIDES);
        let (there, _) = standard::establish(&bench, PHYS, VM);
        let flood = Frame::new(PHYS, BROADCAST).tag(8, 0).payload(0x0800, &[5; 46]);
        bench.deliver("leaf1", &flood);
        bench.gateway.kill();
        // vm8 is in VLAN 5 now, and vm8b is gone from the file.
        let file = standard::file_with_port_on("vm8", "vub5");
        bench.gateway.write_file(&file[..file.find("[[ports]]\nname = \"vm8b\"").expect("the last port")]);
        bench.gateway.start_up();
        assert!(bench.gateway.log().contains("revision=2"), "{}", bench.gateway.log());
        for tap in ["vm5", "vm8", "vm8b"] {
            bench.tap(tap).drain();
        }
        bench.tap("leaf1").send(&there);
        bench.tap("leaf1").send(&flood);
        let outcome = bench.deliver("vm5", &Frame::new(OTHER, BROADCAST).payload(0x0800, &[5; 46]));
        assert_eq!(ports(&outcome), ["leaf1", "vm8"], "the broadcast of VLAN 5 reaches vm8, VLAN 8's reached nobody: {outcome:02x?}");
    }

    fn with_a_link_gone_and_another_made_anew_meanwhile() {
        let mut bench = Bench::start("gw", &standard::file(), &standard::SIDES);
        standard::establish(&bench, PHYS, VM);
        let flood = Frame::new(PHYS, BROADCAST).tag(8, 0).payload(0x0800, &[5; 46]);
        bench.deliver("leaf1", &flood);
        bench.gateway.kill();
        bench.gateway.netns().links().delete("vm5");
        bench.gateway.netns().links().delete("vm8b");
        bench.reconnect("vm8b");
        bench.gateway.start();
        bench.gateway.wait_for("three ports", |gateway| gateway.status().settled && gateway.status().ports_up == 3);
        assert_eq!(bench.gateway.port("vm5").why, "no such link");
        let outcome = bench.deliver("leaf1", &flood);
        assert_eq!(ports(&outcome), ["vm8", "vm8b"]);
    }

    fn idle_addresses_survive_without_any_flow() {
        let mut bench = Bench::start("gw", &standard::file(), &standard::SIDES);
        bench.deliver("vm8", &Frame::new(VM, BROADCAST).payload(0x0800, &[5; 46]));
        let status = bench.gateway.stop();
        assert_eq!(status.code(), Some(0));
        // The flows are thrown away by another hand: what is known then comes from the saved addresses.
        clear_flows(&bench);
        bench.gateway.start_up();
        let to_it = Frame::new(PHYS, VM).tag(8, 0).payload(0x0800, &[5; 46]);
        let outcome = bench.deliver("leaf1", &to_it);
        assert_eq!(ports(&outcome), ["vm8"], "known, not flooded");
    }

    fn sigterm_leaves_the_flows_in_force_and_teardown_removes_them() {
        let mut bench = Bench::start("gw", &standard::file(), &standard::SIDES);
        let (there, _) = standard::establish(&bench, PHYS, VM);
        assert_eq!(bench.gateway.stop().code(), Some(0));
        bench.tap("vm8").drain();
        bench.tap("leaf1").send(&there);
        assert_eq!(bench.count("vm8", 1), 1, "the kernel goes on");
        bench.gateway.start_with(&["--teardown"]);
        bench.gateway.wait_until_up();
        assert_eq!(bench.gateway.stop().code(), Some(0));
        bench.tap("leaf1").send(&there);
        assert_eq!(bench.tap("vm8").recv(Duration::from_millis(500)), None);
        assert!(!bench.gateway.netns().links().has("l2gw"), "the datapath's own link is gone with it");
    }

    fn a_second_daemon_on_the_same_state_is_refused() {
        let bench = Bench::start("gw", &standard::file(), &standard::SIDES);
        let (file, state) = (bench.gateway.file(), bench.gateway.state());
        let (file, state) = (file.to_string_lossy().into_owned(), state.to_string_lossy().into_owned());
        let refused = bench.gateway.l2gw(&["run", &file, "--host", "gw1", "--state", &state]);
        let (code, said) = refused.expect_err("a second daemon");
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(&state) || said.contains("socket"), "{said}");
    }

    fn a_daemon_whose_datapath_another_program_hears_is_refused() {
        let mut bench = Bench::start("gw", &standard::file(), &standard::SIDES);
        bench.gateway.kill();
        let other = bench.gateway.netns().run(OtherHand::reach_out);
        other.take_upcalls_of("l2gw", "leaf1");
        let mut again = std::process::Command::new(program());
        again.arg("run").arg(bench.gateway.file()).args(["--host", "gw1", "--state"]).arg(bench.gateway.state());
        again.arg("--socket").arg(bench.gateway.state().with_file_name("again")).stdin(std::process::Stdio::null());
        let ended = bench.gateway.netns().run(move || again.output()).expect("the l2gw program");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(said.contains("open datapath l2gw") && said.contains("netlink port id"), "{said}");
        drop(other);
        bench.gateway.start_up();
    }
}

tests::kernel_tests! {
    group robbed;

    fn a_datapath_that_somebody_removed_is_made_anew() {
        let bench = Bench::start("gw", &standard::file(), &standard::SIDES);
        let (there, _) = standard::establish(&bench, PHYS, VM);
        behind_its_back(&bench, |hand| hand.delete_datapath("l2gw"));
        bench.gateway.wait_for("the event", |gateway| gateway.counter("l2gw_events_total", &[("event", "datapath-anew")]) == 1);
        bench.gateway.wait_until_up();
        let outcome = bench.deliver("leaf1", &there);
        assert_eq!(ports(&outcome), ["vm8"], "addresses are still known");
    }

    fn a_vport_that_somebody_removed_is_attached_again() {
        let bench = Bench::start("gw", &standard::file(), &standard::SIDES);
        let before = bench.gateway.port("vm8b").vport.expect("a vport");
        behind_its_back(&bench, |hand| hand.delete_vport("l2gw", "vm8b"));
        bench.gateway.wait_for("another vport", |gateway| gateway.port("vm8b").vport.is_some_and(|now| now != before));
        let flood = Frame::new(PHYS, BROADCAST).tag(8, 0).payload(0x0800, &[5; 46]);
        bench.gateway.wait_for("a flood to reach it", |_| bench.deliver("leaf1", &flood).iter().any(|(port, _)| *port == "vm8b"));
    }

    fn flows_that_somebody_removed_come_back_with_the_next_frame() {
        let bench = Bench::start("gw", &standard::file(), &standard::SIDES);
        let (there, _) = standard::establish(&bench, PHYS, VM);
        let flows = bench.gateway.flows().len();
        clear_flows(&bench);
        bench.gateway.wait_for("the flows to be struck out", |gateway| gateway.flows().len() < flows);
        let outcome = bench.deliver("leaf1", &there);
        assert_eq!(ports(&outcome), ["vm8"]);
    }

    fn another_file_is_applied_without_touching_other_vlans() {
        let bench = Bench::start("gw", &standard::file(), &standard::SIDES);
        let (there, _) = standard::establish(&bench, PHYS, VM);
        let changed = bench.gateway.file().with_file_name("changed.toml");
        std::fs::write(&changed, standard::file_with_port_on("vm5", "vub8")).expect("a file");
        let changed = changed.to_string_lossy().into_owned();
        let plan = bench.gateway.l2gw(&["plan", &changed]).expect("l2gw plan");
        assert!(plan.contains("ports.vm5.bridge: vub5 -> vub8"), "{plan}");
        let upcalls = bench.gateway.counter("l2gw_upcalls_total", &[]);
        let applied = bench.gateway.l2gw(&["apply", &changed]).expect("l2gw apply");
        assert!(applied.contains("revision 2 is in force"), "{applied}");
        bench.tap("vm8").drain();
        for _ in 0..50 {
            bench.tap("leaf1").send(&there);
        }
        assert_eq!(bench.count("vm8", 50), 50);
        assert_eq!(bench.gateway.counter("l2gw_upcalls_total", &[]), upcalls, "the flow of VLAN 8 was left alone");
        let flood = Frame::new(PHYS, BROADCAST).tag(8, 0).payload(0x0800, &[6; 46]);
        let outcome = bench.deliver("leaf1", &flood);
        assert_eq!(ports(&outcome), ["vm5", "vm8", "vm8b"]);
    }

    fn a_daemon_that_stood_still_for_long_goes_on_where_it_was() {
        let bench = Bench::start("gw", &standard::file(), &standard::SIDES);
        let (there, _) = standard::establish(&bench, PHYS, VM);
        bench.gateway.signal(Signal::SIGSTOP);
        bench.tap("vm8").drain();
        let until = Instant::now() + Duration::from_secs(30);
        let mut sent = 0;
        while Instant::now() < until {
            bench.tap("leaf1").send(&there);
            sent += 1;
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(bench.count("vm8", sent),
            sent, "frames of an established flow while the daemon stood still");
        bench.gateway.signal(Signal::SIGCONT);
        bench.gateway.wait_for("an answer", |gateway| gateway.try_show::<StatusView>("/v1/status").is_some());
        let outcome = bench.deliver("leaf1", &Frame::new(OTHER, VM).tag(8, 0).payload(0x0800, &[5; 46]));
        assert_eq!(ports(&outcome), ["vm8"], "the address was kept alive by the kernel's hits");
    }
}

/// Does something to the gateway's datapath behind its back.
fn behind_its_back(bench: &Bench, act: impl FnOnce(&OtherHand) + Send) {
    bench.gateway.netns().run(|| act(&OtherHand::reach_out()));
}

/// A withdrawal that names no flow withdraws all (net/openvswitch/datapath.c, ovs_flow_cmd_del).
fn clear_flows(bench: &Bench) {
    behind_its_back(bench, |hand| {
        let datapath = hand.index_of("l2gw");
        let all = Call { family: Family::Flow, command: genl::DEL, flags: 0, datapath, attributes: &[] };
        hand.ask(&all).expect("all flows to go");
    });
}

const PHYS: Mac = [0x52, 0x54, 0, 0, 0, 1];
const VM: Mac = [0x52, 0x54, 0, 0, 0, 2];
const OTHER: Mac = [0x52, 0x54, 0, 0, 0, 3];
