//! Own words on their way to the store: some at a time, and no more a second than the store and the other hosts can bear.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::time::Duration;

use nsdb::{AddressKey, AddressRecord};
use vlan::time::Instant;

use super::Feed;
use crate::engine::outbox::Outbox;
use crate::output::Output;

/// Addresses of which the store has not been told what is so.
#[derive(Debug, Default)]
pub(in crate::engine) struct Asking {
    of: BTreeSet<AddressKey>,
    /// Behind which address it goes on, so that each has its turn.
    last: Option<AddressKey>,
    /// What the store is being told; nothing more until it has answered.
    asked: Vec<AddressKey>,
    /// Why it was refused last, and when it is tried again.
    refused: Option<(Instant, String)>,
    /// How many words may still be said, and since when.
    allowed: u32,
    allowed_at: Option<Instant>,
    /// When more may be said.
    more_at: Option<Instant>,
}

impl Asking {
    pub(super) fn add(&mut self, key: AddressKey) {
        self.of.insert(key);
    }

    /// None of a segment that is not shared any more.
    pub(super) fn retain(&mut self, keep: impl Fn(&AddressKey) -> bool) {
        self.of.retain(|key| keep(key));
    }

    /// How many words the store has not taken yet.
    pub(super) fn len(&self) -> usize {
        self.of.len() + self.asked.len()
    }

    /// Why the store took none when it was last asked.
    pub(super) fn refused(&self) -> Option<&str> {
        self.refused.as_ref().map(|(_, why)| why.as_str())
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        if self.of.is_empty() || !self.asked.is_empty() {
            return None;
        }
        let retry = self.refused.as_ref().map(|(at, _)| *at);
        retry.max(self.more_at).or(Some(Instant::ZERO))
    }

    /// The store has answered. Whether that is other news than before.
    pub(super) fn note_answer(&mut self, now: Instant, refused: Option<String>) -> bool {
        let asked = std::mem::take(&mut self.asked);
        let was_refused = self.refused.is_some();
        let is_refused = refused.is_some();
        if is_refused {
            self.of.extend(asked);
        }
        self.refused = refused.map(|why| (now + TRY_AGAIN, why));
        is_refused != was_refused
    }

    /// Whether something may be said now.
    fn is_free(&self, now: Instant) -> bool {
        let is_past = self.refused.as_ref().is_none_or(|(at, _)| *at <= now);
        self.asked.is_empty() && !self.of.is_empty() && is_past
    }

    /// The addresses whose turn it is.
    fn take_turn(&mut self, now: Instant) -> Vec<AddressKey> {
        self.refill(now);
        let most = WORDS_AT_ONCE.min(self.allowed as usize);
        self.more_at = (most == 0).then_some(now + REFILL_EVERY);
        let behind = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        // Behind the last one, and then from the beginning again.
        let first = self.of.iter().take_while(|key| self.last.is_some_and(|last| **key <= last));
        let in_order = self.of.range((behind, Bound::Unbounded)).chain(first).copied();
        let (mut segments, mut at) = (0, None);
        let is_one_more = |key: &AddressKey| {
            segments += usize::from(at.replace(key.segment) != Some(key.segment));
            segments <= SEGMENTS_AT_ONCE
        };
        let turn: Vec<AddressKey> = in_order.take(most).take_while(is_one_more).collect();
        for key in &turn {
            self.of.remove(key);
        }
        self.last = turn.last().copied().or(self.last);
        self.allowed -= turn.len() as u32;
        turn
    }

    fn refill(&mut self, now: Instant) {
        let since = *self.allowed_at.get_or_insert_with(|| {
            self.allowed = BURST;
            now
        });
        let steps =
            u32::try_from(now.since(since).as_millis() / REFILL_EVERY.as_millis()).unwrap_or(u32::MAX);
        self.allowed = self.allowed.saturating_add(steps.saturating_mul(REFILL)).min(BURST);
        self.allowed_at = Some(since + REFILL_EVERY * steps);
    }
}

