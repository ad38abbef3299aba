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

use nsdb::{
    AddressFeed, Documents, HostId, Root, SessionId, SessionInfo, Sessions, ShardId, ShardName, Store,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};
use tracing::debug;
use vlan::model::description::HostKind;

use crate::documents::{HOSTS, NUMBERS, from_shards};
use crate::input::Input;
use crate::presence::HostWord;
use crate::runtime::{Request, ask};
use crate::topology::newest_root;
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
        declared: Declared::default(),
        absences: Absences::default(),
        begun: Instant::now(),
    };
    loop {
        sleep(look).await;
        if !keeper.take_turn().await {
            return;
        }
    }
}

struct Keeper {
    store: Arc<Store>,
    ends: Ends,
    declared: Declared,
    absences: Absences,
    begun: Instant,
}

/// Which host has which number, as far as was read.
#[derive(Debug, Default)]
struct Declared {
    /// By their documents; `None` for a VTEP, on which no daemon of ours runs.
    hosts: BTreeMap<ShardName, (ShardId, Option<(String, u32)>)>,
    /// The next number that is dealt out.
    next: u32,
}

enum Failed {
    /// Nobody takes what arrives, or answers, any more.
    Gone,
    Store(String),
}

impl Keeper {
    /// Looks, if that is this host's part. Whether somebody is there to be told.
    async fn take_turn(&mut self) -> bool {
        match self.look().await {
            Ok(true) => return true,
            Ok(false) => {}
            Err(Failed::Store(why)) => {
                debug!(why, "the store does not say which hosts are gone now");
                let session = *self.ends.session.borrow();
                if let Some(session) = session {
                    self.let_go(session).await;
                }
            }
            Err(Failed::Gone) => return false,
        }
        self.absences.break_off();
        true
    }

    /// Looks once, if that is this host's part. Whether it was.
    async fn look(&mut self) -> Result<bool, Failed> {
        let Some(session) = *self.ends.session.borrow() else { return Ok(false) };
        // In a fleet that is all that the others ask.
        if self.store.holder(LEASE).await?.is_some_and(|lease| lease.session != session) {
            return Ok(false);
        }
        let progress = ask(&self.ends.requests, |engine, _| engine.view().progress()).await;
        let in_force = progress.ok_or(Failed::Gone)?.revision;
        let Some(root) = newest_root(&self.store).await?.filter(|root| root.revision.get() == in_force)
        else {
            // By another revision than the newest it does not know who is declared: let another host look.
            self.let_go(session).await;
            return Ok(false);
        };
        match self.store.acquire(session, LEASE).await {
            Ok(_) => {}
            Err(error) if error.is_held() || error.is_lost() => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        self.read_hosts(&root).await?;
        let sessions = self.store.sessions().await?;
        let gone = self.declared.without(&sessions);
        let due = self.absences.look(self.begun.elapsed(), &gone, heard_of(&gone, &sessions).as_ref());
        if !due.is_empty() {
            self.withdraw(due).await?;
        }
        Ok(true)
    }

    /// Lets another host look, which may find what this one does not.
    async fn let_go(&self, session: SessionId) {
        if let Err(error) = self.store.release(session, LEASE).await {
            debug!(%error, "the lease to look which hosts are gone is not given back");
        }
    }

    /// Reads the documents of hosts that are others than before.
    async fn read_hosts(&mut self, root: &Root) -> Result<(), Failed> {
        let names = self.store.names(root, &[HOSTS, NUMBERS]).await?;
        self.declared.hosts.retain(|name, (id, _)| names.get(name) == Some(id));
        let known = &self.declared.hosts;
        let new = names.into_iter().filter(|(name, _)| !known.contains_key(name));
        let new: BTreeMap<ShardName, ShardId> = new.collect();
        // The counters of numbers are always among them.
        let contents = self.store.read_all(new.values().copied().collect()).await?;
        let shards = new.iter().filter_map(|(name, id)| Some((name.as_str(), contents.get(id)?.as_slice())));
        let read = from_shards(shards)?;
        let numbers = read.numbers.unwrap_or_default();
        self.declared.next = numbers.next_host;
        for host in read.description.hosts {
            let name = ShardName::new(format!("{HOSTS}{}", host.name))?;
            let Some(id) = new.get(&name).copied() else { continue };
            let number = numbers.hosts.get(&host.name).filter(|_| host.kind == HostKind::L2gw);
            let numbered = number.map(|number| (host.name, *number));
            self.declared.hosts.insert(name, (id, numbered));
        }
        Ok(())
    }

    async fn withdraw(&mut self, due: BTreeSet<u32>) -> Result<(), Failed> {
        let owners = due.iter().copied().map(HostId).collect();
        let withdrawn = self.store.withdraw(owners).await?;
        self.absences.note_withdrawn(self.begun.elapsed(), due);
        for (owner, words) in withdrawn.into_iter().filter(|(_, words)| *words > 0) {
            let host = self.declared.name_of(owner.0);
            let news = Input::Withdrawn { host, words };
            self.ends.arrivals.send(news).await.map_err(|_| Failed::Gone)?;
        }
        Ok(())
    }
}

impl Declared {
    fn numbered(&self) -> impl Iterator<Item = (&str, u32)> {
        self.hosts
            .values()
            .filter_map(|(_, host)| host.as_ref().map(|(name, number)| (name.as_str(), *number)))
    }

    /// The numbers of hosts that have no session, and of those that are no more.
    fn without(&self, sessions: &[SessionInfo]) -> BTreeSet<u32> {
        let there: BTreeSet<&str> = sessions.iter().map(|session| session.name.as_str()).collect();
        let taken: BTreeSet<u32> = self.numbered().map(|(_, number)| number).collect();
        let lately = self.next.saturating_sub(REMEMBERED).max(1)..self.next;
        let retired = lately.filter(|number| !taken.contains(number));
        let gone = self.numbered().filter(|(name, _)| !there.contains(name)).map(|(_, number)| number);
        gone.chain(retired).collect()
    }

    fn name_of(&self, number: u32) -> String {
        let name = self.numbered().find(|(_, of)| *of == number).map(|(name, _)| name.to_owned());
        name.unwrap_or_else(|| format!("number {number}, which the topology has no more"))
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

/// Whatever the store has said: it is asked again when the time comes.
impl<E: std::error::Error> From<E> for Failed {
    fn from(error: E) -> Failed {
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
