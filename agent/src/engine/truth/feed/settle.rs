//! Brings the address table and the words of hosts in step, one address at a time.

use nsdb::{AddressKey, AddressRecord, Presence, Taken};
use vlan::addr::MacAddr;
use vlan::fdb::Learned;
use vlan::fdb::entry::{Entry, Kind};
use vlan::fdb::word::Word;
use vlan::model::id::{Location, SegmentId};
use vlan::model::vnis::Origin;
use vlan::verdict::Dependency;

use super::{FORMER_PATIENCE, Hearing, SETTLED_AT_ONCE, vni_of};
use crate::event::Event;
use crate::lower::Lowering;

impl<L: Lowering> Hearing<'_, L> {
    /// Takes what is new of addresses, and settles some of what is to be settled.
    pub(in crate::engine) fn keep_time(&mut self) {
        self.look_at_all();
        for _ in 0..SETTLED_AT_ONCE {
            let Some((segment, mac)) = self.truth.switch.fdb.addresses.news.take() else { break };
            if let Some(key) = self.truth.feed.key_of(self.truth.switch.topology(), segment, mac) {
                self.settle(segment, key);
            }
        }
        for _ in 0..SETTLED_AT_ONCE {
            let Some(key) = self.truth.feed.pace.take(self.now) else { break };
            if let Some(segment) = self.segment_of(&key) {
                self.settle(segment, key);
            }
        }
        for _ in 0..SETTLED_AT_ONCE {
            let Some(key) = self.truth.feed.farewells.take(self.now) else { break };
            self.part_from(key);
        }
        self.truth.switch.peers.are_telling = self.truth.feed.is_telling();
    }

    /// Takes in a word that was said in the store.
    pub(in crate::engine) fn take_word(&mut self, record: AddressRecord) {
        let before = self.truth.feed.word(&record.key);
        match self.truth.feed.take(record) {
            None | Some(Taken::Outdated) => return,
            Some(Taken::Refused) => return self.truth.telling.counts.refuse("word", "address-limit"),
            Some(Taken::Accepted) => {}
        }
        self.truth.feed.counted.heard += 1;
        if !self.truth.feed.is_own(&record) {
            self.follow_word(&record);
            self.tell_of_claim(before.as_ref(), &record);
        }
        self.note(&record.key);
    }

    /// Puts an address where another host's word says that it is, or takes it away with the word.
    fn follow_word(&mut self, record: &AddressRecord) {
        let Some(segment) = self.segment_of(&record.key) else { return };
        let mac = MacAddr(record.key.mac.0);
        let at = self.place_of(record).filter(|_| record.presence == Presence::Present);
        let entry = self.truth.switch.fdb.addresses.entry(self.now, segment, mac);
        let told = entry.filter(|entry| entry.kind == Kind::Remote && Some(entry.location) != at);
        match at {
            Some(location) => self.believe(Word { segment, mac, location }),
            None => {
                let told = told
                    .and_then(|told| self.truth.switch.fdb.addresses.withdraw(segment, mac, told.location));
                told.into_iter().for_each(|_| self.lowering.spoil(Dependency::Address(segment, mac)));
            }
        }
    }

    fn believe(&mut self, word: Word) {
        let learned = self.truth.switch.fdb.believe(self.now, word);
        if learned.is_change() {
            self.lowering.spoil(Dependency::Address(word.segment, word.mac));
        }
        if let Some(gone) = learned.evicted() {
            self.lowering.spoil(Dependency::Address(gone.segment, gone.mac));
        }
        if let Learned::Frozen { at, from, .. } = learned {
            let held = self.truth.place_name(at);
            let seen = self.truth.place_name(if at == word.location { from } else { word.location });
            self.truth.telling.tell(Event::AddressFrozen { mac: word.mac, held, seen });
        }
    }

    /// Brings one address in step: says what this host has, takes back what it has not, and believes what others have.
    fn settle(&mut self, segment: SegmentId, key: AddressKey) {
        if self.truth.feed.is_put_off(&key) {
            return;
        }
        let entry = self.truth.switch.fdb.addresses.entry(self.now, segment, MacAddr(key.mac.0));
        let mine = entry.as_ref().and_then(|entry| self.by_of(segment, entry));
        let word = self.truth.feed.word(&key);
        let own = word.filter(|word| self.truth.feed.is_own(word) && word.presence == Presence::Present);
        if mine.is_none() {
            self.truth.feed.pace.forget(&key);
        }
        let at = entry.as_ref().map(|entry| entry.location);
        match (mine, own, word) {
            (Some(by), Some(own), _) if own.by == by => self.truth.feed.farewells.remove(&key),
            (Some(_), None, _) if at.is_some_and(|at| !self.may_say(at, key)) => {}
            (Some(by), ..) => self.truth.feed.say(key, by, Presence::Present),
            (None, Some(own), _) => self.miss(&own, entry.is_some()),
            (None, None, Some(word)) if word.presence == Presence::Present => {
                let is_hint = entry.is_some_and(|entry| entry.kind == Kind::Dynamic);
                // Where the store is away the word is as old as that, and what was heard since was later.
                if !is_hint && !self.truth.feed.is_away {
                    self.follow_word(&word);
                }
            }
            (None, None, Some(word)) => self.follow_word(&word),
            (None, None, None) => {}
        }
    }

    /// Whether an address that is new here may be said now; if not, it is settled again when its turn comes.
    fn may_say(&mut self, at: Location, key: AddressKey) -> bool {
        let Location::Port { port, .. } = at else { return true };
        let is_trunk = self.truth.switch.topology().port(port).is_trunk;
        is_trunk || self.truth.feed.pace.may_say(self.now, port, key)
    }

    /// An own address is not here, though this host has said that it is. What was heard from another host is left to that host's word.
    fn miss(&mut self, own: &AddressRecord, is_known: bool) {
        if is_known {
            return;
        }
        if own.session == self.truth.feed.session {
            self.truth.feed.say(own.key, own.by, Presence::Gone);
        } else if self.truth.feed.farewells.when(&own.key).is_none() {
            self.truth.feed.farewells.set(own.key, self.now + FORMER_PATIENCE);
        }
    }

    /// The time has come to take a word of an earlier run back, unless the address is here or was heard elsewhere.
    fn part_from(&mut self, key: AddressKey) {
        let own = self.truth.feed.word(&key);
        let own = own.filter(|word| self.truth.feed.is_own(word) && word.presence == Presence::Present);
        let Some((own, segment)) = own.zip(self.segment_of(&key)) else { return };
        if self.truth.switch.fdb.addresses.find(self.now, segment, MacAddr(key.mac.0)).is_none() {
            self.truth.feed.say(key, own.by, Presence::Gone);
        }
    }

    pub(super) fn segment_of(&self, key: &AddressKey) -> Option<SegmentId> {
        let (number, _) = self.truth.switch.topology().by_vni(vni_of(key))?;
        Some(SegmentId { number, inner: key.inner })
    }

    /// Where an address is by a word: behind a trunk group, or at the host that says so. `None` where that is not in the topology in force, or
    /// that host has no port on the segment any more: it would drop what is sent there, and nobody takes its word back.
    pub(super) fn place_of(&self, record: &AddressRecord) -> Option<Location> {
        let topology = self.truth.switch.topology();
        let (segment, origin) = topology.by_vni(record.by)?;
        let host = topology.host_numbered(record.owner.0)?;
        let is_its = topology.by_vni(vni_of(&record.key)) == Some((segment, Origin::Plain));
        let at = match origin {
            Origin::Group(fabric) => match topology.only_vid(segment, fabric) {
                Some(vid) => Location::Fabric { fabric, vid },
                None => Location::Host(host),
            },
            Origin::Plain | Origin::Isolated => Location::Host(host),
        };
        let is_here = at == Location::Host(self.truth.switch.host());
        let has_port = topology.hosts_of(segment).binary_search(&host).is_ok();
        Some(at).filter(|_| is_its && !is_here && has_port)
    }

    /// By which VNI frames come from an address that this host hears by a port of its own; `None` if it does not.
    fn by_of(&self, segment: SegmentId, entry: &Entry) -> Option<u32> {
        let topology = self.truth.switch.topology();
        if entry.kind != Kind::Dynamic || entry.is_hint {
            return None;
        }
        match entry.location {
            Location::Host(_) => None,
            Location::Port { port, .. } if topology.port(port).host != self.truth.switch.host() => None,
            Location::Port { .. } => topology.vni(segment.number, Origin::Plain),
            Location::Fabric { fabric, vid } => {
                let vni = topology.vni(segment.number, Origin::Group(fabric));
                vni.filter(|_| self.carrier_of(segment, (fabric, vid)).is_some())
            }
        }
    }
}
