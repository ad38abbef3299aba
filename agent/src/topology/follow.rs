//! Follows the newest revision, for one host.

use std::sync::Arc;
use std::time::Duration;

use nsdb::{Documents, Revision, Store};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tracing::{info, warn};
use vlan::model::topology::Topology;

use super::scope::Scope;
use super::{Built, Newest, TopologyError, kept, newest_root};
use crate::documents::Stored;
use crate::input::Input;

/// Passes on the newest revision, as far as this host needs it, now and whenever it changes, until the receiver is gone. A store that cannot
/// be read is asked again. What was `built` in this process is not built again.
pub async fn follow(store: Arc<Store>, host: String, built: Built, arrivals: mpsc::Sender<Input>) {
    let mut changes = store.watch_root();
    let scope = Scope::of_follower(&store, &host);
    let mut follower = Follower { store, host, scope, built, arrivals, has_one: false };
    let mut pause = READ_AGAIN;
    if follower.take_kept_if_away().await.is_err() {
        return;
    }
    loop {
        let announced = *changes.borrow_and_update();
        let Ok(is_read) = follower.take_newest(announced).await else { return };
        let change = changes.changed();
        let is_over = match is_read {
            true => change.await.is_err(),
            false => matches!(tokio::time::timeout(pause, change).await, Ok(Err(_))),
        };
        if is_over {
            return;
        }
        pause = if is_read { READ_AGAIN } else { (pause * 2).min(LONGEST_PAUSE) };
    }
}

/// Nobody takes what arrives any more.
struct Gone;

/// Who follows, and what it has.
struct Follower {
    store: Arc<Store>,
    host: String,
    scope: Scope,
    built: Built,
    arrivals: mpsc::Sender<Input>,
    /// Whether there was a revision that could be read.
    has_one: bool,
}

impl Follower {
    /// Passes on the newest revision; false if the store could not be read.
    async fn take_newest(&mut self, announced: Option<Revision>) -> Result<bool, Gone> {
        match self.arrive().await {
            // As from a server that lags behind the one that announced it: what is older is not brought back.
            Ok(arrived) if revision_of(arrived.last()) < announced => {
                warn!("the store reads an older revision than it announced, the topology in force stays");
                Ok(false)
            }
            Ok(arrived) => {
                for input in arrived {
                    self.pass_on(input).await?;
                }
                Ok(true)
            }
            Err(error) => {
                warn!(%error, "the store cannot be read, the topology in force stays");
                Ok(false)
            }
        }
    }

    /// Passes on a revision, and keeps it if it is one that can be in force.
    async fn pass_on(&mut self, input: Input) -> Result<(), Gone> {
        self.has_one |= matches!(input, Input::Topology { .. });
        let is_right = matches!(input, Input::Topology { built: Some(_), .. });
        let revision = revision_of(Some(&input)).filter(|_| is_right);
        self.send(input).await?;
        if let Some(revision) = revision {
            self.keep(revision).await;
        }
        Ok(())
    }

    async fn send(&self, input: Input) -> Result<(), Gone> {
        self.arrivals.send(input).await.map_err(|_| Gone)
    }

    /// Takes what this host kept of a revision, where the store that it shares does not answer at the start.
    async fn take_kept_if_away(&mut self) -> Result<(), Gone> {
        let is_there = match self.store.is_of_one_host() {
            true => true,
            false => matches!(tokio::time::timeout(PATIENCE_AT_START, self.store.root()).await, Ok(Ok(_))),
        };
        if is_there {
            return Ok(());
        }
        let Some(kept) = kept::load(&self.store, &self.host).await else { return Ok(()) };
        let revision = kept.revision.get();
        info!(revision, "the store is away: the revision that was kept here is taken");
        let input = input(kept, &self.host, &self.built);
        self.has_one |= matches!(input, Input::Topology { .. });
        self.send(input).await
    }

    /// Keeps what was read last, so that the host can start without the store.
    async fn keep(&mut self, revision: Revision) {
        if let Some(shards) = self.scope.take_last_read() {
            kept::keep(&self.store, &self.host, revision, &shards).await;
        }
    }

    /// The newest revision, read and compiled where nobody waits for the thread: of thousands of ports that takes a while, and this thread
    /// answers questions. One that does not build comes without a topology; the engine finds the mistakes again, and tells them.
    ///
    /// Before there was one that could be read, the last one that can be comes before one that cannot.
    async fn arrive(&mut self) -> Result<Vec<Input>, TopologyError> {
        let (here, store) = (Handle::current(), Arc::clone(&self.store));
        let (host, built) = (self.host.clone(), self.built.clone());
        let fresh = Scope::of_follower(&self.store, &self.host);
        let (mut scope, has_one) = (std::mem::replace(&mut self.scope, fresh), self.has_one);
        let read = move || {
            let newest = here.block_on(newest_revisions(&store, &mut scope, has_one));
            let input = |newest: Newest| input(newest, &host, &built);
            (scope, newest.map(|newest| newest.into_iter().map(input).collect()))
        };
        let (scope, arrived) =
            tokio::task::spawn_blocking(read).await.map_err(|_| TopologyError::Stopping)?;
        self.scope = scope;
        arrived
    }
}

async fn newest_revisions(
    store: &Store,
    scope: &mut Scope,
    has_one: bool,
) -> Result<Vec<Newest>, TopologyError> {
    let Some(root) = newest_root(store).await? else { return Ok(Vec::new()) };
    let newest = scope.read(store, &root).await?;
    let before = match !has_one && newest.stored.is_err() {
        true => scope.last_readable(store).await?,
        false => None,
    };
    Ok(before.into_iter().chain([newest]).collect())
}

fn input(Newest { revision, stored }: Newest, host: &str, built: &Built) -> Input {
    let stored = match stored {
        Ok(stored) => stored,
        Err(why) => return Input::Unreadable { revision: revision.get(), why },
    };
    let topology = built.take(revision, &stored).or_else(|| build(&stored).map(Arc::new));
    let (revision, Stored { description, numbers, .. }) = (revision.get(), stored);
    if let Some((numbers, topology)) = numbers.as_ref().zip(topology.as_ref())
        && let Err(what) = numbers.check(topology, host)
    {
        return Input::Unreadable { revision, why: format!("{what} has no number in it") };
    }
    if let Some(topology) = &topology {
        built.show(topology);
    }
    let (description, numbers) = (Box::new(description), numbers.map(Box::new));
    Input::Topology { revision, description, numbers, built: topology }
}

fn build(Stored { description, numbers, .. }: &Stored) -> Option<Topology> {
    let built = match numbers {
        Some(numbers) => Topology::with_numbers(description, numbers),
        None => Topology::build(description),
    };
    built.ok()
}

fn revision_of(arrived: Option<&Input>) -> Option<Revision> {
    match arrived? {
        Input::Topology { revision, .. } | Input::Unreadable { revision, .. } => Revision::new(*revision),
        _ => None,
    }
}

/// When a store that could not be read is read again; twice as long after each time.
const READ_AGAIN: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long a start waits for a store that is shared before it takes what the host kept.
const PATIENCE_AT_START: Duration = Duration::from_secs(3);
