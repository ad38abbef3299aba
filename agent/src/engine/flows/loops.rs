//! Frames of ours that come back by a port: a cable between two ports, or a switch behind one that is joined to itself.
//!
//! Every frame that goes out by a port is remembered for a second, as a digest of its bytes. One that comes in by another port than the
//! first time is *back*:
//!
//! ```text
//!   the address is known elsewhere, or came here less than a second ago
//!     ├── such a frame was not sent: the address is on the move. A flood is not left to the kernel, where it might go round
//!     └── it was: it is back. It moves nothing, and counts as a claim of the port. Where the address had come here before, because
//!         what a flow has sent is not known, nothing of it is left to the kernel, and each counts against the address like a move
//!           └── we had sent it out of this very port: evidence against the port.
//!               Of two addresses: proof, the port is blocked
//! ```
//! Two addresses, because one could be a silent victim's, with which a neighbour of the victim speaks: what the victim's port sees of
//! that never comes back by it.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::time::Duration;

use rustc_hash::FxHashMap;
use vlan::addr::MacAddr;
use vlan::fdb::Learned;
use vlan::fdb::key::Seed;
use vlan::fdb::reflect::Evidence;
use vlan::fdb::refusal::Refused;
use vlan::frame::Header;
use vlan::model::id::{PortId, SegmentId};
use vlan::model::topology::Topology;
use vlan::plane::Ingress;
use vlan::switch::Switch;
use vlan::tag::Tag;
use vlan::time::Instant;
use vlan::trace::Silent;
use vlan::verdict::{Dependency, Egress, Verdict};

use super::Flows;
use crate::counters::PortKey;
use crate::engine::truth::Truth;
use crate::engine::truth::standing::Cause;
use crate::event::Event;
use crate::lower::Lowering;

/// What went out of ports lately, and what came back.
#[derive(Debug)]
pub(in crate::engine) struct Loops {
    hashing: Seed,
    recent: HashMap<u64, Flown, Seed>,
    earlier: HashMap<u64, Flown, Seed>,
    /// When `recent` was begun.
    begun: Instant,
    evidence: FxHashMap<PortKey, (MacAddr, Instant)>,
    blocks: FxHashMap<PortKey, Blocks>,
}

/// A frame that went out.
#[derive(Debug, Clone, Copy)]
struct Flown {
    at: Instant,
    /// The port that it had come in by; `None`: the tunnel.
    from: Option<PortId>,
    /// The port that it went out of; `None`: every other one of its segment.
    to: Option<PortId>,
    /// How often it came in by the same port again.
    repeats: u8,
}

impl Flown {
    /// Whether it is back: it came in by another port first, or so often by this one that nobody says it so often. A frame that goes
    /// round one way comes in by the same port each time.
    fn is_back_at(&self, port: PortId) -> bool {
        self.from != Some(port) || self.repeats > MOST_REPEATS
    }

    fn went_by(&self, port: PortId) -> bool {
        self.to.is_none_or(|to| to == port)
    }
}

/// How often a port was blocked of late.
#[derive(Debug, Clone, Copy)]
struct Blocks {
    count: u32,
    until: Instant,
}

/// How far a frame's source can be trusted to be where it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Footing {
    /// As far as is known it is at home there.
    Settled,
    /// It came there less than a second ago.
    Unsettled,
    /// It is not: this is a frame of ours, come back.
    Back,
}

/// A frame where it came in.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Incoming<'a> {
    pub(in crate::engine) from: Ingress,
    pub(in crate::engine) header: &'a Header,
    pub(in crate::engine) frame: &'a [u8],
}

impl Incoming<'_> {
    /// The port of this host that it came in by, if that is one at which loops are looked for: no trunk, and not the tunnel.
    fn port(&self, topology: &Topology) -> Option<PortId> {
        match self.from {
            Ingress::Port(port) => Some(port).filter(|port| !topology.port(*port).is_trunk),
            Ingress::Tunnel(_) => None,
        }
    }
}

impl Loops {
    pub(in crate::engine) fn new(seed: u64) -> Loops {
        let hashing = Seed::new(seed);
        let map = HashMap::with_hasher(hashing);
        Loops {
            hashing,
            recent: map.clone(),
            earlier: map,
            begun: Instant::ZERO,
            evidence: FxHashMap::default(),
            blocks: FxHashMap::default(),
        }
    }

    /// Ports and segments have other identifiers from here on.
    pub(in crate::engine) fn forget_frames(&mut self) {
        self.recent.clear();
        self.earlier.clear();
    }

