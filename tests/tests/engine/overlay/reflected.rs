//! A frame that a host has sent into a fabric by one gateway comes back by another, which asks that host.

use std::time::Duration;

use agent::event::Event;
use agent::hello::question::{Question, Reply};
use agent::hello::{HELLO_VNI, Said};
use agent::input::Input;
use datapath::fake::Packet;
use l2gw::config;
use tests::lab::frames::{BROADCAST, Frame, Mac};
use tests::sim::cluster::Cluster;
use vlan::addr::MacAddr;
use vlan::fdb::reflect::Likeness;

use super::feed::{is, known};
use super::{PHYS, VM1, VM2, VM5, bare, carriers, ip, packet, parse, start, tagged, two_gateways};

const CN1: &str = "192.0.2.11";
const CN2: &str = "192.0.2.12";
/// The EtherType of the frames of `bare`.
const IPV4: u16 = 0x0800;
/// Reverse ARP (RFC 903): how a hypervisor announces a VM that has migrated.
const RARP: u16 = 0x8035;

/// VLAN 8 of two gateways has gone from one to the other, while VM1 at `a8` of cn1 speaks to a machine of the fabric.
struct HandedOver {
    cluster: Cluster,
    /// The trunk that carries the VLAN now, and its host with its address.
    trunk: &'static str,
    gateway: &'static str,
    address: &'static str,
}

impl HandedOver {
    /// The last frame to the machine was sent by a flow, 200 ms before.
    fn new() -> HandedOver {
        let mut cluster = start(&two_gateways());
        cluster.pass(Duration::from_secs(1));
        let (before, _) = carriers(&mut cluster);
        let (host, trunk, gateway, address) = match before[0].as_str() {
            "leaf1" => ("gw1", "leaf2", "gw2", "192.0.2.2"),
            _ => ("gw2", "leaf1", "gw1", "192.0.2.1"),
        };
        cluster.pass(Duration::from_secs(2));
        assert_eq!(cluster.reached(&before[0], &tagged(8, 0, PHYS, VM1)), ["a8"]);
        for _ in 0..2 {
            cluster.pass(Duration::from_millis(1_200));
            assert_eq!(cluster.reached("a8", &bare(VM1, PHYS)), before);
        }
        cluster.host(host).set_carrier(&before[0], false);
        cluster.pass(Duration::from_millis(200));
        let mut handed_over = HandedOver { cluster, trunk, gateway, address };
        assert_eq!(handed_over.place(), is("host cn1", "remote"));
        handed_over.asked();
        handed_over
    }

    /// Where the gateway takes VM1 to be.
    fn place(&mut self) -> Option<(String, String)> {
        known(&mut self.cluster, self.gateway, VM1)
    }

    /// The fabric brings a frame to the trunk. Where copies of it come out.
    fn comes(&mut self, frame: &[u8]) -> Vec<String> {
        self.cluster.reached(self.trunk, frame)
    }

    fn pass_ms(&mut self, ms: u64) {
        self.cluster.pass(Duration::from_millis(ms));
    }

    /// The questions of the gateway to cn1 since this was last asked.
    fn asked(&mut self) -> Vec<Question> {
        let sent = self.cluster.underlay.sent().into_iter();
        let own = sent.filter(|packet| (packet.from, packet.to) == (ip(self.address), ip(CN1)));
        own.filter_map(|packet| question(&packet)).collect()
    }

    fn dropped(&mut self, reason: &str) -> u64 {
        let labels =
            [("port", self.trunk), ("reason", reason)].map(|(key, value)| (key.into(), value.into()));
        let counters = self.cluster.host(self.gateway).counters();
        let its = counters.iter().filter(|row| row.name == "l2gw_drops_total" && row.labels == labels);
        its.map(|row| row.value).sum()
    }

    /// A host says this to the gateway, while nothing else arrives.
    fn says(&mut self, host: &str, reply: Reply) {
        let said = packet((host, self.address), HELLO_VNI, reply.to_frame());
        self.cluster.underlay.inject(said.clone());
        let held = self.cluster.underlay.held();
        let number = held.iter().find(|(_, packet)| *packet == said).expect("it is held").0;
        self.cluster.underlay.release(number);
        self.cluster.settle();
    }

