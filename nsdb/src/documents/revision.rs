//! A revision and the root that is its whole content.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::WallTime;
use crate::documents::confirm::ConfirmWithin;
use crate::documents::page::Pages;
use crate::documents::shard::{Page, ShardId, ShardName};

/// Number of a state of the documents: 1 for the first that was ever published, one more for each after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64")]
pub struct Revision(u64);

impl TryFrom<u64> for Revision {
    type Error = &'static str;

    fn try_from(number: u64) -> Result<Self, Self::Error> {
        Self::new(number).ok_or("revision 0, allowed are numbers from 1")
    }
}

impl Revision {
    /// The first revision of a store.
    pub const FIRST: Self = Self(1);

    /// The revision with this number, `None` for 0.
    pub const fn new(number: u64) -> Option<Self> {
        if number == 0 { None } else { Some(Self(number)) }
    }

    /// Its number, at least 1.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The first of the revisions that are kept when this one is the newest: the last [`KEPT_REVISIONS`].
    pub(crate) const fn first_kept(self) -> Self {
        if self.0 > KEPT_REVISIONS { Self(self.0 - KEPT_REVISIONS + 1) } else { Self::FIRST }
    }

    /// The revision after this one. The last there can be, which nobody publishes but a damaged document may name, is its own.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A revision: who made it, when and why, and where its shards are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Its number.
    pub revision: Revision,
    /// Who published it: a user, a file's origin, a service.
    pub author: String,
    /// When, by the author's wall clock.
    pub at: WallTime,
    /// Why, in the author's words; may be empty.
    pub note: String,
    /// Within which time it has to be confirmed, if it has to be: hosts go back to the revision before otherwise.
    pub confirm_within: Option<ConfirmWithin>,
    /// Its topmost page, from which the names and ids of its shards are read.
    pub(crate) top: Page,
}

impl Root {
    /// Whether publishing `shards` would change any content. Hashes all of them, and reads nothing.
    pub fn differs_from(&self, shards: &BTreeMap<ShardName, Vec<u8>>) -> bool {
        let names: BTreeMap<_, _> =
            shards.iter().map(|(name, content)| (name.clone(), ShardId::of(content))).collect();
        // A root of format 1 has all names on one page.
        if self.top.depth == 0 && self.top.entries == names {
            return false;
        }
        Pages::of(names).map_or(true, |pages| pages.top != self.top)
    }
}

/// What is known of a revision without its shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionInfo {
    /// Its number.
    pub revision: Revision,
    /// Who published it.
    pub author: String,
    /// When, by the author's wall clock.
    pub at: WallTime,
    /// Why, in the author's words; may be empty.
    pub note: String,
    /// Within which time it has, or had, to be confirmed.
    pub confirm_within: Option<ConfirmWithin>,
    /// Why its root cannot be read, if it cannot: then nothing else is known of it but its number.
    pub unreadable: Option<String>,
}

impl RevisionInfo {
    /// One whose root cannot be read, and why.
    pub(crate) fn unreadable(revision: Revision, why: String) -> Self {
        let (author, note) = (String::new(), String::new());
        Self { revision, author, at: WallTime::default(), note, confirm_within: None, unreadable: Some(why) }
    }
}

impl From<&Root> for RevisionInfo {
    fn from(root: &Root) -> Self {
        let (author, note) = (root.author.clone(), root.note.clone());
        let (revision, at, confirm_within) = (root.revision, root.at, root.confirm_within);
        Self { revision, author, at, note, confirm_within, unreadable: None }
    }
}

/// Who publishes, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Who, up to 255 bytes.
    pub author: String,
    /// When, by the author's wall clock.
    pub at: WallTime,
    /// Why, up to 4 096 bytes; may be empty.
    pub note: String,
    /// Within which time it has to be confirmed, if it has to be.
    pub confirm_within: Option<ConfirmWithin>,
}

impl Change {
    /// A change by `author` at `at`, because of `note`.
    pub fn new(author: impl Into<String>, at: WallTime, note: impl Into<String>) -> Self {
        Self { author: author.into(), at, note: note.into(), confirm_within: None }
    }

    /// The same, which has to be confirmed within this time; `None`: it has not.
    #[must_use]
    pub fn to_be_confirmed(self, within: Option<ConfirmWithin>) -> Self {
        Self { confirm_within: within, ..self }
    }
}

/// How many revisions stay readable, the newest among them.
pub const KEPT_REVISIONS: u64 = 100;
