//! What is told to who tells other hosts.

use super::*;
use crate::fdb::word::Word;

fn taken(fdb: &mut Fdb) -> Vec<u8> {
    std::iter::from_fn(|| fdb.addresses.take_news()).map(|(_, mac)| mac.0[5]).collect()
}

#[test]
fn each_change_is_news_once_and_what_stays_is_none() {
    let mut fdb = Fdb::new();
    fdb.learn(at(0), learn(mac(9), port(1)));
    fdb.addresses.keep_news();
    assert_eq!(taken(&mut fdb), [], "it was known before");
    fdb.learn(at(1), learn(mac(1), port(1)));
    fdb.learn(at(1), learn(mac(2), port(1)));
    fdb.learn(at(2), learn(mac(1), port(2)));
    assert!(fdb.addresses.has_news());
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
    fdb.addresses.drop_news();
    fdb.learn(at(401), learn(mac(5), port(1)));
    assert_eq!(taken(&mut fdb), []);
}
