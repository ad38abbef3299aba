//! Mistakes while they are collected: by byte offset, with what they were about.
//!
//! A mistake *taints* its key: what `Topology::build` says later about the same key follows from it and would
//! only be noise (see [`super::cascade`]).

use std::collections::HashSet;

use vlan::model::mistake::Table;

use super::finding::Finding;
use super::position::Positions;

/// An object of the file: its list and its index there, both as in the file.
pub(super) type Object = (Table, usize);

/// The mistakes found so far.
#[derive(Debug, Default)]
pub(super) struct Drafts {
    list: Vec<Draft>,
    tainted: HashSet<(Object, &'static str)>,
}

#[derive(Debug)]
struct Draft {
    offset: usize,
    key: String,
    text: String,
}

impl Drafts {
    /// Adds a mistake at byte `offset`.
    pub(super) fn add(&mut self, offset: usize, key: String, text: String) {
        self.list.push(Draft { offset, key, text });
    }

    /// Marks `key` of `object` as one about which nothing further is to be said.
    pub(super) fn taint(&mut self, object: Object, key: &'static str) {
        self.tainted.insert((object, key));
    }

    /// Forgets the mistakes about the objects at `paths` (`bridges.dc1`).
    pub(super) fn forget_below(&mut self, paths: &HashSet<String>) {
        self.list.retain(|draft| object_paths(&draft.key).all(|path| !paths.contains(path)));
    }

    /// Whether there is no mistake.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether one of `keys` of `object` has a mistake.
    pub(super) fn is_tainted(&self, object: Object, keys: &[&'static str]) -> bool {
        keys.iter().any(|key| self.tainted.contains(&(object, key)))
    }

    /// The objects with a mistake, some more than once.
    pub(super) fn tainted_objects(&self) -> impl Iterator<Item = Object> + '_ {
        self.tainted.iter().map(|(object, _)| *object)
    }

    /// The mistakes with lines and columns, not sorted.
    pub(super) fn into_findings(self, positions: &Positions<'_>) -> Vec<Finding> {
        let finding = |draft: Draft| {
            let position = positions.at(draft.offset);
            Finding { line: position.line, column: position.column, key: draft.key, text: draft.text }
        };
        self.list.into_iter().map(finding).collect()
    }
}

/// `key` and what it is a part of: of `bridges.dc1.kind` that, `bridges.dc1` and `bridges`.
fn object_paths(key: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(key), |path| path.rsplit_once('.').map(|(parent, _)| parent))
}
