//! A host that looks after those that are gone, on a store in memory.

use nsdb::{AddressKey, AddressRecord, Change, Mac, Mobility, Presence, SegmentId, StoreConfig, WallTime};
use tokio_util::task::AbortOnDropHandle;
use vlan::model::description::{Description, Host};
use vlan::model::numbers::Numbers;
use vlan::time::Instant as Moment;

use super::absences::{AGAIN, PATIENCE};
use super::*;
use crate::documents::{Stored, to_shards};
use crate::engine::{Engine, Settings};
use crate::presence::Hears;

const GW1: u32 = 1;
const CN1: u32 = 2;
const CN2: u32 = 3;
/// Of a host that was removed.
const REMOVED: u32 = 4;

/// gw1, which looks; cn1, which is there; cn2, which is not.
struct Net {
    store: Arc<Store>,
    keeper: Keeper,
    told: mpsc::Receiver<Input>,
    _session: watch::Sender<Option<SessionId>>,
    _answering: AbortOnDropHandle<()>,
}

impl Net {
    /// gw1 goes by `in_force` of the only revision, 1; what cn1 says it hears, `None` if it says nothing of it.
    async fn new(in_force: u64, cn1_hears: Option<&[u32]>) -> Net {
        let store = Arc::new(Store::open(StoreConfig::in_memory()).unwrap());
        let description = publish(&store, &[("gw1", GW1), ("cn1", CN1), ("cn2", CN2)], REMOVED + 1).await;
        for owner in [GW1, CN1, CN2, REMOVED] {
            store.announce(HostId(owner), vec![word(owner)]).await.unwrap();
        }
        let mut engine = Engine::new(Settings::new("gw1"));
        let description = Box::new(description);
        engine.handle(
            Moment::ZERO,
            Input::Topology { revision: in_force, description, numbers: None, built: None },
        );
        let session = there(&store, &engine, "gw1", Some(&[CN1])).await;
        there(&store, &engine, "cn1", cn1_hears).await;
        let (requests, mut asked) = mpsc::channel(1);
        let answering = tokio::spawn(async move {
            while let Some(Request::Look(look)) = asked.recv().await {
                look(&engine, Moment::ZERO);
            }
        });
        let (arrivals, told) = mpsc::channel(8);
        let (_session, session) = watch::channel(Some(session));
        let keeper = Keeper {
            store: Arc::clone(&store),
            ends: Ends { session, requests, arrivals },
            declared: Declared::default(),
            absences: Absences::default(),
            begun: Instant::now(),
        };
        Net { store, keeper, told, _session, _answering: AbortOnDropHandle::new(answering) }
    }

    /// Looks now, and `later`.
    async fn look_twice(&mut self, later: Duration) -> bool {
        let mut is_its = true;
        for pause in [Duration::ZERO, later] {
            self.keeper.begun -= pause;
            is_its &= matches!(self.keeper.look().await, Ok(true));
        }
        is_its
    }

    /// Whose words are there.
    async fn owners(&self) -> Vec<u32> {
        let snapshot = self.store.follow(SegmentId(8)).await.unwrap().snapshot;
        let present = snapshot.records.iter().filter(|record| record.presence == Presence::Present);
        present.map(|record| record.owner.0).collect()
    }

    fn news(&mut self) -> Vec<(String, usize)> {
        let news = std::iter::from_fn(|| self.told.try_recv().ok());
        news.map(|news| match news {
            Input::Withdrawn { host, words } => (host, words),
            other => panic!("{other:?}"),
        })
        .collect()
    }
}

/// Publishes a revision with these hosts.
async fn publish(store: &Store, hosts: &[(&str, u32)], next_host: u32) -> Description {
    let host = |(name, _): &(&str, u32)| Host { name: (*name).to_owned(), ..Host::default() };
    let description = Description { hosts: hosts.iter().map(host).collect(), ..Description::default() };
    let numbers = hosts.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect();
    let numbers = Numbers { hosts: numbers, next_host, ..Numbers::default() };
    let stored = Stored { description: description.clone(), numbers: Some(numbers), ..Stored::default() };
    let before = newest_root(store).await.unwrap();
    let change = Change::new("test", WallTime::default(), "");
    store.publish(before.map(|root| root.revision), to_shards(&stored).unwrap(), change).await.unwrap();
    description
}

/// Opens a host's session and says a word there.
async fn there(store: &Store, engine: &Engine, host: &str, hears: Option<&[u32]>) -> SessionId {
    let session = store.open_session(host, Duration::from_secs(3_600)).await.unwrap();
    let hears: Option<Hears> = hears.map(|hears| hears.iter().copied().collect());
    let status = engine.view().status(Moment::ZERO);
    let word = HostWord { version: "0.1.0".to_owned(), started_ms: 1, said_ms: 2, status, hears };
    store.say(session, serde_json::to_string(&word).unwrap()).await.unwrap();
    session
}

fn word(owner: u32) -> AddressRecord {
    let key = AddressKey { segment: SegmentId(8), inner: 0, mac: Mac([2, 0, 0, 0, 0, owner as u8]) };
    let (mobility, presence) = (Mobility(1), Presence::Present);
    AddressRecord { key, owner: HostId(owner), mobility, session: 1, number: 1, by: 8, presence }
}

