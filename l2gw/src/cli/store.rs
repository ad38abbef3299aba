//! `l2gw store init`: makes the database that hosts share, once and by hand. [`accept`] says that another is meant.

mod accepting;

use std::io::{self, Write};

use agent::config::ensemble;
use agent::config::store::Nsdb;
use agent::life;
use nsdb::StoreError;
use nsdb::zookeeper::{Coordinator, DigestId, Login, StoreNode, ZooKeeperSettings, make};
use serde::Serialize;
use vlan::model::shown::printable;

use crate::cli::args::InitRequest;
use crate::cli::failure::say;
use crate::cli::offline::load;
use crate::cli::{BAD_CONFIGURATION, DONE, FAILED};

pub use accepting::accept;

/// `l2gw store init FILE`.
///
/// # Errors
/// The answer cannot be written.
pub fn init(request: &InitRequest, out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    let Some(config) = load(&request.file, err)? else { return Ok(BAD_CONFIGURATION) };
    let Some(settings) = shared(&config.nsdb, &config.file, err)? else { return Ok(BAD_CONFIGURATION) };
    let agents = match request.agents_auth_file.as_deref().map(ensemble::login).transpose() {
        Ok(agents) => agents,
        Err(why) => {
            say(&format!("--agents-auth-file: {why}"), err)?;
            return Ok(FAILED);
        }
    };
    match life::block_on(made(settings, agents)) {
        Ok(Ok(made)) => {
            tell(&made, &made.lines(), request.json, out)?;
            Ok(DONE)
        }
        Ok(Err(error)) => fail(&in_words(&error, "init"), err),
        Err(error) => fail(&format!("cannot start: {error}"), err),
    }
}

/// How the database that hosts share is reached, as `named` says it; `None` if that is told to be none.
fn shared(nsdb: &Nsdb, named: &str, err: &mut impl Write) -> io::Result<Option<ZooKeeperSettings>> {
    match ensemble::settings(nsdb) {
        Ok(Some(settings)) => return Ok(Some(settings)),
        Ok(None) => say(&format!("{named}: {EMBEDDED}"), err)?,
        Err(why) => say(&why, err)?,
    }
    Ok(None)
}

fn fail(why: &str, err: &mut impl Write) -> io::Result<u8> {
    say(&why, err)?;
    Ok(FAILED)
}

async fn made(settings: ZooKeeperSettings, agents: Option<Login>) -> Result<Made, StoreError> {
    let (root, servers) = (settings.root.clone(), settings.servers.clone());
    let coordinator = Coordinator::open(settings);
    let made = make(&coordinator, agents.as_ref()).await;
    coordinator.close().await;
    made.map(|node| Made::new(root, servers, node))
}

/// What these verbs do may be done again, which is more than can be said of other changes.
fn in_words(error: &StoreError, verb: &str) -> String {
    match error {
        StoreError::Unavailable { what, why } | StoreError::Unanswered { what, why } => {
            format!("{what} is not available: {why}; once it is, run `l2gw store {verb}` again")
        }
        error => error.to_string(),
    }
}

/// A database that was made.
#[derive(Debug, Serialize)]
struct Made {
    root: String,
    servers: Vec<String>,
    incarnation: String,
    /// The user that may change everything.
    gateways: Option<String>,
    /// The user that may read the topology.
    agents: Option<String>,
    /// Whether everybody may read and change everything.
    open: bool,
}

impl Made {
    fn new(root: String, servers: Vec<String>, node: StoreNode) -> Made {
        let user = |id: Option<DigestId>| id.map(|id| id.user().to_owned());
        let (gateways, agents) = (user(node.users.gateways), user(node.users.agents));
        Made { root, servers, incarnation: node.incarnation, open: gateways.is_none(), gateways, agents }
    }

    fn lines(&self) -> Vec<String> {
        let Made { root, servers, incarnation, gateways, agents, .. } = self;
        let made = format!("a database is made: {root} on {}, incarnation {incarnation}", servers.join(","));
        let may = match (gateways, agents) {
            (None, _) => vec![EVERYBODY.to_owned()],
            (Some(gateways), None) => vec![all(gateways), NO_AGENTS.to_owned()],
            (Some(gateways), Some(agents)) => vec![all(gateways), some(agents), NOBODY_ELSE.to_owned()],
        };
        [made].into_iter().chain(may).collect()
    }
}

fn all(user: &str) -> String {
    format!("user {user} may read and change everything: gateways")
}

fn some(user: &str) -> String {
    format!(
        "user {user} may read everything, and make or delete leases and addresses, and make, change or delete sessions: agents"
    )
}

fn tell(done: &impl Serialize, lines: &[String], is_json: bool, out: &mut impl Write) -> io::Result<()> {
    if is_json {
        return writeln!(out, "{}", serde_json::to_string(done)?);
    }
    lines.iter().try_for_each(|line| writeln!(out, "{}", printable(line)))
}

const EMBEDDED: &str = "nsdb.backend: \"embedded\" is the store of a single host, which `l2gw run` makes by itself; the store of several hosts is \
                        backend = \"zookeeper\" with servers = [\"10.0.0.1:2181\", …]";

const EVERYBODY: &str =
    "everybody who reaches the servers may read and change everything: the file has no nsdb.auth-file";

const NOBODY_ELSE: &str = "no other user may read or change anything";

const NO_AGENTS: &str = "no other user may read or change anything, so hosts that run `l2gw-agent` need the same login: no --agents-auth-file was given";

#[cfg(test)]
mod tests {
    use super::*;

    fn made(gateways: Option<&str>, agents: Option<&str>) -> Made {
        let (gateways, agents) = (gateways.map(str::to_owned), agents.map(str::to_owned));
        let servers = ["a:1", "b:2"].map(str::to_owned).into();
        let (root, incarnation) = ("/l2gw".to_owned(), "0af3".to_owned());
        Made { root, servers, incarnation, open: gateways.is_none(), gateways, agents }
    }

    #[test]
    fn who_may_do_what_is_told_by_name() {
        let first = "a database is made: /l2gw on a:1,b:2, incarnation 0af3";
        let all = "user gateway may read and change everything: gateways";
        let some = "user agent may read everything, and make or delete leases and addresses, and make, change or delete sessions: agents";
        assert_eq!(made(None, None).lines(), [first, EVERYBODY]);
        assert_eq!(made(Some("gateway"), None).lines(), [first, all, NO_AGENTS]);
        assert_eq!(made(Some("gateway"), Some("agent")).lines(), [first, all, some, NOBODY_ELSE]);
    }

    #[test]
    fn as_json_it_is_one_object() {
        let mut out = Vec::new();
        tell(&made(Some("gateway"), None), &[], true, &mut out).unwrap();
        let expected = "{\"root\":\"/l2gw\",\"servers\":[\"a:1\",\"b:2\"],\"incarnation\":\"0af3\",\"gateways\":\"gateway\",\"agents\":null,\"open\":false}\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_making_that_got_no_answer_may_be_tried_again() {
        let why = "none of a:1 answers".to_owned();
        let said = in_words(&StoreError::Unavailable { what: "the ZooKeeper ensemble", why }, "init");
        let expected = "the ZooKeeper ensemble is not available: none of a:1 answers; once it is, run `l2gw store init` again";
        assert_eq!(said, expected);
    }
}
