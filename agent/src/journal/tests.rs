//! What is told is in the journal in its order, whatever becomes of the store meanwhile.

use nsdb::{Fault, Faults, Operation, StoreConfig};

use super::*;

#[tokio::test]
async fn what_is_kept_is_read_in_its_order() {
    let store = Arc::new(Store::open(StoreConfig::in_memory()).unwrap());
    let (tell, told) = mpsc::channel(8);
    for revision in 1..=5 {
        tell.send(Event::Applied { revision }).await.unwrap();
    }
    drop(tell);
    keep(Arc::clone(&store), told).await;
    let texts: Vec<String> = read(&store, 2).await.unwrap().into_iter().map(|event| event.text).collect();
    assert_eq!(texts, ["revision 4 is in force", "revision 5 is in force"]);
}

#[tokio::test]
async fn an_event_that_is_not_known_is_left_out() {
    let store = Store::open(StoreConfig::in_memory()).unwrap();
    let body = br#"{"event":"teleported","port":"leaf1"}"#.to_vec();
    let unknown = NewEntry { kind: kind().unwrap(), at: WallTime::from_millis(7), body };
    let known = NewEntry { at: WallTime::from_millis(8), ..entry(&store, &Event::DatapathAnew).unwrap() };
    store.append(vec![unknown, known]).await.unwrap();
    let events = read(&store, 10).await.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].at_ms, events[0].event.kind()), (8, "datapath-anew"));
}

/// A store whose journal refuses everything until its faults are cleared.
fn away() -> (Arc<Store>, Faults) {
    let faults = Faults::none();
    faults.always(Operation::Append, Fault::Refuse);
    let config = StoreConfig { faults: faults.clone(), ..StoreConfig::in_memory() };
    (Arc::new(Store::open(config).unwrap()), faults)
}

/// Keeps what is told, and tries a journal that is away again after milliseconds.
fn keep_soon(store: &Arc<Store>, told: mpsc::Receiver<Event>) -> tokio::task::JoinHandle<()> {
    keep_with(store, told, (Duration::from_millis(5), Duration::from_millis(40)))
}

fn keep_with(
    store: &Arc<Store>,
    told: mpsc::Receiver<Event>,
    pauses: (Duration, Duration),
) -> tokio::task::JoinHandle<()> {
    let store = Arc::clone(store);
    tokio::spawn(async move { keep_at(&store, told, pauses).await })
}

/// Longer than any of these tests takes.
const MINUTE: Duration = Duration::from_secs(60);

async fn wait_until_written(store: &Store) {
    while store.backlog().waiting() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn kinds(store: &Store) -> Vec<&'static str> {
    read(store, 100).await.unwrap().iter().map(|told| told.event.kind()).collect()
}

