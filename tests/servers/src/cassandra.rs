//! A real Cassandra node for tests: its process, what becomes of it, and what it is asked.
//!
//! It is Apache Cassandra as `tests/setup/cassandra.sh` fetches it, alone in its cluster.

mod options;
mod prepare;
mod program;
mod question;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::address::Block;
use crate::certificates::Certificates;
use crate::disk::SmallDisk;
use crate::error::ServersError;
use crate::folder::Folder;
use crate::java;
use crate::process::Process;
use crate::relay::Relay;

use options::Tls;
pub use options::{CASSANDRA_ROLE, CassandraOptions};
pub(crate) use program::find;
use program::{DATA, Program};
use question::Node;

/// One node, with a relay in front. Dropping it ends it and removes what it wrote.
#[derive(Debug)]
pub struct Cassandra {
    // In the order in which they are dropped: the folder after the process that writes into it, the addresses after those that listen.
    relay: Relay,
    process: Process,
    disk: Option<SmallDisk>,
    certificates: Option<Certificates>,
    options: CassandraOptions,
    program: Program,
    node: Node,
    folder: Folder,
    _block: Block,
}

impl Cassandra {
    /// Starts a node and returns when it answers; with a login, when its first role can log in.
    ///
    /// # Errors
    /// The options are wrong, something is not there, or the node does not come up within two minutes; then with its log.
    pub fn start(options: CassandraOptions) -> Result<Cassandra, ServersError> {
        options.check()?;
        let program = find()?;
        let block = Block::claim(1)?;
        let folder = Folder::make()?;
        let own = folder.path().join(OWN);
        std::fs::create_dir(&own).map_err(ServersError::system(format!("make {}", own.display())))?;
        let prepared = prepare::prepare(&options, &block, &own)?;
        let node = Node {
            address: block.server(0, 0),
            is_encrypted: options.tls != Tls::None,
            role: options.has_login.then_some(CASSANDRA_ROLE),
        };
        let cassandra = Cassandra {
            relay: Relay::listen(block.relay(0), node.address)?,
            process: Process::default(),
            disk: prepared.disk,
            certificates: prepared.certificates,
            options,
            program,
            node,
            folder,
            _block: block,
        };
        cassandra.restart()?;
        cassandra.wait_until_ready()?;
        Ok(cassandra)
    }

    /// Where clients reach it, past its relay.
    pub fn contact_point(&self) -> SocketAddr {
        self.node.address
    }

    /// The relay in front of it. Its address has the same port, and is what the node tells drivers as its own (`broadcast_rpc_address`).
    pub fn relay(&self) -> &Relay {
        &self.relay
    }

    /// Its certificate and who gave it, if it was to have one: [`CassandraOptions::tls()`]. It is for the node's address and the relay's.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// Its small disk, if it was given one.
    pub fn disk(&self) -> Option<&SmallDisk> {
        self.disk.as_ref()
    }

    /// Its process, if that is there, frozen or not.
    pub fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// Kills it (SIGKILL), also when it is frozen. Returns when it is gone.
    ///
    /// # Errors
    /// It is dead already.
    pub fn kill(&self) -> Result<(), ServersError> {
        self.outcome("kill", self.process.kill())
    }

    /// Has it end by itself (SIGTERM), also when it is frozen, which takes some five seconds. Returns when it is gone.
    ///
    /// # Errors
    /// It is dead already, or has not ended within a minute; it is killed then.
    pub fn stop(&self) -> Result<(), ServersError> {
        self.outcome("stop", self.process.terminate(LONG_END))
    }

    /// Starts it, with the data and the ports that it had. Does not wait until it answers: [`Cassandra::wait_until_ready()`].
    ///
    /// # Errors
    /// It runs, or Java cannot be started.
    pub fn restart(&self) -> Result<(), ServersError> {
        if self.pid().is_some() {
            return Err(ServersError::State { server: 1, state: "running" });
        }
        let command = self.program.node(self.options.heap_mib, &self.own());
        let command = command.map_err(ServersError::system(START))?;
        let into = self.disk.as_ref().map(SmallDisk::namespaces).transpose()?;
        self.process.start(command, into).map_err(ServersError::system(START))
    }

    /// Freezes it where it is (SIGSTOP): its connections stay, new ones are made by the kernel, and nothing is answered.
    ///
    /// # Errors
    /// It is dead.
    pub fn freeze(&self) -> Result<(), ServersError> {
        self.outcome("freeze", self.process.stop())
    }

    /// Lets a frozen one go on (SIGCONT).
    ///
    /// # Errors
    /// It is dead.
    pub fn thaw(&self) -> Result<(), ServersError> {
        self.outcome("thaw", self.process.cont())
    }

    /// Waits until it answers; with a login, until its first role can log in.
    ///
    /// # Errors
    /// It does not within two minutes, or has ended. Then with the last lines of its log.
    pub fn wait_until_ready(&self) -> Result<(), ServersError> {
        let start = Instant::now();
        while let Err(error) = self.ask() {
            if self.pid().is_none() || start.elapsed() > LIMIT {
                let word = if self.pid().is_some() { "running" } else { "dead" };
                let state = format!("{error}; the node is {word}:\n{}", self.log());
                return Err(ServersError::NotReady { what: "answering", after: start.elapsed(), state });
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Has it carry out one CQL statement, as its first role where there is a login. What comes back is the body of the protocol's RESULT:
    /// the values of a SELECT are in it as they are.
    ///
    /// # Errors
    /// It does not answer within ten seconds, or answers with an error, which is then told.
    pub fn run(&self, statement: &str) -> Result<Vec<u8>, ServersError> {
        let what = format!("have Cassandra carry out `{statement}`");
        self.node.run(statement, PATIENCE).map_err(ServersError::system(what))
    }

    /// Whether it answers within a time. One that is frozen does not.
    pub fn answers_within(&self, patience: Duration) -> bool {
        self.node.is_there(patience).is_ok()
    }

    /// The last lines of its log.
    pub fn log(&self) -> String {
        java::last_lines(&self.own())
    }

    /// Where its data is, as it is seen from here.
    pub fn data(&self) -> PathBuf {
        self.disk.as_ref().map_or_else(|| self.own().join(DATA), SmallDisk::path)
    }

    fn ask(&self) -> io::Result<()> {
        self.node.is_there(PATIENCE)?;
        match self.node.role {
            Some(_) => self.node.run(ANY, PATIENCE).map(drop),
            None => Ok(()),
        }
    }

    fn own(&self) -> PathBuf {
        self.folder.path().join(OWN)
    }

    /// What became of something that was done to its process.
    fn outcome(&self, what: &str, outcome: Option<io::Result<()>>) -> Result<(), ServersError> {
        let done = outcome.ok_or(ServersError::State { server: 1, state: "dead" })?;
        done.map_err(ServersError::system(format!("{what} Cassandra")))
    }
}

impl Drop for Cassandra {
    fn drop(&mut self) {
        // Fails only if it is dead already.
        let _ = self.process.kill();
    }
}

/// A node's own folder, in that which goes with it.
const OWN: &str = "cassandra";

const START: &str = "start Cassandra";

/// What any role may ask.
const ANY: &str = "SELECT key FROM system.local";

/// A node alone takes five seconds on a quiet machine, and 17 were seen on two CPUs that did much else.
const LIMIT: Duration = Duration::from_secs(120);

/// It writes everything to the disk before it ends.
const LONG_END: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(50);

/// How long it may be silent.
const PATIENCE: Duration = Duration::from_secs(10);
