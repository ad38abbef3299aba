//! The datapath's in-memory twin: real bytes, masks, meters and tables, a virtual clock and no kernel.
//!
//! [`FakeWire`] is the host: its links, its clock, and its one datapath. It is a cheap handle, so that a test or a simulation can
//! inject frames and look at what was sent while the runtime owns the [`FakeDatapath`]. As with a kernel, the datapath
//! outlives whoever opened it: dropping a `FakeDatapath` leaves ports and rules in force, and opening another adopts them.
//!
//! ```text
//! FakeWire::inject ─► link ─► vport ─► flows (or tables) ─► actions ─┬► vport ─► link ─► FakeWire::sent
//!                                        └─ no match ─► upcalls       └► tunnel ─► FakeUnderlay ─► tunnel of another FakeWire
//! ```
//! Hosts that speak with each other [join](FakeUnderlay::join) a [`FakeUnderlay`]. Each has a clock of its own. There are no tunnels where
//! a datapath switches by [tables](Switching::Tables).
//!
//! Where it is like openvswitch.ko, on purpose: port numbers are the lowest free ones, so they are used again; rules outlive
//! the port that they name; an upcall that nobody reads is lost; a meter that is not there lets pass; one tag is free
//! of the MTU; congestion marks go through a tunnel. Where it is stricter: a frame that two flows match which do different things, a pop
//! of a tag that is not there, an output to no port, a copy to another host that can go nowhere (no tunnel, another family, this
//! host, a VNI or class that there is not), a group that is not set, and a frame from the tunnel that leaves by it
//! are noted in [`FakeWire::faults`].

mod actions;
mod carry;
mod conversation;
mod ecn;
mod flows;
mod groups;
mod host;
mod kernel;
mod learn;
mod length;
mod meter;
mod network;
mod packet;
mod underlay;
mod uplink;
mod walk;
mod wire;

pub use self::host::{Limits, Options, Switching};
pub use self::network::Losses;
pub use self::packet::Packet;
pub use self::underlay::FakeUnderlay;
pub use self::wire::FakeWire;

use crate::flow::{Action, Flow, FlowChange, FlowId, FlowStats, MeterId, MeterRate, MeterStats};
use crate::port::{Vport, VportNo, VportStats};
use crate::tables::{Generation, SwitchTables, TableChange, TableReports, TableStats, Tables};
use crate::tunnel::{GroupId, TunnelEnd};
use crate::{
    Capabilities, Counters, Datapath, Execute, FlowAnswer, FlowTable, Group, Refusal, RefusalCause, Slice,
    Upcall,
};

/// The datapath of a [`FakeWire`], as whoever drives it sees it.
#[derive(Debug)]
pub struct FakeDatapath {
    wire: FakeWire,
    opening: u64,
    /// How far the ports were read.
    vports_read: Option<VportNo>,
    /// How far the flows were read.
    flows_read: Option<FlowId>,
}

impl FakeDatapath {
    /// Makes the datapath of a wire, or adopts the one there is; from then on upcalls and reports come to this value alone, and
    /// another one that waits for them is told so ([`RefusalCause::TakenOver`]). How it switches is the wire's [`Options`].
    pub fn open(wire: &FakeWire) -> FakeDatapath {
        let opening = wire.host().open();
        wire.tell_news();
        FakeDatapath { wire: wire.clone(), opening, vports_read: None, flows_read: None }
    }

    /// As [`open`](Self::open), unless another value has it open.
    ///
    /// # Errors
    /// [`RefusalCause::Busy`].
    pub fn adopt(wire: &FakeWire) -> Result<FakeDatapath, Refusal> {
        if wire.host().has_listener() {
            return Err(Refusal { what: "open the datapath".to_owned(), cause: RefusalCause::Busy });
        }
        Ok(FakeDatapath::open(wire))
    }

    /// The wire it is on.
    pub fn wire(&self) -> &FakeWire {
        &self.wire
    }
}

impl Drop for FakeDatapath {
    fn drop(&mut self) {
        self.wire.host().close(self.opening);
    }
}

