//! What the host and other programs do with a gateway's links and its datapath, on a real kernel: addresses, routes, bridges, bonds, VLAN
//! devices, other names, other hands, links that hide what they drop, and links that are to be free again.

use std::net::IpAddr;
use std::process::Command;
use std::time::Duration;

use agent::view::{EventView, PortView};
use tests::lab::frames::{BROADCAST, Frame, Mac, Tpid};
use tests::lab::gateway::{Gateway, program};
use tests::lab::genl::{Call, DEL, Family, NEW, OtherHand, attribute, number};
use tests::lab::standard::{self, tagged};
use tests::lab::testbed::{Side, Testbed, ports};
use tests::lab::veth;

tests::kernel_tests! {
    group claims;

    fn a_link_with_an_address_of_the_host_is_left_alone_until_that_is_asked_for() {
        let mut testbed = Testbed::prepare("gw", &standard::file(), &standard::SIDES);
        let links = testbed.gateway.netns().links();
        links.add_address("vm5", address("192.0.2.1"), 24);
        links.add_address("vm8", address("169.254.7.7"), 16);
        links.add_address("vm8b", address("2001:db8::1"), 64);
        testbed.gateway.start();
        let why = "has address 192.0.2.1/24 of the host; host-addresses = \"keep\" takes it all the same";
        testbed.gateway.wait_for("vm5 to be left alone", |gateway| says(gateway, "vm5", why));
        let why = "has address 2001:db8::1/64 of the host; host-addresses = \"keep\" takes it all the same";
        testbed.gateway.wait_for("vm8b to be left alone", |gateway| says(gateway, "vm8b", why));
        testbed.gateway.wait_for("the others to be up", |gateway| gateway.status().ports_up == 2);
        assert_eq!((testbed.gateway.port("vm5").vport, testbed.gateway.port("vm8").why.as_str()), (None, ""));
        assert_eq!(told(&testbed, "port-down").len(), 2, "{:?}", events(&testbed));
        testbed.gateway.netns().links().delete_address("vm8b", address("2001:db8::1"), 64);
        testbed.gateway.wait_for("vm8b, which is free now", |gateway| gateway.port("vm8b").state == "up");
        testbed.gateway.write_file(&with_key("vm5", "host-addresses = \"keep\""));
        let file = testbed.gateway.file().to_string_lossy().into_owned();
        testbed.gateway.l2gw(&["apply", &file]).expect("a file that is right");
        testbed.gateway.wait_until_up();
        let flood = Frame::new(PHYS, BROADCAST).tag(5, 0).payload(0x0800, &[5; 46]);
        assert_eq!(ports(&testbed.deliver("leaf1", &flood)), ["vm5"]);
    }

    fn an_address_that_comes_later_is_told_and_unbinds_nothing() {
        let mut testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        testbed.gateway.netns().links().add_address("vm5", address("192.0.2.1"), 24);
        let how = "the host hears nothing at its address 192.0.2.1/24 on this link";
        testbed.gateway.wait_for("what the host does", |gateway| gateway.port("vm5").why == how);
        assert_eq!(testbed.gateway.port("vm5").state, "up");
        assert_eq!(testbed.gateway.stop().code(), Some(0));
        testbed.gateway.start_up();
        assert_eq!(testbed.gateway.port("vm5").why, how, "it was bound before");
        testbed.gateway.netns().links().delete_address("vm5", address("192.0.2.1"), 24);
        testbed.gateway.wait_for("that it is over", |gateway| gateway.port("vm5").why.is_empty());
        let kinds = [told(&testbed, "link-in-use").len(), told(&testbed, "link-free").len()];
        assert_eq!(kinds, [2, 1], "one of each run, {:?}", events(&testbed));
    }

    fn the_way_to_the_default_route_is_left_alone_as_long_as_it_is() {
        let mut testbed = Testbed::prepare("gw", &standard::file(), &standard::SIDES);
        testbed.gateway.netns().links().add_default_route("vm5");
        testbed.gateway.start();
        let why = "is the way to the IPv4 default route; host-addresses = \"keep\" takes it all the same";
        testbed.gateway.wait_for("vm5 to be left alone", |gateway| says(gateway, "vm5", why));
        testbed.gateway.netns().links().delete_default_route("vm5");
        testbed.gateway.wait_until_up();
        testbed.gateway.netns().links().add_default_route("vm8");
        let how = "the host hears nothing by this link, the way to its IPv4 default route";
        testbed.gateway.wait_for("what the host does", |gateway| gateway.port("vm8").why == how);
        // The kernel tells of no route that goes with its link's state.
        testbed.gateway.netns().links().set_down("vm8");
        testbed.gateway.wait_for("vm8 to be down", |gateway| gateway.port("vm8").why == "admin down");
        testbed.gateway.netns().links().set_up("vm8");
        testbed.gateway.wait_for("that it is over", |gateway| {
            let port = gateway.port("vm8");
            (port.state.as_str(), port.why.as_str()) == ("up", "")
        });
    }

    fn a_link_that_is_a_bridges_or_a_bonds_names_it_and_comes_when_it_is_free() {
        let mut testbed = Testbed::prepare("gw", &standard::file(), &standard::SIDES);
        let links = testbed.gateway.netns().links();
        links.add_vlan_bridge("br0");
        links.attach("vm5", "br0");
        links.add_bond("bond7");
        links.set_down("vm8");
        links.attach("vm8", "bond7");
        testbed.gateway.start();
        let why = "belongs to bridge br0; `ip link set LINK nomaster` frees it";
        testbed.gateway.wait_for("vm5 to be left alone", |gateway| says(gateway, "vm5", why));
        let why = "belongs to bond bond7; `ip link set LINK nomaster` frees it";
        testbed.gateway.wait_for("vm8 to be left alone", |gateway| says(gateway, "vm8", why));
        let links = testbed.gateway.netns().links();
        links.detach("vm5");
        links.detach("vm8");
        links.set_up("vm8");
        testbed.gateway.wait_until_up();
    }

    fn loopback_and_links_without_ethernet_are_refused_in_words() {
        let file = standard::file().replace("link = \"vm5\"", "link = \"lo\"").replace("link = \"vm8b\"", "link = \"tun0\"");
        let mut testbed = Testbed::prepare("gw", &file, &standard::SIDES);
        testbed.gateway.netns().run(|| {
            let made = Command::new("ip").args(["tuntap", "add", "dev", "tun0", "mode", "tun"]).status();
            assert!(made.expect("ip").success());
        });
        testbed.gateway.start();
        testbed.gateway.wait_for("lo to be refused", |gateway| {
            says(gateway, "vm5", "is the loopback link; no port can be on it")
        });
        testbed.gateway.wait_for("tun0 to be refused", |gateway| {
            says(gateway, "vm8b", "has no Ethernet frames (its kind is tun); no port can be on it")
        });
        testbed.gateway.wait_for("the others to be up", |gateway| gateway.status().ports_up == 2);
    }

    fn an_alternative_name_binds_and_of_two_ports_the_proper_name_wins() {
        let file = standard::file().replace("link = \"vm5\"", "link = \"enp3s0f0\"");
        let mut testbed = Testbed::prepare("gw", &file, &standard::SIDES);
        testbed.gateway.start();
        testbed.gateway.wait_for("no link", |gateway| says(gateway, "vm5", "no such link"));
        testbed.gateway.netns().links().add_alt_name("vm5", "enp3s0f0");
        testbed.gateway.wait_until_up();
        let flood = Frame::new(PHYS, BROADCAST).tag(5, 0).payload(0x0800, &[5; 46]);
        assert_eq!(ports(&testbed.deliver("leaf1", &flood)), ["vm5"]);
        testbed.gateway.write_file(&file.replace("link = \"vm8b\"", "link = \"vm5\""));
        let file = testbed.gateway.file().to_string_lossy().into_owned();
        testbed.gateway.l2gw(&["apply", &file]).expect("a file that is right");
        testbed.gateway.wait_for("the proper name", |gateway| gateway.port("vm8b").state == "up");
        assert_eq!(testbed.gateway.port("vm5").why, "the link is that of port vm8b");
    }

    fn a_vlan_device_of_a_carried_vlan_is_told_as_long_as_it_is_there() {
        let mut testbed = Testbed::prepare("gw", &standard::file(), &standard::SIDES);
        testbed.gateway.netns().links().add_vlan("leaf1", "leaf1.5", Tpid::Customer, 5);
        testbed.gateway.netns().links().add_vlan("leaf1", "leaf1.99", Tpid::Customer, 99);
        testbed.gateway.start_up();
        let deaf = |vid: u16| {
            format!("deaf for VID {vid}: the host's VLAN device leaf1.{vid} takes its frames; `ip link delete leaf1.{vid}` ends it")
        };
        testbed.gateway.wait_for("VLAN 5 to be deaf", |gateway| gateway.port("leaf1").why == deaf(5));
        let flood = |vid| Frame::new(PHYS, BROADCAST).tag(vid, 0).payload(0x0800, &[5; 46]);
        assert_eq!(ports(&testbed.deliver("leaf1", &flood(5))), [""; 0], "it is deaf indeed");
        assert_eq!(ports(&testbed.deliver("leaf1", &flood(8))), ["vm8", "vm8b"], "and the others are not");
        testbed.gateway.netns().links().delete("leaf1.5");
        testbed.gateway.wait_for("that it is over", |gateway| gateway.port("leaf1").why.is_empty());
        assert_eq!(ports(&testbed.deliver("leaf1", &flood(5))), ["vm5"]);
        testbed.gateway.netns().links().add_vlan("leaf1", "leaf1.7", Tpid::Customer, 7);
        testbed.gateway.netns().links().set_down("leaf1.7");
        testbed.gateway.wait_for("VLAN 7 to be deaf", |gateway| gateway.port("leaf1").why == deaf(7));
        testbed.gateway.netns().links().delete("leaf1.7");
        testbed.gateway.wait_for("that it is over", |gateway| gateway.port("leaf1").why.is_empty());
        assert_eq!([told(&testbed, "link-in-use").len(), told(&testbed, "link-free").len()], [2, 2]);
    }
}