    /// Nothing has come of what was said.
    fn still_waits(&mut self, why: &str) {
        let sent: Vec<String> = self.cluster.take_sent().into_iter().map(|(_, port, _)| port).collect();
        assert_eq!((sent, self.place()), (vec![], is("host cn1", "remote")), "{why}");
        assert_eq!((self.dropped("reflected"), self.dropped("unanswered")), (0, 0), "{why}");
    }
}

fn question(packet: &Packet) -> Option<Question> {
    match Said::from_frame(&packet.frame)? {
        Said::Question(question) if packet.vni == HELLO_VNI => Some(question),
        _ => None,
    }
}

/// As the fabric brings it.
fn back() -> Vec<u8> {
    tagged(8, 0, VM1, PHYS)
}

fn rarp(src: Mac) -> Vec<u8> {
    Frame::new(src, BROADCAST).tag(8, 0).payload(RARP, &[7; 46])
}

#[test]
fn what_the_host_of_its_source_says_it_has_sent_is_reflected_for_a_second() {
    let mut story = HandedOver::new();
    assert_eq!(story.comes(&back()), Vec::<String>::new());
    assert_eq!((story.place(), story.dropped("reflected")), (is("host cn1", "remote"), 1));
    let told =
        Event::Reflected { mac: MacAddr(VM1), held: "host cn1".to_owned(), port: story.trunk.to_owned() };
    assert!(story.cluster.host(story.gateway).events.contains(&told));
    let asked = story.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].mac.0, asked[0].likeness.dst.0), (VM1, PHYS));
    // For as long as that is known, nobody is asked again.
    story.pass_ms(500);
    assert_eq!(story.comes(&back()), Vec::<String>::new());
    assert_eq!((story.asked().len(), story.dropped("reflected")), (0, 2));
    // And then it is asked, and has sent none for a second.
    story.pass_ms(500);
    story.comes(&back());
    assert_eq!((story.asked().len(), story.dropped("reflected")), (1, 2));
    assert_eq!(story.place(), is("trunks of fabric", "dynamic"));
}

#[test]
fn what_it_says_it_has_not_sent_is_a_move_without_a_moment_lost() {
    let mut story = HandedOver::new();
    assert_eq!(story.comes(&rarp(VM1)), ["a8", "b8", "c8", "d8"]);
    assert_eq!(story.place(), is("trunks of fabric", "dynamic"));
    assert_eq!(story.asked().len(), 1);
    assert_eq!(story.cluster.reached("c8", &bare(VM2, VM1)), [story.trunk]);
    // It is there now: nobody is asked.
    story.comes(&tagged(8, 0, VM1, VM2));
    assert_eq!(story.asked(), []);
}

#[test]
fn a_host_that_is_silent_is_not_asked() {
    let mut story = HandedOver::new();
    story.cluster.underlay.cut(&[ip(CN1)], &[ip("192.0.2.1"), ip("192.0.2.2")]);
    story.pass_ms(5_000);
    story.asked();
    story.comes(&back());
    assert_eq!((story.place(), story.asked()), (is("trunks of fabric", "dynamic"), vec![]));
}

#[test]
fn without_an_answer_in_200_ms_the_frame_is_dropped_and_nothing_moves() {
    let mut story = HandedOver::new();
    story.cluster.underlay.cut_one_way(&[ip(CN1)], &[ip(story.address)]);
    assert_eq!(story.comes(&rarp(VM1)), Vec::<String>::new());
    assert_eq!(story.comes(&rarp(VM1)), Vec::<String>::new());
    story.pass_ms(150);
    story.still_waits("150 ms later");
    story.pass_ms(50);
    assert_eq!((story.dropped("unanswered"), story.place()), (2, is("host cn1", "remote")));
    assert_eq!((story.asked().len(), story.cluster.take_sent()), (1, vec![]), "one question for both");
    let began = |event: &Event| matches!(event, Event::DropsBegan { reason, .. } if reason == "unanswered");
    assert!(story.cluster.host(story.gateway).events.iter().any(began));
    story.cluster.underlay.mend();
    assert_eq!(story.comes(&rarp(VM1)), ["a8", "b8", "c8", "d8"], "it answers again");
}