    /// The same frame has the same digest on every port of its segment, whatever tags it has there.
    fn digest(&self, segment: SegmentId, frame: &[u8], tags: u8) -> u64 {
        let (addresses, rest) = frame.split_at(frame.len().min(ADDRESSES));
        let rest = rest.get(usize::from(tags) * Tag::LEN..).unwrap_or_default();
        // A short frame may have got zeros on its way out.
        let is_short = addresses.len() + rest.len() <= SHORT;
        let len = rest.iter().rposition(|byte| *byte != 0 || !is_short).map_or(0, |last| last + 1);
        self.hashing.hash_one((segment, addresses, len, &rest[..len.min(LOOKED_AT)]))
    }

    fn find(&self, now: Instant, digest: u64) -> Option<Flown> {
        let is_fresh = |flown: &&Flown| now.since(flown.at) <= vlan::fdb::ECHO;
        [&self.earlier, &self.recent].into_iter().find_map(|map| map.get(&digest).filter(is_fresh)).copied()
    }

    /// As [`find`](Self::find), and counts that the frame comes in by a port again.
    fn meet(&mut self, now: Instant, digest: u64, port: PortId) -> Option<Flown> {
        for map in [&mut self.earlier, &mut self.recent] {
            if let Some(flown) = map.get_mut(&digest).filter(|flown| now.since(flown.at) <= vlan::fdb::ECHO) {
                flown.repeats = flown.repeats.saturating_add(u8::from(flown.from == Some(port)));
                return Some(*flown);
            }
        }
        None
    }

    /// Remembers a frame that goes out, unless it went out before: where it came from first is where its source is.
    fn note(&mut self, digest: u64, flown: Flown) {
        if self.find(flown.at, digest).is_some() {
            return;
        }
        if flown.at.since(self.begun) > vlan::fdb::ECHO || self.recent.len() >= CAPACITY {
            std::mem::swap(&mut self.recent, &mut self.earlier);
            self.recent.clear();
            self.recent.shrink_to(self.earlier.len());
            self.begun = flown.at;
        }
        self.recent.insert(digest, flown);
    }

    /// Notes that a frame of an address came back by a port that it had gone out of. Whether that is proof of a loop.
    fn is_proven(&mut self, now: Instant, port: PortKey, mac: MacAddr) -> bool {
        self.evidence.retain(|_, (_, at)| now.since(*at) <= EVIDENCE_LASTS);
        let is_second = self.evidence.get(&port).is_some_and(|(other, _)| *other != mac);
        if is_second {
            // One port less may have been enough: the others are suspected anew.
            self.evidence.clear();
        } else {
            self.evidence.insert(port, (mac, now));
        }
        is_second
    }

    /// How long a port is blocked now: longer each time, unless it was fine for long.
    fn sentence(&mut self, now: Instant, port: PortKey) -> Duration {
        self.blocks.retain(|_, blocks| now.since(blocks.until) <= LONGEST);
        let count = self.blocks.get(&port).map_or(0, |blocks| blocks.count);
        let pause = (SHORTEST * 2_u32.pow(count.min(DOUBLINGS))).min(LONGEST);
        self.blocks.insert(port, Blocks { count: count + 1, until: now + pause });
        pause
    }

    /// Whether a frame from an address that is known elsewhere is one that we have sent, come back by a port that is no trunk: these very
    /// bytes within the last second.
    pub(in crate::engine) fn evidence(
        &self,
        now: Instant,
        switch: &Switch,
        incoming: Incoming<'_>,
        verdict: &Verdict,
    ) -> Evidence {
        let Incoming { header, frame, .. } = incoming;
        let (Some(port), Some(segment)) = (incoming.port(switch.topology()), segment_of(verdict, header))
        else {
            return Evidence::Complete;
        };
        let flown = self.find(now, self.digest(segment, frame, verdict.tags_read));
        if flown.is_some_and(|flown| flown.from != Some(port)) {
            Evidence::OurOwn
        } else {
            Evidence::Complete
        }
    }

    /// Remembers a frame that goes out of a port that is no trunk.
    pub(super) fn note_flown(
        &mut self,
        now: Instant,
        topology: &Topology,
        from: Ingress,
        frame: &[u8],
        verdict: &Verdict,
    ) {
        let mut ports = verdict.outputs.iter().filter_map(|output| match output.to {
            Egress::Port(to) if !topology.port(to).is_trunk => Some(to),
            _ => None,
        });
        let (Some(source), Some(first)) = (verdict.source, ports.next()) else { return };
        let is_flood = verdict.depends.iter().any(|state| matches!(state, Dependency::Segment(_)));
        let to = if is_flood { None } else { Some(first) };
        let digest = self.digest(source.segment, frame, verdict.tags_read);
        let from = match from {
            Ingress::Port(port) => Some(port),
            Ingress::Tunnel(_) => None,
        };
        self.note(digest, Flown { at: now, from, to, repeats: 0 });
    }
}

