//! What one input has led to so far: collected while it is handled, sent off at its end.

use datapath::flow::{Action, FlowChange, FlowId, FlowKey};
use datapath::port::VportNo;
use vlan::verdict::Consulted;

use super::answer::{Asked, FlowAsked};
use super::doubt::Doubt;
use super::turn::Turn;
use crate::counters::PortKey;
use crate::engine::{MeterChange, Sending};
use crate::output::SavedPiece;

/// Changes by kind.
#[derive(Debug, Default)]
pub(in crate::engine) struct Changes {
    /// Of flows that are there, in the order in which they are to happen.
    pub(in crate::engine) flows: Vec<FlowChange>,
    /// New flows, which have nothing in their way, so that the frames that led to them may go out with them.
    pub(in crate::engine) new_flows: Vec<FlowChange>,
    /// The first id of a new flow.
    first_new: Option<FlowId>,
    /// Something else became of a new flow, so that all of them happen in their turn.
    is_entangled: bool,
    /// Frames to be sent.
    pub(in crate::engine) frames: Vec<Sending>,
    /// Flows that go elsewhere from now on, with what may come back of what they sent.
    pub(in crate::engine) diverted: Vec<(FlowId, Turn)>,
    /// Frames that wait for what flows say.
    pub(in crate::engine) doubts: Vec<Doubt>,
    /// Vports to be released.
    pub(in crate::engine) detach: Vec<VportNo>,
    /// Links to become vports.
    pub(in crate::engine) attach: Vec<String>,
    /// Addresses to be saved.
    pub(in crate::engine) save: Option<SavedPiece>,
}

/// Something of which a batch is asked at once.
pub(in crate::engine) trait Asking: Sized {
    /// What is to be remembered until the answers come.
    fn asked(batch: &[Self]) -> Asked;
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
pub(in crate::engine) fn flows_asked(batch: &[FlowChange]) -> Vec<FlowAsked> {
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
pub(in crate::engine) fn ports_asked(batch: &[Sending]) -> Vec<PortKey> {
    batch.iter().map(|sending| sending.port).collect()
}

impl Changes {
    /// Puts a flow; ids of new flows rise.
    pub(in crate::engine) fn put_flow(&mut self, flow: Wanted, is_new: bool) {
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
    pub(in crate::engine) fn delete_flow(&mut self, id: FlowId) {
        self.happen_in_turn(id, FlowChange::Delete { id });
    }

    fn happen_in_turn(&mut self, id: FlowId, change: FlowChange) {
        if self.first_new.is_some_and(|first| id >= first) {
            self.is_entangled = true;
            self.flows.append(&mut self.new_flows);
        }
        self.flows.push(change);
    }
}

/// A flow that is to be put.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::engine) struct Wanted {
    pub(in crate::engine) id: FlowId,
    pub(in crate::engine) key: FlowKey,
    pub(in crate::engine) mask: Consulted,
    pub(in crate::engine) actions: Vec<Action>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(id: u128) -> Wanted {
        let header = vlan::frame::Header::parse(&[2; 14]).expect("14 bytes are a header");
        let key = FlowKey { vport: VportNo(1), header, recirc: 0, opaque: Default::default() };
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