/// In which step of 50 ms after it is cut off cn1 is silent is the same in each run.
#[test]
fn a_host_that_dies_while_its_answer_is_waited_for_has_not_sent_it() {
    let cut_off = || {
        let story = HandedOver::new();
        story.cluster.underlay.cut_one_way(&[ip(CN1)], &[ip(story.address)]);
        story
    };
    let mut story = cut_off();
    let is_silent = |event: &Event| matches!(event, Event::HostSilent { host } if host == "cn1");
    let dies_in = (0..100).find(|_| {
        story.pass_ms(50);
        story.cluster.host(story.gateway).events.iter().any(is_silent)
    });
    let dies_in = dies_in.expect("it is silent for long enough");
    let mut story = cut_off();
    (0..dies_in - 1).for_each(|_| story.pass_ms(50));
    assert_eq!(story.comes(&rarp(VM1)), Vec::<String>::new());
    assert_eq!(story.asked().len(), 1, "it is not dead yet");
    story.pass_ms(150);
    story.still_waits("150 ms later");
    story.pass_ms(50);
    assert_eq!((story.place(), story.dropped("unanswered")), (is("trunks of fabric", "dynamic"), 0));
}

#[test]
fn what_another_host_says_or_of_another_question_or_too_late_changes_nothing() {
    let mut story = HandedOver::new();
    story.cluster.underlay.hold();
    story.comes(&rarp(VM1));
    let asked = story.asked()[0];
    let not_sent = asked.reply(None);
    story.says(CN2, not_sent);
    story.still_waits("by a host that was not asked");
    story.says(CN1, Reply { number: not_sent.number + 1, ..not_sent });
    story.still_waits("of a question that was not asked");
    story.says(CN1, Reply { session: not_sent.session + 1, ..not_sent });
    story.still_waits("to an earlier run of the daemon");
    story.pass_ms(200);
    assert_eq!((story.dropped("unanswered"), story.place()), (1, is("host cn1", "remote")));
    story.says(CN1, not_sent);
    assert_eq!((story.cluster.take_sent(), story.place()), (vec![], is("host cn1", "remote")), "too late");
    // What was answered once is not answered again.
    story.cluster.underlay.release_all();
    story.cluster.settle();
    assert_eq!(story.comes(&back()), Vec::<String>::new());
    let asked = story.asked().into_iter().next_back().unwrap();
    assert_eq!(story.dropped("reflected"), 1);
    story.cluster.underlay.hold();
    story.says(CN1, asked.reply(None));
    assert_eq!((story.cluster.take_sent(), story.place()), (vec![], is("host cn1", "remote")), "once more");
}

/// 1 024 frames wait at once. Those of the third round are more than 2 000 questions and 400 for each 200 ms.
#[test]
fn a_host_is_asked_2_000_times_a_second_and_no_more() {
    let mut story = HandedOver::new();
    story.cluster.underlay.cut_one_way(&[ip(CN1)], &[ip(story.address)]);
    let mut lost = 0;
    for (round, asked) in [(1, 1_024), (2, 1_024), (3, 752)] {
        for number in 0..1_100_u16 {
            let [a, b] = number.to_be_bytes();
            let frame = tagged(8, 0, VM1, [2, 0, 0, round, a, b]);
            story.cluster.host(story.gateway).inject(story.trunk, &frame);
            story.cluster.host(story.gateway).settle();
        }
        assert_eq!((story.asked().len(), story.dropped("unanswered")), (asked, lost + 1_100 - asked as u64));
        story.pass_ms(200);
        lost += 1_100;
        assert_eq!((story.dropped("unanswered"), story.place()), (lost, is("host cn1", "remote")));
    }
}

