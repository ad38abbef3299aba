//! One server: its process, what becomes of it, and what it tells of itself.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::disk::SmallDisk;
use crate::error::ServersError;
use crate::java::{self, Java};
use crate::options::Options;
use crate::process::Process;
use crate::words::{self, Connection, Dump, Mode, Statistics, Watching};

/// A server of an ensemble. It is killed when the ensemble is dropped.
#[derive(Debug)]
pub struct Server {
    number: usize,
    address: SocketAddr,
    folder: PathBuf,
    options: Options,
    java: Java,
    disk: Option<SmallDisk>,
    process: Process,
}

impl Server {
    /// A server that is not started yet. Its folder has its configuration in it.
    pub(crate) fn new(
        number: usize,
        address: SocketAddr,
        folder: PathBuf,
        disk: Option<SmallDisk>,
        options: &Options,
        java: &Java,
    ) -> Server {
        let (options, java, process) = (options.clone(), java.clone(), Process::default());
        Server { number, address, folder, options, java, disk, process }
    }

    /// Its number, from 1.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Where clients reach it, past its relay.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its small disk, if it was given one.
    pub fn disk(&self) -> Option<&SmallDisk> {
        self.disk.as_ref()
    }

    /// Kills it (SIGKILL), also when it is stopped. Returns when it is gone.
    ///
    /// # Errors
    /// It is dead already.
    pub fn kill(&self) -> Result<(), ServersError> {
        self.outcome("kill", self.process.kill())
    }

    /// Starts it, with the data and the ports that it had. Does not wait until it serves: that may need the others.
    ///
    /// # Errors
    /// It runs, or Java cannot be started.
    pub fn restart(&self) -> Result<(), ServersError> {
        if self.is_running() {
            return Err(ServersError::State { server: self.number, state: "running" });
        }
        let what = format!("start server {}", self.number);
        let command = self.java.server(&self.options, &self.folder.join(CONFIGURATION), &self.folder);
        let command = command.map_err(ServersError::system(what.clone()))?;
        let into = self.disk.as_ref().map(SmallDisk::namespaces).transpose()?;
        self.process.start(command, into).map_err(ServersError::system(what))
    }

    /// Stops it where it is (SIGSTOP): its connections stay, new ones are made by the kernel, and nothing is answered.
    ///
    /// # Errors
    /// It is dead.
    pub fn stop(&self) -> Result<(), ServersError> {
        self.outcome("stop", self.process.stop())
    }

    /// Lets a stopped one go on (SIGCONT).
    ///
    /// # Errors
    /// It is dead.
    pub fn cont(&self) -> Result<(), ServersError> {
        self.outcome("continue", self.process.cont())
    }

    /// Whether its process is there, stopped or not.
    pub fn is_running(&self) -> bool {
        self.process.id().is_some()
    }

    /// Its process, if that is there.
    pub fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// Whether it serves and leads, which one that is alone does not.
    pub fn is_leader(&self) -> bool {
        self.mode() == Some(Mode::Leader)
    }

    /// Its part, if it serves. One that has no quorum does not.
    pub fn mode(&self) -> Option<Mode> {
        self.mode_within(PATIENCE)
    }

    /// Its part, if it tells that within a time. One that is starting may take a question and never answer it.
    pub(crate) fn mode_within(&self, patience: Duration) -> Option<Mode> {
        words::ask(self.address, "srvr", patience).ok().and_then(|answer| words::read_mode(&answer))
    }

    /// What it counts.
    ///
    /// # Errors
    /// It does not answer, or does not serve.
    pub fn statistics(&self) -> Result<Statistics, ServersError> {
        let read = words::read_statistics(&self.ask_for("mntr")?);
        read.map_err(|name| self.unreadable("mntr", format!("no {name}")))
    }

    /// The connections that clients have with it.
    ///
    /// # Errors
    /// It does not answer, or does not serve.
    pub fn connections(&self) -> Result<Vec<Connection>, ServersError> {
        Ok(words::read_connections(&self.ask_for("cons")?))
    }

    /// What its clients watch.
    ///
    /// # Errors
    /// It does not answer, or does not serve.
    pub fn watching(&self) -> Result<Watching, ServersError> {
        let answer = self.ask_for("wchs")?;
        words::read_watching(&answer).ok_or_else(|| self.unreadable("wchs", answer))
    }

    /// Sessions and their ephemeral nodes.
    ///
    /// # Errors
    /// It does not answer, or does not serve.
    pub fn dump(&self) -> Result<Dump, ServersError> {
        Ok(words::read_dump(&self.ask_for("dump")?))
    }

    /// What it answers to any four-letter word, as it stands.
    ///
    /// # Errors
    /// It refuses the connection or is silent for two seconds.
    pub fn ask(&self, word: &'static str) -> Result<String, ServersError> {
        words::ask(self.address, word, PATIENCE).map_err(|error| self.unreadable(word, error.to_string()))
    }

    /// The last lines of its log.
    pub fn log(&self) -> String {
        java::last_lines(&self.folder)
    }

    /// What became of something that was done to its process.
    fn outcome(&self, what: &str, outcome: Option<io::Result<()>>) -> Result<(), ServersError> {
        let done = outcome.ok_or(ServersError::State { server: self.number, state: "dead" })?;
        done.map_err(ServersError::system(format!("{what} server {}", self.number)))
    }

    /// What it answers to a word, if it serves.
    fn ask_for(&self, word: &'static str) -> Result<String, ServersError> {
        let answer = self.ask(word)?;
        match answer.starts_with(words::NOT_SERVING) {
            true => Err(self.unreadable(word, answer.trim().to_owned())),
            false => Ok(answer),
        }
    }

    fn unreadable(&self, word: &'static str, why: String) -> ServersError {
        ServersError::Answer { server: self.number, word, why }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only if it is dead already.
        let _ = self.process.kill();
    }
}

/// A server's configuration, in its folder.
pub(crate) const CONFIGURATION: &str = "zoo.cfg";

/// How long a server may be silent. One that is stopped is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
