//! Servers that die, stand still or come late.

use std::time::{Duration, Instant};

use nsdb::zookeeper::{Access, Coordinator, Life, Refusal};
use servers::{Ensemble, Options};

use crate::host::{Host, TIMEOUT, cpu_time, is_alone, login, relayed, straight, within};

/// Each server is killed in turn, the leader too: the session goes on, its node stays, and a watch that was set before fires.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_server_is_killed_in_turn_and_the_session_goes_on() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::three()).unwrap();
    let settings =
        nsdb::zookeeper::ZooKeeperSettings { login: Some(login("gateway")), ..straight(&ensemble) };
    let host = Host::connected(settings).await;
    let other = Host::connected(straight(&ensemble)).await;
    for (round, server) in ensemble.servers().iter().enumerate() {
        let (_, watch) = host.coordinator.look_and_watch(&format!("/round-{round}")).await.unwrap();
        server.kill().unwrap();
        let took = host.until_it_writes().await;
        println!("server {} killed: writing again after {took:?}", server.number());
        other.until_it_writes().await;
        let open = Access::open();
        other.coordinator.create(&format!("/round-{round}"), &[], Life::Stays, &open).await.unwrap();
        within(Duration::from_secs(10), "a watch over another server", watch.changed()).await;
        server.restart().unwrap();
        ensemble.wait_until_ready().unwrap();
    }
    assert!(host.has_its_node().await && other.has_its_node().await);
    assert_eq!(host.coordinator.session().await.unwrap(), host.session);
}

/// A login is told to each server anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_survives_another_server() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::three()).unwrap();
    let settings =
        |user| nsdb::zookeeper::ZooKeeperSettings { login: Some(login(user)), ..relayed(&ensemble) };
    let database = nsdb::zookeeper::ZooKeeperSettings { root: "/own".to_owned(), ..settings("gateway") };
    let host = Coordinator::open(database.clone());
    nsdb::zookeeper::make(&host, Some(&login("agent"))).await.unwrap();
    let stranger =
        Coordinator::open(nsdb::zookeeper::ZooKeeperSettings { login: Some(login("x")), ..database });
    for relay in ensemble.relays() {
        relay.disconnect();
        assert!(host.read("/store").await.unwrap().is_some());
        assert_eq!(stranger.read("/store").await.unwrap_err(), Refusal::Denied);
    }
}

/// All servers are gone for a minute: little is done meanwhile, what is asked is refused in time, and the session goes on afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_servers_are_gone_for_a_minute() {
    if !servers::are_there() || !is_alone("connection::all_servers_are_gone_for_a_minute") {
        return;
    }
    let ensemble = Ensemble::start(Options::three()).unwrap();
    let host = Host::connected(straight(&ensemble)).await;
    let (_, watch) = host.coordinator.look_and_watch("/later").await.unwrap();
    for server in ensemble.servers() {
        server.kill().unwrap();
    }
    let (start, used) = (Instant::now(), cpu_time());
    let patience = host.coordinator.settings().patience;
    let refused = within(2 * patience, "an answer", host.coordinator.read(&host.node)).await;
    let Err(Refusal::Away { why }) = refused else { panic!("{refused:?}") };
    assert!(why.contains("none of 127.") && why.contains(" answers"), "{why}");
    tokio::time::sleep(Duration::from_secs(60).saturating_sub(start.elapsed())).await;
    let used = cpu_time() - used;
    println!("a minute without servers: {used:?} of CPU");
    assert!(used < Duration::from_secs(2), "{used:?} of CPU in a minute");
    for server in ensemble.servers() {
        server.restart().unwrap();
    }
    ensemble.wait_until_ready().unwrap();
    let took = host.until_it_writes().await;
    println!("writing again {took:?} after the ensemble was there");
    assert!(host.has_its_node().await, "an ensemble that is down counts no time");
    within(Duration::from_secs(5), "a watch, since the connection was away", watch.changed()).await;
}

/// The first server is dead when the host starts, then all are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_are_dead_at_the_start() {
    if !servers::are_there() || !is_alone("connection::servers_are_dead_at_the_start") {
        return;
    }
    let ensemble = Ensemble::start(Options::three()).unwrap();
    ensemble.servers()[0].kill().unwrap();
    let host = within(Duration::from_secs(5), "a server", Host::connected(straight(&ensemble))).await;
    host.coordinator.close().await;
    for server in &ensemble.servers()[1..] {
        server.kill().unwrap();
    }
    let late = Coordinator::open(straight(&ensemble));
    let used = cpu_time();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!late.standing().borrow().is_connected());
    let used = cpu_time() - used;
    println!("five seconds of looking for a server: {used:?} of CPU");
    assert!(used < Duration::from_millis(500), "{used:?} of CPU");
    for server in ensemble.servers() {
        server.restart().unwrap();
    }
    within(Duration::from_secs(30), "a server", late.session()).await.unwrap();
}

