//! The open file: reads in place, one write transaction at a time, and getting back after a failure.
//!
//! ```text
//!        write fails                     next write: reopen
//! open ──────────────► open, to reopen ──────────────────────► open
//!                      (reads still try)        │ reopening fails
//!                                               ▼
//!                                            failed ── next write: reopen
//! ```
//!
//! redb refuses all work after an I/O error until its file is opened again. A full disk must not need a restart of the
//! daemon, so the next write does that.
//!
//! An open file can be removed, and goes on taking what is written, which then is gone with the process. So a write looks before and
//! after whether the directory still names the files that are open; if it does not, nothing is acknowledged.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use redb::{Builder, Database, ReadableDatabase};
use tracing::warn;

use crate::embedded::directory::{Holder, Identity, Paths, open_private};
use crate::embedded::mark::{self, Mark};
use crate::embedded::tables::{ALL, META, Reading, Sealed, Writing, refused, unreadable};
use crate::error::StoreError;

/// A store's file. The holder is released after the database is closed: fields are dropped in this order.
#[derive(Debug)]
pub(super) struct StateFile {
    slot: RwLock<Slot>,
    to_reopen: AtomicBool,
    commits: AtomicU64,
    mark: Mark,
    identity: Identity,
    paths: Paths,
    holder: Holder,
}

#[derive(Debug)]
enum Slot {
    Open(Database),
    Failed(StoreError),
}

impl StateFile {
    /// Takes the directory and opens the file in it, made if there is none. Verifies every page.
    pub(super) fn open(dir: &Path) -> Result<Self, StoreError> {
        let paths = Paths::prepare(dir)?;
        let holder = Holder::take(&paths)?;
        let (mark, noted) = Mark::open(&paths)?;
        if !paths.state.exists() {
            mark::check(&paths, noted, 0)?;
            create(&paths)?;
        }
        let identity = Identity::of(&paths.state, &open_private(&paths.state)?)?;
        let (database, commits) = open_database(&paths)?;
        mark::check(&paths, noted, commits)?;
        identity.check()?;
        Ok(Self {
            slot: RwLock::new(Slot::Open(database)),
            to_reopen: AtomicBool::new(false),
            commits: AtomicU64::new(commits),
            mark,
            identity,
            paths,
            holder,
        })
    }

    /// Reads from the newest commit, without waiting for anyone.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Reading<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let slot = self.slot.read().unwrap_or_else(PoisonError::into_inner);
        let database = slot.database()?;
        let file = &self.paths.state;
        contain(file, || {
            let transaction = database.begin_read().map_err(|e| refused(file, "read", e))?;
            read(&Reading { file, transaction: &transaction })
        })
    }

    /// Runs `change` in one transaction; when this returns `Ok`, it is durable. Called by one thread only.
    pub(super) fn write(
        &self,
        change: impl FnOnce(&Writing<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.check_names()?;
        if self.to_reopen.load(Ordering::Acquire) {
            self.reopen()?;
        }
        let number = self.commits.load(Ordering::Acquire) + 1;
        let result = {
            let slot = self.slot.read().unwrap_or_else(PoisonError::into_inner);
            let database = slot.database()?;
            contain(&self.paths.state, || commit(&self.paths.state, database, number, change))
        };
        match &result {
            Ok(()) => {
                self.commits.store(number, Ordering::Release);
                self.mark.note(number);
            }
            Err(_) => self.to_reopen.store(true, Ordering::Release),
        }
        result.and_then(|()| self.check_names())
    }

    /// Whether the directory names the files that are open.
    fn check_names(&self) -> Result<(), StoreError> {
        self.identity.check()?;
        self.mark.identity().check()?;
        self.holder.identity().check()
    }

    /// Number of the newest durable commit.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    /// Closes the file, so that the next opening need not repair it.
    pub(super) fn close(&self) -> Result<(), StoreError> {
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *slot, Slot::Failed(StoreError::Closed)) {
            Slot::Failed(_) => Ok(()),
            Slot::Open(database) => contain(&self.paths.state, || {
                database.close().map_err(|e| refused(&self.paths.state, "close", e))
            }),
        }
    }

    fn reopen(&self) -> Result<(), StoreError> {
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        // Dropped first: redb's own lock would refuse a second opening.
        let failed = std::mem::replace(&mut *slot, Slot::Failed(StoreError::Closed));
        let dropped = contain(&self.paths.state, || {
            drop(failed);
            Ok(())
        });
        let opened = dropped.and_then(|()| open_database(&self.paths)).and_then(|(database, commits)| {
            mark::check(&self.paths, Some(self.commits()), commits)?;
            Ok((database, commits))
        });
        match opened {
            Ok((database, commits)) => {
                warn!(file = %self.paths.state.display(), commits, "state file opened again after a failed write");
                *slot = Slot::Open(database);
                self.commits.store(commits, Ordering::Release);
                self.to_reopen.store(false, Ordering::Release);
                Ok(())
            }
            Err(error) => {
                *slot = Slot::Failed(error.clone());
                Err(error)
            }
        }
    }
}

