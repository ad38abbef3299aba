//! What hosts tell each other of addresses: without a frame, when a VM moves, while the store is away, and who has one that two claim.

use std::time::Duration;

use agent::event::Event;
use agent::page::Selection;
use agent::view::FeedView;
use nsdb::{AddressRecord, Presence};
use tests::lab::frames::{BROADCAST, Mac};
use tests::sim::cluster::Cluster;
use vlan::addr::MacAddr;
use vlan::model::description::Description;

use super::{PHYS, VM1, VM2, bare, ip, parse, ports, sent, start, three};

/// Where a host takes an address to be, and how it knows.
pub(super) fn known(cluster: &mut Cluster, host: &str, mac: Mac) -> Option<(String, String)> {
    let (now, mac) = (cluster.now(), MacAddr(mac));
    let selection = Selection { mac: Some(mac), ..Selection::default() };
    let page = cluster.host(host).engine.view().mac_page(now, &selection, 0).unwrap();
    page.rows.into_iter().next().map(|(_, row)| (row.location, row.kind))
}

pub(super) fn is(location: &str, kind: &str) -> Option<(String, String)> {
    Some((location.to_owned(), kind.to_owned()))
}

/// What was said of an address, in the order of the log.
pub(super) fn words(cluster: &Cluster, vni: u32, mac: Mac) -> Vec<AddressRecord> {
    cluster.feed.log(vni).iter().filter(|word| word.key.mac.0 == mac).copied().collect()
}

fn feed(cluster: &mut Cluster, host: &str) -> FeedView {
    let now = cluster.now();
    cluster.host(host).engine.view().status(now).feed.expect("segments are shared")
}

/// VM1 at a8 has spoken to a VM of its own host alone: no frame of it went anywhere else.
fn spoken_at_home() -> Cluster {
    let mut cluster = start(&three());
    cluster.reached("b8", &bare(VM2, BROADCAST));
    let before = cluster.underlay.counts();
    assert_eq!(cluster.reached("a8", &bare(VM1, VM2)), ["b8"]);
    assert_eq!(cluster.underlay.counts(), before, "it stays on its host");
    cluster
}

#[test]
fn an_address_is_known_on_every_host_without_a_frame_of_it_and_does_not_age_there() {
    let mut cluster = spoken_at_home();
    assert_eq!(known(&mut cluster, "cn2", VM1), is("host cn1", "remote"));
    let before = sent(&cluster, 8008);
    assert_eq!(cluster.reached("c8", &bare(PHYS, VM1)), ["a8"]);
    let mut after = sent(&cluster, 8008);
    after.retain(|pair, count| before.get(pair) != Some(count));
    assert_eq!(after.into_keys().collect::<Vec<_>>(), [(ip("192.0.2.12"), ip("192.0.2.11"))]);
    let view = feed(&mut cluster, "cn2");
    assert_eq!((view.segments, view.heard, view.addresses, view.unsaid), (2, 2, 3, 0));
    // Where it is heard it ages, and with it everywhere.
    for _ in 0..10 {
        cluster.pass(Duration::from_secs(25));
        cluster.reached("a8", &bare(VM1, VM2));
    }
    assert_eq!(known(&mut cluster, "cn2", VM1), is("host cn1", "remote"));
    cluster.pass(Duration::from_secs(310));
    assert_eq!(known(&mut cluster, "cn2", VM1), None);
    let said: Vec<_> = words(&cluster, 8008, VM1).iter().map(|word| (word.number, word.presence)).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].0 < said[1].0 && (said[0].1, said[1].1) == (Presence::Present, Presence::Gone));
}

#[test]
fn a_vm_that_moves_is_followed_by_hosts_that_no_frame_of_it_has_reached() {
    for has_store in [true, false] {
        let mut cluster = spoken_at_home();
        assert_eq!(cluster.reached("d8", &bare(PHYS, VM1)), ["a8"]);
        cluster.pass(Duration::from_secs(2));
        for host in ["gw1", "cn1", "cn2"] {
            cluster.cut_off(host, !has_store, true);
        }
        // Its first frame goes to one host alone.
        let before = sent(&cluster, 8008);
        assert_eq!(cluster.reached("c8", &bare(VM1, PHYS)), ["d8"]);
        let mut after = sent(&cluster, 8008);
        after.retain(|pair, count| before.get(pair) != Some(count));
        assert_eq!(after.into_keys().collect::<Vec<_>>(), [(ip("192.0.2.12"), ip("192.0.2.1"))]);
        assert_eq!(cluster.reached("d8", &bare(PHYS, VM1)), ["c8"], "with a store: {has_store}");
        let elsewhere = if has_store { ["c8"] } else { ["a8"] };
        assert_eq!(cluster.reached("b8", &bare(VM2, VM1)), elsewhere, "with a store: {has_store}");
        if !has_store {
            for host in ["gw1", "cn1", "cn2"] {
                cluster.cut_off(host, false, true);
            }
            cluster.pass(Duration::from_secs(1));
            assert_eq!(cluster.reached("b8", &bare(VM2, VM1)), ["c8"], "the store is back");
        }
    }
}

