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
    /// The newest revision waits for its confirmation: what would come on top of it could not be gone back from.
    #[error(
        "revision {revision} of {author} waits for its confirmation, {left}: `l2gw confirm` keeps it, `l2gw rollback {before}`{how} \
         ends it now",
        before = .revision.saturating_sub(1), how = if *.is_tried { " without --confirm" } else { "" }
    )]
    Waits {
        /// The revision.
        revision: u64,
        /// Who published it.
        author: String,
        /// How long it still waits, in words.
        left: String,
        /// Whether a rollback is refused, because it would have to be confirmed itself.
        is_tried: bool,
    },
    /// A revision that has to be confirmed would be the first, or comes behind one that cannot be read.
    #[error("{why}, so that there is nothing to go back to: do this without --confirm")]
    NothingBefore {
        /// Which of the two.
        why: String,
    },
    /// What is confirmed does not wait for that.
    #[error("{what} for a confirmation: {newest}")]
    NothingToConfirm {
        /// `nothing waits` or `revision 41 does not wait`.
        what: String,
        /// The newest revision, in words.
        newest: String,
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
            DoorError::Waits { .. } | DoorError::NothingToConfirm { .. } => false,
            _ => true,
        }
    }

    /// Whether another revision waits for its confirmation: nothing else comes in before that has an end.
    pub fn is_for_wait(&self) -> bool {
        matches!(self, DoorError::Waits { .. })
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
