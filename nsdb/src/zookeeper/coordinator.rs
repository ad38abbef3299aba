//! What is asked of an ensemble: a dozen calls, and nothing more, so that the client behind them can be exchanged.
//!
//! A call waits for a server, up to the patience of the settings. A question is asked again when the connection broke, a change is not:
//! it may have been made, and [`Refusal::Away`] says so. A [`Watch`] is a hint: it wakes its owner when the node may have changed, when the
//! session ended, and when the connection was away; whoever was woken reads again.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use zookeeper_client::{Acls, Client, CreateMode, OneshotWatcher};

use crate::zookeeper::access::Access;
use crate::zookeeper::costs::Costs;
use crate::zookeeper::refusal::Refusal;
use crate::zookeeper::settings::ZooKeeperSettings;
use crate::zookeeper::supervisor::{self, Standing};

/// A session with an ensemble that heals by itself.
#[derive(Debug, Clone)]
pub struct Coordinator {
    settings: Arc<ZooKeeperSettings>,
    standing: watch::Receiver<Standing>,
    /// Ends the supervisor, and with it the session, when the last is dropped.
    supervised: Arc<watch::Sender<bool>>,
    costs: Arc<Costs>,
    /// How many changes it still makes, where a test has said so.
    changes_left: Option<Arc<AtomicU64>>,
}

/// What the servers know of a node beside its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// How often its content was changed.
    pub version: i32,
    /// The transaction that made it (zxid): no two nodes have the same, and it grows.
    pub created: i64,
    /// When it was changed last, in milliseconds since 1970 by the clock of a server.
    pub changed_at: i64,
    /// The session that it lives with, 0 if it stays.
    pub owner: i64,
    /// How many children were ever made below it: the number that the next [numbered](Life::Numbered) one gets.
    pub made_below: u64,
}

/// What becomes of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It stays until it is deleted.
    Stays,
    /// The same, and the server puts a number behind its name: ten digits, one more for each node that was ever made there so.
    Numbered,
    /// It goes with the session of who made it.
    OfSession,
}

/// Wakes its owner once.
#[derive(Debug)]
pub struct Watch(OneshotWatcher);

impl Watch {
    /// Waits until the node may have changed or the session has ended.
    pub async fn changed(self) {
        self.0.changed().await;
    }
}

impl Coordinator {
    /// Begins to look for a server, and goes on for as long as this or a clone of it lives.
    pub fn open(settings: ZooKeeperSettings) -> Self {
        let settings = Arc::new(settings);
        let (supervised, standing) = supervisor::begin(Arc::clone(&settings));
        Self {
            settings,
            standing,
            supervised: Arc::new(supervised),
            costs: Arc::default(),
            changes_left: None,
        }
    }

    /// The same; behind `changes` changes it does nothing more, as if its process had been killed. For tests of what is left then.
    pub fn dying_after(self, changes: u64) -> Self {
        Self { changes_left: Some(Arc::new(AtomicU64::new(changes))), ..self }
    }

    /// How it was opened.
    pub fn settings(&self) -> &ZooKeeperSettings {
        &self.settings
    }

    /// What was asked of the servers so far.
    pub fn costs(&self) -> &Costs {
        &self.costs
    }

    /// How the connection stands, now and whenever it changes.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// The number of the session, waiting for one.
    ///
    /// # Errors
    /// [`Refusal::Away`].
    pub async fn session(&self) -> Result<i64, Refusal> {
        self.client().await.map(|client| client.session_id().0)
    }

    /// Which connection there is, waiting for one: one more each time that a server was found.
    ///
    /// # Errors
    /// [`Refusal::Away`].
    pub async fn connection(&self) -> Result<u64, Refusal> {
        self.client().await?;
        Ok(self.standing.borrow().connections())
    }

    /// Whether that is the connection there is.
    pub(super) fn is_on(&self, connection: u64) -> bool {
        self.standing.borrow().connections() == connection
    }

