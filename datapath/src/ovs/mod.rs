//! openvswitch.ko by generic netlink.
//!
//! neli gives the sockets; messages are our own (docs/design/dependencies.md): its router takes upcalls for answers gone astray.
//!
//! ```text
//!   attach, flows, meters, execute ──► Transactor ──► one socket ──► openvswitch.ko
//!                                                                       │ a frame without a flow
//!   upcalls ◄── Ears ◄── one socket a port, or a CPU ◄──────────────────┤
//!          ◄── Watch ◄── one socket ◄───────────────────────────────────┘ the datapath or a port changed
//! ```
//! Rooms: `transact` requests and answers, `families` `family` numbers and refusals, `dp` `vport` `flow` `packet` `meter`
//! messages of one family each, `key` `action` what they are made of, `change` how flows are put, `ports` how ports are made,
//! `numbers` which numbers they get, `handle` one datapath and how it is asked, `upcall` the ears, `calls` which of them have
//! something, `watch` what else the kernel tells, `hold` whether upcalls come here, `owner` who has the datapath, `removal` how one
//! goes that nobody has, `tunnel` what is said of other hosts, `uplink` the port and `underlay` the device by which they are
//! reached, `group` the flows of groups and `part` which of them a flow is;
//! `reread` holds the codec against itself, for tests, and `codec` lets it be measured.
//!
//! The datapath, its ports and its flows outlive the process. A port's number is not used again as long as there are others (65 534
//! in all), so a flow that still names a port that is gone cannot send to another link.

mod action;
mod calls;
// Netlink is in the byte order of the host; the messages are from one that begins with the lowest.
#[cfg(all(test, target_endian = "little"))]
mod captured;
mod change;
mod codec;
mod dp;
mod families;
mod family;
mod flow;
mod group;
mod handle;
mod hold;
mod key;
mod lister;
mod meter;
mod numbers;
mod owner;
mod packet;
mod part;
mod ports;
mod removal;
mod reread;
mod transact;
mod tunnel;
mod underlay;
mod upcall;
mod uplink;
mod vport;
mod watch;

use std::future::{Future, poll_fn};

use vlan::frame::Header;
use vlan::verdict::Consulted;

use crate::flow::{Action, Flow, FlowChange, FlowId, FlowKey, FlowStats, MeterId, MeterRate, MeterStats};
use crate::netlink::{nla, socket};
use crate::port::{LinkIndex, Vport, VportNo, VportStats};
use crate::tunnel::{GroupId, TunnelEnd};
use crate::{
    Capabilities, Counters, Datapath, Done, Execute, FlowAnswer, FlowTable, Group, Malformed, Refusal,
    RefusalCause, Slice, Upcall,
};

use self::change::exchange_each;
use self::family::{refuse, unreadable};
use self::flow::Dumped;
use self::handle::Handle;
use self::hold::Hold;
use self::lister::Lister;
use self::owner::open_of;
use self::ports::Ports;
use self::socket::Home;
use self::transact::{Denial, Outcome, Request, Transactor};
use self::underlay::Underlay;
use self::uplink::Uplink;

pub use self::codec::Codec;
pub use self::removal::{Held, Removed};
pub use self::reread::{Reread, reread};

/// A datapath of openvswitch.ko.
///
/// It belongs to the network namespace of the thread that called [`Ovs::open`] and goes on belonging to it, whatever thread drives
/// it later.
#[derive(Debug)]
pub struct Ovs {
    handle: Handle,
    ports: Ports,
    uplink: Uplink,
    hold: Hold,
    flow_lister: Lister,
    /// Flows of other programs that were removed.
    aliens: u64,
}

/// How upcalls reach this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpcallSockets {
    /// So many ports have an upcall socket each. With more, all ports share one socket for each CPU until the datapath is opened
    /// again (docs/design/0002-upcall-sockets.md); before Linux 5.15, however many there are, each has its own.
    pub ports_with_own_socket: usize,
}

impl Default for UpcallSockets {
    fn default() -> UpcallSockets {
        UpcallSockets { ports_with_own_socket: 256 }
    }
}

