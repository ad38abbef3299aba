//! Where a store is, in one word of a command line: `embedded:DIR` or `zookeeper:HOST:PORT,HOST:PORT/ROOT`.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};

use super::store::{DEFAULT_ROOT, Nsdb, Server, is_node_path};

/// A store as a command line names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorePlace {
    /// In a directory of this host.
    Embedded {
        /// The directory, of any bytes.
        path: PathBuf,
    },
    /// On an ensemble.
    ZooKeeper {
        /// Its servers, at least one.
        servers: Vec<Server>,
        /// The node under which everything is.
        root: String,
    },
}

impl StorePlace {
    /// Reads a word. Without a root it is [`DEFAULT_ROOT`].
    ///
    /// # Errors
    /// What is allowed.
    pub fn parse(word: OsString) -> Result<StorePlace, &'static str> {
        if let Some(directory) = word.as_bytes().strip_prefix(b"embedded:").filter(|rest| !rest.is_empty()) {
            return Ok(StorePlace::Embedded { path: OsStr::from_bytes(directory).into() });
        }
        let servers = word.to_str().and_then(|word| word.strip_prefix("zookeeper:"));
        servers.and_then(ensemble).ok_or(ALLOWED)
    }

    /// The store that is named, with what a file says of `before`: the directory of the host, and the file with its login.
    pub fn over(self, before: Nsdb) -> Nsdb {
        match self {
            StorePlace::Embedded { path } => Nsdb::Embedded { path },
            StorePlace::ZooKeeper { servers, root } => {
                let path = before.path().to_owned();
                let auth_file = match before {
                    Nsdb::ZooKeeper { auth_file, .. } => auth_file,
                    Nsdb::Embedded { .. } => None,
                };
                Nsdb::ZooKeeper { path, servers, root, auth_file }
            }
        }
    }
}

/// A store on a command line.
pub fn store_place() -> impl TypedValueParser<Value = StorePlace> {
    OsStringValueParser::new().try_map(StorePlace::parse)
}

fn ensemble(written: &str) -> Option<StorePlace> {
    let at = written.find('/').unwrap_or(written.len());
    let (servers, root) = written.split_at(at);
    let servers = servers.split(',').map(Server::parse).collect::<Option<Vec<_>>>()?;
    let root = if root.is_empty() { DEFAULT_ROOT } else { root };
    is_node_path(root).then(|| StorePlace::ZooKeeper { servers, root: root.to_owned() })
}

impl fmt::Display for Nsdb {
    /// As a command line names it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Nsdb::Embedded { path } => write!(f, "embedded:{}", path.display()),
            Nsdb::ZooKeeper { servers, root, .. } => {
                let servers: Vec<_> = servers.iter().map(ToString::to_string).collect();
                write!(f, "zookeeper:{}{root}", servers.join(","))
            }
        }
    }
}

const ALLOWED: &str = "allowed are embedded:DIR and zookeeper:HOST:PORT,HOST:PORT/ROOT";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_read_from_its_word_and_told_by_it() {
        for (word, told) in [
            ("embedded:/srv", "embedded:/srv"),
            ("zookeeper:10.0.0.1:2181", "zookeeper:10.0.0.1:2181/l2gw"),
            ("zookeeper:zk1:2181,[2001:db8::1]:2181/a/b", "zookeeper:zk1:2181,[2001:db8::1]:2181/a/b"),
        ] {
            let place = StorePlace::parse(word.into()).unwrap();
            assert_eq!(place.over(Nsdb::default()).to_string(), told);
        }
        for word in [
            "",
            "embedded:",
            "embedded",
            "/srv",
            "zookeeper:",
            "zookeeper:zk1",
            "zookeeper:zk1:2181,",
            "zookeeper:zk1:2181/a//b",
            "zookeeper:/a",
            "zookeeper:zk1:2181/zookeeper/x",
        ] {
            assert_eq!(StorePlace::parse(word.into()), Err(ALLOWED), "{word}");
        }
    }
}
