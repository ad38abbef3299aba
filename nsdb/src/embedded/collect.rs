//! Removing documents that no revision names: found out by reading, done in steps between other writes.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::documents::collection::Sweep;
use crate::documents::revision::Revision;
use crate::documents::shard::ShardId;
use crate::embedded::roots::{all_named, stored_root};
use crate::embedded::tables::{META, Reading, SHARDS, UNREFERENCED, Writing};
use crate::error::StoreError;

/// A moment of the store's clock, which begins anew with each opening.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// Number of the opening.
    pub(super) opening: u64,
    /// When that was.
    pub(super) opened: Duration,
    /// Now.
    pub(super) now: Duration,
}

impl Moment {
    fn write(self) -> Vec<u8> {
        let nanos = u64::try_from(self.now.as_nanos()).unwrap_or(u64::MAX);
        [self.opening.to_be_bytes(), nanos.to_be_bytes()].concat()
    }

    /// When a note was written, by the clock of this opening. One of an opening before counts from this one on, and one of format 1, which
    /// was an author's time, not at all.
    fn read(self, note: &[u8]) -> Option<Duration> {
        let (opening, nanos) = note.split_first_chunk()?;
        let nanos = u64::from_be_bytes(nanos.try_into().ok()?);
        let is_of_this = u64::from_be_bytes(*opening) == self.opening;
        Some(if is_of_this { Duration::from_nanos(nanos) } else { self.opened })
    }
}

/// What is done in one write, if the root is still the one that it was found out from.
#[derive(Debug)]
pub(super) struct Step {
    revision: Option<Revision>,
    sweep: Sweep,
}

/// Finds out what is to be done, in steps of a bounded size, so that other writers are not held up by a long list.
pub(super) fn judge(
    reading: &Reading<'_>,
    moment: Moment,
    unused_for: Duration,
) -> Result<Vec<Step>, StoreError> {
    let revision = stored_root(&reading.table(META)?)?.map(|root| root.revision);
    let named = all_named(reading)?;
    let stored = ids(reading.table(SHARDS)?.keys_while(&[], |_| true)?);
    let mut notes = BTreeMap::new();
    reading.table(UNREFERENCED)?.each_from_last(|id, note| {
        let since = id.try_into().ok().zip(moment.read(note));
        notes.extend(since.map(|(id, since)| (ShardId::from_bytes(id), since)));
        Ok(true)
    })?;
    let sweep = Sweep::over(stored, &named, &notes, (moment.now, unused_for));
    Ok(sweep.in_steps(AT_ONCE).into_iter().map(|sweep| Step { revision, sweep }).collect())
}

impl Step {
    /// How many documents it removes.
    pub(super) fn removed(&self) -> usize {
        self.sweep.removed.len()
    }

    /// Does it; `false` and nothing if another revision is the newest by now.
    pub(super) fn carry_out(self, writing: &Writing<'_>, moment: Moment) -> Result<bool, StoreError> {
        let newest = stored_root(&writing.table(META)?)?.map(|root| root.revision);
        if newest != self.revision {
            return Ok(false);
        }
        let mut contents = writing.table(SHARDS)?;
        let mut notes = writing.table(UNREFERENCED)?;
        for id in &self.sweep.noted {
            notes.save(id.as_bytes(), &moment.write())?;
        }
        for id in self.sweep.cleared.iter().chain(&self.sweep.removed) {
            notes.remove(id.as_bytes())?;
        }
        for id in &self.sweep.removed {
            contents.remove(id.as_bytes())?;
        }
        Ok(true)
    }
}

fn ids(keys: Vec<Vec<u8>>) -> impl Iterator<Item = ShardId> {
    keys.into_iter().filter_map(|key| key.try_into().ok()).map(ShardId::from_bytes)
}

const AT_ONCE: usize = 256;
