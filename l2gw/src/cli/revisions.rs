//! Whom the verbs about revisions ask: a daemon by its socket, or the store itself. What comes back, what is refused and why is the same.

use std::time::{Duration, Instant};

use agent::config::store::Nsdb;
use agent::door::{Accepted, Confirmation, Proposal};
use agent::hosts::HostsView;
use agent::revisions::{Published, RevisionView};
use agent::view::{StatusView, Unread};

use crate::cli::args::{Of, Place};
use crate::cli::client::{Client, ClientError};
use crate::cli::direct::{Direct, DirectError};

/// Where revisions are read and published.
pub(super) enum Revisions {
    /// By a daemon.
    Daemon(Client),
    /// In the store, by this command.
    Store(Direct),
}

/// Why a revision is not shown or published.
#[derive(Debug, thiserror::Error)]
pub(super) enum RevisionsError {
    /// The daemon does not answer as asked.
    #[error(transparent)]
    Daemon(#[from] ClientError),
    /// The store does not, or its door refuses.
    #[error(transparent)]
    Store(#[from] DirectError),
}

impl RevisionsError {
    /// How the command ends.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            RevisionsError::Daemon(error) => error.exit_code(),
            RevisionsError::Store(error) => error.exit_code(),
        }
    }

    /// Whether a daemon has what was asked for, and cannot give it now.
    pub(super) fn is_for_now(&self) -> bool {
        matches!(self, RevisionsError::Daemon(error) if error.is_for_now())
    }

    /// Whether no daemon is there.
    pub(super) fn is_no_daemon(&self) -> bool {
        matches!(self, RevisionsError::Daemon(ClientError::NoDaemon { .. }))
    }

    /// Whether somebody else published in between.
    pub(super) fn is_conflict(&self) -> bool {
        match self {
            RevisionsError::Daemon(error) => error.is_conflict(),
            RevisionsError::Store(error) => error.is_conflict(),
        }
    }
}

/// What became of a revision that was published.
pub(super) enum Waited {
    /// The daemon that was asked has it in force.
    InForce,
    /// It has not; why.
    NotYet(String),
    /// It is in the store; what comes next.
    Stored(&'static str),
}

impl Revisions {
    /// Opens the store that is named. A daemon is not asked yet.
    ///
    /// # Errors
    /// The store cannot be opened.
    pub(super) fn open(of: &Of) -> Result<Revisions, RevisionsError> {
        match &of.nsdb {
            Some(Place::OfFile) => Err(DirectError::NoFile.into()),
            Some(Place::Named(place)) => {
                let nsdb = place.clone().over(Nsdb::default());
                Ok(Revisions::Store(Direct::open(nsdb, of.auth_file.clone())?))
            }
            None => Ok(Revisions::Daemon(Client::new(&of.at.socket))),
        }
    }

    /// The same of a verb with a file, which may name the store.
    ///
    /// # Errors
    /// The store cannot be opened.
    pub(super) fn open_with(of: &Of, file: &Nsdb) -> Result<Revisions, RevisionsError> {
        match &of.nsdb {
            Some(Place::OfFile) => Ok(Revisions::Store(Direct::open(file.clone(), of.auth_file.clone())?)),
            _ => Revisions::open(of),
        }
    }

    /// The newest revision; number 0 of an empty store.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn newest(&self) -> Result<Published, RevisionsError> {
        Ok(match self {
            Revisions::Daemon(client) => client.read("/v1/topology")?,
            Revisions::Store(direct) => direct.newest()?,
        })
    }

    /// What a daemon's host has kept of the revision in force, while the store is away.
    pub(super) fn kept(&self) -> Option<Published> {
        match self {
            Revisions::Daemon(client) => client.read("/v1/topology/kept").ok(),
            Revisions::Store(_) => None,
        }
    }

    /// A revision that is kept.
    ///
    /// # Errors
    /// It is not kept, or cannot be read.
    pub(super) fn one(&self, revision: u64) -> Result<Published, RevisionsError> {
        Ok(match self {
            Revisions::Daemon(client) => client.read(&format!("/v1/revisions/{revision}"))?,
            Revisions::Store(direct) => direct.one(revision)?,
        })
    }

    /// Those that are kept, the newest first.
    ///
    /// # Errors
    /// They cannot be read.
    pub(super) fn known(&self) -> Result<Vec<RevisionView>, RevisionsError> {
        Ok(match self {
            Revisions::Daemon(client) => client.read("/v1/revisions")?,
            Revisions::Store(direct) => direct.known()?,
        })
    }

    /// The hosts of the newest revision, and which of them are there.
    ///
    /// # Errors
    /// They cannot be read.
    pub(super) fn hosts(&self) -> Result<HostsView, RevisionsError> {
        Ok(match self {
            Revisions::Daemon(client) => client.read("/v1/hosts")?,
            Revisions::Store(direct) => direct.hosts()?,
        })
    }

    /// Whether a daemon counts the time within which a revision has to be confirmed.
    ///
    /// # Errors
    /// The store is that of a host whose daemon does not run.
    pub(super) fn check_confirmable(&self) -> Result<(), RevisionsError> {
        match self {
            Revisions::Store(direct) => Ok(direct.check_confirmable()?),
            Revisions::Daemon(_) => Ok(()),
        }
    }

    /// Publishes a revision.
    ///
    /// # Errors
    /// It is refused, or whether it came in is not known.
    pub(super) fn publish(&self, proposal: Proposal) -> Result<Accepted, RevisionsError> {
        Ok(match self {
            Revisions::Daemon(client) => client.send("/v1/topology", &proposal)?,
            Revisions::Store(direct) => direct.publish(proposal)?,
        })
    }

    /// Lets the revision that waits for its confirmation stay.
    ///
    /// # Errors
    /// None waits, or whether it came in is not known.
    pub(super) fn confirm(&self, confirmation: Confirmation) -> Result<Accepted, RevisionsError> {
        Ok(match self {
            Revisions::Daemon(client) => client.send("/v1/confirm", &confirmation)?,
            Revisions::Store(direct) => direct.confirm(confirmation)?,
        })
    }

    /// Waits until a revision is in force, where a daemon can tell.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub(super) fn wait_for(&self, revision: u64) -> Result<Waited, RevisionsError> {
        match self {
            Revisions::Daemon(client) => Ok(wait_for(client, revision)?),
            Revisions::Store(direct) => Ok(Waited::Stored(direct.next())),
        }
    }
}

fn wait_for(client: &Client, revision: u64) -> Result<Waited, ClientError> {
    let until = Instant::now() + PATIENCE;
    loop {
        let status: StatusView = client.read("/v1/status")?;
        if status.revision >= revision && status.settled {
            return Ok(Waited::InForce);
        }
        if let Some(Unread { revision, why }) = status.unread.filter(|unread| unread.revision >= revision) {
            return Ok(Waited::NotYet(format!("revision {revision} is stored, but not taken: {why}")));
        }
        if Instant::now() > until {
            let seconds = PATIENCE.as_secs();
            return Ok(Waited::NotYet(format!(
                "revision {revision} is stored, but not in force after {seconds} s; see `l2gw show status` and the log"
            )));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

const PATIENCE: Duration = Duration::from_secs(10);
