//! What was read of revisions, by its hash: pages and shards are immutable, so that nobody in this process has to read one twice.
//!
//! What is kept is bounded by the revisions in hand: the two that were read last as a whole, and the two that were read last in part (as by a
//! host that follows), since the next revision shares most with the one before. What none of them names goes, and a revision goes with
//! the store's own keeping of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::documents::revision::{Revision, Root};
use crate::documents::shard::{Page, ShardId};
use crate::documents::walk;

/// Documents that were read. Each was verified against its hash when it was read.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    pages: BTreeMap<ShardId, Arc<Page>>,
    shards: BTreeMap<ShardId, Arc<[u8]>>,
    /// The roots that were read last as a whole, the latest first.
    whole: VecDeque<Root>,
    /// The same of those that were read in part.
    part: VecDeque<Root>,
}

impl Kept {
    /// Takes a revision in hand that is about to be read, as a whole or in part. What no revision in hand names any more is let go.
    pub(crate) fn take_in_hand(&self, root: &Root, is_whole: bool) {
        let mut shelf = self.lock();
        let hand = if is_whole { &mut shelf.whole } else { &mut shelf.part };
        if hand.front() == Some(root) {
            return;
        }
        hand.retain(|held| held != root);
        hand.push_front(root.clone());
        hand.truncate(IN_HAND);
        shelf.let_go_before(root.revision.first_kept());
    }

    /// Lets go of the revisions before `first`, which no store keeps any more.
    pub(crate) fn let_go_before(&self, first: Revision) {
        self.lock().let_go_before(first);
    }

    /// A page of this depth.
    pub(crate) fn page(&self, id: ShardId, depth: u8) -> Option<Arc<Page>> {
        self.lock().pages.get(&id).filter(|page| page.depth == depth).cloned()
    }

    /// A shard.
    pub(crate) fn shard(&self, id: ShardId) -> Option<Arc<[u8]>> {
        self.lock().shards.get(&id).cloned()
    }

    /// Keeps a page that a revision in hand names.
    pub(crate) fn put_page(&self, id: ShardId, page: Arc<Page>) {
        self.lock().pages.insert(id, page);
    }

    /// Keeps a shard that a revision in hand names.
    pub(crate) fn put_shard(&self, id: ShardId, shard: Arc<[u8]>) {
        self.lock().shards.insert(id, shard);
    }

    /// Lets go of documents that the store turns out not to have.
    pub(crate) fn forget(&self, ids: &BTreeSet<ShardId>) {
        let mut shelf = self.lock();
        shelf.pages.retain(|id, _| !ids.contains(id));
        shelf.shards.retain(|id, _| !ids.contains(id));
    }

    /// Lets go of everything: all is read again.
    pub(crate) fn forget_all(&self) {
        *self.lock() = Shelf::default();
    }

    /// Each step under this lock leaves the shelf whole.
    fn lock(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn let_go_before(&mut self, first: Revision) {
        self.whole.retain(|root| root.revision >= first);
        self.part.retain(|root| root.revision >= first);
        let Self { pages, shards, whole, part } = self;
        // Of a page that was not read, what it names was not read either.
        let nothing = Arc::default();
        let page = |id: ShardId, _| Ok::<_, Infallible>(Arc::clone(pages.get(&id).unwrap_or(&nothing)));
        let Ok(named) = walk::named(whole.iter().chain(&*part), page);
        pages.retain(|id, _| named.contains(id));
        shards.retain(|id, _| named.contains(id));
    }
}

/// The one in force and the next.
const IN_HAND: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::shard::ShardName;

    /// A revision with one page for each of `pages`, each with one shard, and what reading it keeps.
    fn revision(number: u64, pages: &[&'static str]) -> (Root, Vec<(ShardId, Arc<Page>, ShardId)>) {
        let name = |text: &str| ShardName::new(text).unwrap();
        let page = |text: &&str| {
            let shard = ShardId::of(text.as_bytes());
            let page = Page { depth: 0, entries: [(name(text), shard)].into() };
            (ShardId::of(format!("page of {text}").as_bytes()), Arc::new(page), shard)
        };
        let read: Vec<_> = pages.iter().map(page).collect();
        let entries = pages.iter().zip(&read).map(|(text, (page, ..))| (name(text), *page)).collect();
        let (author, note) = (String::new(), String::new());
        let revision = Revision::new(number).unwrap();
        let (at, top) = (Default::default(), Page { depth: 1, entries });
        (Root { revision, author, at, note, confirm_within: None, top }, read)
    }

    fn read(kept: &Kept, number: u64, pages: &[&'static str], is_whole: bool) {
        let (root, read) = revision(number, pages);
        kept.take_in_hand(&root, is_whole);
        for (id, page, shard) in read {
            kept.put_page(id, page);
            kept.put_shard(shard, Arc::from(&b"content"[..]));
        }
    }

    fn there(kept: &Kept) -> String {
        let has = |text: &&&str| {
            let page = kept.page(ShardId::of(format!("page of {text}").as_bytes()), 0);
            let shard = kept.shard(ShardId::of(text.as_bytes()));
            assert_eq!(page.is_some(), shard.is_some(), "a page goes with its shard");
            shard.is_some()
        };
        ["a", "b", "c", "d", "e"].iter().filter(has).copied().collect()
    }

    #[test]
    fn what_no_revision_in_hand_names_is_let_go() {
        let kept = Kept::default();
        read(&kept, 1, &["a", "b"], false);
        read(&kept, 2, &["b", "c"], false);
        assert_eq!(there(&kept), "abc", "what the one before has may be in the next");
        read(&kept, 3, &["c", "d"], false);
        assert_eq!(there(&kept), "bcd");
        read(&kept, 3, &["c", "d"], false);
        assert_eq!(there(&kept), "bcd", "the same again is no other");
        // What whoever publishes has read is there however many revisions a host follows meanwhile.
        read(&kept, 3, &["c", "d", "e"], true);
        for number in 4..90 {
            read(&kept, number, &["a"], false);
        }
        assert_eq!(there(&kept), "acde");
        read(&kept, 200, &["a"], false);
        assert_eq!(there(&kept), "a", "no store keeps revision 3 any more");
    }

    #[test]
    fn what_the_store_does_not_have_is_not_there_and_a_page_is_of_its_depth() {
        let kept = Kept::default();
        read(&kept, 1, &["a", "b"], true);
        let page = ShardId::of(b"page of a");
        assert!(kept.page(page, 1).is_none());
        kept.forget(&[page, ShardId::of(b"a")].into());
        assert_eq!(there(&kept), "b");
        kept.let_go_before(Revision::new(2).unwrap());
        assert_eq!(there(&kept), "");
        read(&kept, 3, &["c"], true);
        kept.forget_all();
        assert_eq!(there(&kept), "");
    }
}
