//! The two sections about the network state database: `[nsdb]` and `[journal]`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nsdb::cassandra::Sureness;
use toml::de::DeTable;
use vlan::model::shown::is_shown;
use vlan::model::value::quote;

use crate::reader::draft::Drafts;
use crate::reader::section::{Reading, Section, Value, refuse};
use crate::reader::value::{self, DurationRange};

/// `[nsdb]`: where topology, sessions and addresses are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nsdb {
    /// On this host, in a directory.
    Embedded {
        /// The directory; absolute. Default [`DEFAULT_PATH`].
        path: PathBuf,
    },
    /// A ZooKeeper ensemble, shared with other hosts.
    ZooKeeper {
        /// The directory for what this host keeps for itself; absolute. Default [`DEFAULT_PATH`].
        path: PathBuf,
        /// Its servers, at least one.
        servers: Vec<Server>,
        /// The node under which everything is. Default [`DEFAULT_ROOT`].
        root: String,
        /// A file with `user:password`, absolute.
        auth_file: Option<PathBuf>,
    },
}

impl Nsdb {
    /// The directory on this host: all of an embedded store, or what the host keeps beside an ensemble.
    pub fn path(&self) -> &Path {
        match self {
            Nsdb::Embedded { path } | Nsdb::ZooKeeper { path, .. } => path,
        }
    }

    /// Whether other hosts have it too.
    pub fn is_shared(&self) -> bool {
        matches!(self, Nsdb::ZooKeeper { .. })
    }
}

impl Default for Nsdb {
    fn default() -> Nsdb {
        Nsdb::Embedded { path: PathBuf::from(DEFAULT_PATH) }
    }
}

/// `[journal]`: where history and counters are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// How long entries are kept, 1 hour to 3 650 days. Default 30 days.
    pub keep: Duration,
    /// Where they are.
    pub backend: JournalBackend,
}

impl Default for Journal {
    fn default() -> Journal {
        Journal { keep: DEFAULT_KEEP, backend: JournalBackend::Embedded }
    }
}

/// Where the journal is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalBackend {
    /// On this host, beside the embedded store.
    Embedded,
    /// A Cassandra cluster.
    Cassandra(Cluster),
}

/// How a Cassandra cluster is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Nodes to ask first, at least one.
    pub contact_points: Vec<Server>,
    /// The keyspace. Default [`DEFAULT_KEYSPACE`].
    pub keyspace: String,
    /// The data centre whose nodes are asked.
    pub datacenter: Option<String>,
    /// How many replicas have to have answered.
    pub consistency: Sureness,
    /// A file with `user:password`, absolute.
    pub auth_file: Option<PathBuf>,
    /// A file with certificates of who vouches for the nodes, absolute. With it the connection is by TLS.
    pub ca_file: Option<PathBuf>,
}

/// A server's address: a host name or an IP address, and a TCP port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Server {
    /// Name or address; an IPv6 address without its brackets.
    pub host: String,
    /// TCP port, 1..=65535.
    pub port: u16,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    Here,
    Cluster,
}

/// What both sections say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stores {
    /// `[nsdb]`.
    pub nsdb: Nsdb,
    /// Whether there is no mistake in it.
    pub is_nsdb_clear: bool,
    /// `[journal]`.
    pub journal: Journal,
}

impl Default for Stores {
    fn default() -> Stores {
        Stores { nsdb: Nsdb::default(), is_nsdb_clear: true, journal: Journal::default() }
    }
}

/// Reads both sections of a file; mistakes go to `drafts`.
pub fn stores(root: &DeTable<'_>, drafts: &mut Drafts) -> Stores {
    let before = drafts.count();
    let section = Section::of_file(root, "nsdb", ("[nsdb]", NSDB_KEYS), drafts);
    let nsdb = section.map(|mut section| nsdb(&mut section)).unwrap_or_default();
    let is_nsdb_clear = drafts.count() == before;
    let section = Section::of_file(root, "journal", ("[journal]", JOURNAL_KEYS), drafts);
    let journal = section.map(|mut section| journal(&mut section)).unwrap_or_default();
    Stores { nsdb, is_nsdb_clear, journal }
}