#[tokio::test]
async fn what_is_told_while_the_journal_is_away_is_in_it_when_it_is_back() {
    let (store, faults) = away();
    let (tell, told) = mpsc::channel(8);
    let keeping = keep_soon(&store, told);
    for revision in 1..=3 {
        tell.send(Event::Applied { revision }).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(kinds(&store).await, ["applied", "journal-away", "applied", "applied"], "what waits is shown");
    let tries = faults.struck();
    assert!((2..=60).contains(&tries), "{tries} tries in 300 ms, 5 ms apart at least");
    faults.clear();
    wait_until_written(&store).await;
    tell.send(Event::Applied { revision: 4 }).await.unwrap();
    drop(tell);
    keeping.await.unwrap();
    let expected = ["applied", "journal-away", "applied", "applied", "journal-back", "applied"];
    assert_eq!(kinds(&store).await, expected, "each once, and one event at the start and one at the end");
    assert_eq!((store.backlog().waiting(), store.backlog().lost()), (0, 0));
}

/// There is room for what tells of it, though all is full, and it tells of what is lost until all that waited is written.
#[tokio::test]
async fn what_did_not_fit_is_told_when_the_journal_is_back() {
    let (store, faults) = away();
    let (tell, told) = mpsc::channel(8);
    let keeping = keep_soon(&store, told);
    tell.send(Event::DatapathAnew).await.unwrap();
    while faults.struck() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let large = || Event::FileRefused { file: "f".to_owned(), why: "x".repeat(6_000) };
    for _ in 0..3_000 {
        tell.send(large()).await.unwrap();
    }
    while tell.capacity() < tell.max_capacity() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let lost = store.backlog().lost();
    assert!((100..=300).contains(&lost), "{lost} of 3 000 events of 6 kB do not fit into 16 MiB");
    faults.clear();
    wait_until_written(&store).await;
    drop(tell);
    keeping.await.unwrap();
    let told = read(&store, 1).await.unwrap().remove(0);
    assert!(matches!(told.event, Event::JournalBack { lost: told, .. } if told == lost), "{}", told.text);
}

/// A try that was not answered may have been carried out: what it wrote is not shown a second time for waiting still.
#[tokio::test]
async fn what_waits_and_is_written_is_shown_once() {
    let (store, faults) = away();
    faults.always(Operation::Append, Fault::LoseAnswer);
    let (tell, told) = mpsc::channel(8);
    let keeping = keep_with(&store, told, (MINUTE, MINUTE));
    tell.send(Event::Applied { revision: 1 }).await.unwrap();
    while faults.struck() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tell.send(Event::Applied { revision: 2 }).await.unwrap();
    while store.backlog().waiting() < 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(kinds(&store).await, ["applied", "journal-away", "applied"]);
    let newest = read(&store, 2).await.unwrap();
    assert_eq!(newest.iter().map(|told| told.event.kind()).collect::<Vec<_>>(), ["journal-away", "applied"]);
    keeping.abort();
}

/// The daemon ends while the journal is left alone, and it is back: it is tried once more.
#[tokio::test]
async fn an_end_tries_once_more() {
    let (store, faults) = away();
    let (tell, told) = mpsc::channel(8);
    let keeping = keep_with(&store, told, (MINUTE, MINUTE));
    tell.send(Event::Applied { revision: 1 }).await.unwrap();
    while faults.struck() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    faults.clear();
    drop(tell);
    tokio::time::timeout(Duration::from_secs(20), keeping).await.unwrap().unwrap();
    assert_eq!(kinds(&store).await, ["applied", "journal-away", "journal-back"]);
}

/// One that is longer than any entry may be keeps none of the others out.
#[tokio::test]
async fn an_event_that_is_too_long_is_lost_alone_and_counted() {
    let store = Arc::new(Store::open(StoreConfig::in_memory()).unwrap());
    let (tell, told) = mpsc::channel(8);
    tell.send(Event::Applied { revision: 1 }).await.unwrap();
    let why = "x".repeat(MAX_ENTRY_BYTES);
    tell.send(Event::FileRefused { file: "f".to_owned(), why }).await.unwrap();
    tell.send(Event::Applied { revision: 2 }).await.unwrap();
    drop(tell);
    keep(Arc::clone(&store), told).await;
    assert_eq!(kinds(&store).await, ["applied", "applied"]);
    assert_eq!((store.backlog().lost(), store.backlog().settled()), (1, 2));
}

/// What somebody without an engine tells goes in its turn behind what waits.
#[tokio::test]
async fn a_note_does_not_overtake_what_waits() {
    let (store, faults) = away();
    note(&store, &Event::Applied { revision: 1 }).await;
    assert_eq!(store.backlog().waiting(), 1, "the journal is away");
    faults.clear();
    note(&store, &Event::Applied { revision: 2 }).await;
    let (tell, told) = mpsc::channel(8);
    tell.send(Event::Applied { revision: 3 }).await.unwrap();
    drop(tell);
    keep(Arc::clone(&store), told).await;
    let texts: Vec<String> = read(&store, 9).await.unwrap().into_iter().map(|event| event.text).collect();
    assert_eq!(texts, [1, 2, 3].map(|revision| format!("revision {revision} is in force")));
}
