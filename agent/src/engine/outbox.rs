//! What is to be done, in its order, and what of it the datapath has not answered yet.

use std::collections::VecDeque;

use datapath::flow::{FlowId, MeterId};
use datapath::tunnel::TunnelEnd;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::flows::doubt::Doubt;
use super::flows::turn::Turn;
use crate::counters::PortKey;
use crate::output::Output;

/// What goes out, and what is to be remembered of it until the answers come.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    outputs: VecDeque<Output>,
    unanswered: FxHashMap<u64, Asked>,
    last_id: u64,
}

/// What was asked and is not answered yet.
#[derive(Debug)]
pub(super) enum Asked {
    /// Make a link a vport.
    Attach(String),
    /// Release a vport.
    Detach,
    /// Make the tunnel port with this end, or remove it.
    Tunnel(Option<TunnelEnd>),
    /// Put and withdraw flows.
    Flows(SmallVec<[FlowAsked; 1]>),
    /// Send frames, counted for these ports.
    Frames(SmallVec<[PortKey; 4]>),
    /// Put flows and send frames counted for these ports; the flows are answered first.
    SetUp(SmallVec<[FlowAsked; 1]>, SmallVec<[PortKey; 4]>),
    /// Set and remove meters.
    Meters(Vec<MeterId>),
    /// Set groups, or remove them.
    Groups {
        /// Whether they were to be set.
        is_set: bool,
    },
    /// Read when flows were last used that go elsewhere from then on, and what may come back of what they sent.
    Diverted(Vec<(FlowId, Turn)>),
    /// Read when flows were last used, for frames that wait for it.
    Uses(Vec<Doubt>),
}

/// What was asked about a flow.
#[derive(Debug, Clone, Copy)]
pub(super) enum FlowAsked {
    /// Put it.
    Put(FlowId),
    /// Withdraw it.
    Delete(FlowId),
}

/// Something of which a batch is asked at once.
pub(super) trait Asking: Sized {
    /// What is to be remembered until the answers come.
    fn asked(batch: &[Self]) -> Asked;
}

impl Outbox {
    /// Has something done that is answered.
    pub(super) fn ask(&mut self, asked: Asked, output: impl FnOnce(u64) -> Output) {
        self.last_id += 1;
        self.unanswered.insert(self.last_id, asked);
        self.outputs.push_back(output(self.last_id));
    }

    /// Sends off a list in pieces of at most [`BATCH`].
    pub(super) fn ask_all<T: Asking>(&mut self, list: Vec<T>, output: impl Fn(u64, Vec<T>) -> Output) {
        let mut rest = list.into_iter();
        while rest.len() > 0 {
            let batch: Vec<T> = rest.by_ref().take(BATCH).collect();
            self.ask(T::asked(&batch), |id| output(id, batch));
        }
    }

    /// Has something done that is not answered.
    pub(super) fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    /// The next thing to be done.
    pub(super) fn next(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// What is answered; `None` if nothing of this number was asked.
    pub(super) fn take_asked(&mut self, id: u64) -> Option<Asked> {
        self.unanswered.remove(&id)
    }

    /// How much is not answered yet.
    pub(super) fn unanswered(&self) -> usize {
        self.unanswered.len()
    }
}

/// Elements of an output, at most.
pub(super) const BATCH: usize = 1024;
