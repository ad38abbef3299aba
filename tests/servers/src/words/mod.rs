//! The four-letter words, by which a server tells of itself, and their answers as numbers.
//!
//! What is read is what ZooKeeper 3.8 writes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What part a server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is alone.
    Standalone,
    /// It orders the writes of its ensemble.
    Leader,
    /// It follows a leader.
    Follower,
}

/// What a server counts (`mntr`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statistics {
    /// Its part.
    pub mode: Mode,
    /// Connections of clients, the asker's among them.
    pub connections: u64,
    /// Sessions of the whole ensemble.
    pub sessions: u64,
    /// Ephemeral nodes of the whole ensemble.
    pub ephemerals: u64,
    /// Watches of the sessions that are connected to this server.
    pub watches: u64,
    /// Nodes, of which a new server has 5.
    pub nodes: u64,
    /// Requests that wait for an answer.
    pub outstanding: u64,
    /// Packets that came in.
    pub received: u64,
    /// Packets that went out.
    pub sent: u64,
    /// Memory that the nodes take, in bytes; the server estimates it.
    pub bytes: u64,
}

/// A client's connection (`cons`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Where it comes from.
    pub client: SocketAddr,
    /// Its session; none if it has only asked a four-letter word.
    pub session: Option<u64>,
    /// The timeout of its session.
    pub timeout: Option<Duration>,
    /// Requests that it sent and that are not answered.
    pub queued: u64,
}

/// What clients of a server watch (`wchs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watching {
    /// Connections that watch something.
    pub connections: u64,
    /// Paths that are watched.
    pub paths: u64,
    /// Watches: each path once for each connection.
    pub watches: u64,
}

/// Sessions of the whole ensemble and their ephemeral nodes (`dump`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dump {
    /// Each session.
    pub sessions: BTreeSet<u64>,
    /// The paths of the ephemeral nodes of each session that has some.
    pub ephemerals: BTreeMap<u64, BTreeSet<String>>,
}

/// Asks a server one word and reads the whole answer.
///
/// # Errors
/// It refuses, is silent for `patience`, or the connection breaks.
pub(crate) fn ask(server: SocketAddr, word: &str, patience: Duration) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&server, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(word.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The part of a server, from its answer to `srvr`; none as long as it does not serve.
pub(crate) fn read_mode(srvr: &str) -> Option<Mode> {
    srvr.lines().find_map(|line| line.strip_prefix("Mode: ")).and_then(mode)
}

/// An answer to `mntr`; what is missing or no number is told by its name.
pub(crate) fn read_statistics(mntr: &str) -> Result<Statistics, &'static str> {
    let values: BTreeMap<&str, &str> = mntr.lines().filter_map(|line| line.split_once('\t')).collect();
    let number = |name| values.get(name).and_then(|value| value.trim().parse().ok()).ok_or(name);
    Ok(Statistics {
        mode: values.get(STATE).and_then(|word| mode(word)).ok_or(STATE)?,
        connections: number("zk_num_alive_connections")?,
        sessions: number("zk_global_sessions")?,
        ephemerals: number("zk_ephemerals_count")?,
        watches: number("zk_watch_count")?,
        nodes: number("zk_znode_count")?,
        outstanding: number("zk_outstanding_requests")?,
        received: number("zk_packets_received")?,
        sent: number("zk_packets_sent")?,
        bytes: number("zk_approximate_data_size")?,
    })
}

/// An answer to `cons`: ` /127.0.0.1:4711[1](queued=0,recved=2,sent=2,sid=0x1000…,…,to=6000,…)` a line.
pub(crate) fn read_connections(cons: &str) -> Vec<Connection> {
    cons.lines().filter_map(read_connection).collect()
}

fn read_connection(line: &str) -> Option<Connection> {
    let (client, rest) = line.trim().strip_prefix('/')?.split_once('[')?;
    let values = rest.split_once('(')?.1.trim_end_matches(')');
    let values: BTreeMap<&str, &str> = values.split(',').filter_map(|pair| pair.split_once('=')).collect();
    let timeout = values.get("to").and_then(|value| value.parse().ok());
    Some(Connection {
        client: client.parse().ok()?,
        session: values.get("sid").and_then(|value| hexadecimal(value)),
        timeout: timeout.map(Duration::from_millis),
        queued: values.get("queued")?.parse().ok()?,
    })
}

/// An answer to `wchs`; none if the server does not serve.
pub(crate) fn read_watching(wchs: &str) -> Option<Watching> {
    let (first, total) = wchs.trim().split_once("\nTotal watches:")?;
    let (connections, paths) = first.strip_suffix(" paths")?.split_once(" connections watching ")?;
    let number = |text: &str| text.parse().ok();
    Some(Watching { connections: number(connections)?, paths: number(paths)?, watches: number(total)? })
}

/// An answer to `dump`: three parts, each with a heading. Ids of sessions begin their lines; the paths of one follow it, indented.
pub(crate) fn read_dump(dump: &str) -> Dump {
    let before = |text: &str, heading| text.find(heading).unwrap_or(text.len());
    let (sessions, rest) = dump.split_at(before(dump, "ephemeral nodes dump:"));
    let (ephemerals, _) = rest.split_at(before(rest, "Connections dump:"));
    let mut read = Dump::default();
    let words = sessions.lines().filter_map(|line| line.split_whitespace().next());
    read.sessions.extend(words.filter_map(hexadecimal));
    let mut owner = None;
    for line in ephemerals.lines() {
        match (owner, line.strip_prefix('\t')) {
            (Some(owner), Some(path)) => {
                _ = read.ephemerals.entry(owner).or_default().insert(path.to_owned())
            }
            _ => owner = hexadecimal(line.trim_end_matches(':')),
        }
    }
    read
}

fn mode(word: &str) -> Option<Mode> {
    match word.trim() {
        "standalone" => Some(Mode::Standalone),
        "leader" => Some(Mode::Leader),
        "follower" => Some(Mode::Follower),
        _ => None,
    }
}

fn hexadecimal(word: &str) -> Option<u64> {
    u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

/// How a server that has no quorum answers to every word that is not about its process.
pub(crate) const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests";

const STATE: &str = "zk_server_state";

#[cfg(test)]
mod tests;
