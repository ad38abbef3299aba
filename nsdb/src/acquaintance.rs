//! Which database a host has followed, kept in the host's own directory, so that one that is there after a restart is not taken for it.

use std::sync::Arc;

use tokio::sync::watch;
use tracing::warn;

use crate::embedded::Embedded;
use crate::error::StoreError;
use crate::local::Local;
use crate::zookeeper::Acquainted;

/// What was kept of the database under `root`; `None` if nothing was, or nothing that can be read.
pub(crate) fn load(local: &Embedded, root: &str) -> Result<Option<Acquainted>, StoreError> {
    Ok(local.load_now(&key(root))?.and_then(|bytes| Acquainted::decode(&bytes)))
}

/// Keeps what is known of the database under `root`, for as long as both are there.
pub(crate) fn keep(local: &Arc<Embedded>, root: String, mut acquainted: watch::Receiver<Option<Acquainted>>) {
    let local = Arc::downgrade(local);
    tokio::spawn(async move {
        while acquainted.changed().await.is_ok() {
            let bytes = acquainted.borrow_and_update().as_ref().and_then(Acquainted::encode);
            let (Some(local), Some(bytes)) = (local.upgrade(), bytes) else { continue };
            if let Err(error) = local.save(&key(&root), bytes).await {
                warn!(%error, "which database is followed cannot be kept: a restart would take any that is there");
            }
        }
    });
}

/// A host that is told another root by its operator is told another database. The root of an ensemble may be as long as a key, so its hash
/// stands for it.
fn key(root: &str) -> String {
    format!("database/{}", crate::documents::shard::ShardId::of(root.as_bytes()))
}
