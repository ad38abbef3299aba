//! What is told to who tells other hosts.

use super::*;
use crate::fdb::word::Word;

fn taken(fdb: &mut Fdb) -> Vec<u8> {
    std::iter::from_fn(|| fdb.addresses.news.take()).map(|(_, mac)| mac.0[5]).collect()
}

#[test]
fn each_change_is_news_once_and_what_stays_is_none() {
    let mut fdb = Fdb::new();
    fdb.learn(at(0), learn(mac(9), port(1)));
    fdb.addresses.news.begin(true);
    assert_eq!(taken(&mut fdb), [], "it was known before");
    fdb.learn(at(1), learn(mac(1), port(1)));
    fdb.learn(at(1), learn(mac(2), port(1)));
    fdb.learn(at(2), learn(mac(1), port(2)));
    assert!(fdb.addresses.news.is_any());
    assert_eq!(taken(&mut fdb), [1, 2]);
    fdb.learn(at(3), learn(mac(1), port(2)));
    assert_eq!(taken(&mut fdb), [], "heard where it is");
    fdb.addresses.flush(Slot::Port(PortId(2)));
    fdb.believe(at(4), Word { segment: segment(1), mac: mac(3), location: host(7) });
    fdb.addresses.declare(segment(1), mac(4), fabric(0, 8));
    assert_eq!(taken(&mut fdb), [1, 3, 4]);
    let aged = fdb.addresses.age(at(400), 100).expired.len();
    let mut gone = taken(&mut fdb);
    gone.sort_unstable();
    assert_eq!((aged, gone), (2, vec![2, 9]));
    fdb.addresses.news.begin(false);
    fdb.learn(at(401), learn(mac(5), port(1)));
    assert_eq!(taken(&mut fdb), []);
}

#[test]
fn an_address_that_may_move_again_is_news() {
    let mut fdb = Fdb::new();
    fdb.addresses.news.begin(true);
    fdb.learn(at(0), learn(mac(1), port(1)));
    flap(&mut fdb, 100, 5, [port(1), fabric(0, 8)]);
    while fdb.addresses.news.take().is_some() {}
    fdb.learn(at(200), learn(mac(1), fabric(0, 8)));
    assert_eq!(taken(&mut fdb), [], "refused");
    fdb.learn(at(399), learn(mac(1), port(1)));
    fdb.addresses.age(at(405), 10);
    assert_eq!(taken(&mut fdb), [1]);
}

#[test]
fn what_was_a_hint_and_is_heard_here_is_news() {
    let mut fdb = Fdb::new();
    fdb.addresses.news.begin(true);
    let hint = Learn { is_hint: true, ..learn(mac(1), fabric(0, 8)) };
    fdb.learn(at(0), hint);
    assert_eq!(taken(&mut fdb), [1]);
    fdb.learn(at(1), hint);
    assert!(fdb.addresses.entry(at(1), segment(1), mac(1)).unwrap().is_hint);
    assert_eq!(taken(&mut fdb), []);
    fdb.learn(at(2), learn(mac(1), fabric(0, 8)));
    assert!(!fdb.addresses.entry(at(2), segment(1), mac(1)).unwrap().is_hint);
    assert_eq!(taken(&mut fdb), [1]);
    fdb.learn(at(3), hint);
    fdb.learn(at(4), learn(mac(1), fabric(0, 8)));
    assert_eq!(taken(&mut fdb), [], "it was heard here before");
}
