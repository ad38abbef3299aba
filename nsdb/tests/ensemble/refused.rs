//! What is refused with a clear error, and leaves everything as it was.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nsdb::zookeeper::{Access, Coordinator, Life, Login, Refusal, ZooKeeper, ZooKeeperSettings, make};
use nsdb::{
    AddressFeed, AddressKey, AddressRecord, Change, Documents, FeedLimits, HostId, Mac, Mobility,
    MonotonicClock, Presence, Revision, SegmentId, Sessions, ShardName, WallTime,
};
use servers::{Ensemble, Options};

use crate::host::{login, straight};

fn open(settings: ZooKeeperSettings) -> ZooKeeper {
    let clock = Arc::new(MonotonicClock::default());
    ZooKeeper::open(Coordinator::open(settings), clock, FeedLimits::default())
}

async fn publish(store: &ZooKeeper) -> Result<Revision, String> {
    let shards = BTreeMap::from([(ShardName::new("bridges/a").unwrap(), b"a".to_vec())]);
    let change = Change::new("alice", WallTime::from_millis(1), "");
    store.publish(None, shards, change).await.map_err(|error| error.to_string())
}

/// Every node below one, for a look at what was written.
async fn nodes(coordinator: &Coordinator, path: &str) -> Vec<String> {
    let (mut todo, mut found) = (vec![path.to_owned()], Vec::new());
    while let Some(path) = todo.pop() {
        for child in coordinator.list(&path).await.unwrap().unwrap_or_default() {
            let path = format!("{}/{child}", path.trim_end_matches('/'));
            if path != "/zookeeper" {
                found.push(path.clone());
                todo.push(path);
            }
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_database_is_nothing_is_written() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one()).unwrap();
    let all = Coordinator::open(straight(&ensemble));
    for path in ["/empty", "/kafka", "/kafka/brokers", "/newer", "/torn"] {
        all.create(path, &[], Life::Stays, &Access::open()).await.unwrap();
    }
    let newer = br#"{"format":7,"incarnation":"x","more":true}"#;
    all.create("/newer/store", newer, Life::Stays, &Access::open()).await.unwrap();
    all.create("/torn/store", b"{", Life::Stays, &Access::open()).await.unwrap();
    let before = nodes(&all, "/").await;
    let servers = ensemble.connection_string();
    for (root, expected) in [
        (
            "/absent",
            format!(
                "/absent on {servers} is no database that can be used: it is not there; `l2gw store init FILE` makes one where nothing is"
            ),
        ),
        (
            "/empty",
            format!(
                "/empty on {servers} is no database that can be used: it is empty; `l2gw store init FILE` makes one where nothing is"
            ),
        ),
        (
            "/kafka",
            format!(
                "/kafka on {servers} is no database that can be used: it has brokers and is no database of l2gw; `l2gw store init FILE` makes one where nothing is"
            ),
        ),
        (
            "/newer",
            "/newer/store has format 7, this program knows format 1: start the newer program".to_owned(),
        ),
    ] {
        let store = open(ZooKeeperSettings { root: root.to_owned(), ..straight(&ensemble) });
        assert_eq!(publish(&store).await.unwrap_err(), expected);
        assert_eq!(store.root().await.unwrap_err().to_string(), expected);
        let refused = store.open_session("gw1", Duration::from_secs(10)).await.unwrap_err();
        assert_eq!(refused.to_string(), expected);
        assert_eq!(store.follow(SegmentId(8)).await.unwrap_err().to_string(), expected);
    }
    let torn = open(ZooKeeperSettings { root: "/torn".to_owned(), ..straight(&ensemble) });
    assert!(publish(&torn).await.unwrap_err().contains("its node store cannot be read"));
    let kafka = Coordinator::open(ZooKeeperSettings { root: "/kafka".to_owned(), ..straight(&ensemble) });
    assert!(make(&kafka, None).await.unwrap_err().to_string().contains("it has brokers"));
    assert_eq!(nodes(&all, "/").await, before, "something was written");
    let empty = ZooKeeperSettings { root: "/empty/deep".to_owned(), ..straight(&ensemble) };
    make(&Coordinator::open(empty.clone()), None).await.unwrap();
    assert_eq!(publish(&open(empty.clone())).await.unwrap(), Revision::FIRST);
    let again = make(&Coordinator::open(empty), None).await.unwrap_err();
    assert!(again.to_string().contains("a database is there already"), "{again}");
}

/// Gateways write the topology; agents read it, and announce what they have; strangers do neither.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_cannot_write_the_topology_and_a_stranger_cannot_read_it() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one()).unwrap();
    let of =
        |login: Option<Login>| ZooKeeperSettings { root: "/l2gw".to_owned(), login, ..straight(&ensemble) };
    let short = Login { user: "gateway".to_owned(), password: "short".to_owned() };
    let refused = make(&Coordinator::open(of(Some(short))), None).await.unwrap_err().to_string();
    let expected = "no database was made at /l2gw on ";
    assert!(refused.starts_with(expected), "{refused}");
    assert!(refused.contains("the password of gateway has 5 bytes, allowed are 16 and more"), "{refused}");
    let all = Coordinator::open(straight(&ensemble));
    assert_eq!(nodes(&all, "/").await, Vec::<String>::new(), "something was written");
    let gateway = of(Some(login("gateway")));
    make(&Coordinator::open(gateway.clone()), Some(&login("agent"))).await.unwrap();
    let (gateway, agent) = (open(gateway), open(of(Some(login("agent")))));
    assert_eq!(publish(&gateway).await.unwrap(), Revision::FIRST);
    let root = agent.root().await.unwrap().unwrap();
    assert_eq!(agent.read_shards(&root, &[""]).await.unwrap().len(), 1);
    assert_eq!(agent.revisions().await.unwrap().len(), 1);
    let change = Change::new("mallory", WallTime::from_millis(1), "");
    let refused =
        agent.publish(Some(Revision::FIRST), BTreeMap::new(), change).await.unwrap_err().to_string();
    assert!(refused.contains("agent may not make /l2gw/publishing/"), "{refused}");
    let refused = agent.collect(Duration::ZERO).await.unwrap_err().to_string();
    assert!(refused.starts_with("agent may not make /l2gw/collecting: it has not the right to"), "{refused}");
    let touched = Coordinator::open(of(Some(login("agent")))).write("/unused", &[], None).await;
    assert_eq!(touched.unwrap_err(), Refusal::Denied);
    let session = agent.open_session("compute1", Duration::from_secs(10)).await.unwrap();
    agent.say(session, "revision 1".to_owned()).await.unwrap();
    let key = AddressKey { segment: SegmentId(8), inner: 0, mac: Mac([2, 0, 0, 0, 0, 1]) };
    let (owner, mobility) = (HostId(7), Mobility(1));
    let record =
        AddressRecord { key, owner, mobility, session: 1, number: 1, by: 8, presence: Presence::Present };
    agent.announce(HostId(7), vec![record]).await.unwrap();
    assert_eq!(gateway.follow(SegmentId(8)).await.unwrap().snapshot.records, [record]);
    let there = gateway.sessions().await.unwrap().remove(0);
    assert_eq!((there.name.as_str(), there.word.as_str()), ("compute1", "revision 1"));
    let wrong = Login { password: "another-0123456789".to_owned(), ..login("gateway") };
    for (user, stranger) in [("gateway", of(Some(wrong))), ("nobody", of(None))] {
        let said = open(stranger).root().await.unwrap_err().to_string();
        assert_eq!(
            said,
            format!(
                "{user} may not read /l2gw/store: it has not the right to, its password is wrong, or another user has the database"
            )
        );
    }
}

