//! How a call on the ensemble can end without what was asked for.

use std::path::PathBuf;

use crate::error::StoreError;

/// Why the ensemble did not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The node is not there, or its parent is not.
    NoNode,
    /// The node is there already.
    Exists,
    /// The node has another version than was expected.
    BadVersion,
    /// The node has children.
    NotEmpty,
    /// Our login may not do this.
    Denied,
    /// No server answered in time, or the connection broke meanwhile. A change may have been made.
    Away {
        /// Why, in words.
        why: String,
    },
    /// Anything else, which nothing but a mistake of ours or of a server explains.
    Other {
        /// What the client said.
        why: String,
    },
}

impl From<zookeeper_client::Error> for Refusal {
    fn from(error: zookeeper_client::Error) -> Self {
        use zookeeper_client::Error as E;
        match error {
            E::NoNode => Self::NoNode,
            E::NodeExists => Self::Exists,
            E::BadVersion => Self::BadVersion,
            E::NotEmpty => Self::NotEmpty,
            E::NoAuth | E::AuthFailed => Self::Denied,
            E::ConnectionLoss
            | E::SessionExpired
            | E::SessionMoved
            | E::ClientClosed
            | E::Timeout
            | E::NoHosts
            | E::Throttled
            | E::NotReadOnly
            | E::Custom(_) => Self::Away { why: error.to_string() },
            other => Self::Other { why: other.to_string() },
        }
    }
}

impl Refusal {
    /// As the error of a store: `doing` what to the node at `path`.
    pub(super) fn into_error(self, doing: &'static str, path: String, user: &str) -> StoreError {
        let unexpected =
            |why: &str| StoreError::Unexpected { doing, path: path.clone().into(), why: why.to_owned() };
        match self {
            Self::Away { why } if QUESTIONS.contains(&doing) => {
                StoreError::Unanswered { what: ENSEMBLE, why }
            }
            Self::Away { why } => StoreError::Unavailable { what: ENSEMBLE, why },
            Self::Denied => StoreError::Denied { doing, path: PathBuf::from(path), user: user.to_owned() },
            Self::NoNode => unexpected("it is not there"),
            Self::Exists => unexpected("it is there already"),
            Self::BadVersion => unexpected("it was changed meanwhile"),
            Self::NotEmpty => unexpected("it has children"),
            Self::Other { why } => unexpected(&why),
        }
    }
}

/// What servers are called where they do not answer.
pub(super) const ENSEMBLE: &str = "the ZooKeeper ensemble";

/// What changes nothing, so that it cannot have been done.
const QUESTIONS: [&str; 4] = ["read", "list", "look at", "watch"];
