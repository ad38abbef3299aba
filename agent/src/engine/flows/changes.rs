//! What one input has led to so far: collected while it is handled, sent off at its end.

use datapath::Execute;
use datapath::flow::{Action, FlowChange, FlowId, FlowKey};
use smallvec::SmallVec;
use vlan::verdict::Consulted;

use super::book::alike::MOST_ASKED;
use super::doubt::Doubt;
use super::meters::MeterChange;
use super::turn::Turn;
use crate::counters::PortKey;
use crate::engine::outbox::{Asked, Asking, BATCH, FlowAsked, Outbox};
use crate::output::Output;

/// Changes by kind.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Of flows that are there, in the order in which they are to happen.
    pub(super) flows: Vec<FlowChange>,
    /// New flows, which have nothing in their way, so that the frames that led to them may go out with them.
    pub(super) new_flows: Vec<FlowChange>,
    /// The first id of a new flow.
    first_new: Option<FlowId>,
    /// Something else became of a new flow, so that all of them happen in their turn.
    is_entangled: bool,
    /// Frames to be sent.
    pub(super) frames: Vec<Sending>,
    /// Flows that go elsewhere from now on, with what may come back of what they sent.
    pub(super) diverted: Vec<(FlowId, Turn)>,
    /// Frames that wait for what flows say.
    pub(super) doubts: Vec<Doubt>,
}

/// A frame to be sent, and for whom it is counted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sending {
    pub(super) port: PortKey,
    pub(super) frame: Execute,
}

impl Asking for FlowChange {
    fn asked(batch: &[FlowChange]) -> Asked {
        Asked::Flows(flows_asked(batch))
    }
}

impl Asking for MeterChange {
    fn asked(batch: &[MeterChange]) -> Asked {
        Asked::Meters(batch.iter().map(|(id, _)| *id).collect())
    }
}

/// What is to be remembered of changes of flows.
fn flows_asked(batch: &[FlowChange]) -> SmallVec<[FlowAsked; 1]> {
    let asked = |change: &FlowChange| match change {
        FlowChange::Put { id, .. } => FlowAsked::Put(*id),
        FlowChange::Delete { id } => FlowAsked::Delete(*id),
    };
    batch.iter().map(asked).collect()
}

impl Asking for Sending {
    fn asked(batch: &[Sending]) -> Asked {
        Asked::Frames(ports_asked(batch))
    }
}

/// For whom frames are counted.
fn ports_asked(batch: &[Sending]) -> SmallVec<[PortKey; 4]> {
    batch.iter().map(|sending| sending.port).collect()
}

impl Changes {
    /// Puts a flow; ids of new flows rise.
    pub(super) fn put_flow(&mut self, flow: Wanted, is_new: bool) {
        let Wanted { id, key, mask, actions } = flow;
        let put = FlowChange::Put { id, key, mask, actions };
        if is_new && !self.is_entangled {
            self.first_new.get_or_insert(id);
            self.new_flows.push(put);
        } else {
            self.happen_in_turn(id, put);
        }
    }

    /// Withdraws a flow.
    pub(super) fn delete_flow(&mut self, id: FlowId) {
        self.happen_in_turn(id, FlowChange::Delete { id });
    }

    /// Whether there are none.
    pub(super) fn are_none(&self) -> bool {
        let has_flows = !self.flows.is_empty() || !self.new_flows.is_empty();
        !has_flows && self.frames.is_empty() && self.diverted.is_empty() && self.doubts.is_empty()
    }

    /// Sends them off in the order in which it must happen: meters before the flows that name them; flows that are replaced or withdrawn
    /// before frames, whose answers would meet them; frames before the new flows that they led to, by which later ones would overtake
    /// them.
    pub(super) fn hand_over(self, (set, unset): (Vec<MeterChange>, Vec<MeterChange>), outbox: &mut Outbox) {
        outbox.ask_all(set, |id, meters| Output::Meters { id, meters });
        ask_diverted(&self.diverted, outbox);
        outbox.ask_all(self.flows, |id, changes| Output::Flows { id, changes });
        set_up(self.new_flows, self.frames, outbox);
        ask_flows(self.doubts, outbox);
        outbox.ask_all(unset, |id, meters| Output::Meters { id, meters });
    }