tests::kernel_tests! {
    group hands;

    fn what_other_hands_put_goes_and_what_they_take_comes_back_and_each_is_told() {
        let testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        let (there, _) = standard::establish(&testbed, PHYS, VM);
        let other = testbed.gateway.netns().run(OtherHand::reach_out);
        let datapath = other.index_of(DEVICE);
        let vport = |port: &str| testbed.gateway.port(port).vport.expect("a port that is up");
        // One without an id, and one with an id of its own: each from VLAN 5 into VLAN 8.
        for (last, id) in [(1, vec![]), (2, attribute(9, &[7; 16]))] {
            let flow = [id, foreign_flow(vport("vm5"), vport("vm8"), last)].concat();
            let call = Call { family: Family::Flow, command: NEW, flags: 0, datapath, attributes: &flow };
            other.ask(&call).expect("a foreign flow");
        }
        testbed.gateway.wait_for("the flows to be told", |gateway| {
            gateway.counter("l2gw_events_total", &[("event", "foreign-flows")]) > 0
        });
        let leak = |last: u8| {
            let frame = Frame::new([2, 0, 0, 0, 5, last], [2, 0, 0, 0, 8, last]).payload(0x9999, &[1; 46]);
            testbed.deliver("vm5", &frame).iter().any(|(port, _)| *port == "vm8")
        };
        testbed.gateway.wait_for("both to be gone", |_| !leak(1) && !leak(2));
        let flush = Call { family: Family::Flow, command: DEL, flags: 0, datapath, attributes: &[] };
        other.ask(&flush).expect("all flows gone");
        testbed.gateway.wait_for("the flows to be told", |gateway| {
            gateway.counter("l2gw_events_total", &[("event", "flows-gone")]) > 0
        });
        assert_eq!(ports(&testbed.deliver("leaf1", &there)), ["vm8"], "they are put anew");
        other.delete_vport(DEVICE, "vm8");
        testbed.gateway.wait_for("the port to be told", |gateway| {
            gateway.counter("l2gw_events_total", &[("event", "vport-gone")]) == 1
        });
        testbed.gateway.wait_until_up();
        assert_eq!(ports(&testbed.deliver("leaf1", &there)), ["vm8"]);
        veth::connect((testbed.gateway.netns(), "theirs"), (testbed.outside(), "far"));
        other.add_vport(DEVICE, "theirs");
        testbed.gateway.wait_for("the port to be told", |gateway| {
            gateway.counter("l2gw_events_total", &[("event", "foreign-vport")]) == 1
        });
        testbed.gateway.wait_for("the link to be free", |gateway| gateway.netns().links().master("theirs").is_none());
    }
}

