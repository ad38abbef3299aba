//! A store in one file of a state directory, for one process.
//!
//! ```text
//! callers ──jobs──► writer thread ──one transaction, one flush──► state.redb ──► state.commit
//!    ▲                    │ answers after the flush
//!    └────────────────────┘          reads go to the file directly, from any thread
//! ```
//!
//! Each opening is counted in the file: so that numbers which sessions and leases of this process get can grow over restarts.

mod collect;
mod directory;
mod documents;
mod file;
mod journal;
mod local;
mod mark;
mod roots;
mod tables;
mod writer;

pub(crate) use journal::reread_extent;
pub(crate) use mark::reread_mark;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::clock::{Clock, MonotonicClock};
use crate::documents::revision::Revision;
use crate::embedded::file::StateFile;
use crate::embedded::roots::stored_root;
use crate::embedded::tables::{ALL, META};
use crate::embedded::writer::Writer;
use crate::error::StoreError;
use crate::journal::entry::JournalLimits;

/// [`Documents`](crate::Documents), [`Journal`](crate::Journal) and [`Local`](crate::Local) in a directory, safe from crashes.
///
/// Reads of the file are done in place, on the calling thread: microseconds, or a disk access if the page is not
/// cached. A query of the journal, and what a collection looks for, may be a long scan and goes to a blocking thread of the tokio runtime
/// it is called in.
/// Writes wait for the flush without blocking the thread. Dropping it, or [`close`](Self::close), finishes the
/// writes that were begun and blocks for that long.
#[derive(Debug)]
pub struct Embedded {
    // The writer is dropped first: it finishes its jobs in a file that is still open.
    writer: Writer,
    file: Arc<StateFile>,
    clock: Arc<dyn Clock>,
    /// How often the file was opened, and when by the clock it was this time.
    opening: u64,
    opened: Duration,
    revisions: watch::Sender<Option<Revision>>,
    journal_limits: JournalLimits,
}

/// What an embedded store keeps, and what time it is there.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// How much journal.
    pub journal: JournalLimits,
    /// The time of how long documents are out of use.
    pub clock: Arc<dyn Clock>,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self { journal: JournalLimits::default(), clock: Arc::new(MonotonicClock::default()) }
    }
}

/// What the writer has done since the store was opened, apart from the opening itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statistics {
    /// Transactions made durable since the file was made.
    pub commits: u64,
    /// Writes carried out by them since the store was opened.
    pub writes: u64,
}

impl Embedded {
    /// Opens the store in `dir`, which is made (mode 0700) if it is missing. Reads and verifies the whole file, so it
    /// blocks for some milliseconds per MiB.
    ///
    /// # Errors
    /// [held](StoreError::is_held) by another process, [corrupt](StoreError::is_corrupt), of a newer format, no space,
    /// not writable.
    pub fn open(dir: impl AsRef<Path>, options: EmbeddedOptions) -> Result<Self, StoreError> {
        let file = Arc::new(StateFile::open(dir.as_ref())?);
        // Before anything is written: what a newer program made stays as it is.
        let root = file.read(|reading| stored_root(&reading.table(META)?))?;
        let mut opening = 0;
        file.write(|writing| {
            for name in ALL {
                writing.table(name)?;
            }
            let mut meta = writing.table(META)?;
            opening = meta.load_number(OPENINGS_KEY)?.unwrap_or(0) + 1;
            meta.save_number(OPENINGS_KEY, opening)
        })?;
        let opened = options.clock.now();
        Ok(Self {
            writer: Writer::start(Arc::clone(&file))?,
            file,
            clock: options.clock,
            opening,
            opened,
            revisions: watch::Sender::new(root.map(|root| root.revision)),
            journal_limits: options.journal,
        })
    }

    /// A number that is higher than all that are counted from it in earlier openings: for sessions and tokens of this process.
    pub fn last_number(&self) -> u64 {
        self.opening << OPENING_SHIFT
    }

    /// Finishes the writes that were begun and closes the file.
    ///
    /// # Errors
    /// What the last flush met. Everything acknowledged before is durable all the same.
    pub fn close(self) -> Result<(), StoreError> {
        drop(self.writer);
        self.file.close()
    }

    /// Reads what may take long, and not on a thread that forwards.
    async fn aside<T: Send + 'static>(
        &self,
        what: &'static str,
        read: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let Ok(runtime) = Handle::try_current() else { return read() };
        let done = runtime.spawn_blocking(read).await;
        done.map_err(|error| StoreError::Unavailable { what, why: error.to_string() })?
    }

    /// How much has been written, in how many commits.
    pub fn statistics(&self) -> Statistics {
        Statistics { commits: self.file.commits(), writes: self.writer.done() }
    }
}

const OPENINGS_KEY: &[u8] = b"openings";
/// 2^32 sessions and acquisitions per opening, 2^32 openings.
const OPENING_SHIFT: u32 = 32;
