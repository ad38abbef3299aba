//! Looking over flows whose ground has shifted: what would be said of their frames now?

use datapath::flow::FlowId;
use vlan::addr::MacAddr;
use vlan::model::id::SegmentId;
use vlan::time::Instant;
use vlan::trace::Silent;
use vlan::verdict::{Consulted, Seen, Verdict};

use super::book::Record;
use super::changes::Wanted;
use super::statistics::Withdrawn;
use super::upcall::{Account, kernel_mask};
use crate::engine::Engine;

/// What became of a flow that was looked over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Renewed {
    /// It was right.
    Kept,
    /// It does something else now, without a gap.
    Replaced,
    /// It is gone; the next of its frames is judged anew.
    Withdrawn,
}

impl Engine {
    /// Looks over stale flows, most used first, at most `most`.
    pub(in crate::engine) fn renew_stale(&mut self, now: Instant, most: usize) {
        // The most used come first, so all of them have to be known.
        if !self.book.mark(MARKS_AT_ONCE) {
            return;
        }
        for _ in 0..most {
            let Some(id) = self.book.next_stale() else { break };
            let renewed = self.renew(now, id);
            self.note_renewed(renewed);
        }
        if self.book.is_fresh() {
            self.tell_of_renewal();
        }
    }

    /// Looks over what rests on the whereabouts of an address at once, flows of its own frames first: they may be going round. What is
    /// left of them is stale, and follows.
    pub(in crate::engine) fn renew_address(&mut self, now: Instant, segment: SegmentId, mac: MacAddr) {
        for id in self.book.of_address(segment, mac, RENEWALS_OF_ADDRESS) {
            let renewed = self.renew(now, id);
            self.note_renewed(renewed);
        }
    }

    fn renew(&mut self, now: Instant, id: FlowId) -> Renewed {
        let mut verdict = std::mem::take(&mut self.verdict);
        let renewed = self.renew_by(now, id, &mut verdict).unwrap_or_else(|| {
            self.withdraw(id);
            Renewed::Withdrawn
        });
        self.verdict = verdict;
        renewed
    }

    /// `None` where the flow cannot stay, whatever it does.
    fn renew_by(&mut self, now: Instant, id: FlowId, verdict: &mut Verdict) -> Option<Renewed> {
        let record = self.book.get(id)?;
        let (vport, mask) = (record.key.vport, record.mask);
        let port = self.links.port_of(vport)?;
        self.switch.judge(now, port, &record.key.header, verdict, &mut Silent);
        if verdict.effect.is_some()
            || !self.is_source_there(now, verdict.source)
            || !covers(&mask, &kernel_mask(verdict.consulted))
        {
            return None;
        }
        let header = record.key.header.clone();
        let (actions, _) = self.actions_of(port, &header, verdict);
        let record = self.book.get(id)?;
        let Account { purpose, into_fabrics } =
            Account::of(self.switch.topology(), verdict, &record.key.header, &actions);
        let is_same = record.actions == actions;
        let renewed = Record {
            port: self.key_of(port),
            purpose,
            source: verdict.source,
            likeness: verdict.likeness,
            depends: verdict.depends.clone(),
            into_fabrics,
            unanswered: record.unanswered + u16::from(!is_same),
            actions: actions.clone(),
            ..record.clone()
        };
        if !is_same {
            let (key, before) = (record.key.clone(), record.echoes().collect());
            self.note_diverted(before, &renewed);
            self.changes.put_flow(Wanted { id, key, mask, actions }, false);
        }
        self.enter(renewed);
        Some(if is_same { Renewed::Kept } else { Renewed::Replaced })
    }

    /// A flow lets frames of its source pass unseen, so its source must be known to be where they come in.
    fn is_source_there(&self, now: Instant, source: Option<Seen>) -> bool {
        source.is_none_or(|seen| {
            self.switch.fdb.addresses.find(now, seen.segment, seen.mac) == Some(seen.location)
        })
    }

    /// Withdraws a flow.
    pub(in crate::engine) fn withdraw(&mut self, id: FlowId) {
        if let Some(record) = self.book.remove(id) {
            self.meters.release(&record.actions);
            self.withdrawn.insert(id, Withdrawn::of(&record));
            self.changes.delete_flow(id);
        }
    }
}

/// Flows that are looked over because one address was frozen: a millisecond or two.
const RENEWALS_OF_ADDRESS: usize = 256;

/// Flows that are marked for one input: a few milliseconds, as each is a visit to memory.
const MARKS_AT_ONCE: usize = 5_000;

/// Whether frames that agree in the fields of `mask` agree in those of `other`.
fn covers(mask: &Consulted, other: &Consulted) -> bool {
    let implies = |narrow: bool, wide: bool| narrow || !wide;
    let tags = mask.tags.iter().zip(&other.tags);
    implies(mask.dst, other.dst)
        && implies(mask.ether_type, other.ether_type)
        && tags
            .into_iter()
            .all(|(a, b)| implies(a.presence, b.presence) && implies(a.vid, b.vid) && implies(a.pcp, b.pcp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrower_flow_covers_what_a_wider_verdict_asks() {
        let wide = kernel_mask(Consulted::default());
        let narrow = Consulted { dst: true, ..wide };
        assert!(covers(&narrow, &wide) && covers(&wide, &wide) && !covers(&wide, &narrow));
        let mut with_priority = wide;
        with_priority.tag_pcp(1);
        assert!(!covers(&wide, &with_priority) && covers(&with_priority, &wide));
    }
}
