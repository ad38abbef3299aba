//! What a host keeps of the revision in force, so that it starts while the store that it shares is away.
//!
//! It lies in the host's own directory, in pieces, since one record has a limit. The first piece says how many there are and has the hash of
//! all: whatever happens between two of them, what is there is whole or is not taken.
//!
//! Of a revision that has to be confirmed the one before is kept as well, before it comes into force, in a place of its own: what cuts the
//! host off from the store cannot cut it off from that.

use std::collections::BTreeMap;

use nsdb::{ConfirmWithin, Local, Revision, ShardId, Store};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::Newest;
use crate::documents::ShareReading;

/// What was read of a revision: shards by name.
pub(super) type Shards = BTreeMap<String, Vec<u8>>;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Cover {
    revision: Revision,
    /// Which host's share it is.
    host: String,
    pieces: usize,
    hash: ShardId,
}

/// Which revision is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The last that was read.
    Newest,
    /// The one before, while the last waits for its confirmation.
    Before,
}

/// What is noted of a revision that has to be confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// The database of which it is, as [`Store::database`] tells it.
    pub(super) database: Option<String>,
    /// The revision.
    pub(super) revision: Revision,
    /// Within which time it has to be confirmed.
    pub(super) within: ConfirmWithin,
    /// Whether this host has gone back from it.
    pub(super) is_over: bool,
}

/// Keeps the share of `host` in `revision`. What the directory does not take is logged: the revision before stays kept.
pub(super) async fn keep(store: &Store, host: &str, revision: Revision, shards: &Shards) {
    if let Err(error) = try_keep(store, host, Place::Newest, (revision, shards)).await {
        warn!(error, revision = revision.get(), "a revision cannot be kept for a start without the store");
    }
}

/// Keeps the share of `host` in a revision to which it may have to go back without the store.
///
/// # Errors
/// What the directory says.
pub(super) async fn keep_before(
    store: &Store,
    host: &str,
    revision: Revision,
    shards: &Shards,
) -> Result<(), String> {
    try_keep(store, host, Place::Before, (revision, shards)).await
}

