//! What the engine counts. Ports are counted by name for as long as the daemon runs, whatever becomes of their identifiers.
//!
//! For each port, between two moments in which all statistics were read: frames forwarded by flows + frames executed + frames
//! frames dropped, by whatever reason + upcalls lost by the kernel = frames received. What a flow counts
//! between the last reading and its withdrawal is told with the answer to that.

use std::collections::BTreeMap;

use datapath::Malformed;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use vlan::frame::MalformedFrame;
use vlan::verdict::{DropReason, StormClass};

use crate::event::Event;
use crate::view::CounterView;

/// A port as counters know it: stays the same through every change of the topology.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortKey(pub u32);

/// Why a frame that came up to the daemon went nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Loss {
    /// By its verdict; with the VID that was not allowed, where that is the reason.
    Verdict(DropReason, Option<u16>),
    /// The port was over its budget of first frames.
    OverBudget,
    /// It could not be read.
    Malformed(Flaw),
    /// The datapath refused to send it.
    Refused,
    /// It was longer than every way out takes.
    OverMtu,
    /// It may have come back from a fabric, and the host that has its source did not say in time whether it had sent it.
    Unanswered,
    /// It was flooded beyond a storm limit. Counted by meter as well, so it is in no `l2gw_drops_total`.
    Storm(StormClass),
}

/// What was wrong with a malformed frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flaw {
    /// It ends inside its addresses or EtherType.
    ShortHeader,
    /// It ends inside a tag.
    ShortTag,
    /// The kernel's message about it.
    Message,
}

impl From<&Malformed> for Flaw {
    fn from(malformed: &Malformed) -> Flaw {
        match malformed {
            Malformed::Frame(MalformedFrame::ShortHeader { .. }) => Flaw::ShortHeader,
            Malformed::Frame(MalformedFrame::ShortTag { .. }) => Flaw::ShortTag,
            Malformed::Message(_) => Flaw::Message,
        }
    }
}

impl Loss {
    /// By a verdict's reason. Only the VID that was not allowed is counted by itself, or there would be a counter for each VID that a
    /// sender makes up and each reason.
    pub fn of(reason: DropReason, vid: Option<u16>) -> Loss {
        Loss::Verdict(reason, vid.filter(|_| reason == DropReason::VlanNotAllowed))
    }

    /// The `reason` label.
    pub fn name(self) -> &'static str {
        match self {
            Loss::Verdict(reason, _) => reason.name(),
            Loss::OverBudget => "over-budget",
            Loss::Malformed(Flaw::ShortHeader) => "malformed-short-header",
            Loss::Malformed(Flaw::ShortTag) => "malformed-short-tag",
            Loss::Malformed(Flaw::Message) => "malformed-message",
            Loss::Refused => "refused-by-datapath",
            Loss::OverMtu => "over-mtu",
            Loss::Unanswered => "unanswered",
            Loss::Storm(StormClass::Broadcast) => "storm-broadcast",
            Loss::Storm(StormClass::Multicast) => "storm-multicast",
            Loss::Storm(StormClass::Unknown) => "storm-unknown",
        }
    }

    /// Whether it calls for somebody, and is told when it begins and ends.
    fn is_told(self) -> bool {
        match self {
            Loss::Verdict(reason, _) => matches!(
                reason,
                DropReason::AddressLimit
                    | DropReason::Sticky
                    | DropReason::AntiSpoof
                    | DropReason::Pinned
                    | DropReason::Frozen
            ),
            Loss::Storm(_) | Loss::OverMtu | Loss::Unanswered => true,
            Loss::OverBudget | Loss::Malformed(_) | Loss::Refused => false,
        }
    }

    fn vid(self) -> Option<u16> {
        match self {
            Loss::Verdict(_, vid) => vid,
            _ => None,
        }
    }
}

/// The counts of one port.
#[derive(Debug, Clone, Default)]
pub struct PortCounts {
    name: String,
    /// Frames that came up to the daemon.
    pub upcalls: u64,
    /// Frames that the daemon sent on.
    pub executed: u64,
    /// Frames that the daemon sent to a whole segment.
    pub floods: u64,
    /// Frames that flows of this arrival port forwarded.
    pub flow_frames: u64,
    /// Their bytes, tags included, FCS not.
    pub flow_bytes: u64,
    /// Copies that did not leave by this port, being longer than its link takes.
    pub over_mtu: u64,
    losses: BTreeMap<Loss, u64>,
}

