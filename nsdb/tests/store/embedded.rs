//! What only a store in a directory must do: survive, exclude others, share its flushes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nsdb::{Documents, JournalPlace, Local, Sessions, Store, StoreConfig, StorePlace};
use redb::{Database, ReadableDatabase};
use tokio::task::JoinSet;

use crate::content::{open, read};
use crate::filling::fill;

#[tokio::test]
async fn everything_survives_closing_and_dropping() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    fill(&store).await;
    let written = read(&store).await.unwrap();
    assert_eq!((written.shards.len(), written.journal.len(), written.local.len()), (6, 300, 3));
    assert_eq!(written.history.len(), 3);
    store.close().unwrap();
    let store = open(dir.path()).unwrap();
    assert_eq!(store.watch_root().borrow().map(|revision| revision.get()), Some(3));
    assert!(read(&store).await.unwrap() == written, "changed by closing");
    drop(store);
    assert!(read(&open(dir.path()).unwrap()).await.unwrap() == written, "changed by dropping");
}

#[tokio::test]
async fn sessions_end_and_tokens_grow_over_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let mut last = None;
    for _ in 0..3 {
        let store = Store::open(StoreConfig::in_directory(dir.path())).unwrap();
        assert!(store.sessions().await.unwrap().is_empty());
        let session = store.open_session("gw1", Duration::from_secs(9)).await.unwrap();
        let lease = store.acquire(session, "compactor").await.unwrap();
        assert!(last < Some(lease.token));
        last = Some(lease.token);
    }
}

/// A host keeps its own notes in its own directory, also where the rest is elsewhere.
#[tokio::test]
async fn notes_of_a_host_are_in_its_directory_wherever_the_rest_is() {
    let dir = tempfile::tempdir().unwrap();
    let config = || StoreConfig {
        documents: StorePlace::Memory,
        journal: JournalPlace::Memory,
        ..StoreConfig::in_directory(dir.path())
    };
    let store = Store::open(config()).unwrap();
    store.save("kept", vec![1]).await.unwrap();
    let change = nsdb::Change::new("alice", nsdb::WallTime::from_millis(1), "");
    store.publish(None, Default::default(), change).await.unwrap();
    assert!(!store.is_of_one_host());
    drop(store);
    let store = Store::open(config()).unwrap();
    assert_eq!(store.load("kept").await.unwrap(), Some(vec![1]));
    assert_eq!(store.root().await.unwrap(), None);
    let nowhere = StoreConfig { state: None, ..StoreConfig::in_directory(dir.path()) };
    let error = Store::open(nowhere).unwrap_err();
    assert_eq!(error.to_string(), "revisions cannot be kept: no state directory is named");
}

#[tokio::test]
async fn a_second_opening_is_refused_and_names_the_holder() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(error.is_held() && !error.is_retryable());
    assert_eq!(
        error.to_string(),
        format!(
            "state directory {} is in use by process {}: stop it or choose another directory",
            dir.path().display(),
            std::process::id()
        )
    );
    fs::write(dir.path().join("holder"), "who knows").unwrap();
    assert!(open(dir.path()).unwrap_err().to_string().contains("in use by another process:"));
    first.save("still", b"here".to_vec()).await.unwrap();
    drop(first);
    assert_eq!(open(dir.path()).unwrap().load("still").await.unwrap(), Some(b"here".to_vec()));
}

#[tokio::test]
async fn the_directory_and_its_files_are_for_their_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("a/b/state");
    let _store = open(&state).unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(state.clone()), 0o700);
    let mut names = Vec::new();
    for file in fs::read_dir(&state).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(path.clone()), 0o600, "{}", path.display());
        names.push(path.file_name().unwrap().to_string_lossy().into_owned());
    }
    names.sort();
    assert_eq!(names, ["holder", "state.commit", "state.redb"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_share_one_flush() {
    const WRITES: u64 = 600;
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()).unwrap());
    let before = store.statistics();
    let mut writers = JoinSet::new();
    for n in 0..WRITES {
        let store = store.clone();
        writers
            .spawn(async move { store.save(&format!("key/{n}"), n.to_be_bytes().to_vec()).await.unwrap() });
    }
    writers.join_all().await;
    let after = store.statistics();
    let commits = after.commits - before.commits;
    println!("{WRITES} writes in {commits} commits");
    assert_eq!(after.writes - before.writes, WRITES);
    assert!(commits <= WRITES / 4, "{commits} commits for {WRITES} writes");
    assert_eq!(store.keys("key/").await.unwrap().len() as u64, WRITES);
}

#[tokio::test]
async fn a_conflict_does_not_disturb_the_others_of_its_group() {
    use nsdb::{Change, WallTime};
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let change = || Change::new("alice", WallTime::from_millis(1), "");
    let (save, lost, won, again) = tokio::join!(
        store.save("a", vec![1]),
        store.publish(nsdb::Revision::new(7), Default::default(), change()),
        store.publish(None, Default::default(), change()),
        store.save("b", vec![2]),
    );
    save.unwrap();
    again.unwrap();
    assert!(lost.unwrap_err().is_conflict());
    assert_eq!(won.unwrap().get(), 1);
    assert_eq!(store.keys("").await.unwrap(), ["a", "b"]);
}

#[tokio::test]
async fn a_write_whose_caller_gave_up_is_carried_out() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    {
        let mut save = Box::pin(store.save("key", vec![1]));
        let once = std::future::poll_fn(|context| std::task::Poll::Ready(save.as_mut().poll(context)));
        assert!(once.await.is_pending());
    }
    drop(store);
    assert_eq!(open(dir.path()).unwrap().load("key").await.unwrap(), Some(vec![1]));
}

