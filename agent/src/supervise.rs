//! Keeps the daemon's side tasks alive: one that panics is started again, and the rest goes on meanwhile.
//!
//! ```text
//!   start ──► runs ──ends──► done
//!     ▲         │ panics
//!     └─ pause ◄┘   100 ms, doubling to 10 s; a minute without a panic begins anew
//! ```
//! The task that owns the engine is not kept like this: if that panics the process ends, its flows stay in force, and who started it
//! (systemd) starts it again.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;
use tracing::error;

/// Runs the task that `make` makes until it ends by itself; dropping the handle ends it.
pub fn keep<F>(name: &'static str, mut make: impl FnMut() -> F + Send + 'static) -> AbortOnDropHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    AbortOnDropHandle::new(tokio::spawn(async move {
        let mut pause = FIRST_PAUSE;
        loop {
            let begun = Instant::now();
            let Err(broken) = AbortOnDropHandle::new(tokio::spawn(make())).await else { return };
            if begun.elapsed() >= STEADY {
                pause = FIRST_PAUSE;
            }
            error!(task = name, %broken, pause_ms = pause.as_millis() as u64, "a task broke off and is started again");
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }))
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A task that ran for so long is not at fault for what happened before.
const STEADY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_started_again_until_it_ends() {
        let starts = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&starts);
        keep("twice", move || {
            let number = counted.fetch_add(1, Ordering::SeqCst);
            async move { assert!(number >= 2, "start {number} breaks off") }
        })
        .await
        .expect("the keeper itself does not panic");
        assert_eq!(starts.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn a_task_ends_with_its_handle() {
        let (alive, ended) = oneshot::channel::<()>();
        let mut alive = Some(alive);
        let handle = keep("forever", move || {
            let alive = alive.take();
            async move {
                let _alive = alive;
                std::future::pending::<()>().await;
            }
        });
        tokio::task::yield_now().await;
        drop(handle);
        assert!(ended.await.is_err(), "what the task held is dropped with it");
    }
}
