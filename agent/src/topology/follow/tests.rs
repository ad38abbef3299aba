//! A revision that has to be confirmed, as hosts follow it: with the store and without.

use nsdb::{Fault, Faults, Operation, StoreConfig};
use vlan::model::description::{Bridge, BridgeKind, Description, Host, Mode, Port, TrunkMode};
use vlan::tag::Tpid;

use super::*;
use crate::door::{Confirmation, Door};
use crate::topology::{Authorship, newest, publish};

/// A bridge with a port of this name, and a trunk, on `gw1`, and a trunk on `gw2`.
fn network(port: &str) -> Topology {
    let aware = BridgeKind::VlanAware {
        fabric: "rack".to_owned(),
        redundancy: Default::default(),
        tpid: Tpid::Customer,
        join_vids: false,
    };
    let bridge = |name: &str, kind: BridgeKind| {
        let (ageing, mac_limit) = (vlan::model::defaults::DEFAULT_AGEING, 1_000);
        Bridge { name: name.to_owned(), ageing, mac_limit, renamed_from: None, mtu: None, kind }
    };
    let trunk = |name: &str, host: &str| Port {
        mode: Mode::Trunk(TrunkMode::default()),
        ..Port::plain(name, "dc1", host, "eth0")
    };
    let description = Description {
        hosts: ["gw1", "gw2"].map(|name| Host { name: name.to_owned(), ..Host::default() }).into(),
        bridges: vec![bridge("vub", BridgeKind::VlanUnaware { vni: None }), bridge("dc1", aware)],
        trunks: vec![trunk("leaf1", "gw1"), trunk("leaf2", "gw2")],
        ports: vec![Port::plain(port, "vub", "gw1", "tap1"), Port::plain(port, "vub", "gw2", "tap1")],
        ..Description::default()
    };
    let mut description = description;
    description.ports[1].name += "b";
    Topology::build(&description).unwrap()
}

fn store() -> (Arc<Store>, Faults) {
    let faults = Faults::none();
    let config = StoreConfig { faults: faults.clone(), ..StoreConfig::in_memory() };
    (Arc::new(Store::open(config).unwrap()), faults)
}

/// Publishes past the door.
async fn apply(store: &Store, port: &str, seconds: Option<u64>) {
    let before = newest(store).await.unwrap();
    let (author, note) = ("ann".to_owned(), String::new());
    let confirm_within = seconds.map(|seconds| ConfirmWithin::try_from(seconds).unwrap());
    let by = Authorship { author, note, text: None, sources: Default::default(), confirm_within };
    publish(store, &mut Arc::new(network(port)), before.as_ref(), &by, &Built::default()).await.unwrap();
}

async fn confirm(store: &Arc<Store>) {
    let door = Door::of_no_host(Arc::clone(store));
    door.confirm(Confirmation::default(), "ann".to_owned()).await.unwrap();
}

/// A host that follows.
struct Following {
    arrived: mpsc::Receiver<Input>,
    task: tokio::task::JoinHandle<()>,
    began: std::time::Instant,
}

impl Following {
    fn begin(store: &Arc<Store>, host: &str) -> Following {
        let (arrivals, arrived) = mpsc::channel(1);
        let task = tokio::spawn(follow(Arc::clone(store), host.to_owned(), Built::default(), arrivals));
        Following { arrived, task, began: std::time::Instant::now() }
    }

    /// The number of the next revision, and the port that this host has by it.
    async fn next(&mut self) -> String {
        let arrived = tokio::time::timeout(Duration::from_secs(20), self.arrived.recv()).await;
        match arrived.expect("another revision").unwrap() {
            Input::Topology { revision, built, .. } => {
                let built = built.unwrap();
                let port = built.description().ports.first().map(|port| port.name.clone());
                format!("{revision} {}", port.unwrap_or_default())
            }
            Input::Unreadable { revision, why } => format!("{revision} unreadable: {why}"),
            other => panic!("{other:?}"),
        }
    }

