//! Moves: followed, damped, refused, claimed.

use super::*;
use crate::fdb::reflect::Evidence;

#[test]
fn an_undeclared_address_moves_at_once_and_back() {
    let mut fdb = Fdb::new();
    assert_eq!(fdb.learn(at(0), learn(mac(1), port(1))), NEW);
    assert_eq!(fdb.learn(at(5), learn(mac(1), fabric(0, 8))), moved(port(1)));
    assert_eq!(fdb.learn(at(5), learn(mac(1), port(1))), moved(fabric(0, 8)));
    let entry = fdb.addresses.entry(at(5), segment(1), mac(1)).unwrap();
    assert_eq!((entry.location, entry.mobility, entry.learned), (port(1), 2, at(5)));
    assert_eq!(
        (fdb.addresses.count(Slot::Port(PortId(1))), fdb.addresses.count(Slot::Fabric(FabricId(0)))),
        (1, 0)
    );
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
    let aged = fdb.addresses.age(at(405), 10);
    assert_eq!((aged.thawed, aged.expired), (vec![(segment(1), mac(1))], vec![]));
    assert_eq!(fdb.learn(at(406), learn(mac(1), seen)), moved(home));
    assert_eq!((fdb.counters().frozen, fdb.addresses.ends().thawed), (1, 1));
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
    assert_eq!(fdb.addresses.find(at(105), segment(1), mac(1)), Some(port(1)));
    assert_eq!(
        (fdb.addresses.count(Slot::Port(PortId(1))), fdb.addresses.count(Slot::Port(PortId(3)))),
        (1, 0)
    );
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
    assert_eq!(fdb.addresses.age(at(304), 10).expired, []);
    assert!(fdb.addresses.find(at(304), segment(1), mac(1)).is_some());
    assert_eq!(fdb.addresses.find(at(305), segment(1), mac(1)), None);
    let aged = fdb.addresses.age(at(305), 10);
    assert_eq!((aged.thawed.len(), aged.expired.len(), fdb.addresses.len()), (1, 1, 0));
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
    assert_eq!(fdb.addresses.entry(at(20), segment(1), mac(1)).unwrap().mobility, 0);
}

#[test]
fn a_port_that_goes_down_ends_its_freezes() {
    let mut fdb = Fdb::new();
    flap(&mut fdb, 0, 5, [port(1), port(2)]);
    let frozen = fdb.addresses.entry(at(6), segment(1), mac(1)).unwrap();
    assert!(frozen.frozen_until.is_some());
    let Location::Port { port: home, .. } = frozen.location else { panic!("{frozen:?}") };
    assert_eq!(fdb.addresses.flush(Slot::Port(home)), [gone(mac(1), frozen.location)]);
    assert_eq!(
        (fdb.addresses.len(), fdb.addresses.next_due(), fdb.addresses.count(Slot::Port(home))),
        (0, None, 0)
    );
    assert_eq!(fdb.learn(at(7), learn(mac(1), port(3))), NEW);
}

#[test]
fn a_port_that_went_down_is_no_home() {
    let mut fdb = Fdb::new();
    fdb.learn(at(0), learn(mac(1), port(1)));
    fdb.learn(at(100), learn(mac(1), port(2)));
    fdb.addresses.flush(Slot::Port(PortId(1)));
    let fifth = flap(&mut fdb, 101, 4, [port(2), port(3)]);
    assert!(matches!(fifth, Learned::Frozen { .. }), "{fifth:?}");
    assert_eq!(
        fdb.addresses.find(at(110), segment(1), mac(1)),
        Some(port(2)),
        "not at port 1, where it was longest"
    );
}

#[test]
fn an_operator_may_thaw() {
    let mut fdb = Fdb::new();
    flap(&mut fdb, 0, 5, [port(1), port(2)]);
    assert!(fdb.addresses.thaw(segment(1), mac(1)));
    assert!(!fdb.addresses.thaw(segment(1), mac(1)) && !fdb.addresses.thaw(segment(1), mac(2)));
    assert!(matches!(fdb.learn(at(6), learn(mac(1), port(3))), Learned::Moved { .. }));
}

