//! How many addresses a slot has, and which one goes.

use super::*;

#[test]
fn a_full_slot_gives_up_its_own_oldest() {
    let mut fdb = Fdb::new();
    fdb.learn(at(0), learn(mac(9), port(2)));
    for i in 0..3 {
        fdb.learn(at(1 + u64::from(i)), limited(mac(i), port(1), 3, OnLimit::Evict));
    }
    fdb.learn(at(10), limited(mac(0), port(1), 3, OnLimit::Evict));
    let learned = fdb.learn(at(11), limited(mac(3), port(1), 3, OnLimit::Evict));
    assert_eq!(learned, Learned::New { evicted: Some(gone(mac(1), port(1))) });
    assert_eq!(fdb.addresses.find(at(11), segment(1), mac(9)), Some(port(2)), "another port's stays");
    assert_eq!((fdb.addresses.count(Slot::Port(PortId(1))), fdb.addresses.ends().evicted), (3, 1));
}

#[test]
fn a_full_slot_prefers_what_is_past_its_age_to_what_was_heard_earlier() {
    let mut fdb = Fdb::new();
    fdb.learn(at(0), limited(mac(1), port(1), 2, OnLimit::Drop));
    let mut short = limited(mac(2), port(1), 2, OnLimit::Drop);
    short.policy.ageing = Duration::from_secs(10);
    fdb.learn(at(5), short);
    let learned = fdb.learn(at(16), limited(mac(3), port(1), 2, OnLimit::Evict));
    assert_eq!(learned, Learned::New { evicted: Some(gone(mac(2), port(1))) });
    assert_eq!((fdb.addresses.ends().expired, fdb.addresses.ends().evicted), (1, 0));
}

#[test]
fn a_slot_that_drops_takes_none_but_in_place_of_one_past_its_age() {
    let mut fdb = Fdb::new();
    let mut short = limited(mac(2), port(1), 2, OnLimit::Drop);
    short.policy.ageing = Duration::from_secs(10);
    fdb.learn(at(0), limited(mac(1), port(1), 2, OnLimit::Drop));
    fdb.learn(at(5), short);
    let full = limited(mac(3), port(1), 2, OnLimit::Drop);
    assert_eq!(fdb.learn(at(15), full), Learned::Refused(Refused::AtLimitDrop));
    assert_eq!(fdb.learn(at(16), full).evicted(), Some(gone(mac(2), port(1))));
}

#[test]
fn a_full_slot_drops_or_floods_when_told_to() {
    let mut fdb = Fdb::new();
    fdb.learn(at(0), learn(mac(7), port(2)));
    fdb.learn(at(0), limited(mac(1), port(1), 1, OnLimit::Drop));
    let dropped = fdb.learn(at(1), limited(mac(7), port(1), 1, OnLimit::Drop));
    assert_eq!(dropped.refusal(), Some(DropReason::AddressLimit));
    assert_eq!(
        fdb.addresses.find(at(1), segment(1), mac(7)),
        Some(port(2)),
        "a dropped frame changes nothing"
    );
    let flooded = fdb.learn(at(1), limited(mac(2), port(1), 1, OnLimit::Flood));
    assert_eq!((flooded.refusal(), flooded.is_change()), (None, false));
    let left = fdb.learn(at(1), limited(mac(7), port(1), 1, OnLimit::Flood));
    assert_eq!(left, Learned::NotLearned(NotLearned::AtLimit { forgotten: Some(port(2)) }));
    assert_eq!((left.is_change(), fdb.addresses.find(at(1), segment(1), mac(7))), (true, None));
}

#[test]
fn a_limit_of_none_learns_nothing_and_a_lowered_one_is_trimmed() {
    let mut fdb = Fdb::new();
    let none = fdb.learn(at(0), limited(mac(1), port(1), 0, OnLimit::Evict));
    assert_eq!(none, Learned::NotLearned(NotLearned::AtLimit { forgotten: None }));
    for i in 0..5 {
        fdb.learn(at(u64::from(i)), learn(mac(i), port(1)));
    }
    let slot = Slot::Port(PortId(1));
    let trimmed: Vec<_> = fdb.addresses.trim(slot, 2).iter().map(|gone| gone.mac).collect();
    assert_eq!((trimmed, fdb.addresses.count(slot)), (vec![mac(0), mac(1), mac(2)], 2));
}

#[test]
fn hits_that_were_not_sorted_in_yet_delay_the_right_order_but_not_the_frame() {
    let mut fdb = Fdb::new();
    let slot_full_of = |mac| limited(mac, port(1), 200, OnLimit::Evict);
    for i in 0..200 {
        fdb.learn(at(0), slot_full_of(mac(i)));
    }
    // The later in the queue, the longer ago it was heard.
    for i in 0..200 {
        fdb.addresses.touch(at(250), segment(1), mac(i), at(240 - u64::from(i)));
    }
    let newcomer = |i| slot_full_of(MacAddr([2, 0, 0, 0, 0, i]));
    let first = fdb.learn(at(250), newcomer(0)).evicted().unwrap();
    assert_eq!(first.mac, mac(31), "the oldest of the 32 that one eviction looks at");
    for i in 1..6 {
        fdb.learn(at(250), newcomer(i));
    }
    let later = fdb.learn(at(250), newcomer(6)).evicted().unwrap();
    assert!(later.mac >= mac(190), "by now the oldest of all goes: {}", later.mac);
    assert_eq!(fdb.addresses.count(Slot::Port(PortId(1))), 200);
}

#[test]
fn an_address_that_is_heard_from_another_host_counts_there() {
    let mut fdb = Fdb::new();
    let mut far = limited(mac(1), host(3), 1, OnLimit::Evict);
    let slot = Slot::Host(HostId(3));
    assert_eq!(fdb.learn(at(0), far), NEW);
    assert_eq!(
        fdb.learn(at(0), Learn { mac: mac(9), location: host(4), ..far }),
        NEW,
        "each host for itself"
    );
    assert_eq!(fdb.addresses.count(slot), 1);
    far.mac = mac(2);
    assert_eq!(fdb.learn(at(1), far).evicted(), Some(gone(mac(1), host(3))));
    assert_eq!(fdb.addresses.flush(slot), [gone(mac(2), host(3))]);
}

#[test]
fn a_frozen_address_that_returns_to_a_full_slot_stays_within_its_limit() {
    let mut fdb = Fdb::new();
    fdb.learn(at(0), limited(mac(1), port(1), 1, OnLimit::Drop));
    for (i, place) in [port(2), port(3), port(2), port(3)].into_iter().enumerate() {
        fdb.learn(at(100 + i as u64), learn(mac(1), place));
    }
    fdb.learn(at(104), limited(mac(2), port(1), 1, OnLimit::Drop));
    let fifth = fdb.learn(at(105), learn(mac(1), port(2)));
    assert_eq!(fifth.evicted(), Some(gone(mac(2), port(1))));
    assert_eq!(fdb.addresses.count(Slot::Port(PortId(1))), 1);
    // Now the slot holds a frozen address only, which is no one's to evict.
    let full = fdb.learn(at(106), limited(mac(3), port(1), 1, OnLimit::Evict));
    assert_eq!(full, Learned::NotLearned(NotLearned::AtLimit { forgotten: None }));
}
