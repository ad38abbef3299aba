//! What other hosts are asked, which frames wait for what they say, and how much of both there may be.

use std::collections::BTreeMap;
use std::time::Duration;

use vlan::fdb::reflect::Echo;
use vlan::model::id::HostId;
use vlan::time::Instant;

use super::doubt::{Came, MOST_WAITING};
use crate::engine::due::Due;

/// Questions that are not answered yet.
#[derive(Debug, Default)]
pub(super) struct Questions {
    open: BTreeMap<u32, Open>,
    /// The question about such a frame.
    by_echo: BTreeMap<(HostId, Echo), u32>,
    /// When each is given up.
    due: Due<u32>,
    /// The number of the last one.
    last: u32,
    /// How many frames wait.
    waiting: usize,
    /// How many questions may still go to each host, and for how many of it flows be asked.
    asked: Shares,
    looked_up: Shares,
}

/// A question that is not answered yet.
#[derive(Debug)]
pub(super) struct Open {
    /// Who was asked.
    pub(super) host: HostId,
    /// What may have come back.
    pub(super) echo: Echo,
    /// When it was asked.
    pub(super) at: Instant,
    /// The frames that wait, in the order in which they came.
    pub(super) frames: Vec<Came>,
}

/// What becomes of a frame about which a host is to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It waits. The question has this number and is to be sent.
    Asked(u32),
    /// It waits with others that look the same: the host was asked before.
    Joined,
    /// Too many wait, or the host was asked too often: it is lost.
    Lost,
}

impl Questions {
    /// Has a frame wait for what a host says.
    pub(super) fn ask(&mut self, now: Instant, (host, echo): (HostId, Echo), came: Came) -> Outcome {
        if self.waiting >= MOST_WAITING {
            return Outcome::Lost;
        }
        let known = self.by_echo.get(&(host, echo)).and_then(|number| self.open.get_mut(number));
        if let Some(open) = known {
            if open.frames.len() >= MOST_ALIKE {
                return Outcome::Lost;
            }
            open.frames.push(came);
            self.waiting += 1;
            return Outcome::Joined;
        }
        if !self.asked.take(now, host, ASKED_A_SECOND) {
            return Outcome::Lost;
        }
        self.last = self.last.wrapping_add(1);
        let number = self.last;
        self.open.insert(number, Open { host, echo, at: now, frames: vec![came] });
        self.by_echo.insert((host, echo), number);
        self.due.set(number, now + WAITS);
        self.waiting += 1;
        Outcome::Asked(number)
    }

    /// A host answers a question; `None` if it was not asked that, or has answered before.
    pub(super) fn close(&mut self, number: u32, host: HostId) -> Option<Open> {
        self.open.get(&number).filter(|open| open.host == host)?;
        self.take(number)
    }

    /// A question that has not been answered in time.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Open> {
        let number = self.due.take(now)?;
        self.take(number)
    }

    /// The questions that are not answered, none of which will be; and as many as at the beginning may be asked.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Open> {
        // A late answer must not meet the number of a later question.
        let last = self.last;
        std::mem::replace(self, Questions { last, ..Questions::default() }).open.into_values()
    }

    /// Whether flows may be asked for one more question of a host.
    pub(super) fn may_look_up(&mut self, now: Instant, host: HostId) -> bool {
        self.looked_up.take(now, host, LOOKED_UP_A_SECOND)
    }

    /// When the next is given up.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.next()
    }

    fn take(&mut self, number: u32) -> Option<Open> {
        self.due.remove(&number);
        let open = self.open.remove(&number)?;
        self.by_echo.remove(&(open.host, open.echo));
        self.waiting -= open.frames.len();
        Some(open)
    }
}

/// What is left of each host's share.
#[derive(Debug, Default)]
struct Shares(BTreeMap<HostId, (Instant, u32)>);

impl Shares {
    /// Takes one of so many a second, as many at once; `false` if none is left.
    fn take(&mut self, now: Instant, host: HostId, a_second: u32) -> bool {
        let (since, left) = self.0.entry(host).or_insert((now, a_second));
        let more = now.since(*since).as_nanos() * u128::from(a_second) / 1_000_000_000;
        if more > 0 {
            *left = left.saturating_add(u32::try_from(more).unwrap_or(u32::MAX)).min(a_second);
            *since = now;
        }
        let is_left = *left > 0;
        *left -= u32::from(is_left);
        is_left
    }
}

/// A frame waits no longer (behaviour.md 4).
const WAITS: Duration = Duration::from_millis(200);
/// Most of them that look the same: a conversation that begins, and no loop.
const MOST_ALIKE: usize = 64;
/// Questions that go to a host in a second, and at once: so many VMs may leave it and be followed by their first frames. With its hellos they
/// are fewer than the control frames of one host that come up there ([`crate::budget`]).
const ASKED_A_SECOND: u32 = 2_000;
/// Questions of a host for which the kernel is asked in a second, and at once, each for up to 16 flows. A VM that has left has sent nothing
/// lately that looks like its announcement, so that most are answered without.
const LOOKED_UP_A_SECOND: u32 = 1_000;

