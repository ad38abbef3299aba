//! What the store says and answers, and what an operator is told of it.

use nsdb::{AddressKey, AddressRecord, Presence, SegmentId};
use vlan::addr::MacAddr;

use super::{Hearing, vni_of};
use crate::event::Event;
use crate::input::FeedNews;
use crate::lower::Lowering;

impl<L: Lowering> Hearing<'_, L> {
    /// Takes in what the store says of addresses.
    pub(in crate::engine) fn hear(&mut self, news: FeedNews) {
        match news {
            FeedNews::Snapshot { vni, records, is_last } => self.hear_snapshot(vni, records, is_last),
            FeedNews::Words(records) => {
                records.into_iter().for_each(|record| self.take_word(record));
            }
            FeedNews::Announced { refused } => {
                let why = refused.clone();
                if self.truth.feed.asking.note_answer(self.now, refused) {
                    let event = why.map_or(Event::AddressesTold, |why| Event::AddressesUntold { why });
                    self.truth.telling.tell(event);
                }
            }
        }
    }

    /// What was known of a segment when following began. Own words that are not in it were lost, or have not arrived: they are said again.
    fn hear_snapshot(&mut self, vni: u32, records: Vec<AddressRecord>, is_last: bool) {
        let Some(segment) = self.truth.feed.segments.get_mut(&vni) else { return };
        let own = self.truth.feed.own;
        let keys = records.iter().filter(|record| record.owner.0 == own && vni_of(&record.key) == vni);
        segment.own_heard.extend(keys.map(|record| (record.key.inner, record.key.mac)));
        records.into_iter().for_each(|record| self.take_word(record));
        if !is_last {
            return;
        }
        let Some(segment) = self.truth.feed.segments.get_mut(&vni) else { return };
        self.truth.feed.unheard -= usize::from(!std::mem::replace(&mut segment.is_heard, true));
        let heard = std::mem::take(&mut segment.own_heard);
        let put_off = std::mem::take(&mut segment.put_off);
        for word in segment.words.behind(None).take_while(|_| segment.has_said) {
            let is_missing = word.owner.0 == own && !heard.contains(&(word.key.inner, word.key.mac));
            if is_missing {
                self.truth.feed.asking.add(word.key);
            }
        }
        for (inner, mac) in put_off {
            self.note(&AddressKey { segment: SegmentId(u64::from(vni)), inner, mac });
        }
    }

    /// Another host has an address that this host has said to have, and neither has heard of the other's word before.
    pub(super) fn tell_of_claim(&mut self, before: Option<&AddressRecord>, word: &AddressRecord) {
        let is_tie = |own: &&AddressRecord| {
            self.truth.feed.is_own(own)
                && own.mobility == word.mobility
                && own.presence == Presence::Present
                && word.presence == Presence::Present
        };
        if before.filter(is_tie).is_none() {
            return;
        }
        let mac = MacAddr(word.key.mac.0);
        if self.truth.telling.may_tell(self.now, (CLAIMED, mac.to_string())) {
            let topology = self.truth.switch.topology();
            let host = topology.host_numbered(word.owner.0);
            let host = host.map_or_else(String::new, |host| topology.hosts()[host.0 as usize].name.clone());
            self.truth.telling.tell(Event::AddressClaimed { mac, host });
        }
    }
}

/// The kind of telling that two hosts have one address.
const CLAIMED: &str = "address-claimed";
