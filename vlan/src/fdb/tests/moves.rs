//! Moves: followed, damped, refused, claimed.

use super::*;
use crate::fdb::declare::Claim;

#[test]
fn an_undeclared_address_moves_at_once_and_back() {
    let mut fdb = Fdb::new();
    assert_eq!(fdb.learn(at(0), learn(mac(1), port(1))), NEW);
    assert_eq!(fdb.learn(at(5), learn(mac(1), fabric(0, 8))), moved(port(1)));
    assert_eq!(fdb.learn(at(5), learn(mac(1), port(1))), moved(fabric(0, 8)));
    let entry = fdb.entry(at(5), segment(1), mac(1)).unwrap();
    assert_eq!((entry.location, entry.mobility, entry.learned), (port(1), 2, at(5)));
    assert_eq!((fdb.count(Slot::Port(PortId(1))), fdb.count(Slot::Fabric(FabricId(0)))), (1, 0));
}

#[test]
fn the_fifth_move_freezes_an_address_where_it_was_longest() {
    let mut fdb = Fdb::new();
    fdb.learn(at(0), learn(mac(1), port(1)));
    let fifth = flap(&mut fdb, 100, 5, [port(1), fabric(0, 8)]);
    let until = at(405);
    let (home, seen) = (port(1), fabric(0, 8));
    assert_eq!(fifth, Learned::Frozen { at: home, from: port(1), seen, until, evicted: None });
    assert_eq!(fifth.refusal(), Some(DropReason::Frozen));
    let again = fdb.learn(at(106), learn(mac(1), seen));
    assert_eq!(again, Learned::Refused(Refused::Frozen { at: home, until }));
    assert_eq!(again.refusal(), Some(DropReason::Frozen));
    assert_eq!(fdb.learn(at(107), learn(mac(1), home)), Learned::Refreshed);
    let aged = fdb.age(at(405), 10);
    assert_eq!((aged.thawed, aged.expired), (vec![(segment(1), mac(1))], vec![]));
    assert_eq!(fdb.learn(at(406), learn(mac(1), seen)), moved(home));
    assert_eq!((fdb.counters().frozen, fdb.counters().thawed), (1, 1));
}

#[test]
fn a_freeze_may_bring_an_address_back_to_where_it_was_before() {
    let mut fdb = Fdb::new();
    fdb.learn(at(0), learn(mac(1), port(1)));
    for (i, place) in [port(2), port(3), port(2), port(3)].into_iter().enumerate() {
        fdb.learn(at(100 + i as u64), learn(mac(1), place));
    }
    let fifth = fdb.learn(at(104), learn(mac(1), port(2)));
    let Learned::Frozen { at: home, from, .. } = fifth else { panic!("{fifth:?}") };
    assert_eq!((home, from), (port(1), port(3)));
    assert_eq!(fdb.find(at(105), segment(1), mac(1)), Some(port(1)));
    assert_eq!((fdb.count(Slot::Port(PortId(1))), fdb.count(Slot::Port(PortId(3)))), (1, 0));
}

#[test]
fn a_frozen_address_outlives_its_age_but_not_its_freeze() {
    let mut fdb = Fdb::new();
    let short = |place| {
        let mut short = learn(mac(1), place);
        short.policy.ageing = Duration::from_secs(10);
        short
    };
    for i in 0..6 {
        fdb.learn(at(i), short(port(1 + i as u32 % 2)));
    }
    assert_eq!(fdb.age(at(304), 10).expired, []);
    assert!(fdb.find(at(304), segment(1), mac(1)).is_some());
    assert_eq!(fdb.find(at(305), segment(1), mac(1)), None);
    let aged = fdb.age(at(305), 10);
    assert_eq!((aged.thawed.len(), aged.expired.len(), fdb.len()), (1, 1, 0));
}

#[test]
fn moves_that_are_long_past_do_not_count() {
    let mut fdb = Fdb::new();
    flap(&mut fdb, 0, 4, [port(1), port(2)]);
    assert_eq!(fdb.learn(at(182), learn(mac(1), port(2))), moved(port(1)), "the move at 1 s is over");
    assert_eq!(fdb.counters().frozen, 0);
    let sixth = fdb.learn(at(182), learn(mac(1), port(1)));
    assert!(matches!(sixth, Learned::Frozen { .. }), "of 2, 3, 4, 182 and 182 s the last is the fifth");
}

