//! Real ZooKeeper and Cassandra servers for tests, and what can go wrong with them.
//!
//! An [`Ensemble`] is one server or several, as Debian's `libzookeeper-java` has them, on loopback addresses that nobody else has and in a
//! folder that goes with it. A [`Server`] can be killed, restarted with what it had, stopped and continued. In front of each is a [`Relay`]:
//! a client that is given the relay's address can be cut off, or have its packets dropped for a while. With [`Options::small_disk()`] a
//! server's disk gets full. What a server knows it tells as numbers: [`Statistics`], [`Connection`], [`Watching`], [`Dump`].
//!
//! ```no_run
//! use servers::{Ensemble, Options};
//!
//! if !servers::are_there() {
//!     return Ok(());
//! }
//! let ensemble = Ensemble::start(Options::three())?;
//! let leader = ensemble.leader()?;
//! leader.kill()?;
//! ensemble.wait_for_quorum()?;
//! assert_ne!(ensemble.leader()?.address(), leader.address());
//! leader.restart()?;
//! ensemble.wait_until_ready()?;
//! # Ok::<(), servers::ServersError>(())
//! ```
//!
//! A [`Cassandra`] is one real node, beside that: the same can befall it, and it may have a login, a certificate or a small disk
//! ([`CassandraOptions`]). Its test asks [`cassandra_is_there()`].
//!
//! ```no_run
//! use servers::{Cassandra, CassandraOptions};
//!
//! let node = Cassandra::start(CassandraOptions::plain().login())?;
//! node.run("CREATE ROLE gateway WITH PASSWORD = 'for-tests' AND LOGIN = true")?;
//! node.kill()?;
//! node.restart()?;
//! node.wait_until_ready()?;
//! # Ok::<(), servers::ServersError>(())
//! ```
//!
//! Nothing is left behind. Servers end with the ensemble, and with the process if that is killed. Its folder is then removed by the next
//! that starts on this machine. So it is with a node.

mod address;
mod cassandra;
mod certificates;
mod disk;
mod ensemble;
mod error;
mod folder;
mod java;
mod launch;
mod options;
mod prepare;
mod process;
mod relay;
mod server;
mod skip;
mod words;

pub use cassandra::{CASSANDRA_ROLE, Cassandra, CassandraOptions};
pub use certificates::{Certificates, certificates};
pub use disk::SmallDisk;
pub use ensemble::Ensemble;
pub use error::ServersError;
pub use options::{Options, SUPER_PASSWORD};
pub use relay::{Relay, Traffic};
pub use server::Server;
pub use skip::{are_there, cassandra_is_there};
pub use words::{Connection, Dump, Mode, Statistics, Watching};
