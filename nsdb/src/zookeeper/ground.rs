//! The node that says what a database is: its format, its incarnation, its users; and the nodes that are there from the beginning.
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
//!        └─ feed        the logs of addresses, by segment
//! ```

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::error::StoreError;
use crate::zookeeper::access::{Access, DigestId, Users};
use crate::zookeeper::coordinator::{Coordinator, Life};
use crate::zookeeper::refusal::Refusal;
use crate::zookeeper::settings::{Login, ZooKeeperSettings};

/// What a database says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreNode {
    format: u64,
    /// A number by chance, which a database has from its making on: one made anew, or put back over another, is told by it.
    pub incarnation: String,
    /// Who may do what.
    #[serde(default)]
    pub users: Users,
}

/// What every format has.
#[derive(Deserialize)]
struct AnyFormat {
    format: u64,
}

/// An ensemble, and what was found there: read once, when it is needed first.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) coordinator: Coordinator,
    found: OnceCell<Arc<StoreNode>>,
}

impl Ground {
    pub(super) fn new(coordinator: Coordinator) -> Self {
        Self { coordinator, found: OnceCell::new() }
    }

    /// What the database says of itself.
    ///
    /// # Errors
    /// There is none, it is not ours, or of a newer format; our login may not read it; no server answers.
    pub(super) async fn store(&self) -> Result<Arc<StoreNode>, StoreError> {
        self.found.get_or_try_init(|| async { read(&self.coordinator).await.map(Arc::new) }).await.cloned()
    }

    /// Turns a refusal of `doing` something to `path` into an error.
    pub(super) fn error(&self, doing: &'static str, path: &str) -> impl FnOnce(Refusal) -> StoreError {
        error(&self.coordinator, doing, path)
    }

    /// Who may do what with nodes of the topology.
    pub(super) async fn access_of_topology(&self) -> Result<Access, StoreError> {
        Ok(Access::of_topology(&self.store().await?.users))
    }

    /// Who may do what with nodes of hosts.
    pub(super) async fn access_of_hosts(&self) -> Result<Access, StoreError> {
        Ok(Access::of_hosts(&self.store().await?.users))
    }
}

/// Makes a database where none is, with everything above its root; returns what it says of itself. `agents` is who may read and announce.
///
/// # Errors
/// There is one already, or other nodes are in its place; a password is too short; the ensemble refuses or does not answer.
pub async fn make(coordinator: &Coordinator, agents: Option<&Login>) -> Result<StoreNode, StoreError> {
    let settings = coordinator.settings();
    let id =
        |login: Option<&Login>| login.map(DigestId::of).transpose().map_err(|why| unusable(settings, why));
    let users = Users { gateways: id(settings.login.as_ref())?, agents: id(agents)? };
    let root = settings.full_path("/");
    make_way(settings, &root).await?;
    match children(coordinator).await? {
        Some(found) if found.is_empty() => {}
        Some(found) if found.iter().any(|name| name == "store") => {
            return Err(unusable(settings, "a database is there already".to_owned()));
        }
        found => return Err(somebody_elses(settings, &found.unwrap_or_default())),
    }
    let node = StoreNode { format: FORMAT, incarnation: uuid::Uuid::new_v4().simple().to_string(), users };
    let (topology, hosts) = (Access::of_topology(&node.users), Access::of_hosts(&node.users));
    for path in OF_TOPOLOGY {
        make_node(coordinator, path, &[], &topology).await?;
    }
    for path in OF_HOSTS {
        make_node(coordinator, path, &[], &hosts).await?;
    }
    // Last: what is there without it is not a database yet.
    let bytes = serde_json::to_vec(&node).map_err(|error| unusable(settings, error.to_string()))?;
    make_node(coordinator, STORE, &bytes, &topology).await?;
    Ok(node)
}

/// Makes the root, and what is above it, from the ensemble's own root.
async fn make_way(settings: &ZooKeeperSettings, root: &str) -> Result<(), StoreError> {
    let above = Coordinator::open(ZooKeeperSettings { root: "/".to_owned(), ..settings.clone() });
    let ends = root.match_indices('/').skip(1).map(|(at, _)| at).chain([root.len()]);
    for path in ends.map(|end| &root[..end]).filter(|path| path.len() > 1) {
        make_node(&above, path, &[], &Access::open()).await?;
    }
    above.close().await;
    Ok(())
}

/// A node that is there already is as good as one that was made.
async fn make_node(
    coordinator: &Coordinator,
    path: &str,
    content: &[u8],
    access: &Access,
) -> Result<(), StoreError> {
    match coordinator.create(path, content, Life::Stays, access).await {
        Ok(_) | Err(Refusal::Exists) => Ok(()),
        Err(refusal) => Err(error(coordinator, "make", path)(refusal)),
    }
}

async fn read(coordinator: &Coordinator) -> Result<StoreNode, StoreError> {
    let settings = coordinator.settings();
    let Some((bytes, _)) = coordinator.read(STORE).await.map_err(error(coordinator, "read", STORE))? else {
        return Err(match children(coordinator).await? {
            None => unusable(settings, "it is not there".to_owned()),
            Some(found) if found.is_empty() => unusable(settings, "it is empty".to_owned()),
            Some(found) => somebody_elses(settings, &found),
        });
    };
    let damaged =
        |error: serde_json::Error| unusable(settings, format!("its node store cannot be read: {error}"));
    let AnyFormat { format: found } = serde_json::from_slice(&bytes).map_err(damaged)?;
    if found > FORMAT {
        let file = PathBuf::from(settings.full_path(STORE));
        return Err(StoreError::Newer { file, found, known: FORMAT });
    }
    serde_json::from_slice(&bytes).map_err(damaged)
}

async fn children(coordinator: &Coordinator) -> Result<Option<Vec<String>>, StoreError> {
    coordinator.list("/").await.map_err(error(coordinator, "list", "/"))
}

fn error(coordinator: &Coordinator, doing: &'static str, path: &str) -> impl FnOnce(Refusal) -> StoreError {
    let settings = coordinator.settings();
    let path = settings.full_path(path);
    let user = settings.login.as_ref().map_or_else(|| "nobody".to_owned(), |login| login.user.clone());
    move |refusal| refusal.into_error(doing, path, &user)
}

fn somebody_elses(settings: &ZooKeeperSettings, found: &[String]) -> StoreError {
    let mut names: Vec<_> = found.iter().take(3).map(String::as_str).collect();
    names.sort_unstable();
    unusable(settings, format!("it has {} and is no database of l2gw", names.join(", ")))
}

fn unusable(settings: &ZooKeeperSettings, why: String) -> StoreError {
    StoreError::NoDatabase { root: settings.full_path("/"), servers: settings.ensemble(), why }
}

const FORMAT: u64 = 1;
const STORE: &str = "/store";
const OF_TOPOLOGY: [&str; 4] = ["/kept", "/documents", "/unused", "/publishing"];
const OF_HOSTS: [&str; 3] = ["/sessions", "/leases", "/feed"];
