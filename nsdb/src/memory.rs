//! Revisions, journal and notes that end with their process: the honest twin of the others in tests.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::{Clock, MonotonicClock, WallTime};
use crate::documents::collection::Sweep;
use crate::documents::layout::decode_page;
use crate::documents::publication::Publication;
use crate::documents::revision::{Change, Revision, RevisionInfo, Root};
use crate::documents::shard::{ShardId, ShardName};
use crate::documents::{Documents, DocumentsError, walk};
use crate::journal::entry::{ENTRY_OVERHEAD, EntryId, JournalEntry, JournalLimits, NewEntry, Query};
use crate::journal::{Journal, JournalError, encode_all};
use crate::local::{self, Local, LocalError};

/// [`Documents`], [`Journal`] and [`Local`] in memory; nothing survives.
#[derive(Debug)]
pub struct Memory {
    clock: Arc<dyn Clock>,
    documents: Mutex<Shelf>,
    revisions: watch::Sender<Option<Revision>>,
    journal: Mutex<Book>,
    local: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// An empty store with the default limits and the machine's clock.
    pub fn new() -> Self {
        let clock = Arc::new(MonotonicClock::default());
        Self::with(clock, JournalLimits::default())
    }

    /// An empty store; `clock` tells how long documents are out of use.
    pub fn with(clock: Arc<dyn Clock>, journal: JournalLimits) -> Self {
        Self {
            clock,
            documents: Mutex::default(),
            revisions: watch::Sender::new(None),
            journal: Mutex::new(Book { limits: journal, ..Book::default() }),
            local: Mutex::default(),
        }
    }
}

/// The documents: the roots that are kept, and every shard and page that was not yet collected.
#[derive(Debug, Default)]
struct Shelf {
    roots: BTreeMap<Revision, Root>,
    contents: BTreeMap<ShardId, Vec<u8>>,
    /// Since when a document is known to be out of use.
    unused: BTreeMap<ShardId, Duration>,
}

impl Shelf {
    fn publish(&mut self, publication: Publication) -> Revision {
        let Publication { root, contents, .. } = publication;
        for (id, content) in contents {
            self.unused.remove(&id);
            self.contents.insert(id, content);
        }
        let revision = root.revision;
        self.roots.insert(revision, root);
        self.roots = self.roots.split_off(&revision.first_kept());
        revision
    }

    fn root(&self) -> Option<&Root> {
        self.roots.values().next_back()
    }

    fn load(&self, id: ShardId) -> Result<Vec<u8>, DocumentsError> {
        self.contents.get(&id).cloned().ok_or(DocumentsError::Missing { shard: id })
    }

    fn collect(&mut self, now: Duration, unused_for: Duration) -> Result<usize, DocumentsError> {
        let named = walk::named(self.roots.values(), |id, depth| {
            Ok::<_, DocumentsError>(decode_page(&self.load(id)?, depth)?)
        })?;
        let sweep = Sweep::over(self.contents.keys().copied(), &named, &self.unused, (now, unused_for));
        self.unused.extend(sweep.noted.into_iter().map(|id| (id, now)));
        for id in sweep.cleared.iter().chain(&sweep.removed) {
            self.unused.remove(id);
        }
        for id in &sweep.removed {
            self.contents.remove(id);
        }
        Ok(sweep.removed.len())
    }
}

impl Documents for Memory {
    async fn root(&self) -> Result<Option<Root>, DocumentsError> {
        Ok(lock(&self.documents).root().cloned())
    }

    async fn revisions(&self) -> Result<Vec<RevisionInfo>, DocumentsError> {
        Ok(lock(&self.documents).roots.values().rev().map(RevisionInfo::from).collect())
    }

    async fn root_of(&self, revision: Revision) -> Result<Option<Root>, DocumentsError> {
        Ok(lock(&self.documents).roots.get(&revision).cloned())
    }

    async fn read(&self, document: ShardId) -> Result<Vec<u8>, DocumentsError> {
        lock(&self.documents).load(document)
    }

    async fn publish(
        &self,
        expected: Option<Revision>,
        shards: BTreeMap<ShardName, Vec<u8>>,
        change: Change,
    ) -> Result<Revision, DocumentsError> {
        let mut shelf = lock(&self.documents);
        let publication = Publication::after(shelf.root(), expected, shards, change)?;
        let revision = shelf.publish(publication);
        self.revisions.send_replace(Some(revision));
        Ok(revision)
    }

    async fn collect(&self, unused_for: Duration) -> Result<usize, DocumentsError> {
        lock(&self.documents).collect(self.clock.now(), unused_for)
    }

    fn watch_root(&self) -> watch::Receiver<Option<Revision>> {
        self.revisions.subscribe()
    }
}

/// The journal.
#[derive(Debug, Default)]
struct Book {
    limits: JournalLimits,
    last: u64,
    bytes: u64,
    entries: VecDeque<(JournalEntry, u64)>,
}

impl Book {
    fn append(&mut self, entry: NewEntry, length: usize) -> EntryId {
        self.last += 1;
        let (id, weight) = (EntryId(self.last), length as u64 + ENTRY_OVERHEAD);
        self.entries.push_back((JournalEntry::new(id, entry), weight));
        self.bytes += weight;
        while self.bytes > self.limits.max_bytes {
            self.forget_first();
        }
        id
    }

    fn trim(&mut self, now: WallTime) -> usize {
        let oldest = now.before(self.limits.keep);
        let count = self.entries.iter().take_while(|(entry, _)| entry.at < oldest).count();
        (0..count).for_each(|_| self.forget_first());
        count
    }

    fn forget_first(&mut self) {
        if let Some((_, weight)) = self.entries.pop_front() {
            self.bytes -= weight;
        }
    }
}

impl Journal for Memory {
    async fn append(&self, entries: Vec<NewEntry>) -> Result<Vec<EntryId>, JournalError> {
        let lengths: Vec<_> = encode_all(&entries)?.iter().map(Vec::len).collect();
        let mut book = lock(&self.journal);
        Ok(entries.into_iter().zip(lengths).map(|(entry, length)| book.append(entry, length)).collect())
    }

    async fn query(&self, query: Query) -> Result<Vec<JournalEntry>, JournalError> {
        let book = lock(&self.journal);
        let matching = book.entries.iter().rev().map(|(entry, _)| entry);
        let mut found: Vec<_> = matching
            .filter(|entry| query.matches(&entry.kind, entry.at))
            .take(query.newest)
            .cloned()
            .collect();
        found.reverse();
        Ok(found)
    }

    async fn trim(&self, now: WallTime) -> Result<usize, JournalError> {
        Ok(lock(&self.journal).trim(now))
    }
}

impl Local for Memory {
    async fn save(&self, key: &str, value: Vec<u8>) -> Result<(), LocalError> {
        local::check(key, &value)?;
        lock(&self.local).insert(key.to_owned(), value);
        Ok(())
    }

    async fn load(&self, key: &str) -> Result<Option<Vec<u8>>, LocalError> {
        local::check(key, &[])?;
        Ok(lock(&self.local).get(key).cloned())
    }

    async fn delete(&self, key: &str) -> Result<bool, LocalError> {
        local::check(key, &[])?;
        Ok(lock(&self.local).remove(key).is_some())
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>, LocalError> {
        Ok(lock(&self.local).keys().filter(|key| key.starts_with(prefix)).cloned().collect())
    }
}

/// Each step under these locks leaves its data whole, so a panic elsewhere while holding one does no harm.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
