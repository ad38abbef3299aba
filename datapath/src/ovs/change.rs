//! Putting and withdrawing flows, in order, with as few datagrams as can be.
//!
//! ```text
//!   create ──ok──► done                                     (the usual case: one message)
//!     │ EEXIST
//!     ▼
//!   describe id ── same key and mask ──► replace ──► done   (in place, without a gap, counts go on)
//!     ├── another key or mask ──► delete, create ──► done   (counts begin at zero)
//!     └── no such id: something overlaps
//!           ▼
//!         list all ── same key and mask under another id ──► delete it, create ──► done
//!           └── it overlaps, but is not the same ──► busy
//! ```
//! Between "delete" and "create", which travel in one datagram, a frame of the flow is an upcall. Listing all flows, once
//! for all changes of a batch that need it, is for the rare case: who gives the same masked key the same id never comes there.

use std::collections::{HashMap, HashSet};

use vlan::addr::MacAddr;

use super::family::refuse;
use super::flow::{self, Dumped, Table, Wanted};
use super::transact::{Denial, OnReply, Outbox, Outcome, Request, Transactor};
use super::{FlowAnswer, FlowChange, FlowId, FlowStats, VportNo};

/// Flow changes on their way to the kernel.
pub(super) struct Changes<'a> {
    pub(super) transactor: &'a mut Transactor,
    pub(super) table: Table,
}

impl Changes<'_> {
    /// Carries out a batch, in order; an answer for each.
    pub(super) async fn carry_out(&mut self, batch: &[FlowChange]) -> Vec<FlowAnswer> {
        let nothing = self.transactor.outbox();
        let (outcomes, counted) = self.carry_out_all(batch, nothing).await;
        answers(outcomes, batch, counted)
    }

    /// Carries out a batch, in order, behind the requests of `ahead`, which go out in one datagram with the first changes. An answer for
    /// each change, and an outcome for each request of `ahead`; none at all where every change was a flow that was put, and all went well.
    pub(super) async fn carry_out_behind(
        &mut self,
        ahead: Outbox,
        batch: &[FlowChange],
    ) -> Option<(Vec<FlowAnswer>, Vec<Outcome>)> {
        let count = ahead.len();
        let (mut outcomes, counted) = self.carry_out_all(batch, ahead).await;
        if counted.is_empty() && outcomes.iter().all(Result::is_ok) {
            return None;
        }
        let of_batch = outcomes.split_off(count);
        Some((answers(of_batch, batch, counted), outcomes))
    }

    /// An outcome for each request of `ahead`, and then for each change; and what withdrawn flows counted, up to the last of them.
    async fn carry_out_all(
        &mut self,
        batch: &[FlowChange],
        ahead: Outbox,
    ) -> (Vec<Outcome>, Vec<Option<FlowStats>>) {
        let count = ahead.len();
        let counts = batch.iter().rposition(|change| Wanted::of(change).is_none()).map_or(0, |last| last + 1);
        let mut counted = vec![None; counts];
        let first = &batch[..run_len(batch)];
        let mut outcomes = self.carry_out_run(first, &mut counted, ahead).await;
        while outcomes.len() - count < batch.len() {
            let done = outcomes.len() - count;
            let rest = &batch[done..];
            let last = counted.get_mut(done..).unwrap_or_default();
            let nothing = self.transactor.outbox();
            outcomes.extend(self.carry_out_run(&rest[..run_len(rest)], last, nothing).await);
        }
        (outcomes, counted)
    }

    /// Carries out changes of different flows, so that what is settled after its turn meets no other change of its flow, and before
    /// them what is in `out`. What withdrawn flows counted goes to `counted`.
    async fn carry_out_run(
        &mut self,
        run: &[FlowChange],
        counted: &mut [Option<FlowStats>],
        mut out: Outbox,
    ) -> Vec<Outcome> {
        let count = out.len();
        for change in run {
            match Wanted::of(change) {
                Some(wanted) => wanted.create(&mut out, &self.table),
                None => out.add(flow::delete_counted(self.table.family, self.table.dp, id_of(change))),
            }
        }
        let mut note = |index: usize, reply: &[u8]| {
            if let Some(counted) = index.checked_sub(count).and_then(|index| counted.get_mut(index)) {
                *counted = flow::read_stats(reply).ok().flatten().map(|(_, stats)| stats);
            }
        };
        let mut outcomes = self.transactor.exchange(out, &mut note).await;
        let mut taken = Vec::new();
        for (index, (outcome, change)) in outcomes[count..].iter_mut().zip(run).enumerate() {
            match (Wanted::of(change), &*outcome) {
                (Some(wanted), Err(denial)) if denial.is(libc::EEXIST) => taken.push((index, wanted)),
                (None, Err(denial)) if denial.is(libc::ENOENT) => *outcome = Ok(()),
                _ => {}
            }
        }
        if !taken.is_empty() {
            self.settle(taken, &mut outcomes[count..]).await;
        }
        outcomes
    }

    /// Second round, for flows that something is in the way of.
    async fn settle(&mut self, taken: Vec<(usize, Wanted<'_>)>, outcomes: &mut [Outcome]) {
        let Table { family, dp, tunnel } = self.table;
        let asks = taken.iter().map(|(_, wanted)| flow::describe(family, dp, wanted.id)).collect();
        let mut found = vec![None; taken.len()];
        let mut note = |index: usize, reply: &[u8]| found[index] = flow::read(reply, tunnel.as_ref()).ok();
        let described = exchange_each(self.transactor, asks, &mut note).await;
        let (mut round, mut overlapped) = (Round::of(self.transactor), Vec::new());
        for (((index, wanted), found), described) in taken.into_iter().zip(found).zip(described) {
            match (found, described) {
                (Some(Dumped::Flow(flow)), Ok(())) if wanted.is_kept_as(&flow) => {
                    wanted.replace(round.of_change(index), &self.table);
                }
                (_, Ok(())) => {
                    round.of_change(index).add(flow::delete(family, dp, wanted.id));
                    wanted.create(round.of_change(index), &self.table);
                }
                (_, Err(denial)) if denial.is(libc::ENOENT) => overlapped.push((index, wanted)),
                (_, Err(denial)) => outcomes[index] = Err(denial),
            }
        }
        round.carry_out(self.transactor, outcomes).await;
        self.take_over(overlapped, outcomes).await;
    }

    /// Third round, for flows whose masked key another id may have.
    async fn take_over(&mut self, overlapped: Vec<(usize, Wanted<'_>)>, outcomes: &mut [Outcome]) {
        if overlapped.is_empty() {
            return;
        }
        let mut others = Others::of(&overlapped);
        let Table { family, dp, .. } = self.table;
        let list = flow::list_keys(family, dp);
        let listed =
            exchange_each(self.transactor, vec![list], &mut |_, reply: &[u8]| others.see(reply)).await;
        let listed: Outcome = listed.into_iter().collect();
        let mut round = Round::of(self.transactor);
        for (place, (index, wanted)) in overlapped.iter().enumerate() {
            match (others.found[place], &listed) {
                (_, Err(denial)) => outcomes[*index] = Err(denial.clone()),
                (None, Ok(())) => outcomes[*index] = Err(overlap()),
                (Some(other), Ok(())) => {
                    round.of_change(*index).add(flow::delete(family, dp, other));
                    wanted.create(round.of_change(*index), &self.table);
                }
            }
        }
        round.carry_out(self.transactor, outcomes).await;
    }
}

/// The outcome of each change as who asked for it is answered, a refusal with its name.
fn answers(outcomes: Vec<Outcome>, batch: &[FlowChange], counted: Vec<Option<FlowStats>>) -> Vec<FlowAnswer> {
    let counted = counted.into_iter().chain(std::iter::repeat(None));
    let answer = |((outcome, change), counted): ((Outcome, &FlowChange), Option<FlowStats>)| {
        outcome.map(|()| counted).map_err(|denial| refuse(change.to_string(), denial))
    };
    outcomes.into_iter().zip(batch).zip(counted).map(answer).collect()
}

/// Finds the ids under which flows are already there.
struct Others<'a> {
    wanted: &'a [(usize, Wanted<'a>)],
    /// Arrival port and source address, which every mask has, to the places in `wanted`.
    places: HashMap<(VportNo, MacAddr), Vec<usize>>,
    found: Vec<Option<FlowId>>,
}

