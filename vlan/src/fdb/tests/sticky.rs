//! Addresses that stick to the port where they were heard.

use super::*;
use crate::fdb::word::Word;

fn at_sticky(last: u8) -> Learn {
    let mut learn = limited(mac(last), port(1), 2, OnLimit::Drop);
    learn.policy.ageing = Duration::ZERO;
    learn
}

fn sticky() -> Fdb {
    let mut fdb = Fdb::new();
    fdb.set_sticky([PortId(1)].into());
    fdb.learn(at(0), at_sticky(1));
    fdb.learn(at(0), at_sticky(2));
    fdb
}

#[test]
fn the_first_ones_stay_and_further_ones_are_refused() {
    let mut fdb = sticky();
    assert_eq!(fdb.addresses.age(at(1_000_000), 9).expired, []);
    assert_eq!(fdb.learn(at(1_000_000), at_sticky(3)), Learned::Refused(Refused::AtLimitDrop));
    assert_eq!(fdb.learn(at(1_000_000), at_sticky(1)), Learned::Refreshed);
}

#[test]
fn one_that_sticks_moves_nowhere_however_often_it_is_heard_elsewhere() {
    let mut fdb = sticky();
    let pinned = Learned::Refused(Refused::Pinned { at: port(1) });
    for second in 1..20 {
        assert_eq!(fdb.learn(at(second), learn(mac(1), port(2))), pinned);
    }
    let word = Word { segment: segment(1), mac: mac(1), location: host(3) };
    assert_eq!(fdb.believe(at(20), word), pinned);
    assert_eq!(fdb.keeps_out(at(20), segment(1), mac(1), port(2)), Some(Refused::Pinned { at: port(1) }));
    assert_eq!(fdb.keeps_out(at(20), segment(1), mac(1), port(1)), None);
}

#[test]
fn one_that_is_known_elsewhere_comes_only_when_it_is_known_no_longer() {
    let mut fdb = Fdb::new();
    fdb.set_sticky([PortId(1)].into());
    fdb.learn(at(0), learn(mac(1), port(2)));
    let refused = fdb.learn(at(1), at_sticky(1));
    assert_eq!(refused, Learned::Refused(Refused::Elsewhere { at: port(2) }));
    assert_eq!(refused.refusal(), Some(DropReason::Sticky));
    assert_eq!(fdb.addresses.find(at(1), segment(1), mac(1)), Some(port(2)));
    assert_eq!(fdb.learn(at(301), at_sticky(1)), Learned::New { evicted: None });
}

#[test]
fn a_flush_lifts_it_and_so_does_a_port_that_is_sticky_no_longer() {
    let mut fdb = sticky();
    assert_eq!(fdb.addresses.flush(Slot::Port(PortId(1))).len(), 2);
    assert_eq!(fdb.learn(at(1), at_sticky(3)), Learned::New { evicted: None });
    fdb.set_sticky([].into());
    let moved = fdb.learn(at(2), learn(mac(3), port(2)));
    assert_eq!(moved, Learned::Moved { from: port(1), evicted: None });
}

#[test]
fn what_sticks_is_saved_and_sticks_again() {
    let mut fdb = sticky();
    let saved: Vec<_> = fdb.addresses.save(at(5_000)).collect();
    fdb = Fdb::new();
    fdb.set_sticky([PortId(1)].into());
    assert_eq!(fdb.addresses.restore(at(1), saved, |_| Some(at_sticky(1).policy)), 2);
    assert_eq!(fdb.learn(at(2), at_sticky(3)), Learned::Refused(Refused::AtLimitDrop));
    let pinned = Learned::Refused(Refused::Pinned { at: port(1) });
    assert_eq!(fdb.learn(at(9_000), learn(mac(2), port(2))), pinned);
}

#[test]
fn it_sticks_under_other_identifiers_and_a_lowered_number_lets_the_oldest_go() {
    let mut fdb = sticky();
    fdb.learn(at(3), at_sticky(2));
    assert_eq!(fdb.addresses.remap(|segment, _| Some((segment, port(7)))), 0);
    fdb.set_sticky([PortId(7)].into());
    let pinned = Learned::Refused(Refused::Pinned { at: port(7) });
    assert_eq!(fdb.learn(at(9_000), learn(mac(1), port(1))), pinned);
    assert_eq!(fdb.addresses.trim(Slot::Port(PortId(7)), 1), [gone(mac(1), port(7))]);
}

#[test]
fn an_address_that_was_there_before_is_not_sent_back_by_a_freeze() {
    let mut fdb = Fdb::new();
    fdb.learn(at(0), learn(mac(9), port(1)));
    fdb.learn(at(5_000), learn(mac(9), port(2)));
    fdb.set_sticky([PortId(1)].into());
    fdb.learn(at(5_000), at_sticky(1));
    fdb.learn(at(5_000), at_sticky(2));
    let mut frozen = None;
    for second in 5_001..5_010 {
        if let Learned::Frozen { at, .. } =
            fdb.learn(at(second), learn(mac(9), port(2 + (second % 2) as u32)))
        {
            frozen = frozen.or(Some(at));
        }
    }
    assert!(frozen.is_some_and(|at| at != port(1)), "{frozen:?}");
    assert_eq!(fdb.addresses.count(Slot::Port(PortId(1))), 2);
}

#[test]
fn from_one_vlan_of_its_port_to_another_it_goes_as_it_likes() {
    let mut fdb = sticky();
    let other = Location::Port { port: PortId(1), vid: Vid::new(9) };
    let there = Learn { location: other, ..at_sticky(1) };
    assert_eq!(fdb.learn(at(1), there), Learned::Moved { from: port(1), evicted: None });
    assert_eq!(fdb.keeps_out(at(1), segment(1), mac(1), port(1)), None);
    assert_eq!(fdb.addresses.count(Slot::Port(PortId(1))), 2);
    let pinned = Learned::Refused(Refused::Pinned { at: other });
    assert_eq!(fdb.learn(at(2), learn(mac(1), port(2))), pinned);
}

#[test]
fn what_is_known_nowhere_is_kept_out_of_a_full_port_until_it_has_room() {
    let mut fdb = sticky();
    let kept_out = |fdb: &Fdb| fdb.keeps_out(at(1), segment(1), mac(9), port(1));
    assert!(fdb.is_stuck_full(PortId(1)));
    assert_eq!(kept_out(&fdb), Some(Refused::AtLimitDrop));
    // A number that was raised holds before anybody is heard.
    assert_eq!(fdb.addresses.trim(Slot::Port(PortId(1)), 3), []);
    assert_eq!(kept_out(&fdb), None);
    assert_eq!(fdb.addresses.trim(Slot::Port(PortId(1)), 2), []);
    assert_eq!(kept_out(&fdb), Some(Refused::AtLimitDrop));
    fdb.set_sticky([].into());
    assert_eq!(kept_out(&fdb), None);
}
