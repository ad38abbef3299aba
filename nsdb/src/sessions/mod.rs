//! The trait [`Sessions`] and its errors.

pub(crate) mod book;
pub(crate) mod lease;
pub(crate) mod table;

use std::future::Future;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::watch;

use crate::error::StoreError;
use crate::path::NameError;
use crate::sessions::lease::{Lease, SessionId, SessionInfo};

/// Who is alive, and who alone may do a thing.
///
/// A session is a process saying "I am here" again and again. When it stops for longer than its time to live, or
/// closes, or another process opens the same name, the session has ended: it is no longer listed, its leases are free,
/// and every call with its id fails with [`is_lost`](SessionsError::is_lost). It never comes back; the process opens a
/// new one.
///
/// ```text
///            keep_alive before ttl
///             ┌──────────┐
///             ▼          │
/// open ────► live ───────┘
///             │  ttl passed · close_session · same name opened again
///             ▼
///           ended ── leases freed, watchers told
/// ```
///
/// The last to open a name wins, because the usual reason is a process that was restarted before its old session ran
/// out. Two processes that share a name by mistake see each other's [`is_lost`](SessionsError::is_lost) in turn.
///
/// A lease belongs to at most one live session. Its [token](crate::LeaseToken) grows with every acquisition, so that
/// what was ordered by an earlier holder can be told from what the present one orders. That is the whole promise: no
/// backend can prevent a holder from acting a moment after its lease ran out.
///
/// A server that keeps time by itself (ZooKeeper: a session is a connection, a lease an ephemeral node, a token its
/// creation transaction) ends sessions alone. The backends in this crate are asked to by [`expire`](Self::expire).
pub trait Sessions: Send + Sync {
    /// Opens a session called `name` that lives `ttl` without a sign of life (1 ms to 1 h). Ends an older session of
    /// that name.
    fn open_session(
        &self,
        name: &str,
        ttl: Duration,
    ) -> impl Future<Output = Result<SessionId, SessionsError>> + Send;

    /// A sign of life: the session lives for its `ttl` from now.
    ///
    /// # Errors
    /// [lost](SessionsError::is_lost) if it has ended.
    fn keep_alive(&self, session: SessionId) -> impl Future<Output = Result<(), SessionsError>> + Send;

    /// Says something of whoever has the session: text of at most [`MAX_WORD_BYTES`], in place of what was said before. It is there for
    /// as long as the session is. That is a sign of life, as [`keep_alive`](Self::keep_alive) is. Watchers are not told of it.
    ///
    /// # Errors
    /// [lost](SessionsError::is_lost) if the session has ended; the text is too long.
    fn say(&self, session: SessionId, word: String)
    -> impl Future<Output = Result<(), SessionsError>> + Send;

    /// Ends the session and frees its leases. Ending one that has ended is no error.
    fn close_session(&self, session: SessionId) -> impl Future<Output = Result<(), SessionsError>> + Send;

    /// The live sessions, by name.
    fn sessions(&self) -> impl Future<Output = Result<Vec<SessionInfo>, SessionsError>> + Send;

