//! Another topology.
//!
//! Identifiers change with it, names stay. Every flow is looked over, most used first; only those that would do something else now
//! are touched in the kernel. The revision is in force when none is left.

use std::sync::Arc;

use vlan::model::description::Description;
use vlan::model::mistake::Mistake;
use vlan::model::numbers::Numbers;
use vlan::model::topology::Topology;
use vlan::time::Instant;

use super::Engine;
use super::flows::hosts::forget_questions;
use crate::event::Event;
use crate::view::Unread;

impl Engine {
    pub(super) fn change_topology(&mut self, revision: u64, built: Result<Arc<Topology>, Vec<String>>) {
        let topology = match built {
            Ok(topology) => topology,
            Err(mistakes) => {
                self.note_unread(revision, mistakes.join("; "));
                self.truth.telling.tell(Event::RevisionRefused { revision, mistakes });
                return;
            }
        };
        self.unread = None;
        self.revision = revision;
        forget_questions(&mut self.flows, &mut self.truth);
        self.truth.others.go_by(revision);
        self.truth.change_topology(&topology);
        if let Some(others) = self.truth.other_hosts() {
            let (host, hosts) = (self.settings.host.clone(), others.to_string());
            self.truth.telling.tell(Event::HostUnknown { host, revision, hosts });
        }
        self.flows.note_revision(revision, topology);
    }

    pub(super) fn note_store_away(&mut self, now: Instant, why: String) {
        self.truth.feed.set_away(true);
        if self.store_away.is_none() {
            self.truth.telling.tell(Event::StoreAway { revision: self.revision, why: why.clone() });
        }
        let since = self.store_away.take().map_or(now, |(since, _)| since);
        self.store_away = Some((since, why));
    }

    pub(super) fn note_store_back(&mut self, now: Instant) {
        self.truth.feed.set_away(false);
        if let Some((since, _)) = self.store_away.take() {
            self.truth.telling.tell(Event::StoreBack { seconds: now.since(since).as_secs() });
        }
    }

    pub(super) fn note_namesake(&mut self, machine: Option<String>) {
        let host = self.settings.host.clone();
        match (&self.namesake, &machine) {
            (before, Some(machine)) if before.as_ref() != Some(machine) => {
                self.truth.telling.tell(Event::HostTwice { host, machine: machine.clone() });
            }
            (Some(_), None) => self.truth.telling.tell(Event::HostOnce { host }),
            _ => {}
        }
        self.namesake = machine;
    }

    /// The newest revision is not in force, and will not be.
    pub(super) fn note_unread(&mut self, revision: u64, why: String) {
        self.unread = Some(Unread { revision, why });
    }
}

/// Builds a topology; its mistakes in words.
pub(super) fn build(
    description: &Description,
    numbers: Option<&Numbers>,
) -> Result<Arc<Topology>, Vec<String>> {
    numbers
        .map_or_else(|| Topology::build(description), |numbers| Topology::with_numbers(description, numbers))
        .map(Arc::new)
        .map_err(|mistakes| mistakes.iter().map(|Mistake { text, .. }| text.clone()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Settings;
    use crate::input::Input;
    use crate::output::Output;

    #[test]
    fn a_store_that_is_away_is_told_once_and_that_it_is_back() {
        let mut engine = Engine::new(Settings::new("gw1"));
        let mut told = |seconds: u64, input: Input| {
            let now = Instant::ZERO + std::time::Duration::from_secs(seconds);
            engine.handle(now, input);
            let events = std::iter::from_fn(|| engine.poll_output()).filter_map(|output| match output {
                Output::Event(event) => Some(event.to_string()),
                _ => None,
            });
            let events: Vec<_> = events.collect();
            (events, engine.view().status(now).store_away.map(|away| away.seconds))
        };
        let away = |why: &str| Input::StoreAway { why: why.to_owned() };
        let first = "the store cannot be read, and there is no revision yet: nobody is there".to_owned();
        assert_eq!(told(10, away("nobody is there")), (vec![first], Some(0)));
        assert_eq!(told(15, away("still nobody")), (vec![], Some(5)));
        assert_eq!(
            told(70, Input::StoreBack),
            (vec!["the store can be read again, after 60 s".to_owned()], None)
        );
        assert_eq!(told(71, Input::StoreBack), (vec![], None));
    }

    #[test]
    fn a_namesake_is_told_once_and_stands_in_the_status() {
        let mut engine = Engine::new(Settings::new("gw1"));
        let mut told = |machine: Option<&str>| {
            engine.handle(Instant::ZERO, Input::Namesake(machine.map(str::to_owned)));
            let events = std::iter::from_fn(|| engine.poll_output()).filter_map(|output| match output {
                Output::Event(event) => Some(event.kind()),
                _ => None,
            });
            let events: Vec<_> = events.collect();
            (events, engine.view().status(Instant::ZERO).namesake)
        };
        let at = |machine: &str| Some(machine.to_owned());
        assert_eq!(told(None), (vec![], None));
        assert_eq!(told(Some("0af3")), (vec!["host-twice"], at("0af3")));
        assert_eq!(told(Some("0af3")), (vec![], at("0af3")));
        assert_eq!(told(Some("17cc")), (vec!["host-twice"], at("17cc")));
        assert_eq!(told(None), (vec!["host-once"], None));
    }
}
