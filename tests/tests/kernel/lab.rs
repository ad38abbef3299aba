//! The lab itself, in a test kernel: before a test about the gateway can mean anything, this must hold.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use tests::lab::frames::{BROADCAST, EXPERIMENTAL, Frame, Mac, Tpid, tags};
use tests::lab::host::Station;
use tests::lab::job::Status;
use tests::lab::kernel::{is_inside, patience};
use tests::lab::machine::{Machine, Program, find_kernel};
use tests::lab::netns::Netns;
use tests::lab::ping::{ping, ping_within};
use tests::lab::slot::{Slot, usable_cpus};
use tests::lab::switch::Switch;
use tests::lab::veth;

tests::kernel_tests! {
    group machine;

    fn the_kernel_has_what_the_tests_need() {
        for module in ["openvswitch", "8021q", "bridge", "veth", "vxlan", "vport_vxlan"] {
            let path = format!("/sys/module/{module}");
            assert!(std::path::Path::new(&path).exists(), "no {path}");
        }
    }

    fn inside_a_test_kernel_only_tmpfs_is_writable() {
        if is_inside() {
            std::fs::write("/tmp/probe", "x").unwrap();
            let refused = std::fs::write("/usr/lab-probe", "x").unwrap_err();
            assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem, "{refused}");
            let own = std::env::current_exe().unwrap();
            assert!(own.is_file(), "the build directory is not visible at {}", own.display());
        }
    }

    fn a_program_runs_in_the_namespace_of_its_thread() {
        let netns = Netns::new("a");
        netns.links().add_vlan_bridge("only-here");
        let output = netns.run(|| std::process::Command::new("ip").args(["-br", "link"]).output().unwrap());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("only-here"), "{text}");
        assert!(!Netns::new("b").links().has("only-here"));
    }
}

