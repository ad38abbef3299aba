//! Why a proposal does not come in, in words.

use crate::topology::TopologyError;

/// Why a proposal does not come in.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// It is not what a proposal looks like.
    #[error("{0}")]
    Unreadable(String),
    /// It does not build; every mistake.
    #[error("{}", .0.join("; "))]
    Wrong(Vec<String>),
    /// It declares nothing.
    #[error("this declares nothing at all: host {host:?} would forward nothing any more; {}", remedy(.host))]
    Nothing {
        /// The host that runs.
        host: String,
    },
    /// It declares nothing, and no host runs here that would be the first to lose by it.
    #[error("this declares nothing at all: {} would forward nothing any more; {}", listed(.hosts), remedy_of_all(.hosts))]
    NothingAnywhere {
        /// The hosts that there are.
        hosts: Vec<String>,
    },
    /// It has ports on several hosts, and the store is one host's own.
    #[error(
        "it has ports on several hosts: {}; the embedded store is that of a single host, and nothing would be forwarded between them; \
         backend = \"zookeeper\" is the store of several hosts", listed(.hosts)
    )]
    SeveralHosts {
        /// The hosts.
        hosts: Vec<String>,
    },
    /// The host that runs is not in it.
    #[error("{host:?}, this host, is no host of it; it has {}", listed(.known))]
    NoHost {
        /// The host that runs.
        host: String,
        /// Those that it has.
        known: Vec<String>,
    },
    /// It takes away the host that runs, or all its ports.
    #[error("{host:?}, this host, {what} any more: {} would forward nothing any more; {}", listed(.ports), remedy(.host))]
    Takes {
        /// The host.
        host: String,
        /// `is no host of it` or `has no port in it`.
        what: &'static str,
        /// Its ports in the newest revision.
        ports: Vec<String>,
    },
    /// A host was named, and it stays.
    #[error(
        "--without-host {host}: this does not take away host {host:?} or all its ports, so it is not what was meant"
    )]
    Stays {
        /// The host.
        host: String,
    },
    /// The store refuses, or another revision came first.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// The daemon is at its end.
    #[error("the daemon is stopping")]
    Stopping,
}

impl DoorError {
    /// Whether what was proposed is wrong, however often it is tried.
    pub fn is_wrong(&self) -> bool {
        match self {
            DoorError::Topology(error) => error.is_unstorable(),
            DoorError::Unreadable(_) | DoorError::Stopping => false,
            _ => true,
        }
    }

    /// Whether somebody else published in between.
    pub fn is_conflict(&self) -> bool {
        matches!(self, DoorError::Topology(error) if error.is_conflict())
    }
}

fn remedy(host: &str) -> String {
    format!("if that is meant, say so by --without-host {host}")
}

/// All of them, however many: what is to be typed is not shortened.
fn remedy_of_all(hosts: &[String]) -> String {
    remedy(&hosts.join(" --without-host "))
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        names if names.len() > MOST_NAMES => {
            format!("{} and {} more", names[..MOST_NAMES].join(", "), names.len() - MOST_NAMES)
        }
        names => names.join(", "),
    }
}

/// Names that a message lists.
const MOST_NAMES: usize = 8;
