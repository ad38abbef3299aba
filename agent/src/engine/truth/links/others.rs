//! What other programs did to vports: those that they have made, and those of ours that they have released.

use std::collections::BTreeSet;

use datapath::port::{LinkIndex, Vport, VportNo};
use rustc_hash::FxHashSet;

/// What others did.
#[derive(Debug, Default)]
pub(in crate::engine) struct Others {
    /// Vports that another program has made.
    strangers: BTreeSet<VportNo>,
    /// Links whose vport is gone though they are there; some may be on their way out.
    lost: FxHashSet<LinkIndex>,
    /// Links of strangers that are not told yet.
    foreign: Vec<String>,
    /// Links that were lost and are vports again, as far as they are not told yet.
    regained: Vec<String>,
}

impl Others {
    /// Another program has made a vport.
    pub(super) fn note_stranger(&mut self, vport: &Vport) {
        if self.strangers.insert(vport.no) {
            self.foreign.push(vport.link.clone());
        }
    }

    /// Whether another program has made a vport.
    pub(super) fn is_stranger(&self, vport: VportNo) -> bool {
        self.strangers.contains(&vport)
    }

    /// A vport is known no more.
    pub(super) fn forget(&mut self, vport: VportNo) {
        self.strangers.remove(&vport);
    }

    /// The vport of a link is gone.
    pub(super) fn note_lost(&mut self, link: LinkIndex) {
        self.lost.insert(link);
    }

    /// A link is gone, and its vport with it.
    pub(super) fn forget_link(&mut self, link: LinkIndex) {
        self.lost.remove(&link);
    }

    /// A link was made a vport; it may have been lost.
    pub(super) fn note_attached(&mut self, vport: &Vport) {
        if vport.index.is_some_and(|index| self.lost.remove(&index)) {
            self.regained.push(vport.link.clone());
        }
    }

    /// Links that another program has made vports, and links that were taken again after another program had released them.
    pub(in crate::engine) fn take_untold(&mut self) -> (Vec<String>, Vec<String>) {
        (std::mem::take(&mut self.foreign), std::mem::take(&mut self.regained))
    }
}
