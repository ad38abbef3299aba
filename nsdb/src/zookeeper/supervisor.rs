//! The task that keeps a session: it finds a server, and after an end of the session begins the next.
//!
//! ```text
//!            found a server                   no answer for 2/5 of the timeout
//! looking ────────────────────► connected ───────────────────────────────────► away ──┐
//!    ▲                              ▲                                            │    │
//!    │                              └──────── another server, same session ──────┘    │
//!    └──── the servers ended the session, or nobody answered for 7/5 of it ◄──────────┘
//! ```
//! When nobody answered, the session may still be alive: an ensemble that was down counts no time. So the supervisor asks for the same
//! session first, and takes a new one only where a server says that it is gone.

use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::{info, warn};
use zookeeper_client::{Client, Error, SessionInfo, SessionState};

use crate::zookeeper::settings::ZooKeeperSettings;

/// How the connection stands.
#[derive(Debug, Clone)]
pub struct Standing {
    connection: Connection,
    /// How often a server was found.
    connections: u64,
    /// Since when there is a server, or none.
    since: Instant,
}

#[derive(Debug, Clone)]
enum Connection {
    Up(Client),
    Away {
        /// What is wrong with the servers' names, in words; empty where nothing is.
        unresolved: Vec<String>,
    },
    Closed,
}

impl Standing {
    /// Whether a server is there.
    pub fn is_connected(&self) -> bool {
        matches!(self.connection, Connection::Up(_))
    }

    /// Whether the session was closed by us.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.connection, Connection::Closed)
    }

    pub(super) fn client(&self) -> Option<Client> {
        match &self.connection {
            Connection::Up(client) => Some(client.clone()),
            Connection::Away { .. } | Connection::Closed => None,
        }
    }

    /// For how long no server has been there; `None` where one is.
    pub fn away_for(&self) -> Option<Duration> {
        (!self.is_connected()).then(|| self.since.elapsed())
    }

    pub(super) fn connections(&self) -> u64 {
        self.connections
    }

    /// Why a call had to end, in words.
    pub(super) fn why(&self, settings: &ZooKeeperSettings) -> String {
        let servers = settings.ensemble();
        match &self.connection {
            Connection::Up(_) => format!("{servers} did not answer within {} s", settings.patience.as_secs()),
            Connection::Away { unresolved } => {
                let none = format!("none of {servers} answers");
                [&[none], unresolved.as_slice()].concat().join("; ")
            }
            Connection::Closed => "the session was closed".to_owned(),
        }
    }
}

/// Begins. The task ends when what is returned first is dropped or set.
pub(super) fn begin(settings: Arc<ZooKeeperSettings>) -> (watch::Sender<bool>, watch::Receiver<Standing>) {
    let (end, ended) = watch::channel(false);
    let away = Connection::Away { unresolved: Vec::new() };
    let (standing, seen) =
        watch::channel(Standing { connection: away, connections: 0, since: Instant::now() });
    tokio::spawn(Supervisor { settings, standing, session: None, failures: 0 }.run(ended));
    (end, seen)
}

struct Supervisor {
    settings: Arc<ZooKeeperSettings>,
    standing: watch::Sender<Standing>,
    /// The session that was had last, until a server says that it is gone.
    session: Option<SessionInfo>,
    failures: u32,
}

