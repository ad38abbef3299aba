//! Which host has which address: what this host says to the others by the store, and what they say (behaviour.md 8).
//!
//! ```text
//!   a frame's source ──► addresses ── news ──► settle ──► own words ──► Announce ──► store
//!                            ▲                   │
//!                            └──── believed ◄────┴─────── words of all hosts ◄────── Input::Feed
//! ```
//! A word counts by its mobility counter (RFC 7432 7.7): who hears an address by a port of its own says the known counter plus one, and
//! between equal counters the lower host has it. What is said is said by what is so when it is looked at (`settle`), not by what has
//! happened: so nothing is forgotten, whatever came in between.
//!
//! Nothing waits for the store. An address of another host is known by its frames too: a hint, which its word confirms.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nsdb::{AddressKey, AddressRecord, FeedLimits, HostId as HostNumber, Mac, Mobility, Presence, SegmentId};
use nsdb::{SegmentTable, Taken};
use vlan::addr::MacAddr;
use vlan::model::topology::Topology;
use vlan::model::vnis::Origin;
use vlan::time::Instant;

use super::Truth;
use crate::engine::due::Due;
use crate::lower::Lowering;
use crate::view::FeedView;
use asking::Asking;
use pace::Pace;

pub(in crate::engine) mod asking;
mod fabric;
mod pace;
mod scope;
mod settle;
mod telling;

/// The words of all hosts about the segments that this host shares with others, and what of them is still to be done.
#[derive(Debug, Default)]
pub(in crate::engine) struct Feed {
    /// This host's number; 0 where it has none and says nothing.
    own: u32,
    /// Which run of the daemon speaks: a later one has a greater number.
    session: u64,
    /// How many words this run has said.
    number: u64,
    segments: BTreeMap<u32, Segment>,
    /// How many of them are not heard.
    unheard: usize,
    /// Whether the store is known to be away: words are as old as that.
    is_away: bool,
    /// Own words of an earlier run, and when each is taken back unless its address is here by then.
    farewells: Due<AddressKey>,
    pub(in crate::engine) asking: Asking,
    pace: Pace,
    looking: scope::Looking,
    is_to_follow: bool,
    pub(in crate::engine) counted: Counted,
}

/// How many words there were.
#[derive(Debug, Default)]
pub(in crate::engine) struct Counted {
    /// Of other hosts, and count.
    pub(in crate::engine) heard: u64,
    /// Of this one.
    pub(in crate::engine) said: u64,
}

/// A segment that this host shares.
#[derive(Debug, Default)]
struct Segment {
    words: SegmentTable,
    /// Whether all was heard that had been said before this host listened.
    is_heard: bool,
    /// Whether this run has said anything of it.
    has_said: bool,
    /// Own addresses in the snapshot that is under way.
    own_heard: BTreeSet<(u16, Mac)>,
    /// What is settled then.
    put_off: BTreeSet<(u16, Mac)>,
}

/// What a host has and hears at a moment, and what rests on that.
pub(in crate::engine) struct Hearing<'a, L> {
    truth: &'a mut Truth,
    now: Instant,
    lowering: &'a mut L,
}

impl<'a, L: Lowering> Hearing<'a, L> {
    pub(in crate::engine) fn new(now: Instant, truth: &'a mut Truth, lowering: &'a mut L) -> Hearing<'a, L> {
        Hearing { truth, now, lowering }
    }
}

impl Feed {
    pub(super) fn new(session: u64) -> Feed {
        Feed { session: session.max(1), ..Feed::default() }
    }

    /// Whether hosts hear each other's words here, so that a frame from another host is no more than a hint.
    pub(super) fn is_telling(&self) -> bool {
        !self.is_away && self.unheard == 0 && !self.segments.is_empty()
    }

    /// Whether there is any segment to be heard of.
    pub(super) fn is_shared(&self) -> bool {
        !self.segments.is_empty()
    }

