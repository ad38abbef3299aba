//! The network state database: what the hosts of a network know together, and what one host must not forget.
//!
//! # Why traits
//!
//! A single host keeps its state in a file; a fleet shares it through a cluster. The agent must not care which. So
//! what it needs is cut by *how it may be lost and who may write it*, not by what a server happens to offer:
//!
//! | trait | holds | written by | survives | order |
//! |---|---|---|---|---|
//! | [`Documents`] | the topology, as whole revisions | whoever applies a file | everything | one line of revisions |
//! | [`Sessions`] | who is alive, who holds which lease | each process, about itself | its own process, no longer | per lease, by token |
//! | [`AddressFeed`] | which host has which address | the owner of the address | nothing: it is announced again | per segment |
//! | [`Journal`] | what happened | every host | until it is too old or too much | per store |
//! | [`Local`] | what one host keeps for its own restart | that host | everything | per key |
//!
//! The first four are the shared state. [`Local`] is not shared at all; it is here because it must be kept as safely, in a
//! file of the host's own. No method needs a transaction over two traits or over two objects: each promise below can be kept
//! by a server that knows single-node compare-and-set and watches, and nothing more.
//!
//! # What every backend promises
//!
//! - An acknowledged write is durable where the table says so. A call that fails with an error that
//!   `is_retryable()` may or may not have happened: read, then decide.
//! - Nobody reads half of a change. A reader sees a revision whole or the one before it.
//! - What is damaged is named, never guessed: every record carries a checksum, every shard is found by its content.
//! - Watches say *that* something changed, not what; two changes may arrive as one. The reader reads again.
//! - Time is an argument: wall time ([`WallTime`]) is data, and the monotonic time of sessions comes from a [`Clock`].
//!
//! # Backends
//!
//! | trait | backends |
//! |---|---|
//! | [`Documents`] | [`Memory`], [`Embedded`], [`ZooKeeper`](zookeeper::ZooKeeper) |
//! | [`Journal`] | [`Memory`], [`Embedded`], [`Cassandra`](cassandra::Cassandra) |
//! | [`Local`] | [`Memory`], [`Embedded`] |
//! | [`Sessions`] | [`ProcessSessions`], [`ZooKeeper`](zookeeper::ZooKeeper) |
//! | [`AddressFeed`] | [`ProcessFeed`], [`ZooKeeper`](zookeeper::ZooKeeper) |
//!
//! [`Memory`] forgets with its process and is the honest twin in tests. [`Embedded`] is one redb file with one writer
//! thread and group commit. [`zookeeper`] is what hosts share, on an ensemble of servers; [`cassandra`] is what they remember, on a cluster. [`Store`] has one backend for each trait, as a [`StoreConfig`] asks for, each in a [`Faulty`], which fails on
//! demand. What a host keeps for itself is in its own directory whenever it has one, wherever the rest is.
//! All pass the one suite in `tests/conformance/`.
//!
//! ```
//! use nsdb::{Change, Documents, Memory, Revision, ShardName, WallTime};
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let store = Memory::new();
//! let shards = [(ShardName::new("bridge/vab1")?, b"vlan 8".to_vec())].into();
//! let change = Change::new("alice", WallTime::from_millis(0), "first");
//! let revision = store.publish(None, shards, change).await?;
//! assert_eq!(revision, Revision::FIRST);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod acquaintance;
mod addresses;
mod again;
mod backends;
pub mod cassandra;
mod clock;
mod digest;
mod documents;
mod embedded;
mod error;
mod faulty;
mod journal;
mod local;
mod memory;
mod passing;
mod path;
mod reread;
pub mod schema;
mod sessions;
mod store;
pub mod zookeeper;

pub use addresses::feed::{FeedLimits, FeedTail, Following, ProcessFeed};
pub use addresses::record::{AddressKey, AddressRecord, HostId, Mac, Mobility, Presence, SegmentId};
pub use addresses::table::{SegmentTable, Taken};
pub use addresses::{AddressFeed, FeedBatch, FeedError, FeedSnapshot};
pub use again::reread_document;
pub use clock::{Clock, ManualClock, MonotonicClock, WallTime};
pub use documents::confirm::ConfirmWithin;
pub use documents::layout::LayoutError;
pub use documents::publication::MAX_SHARD_BYTES;
pub use documents::revision::{Change, KEPT_REVISIONS, Revision, RevisionInfo, Root};
pub use documents::shard::{ShardId, ShardName};
pub use documents::{Documents, DocumentsError};
pub use embedded::{Embedded, EmbeddedOptions, Statistics};
pub use error::{Corruption, StoreError};
pub use faulty::Faulty;
pub use faulty::plan::{Fault, Faults, Operation};
pub use journal::backlog::Backlog;
pub use journal::entry::{EntryId, EntryKind, JournalEntry, JournalLimits, NewEntry, Query};
pub use journal::{Journal, JournalError, MAX_ENTRY_BYTES};
pub use local::{Local, LocalError, MAX_LOCAL_BYTES};
pub use memory::Memory;
pub use path::NameError;
pub use reread::{Reread, reread};
pub use sessions::book::ProcessSessions;
pub use sessions::lease::{Lease, LeaseToken, SessionId, SessionInfo};
pub use sessions::{MAX_WORD_BYTES, Sessions, SessionsError};
pub use store::{JournalPlace, Store, StoreConfig, StorePlace};