#[test]
fn our_own_frame_that_comes_back_is_no_move() {
    let mut fdb = Fdb::new();
    fdb.learn(at(0), learn(mac(1), port(1)));
    fdb.sent.note(at(10), echo(1, mac(1)));
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
    fdb.sent.note(at(12), echo(1, mac(1)));
    assert_eq!(fdb.learn(at(12), learn(mac(1), fabric(0, 8))), Learned::Refreshed, "it is the fabric's");
    assert_eq!(fdb.learn(at(12), learn(mac(1), port(1))), moved(fabric(0, 8)));
    assert_eq!(fdb.learn(at(12), learn(mac(1), port(2))), moved(port(1)), "no fabric");
    assert_eq!(fdb.learn(at(12), learn(mac(1), fabric(1, 8))), moved(port(2)), "another fabric");
    fdb.sent.note(at(13), echo(2, mac(2)));
    fdb.learn(at(13), learn(mac(2), port(1)));
    assert_eq!(fdb.learn(at(13), learn(mac(2), fabric(0, 8))), moved(port(1)), "another segment");
}

#[test]
fn a_declared_address_that_comes_back_is_reported_as_reflected() {
    let mut fdb = Fdb::new();
    fdb.addresses.declare(segment(1), mac(1), host(2));
    fdb.sent.note(at(1), echo(1, mac(1)));
    let back = fdb.learn(at(1), learn(mac(1), fabric(0, 8)));
    assert_eq!(back, Learned::Refused(Refused::Reflected { at: host(2) }));
}

#[test]
fn only_a_frame_that_looks_like_what_was_sent_is_reflected() {
    let rarp = Likeness { ether_type: 0x8035, ..LOOK };
    let to_one = Likeness { dst: mac(9), ..LOOK };
    for (likeness, is_reflected) in [(LOOK, true), (rarp, false), (to_one, false)] {
        let mut fdb = Fdb::new();
        fdb.learn(at(0), learn(mac(1), port(1)));
        fdb.sent.note(at(10), echo(1, mac(1)));
        let announced = Learn { likeness: Some(likeness), ..learn(mac(1), fabric(0, 8)) };
        let expected = match is_reflected {
            true => Learned::Refused(Refused::Reflected { at: port(1) }),
            false => moved(port(1)),
        };
        assert_eq!(fdb.learn(Instant::from_millis(10_120), announced), expected, "{likeness:?}");
    }
}

#[test]
fn a_vm_that_migrated_is_followed_a_second_after_what_it_sent_whatever_it_says() {
    let mut fdb = Fdb::new();
    fdb.learn(at(0), learn(mac(1), port(1)));
    fdb.sent.note(at(10), echo(1, mac(1)));
    for after in (120..1_000).step_by(150) {
        let again = fdb.learn(Instant::from_millis(10_000 + after), learn(mac(1), fabric(0, 8)));
        assert_eq!(again, Learned::Refused(Refused::Reflected { at: port(1) }), "{after} ms after");
    }
    assert_eq!(fdb.learn(Instant::from_millis(11_001), learn(mac(1), fabric(0, 8))), moved(port(1)));
}

#[test]
fn where_flows_may_have_sent_it_and_were_not_asked_nothing_is_decided() {
    let mut fdb = Fdb::new();
    let unasked = |place| Learn { evidence: Evidence::FlowsUnasked, ..learn(mac(1), place) };
    assert_eq!(fdb.learn(at(0), unasked(port(1))), NEW);
    let doubt = Learned::Undecided { at: port(1), echo: Some(echo(1, mac(1))) };
    assert_eq!(
        (fdb.learn(at(1), unasked(fabric(0, 8))), doubt.refusal(), doubt.is_change()),
        (doubt, None, false)
    );
    assert_eq!(fdb.addresses.find(at(1), segment(1), mac(1)), Some(port(1)));
    fdb.sent.note(at(1), echo(1, mac(1)));
    assert_eq!(fdb.learn(at(1), unasked(fabric(0, 8))), Learned::Refused(Refused::Reflected { at: port(1) }));
    assert_eq!(
        fdb.learn(at(1), unasked(port(2))),
        Learned::Undecided { at: port(1), echo: None },
        "it may be the very frame that we have sent"
    );
    let own = Learn { evidence: Evidence::OurOwn, ..learn(mac(1), port(2)) };
    assert_eq!(fdb.learn(at(1), own), Learned::Refused(Refused::Reflected { at: port(1) }));
    assert_eq!(fdb.learn(at(1), learn(mac(1), port(2))), moved(port(1)));
    assert_eq!(fdb.learn(at(3), learn(mac(1), fabric(0, 8))), moved(port(2)));
}

