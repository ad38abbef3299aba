//! The five parts of a store, each on the backend that a configuration asks for.

use std::path::PathBuf;
use std::sync::Arc;

use crate::acquaintance;
use crate::addresses::feed::{FeedLimits, ProcessFeed};
use crate::backends::{AddressBackend, DocumentsBackend, JournalBackend, LocalBackend, SessionsBackend};
use crate::cassandra::{Cassandra, CassandraSettings};
use crate::clock::{Clock, MonotonicClock};
use crate::documents::keeping::Keeping;
use crate::documents::kept::Kept;
use crate::embedded::{Embedded, EmbeddedOptions};
use crate::error::StoreError;
use crate::faulty::Faulty;
use crate::faulty::plan::Faults;
use crate::journal::backlog::{BACKLOG_BYTES, Backlog};
use crate::journal::entry::JournalLimits;
use crate::memory::Memory;
use crate::passing::{
    pass_addresses_on, pass_documents_on, pass_journal_on, pass_local_on, pass_sessions_on,
};
use crate::sessions::book::ProcessSessions;
use crate::zookeeper::{Coordinator, ZooKeeper, ZooKeeperSettings};

/// Everything that an agent keeps. Implements every trait of this crate, each by its own backend.
///
/// Every part is in a [`Faulty`], which does nothing where no faults are asked for: so what an agent is tested with is what it runs with.
#[derive(Debug)]
pub struct Store {
    pub(crate) documents: Keeping<Faulty<DocumentsBackend>>,
    pub(crate) sessions: Faulty<SessionsBackend>,
    pub(crate) addresses: Faulty<AddressBackend>,
    pub(crate) journal: Faulty<JournalBackend>,
    pub(crate) local: Faulty<LocalBackend>,
    is_of_one_host: bool,
    ensemble: Option<Arc<ZooKeeper>>,
    backlog: Backlog,
    has_near_journal: bool,
}

/// Where each part of a store is, and how much it keeps. Sessions and addresses are where the revisions are, if that is an ensemble;
/// otherwise they are those of this process.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The host's own directory, made if it is missing. What a host keeps for itself ([`Local`](crate::Local)) is there whenever there
    /// is one, wherever the rest is.
    pub state: Option<PathBuf>,
    /// Where revisions are.
    pub documents: StorePlace,
    /// Where the journal is.
    pub journal: JournalPlace,
    /// How much journal is kept.
    pub journal_limits: JournalLimits,
    /// How many addresses are kept.
    pub feed_limits: FeedLimits,
    /// The time of sessions, and of how long documents are out of use.
    pub clock: Arc<dyn Clock>,
    /// The faults that calls meet: none, but in tests.
    pub faults: Faults,
}

/// Where revisions are.
#[derive(Debug, Clone)]
pub enum StorePlace {
    /// In this process, with which it ends.
    Memory,
    /// In the state directory.
    State,
    /// On a ZooKeeper ensemble, which hosts share.
    Ensemble(ZooKeeperSettings),
}

/// Where a journal is.
#[derive(Debug, Clone)]
pub enum JournalPlace {
    /// In this process, with which it ends.
    Memory,
    /// In the state directory.
    State,
    /// On a Cassandra cluster, which hosts share.
    Cluster(CassandraSettings),
}

impl StoreConfig {
    /// Everything in memory.
    pub fn in_memory() -> Self {
        Self {
            state: None,
            documents: StorePlace::Memory,
            journal: JournalPlace::Memory,
            journal_limits: JournalLimits::default(),
            feed_limits: FeedLimits::default(),
            clock: Arc::new(MonotonicClock::default()),
            faults: Faults::none(),
        }
    }

    /// Everything in the directory `state` that can be in one.
    pub fn in_directory(state: impl Into<PathBuf>) -> Self {
        Self {
            state: Some(state.into()),
            documents: StorePlace::State,
            journal: JournalPlace::State,
            ..Self::in_memory()
        }
    }
}