impl Flows {
    /// Looks whether a frame is one of ours, come back by a port that is no trunk, and does what follows. Then the verdict, and what was
    /// learned, may be others.
    pub(super) fn look_for_loop(
        &mut self,
        now: Instant,
        truth: &mut Truth,
        incoming: Incoming<'_>,
        verdict: &mut Verdict,
        learned: &mut Option<Learned>,
    ) -> Footing {
        let Incoming { header, frame, .. } = incoming;
        let Some(port) = incoming.port(truth.switch.topology()) else { return Footing::Settled };
        let Some(segment) = segment_in_doubt(now, &truth.switch, header, verdict, learned.as_ref()) else {
            return Footing::Settled;
        };
        let digest = self.loops.digest(segment, frame, verdict.tags_read);
        let Some(flown) = self.loops.meet(now, digest, port).filter(|flown| flown.is_back_at(port)) else {
            return Footing::Unsettled;
        };
        if *learned == Some(Learned::Refreshed)
            && let Some(frozen) = truth.switch.fdb.note_return(now, segment, header.src)
        {
            self.note_frozen_in_flight(truth, flown.from, (port, header.src), &frozen);
            self.spoil(Dependency::Address(segment, header.src));
            self.renew_address(now, truth, segment, header.src);
            *learned = Some(frozen);
            truth.switch.judge(now, port, header, verdict, &mut Silent);
        }
        let key = truth.key_of(port);
        let is_evidence = flown.from != Some(port) && flown.went_by(port);
        if is_evidence && self.loops.is_proven(now, key, header.src) {
            let pause = self.loops.sentence(now, key);
            truth.block(now, port, Cause::Loop, pause, self);
            truth.switch.judge(now, port, header, verdict, &mut Silent);
        }
        Footing::Back
    }

    /// An address was frozen because its frames come back though it does not move any more.
    fn note_frozen_in_flight(
        &mut self,
        truth: &mut Truth,
        from: Option<PortId>,
        (port, mac): (PortId, MacAddr),
        frozen: &Learned,
    ) {
        let Learned::Frozen { at, seen, .. } = *frozen else { return };
        if let Some(gone) = frozen.evicted() {
            self.spoil(Dependency::Address(gone.segment, gone.mac));
        }
        let other = if at == seen { from } else { Some(port) };
        let seen = other.map_or("the tunnel", |other| &truth.switch.topology().port(other).name).to_owned();
        let held = truth.place_name(at);
        truth.telling.tell(Event::AddressFrozen { mac, held, seen });
    }
}

/// The segment of a frame whose source may be flying.
fn segment_in_doubt(
    now: Instant,
    switch: &Switch,
    header: &Header,
    verdict: &Verdict,
    learned: Option<&Learned>,
) -> Option<SegmentId> {
    match learned? {
        Learned::Moved { .. }
        | Learned::Frozen { .. }
        | Learned::Refused(Refused::Frozen { .. } | Refused::Reflected { .. }) => segment_of(verdict, header),
        Learned::Refreshed => {
            let segment = segment_of(verdict, header)?;
            switch.fdb.addresses.is_unsettled(now, segment, header.src).then_some(segment)
        }
        _ => None,
    }
}

/// Destination and source address (802.3 3.1.1).
const ADDRESSES: usize = 12;
/// The segment that a frame's source was looked for in.
fn segment_of(verdict: &Verdict, header: &Header) -> Option<SegmentId> {
    verdict.depends.iter().find_map(|state| match state {
        Dependency::Address(segment, mac) if *mac == header.src => Some(*segment),
        _ => None,
    })
}