#[test]
fn where_another_host_may_have_sent_it_and_was_not_asked_nothing_is_decided() {
    let mut fdb = Fdb::new();
    let unasked = |last, place| Learn { evidence: Evidence::HostUnasked, ..learn(mac(last), place) };
    let host = Location::Host(HostId(3));
    fdb.learn(at(0), learn(mac(1), host));
    let doubt = Learned::Undecided { at: host, echo: Some(echo(1, mac(1))) };
    assert_eq!(fdb.learn(at(1), unasked(1, fabric(0, 8))), doubt);
    // By a gateway that hears it from another one, which has asked.
    let hint = Learn { is_hint: true, ..unasked(1, fabric(0, 8)) };
    assert_eq!(fdb.clone().learn(at(1), hint), moved(host));
    // Its own port is no other host, and where the address may not go no word of any host changes that.
    fdb.learn(at(0), learn(mac(2), port(1)));
    assert_eq!(fdb.learn(at(1), unasked(2, fabric(0, 8))), moved(port(1)));
    fdb.addresses.declare(segment(1), mac(4), host);
    assert_eq!(fdb.learn(at(1), unasked(4, fabric(0, 8))), Learned::Refused(Refused::Pinned { at: host }));
    // It says that it has sent it; and a second later that it has not.
    let own = Learn { evidence: Evidence::OurOwn, ..learn(mac(1), fabric(0, 8)) };
    assert_eq!(fdb.learn(at(1), own), Learned::Refused(Refused::Reflected { at: host }));
    assert_eq!(fdb.learn(at(2), learn(mac(1), fabric(0, 8))), moved(host));
}

#[test]
fn when_a_frame_was_sent_last_is_known_for_a_second() {
    let mut fdb = Fdb::new();
    let what = echo(1, mac(1));
    assert_eq!(fdb.sent.last(at(1), what), None);
    for ms in [1_000, 2_500, 2_200] {
        fdb.sent.note(Instant::from_millis(ms), what);
    }
    assert_eq!(fdb.sent.last(at(3), what), Some(Instant::from_millis(2_500)));
    assert_eq!(fdb.sent.last(Instant::from_millis(3_501), what), None);
}

/// Sent from where it is, and back at once.
fn goes_round(fdb: &mut Fdb, ms: u64) -> Learned {
    let now = Instant::from_millis(ms);
    fdb.learn(now, learn(mac(1), port(1)));
    fdb.sent.note(now, echo(1, mac(1)));
    fdb.learn(Instant::from_millis(ms + 1), learn(mac(1), fabric(0, 8)))
}

#[test]
fn five_claims_freeze_like_five_moves() {
    let mut fdb = Fdb::new();
    fdb.learn(at(0), learn(mac(1), port(1)));
    for i in 0..4 {
        let back = goes_round(&mut fdb, 10_000 + i * 2_000);
        assert_eq!(back, Learned::Refused(Refused::Reflected { at: port(1) }));
    }
    let (home, seen) = (port(1), fabric(0, 8));
    let until = Instant::from_millis(318_001);
    let fifth = goes_round(&mut fdb, 18_000);
    assert_eq!(fifth, Learned::Frozen { at: home, from: home, seen, until, evicted: None });
    assert_eq!(fifth.refusal(), Some(DropReason::Frozen));
    assert_eq!(fdb.addresses.entry(at(20), segment(1), mac(1)).unwrap().mobility, 0, "it has not moved");
}

#[test]
fn claims_within_a_second_count_once() {
    let mut fdb = Fdb::new();
    fdb.learn(at(0), learn(mac(1), port(1)));
    for i in 0..20 {
        let now = Instant::from_millis(10_000 + i * 10);
        fdb.sent.note(now, echo(1, mac(1)));
        let back = fdb.learn(now, learn(mac(1), fabric(0, 8)));
        assert_eq!(back, Learned::Refused(Refused::Reflected { at: port(1) }), "{i}");
    }
    assert_eq!(fdb.addresses.moves.iter().next().map(|moved| moved.counted.len()), Some(1));
}

#[test]
fn claims_and_moves_count_together_and_a_declared_address_is_not_frozen_by_either() {
    let mut fdb = Fdb::new();
    flap(&mut fdb, 0, 3, [port(2), port(1)]);
    goes_round(&mut fdb, 10_000);
    assert!(matches!(goes_round(&mut fdb, 12_000), Learned::Frozen { .. }));
    fdb.addresses.declare(segment(1), mac(1), port(1));
    for i in 0..10 {
        let back = goes_round(&mut fdb, 20_000 + i * 2_000);
        assert_eq!(back, Learned::Refused(Refused::Reflected { at: port(1) }));
    }
}

