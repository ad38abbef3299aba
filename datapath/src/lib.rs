//! The kernel switch behind traits.
//!
//! A gateway's frames are forwarded by its kernel. What this crate calls a datapath is the part of the kernel that does so: it has
//! [`Vport`]s on links, takes frames by them, looks at a few header fields, and sends them out of others. It does not know what a VLAN
//! is for. Somebody above decides, and the datapath remembers.
//!
//! ```text
//!                      ┌──────────────── decides: crate `agent` ◄─────┐
//!                      │ put, replace, withdraw; execute; meters      │ upcalls: frames that no rule took
//!                      ▼                                              │ links that appear, change, go; counters
//!   link ──► vport ──► rules ──► actions ──► vport ──► link           │
//!                        └── no rule ─────────────────────────────────┘
//! ```
//!
//! # Two ways to tell it what to do
//! A backend has [`Datapath`], and at least one of:
//! - [`FlowTable`]: a rule is a cached verdict, put when the first frame of a kind was judged. A [`Flow`] is a key, the fields of it
//!   that count, and a list of actions. It is right for all frames that agree in those fields, so the fields are
//!   those that the verdict looked at, no more and no fewer. openvswitch.ko works like this ([`ovs`]).
//! - [`tables::SwitchTables`]: the tables of a bridge are pushed whenever they change, before any frame comes.
//!
//! [`fake`] does both in memory, on real bytes, and passes the same suite as the kernel; [`faulty`] wraps any of them and fails by a plan.
//! [`link`] watches the links of the host, whatever the datapath is.
//!
//! # A frame's first visit
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use datapath::fake::{FakeDatapath, FakeWire};
//! use datapath::flow::{Action, FlowChange, FlowId};
//! use datapath::{Datapath, Execute, FlowTable};
//! use vlan::verdict::Consulted;
//!
//! let wire = FakeWire::default();
//! wire.add_link("eth2");
//! wire.add_link("tap1");
//! let mut datapath = FakeDatapath::open(&wire);
//! datapath.attach("eth2").await?;
//! let vm = datapath.attach("tap1").await?;
//!
//! // It arrives tagged with VLAN 8, and no flow takes it: here it is, with a key.
//! let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x81, 0x00, 0x00, 0x08, 0x88, 0xb5];
//! frame.resize(64, 0xaa);
//! wire.inject("eth2", &frame);
//! let upcall = datapath.upcalls(1).await?.remove(0);
//! let key = upcall.key.expect("a whole frame has a key");
//!
//! // Whoever decides looked at destination and VID, and wants the tag off.
//! let mut looked_at = Consulted { dst: true, ..Consulted::default() };
//! looked_at.tag_vid(0);
//! let actions = vec![Action::PopTag, Action::Output(vm.no)];
//! let put = FlowChange::Put { id: FlowId(1), key, mask: looked_at, actions: actions.clone() };
//! for answer in datapath.change_flows(vec![put]).await {
//!     answer?;
//! }
//! let order = Execute { vport: Some(upcall.vport), frame: upcall.frame, actions, hash: upcall.hash };
//! for answer in datapath.execute(vec![order]).await {
//!     answer?;
//! }
//!
//! // The next one never leaves the datapath.
//! wire.inject("eth2", &frame);
//! assert_eq!(wire.sent("tap1").len(), 2);
//! assert_eq!(datapath.flow_stats().await?[0].1.packets, 1);
//! # Ok::<(), datapath::Refusal>(())
//! # }).unwrap();
//! ```
//!
//! # What a caller can rely on
//! - **A batch is answered element by element, in order.** One refused flow undoes no other. A [`Refusal`] says what was asked, with its
//!   object, and why not; whether trying again can help is [`Refusal::is_retryable`].
//! - **A datapath outlives whoever opened it.** Dropping the value leaves ports, rules and meters in force; opening it again finds them. Frames
//!   without a rule are lost meanwhile, and counted.
//! - **One owner at a time hears upcalls.** Opening one that somebody hears is refused ([`RefusalCause::Busy`]); who loses them all the
//!   same is told by the call that waits for them ([`RefusalCause::TakenOver`], [`RefusalCause::DatapathGone`]), and once said it stays
//!   so until the datapath is opened again. Everything but `upcalls` and `attach` goes on working for one whose upcalls are taken.
//! - **A call that is given up** (its future dropped) may have been carried out; `upcalls` and `table_reports` lose nothing by it.
//! - **A backend says what it cannot do** in [`Capabilities`]. It may match more fields than a mask asks for
//!   ([`ovs::Ovs::effective_mask`]), never fewer. Nothing else differs: one suite runs on all (`tests/src/suite`).