#[test]
fn moves_within_a_trunk_group_are_no_moves() {
    let mut fdb = Fdb::new();
    let last = flap(&mut fdb, 0, 20, [fabric(0, 5), fabric(0, 6)]);
    assert_eq!(last, moved(fabric(0, 6)));
    assert_eq!(fdb.entry(at(20), segment(1), mac(1)).unwrap().mobility, 0);
}

#[test]
fn a_port_that_goes_down_ends_its_freezes() {
    let mut fdb = Fdb::new();
    flap(&mut fdb, 0, 5, [port(1), port(2)]);
    let frozen = fdb.entry(at(6), segment(1), mac(1)).unwrap();
    assert!(frozen.frozen_until.is_some());
    let Location::Port { port: home, .. } = frozen.location else { panic!("{frozen:?}") };
    assert_eq!(fdb.flush_port(home), [gone(mac(1), frozen.location)]);
    assert_eq!((fdb.len(), fdb.next_due(), fdb.count(Slot::Port(home))), (0, None, 0));
    assert_eq!(fdb.learn(at(7), learn(mac(1), port(3))), NEW);
}

#[test]
fn a_port_that_went_down_is_no_home() {
    let mut fdb = Fdb::new();
    fdb.learn(at(0), learn(mac(1), port(1)));
    fdb.learn(at(100), learn(mac(1), port(2)));
    fdb.flush_port(PortId(1));
    let fifth = flap(&mut fdb, 101, 5, [port(2), port(3)]);
    assert!(matches!(fifth, Learned::Frozen { .. }), "{fifth:?}");
    assert_eq!(fdb.find(at(110), segment(1), mac(1)), Some(port(2)), "not at port 1, where it was longest");
}

#[test]
fn an_operator_may_thaw() {
    let mut fdb = Fdb::new();
    flap(&mut fdb, 0, 5, [port(1), port(2)]);
    assert!(fdb.thaw(segment(1), mac(1)));
    assert!(!fdb.thaw(segment(1), mac(1)) && !fdb.thaw(segment(1), mac(2)));
    assert!(matches!(fdb.learn(at(6), learn(mac(1), port(3))), Learned::Moved { .. }));
}

#[test]
fn our_own_frame_that_comes_back_is_no_move() {
    let mut fdb = Fdb::new();
    fdb.learn(at(0), learn(mac(1), port(1)));
    fdb.note_sent(at(10), segment(1), mac(1), FabricId(0));
    let back = fdb.learn(at(11), learn(mac(1), fabric(0, 8)));
    assert_eq!(back, Learned::Refused(Refused::Reflected { at: port(1) }));
    assert_eq!(back.refusal(), Some(DropReason::Reflected));
    let later = Instant::from_millis(11_001);
    assert_eq!(fdb.learn(later, learn(mac(1), fabric(0, 8))), moved(port(1)));
}

#[test]
fn only_what_we_sent_into_that_fabric_and_segment_is_reflected() {
    let mut fdb = Fdb::new();
    fdb.learn(at(0), learn(mac(1), fabric(0, 8)));
    fdb.note_sent(at(12), segment(1), mac(1), FabricId(0));
    assert_eq!(fdb.learn(at(12), learn(mac(1), fabric(0, 8))), Learned::Refreshed, "it is the fabric's");
    assert_eq!(fdb.learn(at(12), learn(mac(1), port(1))), moved(fabric(0, 8)));
    assert_eq!(fdb.learn(at(12), learn(mac(1), port(2))), moved(port(1)), "no fabric");
    assert_eq!(fdb.learn(at(12), learn(mac(1), fabric(1, 8))), moved(port(2)), "another fabric");
    fdb.note_sent(at(13), segment(2), mac(2), FabricId(0));
    fdb.learn(at(13), learn(mac(2), port(1)));
    assert_eq!(fdb.learn(at(13), learn(mac(2), fabric(0, 8))), moved(port(1)), "another segment");
}

