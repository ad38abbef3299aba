//! The book by itself.

use datapath::port::VportNo;
use vlan::addr::MacAddr;
use vlan::frame::Header;
use vlan::model::id::SegmentId;

use super::stale::heat;
use super::*;

fn address(last: u8) -> Dependency {
    Dependency::Address(SegmentId { number: 1, inner: 0 }, MacAddr([2, 0, 0, 0, 0, last]))
}

fn record(book: &mut Book, last: u8, heat: u8, depends: &[Dependency]) -> Record {
    let header = Header {
        dst: MacAddr([2, 0, 0, 0, 0, 99]),
        src: MacAddr([2, 0, 0, 0, 0, last]),
        tags: Default::default(),
        ether_type: 0x0800,
    };
    Record {
        id: book.new_id(),
        key: FlowKey { vport: VportNo(1), header, tunnel: None, recirc: 0, opaque: Default::default() },
        mask: Consulted { dst: true, ..Consulted::default() },
        actions: vec![Action::Output(VportNo(2))],
        port: PortKey(0),
        purpose: Purpose::Forward,
        judge: None,
        source: None,
        era: Era::UNKNOWN,
        likeness: Likeness::default(),
        depends: depends.iter().copied().collect(),
        into_fabrics: SmallVec::new(),
        turned_at: 0,
        stats: FlowStats::default(),
        used: Instant::ZERO,
        unanswered: 0,
        heat,
    }
}

fn spoiled(book: &mut Book, state: Dependency) -> Vec<FlowId> {
    book.spoil(state);
    stale(book)
}

fn stale(book: &mut Book) -> Vec<FlowId> {
    assert!(book.mark(usize::MAX));
    std::iter::from_fn(|| book.next_stale()).collect()
}

fn enter(book: &mut Book, record: Record) {
    let class = record.class();
    book.enter(Box::new(record), class);
}

#[test]
fn flows_are_found_by_what_they_rest_on() {
    let mut book = Book::new(1);
    let (a, b) = (record(&mut book, 1, 0, &[address(1)]), record(&mut book, 2, 0, &[address(1), address(2)]));
    let (a_id, b_id) = (a.id, b.id);
    enter(&mut book, a);
    enter(&mut book, b);
    assert_eq!(spoiled(&mut book, address(1)), [a_id, b_id]);
    assert_eq!(spoiled(&mut book, address(2)), [b_id]);
    book.remove(a_id);
    assert_eq!(spoiled(&mut book, address(1)), [b_id]);
    book.remove(b_id);
    assert!(book.by_state.is_empty() && book.by_class.is_empty(), "{book:?}");
}

#[test]
fn stale_flows_come_most_used_first_and_once() {
    let mut book = Book::new(1);
    let records: Vec<Record> =
        [(1, 0), (2, 7), (3, 3)].iter().map(|(n, h)| record(&mut book, *n, *h, &[address(9)])).collect();
    let ids: Vec<FlowId> = records.iter().map(|record| record.id).collect();
    records.into_iter().for_each(|record| enter(&mut book, record));
    book.spoil(address(9));
    book.spoil_all();
    book.remove(ids[2]);
    let order = stale(&mut book);
    assert_eq!(order, [ids[1], ids[0]]);
    assert!(book.is_fresh());
}

#[test]
fn a_flow_that_was_looked_over_out_of_turn_and_stays_comes_no_more_until_its_ground_shifts_again() {
    let mut book = Book::new(1);
    let record = record(&mut book, 1, 0, &[address(9)]);
    let id = record.id;
    enter(&mut book, record);
    book.spoil(address(9));
    book.note_right(id);
    assert_eq!(stale(&mut book), []);
    book.spoil(address(9));
    book.note_right(id);
    assert_eq!(spoiled(&mut book, address(9)), [id], "once");
}

#[test]
fn a_record_says_what_it_rests_on_whatever_is_named_twice() {
    let mut book = Book::new(1);
    let many: Vec<Dependency> = (0..40).map(|number| address(number % 20)).collect();
    for states in [&many[..], &many[..5], &many[..17]] {
        let record = record(&mut book, 1, 0, states);
        let id = record.id;
        enter(&mut book, record);
        let record = book.get(id).unwrap();
        assert!(record.rests_on(&states.iter().copied().collect()));
        assert!(!record.rests_on(&states[1..].iter().take(4).copied().collect()));
        assert!(!record.rests_on(&states.iter().copied().chain([address(50)]).collect()));
        book.remove(id);
    }
}

#[test]
fn where_many_are_stale_they_are_marked_by_and_by_and_then_come_most_used_first() {
    let mut book = Book::new(1);
    for number in 0..3_000_u32 {
        let heat = u8::from(number == 2_999);
        let mut record = record(&mut book, 1, heat, &[address(9)]);
        record.key.recirc = number;
        enter(&mut book, record);
    }
    for spoil in [|book: &mut Book| book.spoil(address(9)), |book: &mut Book| book.spoil_all()] {
        spoil(&mut book);
        assert!(!book.mark(2_000) && !book.is_fresh());
        let last = (0..book.places())
            .filter_map(|place| book.at(place))
            .next_back()
            .map(|record| (record.id, record.heat))
            .unwrap();
        let order = stale(&mut book);
        assert_eq!((order.len(), order[0], last.1), (3_000, last.0, 1));
        assert!(book.is_fresh());
    }
}

#[test]
fn a_flow_that_is_not_marked_yet_is_stale_already_where_all_are() {
    let mut book = Book::new(1);
    let record = record(&mut book, 1, 0, &[]);
    let id = record.id;
    enter(&mut book, record);
    book.spoil_all();
    assert!(book.is_stale(id));
    assert_eq!(stale(&mut book), [id]);
    assert!(!book.is_stale(id));
}

#[test]
fn a_class_leaves_out_what_was_not_looked_at() {
    let mut book = Book::new(1);
    let mut first = record(&mut book, 1, 0, &[]);
    first.mask.dst = false;
    let (id, mut other_destination, mask) = (first.id, first.key.clone(), first.mask);
    enter(&mut book, first);
    other_destination.header.dst = MacAddr([2, 0, 0, 0, 0, 50]);
    assert_eq!(book.find_class(Class::of(&other_destination, &mask)), Some(id));
    other_destination.header.src = MacAddr([2, 0, 0, 0, 0, 51]);
    assert_eq!(
        book.find_class(Class::of(&other_destination, &mask)),
        None,
        "the source address always counts"
    );
}

#[test]
fn a_place_that_is_used_again_is_another_flow() {
    let mut book = Book::new(1);
    let old = record(&mut book, 1, 0, &[address(1)]);
    let old_id = old.id;
    enter(&mut book, old);
    book.spoil(address(1));
    book.remove(old_id);
    let new = record(&mut book, 2, 0, &[]);
    enter(&mut book, new);
    assert_eq!(book.next_stale(), None);
}

#[test]
fn degrees_of_use_are_powers_of_two() {
    assert_eq!([0, 1, 2, 3, 4, 63, 64, u64::MAX].map(heat), [0, 1, 2, 2, 3, 6, 7, 7]);
}