/// The server that has the connection stands still: the session moves before it is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_stands_still_for_20_s() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::three()).unwrap();
    let host = Host::connected(straight(&ensemble)).await;
    let server = ensemble.server_of(host.session.cast_unsigned()).unwrap();
    server.stop().unwrap();
    let took = host.until_it_writes().await;
    println!("the server stood still: writing again after {took:?}");
    tokio::time::sleep(Duration::from_secs(20).saturating_sub(took)).await;
    assert!(host.has_its_node().await);
    server.cont().unwrap();
    tokio::time::sleep(2 * TIMEOUT).await;
    assert!(host.has_its_node().await, "what the server says late changes nothing");
    assert_eq!(host.coordinator.session().await.unwrap(), host.session);
}

/// Neither an end that was said nor one by dropping leaves a session behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_session_is_left_behind() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one()).unwrap();
    let observer = Host::connected(straight(&ensemble)).await;
    let said = Host::connected(straight(&ensemble)).await;
    said.coordinator.close().await;
    assert_eq!(observer.coordinator.look(&said.node).await.unwrap(), None, "at once");
    let dropped = Host::connected(straight(&ensemble)).await.node;
    let start = Instant::now();
    while observer.coordinator.look(&dropped).await.unwrap().is_some() {
        assert!(start.elapsed() < TIMEOUT / 2, "the session is there until it runs out");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let refused = said.coordinator.read("/").await.unwrap_err();
    assert_eq!(refused, Refusal::Away { why: "the session was closed".to_owned() });
}

/// Ten thousand watches, set one by one and all due at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_watches_fire_at_once() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one()).unwrap();
    let watcher = Host::connected(straight(&ensemble)).await;
    let writer = Host::connected(straight(&ensemble)).await;
    writer.coordinator.create("/watched", &[], Life::Stays, &Access::open()).await.unwrap();
    let mut watches = Vec::new();
    for number in 0..10_000 {
        let path = if number % 2 == 0 { "/watched".to_owned() } else { format!("/watched/{number}") };
        watches.push(watcher.coordinator.look_and_watch(&path).await.unwrap().1);
    }
    let start = Instant::now();
    writer.coordinator.write("/watched", b"new", None).await.unwrap();
    for number in (1..10_000).step_by(2) {
        let path = format!("/watched/{number}");
        writer.coordinator.create(&path, &[], Life::Stays, &Access::open()).await.unwrap();
    }
    let written = start.elapsed();
    let all = async {
        for watch in watches {
            watch.changed().await;
        }
    };
    within(Duration::from_secs(20), "ten thousand watches", all).await;
    println!(
        "10 000 watches: {:?} behind the last of 5 001 writes, which took {written:?}",
        start.elapsed() - written
    );
}

/// A full disk: what cannot be written is refused, and written when there is room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_disk_is_full() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one().small_disk(4 << 20)).unwrap();
    let host = Host::connected(straight(&ensemble)).await;
    let (server, content) = (&ensemble.servers()[0], vec![7_u8; 100_000]);
    let disk = server.disk().unwrap();
    disk.fill().unwrap();
    let mut refused = None;
    for number in 0..100 {
        let path = format!("/large-{number}");
        if let Err(refusal) = host.coordinator.create(&path, &content, Life::Stays, &Access::open()).await {
            refused = Some(refusal);
            break;
        }
    }
    let refused = refused.expect("a full disk takes nothing");
    assert!(matches!(refused, Refusal::Away { .. }), "{refused:?}");
    disk.free().unwrap();
    // A server whose disk is full ends.
    tokio::time::sleep(Duration::from_secs(2)).await;
    if !server.is_running() {
        server.restart().unwrap();
    }
    ensemble.wait_until_ready().unwrap();
    let again = Host::connected(straight(&ensemble)).await;
    again.coordinator.create("/large", &content, Life::Stays, &Access::open()).await.unwrap();
    within(Duration::from_secs(30), "the first host", host.coordinator.session()).await.unwrap();
}
