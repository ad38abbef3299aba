//! The database on a ZooKeeper ensemble: [`Documents`], [`Sessions`], [`AddressFeed`].
//!
//! | room | question |
//! |---|---|
//! | `coordinator`, `supervisor`, `refusal`, `settings` | how is an ensemble asked, and who keeps the connection |
//! | `ground`, `making`, `access` | what is a database, how is one made, and who may do what in it |
//! | `acquainted`, `accepting` | which one does a host know, and when does it follow another |
//! | `documents`, `publishing`, `collecting` | how revisions are read, come in, and go |
//! | `sessions` | who is alive |
//! | `feed` | who has which address |

mod accepting;
mod access;
mod acquainted;
mod collecting;
mod coordinator;
mod costs;
mod documents;
mod feed;
mod ground;
mod making;
mod publishing;
mod refusal;
mod sessions;
mod settings;
mod supervisor;
mod watching;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;

pub use accepting::{Acceptance, accept};
pub use access::{Access, DigestId, MIN_PASSWORD_BYTES, Users};
pub use acquainted::Acquainted;
pub use coordinator::{Coordinator, Life, Stat, Watch};
pub use costs::Costs;
pub use ground::StoreNode;
pub use making::make;
pub use refusal::Refusal;
pub use settings::{Login, ZooKeeperSettings};
pub use supervisor::Standing;

use crate::addresses::feed::{FeedLimits, Following};
use crate::addresses::record::{AddressRecord, HostId, SegmentId};
use crate::addresses::{AddressFeed, FeedError};
use crate::clock::Clock;
use crate::documents::kept::Kept;
use crate::documents::revision::{Change, Revision, RevisionInfo, Root};
use crate::documents::shard::{ShardId, ShardName};
use crate::documents::{Documents, DocumentsError};
use crate::error::StoreError;
use crate::sessions::lease::{Lease, SessionId, SessionInfo};
use crate::sessions::{Sessions, SessionsError};
use crate::zookeeper::documents::Shelf;
use crate::zookeeper::feed::Feed;
use crate::zookeeper::ground::Ground;
use crate::zookeeper::sessions::Roll;
use crate::zookeeper::watching::Task;

/// The three parts of a database that hosts share. Opening waits for nobody: the first call that needs a server does.
#[derive(Debug)]
pub struct ZooKeeper {
    ground: Arc<Ground>,
    shelf: Arc<Shelf>,
    roll: Arc<Roll>,
    feed: Feed,
    _following: Task,
    /// Begun when somebody asks for it: most hosts do not look at others' sessions.
    watching: OnceLock<Task>,
}

impl ZooKeeper {
    /// The database that `coordinator` leads to. `clock` tells when sessions of this process are over that it does not keep alive.
    ///
    /// To be called where a tokio runtime is.
    pub fn open(coordinator: Coordinator, clock: Arc<dyn Clock>, limits: FeedLimits) -> Self {
        Self::open_again(coordinator, clock, limits, None)
    }

    /// The same in a process after another, which knew this of the database: one that is not that, or went back, is not followed.
    pub fn open_again(
        coordinator: Coordinator,
        clock: Arc<dyn Clock>,
        limits: FeedLimits,
        acquainted: Option<Acquainted>,
    ) -> Self {
        let known = acquainted.as_ref().map(|acquainted| acquainted.incarnation.clone());
        let ground = Arc::new(Ground::new(coordinator, known));
        let shelf = Arc::new(Shelf::new(Arc::clone(&ground), acquainted));
        let roll = Arc::new(Roll::new(Arc::clone(&ground), clock));
        let feed = Feed::new(Arc::clone(&ground), limits);
        let following = Task::new(watching::follow_root(Arc::clone(&shelf)));
        Self { ground, shelf, roll, feed, _following: following, watching: OnceLock::new() }
    }

    /// What was read of its revisions.
    pub(crate) fn kept(&self) -> Arc<Kept> {
        Arc::clone(&self.shelf.read)
    }

    /// What the database says of itself.
    ///
    /// # Errors
    /// There is none, it is not ours, or of a newer format; our login may not read it; no server answers.
    pub async fn store(&self) -> Result<Arc<StoreNode>, StoreError> {
        self.ground.store().await
    }