    async fn end(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// All revisions: number and note, the newest first.
async fn notes(store: &Store) -> Vec<(u64, String)> {
    let known = store.revisions().await.unwrap();
    known.into_iter().map(|known| (known.revision.get(), known.note)).collect()
}

#[tokio::test]
async fn what_nobody_confirms_is_taken_back_by_one_of_those_who_followed_it() {
    let (store, _) = store();
    apply(&store, "a", None).await;
    let mut hosts = ["gw1", "gw2"].map(|host| Following::begin(&store, host));
    for host in &mut hosts {
        assert_eq!(host.next().await, "1 a");
    }
    apply(&store, "b", Some(1)).await;
    let applied = std::time::Instant::now();
    for expected in ["2 b", "1 a", "3 a"] {
        for host in &mut hosts {
            assert_eq!(host.next().await, expected);
        }
        let elapsed = applied.elapsed();
        assert_eq!(elapsed >= Duration::from_secs(1), expected != "2 b", "{expected} after {elapsed:?}");
    }
    let known = notes(&store).await;
    assert_eq!(known.len(), 3, "{known:?}");
    assert_eq!(known[0], (3, "revision 2 was not confirmed within 1 s".to_owned()));
    let told = journal::read(&store, 10).await.unwrap();
    let told: Vec<_> = told.into_iter().map(|told| told.text).collect();
    let expected = "revision 2 was not confirmed within 1 s: this host goes back to revision 1";
    assert_eq!(told, [expected, expected], "each host tells its own journal, which is one here");
}

#[tokio::test]
async fn what_is_confirmed_in_time_stays() {
    let (store, _) = store();
    apply(&store, "a", None).await;
    let mut host = Following::begin(&store, "gw1");
    apply(&store, "b", Some(1)).await;
    while host.next().await != "2 b" {}
    confirm(&store).await;
    assert_eq!(host.next().await, "3 b");
    let more = tokio::time::timeout(Duration::from_millis(1_500), host.arrived.recv()).await;
    assert!(more.is_err(), "{more:?}");
    let notes = notes(&store).await;
    assert_eq!((notes.len(), notes[0].1.as_str()), (3, "confirms revision 2"));
}

const ALL: [Operation; 4] = [Operation::Root, Operation::Revisions, Operation::Read, Operation::Publish];

/// The store is away from before the time is over: the host goes back all the same, stays there over a restart, and follows again.
#[tokio::test]
async fn a_host_that_the_store_is_away_from_goes_back_by_itself() {
    let (store, faults) = store();
    apply(&store, "a", None).await;
    let mut host = Following::begin(&store, "gw2");
    apply(&store, "b", Some(1)).await;
    while host.next().await != "2 b" {}
    // What was read is kept behind that.
    tokio::time::sleep(Duration::from_millis(100)).await;
    ALL.iter().for_each(|operation| faults.always(*operation, Fault::Refuse));
    store.forget_read();
    assert_eq!(host.next().await, "1 a");
    host.end().await;
    let mut host = Following::begin(&store, "gw2");
    assert_eq!(host.next().await, "1 a", "a start does not bring it back");
    host.end().await;
    faults.clear();
    // It can be read, and what this host has gone back to is not taken for all yet.
    faults.always(Operation::Publish, Fault::Refuse);
    let mut host = Following::begin(&store, "gw2");
    assert_eq!(host.next().await, "1 a", "nor does one with the store there");
    let more = tokio::time::timeout(Duration::from_secs(2), host.arrived.recv()).await;
    assert!(more.is_err(), "nor anything else, while the store has it still: {more:?}");
    faults.clear();
    confirm(&store).await;
    assert_eq!(host.next().await, "3 b");
}

/// A gateway that the store was away from publishes what it has gone back to when it can, if nobody else has.
#[tokio::test]
async fn it_is_taken_back_for_all_once_the_store_is_there_again() {
    let (store, faults) = store();
    apply(&store, "a", None).await;
    let mut host = Following::begin(&store, "gw1");
    apply(&store, "b", Some(1)).await;
    while host.next().await != "2 b" {}
    tokio::time::sleep(Duration::from_millis(100)).await;
    ALL.iter().for_each(|operation| faults.always(*operation, Fault::Refuse));
    assert_eq!(host.next().await, "1 a");
    tokio::time::sleep(Duration::from_secs(1)).await;
    faults.clear();
    assert_eq!(host.next().await, "3 a");
    assert_eq!(notes(&store).await[0].1, "revision 2 was not confirmed within 1 s");
}

#[tokio::test]
async fn a_host_that_starts_again_counts_anew() {
    let (store, _) = store();
    apply(&store, "a", None).await;
    apply(&store, "b", Some(2)).await;
    let mut host = Following::begin(&store, "gw1");
    assert_eq!(host.next().await, "2 b");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    host.end().await;
    let mut host = Following::begin(&store, "gw1");
    assert_eq!(host.next().await, "2 b");
    assert_eq!(host.next().await, "1 a");
    assert!(host.began.elapsed() >= Duration::from_secs(2), "{:?}", host.began.elapsed());
    assert_eq!(host.next().await, "3 a");
}

#[tokio::test]
async fn what_there_is_no_way_back_from_is_not_taken() {
    let (store, _) = store();
    apply(&store, "a", Some(1)).await;
    let mut host = Following::begin(&store, "gw1");
    let why = "it is not confirmed yet, and the revision before, to go back to, cannot be had: there is none";
    assert_eq!(host.next().await, format!("1 unreadable: {why}"));
    confirm(&store).await;
    assert_eq!(host.next().await, "2 a");
}
