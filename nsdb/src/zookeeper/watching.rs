//! The tasks that wait for what others change.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tracing::debug;

use crate::documents::revision::Root;
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
    let mut known: Option<Root> = None;
    loop {
        match shelf.watched_root().await {
            Ok((found, watch)) => {
                let trouble = contradiction(known.as_ref(), found.as_ref());
                if trouble.is_none() {
                    shelf.tell(found.as_ref().map(|root| root.revision));
                    known = found;
                }
                shelf.note_trouble(trouble);
                wait_for(watch).await;
            }
            Err(error) if error.is_retryable() => tokio::time::sleep(AFTER_FAILURE).await,
            Err(error) => {
                shelf.note_trouble(Some(error.to_string()));
                tokio::time::sleep(UNTIL_SOMEBODY_MENDS).await;
            }
        }
    }
}

/// What is wrong with a root that follows another in time.
fn contradiction(known: Option<&Root>, found: Option<&Root>) -> Option<String> {
    let known = known?;
    let there = match found {
        Some(found) if found.revision > known.revision || found == known => return None,
        Some(found) if found.revision == known.revision => format!("another revision {}", found.revision),
        Some(found) => format!("revision {}", found.revision),
        None => "no revision".to_owned(),
    };
    let known = known.revision;
    Some(format!("the database has {there} where revision {known} was: was it put back from a backup?"))
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
async fn wait_for(watch: Watch) {
    let _ = tokio::time::timeout(LOOK_AGAIN, watch.changed()).await;
}

const LOOK_AGAIN: Duration = Duration::from_secs(30);
const AFTER_FAILURE: Duration = Duration::from_millis(500);
const UNTIL_SOMEBODY_MENDS: Duration = Duration::from_secs(10);
const TOGETHER: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::revision::Revision;
    use crate::documents::shard::Page;

    #[test]
    fn a_root_that_goes_back_or_is_another_of_its_number_is_told() {
        let root = |number: u64, note: &str| Root {
            revision: Revision::new(number).unwrap(),
            author: "alice".to_owned(),
            at: Default::default(),
            note: note.to_owned(),
            top: Page::default(),
        };
        let known = root(7, "");
        for (found, told) in [
            (Some(root(8, "")), None),
            (Some(root(7, "")), None),
            (Some(root(7, "another")), Some("another revision 7")),
            (Some(root(6, "")), Some("has revision 6 where revision 7 was")),
            (None, Some("no revision")),
        ] {
            let said = contradiction(Some(&known), found.as_ref());
            assert_eq!(said.is_some(), told.is_some(), "{said:?}");
            assert!(said.is_none_or(|said| said.contains(told.unwrap())));
            assert_eq!(contradiction(None, found.as_ref()), None);
        }
    }
}