impl PortCounts {
    /// How many went nowhere, for whatever reason.
    pub fn drops(&self) -> u64 {
        self.losses.values().sum()
    }

    /// The reason for which most went nowhere; of two equals the one that a frame meets first.
    pub fn top_reason(&self) -> Option<&'static str> {
        let mut sums: Vec<(&'static str, u64)> = Vec::new();
        for (loss, frames) in &self.losses {
            match sums.iter_mut().find(|(name, _)| *name == loss.name()) {
                Some((_, sum)) => *sum += frames,
                None => sums.push((loss.name(), *frames)),
            }
        }
        sums.into_iter().rev().max_by_key(|(_, sum)| *sum).map(|(name, _)| name)
    }

    /// How many went nowhere for one reason.
    pub fn lost(&self, loss: Loss) -> u64 {
        self.losses.get(&loss).copied().unwrap_or_default()
    }
}

/// All counts.
#[derive(Debug, Default)]
pub struct Counts {
    ports: Vec<PortCounts>,
    by_name: FxHashMap<String, PortKey>,
    refusals: BTreeMap<(&'static str, &'static str), u64>,
    events: BTreeMap<&'static str, u64>,
    /// What was dropped since it was last taken, for reasons that are told.
    noted: BTreeMap<(PortKey, &'static str), Noted>,
    /// Frames that came from a vport that is no port of ours (any more).
    pub strangers: u64,
}

impl Counts {
    /// The key of the port with this name, new or not.
    pub fn key(&mut self, name: &str) -> PortKey {
        if let Some(key) = self.by_name.get(name) {
            return *key;
        }
        let key = PortKey(self.ports.len() as u32);
        self.ports.push(PortCounts { name: name.to_owned(), ..PortCounts::default() });
        self.by_name.insert(name.to_owned(), key);
        key
    }

    /// The name of a port.
    pub fn name(&self, key: PortKey) -> &str {
        self.ports.get(key.0 as usize).map_or("", |port| port.name.as_str())
    }

    /// The counts of a port.
    pub fn port(&mut self, key: PortKey) -> &mut PortCounts {
        let missing = (key.0 as usize + 1).saturating_sub(self.ports.len());
        self.ports.extend((0..missing).map(|_| PortCounts::default()));
        &mut self.ports[key.0 as usize]
    }

    /// Counts frames of a port that went nowhere; `vid` is that of their first tag, or of the limit that they were beyond.
    pub fn lose(&mut self, key: PortKey, loss: Loss, vid: Option<u16>, frames: u64) {
        *self.port(key).losses.entry(loss).or_default() += frames;
        if loss.is_told() {
            self.noted.entry((key, loss.name())).or_default().add(&Noted::new(vid, frames));
        }
    }

    /// What was dropped since the last time, for reasons that are told.
    pub fn take_noted(&mut self) -> BTreeMap<(PortKey, &'static str), Noted> {
        std::mem::take(&mut self.noted)
    }

    /// The counts of a port, if there is one with this key. Keys begin at 0, without a gap.
    pub fn at(&self, key: PortKey) -> Option<&PortCounts> {
        self.ports.get(key.0 as usize)
    }

    /// The counts of the port with this name, if it ever was one.
    pub fn port_named(&self, name: &str) -> Option<&PortCounts> {
        self.by_name.get(name).and_then(|key| self.ports.get(key.0 as usize))
    }

    /// Counts something that the datapath refused.
    pub fn refuse(&mut self, what: &'static str, cause: &'static str) {
        *self.refusals.entry((what, cause)).or_default() += 1;
    }

    /// Counts an event.
    pub fn tell(&mut self, event: &Event) {
        *self.events.entry(event.kind()).or_default() += 1;
    }