#[test]
fn the_kernel_is_asked_for_1_000_questions_a_second_of_a_host_and_no_more() {
    let mut story = HandedOver::new();
    story.comes(&back());
    let asked = story.asked()[0];
    story.pass_ms(1_200);
    let nobody = Likeness { dst: MacAddr([2, 0, 0, 1, 0, 0]), ..asked.likeness };
    for (likeness, answered) in [(nobody, 1_500), (asked.likeness, 1_000)] {
        story.cluster.underlay.sent();
        for number in 0..1_500 {
            let frame = Question { number, likeness, ..asked }.to_frame();
            story.cluster.underlay.inject(packet((story.address, CN1), HELLO_VNI, frame));
            story.cluster.host("cn1").settle();
        }
        let sent = story.cluster.underlay.sent().into_iter();
        let replies = sent.filter(|packet| matches!(Said::from_frame(&packet.frame), Some(Said::Reply(_))));
        assert_eq!(replies.count(), answered);
    }
}

#[test]
fn a_host_of_an_older_version_is_not_asked_and_what_leaves_it_is_followed() {
    let mut story = HandedOver::new();
    story.cluster.underlay.sent();
    story.pass_ms(1_000);
    let sent = story.cluster.underlay.sent().into_iter();
    let own = sent.filter(|packet| (packet.from, packet.to) == (ip(CN1), ip(story.address)));
    let mut hellos = own.filter_map(|packet| match Said::from_frame(&packet.frame)? {
        Said::Hello(hello) => Some(hello),
        _ => None,
    });
    let mut hello = hellos.next_back().expect("a hello a second");
    assert!(hello.answers);
    (hello.answers, hello.sequence) = (false, hello.sequence + 1);
    story.cluster.underlay.inject(packet((CN1, story.address), HELLO_VNI, hello.to_frame()));
    story.cluster.settle();
    assert_eq!(story.comes(&rarp(VM1)), ["a8", "b8", "c8", "d8"]);
    assert_eq!((story.place(), story.asked()), (is("trunks of fabric", "dynamic"), vec![]));
}

/// Its gateways follow a revision by which VLAN 8 of the fabric leads to `vub8`, and it does not yet.
#[test]
fn a_host_that_does_not_know_the_fabric_says_nothing_until_it_does() {
    let after = parse(&two_gateways());
    let peering = "[[vlans]]\nbridge = \"dc1\"\nvid = 8\nto = \"vub8\"\n";
    let mut cluster = start(&two_gateways().replace(peering, ""));
    cluster.reached("a8", &bare(VM1, BROADCAST));
    cluster.publish(2, &after);
    ["gw1", "gw2", "cn2"].iter().for_each(|host| cluster.adopt(host));
    cluster.pass(Duration::from_secs(2));
    let trunk = |cluster: &mut Cluster| {
        let reached = cluster.reached("d8", &bare(VM2, BROADCAST));
        reached.into_iter().find(|port| port.starts_with("leaf")).expect("a trunk carries the VLAN")
    };
    let trunk = trunk(&mut cluster);
    let gateway = if trunk == "leaf1" { "gw1" } else { "gw2" };
    assert_eq!(known(&mut cluster, gateway, VM1).unwrap().0, "host cn1");
    assert_eq!(cluster.reached(&trunk, &rarp(VM1)), Vec::<String>::new());
    cluster.pass(Duration::from_millis(300));
    assert_eq!(known(&mut cluster, gateway, VM1).unwrap().0, "host cn1");
    cluster.adopt("cn1");
    assert_eq!(cluster.reached(&trunk, &rarp(VM1)), ["a8", "b8", "c8", "d8"]);
    assert_eq!(known(&mut cluster, gateway, VM1).unwrap().0, "trunks of fabric");
}

/// What the daemon before it has sent by a flow the kernel knows; what it sent by itself, nobody does.
#[test]
fn a_host_that_has_just_started_says_of_no_frame_that_it_was_not_sent() {
    let mut story = HandedOver::new();
    story.cluster.restart("cn1");
    assert_eq!(story.comes(&rarp(VM1)), Vec::<String>::new());
    assert_eq!((story.comes(&back()), story.dropped("reflected")), (vec![], 1));
    story.pass_ms(1_100);
    assert_eq!((story.place(), story.dropped("unanswered")), (is("host cn1", "remote"), 1));
    assert_eq!(story.comes(&rarp(VM1)), ["a8", "b8", "c8", "d8"]);
}

