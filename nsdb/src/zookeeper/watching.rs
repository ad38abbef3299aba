//! The tasks that wait for what others change.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tracing::debug;

use crate::error::StoreError;
use crate::zookeeper::coordinator::Watch;
use crate::zookeeper::documents::Shelf;
use crate::zookeeper::sessions::{LEASES, Roll, SESSIONS};

/// A task that ends with its owner.
#[derive(Debug)]
pub(super) struct Task(JoinHandle<()>);

impl Task {
    pub(super) fn new(task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(task))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Tells of each newer revision. A lower one, and another of the same number, is not taken; why is told.
pub(super) async fn follow_root(shelf: Arc<Shelf>) {
    loop {
        match shelf.watched_root().await {
            Ok((found, origin, watch)) => match shelf.contradiction(found.as_ref(), &origin).await {
                Ok(None) => {
                    shelf.take(found, &origin);
                    shelf.note_trouble(None);
                    wait_for(watch, LOOK_AGAIN).await;
                }
                Ok(Some(_)) => look_closer(&shelf, watch).await,
                Err(_) => tokio::time::sleep(AFTER_FAILURE).await,
            },
            Err(error) if error.is_retryable() => tokio::time::sleep(AFTER_FAILURE).await,
            Err(error) => {
                shelf.note_trouble(Some(error.to_string()));
                tokio::time::sleep(UNTIL_SOMEBODY_MENDS).await;
            }
        }
    }
}

/// A root cannot follow the one that is known. A server that lags, or a revision that we published meanwhile, is no trouble.
async fn look_closer(shelf: &Shelf, watch: Watch) {
    match shelf.fresh_root().await {
        Ok(_) => {}
        Err(error) if error.is_retryable() => tokio::time::sleep(AFTER_FAILURE).await,
        Err(error) => {
            shelf.note_trouble(Some(error.to_string()));
            wait_for(watch, UNTIL_SOMEBODY_MENDS).await;
        }
    }
}

/// Counts each change of sessions and leases. It is told when the next watches are set: who reads then misses nothing.
pub(super) async fn watch_sessions(roll: Arc<Roll>) {
    let (mut is_news, mut known) = (false, None);
    loop {
        match both(&roll).await {
            Ok((sessions, leases, names)) => {
                // A watch that was lost shows in the names.
                if is_news || known.as_ref().is_some_and(|known| *known != names) {
                    roll.changed();
                }
                known = Some(names);
                is_news = tokio::select! {
                    () = sessions.changed() => true,
                    () = leases.changed() => true,
                    () = tokio::time::sleep(LOOK_AGAIN) => false,
                };
                // Hosts that come together are one change.
                tokio::time::sleep(TOGETHER).await;
            }
            Err(error) => {
                debug!(%error, "sessions cannot be watched now");
                is_news = true;
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }
}

async fn both(roll: &Roll) -> Result<(Watch, Watch, [Vec<String>; 2]), StoreError> {
    let (sessions, leases) = (roll.watch(SESSIONS).await?, roll.watch(LEASES).await?);
    Ok((sessions.1, leases.1, [sessions.0, leases.0]))
}

/// A watch is a hint; that it may be lost costs a while.
async fn wait_for(watch: Watch, longest: Duration) {
    let _ = tokio::time::timeout(longest, watch.changed()).await;
}

/// How long a watch is trusted.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(30);
pub(super) const AFTER_FAILURE: Duration = Duration::from_millis(500);
/// When what only an operator can put right is looked at again.
pub(super) const UNTIL_SOMEBODY_MENDS: Duration = Duration::from_secs(10);
const TOGETHER: Duration = Duration::from_millis(100);