impl<'a> Others<'a> {
    fn of(wanted: &'a [(usize, Wanted<'a>)]) -> Others<'a> {
        let mut places: HashMap<_, Vec<_>> = HashMap::new();
        for (place, (_, wanted)) in wanted.iter().enumerate() {
            places.entry((wanted.key.vport, wanted.key.header.src)).or_default().push(place);
        }
        Others { wanted, places, found: vec![None; wanted.len()] }
    }

    fn see(&mut self, reply: &[u8]) {
        let Ok(Dumped::Flow(flow)) = flow::read(reply, None) else { return };
        for place in self.places.get(&(flow.key.vport, flow.key.header.src)).into_iter().flatten() {
            if self.wanted[*place].1.is_kept_as(&flow) {
                self.found[*place] = Some(flow.id);
            }
        }
    }
}

/// Requests of one round, each with the place of the change it is for.
struct Round {
    owners: Vec<usize>,
    out: Outbox,
}

impl Round {
    fn of(transactor: &mut Transactor) -> Round {
        Round { owners: Vec::new(), out: transactor.outbox() }
    }

    /// Where the next request goes, which is for this change.
    fn of_change(&mut self, owner: usize) -> &mut Outbox {
        self.owners.push(owner);
        &mut self.out
    }

    /// Sends them; of the requests for one change the last counts.
    async fn carry_out(self, transactor: &mut Transactor, outcomes: &mut [Outcome]) {
        let answers = transactor.exchange(self.out, &mut |_, _: &[u8]| {}).await;
        self.owners.into_iter().zip(answers).for_each(|(owner, answer)| outcomes[owner] = answer);
    }
}

/// Sends those requests that could be written; an outcome for each, written or not.
pub(super) async fn exchange_each(
    transactor: &mut Transactor,
    requests: Vec<Result<Request, Denial>>,
    on_reply: OnReply<'_>,
) -> Vec<Outcome> {
    let mut out = transactor.outbox();
    requests.into_iter().for_each(|request| out.add(request));
    transactor.exchange(out, on_reply).await
}

/// How many changes from the front are of different flows.
fn run_len(batch: &[FlowChange]) -> usize {
    // As the ids of new flows do.
    if batch.is_sorted_by(|one, next| id_of(one) < id_of(next)) {
        return batch.len();
    }
    let mut seen = HashSet::new();
    batch.iter().take_while(|change| seen.insert(id_of(change))).count()
}

fn id_of(change: &FlowChange) -> FlowId {
    match change {
        FlowChange::Put { id, .. } | FlowChange::Delete { id } => *id,
    }
}

fn overlap() -> Denial {
    Denial::Errno { errno: libc::EBUSY, message: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ends_where_a_flow_comes_again() {
        let delete = |id| FlowChange::Delete { id: FlowId(id) };
        assert_eq!(run_len(&[delete(1), delete(2), delete(1)]), 2);
        assert_eq!(run_len(&[delete(1), delete(1)]), 1);
        assert_eq!(run_len(&[delete(1), delete(2)]), 2);
    }
}
