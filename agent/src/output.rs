//! Everything that a host wants done.

use datapath::flow::{FlowChange, FlowId, MeterId, MeterRate};
use datapath::port::VportNo;
use datapath::tunnel::TunnelEnd;
use datapath::{Execute, Group};
use nsdb::AddressRecord;
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
    /// Make the tunnel port with this end, or another one instead of the one there is; `None` removes it. One answer: `Attached`, `Done` or
    /// `Refused`.
    Tunnel {
        /// Its number.
        id: u64,
        /// The end.
        end: Option<TunnelEnd>,
    },
    /// Put and withdraw flows, in order; at most 1 024. One answer each.
    Flows {
        /// Its number.
        id: u64,
        /// The changes.
        changes: Vec<FlowChange>,
    },
    /// Send frames, and behind them put the flows that they led to; at most 1 024 of each. One answer for each flow, then one for each
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
    /// Read what flows have counted by now; at most 1 024. One answer each: `Counted` or `Refused`. Comes behind all changes of flows
    /// that were asked for before.
    ReadFlows {
        /// Its number.
        id: u64,
        /// The flows.
        flows: Vec<FlowId>,
    },
    /// Set meters' rates. One answer each.
    Meters {
        /// Its number.
        id: u64,
        /// The meters; `None` deletes.
        meters: Vec<(MeterId, Option<MeterRate>)>,
    },
    /// Set the steps of groups. One answer each.
    Groups {
        /// Its number.
        id: u64,
        /// The groups; `None` removes.
        groups: Vec<Group>,
    },
    /// Tell an operator, and the journal.
    Event(Event),
    /// Save some of the learned addresses.
    Save(SavedPiece),
    /// Hear what hosts say of the addresses on these segments, by VNI, and of no others.
    Follow(Vec<u32>),
    /// Say to other hosts which addresses this one has; at most 1 024 words. Answered by [`FeedNews::Announced`](crate::input::FeedNews), and
    /// until then there is no other.
    Announce(Vec<AddressRecord>),
}

impl Output {
    /// What kind it is, in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Output::Attach { .. } => "attach",
            Output::Detach { .. } => "detach",
            Output::Tunnel { .. } => "tunnel",
            Output::Flows { .. } => "flows",
            Output::SetUp { .. } => "set-up",
            Output::Execute { .. } => "execute",
            Output::ReadFlows { .. } => "read-flows",
            Output::Meters { .. } => "meters",
            Output::Groups { .. } => "groups",
            Output::Event(event) => event.kind(),
            Output::Save(_) => "save",
            Output::Follow(_) => "follow",
            Output::Announce(_) => "announce",
        }
    }
}

/// Some of the learned addresses. The pieces of one round, from number 0 to the last, have them all, as each was when its piece was
/// made: one that was learned or forgotten meanwhile may be in two of them, or in none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedPiece {
    /// Its number in the round.
    pub number: usize,
    /// The addresses.
    pub addresses: Vec<SavedAddress>,
    /// Whether it ends the round: pieces of earlier rounds with higher numbers are out of date.
    pub is_last: bool,
    /// The links that are bound, or were and are missing: what the host does with them later is no reason to leave them alone. Told by
    /// the first piece of a round, if they are others than before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<Vec<String>>,
}