#[tokio::test]
async fn words_of_hosts_that_are_gone_are_withdrawn_once() {
    let mut net = Net::new(1, Some(&[GW1])).await;
    assert!(net.look_twice(PATIENCE).await);
    assert_eq!(net.owners().await, [GW1, CN1]);
    let removed = "number 4, which the topology has no more".to_owned();
    assert_eq!(net.news(), [("cn2".to_owned(), 1), (removed, 1)]);
    // It says the same words again between two looks.
    net.store.announce(HostId(CN2), vec![AddressRecord { number: 2, ..word(CN2) }]).await.unwrap();
    assert!(net.look_twice(PATIENCE).await);
    assert_eq!((net.owners().await, net.news()), (vec![GW1, CN1, CN2], vec![]));
    assert!(net.look_twice(AGAIN).await);
    assert_eq!((net.owners().await, net.news()), (vec![GW1, CN1], vec![("cn2".to_owned(), 1)]));
}

#[tokio::test]
async fn nothing_is_withdrawn_too_soon_or_while_one_hears_it_or_has_not_said_so() {
    let soon = PATIENCE - Duration::from_secs(30);
    for (in_force, cn1_hears, later, expected) in [
        (1, Some(&[GW1][..]), soon, vec![GW1, CN1, CN2, REMOVED]),
        (1, Some(&[GW1, CN2][..]), PATIENCE, vec![GW1, CN1, CN2]),
        (1, None, PATIENCE, vec![GW1, CN1, CN2, REMOVED]),
        (2, Some(&[GW1][..]), PATIENCE, vec![GW1, CN1, CN2, REMOVED]),
    ] {
        let mut net = Net::new(in_force, cn1_hears).await;
        assert_eq!(net.look_twice(later).await, in_force == 1);
        assert_eq!(net.owners().await, expected, "{in_force}, {cn1_hears:?}, {later:?}");
    }
}

#[tokio::test]
async fn one_host_looks_and_another_that_was_away_has_its_time() {
    let mut net = Net::new(1, Some(&[GW1])).await;
    let cn1 = net.store.session_named("cn1").await.unwrap().unwrap().id;
    net.store.acquire(cn1, LEASE).await.unwrap();
    assert!(!net.look_twice(PATIENCE).await, "cn1 has the lease");
    net.store.release(cn1, LEASE).await.unwrap();
    let cn2 = net.store.open_session("cn2", Duration::from_secs(3_600)).await.unwrap();
    assert!(net.look_twice(PATIENCE).await);
    assert_eq!(net.owners().await, [GW1, CN1, CN2, REMOVED], "cn2 has not said yet whom it hears");
    net.store.close_session(cn2).await.unwrap();
    assert!(net.look_twice(PATIENCE - Duration::from_secs(1)).await);
    assert_eq!(net.owners().await, [GW1, CN1, CN2], "it is gone for less");
}

#[tokio::test]
async fn hosts_that_another_revision_has_no_more_and_has_anew_are_known() {
    let mut net = Net::new(1, Some(&[GW1])).await;
    for (hosts, gone) in [
        (vec![("gw1", GW1), ("cn1", CN1), ("cn2", CN2)], vec![GW1, CN1, CN2, REMOVED]),
        (vec![("gw1", GW1), ("cn1", CN1), ("cn9", 5)], vec![GW1, CN1, CN2, REMOVED, 5]),
    ] {
        if hosts.iter().any(|(_, number)| *number == 5) {
            publish(&net.store, &hosts, 6).await;
        }
        let root = newest_root(&net.store).await.unwrap().unwrap();
        for _ in 0..2 {
            assert!(net.keeper.read_hosts(&root).await.is_ok());
            let known: BTreeSet<(&str, u32)> = net.keeper.declared.numbered().collect();
            assert_eq!(known, hosts.iter().copied().collect());
        }
        assert_eq!(net.keeper.declared.without(&[]), gone.into_iter().collect());
    }
}

#[tokio::test]
async fn a_host_that_goes_by_another_revision_or_cannot_read_it_lets_another_look() {
    let mut net = Net::new(2, Some(&[GW1])).await;
    let gw1 = net.store.session_named("gw1").await.unwrap().unwrap().id;
    net.store.acquire(gw1, LEASE).await.unwrap();
    assert!(!net.look_twice(PATIENCE).await);
    assert!(net.store.holder(LEASE).await.unwrap().is_none());
    let mut shards = to_shards(&Stored::default()).unwrap();
    shards.insert(ShardName::new(format!("{HOSTS}odd")).unwrap(), b"{".to_vec());
    let before = newest_root(&net.store).await.unwrap().map(|root| root.revision);
    net.store.publish(before, shards, Change::new("test", WallTime::default(), "")).await.unwrap();
    assert!(net.keeper.look().await.is_err() && net.store.holder(LEASE).await.unwrap().is_some());
    assert!(net.keeper.take_turn().await && net.store.holder(LEASE).await.unwrap().is_none());
}