impl Slot {
    fn database(&self) -> Result<&Database, StoreError> {
        match self {
            Self::Open(database) => Ok(database),
            Self::Failed(error) => Err(error.clone()),
        }
    }
}

/// Makes the file under another name and renames it when it is whole: a crash leaves no half-made file.
fn create(paths: &Paths) -> Result<(), StoreError> {
    let file = &paths.unfinished;
    match std::fs::remove_file(file) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(StoreError::io("remove", file, e)),
        _ => {}
    }
    drop(crate::embedded::directory::open_private(file)?);
    contain(file, || {
        let database = builder().create(file).map_err(|e| refused(file, "create", e))?;
        commit(file, &database, FIRST_COMMIT, |writing| {
            for name in ALL {
                writing.table(name)?;
            }
            writing.table(META)?.save_number(FORMAT_KEY, FORMAT)
        })?;
        database.close().map_err(|e| refused(file, "close", e))
    })?;
    std::fs::rename(file, &paths.state).map_err(|e| StoreError::io("rename", file, e))?;
    paths.sync()
}

/// Opens the file, verifies it, and says which commit is its newest.
fn open_database(paths: &Paths) -> Result<(Database, u64), StoreError> {
    let file = &paths.state;
    contain(file, || {
        let database = builder().open(file).map_err(|e| refused(file, "open", e))?;
        let commits = newest_commit(file, &database)?;
        Ok((database, commits))
    })
}

fn newest_commit(file: &Path, database: &Database) -> Result<u64, StoreError> {
    let transaction = database.begin_read().map_err(|e| refused(file, "read", e))?;
    let meta = Reading { file, transaction: &transaction }.table(META)?;
    let number = |key: &[u8]| meta.load_number(key)?.ok_or_else(|| meta.damaged(key, "it is missing"));
    let format = number(FORMAT_KEY)?;
    if !(FIRST_FORMAT..=FORMAT).contains(&format) {
        return Err(StoreError::Newer { file: file.to_path_buf(), found: format, known: FORMAT });
    }
    number(COMMIT_KEY)
}

/// Says that the file has the format of today: what is about to be written in it, an older program would misread.
pub(super) fn mark_format(
    meta: &mut Sealed<'_, redb::Table<'_, &'static [u8], &'static [u8]>>,
) -> Result<(), StoreError> {
    match meta.load_number(FORMAT_KEY)? {
        Some(FORMAT) => Ok(()),
        _ => meta.save_number(FORMAT_KEY, FORMAT),
    }
}

fn commit(
    file: &Path,
    database: &Database,
    number: u64,
    change: impl FnOnce(&Writing<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let transaction = database.begin_write().map_err(|e| refused(file, "write", e))?;
    let writing = Writing { file, transaction: &transaction };
    change(&writing)?;
    writing.table(META)?.save_number(COMMIT_KEY, number)?;
    transaction.commit().map_err(|e| refused(file, "commit to", e))
}

fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

/// Turns a panic inside redb into an error. redb promises not to panic on a damaged file while it opens it with an
/// integrity check; it makes no such promise for pages damaged later, and a daemon that forwards frames must not end
/// because of a bad sector. After a panic in a write the file is opened again before the next one.
fn contain<T>(file: &Path, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Err(unreadable(file, format!("the database gave up on it: {said}")))
    })
}

/// The format of the tables, below redb's own. A change that an older program would misread takes the next number. Format 1 had every
/// shard in the root, and authors' times in the notes of what is out of use; it is read, and the next publication makes it this one.
const FORMAT: u64 = 2;
const FIRST_FORMAT: u64 = 1;
const FORMAT_KEY: &[u8] = b"format";
const COMMIT_KEY: &[u8] = b"commit";
const FIRST_COMMIT: u64 = 1;

/// redb's cache in bytes. Its default of 1 GiB is for servers; a topology of thousands of ports is some MiB.
const CACHE_BYTES: usize = 32 << 20;