pub mod fake;
pub mod faulty;
pub mod flow;
pub mod link;
mod netlink;
pub mod ovs;
mod padding;
pub mod port;
mod refusal;
pub mod tables;
pub mod tunnel;

use std::fmt;
use std::future::Future;

use serde::{Deserialize, Serialize};

use crate::flow::{Action, Flow, FlowChange, FlowId, FlowKey, FlowStats, MeterId, MeterRate, MeterStats};
use crate::port::{Vport, VportNo, VportStats};
use crate::tunnel::{GroupId, TunnelEnd};

pub use refusal::{Refusal, RefusalCause};

/// The kernel switch of one host.
pub trait Datapath: Send {
    /// What this backend can and cannot do.
    fn capabilities(&self) -> Capabilities;

    /// Makes the link a port of the datapath; one that already is keeps its number.
    ///
    /// # Errors
    /// No such link, a link that cannot be a port or is another datapath's, no permission.
    fn attach(&mut self, link: &str) -> impl Future<Output = Result<Vport, Refusal>> + Send;

    /// Releases a link; a port that is gone is no error.
    ///
    /// # Errors
    /// No permission, datapath gone.
    fn detach(&mut self, vport: VportNo) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// The ports there are, the datapath's own internal one not among them.
    ///
    /// # Errors
    /// Datapath gone, no permission.
    fn vports(&mut self) -> impl Future<Output = Result<Vec<Vport>, Refusal>> + Send;

    /// Makes the port by which frames go to other hosts and come from them. One that is there already with these settings is kept, one with
    /// others is made anew. It is no port of [`vports`](Self::vports), and its upcalls have a [`FlowKey::tunnel`].
    ///
    /// # Errors
    /// Not supported, an address that is not this host's, a UDP port that somebody else has, no permission.
    fn open_tunnel(&mut self, end: TunnelEnd) -> impl Future<Output = Result<Vport, Refusal>> + Send {
        async move { Err(unsupported(format!("open {end}"))) }
    }

    /// Removes that port, also one that an earlier opening made; none is no error.
    ///
    /// # Errors
    /// No permission, datapath gone.
    fn close_tunnel(&mut self) -> impl Future<Output = Result<(), Refusal>> + Send {
        async { Ok(()) }
    }

    /// That port, whoever made it, and what it counted; `None` if there is none.
    ///
    /// # Errors
    /// Datapath gone.
    fn tunnel(&mut self) -> impl Future<Output = Result<Option<(Vport, VportStats)>, Refusal>> + Send {
        async { Ok(None) }
    }

    /// Sets the steps of a group, new or not, in place and without a gap: as a rule, the copies of a flood to other hosts, which every
    /// sender's flow would repeat otherwise. A group names no group.
    ///
    /// # Errors
    /// Not supported, too long, a group in a group, datapath gone.
    fn set_group(
        &mut self,
        id: GroupId,
        steps: Vec<Action>,
    ) -> impl Future<Output = Result<(), Refusal>> + Send {
        let _ = steps;
        async move { Err(unsupported(format!("set {id}"))) }
    }

    /// Removes a group; one that is not there is no error.
    ///
    /// # Errors
    /// Datapath gone.
    fn delete_group(&mut self, id: GroupId) -> impl Future<Output = Result<(), Refusal>> + Send {
        let _ = id;
        async { Ok(()) }
    }

    /// The groups there are, whoever set them.
    ///
    /// # Errors
    /// Datapath gone.
    fn groups(&mut self) -> impl Future<Output = Result<Vec<Group>, Refusal>> + Send {
        async { Ok(Vec::new()) }
    }

    /// Sends frames, in order; an answer for each. A frame of which a copy would go out shorter than 60 bytes after a pop gets as
    /// many zeros behind it before, whatever the backend's flows do; all its copies carry them.
    fn execute(&mut self, batch: Vec<Execute>) -> impl Future<Output = Vec<Result<(), Refusal>>> + Send;

