//! Why a datapath did not do as told, and whether asking again can help.

use serde::{Deserialize, Serialize};

/// Why the datapath did not do as told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{what}: {cause}")]
pub struct Refusal {
    /// What was asked, with its object: `attach eth2`, `put flow on vport 7`.
    pub what: String,
    /// Why not.
    pub cause: RefusalCause,
}

/// The causes that callers tell apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum RefusalCause {
    /// There is no such link, port or meter.
    #[error("there is none")]
    NotFound,
    /// The datapath was removed under us.
    #[error("the datapath is gone")]
    DatapathGone,
    /// Another program has the upcalls; they come back when this one opens the datapath again.
    #[error("another program has taken its upcalls")]
    TakenOver,
    /// The link or id belongs to something else.
    #[error("it is in use by something else")]
    Busy,
    /// A table is full.
    #[error("the table is full")]
    TableFull,
    /// The kernel did not answer in time.
    #[error("no answer within {0} ms")]
    TimedOut(u64),
    /// The kernel answered, and the answer was lost in a full socket buffer (ENOBUFS). It may have been done.
    #[error("the answer was lost, it may have been done")]
    AnswerLost,
    /// Not allowed.
    #[error("not permitted, CAP_NET_ADMIN is needed")]
    NotPermitted,
    /// Any other errno, with the kernel's extended message where it gave one.
    #[error("kernel refused with errno {errno}: {message}")]
    Kernel {
        /// Positive errno.
        errno: i32,
        /// The kernel's words, or the errno's.
        message: String,
    },
    /// The backend cannot do this at all.
    #[error("not supported by this datapath")]
    Unsupported,
}

impl RefusalCause {
    /// The stable text form, as in `cause` labels.
    pub const fn name(&self) -> &'static str {
        match self {
            RefusalCause::NotFound => "not-found",
            RefusalCause::DatapathGone => "datapath-gone",
            RefusalCause::TakenOver => "taken-over",
            RefusalCause::Busy => "busy",
            RefusalCause::TableFull => "table-full",
            RefusalCause::TimedOut(_) => "timed-out",
            RefusalCause::AnswerLost => "answer-lost",
            RefusalCause::NotPermitted => "not-permitted",
            RefusalCause::Kernel { .. } => "kernel",
            RefusalCause::Unsupported => "unsupported",
        }
    }
}

impl Refusal {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self.cause {
            RefusalCause::TimedOut(_)
            | RefusalCause::TableFull
            | RefusalCause::Busy
            | RefusalCause::AnswerLost => true,
            RefusalCause::Kernel { errno, .. } => {
                matches!(errno, libc::ENOMEM | libc::ENOBUFS | libc::EAGAIN)
            }
            _ => false,
        }
    }

    /// Whether the object is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self.cause, RefusalCause::NotFound)
    }
}
