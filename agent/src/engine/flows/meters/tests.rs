//! Which numbers meters get, and what becomes of a refused one.

use super::*;

fn what(port: u32, vid: u16) -> Metered {
    let vlan = Scope::Vlan(Vid::new(vid));
    Metered::Storm(Storm { port: PortKey(port), vlan, class: StormClass::Broadcast })
}

fn rate() -> MeterRate {
    MeterRate { packets_per_second: 50, burst: 5 }
}

fn flow(id: MeterId) -> [Action; 1] {
    [Action::Meter(id)]
}

/// Meters as openvswitch.ko keeps them: an array that is found into by the remainder, and doubles when it is full.
struct Array {
    places: Vec<Option<MeterId>>,
    count: usize,
}

impl Array {
    fn set(&mut self, id: MeterId) {
        let len = self.places.len();
        let place = &mut self.places[id.0 as usize % len];
        if *place == Some(id) {
            return;
        }
        assert_eq!(*place, None, "{id:?} is refused as busy among {len} places");
        *place = Some(id);
        self.count += 1;
        if self.count >= len {
            let mut larger = vec![None; len * 2];
            for id in self.places.iter().flatten() {
                larger[id.0 as usize % (len * 2)] = Some(*id);
            }
            self.places = larger;
        }
    }

    fn unset(&mut self, id: MeterId) {
        let len = self.places.len();
        assert_eq!(self.places[id.0 as usize % len].take(), Some(id));
        self.count -= 1;
        if len > 16 && self.count <= len / 4 && self.places[len / 2..].iter().all(Option::is_none) {
            self.places.truncate(len / 2);
        }
    }
}

#[test]
fn no_two_meters_meet_in_one_place_of_the_kernels_array() {
    let (mut meters, mut array) = (Meters::default(), Array { places: vec![None; 16], count: 0 });
    let mut random = 1_u64;
    let mut held: Vec<(u16, MeterId)> = Vec::new();
    for _ in 0..20_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let vid = (random >> 33) as u16 % 4_094 + 1;
        // It grows for long, then shrinks for long.
        let grows = (random >> 50) % 16 < if random >> 63 == 0 { 14 } else { 7 };
        match held.iter().position(|(known, _)| *known == vid) {
            Some(place) if !grows => meters.release(&flow(held.swap_remove(place).1)),
            None if grows => {
                let id = meters.make(what(1, vid), rate());
                meters.hold(&flow(id));
                held.push((vid, id));
            }
            _ => {}
        }
        if random.is_multiple_of(64) {
            meters.sweep();
        }
        let (set, unset) = meters.take_changes();
        set.iter().for_each(|(id, _)| array.set(*id));
        unset.iter().for_each(|(id, _)| array.unset(*id));
    }
    assert!(array.count > 500, "only {} meters", array.count);
}

#[test]
fn numbers_begin_at_0_and_the_lowest_free_one_is_used_again() {
    let mut meters = Meters::default();
    let ids: Vec<u32> = (1..=4_094).map(|vid| meters.make(what(1, vid), rate()).0).collect();
    assert_eq!(ids, (0..4_094).collect::<Vec<_>>());
    for id in ids.iter().filter(|id| ![7, 300].contains(*id)) {
        meters.hold(&flow(MeterId(*id)));
    }
    meters.sweep();
    assert_eq!(meters.take_changes().1, [], "what they counted last is still to be read");
    meters.sweep();
    assert_eq!(meters.take_changes().1, [(MeterId(7), None), (MeterId(300), None)]);
    assert_eq!(meters.make(what(2, 9), rate()), MeterId(7));
    assert_eq!(meters.make(what(2, 10), rate()), MeterId(300));
    assert_eq!(meters.make(what(2, 11), rate()), MeterId(4_094));
}