/// Reads `[nsdb]`.
fn nsdb(section: &mut Section<'_, '_>) -> Nsdb {
    let choices = [("embedded", Where::Here), ("zookeeper", Where::Cluster)];
    let backend = section.optional("backend", |v| value::choice(v, &choices));
    let chosen = if section.is_absent("backend") { Some(Where::Here) } else { backend };
    let is_here = chosen != Some(Where::Cluster);
    let is_cluster = chosen != Some(Where::Here);
    let cluster = |key: &str| format!("\"{key}\" is for backend \"zookeeper\"");
    let path = section.optional("path", value::absolute_path).unwrap_or_else(|| PathBuf::from(DEFAULT_PATH));
    if chosen == Some(Where::Cluster) {
        section.required("servers", "its servers, such as [\"10.0.0.1:2181\"]", |_| Ok(()));
    }
    let servers = section.optional_if(is_cluster, &cluster("servers"), "servers", |v| servers(v, 2181));
    let root = section.optional_if(is_cluster, &cluster("root"), "root", node_path);
    let auth_file = section.optional_if(is_cluster, &cluster("auth-file"), "auth-file", value::absolute_path);
    if is_here {
        return Nsdb::Embedded { path };
    }
    let root = root.unwrap_or_else(|| DEFAULT_ROOT.to_owned());
    Nsdb::ZooKeeper { path, servers: servers.unwrap_or_default(), root, auth_file }
}

/// Reads `[journal]`.
fn journal(section: &mut Section<'_, '_>) -> Journal {
    let choices = [("embedded", Where::Here), ("cassandra", Where::Cluster)];
    let backend = section.optional("backend", |v| value::choice(v, &choices));
    let chosen = if section.is_absent("backend") { Some(Where::Here) } else { backend };
    let is_cluster = chosen != Some(Where::Here);
    let cluster = |key: &str| format!("\"{key}\" is for backend \"cassandra\"");
    if chosen == Some(Where::Cluster) {
        section.required("contact-points", "its nodes, such as [\"10.0.0.1:9042\"]", |_| Ok(()));
    }
    let contact_points =
        section.optional_if(is_cluster, &cluster("contact-points"), "contact-points", |v| servers(v, 9042));
    let keyspace = section.optional_if(is_cluster, &cluster("keyspace"), "keyspace", keyspace);
    let datacenter = section.optional_if(is_cluster, &cluster("datacenter"), "datacenter", datacenter);
    let consistency = section
        .optional_if(is_cluster, &cluster("consistency"), "consistency", |v| value::choice(v, CONSISTENCIES));
    let auth_file = section.optional_if(is_cluster, &cluster("auth-file"), "auth-file", value::absolute_path);
    let ca_file = section.optional_if(is_cluster, &cluster("ca-file"), "ca-file", value::absolute_path);
    let keep = section.optional("keep", |v| value::duration(v, &KEEP)).unwrap_or(DEFAULT_KEEP);
    if chosen != Some(Where::Cluster) {
        return Journal { keep, backend: JournalBackend::Embedded };
    }
    let keyspace = keyspace.unwrap_or_else(|| DEFAULT_KEYSPACE.to_owned());
    let contact_points = contact_points.unwrap_or_default();
    let consistency = consistency.unwrap_or_default();
    let cluster = Cluster { contact_points, keyspace, datacenter, consistency, auth_file, ca_file };
    Journal { keep, backend: JournalBackend::Cassandra(cluster) }
}

/// Whether this is a node's path as ZooKeeper has it (`PathUtils.validatePath`): no empty part, no `.` or `..`, no `/` at the end; and not
/// in `/zookeeper`, where the servers have their own.
pub fn is_node_path(path: &str) -> bool {
    let is_part = |part: &str| !matches!(part, "" | "." | "..") && part.chars().all(is_shown);
    let is_own = path == "/zookeeper" || path.starts_with("/zookeeper/");
    !is_own && path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_part))
}

fn node_path(value: &Value<'_>) -> Reading<String> {
    let path = value::text(value, "a node's path such as \"/l2gw\"")?;
    if is_node_path(path) {
        return Ok(path.to_owned());
    }
    refuse(value, format!("{} is not a node's path, allowed is one such as \"/l2gw\"", quote(path)))
}

/// An unquoted keyspace name: 48 letters, digits and `_`, a letter first (CQL 3.4 "identifier", and Cassandra's limit).
fn keyspace(value: &Value<'_>) -> Reading<String> {
    let name = value::text(value, "a keyspace's name, in double quotes")?;
    let is_inner = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic());
    let lower = name.to_ascii_lowercase();
    if lower == "system" || lower.starts_with("system_") {
        return refuse(value, format!("{} is one of Cassandra's own, allowed is any other", quote(name)));
    }
    if starts_well && name.len() <= 48 && name.bytes().all(is_inner) {
        return Ok(name.to_owned());
    }
    let allowed = "1 to 48 letters, digits and '_', a letter first";
    refuse(value, format!("{} is not a keyspace's name, allowed are {allowed}", quote(name)))
}

