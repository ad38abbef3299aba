//! The gateway on a real kernel under attack: floods of new addresses, of broadcasts, of addresses that move, of frames that come back.

use std::time::{Duration, Instant};

use tests::lab::flood::Flood;
use tests::lab::frames::{BROADCAST, Frame, Mac};
use tests::lab::standard;
use tests::lab::tap::Tap;
use tests::lab::testbed::{Testbed, ports};

tests::kernel_tests! {
    group budget;

    /// The budget is what a port may ask of the daemon's time. Here it is a small one, because everybody shares one slow CPU.
    fn a_flood_of_new_addresses_at_one_port_costs_another_port_nothing() {
        let testbed = start(&["--upcall-rate", BUDGET]);
        let attack = attack(&testbed, &Roles { attacker: "vm8b", vlan: None, newcomers: "vm8" });
        println!("with budgets, two ports: {attack:?}");
        assert!(attack.lost <= FEW, "first frames of 200: {attack:?}");
        assert_eq!(attack.established_lost, 0, "{attack:?}");
        assert!(attack.grown_kib < 64 << 10, "the daemon's memory grew: {attack:?}");
        let (named, other) = (testbed.gateway.port("vm8b"), testbed.gateway.port("vm8"));
        assert!(named.over_budget > 0 && other.over_budget == 0, "{named:?} {other:?}");
        assert!(named.addresses <= 1_024, "{named:?}");
        let shown = testbed.gateway.l2gw(&["show", "events"]).expect("l2gw show events");
        assert!(shown.contains("vm8b") && shown.contains("first frames"), "{shown}");
    }

    fn a_flood_of_new_addresses_in_one_vlan_costs_another_vlan_of_the_trunk_nothing() {
        let testbed = start(&["--upcall-rate", BUDGET]);
        let attack = attack(&testbed, &Roles { attacker: "leaf1", vlan: Some(5), newcomers: "leaf1" });
        println!("with budgets, one trunk: {attack:?}");
        assert!(attack.lost <= FEW, "first frames of 200: {attack:?}");
        assert_eq!(attack.established_lost, 0, "{attack:?}");
        assert!(attack.addresses <= attack.budgeted(), "{attack:?}");
        assert!(testbed.gateway.port("leaf1").over_budget > 0);
    }

    /// That the two above prove something: the same attacks, and nobody is kept from asking too much. A port has its own socket, so
    /// another's flood makes it wait only; VLANs of a trunk share one.
    fn without_budgets_the_same_floods_are_felt_and_nobody_is_named() {
        let testbed = start(&["--upcall-rate", "0"]);
        let other_port = attack(&testbed, &Roles { attacker: "vm8b", vlan: None, newcomers: "vm8" });
        println!("without budgets: {other_port:?}");
        assert_eq!(testbed.gateway.port("vm8b").over_budget, 0);
        let same_trunk = attack(&testbed, &Roles { attacker: "leaf1", vlan: Some(5), newcomers: "leaf1" });
        println!("without budgets, one trunk: {same_trunk:?}");
        assert!(same_trunk.lost > FEW, "{same_trunk:?}");
        assert!(same_trunk.addresses > same_trunk.budgeted(), "{same_trunk:?}");
        assert_eq!(testbed.gateway.port("leaf1").over_budget, 0);
        assert_eq!(testbed.gateway.counter("l2gw_events_total", &[("event", "over-budget")]), 0);
    }
}

tests::kernel_tests! {
    group addresses;

    fn twenty_thousand_addresses_push_out_only_the_oldest_of_their_own_port() {
        let testbed = start(&["--upcall-rate", "0"]);
        let came = send_from_many(&testbed);
        assert_eq!(came, MANY, "each frame went on");
        assert_eq!(testbed.gateway.port("vm8").addresses, LIMIT);
        assert!(testbed.gateway.counter("l2gw_addresses_total", &[("what", "evicted")]) >= (MANY - LIMIT) as u64);
        assert!(testbed.gateway.macs().iter().any(|one| one.mac.0 == OTHER), "another port's address stays");
    }

    fn where_the_limit_drops_the_frames_of_the_first_addresses_alone_pass() {
        let testbed = start_with_limit("drop");
        let came = send_from_many(&testbed);
        assert_eq!((came, testbed.gateway.port("vm8").addresses), (LIMIT, LIMIT));
        assert!(testbed.gateway.counter("l2gw_drops_total", &[("port", "vm8"), ("reason", "address-limit")]) >= (MANY - LIMIT) as u64);
    }

    fn where_the_limit_floods_all_pass_and_the_first_addresses_stay_known() {
        let testbed = start_with_limit("flood");
        let came = send_from_many(&testbed);
        assert_eq!(came, MANY, "each frame went on");
        assert_eq!(testbed.gateway.port("vm8").addresses, LIMIT);
        assert!(testbed.gateway.counter("l2gw_addresses_total", &[("what", "not-learned-at-limit")]) >= (MANY - LIMIT) as u64);
        assert!(testbed.gateway.macs().iter().any(|one| one.mac.0 == nth(0)), "the first is still known");
    }
}

