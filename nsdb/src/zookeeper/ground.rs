//! The node that says what a database is: its format, its incarnation, its users; and what lies beside it.
//!
//! ```text
//! /l2gw ─┬─ store       {"format":1,"incarnation":"…","users":{…}}
//!        ├─ root        the newest revision's root, moved by compare-and-set; not there before the first
//!        ├─ kept        the roots before it, by number
//!        ├─ documents   shards and pages, by the first two digits of their ids and by their ids
//!        ├─ unused      since when a document is known to be out of use
//!        ├─ publishing  who is publishing now
//!        ├─ sessions    who is alive
//!        ├─ leases      who alone may do a thing
//!        ├─ making      there while a database is made: by whom, and it goes with that session
//!        └─ feed        the logs of addresses, by segment
//! ```

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::zookeeper::access::{Access, Users};
use crate::zookeeper::coordinator::{Coordinator, Life};
use crate::zookeeper::refusal::Refusal;
use crate::zookeeper::settings::ZooKeeperSettings;

/// What a database says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreNode {
    pub(super) format: u64,
    /// A number by chance, which a database has from its making on, or from when it was accepted last: one made anew, or put back
    /// over another, is told by it.
    pub incarnation: String,
    /// The databases in whose place it is, the oldest first: hosts that knew one of them follow this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<String>,
    /// Who may do what.
    #[serde(default)]
    pub users: Users,
}

impl StoreNode {
    /// Whether who knew the database `known` may follow this one.
    fn goes_on_from(&self, known: &str) -> bool {
        self.incarnation == known || self.replaces.iter().any(|name| name == known)
    }
}

/// What every format has.
#[derive(Deserialize)]
struct AnyFormat {
    format: u64,
}

/// An ensemble, and what was found there: read when it is needed first, and again on each new connection, since what is behind it may be
/// another database.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) coordinator: Coordinator,
    seen: Mutex<Seen>,
}

/// What was seen of the database.
#[derive(Debug, Default)]
struct Seen {
    /// The incarnation of the one that is followed, by this process or one before it.
    known: Option<String>,
    /// What it says of itself, and the connection on which it does; `None` where it is to be looked at again.
    found: Option<(Arc<StoreNode>, u64)>,
}

/// Where something was read: the incarnation of the database, and the connection to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) incarnation: String,
    pub(super) connection: u64,
}

impl Ground {
    /// `known` is the incarnation of the database that was followed before, if one was.
    pub(super) fn new(coordinator: Coordinator, known: Option<String>) -> Self {
        Self { coordinator, seen: Mutex::new(Seen { known, found: None }) }
    }

    /// What the database says of itself.
    ///
    /// # Errors
    /// There is none, it is not ours, another than before, or of a newer format; our login may not read it; no server answers.
    pub(super) async fn store(&self) -> Result<Arc<StoreNode>, StoreError> {
        self.look().await.map(|(store, _)| store)
    }

    /// The database, and the connection on which it was seen: as long as that is the one there is, what is read comes from this database.
    ///
    /// # Errors
    /// As [`store`](Self::store).
    pub(super) async fn origin(&self) -> Result<Origin, StoreError> {
        let (store, connection) = self.look().await?;
        Ok(Origin { incarnation: store.incarnation.clone(), connection })
    }

    /// The incarnation of the database that is followed; `None` where none is known yet.
    pub(super) fn database(&self) -> Option<String> {
        self.seen().known.clone()
    }

    /// The database is looked at again before anything else is read: something in it says that it is another.
    pub(super) fn doubt(&self) {
        self.seen().found = None;
    }

    async fn look(&self) -> Result<(Arc<StoreNode>, u64), StoreError> {
        loop {
            let connection = self.coordinator.connection().await.map_err(self.error("read", STORE))?;
            let known = {
                let seen = self.seen();
                if let Some(found) = seen.found.as_ref().filter(|(_, on)| *on == connection) {
                    return Ok(found.clone());
                }
                seen.known.clone()
            };
            if known.is_some() {
                // A server that lags has not heard of what was made a moment ago.
                self.coordinator.catch_up().await.map_err(self.error("read", STORE))?;
            }
            let (store, _) = read(&self.coordinator).await?;
            if let Some(known) = known.filter(|known| !store.goes_on_from(known)) {
                return Err(another(self.coordinator.settings(), known, store.incarnation));
            }
            // If the connection has changed meanwhile, it is looked at again.
            *self.seen() =
                Seen { known: Some(store.incarnation.clone()), found: Some((Arc::new(store), connection)) };
        }
    }

    /// Each step under this lock leaves it whole.
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Turns a refusal of `doing` something to `path` into an error.
    pub(super) fn error(&self, doing: &'static str, path: &str) -> impl FnOnce(Refusal) -> StoreError {
        error(&self.coordinator, doing, path)
    }

    /// Makes a node that stays. One that is there already is as good.
    pub(super) async fn make(&self, path: &str, content: &[u8], access: &Access) -> Result<(), StoreError> {
        match self.coordinator.create(path, content, Life::Stays, access).await {
            Ok(_) | Err(Refusal::Exists) => Ok(()),
            Err(refusal) => Err(self.error("make", path)(refusal)),
        }
    }

