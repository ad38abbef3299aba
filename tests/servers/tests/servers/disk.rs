//! A disk gets full and has room again.

use std::time::Duration;

use servers::Options;

use crate::client::Client;
use crate::{start, until};

#[test]
fn a_server_whose_disk_is_full_ends_and_comes_back_when_there_is_room() {
    let Some(ensemble) = start(Options::one().small_disk(1 << 20)) else { return };
    let server = &ensemble.servers()[0];
    let disk = server.disk().unwrap();
    let mut client = Client::connect(server.address(), Duration::from_secs(60)).unwrap();
    client.create("/before").unwrap();

    let filled = disk.fill().unwrap();
    assert!((1..=1 << 20).contains(&filled), "{filled} bytes");
    assert_eq!(disk.fill().unwrap(), 0, "it is full");
    // The log has some room that was taken before.
    let failed = (0..10_000).find_map(|n| client.create(&format!("/{n:0>200}")).err());
    assert!(failed.is_some(), "no write failed");
    // ZooKeeper ends itself when it cannot write its log.
    until(|| !server.is_running());

    disk.free().unwrap();
    disk.free().unwrap();
    server.restart().unwrap();
    ensemble.wait_until_ready().unwrap();
    let dump = server.dump().unwrap();
    assert!(dump.ephemerals[&client.session].contains("/before"), "{dump:?}");
}