tests::kernel_tests! {
    group lengths;

    fn frames_that_are_too_long_are_counted_where_the_driver_tells_nobody() {
        let testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        for (netns, link) in [(testbed.gateway.netns(), "vm8"), (testbed.outside(), "vm8")] {
            netns.links().set_mtu(link, 9_000);
        }
        let (_, back) = standard::establish(&testbed, PHYS, VM);
        let of = |payload: usize| Frame::new(VM, PHYS).payload(0x0800, &vec![5; payload]);
        let too_long = |port: &str| testbed.gateway.counter("l2gw_drops_total", &[("port", port), ("reason", "over-mtu")]);
        let not_sent = |port: &str| testbed.gateway.counter("l2gw_port_tx_over_mtu_total", &[("port", port)]);
        assert_eq!(ports(&testbed.deliver("vm8", &of(1_500))), ["leaf1"], "as long as the link takes, behind its tag");
        testbed.gateway.wait_for("the MTU to be known", |_| {
            assert_eq!(ports(&testbed.deliver("vm8", &of(1_501))), [""; 0]);
            too_long("vm8") > 0
        });
        let before = (too_long("vm8"), not_sent("leaf1"));
        for _ in 0..10 {
            assert_eq!(ports(&testbed.deliver("vm8", &of(1_501))), [""; 0]);
        }
        assert_eq!(ports(&testbed.deliver("vm8", &back)), ["leaf1"]);
        testbed.gateway.wait_for("ten that were too long", |_| {
            too_long("vm8") >= before.0 + 10 && not_sent("leaf1") >= before.1 + 10
        });
        // A copy that fits elsewhere leaves the frame forwarded.
        for netns in [testbed.gateway.netns(), testbed.outside()] {
            netns.links().set_mtu("vm8b", 9_000);
        }
        let flood = Frame::new(VM, BROADCAST).payload(0x0800, &[5; 3_000]);
        testbed.gateway.wait_for("vm8b to take it", |_| ports(&testbed.deliver("vm8", &flood)) == ["vm8b"]);
        // What the flow before lost is counted with the next reading of the counters, which comes every half second.
        std::thread::sleep(Duration::from_millis(1_500));
        let (lost, left) = (too_long("vm8"), not_sent("leaf1"));
        for _ in 0..5 {
            assert_eq!(ports(&testbed.deliver("vm8", &flood)), ["vm8b"]);
        }
        testbed.gateway.wait_for("five more copies", |_| not_sent("leaf1") >= left + 5);
        assert_eq!(too_long("vm8"), lost, "none of them was lost");
        testbed.gateway.wait_for("the burst to be told", |gateway| {
            gateway.counter("l2gw_events_total", &[("event", "drops-began")]) > 0
        });
    }
}