impl Datapath for FakeDatapath {
    fn capabilities(&self) -> Capabilities {
        let options = self.wire.host().options;
        Capabilities {
            keeps_dei: options.keeps_dei,
            pads: options.pads,
            counts_over_mtu: true,
            flow_table: options.switching == Switching::Flows,
            switch_tables: options.switching == Switching::Tables,
            meters: options.meters,
            tunnels: options.switching == Switching::Flows,
        }
    }

    async fn attach(&mut self, link: &str) -> Result<Vport, Refusal> {
        let what = || format!("attach {link}");
        self.wire.host().attach(link).map_err(|cause| Refusal { what: what(), cause })
    }

    async fn detach(&mut self, vport: VportNo) -> Result<(), Refusal> {
        let mut host = self.wire.host();
        host.kernel(|| format!("detach {vport}"))?.detach(vport);
        Ok(())
    }

    async fn vports(&mut self) -> Result<Vec<Vport>, Refusal> {
        Ok(self.wire.host().kernel(|| "list vports".to_owned())?.vports())
    }

    async fn open_tunnel(&mut self, end: TunnelEnd) -> Result<Vport, Refusal> {
        let what = || format!("open {end}");
        let mut host = self.wire.host();
        host.is_switching_by(Switching::Flows, &what())?;
        host.kernel(what)?;
        host.uplink.admit(end).map_err(|cause| Refusal { what: what(), cause })?;
        Ok(host.kernel(what)?.open_tunnel(end))
    }

    async fn close_tunnel(&mut self) -> Result<(), Refusal> {
        self.wire.host().kernel(|| "close the tunnel".to_owned())?.close_tunnel();
        Ok(())
    }

    async fn tunnel(&mut self) -> Result<Option<(Vport, VportStats)>, Refusal> {
        Ok(self.wire.host().kernel(|| "read the tunnel's port".to_owned())?.tunnel_port())
    }

    async fn set_group(&mut self, id: GroupId, steps: Vec<Action>) -> Result<(), Refusal> {
        let what = || format!("set {id}");
        let mut host = self.wire.host();
        host.is_switching_by(Switching::Flows, &what())?;
        let limits = host.limits;
        let set = host.kernel(what)?.groups.set(id, steps, &limits);
        set.map_err(|cause| Refusal { what: what(), cause })
    }

    async fn delete_group(&mut self, id: GroupId) -> Result<(), Refusal> {
        self.wire.host().kernel(|| format!("delete {id}"))?.groups.delete(id);
        Ok(())
    }

    async fn groups(&mut self) -> Result<Vec<Group>, Refusal> {
        Ok(self.wire.host().kernel(|| "list groups".to_owned())?.groups.all())
    }

    async fn execute(&mut self, batch: Vec<Execute>) -> Vec<Result<(), Refusal>> {
        self.wire.run(|host| batch.into_iter().map(|execute| host.execute(execute)).collect())
    }

    async fn upcalls(&mut self, most: usize) -> Result<Vec<Upcall>, Refusal> {
        if most == 0 {
            return Ok(Vec::new());
        }
        loop {
            let news = self.wire.news();
            let upcalls = self.wire.host().take_upcalls(self.opening, most)?;
            if !upcalls.is_empty() {
                return Ok(upcalls);
            }
            news.await;
        }
    }

    fn stragglers(&mut self, ports: &[VportNo], most: usize) -> Vec<Upcall> {
        self.wire.host().take_stragglers(self.opening, ports, most)
    }

    async fn set_meter(&mut self, id: MeterId, rate: MeterRate) -> Result<(), Refusal> {
        self.wire.host().set_meter(id, rate)
    }

    async fn delete_meter(&mut self, id: MeterId) -> Result<(), Refusal> {
        self.wire.host().kernel(|| format!("delete meter {}", id.0))?.meters.remove(&id);
        Ok(())
    }