tests::kernel_tests! {
    group movement;

    fn an_address_that_flaps_a_thousand_times_a_second_is_frozen_and_the_rest_goes_on() {
        let testbed = start(&[]);
        testbed.deliver("leaf1", &Frame::new(PHYS, BROADCAST).tag(5, 0).payload(0x0800, &[5; 46]));
        let established = Established::begin(&testbed, ("vm5", None), ("leaf1", Some(5)));
        let floods = ["vm8", "vm8b"].map(|port| {
            let frame = Frame::new(FLAPPING, BROADCAST).payload(0x0800, &[6; 46]);
            Flood::start(testbed.outside().tap(port), Some(Duration::from_millis(2)), move |_| frame.clone())
        });
        std::thread::sleep(Duration::from_secs(3));
        let sent: u64 = floods.into_iter().map(Flood::stop).sum();
        assert!(sent > 1_000, "only {sent} frames were sent in 3 s");
        assert_eq!(established.end(&testbed), 0, "frames of vm5 were lost");
        let shown = testbed.gateway.macs().into_iter().find(|one| one.mac.0 == FLAPPING).expect("the address is known");
        assert_eq!(shown.kind, "frozen", "{shown:?}");
        assert_eq!(testbed.gateway.counter("l2gw_events_total", &[("event", "address-frozen")]), 1);
        assert!(testbed.gateway.counter("l2gw_addresses_total", &[("what", "moved")]) <= 5, "it moved no more once it was frozen");
        assert!(testbed.gateway.counter("l2gw_drops_total", &[("reason", "frozen")]) > 0);
        let to_it = testbed.deliver("leaf1", &Frame::new(PHYS, FLAPPING).tag(8, 0).payload(0x0800, &[5; 46]));
        assert_eq!(ports(&to_it), [shown.location.as_str()], "it is where it was held");
    }

    fn frames_that_a_loop_behind_the_trunk_brings_back_go_nowhere() {
        let testbed = start(&[]);
        let behind = testbed.outside().tap("leaf1");
        let broadcast = Frame::new(OTHER, BROADCAST).payload(0x0800, &[7; 46]);
        let mut came_back = 0;
        for _ in 0..200 {
            testbed.tap("vm8").send(&broadcast);
            // What came out of the trunk goes in again, as by a cable between two ports of the switch.
            let out = behind.recv_matching(Duration::from_secs(5), |frame| frame.get(6..12) == Some(&OTHER[..]));
            behind.send(&out.expect("the broadcast at leaf1"));
            came_back += 1;
        }
        testbed.settle("leaf1");
        let theirs = |tap: &Tap| tap.drain().iter().filter(|frame| frame.get(6..12) == Some(&OTHER[..])).count();
        let (at_leaf, at_vm) = (theirs(&behind), theirs(testbed.tap("vm8")));
        assert_eq!((at_leaf, at_vm), (0, 0), "nothing went round again (leaf1), nothing came back to its sender (vm8)");
        assert_eq!(theirs(testbed.tap("vm8b")), 200, "each broadcast once");
        testbed.gateway.wait_for("all to be counted", |gateway| {
            gateway.counter("l2gw_drops_total", &[("port", "leaf1"), ("reason", "reflected")]) == came_back
        });
        let at = testbed.gateway.macs().into_iter().find(|one| one.mac.0 == OTHER).map(|one| one.location);
        assert_eq!(at.as_deref(), Some("vm8"), "it never moved");
        assert!(testbed.gateway.counter("l2gw_events_total", &[("event", "reflected")]) >= 1);
    }
}

