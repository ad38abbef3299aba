//! What every backend of `Local` must do.

use nsdb::{Local, MAX_LOCAL_BYTES};

use crate::backends::Fixture;

pub(crate) async fn what_is_saved_is_loaded<S: Local>(fixture: Fixture<S>) {
    let store = &fixture.store;
    assert_eq!(store.load("fdb").await.unwrap(), None);
    store.save("fdb", b"one".to_vec()).await.unwrap();
    store.save("vni", vec![]).await.unwrap();
    store.save("fdb", b"two".to_vec()).await.unwrap();
    assert_eq!(store.load("fdb").await.unwrap(), Some(b"two".to_vec()));
    assert_eq!(store.load("vni").await.unwrap(), Some(vec![]));
    assert!(store.delete("fdb").await.unwrap());
    assert!(!store.delete("fdb").await.unwrap());
    assert_eq!(store.load("fdb").await.unwrap(), None);
}

pub(crate) async fn keys_are_listed_by_prefix<S: Local>(fixture: Fixture<S>) {
    for key in ["vni/b", "fdb/1", "vni/a", "vnj", "vn"] {
        fixture.store.save(key, vec![1]).await.unwrap();
    }
    assert_eq!(fixture.store.keys("vni/").await.unwrap(), ["vni/a", "vni/b"]);
    assert_eq!(fixture.store.keys("").await.unwrap(), ["fdb/1", "vn", "vni/a", "vni/b", "vnj"]);
    assert!(fixture.store.keys("x").await.unwrap().is_empty());
}

pub(crate) async fn bad_keys_and_long_values_are_refused<S: Local>(fixture: Fixture<S>) {
    let error = fixture.store.save("", vec![]).await.unwrap_err();
    assert_eq!(error.to_string(), "local name \"\" has 0 bytes: 1 to 255 are allowed");
    assert!(fixture.store.load("a b").await.is_err());
    assert!(fixture.store.delete("a//b").await.is_err());
    let error = fixture.store.save("fdb", vec![0; MAX_LOCAL_BYTES + 1]).await.unwrap_err();
    assert_eq!(error.to_string(), "local value fdb has 67108865 bytes: at most 67108864 are allowed");
    assert!(fixture.store.keys("").await.unwrap().is_empty());
}
