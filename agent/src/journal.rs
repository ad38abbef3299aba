//! Events in the store's journal: kept as they come, read by an operator, forgotten when they are old.
//!
//! ```text
//!   engine ── told ──► backlog ──► journal          file, follow ──► note ──► backlog
//! ```
//! A journal that is not there now keeps nobody waiting: what is told waits in the store's backlog, up to its room, and is written when the
//! journal is back.

use std::sync::Arc;
use std::time::Duration;

use nsdb::{
    Backlog, EntryKind, Journal, JournalEntry, JournalError, MAX_ENTRY_BYTES, NameError, NewEntry, Query,
    Store, StoreError, WallTime,
};
use tokio::sync::mpsc;
use tracing::{info, warn};
use vlan::time::Instant;

use crate::clock;
use crate::event::Event;
use crate::view::EventView;

/// Keeps every event until there are no more, and all of them are written.
pub async fn keep(store: Arc<Store>, told: mpsc::Receiver<Event>) {
    keep_at(&store, told, (TRY_AGAIN, LONGEST_PAUSE)).await;
}

/// The same, with how long a journal that is not there is left alone, at first and at most.
async fn keep_at(store: &Store, mut told: mpsc::Receiver<Event>, pauses: (Duration, Duration)) {
    let taking = async {
        while let Some(event) = told.recv().await {
            add(store, &event);
        }
        store.backlog().close();
    };
    tokio::join!(taking, write(store, pauses));
}

/// Keeps one event, of somebody who has no engine.
pub async fn note(store: &Store, event: &Event) {
    let is_in_turn = store.has_near_journal() && store.backlog().waiting() == 0;
    let Some(entry) = entry(store, event) else { return };
    if !is_in_turn {
        store.backlog().add(entry);
        return;
    }
    match store.append(vec![entry.clone()]).await {
        Ok(_) => {}
        Err(error) if is_passing(&error) => {
            store.backlog().add(entry);
        }
        Err(error) => warn!(%error, "the journal cannot be written"),
    }
}

fn add(store: &Store, event: &Event) {
    entry(store, event).into_iter().for_each(|entry| {
        store.backlog().add(entry);
    });
}

/// Writes what waits. Those that come together are written together. What is not taken is tried again as it is, so that it is known again where
/// it may have been taken.
async fn write(store: &Store, (first, longest): (Duration, Duration)) {
    let backlog = store.backlog();
    let mut absence: Option<Absence> = None;
    let (mut tried, mut pause) = (None, first);
    loop {
        let entries = match tried.take() {
            Some(entries) => entries,
            None => match backlog.oldest(AT_ONCE).await {
                Some(entries) => entries,
                None => return,
            },
        };
        match store.append(entries.clone()).await {
            Ok(_) => {
                backlog.settle(entries.len());
                pause = first;
                absence
                    .take_if(|absence| absence.is_over(store))
                    .into_iter()
                    .for_each(|absence| absence.tell(store));
            }
            Err(error) if is_passing(&error) => {
                absence.get_or_insert_with(|| Absence::begin(store, &error)).ended = None;
                tried = Some(entries);
                wait(backlog, (pause, first)).await;
                pause = (pause * 2).min(longest);
            }
            Err(error) => {
                warn!(%error, events = entries.len(), "the journal cannot be written, these are not in it");
                backlog.lose(entries.len());
            }
        }
    }
}

/// Waits before a journal is tried again, until the daemon ends at most.
async fn wait(backlog: &Backlog, (pause, last): (Duration, Duration)) {
    if backlog.is_closed() {
        return tokio::time::sleep(last).await;
    }
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = backlog.closed() => {}
    }
}

/// Whether the journal may take the same later: nobody reaches it, the disk is full, or somebody has mounted it read-only for now.
fn is_passing(error: &JournalError) -> bool {
    error.is_retryable() || matches!(error, JournalError::Store(StoreError::ReadOnly { .. }))
}

