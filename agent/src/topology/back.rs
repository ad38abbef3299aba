//! The way back from a revision that has to be confirmed: to the one before, on this host alone and for all; and its confirmation, after
//! which there is none.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use nsdb::{Change, ConfirmWithin, Documents, DocumentsError, Revision, Root, Store, WallTime};
use vlan::model::topology::Topology;

use super::scope::Scope;
use super::{Authorship, Built, Newest, TopologyError, kept, newest, of, publish};
use crate::clock;
use crate::documents::Stored;

/// Makes sure that this host can go back from the revision of `root`, without the store where that is shared. The inner error says why it
/// cannot, so that the revision is not to be taken before it is confirmed.
///
/// # Errors
/// The store cannot be read now.
pub(super) async fn secure(
    store: &Store,
    host: &str,
    root: &Root,
) -> Result<Result<(), String>, TopologyError> {
    let mut scope = Scope::of_follower(store, host);
    let before = match read_before(store, &mut scope, root.revision).await {
        Ok(before) => before,
        Err(TopologyError::Store(error)) if error.is_retryable() => return Err(error.into()),
        Err(error) => return Ok(Err(error.to_string())),
    };
    let revision = match before {
        Some(Newest { revision, stored: Ok(_), .. }) => revision,
        Some(Newest { stored: Err(why), .. }) => return Ok(Err(why)),
        None => return Ok(Err("there is none".to_owned())),
    };
    match scope.take_last_read() {
        Some(shards) => Ok(kept::keep_before(store, host, revision, &shards).await),
        None => Ok(Ok(())),
    }
}

async fn read_before(
    store: &Store,
    scope: &mut Scope,
    revision: Revision,
) -> Result<Option<Newest>, TopologyError> {
    let Some(before) = Revision::new(revision.get() - 1) else { return Ok(None) };
    match store.root_of(before).await? {
        Some(root) => scope.read(store, &root).await.map(Some),
        None => Ok(None),
    }
}

/// The revision before this one, as far as this host needs it: as it was kept, else from the store, which is not waited for.
pub(super) async fn before(store: &Store, host: &str, revision: Revision) -> Option<Newest> {
    if let Some(kept) = kept::load_before(store, host, revision).await {
        return Some(kept);
    }
    let mut scope = Scope::of_follower(store, host);
    let read = tokio::time::timeout(PATIENCE, read_before(store, &mut scope, revision)).await;
    read.ok()?.ok()?.filter(|before| before.stored.is_ok())
}

/// How long after it has gone back this host publishes the revision before, where the store still has the other. Whoever is first does it
/// for all, and each that tries reads the whole topology: so those with trunks come first, which are gateways, and may publish; others
/// mostly may not.
pub(super) fn turn(store: &Store, host: &str, topology: Option<&Topology>) -> Duration {
    if store.is_of_one_host() {
        return Duration::ZERO;
    }
    let description = topology.map(Topology::description);
    let has_trunk = description.is_some_and(|there| there.trunks.iter().any(|trunk| trunk.host == host));
    let (first, last) = if has_trunk { GATEWAYS } else { OTHERS };
    let mut hasher = DefaultHasher::new();
    host.hash(&mut hasher);
    first + (last - first).mul_f64((hasher.finish() >> 32) as f64 / f64::from(u32::MAX))
}

/// Publishes what the revision before `revision` of a database says, if that is still the newest and waits for its confirmation.
///
/// # Errors
/// The store refuses, or cannot be read; the revision before cannot be.
pub(super) async fn take_back(
    (store, host, built): (Arc<Store>, String, Built),
    database: Option<String>,
    revision: Revision,
    within: ConfirmWithin,
) -> Result<(), TopologyError> {
    store.catch_up().await.map_err(DocumentsError::from)?;
    let there = newest(&store).await?;
    let is_it = |there: &Newest| there.revision == revision && there.confirm_within.is_some();
    // One of this number in another database is none of ours.
    let there = there.filter(|there| is_it(there) && store.database() == database);
    let (Some(there), Some(before)) = (there, Revision::new(revision.get() - 1)) else { return Ok(()) };
    let Some(Newest { stored: Ok(before), .. }) = of(&store, before).await? else {
        return Err(TopologyError::NoWayBack { revision: before.get() });
    };
    let Stored { description, text, sources, .. } = before;
    let build = tokio::task::spawn_blocking(move || Topology::build(&description));
    let built_before = build.await.map_err(|_| TopologyError::Stopping)?;
    let Ok(topology) = built_before else {
        return Err(TopologyError::NoWayBack { revision: revision.get() - 1 });
    };
    let (author, note) =
        (format!("l2gw on {host}"), format!("revision {revision} was not confirmed within {within}"));
    let by = Authorship { author, note, text, sources, confirm_within: None };
    match publish(&store, &mut Arc::new(topology), Some(&there), &by, &built).await {
        // Somebody else was first.
        Err(error) if error.is_conflict() => Ok(()),
        published => published.map(drop),
    }
}

/// Makes the revision of `root` the next one, as it is, and not to be confirmed any more.
///
/// # Errors
/// A conflict if another one has come; the store refuses, or cannot be read.
pub async fn confirm(
    store: &Store,
    root: &Root,
    author: String,
    note: String,
) -> Result<Revision, TopologyError> {
    let shards = store.read_shards(root, &[""]).await?;
    let change = Change::new(author, WallTime::from_millis(clock::wall_ms()), note);
    Ok(store.publish(Some(root.revision), shards, change).await?)
}

/// How long the store is waited for where this host has nothing else to go back to.
const PATIENCE: Duration = Duration::from_secs(1);
/// The first and the last turn of hosts with trunks, and of the others.
const GATEWAYS: (Duration, Duration) = (Duration::ZERO, Duration::from_millis(500));
const OTHERS: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(10));