impl Feed {
    /// Has the store told of own words, if it is not being told of others.
    pub(in crate::engine) fn ask(&mut self, now: Instant, outbox: &mut Outbox) {
        if self.is_away || !self.asking.is_free(now) {
            return;
        }
        let turn = self.asking.take_turn(now);
        // Another host's word may have come meanwhile: then there is nothing to be said.
        let own = |key: &AddressKey| self.word(key).filter(|word| self.is_own(word));
        let words: Vec<AddressRecord> = turn.iter().filter_map(own).collect();
        if !words.is_empty() {
            self.asking.asked = words.iter().map(|word| word.key).collect();
            outbox.push(Output::Announce(words));
        }
    }
}

/// Words that the store is told at once: as many as one node takes.
const WORDS_AT_ONCE: usize = 1_024;
/// Segments that they are of: each is a write of its own, of which a host may do fifty a second (`nsdb/src/zookeeper/feed/pace.rs`).
const SEGMENTS_AT_ONCE: usize = 64;
/// Words that may be said at once after a while of silence, such as when a trunk comes up.
const BURST: u32 = 20_000;
/// Words a step, and how long a step is: 2 000 a second (behaviour.md 8 has moves of a host at half of that).
const REFILL: u32 = 20;
const REFILL_EVERY: Duration = Duration::from_millis(10);
/// When words that were not taken are said again.
const TRY_AGAIN: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use nsdb::{Mac, SegmentId};

    use super::*;

    fn key(segment: u64, number: u16) -> AddressKey {
        let [a, b] = number.to_be_bytes();
        AddressKey { segment: SegmentId(segment), inner: 0, mac: Mac([2, 0, 0, 0, a, b]) }
    }

    fn asking(keys: impl IntoIterator<Item = AddressKey>) -> Asking {
        let mut asking = Asking::default();
        keys.into_iter().for_each(|key| asking.add(key));
        asking
    }

    #[test]
    fn a_turn_has_so_many_words_of_so_few_segments_and_each_has_its_turn() {
        let now = Instant::from_secs(9);
        let mut many = asking((0..3_000).map(|number| key(8, number)));
        let sizes: Vec<usize> = (0..4).map(|_| many.take_turn(now).len()).collect();
        assert_eq!(sizes, [1_024, 1_024, 952, 0]);
        let mut wide = asking((0..150).map(|segment| key(segment, 1)));
        assert_eq!(wide.take_turn(now).len(), 64);
        // One that changes all the time waits until the others have had theirs.
        wide.add(key(0, 1));
        let second = wide.take_turn(now);
        assert!(second.len() == 64 && second[0] == key(64, 1));
        let third = wide.take_turn(now);
        assert_eq!((third.len(), third.last()), (23, Some(&key(0, 1))));
    }

    #[test]
    fn after_a_burst_two_thousand_a_second_are_said() {
        let mut now = Instant::from_secs(9);
        let mut many = asking((0..40_000).map(|number| key(8, number)));
        let said = |many: &mut Asking, now| {
            std::iter::from_fn(|| Some(many.take_turn(now).len())).take_while(|said| *said > 0).sum::<usize>()
        };
        assert_eq!(said(&mut many, now), 20_000);
        assert_eq!(many.next_due(), Some(now + REFILL_EVERY));
        for _ in 0..100 {
            now = now + Duration::from_millis(50);
            assert_eq!(said(&mut many, now), 100);
        }
    }

    #[test]
    fn what_was_refused_is_said_again_a_while_later_and_told_once() {
        let now = Instant::from_secs(9);
        let mut one = asking([key(8, 1)]);
        one.asked = one.take_turn(now);
        assert!(!one.is_free(now) && one.next_due().is_none() && one.len() == 1);
        assert!(one.note_answer(now, Some("full".to_owned())));
        assert_eq!(
            (one.is_free(now), one.next_due(), one.refused()),
            (false, Some(now + TRY_AGAIN), Some("full"))
        );
        let later = now + TRY_AGAIN;
        assert!(one.is_free(later));
        one.asked = one.take_turn(later);
        assert!(!one.note_answer(later, Some("full".to_owned())), "as before");
        one.asked = one.take_turn(later + TRY_AGAIN);
        assert!(one.note_answer(later, None));
        assert_eq!((one.len(), one.refused()), (0, None));
    }
}