tests::kernel_tests! {
    group storms;

    fn a_storm_of_each_class_is_capped_and_the_other_classes_still_pass() {
        let file = standard::file().replace("vlans = [\"5\", \"7\", \"8\"]", "vlans = [\"5\", \"7\", \"8\"]\nstorm = { broadcast = 100, multicast = 100, unknown = 100 }");
        let testbed = Testbed::start("gw", &file, &standard::SIDES);
        let classes: [(&str, Mac); 3] = [("broadcast", BROADCAST), ("multicast", [1, 0, 0x5e, 1, 2, 3]), ("unknown", [0x52, 0x54, 9, 9, 9, 9])];
        for (number, (class, dst)) in classes.iter().enumerate() {
            let storm = Frame::new(nth(number as u32), *dst).tag(8, 0).payload(0x0800, &[9; 46]);
            testbed.deliver("leaf1", &storm);
            let flood = Flood::start(testbed.outside().tap("leaf1"), None, move |_| storm.clone());
            let begun = Instant::now();
            for (other, dst) in classes.iter().filter(|(other, _)| other != class) {
                let frame = Frame::new(PHYS, *dst).tag(8, 0).payload(0x0800, other.as_bytes());
                let is_it = |got: &[u8]| got.len() > 14 && got[14..].starts_with(other.as_bytes());
                // The test kernel's only CPU may have no room left for a frame on its way to the gateway.
                let begun = Instant::now();
                let has_come = std::iter::repeat_with(|| {
                    testbed.tap("leaf1").send(&frame);
                    testbed.tap("vm8b").recv_matching(Duration::from_millis(200), is_it).is_some()
                });
                let has_come = has_come.take_while(|_| begun.elapsed() < Duration::from_secs(10)).any(|has_come| has_come);
                assert!(has_come, "{other} in a storm of {class}");
            }
            std::thread::sleep(Duration::from_secs(2).saturating_sub(begun.elapsed()));
            let (sent, seconds) = (flood.stop(), begun.elapsed().as_secs_f64());
            testbed.settle("vm8b");
            let passed = testbed.tap("vm8").drain().iter().filter(|frame| frame.get(6..12) == Some(&nth(number as u32)[..])).count();
            let allowed = (seconds + 1.0) * 100.0 + 50.0;
            println!("{class}: {passed} of {sent} in {seconds:.1} s");
            assert!(sent > 4_000, "{sent} frames are no storm");
            assert!((passed as f64) < allowed, "{class}: {passed} of {sent} in {seconds:.1} s, at most {allowed:.0} expected");
            testbed.gateway.wait_for("the storm to be counted", |gateway| {
                gateway.counter("l2gw_storm_dropped_total", &[("port", "leaf1"), ("class", class)]) > sent / 2
            });
        }
    }
}

fn start(arguments: &[&str]) -> Testbed {
    start_file(&standard::file(), arguments)
}

fn start_with_limit(on_limit: &str) -> Testbed {
    let file =
        standard::file().replace("link = \"vm8\"\n", &format!("link = \"vm8\"\non-limit = \"{on_limit}\"\n"));
    start_file(&file, &["--upcall-rate", "0"])
}

fn start_file(file: &str, arguments: &[&str]) -> Testbed {
    let mut testbed = Testbed::prepare("gw", file, &standard::SIDES);
    testbed.gateway.start_with(arguments);
    testbed.gateway.wait_until_up();
    testbed
}

/// Who attacks, in which VLAN, and where new conversations begin meanwhile.
struct Roles {
    attacker: &'static str,
    vlan: Option<u16>,
    newcomers: &'static str,
}

/// What an attack did.
#[derive(Debug)]
#[allow(dead_code, reason = "some of it is for who reads what failed")]
struct Attack {
    /// Frames of the attacker.
    sent: u64,
    /// New conversations whose first frame did not arrive within a second.
    lost: usize,
    /// Frames for which there was no room on the way up, anybody's.
    no_room: u64,
    /// Frames of the conversation that was there before.
    established_lost: usize,
    /// How long it lasted.
    seconds: f64,
    /// Addresses known at the end; nearly all are the attacker's.
    addresses: usize,
    /// The daemon's resident memory, against before.
    grown_kib: u64,
    median: Duration,
}

impl Attack {
    /// Addresses that `BUDGET` lets a VLAN bring in meanwhile: half of a port's a second, as many at once, and what waits at the end;
    /// and those of the newcomers.
    fn budgeted(&self) -> usize {
        ((self.seconds + 2.0) * 500.0) as usize + 500 + 300
    }
}