#[test]
fn an_address_that_is_stolen_comes_back_to_where_it_was_for_long() {
    let mut fdb = Fdb::new();
    let to_vm = Likeness { dst: mac(9), ether_type: 0x0800 };
    let router = Learn { likeness: Some(to_vm), ..learn(mac(1), fabric(0, 8)) };
    fdb.learn(at(0), router);
    fdb.learn(at(290), router);
    let mut last = Learned::Refreshed;
    for i in 0..5 {
        let now = Instant::from_millis(300_000 + i * 500);
        last = fdb.learn(now, learn(mac(1), port(8)));
        fdb.sent.note(now, echo(1, mac(1)));
        if matches!(last, Learned::Frozen { .. }) {
            break;
        }
        assert_eq!(fdb.learn(now, router), moved(port(8)), "the router's own are no reflections");
    }
    let Learned::Frozen { at: held, seen, .. } = last else { panic!("{last:?}") };
    assert_eq!((held, seen, last.refusal()), (fabric(0, 8), port(8), Some(DropReason::Frozen)));
}

#[test]
fn a_thief_whose_frames_look_like_the_owners_does_not_keep_the_address() {
    let mut fdb = Fdb::new();
    fdb.learn(at(0), learn(mac(1), fabric(0, 8)));
    fdb.learn(at(290), learn(mac(1), fabric(0, 8)));
    let mut last = Learned::Refreshed;
    for i in 0..5 {
        let now = Instant::from_millis(300_000 + i * 1_000);
        fdb.learn(now, learn(mac(1), port(8)));
        fdb.sent.note(now, echo(1, mac(1)));
        last = fdb.learn(now + Duration::from_millis(100), learn(mac(1), fabric(0, 8)));
        if matches!(last, Learned::Frozen { .. }) {
            break;
        }
    }
    let Learned::Frozen { at: held, from, seen, .. } = last else { panic!("{last:?}") };
    assert_eq!((held, from, seen, last.refusal()), (fabric(0, 8), port(8), fabric(0, 8), None));
    let thief = fdb.learn(at(303), learn(mac(1), port(8)));
    assert_eq!(thief.refusal(), Some(DropReason::Frozen));
}

#[test]
fn an_address_that_flies_from_its_first_frame_on_is_held_where_it_was_heard_first() {
    let mut fdb = Fdb::new();
    let places = [port(1), port(4), port(3), port(4), port(3), port(4)];
    let mut last = NEW;
    for (i, place) in places.into_iter().enumerate() {
        last = fdb.learn(Instant::from_millis(10_000 + i as u64 * 150), learn(mac(1), place));
    }
    let Learned::Frozen { at: held, .. } = last else { panic!("{last:?}") };
    assert_eq!(held, port(1));
}

#[test]
fn a_stay_of_a_second_is_one_and_counts_before_the_first_place() {
    let mut fdb = Fdb::new();
    let mut last = NEW;
    for (ms, place) in [(0, 1), (100, 2), (1_100, 1), (1_200, 2), (1_300, 1), (1_400, 2)] {
        last = fdb.learn(Instant::from_millis(10_000 + ms), learn(mac(1), port(place)));
    }
    let Learned::Frozen { at: held, from, seen, .. } = last else { panic!("{last:?}") };
    assert_eq!((held, from, seen), (port(2), port(1), port(2)));
}

#[test]
fn where_it_was_longest_is_asked_of_the_last_day() {
    for (hours, home) in [(23, 1), (25, 2)] {
        let mut fdb = Fdb::new();
        let lasting = |place| {
            let mut lasting = learn(mac(1), place);
            lasting.policy.ageing = Duration::ZERO;
            lasting
        };
        fdb.learn(at(0), lasting(port(1)));
        // Two days at port 1, then an hour at each of two others in turn.
        for hour in 48..48 + hours {
            fdb.learn(at(hour * 3_600), lasting(port(2 + (hour % 2) as u32)));
        }
        let end = at((48 + hours) * 3_600);
        let mut learned = (0..6).map(|i| fdb.learn(end, lasting(port(2 + i % 2))));
        let Some(Learned::Frozen { at: held, .. }) =
            learned.find(|one| matches!(one, Learned::Frozen { .. }))
        else {
            panic!("it is not frozen")
        };
        assert_eq!(held == port(1), home == 1, "{hours} h after it left port 1: {held:?}");
    }
}