    /// Those that belong to no port, as an operator sees them.
    pub fn views(&self, views: &mut Vec<CounterView>) {
        for ((what, cause), value) in &self.refusals {
            views.push(counter("l2gw_refusals_total", &[("what", what), ("cause", cause)], *value));
        }
        for (kind, value) in &self.events {
            views.push(counter("l2gw_events_total", &[("event", kind)], *value));
        }
        views.push(counter("l2gw_unknown_vport_upcalls_total", &[], self.strangers));
    }
}

impl PortCounts {
    /// All of them as an operator sees them.
    pub fn views(&self, views: &mut Vec<CounterView>) {
        for (name, value) in [
            ("l2gw_upcalls_total", self.upcalls),
            ("l2gw_executes_total", self.executed),
            ("l2gw_floods_total", self.floods),
            ("l2gw_flow_frames_total", self.flow_frames),
            ("l2gw_flow_bytes_total", self.flow_bytes),
            ("l2gw_port_tx_over_mtu_total", self.over_mtu),
        ] {
            views.push(counter(name, &[("port", &self.name)], value));
        }
        for (loss, value) in self.losses.iter().filter(|(loss, _)| !matches!(loss, Loss::Storm(_))) {
            let vid = loss.vid().map(|vid| vid.to_string());
            let mut labels = vec![("port", self.name.as_str()), ("reason", loss.name())];
            labels.extend(vid.as_deref().map(|vid| ("vid", vid)));
            views.push(counter("l2gw_drops_total", &labels, *value));
        }
    }
}

/// How many frames were dropped, and the first VIDs of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Noted {
    /// How many.
    pub frames: u64,
    vids: SmallVec<[u16; NAMED_VIDS]>,
    has_more: bool,
}

impl Noted {
    fn new(vid: Option<u16>, frames: u64) -> Noted {
        Noted { frames, vids: vid.into_iter().collect(), has_more: false }
    }

    /// Adds others to them.
    pub fn add(&mut self, other: &Noted) {
        self.frames += other.frames;
        self.has_more |= other.has_more;
        for vid in other.vids.iter().filter(|vid| !self.vids.contains(vid)).copied().collect::<Vec<_>>() {
            match self.vids.len() < NAMED_VIDS {
                true => self.vids.push(vid),
                false => self.has_more = true,
            }
        }
    }

    /// The first VIDs, in words.
    pub fn vids(&self) -> String {
        let first: Vec<String> = self.vids.iter().map(u16::to_string).collect();
        first.join(",") + if self.has_more { " and more" } else { "" }
    }
}

/// VIDs that are told of a burst.
const NAMED_VIDS: usize = 8;

/// A counter as an operator sees it.
pub fn counter(name: &str, labels: &[(&str, &str)], value: u64) -> CounterView {
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    CounterView { name: name.to_owned(), labels, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_keeps_its_counts_by_name() {
        let mut counts = Counts::default();
        let key = counts.key("leaf1");
        counts.port(key).upcalls += 2;
        assert_eq!(counts.key("leaf1"), key);
        assert_ne!(counts.key("leaf2"), key);
        assert_eq!(counts.port_named("leaf1").map(|port| port.upcalls), Some(2));
    }

    #[test]
    fn drops_are_told_apart_by_reason_and_vid() {
        let mut counts = Counts::default();
        let key = counts.key("leaf1");
        for vid in [300, 300, 301] {
            counts.lose(key, Loss::Verdict(DropReason::VlanNotAllowed, Some(vid)), Some(vid), 1);
        }
        counts.lose(key, Loss::OverBudget, None, 4);
        // It is counted by its meter.
        counts.lose(key, Loss::Storm(StormClass::Broadcast), Some(5), 9);
        assert_eq!((counts.port(key).drops(), counts.port(key).top_reason()), (16, Some("storm-broadcast")));
        let mut views = Vec::new();
        counts.port(key).views(&mut views);
        let drops: Vec<_> = views.iter().filter(|view| view.name == "l2gw_drops_total").collect();
        let text: Vec<String> =
            drops.iter().map(|view| format!("{:?} {}", view.labels, view.value)).collect();
        assert_eq!(text.len(), 3, "{text:?}");
        assert!(text[0].contains("300") && text[0].ends_with(" 2"), "{text:?}");
        assert!(text[2].contains("over-budget") && text[2].ends_with(" 4"), "{text:?}");
    }
}