    /// Makes a node; returns its number if it is [`Life::Numbered`], otherwise -1, and what the servers know of it.
    ///
    /// # Errors
    /// [`Refusal::Exists`]; [`Refusal::NoNode`] if its parent is missing; any other.
    pub async fn create(
        &self,
        path: &str,
        content: &[u8],
        life: Life,
        access: &Access,
    ) -> Result<(i64, Stat), Refusal> {
        let acls = access.acls();
        let mode = match life {
            Life::Stays => CreateMode::Persistent,
            Life::Numbered => CreateMode::PersistentSequential,
            Life::OfSession => CreateMode::Ephemeral,
        };
        let options = mode.with_acls(Acls::new(acls));
        let client = self.client_for_change().await?;
        self.costs.note_change(content);
        let (stat, number) = self.within(client.create(path, content, &options)).await?;
        Ok((number.into_i64(), stat.into()))
    }

    /// The content of a node, `None` if it is not there.
    ///
    /// # Errors
    /// Any but [`Refusal::NoNode`].
    pub async fn read(&self, path: &str) -> Result<Option<(Vec<u8>, Stat)>, Refusal> {
        let found = self.ask(|client| async move { client.get_data(path).await }).await;
        there(found.map(|(content, stat)| (self.costs.noted_answer(content), stat.into())))
    }

    /// The same; wakes when it changes or is deleted.
    ///
    /// # Errors
    /// Any but [`Refusal::NoNode`].
    pub async fn read_and_watch(&self, path: &str) -> Result<Option<(Vec<u8>, Stat, Watch)>, Refusal> {
        let found = self.ask(|client| async move { client.get_and_watch_data(path).await }).await;
        there(found.map(|(content, stat, watcher)| {
            (self.costs.noted_answer(content), stat.into(), self.watched(watcher))
        }))
    }

    /// What the servers know of a node, `None` if it is not there.
    ///
    /// # Errors
    /// Any but [`Refusal::NoNode`].
    pub async fn look(&self, path: &str) -> Result<Option<Stat>, Refusal> {
        let found = self.ask(|client| async move { client.check_stat(path).await }).await?;
        Ok(found.map(Stat::from))
    }

    /// Whether a node is there; wakes when it is made, changed or deleted.
    ///
    /// # Errors
    /// Any but [`Refusal::NoNode`].
    pub async fn look_and_watch(&self, path: &str) -> Result<(Option<Stat>, Watch), Refusal> {
        let found = self.ask(|client| async move { client.check_and_watch_stat(path).await }).await?;
        Ok((found.0.map(Stat::from), self.watched(found.1)))
    }

    /// Changes a node's content if it has the version `expected`; any, if that is `None`.
    ///
    /// # Errors
    /// [`Refusal::NoNode`], [`Refusal::BadVersion`], any other.
    pub async fn write(&self, path: &str, content: &[u8], expected: Option<i32>) -> Result<Stat, Refusal> {
        let client = self.client_for_change().await?;
        self.costs.note_change(content);
        self.within(client.set_data(path, content, expected)).await.map(Stat::from)
    }

    /// Deletes a node if it has the version `expected`; any, if that is `None`.
    ///
    /// # Errors
    /// [`Refusal::NoNode`], [`Refusal::BadVersion`], [`Refusal::NotEmpty`], any other.
    pub async fn delete(&self, path: &str, expected: Option<i32>) -> Result<(), Refusal> {
        let client = self.client_for_change().await?;
        self.costs.note_change(&[]);
        self.within(client.delete(path, expected)).await
    }

    /// Says anew who may do what with a node.
    ///
    /// # Errors
    /// [`Refusal::NoNode`], any other.
    pub async fn restrict(&self, path: &str, access: &Access) -> Result<(), Refusal> {
        let client = self.client_for_change().await?;
        self.costs.note_change(&[]);
        self.within(client.set_acl(path, access.acls(), None)).await.map(drop)
    }

    /// Deletes a node that lives with the session `owner`, if that is still ours: under another, a node of this name may be somebody else's.
    ///
    /// # Errors
    /// [`Refusal::NoNode`] also where the session is another by now; any other.
    pub async fn delete_own(&self, path: &str, owner: i64) -> Result<(), Refusal> {
        let client = self.client_for_change().await?;
        if client.session_id().0 != owner {
            return Err(Refusal::NoNode);
        }
        self.costs.note_change(&[]);
        self.within(client.delete(path, None)).await
    }

    /// The names of a node's children, in no order; `None` if it is not there.
    ///
    /// # Errors
    /// Any but [`Refusal::NoNode`].
    pub async fn list(&self, path: &str) -> Result<Option<Vec<String>>, Refusal> {
        there(self.ask(|client| async move { client.list_children(path).await }).await)
    }

