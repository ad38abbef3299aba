//! Another gateway takes over a VLAN of a fabric: addresses behind it stay known, and become its word as it hears them.

use std::time::Duration;

use nsdb::Presence;
use tests::lab::frames::{BROADCAST, Mac};
use tests::sim::cluster::Cluster;

use super::feed::{is, known, words};
use super::{PHYS, VM1, VM2, bare, ip, parse, start, tagged, two_gateways};

/// Who carries VLAN 8 and by which trunk, and who would instead.
pub(super) fn taking_over(cluster: &mut Cluster) -> (&'static str, &'static str, &'static str, &'static str) {
    match super::carriers(cluster).0[0].as_str() {
        "leaf1" => ("gw1", "leaf1", "gw2", "leaf2"),
        _ => ("gw2", "leaf2", "gw1", "leaf1"),
    }
}

/// Another gateway takes over: no address moves, none is forgotten, and who is still heard is told of by the gateway that hears it.
#[test]
fn behind_a_fabric_an_address_stays_known_whichever_gateway_carries_its_vlan() {
    const OTHER: Mac = [2, 0, 0, 0, 0, 0x0a];
    let mut cluster = start(&two_gateways());
    cluster.pass(Duration::from_secs(1));
    let (host, carrier, other, standby) = taking_over(&mut cluster);
    cluster.reached(carrier, &tagged(8, 0, PHYS, VM2));
    cluster.reached(carrier, &tagged(8, 0, OTHER, VM2));
    for at in ["cn1", "cn2", other] {
        assert_eq!(known(&mut cluster, at, PHYS), is("trunks of fabric", "remote"), "{at}");
    }
    cluster.host(host).set_carrier(carrier, false);
    cluster.pass(Duration::from_millis(500));
    for at in ["cn1", "cn2", other] {
        assert_eq!(known(&mut cluster, at, PHYS), is("trunks of fabric", "remote"), "{at}");
    }
    assert_eq!(known(&mut cluster, host, PHYS), is("trunks of fabric", "dynamic"));
    assert_eq!(cluster.reached("a8", &bare(VM1, PHYS)), [standby]);
    // One of them goes on to speak, by the trunk that carries the VLAN now.
    cluster.reached(standby, &tagged(8, 0, PHYS, VM1));
    assert_eq!(known(&mut cluster, other, PHYS), is("trunks of fabric", "dynamic"));
    let of = |cluster: &Cluster| {
        let vni = 8008;
        words(cluster, vni, PHYS).last().map(|word| (word.owner, word.mobility.0, word.presence))
    };
    let (owner, mobility, presence) = of(&cluster).unwrap();
    assert_eq!((mobility, presence), (2, Presence::Present));
    assert_ne!(owner, words(&cluster, 8008, PHYS)[0].owner);
    for _ in 0..4 {
        cluster.pass(Duration::from_secs(90));
        cluster.reached(standby, &tagged(8, 0, PHYS, VM1));
    }
    assert_eq!(known(&mut cluster, "cn1", PHYS), is("trunks of fabric", "remote"));
    assert_eq!(known(&mut cluster, "cn1", OTHER), None, "whom nobody hears is taken back after its time");
}

/// A machine of the fabric floods to both gateways, as long as they have a link.
struct Flooded {
    cluster: Cluster,
    host: &'static str,
    carrier: &'static str,
    other: &'static str,
    standby: &'static str,
}

impl Flooded {
    /// It is known by the gateway that carries the VLAN, which has a flow for it.
    fn new() -> Flooded {
        let mut cluster = start(&two_gateways());
        cluster.pass(Duration::from_secs(1));
        let (host, carrier, other, standby) = taking_over(&mut cluster);
        let mut flooded = Flooded { cluster, host, carrier, other, standby };
        for _ in 0..2 {
            flooded.bring();
        }
        assert_eq!(flooded.owner(), flooded.host);
        flooded
    }

    /// The machine speaks once more; a second passes. Where that comes out of each gateway.
    fn bring(&mut self) -> [Vec<String>; 2] {
        let frame = tagged(8, 0, PHYS, BROADCAST);
        let reached = [self.carrier, self.standby].map(|trunk| self.cluster.reached(trunk, &frame));
        self.cluster.pass(Duration::from_secs(1));
        reached
    }

