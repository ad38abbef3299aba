//! [`Sessions`](crate::Sessions) on the ensemble: a session is a node that lives with our connection, and so is a lease.
//!
//! The servers end what a process leaves behind. What a process that lives no longer keeps alive, it ends itself: each session of ours has a
//! time by our own clock, and its node goes when that is over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tracing::warn;

use crate::clock::Clock;
use crate::error::StoreError;
use crate::path::check_name;
use crate::sessions::lease::{Lease, LeaseToken, SessionId, SessionInfo};
use crate::sessions::{SessionsError, check_ttl, check_word};
use crate::zookeeper::coordinator::{Life, Stat, Watch};
use crate::zookeeper::documents::AT_ONCE;
use crate::zookeeper::ground::Ground;
use crate::zookeeper::refusal::Refusal;

/// Who is alive under a root.
#[derive(Debug)]
pub(super) struct Roll {
    pub(super) ground: Arc<Ground>,
    clock: Arc<dyn Clock>,
    own: Mutex<BTreeMap<SessionId, Own>>,
    /// One at a time ends what is ours: a second would delete what somebody else has made in its place.
    ending: tokio::sync::Mutex<()>,
    pub(super) changes: watch::Sender<u64>,
}

/// A session that this process opened.
#[derive(Debug, Clone)]
struct Own {
    name: String,
    ttl: Duration,
    ends: Duration,
    leases: BTreeSet<String>,
}

/// What the node of a session says.
#[derive(Debug, Serialize, Deserialize)]
struct SessionNode {
    machine: String,
    #[serde(rename = "ttl-ms")]
    ttl: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    word: String,
}

/// What the node of a lease says.
#[derive(Debug, Serialize, Deserialize)]
struct LeaseNode {
    holder: String,
    session: u64,
}

impl Roll {
    pub(super) fn new(ground: Arc<Ground>, clock: Arc<dyn Clock>) -> Self {
        Self {
            ground,
            clock,
            own: Mutex::default(),
            ending: Default::default(),
            changes: watch::Sender::new(0),
        }
    }

    pub(super) async fn open(&self, name: &str, ttl: Duration) -> Result<SessionId, SessionsError> {
        check_name("session", name)?;
        check_ttl(name, ttl)?;
        self.expire().await?;
        // It is written again whenever its host says something, and that is an agent's to do.
        let access = self.ground.access_of_hosts().await?;
        let path = session_path(name);
        let content = self.encode(&path, &self.node(ttl, String::new()))?;
        loop {
            match self.ground.coordinator.create(&path, &content, Life::OfSession, &access).await {
                Ok((_, stat)) => {
                    let id = self.opened(name, ttl, &stat);
                    self.end_namesakes(id, name).await?;
                    return Ok(id);
                }
                Err(Refusal::Exists) => self.end_older(name).await?,
                Err(refusal) => return Err(self.ground.error("make", &path)(refusal).into()),
            }
        }
    }

