//! The store, opened by the command itself: revisions are read of it, and published by the same door as a daemon's, with no host behind it.

use std::path::PathBuf;
use std::sync::Arc;

use agent::config::ensemble;
use agent::config::host::hostname;
use agent::config::store::Nsdb;
use agent::door::{Accepted, Confirmation, Door, DoorError, Proposal};
use agent::hosts::{self, HostsError, HostsView};
use agent::revisions::{self, Published, RevisionView, Unshown};
use agent::socket::Peer;
use agent::topology::TopologyError;
use nsdb::{DocumentsError, Revision, SessionsError, Store, StoreConfig, StoreError, StorePlace as Backend};
use tokio::runtime::{Builder, Runtime};
use vlan::model::shown::printable;

use crate::cli::{BAD_CONFIGURATION, FAILED, WRONG_USAGE};

/// Why the store is not opened, or does not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum DirectError {
    /// A login, and nobody to be told it.
    #[error("--auth-file is for a store on ZooKeeper: name one by --nsdb zookeeper:HOST:PORT")]
    NoLogin,
    /// A verb without a file was to take the store from one.
    #[error(
        "--nsdb file is of `l2gw plan FILE` and `l2gw apply FILE`: name the store, as by zookeeper:HOST:PORT"
    )]
    NoFile,
    /// There is no directory, and none is made for a name that may be mistyped.
    #[error("--nsdb embedded:{}: there is no such directory; a daemon makes it at its first start", .0.display())]
    NoDirectory(PathBuf),
    /// The login cannot be read, or this machine has no number.
    #[error("{0}")]
    Settings(String),
    /// There is no runtime.
    #[error("cannot start: {0}")]
    Runtime(std::io::Error),
    /// It cannot be opened.
    #[error("{0}{held}", held = if .0.is_held() { HELD } else { "" })]
    Unopened(StoreError),
    /// A revision is not shown.
    #[error("{0}{hint}", hint = hint(of_shown(.0)))]
    Unshown(#[from] Unshown),
    /// Nobody counts the time of a revision that has to be confirmed.
    #[error(
        "--confirm: no daemon runs with this directory that would count the time; start it, and ask it by its socket"
    )]
    NobodyCounts,
    /// The hosts are not shown.
    #[error("{0}{hint}", hint = hint(of_hosts(.0)))]
    NoHosts(#[from] HostsError),
    /// A revision does not come in.
    #[error("{0}{hint}", hint = hint(of_refused(.0)))]
    Refused(#[from] DoorError),
}

impl DirectError {
    /// How the command ends, as if a daemon had said it.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            DirectError::NoLogin | DirectError::NoFile | DirectError::NobodyCounts => WRONG_USAGE,
            DirectError::Unshown(Unshown::NotKept(_)) => WRONG_USAGE,
            DirectError::Refused(error) if error.is_wrong() => BAD_CONFIGURATION,
            _ => FAILED,
        }
    }

    /// Whether somebody else published in between.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, DirectError::Refused(error) if error.is_conflict())
    }
}

/// A store that this command has open; it is closed with this.
pub(super) struct Direct {
    door: Door,
    store: Arc<Store>,
    runtime: Runtime,
}

impl Direct {
    /// Opens a store, with another login than it names if one is given; the servers of an ensemble are not waited for.
    ///
    /// # Errors
    /// There is none, or another process has it; the login cannot be read.
    pub(super) fn open(nsdb: Nsdb, auth_file: Option<PathBuf>) -> Result<Direct, DirectError> {
        let config = config(nsdb, auth_file)?;
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(DirectError::Runtime)?;
        let inside = runtime.enter();
        let store = Arc::new(Store::open(config).map_err(DirectError::Unopened)?);
        drop(inside);
        Ok(Direct { door: Door::of_no_host(Arc::clone(&store)), store, runtime })
    }