/// For ten seconds one port sends from new addresses as fast as it can. Meanwhile 200 new conversations of VLAN 8 begin, and one that
/// was there goes on.
fn attack(testbed: &Testbed, roles: &Roles) -> Attack {
    testbed.deliver("leaf1", &Frame::new(PHYS, BROADCAST).tag(8, 0).payload(0x0800, &[5; 46]));
    let mut established = Established::begin(testbed, ("vm5", None), ("leaf1", Some(5)));
    let before = testbed.gateway.resident_kib();
    let vlan = roles.vlan;
    let flood = Flood::start(testbed.outside().tap(roles.attacker), None, move |number| {
        in_vlan(Frame::new(nth(number as u32), PHYS), vlan).payload(0x0800, &[7; 46])
    });
    let begun = Instant::now();
    let mut newcomers = Newcomers::at(testbed, roles.newcomers);
    for number in 0..CONVERSATIONS {
        let due = begun + Duration::from_secs(10) * number / CONVERSATIONS;
        while Instant::now() < due {
            newcomers.listen();
            // The attacker's frames come out there too, and would fill the tap.
            established.listen();
        }
        newcomers.begin(testbed, number);
    }
    newcomers.wait();
    let sent = flood.stop();
    let seconds = begun.elapsed().as_secs_f64();
    let mut took: Vec<Duration> = newcomers.took.iter().flatten().copied().collect();
    took.sort();
    wait_for_backlog(testbed, roles.attacker);
    let lost = CONVERSATIONS as usize - took.iter().filter(|after| **after <= IN_TIME).count();
    Attack {
        sent,
        lost,
        no_room: testbed.gateway.counter("l2gw_datapath_frames_total", &[("lookup", "lost")]),
        established_lost: established.end(testbed),
        seconds,
        addresses: testbed.gateway.status().addresses,
        grown_kib: testbed.gateway.resident_kib().saturating_sub(before),
        median: took.get(took.len() / 2).copied().unwrap_or_default(),
    }
}

/// Until the kernel has passed on what the attacker sent: as long as its queue is full, it drops whatever else is sent.
fn wait_for_backlog(testbed: &Testbed, attacker: &str) {
    let received = || testbed.gateway.counter("l2gw_port_rx_frames_total", &[("port", attacker)]);
    let until = Instant::now() + Duration::from_secs(15);
    let mut before = received();
    loop {
        // The daemon reads this twice a second.
        std::thread::sleep(Duration::from_secs(1));
        let now = received();
        if now == before {
            return;
        }
        assert!(Instant::now() < until, "{attacker} still receives, {now} frames by now");
        before = now;
    }
}

/// Conversations of VLAN 8 that begin at a port, each with one frame.
struct Newcomers {
    from: &'static str,
    tap: Tap,
    begun: Vec<Instant>,
    /// How long each first frame took to the other side.
    took: Vec<Option<Duration>>,
}

impl Newcomers {
    fn at(testbed: &Testbed, from: &'static str) -> Newcomers {
        let tap = testbed.outside().tap(if from == "leaf1" { "vm8" } else { "leaf1" });
        tap.set_patience(Duration::from_millis(1));
        Newcomers { from, tap, begun: Vec::new(), took: Vec::new() }
    }

    fn begin(&mut self, testbed: &Testbed, number: u32) {
        let [_, _, c, d] = number.to_be_bytes();
        let source: Mac = [NEWCOMER[0], NEWCOMER[1], 0, 0, c, d];
        let frame = match self.from {
            "leaf1" => Frame::new(source, BROADCAST).tag(8, 0),
            _ => Frame::new(source, PHYS),
        };
        self.begun.push(Instant::now());
        self.took.push(None);
        testbed.tap(self.from).send(&frame.payload(0x0800, &[8; 46]));
    }

    /// Waits a moment for a frame, and takes in what has arrived by then.
    fn listen(&mut self) {
        let mut frame = [0; 64];
        let mut read = self.tap.read_into(&mut frame);
        for _ in 0..AT_A_TIME {
            if read.is_err() {
                return;
            }
            let number = usize::from(u16::from_be_bytes([frame[10], frame[11]]));
            if frame[6..8] == NEWCOMER && number < self.begun.len() && self.took[number].is_none() {
                self.took[number] = Some(self.begun[number].elapsed());
            }
            read = self.tap.read_present(&mut frame);
        }
    }

    /// Until all have arrived or none can be in time.
    fn wait(&mut self) {
        let until = Instant::now() + IN_TIME;
        while self.took.iter().any(Option::is_none) && Instant::now() < until {
            self.listen();
        }
    }
}

/// A conversation that is there, with its flow: a frame each ten milliseconds.
struct Established {
    flood: Flood,
    tap: Tap,
    came: usize,
}

