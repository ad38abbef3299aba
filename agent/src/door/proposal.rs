//! What comes to the door, and what becomes of it.

use std::path::{Path, PathBuf};

use nsdb::{ConfirmWithin, ShardId};
use serde::{Deserialize, Serialize};
use vlan::model::description::Description;

use crate::documents::FileText;
use crate::tree::{Origin, Tree};

/// A revision to be published.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// The revision that it was planned against; `None` publishes over whatever is there.
    pub expected: Option<u64>,
    /// What it declares.
    pub topology: Tree,
    /// Who publishes it: whoever connected, whatever a client says.
    #[serde(skip)]
    pub author: String,
    /// What it is about.
    pub note: String,
    /// Hosts that it may take away, or all ports of.
    #[serde(default)]
    pub without_hosts: Vec<String>,
    /// The file that it was read from.
    #[serde(default)]
    pub file: Option<FileMark>,
    /// Its text, with comments, to be kept with the revision. Without it the one that is there is kept as long as the topology is the same.
    #[serde(default)]
    pub text: Option<FileText>,
    /// By which way it comes; without it, from a file if one is named, else by the socket.
    #[serde(default)]
    pub origin: Option<Origin>,
    /// The earlier revision that it brings back, as a whole: its objects come from where they came then.
    #[serde(default)]
    pub again: Option<u64>,
    /// Within how many seconds it has to be confirmed, or hosts go back to the revision before. Without it, it has not.
    #[serde(default, rename = "confirm_within_s", skip_serializing_if = "Option::is_none")]
    pub confirm_within: Option<ConfirmWithin>,
}

impl Proposal {
    /// To be published over whatever is there.
    pub fn new(description: &Description, author: impl Into<String>, note: impl Into<String>) -> Proposal {
        let (topology, author, note) = (Tree::from(description), author.into(), note.into());
        Proposal {
            expected: None,
            topology,
            author,
            note,
            without_hosts: Vec::new(),
            file: None,
            text: None,
            origin: None,
            again: None,
            confirm_within: None,
        }
    }

    /// By which way it comes.
    pub(super) fn origin(&self) -> Origin {
        let is_file = self.file.is_some() || self.text.is_some();
        let usual = || if is_file { Origin::file() } else { Origin::socket() };
        self.origin.clone().unwrap_or_else(usual)
    }
}

/// What became of a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The revision that is there now.
    pub revision: u64,
    /// False if it was there before.
    pub is_new: bool,
}

/// Which file a proposal was read from, and what it said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileMark {
    /// The file, without symbolic links in its path.
    pub path: PathBuf,
    /// SHA-256 of its bytes, in hexadecimal.
    pub digest: String,
}

impl FileMark {
    /// Of the file at `path` with these bytes.
    pub fn new(path: &Path, text: &[u8]) -> FileMark {
        FileMark { path: canonical(path), digest: ShardId::of(text).to_string() }
    }
}

/// A file by its real path, if it has one.
pub fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}
