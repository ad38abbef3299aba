//! Everything that can happen to a host.

use std::sync::Arc;

use datapath::flow::{Flow, FlowId, FlowStats, MeterId, MeterStats};
use datapath::port::{LinkEvent, Vport, VportStats};
use datapath::{Counters, Group, Refusal, Upcall};
use nsdb::AddressRecord;
use serde::{Deserialize, Serialize};
use vlan::addr::MacAddr;
use vlan::model::description::Description;
use vlan::model::numbers::Numbers;
use vlan::model::topology::Topology;
use vlan::vid::Vid;

/// Something that happened. Inputs serialise, so that any run can be recorded and replayed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// What the datapath had when the daemon started: its ports and flows, left by an earlier run or empty. Comes first,
    /// and again if somebody removed the datapath and it was made anew.
    Observed {
        /// Its ports.
        vports: Vec<Vport>,
        /// Its flows.
        flows: Vec<Flow>,
        /// The port by which frames go to other hosts, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tunnel: Option<Vport>,
        /// Its groups.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        groups: Vec<Group>,
    },
    /// The addresses that an earlier run saved. Comes at most once, before the first topology.
    Saved(Vec<SavedAddress>),
    /// A revision of the topology. One that does not build is refused with an event and changes nothing.
    Topology {
        /// Its number.
        revision: u64,
        /// What it declares.
        description: Box<Description>,
        /// The numbers that were dealt out to it; provisional ones where there are none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        numbers: Option<Box<Numbers>>,
        /// The same, compiled, if somebody has had the time; otherwise the engine does it. Not recorded.
        #[serde(skip)]
        built: Option<Arc<Topology>>,
    },
    /// There is a revision that cannot be read: it is damaged, or a newer version wrote it. The one in force stays.
    Unreadable {
        /// Its number.
        revision: u64,
        /// Why.
        why: String,
    },
    /// The store that this host shares with others does not answer, or refuses to be read. The revision in force stays.
    StoreAway {
        /// Why, in words.
        why: String,
    },
    /// It answers again.
    StoreBack,
    /// Another process has this host's name in the store, on the machine that is named; `None` when no other has it any more.
    Namesake(Option<String>),
    /// This host has taken back, on behalf of all, what a host that is gone has said of addresses.
    Withdrawn {
        /// The host.
        host: String,
        /// How many addresses.
        words: usize,
    },
    /// What the store says of which host has which address.
    Feed(FeedNews),
    /// Links of this host changed.
    // Boxed, since it is by far the largest: inputs are handed on by value, and frames come most often.
    Link(Box<LinkEvent>),
    /// Frames that no flow matched.
    Upcalls(Vec<Upcall>),
    /// Hits of the datapath's flows, as many as are read at once. A flow that two readings do not name is gone.
    FlowStats {
        /// Some of the flows.
        slice: Vec<(FlowId, FlowStats)>,
        /// Whether that ends a reading of all flows; the next slice begins another.
        is_last: bool,
    },
    /// What meters dropped.
    MeterStats(Vec<(MeterId, MeterStats)>),
    /// What the datapath as a whole counted.
    Counted(Counters),
    /// Ports that the datapath really has, since others can remove one, and what each counted; as many as are read at once.
    Vports {
        /// Some of the ports.
        slice: Vec<(Vport, VportStats)>,
        /// Whether that ends a reading of all ports; the next slice begins another.
        is_last: bool,
    },
    /// The port by which frames go to other hosts, if there is one still.
    Tunnel(Option<Vport>),
    /// An operator wants something.
    Operator(Command),
    /// An output was carried out, or not: one answer for each of its elements. Those that are missing at the end are `Done`.
    Done {
        /// The output's number.
        id: u64,
        /// The answers.
        answers: Vec<Answer>,
    },
    /// Time went by.
    Tick,
    /// The datapath's upcalls could not be read; it is tried again.
    UpcallsUnread(Refusal),
    /// What the datapath has or counted could not be read; it is tried again.
    Unread(Refusal),
}

/// What the store says of addresses, in the words of hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FeedNews {
    /// What was known of a segment when following began, or began anew. It comes in pieces.
    Snapshot {
        /// The segment, by its VNI.
        vni: u32,
        /// Some of the words.
        records: Vec<AddressRecord>,
        /// Whether these are the last.
        is_last: bool,
    },
    /// What was said since.
    Words(Vec<AddressRecord>),
    /// What was to be announced has been, or not.
    Announced {
        /// Why not.
        refused: Option<String>,
    },
}

/// The answer for one element of an output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It was done.
    Done,
    /// A flow was withdrawn; what it had counted by then.
    Withdrawn(FlowStats),
    /// What a flow has counted by now.
    Counted(FlowStats),
    /// A link became a port.
    Attached(Vport),
    /// It was not done.
    Refused(Refusal),
}

/// What an operator can ask of a running host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    /// Forget learned addresses: all, or those of one port.
    FlushAddresses {
        /// The port's name.
        port: Option<String>,
    },
    /// Let a blocked port forward again.
    Unblock {
        /// The port's name.
        port: String,
    },
}

/// A learned address as it is saved: by names, so that it survives a change of the topology.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedAddress {
    /// The address.
    pub mac: MacAddr,
    /// The exterior port it was learned at; of a trunk group, any trunk of it.
    pub port: String,
    /// The VLAN of the port's bridge; `None` on a VUB.
    pub vid: Option<Vid>,
    /// The next tag's VID where the VLAN leads into another VAB; 0 where there is none.
    pub inner: u16,
    /// Age when it was saved, in milliseconds since last heard.
    pub age_ms: u64,
    /// Mobility counter (RFC 7432 7.7).
    pub mobility: u64,
}
