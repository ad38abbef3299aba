//! This host among the others: a session in the store by which they see that it is there, and in it what `l2gw show status` says here.
//!
//! ```text
//!   opens a session with the host's name ──► says what it is at, looks every second whether that changed ──┐
//!     ▲        │ another machine has the name                        │ the session is lost                  │ every 10 s a sign of life
//!     │        ▼                                                     ▼                                      │
//!     └── waits until the name is free, and tells `host-twice` ◄── somebody else opened it                  ┘
//! ```
//! Nothing hangs on a session: forwarding goes on without, and the address feed too.

mod hears;

use std::sync::Arc;
use std::time::Duration;

use nsdb::{MAX_WORD_BYTES, SessionId, Sessions, SessionsError};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use crate::clock;
use crate::engine::Engine;
use crate::engine::show::Progress;
use crate::input::Input;
use crate::revisions::Unconfirmed;
use crate::runtime::{Request, ask};
use crate::topology::Built;
use crate::view::StatusView;

pub use hears::Hears;

/// What a host says of itself to all who read the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostWord {
    /// The version of the daemon.
    pub version: String,
    /// When it was started, in milliseconds since 1970 by the host's own clock.
    pub started_ms: u64,
    /// When this was said, by the same clock. It is said again at least every 30 s.
    pub said_ms: u64,
    /// What `l2gw show status` said on the host then.
    pub status: StatusView,
    /// Which other hosts it heard then; `None` of a version that does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hears: Option<Hears>,
}

/// What it asks, and whom it tells.
#[derive(Debug, Clone)]
pub struct Ends {
    /// The engine.
    pub requests: mpsc::Sender<Request>,
    /// Where it is told that another has the name.
    pub arrivals: mpsc::Sender<Input>,
    /// Which session this host has.
    pub session: watch::Sender<Option<SessionId>>,
}

/// How often what is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How long a session lives without a sign of life, by this process' own clock. Where the process is gone the servers end it, sooner.
    pub ttl: Duration,
    /// How often there is a sign of life.
    pub alive: Duration,
    /// How often it is said what addresses and flows there are.
    pub say: Duration,
    /// How soon it is said that other hosts are heard, or are not.
    pub soon: Duration,
    /// How often it is looked whether a revision came into force.
    pub look: Duration,
    /// When a name that another process has is tried again.
    pub again: Duration,
    /// From when on it is certain that a session of another machine is not this host's own, from before it lost power.
    pub certain: Duration,
}

impl Default for Pace {
    /// A session of 60 s with a sign of life every 10 s. A word every 30 s, which is 33 writes a second of 1 000 hosts, and 5 s after the one
    /// before where others are heard that were not. A look every second, a taken name every 5 s. Certain after 50 s: servers end a session that nobody keeps after at most 40 s, by their default (20 ticks of
    /// 2 s, `maxSessionTimeout`).
    fn default() -> Pace {
        let seconds = Duration::from_secs;
        Pace {
            ttl: seconds(60),
            alive: seconds(10),
            say: seconds(30),
            soon: seconds(5),
            look: seconds(1),
            again: seconds(5),
            certain: seconds(50),
        }
    }
}

/// Keeps a session with the name `host` for as long as somebody takes what arrives.
pub async fn keep<S: Sessions>(store: Arc<S>, host: String, pace: Pace, built: Built, ends: Ends) {
    let started_ms = clock::wall_ms();
    let mut presence = Presence { store, host, pace, built, ends, started_ms, told: None };
    let mut taken_since = None;
    let mut pause = AGAIN;
    loop {
        let ended = match presence.open().await {
            Ok(session) => {
                (taken_since, pause) = (None, AGAIN);
                presence.ends.session.send_replace(Some(session));
                let ended = presence.tell(None).await.and(presence.live(session).await);
                presence.ends.session.send_replace(None);
                ended
            }
            Err(SessionsError::Elsewhere { machine, .. }) => {
                let since = *taken_since.get_or_insert_with(Instant::now);
                presence.wait_for_name(machine, since.elapsed() >= pace.certain).await
            }
            Err(error) => {
                debug!(%error, "the store does not take this host's session now");
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                Ok(())
            }
        };
        if ended.is_err() {
            return;
        }
    }
}

/// Nobody takes what arrives, or answers, any more.
struct Gone;

struct Presence<S> {
    store: Arc<S>,
    host: String,
    pace: Pace,
    /// Which revision waits for its confirmation.
    built: Built,
    ends: Ends,
    started_ms: u64,
    /// On which machine another process has the name, as was told last.
    told: Option<String>,
}

impl<S: Sessions> Presence<S> {
    /// Opens the session; one that an earlier process of this machine has left ends with that.
    async fn open(&self) -> Result<SessionId, SessionsError> {
        self.store.open_session(&self.host, self.pace.ttl).await
    }

