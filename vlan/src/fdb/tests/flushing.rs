//! Many addresses at once: flushes, new topologies, restarts.

use super::*;
use crate::fdb::saved::Saved;

#[test]
fn flushes_take_what_they_name() {
    let mut fdb = Fdb::new();
    fdb.learn(at(0), learn(mac(1), port(1)));
    fdb.learn(at(0), learn(mac(2), fabric(0, 8)));
    fdb.learn(at(0), learn(mac(3), fabric(1, 8)));
    fdb.learn(at(0), Learn { segment: segment(2), ..learn(mac(4), port(1)) });
    assert_eq!(fdb.addresses.flush(Slot::Fabric(FabricId(0))), [gone(mac(2), fabric(0, 8))]);
    assert_eq!(fdb.addresses.retain(|entry| entry.segment != segment(2)).len(), 1);
    assert_eq!(fdb.addresses.flush(Slot::Port(PortId(1))), [gone(mac(1), port(1))]);
    assert_eq!(fdb.addresses.retain(|entry| entry.mac != mac(3)).len(), 1);
    assert!(fdb.addresses.is_empty());
}

#[test]
fn one_address_is_forgotten_unless_it_is_held() {
    let mut fdb = Fdb::new();
    fdb.learn(at(0), learn(mac(1), port(1)));
    fdb.addresses.declare(segment(1), mac(2), port(1));
    fdb.learn(at(0), learn(mac(3), port(1)));
    flap(&mut fdb, 10, 9, [port(1), port(2)]);
    assert_eq!(fdb.addresses.forget(segment(1), mac(2)), None, "declared");
    assert_eq!(fdb.addresses.forget(segment(1), mac(9)), None, "unknown");
    assert_eq!(fdb.addresses.forget(segment(1), mac(3)), Some(gone(mac(3), port(1))));
    assert!(fdb.addresses.entry(at(20), segment(1), mac(1)).unwrap().frozen_until.is_some());
    assert_eq!(fdb.addresses.forget(segment(1), mac(1)), None, "frozen");
}

#[test]
fn a_new_topology_renames_addresses_even_crosswise() {
    let mut fdb = Fdb::new();
    fdb.learn(at(0), learn(mac(1), port(1)));
    fdb.learn(at(0), learn(mac(2), port(2)));
    fdb.learn(at(0), learn(mac(3), port(3)));
    fdb.learn(at(0), Learn { segment: segment(2), ..learn(mac(1), port(1)) });
    flap(&mut fdb, 10, 4, [port(1), port(2)]);
    let lost = fdb.addresses.remap(|on, location| match location {
        Location::Port { port: PortId(1), .. } => Some((segment(3 - on.number), port(2))),
        Location::Port { port: PortId(2), .. } => Some((segment(3 - on.number), port(1))),
        _ => None,
    });
    assert_eq!((lost, fdb.addresses.len()), (1, 3));
    assert_eq!(fdb.addresses.find(at(20), segment(2), mac(1)), Some(port(2)));
    assert_eq!(fdb.addresses.find(at(20), segment(1), mac(1)), Some(port(2)));
    assert_eq!(fdb.addresses.find(at(20), segment(2), mac(2)), Some(port(1)));
    assert_eq!(
        (fdb.addresses.count(Slot::Port(PortId(1))), fdb.addresses.count(Slot::Port(PortId(2)))),
        (1, 2)
    );
    // Its moves came along: the next one is the fifth.
    let fifth = fdb.learn(at(21), Learn { segment: segment(2), ..learn(mac(1), port(1)) });
    assert!(matches!(fifth, Learned::Frozen { .. }), "{fifth:?}");
    assert_eq!(fdb.addresses.remap(|segment, location| Some((segment, location))), 0);
    assert!(fdb.addresses.entry(at(22), segment(2), mac(1)).unwrap().frozen_until.is_some());
    let aged = fdb.addresses.age(at(2_000), 100);
    assert_eq!((aged.thawed.len(), aged.expired.len(), fdb.addresses.len()), (1, 3, 0));
}

#[test]
fn where_two_segments_become_one_the_declared_address_stays_else_the_later() {
    let mut fdb = Fdb::new();
    for (number, place, when) in [(1, port(1), 5), (2, port(2), 9), (3, port(3), 7)] {
        fdb.learn(at(when), Learn { segment: segment(number), ..learn(mac(1), place) });
    }
    fdb.addresses.declare(segment(1), mac(2), port(1));
    fdb.learn(at(9), Learn { segment: segment(2), ..learn(mac(2), port(2)) });
    assert_eq!(fdb.addresses.remap(|_, location| Some((segment(1), location))), 3);
    assert_eq!(fdb.addresses.find(at(10), segment(1), mac(1)), Some(port(2)));
    assert_eq!(fdb.addresses.find(at(10), segment(1), mac(2)), Some(port(1)));
    assert_eq!(fdb.addresses.count(Slot::Port(PortId(2))), 1);
}

