//! New addresses of a VM's port reach the store at a pace (behaviour.md 4): a guest that makes addresses up keeps back those of its own
//! port, and nobody else's.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nsdb::AddressKey;
use vlan::model::id::PortId;
use vlan::time::Instant;

use crate::engine::due::Due;

/// The new addresses of ports that have said as many as they may for now.
#[derive(Debug, Default)]
pub(in crate::engine) struct Pace {
    of: BTreeMap<PortId, Its>,
    /// Where each of those that wait is.
    waiting: BTreeMap<AddressKey, PortId>,
    /// When the next of a port may be said.
    due: Due<PortId>,
}

/// One port's.
#[derive(Debug, Default)]
struct Its {
    /// When it may say as many at once as any port.
    rested: Instant,
    waiting: BTreeSet<AddressKey>,
}

impl Its {
    /// How long it is until the next may be said.
    fn wait(&self, now: Instant) -> Duration {
        self.rested.since(now).saturating_sub(STEP * (AT_ONCE - 1))
    }
}

impl Pace {
    /// Whether an address that is new at a port may be said now. If not, it waits.
    pub(super) fn may_say(&mut self, now: Instant, port: PortId, key: AddressKey) -> bool {
        self.forget(&key);
        let its = self.of.entry(port).or_default();
        let is_free = its.wait(now).is_zero();
        if is_free {
            its.rested = its.rested.max(now) + STEP;
        } else {
            its.waiting.insert(key);
            self.waiting.insert(key, port);
        }
        if !its.waiting.is_empty() {
            self.due.set(port, now + its.wait(now));
        }
        is_free
    }

    /// An address is not to be said any more.
    pub(super) fn forget(&mut self, key: &AddressKey) {
        let Some(port) = self.waiting.remove(key) else { return };
        let Some(its) = self.of.get_mut(&port) else { return };
        its.waiting.remove(key);
        if its.waiting.is_empty() {
            self.due.remove(&port);
        }
    }

    /// One whose turn has come.
    pub(super) fn take(&mut self, now: Instant) -> Option<AddressKey> {
        let port = self.due.take(now)?;
        let its = self.of.get_mut(&port)?;
        let key = its.waiting.pop_first()?;
        self.waiting.remove(&key);
        if !its.waiting.is_empty() {
            self.due.set(port, now + its.wait(now));
        }
        Some(key)
    }

    /// When one may be said.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.next()
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

/// New addresses of a port that may be said at once after a while without.
const AT_ONCE: u32 = 100;
/// Between two of them otherwise: 100 a second.
const STEP: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use nsdb::{Mac, SegmentId};

    use super::*;

    const ONE: PortId = PortId(1);
    const OTHER: PortId = PortId(2);

    fn key(number: u16) -> AddressKey {
        let [a, b] = number.to_be_bytes();
        AddressKey { segment: SegmentId(8), inner: 0, mac: Mac([2, 0, 0, 0, a, b]) }
    }

    /// Those of a span that may be said, each asked once more when its turn has come.
    fn said(pace: &mut Pace, now: Instant) -> usize {
        let mut said = 0;
        while let Some(key) = pace.take(now) {
            said += usize::from(pace.may_say(now, ONE, key));
        }
        said
    }

    #[test]
    fn a_port_says_a_hundred_at_once_and_a_hundred_a_second() {
        let mut now = Instant::from_secs(9);
        let mut pace = Pace::default();
        let first = (0..1_000).filter(|number| pace.may_say(now, ONE, key(*number))).count();
        assert_eq!((first, pace.len()), (100, 900));
        assert!(pace.may_say(now, OTHER, key(1_000)), "each port has its own");
        assert_eq!(pace.next_due(), Some(now + STEP));
        let mut sum = 0;
        for _ in 0..50 {
            now = now + STEP;
            sum += said(&mut pace, now);
        }
        assert_eq!((sum, pace.len()), (50, 850));
        // And as many where nobody looked for a while.
        now = now + STEP * 50;
        assert_eq!((said(&mut pace, now), pace.len()), (50, 800));
        // Those that are not there any more keep nobody waiting.
        (100..1_000).for_each(|number| pace.forget(&key(number)));
        assert_eq!((pace.len(), pace.next_due(), pace.take(now + STEP)), (0, None, None));
        now = now + Duration::from_secs(2);
        let next = (0..300).filter(|number| pace.may_say(now, ONE, key(*number))).count();
        assert_eq!(next, 100, "and no more after a rest");
    }

    /// It waits once, at the port where it is now.
    #[test]
    fn an_address_that_waits_may_go_to_another_port() {
        let now = Instant::from_secs(9);
        let mut pace = Pace::default();
        let said = (0..150).filter(|number| pace.may_say(now, ONE, key(*number))).count();
        assert_eq!(said, 100);
        assert!(pace.may_say(now, OTHER, key(149)));
        assert_eq!(pace.len(), 49);
    }
}