    /// How the connection stands.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.ground.coordinator.standing()
    }

    /// What was asked of the servers so far.
    pub fn costs(&self) -> &Costs {
        self.ground.coordinator.costs()
    }

    /// Why the newest revision cannot be followed though a server answers: it refuses, what is there cannot be read, or it went back.
    pub fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.shelf.trouble.subscribe()
    }

    /// The incarnation of the database that is followed, by this process or one before it; `None` where none is known yet.
    pub fn database(&self) -> Option<String> {
        self.ground.database()
    }

    /// What a process after this one has to know of the database: `None` before anything is known.
    pub fn acquainted(&self) -> watch::Receiver<Option<Acquainted>> {
        self.shelf.acquainted.subscribe()
    }

    /// Why no server answers now, in words.
    pub fn why_away(&self) -> String {
        let coordinator = &self.ground.coordinator;
        coordinator.standing().borrow().why(coordinator.settings())
    }

    /// Waits until the server that is asked has what was written before, by anybody: what is read next is no older.
    ///
    /// # Errors
    /// No server answers.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        self.ground.coordinator.catch_up().await.map_err(self.ground.error("read", "/"))
    }

    /// Ends the connection, so that what lives with it goes at once.
    pub async fn close(&self) {
        self.ground.coordinator.close().await;
    }
}

impl fmt::Display for ZooKeeper {
    /// Its servers and its root, as `10.0.0.1:2181,10.0.0.2:2181/l2gw`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.ground.coordinator.settings().connection())
    }
}

impl Documents for ZooKeeper {
    async fn root(&self) -> Result<Option<Root>, DocumentsError> {
        Ok(self.shelf.newest_root().await?.map(|stored| stored.root))
    }

    async fn revisions(&self) -> Result<Vec<RevisionInfo>, DocumentsError> {
        let info = |(revision, root): (_, Result<Root, DocumentsError>)| match root {
            Ok(root) => RevisionInfo::from(&root),
            Err(error) => RevisionInfo::unreadable(revision, error.to_string()),
        };
        Ok(self.shelf.kept().await?.into_iter().map(info).collect())
    }

    async fn root_of(&self, revision: Revision) -> Result<Option<Root>, DocumentsError> {
        match self.shelf.newest_root().await? {
            Some(newest) if newest.root.revision == revision => Ok(Some(newest.root)),
            Some(newest) if revision >= newest.root.revision.first_kept() => {
                self.shelf.kept_root(revision).await
            }
            _ => Ok(None),
        }
    }

    async fn read(&self, document: ShardId) -> Result<Vec<u8>, DocumentsError> {
        self.shelf.load(document).await
    }

    async fn publish(
        &self,
        expected: Option<Revision>,
        shards: BTreeMap<ShardName, Vec<u8>>,
        change: Change,
    ) -> Result<Revision, DocumentsError> {
        self.shelf.publish(expected, shards, change).await
    }

    async fn collect(&self, unused_for: Duration) -> Result<usize, DocumentsError> {
        self.shelf.collect(unused_for).await
    }

    fn watch_root(&self) -> watch::Receiver<Option<Revision>> {
        self.shelf.newest.subscribe()
    }
}

impl Sessions for ZooKeeper {
    async fn open_session(&self, name: &str, ttl: Duration) -> Result<SessionId, SessionsError> {
        self.roll.open(name, ttl).await
    }

    async fn keep_alive(&self, session: SessionId) -> Result<(), SessionsError> {
        self.roll.keep_alive(session).await
    }

    async fn say(&self, session: SessionId, word: String) -> Result<(), SessionsError> {
        self.roll.say(session, &word).await
    }

    async fn close_session(&self, session: SessionId) -> Result<(), SessionsError> {
        self.roll.close(session).await
    }

    async fn sessions(&self) -> Result<Vec<SessionInfo>, SessionsError> {
        self.roll.sessions().await
    }

    async fn session_named(&self, name: &str) -> Result<Option<SessionInfo>, SessionsError> {
        self.roll.session_named(name).await
    }

    async fn acquire(&self, session: SessionId, name: &str) -> Result<Lease, SessionsError> {
        self.roll.acquire(session, name).await
    }

    async fn release(&self, session: SessionId, name: &str) -> Result<(), SessionsError> {
        self.roll.release(session, name).await
    }

    async fn holder(&self, name: &str) -> Result<Option<Lease>, SessionsError> {
        self.roll.holder(name).await
    }

    async fn expire(&self) -> Result<Option<Duration>, SessionsError> {
        self.roll.expire().await
    }

    fn watch_sessions(&self) -> watch::Receiver<u64> {
        self.watching.get_or_init(|| Task::new(watching::watch_sessions(Arc::clone(&self.roll))));
        self.roll.changes.subscribe()
    }
}

impl AddressFeed for ZooKeeper {
    async fn announce(&self, owner: HostId, records: Vec<AddressRecord>) -> Result<(), FeedError> {
        self.feed.announce(owner, records).await
    }

    async fn withdraw(&self, owners: BTreeSet<HostId>) -> Result<BTreeMap<HostId, usize>, FeedError> {
        self.feed.withdraw(&owners).await
    }

    async fn follow(&self, segment: SegmentId) -> Result<Following, FeedError> {
        self.feed.follow(segment).await
    }
}
