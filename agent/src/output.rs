//! Everything that a host wants done.

use datapath::Execute;
use datapath::flow::{FlowChange, MeterId, MeterRate};
use datapath::port::VportNo;
use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::input::SavedAddress;

/// Something to be done. What can fail has a number and is answered by [`crate::input::Input::Done`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Output {
    /// Make a link a port of the datapath. One answer: `Attached` or `Refused`.
    Attach {
        /// Its number.
        id: u64,
        /// The link.
        link: String,
    },
    /// Release a port. One answer.
    Detach {
        /// Its number.
        id: u64,
        /// The port.
        vport: VportNo,
    },
    /// Put and withdraw flows, in order; at most 1 024. One answer each.
    Flows {
        /// Its number.
        id: u64,
        /// The changes.
        changes: Vec<FlowChange>,
    },
    /// Put new flows, and behind them send the frames that led to them; at most 1 024 of each. One answer for each flow, then one for each
    /// frame. Nothing is in the way of a new flow, as far as the engine knows, so both may travel together.
    SetUp {
        /// Its number.
        id: u64,
        /// The flows.
        flows: Vec<FlowChange>,
        /// The frames.
        frames: Vec<Execute>,
    },
    /// Send frames; at most 1 024. One answer each.
    Execute {
        /// Its number.
        id: u64,
        /// The frames.
        frames: Vec<Execute>,
    },
    /// Set meters' rates. One answer each.
    Meters {
        /// Its number.
        id: u64,
        /// The meters; `None` deletes.
        meters: Vec<(MeterId, Option<MeterRate>)>,
    },
    /// Tell an operator, and the journal.
    Event(Event),
    /// Save the learned addresses, all of them.
    Save(Vec<SavedAddress>),
}