/// Frames that are remembered in one of the two maps.
const CAPACITY: usize = 8_192;
/// The same frame may come by one port so often within a second: announcements are repeated up to five times.
const MOST_REPEATS: u8 = 4;
/// Bytes behind the addresses and tags that are looked at, besides the length: headers and what makes each packet another.
const LOOKED_AT: usize = 128;
/// A frame without tags that may have been padded (802.3 3.2.8, 60 bytes without FCS).
const SHORT: usize = 60;
/// So long one address is remembered whose frames came back, until those of another do.
const EVIDENCE_LASTS: Duration = Duration::from_secs(60);
/// How long a port is blocked the first time (behaviour.md 4).
const SHORTEST: Duration = Duration::from_secs(60);
/// How long at most; and after as long without a loop it begins anew.
const LONGEST: Duration = Duration::from_secs(600);
/// Doublings that are enough to get from the one to the other.
const DOUBLINGS: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: SegmentId = SegmentId { number: 1, inner: 0 };

    fn frame(tags: &[[u8; 4]], len: usize) -> Vec<u8> {
        let mut frame = vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1];
        tags.iter().for_each(|tag| frame.extend(tag));
        frame.extend([0x08, 0x06, 7, 8, 9]);
        frame.resize(frame.len() + len, 0);
        frame
    }

    #[test]
    fn a_frame_is_known_again_whatever_tags_and_padding_it_has() {
        let loops = Loops::new(1);
        let plain = loops.digest(SEGMENT, &frame(&[], 0), 0);
        assert_eq!(loops.digest(SEGMENT, &frame(&[[0x81, 0, 0, 8]], 0), 1), plain);
        assert_eq!(loops.digest(SEGMENT, &frame(&[[0x88, 0xa8, 0, 8], [0x81, 0, 0xa0, 9]], 0), 2), plain);
        assert_eq!(loops.digest(SEGMENT, &frame(&[], 43), 0), plain, "60 bytes, the last 43 zeros");
        assert_ne!(loops.digest(SEGMENT, &frame(&[], 44), 0), plain, "nothing is padded to 61");
        assert_ne!(loops.digest(SEGMENT, &frame(&[[0x81, 0, 0, 8]], 0), 0), plain, "a tag that is payload");
        assert_ne!(loops.digest(SegmentId { number: 2, inner: 0 }, &frame(&[], 0), 0), plain);
        let mut other = frame(&[], 0);
        other[16] ^= 1;
        assert_ne!(loops.digest(SEGMENT, &other, 0), plain);
    }

    #[test]
    fn a_frame_is_remembered_for_a_second_with_the_port_that_it_came_by_first() {
        let mut loops = Loops::new(1);
        let flown =
            |ms, from| Flown { at: Instant::from_millis(ms), from: Some(PortId(from)), to: None, repeats: 0 };
        loops.note(7, flown(5_000, 1));
        loops.note(7, flown(5_500, 2));
        let from = |loops: &Loops, ms| loops.find(Instant::from_millis(ms), 7).map(|flown| flown.from);
        assert_eq!(
            (from(&loops, 5_500), from(&loops, 6_000)),
            (Some(Some(PortId(1))), Some(Some(PortId(1))))
        );
        assert_eq!(from(&loops, 6_001), None);
        loops.note(7, flown(6_100, 2));
        assert_eq!(from(&loops, 6_200), Some(Some(PortId(2))));
    }

    #[test]
    fn a_frame_is_back_by_another_port_at_once_and_by_the_same_one_after_five_times() {
        let (mut loops, now) = (Loops::new(1), Instant::from_secs(5));
        loops.note(7, Flown { at: now, from: Some(PortId(1)), to: None, repeats: 0 });
        let is_back = |loops: &mut Loops, port| {
            loops.meet(now, 7, PortId(port)).map(|flown| flown.is_back_at(PortId(port)))
        };
        assert_eq!(is_back(&mut loops, 2), Some(true));
        let repeats: Vec<_> = (0..6).map(|_| is_back(&mut loops, 1)).collect();
        assert_eq!(repeats, [false, false, false, false, true, true].map(Some));
        assert!(loops.meet(Instant::from_millis(6_001), 7, PortId(2)).is_none());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut loops = Loops::new(1);
        for digest in 0..100_000 {
            loops.note(
                digest,
                Flown { at: Instant::from_secs(9), from: Some(PortId(1)), to: None, repeats: 0 },
            );
        }
        assert!(loops.recent.len() + loops.earlier.len() <= 2 * CAPACITY);
        assert!(loops.find(Instant::from_secs(9), 99_999).is_some());
    }

    #[test]
    fn two_addresses_within_a_minute_are_proof_and_one_is_not() {
        let mut loops = Loops::new(1);
        let (a, b) = (MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]));
        let at = Instant::from_secs;
        assert!(
            (0..9).all(|second| !loops.is_proven(at(second), PortKey(1), a)),
            "one address, however often"
        );
        assert!(!loops.is_proven(at(9), PortKey(2), b), "another port");
        assert!(!loops.is_proven(at(70), PortKey(1), b), "long after");
        assert!(loops.is_proven(at(80), PortKey(1), a));
        assert!(!loops.is_proven(at(80), PortKey(2), a), "the loop may be cut by now");
    }

    #[test]
    fn a_port_is_blocked_for_longer_each_time_and_forgiven_at_last() {
        let mut loops = Loops::new(1);
        let mut now = Instant::from_secs(0);
        let mut seconds = Vec::new();
        for _ in 0..6 {
            let pause = loops.sentence(now, PortKey(1));
            seconds.push(pause.as_secs());
            now = now + pause + Duration::from_secs(1);
        }
        assert_eq!(seconds, [60, 120, 240, 480, 600, 600]);
        assert_eq!(loops.sentence(now, PortKey(2)).as_secs(), 60, "another port");
        assert_eq!(loops.sentence(now + LONGEST, PortKey(1)).as_secs(), 60);
    }
}
