//! Another topology.
//!
//! Identifiers change with it, names stay. Every flow is looked over, most used first; only those that would do something else now
//! are touched in the kernel. The revision is in force when none is left.

use std::sync::Arc;

use vlan::model::description::Description;
use vlan::model::mistake::Mistake;
use vlan::model::numbers::Numbers;
use vlan::model::topology::Topology;

use super::Engine;
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
        self.truth.change_topology(&topology);
        if let Some(others) = self.truth.other_hosts() {
            let (host, hosts) = (self.settings.host.clone(), others.to_string());
            self.truth.telling.tell(Event::HostUnknown { host, revision, hosts });
        }
        self.flows.note_revision(revision);
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