#[test]
fn what_is_remembered_of_an_address_that_goes_everywhere_is_bounded() {
    let mut fdb = Fdb::new();
    for i in 0..1_000 {
        fdb.learn(at(i * 50), learn(mac(1), port(i as u32)));
    }
    let moved = fdb.addresses.moves.iter().next().unwrap();
    assert!(moved.stays.len() <= crate::fdb::moves::PLACES, "{}", moved.stays.len());
    assert_eq!(moved.stays[0].location, port(0), "where it was heard first");
}

#[test]
fn a_shared_address_moves_among_its_places_as_often_as_it_likes_and_nowhere_else() {
    let mut fdb = Fdb::new();
    fdb.learn(at(0), learn(mac(1), port(3)));
    for place in [port(1), port(2), fabric(0, 8)] {
        fdb.shared.allow(segment(1), mac(1), place);
    }
    assert_eq!(fdb.settle_shared(), [gone(mac(1), port(3))], "it was where it may not be");
    let pinned = Learned::Refused(Refused::Pinned { at: port(1) });
    assert_eq!(fdb.learn(at(1), learn(mac(1), port(3))), pinned, "nor before it is heard anywhere");
    assert_eq!(fdb.learn(at(1), learn(mac(1), port(2))), NEW);
    for i in 0..20 {
        let (from, to) = if i % 2 == 0 { (port(2), port(1)) } else { (port(1), port(2)) };
        assert_eq!(fdb.learn(at(2), learn(mac(1), to)), moved(from), "{i}");
    }
    assert_eq!(fdb.learn(at(3), learn(mac(1), port(3))), pinned);
    assert_eq!(fdb.keeps_out(at(3), segment(1), mac(1), port(3)), Some(Refused::Pinned { at: port(1) }));
    assert_eq!(fdb.keeps_out(at(3), segment(1), mac(1), port(1)), None);
    fdb.sent.note(at(3), echo(1, mac(1)));
    assert_eq!(
        fdb.learn(at(3), learn(mac(1), fabric(0, 8))),
        Learned::Refused(Refused::Reflected { at: port(2) })
    );
    assert_eq!(fdb.learn(at(5), learn(mac(1), fabric(0, 8))), moved(port(2)));
    assert_eq!(fdb.learn(at(5), learn(mac(2), port(3))), NEW, "others go where they like");
    assert_eq!(fdb.addresses.flush(Slot::Fabric(FabricId(0))), [gone(mac(1), fabric(0, 8))]);
    fdb.undeclare_all();
    assert_eq!(fdb.learn(at(6), learn(mac(1), port(3))), NEW);
}

#[test]
fn an_address_that_becomes_shared_is_frozen_no_longer() {
    let mut fdb = Fdb::new();
    flap(&mut fdb, 0, 5, [port(1), port(2)]);
    fdb.shared.allow(segment(1), mac(1), port(1));
    fdb.shared.allow(segment(1), mac(1), port(2));
    assert_eq!(fdb.settle_shared(), []);
    assert!(matches!(fdb.learn(at(6), learn(mac(1), port(2))), Learned::Moved { .. } | Learned::Refreshed));
    assert_eq!(fdb.learn(at(7), learn(mac(1), port(1))), moved(port(2)));
}

fn echo(number: u32, mac: MacAddr) -> Echo {
    Echo { segment: segment(number), mac, likeness: LOOK, fabric: FabricId(0) }
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
        fdb.sent.note(Instant::from_millis(u64::from(i) * 100), echo(1, address(i)));
    }
    let now = Instant::from_millis(3_950);
    let remembered: Vec<u32> = (0..40).filter(|i| comes_back(&mut fdb, now, *i)).collect();
    assert_eq!(remembered, (30..40).collect::<Vec<u32>>());
}

#[test]
fn what_was_sent_is_remembered_within_bounds() {
    let mut fdb = Fdb::new();
    for i in 0..200_000 {
        fdb.sent.note(at(10), echo(1, address(i)));
    }
    assert!(fdb.sent.len() <= 131_072, "{}", fdb.sent.len());
    let last = [199_999, 199_999 - 65_535];
    assert!(last.into_iter().all(|i| comes_back(&mut fdb, at(10), i)));
}
