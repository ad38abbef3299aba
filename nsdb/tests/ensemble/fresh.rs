//! A server that lags behind says what was, unless it is asked to catch up first.

use std::time::Duration;

use nsdb::zookeeper::ZooKeeperSettings;
use nsdb::{Change, Documents, Store, StoreConfig, StorePlace, WallTime};
use servers::{Ensemble, Options, Server};

use crate::host::{database, straight, within};

/// A store that reaches one server and no other.
fn store(at: &ZooKeeperSettings, server: &Server) -> Store {
    let settings = ZooKeeperSettings { servers: vec![server.address().to_string()], ..at.clone() };
    let documents = StorePlace::Ensemble(settings);
    Store::open(StoreConfig { documents, ..StoreConfig::in_memory() }).unwrap()
}

/// The server that is read from stands still while the others take a revision; what was asked of it meanwhile it answers when it goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_behind_catching_up_is_the_newest() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::three()).unwrap();
    let at = database(straight(&ensemble), "/fresh").await;
    let mut followers = ensemble.servers().iter().filter(|server| !server.is_leader());
    let (slow, leader) = (followers.next().unwrap(), ensemble.leader().unwrap());
    let writer = store(&at, leader);
    let mut stale = 0;
    for round in 0..ROUNDS {
        // As a command does, which knows of no revision yet.
        let readers = [store(&at, slow), store(&at, slow)];
        for reader in &readers {
            reader.root().await.unwrap();
        }
        slow.stop().unwrap();
        let there = writer.root().await.unwrap().map(|root| root.revision);
        let change = Change::new("alice", WallTime::from_millis(round), "");
        let newest = writer.publish(there, Default::default(), change).await.unwrap();
        let [plain, fresh] = &readers;
        let fresh = async {
            fresh.catch_up().await.unwrap();
            fresh.root().await.unwrap().map(|root| root.revision)
        };
        let go_on = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            slow.cont().unwrap();
        };
        let all = async { tokio::join!(plain.root(), fresh, go_on) };
        let (plain, fresh, ()) = within(Duration::from_secs(20), "an answer", all).await;
        assert_eq!(fresh, Some(newest), "round {round}");
        stale += u32::from(plain.unwrap().map(|root| root.revision) != Some(newest));
        for reader in &readers {
            reader.close().await;
        }
    }
    println!("of {ROUNDS} that did not catch up {stale} read an older revision");
}

const ROUNDS: u64 = 10;
