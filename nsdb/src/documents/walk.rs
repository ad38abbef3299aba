//! Which pages hold the names that a reader wants, and a way through them that waits for nobody.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};

use crate::documents::layout::{LayoutError, decode_page};
use crate::documents::revision::Root;
use crate::documents::shard::{Page, ShardId, ShardName};

/// What a reader wants: whole names such as `hosts/gw1`, and all names below one, which ends with a slash: `parts/vub8/`. The empty text
/// is everything. In the order of names, since a reader of a large part wants thousands.
#[derive(Debug, Clone)]
pub(crate) struct Wanted<'a>(Vec<&'a str>);

impl<'a> Wanted<'a> {
    pub(crate) fn new(within: &[&'a str]) -> Self {
        let mut wanted = within.to_vec();
        wanted.sort_unstable();
        Self(wanted)
    }

    fn has(&self, name: &ShardName) -> bool {
        self.0.binary_search(&name.as_str()).is_ok() || self.has_above(name)
    }

    /// Whether all names below one are wanted, and this is among them.
    fn has_above(&self, name: &ShardName) -> bool {
        let slashes = name.as_str().match_indices('/').map(|(at, _)| at + 1);
        std::iter::once(0).chain(slashes).any(|end| self.0.binary_search(&&name.as_str()[..end]).is_ok())
    }

    /// Whether names after `before` up to `last` may be wanted.
    fn may_be_between(&self, before: Option<&ShardName>, last: &ShardName) -> bool {
        let behind = before.map_or(0, |name| self.0.partition_point(|wanted| *wanted <= name.as_str()));
        let is_next = self.0.get(behind).is_some_and(|wanted| *wanted <= last.as_str());
        is_next || before.is_some_and(|name| self.has_above(name))
    }
}

/// A page that is to be read next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    /// The page.
    pub(crate) id: ShardId,
    /// How deep it is.
    pub(crate) depth: u8,
}

/// A way through the pages of a root.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    wanted: Wanted<'a>,
    /// With the last name before each.
    todo: Vec<(Step, Option<ShardName>)>,
    found: BTreeMap<ShardName, ShardId>,
}

impl<'a> Walk<'a> {
    pub(crate) fn begin(root: &Root, wanted: Wanted<'a>) -> Self {
        let mut walk = Self { wanted, todo: Vec::new(), found: BTreeMap::new() };
        walk.enter(&root.top, None);
        walk
    }

    /// The next page to be read; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<(Step, Option<ShardName>)> {
        self.todo.pop()
    }

    /// Goes on with the bytes of the page that [`next`](Self::next) asked for.
    pub(crate) fn take(&mut self, step: (Step, Option<ShardName>), bytes: &[u8]) -> Result<(), LayoutError> {
        let page = decode_page(bytes, step.0.depth)?;
        self.pass(step, &page);
        Ok(())
    }

    /// The same with the page itself, which has the depth that was asked for.
    pub(crate) fn pass(&mut self, (_, before): (Step, Option<ShardName>), page: &Page) {
        self.enter(page, before);
    }

    /// The names that were wanted.
    pub(crate) fn found(self) -> BTreeMap<ShardName, ShardId> {
        self.found
    }

    fn enter(&mut self, page: &Page, mut before: Option<ShardName>) {
        for (name, id) in &page.entries {
            match page.depth.checked_sub(1) {
                None if self.wanted.has(name) => drop(self.found.insert(name.clone(), *id)),
                None => {}
                Some(depth) => {
                    if self.wanted.may_be_between(before.as_ref(), name) {
                        self.todo.push((Step { id: *id, depth }, before.clone()));
                    }
                    before = Some(name.clone());
                }
            }
        }
    }
}

/// The ids of every page and shard of `roots`. `load` reads a page of a depth; one that several roots have is read once.
pub(crate) fn named<'r, P: Borrow<Page>, E>(
    roots: impl IntoIterator<Item = &'r Root>,
    mut load: impl FnMut(ShardId, u8) -> Result<P, E>,
) -> Result<BTreeSet<ShardId>, E> {
    let mut named = BTreeSet::new();
    let mut todo: Vec<(Option<u8>, ShardId)> = Vec::new();
    let below = |page: &Page| -> Vec<_> {
        page.entries.values().map(|id| (page.depth.checked_sub(1), *id)).collect()
    };
    todo.extend(roots.into_iter().flat_map(|root| below(&root.top)));
    while let Some((depth, id)) = todo.pop() {
        if !named.insert(id) {
            continue;
        }
        if let Some(depth) = depth {
            todo.extend(below(load(id, depth)?.borrow()));
        }
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::page::Pages;
    use crate::documents::revision::Revision;

    #[test]
    fn only_the_pages_that_hold_what_is_wanted_are_read() {
        let name = |text: String| ShardName::new(text).unwrap();
        let mut names: BTreeMap<_, _> =
            (0..6_000).map(|n| (name(format!("bridges/b{n:04}")), ShardId::of(&[]))).collect();
        names.extend((0..3).map(|n| (name(format!("parts/b0007/{n}")), ShardId::of(b"part"))));
        names.extend((0..500).map(|n| (name(format!("hosts/h{n:03}")), ShardId::of(b"host"))));
        let Pages { top, stored } = Pages::of(names.clone()).unwrap();
        let root = Root {
            revision: Revision::FIRST,
            author: String::new(),
            at: Default::default(),
            note: String::new(),
            confirm_within: None,
            top,
        };
        let read = |wanted: &[&str]| {
            let (mut walk, mut pages) = (Walk::begin(&root, Wanted::new(wanted)), 0);
            while let Some(step) = walk.next() {
                pages += 1;
                let bytes = &stored[&step.0.id];
                walk.take(step, bytes).unwrap();
            }
            (walk.found(), pages)
        };
        let (all, pages) = read(&[""]);
        assert_eq!((all, pages), (names.clone(), stored.len()));
        let (found, pages) = read(&["bridges/b0007", "hosts/h400", "parts/b0007/", "parts/b0008/"]);
        let found: Vec<_> = found.keys().map(ShardName::as_str).collect();
        assert_eq!(found, ["bridges/b0007", "hosts/h400", "parts/b0007/0", "parts/b0007/1", "parts/b0007/2"]);
        assert!(pages <= 4 * usize::from(root.top.depth), "{pages} of {} pages", stored.len());
        let (found, _) = read(&["hosts/"]);
        assert_eq!(found.len(), 500);
        assert!(read(&["bridges/b00"]).0.is_empty(), "a name is whole");
        assert_eq!(read(&[]), (BTreeMap::new(), 0));
        for one in names.keys().step_by(41) {
            assert_eq!(read(&[one.as_str()]).0.len(), 1, "{one}");
        }
    }
}
