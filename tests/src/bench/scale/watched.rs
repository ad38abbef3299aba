//! A datapath in memory that says whether its flows are being read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datapath::fake::FakeDatapath;
use datapath::flow::{Flow, FlowChange, FlowId, FlowStats, MeterId, MeterRate, MeterStats};
use datapath::port::{Vport, VportNo, VportStats};
use datapath::{Capabilities, Counters, Datapath, Execute, FlowAnswer, FlowTable, Refusal, Slice, Upcall};

/// The datapath. All but the reading of flows is passed on as it is.
#[derive(Debug)]
pub struct Watched {
    datapath: FakeDatapath,
    is_reading: Arc<AtomicBool>,
}

impl Watched {
    /// `is_reading` is true from the first slice of a reading to the last.
    pub fn new(datapath: FakeDatapath, is_reading: Arc<AtomicBool>) -> Watched {
        Watched { datapath, is_reading }
    }
}

impl Datapath for Watched {
    fn capabilities(&self) -> Capabilities {
        self.datapath.capabilities()
    }

    async fn attach(&mut self, link: &str) -> Result<Vport, Refusal> {
        self.datapath.attach(link).await
    }

    async fn detach(&mut self, vport: VportNo) -> Result<(), Refusal> {
        self.datapath.detach(vport).await
    }

    async fn vports(&mut self) -> Result<Vec<Vport>, Refusal> {
        self.datapath.vports().await
    }

    async fn execute(&mut self, batch: Vec<Execute>) -> Vec<Result<(), Refusal>> {
        self.datapath.execute(batch).await
    }

    async fn upcalls(&mut self, most: usize) -> Result<Vec<Upcall>, Refusal> {
        self.datapath.upcalls(most).await
    }

    fn stragglers(&mut self, ports: &[VportNo], most: usize) -> Vec<Upcall> {
        self.datapath.stragglers(ports, most)
    }

    async fn set_meter(&mut self, id: MeterId, rate: MeterRate) -> Result<(), Refusal> {
        self.datapath.set_meter(id, rate).await
    }

    async fn delete_meter(&mut self, id: MeterId) -> Result<(), Refusal> {
        self.datapath.delete_meter(id).await
    }

    async fn meter_stats(&mut self, id: MeterId) -> Result<MeterStats, Refusal> {
        self.datapath.meter_stats(id).await
    }

    async fn counters(&mut self) -> Result<Counters, Refusal> {
        self.datapath.counters().await
    }

    async fn next_vports(&mut self) -> Result<Slice<(Vport, VportStats)>, Refusal> {
        self.datapath.next_vports().await
    }

    async fn teardown(self) -> Result<(), Refusal> {
        self.datapath.teardown().await
    }
}

impl FlowTable for Watched {
    async fn change_flows(&mut self, batch: Vec<FlowChange>) -> Vec<FlowAnswer> {
        self.datapath.change_flows(batch).await
    }

    async fn flows(&mut self) -> Result<Vec<Flow>, Refusal> {
        self.datapath.flows().await
    }

    async fn flow_stats_of(&mut self, flows: Vec<FlowId>) -> Vec<Result<FlowStats, Refusal>> {
        self.datapath.flow_stats_of(flows).await
    }

    async fn next_flow_stats(&mut self) -> Result<Slice<(FlowId, FlowStats)>, Refusal> {
        let slice = self.datapath.next_flow_stats().await;
        self.is_reading.store(slice.as_ref().is_ok_and(|slice| !slice.is_last), Ordering::Relaxed);
        slice
    }
}
