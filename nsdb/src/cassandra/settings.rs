//! Where the cluster is, who we are to it, and how sure a write has to be.

use std::path::PathBuf;
use std::time::Duration;

use scylla::statement::Consistency;

use crate::zookeeper::Login;

/// How to reach the journal on a Cassandra cluster.
#[derive(Debug, Clone)]
pub struct CassandraSettings {
    /// Nodes to ask first, each `host:port`, at least one. Names are resolved anew at each connection.
    pub contact_points: Vec<String>,
    /// The keyspace: 1 to 48 letters, digits and `_`. It is made if it is not there and the login may make it.
    pub keyspace: String,
    /// Whose journal this is: the host's name.
    pub host: String,
    /// The data centre whose nodes are asked; without one, any.
    pub datacenter: Option<String>,
    /// How many nodes have to have answered.
    pub sureness: Sureness,
    /// Who we are to the nodes.
    pub login: Option<Login>,
    /// A file with the certificates (PEM) of who vouches for the nodes. With one the connection is by TLS.
    pub authority: Option<PathBuf>,
    /// How long a call waits for an answer before it says that there is none.
    pub patience: Duration,
}

impl CassandraSettings {
    /// The journal of `host` in `keyspace`, without login and TLS, with the usual sureness and patience.
    pub fn new(contact_points: Vec<String>, keyspace: impl Into<String>, host: impl Into<String>) -> Self {
        Self {
            contact_points,
            keyspace: keyspace.into(),
            host: host.into(),
            datacenter: None,
            sureness: Sureness::default(),
            login: None,
            authority: None,
            patience: PATIENCE,
        }
    }

    /// The keyspace as statements name it: lower case, as nodes keep what is not quoted, and quoted, since it may be a word of theirs.
    pub(super) fn quoted(&self) -> String {
        format!("\"{}\"", self.keyspace.to_lowercase())
    }

    /// The contact points in one text: `10.0.0.1:9042, 10.0.0.2:9042`.
    pub(super) fn cluster(&self) -> String {
        self.contact_points.join(", ")
    }
}

/// How many replicas have to have answered a read or a write (Cassandra's consistency levels).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sureness {
    /// One replica, anywhere.
    One,
    /// One replica of the data centre.
    LocalOne,
    /// Most replicas of all data centres.
    Quorum,
    /// Most replicas of the data centre.
    #[default]
    LocalQuorum,
}

impl Sureness {
    pub(super) fn level(self) -> Consistency {
        match self {
            Self::One => Consistency::One,
            Self::LocalOne => Consistency::LocalOne,
            Self::Quorum => Consistency::Quorum,
            Self::LocalQuorum => Consistency::LocalQuorum,
        }
    }
}

/// Longer than a pause of a busy node.
const PATIENCE: Duration = Duration::from_secs(5);
