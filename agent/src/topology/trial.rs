//! A revision that has to be confirmed, as one host sees it: how long it still waits, and what comes where nobody has confirmed it.
//!
//! ```text
//! seen, to be confirmed ─► waits ── its time is over ─► over: this host goes back to the revision before, and publishes that again
//!                            │                            │
//!                            └──── another is seen ◄──────┘   the confirmation, what was taken back, a rollback: it is as any other
//! ```
//! Each host counts for itself, from when it has seen the revision, by a clock that only goes forward. A host that can publish does so a
//! while after it has gone back, in a turn of its own: one of them is first.

use nsdb::{ConfirmWithin, Revision};
use vlan::time::Instant;

/// The revision that waits, if one does.
#[derive(Debug, Default)]
pub(super) struct Trial(Option<State>);

#[derive(Debug, Clone, Copy)]
struct State {
    revision: Revision,
    within: ConfirmWithin,
    stage: Stage,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    /// It is in force, until then.
    Waits { until: Instant },
    /// It is not any more.
    Over {
        /// When the one before is to be published, if it is.
        publish_at: Option<Instant>,
    },
}

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Going back to the revision before.
    GoBack(Revision, ConfirmWithin),
    /// Publishing what the revision before says.
    Publish(Revision, ConfirmWithin),
}

/// A revision that was not confirmed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// Its number.
    pub revision: Revision,
    /// Until when it is in force; `None` where this host has gone back from it.
    pub until: Option<Instant>,
}

impl Trial {
    /// This host went back from a revision in an earlier run.
    pub(super) fn recall_over(
        &mut self,
        revision: Revision,
        within: ConfirmWithin,
        publish_at: Option<Instant>,
    ) {
        self.0 = Some(State { revision, within, stage: Stage::Over { publish_at } });
    }

    /// What comes now is another database's: nothing of this one waits, or is over.
    pub(super) fn end(&mut self) {
        self.0 = None;
    }

    /// The newest revision, and within which time it has to be confirmed. Whether it is to be in force.
    pub(super) fn see(&mut self, now: Instant, revision: Revision, within: Option<ConfirmWithin>) -> bool {
        match self.0 {
            // A revision of this number that waits for nothing is another database's: what waits here never changes.
            Some(known) if known.revision == revision && within.is_some() => {
                return !matches!(known.stage, Stage::Over { .. });
            }
            // From a server that lags behind: it does not end what is newer.
            Some(known) if known.revision > revision => return true,
            _ => {}
        }
        let waits = |within: ConfirmWithin| Stage::Waits { until: now + within.as_duration() };
        self.0 = within.map(|within| State { revision, within, stage: waits(within) });
        true
    }

    /// Whether this host has gone back from a revision that has to be confirmed within this time.
    pub(super) fn is_over(&self, revision: Revision, within: Option<ConfirmWithin>) -> bool {
        let is_it = |known: State| known.revision == revision && Some(known.within) == within;
        self.0.is_some_and(|known| is_it(known) && matches!(known.stage, Stage::Over { .. }))
    }

    /// Until when a revision waits, if one does.
    pub(super) fn waits_until(&self) -> Option<Instant> {
        match self.0?.stage {
            Stage::Waits { until } => Some(until),
            Stage::Over { .. } => None,
        }
    }