impl Ovs {
    /// Makes the datapath `name`, or adopts the one that there is with its ports and flows; flows of other programs that have no id
    /// or a foreign key are removed. `name` is also the name of its own link, 1 to 15 bytes.
    ///
    /// The namespace is that of the thread that calls this function (not of the one that first polls the future), and
    /// a tokio runtime is around there.
    ///
    /// # Errors
    /// No openvswitch.ko ([`RefusalCause::Unsupported`]), not permitted, the name is another link's, or somebody hears the upcalls
    /// of the datapath: another program, or another value in this one ([`RefusalCause::Busy`]).
    pub fn open(name: &str) -> impl Future<Output = Result<Ovs, Refusal>> + Send + use<> {
        Ovs::open_with(name, UpcallSockets::default())
    }

    /// As [`open`](Self::open), with other options than the default ones.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(
        name: &str,
        options: UpcallSockets,
    ) -> impl Future<Output = Result<Ovs, Refusal>> + Send + use<> {
        let name = name.to_owned();
        let opened = Home::here().and_then(|home| Ok((Transactor::open(&home)?, home)));
        async move {
            let (transactor, home) = opened.map_err(|error| refuse(open_of(&name), error.into()))?;
            Ovs::set_up(name, options, transactor, home).await
        }
    }

    /// How often an upcall socket was found to have lost frames; how many is in [`Counters::lost`].
    pub fn overruns(&self) -> u64 {
        self.ports.ears.overruns()
    }

    /// What a mask comes to in the kernel, and what [`FlowTable::flows`] reports of it: openvswitch.ko always matches whether there
    /// is a first and a second tag, and their TPIDs, and a tag that the flow's key does not have is known in every field by that.
    pub fn effective_mask(consulted: &Consulted, key: &Header) -> Consulted {
        key::widen(consulted, key.tags.len(), true)
    }
}

