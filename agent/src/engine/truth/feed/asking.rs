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
        retry.max(self.more_at)
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
        let mut turn: Vec<_> = self.of.range((behind, Bound::Unbounded)).take(most).copied().collect();
        if turn.len() < most {
            let rest = most - turn.len();
            let first = self.of.iter().take(rest).filter(|key| self.last.is_some_and(|last| **key <= last));
            turn.extend(first.copied().collect::<Vec<_>>());
        }
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
        if !self.asking.is_free(now) {
            return;
        }
        let turn = self.asking.take_turn(now);
        // Another host's word may have come meanwhile: then there is nothing to be said.
        let own = |key: &AddressKey| self.word(key).filter(|word| self.is_own(word)).copied();
        let words: Vec<AddressRecord> = turn.iter().filter_map(own).collect();
        if !words.is_empty() {
            self.asking.asked = words.iter().map(|word| word.key).collect();
            outbox.push(Output::Announce(words));
        }
    }
}

/// Words that the store is told at once: as many as one node takes.
const WORDS_AT_ONCE: usize = 1_024;
/// Words that may be said at once after a while of silence, such as when a trunk comes up.
const BURST: u32 = 20_000;
/// Words a step, and how long a step is: 2 000 a second (behaviour.md 8 has moves of a host at half of that).
const REFILL: u32 = 20;
const REFILL_EVERY: Duration = Duration::from_millis(10);
/// When words that were not taken are said again.
const TRY_AGAIN: Duration = Duration::from_millis(500);
