//! Follows the newest revision, for one host.

use std::sync::Arc;
use std::time::Duration;

use nsdb::{ConfirmWithin, Documents, Revision, Root, Store};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};
use vlan::model::topology::Topology;
use vlan::time::Instant;

use super::kept::Mark;
use super::scope::Scope;
use super::standing::check_there;
use super::trial::{Due, Trial};
use super::{Built, Newest, TopologyError, back, fresh_root, kept, newest_root};
use crate::documents::Stored;
use crate::event::Event;
use crate::input::Input;
use crate::{clock, journal};

/// Passes on the newest revision, as far as this host needs it, now and whenever it changes, until the receiver is gone. A store that cannot
/// be read is asked again. What was `built` in this process is not built again.
///
/// From a revision that has to be confirmed and is not, in its time, it goes back to the one before, whether the store can be read or not.
pub async fn follow(store: Arc<Store>, host: String, built: Built, arrivals: mpsc::Sender<Input>) {
    let mut changes = store.watch_root();
    let scope = Scope::of_follower(&store, &host);
    let trial = Trial::default();
    let (database, has_one, may_publish) = (store.database(), false, true);
    let mut follower =
        Follower { store, host, scope, built, arrivals, trial, database, has_one, may_publish };
    let mut pause = READ_AGAIN;
    follower.recall().await;
    if follower.take_kept_if_away().await.is_err() {
        return;
    }
    loop {
        let announced = *changes.borrow_and_update();
        let waits = follower.trial.waits_until();
        let Ok(is_read) = follower.take_newest(announced, waits).await else { return };
        let again = (!is_read).then(|| clock::now() + pause);
        if follower.wait(&mut changes, again).await.is_err() {
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
    trial: Trial,
    /// The database of what was passed on last, or in an earlier run, as [`Store::database`] tells it.
    database: Option<String>,
    /// Whether there was a revision that could be read.
    has_one: bool,
    /// Whether the store lets this host publish, as far as is known.
    may_publish: bool,
}

/// What is passed on, and within which time it has to be confirmed.
type Arrived = (Input, Option<ConfirmWithin>);

impl Follower {
    /// Passes on the newest revision; false if the store could not be read, or not until then.
    async fn take_newest(
        &mut self,
        announced: Option<Revision>,
        until: Option<Instant>,
    ) -> Result<bool, Gone> {
        let arrived = tokio::select! {
            arrived = self.arrive() => arrived,
            () = reach(until) => return Ok(false),
        };
        match arrived {
            // As from a server that lags behind the one that announced it: what is older is not brought back.
            Ok(arrived) if revision_of(arrived.last()) < announced => {
                warn!("the store reads an older revision than it announced, the topology in force stays");
                Ok(false)
            }
            Ok(arrived) => {
                for arrived in arrived {
                    self.pass_on(arrived).await?;
                }
                Ok(true)
            }
            Err(error) => {
                warn!(%error, "the store cannot be read, the topology in force stays");
                Ok(false)
            }
        }
    }

    /// Waits until the newest revision is to be read again. What is due meanwhile of one that has to be confirmed is done.
    async fn wait(
        &mut self,
        changes: &mut watch::Receiver<Option<Revision>>,
        again: Option<Instant>,
    ) -> Result<(), Gone> {
        loop {
            let due = self.trial.poll_timeout();
            tokio::select! {
                changed = changes.changed() => return changed.map_err(|_| Gone),
                () = reach(again) => return Ok(()),
                () = reach(due) => self.do_what_is_due().await?,
            }
        }
    }

    async fn do_what_is_due(&mut self) -> Result<(), Gone> {
        match self.trial.due(clock::now()) {
            Some(Due::GoBack(revision, _)) => {
                self.look_for_another(revision).await?;
                // What was another one has ended it.
                match self.trial.due(clock::now()) {
                    Some(Due::GoBack(revision, within)) => self.go_back(revision, within).await,
                    _ => Ok(()),
                }
            }
            Some(Due::Publish(revision, within)) => {
                self.take_back(revision, within).await;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// A confirmation may be there that was not heard of yet. The store is not waited for.
    async fn look_for_another(&mut self, revision: Revision) -> Result<(), Gone> {
        let until = clock::now() + LAST_LOOK;
        let root = tokio::select! {
            root = fresh_root(&self.store) => root,
            () = reach(Some(until)) => return Ok(()),
        };
        match root {
            Ok(root)
                if self.is_of_another() || root.as_ref().is_some_and(|root| root.revision > revision) =>
            {
                self.take_newest(root.map(|root| root.revision), Some(until)).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Nobody has confirmed it in its time.
    async fn go_back(&mut self, revision: Revision, within: ConfirmWithin) -> Result<(), Gone> {
        let Some(before) = back::before(&self.store, &self.host, revision).await else {
            warn!(
                revision = revision.get(),
                "this revision was not confirmed, and the one before cannot be read: it is tried again"
            );
            self.trial.wait_until(clock::now() + TRY_AGAIN);
            return Ok(());
        };
        let (back, input) = (before.revision.get(), self.input(before).await?);
        let topology = match &input {
            Input::Topology { built, .. } => built.as_deref(),
            _ => None,
        };
        let turn = back::turn(&self.store, &self.host, topology);
        self.trial.go_back(self.may_publish.then(|| clock::now() + turn));
        self.built.tell_waits(self.trial.waits());
        self.send(input).await?;
        self.mark(revision, within, true).await;
        let (revision, seconds) = (revision.get(), within.as_secs());
        let event = Event::RevisionUnconfirmed { revision, seconds, back };
        warn!("{event}");
        journal::note(&self.store, &event).await;
        Ok(())
    }

    /// Publishes for all what this host has gone back to.
    async fn take_back(&mut self, revision: Revision, within: ConfirmWithin) {
        let again = Some(clock::now() + TRY_AGAIN);
        if check_there(&self.store).is_err() {
            return self.trial.go_back(again);
        }
        let by = (Arc::clone(&self.store), self.host.clone(), self.built.clone());
        // What has begun goes on to its end, also where it is not waited for.
        let taking = tokio::spawn(back::take_back(by, self.database.clone(), revision, within));
        let next = match tokio::time::timeout(PATIENCE, taking).await {
            Ok(Ok(Ok(()))) => None,
            Ok(Ok(Err(error))) if error.is_denied() => {
                self.may_publish = false;
                None
            }
            Ok(Ok(Err(error))) => {
                let revision = revision.get();
                warn!(%error, revision, "this revision was not confirmed, and cannot be taken back yet: it is tried again");
                again
            }
            Ok(Err(_)) | Err(_) => again,
        };
        self.trial.go_back(next);
    }

    /// Whether the store has come to another database than what was passed on is of.
    fn is_of_another(&self) -> bool {
        self.database.is_some() && self.store.database() != self.database
    }

    /// What is passed on from now on is of this database. What waits in another, or is over there, has nothing to do with it.
    fn come_to(&mut self, database: Option<String>) {
        if self.database.is_some() && self.database != database {
            self.trial.end();
            self.built.tell_waits(None);
        }
        self.database = database;
    }

    async fn mark(&self, revision: Revision, within: ConfirmWithin, is_over: bool) {
        kept::mark(&self.store, Mark { database: self.database.clone(), revision, within, is_over }).await;
    }

    /// What this host knows of an earlier run.
    async fn recall(&mut self) {
        let is_recalled = |mark: &Mark| mark.is_over && mark.database == self.database;
        let Some(mark) = kept::marked(&self.store).await.filter(is_recalled) else { return };
        let before = back::before(&self.store, &self.host, mark.revision).await;
        let turn = match before.and_then(|before| before.stored.ok()) {
            Some(stored) => back::turn(&self.store, &self.host, build(&stored).as_ref()),
            None => back::turn(&self.store, &self.host, None),
        };
        self.trial.recall_over(mark.revision, mark.within, Some(clock::now() + turn));
    }

    /// Passes on a revision, and keeps it if it is one that can be in force.
    async fn pass_on(&mut self, (input, within): Arrived) -> Result<(), Gone> {
        let revision = revision_of_input(&input);
        if let Some(revision) = revision.filter(|revision| self.trial.is_over(*revision, within)) {
            return self.stay_back(revision).await;
        }
        let is_there = matches!(input, Input::Topology { .. });
        if let Some(revision) = revision.filter(|_| is_there) {
            self.trial.see(clock::now(), revision, within);
            self.built.tell_waits(self.trial.waits());
        }
        self.has_one |= is_there;
        let is_right = matches!(input, Input::Topology { built: Some(_), .. });
        self.send(input).await?;
        if let Some(revision) = revision.filter(|_| is_right) {
            self.keep(revision, within).await;
        }
        Ok(())
    }

    /// From this revision the host has gone back. One that has just started has nothing in force yet.
    async fn stay_back(&mut self, revision: Revision) -> Result<(), Gone> {
        self.built.tell_waits(self.trial.waits());
        if self.has_one {
            return Ok(());
        }
        let Some(before) = back::before(&self.store, &self.host, revision).await else { return Ok(()) };
        let input = self.input(before).await?;
        self.has_one |= matches!(input, Input::Topology { .. });
        self.send(input).await
    }

    /// What is passed on of a revision, built where nobody waits for the thread.
    async fn input(&self, newest: Newest) -> Result<Input, Gone> {
        let (host, built) = (self.host.clone(), self.built.clone());
        tokio::task::spawn_blocking(move || input(newest, &host, &built)).await.map_err(|_| Gone)
    }

    async fn send(&self, input: Input) -> Result<(), Gone> {
        self.arrivals.send(input).await.map_err(|_| Gone)
    }

    /// Takes what this host kept of a revision, where the store that it shares does not answer at the start, or has none. Of a database that
    /// has none and is the first that it knows, nothing is kept.
    async fn take_kept_if_away(&mut self) -> Result<(), Gone> {
        if self.store.is_of_one_host() {
            return Ok(());
        }
        let why = match tokio::time::timeout(PATIENCE_AT_START, self.store.root()).await {
            Ok(Ok(None)) if self.database.is_some() => "the store has no revision",
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(_)) | Err(_) => "the store is away",
        };
        let Some(kept) = kept::load(&self.store, &self.host).await else { return Ok(()) };
        let (revision, within) = (kept.revision.get(), kept.confirm_within);
        info!(revision, "{why}: the revision that was kept here is taken");
        let input = self.input(kept).await?;
        self.pass_on((input, within)).await
    }

    /// Keeps what was read last, so that the host can start without the store.
    async fn keep(&mut self, revision: Revision, within: Option<ConfirmWithin>) {
        if let Some(shards) = self.scope.take_last_read() {
            match within {
                Some(within) => self.mark(revision, within, false).await,
                None => kept::unmark(&self.store, revision, &self.database).await,
            }
            kept::keep(&self.store, &self.host, revision, &shards).await;
        }
    }

    /// The newest revision, read and compiled where nobody waits for the thread: of thousands of ports that takes a while, and this thread
    /// answers questions. One that does not build comes without a topology; the engine finds the mistakes again, and tells them.
    ///
    /// Before there was one that could be read, the last one that can be comes before one that cannot.
    async fn arrive(&mut self) -> Result<Vec<Arrived>, TopologyError> {
        let (root, database) = newest_of_one_database(&self.store).await?;
        self.come_to(database);
        let Some(root) = root else { return Ok(Vec::new()) };
        let (here, store) = (Handle::current(), Arc::clone(&self.store));
        let (host, built) = (self.host.clone(), self.built.clone());
        let fresh = Scope::of_follower(&self.store, &self.host);
        let (mut scope, has_one) = (std::mem::replace(&mut self.scope, fresh), self.has_one);
        let read = move || {
            let newest = here.block_on(newest_revisions(&store, &host, &mut scope, &root, has_one));
            let input = |newest: Newest| {
                let within = newest.confirm_within;
                (input(newest, &host, &built), within)
            };
            (scope, newest.map(|newest| newest.into_iter().map(input).collect()))
        };
        let (scope, arrived) =
            tokio::task::spawn_blocking(read).await.map_err(|_| TopologyError::Stopping)?;
        self.scope = scope;
        arrived
    }
}

/// The newest root, and the database of which it is.
async fn newest_of_one_database(store: &Store) -> Result<(Option<Root>, Option<String>), TopologyError> {
    loop {
        let database = store.database();
        let root = newest_root(store).await?;
        // Which one it is may have been learned, or may have changed, by reading.
        if store.database() == database {
            return Ok((root, database));
        }
    }
}

async fn newest_revisions(
    store: &Store,
    host: &str,
    scope: &mut Scope,
    root: &Root,
    has_one: bool,
) -> Result<Vec<Newest>, TopologyError> {
    let mut newest = scope.read(store, root).await?;
    if root.confirm_within.is_some()
        && newest.stored.is_ok()
        && let Err(why) = back::secure(store, host, root).await?
    {
        newest.stored = Err(format!(
            "it is not confirmed yet, and the revision before, to go back to, cannot be had: {why}"
        ));
    }
    let before = match !has_one && newest.stored.is_err() {
        true => scope.last_readable(store).await?,
        false => None,
    };
    Ok(before.into_iter().chain([newest]).collect())
}

fn input(Newest { revision, stored, .. }: Newest, host: &str, built: &Built) -> Input {
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

fn revision_of(arrived: Option<&Arrived>) -> Option<Revision> {
    revision_of_input(&arrived?.0)
}

fn revision_of_input(input: &Input) -> Option<Revision> {
    match input {
        Input::Topology { revision, .. } | Input::Unreadable { revision, .. } => Revision::new(*revision),
        _ => None,
    }
}

/// Comes when it is then; never, where there is no such time.
async fn reach(then: Option<Instant>) {
    match then {
        Some(then) => tokio::time::sleep(then.since(clock::now())).await,
        None => std::future::pending().await,
    }
}

/// When a store that could not be read is read again; twice as long after each time.
const READ_AGAIN: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long a start waits for a store that is shared before it takes what the host kept.
const PATIENCE_AT_START: Duration = Duration::from_secs(3);
/// How long the store is asked for a confirmation when the time for one is over: about what a server needs that has to catch up.
const LAST_LOOK: Duration = Duration::from_secs(1);
/// How long publishing is waited for, and when it is tried again.
const PATIENCE: Duration = Duration::from_secs(5);
const TRY_AGAIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
