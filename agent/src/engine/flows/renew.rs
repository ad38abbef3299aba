//! Looking over flows whose ground has shifted: what would be said of their frames now?

use datapath::flow::FlowId;
use vlan::addr::MacAddr;
use vlan::model::id::SegmentId;
use vlan::time::Instant;
use vlan::trace::Silent;
use vlan::verdict::{Consulted, Verdict};

use super::Flows;
use super::book::Record;
use super::changes::Wanted;
use super::heritage::Renewed;
use super::upcall::{Account, kernel_mask};
use crate::engine::truth::Truth;

impl Flows {
    /// Looks over stale flows, most used first, at most `most`.
    pub(in crate::engine) fn renew_stale(&mut self, now: Instant, truth: &mut Truth, most: usize) {
        // The most used come first, so all of them have to be known.
        if !self.cache.book.mark(MARKS_AT_ONCE) {
            return;
        }
        for _ in 0..most {
            let Some(id) = self.cache.book.next_stale() else { break };
            let renewed = self.renew(now, truth, id);
            self.heritage.count(renewed);
        }
        if self.cache.book.is_fresh() {
            self.tell_of_renewal(truth);
        }
    }

    /// Looks over what rests on the whereabouts of an address at once, flows of its own frames first: they may be going round. What is
    /// left of them is stale, and follows.
    pub(super) fn renew_address(
        &mut self,
        now: Instant,
        truth: &mut Truth,
        segment: SegmentId,
        mac: MacAddr,
    ) {
        for id in self.cache.book.of_address(segment, mac, RENEWALS_OF_ADDRESS) {
            let renewed = self.renew(now, truth, id);
            self.heritage.count(renewed);
        }
    }

    fn renew(&mut self, now: Instant, truth: &mut Truth, id: FlowId) -> Renewed {
        let mut verdict = self.verdict.take().unwrap_or_default();
        let renewed = self.renew_by(now, truth, id, &mut verdict).unwrap_or_else(|| {
            self.cache.withdraw(id);
            Renewed::Withdrawn
        });
        self.verdict = Some(verdict);
        renewed
    }

    /// `None` where the flow cannot stay, whatever it does.
    fn renew_by(
        &mut self,
        now: Instant,
        truth: &mut Truth,
        id: FlowId,
        verdict: &mut Verdict,
    ) -> Option<Renewed> {
        let record = self.cache.book.get(id)?;
        let mask = record.mask;
        let ingress = truth.ingress_of(&record.key)?;
        truth.switch.judge(now, ingress, &record.key.header, verdict, &mut Silent);
        if verdict.effect.is_some()
            || !truth.is_source_there(now, verdict.source)
            || !covers(&mask, &kernel_mask(verdict.consulted))
        {
            return None;
        }
        let header = record.key.header.clone();
        let (actions, _) = self.actions_of(truth, ingress, &header, verdict);
        let record = self.cache.book.get(id)?;
        let account = Account::of(truth, ingress, verdict, &record.key.header, &actions);
        let is_same = record.actions == actions;
        if is_same && is_as_it_was(record, &account, verdict) {
            self.cache.book.note_right(id);
            return Some(Renewed::Kept);
        }
        let Account { port, purpose, into_fabrics } = account;
        let renewed = Box::new(Record {
            port,
            purpose,
            source: verdict.source,
            era: self.cache.book.eras.now(),
            likeness: verdict.likeness,
            depends: verdict.depends.clone(),
            into_fabrics,
            unanswered: record.unanswered + u16::from(!is_same),
            actions: actions.clone(),
            ..record.clone()
        });
        if !is_same {
            let (key, before) = (record.key.clone(), self.cache.book.echoes_of(record));
            self.cache.divert(before, &renewed);
            self.cache.changes.put_flow(Wanted { id, key, mask, actions }, false);
        }
        let class = renewed.class();
        self.cache.enter(renewed, class);
        Some(if is_same { Renewed::Kept } else { Renewed::Replaced })
    }
}

/// Whether nothing of a flow that does the same is written otherwise in the book. So it is with nearly all where another revision came in.
fn is_as_it_was(record: &Record, account: &Account, verdict: &Verdict) -> bool {
    record.port == account.port
        && record.purpose == account.purpose
        && record.into_fabrics == account.into_fabrics
        && record.source == verdict.source
        && record.likeness == verdict.likeness
        && record.rests_on(&verdict.depends)
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
        && implies(mask.class, other.class)
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
