//! What a collection removes, apart from any backend.
//!
//! A document is out of use when no kept revision names it. The first collection that finds it so notes the time, by the store's own
//! clock; a later one removes it when that was long enough ago. Who publishes takes the note away from whatever it names, so that the time
//! begins anew.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::documents::shard::ShardId;

/// What is to be done with documents that are out of use, and with the notes of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sweep {
    /// To be removed, with its note.
    pub(crate) removed: Vec<ShardId>,
    /// To be noted as out of use since now.
    pub(crate) noted: Vec<ShardId>,
    /// Notes of what is in use, or is not there.
    pub(crate) cleared: Vec<ShardId>,
}

impl Sweep {
    /// Over the documents `stored`, of which `named` are in use; `notes` says since when others are known not to be.
    pub(crate) fn over(
        stored: impl IntoIterator<Item = ShardId>,
        named: &BTreeSet<ShardId>,
        notes: &BTreeMap<ShardId, Duration>,
        (now, unused_for): (Duration, Duration),
    ) -> Self {
        let mut sweep = Self::default();
        let unused: BTreeSet<_> = stored.into_iter().filter(|id| !named.contains(id)).collect();
        for id in &unused {
            let since = notes.get(id).copied().unwrap_or(now);
            if now.saturating_sub(since) >= unused_for {
                sweep.removed.push(*id);
            } else if !notes.contains_key(id) {
                sweep.noted.push(*id);
            }
        }
        sweep.cleared = notes.keys().filter(|id| !unused.contains(id)).copied().collect();
        sweep
    }

    /// The same in pieces of at most `most` each of what is removed, noted and cleared.
    pub(crate) fn in_steps(self, most: usize) -> Vec<Self> {
        let longest = self.removed.len().max(self.noted.len()).max(self.cleared.len());
        let part = |ids: &[ShardId], step| ids.chunks(most).nth(step).unwrap_or_default().to_vec();
        let step = |step| Self {
            removed: part(&self.removed, step),
            noted: part(&self.noted, step),
            cleared: part(&self.cleared, step),
        };
        (0..longest.div_ceil(most)).map(step).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unused_is_noted_then_removed_and_a_note_of_what_is_used_is_cleared() {
        let [a, b, c, d] = [b"a", b"b", b"c", b"d"].map(|text| ShardId::of(text));
        let named = BTreeSet::from([a]);
        let at = |seconds| Duration::from_secs(seconds);
        let sweep = |notes: &[(ShardId, u64)], now| {
            let notes = notes.iter().map(|(id, since)| (*id, at(*since))).collect();
            Sweep::over([a, b, c], &named, &notes, (at(now), at(10)))
        };
        let sorted = |mut ids: Vec<ShardId>| {
            ids.sort();
            ids
        };
        let first = sweep(&[], 5);
        assert_eq!(first, Sweep { noted: sorted(vec![b, c]), ..Sweep::default() });
        assert_eq!(sweep(&[(b, 5), (c, 6)], 14), Sweep::default(), "not yet");
        assert_eq!(sweep(&[(b, 5), (c, 6)], 15), Sweep { removed: vec![b], ..Sweep::default() });
        let steps = Sweep { removed: vec![a, b, c], cleared: vec![d], ..Sweep::default() }.in_steps(2);
        assert_eq!(steps[0], Sweep { removed: vec![a, b], cleared: vec![d], ..Sweep::default() });
        assert_eq!(steps[1..], [Sweep { removed: vec![c], ..Sweep::default() }]);
        assert!(Sweep::default().in_steps(2).is_empty());
        let cleared = sweep(&[(a, 1), (b, 9), (c, 9), (d, 1)], 15);
        assert_eq!(cleared, Sweep { cleared: sorted(vec![a, d]), ..Sweep::default() });
    }
}
