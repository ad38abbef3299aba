//! The [`Journal`] on a Cassandra cluster, which hosts share: each has its own part, and anybody may read all of it.
//!
//! ```text
//!   append ──► ledger: which numbers, which stretch ──► stretches (one row)  ──► journal (batches)
//!   query  ──► stretches of the time that is asked for ──► journal, the newest first
//! ```
//! Nothing here runs by itself. A call that needs the cluster connects if there is no connection, and says why if there is none: who calls
//! tries again. The same entries once more, after an error and before any other, are the same entries: they get the numbers that they
//! were given first.
//!
//! Time to live is [`JournalLimits::keep`] and two hours: a host that lives removes what is too old itself, and keeps count; what a dead
//! one wrote goes without it.

mod connecting;
mod ledger;
mod making;
mod refusal;
mod rows;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::debug;
use uuid::Uuid;

use crate::clock::WallTime;
use crate::journal::entry::{EntryId, JournalEntry, JournalLimits, NewEntry, Query};
use crate::journal::{Journal, JournalError, check_sizes};
use ledger::{Ledger, Run, Stretch};
use refusal::Refusal;
use rows::{Connected, Old, Writer};

pub use settings::{CassandraSettings, Sureness};

/// A host's journal on a cluster.
#[derive(Debug)]
pub struct Cassandra {
    settings: CassandraSettings,
    limits: JournalLimits,
    /// Rows of two runs of a host never meet, even if both lived at one time.
    run: Uuid,
    link: Mutex<Link>,
    book: Mutex<Book>,
}

/// The way to the cluster.
#[derive(Debug, Default)]
enum Link {
    /// Nobody has tried yet, or what was known is not any more.
    #[default]
    None,
    There(Arc<Connected>),
    /// It was tried, and failed at that time.
    Failed(Instant, Refusal),
}

/// What this run has written, or tried to.
#[derive(Debug, Default)]
struct Book {
    /// As it was found by the connection in `by`, and what has become of it since.
    ledger: Option<Ledger>,
    by: Option<Arc<Connected>>,
    /// Entries of an append that did not succeed, and where they go.
    unfinished: Option<(Vec<NewEntry>, Vec<Run>)>,
}

impl Cassandra {
    /// The journal of a host. Nothing is asked of a node before the first call.
    pub fn open(settings: CassandraSettings, limits: JournalLimits) -> Self {
        let (link, book) = (Mutex::default(), Mutex::default());
        Self { settings, limits, run: Uuid::new_v4(), link, book }
    }

    /// The connection, made if there is none. Who waits for another's try has that one's answer.
    async fn connected(&self) -> Result<Arc<Connected>, Refusal> {
        let asked = Instant::now();
        let mut link = self.link.lock().await;
        match &*link {
            Link::There(connected) => return Ok(Arc::clone(connected)),
            Link::Failed(at, refusal) if *at >= asked => return Err(refusal.clone()),
            Link::Failed(..) | Link::None => {}
        }
        let made = connecting::connect(&self.settings).await.map(Arc::new);
        *link = match &made {
            Ok(connected) => Link::There(Arc::clone(connected)),
            Err(refusal) => Link::Failed(Instant::now(), refusal.clone()),
        };
        made
    }

    /// Says what became of a call. Where the tables may be others now, the next one connects anew.
    async fn told<T>(&self, done: Result<T, Refusal>) -> Result<T, JournalError> {
        match done {
            Ok(done) => Ok(done),
            Err(Refusal { why, is_to_begin_anew }) => {
                if is_to_begin_anew {
                    let mut link = self.link.lock().await;
                    *link = match std::mem::take(&mut *link) {
                        Link::There(_) => Link::None,
                        other => other,
                    };
                }
                Err(JournalError::Away { cluster: self.settings.cluster(), why })
            }
        }
    }