/// A node is deleted by whoever may delete below the one above it: the root is kept to gateways as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_but_a_gateway_deletes_or_makes_a_node_right_below_the_root() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one()).unwrap();
    let of =
        |login: Option<Login>| ZooKeeperSettings { root: "/l2gw".to_owned(), login, ..straight(&ensemble) };
    make(&Coordinator::open(of(Some(login("gateway")))), Some(&login("agent"))).await.unwrap();
    let gateway = Coordinator::open(of(Some(login("gateway"))));
    assert_eq!(publish(&open(of(Some(login("gateway"))))).await.unwrap(), Revision::FIRST);
    let before = nodes(&gateway, "/").await;
    for other in [Some(login("agent")), Some(login("stranger")), None] {
        let other = Coordinator::open(of(other));
        for path in ["/root", "/store", "/publishing"] {
            assert_eq!(other.delete(path, None).await.unwrap_err(), Refusal::Denied, "{path}");
        }
        let made = other.create("/making", &[], Life::Stays, &Access::open()).await;
        assert_eq!(made.unwrap_err(), Refusal::Denied);
        assert_eq!(other.restrict("/", &Access::open()).await.unwrap_err(), Refusal::Denied);
    }
    assert_eq!(nodes(&gateway, "/").await, before);
    gateway.delete("/publishing", None).await.unwrap();
}

