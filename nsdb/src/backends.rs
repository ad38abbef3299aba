//! For each trait, the backends that have it, as one type that is chosen at run time.

use std::sync::Arc;

use crate::addresses::feed::ProcessFeed;
use crate::cassandra::Cassandra;
use crate::embedded::Embedded;
use crate::memory::Memory;
use crate::passing::{
    pass_addresses_on, pass_documents_on, pass_journal_on, pass_local_on, pass_sessions_on,
};
use crate::sessions::book::ProcessSessions;
use crate::zookeeper::ZooKeeper;

/// Where revisions are.
#[derive(Debug)]
pub(crate) enum DocumentsBackend {
    Memory(Arc<Memory>),
    Embedded(Arc<Embedded>),
    ZooKeeper(Arc<ZooKeeper>),
}

/// Where sessions are.
#[derive(Debug)]
pub(crate) enum SessionsBackend {
    Process(ProcessSessions),
    ZooKeeper(Arc<ZooKeeper>),
}

/// Where addresses are.
#[derive(Debug)]
pub(crate) enum AddressBackend {
    Process(ProcessFeed),
    ZooKeeper(Arc<ZooKeeper>),
}

/// Where the journal is.
#[derive(Debug)]
pub(crate) enum JournalBackend {
    Memory(Arc<Memory>),
    Embedded(Arc<Embedded>),
    Cassandra(Arc<Cassandra>),
}

/// Where the host's own notes are.
#[derive(Debug)]
pub(crate) enum LocalBackend {
    Memory(Arc<Memory>),
    Embedded(Arc<Embedded>),
}

pass_documents_on!(DocumentsBackend, held: Self::Memory(held), Self::Embedded(held), Self::ZooKeeper(held));
pass_sessions_on!(SessionsBackend, held: Self::Process(held), Self::ZooKeeper(held));
pass_addresses_on!(AddressBackend, held: Self::Process(held), Self::ZooKeeper(held));
pass_journal_on!(JournalBackend, held: Self::Memory(held), Self::Embedded(held), Self::Cassandra(held));
pass_local_on!(LocalBackend, held: Self::Memory(held), Self::Embedded(held));
