//! One server: its process, what becomes of it, and what it tells of itself.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::disk::SmallDisk;
use crate::error::ServersError;
use crate::java::{self, Java};
use crate::launch::launch;
use crate::options::Options;
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
    process: Mutex<Option<Child>>,
}

impl Server {
    /// A server that is not started yet. Its folder has its configuration in it.
    pub(crate) fn new(
        number: usize,
        address: SocketAddr,
        folder: &Path,
        options: &Options,
        java: &Java,
    ) -> Server {
        let (folder, options, java) = (folder.to_owned(), options.clone(), java.clone());
        Server { number, address, folder, options, java, disk: None, process: Mutex::new(None) }
    }

    /// Its data is on this disk from its next start on.
    pub(crate) fn put_on(&mut self, disk: SmallDisk) {
        self.disk = Some(disk);
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
        self.act("kill", |child| child.kill().and_then(|()| child.wait()).map(drop))
    }

    /// Starts it, with the data and the ports that it had. Does not wait until it serves: that may need the others.
    ///
    /// # Errors
    /// It runs, or Java cannot be started.
    pub fn restart(&self) -> Result<(), ServersError> {
        if self.is_running() {
            return Err(self.state("running"));
        }
        let what = format!("start server {}", self.number);
        let command = self.java.server(&self.options, &self.configuration(), &self.folder);
        let command = command.map_err(ServersError::system(what.clone()))?;
        let namespaces = self.disk.as_ref().map(SmallDisk::namespaces).transpose()?;
        let child = launch(command, namespaces).map_err(ServersError::system(what))?;
        *self.process() = Some(child);
        Ok(())
    }

    /// Stops it where it is (SIGSTOP): its connections stay, new ones are made by the kernel, and nothing is answered.
    ///
    /// # Errors
    /// It is dead.
    pub fn stop(&self) -> Result<(), ServersError> {
        self.act("stop", |child| send(child, Signal::SIGSTOP))
    }

    /// Lets a stopped one go on (SIGCONT).
    ///
    /// # Errors
    /// It is dead.
    pub fn cont(&self) -> Result<(), ServersError> {
        self.act("continue", |child| send(child, Signal::SIGCONT))
    }

    /// Whether its process is there, stopped or not.
    pub fn is_running(&self) -> bool {
        self.process().as_mut().is_some_and(is_alive)
    }

    /// Its process, if that is there.
    pub fn pid(&self) -> Option<u32> {
        self.is_running().then(|| self.process().as_ref().map(Child::id)).flatten()
    }

    /// Whether it serves and leads, which one that is alone does not.
    pub fn is_leader(&self) -> bool {
        self.mode() == Some(Mode::Leader)
    }

    /// Its part, if it serves. One that has no quorum does not.
    pub fn mode(&self) -> Option<Mode> {
        self.ask("srvr").ok().and_then(|answer| words::read_mode(&answer))
    }

    /// What it counts.
    ///
    /// # Errors
    /// It does not answer, or does not serve.
    pub fn statistics(&self) -> Result<Statistics, ServersError> {
        let word = "mntr";
        let read = words::read_statistics(&self.ask(word)?);
        read.map_err(|name| self.unreadable(word, format!("it does not serve, or has no {name}")))
    }

    /// The connections that clients have with it.
    ///
    /// # Errors
    /// It does not answer.
    pub fn connections(&self) -> Result<Vec<Connection>, ServersError> {
        Ok(words::read_connections(&self.ask("cons")?))
    }

    /// What its clients watch.
    ///
    /// # Errors
    /// It does not answer, or does not serve.
    pub fn watching(&self) -> Result<Watching, ServersError> {
        let word = "wchs";
        let read = words::read_watching(&self.ask(word)?);
        read.ok_or_else(|| self.unreadable(word, "it does not serve".to_owned()))
    }

    /// Sessions and their ephemeral nodes.
    ///
    /// # Errors
    /// It does not answer.
    pub fn dump(&self) -> Result<Dump, ServersError> {
        Ok(words::read_dump(&self.ask("dump")?))
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
        let text = fs::read(self.folder.join(java::LOG)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    /// Its configuration file.
    pub(crate) fn configuration(&self) -> PathBuf {
        self.folder.join("zoo.cfg")
    }

    /// Does something to its process, which is there and, under the lock, stays at least as what can be waited for.
    fn act(&self, what: &str, act: impl FnOnce(&mut Child) -> io::Result<()>) -> Result<(), ServersError> {
        let mut process = self.process();
        let child = process.as_mut().ok_or(self.state("dead"))?;
        if !is_alive(child) {
            return Err(self.state("dead"));
        }
        act(child).map_err(ServersError::system(format!("{what} server {}", self.number)))
    }

    fn process(&self) -> MutexGuard<'_, Option<Child>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self, state: &'static str) -> ServersError {
        ServersError::State { server: self.number, state }
    }

    fn unreadable(&self, word: &'static str, why: String) -> ServersError {
        ServersError::Answer { server: self.number, word, why }
    }
}

fn is_alive(child: &mut Child) -> bool {
    matches!(child.try_wait(), Ok(None))
}

fn send(child: &Child, signal: Signal) -> io::Result<()> {
    Ok(kill(Pid::from_raw(child.id().cast_signed()), signal)?)
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only if it is dead already.
        let _ = self.kill();
    }
}

/// How long a server may be silent. One that is stopped is.
const PATIENCE: Duration = Duration::from_secs(2);

const LOG_LINES: usize = 20;
