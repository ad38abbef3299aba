//! Whether the store that this host shares with others can be followed.

use std::sync::Arc;
use std::time::Duration;

use nsdb::Store;
use nsdb::zookeeper::ZooKeeper;
use tokio::sync::mpsc;

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

/// Why it cannot be followed. A session finds another server within a moment, which is not told.
async fn why_not(ensemble: &ZooKeeper) -> Option<String> {
    let mut standing = ensemble.standing();
    let connected = standing.wait_for(|standing| standing.is_connected());
    match tokio::time::timeout(TOLD_AFTER, connected).await {
        Ok(_) => ensemble.trouble().borrow().clone(),
        Err(_) => Some(ensemble.why_away()),
    }
}

/// A session finds another server in less, unless something is wrong with more than one.
const TOLD_AFTER: Duration = Duration::from_secs(3);
