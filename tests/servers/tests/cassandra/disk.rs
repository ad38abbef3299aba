//! A node's disk gets full and has room again.

use servers::CassandraOptions;

use crate::{has, make_table, put, start};

#[test]
fn a_node_whose_disk_is_full_refuses_writes_and_comes_back_when_there_is_room() {
    let Some(node) = start(CassandraOptions::plain().small_disk(16 << 20)) else { return };
    make_table(&node);
    put(&node, "before", "it was there").unwrap();
    // The commit log is written once a second.
    std::thread::sleep(std::time::Duration::from_secs(2));
    let disk = node.disk().unwrap();
    let filled = disk.fill().unwrap();
    assert!((1..=16 << 20).contains(&filled), "{filled} bytes");

    // What is left of the commit log was taken before.
    let large = "x".repeat(100_000);
    let failed = (0..200).find_map(|n| put(&node, &n.to_string(), &large).err());
    assert!(failed.is_some(), "no write failed");

    disk.free().unwrap();
    // It may have ended by itself.
    let _ = node.kill();
    node.restart().unwrap();
    node.wait_until_ready().unwrap();
    assert!(has(&node, "before", "it was there"));
    put(&node, "after", "it is there").unwrap();
}