/// What a frame said is later than any word, as long as no word can come.
#[test]
fn while_the_store_is_away_an_older_word_does_not_come_back() {
    let mut cluster = spoken_at_home();
    cluster.pass(Duration::from_secs(2));
    cluster.cut_off("cn2", true, true);
    cluster.cut_off("gw1", true, true);
    cluster.reached("c8", &bare(VM1, BROADCAST));
    cluster.pass(Duration::from_secs(60));
    assert_eq!(known(&mut cluster, "gw1", VM1), is("host cn2", "dynamic"), "it ages as if nobody told of it");
    cluster.pass(Duration::from_secs(300));
    assert_eq!(known(&mut cluster, "gw1", VM1), None, "and nobody says that it is at cn1");
}

#[test]
fn a_hint_is_believed_for_ten_seconds_and_then_the_word_again() {
    let mut cluster = spoken_at_home();
    cluster.pass(Duration::from_secs(2));
    // A frame that cn2 never sent: nobody's word will follow.
    cluster.underlay.inject(super::packet(("192.0.2.12", "192.0.2.1"), 8008, bare(VM1, PHYS)));
    cluster.settle();
    assert_eq!(known(&mut cluster, "gw1", VM1), is("host cn2", "dynamic"));
    cluster.pass(Duration::from_secs(12));
    assert_eq!(known(&mut cluster, "gw1", VM1), is("host cn1", "remote"));
}

#[test]
fn of_two_hosts_that_have_an_address_at_once_one_has_it_in_the_end_and_the_other_tells() {
    let mut cluster = start(&three());
    cluster.pass(Duration::from_secs(1));
    ["cn1", "cn2"].into_iter().for_each(|host| cluster.cut_off(host, true, false));
    cluster.underlay.cut(&[ip("192.0.2.11")], &[ip("192.0.2.12"), ip("192.0.2.1")]);
    cluster.reached("a8", &bare(VM1, BROADCAST));
    cluster.reached("c8", &bare(VM1, BROADCAST));
    cluster.underlay.mend();
    ["cn1", "cn2"].into_iter().for_each(|host| cluster.cut_off(host, false, false));
    cluster.pass(Duration::from_secs(2));
    // Numbers of hosts are dealt out by name.
    assert_eq!(known(&mut cluster, "cn1", VM1), is("a8", "dynamic"));
    for host in ["cn2", "gw1"] {
        assert_eq!(known(&mut cluster, host, VM1), is("host cn1", "remote"), "{host}");
    }
    let claimed = Event::AddressClaimed { mac: MacAddr(VM1), host: "cn1".to_owned() };
    assert!(cluster.host("cn2").events.contains(&claimed));
    assert!(!cluster.host("cn1").events.iter().any(|event| matches!(event, Event::AddressClaimed { .. })));
    // The next real frame of the other says where it is.
    assert_eq!(cluster.reached("c8", &bare(VM1, PHYS)), ["a8", "b8", "d8", "leaf1"]);
    assert_eq!(known(&mut cluster, "cn1", VM1), is("host cn2", "remote"));
}

#[test]
fn a_host_that_was_cut_off_goes_on_and_converges_when_it_is_back() {
    let mut cluster = spoken_at_home();
    cluster.pass(Duration::from_secs(2));
    cluster.cut_off("cn1", true, true);
    cluster.pass(Duration::from_secs(60));
    assert_eq!(cluster.reached("c8", &bare(PHYS, VM1)), ["a8"], "nothing is forgotten");
    // Meanwhile the VM moves to another host, which says so to whom it can.
    cluster.underlay.cut(&[ip("192.0.2.11")], &[ip("192.0.2.12"), ip("192.0.2.1")]);
    cluster.reached("c8", &bare(VM1, BROADCAST));
    cluster.underlay.mend();
    assert_eq!(known(&mut cluster, "gw1", VM1), is("host cn2", "remote"));
    assert_eq!(known(&mut cluster, "cn1", VM1), is("a8", "dynamic"));
    // What it has to say waits, and is no fault of its own.
    const NEW: Mac = [2, 0, 0, 0, 0, 0x44];
    cluster.reached("a8", &bare(NEW, VM2));
    let view = feed(&mut cluster, "cn1");
    assert_eq!((view.unsaid, view.refused), (1, None));
    assert!(!cluster.host("cn1").events.iter().any(is_told));
    cluster.cut_off("cn1", false, true);
    assert_eq!(known(&mut cluster, "cn2", NEW), is("host cn1", "remote"));
    assert_eq!(known(&mut cluster, "cn1", VM1), is("host cn2", "remote"));
    assert_eq!(cluster.reached("b8", &bare(VM2, VM1)), ["c8"]);
}