tests::kernel_tests! {
    group wires;

    fn two_namespaces_ping_over_a_cable() {
        let (a, b) = (Netns::new("a"), Netns::new("b"));
        veth::connect((&a, "eth0"), (&b, "eth0"));
        for (netns, last) in [(&a, 1), (&b, 2)] {
            netns.links().add_address("eth0", v4(last), 24);
            netns.links().add_address("eth0", v6(last), 64);
        }
        assert_eq!(ping(&a, v4(2), 3), 3);
        assert_eq!(ping(&b, v6(1), 3), 3);
        assert_eq!(ping_within(&a, v4(3), 1, SHORT), 0, "nobody has this address");
    }

    fn a_link_goes_down_up_and_away() {
        let (a, b) = (Netns::new("a"), Netns::new("b"));
        veth::connect((&a, "eth0"), (&b, "eth0"));
        assert!(a.links().has_carrier("eth0"));
        b.links().set_down("eth0");
        assert!(!a.links().has_carrier("eth0"));
        b.links().set_up("eth0");
        a.links().wait_until_ready("eth0");
        a.links().set_mtu("eth0", 9000);
        a.links().set_mac("eth0", FAR);
        assert_eq!(a.links().mac("eth0"), FAR);
        b.links().delete("eth0");
        assert!(!a.links().has("eth0"), "the near end outlived the far one");
    }

    fn a_namespace_takes_its_links_with_it() {
        let a = Netns::new("a");
        let b = Netns::new("b");
        veth::connect((&a, "eth0"), (&b, "eth0"));
        drop(b);
        // The kernel removes a namespace in the background.
        wait_for("the near end to go", || !a.links().has("eth0"));
    }

    fn a_tap_sees_every_byte_with_tags_and_priorities() {
        let (a, b) = (Netns::new("a"), Netns::new("b"));
        veth::connect((&a, "eth0"), (&b, "eth0"));
        let (near, far) = (a.tap("eth0"), b.tap("eth0"));
        let frames = [
            Frame::new(NEAR, FAR).payload(EXPERIMENTAL, b"untagged"),
            Frame::new(NEAR, FAR).tag(8, 5).payload(EXPERIMENTAL, b"one tag"),
            Frame::new(NEAR, FAR).tag(0, 7).payload(EXPERIMENTAL, b"a priority only"),
            Frame::new(NEAR, FAR).tag_as(Tpid::Service, 4094, 3).tag(4095, 1).payload(EXPERIMENTAL, b"two tags"),
            Frame::new(NEAR, FAR).tag_raw(0x8100, 0x1008).payload(EXPERIMENTAL, b"drop eligible"),
            Frame::new(NEAR, BROADCAST).tag(8, 0).arp_request(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)),
            Frame::new(NEAR, [1, 0x80, 0xc2, 0, 0, 0]).llc(&[0x42, 0x42, 3, 0, 0]),
            Frame::new(NEAR, FAR).tag(8, 0).payload(EXPERIMENTAL, &[0x55; 1500]),
        ];
        for frame in &frames {
            near.send(frame);
            let got = far.recv(LONG).expect("a frame on the far end");
            assert_eq!(got, *frame, "sent {frame:02x?}, got {got:02x?}");
        }
        assert_eq!(near.drain(), Vec::<Vec<u8>>::new(), "a tap must not see what its own link sends");
        assert_eq!(far.lost(), 0);
    }

    fn a_quiet_wire_is_quiet() {
        let (a, b) = (Netns::new("a"), Netns::new("b"));
        veth::connect((&a, "eth0"), (&b, "eth0"));
        let (near, far) = (a.tap("eth0"), b.tap("eth0"));
        near.send(&last_frame());
        assert_eq!(far.collect_until(LONG, |frame| frame == last_frame()), Vec::<Vec<u8>>::new());
    }

    fn a_tap_outlives_a_carrier_loss() {
        let (a, b) = (Netns::new("a"), Netns::new("b"));
        veth::connect((&a, "eth0"), (&b, "eth0"));
        let (near, far) = (a.tap("eth0"), b.tap("eth0"));
        b.links().set_down("eth0");
        near.try_send(&last_frame()).ok();
        assert_eq!(far.recv(SHORT), None);
        b.links().set_up("eth0");
        b.links().wait_until_ready("eth0");
        near.send(&last_frame());
        assert_eq!(far.recv(LONG), Some(last_frame()));
    }
}