    /// Says what there is to say until the session is lost.
    async fn live(&mut self, session: SessionId) -> Result<(), Gone> {
        let mut said: Option<(Progress, Instant)> = None;
        let mut alive_at = Instant::now();
        loop {
            let progress =
                ask(&self.ends.requests, |engine, _| engine.view().progress()).await.ok_or(Gone)?;
            let is_due =
                said.as_ref().is_none_or(|(last, at)| at.elapsed() >= self.patience(last, &progress));
            let done = match (is_due, alive_at.elapsed() >= self.pace.alive) {
                (true, _) => self.say(session).await?,
                (false, true) => self.store.keep_alive(session).await,
                (false, false) => {
                    sleep(self.pace.look).await;
                    continue;
                }
            };
            match done {
                Ok(()) if is_due => (said, alive_at) = (Some((progress, Instant::now())), Instant::now()),
                Ok(()) => alive_at = Instant::now(),
                Err(error) if error.is_lost() => return self.wait_while_taken().await,
                Err(error) => debug!(%error, "the store does not take what this host says of itself now"),
            }
            sleep(self.pace.look).await;
        }
    }

    /// How long what is so now may wait behind what was said last. While a fleet starts, each host comes to hear the others one by one.
    fn patience(&self, last: &Progress, now: &Progress) -> Duration {
        match *last == (Progress { heard: last.heard, ..*now }) {
            false => Duration::ZERO,
            true if last.heard != now.heard => self.pace.soon,
            true => self.pace.say,
        }
    }

    /// Says what is so now; that is a sign of life too.
    async fn say(&self, session: SessionId) -> Result<Result<(), SessionsError>, Gone> {
        let said = |engine: &Engine, now| (engine.view().status(now), engine.view().hears());
        let (mut status, hears) = ask(&self.ends.requests, said).await.ok_or(Gone)?;
        status.unconfirmed = Unconfirmed::here(&self.built);
        let (version, said_ms) = (env!("CARGO_PKG_VERSION").to_owned(), clock::wall_ms());
        let word = HostWord {
            version,
            started_ms: self.started_ms,
            said_ms,
            status,
            hears: Some(hears.into_iter().collect()),
        };
        Ok(self.store.say(session, in_bounds(word)).await)
    }

    /// A session was lost. If another process of this machine has the name now, it was started later, and keeps it: two that take it from
    /// each other would help nobody.
    async fn wait_while_taken(&mut self) -> Result<(), Gone> {
        loop {
            match self.store.session_named(&self.host).await {
                Ok(None) => return Ok(()),
                Ok(Some(_)) => self.wait_for_name("this machine".to_owned(), true).await?,
                // It is lost with the connection to the servers, then.
                Err(_) => return Ok(()),
            }
        }
    }

    /// Waits a while, and tells who has the name once it is certain that it is not this host before it was started anew.
    async fn wait_for_name(&mut self, machine: String, is_certain: bool) -> Result<(), Gone> {
        if is_certain {
            self.tell(Some(machine)).await?;
        }
        sleep(self.pace.again).await;
        Ok(())
    }

    async fn tell(&mut self, machine: Option<String>) -> Result<(), Gone> {
        if self.told == machine {
            return Ok(());
        }
        self.told.clone_from(&machine);
        self.ends.arrivals.send(Input::Namesake(machine)).await.map_err(|_| Gone)
    }
}

/// A word as text that a session may say. Of one that is too long the texts are cut that may be of any length.
fn in_bounds(mut word: HostWord) -> String {
    let encoded = |word: &HostWord| {
        serde_json::to_string(word).unwrap_or_else(|error| {
            warn!(%error, "what this host says of itself cannot be written");
            String::new()
        })
    };
    let whole = encoded(&word);
    if whole.len() <= MAX_WORD_BYTES {
        return whole;
    }
    let status = &mut word.status;
    let whys = [
        status.unread.as_mut().map(|unread| &mut unread.why),
        status.store_away.as_mut().map(|away| &mut away.why),
        status.others.as_mut().and_then(|others| others.no_tunnel.as_mut()),
        status.feed.as_mut().and_then(|feed| feed.refused.as_mut()),
    ];
    whys.into_iter().flatten().for_each(|why| *why = why.chars().take(WHY_CHARACTERS).collect());
    status.down.clear();
    status.no_such_host = None;
    word.hears = None;
    let cut = encoded(&word);
    if cut.len() <= MAX_WORD_BYTES { cut } else { String::new() }
}

/// When a store that does not take a session is asked again; twice as long after each time.
const AGAIN: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Characters of a text that may be of any length, where all of them are too many.
const WHY_CHARACTERS: usize = 500;

#[cfg(test)]
mod tests;
