//! `l2gw store accept`: lets hosts follow a database that they do not follow by themselves.

use std::io::{self, Write};

use agent::config::store::Nsdb;
use agent::life;
use nsdb::zookeeper::{self, Acceptance, Coordinator, ZooKeeperSettings};
use nsdb::{RevisionInfo, StoreError};
use serde::Serialize;

use super::{fail, in_words, shared, tell};
use crate::cli::args::{AcceptRequest, Place};
use crate::cli::failure::say;
use crate::cli::offline::load;
use crate::cli::time::utc;
use crate::cli::{BAD_CONFIGURATION, DONE, WRONG_USAGE};

/// `l2gw store accept INCARNATION FILE`.
///
/// # Errors
/// The answer cannot be written.
pub fn accept(request: &AcceptRequest, out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    let (mut nsdb, named) = match (&request.nsdb, &request.file) {
        (Some(Place::Named(place)), _) => (place.clone().over(Nsdb::default()), "--nsdb".to_owned()),
        (_, Some(file)) => match load(file, err)? {
            Some(config) => (config.nsdb, config.file.clone()),
            None => return Ok(BAD_CONFIGURATION),
        },
        _ => {
            say(&NAME_ONE, err)?;
            return Ok(WRONG_USAGE);
        }
    };
    if let Nsdb::ZooKeeper { auth_file, .. } = &mut nsdb {
        *auth_file = request.auth_file.clone().or(auth_file.take());
    }
    let Some(settings) = shared(&nsdb, &named, err)? else { return Ok(BAD_CONFIGURATION) };
    match life::block_on(accepted(settings, request.incarnation.clone())) {
        Ok(Ok(accepted)) => {
            tell(&accepted, &accepted.lines(), request.json, out)?;
            Ok(DONE)
        }
        Ok(Err(error)) => fail(&in_words(&error, "accept"), err),
        Err(error) => fail(&format!("cannot start: {error}"), err),
    }
}

async fn accepted(settings: ZooKeeperSettings, known: String) -> Result<Accepted, StoreError> {
    let (root, servers) = (settings.root.clone(), settings.servers.clone());
    let coordinator = Coordinator::open(settings);
    let done = zookeeper::accept(&coordinator, &known).await;
    coordinator.close().await;
    let Acceptance { store, newest, is_new } = done?;
    let revision = newest.map(NewestRevision::from);
    Ok(Accepted { root, servers, known, incarnation: store.incarnation, revision, is_new })
}

/// A database that was accepted.
#[derive(Debug, Serialize)]
struct Accepted {
    root: String,
    servers: Vec<String>,
    /// The database in whose place it is.
    known: String,
    /// Its own incarnation from now on.
    incarnation: String,
    /// What hosts follow.
    revision: Option<NewestRevision>,
    /// Whether anything had to be changed.
    is_new: bool,
}

#[derive(Debug, Serialize)]
struct NewestRevision {
    number: u64,
    author: String,
    at_ms: u64,
}

impl From<RevisionInfo> for NewestRevision {
    fn from(info: RevisionInfo) -> Self {
        Self { number: info.revision.get(), author: info.author, at_ms: info.at.as_millis() }
    }
}

impl Accepted {
    fn lines(&self) -> Vec<String> {
        let Accepted { root, servers, known, incarnation, revision, is_new } = self;
        let is = if *is_new { "is accepted" } else { "was accepted before" };
        let accepted = format!(
            "a database {is}: {root} on {}, in the place of {known}; its incarnation is {incarnation}",
            servers.join(",")
        );
        let next = match revision {
            None => "it has no revision: hosts keep what is in force until the first is published".to_owned(),
            Some(NewestRevision { number, author, at_ms }) => format!(
                "hosts that knew that one follow its revision {number}, by {author} at {}",
                utc(*at_ms)
            ),
        };
        vec![accepted, next, WHETHER.to_owned()]
    }
}

/// A host that does not follow has no session here, and says nothing that this command could read.
const WHETHER: &str = "whether any host knew that one, hosts alone can tell: one that `l2gw show hosts` calls gone half a minute from now did not, \
                       and `l2gw show status` on it says which it knew";

const NAME_ONE: &str =
    "--nsdb: \"file\" names no database here: give FILE itself, or zookeeper:HOST:PORT,HOST:PORT/ROOT";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hosts_follow_from_now_on_is_told() {
        let revision = NewestRevision { number: 3, author: "alice".to_owned(), at_ms: 951_782_400_000 };
        let mut accepted = Accepted {
            root: "/l2gw".to_owned(),
            servers: vec!["a:1".to_owned(), "b:2".to_owned()],
            known: "e558".to_owned(),
            incarnation: "61c0".to_owned(),
            revision: Some(revision),
            is_new: true,
        };
        let first = "a database is accepted: /l2gw on a:1,b:2, in the place of e558; its incarnation is 61c0";
        let next = "hosts that knew that one follow its revision 3, by alice at 2000-02-29T00:00:00.000Z";
        assert_eq!(accepted.lines(), [first, next, WHETHER]);
        let mut out = Vec::new();
        tell(&accepted, &[], true, &mut out).unwrap();
        let expected = "{\"root\":\"/l2gw\",\"servers\":[\"a:1\",\"b:2\"],\"known\":\"e558\",\"incarnation\":\"61c0\",\
                        \"revision\":{\"number\":3,\"author\":\"alice\",\"at_ms\":951782400000},\"is_new\":true}\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        (accepted.revision, accepted.is_new) = (None, false);
        let next = "it has no revision: hosts keep what is in force until the first is published";
        let before = first.replace("is accepted", "was accepted before");
        assert_eq!(accepted.lines(), [&before, next, WHETHER]);
    }
}
