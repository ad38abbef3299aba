//! Whether the store that this host shares with others answers.

use std::sync::Arc;
use std::time::Duration;

use nsdb::Store;
use nsdb::zookeeper::Standing;
use tokio::sync::{mpsc, watch};

use crate::input::Input;

/// Tells when the store that is shared has not answered for a while, and when it answers again. A store of one host always does.
pub async fn watch(store: Arc<Store>, arrivals: mpsc::Sender<Input>) {
    let Some(ensemble) = store.ensemble() else { return std::future::pending().await };
    let mut standing = ensemble.standing();
    loop {
        if is(&mut standing, false).await.is_err() {
            return;
        }
        if tokio::time::timeout(TOLD_AFTER, is(&mut standing, true)).await.is_ok() {
            continue;
        }
        let why = ensemble.why_away();
        if arrivals.send(Input::StoreAway { why }).await.is_err() || is(&mut standing, true).await.is_err() {
            return;
        }
        if arrivals.send(Input::StoreBack).await.is_err() {
            return;
        }
    }
}

async fn is(
    standing: &mut watch::Receiver<Standing>,
    is_connected: bool,
) -> Result<(), watch::error::RecvError> {
    standing.wait_for(|standing| standing.is_connected() == is_connected).await.map(drop)
}

/// A session finds another server in less, unless something is wrong with more than one.
const TOLD_AFTER: Duration = Duration::from_secs(3);