/// A making dies after none, one, two … changes, and the next one, of the same users or of others, makes a whole database that is its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_making_died_the_next_one_makes_a_database() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one()).unwrap();
    // The node `making`, seven more, the root's access, the node `store`.
    for (first, all) in [(None, 9), (Some("another"), 10), (Some("gateway"), 10)] {
        for changes in 0..=all {
            let root = format!("/{}-{changes}", first.unwrap_or("nobody"));
            let of = |user: Option<&str>| ZooKeeperSettings {
                root: root.clone(),
                login: user.map(login),
                ..straight(&ensemble)
            };
            let dying = Coordinator::open(of(first)).dying_after(changes);
            assert_eq!(make(&dying, None).await.is_ok(), changes == all, "{changes} changes");
            let next = Coordinator::open(of(Some("gateway")));
            if changes == 1 {
                let refused = make(&next, None).await.unwrap_err().to_string();
                assert!(refused.contains("somebody else is making one"), "{refused}");
                let refused = publish(&open(of(Some("gateway")))).await.unwrap_err();
                assert!(refused.contains("its making was not finished"), "{refused}");
            }
            // As a process that is killed: its connection is gone with it.
            dying.close().await;
            let made = make(&next, Some(&login("agent"))).await;
            if first == Some("another") && changes == all - 1 {
                let refused = made.unwrap_err().to_string();
                assert!(
                    refused.starts_with("gateway may not list /another-9: it has not the right"),
                    "{refused}"
                );
            } else if changes == all {
                assert!(made.is_err(), "{first:?}");
            } else {
                made.unwrap();
                is_whole_and_gateways_own(&of(Some("gateway")), of(Some("another"))).await;
            }
        }
    }
}

async fn is_whole_and_gateways_own(gateway: &ZooKeeperSettings, another: ZooKeeperSettings) {
    assert_eq!(publish(&open(gateway.clone())).await.unwrap(), Revision::FIRST);
    let (gateway, another) = (Coordinator::open(gateway.clone()), Coordinator::open(another));
    let below = nodes(&gateway, "/").await;
    assert!(!below.contains(&"/making".to_owned()), "{below:?}");
    for node in below {
        let written = another.write(&node, b"x", None).await;
        assert_eq!(written.unwrap_err(), Refusal::Denied, "{node}");
    }
}

/// What has lost its node `store` is not taken for a making that died.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_something_in_it_is_not_made_anew() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one()).unwrap();
    let settings = crate::host::database(straight(&ensemble), "/l2gw").await;
    assert_eq!(publish(&open(settings.clone())).await.unwrap(), Revision::FIRST);
    let coordinator = Coordinator::open(settings);
    coordinator.delete("/store", None).await.unwrap();
    let before = nodes(&coordinator, "/").await;
    let refused = make(&coordinator, None).await.unwrap_err().to_string();
    assert!(refused.contains("is no database of l2gw"), "with a revision: {refused}");
    assert_eq!(nodes(&coordinator, "/").await, before);
    coordinator.delete("/root", None).await.unwrap();
    let before = nodes(&coordinator, "/").await;
    let refused = make(&coordinator, None).await.unwrap_err().to_string();
    assert!(refused.contains("documents has nodes in it, and its node store is missing"), "{refused}");
    assert_eq!(nodes(&coordinator, "/").await, before);
}

/// A copy of a machine that was started beside the original does not take its name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_a_machine_does_not_take_its_session() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one()).unwrap();
    let settings = crate::host::database(straight(&ensemble), "/copies").await;
    let original = open(settings.clone());
    let session = original.open_session("gw1", Duration::from_secs(30)).await.unwrap();
    let restarted = open(settings.clone());
    let copy = open(ZooKeeperSettings { machine: "its copy".to_owned(), ..settings });
    let refused = copy.open_session("gw1", Duration::from_secs(30)).await.unwrap_err();
    assert!(!refused.is_lost());
    assert_eq!(
        refused.to_string(),
        "session gw1 is open on another machine (this machine): is this a copy of it, or is the host's name wrong?"
    );
    original.keep_alive(session).await.unwrap();
    restarted.open_session("gw1", Duration::from_secs(30)).await.unwrap();
    assert!(original.keep_alive(session).await.unwrap_err().is_lost(), "the same machine was started again");
}

