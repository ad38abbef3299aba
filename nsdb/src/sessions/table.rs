//! Sessions and leases as plain data: time comes in as an argument, nothing waits, nothing is shared.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::path::check_name;
use crate::sessions::lease::{Lease, LeaseToken, SessionId, SessionInfo};
use crate::sessions::{MAX_SESSIONS, SessionsError, check_ttl, check_word};

/// Live sessions and held leases. `now` is time since the clock's origin and never goes backwards.
#[derive(Debug)]
pub(crate) struct SessionTable {
    last_number: u64,
    sessions: BTreeMap<SessionId, Session>,
    by_name: BTreeMap<String, SessionId>,
    deadlines: BTreeSet<(Duration, SessionId)>,
    leases: BTreeMap<String, (SessionId, LeaseToken)>,
    changes: u64,
}

#[derive(Debug)]
struct Session {
    name: String,
    ttl: Duration,
    ends: Duration,
    leases: BTreeSet<String>,
    word: String,
}

impl SessionTable {
    /// An empty table that numbers sessions and tokens after `last_number`.
    pub(crate) fn new(last_number: u64) -> Self {
        Self {
            last_number,
            sessions: BTreeMap::new(),
            by_name: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            leases: BTreeMap::new(),
            changes: 0,
        }
    }

    pub(crate) fn open(
        &mut self,
        now: Duration,
        name: &str,
        ttl: Duration,
    ) -> Result<SessionId, SessionsError> {
        check_name("session", name)?;
        check_ttl(name, ttl)?;
        self.expire(now);
        if let Some(&older) = self.by_name.get(name) {
            self.end(older);
        }
        if self.sessions.len() >= MAX_SESSIONS {
            return Err(SessionsError::TooMany { name: name.to_owned() });
        }
        let id = SessionId(self.next_number());
        let ends = now.saturating_add(ttl);
        let (leases, word) = (BTreeSet::new(), String::new());
        self.sessions.insert(id, Session { name: name.to_owned(), ttl, ends, leases, word });
        self.by_name.insert(name.to_owned(), id);
        self.deadlines.insert((ends, id));
        self.changes += 1;
        Ok(id)
    }

    pub(crate) fn keep_alive(&mut self, now: Duration, id: SessionId) -> Result<(), SessionsError> {
        let session = self.live(now, id)?;
        let (before, after) = (session.ends, now.saturating_add(session.ttl));
        session.ends = after;
        self.deadlines.remove(&(before, id));
        self.deadlines.insert((after, id));
        Ok(())
    }

    pub(crate) fn say(&mut self, now: Duration, id: SessionId, word: String) -> Result<(), SessionsError> {
        check_word(id, &word)?;
        self.keep_alive(now, id)?;
        self.live(now, id)?.word = word;
        Ok(())
    }

    /// Ends `id` if it is open.
    pub(crate) fn end(&mut self, id: SessionId) {
        let Some(session) = self.sessions.remove(&id) else { return };
        self.deadlines.remove(&(session.ends, id));
        self.by_name.remove(&session.name);
        for lease in &session.leases {
            self.leases.remove(lease);
        }
        self.changes += 1;
    }

    /// Ends what has run out; says how long until the next session does.
    pub(crate) fn expire(&mut self, now: Duration) -> Option<Duration> {
        while let Some(&(ends, id)) = self.deadlines.first() {
            if ends > now {
                return Some(ends - now);
            }
            self.end(id);
        }
        None
    }

    pub(crate) fn acquire(
        &mut self,
        now: Duration,
        id: SessionId,
        name: &str,
    ) -> Result<Lease, SessionsError> {
        check_name("lease", name)?;
        self.live(now, id)?;
        if let Some(lease) = self.lease(name) {
            return if lease.session == id {
                Ok(lease)
            } else {
                Err(SessionsError::Held { name: lease.name, holder: lease.holder, session: lease.session })
            };
        }
        let token = LeaseToken(self.next_number());
        let session = self.live(now, id)?;
        session.leases.insert(name.to_owned());
        let holder = session.name.clone();
        self.leases.insert(name.to_owned(), (id, token));
        self.changes += 1;
        Ok(Lease { name: name.to_owned(), session: id, holder, token })
    }