    async fn meter_stats(&mut self, id: MeterId) -> Result<MeterStats, Refusal> {
        let what = || format!("read meter {}", id.0);
        let mut host = self.wire.host();
        let meter = host.kernel(what)?.meters.get(&id).map(meter::Meter::stats);
        meter.ok_or_else(|| Refusal { what: what(), cause: RefusalCause::NotFound })
    }

    async fn counters(&mut self) -> Result<Counters, Refusal> {
        Ok(self.wire.host().kernel(|| "read counters".to_owned())?.counters())
    }

    async fn next_vports(&mut self) -> Result<Slice<(Vport, VportStats)>, Refusal> {
        let mut host = self.wire.host();
        let entries = host.kernel(|| "read vport statistics".to_owned())?.vports_behind(self.vports_read);
        let is_last = entries.len() < SLICE;
        self.vports_read = entries.last().map(|(vport, _)| vport.no).filter(|_| !is_last);
        Ok(Slice { entries, is_last })
    }

    async fn teardown(self) -> Result<(), Refusal> {
        let mut host = self.wire.host();
        host.kernel(|| "remove the datapath".to_owned())?;
        host.delete_datapath();
        Ok(())
    }
}

impl FlowTable for FakeDatapath {
    async fn change_flows(&mut self, batch: Vec<FlowChange>) -> Vec<FlowAnswer> {
        let mut host = self.wire.host();
        batch.into_iter().map(|change| host.change_flow(change)).collect()
    }

    async fn flows(&mut self) -> Result<Vec<Flow>, Refusal> {
        let mut host = self.wire.host();
        host.is_switching_by(Switching::Flows, "list flows")?;
        Ok(host.kernel(|| "list flows".to_owned())?.flows.all())
    }

    async fn flow_stats_of(&mut self, flows: Vec<FlowId>) -> Vec<Result<FlowStats, Refusal>> {
        let mut host = self.wire.host();
        let mut one = |id: FlowId| {
            let what = || format!("read counters of flow {id:032x}");
            let none = || Refusal { what: what(), cause: RefusalCause::NotFound };
            host.kernel(what)?.flows.stats_of(id).ok_or_else(none)
        };
        flows.into_iter().map(&mut one).collect()
    }

    async fn next_flow_stats(&mut self) -> Result<Slice<(FlowId, FlowStats)>, Refusal> {
        let mut host = self.wire.host();
        host.is_switching_by(Switching::Flows, "read flow statistics")?;
        let kernel = host.kernel(|| "read flow statistics".to_owned())?;
        let entries = kernel.flows.stats_behind(self.flows_read, SLICE);
        let is_last = entries.len() < SLICE;
        self.flows_read = entries.last().map(|(id, _)| *id).filter(|_| !is_last);
        Ok(Slice { entries, is_last })
    }
}

impl SwitchTables for FakeDatapath {
    async fn change_tables(
        &mut self,
        generation: Generation,
        batch: Vec<TableChange>,
    ) -> Vec<Result<(), Refusal>> {
        let mut host = self.wire.host();
        batch.into_iter().map(|change| host.change_table(generation, change)).collect()
    }

    async fn read_tables(&mut self) -> Result<Tables, Refusal> {
        let mut host = self.wire.host();
        host.is_switching_by(Switching::Tables, "read tables")?;
        Ok(host.kernel(|| "read tables".to_owned())?.learning.tables.clone())
    }

    async fn table_reports(&mut self, most: usize) -> Result<TableReports, Refusal> {
        loop {
            let news = self.wire.news();
            let reports = self.wire.host().take_reports(self.opening, most)?;
            if !reports.reports.is_empty() || reports.lost > 0 {
                return Ok(reports);
            }
            news.await;
        }
    }

    async fn table_stats(&mut self) -> Result<Vec<(VportNo, TableStats)>, Refusal> {
        let mut host = self.wire.host();
        host.is_switching_by(Switching::Tables, "read table statistics")?;
        Ok(host.kernel(|| "read table statistics".to_owned())?.table_stats())
    }
}

/// Entries that are read at once.
const SLICE: usize = 256;
