//! What every backend of `Sessions` must do.

use std::time::Duration;

use nsdb::Sessions;

use crate::backends::Fixture;

const TTL: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);

async fn names<S: Sessions>(fixture: &Fixture<S>) -> Vec<String> {
    fixture.store.sessions().await.unwrap().into_iter().map(|session| session.name).collect()
}

pub(crate) async fn a_session_lives_while_it_is_kept_alive<S: Sessions>(fixture: Fixture<S>) {
    let session = fixture.store.open_session("gw1", TTL).await.unwrap();
    for _ in 0..5 {
        fixture.clock.advance(TTL - SECOND);
        fixture.store.keep_alive(session).await.unwrap();
    }
    assert_eq!(names(&fixture).await, ["gw1"]);
    fixture.store.close_session(session).await.unwrap();
    assert!(fixture.store.keep_alive(session).await.unwrap_err().is_lost());
    fixture.store.close_session(session).await.unwrap();
    assert!(names(&fixture).await.is_empty());
}

pub(crate) async fn a_silent_session_ends_at_its_time<S: Sessions>(fixture: Fixture<S>) {
    assert_eq!(fixture.store.expire().await.unwrap(), None);
    let session = fixture.store.open_session("gw1", TTL).await.unwrap();
    fixture.store.open_session("gw2", 3 * TTL).await.unwrap();
    fixture.clock.advance(TTL - SECOND);
    assert_eq!(fixture.store.expire().await.unwrap(), Some(SECOND));
    assert_eq!(names(&fixture).await, ["gw1", "gw2"]);
    fixture.clock.advance(SECOND);
    assert_eq!(names(&fixture).await, ["gw2"]);
    assert_eq!(fixture.store.expire().await.unwrap(), Some(2 * TTL));
    let error = fixture.store.keep_alive(session).await.unwrap_err();
    assert!(error.is_lost() && !error.is_retryable());
    let number = session.get();
    assert_eq!(
        error.to_string(),
        format!(
            "session {number} has ended: it ran out, was closed, or its name was opened again; open a new one"
        )
    );
}

pub(crate) async fn the_last_to_open_a_name_wins<S: Sessions>(fixture: Fixture<S>) {
    let old = fixture.store.open_session("gw1", TTL).await.unwrap();
    fixture.store.acquire(old, "trunk/eth2").await.unwrap();
    let new = fixture.store.open_session("gw1", TTL).await.unwrap();
    assert_ne!(old, new);
    assert!(fixture.store.keep_alive(old).await.unwrap_err().is_lost());
    assert!(fixture.store.acquire(old, "other").await.unwrap_err().is_lost());
    fixture.store.keep_alive(new).await.unwrap();
    assert_eq!(names(&fixture).await, ["gw1"]);
    assert_eq!(fixture.store.holder("trunk/eth2").await.unwrap(), None, "its lease ended with it");
}

pub(crate) async fn a_lease_has_one_holder<S: Sessions>(fixture: Fixture<S>) {
    let one = fixture.store.open_session("gw1", TTL).await.unwrap();
    let two = fixture.store.open_session("gw2", TTL).await.unwrap();
    let lease = fixture.store.acquire(one, "compactor").await.unwrap();
    assert_eq!((lease.session, lease.holder.as_str(), lease.name.as_str()), (one, "gw1", "compactor"));
    assert_eq!(
        fixture.store.acquire(one, "compactor").await.unwrap(),
        lease,
        "taking it again changes nothing"
    );
    let error = fixture.store.acquire(two, "compactor").await.unwrap_err();
    assert!(error.is_held() && error.is_retryable() && !error.is_lost());
    let number = one.get();
    assert_eq!(
        error.to_string(),
        format!("lease compactor is held by gw1 (session {number}): wait until it is released or runs out")
    );
    assert_eq!(fixture.store.holder("compactor").await.unwrap(), Some(lease));
    fixture.store.release(one, "compactor").await.unwrap();
    assert_eq!(fixture.store.holder("compactor").await.unwrap(), None);
    assert_eq!(fixture.store.acquire(two, "compactor").await.unwrap().session, two);
}

pub(crate) async fn a_lease_ends_with_its_session<S: Sessions>(fixture: Fixture<S>) {
    let one = fixture.store.open_session("gw1", TTL).await.unwrap();
    let two = fixture.store.open_session("gw2", 9 * TTL).await.unwrap();
    fixture.store.acquire(one, "compactor").await.unwrap();
    fixture.clock.advance(TTL);
    assert_eq!(fixture.store.holder("compactor").await.unwrap(), None);
    assert_eq!(fixture.store.acquire(two, "compactor").await.unwrap().session, two);
    assert!(fixture.store.acquire(one, "compactor").await.unwrap_err().is_lost());
}

pub(crate) async fn tokens_grow<S: Sessions>(fixture: Fixture<S>) {
    let mut last = None;
    for round in 0..6 {
        let session = fixture.store.open_session(["gw1", "gw2"][round % 2], TTL).await.unwrap();
        let token = fixture.store.acquire(session, "compactor").await.unwrap().token;
        assert!(last < Some(token), "round {round}: {token} after {last:?}");
        last = Some(token);
        match round % 3 {
            0 => fixture.store.release(session, "compactor").await.unwrap(),
            1 => fixture.store.close_session(session).await.unwrap(),
            _ => fixture.clock.advance(TTL),
        }
    }
}