    pub(crate) fn release(&mut self, id: SessionId, name: &str) {
        let held = self.sessions.get_mut(&id).is_some_and(|session| session.leases.remove(name));
        if held {
            self.leases.remove(name);
            self.changes += 1;
        }
    }

    pub(crate) fn holder(&mut self, now: Duration, name: &str) -> Option<Lease> {
        self.expire(now);
        self.lease(name)
    }

    pub(crate) fn sessions(&mut self, now: Duration) -> Vec<SessionInfo> {
        self.expire(now);
        self.by_name.values().filter_map(|id| self.info(*id)).collect()
    }

    pub(crate) fn session_named(&mut self, now: Duration, name: &str) -> Option<SessionInfo> {
        self.expire(now);
        self.by_name.get(name).and_then(|id| self.info(*id))
    }

    /// Grows with every change that a watcher should hear of.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    fn live(&mut self, now: Duration, id: SessionId) -> Result<&mut Session, SessionsError> {
        self.expire(now);
        self.sessions.get_mut(&id).ok_or(SessionsError::Lost { session: id })
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn lease(&self, name: &str) -> Option<Lease> {
        let (session, token) = *self.leases.get(name)?;
        let holder = self.sessions.get(&session)?.name.clone();
        Some(Lease { name: name.to_owned(), session, holder, token })
    }

    fn info(&self, id: SessionId) -> Option<SessionInfo> {
        let session = self.sessions.get(&id)?;
        Some(SessionInfo { id, name: session.name.clone(), ttl: session.ttl, word: session.word.clone() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Open(u8, u8),
        Keep(u8),
        End(u8),
        Acquire(u8, u8),
        Release(u8, u8),
        Pass(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..3_u8, 1..20_u8).prop_map(|(n, t)| Step::Open(n, t)),
            (0..6_u8).prop_map(Step::Keep),
            (0..6_u8).prop_map(Step::End),
            (0..6_u8, 0..2_u8).prop_map(|(s, l)| Step::Acquire(s, l)),
            (0..6_u8, 0..2_u8).prop_map(|(s, l)| Step::Release(s, l)),
            (0..10_u8).prop_map(Step::Pass),
        ]
    }

    proptest! {
        /// Whatever happens: a lease's holder is a live session, its token never falls, and no index is left behind.
        #[test]
        fn leases_belong_to_live_sessions_and_tokens_grow(steps in prop::collection::vec(step(), 0..80)) {
            let mut table = SessionTable::new(0);
            let mut now = Duration::ZERO;
            let mut ids = vec![SessionId(999_999)];
            let mut tokens: BTreeMap<String, LeaseToken> = BTreeMap::new();
            let pick = |ids: &[SessionId], n: u8| ids[ids.len().saturating_sub(1 + usize::from(n))];
            for step in steps {
                match step {
                    Step::Open(name, ttl) => ids.push(
                        table.open(now, &format!("h{name}"), Duration::from_millis(ttl.into())).unwrap(),
                    ),
                    Step::Keep(n) => drop(table.keep_alive(now, pick(&ids, n))),
                    Step::End(n) => table.end(pick(&ids, n)),
                    Step::Acquire(n, lease) => drop(table.acquire(now, pick(&ids, n), &format!("l{lease}"))),
                    Step::Release(n, lease) => table.release(pick(&ids, n), &format!("l{lease}")),
                    Step::Pass(ms) => now += Duration::from_millis(ms.into()),
                }
                let live: Vec<_> = table.sessions(now).into_iter().map(|info| info.id).collect();
                for name in ["l0", "l1"] {
                    if let Some(lease) = table.holder(now, name) {
                        prop_assert!(live.contains(&lease.session));
                        let seen = tokens.entry(name.to_owned()).or_insert(lease.token);
                        prop_assert!(lease.token >= *seen);
                        *seen = lease.token;
                    }
                }
                prop_assert_eq!(table.sessions.len(), table.by_name.len());
                prop_assert_eq!(table.sessions.len(), table.deadlines.len());
                prop_assert!(table.sessions.values().all(|session| session.ends > now));
            }
        }
    }
}
