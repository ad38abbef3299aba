//! `l2gw port`: one port of a VM, added and removed by itself. Its origin is `cli`, so that it outlives whatever file is applied.

use std::io::{self, Write};
use std::time::Duration;

use agent::door::Proposal;
use agent::revisions::Published;
use agent::tree::{Origin, Port, Tree, TreeMistake};
use serde_json::{Map, Value, json};
use vlan::model::shown::beginning;
use vlan::model::value::quote;

use crate::cli::args::{Of, PortAddRequest};
use crate::cli::change::{Applied, publish, tell};
use crate::cli::failure::say;
use crate::cli::lines::Lines;
use crate::cli::revisions::{Revisions, RevisionsError};
use crate::cli::{BAD_CONFIGURATION, WRONG_USAGE};

/// Why a port is not added or removed.
#[derive(Debug, thiserror::Error)]
enum PortError {
    /// The words of the command line.
    #[error("{0}")]
    Usage(String),
    /// What is there already, or the port itself, forbids it.
    #[error("{0}")]
    Wrong(String),
    #[error(transparent)]
    Revisions(#[from] RevisionsError),
}

impl PortError {
    fn exit_code(&self) -> u8 {
        match self {
            PortError::Usage(_) => WRONG_USAGE,
            PortError::Wrong(_) => BAD_CONFIGURATION,
            PortError::Revisions(error) => error.exit_code(),
        }
    }
}

/// `l2gw port add`.
///
/// # Errors
/// The answer cannot be written.
pub(super) fn add(request: &PortAddRequest, out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    let name = &request.name;
    let added = port(request).and_then(|port| {
        change(&request.of, &format!("port add {}", in_note(name)), |there| with(there, &port))
    });
    end(added, &format!("asked: port {name} is there"), &request.of, out, err)
}

/// `l2gw port del`.
///
/// # Errors
/// The answer cannot be written.
pub(super) fn del(name: &str, of: &Of, out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    let removed = change(of, &format!("port del {}", in_note(name)), |there| without(there, name));
    end(removed, "asked", of, out, err)
}

fn end(
    done: Result<Applied, PortError>,
    like: &str,
    of: &Of,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<u8> {
    match done {
        Ok(applied) => tell(&applied, like, of.at.json, (out, err)),
        Err(error) => {
            say(&error, err)?;
            Ok(error.exit_code())
        }
    }
}

/// The next topology, and the hosts that have no port any more in it: who removes the last port of a host by its name means that.
struct Next {
    topology: Tree,
    without_hosts: Vec<String>,
}

/// Publishes what becomes of the newest revision. If somebody else is first, the same is made of theirs: it is about one object, and
/// whatever they did with others stays.
fn change(
    of: &Of,
    note: &str,
    next: impl Fn(&Published) -> Result<Next, PortError>,
) -> Result<Applied, PortError> {
    let revisions = Revisions::open(of)?;
    let mut tries = 0;
    loop {
        let there = revisions.newest()?;
        let Next { topology, without_hosts } = next(&there)?;
        let proposal = Proposal {
            expected: Some(there.revision),
            topology,
            author: String::new(),
            note: note.to_owned(),
            without_hosts,
            file: None,
            text: None,
            origin: Some(Origin::cli()),
            again: None,
            confirm_within: None,
        };
        tries += 1;
        match publish(&revisions, proposal, of) {
            Err(error) if error.is_conflict() && tries < MOST_TRIES => std::thread::sleep(PAUSE * tries),
            published => return Ok(published?),
        }
    }
}

/// A revision with one port more. One that is there already, as it is asked for and by this very way, is no mistake: a script may be run
/// again.
fn with(there: &Published, port: &Port) -> Result<Next, PortError> {
    let mut topology = there.topology.clone();
    let name = port.name();
    let known = topology.ports.iter().find(|known| known.name() == name);
    let taken = match known {
        Some(_) if !is_of_cli(there, name) => Some(format!(" and came {}", whence(there, name))),
        Some(known) if known != port => Some(format!(", with other keys; `l2gw port del {name}` removes it")),
        _ => None,
    };
    if let Some(taken) = taken {
        return Err(PortError::Wrong(format!("{}: it is there already{taken}", Port::path_of(name))));
    }
    if known.is_none() {
        topology.ports.push(port.clone());
    }
    Ok(Next { topology, without_hosts: Vec::new() })
}

/// A revision with one port less, if it was added so.
fn without(there: &Published, name: &str) -> Result<Next, PortError> {
    let mut topology = there.topology.clone();
    let Some(index) = topology.ports.iter().position(|port| port.name() == name) else {
        let revision = there.revision;
        return Err(PortError::Usage(format!(
            "{} is no port in revision {revision}; `l2gw show config` has those that there are",
            quote(name)
        )));
    };
    if !is_of_cli(there, name) {
        return Err(PortError::Wrong(format!(
            "{}: it came {}; `l2gw port del` removes only what `l2gw port add` added: remove it where it came from",
            Port::path_of(name),
            whence(there, name)
        )));
    }
    topology.ports.remove(index);
    let without_hosts = emptied(&there.topology, &topology)?;
    Ok(Next { topology, without_hosts })
}

fn emptied(before: &Tree, after: &Tree) -> Result<Vec<String>, PortError> {
    let read = |tree: &Tree| tree.description().map_err(|mistakes| wrong(&mistakes));
    let (before, after) = (read(before)?, read(after)?);
    let (had, has) = (before.agents_with_ports(), after.agents_with_ports());
    Ok(had.difference(&has).map(|host| (*host).to_owned()).collect())
}

fn wrong(mistakes: &[TreeMistake]) -> PortError {
    PortError::Wrong(mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

fn is_of_cli(there: &Published, name: &str) -> bool {
    there.sources.of(&Port::path_of(name)).origin == Origin::cli()
}

/// Where a port came from, and of a file at which line, if that is known: `by file (gateway.toml:14)`.
fn whence(there: &Published, name: &str) -> String {
    let source = there.sources.of(&Port::path_of(name));
    let line = source.origin.is_file().then(|| Lines::of_revision(there).of_port(name)).flatten();
    let place = line.map(|line| format!(" ({line})")).unwrap_or_default();
    format!("{}{place}", source.in_words())
}

/// A name in a note, which is shown on terminals.
fn in_note(name: &str) -> String {
    beginning(name, LONGEST_NAME)
}

/// The port that is asked for, as a revision has it.
fn port(request: &PortAddRequest) -> Result<Port, PortError> {
    let keys = keys(request).map_err(PortError::Usage)?;
    let port = Port::of_keys(&keys).map_err(PortError::Usage)?;
    let alone = Tree { ports: vec![port], ..Tree::default() };
    let read = alone.description().map_err(|mistakes| wrong(&mistakes))?;
    // In the form of what it is compared with.
    let port = Tree::from(&read).ports.pop();
    port.ok_or_else(|| PortError::Wrong(format!("{} is no port", quote(&request.name))))
}

/// The keys that are asked for, in the words of the file.
fn keys(request: &PortAddRequest) -> Result<Map<String, Value>, String> {
    let PortAddRequest { name, bridge, host, link, mac, mode, vid, vlans, mtu, isolated, set, of: _ } =
        request;
    let given = [
        ("name", Some(json!(name))),
        ("bridge", Some(json!(bridge))),
        ("host", Some(json!(host))),
        ("link", Some(json!(link))),
        ("macs", (!mac.is_empty()).then(|| json!(mac))),
        ("mode", mode.as_ref().map(|mode| json!(mode))),
        ("vid", vid.map(|vid| json!(vid))),
        ("vlans", vlans.as_ref().map(|vlans| json!(vlans))),
        ("mtu", mtu.map(|mtu| json!(mtu))),
        ("isolated", isolated.then_some(Value::Bool(true))),
    ];
    let given = given.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    let mut keys: Map<String, Value> = given.collect();
    for set in set {
        let Some((key, value)) = set.split_once('=') else {
            return Err(format!("--set {}: allowed is KEY=VALUE, such as mac-limit=16", quote(set)));
        };
        let key = key.trim();
        if keys.insert(key.to_owned(), value_of(value.trim())).is_some() {
            return Err(format!("--set {}: {key} is given twice, allowed is once", quote(set)));
        }
    }
    Ok(keys)
}

/// A value as a file has it, or a word without its quotation marks.
fn value_of(written: &str) -> Value {
    let read = toml::from_str::<Map<String, Value>>(&format!("value = {written}"));
    let alone = read.ok().filter(|read| read.len() == 1).and_then(|mut read| read.remove("value"));
    alone.unwrap_or_else(|| Value::String(written.to_owned()))
}

/// Times that it is tried, with somebody else publishing in between each time.
const MOST_TRIES: u32 = 10;
/// After the first time; each further one is longer.
const PAUSE: Duration = Duration::from_millis(20);
/// Characters of a name in a note.
const LONGEST_NAME: usize = 64;

#[cfg(test)]
mod tests;
