//! What other hosts say, and what their frames hint at.

use super::*;
use crate::fdb::HINT;
use crate::fdb::word::Word;

fn word(location: Location) -> Word {
    Word { segment: segment(1), mac: mac(1), location }
}

#[test]
fn a_word_is_believed_and_stays_until_it_is_taken_back() {
    let mut fdb = Fdb::new();
    assert_eq!(fdb.believe(at(0), word(host(7))), NEW);
    assert_eq!(fdb.believe(at(1), word(host(6))), moved(host(7)));
    assert_eq!(fdb.learn(at(3), learn(mac(1), port(1))), moved(host(6)));
    assert_eq!(fdb.believe(at(4), word(host(4))), moved(port(1)));
    let entry = fdb.addresses.entry(at(1_000_000), segment(1), mac(1)).unwrap();
    assert_eq!((entry.kind, entry.location, entry.mobility), (Kind::Remote, host(4), 3));
    assert_eq!(fdb.addresses.withdraw(segment(1), mac(1), host(6)), None);
    assert_eq!(fdb.addresses.withdraw(segment(1), mac(1), host(4)), Some(gone(mac(1), host(4))));
}

#[test]
fn what_is_heard_where_a_word_puts_it_is_this_hosts_own_from_then_on() {
    let mut fdb = Fdb::new();
    fdb.believe(at(0), word(fabric(0, 8)));
    let hint = Learn { is_hint: true, ..learn(mac(1), fabric(0, 8)) };
    assert_eq!(fdb.learn(at(1), hint), Learned::Refreshed);
    assert_eq!(fdb.addresses.entry(at(1), segment(1), mac(1)).unwrap().kind, Kind::Remote);
    assert_eq!(fdb.learn(at(2), learn(mac(1), fabric(0, 8))), Learned::Refreshed);
    let entry = fdb.addresses.entry(at(2), segment(1), mac(1)).unwrap();
    assert_eq!((entry.kind, entry.learned), (Kind::Dynamic, at(0)));
    assert_eq!(fdb.addresses.count(Slot::Fabric(FabricId(0))), 1);
    assert_eq!(fdb.believe(at(3), word(fabric(0, 8))), Learned::Refreshed);
    assert_eq!(fdb.addresses.entry(at(9_999), segment(1), mac(1)).unwrap().kind, Kind::Remote);
    assert_eq!(fdb.addresses.count(Slot::Fabric(FabricId(0))), 0);
}

#[test]
fn a_hint_is_forgotten_soon_and_none_leads_back_where_the_address_was_a_moment_ago() {
    let mut fdb = Fdb::new();
    let policy = LearnPolicy { ageing: HINT, ..learn(mac(1), host(7)).policy };
    let hint = |location| Learn { is_hint: true, policy, ..learn(mac(1), location) };
    assert_eq!(fdb.learn(at(0), hint(host(7))), NEW);
    assert_eq!(fdb.learn(at(5), hint(host(8))), moved(host(7)));
    let late = fdb.learn(at(5), hint(host(7)));
    assert_eq!(late, Learned::NotLearned(NotLearned::JustLeft));
    assert_eq!((late.refusal(), fdb.addresses.find(at(5), segment(1), mac(1))), (None, Some(host(8))));
    assert_eq!(fdb.learn(at(6), hint(host(7))), moved(host(8)));
    assert_eq!(fdb.addresses.find(at(17), segment(1), mac(1)), None);
    // What is heard here is no hint, and a hint makes it no younger.
    assert_eq!(fdb.learn(at(20), learn(mac(1), fabric(0, 8))), NEW);
    assert_eq!(fdb.learn(at(21), hint(fabric(0, 8))), Learned::Refreshed);
    assert_eq!(fdb.addresses.find(at(300), segment(1), mac(1)), Some(fabric(0, 8)));
}

#[test]
fn words_are_damped_pinned_and_flushed() {
    let mut fdb = Fdb::new();
    for i in 0..5 {
        fdb.believe(at(i), word(host(7 + i as u32 % 2)));
    }
    let fifth = fdb.believe(at(5), word(host(8)));
    assert_eq!(fifth.refusal(), Some(DropReason::Frozen), "{fifth:?}");
    let frozen = fdb.addresses.entry(at(5), segment(1), mac(1)).unwrap();
    assert_eq!((frozen.kind, frozen.location), (Kind::Remote, host(7)));
    assert_eq!(fdb.believe(at(6), word(host(7))), Learned::Refreshed);
    assert!(fdb.addresses.entry(at(6), segment(1), mac(1)).unwrap().frozen_until.is_some());
    assert_eq!(fdb.addresses.flush_host(HostId(7)), [gone(mac(1), host(7))]);
    fdb.addresses.declare(segment(1), mac(1), port(1));
    assert_eq!(fdb.believe(at(6), word(host(1))), Learned::Refused(Refused::Pinned { at: port(1) }));
}

#[test]
fn a_host_that_sends_ever_new_sources_is_believed_a_thousand_a_second() {
    let mut fdb = Fdb::new();
    let numbered = |number: u16| MacAddr([2, 0, 0, 9, number.to_be_bytes()[0], number.to_be_bytes()[1]]);
    let policy = LearnPolicy { limit: 10_000, ..learn(mac(1), host(7)).policy };
    let hint = |number, location| Learn { is_hint: true, policy, ..learn(numbered(number), location) };
    let heard = |fdb: &mut Fdb, now, location| {
        (0..1_500).filter(|number| fdb.learn(now, hint(*number, location)) == NEW).count()
    };
    assert_eq!(heard(&mut fdb, at(1), host(7)), 1_000);
    let refused = fdb.learn(at(1), hint(1_400, host(7)));
    assert_eq!(refused, Learned::NotLearned(NotLearned::TooManyHints));
    assert_eq!(refused.refusal(), None, "its frame goes on");
    // What is known is refreshed, other places have their own share, and words have no such limit.
    assert_eq!(fdb.learn(at(1), hint(3, host(7))), Learned::Refreshed);
    assert_eq!(fdb.learn(at(1), hint(1_400, host(8))), NEW);
    assert_eq!(fdb.learn(at(1), Learn { is_hint: false, ..hint(1_401, port(1)) }), NEW);
    assert!(fdb.believe(at(1), Word { mac: numbered(1_402), ..word(host(7)) }).is_change());
    assert_eq!(heard(&mut fdb, at(2), host(7)), 497, "all that are left, within the next second's share");
}