impl Datapath for Ovs {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            keeps_dei: false,
            pads: false,
            // The kernel counts them as errors of the link, where those that keep their own statistics (veth) do not show them.
            counts_over_mtu: false,
            flow_table: true,
            switch_tables: false,
            meters: self.handle.families.meter.is_some(),
            tunnels: self.uplink.is_supported(),
        }
    }

    async fn attach(&mut self, link: &str) -> Result<Vport, Refusal> {
        match self.hold.loss() {
            // Listening for one port would take it back from the program that has them all.
            Some(RefusalCause::TakenOver) => {
                Err(Refusal { what: format!("attach {link}"), cause: RefusalCause::TakenOver })
            }
            _ => self.ports.attach(&mut self.handle, link).await,
        }
    }

    async fn detach(&mut self, vport: VportNo) -> Result<(), Refusal> {
        self.ports.release(&mut self.handle, vport, &format!("detach {vport}")).await
    }

    async fn vports(&mut self) -> Result<Vec<Vport>, Refusal> {
        let ports = self.handle.vports("list vports").await?;
        self.ports.keep_listed(&mut self.handle, &ports);
        let ports = ports.into_iter().map(|port| port.port);
        Ok(ports.filter(|port| !self.uplink.is(port)).collect())
    }

    async fn open_tunnel(&mut self, end: TunnelEnd) -> Result<Vport, Refusal> {
        match self.hold.loss() {
            Some(RefusalCause::TakenOver) => {
                Err(Refusal { what: format!("open {end}"), cause: RefusalCause::TakenOver })
            }
            _ => self.uplink.open(&mut self.handle, &mut self.ports, end).await,
        }
    }

    async fn close_tunnel(&mut self) -> Result<(), Refusal> {
        self.uplink.close(&mut self.handle, &mut self.ports, "close the tunnel").await
    }

    async fn tunnel(&mut self) -> Result<Option<(Vport, VportStats)>, Refusal> {
        self.uplink.count(&mut self.handle).await
    }

    async fn set_group(&mut self, id: GroupId, steps: Vec<Action>) -> Result<(), Refusal> {
        self.handle.set_group(id, &steps).await.map_err(|denial| refuse(format!("set {id}"), denial))
    }

    async fn delete_group(&mut self, id: GroupId) -> Result<(), Refusal> {
        self.handle.delete_group(id).await.map_err(|denial| refuse(format!("delete {id}"), denial))
    }

    async fn groups(&mut self) -> Result<Vec<Group>, Refusal> {
        self.handle.groups().await
    }

    async fn execute(&mut self, batch: Vec<Execute>) -> Vec<Result<(), Refusal>> {
        let frames = self.handle.write_frames(&batch);
        let outcomes = self.handle.transactor.exchange(frames, &mut |_, _: &[u8]| {}).await;
        refuse_frames(outcomes, &batch)
    }

    async fn upcalls(&mut self, most: usize) -> Result<Vec<Upcall>, Refusal> {
        if most == 0 {
            return Ok(Vec::new());
        }
        loop {
            if let Some(cause) = self.hold.loss() {
                return Err(Refusal { what: "wait for upcalls".to_owned(), cause: cause.clone() });
            }
            let upcalls = poll_fn(|context| self.poll_upcalls(context, most)).await;
            let upcalls = upcalls.map_err(|error| refuse("wait for upcalls", error.into()))?;
            if !upcalls.is_empty() {
                return Ok(upcalls);
            }
            self.settle_doubt().await;
        }
    }

    fn stragglers(&mut self, ports: &[VportNo], most: usize) -> Vec<Upcall> {
        // Where it is in doubt whether upcalls come here, nothing is read before that is settled.
        if self.hold.is_in_doubt() || self.hold.loss().is_some() {
            Vec::new()
        } else {
            self.ports.ears.stragglers(ports, most)
        }
    }

    async fn set_meter(&mut self, id: MeterId, rate: MeterRate) -> Result<(), Refusal> {
        let what = format!("set meter {}", id.0);
        let family = self.handle.meter_family(&what)?;
        let set = meter::set(family, self.handle.dp, id, rate);
        self.handle.transactor.ask_written(set).await.map(drop).map_err(|denial| refuse(what, denial))
    }

    async fn delete_meter(&mut self, id: MeterId) -> Result<(), Refusal> {
        let what = format!("delete meter {}", id.0);
        let family = self.handle.meter_family(&what)?;
        match self.handle.transactor.ask_written(meter::delete(family, self.handle.dp, id)).await {
            Err(denial) if !denial.is(libc::ENOENT) => Err(refuse(what, denial)),
            _ => Ok(()),
        }
    }

    async fn meter_stats(&mut self, id: MeterId) -> Result<MeterStats, Refusal> {
        let what = format!("read meter {}", id.0);
        let family = self.handle.meter_family(&what)?;
        let describe = meter::describe(family, self.handle.dp, id);
        let replies =
            self.handle.transactor.ask_written(describe).await.map_err(|denial| refuse(&what, denial))?;
        first(&replies, meter::read).map_err(|why| unreadable(what, &why))
    }

    async fn counters(&mut self) -> Result<Counters, Refusal> {
        let mut counters = self.handle.describe().await?.counters;
        counters.lost = counters.lost.saturating_add(self.ports.ears.lost());
        counters.foreign = self.aliens;
        counters.ungrouped = self.ports.ears.ungrouped();
        Ok(counters)
    }

    async fn next_vports(&mut self) -> Result<Slice<(Vport, VportStats)>, Refusal> {
        let listed = self.ports.next_listed(&mut self.handle, "read counters of vports").await?;
        let Slice { entries, is_last } = listed;
        let ports = entries.into_iter().map(|port| (port.port, port.stats));
        let is_on_link = |port: &Vport| port.no != vport::LOCAL && !self.uplink.is(port);
        Ok(Slice { entries: ports.filter(|(port, _)| is_on_link(port)).collect(), is_last })
    }

    async fn teardown(mut self) -> Result<(), Refusal> {
        let delete = dp::delete(self.handle.families.datapath, self.handle.dp);
        let what = format!("remove datapath {}", self.handle.name);
        let deleted = self.handle.transactor.ask_written(delete).await.map(drop);
        deleted.map_err(|denial| refuse(&*what, denial))?;
        // With the port its device stays.
        let underlay = Underlay::of(&self.handle.home, &self.handle.name);
        underlay.remove().await.map(drop).map_err(|denial| refuse(what, denial))
    }
}

