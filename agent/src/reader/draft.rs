//! Mistakes while they are collected: by byte offset, with what they were about.
//!
//! A mistake *taints* its key. What a comparison of objects says later about the same key of the same object follows from it, and
//! would only be noise.

use std::collections::{BinaryHeap, HashSet};

use vlan::model::mistake::Table;

use super::finding::{Finding, MOST_TOLD};
use super::position::Positions;

/// An object of the file: its list and its index there, both as in the file.
pub type Object = (Table, usize);

/// The mistakes found so far: the first of them by their place, and how many there are.
#[derive(Debug, Default)]
pub struct Drafts {
    /// Those that will be told; the last of them on top.
    first: BinaryHeap<Draft>,
    count: usize,
    /// Paths of tables that are in the file twice, of which nothing else is told.
    doubled: HashSet<String>,
    tainted: HashSet<(Object, &'static str)>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Draft {
    offset: usize,
    key: String,
    text: String,
}

impl Drafts {
    /// No mistakes so far; of the tables at the paths `doubled` (`bridges.dc1`) none will be taken.
    pub fn new(doubled: HashSet<String>) -> Drafts {
        Drafts { doubled, ..Drafts::default() }
    }

    /// Adds a mistake at byte `offset`.
    pub fn add(&mut self, offset: usize, key: String, text: String) {
        if self.doubled.is_empty() || object_paths(&key).all(|path| !self.doubled.contains(path)) {
            self.add_double(offset, key, text);
        }
    }

    /// Adds a mistake also of a table that is in the file twice.
    pub fn add_double(&mut self, offset: usize, key: String, text: String) {
        self.count += 1;
        if self.is_told(offset) {
            self.first.push(Draft { offset, key, text });
        }
        if self.first.len() > MOST_TOLD {
            self.first.pop();
        }
    }

    /// Whether a mistake at byte `offset` would be told by what is known so far; if not, only that there is one counts.
    pub fn is_told(&self, offset: usize) -> bool {
        self.first.len() < MOST_TOLD || self.first.peek().is_some_and(|last| offset <= last.offset)
    }

    /// Counts a mistake that is not told.
    pub fn add_untold(&mut self) {
        self.count += 1;
    }

    /// Marks `key` of `object` as one about which nothing further is to be said.
    pub fn taint(&mut self, object: Object, key: &'static str) {
        self.tainted.insert((object, key));
    }

    /// The paths of tables that are in the file twice.
    pub fn doubled(&self) -> &HashSet<String> {
        &self.doubled
    }

    /// How many mistakes there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether there is no mistake.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether one of `keys` of `object` has a mistake.
    pub fn is_tainted(&self, object: Object, keys: &[&'static str]) -> bool {
        keys.iter().any(|key| self.tainted.contains(&(object, key)))
    }

    /// The objects with a mistake, some more than once.
    pub fn tainted_objects(&self) -> impl Iterator<Item = Object> + '_ {
        self.tainted.iter().map(|(object, _)| *object)
    }

    /// The mistakes that are told, with lines and columns, not sorted; and how many more there are.
    pub fn into_findings(self, positions: &Positions<'_>) -> (Vec<Finding>, usize) {
        let finding = |draft: Draft| {
            let position = positions.at(draft.offset);
            Finding { line: position.line, column: position.column, key: draft.key, text: draft.text }
        };
        let more = self.count - self.first.len();
        (self.first.into_iter().map(finding).collect(), more)
    }
}

/// `key` and all that it is a part of: `bridges.dc1.kind`, `bridges.dc1` and `bridges`.
fn object_paths(key: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(key), |path| path.rsplit_once('.').map(|(parent, _)| parent))
}
