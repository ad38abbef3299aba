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

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};
use zookeeper_client::{Client, Error, SessionInfo, SessionState};

use crate::zookeeper::settings::ZooKeeperSettings;

/// How the connection stands.
#[derive(Debug, Clone)]
pub struct Standing(Connection);

#[derive(Debug, Clone)]
enum Connection {
    Up(Client),
    Away,
    Closed,
}

impl Standing {
    /// Whether a server is there.
    pub fn is_connected(&self) -> bool {
        matches!(self.0, Connection::Up(_))
    }

    /// Whether the session was closed by us.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.0, Connection::Closed)
    }

    pub(super) fn client(&self) -> Option<Client> {
        match &self.0 {
            Connection::Up(client) => Some(client.clone()),
            Connection::Away | Connection::Closed => None,
        }
    }

    /// Why a call had to end, in words.
    pub(super) fn why(&self, settings: &ZooKeeperSettings) -> String {
        let servers = settings.ensemble();
        match self.0 {
            Connection::Up(_) => format!("{servers} did not answer within {} s", settings.patience.as_secs()),
            Connection::Away => {
                format!("none of {servers} answers")
            }
            Connection::Closed => "the session was closed".to_owned(),
        }
    }
}

/// Begins. The task ends when what is returned first is dropped or set.
pub(super) fn begin(settings: Arc<ZooKeeperSettings>) -> (watch::Sender<bool>, watch::Receiver<Standing>) {
    let (end, ended) = watch::channel(false);
    let (standing, seen) = watch::channel(Standing(Connection::Away));
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
        match self.connect().await {
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

    async fn stay_with(&mut self, client: Client) {
        let mut states = client.state_watcher();
        let mut state = client.state();
        loop {
            match state {
                SessionState::SyncConnected | SessionState::ConnectedReadOnly => {
                    self.standing.send_replace(Standing(Connection::Up(client.clone())));
                }
                SessionState::Disconnected => {
                    warn!("the ZooKeeper server is away: looking for another");
                    self.standing.send_replace(Standing(Connection::Away));
                }
                SessionState::AuthFailed | SessionState::Expired | SessionState::Closed => break,
            }
            state = states.changed().await;
        }
        if self.standing.borrow().is_connected() {
            self.standing.send_replace(Standing(Connection::Away));
        }
    }

    /// Lets go of the client, whose last clone ends the session, and waits until a server was told.
    async fn close(self) {
        let last = self.standing.borrow().client();
        let told = last.map(|client| client.state_watcher());
        self.standing.send_modify(|standing| standing.0 = Connection::Away);
        if let Some(mut told) = told {
            let closing = async { while !told.changed().await.is_terminated() {} };
            let _ = tokio::time::timeout(CLOSING, closing).await;
        }
        self.standing.send_replace(Standing(Connection::Closed));
    }
}

/// 100 ms, doubled with each failure up to some two seconds, and half of it by chance: a thousand hosts do not come at once.
fn pause(failures: u32) -> Duration {
    let most = 100_u64 << failures.min(5);
    let chance = RandomState::new().hash_one(failures) % (most / 2).max(1);
    Duration::from_millis(most / 2 + chance)
}

/// How long the servers may take to hear that a session is closed.
const CLOSING: Duration = Duration::from_millis(800);
