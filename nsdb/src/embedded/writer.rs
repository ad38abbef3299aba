//! The one writer thread and its group commit.
//!
//! A flush costs the same for one change and for a thousand, so the thread takes every job that waits, runs them in one
//! transaction, and answers all of them after the flush. A job that refuses (a conflict) changes nothing and does not
//! disturb the others; a job that fails underneath fails the whole group, because nothing of it was committed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use crate::embedded::file::StateFile;
use crate::embedded::tables::Writing;
use crate::error::StoreError;

/// Hands jobs to the writer thread. Dropping it lets the thread finish what it was given, and waits for that.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
    done: Arc<AtomicU64>,
}

impl Writer {
    /// Starts the thread that alone writes `file`.
    pub(super) fn start(file: Arc<StateFile>) -> Result<Self, StoreError> {
        let (jobs, waiting) = mpsc::channel(WAITING_JOBS);
        let done = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&done);
        let thread = std::thread::Builder::new()
            .name("nsdb-writer".to_owned())
            .spawn(move || write_groups(&file, waiting, &counter))
            .map_err(|e| StoreError::Unavailable { what: "the writer thread", why: e.to_string() })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), done })
    }

    /// Runs `work` in the next group, of which it is some `bytes`; returns after the group is durable. `then` runs on
    /// the writer thread after that and before anyone hears of it, in the order of commits.
    ///
    /// `work` must check before it changes anything: what it changed before it returned an inner error is committed.
    /// If the returned future is dropped, the job is carried out all the same.
    pub(super) async fn run<T, E>(
        &self,
        bytes: usize,
        work: impl FnOnce(&Writing<'_>) -> Result<Result<T, E>, StoreError> + Send + 'static,
        then: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let task = Task { bytes, work: Some(work), outcome: None, then, answer };
        let jobs = self.jobs.as_ref().ok_or(StoreError::Closed)?;
        jobs.send(Box::new(task)).await.map_err(|_| StoreError::Closed)?;
        answered.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// Jobs carried out so far, refused ones included.
    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was reported when it happened; nothing is left to do about it here.
            let _ = thread.join();
        }
    }
}

/// Something to be done in a write transaction.
trait Job: Send {
    fn bytes(&self) -> usize;
    fn apply(&mut self, writing: &Writing<'_>) -> Result<(), StoreError>;
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Task<T, E, W, N> {
    bytes: usize,
    work: Option<W>,
    outcome: Option<Result<T, E>>,
    then: N,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<T, E, W, N> Job for Task<T, E, W, N>
where
    T: Send,
    E: From<StoreError> + Send,
    W: FnOnce(&Writing<'_>) -> Result<Result<T, E>, StoreError> + Send,
    N: FnOnce(&T) + Send,
{
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn apply(&mut self, writing: &Writing<'_>) -> Result<(), StoreError> {
        let Some(work) = self.work.take() else { return Ok(()) };
        self.outcome = Some(match work(writing) {
            Ok(outcome) => outcome,
            Err(error) if error.is_one_record() => Err(error.into()),
            Err(error) => return Err(error),
        });
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let outcome = match (committed, self.outcome) {
            (Err(error), _) => Err(error.into()),
            (Ok(()), Some(outcome)) => outcome,
            (Ok(()), None) => Err(StoreError::Closed.into()),
        };
        if let Ok(value) = &outcome {
            (self.then)(value);
        }
        // Nobody waiting is no error: the caller gave up, the work is done.
        let _ = self.answer.send(outcome);
    }
}

fn write_groups(file: &StateFile, mut waiting: mpsc::Receiver<Box<dyn Job>>, done: &AtomicU64) {
    while let Some(first) = waiting.blocking_recv() {
        let mut group = collect_group(first, &mut waiting);
        let committed = file.write(|writing| group.iter_mut().try_for_each(|job| job.apply(writing)));
        done.fetch_add(group.len() as u64, Ordering::Relaxed);
        for job in group {
            job.answer(committed.clone());
        }
    }
}

fn collect_group(first: Box<dyn Job>, waiting: &mut mpsc::Receiver<Box<dyn Job>>) -> Vec<Box<dyn Job>> {
    let mut bytes = first.bytes();
    let mut group = vec![first];
    while group.len() < GROUP_JOBS && bytes < GROUP_BYTES {
        let Ok(job) = waiting.try_recv() else { break };
        bytes += job.bytes();
        group.push(job);
    }
    group
}

/// Jobs that may wait before callers do.
const WAITING_JOBS: usize = 1_024;
/// Largest group, in jobs and in bytes: bounds how long the first of a group waits for the last.
const GROUP_JOBS: usize = 1_024;
const GROUP_BYTES: usize = 8 << 20;