#[test]
fn learned_addresses_survive_a_restart_with_their_ages() {
    let mut fdb = Fdb::new();
    fdb.addresses.declare(segment(1), mac(9), port(9));
    fdb.learn(at(100), learn(mac(1), port(1)));
    fdb.learn(at(150), learn(mac(1), port(2)));
    fdb.learn(at(200), learn(mac(2), port(2)));
    assert_eq!(fdb.addresses.save(at(460)).count(), 1, "one is past its age");

    let mut saved: Vec<_> = fdb.addresses.save(at(400)).collect();
    saved.push(Saved { idle: Duration::from_secs(301), mac: mac(8), ..saved[0] });
    let mut fdb = Fdb::new();
    fdb.learn(at(1_000), learn(mac(2), port(4)));
    let policy = learn(mac(1), port(1)).policy;
    assert_eq!(fdb.addresses.restore(at(1_000), saved, |_| Some(policy)), 1);
    assert_eq!(fdb.addresses.find(at(1_000), segment(1), mac(2)), Some(port(4)), "what is known is newer");
    let entry = fdb.addresses.entry(at(1_050), segment(1), mac(1)).unwrap();
    assert_eq!((entry.location, entry.used, entry.mobility), (port(2), at(750), 1));
    assert_eq!(fdb.addresses.find(at(1_051), segment(1), mac(1)), None);
}

#[test]
fn a_restart_forgets_an_address_when_a_running_daemon_does() {
    let heard = Instant::from_millis(1_400);
    let policy = learn(mac(1), port(1)).policy;
    let mut running = Fdb::new();
    running.learn(heard, learn(mac(1), port(1)));
    let idle_at = |now: Instant| {
        let mut saved = running.addresses.save(Instant::from_secs(2));
        saved.next().map(|one| Saved { idle: now.since(heard), ..one })
    };
    let (mut kept, mut gone) = (0, 0);
    for millis in (300_900..302_600).step_by(100) {
        let now = Instant::from_millis(millis);
        let mut restarted = Fdb::new();
        restarted.addresses.restore(now, idle_at(now), |_| Some(policy));
        let (one, other) = (&running.addresses, &restarted.addresses);
        let found = one.find(now, segment(1), mac(1));
        assert_eq!(other.find(now, segment(1), mac(1)), found, "at {millis} ms");
        assert_eq!(restarted.addresses.len(), usize::from(found.is_some()), "at {millis} ms");
        *if found.is_some() { &mut kept } else { &mut gone } += 1;
    }
    assert!(kept > 0 && gone > 0, "{kept} {gone}");
}

#[test]
fn restoring_keeps_to_limits_and_prefers_what_was_heard_last() {
    let mut fdb = Fdb::new();
    for i in 0..5 {
        fdb.learn(at(u64::from(i)), learn(mac(i), port(u32::from(i) % 2)));
    }
    let saved: Vec<_> = fdb.addresses.save(at(5)).collect();
    let mut fdb = Fdb::new();
    let policy = limited(mac(0), port(0), 2, OnLimit::Evict).policy;
    let restored = fdb.addresses.restore(at(10), saved, |one| (one.location == port(0)).then_some(policy));
    assert_eq!((restored, fdb.addresses.find(at(10), segment(1), mac(0))), (2, None));
    assert_eq!(fdb.addresses.find(at(10), segment(1), mac(4)), Some(port(0)));
}

#[test]
fn of_addresses_heard_at_once_the_same_are_restored_in_whatever_order_they_were_saved() {
    let mut fdb = Fdb::new();
    for i in 0..5 {
        fdb.learn(at(0), learn(mac(i), port(0)));
    }
    let mut saved: Vec<_> = fdb.addresses.save(at(5)).collect();
    let policy = limited(mac(0), port(0), 2, OnLimit::Evict).policy;
    for _ in 0..5 {
        saved.rotate_left(1);
        let mut fdb = Fdb::new();
        assert_eq!(fdb.addresses.restore(at(10), saved.iter().copied(), |_| Some(policy)), 2);
        let is_there = |i: u8| fdb.addresses.find(at(10), segment(1), mac(i)).is_some();
        assert_eq!((0..5).filter(|i| is_there(*i)).collect::<Vec<_>>(), [0, 1]);
    }
}
