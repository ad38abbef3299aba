//! Hosts that are gone: what they said of addresses is taken back by one host, on behalf of all (behaviour.md 7).
//!
//! ```text
//!   every 30 s, who holds the lease ── goes by the newest revision ──► which hosts have no session, and whom do the others hear?
//!        gone for 90 s, and heard by nobody ──► its words are withdrawn, from all segments ──► `addresses-withdrawn`
//! ```
//! Nothing waits for this: frames for what is behind a host that is not heard are flooded meanwhile. It keeps the tables of all from filling
//! with what nobody has, and the words of hosts that the topology has no more with them. A host that was away and not dead says its words again when
//! it reads that they are gone.

mod absences;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use nsdb::{AddressFeed, Documents, DocumentsError, FeedError, HostId, Root, SessionId, SessionInfo};
use nsdb::{Sessions, SessionsError, ShardId, ShardName, Store};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};
use tracing::debug;
use vlan::model::description::HostKind;

use crate::documents::{HOSTS, NUMBERS, from_shards};
use crate::input::Input;
use crate::presence::HostWord;
use crate::runtime::{Request, ask};
use crate::topology::{TopologyError, newest_root};
use absences::Absences;

/// What it asks, and whom it tells.
#[derive(Debug, Clone)]
pub struct Ends {
    /// This host's session, where it has one.
    pub session: watch::Receiver<Option<SessionId>>,
    /// The engine.
    pub requests: mpsc::Sender<Request>,
    /// Where it is told of what was withdrawn.
    pub arrivals: mpsc::Sender<Input>,
}

/// Withdraws what hosts that are gone have said, for as long as somebody takes what arrives. It looks every `look`.
pub async fn keep(store: Arc<Store>, look: Duration, ends: Ends) {
    let mut keeper = Keeper {
        store,
        ends,
        hosts: Default::default(),
        absences: Absences::default(),
        begun: Instant::now(),
    };
    loop {
        sleep(look).await;
        match keeper.look().await {
            Ok(true) => {}
            Ok(false) => keeper.absences.break_off(),
            Err(Failed::Store(why)) => {
                debug!(why, "the store does not say which hosts are gone now");
                keeper.absences.break_off();
            }
            Err(Failed::Gone) => return,
        }
    }
}

struct Keeper {
    store: Arc<Store>,
    ends: Ends,
    /// The hosts, and what was read to know them.
    hosts: (BTreeMap<ShardName, ShardId>, Declared),
    absences: Absences,
    begun: Instant,
}

/// Which host has which number.
#[derive(Debug, Default)]
struct Declared {
    /// Those that run an agent.
    numbers: BTreeMap<String, u32>,
    /// Numbers that were dealt out to hosts which the topology has no more.
    retired: BTreeSet<u32>,
}

enum Failed {
    /// Nobody takes what arrives, or answers, any more.
    Gone,
    Store(String),
}

