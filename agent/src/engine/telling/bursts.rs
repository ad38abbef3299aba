//! Bursts of drops: told when the first frame of one is dropped, and when none has been dropped for a while, with how many were.
//!
//! ```text
//!   quiet ──a frame is dropped: `drops-began`──► burst ──none for 10 s: `drops-ended`──► quiet
//! ```
//! A burst is one port's for one reason, so there are no more of them than ports and reasons, whatever VLANs and addresses a sender makes
//! up. When many ports begin at once, only some of the bursts are told.

use std::collections::BTreeMap;
use std::time::Duration;

use vlan::time::Instant;

use super::Telling;
use crate::counters::{Noted, PortKey};
use crate::event::Event;

/// Bursts that go on.
#[derive(Debug, Default)]
pub(in crate::engine) struct Bursts {
    going: BTreeMap<(PortKey, &'static str), Burst>,
    /// When to look which have ended.
    look_at: Option<Instant>,
    /// How many were told since `window`.
    told: usize,
    window: Instant,
    /// Bursts that began and were not told, since the last that was.
    untold: u64,
}

#[derive(Debug)]
struct Burst {
    began: Instant,
    last: Instant,
    noted: Noted,
    is_told: bool,
}

impl Bursts {
    /// When something may have ended.
    pub(in crate::engine) fn next_due(&self) -> Option<Instant> {
        self.look_at
    }

    /// How many frames a burst has dropped that goes on, and since when.
    pub(in crate::engine) fn going(&self, port: PortKey, reason: &'static str) -> Option<(u64, Instant)> {
        self.going.get(&(port, reason)).map(|burst| (burst.noted.frames, burst.began))
    }

