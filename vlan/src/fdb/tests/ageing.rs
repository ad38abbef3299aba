//! When addresses are forgotten.

use super::*;
use crate::fdb::HINT;
use crate::fdb::addresses::Touched;
use crate::fdb::age::Aged;

#[test]
fn an_address_is_known_until_the_second_is_over_in_which_its_age_ends() {
    let mut fdb = Fdb::new();
    fdb.learn(Instant::from_millis(1_500), learn(mac(1), port(1)));
    let (before, after) = (Instant::from_millis(301_999), at(302));
    assert_eq!(fdb.addresses.find(before, segment(1), mac(1)), Some(port(1)));
    assert_eq!(fdb.addresses.age(before, 10), Aged::default());
    assert_eq!(fdb.addresses.next_due(), Some(after));
    assert_eq!(fdb.addresses.find(after, segment(1), mac(1)), None);
    assert_eq!(fdb.addresses.entry(after, segment(1), mac(1)), None);
    assert_eq!((fdb.addresses.page(before, 0, 10).count(), fdb.addresses.page(after, 0, 10).count()), (1, 0));
    assert_eq!(fdb.addresses.age(after, 10).expired, [gone(mac(1), port(1))]);
    assert_eq!((fdb.addresses.len(), fdb.addresses.next_due(), fdb.addresses.ends().expired), (0, None, 1));
}

#[test]
fn ageing_takes_no_more_steps_than_it_may_and_says_that_there_is_more() {
    let mut fdb = Fdb::new();
    for i in 0..10 {
        fdb.learn(at(0), learn(mac(i), port(1)));
    }
    assert_eq!(fdb.addresses.age(at(400), 4).expired.len(), 4);
    assert!(fdb.addresses.next_due() <= Some(at(400)));
    assert_eq!(fdb.addresses.age(at(400), 100).expired.len(), 6);
}

#[test]
fn an_address_that_never_ages_is_never_due() {
    let mut fdb = Fdb::new();
    let mut for_ever = learn(mac(1), port(1));
    for_ever.policy.ageing = Duration::ZERO;
    fdb.learn(at(0), for_ever);
    assert_eq!(fdb.addresses.next_due(), None);
    assert_eq!(fdb.addresses.find(at(1_000_000_000), segment(1), mac(1)), Some(port(1)));
    // The operator sets an ageing time: the next frame brings it in.
    fdb.learn(at(10), learn(mac(1), port(1)));
    assert_eq!(fdb.addresses.find(at(311), segment(1), mac(1)), None);
}

#[test]
fn another_ageing_time_is_none_for_what_is_believed_until_a_word_comes() {
    let mut fdb = Fdb::new();
    let hint = |number| Learn { is_hint: true, ..learn(mac(number), port(1)) };
    let mut brief = hint(1);
    brief.policy.ageing = HINT;
    fdb.learn(at(0), brief);
    fdb.learn(at(0), hint(2));
    fdb.learn(at(0), learn(mac(3), port(1)));
    fdb.addresses.set_ageing(|_, _| Some(Duration::from_secs(100)));
    for (now, known) in
        [(10, [true; 3]), (11, [false, true, true]), (100, [false, true, true]), (101, [false; 3])]
    {
        let found = [1, 2, 3].map(|number| fdb.addresses.find(at(now), segment(1), mac(number)).is_some());
        assert_eq!(found, known, "{now}");
    }
}

#[test]
fn a_hit_of_the_data_plane_keeps_an_address_and_may_bring_it_back() {
    let mut fdb = Fdb::new();
    fdb.learn(at(0), learn(mac(1), port(1)));
    assert_eq!(fdb.addresses.touch(at(200), segment(1), mac(1), at(190)), Touched::Refreshed);
    assert_eq!(fdb.addresses.find(at(490), segment(1), mac(1)), Some(port(1)));
    assert_eq!(fdb.addresses.find(at(491), segment(1), mac(1)), None);
    assert_eq!(fdb.addresses.touch(at(495), segment(1), mac(1), at(180)), Touched::Unknown);
    assert_eq!(fdb.addresses.touch(at(495), segment(1), mac(1), at(492)), Touched::Revived);
    assert_eq!(fdb.addresses.age(at(500), 10).expired, []);
    assert_eq!(fdb.addresses.touch(at(500), segment(2), mac(1), at(500)), Touched::Unknown);
    // A kernel's clock that runs ahead keeps nothing for longer.
    fdb.addresses.touch(at(500), segment(1), mac(1), at(10_000));
    assert_eq!(fdb.addresses.find(at(801), segment(1), mac(1)), None);
}