    /// When something is to be done.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.0?.stage {
            Stage::Waits { until } => Some(until),
            Stage::Over { publish_at } => publish_at,
        }
    }

    /// What is to be done now.
    pub(super) fn due(&self, now: Instant) -> Option<Due> {
        let State { revision, within, stage } = self.0.filter(|_| self.poll_timeout() <= Some(now))?;
        match stage {
            Stage::Waits { .. } => Some(Due::GoBack(revision, within)),
            Stage::Over { publish_at: Some(_) } => Some(Due::Publish(revision, within)),
            Stage::Over { publish_at: None } => None,
        }
    }

    /// This host cannot go back yet: it is tried again then.
    pub(super) fn wait_until(&mut self, until: Instant) {
        self.enter(Stage::Waits { until });
    }

    /// This host goes back, or has; the revision before is to be published then, if at all.
    pub(super) fn go_back(&mut self, publish_at: Option<Instant>) {
        self.enter(Stage::Over { publish_at });
    }

    /// What is told of it.
    pub(super) fn waits(&self) -> Option<Waits> {
        self.0.map(|known| Waits { revision: known.revision, until: self.waits_until() })
    }

    fn enter(&mut self, stage: Stage) {
        if let Some(known) = &mut self.0 {
            known.stage = stage;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(number: u64) -> Revision {
        Revision::new(number).unwrap()
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_secs(seconds)
    }

    fn within(seconds: u64) -> ConfirmWithin {
        ConfirmWithin::try_from(seconds).unwrap()
    }

    /// One that has seen revision 42 at second 100, to be confirmed within 60 s.
    fn waiting() -> Trial {
        let mut trial = Trial::default();
        assert!(trial.see(at(90), revision(41), None));
        assert_eq!((trial.poll_timeout(), trial.waits()), (None, None));
        assert!(trial.see(at(100), revision(42), Some(within(60))));
        trial
    }

    #[test]
    fn the_time_begins_when_a_revision_is_seen_first() {
        let mut trial = waiting();
        assert!(trial.see(at(150), revision(42), Some(within(60))), "the same again is the same");
        assert_eq!(trial.poll_timeout(), Some(at(160)));
        assert_eq!(trial.waits(), Some(Waits { revision: revision(42), until: Some(at(160)) }));
        assert_eq!(trial.due(Instant::from_millis(159_999)), None);
        assert_eq!(trial.due(at(160)), Some(Due::GoBack(revision(42), within(60))));
    }

    #[test]
    fn what_is_over_comes_into_force_by_its_confirmation_only() {
        let mut trial = waiting();
        trial.go_back(Some(at(163)));
        assert_eq!(trial.waits(), Some(Waits { revision: revision(42), until: None }));
        let is_over = |number, within| trial.is_over(revision(number), within);
        assert!(is_over(42, Some(within(60))) && !is_over(41, Some(within(60))));
        assert!(!is_over(42, None) && !is_over(42, Some(within(61))), "another database's");
        assert!(!trial.see(at(161), revision(42), Some(within(60))));
        assert_eq!((trial.poll_timeout(), trial.due(at(162))), (Some(at(163)), None));
        assert_eq!(trial.due(at(163)), Some(Due::Publish(revision(42), within(60))));
        trial.go_back(None);
        assert_eq!((trial.poll_timeout(), trial.due(at(999))), (None, None), "somebody else publishes");
        assert!(!trial.see(at(170), revision(42), Some(within(60))));
        assert!(trial.see(at(171), revision(43), None));
        assert_eq!((trial.poll_timeout(), trial.waits()), (None, None));
    }

    #[test]
    fn another_revision_ends_the_wait_and_may_begin_its_own() {
        for next in [None, Some(within(5))] {
            let mut trial = waiting();
            assert!(trial.see(at(120), revision(43), next));
            assert_eq!(trial.poll_timeout(), next.map(|_| at(125)));
            assert_eq!(trial.due(at(120)), None);
        }
    }

    #[test]
    fn a_server_that_lags_behind_ends_nothing() {
        let mut trial = waiting();
        assert!(trial.see(at(101), revision(41), None));
        assert_eq!(trial.poll_timeout(), Some(at(160)));
        trial.go_back(None);
        assert!(trial.see(at(161), revision(41), None));
        assert!(!trial.see(at(162), revision(42), Some(within(60))), "what is over stays so");
    }

    #[test]
    fn what_was_over_in_an_earlier_run_is_over() {
        let mut trial = Trial::default();
        trial.recall_over(revision(42), within(60), Some(at(2)));
        assert!(!trial.see(at(1), revision(42), Some(within(60))));
        assert_eq!(trial.due(at(2)), Some(Due::Publish(revision(42), within(60))));
        assert!(trial.see(at(3), revision(43), Some(within(60))));
        assert_eq!(trial.poll_timeout(), Some(at(63)));
    }

    #[test]
    fn a_revision_of_the_same_number_in_another_database_is_another() {
        let mut trial = Trial::default();
        trial.recall_over(revision(42), within(60), Some(at(2)));
        assert!(trial.see(at(1), revision(42), None));
        assert_eq!((trial.poll_timeout(), trial.waits()), (None, None));
    }

    #[test]
    fn in_another_database_nothing_waits_and_nothing_is_over() {
        for is_over in [false, true] {
            let mut trial = waiting();
            if is_over {
                trial.go_back(Some(at(163)));
            }
            trial.end();
            assert_eq!((trial.poll_timeout(), trial.waits(), trial.due(at(999))), (None, None, None));
            assert!(
                trial.see(at(170), revision(42), Some(within(60))),
                "though number and time are the same"
            );
            assert_eq!(trial.poll_timeout(), Some(at(230)));
        }
    }

    #[test]
    fn a_host_that_cannot_go_back_tries_again() {
        let mut trial = waiting();
        trial.wait_until(at(165));
        assert_eq!(trial.due(at(164)), None);
        assert_eq!(trial.due(at(165)), Some(Due::GoBack(revision(42), within(60))));
    }
}
