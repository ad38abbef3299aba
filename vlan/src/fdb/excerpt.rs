//! What would be learned, without learning it.
//!
//! What becomes of a source address hangs on few addresses: its own, and of each full slot that it may come into those that are next to
//! go. A copy of these is a database in which that frame, and no other, meets what it would meet here, by the same code.

use rustc_hash::FxHashMap;

use super::addresses::Addresses;
use super::key::Key;
use super::place::Place;
use super::reflect::echo_of;
use super::table::NO_QUEUE;
use super::{Fdb, Learn, Slot};
use crate::addr::MacAddr;
use crate::time::Instant;

impl Fdb {
    /// A database in which learning `learn`, and then finding `dst`, comes to what it would come to in this one. It takes the same time
    /// however many addresses there are.
    pub fn excerpt(&self, learn: &Learn, dst: MacAddr) -> Fdb {
        let mut copy = Copy { of: &self.addresses, to: Fdb::new(), places: FxHashMap::default() };
        let keys = [learn.mac, dst].map(|mac| Key::new(learn.segment, mac));
        let Addresses { table, queues, moves, .. } = &self.addresses;
        let source = table.find(keys[0]);
        let slots = copy.slots(learn, source);
        for slot in &slots {
            // As they stand in the queue, so before any that may be among them.
            queues.front(table, *slot).into_iter().for_each(|place| copy.add(place));
        }
        keys.iter().filter_map(|key| table.find(*key)).for_each(|place| copy.add(place));
        let mut to = copy.to;
        for slot in slots {
            to.addresses.queues.count_as(queues, slot);
            to.addresses.moves.note_flush_as(moves, slot);
        }
        to.sticky = self.sticky.clone();
        to.shared.share_as(&self.shared, keys[0]);
        let echo = source.and_then(|place| echo_of(table[place].location, learn));
        echo.into_iter().for_each(|echo| to.sent.note_as(&self.sent, echo));
        to
    }
}

/// A copy under way.
struct Copy<'a> {
    of: &'a Addresses,
    to: Fdb,
    /// Where what was copied is.
    places: FxHashMap<Place, Place>,
}