    /// The newest revision.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn newest(&self) -> Result<Published, DirectError> {
        self.read(revisions::newest(&self.store))
    }

    /// A revision that is kept; `number` is 1 or more.
    ///
    /// # Errors
    /// It is not kept, or cannot be read.
    pub(super) fn one(&self, number: u64) -> Result<Published, DirectError> {
        let revision = Revision::new(number).unwrap_or(Revision::FIRST);
        self.read(revisions::one(&self.store, revision))
    }

    /// Those that are kept.
    ///
    /// # Errors
    /// They cannot be read.
    pub(super) fn known(&self) -> Result<Vec<RevisionView>, DirectError> {
        self.read(async { revisions::known(&self.store).await.map_err(Unshown::Store) })
    }

    /// The hosts of the newest revision, and which of them are there.
    ///
    /// # Errors
    /// They cannot be read.
    pub(super) fn hosts(&self) -> Result<HostsView, DirectError> {
        let read = async {
            self.catch_up().await?;
            hosts::all(&self.store).await
        };
        Ok(self.runtime.block_on(read)?)
    }

    /// Publishes a revision, as the user that runs this.
    ///
    /// # Errors
    /// The door refuses it, or whether it came in is not known.
    pub(super) fn publish(&self, proposal: Proposal) -> Result<Accepted, DirectError> {
        let publish = async {
            self.catch_up().await?;
            self.door.publish(Proposal { author: author(), ..proposal }).await
        };
        Ok(self.runtime.block_on(publish)?)
    }

    /// Lets the revision that waits for its confirmation stay, as the user that runs this.
    ///
    /// # Errors
    /// None waits, or whether it came in is not known.
    pub(super) fn confirm(&self, confirmation: Confirmation) -> Result<Accepted, DirectError> {
        Ok(self.runtime.block_on(self.door.confirm(confirmation, author()))?)
    }

    /// Reads what is no older than anything that was published before.
    fn read<T>(&self, asked: impl Future<Output = Result<T, Unshown>>) -> Result<T, DirectError> {
        let read = async {
            self.catch_up().await?;
            asked.await
        };
        Ok(self.runtime.block_on(read)?)
    }

    async fn catch_up(&self) -> Result<(), TopologyError> {
        Ok(self.store.catch_up().await.map_err(DocumentsError::from)?)
    }

    /// Whether there are hosts that count the time of a revision that has to be confirmed.
    ///
    /// # Errors
    /// The store is that of a host whose daemon does not run.
    pub(super) fn check_confirmable(&self) -> Result<(), DirectError> {
        if self.store.is_of_one_host() { Err(DirectError::NobodyCounts) } else { Ok(()) }
    }

    /// What becomes of a revision that is stored.
    pub(super) fn next(&self) -> &'static str {
        match self.store.is_of_one_host() {
            true => "the daemon of this directory takes it at its next start",
            false => "each host takes it from there: `l2gw show status` on it says when it is in force",
        }
    }
}

impl Drop for Direct {
    fn drop(&mut self) {
        self.runtime.block_on(self.store.close());
    }
}

/// The user that runs this, and the machine: to a store that many machines reach, `root` alone says little.
fn author() -> String {
    let user = Peer { user: Some(nix::unistd::geteuid().as_raw()) }.in_words();
    format!("{user} on {}", printable(&hostname()))
}

fn config(mut nsdb: Nsdb, login: Option<PathBuf>) -> Result<StoreConfig, DirectError> {
    let is_login_given = login.is_some();
    if let Nsdb::ZooKeeper { auth_file, .. } = &mut nsdb {
        *auth_file = login.or(auth_file.take());
    }
    if let Some(settings) = ensemble::settings(&nsdb).map_err(DirectError::Settings)? {
        return Ok(StoreConfig { documents: Backend::Ensemble(settings), ..StoreConfig::in_memory() });
    }
    match nsdb.path() {
        _ if is_login_given => Err(DirectError::NoLogin),
        path if !path.is_dir() => Err(DirectError::NoDirectory(path.to_owned())),
        path => Ok(StoreConfig::in_directory(path)),
    }
}

/// What behind an error is the store's own word.
fn of_shown(error: &Unshown) -> Option<&StoreError> {
    match error {
        Unshown::Store(error) => of_topology(error),
        _ => None,
    }
}

fn of_hosts(error: &HostsError) -> Option<&StoreError> {
    match error {
        HostsError::Topology(error) => of_topology(error),
        HostsError::Sessions(SessionsError::Store(error)) => Some(error),
        HostsError::Sessions(_) => None,
    }
}

fn of_refused(error: &DoorError) -> Option<&StoreError> {
    match error {
        DoorError::Topology(error) => of_topology(error),
        _ => None,
    }
}

fn of_topology(error: &TopologyError) -> Option<&StoreError> {
    match error {
        TopologyError::Store(DocumentsError::Store(error)) => Some(error),
        _ => None,
    }
}

/// What to do about a server that does not let us: whoever may read and not write has the login of agents.
fn hint(error: Option<&StoreError>) -> &'static str {
    match error {
        Some(StoreError::Denied { doing: "read" | "list" | "look at", .. }) => READER,
        Some(StoreError::Denied { .. }) => PUBLISHER,
        _ => "",
    }
}

const HELD: &str = "; a daemon that has it is asked by its socket, without --nsdb";
const READER: &str = "; --auth-file FILE names the login";
const PUBLISHER: &str =
    "; it may read, as agents may: publishing takes the login of gateways, which --auth-file FILE names";
