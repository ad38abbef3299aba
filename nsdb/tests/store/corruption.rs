//! Damage on disk is named, never served: bytes flipped anywhere, records changed under their checksums, files that are
//! too old, gone, or of a newer program.

use std::fs;
use std::path::Path;

use nsdb::{ShardId, StoreError};
use redb::{Database, ReadableTable, TableDefinition};
use tempfile::TempDir;

use crate::content::{Everything, open, read};
use crate::filling::fill;
use crate::seed::Seeded;

type Table = TableDefinition<'static, &'static [u8], &'static [u8]>;
const META: Table = TableDefinition::new("meta");
const HISTORY: Table = TableDefinition::new("history");
const SHARDS: Table = TableDefinition::new("shards");
const JOURNAL: Table = TableDefinition::new("journal");
const LOCAL: Table = TableDefinition::new("local");

/// A filled state directory, as a clean close leaves it, and what it says.
async fn filled() -> (TempDir, Everything) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    fill(&store).await;
    let everything = read(&store).await.unwrap();
    store.close().unwrap();
    (dir, everything)
}

fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    for name in ["state.redb", "state.commit"] {
        fs::copy(from.join(name), to.path().join(name)).unwrap();
    }
    to
}

/// How a damaged store showed it.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// All the right data: the byte did not matter.
    Whole,
    /// An error that says where and what to do.
    Named,
}

async fn open_and_read(dir: &Path, expected: &Everything, what: &str) -> Outcome {
    let error = match open(dir) {
        Ok(store) => match read(&store).await {
            Ok(found) => {
                assert!(found == *expected, "{what}: wrong data was served");
                return Outcome::Whole;
            }
            Err(error) => error,
        },
        Err(error) => error,
    };
    assert!(error.is_corrupt() && !error.is_retryable(), "{what}: {error:?}");
    let text = error.to_string();
    assert!(text.contains("state.redb: ") && text.contains("; restore a copy"), "{what}: {text}");
    Outcome::Named
}

async fn flip_bytes_of(
    template: &Path,
    expected: &Everything,
    places: Vec<usize>,
    mut seeded: Seeded,
) -> usize {
    let whole = fs::read(template.join("state.redb")).unwrap();
    let (flips, mut named) = (places.len(), 0);
    for at in places {
        let dir = copy(template);
        let mut bytes = whole.clone();
        let mask = 1 + seeded.below(255) as u8;
        bytes[at] ^= mask;
        fs::write(dir.path().join("state.redb"), &bytes).unwrap();
        let outcome = open_and_read(dir.path(), expected, &format!("byte {at} xor {mask:#04x}")).await;
        named += usize::from(outcome == Outcome::Named);
    }
    println!("{flips} flips in {} bytes: {named} named, the others made no difference", whole.len());
    named
}

/// The places of the file whose bytes are not zero, plus as many anywhere.
fn sample(file: &Path, count: usize, seeded: &mut Seeded) -> Vec<usize> {
    let bytes = fs::read(file).unwrap();
    let used: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let pick = |seeded: &mut Seeded, end: usize| seeded.below(end as u64) as usize;
    let mut places: Vec<_> = (0..count).map(|_| used[pick(seeded, used.len())]).collect();
    places.extend((0..count).map(|_| pick(seeded, bytes.len())));
    places
}

#[tokio::test]
async fn a_flipped_byte_after_a_clean_close_is_named_or_harmless() {
    let (template, expected) = filled().await;
    let mut seeded = Seeded::new("clean");
    let mut places = sample(&template.path().join("state.redb"), 150, &mut seeded);
    // The header and both commit slots, byte by byte: 320 bytes (redb's own page about its design, "Database super-header").
    places.extend(0..320);
    let named = flip_bytes_of(template.path(), &expected, places, seeded).await;
    assert!(named > 60, "only {named} flips were noticed");
}

#[tokio::test]
async fn a_flipped_byte_after_a_crash_is_named_or_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    fill(&store).await;
    let expected = read(&store).await.unwrap();
    // What a killed process leaves: the files as they are while nothing is being written.
    let template = copy(dir.path());
    drop(store);
    let mut seeded = Seeded::new("crashed");
    let mut places = sample(&template.path().join("state.redb"), 100, &mut seeded);
    places.extend((0..320).step_by(3));
    let named = flip_bytes_of(template.path(), &expected, places, seeded).await;
    assert!(named > 30, "only {named} flips were noticed");
}