    /// Deletes a node if it has this version; any, if that is `None`. Whether it did: one that is gone already is as good.
    pub(super) async fn delete(&self, path: &str, version: Option<i32>) -> Result<bool, StoreError> {
        match self.coordinator.delete(path, version).await {
            Ok(()) => Ok(true),
            Err(Refusal::NoNode | Refusal::BadVersion) => Ok(false),
            Err(refusal) => Err(self.error("delete", path)(refusal)),
        }
    }

    /// The names below a node; none of one that is not there.
    pub(super) async fn children(&self, path: &str) -> Result<Vec<String>, StoreError> {
        let found = self.coordinator.list(path).await.map_err(self.error("list", path))?;
        Ok(found.unwrap_or_default())
    }

    /// Who may do what with nodes of the topology.
    pub(super) async fn access_of_topology(&self) -> Result<Access, StoreError> {
        Ok(Access::of_topology(&self.store().await?.users))
    }

    /// Who may do what with a node that one host makes, and that nobody changes: a lease, a batch of addresses.
    pub(super) async fn access_of_words(&self) -> Result<Access, StoreError> {
        self.access_of_topology().await
    }

    /// Who may do what with nodes below which hosts make theirs, and with those that they write again: sessions.
    pub(super) async fn access_of_hosts(&self) -> Result<Access, StoreError> {
        Ok(Access::of_hosts(&self.store().await?.users))
    }
}

/// What a database says of itself, and the version of the node in which it does.
pub(super) async fn read(coordinator: &Coordinator) -> Result<(StoreNode, i32), StoreError> {
    let settings = coordinator.settings();
    let Some((bytes, stat)) = coordinator.read(STORE).await.map_err(error(coordinator, "read", STORE))?
    else {
        return Err(match children(coordinator).await? {
            None => unusable(settings, "it is not there".to_owned()),
            Some(found) if found.is_empty() => unusable(settings, "it is empty".to_owned()),
            Some(found) if is_half_made(&found) => {
                unusable(settings, "its making was not finished".to_owned())
            }
            Some(found) => unusable(settings, somebody_elses(&found)),
        });
    };
    let damaged =
        |error: serde_json::Error| unusable(settings, format!("its node store cannot be read: {error}"));
    let AnyFormat { format: found } = serde_json::from_slice(&bytes).map_err(damaged)?;
    if found > FORMAT {
        let file = PathBuf::from(settings.full_path(STORE));
        return Err(StoreError::Newer { file, found, known: FORMAT });
    }
    Ok((serde_json::from_slice(&bytes).map_err(damaged)?, stat.version))
}

/// The names of the nodes right below the root, `None` if that is not there.
pub(super) async fn children(coordinator: &Coordinator) -> Result<Option<Vec<String>>, StoreError> {
    coordinator.list("/").await.map_err(error(coordinator, "list", "/"))
}

/// Turns a refusal of `doing` something to `path` into an error.
pub(super) fn error(
    coordinator: &Coordinator,
    doing: &'static str,
    path: &str,
) -> impl FnOnce(Refusal) -> StoreError {
    let settings = coordinator.settings();
    let path = settings.full_path(path);
    let user = settings.login.as_ref().map_or_else(|| "nobody".to_owned(), |login| login.user.clone());
    move |refusal| refusal.into_error(doing, path, &user)
}

/// What is said where `found` lies and no database does.
pub(super) fn somebody_elses(found: &[String]) -> String {
    let mut names: Vec<_> = found.iter().map(String::as_str).collect();
    names.sort_unstable();
    names.truncate(3);
    format!("it has {} and is no database of l2gw", names.join(", "))
}

/// Whether `found` is what a making left that was killed before its end.
pub(super) fn is_half_made(found: &[String]) -> bool {
    let ours = || OF_TOPOLOGY.into_iter().chain(OF_HOSTS).chain([MAKING]);
    found.iter().all(|name| ours().any(|path| path.strip_prefix('/') == Some(name)))
}

fn another(settings: &ZooKeeperSettings, known: String, found: String) -> StoreError {
    StoreError::AnotherDatabase { root: settings.full_path("/"), servers: settings.ensemble(), known, found }
}

fn unusable(settings: &ZooKeeperSettings, why: String) -> StoreError {
    StoreError::NoDatabase { root: settings.full_path("/"), servers: settings.ensemble(), why }
}

pub(super) const FORMAT: u64 = 1;
pub(super) const STORE: &str = "/store";
/// What is there from the beginning, and written by gateways alone.
pub(super) const OF_TOPOLOGY: [&str; 4] = ["/kept", "/documents", "/unused", "/publishing"];
/// What is there from the beginning, and written by every host.
pub(super) const OF_HOSTS: [&str; 3] = ["/sessions", "/leases", "/feed"];
/// There while a database is made, with the session of who makes it.
pub(super) const MAKING: &str = "/making";
