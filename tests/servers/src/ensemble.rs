//! Servers that belong together: their start, and who leads.

use std::fmt::Write;
use std::time::{Duration, Instant};

use crate::address::Block;
use crate::error::ServersError;
use crate::folder::Folder;
use crate::java;
use crate::options::Options;
use crate::prepare::prepare;
use crate::relay::Relay;
use crate::server::{PATIENCE, Server};
use crate::words::Mode;

/// One server or several, each with a relay in front. Dropping it ends all and removes what they wrote.
#[derive(Debug)]
pub struct Ensemble {
    // In the order in which they are dropped: the folder after those that write into it, the addresses after those that listen.
    relays: Vec<Relay>,
    servers: Vec<Server>,
    _folder: Folder,
    _block: Block,
}

impl Ensemble {
    /// Starts servers and returns when all serve.
    ///
    /// # Errors
    /// The options are wrong, something is not installed, or a server does not come up within 60 s; then with its log.
    pub fn start(options: Options) -> Result<Ensemble, ServersError> {
        options.check()?;
        let java = java::find()?;
        let block = Block::claim(options.servers)?;
        let folder = Folder::make()?;
        let mut servers = Vec::new();
        let mut relays = Vec::new();
        for place in 0..options.servers {
            let own = folder.path().join(format!("server-{}", place + 1));
            let disk = prepare(&options, &block, place, &own)?;
            let server = Server::new(place + 1, block.server(place, 0), own, disk, &options, &java);
            server.restart()?;
            relays.push(Relay::listen(block.relay(place), server.address())?);
            servers.push(server);
        }
        let ensemble = Ensemble { relays, servers, _folder: folder, _block: block };
        ensemble.wait_until_ready()?;
        Ok(ensemble)
    }

    /// Its servers, in the order of their numbers.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The relays in front of them, in the same order.
    pub fn relays(&self) -> &[Relay] {
        &self.relays
    }

    /// Where a client reaches all servers past the relays: `127.…:12181,127.…:12181`.
    pub fn connection_string(&self) -> String {
        join(self.servers.iter().map(Server::address))
    }

    /// Where a client reaches all servers through their relays.
    pub fn relayed_string(&self) -> String {
        join(self.relays.iter().map(Relay::address))
    }

    /// The server that leads, or the one that is alone.
    ///
    /// # Errors
    /// None does: there is no quorum, or the leader is stopped.
    pub fn leader(&self) -> Result<&Server, ServersError> {
        self.leader_within(PATIENCE).ok_or_else(|| self.not_ready("led", Duration::ZERO))
    }

    /// The server that has the connection of a session, if one has. One that is stopped does not tell.
    pub fn server_of(&self, session: u64) -> Option<&Server> {
        self.servers.iter().find(|server| {
            let connections = server.connections().unwrap_or_default();
            connections.iter().any(|connection| connection.session == Some(session))
        })
    }

    /// Waits until every server that runs serves, and one leads.
    ///
    /// # Errors
    /// They do not within 60 s, or none runs.
    pub fn wait_until_ready(&self) -> Result<(), ServersError> {
        self.wait("serving, all that run", |ensemble, patience| {
            let mut running = ensemble.servers.iter().filter(|server| server.is_running());
            running.all(|server| server.mode_within(patience).is_some())
                && ensemble.leader_within(patience).is_some()
        })
    }

    /// Waits until one leads: writes are possible, though some servers may not be.
    ///
    /// # Errors
    /// None does within 60 s.
    pub fn wait_for_quorum(&self) -> Result<(), ServersError> {
        self.wait("led", |ensemble, patience| ensemble.leader_within(patience).is_some())
    }

    fn leader_within(&self, patience: Duration) -> Option<&Server> {
        let leads = |mode| matches!(mode, Mode::Leader | Mode::Standalone);
        self.servers.iter().find(|server| server.mode_within(patience).is_some_and(leads))
    }

    /// Asks again and again, with the more patience the longer it takes.
    fn wait(
        &self,
        what: &'static str,
        is_so: impl Fn(&Ensemble, Duration) -> bool,
    ) -> Result<(), ServersError> {
        let start = Instant::now();
        while !is_so(self, (start.elapsed() / 4).clamp(IMPATIENCE, PATIENCE)) {
            let is_dead = self.servers.iter().all(|server| !server.is_running());
            if is_dead || start.elapsed() > LIMIT {
                return Err(self.not_ready(what, start.elapsed()));
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    fn not_ready(&self, what: &'static str, after: Duration) -> ServersError {
        let mut state = String::new();
        for server in &self.servers {
            let word = if server.is_running() { "running" } else { "dead" };
            // Writing to a String does not fail.
            let _ = write!(state, "\nserver {} is {word}:\n{}", server.number(), server.log());
        }
        ServersError::NotReady { what, after, state }
    }
}

fn join(addresses: impl Iterator<Item = std::net::SocketAddr>) -> String {
    addresses.map(|address| address.to_string()).collect::<Vec<_>>().join(",")
}

/// Three servers that share two CPUs with a build and other tests are up in a few seconds.
const LIMIT: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(20);

/// How long a server that is starting may think about a question at first.
const IMPATIENCE: Duration = Duration::from_millis(200);