/// A time in which the journal takes nothing, and what it has to take afterwards.
#[derive(Debug)]
struct Absence {
    since: Instant,
    /// How many events had been lost before.
    lost: u64,
    /// When it took something again.
    ended: Option<Instant>,
}

impl Absence {
    fn begin(store: &Store, error: &JournalError) -> Absence {
        let absence = Absence { since: clock::now(), lost: store.backlog().lost(), ended: None };
        let event = Event::JournalAway { why: error.to_string() };
        warn!("{event}");
        absence.add(store, &event);
        absence
    }

    /// Whether all that waited has been taken.
    fn is_over(&mut self, store: &Store) -> bool {
        self.ended.get_or_insert_with(clock::now);
        store.backlog().waiting() == 0
    }

    fn tell(self, store: &Store) {
        let ended = self.ended.unwrap_or_else(clock::now);
        let lost = store.backlog().lost() - self.lost;
        let event = Event::JournalBack { seconds: ended.since(self.since).as_secs(), lost };
        info!("{event}");
        self.add(store, &event);
    }

    /// There is always room for what tells of it.
    fn add(&self, store: &Store, event: &Event) {
        entry(store, event).into_iter().for_each(|entry| store.backlog().add_whatever(entry));
    }
}

/// An event as an entry. One that is longer than any entry may be is lost.
fn entry(store: &Store, event: &Event) -> Option<NewEntry> {
    let body = serde_json::to_vec(event).ok()?;
    if body.len() > MAX_ENTRY_BYTES {
        warn!(
            event = event.kind(),
            bytes = body.len(),
            "this event is too long for the journal; the log has it"
        );
        store.backlog().count_lost(1);
        return None;
    }
    Some(NewEntry { kind: kind().ok()?, at: WallTime::from_millis(clock::wall_ms()), body })
}

/// The newest events, the oldest of them first. What another version wrote and this one does not know is left out.
///
/// # Errors
/// The store cannot be read.
pub async fn read(store: &Store, newest: usize) -> Result<Vec<EventView>, JournalError> {
    let mut waiting = store.backlog().newest(newest);
    if waiting.len() < newest {
        let query = Query { kind: kind().ok(), newest, ..Query::default() };
        let written = store.query(query).await?;
        let is_same =
            |entry: &JournalEntry, waits: &NewEntry| (entry.at, &entry.body) == (waits.at, &waits.body);
        // Some of what waited may have been written meanwhile, or by a try that was not answered.
        let from =
            waiting.first().and_then(|oldest| written.iter().rposition(|entry| is_same(entry, oldest)));
        let common = from.map_or(0, |from| {
            written[from..].iter().zip(&waiting).take_while(|(entry, waits)| is_same(entry, waits)).count()
        });
        let written =
            written.into_iter().map(|JournalEntry { kind, at, body, .. }| NewEntry { kind, at, body });
        waiting = written.chain(waiting.drain(common..).collect::<Vec<_>>()).collect();
    }
    let from = waiting.len().saturating_sub(newest);
    let entries = waiting.drain(from..).map(|entry| (entry.at, entry.body));
    let view = |(at, body): (WallTime, Vec<u8>)| {
        let event: Event = serde_json::from_slice(&body).ok()?;
        Some(EventView { at_ms: at.as_millis(), text: event.to_string(), event })
    };
    Ok(entries.filter_map(view).collect())
}

/// Forgets what is older than the store is to keep, now and every hour.
pub async fn trim(store: Arc<Store>) {
    loop {
        if let Err(error) = store.trim(WallTime::from_millis(clock::wall_ms())).await
            && store.has_near_journal()
        {
            warn!(%error, "old entries of the journal cannot be removed");
        }
        tokio::time::sleep(TRIM_EVERY).await;
    }
}

fn kind() -> Result<EntryKind, NameError> {
    EntryKind::new("event")
}

/// Events written together: every port of a host may come up in one moment.
const AT_ONCE: usize = 1_024;
const TRIM_EVERY: Duration = Duration::from_secs(3600);
/// A journal that is not there is tried again after this, then ever more seldom.
const TRY_AGAIN: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests;