#[tokio::test]
async fn a_half_made_file_of_a_crash_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("state.redb.new"), b"half").unwrap();
    open(dir.path()).unwrap().save("key", vec![1]).await.unwrap();
    assert!(!dir.path().join("state.redb.new").exists());
    assert_eq!(open(dir.path()).unwrap().load("key").await.unwrap(), Some(vec![1]));
}

type Bytes = redb::TableDefinition<'static, &'static [u8], &'static [u8]>;
const META: Bytes = redb::TableDefinition::new("meta");
const CHECKSUM_BYTES: usize = 16;

/// Puts `value` under `key` of `meta` with the checksum that a record has.
fn put_meta(dir: &Path, key: &[u8], value: &[u8]) {
    use sha2::{Digest, Sha256};
    let mut sum = Sha256::new();
    for part in [b"meta", key, value] {
        sum.update((part.len() as u64).to_be_bytes());
        sum.update(part);
    }
    let sealed = [value, &sum.finalize()[..CHECKSUM_BYTES]].concat();
    let database = Database::open(dir.join("state.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(META).unwrap().insert(key, sealed.as_slice()).unwrap();
    transaction.commit().unwrap();
}

fn meta(dir: &Path, key: &[u8]) -> Vec<u8> {
    let database = Database::open(dir.join("state.redb")).unwrap();
    let meta = database.begin_read().unwrap().open_table(META).unwrap();
    let mut value = meta.get(key).unwrap().unwrap().value().to_vec();
    value.truncate(value.len() - CHECKSUM_BYTES);
    value
}

#[tokio::test]
async fn a_file_of_a_newer_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    put_meta(dir.path(), b"format", &3_u64.to_be_bytes());
    let error = open(dir.path()).unwrap_err();
    assert!(!error.is_corrupt() && !error.is_retryable());
    assert_eq!(
        error.to_string(),
        format!(
            "{}/state.redb has format 3, this program knows format 2: start the newer program",
            dir.path().display()
        )
    );
}

#[tokio::test]
async fn a_root_of_a_newer_program_is_refused_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    fill(&store).await;
    store.close().unwrap();
    let openings = meta(dir.path(), b"openings");
    let root = String::from_utf8(meta(dir.path(), b"root")).unwrap();
    let newer = root.replace("\"format\":2", "\"format\":4,\"needs\":[\"more\"]");
    put_meta(dir.path(), b"root", newer.as_bytes());
    let error = open(dir.path()).unwrap_err();
    assert!(!error.is_corrupt() && !error.is_retryable());
    assert!(
        error.to_string().ends_with("has format 4, this program knows format 3: start the newer program"),
        "{error}"
    );
    assert_eq!(meta(dir.path(), b"root"), newer.as_bytes());
    assert_eq!(meta(dir.path(), b"openings"), openings);
}

/// The file was made by a program of format 1: two revisions, the first of which had another `bridges/vub8`.
#[tokio::test]
async fn a_store_of_format_1_is_read_and_the_next_revision_makes_it_one_of_today() {
    let dir = tempfile::tempdir().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/format-1");
    for name in ["state.redb", "state.commit"] {
        fs::copy(golden.join(name), dir.path().join(name)).unwrap();
        fs::set_permissions(dir.path().join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let store = open(dir.path()).unwrap();
    let root = store.root().await.unwrap().unwrap();
    assert_eq!(
        (root.revision.get(), root.author.as_str(), root.at.as_millis()),
        (2, "alice", 1_700_000_001_000)
    );
    let mut shards = store.read_shards(&root, &[""]).await.unwrap();
    let found: Vec<_> =
        shards.iter().map(|(name, text)| (name.as_str(), str::from_utf8(text).unwrap())).collect();
    assert_eq!(found, [("bridges/dc1", "first"), ("bridges/vub8", "second"), ("hosts/gw1", "third")]);
    assert!(!root.differs_from(&shards));
    assert_eq!(store.load("kept").await.unwrap(), Some(vec![1]));
    assert_eq!(
        store.collect(Duration::from_secs(1)).await.unwrap(),
        0,
        "the note of an author's time does not count"
    );
    assert_eq!(store.collect(Duration::ZERO).await.unwrap(), 1, "the first bridges/vub8");
    drop(store);
    assert_eq!(
        (meta(dir.path(), b"root")[0], meta(dir.path(), b"format")),
        (1, 1_u64.to_be_bytes().to_vec())
    );

    let store = open(dir.path()).unwrap();
    shards.insert(nsdb::ShardName::new("hosts/gw2").unwrap(), b"fourth".to_vec());
    let change = nsdb::Change::new("bob", nsdb::WallTime::from_millis(3), "");
    store.publish(Some(root.revision), shards.clone(), change).await.unwrap();
    let root = store.root().await.unwrap().unwrap();
    assert_eq!(store.read_shards(&root, &[""]).await.unwrap(), shards);
    let numbers: Vec<_> = store.revisions().await.unwrap().iter().map(|info| info.revision.get()).collect();
    assert_eq!(numbers, [3, 2], "what format 1 forgot is not there");
    let before = store.root_of(nsdb::Revision::new(2).unwrap()).await.unwrap().unwrap();
    shards.remove(&nsdb::ShardName::new("hosts/gw2").unwrap());
    assert_eq!(store.read_shards(&before, &[""]).await.unwrap(), shards, "from a root of format 1 as it was");
    assert_eq!(store.collect(Duration::ZERO).await.unwrap(), 0);
    drop(store);
    let written = String::from_utf8(meta(dir.path(), b"root")).unwrap();
    assert!(
        written.starts_with("{\"at\":3,\"author\":\"bob\",\"depth\":0,\"entries\":{\"bridges/dc1\":\""),
        "{written}"
    );
    assert_eq!(meta(dir.path(), b"format"), 2_u64.to_be_bytes());
}