    fn set_links(&mut self, carrier: bool, standby: bool) {
        self.cluster.host(self.host).set_carrier(self.carrier, carrier);
        self.cluster.host(self.other).set_carrier(self.standby, standby);
        self.cluster.pass(Duration::from_millis(500));
    }

    /// Whose word the machine is.
    fn owner(&mut self) -> &'static str {
        let said = words(&self.cluster, 8008, PHYS).last().expect("a word").owner;
        let number = |host: &str| self.cluster.numbers().hosts[host];
        if said.0 == number(self.host) { self.host } else { self.other }
    }

    fn said(&self) -> usize {
        words(&self.cluster, 8008, PHYS).len()
    }

    /// How many frames the engines of both have seen.
    fn came_up(&mut self) -> u64 {
        let mut sum = 0;
        for host in [self.host, self.other] {
            let counters = self.cluster.host(host).counters();
            sum += counters
                .iter()
                .filter(|row| row.name == "l2gw_executes_total")
                .map(|row| row.value)
                .sum::<u64>();
        }
        sum
    }
}

/// It forwards again by the flow that it had before: no frame comes up that would teach it.
#[test]
fn an_address_that_is_heard_by_flows_alone_is_the_word_of_the_gateway_that_hears_it() {
    let mut story = Flooded::new();
    story.set_links(false, true);
    story.bring();
    assert_eq!(story.owner(), story.other);
    story.set_links(true, false);
    let before = story.came_up();
    let [reached, nothing] = story.bring();
    assert_eq!((reached, nothing), (ALL_OF_8.map(str::to_owned).to_vec(), vec![]));
    assert_eq!((story.came_up(), story.owner()), (before, story.host));
    let said = story.said();
    for _ in 0..5 {
        story.bring();
    }
    assert_eq!(story.said(), said, "it is said once");
    // The other one has nothing to take back.
    story.cluster.restart(story.other);
    story.cluster.pass(Duration::from_secs(30));
    assert_eq!(known(&mut story.cluster, "cn1", PHYS), is("trunks of fabric", "remote"));
}

/// It heard it while the store was away, and lost the VLAN before it might say so: then the address is nobody's word, and no frame is needed
/// for it to become one.
#[test]
fn what_a_gateway_knew_before_it_lost_a_vlan_is_its_word_when_it_carries_that_again() {
    let mut cluster = start(&two_gateways());
    cluster.pass(Duration::from_secs(1));
    let (host, carrier, other, _) = taking_over(&mut cluster);
    cluster.cut_off(host, true, true);
    cluster.restart(host);
    cluster.pass(Duration::from_secs(3));
    cluster.reached(carrier, &tagged(8, 0, PHYS, BROADCAST));
    cluster.host(host).set_carrier(carrier, false);
    cluster.pass(Duration::from_millis(500));
    cluster.cut_off(host, false, true);
    cluster.pass(Duration::from_secs(1));
    assert_eq!(known(&mut cluster, host, PHYS), is("trunks of fabric", "dynamic"));
    assert_eq!(words(&cluster, 8008, PHYS), [], "another gateway carries the VLAN");
    cluster.host(host).set_carrier(carrier, true);
    cluster.pass(Duration::from_secs(1));
    let said: Vec<_> = words(&cluster, 8008, PHYS).iter().map(|word| word.presence).collect();
    assert_eq!(said, [Presence::Present], "it is said once");
    for at in ["cn1", "cn2", other] {
        assert_eq!(known(&mut cluster, at, PHYS), is("trunks of fabric", "remote"), "{at}");
    }
}

/// Each would take the word from the other whenever it reads its flows.
#[test]
fn of_gateways_that_both_carry_a_vlan_none_takes_a_word_by_flows() {
    let mut story = Flooded::new();
    story.cluster.underlay.cut(&[ip("192.0.2.1")], &[ip("192.0.2.2")]);
    for _ in 0..5 {
        story.bring();
    }
    let (said, owner, before) = (story.said(), story.owner(), story.came_up());
    for _ in 0..5 {
        let reached = story.bring();
        assert!(reached.iter().all(|ports| ports.contains(&"a8".to_owned())), "{reached:?}");
    }
    assert_eq!((story.said(), story.owner(), story.came_up()), (said, owner, before));
}