/// A shard and a page are damaged or gone: a reader is told, and publishing the same again writes them again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_damaged_is_written_again_by_publishing_the_same() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one()).unwrap();
    let settings = crate::host::database(straight(&ensemble), "/damaged").await;
    let (store, raw) = (open(settings.clone()), Coordinator::open(settings.clone()));
    let shards: BTreeMap<_, _> =
        (0..200).map(|n| (ShardName::new(format!("s/{n}")).unwrap(), vec![n as u8])).collect();
    let change = || Change::new("alice", WallTime::from_millis(1), "");
    let mut newest = store.publish(None, shards.clone(), change()).await.unwrap();
    for document in nodes(&raw, "/documents").await.into_iter().filter(|path| path.len() > 60).step_by(40) {
        let id = nsdb::ShardId::try_from(document.rsplit('/').next().unwrap().to_owned()).unwrap();
        if newest.get() % 2 == 0 {
            raw.write(&document, b"damaged", None).await.unwrap();
        } else {
            raw.delete(&document, None).await.unwrap();
        }
        // Each time as a process that has read none of it before.
        let store = open(settings.clone());
        let told = store.read(id).await.unwrap_err().to_string();
        assert!(told.contains("hash") || told.contains("is not in the store"), "{told}");
        newest = store.publish(Some(newest), shards.clone(), change()).await.unwrap();
        let root = store.root().await.unwrap().unwrap();
        assert_eq!(store.read_shards(&root, &[""]).await.unwrap(), shards, "{document}");
    }
    assert!(newest.get() > 4);
}

/// What other programs have put into the places of sessions and leases is nobody's, and keeps nobody from the rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_among_sessions_is_left_out() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one()).unwrap();
    let settings = crate::host::database(straight(&ensemble), "/junk").await;
    let (store, raw) = (open(settings.clone()), Coordinator::open(settings));
    let open = Access::open();
    raw.create("/sessions/torn", b"{", Life::OfSession, &open).await.unwrap();
    raw.create("/sessions/stays", br#"{"machine":"x","ttl-ms":1}"#, Life::Stays, &open).await.unwrap();
    raw.create("/leases/torn", b"{", Life::OfSession, &open).await.unwrap();
    let session = store.open_session("gw1", Duration::from_secs(10)).await.unwrap();
    let names: Vec<_> = store.sessions().await.unwrap().into_iter().map(|session| session.name).collect();
    assert_eq!(names, ["gw1"]);
    assert!(store.acquire(session, "torn").await.unwrap_err().is_held());
    assert_eq!(store.holder("torn").await.unwrap(), None);
    store.open_session("stays", Duration::from_secs(10)).await.unwrap();
    raw.create("/leases/stays", b"{}", Life::Stays, &open).await.unwrap();
    store.acquire(session, "stays").await.unwrap();
    store.acquire(session, "mine").await.unwrap();
    raw.write("/leases/mine", b"{", None).await.unwrap();
    store.release(session, "mine").await.unwrap();
    store.keep_alive(session).await.unwrap();
    store.close_session(session).await.unwrap();
}

/// What somebody has written over an earlier revision by hand costs that revision alone, and it is named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_earlier_revision_that_cannot_be_read_is_listed_with_the_others() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one()).unwrap();
    let settings = crate::host::database(straight(&ensemble), "/over").await;
    let (store, raw) = (open(settings.clone()), Coordinator::open(settings));
    for expected in 0..4_u8 {
        let shards = BTreeMap::from([(ShardName::new("bridges/a").unwrap(), vec![expected])]);
        let change = Change::new("alice", WallTime::from_millis(1), "");
        store.publish(Revision::new(expected.into()), shards, change).await.unwrap();
    }
    raw.write("/kept/0000000002", b"junk", None).await.unwrap();
    let known = store.revisions().await.unwrap();
    let read =
        |info: &nsdb::RevisionInfo| (info.revision.get(), info.author.clone(), info.unreadable.is_some());
    let alice = |number| (number, "alice".to_owned(), false);
    let expected = [alice(4), alice(3), (2, String::new(), true), alice(1)];
    assert_eq!(known.iter().map(read).collect::<Vec<_>>(), expected);
    let why = known[2].unreadable.as_ref().unwrap();
    assert!(why.starts_with("cannot read /over/kept/0000000002: it is not of format "), "{why}");
    let refused = store.root_of(Revision::new(2).unwrap()).await.unwrap_err();
    assert_eq!(&refused.to_string(), why);
    // It may name anything, so nothing is taken away.
    assert_eq!(store.collect(Duration::ZERO).await.unwrap_err().to_string(), *why);
}
