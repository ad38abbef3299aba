//! A revision that cannot be read changes nothing, is told, and is replaced by the next that is right.

use std::sync::Arc;

use nsdb::{Faults, ShardName, StoreConfig};
use tokio::sync::mpsc;
use vlan::model::description::{Bridge, BridgeKind, Description, Host, Port};
use vlan::model::numbers::FIRST_DEALT_VNI;

use super::*;
use crate::door::{AtStart, Door, FileMark, Proposal};
use crate::engine::{Engine, Settings};
use crate::event::Event;
use crate::input::Input;
use crate::output::Output;

fn network(port: &str) -> Description {
    let bridge = Bridge {
        name: "vub".to_owned(),
        ageing: vlan::model::defaults::DEFAULT_AGEING,
        mac_limit: 1_000,
        renamed_from: None,
        mtu: None,
        kind: BridgeKind::VlanUnaware { vni: None },
    };
    Description {
        hosts: ["gw1", "gw2"].map(|name| Host { name: name.to_owned(), ..Host::default() }).into(),
        bridges: vec![bridge],
        ports: vec![Port::plain(port, "vub", "gw1", "tap1"), Port::plain("far", "vub", "gw2", "tap1")],
        ..Description::default()
    }
}

fn by() -> Authorship {
    let (author, sources) = ("test".to_owned(), Default::default());
    Authorship { author, note: String::new(), text: None, sources, confirm_within: None }
}

/// Makes this the revision behind `before`, past the door.
async fn published(
    store: &Store,
    topology: Topology,
    before: Option<&Newest>,
) -> Result<Revision, TopologyError> {
    publish(store, &mut Arc::new(topology), before, &by(), &Built::default()).await
}

/// What a host that begins to follow hears.
async fn arrived(store: &Arc<Store>, host: &str) -> Vec<Input> {
    let (arrivals, mut arrived) = mpsc::channel(4);
    let follower = tokio::spawn(follow(Arc::clone(store), host.to_owned(), Built::default(), arrivals));
    let first = arrived.recv().await.unwrap();
    let more = tokio::time::timeout(std::time::Duration::from_millis(50), arrived.recv()).await;
    follower.abort();
    [Some(first), more.ok().flatten()].into_iter().flatten().collect()
}

/// A store with a revision that can be read and one that a newer version wrote.
async fn store() -> Arc<Store> {
    let store = Arc::new(Store::open(StoreConfig::in_memory()).unwrap());
    let topology = Topology::build(&network("vm1")).unwrap();
    published(&store, topology, None).await.unwrap();
    publish_newer(&store, Revision::FIRST, FIRST_DEALT_VNI + 40).await;
    store
}