tests::kernel_tests! {
    group limits;

    /// More VLANs than the kernel has places for meters at first, each with two limits.
    fn the_limit_of_every_vlan_holds_past_a_thousand_meters() {
        const LAST: u16 = 1_300;
        let file = format!(
            "[hosts.gw1]\n[bridges.dc1]\nkind = \"vlan-aware\"\n\
             [[trunks]]\nname = \"leaf1\"\nbridge = \"dc1\"\nhost = \"gw1\"\nlink = \"leaf1\"\nvlans = [\"1-{LAST}\"]\n\
             [[ports]]\nname = \"vm1\"\nbridge = \"dc1\"\nhost = \"gw1\"\nlink = \"vm1\"\nmode = \"trunk\"\nvlans = [\"1-{LAST}\"]\n\
             storm = {{ broadcast = 50 }}\nmac-limit = 4000\n"
        );
        let sides: [(&'static str, Side); 2] = [("leaf1", tagged(8, "vm1")), ("vm1", tagged(8, "leaf1"))];
        let mut testbed = Testbed::prepare("gw", &file, &sides);
        testbed.gateway.start_with(&["--upcall-rate", "0"]);
        testbed.gateway.wait_until_up();
        let of = |vid: u16| Frame::new(VM, BROADCAST).tag(vid, 0).payload(0x0800, &[5; 46]);
        for vid in 1..=LAST {
            testbed.tap("vm1").send(&of(vid));
            // Fewer than the limit of the port lets pass.
            std::thread::sleep(Duration::from_millis(3));
        }
        testbed.settle("vm1");
        testbed.gateway.wait_for("a flow for each", |gateway| gateway.status().flows >= usize::from(LAST));
        assert_eq!(testbed.gateway.counter("l2gw_refusals_total", &[("what", "set-meter")]), 0);
        testbed.tap("leaf1").drain();
        for vid in [1, 1_023, 1_024, 1_100, LAST] {
            std::thread::sleep(Duration::from_millis(300));
            let burst: Vec<Vec<u8>> = (0..150).map(|_| of(vid)).collect();
            let came = testbed.deliver_all("vm1", &burst).len();
            // A second's worth may come at once.
            assert!((1..75).contains(&came), "of 150 frames of VLAN {vid} at once {came} came");
        }
    }
}

tests::kernel_tests! {
    group teardown;

    fn what_a_stopped_daemon_left_is_removed_without_a_file_and_its_links_are_free() {
        let mut testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        standard::establish(&testbed, PHYS, VM);
        let (code, said) = teardown(&testbed, &[]);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("datapath l2gw: another daemon drives it"), "{said}");
        assert_eq!(testbed.gateway.status().ports_up, 4, "nothing happened to it");
        assert_eq!(testbed.gateway.stop().code(), Some(0));
        let (code, said) = teardown(&testbed, &["--device", "other"]);
        assert_eq!((code, said.trim()), (0, "there is no datapath other: nothing to remove"));
        let (code, said) = teardown(&testbed, &[]);
        assert_eq!(code, 0, "{said}");
        assert!(said.starts_with("datapath l2gw is removed with ") && said.contains("; its 4 links are free again: "), "{said}");
        for link in ["leaf1", "vm5", "vm8", "vm8b"] {
            assert!(said.contains(link), "{said}");
        }
        let links = testbed.gateway.netns().links();
        assert!(!links.has(DEVICE));
        links.add_vlan_bridge("br0");
        links.attach("vm5", "br0");
        links.delete("vm8");
        let (code, said) = teardown(&testbed, &["--json"]);
        assert_eq!((code, said.trim()), (0, "{\"datapath\":\"l2gw\",\"flows\":0,\"links\":[],\"removed\":false,\"tunnel\":null}"));
    }

    fn a_datapath_whose_frames_another_program_hears_is_not_removed() {
        let mut testbed = Testbed::start("gw", &standard::file(), &standard::SIDES);
        assert_eq!(testbed.gateway.stop().code(), Some(0));
        let other = testbed.gateway.netns().run(OtherHand::reach_out);
        other.take_upcalls_of(DEVICE, "vm5");
        let (code, said) = teardown(&testbed, &[]);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("remove datapath l2gw, whose upcalls the socket with netlink port id"), "{said}");
        drop(other);
        assert_eq!(teardown(&testbed, &[]).0, 0);
    }
}

