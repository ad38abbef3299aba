//! How a database is made where none is.
//!
//! It takes a dozen changes, and is one with the last, the node `store`. What a making left that was killed before that is taken away by the
//! next, since its users may be others. Two at a time are kept apart by the node `making`, which goes with the session of who made it.

use crate::error::StoreError;
use crate::zookeeper::accepting::new_incarnation;
use crate::zookeeper::access::{Access, Users};
use crate::zookeeper::coordinator::{Coordinator, Life};
use crate::zookeeper::ground::{
    FORMAT, MAKING, OF_HOSTS, OF_TOPOLOGY, STORE, StoreNode, children, error, is_half_made, somebody_elses,
};
use crate::zookeeper::refusal::Refusal;
use crate::zookeeper::settings::{Login, ZooKeeperSettings};

/// Makes a database where none is, with everything above its root; returns what it says of itself. `agents` is who may read and announce.
/// Where an earlier call died, the next goes on.
///
/// # Errors
/// There is one already, somebody else makes one now, or other nodes are in its place; the logins are not to be used so (see
/// [`Users::of`]); the ensemble refuses or does not answer.
pub async fn make(coordinator: &Coordinator, agents: Option<&Login>) -> Result<StoreNode, StoreError> {
    let settings = coordinator.settings();
    let users = Users::of(settings.login.as_ref(), agents).map_err(|why| unmade(settings, why))?;
    make_way(settings, &settings.full_path("/")).await?;
    let making =
        Making { coordinator, topology: Access::of_topology(&users), hosts: Access::of_hosts(&users) };
    // Before anything is written below a root that may be somebody else's.
    making.left_behind().await?;
    making.begin().await?;
    let made = making.make(users).await;
    // If this does not get through, the end of the session does the same.
    let _ = coordinator.delete(MAKING, None).await;
    made
}

struct Making<'a> {
    coordinator: &'a Coordinator,
    topology: Access,
    hosts: Access,
}

impl Making<'_> {
    /// Keeps others from making one at the same time.
    async fn begin(&self) -> Result<(), StoreError> {
        match self.coordinator.create(MAKING, &[], Life::OfSession, &self.topology).await {
            Ok(_) => Ok(()),
            Err(Refusal::Exists) => Err(self.unmade(BUSY)),
            Err(refusal) => Err(error(self.coordinator, "make", MAKING)(refusal)),
        }
    }

    async fn make(&self, users: Users) -> Result<StoreNode, StoreError> {
        for name in self.left_behind().await? {
            let path = format!("/{name}");
            match self.coordinator.delete(&path, None).await {
                Ok(()) | Err(Refusal::NoNode) => {}
                Err(refusal) => return Err(error(self.coordinator, "delete", &path)(refusal)),
            }
        }
        for path in OF_TOPOLOGY {
            self.make_node(path, &[], &self.topology).await?;
        }
        for path in OF_HOSTS {
            self.make_node(path, &[], &self.hosts).await?;
        }
        let incarnation = new_incarnation();
        let is_open = users.gateways.is_none();
        let node = StoreNode { format: FORMAT, incarnation, replaces: Vec::new(), users };
        if !is_open {
            // Who may delete a node is said by the one above it.
            let restricted = self.coordinator.restrict("/", &self.topology).await;
            restricted.map_err(error(self.coordinator, "restrict", "/"))?;
        }
        let bytes = serde_json::to_vec(&node).map_err(|error| self.unmade(&error.to_string()))?;
        // Last: what is there without it is not a database yet.
        self.make_node(STORE, &bytes, &self.topology).await?;
        Ok(node)
    }

    /// What an earlier making left: nodes of ours with nothing in them.
    async fn left_behind(&self) -> Result<Vec<String>, StoreError> {
        let mut found = children(self.coordinator).await?.unwrap_or_default();
        if found.iter().any(|name| STORE.strip_prefix('/') == Some(name)) {
            return Err(self.unmade("a database is there already"));
        }
        if !is_half_made(&found) {
            return Err(self.unmade(&somebody_elses(&found)));
        }
        found.retain(|name| MAKING.strip_prefix('/') != Some(name));
        for name in &found {
            let path = format!("/{name}");
            let inside = match self.coordinator.list(&path).await {
                Ok(inside) => inside.unwrap_or_default(),
                // Of another user, who was the first to begin: what is in it is seen when it is deleted.
                Err(Refusal::Denied) => Vec::new(),
                Err(refusal) => return Err(error(self.coordinator, "list", &path)(refusal)),
            };
            if !inside.is_empty() {
                return Err(self.unmade(&format!("{name} has nodes in it, and its node store is missing")));
            }
        }
        Ok(found)
    }

    async fn make_node(&self, path: &str, content: &[u8], access: &Access) -> Result<(), StoreError> {
        match self.coordinator.create(path, content, Life::Stays, access).await {
            Ok(_) => Ok(()),
            Err(Refusal::Exists) => Err(self.unmade(BUSY)),
            Err(refusal) => Err(error(self.coordinator, "make", path)(refusal)),
        }
    }

    fn unmade(&self, why: &str) -> StoreError {
        unmade(self.coordinator.settings(), why.to_owned())
    }
}

/// Makes the root, and what is above it, from the ensemble's own root. A node that is there already is as good as one that was made.
async fn make_way(settings: &ZooKeeperSettings, root: &str) -> Result<(), StoreError> {
    let above = Coordinator::open(ZooKeeperSettings { root: "/".to_owned(), ..settings.clone() });
    let ends = root.match_indices('/').skip(1).map(|(at, _)| at).chain([root.len()]);
    for path in ends.map(|end| &root[..end]).filter(|path| path.len() > 1) {
        match above.create(path, &[], Life::Stays, &Access::open()).await {
            Ok(_) | Err(Refusal::Exists) => {}
            Err(refusal) => return Err(error(&above, "make", path)(refusal)),
        }
    }
    above.close().await;
    Ok(())
}

fn unmade(settings: &ZooKeeperSettings, why: String) -> StoreError {
    StoreError::Unmade { root: settings.full_path("/"), servers: settings.ensemble(), why }
}

const BUSY: &str =
    "somebody else is making one, or was stopped a moment ago while they did: try again in some seconds";