#[test]
fn a_word_that_was_taken_back_does_not_come_back_by_being_repeated() {
    let mut cluster = spoken_at_home();
    let old = words(&cluster, 8008, VM1);
    cluster.host("cn1").set_carrier("a8", false);
    cluster.settle();
    assert_eq!(known(&mut cluster, "cn2", VM1), None);
    cluster.feed.repeat(&old);
    cluster.settle();
    assert_eq!(known(&mut cluster, "cn2", VM1), None);
    // Its own next word counts.
    cluster.host("cn1").set_carrier("a8", true);
    cluster.reached("a8", &bare(VM1, VM2));
    assert_eq!(known(&mut cluster, "cn2", VM1), is("host cn1", "remote"));
}

#[test]
fn a_daemon_that_starts_again_says_nothing_twice_and_takes_back_what_it_does_not_find() {
    let mut cluster = spoken_at_home();
    cluster.pass(Duration::from_secs(10));
    cluster.reached("a8", &bare(VM1, VM2));
    // VM2 is in no flow and not saved: as after a power failure.
    cluster.host("cn1").saved.retain(|saved| saved.mac != MacAddr(VM2));
    let said = cluster.feed.log(8008).len();
    cluster.restart("cn1");
    cluster.pass(Duration::from_secs(5));
    assert_eq!(cluster.feed.log(8008).len(), said, "{:?}", cluster.feed.log(8008));
    assert_eq!(known(&mut cluster, "cn2", VM1), is("host cn1", "remote"));
    assert_eq!(known(&mut cluster, "cn2", VM2), is("host cn1", "remote"));
    cluster.pass(Duration::from_secs(8));
    assert_eq!(known(&mut cluster, "cn2", VM1), is("host cn1", "remote"));
    assert_eq!(known(&mut cluster, "cn2", VM2), None);
}

/// As where the store was put back from a backup.
#[test]
fn a_word_that_the_store_has_lost_is_said_again() {
    let mut cluster = spoken_at_home();
    cluster.feed.lose(8008);
    cluster.restart("cn2");
    assert_eq!(known(&mut cluster, "cn2", VM1), None);
    cluster.listener("cn1").begin_anew();
    cluster.settle();
    assert_eq!(known(&mut cluster, "cn2", VM1), is("host cn1", "remote"));
    let said = cluster.feed.log(8008).len();
    cluster.listener("cn1").begin_anew();
    cluster.settle();
    assert_eq!(cluster.feed.log(8008).len(), said, "what the store has is not");
}

#[test]
fn addresses_stay_known_when_hosts_and_ports_get_other_identifiers() {
    let mut cluster = spoken_at_home();
    let more = "[hosts.aa1]\nunderlay = \"192.0.2.30\"\n[bridges.aa]\nkind = \"vlan-unaware\"\n";
    let text = more.to_owned() + &three() + &ports(&[("0a", "aa", "cn1", ""), ("0b", "aa", "cn2", "")]);
    let said = cluster.feed.log(8008).len();
    cluster.change(2, &parse(&text));
    cluster.pass(Duration::from_secs(1));
    assert_eq!(known(&mut cluster, "cn2", VM1), is("host cn1", "remote"));
    assert_eq!(cluster.reached("c8", &bare(PHYS, VM1)), ["a8"]);
    assert!(words(&cluster, 8008, VM1).len() == 1 && cluster.feed.log(8008).len() == said + 1);
    assert_eq!(feed(&mut cluster, "cn2").segments, 3);
    // The same without the host that has it.
    let text = three().replace("[hosts.cn1]\nunderlay = \"192.0.2.11\"\n", "");
    let text: Vec<&str> = text.split("[[ports]]").filter(|port| !port.contains("\"cn1\"")).collect();
    cluster.host("cn2").change(3, &parse(&text.join("[[ports]]")));
    cluster.pass(Duration::from_secs(1));
    assert_eq!(known(&mut cluster, "cn2", VM1), None);
}