/// Runs `l2gw teardown` in the gateway's namespace: its exit code and what it said.
fn teardown(testbed: &Testbed, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(program());
    command.arg("teardown").args(arguments);
    let output = testbed.gateway.netns().run(move || command.output()).expect("the l2gw program");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
}

/// Whether a port is shown with this reason.
fn says(gateway: &Gateway, port: &str, why: &str) -> bool {
    let ports: Vec<PortView> = gateway.show("/v1/ports");
    ports.iter().any(|view| view.port == port && view.why == why)
}

fn events(testbed: &Testbed) -> Vec<EventView> {
    let text = testbed.gateway.l2gw(&["show", "events", "--newest", "1000", "--json"]).expect("events");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The events of a kind, in words.
fn told(testbed: &Testbed, kind: &str) -> Vec<String> {
    let of_kind = events(testbed).into_iter().filter(|event| event.event.kind() == kind);
    of_kind.map(|event| event.text).collect()
}

/// The standard file with a line more for one of its ports.
fn with_key(port: &str, line: &str) -> String {
    let link = format!("link = \"{port}\"\n");
    standard::file().replace(&link, &format!("{link}{line}\n"))
}

/// A flow of any frame from one address to another: in by one vport, out by another.
fn foreign_flow(from: u32, to: u32, last: u8) -> Vec<u8> {
    let addresses = [[2, 0, 0, 0, 5, last], [2, 0, 0, 0, 8, last]].concat();
    let key = [number(3, from), attribute(4, &addresses), attribute(6, &[0x99, 0x99])].concat();
    let mask = [number(3, u32::MAX), attribute(4, &[0xff; 12]), attribute(6, &[0xff; 2])].concat();
    [attribute(1, &key), attribute(2, &number(1, to)), attribute(7, &mask)].concat()
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// The kernel's datapath unless `run` is told otherwise.
const DEVICE: &str = "l2gw";
const PHYS: Mac = [0x52, 0x54, 0, 0, 0, 1];
const VM: Mac = [0x52, 0x54, 0, 0, 0, 2];