    /// The live session that has this name, if there is one. It asks about no other: of a fleet whose sessions all ended, each host may ask.
    fn session_named(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<Option<SessionInfo>, SessionsError>> + Send;

    /// Takes the lease `name` for `session`. Taking a lease one holds gives the same lease again.
    ///
    /// # Errors
    /// [held](SessionsError::is_held) if another live session has it, [lost](SessionsError::is_lost) if this one ended.
    fn acquire(
        &self,
        session: SessionId,
        name: &str,
    ) -> impl Future<Output = Result<Lease, SessionsError>> + Send;

    /// Gives the lease back. Giving back what one does not hold is no error, so that teardown can go on.
    fn release(
        &self,
        session: SessionId,
        name: &str,
    ) -> impl Future<Output = Result<(), SessionsError>> + Send;

    /// Who holds the lease `name`, if anyone.
    fn holder(&self, name: &str) -> impl Future<Output = Result<Option<Lease>, SessionsError>> + Send;

    /// Ends the sessions whose time has passed and says how long until the next one would end, `None` if none is open
    /// or the server does this by itself. Reading does the same; this is for telling watchers in time.
    fn expire(&self) -> impl Future<Output = Result<Option<Duration>, SessionsError>> + Send;

    /// A number that changes whenever a session opens or ends or a lease changes hands.
    fn watch_sessions(&self) -> watch::Receiver<u64>;
}

/// Why a session or lease could not be had.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum SessionsError {
    /// The session has ended.
    #[error(
        "session {session} has ended: it ran out, was closed, or its name was opened again; open a new one"
    )]
    Lost {
        /// The session.
        session: SessionId,
    },
    /// Somebody else has the lease.
    #[error("lease {name} is held by {holder} (session {session}): wait until it is released or runs out")]
    Held {
        /// The lease.
        name: String,
        /// The name of the session that has it.
        holder: String,
        /// That session.
        session: SessionId,
    },
    /// The name is another machine's, which is alive.
    #[error(
        "session {name} is open on another machine ({machine}): is this a copy of it, or is the host's name wrong?"
    )]
    Elsewhere {
        /// The name of the session.
        name: String,
        /// The other machine, by its machine-id.
        machine: String,
    },
    /// The time to live is out of range.
    #[error("session {name} asks to live {} ms: 1 ms to {} ms are allowed", .ttl.as_millis(), MAX_TTL.as_millis())]
    Ttl {
        /// The name of the session.
        name: String,
        /// The time it asked for.
        ttl: Duration,
    },
    /// What is said of it is too long.
    #[error("what session {session} says has {length} bytes: at most {MAX_WORD_BYTES} are allowed")]
    WordTooLong {
        /// The session.
        session: SessionId,
        /// The text's length in bytes.
        length: usize,
    },
    /// There are too many open sessions.
    #[error("session {name} would be the {}th: at most {MAX_SESSIONS} are allowed", MAX_SESSIONS + 1)]
    TooMany {
        /// The name of the session.
        name: String,
    },
    /// The name of a session or lease is not allowed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The backend failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SessionsError {
    /// Whether the caller's session has ended: open a new one.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    /// Whether the name is another machine's, which is alive.
    pub fn is_elsewhere(&self) -> bool {
        matches!(self, Self::Elsewhere { .. })
    }

    /// Whether another live session has the lease.
    pub fn is_held(&self) -> bool {
        matches!(self, Self::Held { .. })
    }

    /// Whether the same call may succeed later without a new session. It may also have been carried out.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Held { .. }) || matches!(self, Self::Store(error) if error.is_retryable())
    }
}

/// Whether a session called `name` may ask to live so long.
pub(crate) fn check_ttl(name: &str, ttl: Duration) -> Result<(), SessionsError> {
    if ttl < MIN_TTL || ttl > MAX_TTL {
        return Err(SessionsError::Ttl { name: name.to_owned(), ttl });
    }
    Ok(())
}

/// Whether a session may say so much.
pub(crate) fn check_word(session: SessionId, word: &str) -> Result<(), SessionsError> {
    match word.len() {
        length if length > MAX_WORD_BYTES => Err(SessionsError::WordTooLong { session, length }),
        _ => Ok(()),
    }
}

/// Longest text that a session says of itself, in bytes. Of 1 000 hosts that is at most 16 MiB in the memory of each server.
pub const MAX_WORD_BYTES: usize = 16 << 10;

/// Shortest time to live of a session.
const MIN_TTL: Duration = Duration::from_millis(1);

/// Longest time to live of a session: a host that was silent for an hour is dead by any reading.
const MAX_TTL: Duration = Duration::from_secs(3_600);

/// Most sessions at once: ten times the hosts of the largest fleet asked for ("some thousand nodes").
pub(crate) const MAX_SESSIONS: usize = 65_536;