    /// Takes in what was dropped; whether that is to be told as the beginning of a burst.
    fn note(&mut self, now: Instant, of: (PortKey, &'static str), noted: Noted) -> bool {
        if let Some(burst) = self.going.get_mut(&of) {
            burst.last = now;
            burst.noted.add(&noted);
            return false;
        }
        if now.since(self.window) >= WINDOW {
            (self.window, self.told) = (now, 0);
        }
        let is_told = self.told < TOLD_AT_ONCE;
        self.told += usize::from(is_told);
        self.untold += u64::from(!is_told);
        self.going.insert(of, Burst { began: now, last: now, noted, is_told });
        self.look_at.get_or_insert(now + QUIET);
        is_told
    }

    /// Those that have ended, with when they began and last dropped something.
    fn take_ended(&mut self, now: Instant) -> Vec<((PortKey, &'static str), Burst)> {
        if self.look_at.is_none_or(|at| now < at) {
            return Vec::new();
        }
        let mut ended = Vec::new();
        for (of, burst) in std::mem::take(&mut self.going) {
            match now.since(burst.last) >= QUIET {
                true => ended.push((of, burst)),
                false => drop(self.going.insert(of, burst)),
            }
        }
        // The first that can end next; where there are many, not one after another.
        let next = self.going.values().map(|burst| burst.last + QUIET).min();
        self.look_at = next.map(|next| next.max(now + LOOK_EVERY));
        ended
    }
}

impl Telling {
    /// Tells which ports have begun to drop frames, and which have ended.
    pub(super) fn tell_of_bursts(&mut self, now: Instant) {
        for (of, noted) in self.counts.take_noted() {
            let vids = noted.vids();
            if self.bursts.note(now, of, noted) {
                let port = self.counts.name(of.0).to_owned();
                let untold = std::mem::take(&mut self.bursts.untold);
                self.tell(Event::DropsBegan { port, reason: of.1.to_owned(), vids, untold });
            }
        }
        for ((port, reason), burst) in self.bursts.take_ended(now) {
            if burst.is_told {
                let (frames, vids) = (burst.noted.frames, burst.noted.vids());
                let seconds = burst.last.since(burst.began).as_secs().max(1);
                let port = self.counts.name(port).to_owned();
                self.tell(Event::DropsEnded { port, reason: reason.to_owned(), vids, frames, seconds });
            }
        }
    }
}

/// A burst ends when nothing was dropped for so long.
const QUIET: Duration = Duration::from_secs(10);
/// What has ended is looked for no more often than this.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// No more bursts than this are told as begun …
const TOLD_AT_ONCE: usize = 32;
/// … within this time.
const WINDOW: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use vlan::verdict::{DropReason, StormClass};

    use super::*;
    use crate::counters::Loss;

    const SPOOF: Loss = Loss::Verdict(DropReason::AntiSpoof, None);

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn told(telling: &mut Telling, now: Instant) -> Vec<String> {
        telling.tell_of_bursts(now);
        std::iter::from_fn(|| telling.next()).map(|event| event.to_string()).collect()
    }

    #[test]
    fn the_first_drop_and_the_end_of_a_burst_are_told_with_how_many() {
        let mut telling = Telling::default();
        let key = telling.counts.key("vm8");
        telling.counts.lose(key, SPOOF, Some(8), 1);
        assert_eq!(told(&mut telling, at(0)), ["port vm8 drops frames: anti-spoof, VID 8"]);
        for step in 1..=40 {
            telling.counts.lose(key, SPOOF, Some(8), 100);
            assert_eq!(told(&mut telling, at(step * 1_000)), Vec::<String>::new());
        }
        assert_eq!(told(&mut telling, at(49_000)), Vec::<String>::new());
        assert_eq!(
            told(&mut telling, at(50_000)),
            ["port vm8 drops no more frames: anti-spoof, VID 8; 4001 frames within 40s"]
        );
        assert_eq!(telling.bursts.next_due(), None);
        telling.counts.lose(key, SPOOF, None, 1);
        assert_eq!(told(&mut telling, at(60_000)), ["port vm8 drops frames: anti-spoof"], "another burst");
    }

    #[test]
    fn each_reason_of_a_port_is_a_burst_of_its_own_and_usual_drops_are_none() {
        let mut telling = Telling::default();
        let key = telling.counts.key("vm8");
        telling.counts.lose(key, Loss::Verdict(DropReason::VlanNotAllowed, Some(9)), Some(9), 1);
        telling.counts.lose(key, Loss::Verdict(DropReason::NotDesignated, None), None, 1);
        assert_eq!(told(&mut telling, at(0)), Vec::<String>::new());
        telling.counts.lose(key, Loss::Verdict(DropReason::AddressLimit, None), None, 1);
        telling.counts.lose(key, Loss::Storm(StormClass::Broadcast), Some(5), 7);
        assert_eq!(
            told(&mut telling, at(0)),
            ["port vm8 drops frames: address-limit", "port vm8 drops frames: storm-broadcast, VID 5"]
        );
    }

    /// A sender that makes up VLANs, and ten thousand ports that begin at once.
    #[test]
    fn neither_vlans_nor_ports_flood_the_journal() {
        let mut telling = Telling::default();
        let key = telling.counts.key("vm8");
        let mut events = 0;
        for vid in 0..4_096 {
            telling.counts.lose(key, SPOOF, Some(vid), 1);
            events += told(&mut telling, at(u64::from(vid))).len();
        }
        assert_eq!(events, 1);
        for number in 0..10_000 {
            let key = telling.counts.key(&format!("vm{number}"));
            telling.counts.lose(key, SPOOF, None, 1);
        }
        assert_eq!(told(&mut telling, at(5_000)).len(), TOLD_AT_ONCE - 1);
        let ended = told(&mut telling, at(16_000));
        assert_eq!(ended.len(), TOLD_AT_ONCE, "only of those that were told");
        let of_vm8 = ended.iter().find(|text| text.contains("port vm8 ")).unwrap();
        assert!(of_vm8.contains("VID 0,1,2,3,4,5,6,7 and more"), "{of_vm8}");
        let key = telling.counts.key("vm1");
        telling.counts.lose(key, SPOOF, None, 1);
        let next = told(&mut telling, at(30_000));
        assert_eq!(next, ["port vm1 drops frames: anti-spoof (so do 9968 more that were not told)"]);
    }
}