    /// Waits for frames that no rule matched, at most `most`, a fair share from each port. Cancel-safe.
    ///
    /// # Errors
    /// The channel to the kernel is gone for good; losses are counted, not errors.
    fn upcalls(&mut self, most: usize) -> impl Future<Output = Result<Vec<Upcall>, Refusal>> + Send;

    /// More frames of these ports that no rule matched and that are here already, at most `most`, in the order in which they came.
    /// Nothing is waited for; what cannot be read shows with the next [`upcalls`](Self::upcalls).
    fn stragglers(&mut self, ports: &[VportNo], most: usize) -> Vec<Upcall>;

    /// Sets a meter's rate, new or not.
    ///
    /// # Errors
    /// Too many meters, meters not supported.
    fn set_meter(&mut self, id: MeterId, rate: MeterRate)
    -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Removes a meter; one that is not there is no error.
    ///
    /// # Errors
    /// Datapath gone.
    fn delete_meter(&mut self, id: MeterId) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// What passed a meter and what did not.
    ///
    /// # Errors
    /// No such meter.
    fn meter_stats(&mut self, id: MeterId) -> impl Future<Output = Result<MeterStats, Refusal>> + Send;

    /// What the datapath as a whole counted.
    ///
    /// # Errors
    /// Datapath gone.
    fn counters(&mut self) -> impl Future<Output = Result<Counters, Refusal>> + Send;

    /// Some of the ports there are, the datapath's own internal one not among them, and what each counted: as many as are read without
    /// keeping the caller long. It goes on where the call before ended; behind a last slice, or an error, it begins anew.
    ///
    /// # Errors
    /// Datapath gone.
    fn next_vports(&mut self) -> impl Future<Output = Result<Slice<(Vport, VportStats)>, Refusal>> + Send;

    /// What each port counted, by [`next_vports`](Self::next_vports) until the last slice.
    ///
    /// # Errors
    /// Datapath gone.
    fn vport_stats(&mut self) -> impl Future<Output = Result<Vec<(VportNo, VportStats)>, Refusal>> + Send {
        async move {
            let mut all = Vec::new();
            loop {
                let slice = self.next_vports().await?;
                all.extend(slice.entries.into_iter().map(|(vport, stats)| (vport.no, stats)));
                if slice.is_last {
                    return Ok(all);
                }
            }
        }
    }

    /// Removes the datapath with all its ports and rules. Dropping the value instead leaves them in force.
    ///
    /// # Errors
    /// No permission, datapath gone.
    fn teardown(self) -> impl Future<Output = Result<(), Refusal>> + Send;
}

/// A group as the datapath has it, and its steps; `None` if it has an action that this program does not make.
pub type Group = (GroupId, Option<Vec<Action>>);

/// What a backend without tunnels says.
fn unsupported(what: String) -> Refusal {
    Refusal { what, cause: RefusalCause::Unsupported }
}

/// What came of frames that were sent and flows that were put or withdrawn at one go.
#[derive(Debug, Clone, PartialEq)]
pub enum Done {
    /// Every frame was sent, every flow put, and none withdrawn.
    All,
    /// An answer for each.
    Each {
        /// For each change of a flow.
        flows: Vec<FlowAnswer>,
        /// For each frame.
        frames: Vec<Result<(), Refusal>>,
    },
}

/// A datapath whose rules are cached verdicts.
pub trait FlowTable: Datapath {
    /// Puts and withdraws flows, in order; an answer for each.
    fn change_flows(&mut self, batch: Vec<FlowChange>) -> impl Future<Output = Vec<FlowAnswer>> + Send;

    /// Sends frames and then puts the flows for those like them, as [`execute`](Datapath::execute) and
    /// [`change_flows`](Self::change_flows) do one after the other; a backend may do it at one go. In this order, since a frame that
    /// hits the flow would otherwise overtake the one that led to it (802.1Q 8.6.6).
    fn set_up(
        &mut self,
        frames: Vec<Execute>,
        changes: Vec<FlowChange>,
    ) -> impl Future<Output = Done> + Send {
        async move {
            let frames = self.execute(frames).await;
            Done::Each { flows: self.change_flows(changes).await, frames }
        }
    }

    /// Every flow there is.
    ///
    /// # Errors
    /// Datapath gone.
    fn flows(&mut self) -> impl Future<Output = Result<Vec<Flow>, Refusal>> + Send;

