//! What waits to be written into a journal that is not there now.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::journal::entry::{ENTRY_OVERHEAD, NewEntry};

/// Entries that wait, the oldest first: so many bytes of them at most. What comes on top of that is lost, and counted: how it began says more
/// than how it goes on.
#[derive(Debug)]
pub struct Backlog {
    held: Mutex<Held>,
    added: Notify,
    closing: Notify,
    most: usize,
}

#[derive(Debug, Default)]
struct Held {
    entries: VecDeque<NewEntry>,
    bytes: usize,
    lost: u64,
    settled: u64,
    is_closed: bool,
}

impl Backlog {
    /// Room for `most` bytes, each entry counted with 24 bytes besides its own.
    pub fn new(most: usize) -> Self {
        Self { held: Mutex::default(), added: Notify::new(), closing: Notify::new(), most }
    }

    /// Has an entry wait. False if it is lost, for want of room.
    pub fn add(&self, entry: NewEntry) -> bool {
        let mut held = self.held();
        let bytes = held.bytes + size(&entry);
        if bytes > self.most {
            held.lost += 1;
            return false;
        }
        held.bytes = bytes;
        held.entries.push_back(entry);
        drop(held);
        self.added.notify_one();
        true
    }

    /// Has an entry wait even where there is no room: for the few that tell of what is lost.
    pub fn add_whatever(&self, entry: NewEntry) {
        let mut held = self.held();
        held.bytes += size(&entry);
        held.entries.push_back(entry);
        drop(held);
        self.added.notify_one();
    }

    /// Nothing more will be added: whoever takes is told when there is nothing left.
    pub fn close(&self) {
        self.held().is_closed = true;
        self.added.notify_one();
        self.closing.notify_one();
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.held().is_closed
    }

    /// Waits until it is closed. For one who waits.
    pub async fn closed(&self) {
        if !self.is_closed() {
            self.closing.notified().await;
        }
    }

    /// The oldest entries, `most` of them at most, once there are any; they stay until they are [`settled`](Self::settle). `None` when there
    /// will be none any more. For one taker.
    pub async fn oldest(&self, most: usize) -> Option<Vec<NewEntry>> {
        loop {
            {
                let held = self.held();
                if !held.entries.is_empty() {
                    return Some(held.entries.iter().take(most).cloned().collect());
                }
                if held.is_closed {
                    return None;
                }
            }
            self.added.notified().await;
        }
    }

    /// The oldest so many entries are written.
    pub fn settle(&self, count: usize) {
        let mut held = self.held();
        held.settled += held.drop_oldest(count);
    }

    /// The oldest so many entries cannot be written, ever.
    pub fn lose(&self, count: usize) {
        let mut held = self.held();
        held.lost += held.drop_oldest(count);
    }

    /// So many more were lost without having waited.
    pub fn count_lost(&self, count: u64) {
        self.held().lost += count;
    }

    /// Those that wait and are the newest, at most so many, the oldest of them first.
    pub fn newest(&self, most: usize) -> Vec<NewEntry> {
        let held = self.held();
        let from = held.entries.len().saturating_sub(most);
        held.entries.iter().skip(from).cloned().collect()
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.held().entries.len()
    }

    /// How many were settled since it was made.
    pub fn settled(&self) -> u64 {
        self.held().settled
    }

    /// How many were lost since it was made.
    pub fn lost(&self) -> u64 {
        self.held().lost
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// How many there were of so many.
    fn drop_oldest(&mut self, count: usize) -> u64 {
        let count = count.min(self.entries.len());
        let bytes: usize = self.entries.drain(..count).map(|entry| size(&entry)).sum();
        self.bytes -= bytes;
        count as u64
    }
}

fn size(entry: &NewEntry) -> usize {
    entry.kind.as_str().len() + entry.body.len() + ENTRY_OVERHEAD as usize
}

/// Bytes that wait for a store at most: 80 000 events of 200 bytes.
pub(crate) const BACKLOG_BYTES: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::WallTime;
    use crate::journal::entry::EntryKind;

    fn entry(body: &str) -> NewEntry {
        let kind = EntryKind::new("event").unwrap();
        NewEntry { kind, at: WallTime::from_millis(1), body: body.as_bytes().to_vec() }
    }

    fn bodies(entries: Option<Vec<NewEntry>>) -> Vec<String> {
        entries.unwrap().into_iter().map(|entry| String::from_utf8(entry.body).unwrap()).collect()
    }

    #[tokio::test]
    async fn entries_wait_in_their_order_until_they_are_settled() {
        let backlog = Backlog::new(1_000);
        assert_eq!(["a", "b", "c"].map(|body| backlog.add(entry(body))), [true; 3]);
        assert_eq!(bodies(backlog.oldest(2).await), ["a", "b"]);
        assert_eq!(bodies(backlog.oldest(2).await), ["a", "b"], "nobody has said that they are written");
        backlog.settle(2);
        assert_eq!((bodies(backlog.oldest(2).await), backlog.waiting()), (vec!["c".to_owned()], 1));
        backlog.close();
        backlog.settle(9);
        assert_eq!(backlog.oldest(2).await, None);
    }

    #[tokio::test]
    async fn what_there_is_no_room_for_is_lost_and_counted() {
        // An entry of one byte: 5 of kind, 24 besides.
        let backlog = Backlog::new(60);
        assert_eq!(["a", "b", "c", "d"].map(|body| backlog.add(entry(body))), [true, true, false, false]);
        assert_eq!((backlog.lost(), backlog.waiting()), (2, 2));
        backlog.settle(1);
        assert_eq!(backlog.settled(), 1);
        assert!(backlog.add(entry("e")), "there is room again");
        assert_eq!(bodies(backlog.oldest(9).await), ["b", "e"]);
        backlog.add_whatever(entry("told"));
        backlog.lose(2);
        assert_eq!((backlog.lost(), bodies(backlog.oldest(9).await)), (4, vec!["told".to_owned()]));
        backlog.count_lost(3);
        assert_eq!(backlog.lost(), 7);
        assert_eq!(bodies(Some(backlog.newest(1))), ["told"]);
    }

    #[tokio::test]
    async fn whoever_waits_is_woken() {
        let backlog = std::sync::Arc::new(Backlog::new(1_000));
        let taker = std::sync::Arc::clone(&backlog);
        let taken = tokio::spawn(async move { taker.oldest(9).await });
        tokio::task::yield_now().await;
        backlog.add(entry("a"));
        assert_eq!(bodies(taken.await.unwrap()), ["a"]);
    }
}