impl Keeper {
    /// Looks once, if that is this host's part. Whether it was.
    async fn look(&mut self) -> Result<bool, Failed> {
        let Some(session) = *self.ends.session.borrow() else { return Ok(false) };
        match self.store.acquire(session, LEASE).await {
            Ok(_) => {}
            Err(error) if error.is_held() || error.is_lost() => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let progress = ask(&self.ends.requests, |engine, _| engine.view().progress()).await;
        let in_force = progress.ok_or(Failed::Gone)?.revision;
        let Some(root) = newest_root(&self.store).await? else { return Ok(false) };
        if root.revision.get() != in_force {
            return Ok(false);
        }
        self.read_hosts(&root).await?;
        let sessions = self.store.sessions().await?;
        let gone = self.hosts.1.without(&sessions);
        let due = self.absences.look(self.begun.elapsed(), &gone, heard_of(&gone, &sessions).as_ref());
        if !due.is_empty() {
            self.withdraw(due).await?;
        }
        Ok(true)
    }

    /// Reads them anew where they are others than before.
    async fn read_hosts(&mut self, root: &Root) -> Result<(), Failed> {
        let names = self.store.names(root, &[HOSTS, NUMBERS]).await?;
        if names == self.hosts.0 {
            return Ok(());
        }
        let shards = self.store.read_shards(root, &[HOSTS, NUMBERS]).await?;
        let stored = from_shards(shards.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())))
            .map_err(|error| Failed::Store(error.to_string()))?;
        let numbers = stored.numbers.unwrap_or_default();
        let taken: BTreeSet<u32> = numbers.hosts.values().copied().collect();
        let lately = numbers.next_host.saturating_sub(REMEMBERED).max(1)..numbers.next_host;
        let retired = lately.filter(|number| !taken.contains(number)).collect();
        // On a VTEP no daemon of ours runs, and it says nothing.
        let ours = stored.description.hosts.into_iter().filter(|host| host.kind == HostKind::L2gw);
        let numbers = ours.filter_map(|host| Some((numbers.hosts.get(&host.name).copied()?, host.name)));
        let numbers = numbers.map(|(number, name)| (name, number)).collect();
        self.hosts = (names, Declared { numbers, retired });
        Ok(())
    }

    async fn withdraw(&mut self, due: BTreeSet<u32>) -> Result<(), Failed> {
        let owners = due.iter().copied().map(HostId).collect();
        let withdrawn = self.store.withdraw(owners).await?;
        self.absences.note_withdrawn(due);
        for (owner, words) in withdrawn {
            let host = self.name_of(owner.0);
            let news = Input::Withdrawn { host, words };
            self.ends.arrivals.send(news).await.map_err(|_| Failed::Gone)?;
        }
        Ok(())
    }

    fn name_of(&self, number: u32) -> String {
        let name = self.hosts.1.numbers.iter().find(|(_, of)| **of == number).map(|(name, _)| name.clone());
        name.unwrap_or_else(|| format!("number {number}, which the topology has no more"))
    }
}

impl Declared {
    /// The numbers of hosts that have no session, and of those that are no more.
    fn without(&self, sessions: &[SessionInfo]) -> BTreeSet<u32> {
        let there: BTreeSet<&str> = sessions.iter().map(|session| session.name.as_str()).collect();
        let gone = self.numbers.iter().filter(|(name, _)| !there.contains(name.as_str()));
        gone.map(|(_, number)| *number).chain(self.retired.iter().copied()).collect()
    }
}

/// Which of these hosts are heard by one that is there; `None` where one of those does not say whom it hears.
fn heard_of(gone: &BTreeSet<u32>, sessions: &[SessionInfo]) -> Option<BTreeSet<u32>> {
    let mut heard = BTreeSet::new();
    for session in sessions {
        let word: HostWord = serde_json::from_str(&session.word).ok()?;
        let hears = word.hears?;
        heard.extend(gone.iter().copied().filter(|host| hears.contains(*host)));
    }
    Some(heard)
}

impl From<DocumentsError> for Failed {
    fn from(error: DocumentsError) -> Failed {
        Failed::Store(error.to_string())
    }
}

impl From<SessionsError> for Failed {
    fn from(error: SessionsError) -> Failed {
        Failed::Store(error.to_string())
    }
}

impl From<TopologyError> for Failed {
    fn from(error: TopologyError) -> Failed {
        Failed::Store(error.to_string())
    }
}

impl From<FeedError> for Failed {
    fn from(error: FeedError) -> Failed {
        Failed::Store(error.to_string())
    }
}

/// Whoever has it looks after those that are gone.
const LEASE: &str = "absent-hosts";
/// Numbers that were dealt out last: of hosts that are no more, those with greater ones are looked after.
const REMEMBERED: u32 = 65_536;
/// How often the daemon looks: of a fleet each host asks for the lease so often.
pub const LOOK_EVERY: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
