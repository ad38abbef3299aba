//! What can go wrong underneath any trait: the file, the disk, the directory, the connection.
//!
//! Each trait has its own error for its own refusals and carries this one for the rest. Callers branch on methods.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

/// A failure of the backend itself. Cheap to clone: one failed commit is reported to everyone who shared it.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process, or another opening in this one, has the state directory.
    #[error("state directory {} is in use by {}: stop it or choose another directory", .dir.display(), holder(*.pid))]
    Held {
        /// The directory.
        dir: PathBuf,
        /// The process that has it, as it wrote itself down; `None` if it could not be read.
        pid: Option<u32>,
    },
    /// Something on disk is not what was written.
    #[error(transparent)]
    Corrupt(Arc<Corruption>),
    /// The file was written by a newer program.
    #[error("{} has format {found}, this program knows format {known}: start the newer program", .file.display())]
    Newer {
        /// The file.
        file: PathBuf,
        /// The format it has.
        found: u64,
        /// The newest format this program knows.
        known: u64,
    },
    /// A part of a store is to be in the state directory, and none is named.
    #[error("{what} cannot be kept: no state directory is named")]
    NoDirectory {
        /// What was to be kept there.
        what: &'static str,
    },
    /// Somebody else could change the state directory or a file in it, or a name in it leads elsewhere.
    #[error("{} {why}: {remedy}", .path.display())]
    Exposed {
        /// The directory or file.
        path: PathBuf,
        /// What it is.
        why: String,
        /// What to do.
        remedy: String,
    },
    /// A file was removed or replaced while it was open. What has been stored is lost when the process ends; nothing more is.
    #[error("{} was removed or replaced while it was in use: nothing can be stored; put it back, or restart", .path.display())]
    Removed {
        /// The file.
        path: PathBuf,
    },
    /// The disk, the quota or the file size limit is used up. Nothing was acknowledged; the next write tries again.
    #[error("cannot {doing} {}: no space left: free some, the next write tries again", .path.display())]
    NoSpace {
        /// What was being done.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's report.
        #[source]
        source: Arc<io::Error>,
    },
    /// The file system is mounted read-only, or the permissions forbid the access.
    #[error("cannot {doing} {}: {}: the state directory must be writable", .path.display(), denied(.source))]
    ReadOnly {
        /// What was being done.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's report.
        #[source]
        source: Arc<io::Error>,
    },
    /// Any other refusal by the operating system.
    #[error("cannot {doing} {}: {}", .path.display(), .source.kind())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's report.
        #[source]
        source: Arc<io::Error>,
    },
    /// The backend does not answer now; it may have carried out what was asked.
    #[error("{what} is not available: {why}; it may or may not have been done, read before trying again")]
    Unavailable {
        /// What was asked for.
        what: &'static str,
        /// Why it cannot be had now.
        why: String,
    },
    /// No database is where one was to be.
    #[error(
        "{root} on {servers} is no database that can be used: {why}; `l2gw store init FILE` makes one where nothing is"
    )]
    NoDatabase {
        /// The node under which it was to be.
        root: String,
        /// The servers.
        servers: String,
        /// What is there instead.
        why: String,
    },
    /// Another database is where ours was.
    #[error(
        "{root} on {servers} is another database than before, with incarnation {found} in the place of {known}: was it made anew? If it is meant, `l2gw store accept {known} FILE` tells all hosts"
    )]
    AnotherDatabase {
        /// The node under which it is.
        root: String,
        /// The servers.
        servers: String,
        /// The incarnation of the one that was there.
        known: String,
        /// The incarnation of the one that is there.
        found: String,
    },
    /// A database was to be made, and is not.
    #[error("no database was made at {root} on {servers}: {why}")]
    Unmade {
        /// The node under which it was to be.
        root: String,
        /// The servers.
        servers: String,
        /// Why not.
        why: String,
    },
    /// A database was to be accepted, and is not.
    #[error("{root} on {servers} is not accepted: {why}")]
    Unaccepted {
        /// The node under which it is.
        root: String,
        /// The servers.
        servers: String,
        /// Why not.
        why: String,
    },
    /// The server does not let us.
    #[error("{user} may not {doing} {}: it has not the right to, its password is wrong, or another user has the database", .path.display())]
    Denied {
        /// What was being done.
        doing: &'static str,
        /// The node.
        path: PathBuf,
        /// The user that was named, or "nobody".
        user: String,
    },
    /// A server answered what no rule of ours explains.
    #[error("cannot {doing} {}: {why}", .path.display())]
    Unexpected {
        /// What was being done.
        doing: &'static str,
        /// The node.
        path: PathBuf,
        /// What the server said.
        why: String,
    },
    /// The backend does not answer a question now.
    #[error("{what} is not available: {why}")]
    Unanswered {
        /// What was asked.
        what: &'static str,
        /// Why it does not answer now.
        why: String,
    },
    /// The store was closed, or its writer has ended.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Whether the same call may succeed later without anyone doing anything to the store.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::NoSpace { .. } | Self::Io { .. } | Self::Unavailable { .. } | Self::Unanswered { .. }
        )
    }

    /// Whether data was found that is not what was written. Retrying does not help; a person must look.
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Corrupt(_))
    }

    /// Whether the state directory is in use by someone else.
    pub fn is_held(&self) -> bool {
        matches!(self, Self::Held { .. })
    }

    /// Sorts what the operating system said while `doing` something to `path`.
    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        let (path, source) = (path.to_path_buf(), Arc::new(source));
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::NoSpace { doing, path, source }
            }
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::ReadOnly { doing, path, source }
            }
            _ => Self::Io { doing, path, source },
        }
    }

    pub(crate) fn corrupt(corruption: Corruption) -> Self {
        Self::Corrupt(Arc::new(corruption))
    }

    /// Whether only one record is damaged, so that others may go on being written.
    pub(crate) fn is_one_record(&self) -> bool {
        matches!(self, Self::Corrupt(corruption) if corruption.extent == Extent::Record)
    }
}

/// Where damage was found, what is wrong, and what a person can do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}: {place}: {why}; {remedy}", .file.display())]
pub struct Corruption {
    /// The damaged file.
    pub file: PathBuf,
    /// The place in it: `table[key]`, or the part that was being read.
    pub place: String,
    /// What is wrong.
    pub why: String,
    /// What can be done about it.
    pub remedy: String,
    pub(crate) extent: Extent,
}

/// How far damage reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// One record; the others can be read and written.
    Record,
    /// The file: nothing that is now done to it can be trusted.
    File,
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

fn denied(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::ReadOnlyFilesystem => "read-only file system",
        _ => "permission denied",
    }
}
