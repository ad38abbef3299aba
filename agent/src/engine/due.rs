//! Things that are due, each at its own time: the next one is found without a look at the others.

use std::collections::{BTreeMap, BTreeSet};

use vlan::time::Instant;

/// When each of some things is due.
#[derive(Debug)]
pub(super) struct Due<K> {
    at: BTreeMap<K, Instant>,
    in_order: BTreeSet<(Instant, K)>,
}

impl<K> Default for Due<K> {
    fn default() -> Due<K> {
        Due { at: BTreeMap::new(), in_order: BTreeSet::new() }
    }
}

impl<K: Ord + Clone> Due<K> {
    /// It is due at this time, and at no other.
    pub(super) fn set(&mut self, what: K, at: Instant) {
        self.remove(&what);
        self.in_order.insert((at, what.clone()));
        self.at.insert(what, at);
    }

    /// It is due no more.
    pub(super) fn remove(&mut self, what: &K) {
        if let Some(at) = self.at.remove(what) {
            self.in_order.remove(&(at, what.clone()));
        }
    }

    /// When it is due.
    pub(super) fn when(&self, what: &K) -> Option<Instant> {
        self.at.get(what).copied()
    }

    /// When the next is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.in_order.first().map(|(at, _)| *at)
    }

    /// One that is due, the earliest first; it is due no more.
    pub(super) fn take(&mut self, now: Instant) -> Option<K> {
        if self.next()? > now {
            return None;
        }
        let (_, what) = self.in_order.pop_first()?;
        self.at.remove(&what);
        Some(what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_each_once() {
        let at = Instant::from_secs;
        let mut due = Due::default();
        [("b", 3), ("a", 5), ("c", 1)].into_iter().for_each(|(what, secs)| due.set(what, at(secs)));
        due.set("c", at(4));
        assert_eq!((due.when(&"c"), due.when(&"d")), (Some(at(4)), None));
        assert_eq!((due.next(), due.take(at(2))), (Some(at(3)), None));
        assert_eq!((due.take(at(4)), due.take(at(4)), due.take(at(4))), (Some("b"), Some("c"), None));
        due.remove(&"a");
        assert_eq!((due.next(), due.take(at(9))), (None, None));
    }
}
