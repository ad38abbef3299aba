//! Links that are bound, or were by an earlier run: what the host does with them is no reason any more to leave them alone.

use std::collections::BTreeSet;

use datapath::port::{Link, LinkIndex};
use rustc_hash::FxHashSet;

use crate::reconcile::Observed;

/// The links that were vports once.
#[derive(Debug, Default)]
pub(in crate::engine) struct Bound {
    /// Since the daemon started, or when it did.
    links: FxHashSet<LinkIndex>,
    /// Those that an earlier run had bound, and those of this one when they were last told, by name.
    remembered: BTreeSet<String>,
    /// They may be others by now.
    is_news: bool,
}

impl Bound {
    /// Links that are bound because an earlier run had bound them.
    pub(in crate::engine) fn remember(&mut self, links: &[String]) {
        self.remembered = links.iter().cloned().collect();
    }

    /// These are vports.
    pub(super) fn note(&mut self, links: impl IntoIterator<Item = LinkIndex>) {
        self.links.extend(links);
        self.is_news = true;
    }

    /// Others may be wanted.
    pub(super) fn note_others_wanted(&mut self) {
        self.is_news = true;
    }

    /// A link is gone.
    pub(super) fn forget(&mut self, link: LinkIndex) {
        self.links.remove(&link);
    }

    /// Whether a link was bound before.
    pub(super) fn has(&self, link: &Link) -> bool {
        self.links.contains(&link.index) || self.remembered.contains(&link.name)
    }

    /// The links to be remembered, if they are others than before: those that are wanted and bound, or are missing and were.
    pub(super) fn news<'a>(
        &mut self,
        wanted: impl Iterator<Item = &'a String>,
        observed: &Observed,
    ) -> Option<Vec<String>> {
        if !std::mem::take(&mut self.is_news) {
            return None;
        }
        let is_to_be_kept = |name: &&String| match observed.link_named(name) {
            Some(link) => self.links.contains(&link.index),
            None => self.remembered.contains(*name),
        };
        let by_own_name =
            |name: &String| observed.link_named(name).map_or_else(|| name.clone(), |link| link.name.clone());
        let now: BTreeSet<String> = wanted.filter(is_to_be_kept).map(by_own_name).collect();
        if now == self.remembered {
            return None;
        }
        self.remembered.clone_from(&now);
        Some(now.into_iter().collect())
    }
}
