//! Events in the store's journal: kept as they come, read by an operator, forgotten when they are old.

use std::sync::Arc;
use std::time::Duration;

use nsdb::{EntryKind, Journal, JournalError, NameError, NewEntry, Query, Store, WallTime};
use tokio::sync::mpsc;
use tracing::warn;

use crate::clock;
use crate::event::Event;
use crate::view::EventView;

/// Keeps every event until there are no more. Those that come together are written together.
pub async fn keep(store: Arc<Store>, mut told: mpsc::Receiver<Event>) {
    let mut events = Vec::new();
    while told.recv_many(&mut events, AT_ONCE).await > 0 {
        let entries: Vec<NewEntry> = events.drain(..).filter_map(|event| entry(&event)).collect();
        if let Err(error) = store.append(entries).await {
            warn!(%error, "the journal cannot be written");
        }
    }
}

/// Keeps one event, of somebody who has no engine.
pub async fn note(store: &Store, event: &Event) {
    if let Err(error) = store.append(entry(event).into_iter().collect()).await {
        warn!(%error, "the journal cannot be written");
    }
}

fn entry(event: &Event) -> Option<NewEntry> {
    let body = serde_json::to_vec(event).ok()?;
    Some(NewEntry { kind: kind().ok()?, at: WallTime::from_millis(clock::wall_ms()), body })
}

/// The newest events, the oldest of them first. What another version wrote and this one does not know is left out.
///
/// # Errors
/// The store cannot be read.
pub async fn read(store: &Store, newest: usize) -> Result<Vec<EventView>, JournalError> {
    let query = Query { kind: kind().ok(), newest, ..Query::default() };
    let entries = store.query(query).await?;
    let view = |entry: nsdb::JournalEntry| {
        let event: Event = serde_json::from_slice(&entry.body).ok()?;
        Some(EventView { at_ms: entry.at.as_millis(), text: event.to_string(), event })
    };
    Ok(entries.into_iter().filter_map(view).collect())
}

/// Forgets what is older than the store is to keep, now and every hour.
pub async fn trim(store: Arc<Store>) {
    loop {
        if let Err(error) = store.trim(WallTime::from_millis(clock::wall_ms())).await {
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

#[cfg(test)]
mod tests {
    use nsdb::StoreConfig;

    use super::*;

    #[tokio::test]
    async fn what_is_kept_is_read_in_its_order() {
        let store = Arc::new(Store::open(StoreConfig::in_memory()).unwrap());
        let (tell, told) = mpsc::channel(8);
        for revision in 1..=5 {
            tell.send(Event::Applied { revision }).await.unwrap();
        }
        drop(tell);
        keep(Arc::clone(&store), told).await;
        let texts: Vec<String> = read(&store, 2).await.unwrap().into_iter().map(|event| event.text).collect();
        assert_eq!(texts, ["revision 4 is in force", "revision 5 is in force"]);
    }

    #[tokio::test]
    async fn an_event_that_is_not_known_is_left_out() {
        let store = Store::open(StoreConfig::in_memory()).unwrap();
        let body = br#"{"event":"teleported","port":"leaf1"}"#.to_vec();
        let unknown = NewEntry { kind: kind().unwrap(), at: WallTime::from_millis(7), body };
        let known = NewEntry { at: WallTime::from_millis(8), ..entry(&Event::DatapathAnew).unwrap() };
        store.append(vec![unknown, known]).await.unwrap();
        let events = read(&store, 10).await.unwrap();
        assert_eq!(events.len(), 1);
        assert_eq!((events[0].at_ms, events[0].event.kind()), (8, "datapath-anew"));
    }
}