tests::kernel_tests! {
    group switches;

    fn hosts_reach_each_other_in_one_vlan_and_not_between_two() {
        let switch = Switch::new("switch");
        let (a, b, c) = (Station::physical("a"), Station::physical("b"), Station::physical("c"));
        switch.trunk("p1", a.card(), &[5, 8], None);
        switch.trunk("p2", b.card(), &[5, 8], None);
        switch.access("p3", c.card(), 8);
        let a = a.with_vlan_address(5, v4(1), 24).with_vlan_address(8, v6(1), 64);
        let b = b.with_vlan_address(5, v4(2), 24).with_vlan_address(8, v6(2), 64);
        let c = c.with_address(v4(3), 24).with_address(v6(3), 64);
        assert_eq!(ping(a.netns(), v4(2), 2), 2, "VLAN 5, trunk to trunk");
        assert_eq!(ping(a.netns(), v6(2), 2), 2, "VLAN 8, trunk to trunk");
        assert_eq!(ping(b.netns(), v6(3), 2), 2, "VLAN 8, trunk to access");
        assert_eq!(ping_within(a.netns(), v4(3), 1, SHORT), 0, "VLAN 5 reached the access port of VLAN 8");
        assert_eq!(ping_within(c.netns(), v4(1), 1, SHORT), 0, "the access port of VLAN 8 reached VLAN 5");
    }

    fn a_port_carries_what_it_was_told_until_it_is_told_otherwise() {
        let switch = Switch::new("switch");
        let (a, b) = (Station::physical("a"), Station::physical("b"));
        switch.trunk("p1", a.card(), &[10, 11], Some(12));
        switch.trunk("p2", b.card(), &[10, 11, 12], None);
        let (near, far) = (a.tap(), b.tap());
        let send = |frame: Frame, text: &[u8]| near.send(&frame.payload(EXPERIMENTAL, text));
        let seen_until = |text: &[u8]| {
            let frames = far.collect_until(LONG, |frame| frame.ends_with(text));
            frames.iter().map(|frame| tags(frame)).collect::<Vec<_>>()
        };
        send(Frame::new(NEAR, FAR).tag(10, 5), b"data");
        send(Frame::new(NEAR, FAR), b"data");
        send(Frame::new(NEAR, FAR).tag(13, 0), b"data");
        send(Frame::new(NEAR, FAR).tag(11, 0), b"first last");
        let expected = [vec![(0x8100, 0xa00a)], vec![(0x8100, 12)]];
        assert_eq!(seen_until(b"first last"), expected, "PCP 5 in VLAN 10, then native VLAN 12");
        switch.links().delete_bridge_vlan("p2", 10);
        send(Frame::new(NEAR, FAR).tag(10, 0), b"data");
        send(Frame::new(NEAR, FAR).tag(11, 0), b"second last");
        assert_eq!(seen_until(b"second last"), [[]; 0], "VLAN 10 was taken from the port");
    }

    fn a_vm_is_a_card_on_its_hypervisor() {
        let hypervisor = Netns::new("hypervisor");
        let vm = Station::vm("vm", &hypervisor, "tap1").with_address(v4(1), 24);
        hypervisor.links().add_address("tap1", v4(2), 24);
        assert_eq!(ping(vm.netns(), v4(2), 1), 1);
        assert_ne!(vm.mac(), hypervisor.links().mac("tap1"));
    }
}

/// The tests below are about the lab's own failures; each starts test kernels of its own.
mod faults {
    use super::*;

    #[test]
    fn a_failing_body_is_a_failure_with_its_output() {
        let Some(run) = run_victim("lab::victims::fails", patience(), patience()) else { return };
        let text = String::from_utf8_lossy(&run.output);
        assert_eq!(run.status, Status::Exited(101), "{text}");
        assert!(text.contains("said before it failed") && text.contains("a reason of its own"), "{text}");
    }

    #[test]
    fn a_crashing_body_is_named_by_its_signal() {
        let Some(run) = run_victim("lab::victims::aborts", patience(), patience()) else { return };
        assert_eq!(run.status, Status::Signalled(6), "{}", String::from_utf8_lossy(&run.output));
    }

    #[test]
    fn a_silent_body_is_ended_and_its_output_kept() {
        let started = Instant::now();
        let Some(run) = run_victim("lab::victims::hangs", Duration::from_secs(3), patience()) else { return };
        assert_eq!(run.status, Status::TimedOut(3));
        assert!(String::from_utf8_lossy(&run.output).contains("said before it hung"));
        assert!(run.took < Duration::from_secs(20), "took {:?} of {:?}", run.took, started.elapsed());
    }

    #[test]
    fn a_body_that_talks_for_ever_is_ended_too() {
        let Some(run) = run_victim("lab::victims::chatters", patience(), Duration::from_secs(4)) else {
            return;
        };
        assert_eq!(run.status, Status::TimedOut(4));
        assert!(String::from_utf8_lossy(&run.output).contains("and another thing"));
    }

    #[test]
    fn output_is_byte_exact() {
        let Some(run) = run_victim("lab::victims::writes_every_byte", patience(), patience()) else { return };
        let all: Vec<u8> = (0..=255).collect();
        let pattern = all.repeat(64);
        assert!(run.output.windows(pattern.len()).any(|part| part == pattern), "{} bytes", run.output.len());
        assert_eq!(run.status, Status::Exited(0));
    }