#[test]
fn what_is_refused_is_asked_again_with_the_rate_that_is_wanted_then() {
    let mut meters = Meters::default();
    let id = meters.make(what(1, 5), rate());
    meters.take_changes();
    let second = |seconds| Instant::ZERO + Duration::from_secs(seconds);
    meters.retry_later(second(0), id);
    assert_eq!(meters.next_due(), Some(second(1)));
    let faster = MeterRate { packets_per_second: 70, ..rate() };
    meters.make(what(1, 5), faster);
    assert_eq!(meters.take_changes().0, [(id, Some(faster))], "a new rate is asked for at once");
    meters.retry_due(second(1));
    assert_eq!(meters.take_changes().0, [(id, Some(faster))]);
    meters.retry_due(second(1));
    assert_eq!(meters.take_changes().0, [], "it is not answered yet");
    meters.retry_later(second(1), id);
    assert_eq!(meters.next_due(), Some(second(3)), "the second pause is twice as long");
    meters.no_retry(id);
    assert_eq!(meters.next_due(), None);
}

#[test]
fn a_removal_that_is_refused_is_asked_again_unless_the_number_is_in_use() {
    let mut meters = Meters::default();
    let id = meters.make(what(1, 5), rate());
    meters.sweep();
    meters.sweep();
    assert_eq!(meters.take_changes().1, [(id, None)]);
    meters.retry_later(Instant::ZERO, id);
    meters.retry_due(Instant::ZERO + RETRY_AFTER);
    assert_eq!(meters.take_changes(), (vec![], vec![(id, None)]));
    assert_eq!(meters.make(what(1, 6), rate()), id);
    meters.take_changes();
    meters.retry_later(Instant::ZERO, id);
    meters.retry_due(Instant::ZERO + RETRY_AFTER * 2);
    assert_eq!(meters.take_changes(), (vec![(id, Some(rate()))], vec![]));
}

#[test]
fn what_an_earlier_run_left_means_nothing_else_before_it_goes() {
    let mut meters = Meters::default();
    meters.inherit(&[Action::Meter(MeterId(0)), Action::Meter(MeterId(2_047)), Action::PopTag]);
    assert_eq!(meters.make(what(1, 5), rate()), MeterId(1), "flows of an earlier run still name 0");
    meters.disown();
    let gone = vec![(MeterId(0), None), (MeterId(2_047), None)];
    assert_eq!(meters.take_changes(), (vec![(MeterId(1), Some(rate()))], gone));
    assert_eq!(meters.make(what(1, 6), rate()), MeterId(0), "and then they do no longer");
    meters.take_changes();
    meters.disown();
    assert_eq!(meters.take_changes(), (vec![], vec![]));
}

fn length(is_whole: bool) -> Length {
    Length { port: PortKey(1), exit: PortKey(2), is_whole }
}

fn read(meters: &mut Meters, id: MeterId, packets: u64) -> (u64, u64) {
    let noted = meters.note(id, MeterStats { packets, dropped: 0 }).unwrap();
    (noted.dropped, noted.forwarded)
}

#[test]
fn frames_that_were_too_long_are_not_taken_for_forwarded() {
    let mut meters = Meters::default();
    let id = meters.of_length(length(true));
    assert!(meters.put_off(id, 10));
    assert_eq!(read(&mut meters, id, 3), (3, 7));
    // The meter was read after two more frames that the flow's counts do not have yet, both too long.
    assert!(meters.put_off(id, 1));
    assert_eq!(read(&mut meters, id, 6), (3, 0));
    assert!(meters.put_off(id, 4));
    assert_eq!(read(&mut meters, id, 6), (0, 2));
    // It was set anew.
    assert!(meters.put_off(id, 5));
    assert_eq!(read(&mut meters, id, 1), (1, 4));
    assert!(!meters.put_off(MeterId(9), 1));
}

#[test]
fn a_copy_that_was_too_long_leaves_the_frame_forwarded() {
    let mut meters = Meters::default();
    let id = meters.of_length(length(false));
    assert_eq!(read(&mut meters, id, 3), (3, 0));
    let of = |meter| [Action::IfFits { mtu: 1_500, fits: vec![], longer: vec![Action::Meter(meter)] }];
    let whole = meters.of_length(length(true));
    assert_eq!((meters.judge_of(&of(id)), meters.judge_of(&of(whole))), (None, Some(whole)));
    meters.hold(&of(whole));
    meters.sweep();
    meters.sweep();
    assert_eq!((meters.what(id), meters.what(whole).is_some()), (None, true), "it is named inside");
}
