//! Learned addresses over a restart, by names: identifiers are another topology's by then.

use std::time::Duration;

use vlan::fdb::saved::Saved;
use vlan::time::Instant;

use super::truth::Truth;
use crate::input::SavedAddress;
use crate::output::SavedPiece;

/// How far the learned addresses have been gone over, to be saved.
#[derive(Debug, Default)]
pub(super) struct Saving {
    /// The place in the address table where it goes on; `None` between two rounds.
    from: Option<u32>,
    /// When the next round begins.
    due: Option<Instant>,
    number: usize,
    addresses: Vec<SavedAddress>,
    /// What is to be saved next.
    piece: Option<SavedPiece>,
}

impl Saving {
    /// When there is something to do.
    pub(super) fn next_due(&self) -> Option<Instant> {
        if self.from.is_some() { Some(Instant::ZERO) } else { self.due }
    }

    /// Goes on saving the learned addresses, some places of their table at a time, a piece whenever one is full.
    pub(super) fn go_on(&mut self, now: Instant, truth: &mut Truth) {
        let due = *self.due.get_or_insert(now + SAVE_EVERY);
        let from = match self.from {
            Some(from) => from,
            None if due <= now => 0,
            None => return,
        };
        let page = truth.switch.fdb.addresses.page(now, from, PLACES_AT_ONCE);
        self.addresses.extend(page.filter_map(|(_, entry)| truth.by_name(&Saved::of(now, &entry)?)));
        self.from = truth.switch.fdb.addresses.page_after(from, PLACES_AT_ONCE);
        let is_last = self.from.is_none();
        if is_last || self.addresses.len() >= ADDRESSES_A_PIECE {
            let addresses = std::mem::take(&mut self.addresses);
            let number = self.number;
            let bound = if number == 0 { truth.links.news_of_bound() } else { None };
            self.piece = Some(SavedPiece { number, addresses, is_last, bound });
            self.number += 1;
        }
        if is_last {
            self.number = 0;
            let pause = SAVE_EVERY * (1 + truth.switch.fdb.addresses.len() as u32 / ADDRESSES_A_PAUSE);
            self.due = Some(now + pause);
        }
    }

    /// A piece that is to be saved.
    pub(super) fn take_piece(&mut self) -> Option<SavedPiece> {
        self.piece.take()
    }
}

/// How often learned addresses are saved, for each [`ADDRESSES_A_PAUSE`] of them.
const SAVE_EVERY: Duration = Duration::from_secs(3);
const ADDRESSES_A_PAUSE: u32 = 20_000;
/// Places of the address table that are gone over for one input.
const PLACES_AT_ONCE: u32 = 1_000;
/// Addresses in a piece, and up to [`PLACES_AT_ONCE`] more: one record of the store has a limit.
const ADDRESSES_A_PIECE: usize = 10_000;