    #[test]
    fn a_program_that_is_not_there_is_a_named_failure() {
        if is_inside() || find_kernel().is_none() {
            return;
        }
        let program = Program { exec: "/no/such".into(), ..victim("", patience(), patience()) };
        let run = Machine::start(&program).unwrap().wait(|_| {});
        let Status::InitFailed(why) = &run.status else { panic!("{}: {}", run.status, run.console) };
        assert!(why.contains("cannot run /no/such"), "{why}");
    }

    #[test]
    fn a_machine_is_pinned_to_its_slot_and_ends_when_dropped() {
        if is_inside() || find_kernel().is_none() {
            return;
        }
        let machine = Machine::start(&victim("lab::victims::hangs", patience(), patience())).unwrap();
        let (pid, cpu) = (machine.pid(), machine.cpu());
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap().trim();
        assert_eq!(allowed, cpu.to_string());
        assert!(usable_cpus().contains(&cpu));
        assert!(Slot::try_take(cpu).is_none(), "two machines in the slot of cpu {cpu}");
        // The helpers of linux.uml are its children and in its group.
        wait_for("its helpers", || members_of(pid) > 1);
        drop(machine);
        wait_for("its group to end", || members_of(pid) == 0);
    }

    fn run_victim(name: &str, patience: Duration, limit: Duration) -> Option<tests::lab::machine::Run> {
        if is_inside() || find_kernel().is_none() {
            return None;
        }
        Some(Machine::start(&victim(name, patience, limit)).unwrap().wait(|_| {}))
    }

    /// `limit` is how long it may take in all; a panic alone takes seconds where a slow kernel reads a large program for its backtrace.
    fn victim(name: &str, patience: Duration, limit: Duration) -> Program {
        let args = ["--exact", name, "--nocapture", "--include-ignored", "--color=never"]
            .map(str::to_owned)
            .to_vec();
        Program { exec: std::env::current_exe().unwrap(), args, env: vec![], patience, limit }
    }

    fn members_of(group: u32) -> usize {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let stats = processes.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
        stats.filter(|stat| in_group(stat, group)).count()
    }

    /// Field 5 of proc(5) stat; a dead process that nobody has waited for yet (state Z) is no member.
    fn in_group(stat: &str, group: u32) -> bool {
        let fields: Vec<_> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        fields.first() != Some(&"Z") && fields.get(2) == Some(&group.to_string().as_str())
    }
}

/// What the tests above run inside a test kernel; they are ignored otherwise.
mod victims {
    use super::*;
    use std::io::Write;

    #[test]
    #[ignore = "fails on purpose, for the test of failures"]
    fn fails() {
        println!("said before it failed");
        panic!("a reason of its own");
    }

    #[test]
    #[ignore = "aborts on purpose, for the test of crashes"]
    fn aborts() {
        std::process::abort();
    }

    #[test]
    #[ignore = "never ends, for the test of timeouts"]
    fn hangs() {
        println!("said before it hung");
        std::thread::sleep(Duration::from_secs(3600));
    }

    #[test]
    #[ignore = "never ends, for the test of timeouts"]
    fn chatters() {
        loop {
            println!("and another thing");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    #[test]
    #[ignore = "writes binary, for the test of the console"]
    fn writes_every_byte() {
        let all: Vec<u8> = (0..=255).collect();
        std::io::stdout().write_all(&all.repeat(64)).unwrap();
        std::io::stdout().flush().unwrap();
    }
}

fn v4(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last).into()
}

fn v6(last: u8) -> IpAddr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last.into()).into()
}

fn last_frame() -> Vec<u8> {
    Frame::new(NEAR, FAR).payload(EXPERIMENTAL, b"last")
}

fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited {LONG:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

const NEAR: Mac = [2, 0, 0, 0, 0, 1];
const FAR: Mac = [2, 0, 0, 0, 0, 2];

/// For what must come.
const LONG: Duration = Duration::from_secs(10);

/// For what must not come and cannot be told by a later frame.
const SHORT: Duration = Duration::from_millis(300);