/// Notes of a revision that it has to be confirmed, and what has become of it.
pub(super) async fn mark(store: &Store, mark: Mark) {
    let saved = match nsdb::schema::encode(MARK_VERSION, &mark) {
        Ok(bytes) => save(store, MARK, bytes).await,
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = saved {
        let revision = mark.revision.get();
        warn!(
            error,
            revision,
            "that a revision waits for its confirmation cannot be kept for a start without the store"
        );
    }
}

/// A revision of a database has not to be confirmed: what is noted of one of the same number is another database's, and none of another's
/// is kept any more.
pub(super) async fn unmark(store: &Store, revision: Revision, database: &Option<String>) {
    if marked(store).await.is_some_and(|mark| mark.revision == revision || mark.database != *database)
        && let Err(error) = store.delete(MARK).await
    {
        warn!(%error, revision = revision.get(), "what was noted of a revision of another database cannot be removed");
    }
}

/// What was noted last of a revision that has to be confirmed, of whichever database.
pub(super) async fn marked(store: &Store) -> Option<Mark> {
    let bytes = store.load(MARK).await.ok()??;
    nsdb::schema::decode(MARK_VERSION, &bytes).ok()
}

async fn try_keep(
    store: &Store,
    host: &str,
    place: Place,
    (revision, shards): (Revision, &Shards),
) -> Result<(), String> {
    let named: Vec<_> = shards.iter().collect();
    let bytes = nsdb::schema::encode(VERSION, &named).map_err(|error| error.to_string())?;
    let (pieces, hash) = (bytes.chunks(PIECE_BYTES).len(), ShardId::of(&bytes));
    let before = load_cover(store, place).await.ok().flatten();
    // What changed elsewhere leaves the share as it is.
    if let Some((turn, same)) = before.as_ref().filter(|(_, cover)| cover.hash == hash && cover.host == host)
    {
        return save_cover(store, place, *turn, &Cover { revision, ..same.clone() }).await;
    }
    // By turns in one of two places, so that what was kept before is there until this is.
    let turn = before.as_ref().map_or(0, |(turn, _)| 1 - turn);
    for (number, piece) in bytes.chunks(PIECE_BYTES).enumerate() {
        save(store, &piece_key(place, turn, number), piece.to_vec()).await?;
    }
    save_cover(store, place, turn, &Cover { revision, host: host.to_owned(), pieces, hash }).await?;
    let Some((old, cover)) = before else { return Ok(()) };
    for number in 0..cover.pieces {
        store.delete(&piece_key(place, old, number)).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

async fn save(store: &Store, key: &str, bytes: Vec<u8>) -> Result<(), String> {
    store.save(key, bytes).await.map_err(|error| error.to_string())
}

async fn save_cover(store: &Store, place: Place, turn: usize, cover: &Cover) -> Result<(), String> {
    let bytes = nsdb::schema::encode(VERSION, &(turn, cover)).map_err(|error| error.to_string())?;
    save(store, &place.key(COVER), bytes).await
}

async fn load_cover(store: &Store, place: Place) -> Result<Option<(usize, Cover)>, String> {
    let bytes = store.load(&place.key(COVER)).await.map_err(|error| error.to_string())?;
    let Some(bytes) = bytes else { return Ok(None) };
    nsdb::schema::decode(VERSION, &bytes).map(Some).map_err(|error| error.to_string())
}

/// What was in force last on `host`; `None` if nothing was kept, or nothing that can be used.
pub(super) async fn load(store: &Store, host: &str) -> Option<Newest> {
    let newest = load_from(store, host, Place::Newest).await?;
    match marked(store).await.filter(|mark| mark.revision == newest.revision) {
        None => Some(newest),
        Some(Mark { is_over: true, .. }) => load_before(store, host, newest.revision).await.or(Some(newest)),
        Some(Mark { within, .. }) => Some(Newest { confirm_within: Some(within), ..newest }),
    }
}

/// What was kept for `host` of the revision before this one.
pub(super) async fn load_before(store: &Store, host: &str, revision: Revision) -> Option<Newest> {
    load_from(store, host, Place::Before).await.filter(|before| before.revision.next() == revision)
}

async fn load_from(store: &Store, host: &str, place: Place) -> Option<Newest> {
    match try_load(store, host, place).await {
        Ok(newest) => newest,
        Err(error) => {
            warn!(error, "what was kept of a revision cannot be used");
            None
        }
    }
}

async fn try_load(store: &Store, host: &str, place: Place) -> Result<Option<Newest>, String> {
    let Some((turn, cover)) = load_cover(store, place).await?.filter(|(_, cover)| cover.host == host) else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    for number in 0..cover.pieces {
        let piece = store.load(&piece_key(place, turn, number)).await.map_err(|error| error.to_string())?;
        bytes.extend(piece.ok_or("a piece is missing")?);
    }
    if ShardId::of(&bytes) != cover.hash {
        return Err("its pieces are not of one revision".to_owned());
    }
    let shards: Vec<(String, Vec<u8>)> =
        nsdb::schema::decode(VERSION, &bytes).map_err(|error| error.to_string())?;
    let mut share = ShareReading::new(host);
    // As from the store: what a reading asks for is taken, and nothing else.
    loop {
        let next = share.next();
        if next.is_empty() {
            break;
        }
        for (name, bytes) in shards.iter().filter(|(name, _)| is_within(name, &next)) {
            share.take(name, bytes).map_err(|error| error.to_string())?;
        }
    }
    let stored = share.finish().map_err(|error| error.to_string())?;
    let (revision, author) = (cover.revision, String::new());
    Ok(Some(Newest { revision, author, confirm_within: None, stored: Ok(stored) }))
}

/// As [`nsdb::Documents::names`] has it: a whole name, or all below one that ends with a slash; the empty text is all.
fn is_within(name: &str, wanted: &[String]) -> bool {
    let is_wanted = |wanted: &String| match wanted.as_str() {
        "" => true,
        above if above.ends_with('/') => name.starts_with(above),
        whole => name == whole,
    };
    wanted.iter().any(is_wanted)
}

fn piece_key(place: Place, turn: usize, number: usize) -> String {
    place.key(&format!("{turn}/{number}"))
}

impl Place {
    fn key(self, below: &str) -> String {
        match self {
            Place::Newest => format!("revision/{below}"),
            Place::Before => format!("before/{below}"),
        }
    }
}

const COVER: &str = "cover";
const MARK: &str = "unconfirmed";
const VERSION: u8 = 1;
/// Since it names its database.
const MARK_VERSION: u8 = 2;
/// Well below what one record takes.
const PIECE_BYTES: usize = 512 << 10;

#[cfg(test)]
mod tests {
    use nsdb::StoreConfig;
    use vlan::model::description::{Bridge, BridgeKind, Description, Host, Port};
    use vlan::model::numbers::Numbers;
    use vlan::model::topology::Topology;

    use super::*;
    use crate::documents::{Stored, to_shards};

    /// The shards of a revision in which `gw1` has a port called `port` and `others` more.
    fn shards(port: &str, others: usize) -> Shards {
        let kind = BridgeKind::VlanUnaware { vni: None };
        let bridge = Bridge {
            name: "v".into(),
            ageing: Default::default(),
            mac_limit: 10,
            renamed_from: None,
            mtu: None,
            kind,
        };
        let mut ports = vec![Port::plain(port, "v", "gw1", "tap0")];
        ports.extend((1..=others).map(|n| Port::plain(&format!("other{n}"), "v", "gw1", &format!("tap{n}"))));
        let hosts = vec![Host { name: "gw1".to_owned(), ..Host::default() }];
        let description = Description { hosts, bridges: vec![bridge], ports, ..Description::default() };
        let topology = Topology::build(&description).unwrap();
        let numbers = Numbers::default().after(&topology).unwrap();
        let stored = Stored { numbers: Some(numbers), ..Stored::from(description) };
        let shards = to_shards(&stored).unwrap();
        shards.into_iter().map(|(name, bytes)| (name.into(), bytes)).collect()
    }

    fn revision(number: u64) -> Revision {
        Revision::new(number).unwrap()
    }

    /// The number of what is kept and the name of its first port.
    async fn kept(store: &Store, host: &str) -> Option<(u64, String)> {
        let newest = load(store, host).await?;
        let ports = newest.stored.unwrap().description.ports;
        Some((newest.revision.get(), ports.last().unwrap().name.clone()))
    }

    #[tokio::test]
    async fn the_last_revision_that_was_kept_is_taken_and_no_other_hosts() {
        let store = Store::open(StoreConfig::in_memory()).unwrap();
        assert_eq!(kept(&store, "gw1").await, None);
        for number in 1..=3 {
            keep(&store, "gw1", revision(number), &shards(&format!("p{number}"), 0)).await;
            assert_eq!(kept(&store, "gw1").await, Some((number, format!("p{number}"))));
        }
        assert_eq!(kept(&store, "gw2").await, None);
        keep(&store, "gw1", revision(4), &shards("p3", 0)).await;
        assert_eq!(kept(&store, "gw1").await, Some((4, "p3".to_owned())));
        assert_eq!(store.keys("revision/").await.unwrap(), ["revision/0/0", "revision/cover"]);
    }

    #[tokio::test]
    async fn from_what_was_not_confirmed_a_start_goes_back_once_it_is_over() {
        let store = Store::open(StoreConfig::in_memory()).unwrap();
        let within = ConfirmWithin::try_from(60).unwrap();
        keep_before(&store, "gw1", revision(1), &shards("p1", 0)).await.unwrap();
        let mut marked = Mark { database: None, revision: revision(2), within, is_over: false };
        mark(&store, marked.clone()).await;
        keep(&store, "gw1", revision(2), &shards("p2", 0)).await;
        assert_eq!(load(&store, "gw1").await.unwrap().confirm_within, Some(within), "it still waits");
        assert_eq!(kept(&store, "gw1").await, Some((2, "p2".to_owned())));
        marked.is_over = true;
        mark(&store, marked.clone()).await;
        assert_eq!(kept(&store, "gw1").await, Some((1, "p1".to_owned())));
        assert_eq!(load(&store, "gw1").await.unwrap().confirm_within, None);
        assert!(load_before(&store, "gw1", revision(3)).await.is_none(), "not the one before that");
        // In another database this number waits for nothing.
        unmark(&store, revision(1), &None).await;
        assert_eq!(kept(&store, "gw1").await, Some((1, "p1".to_owned())), "the note is of another revision");
        unmark(&store, revision(2), &None).await;
        assert_eq!(kept(&store, "gw1").await, Some((2, "p2".to_owned())));
        mark(&store, marked.clone()).await;
        unmark(&store, revision(1), &Some("another".to_owned())).await;
        assert_eq!(kept(&store, "gw1").await, Some((2, "p2".to_owned())), "of another database");
        mark(&store, marked).await;
        // Once it is confirmed it is as any other.
        keep(&store, "gw1", revision(3), &shards("p2", 0)).await;
        assert_eq!(kept(&store, "gw1").await, Some((3, "p2".to_owned())));
    }

    /// A revision of several pieces replaces one, and is replaced: whatever of it is written when the host dies, one of the two is taken.
    #[tokio::test]
    async fn a_host_that_dies_while_it_keeps_a_revision_has_the_one_before() {
        let store = Store::open(StoreConfig::in_memory()).unwrap();
        keep(&store, "gw1", revision(1), &shards("p1", 0)).await;
        let large = shards("p2", 9_000);
        let there = |keys: &[String]| keys.iter().filter(|key| key.starts_with("revision/1/")).count();
        keep(&store, "gw1", revision(2), &large).await;
        assert!(there(&store.keys("revision/").await.unwrap()) > 1);
        assert_eq!(kept(&store, "gw1").await, Some((2, "p2".to_owned())));
        // As if it had died behind the first of the new pieces, and again behind all of them.
        store.save(&piece_key(Place::Newest, 0, 0), b"new".to_vec()).await.unwrap();
        assert_eq!(kept(&store, "gw1").await, Some((2, "p2".to_owned())));
        store.save(&piece_key(Place::Newest, 1, 0), b"damaged".to_vec()).await.unwrap();
        assert_eq!(kept(&store, "gw1").await, None, "pieces of two revisions are none");
        keep(&store, "gw1", revision(3), &shards("p3", 0)).await;
        assert_eq!(kept(&store, "gw1").await, Some((3, "p3".to_owned())));
    }
}