    /// Who writes what has happened at `now`.
    fn writer(&self, now: WallTime) -> Writer<'_> {
        let ttl = (self.limits.keep + LONGER).as_secs().min(LONGEST_TTL);
        let left = LAST_SECOND.saturating_sub(now.as_millis() / 1_000);
        let ttl = if left == 0 { ttl } else { ttl.min(left) };
        Writer { host: &self.settings.host, run: self.run, ttl: ttl as i32 }
    }

    async fn write(&self, entries: &[NewEntry]) -> Result<Vec<EntryId>, Refusal> {
        let connected = self.connected().await?;
        let mut book = self.book.lock().await;
        let runs = book.place(&connected, &self.settings.host, entries).await?;
        for run in &runs {
            let writer = self.writer(run.stretch.latest);
            connected.write_run(writer, run, &entries[run.entries.clone()]).await?;
        }
        book.unfinished = None;
        let numbers = |run: &Run| run.first..run.first + run.entries.len() as u64;
        let ids = runs.iter().flat_map(numbers).map(EntryId).collect();
        let surplus = book.ledger.as_ref().map_or(0, |ledger| ledger.surplus(&self.limits));
        if surplus > 0 {
            // The entries are written; what is too much goes with the next ones otherwise.
            if let Err(refusal) = self.remove(&mut book, &connected, |_, freed| freed < surplus).await {
                debug!(why = refusal.why, "the journal is larger than it is to be");
            }
        }
        Ok(ids)
    }

    async fn read(&self, query: &Query) -> Result<Vec<JournalEntry>, Refusal> {
        let connected = self.connected().await?;
        let mut stretches = connected.stretches(&self.settings.host).await?;
        stretches.sort_unstable_by_key(|stretch| std::cmp::Reverse(stretch.number));
        let mut found: Vec<JournalEntry> = Vec::new();
        // The row of the newest may be older than its entries, where nodes' clocks differ.
        let newest = stretches.first().map(|stretch| stretch.number);
        let is_to_read = |stretch: &&Stretch| stretch.may_match(query) || Some(stretch.number) == newest;
        for stretch in stretches.iter().filter(is_to_read) {
            let most = query.newest - found.len();
            if most == 0 {
                break;
            }
            found.extend(connected.matching(&self.settings.host, stretch.number, query, most).await?);
        }
        found.reverse();
        Ok(found)
    }

    async fn forget_before(&self, oldest: WallTime) -> Result<usize, Refusal> {
        let connected = self.connected().await?;
        let mut book = self.book.lock().await;
        // What is being tried again has its place.
        if book.unfinished.is_some() {
            return Ok(0);
        }
        book.look(&connected, &self.settings.host).await?;
        self.remove(&mut book, &connected, |old, _| old.at < oldest).await
    }

    /// Removes the oldest entries for as long as one has to go, by what it is and by how many bytes have gone before it. How many there were.
    async fn remove(
        &self,
        book: &mut Book,
        connected: &Connected,
        has_to_go: impl Fn(&Old, u64) -> bool,
    ) -> Result<usize, Refusal> {
        let host = self.settings.host.as_str();
        let (mut freed, mut count) = (0, 0);
        loop {
            let Some(ledger) = &mut book.ledger else { return Ok(count) };
            let Some((stretch, is_newest)) = ledger.oldest() else { return Ok(count) };
            let entries = connected.oldest(host, &stretch).await?;
            let (before, mut last) = (freed, None);
            for old in &entries {
                if !has_to_go(old, freed) {
                    break;
                }
                (freed, last, count) = (freed + old.bytes, Some(old.number), count + 1);
            }
            let last = match last {
                Some(last) => {
                    connected.remove_oldest(host, stretch.number, last).await?;
                    last
                }
                // They have ended by themselves.
                None if entries.is_empty() => {
                    freed += stretch.bytes;
                    stretch.last
                }
                None => return Ok(count),
            };
            let left = ledger.lose(last, freed - before);
            match left {
                Some(left) => connected.write_stretch(self.writer(left.latest), &left).await?,
                None => connected.remove_stretch(host, stretch.number).await?,
            }
            if is_newest && left.is_some_and(|left| left.count() == 0) {
                return Ok(count);
            }
        }
    }
}

impl Book {
    /// Looks which stretches there are, once by each connection: behind a new one the tables may be others.
    async fn look(&mut self, connected: &Arc<Connected>, host: &str) -> Result<&mut Ledger, Refusal> {
        let is_same = self.by.as_ref().is_some_and(|by| Arc::ptr_eq(by, connected));
        if self.ledger.is_none() || !is_same {
            let mut ledger = Ledger::of(connected.stretches(host).await?);
            // Nodes whose clocks differ may have kept an earlier row of the newest stretch: its entries say what it has.
            if let Some(newest) = ledger.newest()
                && let Some(last) = connected.last(host, newest.number).await?
            {
                ledger.has_at_least(last);
            }
            self.ledger = Some(ledger);
            self.by = Some(Arc::clone(connected));
        }
        Ok(self.ledger.get_or_insert_default())
    }

    /// Gives entries their places: those that they were given before, if they are tried again.
    async fn place(
        &mut self,
        connected: &Arc<Connected>,
        host: &str,
        entries: &[NewEntry],
    ) -> Result<Vec<Run>, Refusal> {
        let before =
            self.unfinished.as_ref().filter(|(tried, _)| tried == entries).map(|(_, runs)| runs.clone());
        let ledger = self.look(connected, host).await?;
        if let Some(runs) = before {
            runs.iter().for_each(|run| ledger.include(run.stretch));
            return Ok(runs);
        }
        let runs = ledger.place(entries);
        self.unfinished = Some((entries.to_vec(), runs.clone()));
        Ok(runs)
    }
}

// The futures of the client are boxed: their types are too deep for the compiler in those of an agent.
impl Journal for Cassandra {
    async fn append(&self, entries: Vec<NewEntry>) -> Result<Vec<EntryId>, JournalError> {
        check_sizes(&entries)?;
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let written = self.write(&entries).boxed().await;
        self.told(written).await
    }

    async fn query(&self, query: Query) -> Result<Vec<JournalEntry>, JournalError> {
        let found = self.read(&query).boxed().await;
        self.told(found).await
    }

    async fn trim(&self, now: WallTime) -> Result<usize, JournalError> {
        let removed = self.forget_before(now.before(self.limits.keep)).boxed().await;
        self.told(removed).await
    }
}

/// How much longer than they are kept entries live where nobody removes them: two of an agent's looks for what is too old.
const LONGER: Duration = Duration::from_secs(7_200);
/// The longest time to live in seconds: 20 years (`MAX_TTL`, org.apache.cassandra.cql3.Attributes).
const LONGEST_TTL: u64 = 630_720_000;
/// The last second since 1970 in which a row may end: 2038-01-19 03:14:06 UTC (CASSANDRA-14092), which releases before 5.0 and 5.0 as it is
/// installed have.
const LAST_SECOND: u64 = 2_147_483_646;