/// Publishes what this version cannot read, as one that has dealt out numbers up to `next_vni`.
async fn publish_newer(store: &Store, there: Revision, next_vni: u32) {
    let numbers = format!(r#"{{"format":3,"next-host":9,"next-vni":{next_vni}}}"#);
    let shards = [
        ("hosts/gw1", r#"{"format":3,"host":{},"needs":["routers"],"number":1}"#),
        ("numbers", numbers.as_str()),
    ];
    let shards = shards.map(|(name, text)| (ShardName::new(name).unwrap(), text.as_bytes().to_vec()));
    let change = Change::new("newer", WallTime::from_millis(1), "");
    store.publish(Some(there), shards.into(), change).await.unwrap();
}

#[tokio::test]
async fn a_host_that_starts_has_the_last_one_in_force_and_says_so() {
    let store = store().await;
    let (arrivals, mut arrived) = mpsc::channel(4);
    let follower = tokio::spawn(follow(Arc::clone(&store), "gw1".to_owned(), Built::default(), arrivals));
    let mut engine = Engine::new(Settings::new("gw1"));
    let now = vlan::time::Instant::from_nanos(0);
    for _ in 0..2 {
        engine.handle(now, arrived.recv().await.unwrap());
    }
    let status = engine.view().status(now);
    assert_eq!(status.revision, 1);
    let unread = status.unread.unwrap();
    assert_eq!(unread.revision, 2);
    assert!(unread.why.contains("shard hosts/gw1 needs \"routers\""), "{}", unread.why);
    // One more like it comes alone, and the next that can be read takes its place.
    publish_newer(&store, Revision::new(2).unwrap(), FIRST_DEALT_VNI + 40).await;
    engine.handle(now, arrived.recv().await.unwrap());
    assert_eq!(engine.view().status(now).unread.map(|unread| unread.revision), Some(3));
    let newest = newest(&store).await.unwrap();
    let next = Topology::build(&network("vm2")).unwrap();
    published(&store, next, newest.as_ref()).await.unwrap();
    engine.handle(now, arrived.recv().await.unwrap());
    let status = engine.view().status(now);
    assert_eq!((status.revision, status.unread), (4, None));
    follower.abort();
}

#[tokio::test]
async fn it_is_replaced_through_the_door_by_what_takes_nothing_away() {
    let store = store().await;
    let door = Door::new(Arc::clone(&store), "gw1", None);
    let proposal = |description: Description| Proposal::new(&description, "test", "");
    let mut without = network("vm1");
    without.ports.remove(0);
    let said = door.publish(proposal(without)).await.unwrap_err().to_string();
    assert!(said.contains("has no port in it any more: vm1 would"), "{said}");
    // The same as the last that could be read is new all the same.
    let accepted = door.publish(proposal(network("vm1"))).await.unwrap();
    assert_eq!((accepted.revision, accepted.is_new), (3, true));
    let stored = newest(&store).await.unwrap().unwrap().stored.unwrap();
    let numbers = stored.numbers.unwrap();
    assert_eq!(numbers.segments.values().copied().collect::<Vec<_>>(), [FIRST_DEALT_VNI]);
    assert_eq!((numbers.next_host, numbers.next_vni), (9, FIRST_DEALT_VNI + 40));
}

/// A bridge with a VNI of its own.
fn with_vni(name: &str, vni: u32) -> Topology {
    let mut made = network("vm1");
    let kind = BridgeKind::VlanUnaware { vni: Some(vni) };
    made.bridges.push(Bridge { name: name.to_owned(), kind, ..made.bridges[0].clone() });
    Topology::build(&made).unwrap()
}

#[tokio::test]
async fn no_vni_that_it_declares_is_given_to_another() {
    let store = store().await;
    let bridge = r#"{"bridge":{"kind":"vlan-unaware","vni":77},"format":3,"needs":["x"],"segments":[{"segment":"red","vni":77}]}"#;
    let shards = [("bridges/red", bridge), ("numbers", r#"{"format":3,"next-host":9,"next-vni":8388700}"#)];
    let shards = shards.map(|(name, text)| (ShardName::new(name).unwrap(), text.as_bytes().to_vec()));
    store
        .publish(Revision::new(2), shards.into(), Change::new("newer", WallTime::from_millis(2), ""))
        .await
        .unwrap();
    let before = newest(&store).await.unwrap();
    let said = published(&store, with_vni("blue", 77), before.as_ref()).await.unwrap_err().to_string();
    assert!(said.starts_with("bridges.blue.vni: 77 is the VNI of segment red: "), "{said}");
    published(&store, with_vni("red", 77), before.as_ref()).await.unwrap();
}

/// What the door has told, and what it said of a file at a start.
async fn at_start(store: &Arc<Store>, port: &str) -> (AtStart, Vec<Event>) {
    let door = Door::new(Arc::clone(store), "gw1", Some("/x/gateway.toml".into()));
    let told = crate::journal::read(store, 100).await.unwrap().len();
    let mark = FileMark { path: "/x/gateway.toml".into(), digest: port.to_owned() };
    let proposal = Proposal { file: Some(mark), ..Proposal::new(&network(port), "file", "run") };
    let what = door.publish_at_start(proposal).await.unwrap();
    let events = crate::journal::read(store, 100).await.unwrap().into_iter().skip(told);
    (what, events.map(|told| told.event).collect())
}

#[tokio::test]
async fn at_a_start_a_file_replaces_it_only_if_it_has_changed() {
    let store = Arc::new(Store::open(StoreConfig::in_memory()).unwrap());
    assert!(at_start(&store, "vm1").await.1.is_empty(), "a first revision replaces none");
    publish_newer(&store, Revision::FIRST, FIRST_DEALT_VNI + 40).await;
    let (what, told) = at_start(&store, "vm1").await;
    assert!(matches!(what, AtStart::Kept { revision: 2 }), "{told:?}");
    assert!(matches!(&told[..], [Event::FileKept { revision: 2, .. }]), "{told:?}");
    let (what, told) = at_start(&store, "vm2").await;
    assert!(matches!(what, AtStart::InForce(accepted) if accepted.revision == 3), "{told:?}");
    let [Event::RevisionUnreadable { revision: 2, why }, Event::FileApplied { replaced: 2, .. }] = &told[..]
    else {
        panic!("{told:?}")
    };
    assert!(why.contains("needs \"routers\""), "{why}");
}

/// What is stored anew in another layout, or with numbers, is no change that an operator has to look into.
#[tokio::test]
async fn a_file_that_says_the_same_as_an_older_layout_replaces_nothing() {
    let store = Arc::new(Store::open(StoreConfig::in_memory()).unwrap());
    let without_numbers = documents::to_shards(&Stored::from(network("vm1"))).unwrap();
    store.publish(None, without_numbers, Change::new("old", WallTime::from_millis(1), "")).await.unwrap();
    let (what, told) = at_start(&store, "vm1").await;
    assert!(matches!(what, AtStart::InForce(accepted) if accepted.is_new && accepted.revision == 2));
    assert!(told.is_empty(), "{told:?}");
    assert!(newest(&store).await.unwrap().unwrap().stored.unwrap().numbers.is_some());
}

#[tokio::test]
async fn where_its_counters_are_lost_numbers_are_passed_over() {
    let store = store().await;
    let shards = [(ShardName::new("numbers").unwrap(), b"{".to_vec())];
    let change = Change::new("damaged", WallTime::from_millis(2), "");
    store.publish(Revision::new(2), shards.into(), change).await.unwrap();
    let before = newest(&store).await.unwrap();
    let topology = Topology::build(&network("vm2")).unwrap();
    published(&store, topology, before.as_ref()).await.unwrap();
    let numbers = newest(&store).await.unwrap().unwrap().stored.unwrap().numbers.unwrap();
    assert_eq!(numbers.next_vni, FIRST_DEALT_VNI + 1 + SKIPPED);
}

#[tokio::test]
async fn a_revision_whose_numbers_are_missing_is_not_taken() {
    let store = Arc::new(Store::open(StoreConfig::in_memory()).unwrap());
    let topology = Topology::build(&network("vm1")).unwrap();
    let stored = Stored::after(None, topology.description(), Numbers::default(), None, Default::default());
    let shards = documents::to_shards(&stored).unwrap();
    store.publish(None, shards, Change::new("test", WallTime::from_millis(1), "")).await.unwrap();
    let arrived = arrived(&store, "gw1").await;
    let [Input::Unreadable { revision: 1, why }] = &arrived[..] else { panic!("{arrived:?}") };
    assert_eq!(why, "host gw1 has no number in it");
}

#[tokio::test]
async fn what_this_process_publishes_is_built_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(StoreConfig::in_directory(directory.path())).unwrap());
    let door = Door::new(Arc::clone(&store), "gw1", None);
    let network = |port: &str| {
        let mut network = network(port);
        network.ports.pop();
        network
    };
    door.publish(Proposal::new(&network("vm1"), "test", "")).await.unwrap();
    let offered = door.built().offered().unwrap();
    let (arrivals, mut arrived) = mpsc::channel(4);
    let follower = tokio::spawn(follow(Arc::clone(&store), "gw1".to_owned(), door.built(), arrivals));
    let Some(Input::Topology { built: Some(first), description, numbers, .. }) = arrived.recv().await else {
        panic!("a topology comes first")
    };
    assert!(Arc::ptr_eq(&first, &offered), "the same, not one like it");
    assert_eq!(Ok(&*first), Topology::with_numbers(&description, &numbers.unwrap()).as_ref());
    assert!(door.built().offered().is_none(), "it is not kept");
    // What another process publishes is built here, though something was offered before.
    door.built().offer(Revision::new(1), &Numbers::default(), &first);
    let before = newest(&store).await.unwrap();
    published(&store, Topology::build(&network("vm2")).unwrap(), before.as_ref()).await.unwrap();
    let Some(Input::Topology { built: Some(second), .. }) = arrived.recv().await else {
        panic!("another follows")
    };
    assert!(second.port_named("vm2").is_some() && !Arc::ptr_eq(&first, &second));
    follower.abort();
}

/// Whoever publishes reads what others have changed; who publishes what is there already reads all of it, since some may be lost.
#[tokio::test]
async fn the_door_reads_what_has_changed_and_all_where_nothing_is_new() {
    let faults = Faults::none();
    let config = StoreConfig { faults: faults.clone(), ..StoreConfig::in_memory() };
    let door = Door::new(Arc::new(Store::open(config).unwrap()), "gw1", None);
    let mut read = Vec::new();
    faults.reads();
    for port in ["vm1", "vm2", "vm3", "vm3", "vm4"] {
        let accepted = door.publish(Proposal::new(&network(port), "test", "")).await.unwrap();
        read.push((accepted.is_new, faults.reads().len()));
    }
    // Two hosts, the list that both have, a bridge with its ports, the numbers.
    assert_eq!(read, [(true, 0), (true, 5), (true, 1), (false, 1 + 5), (true, 0)]);
}

#[tokio::test]
async fn a_host_that_a_revision_does_not_have_is_told_those_that_it_has() {
    let store = Arc::new(Store::open(StoreConfig::in_memory()).unwrap());
    published(&store, Topology::build(&network("vm1")).unwrap(), None).await.unwrap();
    let told =
        "\"typo\", this host, is no host of revision 1, so nothing is forwarded here; its hosts: gw1, gw2";
    for (host, expected, events) in [("gw1", None, vec![]), ("typo", Some("gw1, gw2"), vec![told])] {
        let mut engine = Engine::new(Settings::new(host));
        let now = vlan::time::Instant::ZERO;
        assert_eq!(engine.view().status(now).no_such_host, None, "there is no revision yet");
        for input in arrived(&store, host).await {
            engine.handle(now, input);
        }
        let said = engine.view().status(now).no_such_host.map(|others| others.to_string());
        assert_eq!(said.as_deref(), expected);
        let outputs = std::iter::from_fn(|| engine.poll_output());
        let unknown = outputs.filter_map(|output| match output {
            Output::Event(event @ Event::HostUnknown { .. }) => Some(event.to_string()),
            _ => None,
        });
        assert_eq!(unknown.collect::<Vec<_>>(), events);
    }
}