/// A data centre's name, as the cluster has it: 1 to 64 characters that can be shown.
fn datacenter(value: &Value<'_>) -> Reading<String> {
    let name = value::text(value, "a data centre's name, in double quotes")?;
    if (1..=64).contains(&name.chars().count()) && name.chars().all(is_shown) {
        return Ok(name.to_owned());
    }
    refuse(value, format!("{} is not a data centre's name, allowed are 1 to 64 characters", quote(name)))
}

fn servers(value: &Value<'_>, example_port: u16) -> Reading<Vec<Server>> {
    let allowed = format!("such as [\"10.0.0.1:{example_port}\"]");
    let servers = value::list(value, &allowed, |element| server(element, example_port))?;
    if servers.is_empty() {
        refuse(value, format!("[] names no server, allowed is a list {allowed}"))
    } else {
        Ok(servers)
    }
}

fn server(value: &Value<'_>, example_port: u16) -> Reading<Server> {
    let written = value::text(value, "HOST:PORT, in double quotes")?;
    match parse_server(written) {
        Some(server) => Ok(server),
        None => refuse(
            value,
            format!(
                "{} is not HOST:PORT, allowed is a name or address and a port 1 to 65535, such as \"10.0.0.1:{example_port}\" or \"[2001:db8::1]:{example_port}\"",
                quote(written)
            ),
        ),
    }
}

impl Server {
    /// Reads `HOST:PORT`.
    pub fn parse(written: &str) -> Option<Server> {
        parse_server(written)
    }
}

fn parse_server(written: &str) -> Option<Server> {
    let (host, port) = written.rsplit_once(':')?;
    let is_port = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let port: u16 = is_port.then(|| port.parse().ok())?.filter(|port| *port > 0)?;
    let in_brackets = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let host = match in_brackets {
        Some(address) => address.parse::<std::net::Ipv6Addr>().ok().map(|_| address)?,
        None => is_host(host).then_some(host)?,
    };
    Some(Server { host: host.to_owned(), port })
}

/// A host name (RFC 1123 2.1) or an IPv4 address, which looks like one.
fn is_host(host: &str) -> bool {
    let is_label = |label: &str| {
        let is_inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(is_inner) && !label.starts_with('-')
    };
    let is_numeric = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let is_name = host.len() <= 253 && host.split('.').all(is_label);
    if is_numeric { host.parse::<std::net::Ipv4Addr>().is_ok() } else { is_name }
}

/// Where the embedded store is.
pub const DEFAULT_PATH: &str = "/var/lib/l2gw";
/// The node under which everything is in ZooKeeper.
pub const DEFAULT_ROOT: &str = "/l2gw";
/// The keyspace in Cassandra.
pub const DEFAULT_KEYSPACE: &str = "l2gw";
/// How long the journal keeps its entries.
pub const DEFAULT_KEEP: Duration = Duration::from_secs(30 * DAY);
/// Keys of `[nsdb]`.
const NSDB_KEYS: &[&str] = &["backend", "path", "servers", "root", "auth-file"];
/// Keys of `[journal]`.
const JOURNAL_KEYS: &[&str] =
    &["backend", "contact-points", "keyspace", "datacenter", "consistency", "keep", "auth-file", "ca-file"];
/// Cassandra's consistency levels, as the file writes them.
const CONSISTENCIES: &[(&str, Sureness)] = &[
    ("local-quorum", Sureness::LocalQuorum),
    ("quorum", Sureness::Quorum),
    ("local-one", Sureness::LocalOne),
    ("one", Sureness::One),
];
const DAY: u64 = 86_400;
/// The longest is well within a Cassandra TTL (20 years).
const KEEP: DurationRange = DurationRange {
    least: ("1h", Duration::from_secs(3_600)),
    most: ("3650d", Duration::from_secs(3_650 * DAY)),
    zero: None,
    example: "\"30d\"",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_host_and_a_port() {
        for (written, expected) in [
            ("10.0.0.1:2181", Some(("10.0.0.1", 2181))),
            ("zk-1.example:1", Some(("zk-1.example", 1))),
            ("[2001:db8::1]:65535", Some(("2001:db8::1", 65535))),
            ("2001:db8::1:2181", None),
            ("10.0.0.300:2181", None),
            ("10.0.0.1", None),
            ("10.0.0.1:0", None),
            ("10.0.0.1:65536", None),
            ("10.0.0.1:+1", None),
            (":2181", None),
            ("a b:2181", None),
        ] {
            let expected = expected.map(|(host, port)| Server { host: host.to_owned(), port });
            assert_eq!(parse_server(written), expected, "{written}");
            assert!(expected.is_none_or(|server| server.to_string() == written), "{written}");
        }
    }
}