    /// The same; wakes when a child comes or goes.
    ///
    /// # Errors
    /// Any but [`Refusal::NoNode`].
    pub async fn list_and_watch(&self, path: &str) -> Result<Option<(Vec<String>, Watch)>, Refusal> {
        let found = self.ask(|client| async move { client.list_and_watch_children(path).await }).await;
        there(found.map(|(children, watcher)| (children, self.watched(watcher))))
    }

    /// Waits until this server has everything that was written before, by anybody: what is read next is no older.
    ///
    /// # Errors
    /// [`Refusal::Away`], [`Refusal::Other`].
    pub async fn catch_up(&self) -> Result<(), Refusal> {
        self.ask(|client| async move { client.sync("/").await }).await
    }

    /// Ends the session, so that what lives with it goes at once.
    pub async fn close(&self) {
        self.supervised.send_replace(true);
        let mut standing = self.standing.clone();
        let ended = standing.wait_for(|standing| standing.is_closed());
        // A server that is away ends the session by its timeout.
        let _ = tokio::time::timeout(self.settings.patience.min(CLOSING), ended).await;
    }

    /// A watch that a server keeps for us.
    fn watched(&self, watcher: OneshotWatcher) -> Watch {
        self.costs.watches.fetch_add(1, Ordering::Relaxed);
        Watch(watcher)
    }

    /// Asks until a server answers or patience ends. What broke on the way is asked again: a question changes nothing.
    async fn ask<T, F>(&self, question: impl Fn(Client) -> F) -> Result<T, Refusal>
    where
        F: Future<Output = Result<T, zookeeper_client::Error>>,
    {
        let asking = async {
            loop {
                let client = self.client().await?;
                self.costs.questions.fetch_add(1, Ordering::Relaxed);
                match question(client).await.map_err(Refusal::from) {
                    Err(Refusal::Away { .. }) => tokio::time::sleep(BETWEEN_QUESTIONS).await,
                    answer => return answer,
                }
            }
        };
        let patience = tokio::time::timeout(self.settings.patience, asking).await;
        patience.unwrap_or_else(|_| Err(self.away()))
    }

    async fn within<T>(
        &self,
        change: impl Future<Output = Result<T, zookeeper_client::Error>>,
    ) -> Result<T, Refusal> {
        match tokio::time::timeout(self.settings.patience, change).await {
            Ok(done) => done.map_err(Refusal::from),
            Err(_) => Err(self.away()),
        }
    }

    async fn client_for_change(&self) -> Result<Client, Refusal> {
        if let Some(left) = &self.changes_left {
            let spent = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            spent.map_err(|_| Refusal::Away { why: "this process was to die here".to_owned() })?;
        }
        self.client().await
    }

    /// The connected client, waiting for one.
    async fn client(&self) -> Result<Client, Refusal> {
        let mut standing = self.standing.clone();
        let connected = standing.wait_for(|standing| standing.client().is_some() || standing.is_closed());
        let found = match tokio::time::timeout(self.settings.patience, connected).await {
            Ok(Ok(standing)) => standing.client(),
            _ => None,
        };
        found.ok_or_else(|| self.away())
    }

    fn away(&self) -> Refusal {
        self.costs.unanswered.fetch_add(1, Ordering::Relaxed);
        Refusal::Away { why: self.standing.borrow().why(&self.settings) }
    }
}

impl From<zookeeper_client::Stat> for Stat {
    fn from(stat: zookeeper_client::Stat) -> Self {
        Self {
            version: stat.version,
            created: stat.czxid,
            changed_at: stat.mtime,
            owner: stat.ephemeral_owner,
            // What is told as `cversion` is twice the children that were made less those that are there (DataNode.copyStat).
            made_below: u64::from(stat.cversion.wrapping_add(stat.num_children).cast_unsigned() / 2),
        }
    }
}

fn there<T>(found: Result<T, Refusal>) -> Result<Option<T>, Refusal> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Refusal::NoNode) => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

/// So that a server that refuses everything is not asked in a tight loop.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(50);

/// How long the end of a daemon waits for a server to hear of it.
const CLOSING: Duration = Duration::from_secs(1);