impl FlowTable for Ovs {
    async fn change_flows(&mut self, batch: Vec<FlowChange>) -> Vec<FlowAnswer> {
        self.handle.flow_changes().carry_out(&batch).await
    }

    /// One datagram for both: each costs a system call, an answer that is read, and room in the kernel.
    async fn set_up(&mut self, frames: Vec<Execute>, changes: Vec<FlowChange>) -> Done {
        let ahead = self.handle.write_frames(&frames);
        match self.handle.flow_changes().carry_out_behind(ahead, &changes).await {
            None => Done::All,
            Some((flows, sent)) => Done::Each { flows, frames: refuse_frames(sent, &frames) },
        }
    }

    async fn flows(&mut self) -> Result<Vec<Flow>, Refusal> {
        let (mut flows, mut aliens) = (Vec::new(), 0);
        for dumped in self.handle.dump("list flows").await? {
            match dumped {
                Dumped::Flow(flow) => flows.push(flow),
                Dumped::Part(..) => {}
                Dumped::Alien(_) => aliens += 1,
            }
        }
        if aliens > 0 {
            tracing::warn!(datapath = self.handle.name, flows = aliens, "there are flows of another program");
        }
        Ok(flows)
    }

    async fn flow_stats_of(&mut self, flows: Vec<FlowId>) -> Vec<Result<FlowStats, Refusal>> {
        let describe = |id: &FlowId| flow::describe_stats(self.handle.families.flow, self.handle.dp, *id);
        let requests = flows.iter().map(describe).collect();
        let mut read = vec![None; flows.len()];
        let mut note = |index: usize, reply: &[u8]| {
            if let Some(stats) = read.get_mut(index) {
                *stats = flow::read_stats(reply).ok().flatten().map(|(_, stats)| stats);
            }
        };
        let outcomes = exchange_each(&mut self.handle.transactor, requests, &mut note).await;
        let what = |id: &FlowId| format!("read counters of flow {id:032x}");
        let answer = |((outcome, stats), id): ((Outcome, Option<FlowStats>), &FlowId)| match outcome {
            Err(denial) => Err(refuse(what(id), denial)),
            Ok(()) => stats.ok_or_else(|| Refusal { what: what(id), cause: RefusalCause::NotFound }),
        };
        outcomes.into_iter().zip(read).zip(&flows).map(answer).collect()
    }

    async fn next_flow_stats(&mut self) -> Result<Slice<(FlowId, FlowStats)>, Refusal> {
        let (mut entries, mut aliens) = (Vec::new(), Vec::new());
        let mut collect = |reply: &[u8]| match flow::read_stats(reply) {
            Ok(Some(counted)) => entries.push(counted),
            _ => aliens.extend(flow::read_alien(reply)),
        };
        let list = || flow::list_stats(self.handle.families.flow, self.handle.dp);
        let next = self.flow_lister.next(&self.handle.home, list, &mut collect).await;
        let is_last = next.map_err(|denial| refuse("read counters of flows", denial))?;
        self.aliens += self.handle.remove_aliens(&aliens).await;
        Ok(Slice { entries, is_last })
    }
}

/// What came of frames that were to be sent, the refusals with their names.
fn refuse_frames(outcomes: Vec<Outcome>, frames: &[Execute]) -> Vec<Result<(), Refusal>> {
    let named = outcomes.into_iter().zip(frames);
    named.map(|(outcome, order)| outcome.map_err(|denial| refuse(order.to_string(), denial))).collect()
}

impl Transactor {
    /// Asks, if the request could be written.
    async fn ask_written(&mut self, request: Result<Request, Denial>) -> Result<Vec<Vec<u8>>, Denial> {
        self.ask(request?).await
    }
}

fn first<T>(replies: &[Vec<u8>], read: impl Fn(&[u8]) -> Result<T, Malformed>) -> Result<T, Malformed> {
    let reply = replies.first().ok_or_else(|| nla::malformed("acknowledged without an answer".into()))?;
    read(reply)
}