#[test]
fn a_declared_address_that_comes_back_is_reported_as_reflected() {
    let mut fdb = Fdb::new();
    fdb.declare(segment(1), mac(1), host(2));
    fdb.note_sent(at(1), segment(1), mac(1), FabricId(0));
    let back = fdb.learn(at(1), learn(mac(1), fabric(0, 8)));
    assert_eq!(back, Learned::Refused(Refused::Reflected { at: host(2) }));
}

fn address(i: u32) -> MacAddr {
    let [a, b, c, d] = i.to_be_bytes();
    MacAddr([2, 0, a, b, c, d])
}

fn comes_back(fdb: &mut Fdb, now: Instant, i: u32) -> bool {
    fdb.learn(now, learn(address(i), port(1)));
    let back = fdb.learn(now, learn(address(i), fabric(0, 8)));
    matches!(back, Learned::Refused(Refused::Reflected { .. }))
}

#[test]
fn what_was_sent_is_remembered_for_a_second_however_the_notes_come() {
    let mut fdb = Fdb::new();
    for i in 0..40 {
        fdb.note_sent(Instant::from_millis(u64::from(i) * 100), segment(1), address(i), FabricId(0));
    }
    let now = Instant::from_millis(3_950);
    let remembered: Vec<u32> = (0..40).filter(|i| comes_back(&mut fdb, now, *i)).collect();
    assert_eq!(remembered, (30..40).collect::<Vec<u32>>());
}

#[test]
fn what_was_sent_is_remembered_within_bounds() {
    let mut fdb = Fdb::new();
    for i in 0..200_000 {
        fdb.note_sent(at(10), segment(1), address(i), FabricId(0));
    }
    assert!(fdb.sent.len() <= 131_072, "{}", fdb.sent.len());
    let last = [199_999, 199_999 - 65_535];
    assert!(last.into_iter().all(|i| comes_back(&mut fdb, at(10), i)));
}

fn claim(host: u32, mobility: u64) -> Claim {
    Claim { segment: segment(1), mac: mac(1), host: HostId(host), mobility, own: HostId(5) }
}

#[test]
fn the_later_claim_wins_and_between_equals_the_lower_host() {
    let mut fdb = Fdb::new();
    assert_eq!(fdb.claim(at(0), claim(7, 3)), NEW);
    assert_eq!(fdb.claim(at(1), claim(8, 3)), Learned::Refused(Refused::Stale { at: host(7) }));
    assert_eq!(fdb.claim(at(1), claim(6, 3)), moved(host(7)));
    assert_eq!(fdb.claim(at(2), claim(8, 4)), moved(host(6)));
    assert_eq!(fdb.learn(at(3), learn(mac(1), port(1))), moved(host(8)), "heard here: known + 1");
    assert_eq!(fdb.entry(at(3), segment(1), mac(1)).unwrap().mobility, 5);
    assert_eq!(fdb.claim(at(4), claim(9, 5)), Learned::Refused(Refused::Stale { at: port(1) }));
    assert_eq!(fdb.claim(at(200), claim(4, 5)), moved(port(1)), "host 4 is lower than ours, 5");
    let entry = fdb.entry(at(1_000_000), segment(1), mac(1)).unwrap();
    assert_eq!((entry.kind, entry.mobility), (Kind::Remote, 5));
    assert_eq!(fdb.withdraw(segment(1), mac(1), HostId(8)), None);
    assert_eq!(fdb.withdraw(segment(1), mac(1), HostId(4)), Some(gone(mac(1), host(4))));
}

#[test]
fn claims_are_damped_pinned_and_flushed() {
    let mut fdb = Fdb::new();
    for i in 0..5 {
        fdb.claim(at(i), claim(7 + i as u32 % 2, i));
    }
    let fifth = fdb.claim(at(5), claim(8, 5));
    assert_eq!(fifth.refusal(), Some(DropReason::Frozen), "{fifth:?}");
    let frozen = fdb.entry(at(5), segment(1), mac(1)).unwrap();
    assert_eq!((frozen.kind, frozen.location, frozen.mobility), (Kind::Remote, host(7), 5));
    assert_eq!(fdb.flush_host(HostId(7)), [gone(mac(1), host(7))]);
    fdb.declare(segment(1), mac(1), port(1));
    assert_eq!(fdb.claim(at(6), claim(1, 9)), Learned::Refused(Refused::Pinned { at: port(1) }));
}