/// By the new revision each segment and each fabric has another before it.
#[test]
fn a_host_whose_flows_are_looked_over_knows_what_they_have_sent() {
    let mut story = HandedOver::new();
    for number in 0..500_u16 {
        let [a, b] = number.to_be_bytes();
        story.cluster.host("cn1").inject("b8", &bare(VM5, [2, 0, 0, 1, a, b]));
        story.cluster.host("cn1").settle();
    }
    let mut description = story.cluster.description().clone();
    let before = "[hosts.gw1]\n[bridges.a0]\nkind = \"vlan-aware\"\nfabric = \"a0\"\n[[trunks]]\nname = \"a0\"\nbridge = \"a0\"\nhost = \"gw1\"\nlink = \"a0\"\n\
                  vlans = [\"8\"]\n";
    let before = config::parse("before.toml", before).unwrap().description;
    description.bridges.splice(0..0, before.bridges);
    description.trunks.splice(0..0, before.trunks);
    let numbers = Box::new(story.cluster.numbers().clone());
    let description = Box::new(description);
    story.cluster.host("cn1").handle(Input::Topology {
        revision: 2,
        description,
        numbers: Some(numbers),
        built: None,
    });
    let of_segment = &story.cluster.numbers().further[&"vub8".parse().unwrap()];
    let vni = of_segment.fabrics["fabric"];
    let mut says = |dst: Mac, ether_type: u16| {
        let likeness = Likeness { dst: MacAddr(dst), ether_type };
        let question = Question { session: 7, number: 1, vni, inner: 0, mac: MacAddr(VM1), likeness };
        story.cluster.underlay.sent();
        story.cluster.underlay.inject(packet((story.address, CN1), HELLO_VNI, question.to_frame()));
        let host = story.cluster.host("cn1");
        let question = host.next_upcall();
        host.handle(question);
        let sent = story.cluster.underlay.sent().into_iter();
        let said = sent.filter_map(|packet| match Said::from_frame(&packet.frame)? {
            Said::Reply(reply) => Some(reply.sent.is_some()),
            _ => None,
        });
        said.collect::<Vec<bool>>()
    };
    assert_eq!(says(PHYS, IPV4), [true]);
    assert_eq!(says(BROADCAST, RARP), [false]);
}

#[test]
fn frames_that_wait_are_lost_when_another_revision_comes() {
    let mut story = HandedOver::new();
    story.cluster.underlay.hold();
    story.comes(&rarp(VM1));
    let mut description = story.cluster.description().clone();
    description.ports.retain(|port| port.name != "b8");
    story.cluster.change(2, &description);
    assert_eq!(story.dropped("unanswered"), 1);
    story.cluster.underlay.release_all();
    story.cluster.settle();
    assert_eq!((story.cluster.take_sent(), story.place().unwrap().0), (vec![], "host cn1".to_owned()));
}

#[test]
fn what_is_declared_elsewhere_is_asked_of_nobody() {
    let text = two_gateways().replace("link = \"a8\"\n", "link = \"a8\"\nmacs = [\"02:00:00:00:00:01\"]\n");
    let mut cluster = start(&text);
    cluster.pass(Duration::from_secs(1));
    let (trunks, _) = carriers(&mut cluster);
    cluster.pass(Duration::from_secs(2));
    cluster.underlay.sent();
    assert_eq!(cluster.reached(&trunks[0], &rarp(VM1)), Vec::<String>::new());
    assert!(!cluster.underlay.sent().iter().any(|packet| question(packet).is_some()));
}

#[test]
fn a_trace_says_who_is_asked() {
    let mut story = HandedOver::new();
    let asks = |story: &mut HandedOver, frame: &[u8]| {
        let now = story.cluster.now();
        let traced = story.cluster.host(story.gateway).engine.view().trace(now, story.trunk, frame);
        let steps = traced.unwrap().view(frame).steps;
        steps.iter().any(|step| step.starts_with("before, host cn1, which has the source, is asked"))
    };
    assert!(asks(&mut story, &back()));
    assert!(!asks(&mut story, &tagged(8, 0, PHYS, VM1)), "it is known there");
    story.comes(&back());
    assert!(!asks(&mut story, &back()), "it has said so");
}
