//! A topology that this process publishes is built before it is stored. Whoever follows the store here takes that one, and builds only what
//! another process has published; and shows what it follows, and which revision waits for its confirmation, to whoever else in this process
//! needs it.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use nsdb::Revision;
use vlan::model::numbers::Numbers;
use vlan::model::topology::Topology;

use super::trial::Waits;
use crate::documents::Stored;

/// The topology that was published last from this process, until whoever follows the store has taken it.
#[derive(Debug, Clone, Default)]
pub struct Built(Arc<Shared>);

#[derive(Default)]
struct Shared {
    offered: Mutex<Option<Offered>>,
    waits: Mutex<Option<Waits>>,
    onlooker: OnceLock<Onlooker>,
}

/// What is done with each topology that is followed.
type Onlooker = Box<dyn Fn(&Topology) + Send + Sync>;

#[derive(Debug)]
struct Offered {
    /// The revision that it is to follow.
    behind: Option<Revision>,
    numbers: Numbers,
    topology: Arc<Topology>,
}

impl Built {
    /// What is published next, behind this revision.
    pub(super) fn offer(&self, behind: Option<Revision>, numbers: &Numbers, topology: &Arc<Topology>) {
        let (numbers, topology) = (numbers.clone(), Arc::clone(topology));
        self.put(Some(Offered { behind, numbers, topology }));
    }

    /// It was not published.
    pub(super) fn withdraw(&self) {
        self.put(None);
    }

    /// Has each topology that is followed in this process shown to `onlooker`, before it is passed on. The first to ask is the only one.
    pub fn show_to(&self, onlooker: impl Fn(&Topology) + Send + Sync + 'static) {
        let _ = self.0.onlooker.set(Box::new(onlooker));
    }

    /// This one is followed.
    pub(super) fn show(&self, followed: &Topology) {
        if let Some(onlooker) = self.0.onlooker.get() {
            onlooker(followed);
        }
    }

    /// The revision that has to be confirmed, as this host counts its time, if there is one.
    pub fn waits(&self) -> Option<Waits> {
        *self.0.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This revision waits; `None`: none does.
    pub(super) fn tell_waits(&self, waits: Option<Waits>) {
        *self.0.waits.lock().unwrap_or_else(PoisonError::into_inner) = waits;
    }

    /// What was offered, if this revision is that: what declares the same and has the same numbers is built the same.
    pub(super) fn take(&self, revision: Revision, stored: &Stored) -> Option<Arc<Topology>> {
        let mut there = self.0.offered.lock().unwrap_or_else(PoisonError::into_inner);
        // What an older revision says, which was read late, is not it, and what comes behind it is it or came in its place.
        let offered = there.take_if(|offered| offered.behind < Some(revision))?;
        drop(there);
        let is_it = stored.numbers.as_ref() == Some(&offered.numbers)
            && stored.description == *offered.topology.description();
        is_it.then_some(offered.topology)
    }

    fn put(&self, offered: Option<Offered>) {
        *self.0.offered.lock().unwrap_or_else(PoisonError::into_inner) = offered;
    }

    #[cfg(test)]
    pub(super) fn offered(&self) -> Option<Arc<Topology>> {
        let there = self.0.offered.lock().unwrap_or_else(PoisonError::into_inner);
        there.as_ref().map(|offered| Arc::clone(&offered.topology))
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("offered", &self.offered).finish_non_exhaustive()
    }
}