pub(crate) async fn watchers_hear_of_every_change<S: Sessions>(fixture: Fixture<S>) {
    let mut watcher = fixture.store.watch_sessions();
    fixture.settle().await;
    watcher.mark_unchanged();
    macro_rules! heard {
        ($what:expr) => {{
            fixture.settle().await;
            assert!(watcher.has_changed().unwrap(), "not told of {}", $what);
            watcher.mark_unchanged();
        }};
    }
    let session = fixture.store.open_session("gw1", TTL).await.unwrap();
    heard!("opening");
    fixture.store.acquire(session, "compactor").await.unwrap();
    heard!("acquiring");
    fixture.store.keep_alive(session).await.unwrap();
    fixture.store.acquire(session, "compactor").await.unwrap();
    fixture.settle().await;
    assert!(!watcher.has_changed().unwrap(), "told although nothing changed");
    fixture.store.release(session, "compactor").await.unwrap();
    heard!("releasing");
    fixture.clock.advance(TTL);
    fixture.store.expire().await.unwrap();
    heard!("running out");
}

pub(crate) async fn giving_back_what_one_does_not_hold_does_nothing<S: Sessions>(fixture: Fixture<S>) {
    let one = fixture.store.open_session("gw1", TTL).await.unwrap();
    let two = fixture.store.open_session("gw2", TTL).await.unwrap();
    let lease = fixture.store.acquire(one, "compactor").await.unwrap();
    fixture.store.release(two, "compactor").await.unwrap();
    fixture.store.release(two, "nothing").await.unwrap();
    assert_eq!(fixture.store.holder("compactor").await.unwrap(), Some(lease));
}

pub(crate) async fn bad_names_and_times_are_refused<S: Sessions>(fixture: Fixture<S>) {
    let store = &fixture.store;
    let session = store.open_session("gw1", Duration::from_secs(3600)).await.unwrap();
    assert_eq!(
        store.open_session("a b", TTL).await.unwrap_err().to_string(),
        "session name \"a b\" has ' ': printable ASCII without spaces is allowed"
    );
    assert_eq!(
        store.acquire(session, "").await.unwrap_err().to_string(),
        "lease name \"\" has 0 bytes: 1 to 255 are allowed"
    );
    for (ttl, text) in [
        (Duration::ZERO, "session gw2 asks to live 0 ms: 1 ms to 3600000 ms are allowed"),
        (
            Duration::from_millis(3_600_001),
            "session gw2 asks to live 3600001 ms: 1 ms to 3600000 ms are allowed",
        ),
    ] {
        assert_eq!(store.open_session("gw2", ttl).await.unwrap_err().to_string(), text);
    }
    assert_eq!(names(&fixture).await, ["gw1"]);
}

pub(crate) async fn what_a_session_says_is_there_as_long_as_it_is<S: Sessions>(fixture: Fixture<S>) {
    let store = &fixture.store;
    let words = async || -> Vec<(String, String)> {
        let sessions = store.sessions().await.unwrap();
        sessions.into_iter().map(|session| (session.name, session.word)).collect()
    };
    let said = |name: &str, word: &str| (name.to_owned(), word.to_owned());
    let (one, two) =
        (store.open_session("gw1", TTL).await.unwrap(), store.open_session("gw2", TTL).await.unwrap());
    assert_eq!(words().await, [said("gw1", ""), said("gw2", "")]);
    store.say(one, "revision 7".to_owned()).await.unwrap();
    store.say(two, "é \"{}\" \n".to_owned()).await.unwrap();
    store.say(one, "revision 8".to_owned()).await.unwrap();
    assert_eq!(words().await, [said("gw1", "revision 8"), said("gw2", "é \"{}\" \n")]);
    store.say(one, "x".repeat(nsdb::MAX_WORD_BYTES)).await.unwrap();
    let error = store.say(one, "x".repeat(nsdb::MAX_WORD_BYTES + 1)).await.unwrap_err();
    let number = one.get();
    let expected = format!("what session {number} says has 16385 bytes: at most 16384 are allowed");
    assert_eq!(error.to_string(), expected);
    let there = store.session_named("gw2").await.unwrap().unwrap();
    assert_eq!((there.id, there.name.as_str(), there.word.as_str()), (two, "gw2", "é \"{}\" \n"));
    assert_eq!(store.session_named("gw3").await.unwrap(), None);
    for _ in 0..2 {
        fixture.clock.advance(TTL - SECOND);
        store.keep_alive(two).await.unwrap();
        store.say(one, "it lives".to_owned()).await.unwrap();
    }
    assert_eq!(words().await.len(), 2, "who says something lives");
    // Whoever has the name now has said nothing yet, and whoever had it says nothing more.
    let again = store.open_session("gw1", TTL).await.unwrap();
    assert_eq!(words().await[0], said("gw1", ""));
    assert!(store.say(one, "revision 9".to_owned()).await.unwrap_err().is_lost());
    store.say(again, "revision 10".to_owned()).await.unwrap();
    store.close_session(two).await.unwrap();
    assert_eq!(words().await, [said("gw1", "revision 10")]);
}