#[tokio::test]
async fn a_damaged_mark_costs_nothing_but_its_own_word() {
    let (template, expected) = filled().await;
    for at in 0..64 {
        let dir = copy(template.path());
        let mark = dir.path().join("state.commit");
        let mut line = fs::read(&mark).unwrap();
        line[at] ^= 0x11;
        fs::write(&mark, line).unwrap();
        let outcome = open_and_read(dir.path(), &expected, &format!("byte {at} of the mark")).await;
        assert_eq!(outcome, Outcome::Whole, "byte {at}");
    }
}

#[tokio::test]
async fn a_file_cut_short_or_made_longer_is_named_or_harmless() {
    let (template, expected) = filled().await;
    let length = fs::metadata(template.path().join("state.redb")).unwrap().len();
    for to in [0, 1, 8, 100, 4_095, 4_096, 8_192, length / 2, length - 1, length + 1, length + 4_096] {
        let dir = copy(template.path());
        fs::File::options().write(true).open(dir.path().join("state.redb")).unwrap().set_len(to).unwrap();
        let outcome = open_and_read(dir.path(), &expected, &format!("{to} of {length} bytes")).await;
        assert!(to > length || outcome == Outcome::Named, "{to} of {length} bytes: {outcome:?}");
    }
}

#[tokio::test]
async fn an_older_copy_is_refused_until_the_mark_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    fill(&store).await;
    let commits = store.statistics().commits;
    let expected = read(&store).await.unwrap();
    store.close().unwrap();
    let older = copy(dir.path());
    let store = open(dir.path()).unwrap();
    store.close().unwrap();
    fs::copy(older.path().join("state.redb"), dir.path().join("state.redb")).unwrap();
    let text = open(dir.path()).unwrap_err().to_string();
    let (newest, dir_name) = (commits + 1, dir.path().display());
    assert_eq!(
        text,
        format!(
            "{dir_name}/state.redb: commit {newest}: it was acknowledged and is damaged or gone, the newest readable one \
             is {commits}; restore a copy of the state directory, or remove {dir_name}/state.commit to go on from \
             commit {commits}"
        )
    );
    fs::remove_file(dir.path().join("state.commit")).unwrap();
    assert_eq!(open_and_read(dir.path(), &expected, "older").await, Outcome::Whole);
}

#[tokio::test]
async fn a_vanished_file_is_not_taken_for_a_new_store() {
    let (dir, _) = filled().await;
    fs::remove_file(dir.path().join("state.redb")).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(error.is_corrupt());
    assert!(error.to_string().ends_with("to go on from commit 0"), "{error}");
}

