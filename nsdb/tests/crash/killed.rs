//! A process killed with SIGKILL in the middle of commits, fifty times on the same directory: what it was told is
//! durable is there, and the file opens.

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use nsdb::{
    Change, Documents, Embedded, EntryKind, Journal, KEPT_REVISIONS, Local, NewEntry, ShardName, WallTime,
};

use crate::content::{Everything, open, read};
use crate::seed::Seeded;

const ROUNDS: u64 = 50;
const DIRECTORY: &str = "NSDB_CRASH_DIRECTORY";
const ROUND: &str = "NSDB_CRASH_ROUND";
const ACKNOWLEDGED: &str = "acknowledged ";

/// Runs itself as the child that is killed.
#[test]
fn nothing_acknowledged_is_lost_when_killed_fifty_times() {
    if let (Ok(dir), Ok(round)) = (std::env::var(DIRECTORY), std::env::var(ROUND)) {
        commit_until_killed(Path::new(&dir), &round);
    }
    let dir = tempfile::tempdir().unwrap();
    let mut seeded = Seeded::new("crash");
    let mut told = Told::default();
    let mut rounds_with_commits = 0;
    for round in 0..ROUNDS {
        // Every fifth is killed while it starts and opens the file, the others in the middle of commits.
        let from = if round % 5 == 0 { From::Start } else { From::FirstAcknowledged };
        let before = told.count;
        let lines = run_and_kill(dir.path(), round, from, Duration::from_micros(seeded.below(60_000)));
        lines.iter().for_each(|line| told.note(line));
        rounds_with_commits += u64::from(told.count > before);
        told.check(dir.path(), round);
    }
    println!("{} acknowledged in {rounds_with_commits} of {ROUNDS} rounds, none lost", told.count);
    assert!(rounds_with_commits >= ROUNDS * 4 / 5, "too few rounds were killed in the middle of commits");
}

/// From when the time to the kill counts.
#[derive(Clone, Copy, PartialEq)]
enum From {
    Start,
    FirstAcknowledged,
}

fn run_and_kill(dir: &Path, round: u64, from: From, after: Duration) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::nothing_acknowledged_is_lost_when_killed_fifty_times", "--nocapture"])
        .env(DIRECTORY, dir)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let (first, acknowledged) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let tell = |line: &String| {
            if line.contains(ACKNOWLEDGED) {
                // Only the first is waited for.
                let _ = first.send(());
            }
        };
        output.lines().map_while(Result::ok).inspect(tell).collect::<Vec<_>>()
    });
    if from == From::FirstAcknowledged {
        acknowledged.recv().expect("the child says what it was told");
    }
    std::thread::sleep(after);
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(9),
        "the child ended by itself: {status}"
    );
    reader.join().unwrap()
}

/// What was acknowledged so far.
#[derive(Default)]
struct Told {
    count: u64,
    journal: HashSet<String>,
    local: BTreeMap<String, u64>,
    revision: u64,
}

impl Told {
    /// Takes a line such as `acknowledged journal 3-1-17`, `acknowledged local key 3000017`, `acknowledged revision 9`.
    fn note(&mut self, line: &str) {
        let Some(at) = line.find(ACKNOWLEDGED) else { return };
        self.count += 1;
        let words: Vec<_> = line[at + ACKNOWLEDGED.len()..].split(' ').collect();
        match words[..] {
            ["journal", body] => drop(self.journal.insert(body.to_owned())),
            ["local", key, number] => drop(self.local.insert(key.to_owned(), number.parse().unwrap())),
            ["revision", number] => self.revision = number.parse().unwrap(),
            _ => panic!("{line}"),
        }
    }

    fn check(&self, dir: &Path, round: u64) {
        let store = open(dir).unwrap_or_else(|error| panic!("round {round}: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let found: Everything =
            runtime.block_on(read(&store)).unwrap_or_else(|e| panic!("round {round}: {e}"));
        store.close().unwrap();
        let journal: HashSet<_> =
            found.journal.iter().map(|entry| String::from_utf8(entry.body.clone()).unwrap()).collect();
        let lost: Vec<_> = self.journal.difference(&journal).collect();
        assert!(lost.is_empty(), "round {round}: lost journal entries {lost:?}");
        for (key, told) in &self.local {
            let kept: u64 = std::str::from_utf8(&found.local[key]).unwrap().parse().unwrap();
            assert!(kept >= *told, "round {round}: {key} is {kept}, {told} was acknowledged");
        }
        let revision = found.root.map_or(0, |root| root.revision.get());
        assert!(
            revision >= self.revision,
            "round {round}: revision {revision}, {} was acknowledged",
            self.revision
        );
        let numbers: Vec<_> = found.history.iter().map(|(info, _)| info.revision.get()).collect();
        let expected: Vec<_> = (1..=revision).rev().take(KEPT_REVISIONS as usize).collect();
        assert_eq!(numbers, expected, "round {round}: revisions are missing, or there are too many");
        for (info, shards) in &found.history {
            let expected = info.revision.to_string().into_bytes();
            let is_whole = shards.len() == 3 && shards.values().all(|content| *content == expected);
            assert!(is_whole, "round {round}: revision {} is mixed: {shards:?}", info.revision);
        }
    }
}

/// Writes to everything at once and says what was acknowledged, for ever.
fn commit_until_killed(dir: &Path, round: &str) -> ! {
    let round: u64 = round.parse().unwrap();
    let store = Arc::new(open(dir).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    for task in 0..4 {
        runtime.spawn(append_for_ever(store.clone(), round, task));
        runtime.spawn(save_for_ever(store.clone(), round, task));
    }
    runtime.spawn(collect_for_ever(store.clone()));
    runtime.block_on(publish_for_ever(store));
    unreachable!("publishing never ends")
}

async fn append_for_ever(store: Arc<Embedded>, round: u64, task: u64) {
    for n in 0_u64.. {
        let body = format!("{round}-{task}-{n}");
        let entry = NewEntry {
            kind: EntryKind::new("test").unwrap(),
            at: WallTime::from_millis(n),
            body: body.clone().into_bytes(),
        };
        store.append(vec![entry]).await.unwrap();
        println!("{ACKNOWLEDGED}journal {body}");
    }
}

async fn save_for_ever(store: Arc<Embedded>, round: u64, task: u64) {
    for n in 0_u64.. {
        let number = round * 1_000_000 + n;
        store.save(&format!("key{task}"), number.to_string().into_bytes()).await.unwrap();
        println!("{ACKNOWLEDGED}local key{task} {number}");
    }
}

async fn collect_for_ever(store: Arc<Embedded>) {
    loop {
        store.collect(Duration::ZERO).await.unwrap();
        tokio::task::yield_now().await;
    }
}

async fn publish_for_ever(store: Arc<Embedded>) {
    loop {
        let expected = store.root().await.unwrap().map(|root| root.revision);
        let next = expected.map_or(1, |revision| revision.get() + 1);
        let shards =
            (0..3).map(|n| (ShardName::new(format!("shard/{n}")).unwrap(), next.to_string().into_bytes()));
        let change = Change::new("crash", WallTime::from_millis(next), "");
        store.publish(expected, shards.collect(), change).await.unwrap();
        println!("{ACKNOWLEDGED}revision {next}");
    }
}