/// As where its clock was set back meanwhile.
#[test]
fn a_daemon_that_starts_again_with_an_earlier_session_is_heard_all_the_same() {
    let mut cluster = spoken_at_home();
    let word = AddressRecord { session: 9, number: 77, ..words(&cluster, 8008, VM1)[0] };
    cluster.feed.repeat(&[word]);
    cluster.settle();
    cluster.restart("cn1");
    assert_eq!(known(&mut cluster, "cn2", VM1), is("host cn1", "remote"));
    cluster.host("cn1").set_carrier("a8", false);
    cluster.pass(Duration::from_secs(12));
    assert_eq!(known(&mut cluster, "cn2", VM1), None);
    cluster.host("cn1").set_carrier("a8", true);
    cluster.reached("a8", &bare(VM1, VM2));
    assert_eq!(known(&mut cluster, "cn2", VM1), is("host cn1", "remote"));
    let last = words(&cluster, 8008, VM1).pop().unwrap();
    assert!(last.session == 9 && last.number > 78, "{last:?}: it was taken back and said again");
}

#[test]
fn a_host_that_loses_its_last_port_of_a_segment_forgets_what_others_said_of_it() {
    let mut cluster = spoken_at_home();
    for (revision, gone) in [(2, &["c8"][..]), (3, &["c8", "c5"])] {
        cluster.change(revision, &three_without(gone));
        cluster.pass(Duration::from_secs(1));
        assert_eq!(known(&mut cluster, "cn2", VM1), None, "{gone:?}");
        assert_eq!(known(&mut cluster, "gw1", VM1), is("host cn1", "remote"));
    }
}

#[test]
fn what_a_host_said_of_a_segment_that_it_has_no_port_on_any_more_is_believed_by_nobody() {
    let mut cluster = spoken_at_home();
    // It keeps one port, and what it has said of an address that is not there any more is taken back; then its last one goes.
    cluster.change(2, &three_without(&["b8"]));
    cluster.pass(Duration::from_secs(1));
    assert_eq!(known(&mut cluster, "cn2", VM1), is("host cn1", "remote"));
    assert_eq!(known(&mut cluster, "cn2", VM2), None);
    cluster.change(3, &three_without(&["a8", "b8"]));
    cluster.pass(Duration::from_secs(1));
    for host in ["gw1", "cn2"] {
        assert_eq!(known(&mut cluster, host, VM1), None, "{host}");
    }
    assert_eq!(cluster.reached("c8", &bare(PHYS, VM1)), ["d8", "leaf1"], "it may be behind any of these now");
    // With a port there again it has it only when it hears it.
    cluster.change(4, &parse(&three()));
    cluster.pass(Duration::from_secs(11));
    assert_eq!(known(&mut cluster, "cn2", VM1), None);
    cluster.reached("a8", &bare(VM1, VM2));
    assert_eq!(known(&mut cluster, "cn2", VM1), is("host cn1", "remote"));
}

/// The three hosts, without some ports.
fn three_without(ports: &[&str]) -> Description {
    let text = three();
    let wanted = |port: &&str| ports.iter().all(|name| !port.contains(&format!("name = \"{name}\"")));
    let kept: Vec<&str> = text.split("[[ports]]").filter(wanted).collect();
    parse(&kept.join("[[ports]]"))
}

#[test]
fn what_a_word_says_of_another_segment_host_or_vni_is_not_believed() {
    let mut cluster = spoken_at_home();
    let [word] = words(&cluster, 8008, VM1)[..] else { panic!("one word") };
    let later = |change: &dyn Fn(&mut AddressRecord)| {
        let mut word = AddressRecord { number: 9, mobility: nsdb::Mobility(7), ..word };
        word.key.mac = nsdb::Mac([2, 0, 0, 0, 0, 0x77]);
        change(&mut word);
        word
    };
    let wrong = [
        later(&|word| word.owner = nsdb::HostId(99)),
        later(&|word| word.by = 4_711),
        later(&|word| word.by = 8_388_608),
        later(&|word| word.key.inner = 7),
        later(&|word| word.key.mac = nsdb::Mac(BROADCAST)),
        later(&|word| word.key.mac = nsdb::Mac([0; 6])),
    ];
    for (word, at) in wrong.into_iter().zip(0..) {
        let mut cluster = spoken_at_home();
        // Whose name it is said in would take it back.
        cluster.cut_off("cn1", true, false);
        cluster.feed.repeat(&[word]);
        cluster.settle();
        let mac = word.key.mac.0;
        let found = known(&mut cluster, "cn2", mac).filter(|_| word.key.inner == 0);
        assert_eq!(found, None, "{at}");
        assert_eq!(cluster.reached("c8", &bare(PHYS, [2, 0, 0, 0, 0, 0x77])), ["a8", "b8", "d8", "leaf1"]);
    }
    let mut twin = later(&|_| {});
    twin.key.mac = nsdb::Mac([2, 0, 0, 0, 0, 0x77]);
    cluster.cut_off("cn1", true, false);
    cluster.feed.repeat(&[twin]);
    cluster.settle();
    assert_eq!(known(&mut cluster, "cn2", [2, 0, 0, 0, 0, 0x77]), is("host cn1", "remote"));
}

