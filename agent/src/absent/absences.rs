//! Since when hosts have been gone, and of which of them the words are to be taken back: whatever the store has said, and no clock of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Hosts without a session, by number.
#[derive(Debug, Default)]
pub(super) struct Absences {
    /// Since when each has been gone without a break, as far as one has looked.
    since: BTreeMap<u32, Duration>,
    /// Those whose words were taken back since.
    withdrawn: BTreeMap<u32, Again>,
}

/// When it is looked once more whether words of a host came back.
#[derive(Debug)]
struct Again {
    at: Duration,
    /// How long that is behind the last time.
    behind: Duration,
}

impl Absences {
    /// Takes in who is gone now, and which hosts others hear; `None` where some host that is there has not said whom it hears. Returns those
    /// whose words are to be taken back: gone at every look for [`PATIENCE`], and heard by nobody. And once more later, since one may have been there
    /// between two looks, and said something: that reads the log of every segment, so that it is done ever more seldom ([`AGAIN`]).
    ///
    /// A host that is heard is there, though the store is out of its reach: its time begins anew.
    pub(super) fn look(
        &mut self,
        now: Duration,
        gone: &BTreeSet<u32>,
        heard: Option<&BTreeSet<u32>>,
    ) -> BTreeSet<u32> {
        self.since.retain(|host, _| gone.contains(host));
        self.withdrawn.retain(|host, _| gone.contains(host));
        for host in gone {
            let since = self.since.entry(*host).or_insert(now);
            if heard.is_some_and(|heard| heard.contains(host)) {
                *since = now;
                self.withdrawn.remove(host);
            }
        }
        if heard.is_none() {
            return BTreeSet::new();
        }
        let is_due = |since: &Duration| now.saturating_sub(*since) >= PATIENCE;
        let due = self.since.iter().filter(|(_, since)| is_due(since)).map(|(host, _)| *host);
        due.filter(|host| self.withdrawn.get(host).is_none_or(|again| now >= again.at)).collect()
    }

    /// The words of these were taken back.
    pub(super) fn note_withdrawn(&mut self, now: Duration, hosts: BTreeSet<u32>) {
        for host in hosts {
            let behind = self.withdrawn.get(&host).map_or(AGAIN, |last| SELDOM.min(last.behind * 2));
            self.withdrawn.insert(host, Again { at: now + behind, behind });
        }
    }

    /// Nobody has looked for a while: each is gone since it is seen to be gone again.
    pub(super) fn break_off(&mut self) {
        self.since.clear();
    }
}

/// One session timeout (60 s, [`Pace`](crate::presence::Pace)) and 30 s (behaviour.md 7): after the store was away, hosts that are there have a
/// session again by then.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);

/// Until it is looked for the first time whether words of a host came back; each time twice as long, up to [`SELDOM`].
pub(super) const AGAIN: Duration = Duration::from_secs(600);
const SELDOM: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn set(hosts: impl IntoIterator<Item = u32>) -> BTreeSet<u32> {
        hosts.into_iter().collect()
    }

    #[test]
    fn who_is_gone_for_long_and_heard_by_nobody_is_due_until_that_is_done() {
        let mut absences = Absences::default();
        let nobody = set([]);
        assert_eq!(absences.look(s(0), &set([3, 4]), Some(&nobody)), set([]));
        assert_eq!(absences.look(s(60), &set([3, 4, 5]), Some(&nobody)), set([]));
        assert_eq!(absences.look(s(89), &set([3, 4, 5]), Some(&nobody)), set([]));
        assert_eq!(absences.look(s(90), &set([3, 5]), Some(&nobody)), set([3]), "4 was there again");
        assert_eq!(absences.look(s(120), &set([3, 4, 5]), Some(&nobody)), set([3]), "it was not done");
        absences.note_withdrawn(s(120), set([3]));
        assert_eq!(absences.look(s(150), &set([3, 4, 5]), Some(&nobody)), set([5]));
        assert_eq!(absences.look(s(210), &set([3, 4, 5]), Some(&nobody)), set([4, 5]));
        absences.note_withdrawn(s(210), set([4, 5]));
        // It came back, said words, and is gone once more.
        assert_eq!(absences.look(s(240), &set([4, 5]), Some(&nobody)), set([]));
        assert_eq!(absences.look(s(270), &set([3, 4, 5]), Some(&nobody)), set([]));
        assert_eq!(absences.look(s(360), &set([3, 4, 5]), Some(&nobody)), set([3]));
    }

    #[test]
    fn who_is_heard_by_somebody_is_there() {
        let mut absences = Absences::default();
        assert_eq!(absences.look(s(0), &set([3, 4]), Some(&set([]))), set([]));
        assert_eq!(absences.look(s(80), &set([3, 4]), Some(&set([3]))), set([]));
        assert_eq!(absences.look(s(100), &set([3, 4]), Some(&set([]))), set([4]));
        absences.note_withdrawn(s(100), set([4]));
        assert_eq!(absences.look(s(170), &set([3, 4]), Some(&set([4]))), set([3]));
        assert_eq!(absences.look(s(260), &set([3, 4]), Some(&set([]))), set([3, 4]), "4 was heard meanwhile");
    }

    /// It may have been there between two looks.
    #[test]
    fn whose_words_were_taken_back_is_due_again_ever_more_seldom() {
        let mut absences = Absences::default();
        let nobody = set([]);
        absences.look(s(0), &set([3]), Some(&nobody));
        assert_eq!(absences.look(s(90), &set([3]), Some(&nobody)), set([3]));
        let mut at = 90;
        for behind in [600, 1_200, 2_400, 4_800, 9_600, 19_200, 38_400, 76_800, 86_400, 86_400] {
            absences.note_withdrawn(s(at), set([3]));
            at += behind;
            assert_eq!(absences.look(s(at - 1), &set([3]), Some(&nobody)), set([]));
            assert_eq!(absences.look(s(at), &set([3]), Some(&nobody)), set([3]));
        }
    }

    #[test]
    fn while_somebody_has_not_said_whom_it_hears_nobody_is_due() {
        let mut absences = Absences::default();
        assert_eq!(absences.look(s(0), &set([3]), None), set([]));
        assert_eq!(absences.look(s(500), &set([3]), None), set([]));
        assert_eq!(absences.look(s(501), &set([3]), Some(&set([]))), set([3]));
    }

    #[test]
    fn after_a_break_it_counts_from_the_beginning_and_what_is_done_stays_done() {
        let mut absences = Absences::default();
        let nobody = set([]);
        absences.look(s(0), &set([3, 4]), Some(&nobody));
        absences.note_withdrawn(s(0), set([3]));
        absences.break_off();
        assert_eq!(absences.look(s(91), &set([3, 4]), Some(&nobody)), set([]));
        assert_eq!(absences.look(s(180), &set([3, 4]), Some(&nobody)), set([]));
        assert_eq!(absences.look(s(181), &set([3, 4]), Some(&nobody)), set([4]));
    }
}
