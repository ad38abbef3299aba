//! A node answers, by its relay too, is frozen, killed, stopped and started again, and has what it had.

use std::net::TcpStream;
use std::time::Duration;

use servers::{Cassandra, CassandraOptions};

use crate::{has, make_table, put, start};

#[test]
fn a_node_comes_back_with_its_data_from_whatever_befalls_it() {
    let Some(node) = start(CassandraOptions::plain()) else { return };
    is_reached_by_its_relay(&node);
    make_table(&node);
    put(&node, "a", "first value").unwrap();
    assert!(has(&node, "a", "first value") && !has(&node, "b", "first value"));

    node.freeze().unwrap();
    assert!(!node.answers_within(SHORT), "it is frozen");
    assert!(TcpStream::connect(node.contact_point()).is_ok(), "the kernel accepts for it");
    node.thaw().unwrap();
    assert!(node.answers_within(LONG));

    // The commit log is written once a second.
    std::thread::sleep(Duration::from_secs(2));
    node.freeze().unwrap();
    node.kill().unwrap();
    assert!(!node.answers_within(SHORT) && node.pid().is_none());
    assert_eq!(node.kill().unwrap_err().to_string(), "server 1 is dead");
    node.restart().unwrap();
    assert_eq!(node.restart().unwrap_err().to_string(), "server 1 is running");
    node.wait_until_ready().unwrap();
    assert!(has(&node, "a", "first value"));

    let data = node.data();
    node.stop().unwrap();
    assert!(node.pid().is_none() && data.is_dir());
    drop(node);
    assert!(!data.exists());
}

/// Its relay is where a driver looks for it, and can be cut without it.
fn is_reached_by_its_relay(node: &Cassandra) {
    let (relay, own) = (node.relay().address(), node.contact_point());
    assert_eq!(relay.port(), own.port());
    let told = node.run("SELECT rpc_address FROM system.local").unwrap();
    let std::net::IpAddr::V4(ip) = relay.ip() else { panic!("{relay}") };
    assert!(told.windows(4).any(|bytes| bytes == ip.octets()), "a driver learns the relay's address");

    TcpStream::connect(relay).unwrap();
    node.relay().cut();
    assert!(TcpStream::connect(relay).is_err() && node.answers_within(LONG));
    node.relay().heal();
    TcpStream::connect(relay).unwrap();
}

const SHORT: Duration = Duration::from_millis(500);
const LONG: Duration = Duration::from_secs(20);