/// What a gateway says by another revision of a bridge may be about another bridge of that name: dc1 and dc2 have changed names.
#[test]
fn of_gateways_by_two_revisions_none_takes_a_word_by_flows() {
    let trunk = |name: &str, host: &str| {
        format!(
            "[[trunks]]\nname = \"{name}\"\nbridge = \"dc2\"\nhost = \"{host}\"\nlink = \"{name}\"\nvlans = [\"9\"]\n"
        )
    };
    let more = "[bridges.dc2]\nkind = \"vlan-aware\"\nfabric = \"other\"\n".to_owned()
        + &trunk("o1", "gw1")
        + &trunk("o2", "gw2");
    let one = two_gateways() + &more;
    let two = one
        .replace("dc1", "dcx")
        .replace("dc2", "dc1")
        .replace("[bridges.dcx]\n", "[bridges.dc2]\nfabric = \"fabric\"\n")
        .replace("dcx", "dc2");
    let mut cluster = start(&one);
    cluster.pass(Duration::from_secs(3));
    cluster.publish(2, &parse(&two));
    ["gw2", "cn1", "cn2"].into_iter().for_each(|host| cluster.adopt(host));
    cluster.pass(Duration::from_secs(3));
    for _ in 0..20 {
        for trunk in ["leaf1", "leaf2"] {
            cluster.reached(trunk, &tagged(8, 0, PHYS, BROADCAST));
        }
        cluster.pass(Duration::from_millis(500));
    }
    let said = words(&cluster, 8008, PHYS).len();
    assert!(said <= 3, "{said} words in ten seconds");
}

/// Another gateway sent it into the fabric, and this one takes over while the switches bring it back.
#[test]
fn a_frame_of_ours_that_a_fabric_brings_back_to_another_gateway_moves_no_address() {
    let mut cluster = start(&two_gateways());
    cluster.pass(Duration::from_secs(1));
    let (host, carrier, other, standby) = taking_over(&mut cluster);
    for by_flow in [false, true] {
        assert!(
            cluster.reached("a8", &bare(VM2, BROADCAST)).iter().any(|port| port == carrier),
            "by a flow: {by_flow}"
        );
    }
    cluster.host(host).set_carrier(carrier, false);
    cluster.pass(Duration::from_millis(300));
    assert_eq!(cluster.reached(standby, &tagged(8, 0, VM2, BROADCAST)), Vec::<String>::new());
    assert_eq!(known(&mut cluster, other, VM2), is("host cn1", "remote"));
    // A second later it is a machine behind the fabric that speaks.
    cluster.pass(Duration::from_millis(1_200));
    assert_eq!(cluster.reached(standby, &tagged(8, 0, VM2, BROADCAST)), ["a8", "b8", "c8", "d8"]);
    assert_eq!(known(&mut cluster, "cn2", VM2), is("trunks of fabric", "remote"));
}

/// Two VLANs of the fabric are one segment, and the first of them is taken away while a frame is under way in the other.
#[test]
fn what_was_sent_in_a_vlan_that_stays_is_known_when_another_goes() {
    let vlan = |vid: u16| format!("[[vlans]]\nbridge = \"dc1\"\nvid = {vid}\nto = \"vub8\"\n");
    let joined = two_gateways()
        .replace("kind = \"vlan-aware\"\n", "kind = \"vlan-aware\"\njoin-vids = true\n")
        + &vlan(9);
    for (gone, stays) in [(8, 9), (9, 8)] {
        let mut cluster = start(&joined);
        cluster.pass(Duration::from_secs(3));
        assert!(cluster.reached("d8", &bare(VM1, BROADCAST)).len() > 4, "into both VLANs");
        cluster.change(2, &parse(&joined.replace(&vlan(gone), "")));
        cluster.pass(Duration::from_millis(100));
        for trunk in ["leaf1", "leaf2"] {
            assert_eq!(
                cluster.reached(trunk, &tagged(stays, 0, VM1, BROADCAST)),
                Vec::<String>::new(),
                "{gone} {trunk}"
            );
        }
        assert_eq!(known(&mut cluster, "gw1", VM1), is("d8", "dynamic"), "{gone}");
    }
}

/// Where a frame that is flooded on VLAN 8 comes out of the fabric.
const ALL_OF_8: [&str; 4] = ["a8", "b8", "c8", "d8"];
