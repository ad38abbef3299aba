//! A host's session on sessions of one process, at a pace a thousand times as fast.

use std::sync::atomic::{AtomicBool, Ordering};

use nsdb::{Lease, MonotonicClock, ProcessSessions, SessionInfo};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::engine::{Engine, Settings};
use crate::view::Unread;

fn word(why: &str) -> HostWord {
    let mut status = Engine::new(Settings::new("gw1")).view().status(vlan::time::Instant::ZERO);
    status.unread = Some(Unread { revision: 7, why: why.to_owned() });
    status.down = vec!["tap1".to_owned()];
    HostWord { version: "0.1.0".to_owned(), started_ms: 1, said_ms: 2, status, hears: None }
}

/// A store whose sessions `other` opens too, and in which another machine has the name while `is_elsewhere`.
struct Shared {
    sessions: ProcessSessions,
    is_elsewhere: AtomicBool,
}

impl Sessions for Shared {
    async fn open_session(&self, name: &str, ttl: Duration) -> Result<SessionId, SessionsError> {
        match self.is_elsewhere.load(Ordering::Relaxed) {
            true => Err(SessionsError::Elsewhere { name: name.to_owned(), machine: "0af3".to_owned() }),
            false => self.sessions.open_session(name, ttl).await,
        }
    }

    async fn keep_alive(&self, session: SessionId) -> Result<(), SessionsError> {
        self.sessions.keep_alive(session).await
    }

    async fn say(&self, session: SessionId, word: String) -> Result<(), SessionsError> {
        self.sessions.say(session, word).await
    }

    async fn close_session(&self, session: SessionId) -> Result<(), SessionsError> {
        self.sessions.close_session(session).await
    }

    async fn sessions(&self) -> Result<Vec<SessionInfo>, SessionsError> {
        self.sessions.sessions().await
    }

    async fn session_named(&self, name: &str) -> Result<Option<SessionInfo>, SessionsError> {
        self.sessions.session_named(name).await
    }

    async fn acquire(&self, session: SessionId, name: &str) -> Result<Lease, SessionsError> {
        self.sessions.acquire(session, name).await
    }

    async fn release(&self, session: SessionId, name: &str) -> Result<(), SessionsError> {
        self.sessions.release(session, name).await
    }

    async fn holder(&self, name: &str) -> Result<Option<Lease>, SessionsError> {
        self.sessions.holder(name).await
    }

    async fn expire(&self) -> Result<Option<Duration>, SessionsError> {
        self.sessions.expire().await
    }

    fn watch_sessions(&self) -> watch::Receiver<u64> {
        self.sessions.watch_sessions()
    }
}

const MS: Duration = Duration::from_millis(1);

fn fast() -> Pace {
    Pace {
        ttl: 300 * MS,
        alive: 20 * MS,
        say: 60 * MS,
        soon: 10 * MS,
        look: 2 * MS,
        again: 10 * MS,
        certain: 100 * MS,
    }
}

/// A host that keeps its session, and what it tells.
struct Kept {
    store: Arc<Shared>,
    told: mpsc::Receiver<Input>,
    _tasks: [AbortOnDropHandle<()>; 2],
}

impl Kept {
    fn start(is_elsewhere: bool) -> Kept {
        let sessions = ProcessSessions::new(Arc::new(MonotonicClock::default()), 0);
        let store = Arc::new(Shared { sessions, is_elsewhere: AtomicBool::new(is_elsewhere) });
        let (requests, mut asked) = mpsc::channel(1);
        let (arrivals, told) = mpsc::channel(8);
        let answering = tokio::spawn(async move {
            let engine = Engine::new(Settings::new("gw1"));
            while let Some(Request::Look(look)) = asked.recv().await {
                look(&engine, vlan::time::Instant::ZERO);
            }
        });
        let keeping = tokio::spawn(keep(
            Arc::clone(&store),
            "gw1".to_owned(),
            fast(),
            Built::default(),
            Ends { requests, arrivals, session: watch::channel(None).0 },
        ));
        Kept { store, told, _tasks: [answering, keeping].map(AbortOnDropHandle::new) }
    }

