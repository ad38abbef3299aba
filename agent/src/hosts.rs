//! The hosts of the newest revision, and which of them are there: what `l2gw show hosts` says.

use std::collections::BTreeMap;

use nsdb::{Documents, SessionInfo, Sessions, SessionsError, Store};
use serde::{Deserialize, Serialize};

use crate::documents::{HOSTS, is_of_vtep};
use crate::presence::HostWord;
use crate::topology::{TopologyError, newest_root};

/// A host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostView {
    /// Its name.
    pub host: String,
    /// Whether a daemon of this name has a session in the store. Without one it may forward all the same: it may be the store that it does
    /// not reach.
    pub alive: bool,
    /// Whether the newest revision has it.
    pub declared: bool,
    /// What it said of itself last; `None` without a session, before it has said anything, and where what it said cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<HostWord>,
    /// On which machine the process is that has the name, where the daemon that was asked would have it too. Nobody else knows of the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namesake: Option<String>,
}

/// The hosts, and the newest revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostsView {
    /// The newest revision in the store; 0 of an empty one.
    pub revision: u64,
    /// Those that it has and those that have a session, by name.
    pub hosts: Vec<HostView>,
}

impl HostsView {
    /// Says of a host on which machine another process has its name, if one has.
    pub(crate) fn note_namesake(&mut self, host: &str, machine: Option<String>) {
        let own = self.hosts.iter_mut().find(|view| view.host == host && view.alive);
        if let Some(own) = own {
            own.namesake = machine;
        }
    }
}

/// Why they are not shown.
#[derive(Debug, thiserror::Error)]
pub enum HostsError {
    /// The topology cannot be read now.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// The sessions cannot be read now.
    #[error(transparent)]
    Sessions(#[from] SessionsError),
}

/// Reads which hosts there are, and their sessions. Of the topology nothing else is read.
///
/// # Errors
/// The store cannot be read now.
pub async fn all(store: &Store) -> Result<HostsView, HostsError> {
    let root = newest_root(store).await?;
    let declared = match &root {
        Some(root) => {
            let shards = store.read_shards(root, &[HOSTS]).await.map_err(TopologyError::from)?;
            // On a VTEP no daemon of ours runs.
            let ours = shards.iter().filter(|(_, shard)| !is_of_vtep(shard));
            ours.filter_map(|(name, _)| Some(name.as_str().strip_prefix(HOSTS)?.to_owned())).collect()
        }
        None => Vec::new(),
    };
    let revision = root.map_or(0, |root| root.revision.get());
    Ok(HostsView { revision, hosts: together(declared, store.sessions().await?) })
}

fn together(declared: Vec<String>, sessions: Vec<SessionInfo>) -> Vec<HostView> {
    let of = |host: String| HostView { host, alive: false, declared: true, word: None, namesake: None };
    let mut hosts: BTreeMap<String, HostView> =
        declared.into_iter().map(|host| (host.clone(), of(host))).collect();
    for SessionInfo { name, word, .. } in sessions {
        let host = hosts.entry(name.clone()).or_insert_with(|| HostView { declared: false, ..of(name) });
        host.alive = true;
        host.word = serde_json::from_str(&word).ok();
    }
    hosts.into_values().collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nsdb::{Change, StoreConfig, WallTime};
    use vlan::model::description::{Description, Host, HostKind};

    use super::*;
    use crate::documents::{Stored, to_shards};

    #[tokio::test]
    async fn hosts_of_the_topology_and_of_sessions_are_there_and_vteps_are_not() {
        let store = Store::open(StoreConfig::in_memory()).unwrap();
        assert_eq!(all(&store).await.unwrap(), HostsView { revision: 0, hosts: vec![] });
        let host = |name: &str, kind| Host { name: name.to_owned(), kind, ..Host::default() };
        let hosts =
            vec![host("gw1", HostKind::L2gw), host("cn1", HostKind::L2gw), host("rack1", HostKind::Vtep)];
        let description = Description { hosts, ..Description::default() };
        let shards = to_shards(&Stored { description, ..Stored::default() }).unwrap();
        store.publish(None, shards, Change::new("test", WallTime::default(), "")).await.unwrap();
        let session = store.open_session("old", Duration::from_secs(60)).await.unwrap();
        store.say(session, "junk".to_owned()).await.unwrap();
        store.open_session("cn1", Duration::from_secs(60)).await.unwrap();
        let view = all(&store).await.unwrap();
        let said: Vec<_> =
            view.hosts.iter().map(|host| (host.host.as_str(), host.alive, host.declared)).collect();
        assert_eq!(said, [("cn1", true, true), ("gw1", false, true), ("old", true, false)]);
        assert!(view.revision == 1 && view.hosts.iter().all(|host| host.word.is_none()));
    }
}
