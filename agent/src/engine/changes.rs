//! What one input has led to so far: collected while it is handled, sent off at its end.

use datapath::flow::{FlowChange, FlowId};
use datapath::port::VportNo;

use super::answer::{Asked, FlowAsked};
use super::{MeterChange, Sending};
use crate::input::SavedAddress;

/// Changes by kind.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Of flows, in the order in which they are to happen.
    pub(super) flows: Vec<FlowChange>,
    /// Frames to be sent.
    pub(super) frames: Vec<Sending>,
    /// Vports to be released.
    pub(super) detach: Vec<VportNo>,
    /// Links to become vports.
    pub(super) attach: Vec<String>,
    /// Addresses to be saved.
    pub(super) save: Option<Vec<SavedAddress>>,
}

/// Something of which a batch is asked at once.
pub(super) trait Asking: Sized {
    /// What is to be remembered until the answers come.
    fn asked(batch: &[Self]) -> Asked;
}

impl Asking for FlowChange {
    fn asked(batch: &[FlowChange]) -> Asked {
        Asked::Flows(batch.iter().map(flow_asked).collect())
    }
}

impl Asking for MeterChange {
    fn asked(_: &[MeterChange]) -> Asked {
        Asked::Meters
    }
}

fn flow_asked(change: &FlowChange) -> FlowAsked {
    match change {
        FlowChange::Put { id, .. } => FlowAsked::Put(*id),
        FlowChange::Delete { id } => FlowAsked::Delete(*id),
    }
}

impl Asking for Sending {
    fn asked(batch: &[Sending]) -> Asked {
        Asked::Frames(batch.iter().map(|sending| sending.port).collect())
    }
}

impl Changes {
    /// Withdraws a flow.
    pub(super) fn delete_flow(&mut self, id: FlowId) {
        self.flows.push(FlowChange::Delete { id });
    }
}