    fn node(&self, ttl: Duration, word: String) -> SessionNode {
        let machine = self.ground.coordinator.settings().machine.clone();
        SessionNode { machine, ttl: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX), word }
    }

    fn opened(&self, name: &str, ttl: Duration, stat: &Stat) -> SessionId {
        let id = id_of(stat);
        let ends = self.clock.now().saturating_add(ttl);
        let own = Own { name: name.to_owned(), ttl, ends, leases: BTreeSet::new() };
        self.with(|sessions| sessions.insert(id, own));
        self.changed();
        id
    }

    /// Ends older sessions of ours that had this name: their leases are free.
    async fn end_namesakes(&self, id: SessionId, name: &str) -> Result<(), StoreError> {
        let older: Vec<_> = self.with(|sessions| {
            let has_name = |(other, own): &(&SessionId, &Own)| **other != id && own.name == name;
            sessions.iter().filter(has_name).map(|(other, _)| *other).collect()
        });
        for other in older {
            self.end(other).await?;
        }
        Ok(())
    }

    /// Ends the session that has `name`, unless it is another machine's.
    async fn end_older(&self, name: &str) -> Result<(), SessionsError> {
        let path = session_path(name);
        let Some((bytes, stat)) = self.read(&path).await? else { return Ok(()) };
        if stat.owner == 0 {
            return Ok(self.clear(&path, stat).await?);
        }
        let node: SessionNode =
            serde_json::from_slice(&bytes).map_err(|error| self.unexpected("read", &path, &error))?;
        if node.machine != self.ground.coordinator.settings().machine {
            return Err(SessionsError::Elsewhere { name: name.to_owned(), machine: node.machine });
        }
        self.clear(&path, stat).await.map_err(Into::into)
    }

    /// Deletes a node that is not ours: one of an older process of this machine, or one that lives with no session.
    async fn clear(&self, path: &str, seen: Stat) -> Result<(), StoreError> {
        self.ground.delete(path, Some(seen.version)).await.map(drop)
    }

    pub(super) async fn keep_alive(&self, id: SessionId) -> Result<(), SessionsError> {
        let (name, _) = self.own_for_longer(id)?;
        if self.is_live(id, &name).await? {
            return Ok(());
        }
        self.with(|sessions| sessions.remove(&id));
        self.changed();
        Err(SessionsError::Lost { session: id })
    }

    pub(super) async fn say(&self, id: SessionId, word: &str) -> Result<(), SessionsError> {
        check_word(id, word)?;
        let (name, ttl) = self.own_for_longer(id)?;
        let path = session_path(&name);
        let content = self.encode(&path, &self.node(ttl, word.to_owned()))?;
        let Some(stat) = self.look(&path).await?.filter(|stat| id_of(stat) == id) else {
            return Err(SessionsError::Lost { session: id });
        };
        match self.ground.coordinator.write(&path, &content, Some(stat.version)).await {
            Ok(_) => Ok(()),
            Err(Refusal::NoNode | Refusal::BadVersion) => Err(SessionsError::Lost { session: id }),
            Err(refusal) => Err(self.ground.error("write", &path)(refusal).into()),
        }
    }

    /// The name and time of a session of ours, which begins anew: there was a sign of life.
    fn own_for_longer(&self, id: SessionId) -> Result<(String, Duration), SessionsError> {
        let name = self.own_name(id)?;
        let now = self.clock.now();
        let ttl = self.with(|sessions| {
            let own = sessions.get_mut(&id)?;
            own.ends = now.saturating_add(own.ttl);
            Some(own.ttl)
        });
        Ok((name, ttl.ok_or(SessionsError::Lost { session: id })?))
    }

    /// The name of a session that we opened and whose time is not over.
    fn own_name(&self, id: SessionId) -> Result<String, SessionsError> {
        let now = self.clock.now();
        let name =
            self.with(|sessions| sessions.get(&id).filter(|own| own.ends > now).map(|own| own.name.clone()));
        name.ok_or(SessionsError::Lost { session: id })
    }

    pub(super) async fn close(&self, id: SessionId) -> Result<(), SessionsError> {
        self.end(id).await?;
        Ok(())
    }

    /// Deletes the nodes of a session of ours. One whose nodes cannot be deleted now stays, to be tried again.
    async fn end(&self, id: SessionId) -> Result<(), StoreError> {
        let _turn = self.ending.lock().await;
        let Some(own) = self.with(|sessions| sessions.get(&id).cloned()) else { return Ok(()) };
        for lease in &own.leases {
            self.free(id, lease).await?;
        }
        let path = session_path(&own.name);
        if let Some(stat) = self.look(&path).await?.filter(|stat| id_of(stat) == id) {
            self.delete_own(&path, stat).await?;
        }
        self.with(|sessions| sessions.remove(&id));
        self.changed();
        Ok(())
    }

    /// Ends our sessions whose time is over; how long until the next is.
    pub(super) async fn expire(&self) -> Result<Option<Duration>, SessionsError> {
        let now = self.clock.now();
        let is_over = |own: &Own| own.ends <= now;
        let over: Vec<_> = self
            .with(|sessions| sessions.iter().filter(|(_, own)| is_over(own)).map(|(id, _)| *id).collect());
        for id in over {
            self.end(id).await?;
        }
        let next = self.with(|sessions| sessions.values().map(|own| own.ends).min());
        Ok(next.map(|ends| ends.saturating_sub(now)))
    }

    pub(super) async fn sessions(&self) -> Result<Vec<SessionInfo>, SessionsError> {
        self.expire().await?;
        let mut names = self.ground.children(SESSIONS).await?;
        names.sort_unstable();
        let names = names.into_iter().map(|name| decoded(&name));
        let read = |name: String| async move { self.session_at(&name).await };
        let found: Vec<_> = stream::iter(names).map(read).buffered(AT_ONCE).try_collect().await?;
        let mut found: Vec<_> = found.into_iter().flatten().collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    pub(super) async fn session_named(&self, name: &str) -> Result<Option<SessionInfo>, SessionsError> {
        self.expire().await?;
        self.session_at(name).await
    }

    async fn session_at(&self, name: &str) -> Result<Option<SessionInfo>, SessionsError> {
        let path = session_path(name);
        let Some((bytes, stat)) = self.read(&path).await? else { return Ok(None) };
        // What lives with no session, or cannot be read, is nobody who is alive.
        let node: Option<SessionNode> = self.decoded(&path, &bytes).filter(|_| stat.owner != 0);
        Ok(node.map(|node| SessionInfo {
            id: id_of(&stat),
            name: name.to_owned(),
            ttl: Duration::from_millis(node.ttl),
            word: node.word,
        }))
    }

    pub(super) async fn acquire(&self, id: SessionId, name: &str) -> Result<Lease, SessionsError> {
        check_name("lease", name)?;
        self.expire().await?;
        let holder = self.own_name(id)?;
        if !self.is_live(id, &holder).await? {
            return Err(SessionsError::Lost { session: id });
        }
        let access = self.ground.access_of_words().await?;
        let (path, node) = (lease_path(name), LeaseNode { holder: holder.clone(), session: id.get() });
        let content = self.encode(&path, &node)?;
        for _ in 0..TRIES {
            match self.ground.coordinator.create(&path, &content, Life::OfSession, &access).await {
                Ok((_, stat)) => {
                    self.with(|own| own.get_mut(&id).map(|own| own.leases.insert(name.to_owned())));
                    self.changed();
                    let token = LeaseToken(stat.created.unsigned_abs());
                    return Ok(Lease { name: name.to_owned(), session: id, holder, token });
                }
                Err(Refusal::Exists) => {}
                Err(refusal) => return Err(self.ground.error("make", &path)(refusal).into()),
            }
            if let Some(lease) = self.lease(name).await? {
                return if lease.session == id { Ok(lease) } else { Err(held(lease)) };
            }
        }
        let why = format!("it came and went {TRIES} times");
        Err(StoreError::Unanswered { what: "the lease", why }.into())
    }

    pub(super) async fn release(&self, id: SessionId, name: &str) -> Result<(), SessionsError> {
        let _turn = self.ending.lock().await;
        self.with(|own| own.get_mut(&id).map(|own| own.leases.remove(name)));
        self.free(id, name).await?;
        Ok(())
    }

    /// Deletes the lease `name` if `id` has it.
    async fn free(&self, id: SessionId, name: &str) -> Result<(), StoreError> {
        let path = lease_path(name);
        let Some((bytes, stat)) = self.read(&path).await? else { return Ok(()) };
        let node: Option<LeaseNode> = self.decoded(&path, &bytes);
        if node.is_some_and(|node| node.session == id.get()) {
            self.delete_own(&path, stat).await?;
            self.changed();
        }
        Ok(())
    }

    /// Who has the lease `name`. One whose session has ended is nobody's, though its node goes with its connection alone.
    pub(super) async fn holder(&self, name: &str) -> Result<Option<Lease>, SessionsError> {
        self.expire().await?;
        let Some(lease) = self.lease(name).await? else { return Ok(None) };
        Ok(self.is_live(lease.session, &lease.holder).await?.then_some(lease))
    }

    /// The node of a lease, whose session may have ended. One that cannot be read is somebody's.
    async fn lease(&self, name: &str) -> Result<Option<Lease>, StoreError> {
        let path = lease_path(name);
        let Some((bytes, stat)) = self.read(&path).await? else { return Ok(None) };
        if stat.owner == 0 {
            self.clear(&path, stat).await?;
            return Ok(None);
        }
        let node = self.decoded(&path, &bytes);
        let LeaseNode { holder, session } =
            node.unwrap_or_else(|| LeaseNode { holder: "somebody".to_owned(), session: 0 });
        let token = LeaseToken(stat.created.unsigned_abs());
        Ok(Some(Lease { name: name.to_owned(), session: SessionId(session), holder, token }))
    }

    async fn is_live(&self, id: SessionId, name: &str) -> Result<bool, StoreError> {
        Ok(self.look(&session_path(name)).await?.is_some_and(|stat| id_of(&stat) == id))
    }

    /// Deletes a node of ours that was looked at. Another live session's is never deleted: it goes with that.
    async fn delete_own(&self, path: &str, seen: Stat) -> Result<(), StoreError> {
        match self.ground.coordinator.delete_own(path, seen.owner).await {
            Ok(()) | Err(Refusal::NoNode) => Ok(()),
            Err(refusal) => Err(self.ground.error("delete", path)(refusal)),
        }
    }

    async fn look(&self, path: &str) -> Result<Option<Stat>, StoreError> {
        self.ground.coordinator.look(path).await.map_err(self.ground.error("look at", path))
    }

    async fn read(&self, path: &str) -> Result<Option<(Vec<u8>, Stat)>, StoreError> {
        self.ground.coordinator.read(path).await.map_err(self.ground.error("read", path))
    }

    /// The names below `path`, in order, and what wakes when one comes or goes.
    pub(super) async fn watch(&self, path: &str) -> Result<(Vec<String>, Watch), StoreError> {
        let found =
            self.ground.coordinator.list_and_watch(path).await.map_err(self.ground.error("watch", path))?;
        let (mut names, watch) = found.ok_or_else(|| self.ground.error("watch", path)(Refusal::NoNode))?;
        names.sort_unstable();
        Ok((names, watch))
    }

    fn encode(&self, path: &str, node: &impl Serialize) -> Result<Vec<u8>, StoreError> {
        serde_json::to_vec(node).map_err(|error| self.unexpected("write", path, &error))
    }

    fn decoded<'b, T: Deserialize<'b>>(&self, path: &str, bytes: &'b [u8]) -> Option<T> {
        serde_json::from_slice(bytes).inspect_err(|error| warn!(path, %error, "a node cannot be read")).ok()
    }

    fn unexpected(&self, doing: &'static str, path: &str, error: &serde_json::Error) -> StoreError {
        let path = self.ground.coordinator.settings().full_path(path).into();
        StoreError::Unexpected { doing, path, why: error.to_string() }
    }

    pub(super) fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn with<T>(&self, step: impl FnOnce(&mut BTreeMap<SessionId, Own>) -> T) -> T {
        // Each step leaves the map whole.
        step(&mut self.own.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn held(lease: Lease) -> SessionsError {
    SessionsError::Held { name: lease.name, holder: lease.holder, session: lease.session }
}

/// The transaction that made a node is no other's, also over restarts.
fn id_of(stat: &Stat) -> SessionId {
    SessionId(stat.created.unsigned_abs())
}

fn session_path(name: &str) -> String {
    format!("{SESSIONS}/{}", encoded(name))
}

fn lease_path(name: &str) -> String {
    format!("{LEASES}/{}", encoded(name))
}

/// A name as one part of a path.
fn encoded(name: &str) -> String {
    name.replace('%', "%25").replace('/', "%2F")
}

fn decoded(part: &str) -> String {
    part.replace("%2F", "/").replace("%25", "%")
}

/// How often a lease is tried for that comes and goes.
const TRIES: usize = 3;

pub(super) const SESSIONS: &str = "/sessions";
pub(super) const LEASES: &str = "/leases";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_part_of_a_path_and_comes_back() {
        for name in ["gw1", "trunk/eth2", "a%2Fb", "%25/%"] {
            assert!(!encoded(name).contains('/'));
            assert_eq!(decoded(&encoded(name)), name);
        }
    }
}