impl Store {
    /// Opens what `config` asks for.
    ///
    /// # Errors
    /// As [`Embedded::open`]; and [`StoreError::NoDirectory`] if a part is to be in a state directory and none is named.
    ///
    /// # Panics
    /// If a part is to be on an ensemble and there is no tokio runtime here.
    pub fn open(config: StoreConfig) -> Result<Self, StoreError> {
        let StoreConfig { state, documents, journal, journal_limits, feed_limits, clock, faults } = config;
        let options = EmbeddedOptions { journal: journal_limits, clock: Arc::clone(&clock) };
        let embedded = state.map(|dir| Embedded::open(dir, options)).transpose()?.map(Arc::new);
        let memory = Arc::new(Memory::with(Arc::clone(&clock), journal_limits));
        let in_state = |what| embedded.clone().ok_or(StoreError::NoDirectory { what });
        let is_of_one_host = matches!(documents, StorePlace::State);
        let has_near_journal = !matches!(journal, JournalPlace::Cluster(_));
        let mut ensemble = None;
        let documents_backend = match documents {
            StorePlace::Memory => DocumentsBackend::Memory(Arc::clone(&memory)),
            StorePlace::State => DocumentsBackend::Embedded(in_state("revisions")?),
            StorePlace::Ensemble(settings) => {
                let opened = open_ensemble(settings, embedded.as_ref(), (Arc::clone(&clock), feed_limits))?;
                DocumentsBackend::ZooKeeper(Arc::clone(ensemble.insert(Arc::new(opened))))
            }
        };
        // A file on this host is as near as what would be kept of it.
        let kept = match &ensemble {
            Some(shared) => Some(shared.kept()),
            None => (!is_of_one_host).then(Arc::<Kept>::default),
        };
        let journal_backend = match journal {
            JournalPlace::Memory => JournalBackend::Memory(Arc::clone(&memory)),
            JournalPlace::State => JournalBackend::Embedded(in_state("the journal")?),
            JournalPlace::Cluster(settings) => {
                JournalBackend::Cassandra(Arc::new(Cassandra::open(settings, journal_limits)))
            }
        };
        let last_number = embedded.as_ref().map_or(0, |embedded| embedded.last_number());
        let local_backend = embedded.map_or(LocalBackend::Memory(memory), LocalBackend::Embedded);
        let (sessions_backend, addresses_backend) = match &ensemble {
            Some(shared) => (
                SessionsBackend::ZooKeeper(Arc::clone(shared)),
                AddressBackend::ZooKeeper(Arc::clone(shared)),
            ),
            None => (
                SessionsBackend::Process(ProcessSessions::new(clock, last_number)),
                AddressBackend::Process(ProcessFeed::new(feed_limits)),
            ),
        };
        Ok(Self {
            documents: Keeping::new(Faulty::new(documents_backend, faults.clone()), kept),
            sessions: Faulty::new(sessions_backend, faults.clone()),
            addresses: Faulty::new(addresses_backend, faults.clone()),
            journal: Faulty::new(journal_backend, faults.clone()),
            local: Faulty::new(local_backend, faults),
            is_of_one_host,
            ensemble,
            backlog: Backlog::new(BACKLOG_BYTES),
            has_near_journal,
        })
    }

    /// Whether its revisions are in this host's own directory, where no other host reads them.
    pub fn is_of_one_host(&self) -> bool {
        self.is_of_one_host
    }

    /// Whether its journal is on this host, so that to write it takes as long as a disk does.
    pub fn has_near_journal(&self) -> bool {
        self.has_near_journal
    }

    /// What waits to be written into its journal.
    pub fn backlog(&self) -> &Backlog {
        &self.backlog
    }

    /// The ensemble that it shares with other hosts, if it does.
    pub fn ensemble(&self) -> Option<&ZooKeeper> {
        self.ensemble.as_deref()
    }

    /// Which of all databases that hosts share its revisions are of: revisions of another one have nothing to do with them, though they
    /// may have the same numbers. `None` where they are not shared, or no database is known yet.
    pub fn database(&self) -> Option<String> {
        self.ensemble.as_ref()?.database()
    }

    /// Lets go of what was read of revisions that others can change, so that it is read again, as whoever looks for damage must. Whether
    /// anything is kept at all: of a store of one host nothing is.
    pub fn forget_read(&self) -> bool {
        self.documents.forget_read()
    }

    /// Waits until what is read next is no older than what anybody had written when this was called. Of servers that hosts share, the one
    /// that is asked may not have heard of the newest revision yet; elsewhere there is nothing to wait for.
    ///
    /// # Errors
    /// No server answers.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        match &self.ensemble {
            Some(ensemble) => ensemble.catch_up().await,
            None => Ok(()),
        }
    }

    /// Ends the connection to others, so that they need not wait until it runs out. Nothing can be asked of an ensemble afterwards.
    pub async fn close(&self) {
        if let Some(ensemble) = &self.ensemble {
            ensemble.close().await;
        }
    }
}

/// Opens a database on an ensemble, as the one that this host has met before, if it remembers one.
fn open_ensemble(
    settings: ZooKeeperSettings,
    local: Option<&Arc<Embedded>>,
    (clock, limits): (Arc<dyn Clock>, FeedLimits),
) -> Result<ZooKeeper, StoreError> {
    let known = local.map(|local| acquaintance::load(local, &settings.root)).transpose()?.flatten();
    let root = settings.root.clone();
    let opened = ZooKeeper::open_again(Coordinator::open(settings), clock, limits, known);
    if let Some(local) = local {
        acquaintance::keep(local, root, opened.acquainted());
    }
    Ok(opened)
}

pass_documents_on!(Store, held: Self { documents: held, .. });
pass_sessions_on!(Store, held: Self { sessions: held, .. });
pass_addresses_on!(Store, held: Self { addresses: held, .. });
pass_journal_on!(Store, held: Self { journal: held, .. });
pass_local_on!(Store, held: Self { local: held, .. });
