//! Networks that drop packets, and sockets that speak again.

use std::time::Duration;

use nsdb::zookeeper::{Access, Coordinator, Life, Refusal};
use servers::{Ensemble, Options, Relay};

use crate::host::{Host, TIMEOUT, relayed, straight, within};

/// The relay through which a host's session goes.
fn relay_of<'e>(ensemble: &'e Ensemble, host: &Host) -> &'e Relay {
    let server = ensemble.server_of(host.session.cast_unsigned()).unwrap();
    &ensemble.relays()[server.number() - 1]
}

/// Packets to and from one server are dropped: the session moves to another before it is over. Later the old socket speaks again, with the
/// answer to a question that was asked on it: nobody hears it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_to_one_server_are_dropped_and_its_old_socket_speaks_again() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::three()).unwrap();
    for silence in [Relay::drop_packets, Relay::fall_silent] {
        let host = Host::connected(relayed(&ensemble)).await;
        let relay = relay_of(&ensemble, &host);
        silence(relay);
        let took = host.until_it_writes().await;
        println!("packets dropped: writing again after {took:?}");
        assert!(took < TIMEOUT, "{took:?}");
        tokio::time::sleep(2 * TIMEOUT).await;
        assert!(host.has_its_node().await, "the session moved");
        relay.heal();
        for number in 0..200 {
            let path = format!("/{:x}-{number}", host.session);
            // What the old server hears late may cost the connection once more; what is read is right all the same.
            let open = Access::open();
            let made = || host.coordinator.create(&path, path.as_bytes(), Life::Stays, &open);
            let until_made = async { while let Err(Refusal::Away { .. }) = made().await {} };
            within(2 * TIMEOUT, "a node", until_made).await;
            let (content, stat) = host.coordinator.read(&path).await.unwrap().unwrap();
            assert_eq!((content.as_slice(), stat.version), (path.as_bytes(), 0));
        }
        assert_eq!(host.coordinator.session().await.unwrap(), host.session);
        assert!(host.has_its_node().await);
    }
}

/// One of three drops packets from the beginning.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_drops_packets_does_not_keep_a_host_from_the_others() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::three()).unwrap();
    ensemble.relays()[0].drop_packets();
    ensemble.relays()[1].fall_silent();
    for _ in 0..4 {
        let host = within(2 * TIMEOUT, "the third server", Host::connected(relayed(&ensemble))).await;
        host.coordinator.close().await;
    }
}

/// All servers are out of reach until they end the session: the host has a new one, whoever watched is woken, and the old node is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_and_a_new_one_begins() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::three()).unwrap();
    let host = Host::connected(relayed(&ensemble)).await;
    let observer = Host::connected(straight(&ensemble)).await;
    let (_, watch) = host.coordinator.look_and_watch("/never").await.unwrap();
    for relay in ensemble.relays() {
        relay.drop_packets();
    }
    let gone = async {
        while observer.coordinator.look(&host.node).await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    within(4 * TIMEOUT, "the end of the session", gone).await;
    let refused = host.coordinator.write("/", &[], None).await.unwrap_err();
    assert!(matches!(refused, Refusal::Away { .. }), "{refused:?}");
    for relay in ensemble.relays() {
        relay.heal();
    }
    let new = within(4 * TIMEOUT, "a new session", async {
        loop {
            match host.coordinator.session().await {
                Ok(session) if session != host.session => break session,
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    });
    let new = new.await;
    within(Duration::from_secs(2), "a watch, since the session ended", watch.changed()).await;
    assert!(!host.has_its_node().await);
    host.coordinator.create(&host.node, &[], Life::OfSession, &Access::open()).await.unwrap();
    assert_eq!(host.coordinator.look(&host.node).await.unwrap().unwrap().owner, new);
}

/// Names are resolved at each connection: `localhost` and an address are as good as each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_leads_nowhere_is_told_and_another_server_is_taken() {
    if !servers::are_there() {
        return;
    }
    let ensemble = Ensemble::start(Options::one()).unwrap();
    let mut settings = straight(&ensemble);
    settings.servers.insert(0, "no-such-server.invalid:2181".to_owned());
    within(2 * TIMEOUT, "the second", Host::connected(settings.clone())).await;
    settings.servers.truncate(1);
    settings.patience = Duration::from_secs(1);
    let nowhere = Coordinator::open(settings);
    let Err(Refusal::Away { why }) = nowhere.session().await else { panic!("connected to nothing") };
    let told = "none of no-such-server.invalid:2181 answers; no-such-server.invalid does not resolve: ";
    assert!(why.starts_with(told), "{why}");
}
