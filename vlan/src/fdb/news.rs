//! Which addresses have become known, moved, changed their kind or gone, for who tells other hosts of them.

use std::collections::{HashSet, VecDeque};

use super::addresses::Addresses;
use super::key::{Key, Seed};
use crate::addr::MacAddr;
use crate::model::id::SegmentId;

/// The addresses of which there is news, each once, the oldest news first.
#[derive(Debug, Clone)]
pub(super) struct News {
    keys: VecDeque<Key>,
    has: HashSet<Key, Seed>,
}

impl News {
    pub(super) fn note(&mut self, key: Key) {
        if self.has.insert(key) {
            self.keys.push_back(key);
        }
    }
}

impl Addresses {
    /// Has news of addresses kept from now on, until it is [taken](Self::take_news). Of what was known before there is none. Without this
    /// none is kept.
    pub fn keep_news(&mut self) {
        let has = HashSet::with_hasher(self.table.seed());
        self.news = Some(News { keys: VecDeque::new(), has });
    }

    /// Forgets all news, and keeps none until [`keep_news`](Self::keep_news).
    pub fn drop_news(&mut self) {
        self.news = None;
    }

    /// An address of which there is news: what is so of it now is to be looked up.
    pub fn take_news(&mut self) -> Option<(SegmentId, MacAddr)> {
        let news = self.news.as_mut()?;
        let key = news.keys.pop_front()?;
        news.has.remove(&key);
        // A burst must not be paid for ever after.
        if news.keys.is_empty() {
            news.keys.shrink_to(KEPT);
            news.has.shrink_to(KEPT);
        }
        Some((key.segment(), key.mac()))
    }

    /// Whether there is any.
    pub fn has_news(&self) -> bool {
        self.news.as_ref().is_some_and(|news| !news.keys.is_empty())
    }
}

/// Room for so many is kept.
const KEPT: usize = 1_024;
