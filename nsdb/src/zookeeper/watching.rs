//! The tasks that wait for what others change.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tracing::{debug, warn};

use crate::documents::DocumentsError;
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

/// Tells of each newer revision. A lower one is told once and not taken.
pub(super) async fn follow_root(shelf: Arc<Shelf>) {
    let mut told = None;
    loop {
        match shelf.watched_root().await {
            Ok((root, watch)) => {
                let (found, known) = (root.map(|root| root.revision), *shelf.newest.borrow());
                if found < known && told != Some((found, known)) {
                    warn!(
                        ?found,
                        ?known,
                        "the database has an older revision than before: it is not followed"
                    );
                    told = Some((found, known));
                }
                shelf.tell(found);
                wait_for(watch).await;
            }
            Err(error) => wait_after(&error).await,
        }
    }
}

async fn wait_after(error: &DocumentsError) {
    let pause = if error.is_retryable() { AFTER_FAILURE } else { UNTIL_SOMEBODY_MENDS };
    debug!(%error, "the newest revision cannot be read now");
    tokio::time::sleep(pause).await;
}

/// Counts each change of sessions and leases. It is told when the next watches are set: who reads then misses nothing.
pub(super) async fn watch_sessions(roll: Arc<Roll>) {
    let mut is_news = false;
    loop {
        match both(&roll).await {
            Ok((sessions, leases)) => {
                if is_news {
                    roll.changed();
                }
                tokio::select! {
                    () = sessions.changed() => {}
                    () = leases.changed() => {}
                    () = tokio::time::sleep(LOOK_AGAIN) => {}
                }
                is_news = true;
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

async fn both(roll: &Roll) -> Result<(Watch, Watch), StoreError> {
    Ok((roll.watch(SESSIONS).await?, roll.watch(LEASES).await?))
}

/// A watch is a hint; that it may be lost costs a while.
async fn wait_for(watch: Watch) {
    let _ = tokio::time::timeout(LOOK_AGAIN, watch.changed()).await;
}

const LOOK_AGAIN: Duration = Duration::from_secs(30);
const AFTER_FAILURE: Duration = Duration::from_millis(500);
const UNTIL_SOMEBODY_MENDS: Duration = Duration::from_secs(10);
const TOGETHER: Duration = Duration::from_millis(100);