/// Opens `dir` with redb itself and changes one record, so that all page checksums are right.
fn tamper(dir: &Path, table: Table, key: &[u8], change: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>) {
    let database = Database::open(dir.join("state.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut table = transaction.open_table(table).unwrap();
        let value = table.get(key).unwrap().expect("the record is there").value().to_vec();
        match change(value) {
            Some(value) => drop(table.insert(key, value.as_slice()).unwrap()),
            None => drop(table.remove(key).unwrap()),
        }
    }
    transaction.commit().unwrap();
}

fn flip_last(mut value: Vec<u8>) -> Option<Vec<u8>> {
    *value.last_mut()? ^= 1;
    Some(value)
}

fn flip_first(mut value: Vec<u8>) -> Option<Vec<u8>> {
    *value.first_mut()? ^= 1;
    Some(value)
}

#[tokio::test]
async fn a_record_changed_under_its_checksum_is_named() {
    let (template, expected) = filled().await;
    let shard = *ShardId::of(expected.shards.values().next().unwrap()).as_bytes();
    let hex: String = shard.iter().map(|byte| format!("{byte:02x}")).collect();
    type Change = fn(Vec<u8>) -> Option<Vec<u8>>;
    let cases: [(Table, Vec<u8>, Change, String); 10] = [
        (META, b"root".to_vec(), flip_first, "meta[root]: its checksum does not match".into()),
        (META, b"commit".to_vec(), flip_last, "meta[commit]: its checksum does not match".into()),
        (META, b"commit".to_vec(), |_| None, "meta[commit]: it is missing".into()),
        (
            HISTORY,
            2_u64.to_be_bytes().to_vec(),
            flip_first,
            "history[0000000000000002]: its checksum does not match".into(),
        ),
        (SHARDS, shard.to_vec(), flip_first, format!("shards[{hex}]: its checksum does not match")),
        (
            SHARDS,
            shard.to_vec(),
            |_| None,
            format!("shards[{hex}]: a revision that is kept names it, and it is missing"),
        ),
        (
            JOURNAL,
            17_u64.to_be_bytes().to_vec(),
            flip_first,
            "journal[0000000000000011]: its checksum does not match".into(),
        ),
        (
            JOURNAL,
            17_u64.to_be_bytes().to_vec(),
            |_| None,
            "journal[0000000000000011]: this entry of the journal is missing".into(),
        ),
        (
            JOURNAL,
            1_u64.to_be_bytes().to_vec(),
            |_| None,
            "journal[0000000000000001]: this entry of the journal is missing".into(),
        ),
        (
            LOCAL,
            b"vni".to_vec(),
            |_| Some(b"short".to_vec()),
            "local[vni]: its checksum does not match".into(),
        ),
    ];
    for (table, key, change, expected) in cases {
        let dir = copy(template.path());
        tamper(dir.path(), table, &key, change);
        let error = match open(dir.path()) {
            Ok(store) => read(&store).await.unwrap_err(),
            Err(error) => error,
        };
        let text = error.to_string();
        let start = format!("{}/state.redb: {expected}; restore a copy", dir.path().display());
        assert!(text.starts_with(&start), "{text}\nexpected: {start}");
    }
}

#[tokio::test]
async fn a_damaged_record_does_not_stop_the_others() {
    use nsdb::{Change, Documents, Journal, Local, WallTime};
    let (dir, expected) = filled().await;
    tamper(dir.path(), JOURNAL, &17_u64.to_be_bytes(), flip_first);
    tamper(dir.path(), LOCAL, b"vni", flip_first);
    let store = open(dir.path()).unwrap();
    assert!(store.load("vni").await.unwrap_err().is_corrupt());
    assert!(store.trim(WallTime::from_millis(u64::MAX)).await.unwrap_err().is_corrupt());
    store.save("vni", b"mended".to_vec()).await.unwrap();
    assert_eq!(store.load("vni").await.unwrap(), Some(b"mended".to_vec()));
    let root = store.root().await.unwrap().unwrap();
    assert_eq!(store.read_shards(&root, &[""]).await.unwrap(), expected.shards);
    let change = Change::new("alice", WallTime::from_millis(9), "");
    store.publish(Some(root.revision), expected.shards.clone(), change).await.unwrap();
}

#[tokio::test]
async fn publishing_the_same_again_mends_a_damaged_shard() {
    use nsdb::{Change, Documents, WallTime};
    let (dir, expected) = filled().await;
    let id = ShardId::of(expected.shards.values().next().unwrap());
    tamper(dir.path(), SHARDS, id.as_bytes(), flip_first);
    let store = open(dir.path()).unwrap();
    assert!(store.read(id).await.unwrap_err().is_corrupt());
    let revision = store.root().await.unwrap().map(|root| root.revision);
    let change = Change::new("alice", WallTime::from_millis(9), "");
    store.publish(revision, expected.shards.clone(), change).await.unwrap();
    let root = store.root().await.unwrap().unwrap();
    assert_eq!(store.read_shards(&root, &[""]).await.unwrap(), expected.shards);
}

#[tokio::test]
async fn a_foreign_file_is_named() {
    for foreign in [&b"not a database at all, but long enough to be looked at"[..], &[0; 8_192]] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("state.redb"), foreign).unwrap();
        let error = open(dir.path()).unwrap_err();
        assert!(matches!(&error, StoreError::Corrupt(c) if c.file.ends_with("state.redb")), "{error:?}");
        assert_eq!(fs::read(dir.path().join("state.redb")).unwrap(), foreign, "it was changed");
    }
}