#[test]
fn a_word_does_not_move_a_declared_address_and_one_that_moves_too_often_is_held() {
    let declared = ports(&[("m8", "vub8", "cn1", "macs = [\"02:00:00:00:00:07\"]")]);
    let mut cluster = start(&(three() + &declared));
    let mac = [2, 0, 0, 0, 0, 7];
    cluster.reached("a8", &bare(VM1, BROADCAST));
    let mut word = words(&cluster, 8008, VM1)[0];
    (word.key.mac, word.owner, word.mobility) = (nsdb::Mac(mac), nsdb::HostId(3), nsdb::Mobility(9));
    cluster.feed.repeat(&[word]);
    cluster.settle();
    assert_eq!(known(&mut cluster, "cn1", mac), is("m8", "declared"));
    assert_eq!(known(&mut cluster, "cn2", mac), is("host cn1", "declared"));
    for round in 0..4 {
        cluster.pass(Duration::from_secs(3));
        cluster.reached(if round % 2 == 0 { "c8" } else { "a8" }, &bare(VM1, BROADCAST));
    }
    cluster.pass(Duration::from_secs(3));
    cluster.reached("c8", &bare(VM1, BROADCAST));
    let said = cluster.feed.log(8008).len();
    for _ in 0..20 {
        cluster.pass(Duration::from_secs(1));
        cluster.reached("a8", &bare(VM1, BROADCAST));
        cluster.reached("c8", &bare(VM1, BROADCAST));
    }
    assert!(cluster.feed.log(8008).len() <= said + 6, "{} words", cluster.feed.log(8008).len() - said);
    // The one where it was seen once too often holds it where it was longest, and drops its frames.
    assert_eq!(known(&mut cluster, "cn2", VM1), is("host cn1", "frozen"));
    assert_eq!(known(&mut cluster, "gw1", VM1), is("host cn1", "remote"));
    assert_eq!(known(&mut cluster, "cn1", VM1), is("a8", "dynamic"));
    // What it has refused to hear meanwhile holds when the address may move again. Whose name it is said in would take it
    // back, and who has the address would say so.
    ["gw1", "cn1"].into_iter().for_each(|host| cluster.cut_off(host, true, false));
    let word = words(&cluster, 8008, VM1).pop().unwrap();
    let mobility = nsdb::Mobility(word.mobility.0 + 9);
    let (owner, presence) = (nsdb::HostId(3), Presence::Present);
    cluster.feed.repeat(&[AddressRecord { owner, mobility, presence, ..word }]);
    cluster.settle();
    assert_eq!(known(&mut cluster, "cn2", VM1), is("host cn1", "frozen"));
    cluster.pass(Duration::from_secs(310));
    assert_eq!(known(&mut cluster, "cn2", VM1), is("host gw1", "remote"));
}

#[test]
fn a_store_that_takes_no_words_is_told_once_and_told_of_again_when_it_does() {
    let mut cluster = start(&three());
    cluster.pass(Duration::from_secs(1));
    cluster.cut_off("cn1", true, false);
    cluster.reached("a8", &bare(VM1, BROADCAST));
    cluster.pass(Duration::from_secs(5));
    let view = feed(&mut cluster, "cn1");
    assert_eq!((view.unsaid, view.refused.as_deref()), (1, Some("the store is away")));
    cluster.cut_off("cn1", false, false);
    cluster.pass(Duration::from_secs(1));
    let told: Vec<&Event> = cluster.host("cn1").events.iter().filter(|event| is_told(event)).collect();
    assert!(matches!(told[..], [Event::AddressesUntold { .. }, Event::AddressesTold]), "{told:?}");
    assert_eq!(known(&mut cluster, "cn2", VM1), is("host cn1", "remote"));
}

fn is_told(event: &Event) -> bool {
    matches!(event, Event::AddressesUntold { .. } | Event::AddressesTold)
}