    /// Hits of some of the flows there are: as many as are read without keeping the caller long. It goes on where the call before
    /// ended; behind a last slice, or an error, it begins anew. Flows that are put or withdrawn meanwhile may be missing, and with
    /// them others.
    ///
    /// # Errors
    /// Datapath gone.
    fn next_flow_stats(&mut self)
    -> impl Future<Output = Result<Slice<(FlowId, FlowStats)>, Refusal>> + Send;

    /// Hits of single flows as they are now, in order; one that is not there is refused as not found.
    fn flow_stats_of(
        &mut self,
        flows: Vec<FlowId>,
    ) -> impl Future<Output = Vec<Result<FlowStats, Refusal>>> + Send;

    /// Hits of every flow there is, by [`next_flow_stats`](Self::next_flow_stats) until the last slice.
    ///
    /// # Errors
    /// Datapath gone.
    fn flow_stats(&mut self) -> impl Future<Output = Result<Vec<(FlowId, FlowStats)>, Refusal>> + Send {
        async move {
            let mut all = Vec::new();
            loop {
                let slice = self.next_flow_stats().await?;
                all.extend(slice.entries);
                if slice.is_last {
                    return Ok(all);
                }
            }
        }
    }
}

/// A part of a list that is read piece by piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice<T> {
    /// Its entries, some hundreds at most.
    pub entries: Vec<T>,
    /// Whether the list ends with it.
    pub is_last: bool,
}

/// What became of a change of a flow; of a flow that was withdrawn, what it had counted by then, where the backend tells.
pub type FlowAnswer = Result<Option<FlowStats>, Refusal>;

/// What a backend can do. Tests name these where backends may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// DEI survives the rewriting of a tag.
    pub keeps_dei: bool,
    /// Frames that a pop by a flow or table made shorter than 60 bytes are padded with zeros; those of `execute` always are.
    pub pads: bool,
    /// What a link did not take because it was over the MTU is in `tx_dropped` of its port.
    pub counts_over_mtu: bool,
    /// It has [`FlowTable`].
    pub flow_table: bool,
    /// It has [`tables::SwitchTables`].
    pub switch_tables: bool,
    /// Meters work.
    pub meters: bool,
    /// There may be a port to other hosts, and groups.
    #[serde(default)]
    pub tunnels: bool,
}

/// A frame that no rule matched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upcall {
    /// Its key, or why it has none; the arrival port is known either way.
    pub key: Result<FlowKey, Malformed>,
    /// The arrival port.
    pub vport: VportNo,
    /// Its bytes from the destination address on, without FCS, tags in place.
    pub frame: Vec<u8>,
    /// What the backend spreads frames of one conversation by, as it said it; given back with [`Execute::hash`], so that a frame that
    /// the daemon sends takes the path of those that its flow will send. `None` where the backend has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<u64>,
}

/// A frame or message that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Malformed {
    /// The frame itself.
    #[error(transparent)]
    Frame(#[from] vlan::frame::MalformedFrame),
    /// What the kernel said of it.
    #[error("kernel message: {0}")]
    Message(String),
}

/// A frame to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execute {
    /// The port it is taken to have come from; `None` for a frame of our own.
    pub vport: Option<VportNo>,
    /// Its bytes.
    pub frame: Vec<u8>,
    /// What is done with it.
    pub actions: Vec<Action>,
    /// The hash that came with it ([`Upcall::hash`]); `None` for a frame of our own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<u64>,
}

/// As an error says what was asked.
impl fmt::Display for Execute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "execute frame of {} bytes of ", self.frame.len())?;
        match self.vport {
            Some(vport) => vport.fmt(f),
            None => f.write_str("our own"),
        }
    }
}

/// What a datapath counted as a whole since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Frames that a rule matched.
    pub hit: u64,
    /// Frames that no rule matched.
    pub missed: u64,
    /// Frames that no rule matched and whose upcall was lost.
    pub lost: u64,
    /// Flows of other programs that were found and removed since the datapath was opened; one that has an identity like ours is not
    /// told apart here, but by whoever knows what was put.
    #[serde(default)]
    pub foreign: u64,
    /// Frames that came to a group that was not set, and went nowhere by it, since the datapath was opened.
    #[serde(default)]
    pub ungrouped: u64,
    /// Flows there are.
    pub flows: u64,
    /// Different masks there are, where flows have masks.
    pub masks: u64,
}