    fn happen_in_turn(&mut self, id: FlowId, change: FlowChange) {
        if self.first_new.is_some_and(|first| id >= first) {
            self.is_entangled = true;
            self.flows.append(&mut self.new_flows);
        }
        self.flows.push(change);
    }
}

/// The frames that led to new flows and these behind them, together where they are no more than usual.
fn set_up(flows: Vec<FlowChange>, sendings: Vec<Sending>, outbox: &mut Outbox) {
    let frames_of = |sendings: Vec<Sending>| sendings.into_iter().map(|sending| sending.frame).collect();
    if (1..=BATCH).contains(&flows.len()) && (1..=BATCH).contains(&sendings.len()) {
        let asked = Asked::SetUp(flows_asked(&flows), ports_asked(&sendings));
        return outbox.ask(asked, |id| Output::SetUp { id, flows, frames: frames_of(sendings) });
    }
    outbox.ask_all(sendings, |id, sendings| Output::Execute { id, frames: frames_of(sendings) });
    outbox.ask_all(flows, |id, changes| Output::Flows { id, changes });
}

/// Asks how often and when diverted flows were used.
fn ask_diverted(diverted: &[(FlowId, Turn)], outbox: &mut Outbox) {
    for batch in diverted.chunks(DOUBTS_AT_ONCE * MOST_ASKED) {
        let flows = batch.iter().map(|(flow, _)| *flow).collect();
        outbox.ask(Asked::Diverted(batch.to_vec()), |id| Output::ReadFlows { id, flows });
    }
}

/// Asks the flows for whose answers frames wait.
fn ask_flows(mut doubts: Vec<Doubt>, outbox: &mut Outbox) {
    while !doubts.is_empty() {
        let rest = doubts.split_off(doubts.len().min(DOUBTS_AT_ONCE));
        let flows = doubts.iter().flat_map(|doubt| doubt.suspects.flows.iter().copied()).collect();
        outbox.ask(Asked::Uses(doubts), |id| Output::ReadFlows { id, flows });
        doubts = rest;
    }
}

/// A flow that is to be put.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    pub(super) id: FlowId,
    pub(super) key: FlowKey,
    pub(super) mask: Consulted,
    pub(super) actions: Vec<Action>,
}

/// Frames whose flows are asked by one output: with [`MOST_ASKED`] flows each, 1 024 flows.
const DOUBTS_AT_ONCE: usize = 16;

#[cfg(test)]
mod tests {
    use datapath::port::VportNo;

    use super::*;

    fn wanted(id: u128) -> Wanted {
        let header = vlan::frame::Header::parse(&[2; 14]).expect("14 bytes are a header");
        let key = FlowKey { vport: VportNo(1), header, tunnel: None, recirc: 0, opaque: Default::default() };
        Wanted { id: FlowId(id), key, mask: Consulted::default(), actions: Vec::new() }
    }

    fn ids(changes: &[FlowChange]) -> Vec<(u128, bool)> {
        let told = |change: &FlowChange| match change {
            FlowChange::Put { id, .. } => (id.0, true),
            FlowChange::Delete { id } => (id.0, false),
        };
        changes.iter().map(told).collect()
    }

    #[test]
    fn new_flows_stay_apart_from_what_happens_to_others() {
        let mut changes = Changes::default();
        changes.put_flow(wanted(10), true);
        changes.put_flow(wanted(3), false);
        changes.put_flow(wanted(11), true);
        changes.delete_flow(FlowId(4));
        assert_eq!(ids(&changes.new_flows), [(10, true), (11, true)]);
        assert_eq!(ids(&changes.flows), [(3, true), (4, false)]);
    }

    #[test]
    fn what_becomes_of_a_new_flow_happens_behind_its_put() {
        let mut changes = Changes::default();
        changes.delete_flow(FlowId(4));
        changes.put_flow(wanted(10), true);
        changes.delete_flow(FlowId(10));
        changes.put_flow(wanted(11), true);
        changes.put_flow(wanted(11), false);
        assert_eq!(ids(&changes.new_flows), []);
        assert_eq!(ids(&changes.flows), [(4, false), (10, true), (10, false), (11, true), (11, true)]);
    }
}
