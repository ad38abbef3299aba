//! How the names of a revision are laid out in pages.
//!
//! ```text
//! root 42 ─► page of pages ─┬─► page: bridges/a … bridges/k  ─► shards
//!                           └─► page: bridges/m … hosts/gw9  ─► shards
//! ```
//! A page is a document like a shard: immutable, found by the hash of its bytes. Where one ends follows from the names in it and from
//! nothing else: what is too long is cut after the name with the lowest hash, and each half again. So whoever publishes a set of names
//! makes the same pages of it, and one name more or less changes the page that it lies in, those above it, and no other. The order of the cuts is that of
//! a treap (Seidel and Aragon 1996) whose priorities are the hashes; what is above a page is named by the page's last name, which is the
//! name it was cut after, so that it stays when the page's content changes.

use std::collections::BTreeMap;

use crate::digest::sha256;
use crate::documents::layout::{LayoutError, encode_page};
use crate::documents::shard::{Page, ShardId, ShardName};

/// All pages of a revision.
#[derive(Debug)]
pub(crate) struct Pages {
    /// The topmost, which is part of the root.
    pub(crate) top: Page,
    /// The others, as they are stored.
    pub(crate) stored: BTreeMap<ShardId, Vec<u8>>,
}

impl Pages {
    /// Lays out `names`.
    pub(crate) fn of(names: BTreeMap<ShardName, ShardId>) -> Result<Self, LayoutError> {
        let mut stored = BTreeMap::new();
        let mut top = Page { depth: 0, entries: names };
        while top.entries.len() > MOST_ENTRIES {
            let depth = top.depth.saturating_add(1);
            let mut entries = BTreeMap::new();
            for (last, page) in cut(top) {
                let bytes = encode_page(&page)?;
                let id = ShardId::of(&bytes);
                entries.insert(last, id);
                stored.insert(id, bytes);
            }
            top = Page { depth, entries };
        }
        Ok(Self { top, stored })
    }
}

/// The pages that a page becomes which is too long, each with its last name.
fn cut(page: Page) -> Vec<(ShardName, Page)> {
    let depth = page.depth;
    let ranks: Vec<_> = page.entries.keys().map(|name| rank(depth, name)).collect();
    let mut entries = page.entries.into_iter();
    let mut pages = Vec::new();
    for length in lengths(&ranks) {
        let entries: BTreeMap<_, _> = entries.by_ref().take(length).collect();
        if let Some((last, _)) = entries.last_key_value() {
            pages.push((last.clone(), Page { depth, entries }));
        }
    }
    pages
}

/// How many entries each page has. Not by recursion: names can be chosen so that each cut takes one off.
fn lengths(ranks: &[u64]) -> Vec<usize> {
    let (mut lengths, mut todo) = (Vec::new(), Vec::new());
    todo.push(0..ranks.len());
    while let Some(range) = todo.pop() {
        let before_last = range.start..range.end.saturating_sub(1);
        match before_last.min_by_key(|at| ranks[*at]) {
            // The left half is next, so that lengths come in order.
            Some(at) if range.len() > MOST_ENTRIES => todo.extend([at + 1..range.end, range.start..at + 1]),
            _ => lengths.push(range.len()),
        }
    }
    lengths
}

/// Another one at each depth: the last names of the pages below are those of low rank there.
fn rank(depth: u8, name: &ShardName) -> u64 {
    let hash = sha256(&[&[depth], name.as_str().as_bytes()].concat());
    hash.iter().take(8).fold(0, |rank, byte| rank << 8 | u64::from(*byte))
}

/// Entries of a page: 8 KiB with names of 60 characters. Half as many on average, so that 15 000 shards have some 500 pages, and what one
/// change writes (its page, the page above, the root) stays below 40 KiB whatever becomes of cuts nearby.
pub(crate) const MOST_ENTRIES: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(number: u32) -> ShardName {
        ShardName::new(format!("n/{number:06}")).unwrap()
    }

    fn names(numbers: impl IntoIterator<Item = u32>) -> BTreeMap<ShardName, ShardId> {
        numbers.into_iter().map(|number| (name(number), ShardId::of(&number.to_be_bytes()))).collect()
    }

    #[test]
    fn few_names_need_no_page_and_many_are_on_pages_of_half_the_most() {
        assert!(Pages::of(names(0..64)).unwrap().stored.is_empty());
        let page = Page { depth: 0, entries: names(0..20_000) };
        let pages = cut(page.clone());
        assert!(pages.iter().all(|(_, page)| (1..=MOST_ENTRIES).contains(&page.entries.len())));
        let again: BTreeMap<_, _> = pages.iter().flat_map(|(_, page)| page.entries.clone()).collect();
        assert_eq!(again, page.entries, "no name is lost and none is twice");
        let mean = 20_000 / pages.len();
        assert!((28..=38).contains(&mean), "{mean} entries on a page");
        assert!(pages.iter().all(|(last, page)| page.entries.keys().next_back() == Some(last)));
    }

    #[test]
    fn ranks_that_grow_take_one_off_with_each_cut_and_end() {
        let ranks: Vec<_> = (0..5_000).collect();
        let lengths = lengths(&ranks);
        assert_eq!(lengths.iter().sum::<usize>(), 5_000);
        assert_eq!((lengths[0], lengths.last()), (1, Some(&MOST_ENTRIES)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        /// What a publication writes anew for one name more or less, wherever it is: a page or two of each depth.
        #[test]
        fn one_name_more_changes_the_pages_that_it_lies_in(there: std::collections::BTreeSet<u16>, more: u16) {
            let numbers = || (0..3_000).map(|number| number * 20).chain(there.iter().map(|n| u32::from(*n)));
            let without = Pages::of(names(numbers().filter(|n| *n != u32::from(more)))).unwrap();
            let with = Pages::of(names(numbers().chain([u32::from(more)]))).unwrap();
            for (new, old) in [(&with, &without), (&without, &with)] {
                let anew: usize =
                    new.stored.iter().filter(|(id, _)| !old.stored.contains_key(*id)).map(|(_, b)| b.len()).sum();
                // An entry has 80 bytes here: name, id, punctuation.
                prop_assert!(anew <= 4 * MOST_ENTRIES * 80, "{anew} bytes");
            }
        }
    }
}
