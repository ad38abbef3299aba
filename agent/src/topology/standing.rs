//! Whether the store that this host shares with others can be followed.

use std::sync::Arc;
use std::time::Duration;

use nsdb::Store;
use nsdb::zookeeper::ZooKeeper;
use tokio::sync::mpsc;

use super::TopologyError;
use crate::input::Input;

/// Tells when the store that is shared cannot be followed, and when it can be again: no server has answered for a while, or what one says
/// is no revision to be taken. A store of one host always can be.
pub async fn watch(store: Arc<Store>, arrivals: mpsc::Sender<Input>) {
    let Some(ensemble) = store.ensemble() else { return std::future::pending().await };
    let (mut standing, mut trouble) = (ensemble.standing(), ensemble.trouble());
    let mut told = None;
    loop {
        standing.mark_unchanged();
        trouble.mark_unchanged();
        let why = why_not(ensemble).await;
        if why != told {
            let input = match &why {
                Some(why) => Input::StoreAway { why: why.clone() },
                None => Input::StoreBack,
            };
            if arrivals.send(input).await.is_err() {
                return;
            }
            told = why;
        }
        let changed = tokio::select! {
            changed = standing.changed() => changed,
            changed = trouble.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}

/// Whether a server is there to be asked, as far as is known already: who asks need not wait to hear that none is.
///
/// # Errors
/// No server has answered for a while.
pub(super) fn check_there(store: &Store) -> Result<(), TopologyError> {
    let Some(ensemble) = store.ensemble() else { return Ok(()) };
    match ensemble.standing().borrow().away_for() {
        Some(away) if away >= TOLD_AFTER => {
            Err(TopologyError::Away { seconds: away.as_secs(), why: ensemble.why_away() })
        }
        _ => Ok(()),
    }
}

/// Why it cannot be followed. A session finds another server within a moment, which is not told.
async fn why_not(ensemble: &ZooKeeper) -> Option<String> {
    let mut standing = ensemble.standing();
    let connected = standing.wait_for(|standing| standing.is_connected());
    let away = ensemble.standing().borrow().away_for().unwrap_or_default();
    match tokio::time::timeout(TOLD_AFTER.saturating_sub(away), connected).await {
        Ok(_) => ensemble.trouble().borrow().clone(),
        Err(_) => Some(ensemble.why_away()),
    }
}

/// A session finds another server in less, unless something is wrong with more than one.
const TOLD_AFTER: Duration = Duration::from_secs(3);
