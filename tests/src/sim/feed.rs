//! The address feed of several engines: a log for each segment, which all who follow it read in one order.

use std::collections::BTreeMap;

use agent::input::{FeedNews, Input};
use nsdb::{AddressRecord, FeedLimits, SegmentTable};

use super::gateway::Gateway;

/// What hosts have said, by VNI.
#[derive(Debug, Default)]
pub struct SimFeed {
    logs: BTreeMap<u32, Vec<AddressRecord>>,
}

/// How far a host has heard.
#[derive(Debug, Default)]
pub struct Listener {
    /// By VNI, the first word that it has not heard.
    heard: BTreeMap<u32, usize>,
    /// Whether it hears and says nothing.
    pub is_cut: bool,
    /// Whether what it says is taken, while it hears nothing yet.
    pub is_late: bool,
}

impl Listener {
    /// It has heard nothing, as one that has just started.
    pub fn forget(&mut self) {
        self.heard.clear();
    }

    /// It follows the same segments from a new beginning, as one whose connection was lost.
    pub fn begin_anew(&mut self) {
        self.heard.values_mut().for_each(|at| *at = NOTHING);
    }

    fn hears(&self) -> bool {
        !self.is_cut && !self.is_late
    }
}

impl SimFeed {
    /// Takes what a host says, and has it hear what it has not heard. Whether there was anything.
    pub fn pass_on(&mut self, listener: &mut Listener, gateway: &mut Gateway) -> bool {
        let mut is_busy = false;
        if let Some(wanted) = gateway.take_followed() {
            listener.heard.retain(|vni, _| wanted.contains(vni));
            for vni in wanted {
                is_busy |= listener.hears() && self.begin(vni, listener, gateway);
                // Whoever is cut off begins when it is not any more.
                if !listener.hears() {
                    listener.heard.entry(vni).or_insert(NOTHING);
                }
            }
        }
        if let Some(words) = gateway.take_announced() {
            is_busy = true;
            let refused = listener.is_cut.then(|| "the store is away".to_owned());
            for word in words.into_iter().filter(|_| !listener.is_cut) {
                self.logs.entry(word.key.segment.0 as u32).or_default().push(word);
            }
            gateway.handle(Input::Feed(FeedNews::Announced { refused }));
        }
        if listener.hears() {
            is_busy |= self.go_on(listener, gateway);
        }
        is_busy
    }

    /// Says these words, whoever's they are, as when one comes once more.
    pub fn repeat(&mut self, words: &[AddressRecord]) {
        for word in words {
            self.logs.entry(word.key.segment.0 as u32).or_default().push(*word);
        }
    }

    /// The store has lost what was said of a segment.
    pub fn lose(&mut self, vni: u32) {
        self.logs.remove(&vni);
    }

    /// The words that were said of a segment, in their order.
    pub fn log(&self, vni: u32) -> &[AddressRecord] {
        self.logs.get(&vni).map_or(&[], Vec::as_slice)
    }

    fn begin(&self, vni: u32, listener: &mut Listener, gateway: &mut Gateway) -> bool {
        if listener.heard.get(&vni).is_some_and(|at| *at != NOTHING) {
            return false;
        }
        let (log, limits) = (self.log(vni), FeedLimits::default());
        let mut table = SegmentTable::default();
        for word in log {
            table.take(*word, limits.addresses, limits.tombstones);
        }
        let records = table.behind(None).collect();
        gateway.handle(Input::Feed(FeedNews::Snapshot { vni, records, is_last: true }));
        listener.heard.insert(vni, log.len());
        true
    }

    fn go_on(&self, listener: &mut Listener, gateway: &mut Gateway) -> bool {
        let begun: Vec<(u32, usize)> = listener.heard.iter().map(|(vni, at)| (*vni, *at)).collect();
        let mut is_busy = false;
        for (vni, at) in begun {
            let log = self.log(vni);
            if at == NOTHING {
                is_busy |= self.begin(vni, listener, gateway);
            } else if at < log.len() {
                gateway.handle(Input::Feed(FeedNews::Words(log[at..].to_vec())));
                listener.heard.insert(vni, log.len());
                is_busy = true;
            }
        }
        is_busy
    }
}

/// How far somebody has heard who has yet to begin.
const NOTHING: usize = usize::MAX;