impl Supervisor {
    async fn run(mut self, mut ended: watch::Receiver<bool>) {
        let end = async { drop(ended.wait_for(|is_ended| *is_ended).await) };
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => break,
                () = self.one_session() => {}
            }
        }
        self.close().await;
    }

    /// Looks for a server, and stays with the session until its end.
    async fn one_session(&mut self) {
        let connected = tokio::select! {
            connected = self.connect() => connected,
            never = self.watch_names() => match never {},
        };
        match connected {
            Ok(client) => {
                self.failures = 0;
                let session = client.session_id().0;
                info!(session = format!("{session:#x}"), "connected to ZooKeeper");
                self.session = Some(client.session().clone());
                self.stay_with(client).await;
            }
            Err(Error::SessionExpired) => {
                warn!("the ZooKeeper session has ended while no server answered: a new one begins");
                self.session = None;
            }
            Err(error) => {
                if self.failures == 0 {
                    warn!(servers = self.settings.ensemble(), %error, "no ZooKeeper server answers: looking on");
                }
                self.failures = self.failures.saturating_add(1);
                tokio::time::sleep(pause(self.failures)).await;
            }
        }
    }

    async fn connect(&self) -> Result<Client, Error> {
        let mut connector = Client::connector().with_session_timeout(self.settings.session_timeout);
        if let Some(login) = &self.settings.login {
            connector = connector.with_auth("digest", &login.as_bytes());
        }
        if let Some(session) = &self.session {
            connector = connector.with_session(session.clone());
        }
        connector.connect(&self.settings.connection()).await
    }

    /// Says which names lead nowhere, for as long as no server is found.
    async fn watch_names(&self) -> Infallible {
        loop {
            self.note_away(unresolved(&self.settings.servers).await);
            tokio::time::sleep(NAMES_AGAIN).await;
        }
    }

    async fn stay_with(&mut self, client: Client) {
        let mut states = client.state_watcher();
        let mut state = client.state();
        loop {
            match state {
                SessionState::SyncConnected | SessionState::ConnectedReadOnly => {
                    self.note_found(client.clone());
                }
                SessionState::Disconnected => {
                    warn!("the ZooKeeper server is away: looking for another");
                    self.note_away(Vec::new());
                }
                SessionState::AuthFailed | SessionState::Expired | SessionState::Closed => break,
            }
            state = tokio::select! {
                state = states.changed() => state,
                never = self.watch_names(), if !self.standing.borrow().is_connected() => match never {},
            };
        }
        if self.standing.borrow().is_connected() {
            self.note_away(Vec::new());
        }
    }

    fn note_found(&self, client: Client) {
        self.standing.send_modify(|standing| {
            standing.connection = Connection::Up(client);
            standing.connections += 1;
            standing.since = Instant::now();
        });
    }

    /// Wakes whoever watches only where it is news.
    fn note_away(&self, unresolved: Vec<String>) {
        self.standing.send_if_modified(|standing| match &mut standing.connection {
            Connection::Away { unresolved: known } => {
                std::mem::replace(known, unresolved.clone()) != unresolved
            }
            connection => {
                *connection = Connection::Away { unresolved };
                standing.since = Instant::now();
                true
            }
        });
    }

    /// Lets go of the client, whose last clone ends the session, and waits until a server was told.
    async fn close(self) {
        let last = self.standing.borrow().client();
        let told = last.map(|client| client.state_watcher());
        self.note_away(Vec::new());
        if let Some(mut told) = told {
            let closing = async { while !told.changed().await.is_terminated() {} };
            let _ = tokio::time::timeout(CLOSING, closing).await;
        }
        self.standing.send_modify(|standing| standing.connection = Connection::Closed);
    }
}

/// 100 ms, doubled with each failure up to some two seconds, and half of it by chance: a thousand hosts do not come at once.
fn pause(failures: u32) -> Duration {
    let most = 100_u64 << failures.min(5);
    let chance = RandomState::new().hash_one(failures) % (most / 2).max(1);
    Duration::from_millis(most / 2 + chance)
}

/// What the resolver says of those servers whose names lead nowhere.
async fn unresolved(servers: &[String]) -> Vec<String> {
    let resolve = |server: &String| {
        let server = server.clone();
        async move {
            let told = match tokio::time::timeout(RESOLVING, tokio::net::lookup_host(&server)).await {
                Ok(Ok(found)) => match found.count() {
                    0 => "it has no address".to_owned(),
                    _ => return None,
                },
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no name server has answered for {} s", RESOLVING.as_secs()),
            };
            let name = server.rsplit_once(':').map_or(server.as_str(), |(name, _)| name);
            Some(format!("{name} does not resolve: {told}"))
        }
    };
    futures::future::join_all(servers.iter().map(resolve)).await.into_iter().flatten().collect()
}

/// How long a name may take before it is told that nobody resolves it.
const RESOLVING: Duration = Duration::from_secs(2);
const NAMES_AGAIN: Duration = Duration::from_secs(2);

/// How long the servers may take to hear that a session is closed.
const CLOSING: Duration = Duration::from_millis(800);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zookeeper::coordinator::Coordinator;
    use crate::zookeeper::refusal::Refusal;

    #[tokio::test]
    async fn a_name_that_does_not_resolve_is_told_with_what_the_resolver_says() {
        // RFC 6761 6.4: no such name is ever there.
        let servers = ["127.0.0.1:1", "zk1.invalid:2181", "[::1]:1"].map(str::to_owned);
        let patience = Duration::from_secs(3);
        let settings = ZooKeeperSettings { patience, ..ZooKeeperSettings::new(servers.into(), "/", "m") };
        let coordinator = Coordinator::open(settings);
        let Err(Refusal::Away { why }) = coordinator.session().await else { panic!("somebody answers") };
        let told = "none of 127.0.0.1:1,zk1.invalid:2181,[::1]:1 answers; zk1.invalid does not resolve: ";
        let resolver = why.strip_prefix(told).unwrap_or_else(|| panic!("{why}"));
        assert!(!resolver.is_empty() && !resolver.contains("does not resolve"), "{why}");
    }
}