    /// The only session that there is, once it is as wanted.
    async fn session(&self, is_wanted: impl Fn(&SessionInfo) -> bool) -> SessionInfo {
        let until = Instant::now() + PATIENCE;
        loop {
            let mut sessions = self.store.sessions().await.unwrap();
            assert!(sessions.len() <= 1, "{sessions:?}");
            match sessions.pop() {
                Some(session) if is_wanted(&session) => return session,
                other => assert!(Instant::now() < until, "not in time: {other:?}"),
            }
            sleep(MS).await;
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(10);
const MANY: u32 = 1_000;

#[tokio::test]
async fn a_session_is_kept_and_says_again_and_again_what_is_so() {
    let kept = Kept::start(false);
    let first = kept.session(|session| !session.word.is_empty()).await;
    let word: HostWord = serde_json::from_str(&first.word).unwrap();
    assert_eq!((word.status.host.as_str(), word.status.revision), ("gw1", 0));
    kept.store.say(first.id, String::new()).await.unwrap();
    kept.session(|session| !session.word.is_empty()).await;
    sleep(2 * fast().ttl).await;
    assert_eq!(kept.session(|_| true).await.id, first.id, "it never ran out");
}

#[tokio::test]
async fn a_session_that_is_lost_is_opened_again() {
    let mut kept = Kept::start(false);
    let first = kept.session(|_| true).await;
    kept.store.close_session(first.id).await.unwrap();
    kept.session(|session| session.id > first.id && !session.word.is_empty()).await;
    assert!(kept.told.try_recv().is_err(), "nobody else had the name");
}

#[tokio::test]
async fn a_process_that_took_the_name_keeps_it_and_is_told_of() {
    let mut kept = Kept::start(false);
    kept.session(|session| !session.word.is_empty()).await;
    let taken = kept.store.open_session("gw1", MANY * fast().ttl).await.unwrap();
    assert_eq!(kept.told.recv().await, Some(Input::Namesake(Some("this machine".to_owned()))));
    sleep(5 * fast().again).await;
    assert_eq!(kept.session(|_| true).await.id, taken, "it is not taken back");
    kept.store.close_session(taken).await.unwrap();
    kept.session(|session| session.id > taken && !session.word.is_empty()).await;
    assert_eq!(kept.told.recv().await, Some(Input::Namesake(None)));
    assert!(kept.told.try_recv().is_err());
}

#[tokio::test]
async fn a_name_of_another_machine_is_told_of_once_it_is_certain() {
    let began = Instant::now();
    let mut kept = Kept::start(true);
    assert_eq!(kept.told.recv().await, Some(Input::Namesake(Some("0af3".to_owned()))));
    assert!(began.elapsed() >= fast().certain, "it may be this host's own session from before it lost power");
    assert!(kept.store.sessions().await.unwrap().is_empty());
    kept.store.is_elsewhere.store(false, Ordering::Relaxed);
    kept.session(|_| true).await;
    assert_eq!(kept.told.recv().await, Some(Input::Namesake(None)));
}

#[test]
fn what_is_said_comes_back_whole_where_it_is_not_too_long() {
    let said: HostWord = serde_json::from_str(&in_bounds(word("it is damaged"))).unwrap();
    assert_eq!(said, word("it is damaged"));
}

#[test]
fn what_is_too_long_is_cut_and_can_still_be_read() {
    let text = in_bounds(word(&"ü".repeat(MAX_WORD_BYTES)));
    assert!(text.len() <= MAX_WORD_BYTES, "{}", text.len());
    let said: HostWord = serde_json::from_str(&text).unwrap();
    assert_eq!(said.status.unread.unwrap().why, "ü".repeat(WHY_CHARACTERS));
    assert_eq!(said.status.host, "gw1");
}

#[tokio::test]
async fn a_revision_is_told_at_once_and_who_is_heard_a_little_later() {
    let (requests, _asked) = mpsc::channel(1);
    let (arrivals, _told) = mpsc::channel(1);
    let store = Arc::new(ProcessSessions::new(Arc::new(MonotonicClock::default()), 0));
    let (host, pace) = ("gw1".to_owned(), fast());
    let built = Built::default();
    let ends = Ends { requests, arrivals, session: watch::channel(None).0 };
    let presence = Presence { store, host, pace, built, ends, started_ms: 0, told: None };
    let last = Progress { revision: 7, settled: true, unread: None, heard: 2 };
    for (now, patience) in [
        (last, pace.say),
        (Progress { heard: 3, ..last }, pace.soon),
        (Progress { revision: 8, ..last }, Duration::ZERO),
        (Progress { settled: false, heard: 3, ..last }, Duration::ZERO),
        (Progress { unread: Some(8), ..last }, Duration::ZERO),
    ] {
        assert_eq!(presence.patience(&last, &now), patience, "{now:?}");
    }
}
