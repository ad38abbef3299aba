//! How many addresses a second are taken to be at another host because frames of it say so, before its words do.
//!
//! A host that sends frames of ever new sources, a looped one or a hostile one, would have every other host learn them all: what is over
//! the limit is not learned, its frame goes on, and the host's words are believed whatever their number.

use rustc_hash::FxHashMap;

use super::Slot;
use crate::time::Instant;

/// What is left of each host's share, or each trunk group's where other hosts hear it.
#[derive(Debug, Clone, Default)]
pub(super) struct Hints {
    left: FxHashMap<Slot, (Instant, u32)>,
}

impl Hints {
    /// Whether one more address may be taken to be there.
    pub(super) fn allow(&mut self, now: Instant, from: Slot) -> bool {
        let (since, left) = self.left.entry(from).or_insert((now, HINTS_A_SECOND));
        let more = now.since(*since).as_nanos() / NANOS_A_HINT;
        if more > 0 {
            let more = u32::try_from(more).unwrap_or(u32::MAX);
            *left = left.saturating_add(more).min(HINTS_A_SECOND);
            // What is over of a hint's time is lost: less than a thousandth of a second.
            *since = now;
        }
        let is_allowed = *left > 0;
        *left -= u32::from(is_allowed);
        is_allowed
    }
}

/// Addresses that become known a second, or move, by frames of another host (behaviour.md 8); as many at once.
pub(super) const HINTS_A_SECOND: u32 = 1_000;
const NANOS_A_HINT: u128 = 1_000_000_000 / HINTS_A_SECOND as u128;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::id::HostId;

    #[test]
    fn a_host_has_a_thousand_a_second_and_no_other_pays_for_it() {
        let (mut hints, one, other) = (Hints::default(), Slot::Host(HostId(1)), Slot::Host(HostId(2)));
        let mut now = Instant::from_secs(5);
        let allowed = |hints: &mut Hints, now| (0..5_000).filter(|_| hints.allow(now, one)).count();
        assert_eq!(allowed(&mut hints, now), 1_000);
        assert!(hints.allow(now, other));
        now = now + Duration::from_millis(250);
        assert_eq!(allowed(&mut hints, now), 250);
        now = now + Duration::from_micros(900);
        assert_eq!(allowed(&mut hints, now), 0);
        now = now + Duration::from_secs(3_600);
        assert_eq!(allowed(&mut hints, now), 1_000);
    }
}