impl Copy<'_> {
    /// The slots that an address may come into, or leave.
    fn slots(&self, learn: &Learn, source: Option<Place>) -> Vec<Slot> {
        let Addresses { table, queues, moves, .. } = self.of;
        let mut slots = vec![Slot::of(learn.location)];
        slots.extend(source.and_then(|place| queues.slot_of(table, place)));
        let moved = source.and_then(|place| moves.of(place));
        slots.extend(moved.iter().flat_map(|moved| &moved.stays).filter_map(|stay| stay.slot));
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    /// Copies an address and all that is known of it.
    fn add(&mut self, place: Place) {
        if self.places.contains_key(&place) {
            return;
        }
        let original = &self.of.table[place];
        let mut node = *original;
        node.queue = NO_QUEUE;
        let Addresses { table, queues, moves, .. } = &mut self.to.addresses;
        let new = table.insert(node);
        self.places.insert(place, new);
        if let Some(queue) = self.of.queues.of(original) {
            // It stands in the bucket of the second in which it was heard as far as the queue knows.
            table[new].used = Instant::from_secs(u64::from(original.second));
            queues.link(table, new, queue.slot, queue.ageing);
            table[new].used = original.used;
        }
        if let Some(freeze) = self.of.queues.freeze_of(&self.of.table, place) {
            queues.freeze(table, new, *freeze);
        }
        if let Some(moved) = self.of.moves.of(place) {
            *moves.of_mut(new) = moved.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::reflect::{Echo, Evidence, Likeness};
    use super::super::tests::{fabric, mac, port, segment};
    use super::super::{LearnPolicy, Learned};
    use super::*;
    use crate::model::description::OnLimit;
    use crate::model::id::{FabricId, HostId, Location, PortId};

    /// What may happen to a database.
    #[derive(Debug, Clone)]
    enum Step {
        Learn(Learn, MacAddr),
        Sent(u8, u32),
        Pass(u64),
        Age,
        Flush(u32),
        Declare(u8, u32),
        Share(u8, u32),
        Stick(u32),
        Touch(u8),
    }

    fn place() -> impl Strategy<Value = Location> {
        prop_oneof![
            3 => (1..4_u32).prop_map(port),
            2 => (0..2_u32).prop_map(|number| fabric(number, 8)),
            1 => (0..2_u32).prop_map(|number| Location::Host(HostId(number))),
        ]
    }

    fn likeness() -> impl Strategy<Value = Likeness> {
        (0..2_u8).prop_map(|last| Likeness { dst: mac(200 + last), ether_type: 0x0800 })
    }

    /// Many addresses behind few places with low limits, and two that move a lot.
    fn learn() -> impl Strategy<Value = Step> {
        let on_limit = prop_oneof![Just(OnLimit::Evict), Just(OnLimit::Drop), Just(OnLimit::Flood)];
        let macs = prop_oneof![1..60_u8, 1..3_u8];
        let limits = prop_oneof![1..5_u32, 30..50_u32];
        let evidence = [Evidence::Complete, Evidence::FlowsUnasked, Evidence::HostUnasked];
        (macs, 1..60_u8, place(), limits, on_limit, likeness(), prop::sample::select(evidence.to_vec()))
            .prop_map(|(last, dst, location, limit, on_limit, likeness, evidence)| {
                let policy = LearnPolicy {
                    ageing: Duration::from_secs(if last % 7 == 0 { 20 } else { 300 }),
                    limit,
                    on_limit,
                };
                let learn = Learn {
                    segment: segment(1),
                    mac: mac(last),
                    location,
                    policy,
                    likeness: Some(likeness),
                    evidence,
                    is_hint: last % 5 == 0,
                };
                Step::Learn(learn, mac(dst))
            })
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            12 => learn(),
            2 => (1..4_u8, 0..2_u32).prop_map(|(last, number)| Step::Sent(last, number)),
            3 => prop_oneof![Just(100_u64), Just(1_500), Just(40_000)].prop_map(Step::Pass),
            1 => Just(Step::Age),
            1 => (1..4_u32).prop_map(Step::Flush),
            1 => (50..60_u8, 1..4_u32).prop_map(|(last, at)| Step::Declare(last, at)),
            1 => (40..45_u8, 1..4_u32).prop_map(|(last, at)| Step::Share(last, at)),
            1 => (1..6_u32).prop_map(Step::Stick),
            2 => (1..60_u8).prop_map(Step::Touch),
        ]
    }

    fn happen(fdb: &mut Fdb, now: &mut Instant, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Learn(learn, dst) => {
                let mut excerpt = fdb.excerpt(&learn, dst);
                let foreseen = excerpt.learn_and_find(*now, learn, dst);
                let happened = fdb.learn_and_find(*now, learn, dst);
                prop_assert_eq!(foreseen, happened, "{:?} {:?}", now, learn);
                prop_assert_eq!(
                    excerpt.keeps_out(*now, learn.segment, learn.mac, learn.location),
                    fdb.keeps_out(*now, learn.segment, learn.mac, learn.location)
                );
            }
            Step::Sent(last, number) => {
                let likeness = Likeness { dst: mac(200), ether_type: 0x0800 };
                let (mac, fabric) = (mac(last), FabricId(number));
                fdb.sent.note(*now, Echo { segment: segment(1), mac, likeness, fabric });
            }
            Step::Pass(millis) => *now = *now + Duration::from_millis(millis),
            Step::Age => drop(fdb.addresses.age(*now, 7)),
            Step::Flush(number) => drop(fdb.addresses.flush(Slot::Port(PortId(number)))),
            Step::Declare(last, at) => drop(fdb.addresses.declare(segment(1), mac(last), port(at))),
            Step::Share(last, at) => fdb.shared.allow(segment(1), mac(last), port(at)),
            Step::Stick(number) => fdb.set_sticky([PortId(number)].into()),
            Step::Touch(last) => drop(fdb.addresses.touch(*now, segment(1), mac(last), *now)),
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// Also where limits are low, addresses fly about and the front of a queue is out of date.
        #[test]
        fn an_excerpt_learns_what_the_whole_would(steps in prop::collection::vec(step(), 1..300)) {
            let (mut fdb, mut now) = (Fdb::new(), Instant::from_secs(1_000));
            for step in steps {
                happen(&mut fdb, &mut now, step)?;
            }
        }
    }

    #[test]
    fn an_excerpt_is_small_however_many_addresses_there_are() {
        let mut fdb = Fdb::new();
        let policy =
            LearnPolicy { ageing: Duration::from_secs(300), limit: 10_000, on_limit: OnLimit::Evict };
        let learn = |number: u16| {
            let [a, b] = number.to_be_bytes();
            Learn::new(segment(1), MacAddr([2, 0, 0, 0, a, b]), port(1), policy)
        };
        let now = Instant::from_secs(9);
        for number in 0..10_000 {
            fdb.learn(now, learn(number));
        }
        let mut excerpt = fdb.excerpt(&learn(20_000), mac(1));
        assert!(excerpt.addresses.len() <= 40, "{}", excerpt.addresses.len());
        assert!(matches!(excerpt.learn(now, learn(20_000)), Learned::New { evicted: Some(_) }));
        assert_eq!(fdb.addresses.len(), 10_000);
    }
}