impl Established {
    fn begin(
        testbed: &Testbed,
        from: (&'static str, Option<u16>),
        to: (&'static str, Option<u16>),
    ) -> Established {
        let frame = |source: Mac, dst: Mac, vlan: Option<u16>| {
            in_vlan(Frame::new(source, dst), vlan).payload(0x0800, &ESTABLISHED)
        };
        let there = frame(STANDING, STANDING_PEER, from.1);
        testbed.deliver(to.0, &frame(STANDING_PEER, BROADCAST, to.1));
        for _ in 0..3 {
            assert_eq!(testbed.deliver(from.0, &there).len(), 1, "to {} alone", to.0);
        }
        let tap = testbed.outside().tap(to.0);
        let flood = Flood::start(testbed.outside().tap(from.0), Some(Duration::from_millis(10)), move |_| {
            there.clone()
        });
        Established { flood, tap, came: 0 }
    }

    /// Counts what has arrived; whether nothing more is there.
    fn listen(&mut self) -> bool {
        let mut frame = [0; 64];
        for _ in 0..AT_A_TIME {
            if self.tap.read_present(&mut frame).is_err() {
                return true;
            }
            self.came += usize::from(frame[6..12] == STANDING);
        }
        false
    }

    /// How many of its frames did not arrive.
    fn end(mut self, testbed: &Testbed) -> usize {
        self.flood.halt();
        testbed.settle("vm8");
        while !self.listen() {}
        let Established { flood, tap, came } = self;
        let sent = flood.stop() as usize;
        assert!(sent > 100, "only {sent} frames of the established conversation were sent");
        // Where the test's own tap had no room, nothing can be said of so many.
        (sent - came).saturating_sub(tap.lost() as usize)
    }
}

fn in_vlan(frame: Frame, vlan: Option<u16>) -> Frame {
    match vlan {
        Some(vid) => frame.tag(vid, 0),
        None => frame,
    }
}

/// Sends a frame from each of 20 000 addresses into vm8, to an address behind the trunk; how many came out there.
fn send_from_many(testbed: &Testbed) -> usize {
    testbed.deliver("leaf1", &Frame::new(PHYS, BROADCAST).tag(8, 0).payload(0x0800, &[5; 46]));
    testbed.deliver("vm8b", &Frame::new(OTHER, PHYS).payload(0x0800, &[5; 46]));
    let mut came = 0;
    for first in (0..MANY as u32).step_by(AT_ONCE) {
        let frames: Vec<_> = (first..first + AT_ONCE as u32)
            .map(|number| Frame::new(nth(number), PHYS).payload(0x0800, &[6; 46]))
            .collect();
        testbed.tap("leaf1").drain();
        frames.iter().for_each(|frame| testbed.tap("vm8").send(frame));
        // Where the limit drops, no marker of vm8 would pass. What is counted is through, because one task does both.
        testbed.gateway.wait_for("all of them to come up", |gateway| {
            gateway.counter("l2gw_upcalls_total", &[("port", "vm8")]) >= u64::from(first) + AT_ONCE as u64
        });
        came += testbed.tap("leaf1").drain().iter().filter(|frame| frame.get(6) == Some(&0x56)).count();
    }
    came
}

/// Frames sent before the next are waited for: less than a port's upcall socket has room for.
const AT_ONCE: usize = 500;

fn nth(number: u32) -> Mac {
    let [a, b, c, d] = number.to_be_bytes();
    [0x56, 0x99, a, b, c, d]
}

const PHYS: Mac = [0x52, 0x54, 0, 0, 0, 1];
const OTHER: Mac = [0x52, 0x54, 0, 0, 0, 3];
const FLAPPING: Mac = [0x52, 0x54, 0, 0, 0, 4];
const STANDING: Mac = [0x52, 0x54, 0, 0, 0, 5];
const STANDING_PEER: Mac = [0x52, 0x54, 0, 0, 0, 6];
const ESTABLISHED: [u8; 46] = [0xe5; 46];
const CONVERSATIONS: u32 = 200;
/// Frames read before the other tap is looked at.
const AT_A_TIME: usize = 1_000;
/// First two bytes of a newcomer's address.
const NEWCOMER: [u8; 2] = [0x52, 0x66];
/// A first frame that takes longer is lost.
const IN_TIME: Duration = Duration::from_secs(1);
/// First frames of the 200 that may be lost.
const FEW: usize = 2;
/// First frames a second: what a test kernel's only CPU does beside a sender at full speed.
const BUDGET: &str = "1000";
const MANY: usize = 20_000;
/// `mac-limit` of a port that is no trunk.
const LIMIT: usize = 1_024;
