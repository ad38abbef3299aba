//! A store with something of everything in it.

use nsdb::{Change, Documents, Embedded, EntryKind, Journal, Local, NewEntry, ShardName, WallTime};

/// Three revisions, 300 journal entries, local values from 1 byte to 100 000.
pub(crate) async fn fill(store: &Embedded) {
    let mut revision = None;
    for number in 1..=3_usize {
        let shards = (0..6).map(|n| {
            let name = ShardName::new(format!("bridge/vub{n}")).unwrap();
            (name, vec![b'0' + number as u8; 10 * 5_usize.pow(n)])
        });
        let change = Change::new("alice", WallTime::from_millis(number as u64), "test");
        revision = Some(store.publish(revision, shards.collect(), change).await.unwrap());
        let entries = (0..100).map(|n| NewEntry {
            kind: EntryKind::new("address-moved").unwrap(),
            at: WallTime::from_millis(n),
            body: format!("{{\"mac\":\"02:00:00:00:00:{n:02x}\",\"round\":{number}}}").into_bytes(),
        });
        store.append(entries.collect()).await.unwrap();
        for (key, length) in [("vni", 1), ("fdb/small", 1_000), ("fdb/large", 100_000)] {
            store.save(key, vec![number as u8; length]).await.unwrap();
        }
    }
}