#[cfg(test)]
mod tests {
    use datapath::flow::FlowKey;
    use datapath::port::VportNo;
    use vlan::addr::MacAddr;
    use vlan::fdb::reflect::Likeness;
    use vlan::frame::Header;
    use vlan::model::id::{FabricId, SegmentId};

    use super::*;

    const ONE: HostId = HostId(1);
    const OTHER: HostId = HostId(2);

    fn echo(number: u16) -> Echo {
        let [a, b] = number.to_be_bytes();
        Echo {
            segment: SegmentId { number: 0, inner: 0 },
            mac: MacAddr([2, 0, 0, 0, a, b]),
            likeness: Likeness::default(),
            fabric: FabricId(0),
        }
    }

    fn came() -> Came {
        let header = Header {
            dst: MacAddr::default(),
            src: MacAddr::default(),
            tags: Default::default(),
            ether_type: 0,
        };
        let key = FlowKey { vport: VportNo(1), header, tunnel: None, recirc: 0, opaque: Default::default() };
        Came { key, frame: Vec::new(), hash: None }
    }

    fn at(ms: u64) -> Instant {
        Instant::from_millis(10_000 + ms)
    }

    #[test]
    fn frames_that_look_the_same_wait_for_one_answer_of_the_host_that_was_asked() {
        let mut questions = Questions::default();
        assert_eq!(questions.ask(at(0), (ONE, echo(1)), came()), Outcome::Asked(1));
        assert_eq!(questions.ask(at(50), (ONE, echo(1)), came()), Outcome::Joined);
        assert_eq!(questions.ask(at(60), (OTHER, echo(1)), came()), Outcome::Asked(2));
        assert!(questions.close(1, OTHER).is_none() && questions.close(7, ONE).is_none());
        let open = questions.close(1, ONE).unwrap();
        assert_eq!((open.at, open.frames.len()), (at(0), 2));
        assert!(questions.close(1, ONE).is_none(), "once");
        assert_eq!((questions.waiting, questions.next_due()), (1, Some(at(260))));
    }

    #[test]
    fn what_is_not_answered_in_200_ms_is_given_up() {
        let mut questions = Questions::default();
        questions.ask(at(0), (ONE, echo(1)), came());
        questions.ask(at(100), (ONE, echo(2)), came());
        assert!(questions.take_due(at(199)).is_none());
        assert_eq!(questions.take_due(at(200)).map(|open| open.echo), Some(echo(1)));
        assert!(questions.take_due(at(299)).is_none() && questions.close(1, ONE).is_none());
        assert_eq!(questions.take_all().map(|open| open.echo).collect::<Vec<_>>(), [echo(2)]);
        assert_eq!((questions.waiting, questions.next_due()), (0, None));
        assert_eq!(
            questions.ask(at(300), (ONE, echo(2)), came()),
            Outcome::Asked(3),
            "no number is used again"
        );
    }

    #[test]
    fn so_many_frames_wait_and_no_more() {
        let mut questions = Questions::default();
        let alike = (0..100).map(|_| questions.ask(at(0), (ONE, echo(1)), came()));
        assert_eq!(alike.filter(|outcome| *outcome != Outcome::Lost).count(), MOST_ALIKE);
        let hosts = (0..2_000_u16).map(|number| (HostId(u32::from(number % 8)), echo(2 + number)));
        let taken = hosts.filter(|of| questions.ask(at(0), *of, came()) != Outcome::Lost).count();
        assert_eq!(taken, MOST_WAITING - MOST_ALIKE);
        while questions.take_due(at(200)).is_some() {}
        assert_eq!(questions.waiting, 0);
    }

    #[test]
    fn a_host_is_asked_so_often_and_has_flows_asked_so_often_and_no_other_pays_for_it() {
        let mut questions = Questions::default();
        let mut ask = |ms: u64, host: HostId| {
            let number = questions.last as u16;
            let outcome = questions.ask(at(ms), (host, echo(number)), came());
            while questions.take_due(at(ms + 200)).is_some() {}
            outcome != Outcome::Lost
        };
        assert_eq!((0..3_000).filter(|_| ask(0, ONE)).count(), 2_000);
        assert!(ask(0, OTHER));
        assert_eq!((0..3_000).filter(|_| ask(100, ONE)).count(), 200);
        assert_eq!((0..5_000).filter(|_| questions.may_look_up(at(0), ONE)).count(), 1_000);
        assert!(questions.may_look_up(at(0), OTHER));
        assert_eq!((0..5_000).filter(|_| questions.may_look_up(at(250), ONE)).count(), 250);
    }
}