    /// Whether an address is settled later, when all has been heard that was said of its segment; it is remembered until then.
    fn is_put_off(&mut self, key: &AddressKey) -> bool {
        let Some(segment) = self.segments.get_mut(&vni_of(key)) else { return true };
        if !segment.is_heard {
            segment.put_off.insert((key.inner, key.mac));
        }
        !segment.is_heard
    }

    /// What an address is called in words; `None` where its segment is not shared.
    fn key_of(
        &self,
        topology: &Topology,
        segment: vlan::model::id::SegmentId,
        mac: MacAddr,
    ) -> Option<AddressKey> {
        let vni =
            topology.vni(segment.number, Origin::Plain).filter(|vni| self.segments.contains_key(vni))?;
        Some(AddressKey { segment: SegmentId(u64::from(vni)), inner: segment.inner, mac: Mac(mac.0) })
    }

    /// Says whether the store answers.
    pub(in crate::engine) fn set_away(&mut self, is_away: bool) {
        self.is_away = is_away;
    }

    /// The word that holds of an address.
    fn word(&self, key: &AddressKey) -> Option<AddressRecord> {
        self.segments.get(&vni_of(key))?.words.get(key.inner, key.mac)
    }

    /// Takes a word into the table; what became of it, `None` if it is about a segment that this host does not share.
    fn take(&mut self, record: AddressRecord) -> Option<Taken> {
        let FeedLimits { addresses, tombstones, .. } = FeedLimits::default();
        let segment = self.segments.get_mut(&vni_of(&record.key))?;
        Some(segment.words.take(record, addresses, tombstones))
    }

    fn is_own(&self, record: &AddressRecord) -> bool {
        record.owner == HostNumber(self.own)
    }

    /// Says that an address is here, and comes by this VNI; or that it is not here any more.
    fn say(&mut self, key: AddressKey, by: u32, presence: Presence) {
        let known = self.word(&key);
        let mobility = match known {
            None => Mobility(1),
            Some(known) if self.is_own(&known) => known.mobility,
            Some(known) => known.mobility.next(),
        };
        self.number_behind(known.filter(|known| self.is_own(known)));
        let (owner, session, number) = (HostNumber(self.own), self.session, self.number);
        let record = AddressRecord { key, owner, session, number, by, mobility, presence };
        if self.take(record) == Some(Taken::Accepted) {
            self.asking.add(key);
            self.counted.said += 1;
            self.segments.get_mut(&vni_of(&key)).into_iter().for_each(|segment| segment.has_said = true);
        }
        self.farewells.remove(&key);
    }

    /// The next word has a number that counts beside an own word that is known. Where the clock has gone back since an earlier run, that one's
    /// session is gone on with.
    fn number_behind(&mut self, own: Option<AddressRecord>) {
        if let Some(own) = own.filter(|own| own.session >= self.session) {
            (self.session, self.number) = (own.session, self.number.max(own.number));
        }
        self.number += 1;
    }

    /// When something of it is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        if self.looking.is_any() {
            return Some(Instant::ZERO);
        }
        // While the store is away nothing can be said.
        let asking = self.asking.next_due().filter(|_| !self.is_away);
        [self.farewells.next(), self.pace.next_due(), asking].into_iter().flatten().min()
    }

    /// At a glance; `None` where this host shares no segment.
    pub(in crate::engine) fn view(&self) -> Option<FeedView> {
        (!self.segments.is_empty()).then(|| FeedView {
            segments: self.segments.len(),
            heard: self.segments.len() - self.unheard,
            addresses: self.segments.values().map(|segment| segment.words.present()).sum(),
            unsaid: self.asking.len() + self.pace.len(),
            refused: self.asking.refused().map(str::to_owned),
        })
    }
}

fn vni_of(key: &AddressKey) -> u32 {
    u32::try_from(key.segment.0).unwrap_or_default()
}

/// Addresses looked at for one input: some microseconds each.
const SETTLED_AT_ONCE: usize = 500;
/// An own word of an earlier run is taken back when its address was not found here by then: flows and saved addresses bring it back.
const FORMER_PATIENCE: Duration = Duration::from_secs(10);
