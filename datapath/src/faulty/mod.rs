//! A wrapper that makes any datapath fail by a plan, for tests of what stands on it.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use datapath::Datapath;
//! use datapath::fake::{FakeDatapath, FakeWire};
//! use datapath::faulty::{Fault, FaultPlan, Faults, Faulty, Operation, Rule};
//!
//! let wire = FakeWire::default();
//! wire.add_link("eth2");
//! // Every second attach loses its answer, three times at most.
//! let rule = Rule { per_mille: 500, times: Some(3), ..Rule::always(Operation::Attach, Fault::Lose) };
//! let faults = Faults::new(FaultPlan { seed: 7, rules: vec![rule] });
//! let mut datapath = Faulty::new(FakeDatapath::open(&wire), faults.clone());
//! while let Err(refusal) = datapath.attach("eth2").await {
//!     println!("{refusal}");
//! }
//! assert!(faults.struck() <= 3);
//! # });
//! ```

mod plan;

use std::collections::VecDeque;
use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;

pub use self::plan::{Fault, FaultPlan, Faults, Operation, Rule};

use crate::flow::{Action, Flow, FlowChange, FlowId, FlowStats, MeterId, MeterRate, MeterStats};
use crate::port::{Vport, VportNo, VportStats};
use crate::tables::{Generation, SwitchTables, TableChange, TableReports, TableStats, Tables};
use crate::tunnel::{GroupId, TunnelEnd};
use crate::{
    Capabilities, Counters, Datapath, Execute, FlowAnswer, FlowTable, Group, Refusal, RefusalCause, Slice,
    Upcall,
};

use self::plan::Met;

/// A datapath whose calls meet the faults that [`Faults`] says. Without faults it is the datapath it wraps.
#[derive(Debug)]
pub struct Faulty<D> {
    datapath: D,
    faults: Faults,
    /// Upcalls that came with one that was refused.
    kept: VecDeque<Upcall>,
    /// A refusal that struck where none could be told: the next call that waits for upcalls does.
    untold: Option<Refusal>,
    /// Upcalls that were lost on purpose.
    lost: u64,
}

impl<D> Faulty<D> {
    /// Wraps `datapath`.
    pub fn new(datapath: D, faults: Faults) -> Faulty<D> {
        Faulty { datapath, faults, kept: VecDeque::new(), untold: None, lost: 0 }
    }

    /// The datapath inside, which does not fail.
    pub fn inner(&mut self) -> &mut D {
        &mut self.datapath
    }

    /// Sorts what was heard into what is handed out and what is lost.
    fn sift(&mut self, heard: Vec<Upcall>) -> Result<Vec<Upcall>, Refusal> {
        let mut upcalls = Vec::new();
        let mut heard = heard.into_iter();
        for upcall in heard.by_ref() {
            match self.faults.meet(Operation::Upcall).fault {
                Some(Fault::Lose) => self.lost += 1,
                Some(Fault::Refuse(cause)) => {
                    self.lost += 1;
                    self.kept.extend(upcalls.into_iter().chain(heard));
                    return Err(Refusal { what: WAIT.to_owned(), cause });
                }
                _ => upcalls.push(upcall),
            }
        }
        Ok(upcalls)
    }
}

impl<D: Datapath> Datapath for Faulty<D> {
    fn capabilities(&self) -> Capabilities {
        self.datapath.capabilities()
    }

    async fn attach(&mut self, link: &str) -> Result<Vport, Refusal> {
        let met = self.faults.meet(Operation::Attach);
        carry_out(met, format!("attach {link}"), self.datapath.attach(link)).await
    }

    async fn detach(&mut self, vport: VportNo) -> Result<(), Refusal> {
        let met = self.faults.meet(Operation::Detach);
        carry_out(met, format!("detach {vport}"), self.datapath.detach(vport)).await
    }

    async fn vports(&mut self) -> Result<Vec<Vport>, Refusal> {
        let met = self.faults.meet(Operation::Read);
        carry_out(met, "list vports".to_owned(), self.datapath.vports()).await
    }

    async fn open_tunnel(&mut self, end: TunnelEnd) -> Result<Vport, Refusal> {
        let met = self.faults.meet(Operation::Tunnel);
        carry_out(met, format!("open {end}"), self.datapath.open_tunnel(end)).await
    }

    async fn close_tunnel(&mut self) -> Result<(), Refusal> {
        let met = self.faults.meet(Operation::Tunnel);
        carry_out(met, "close the tunnel".to_owned(), self.datapath.close_tunnel()).await
    }

    async fn tunnel(&mut self) -> Result<Option<(Vport, VportStats)>, Refusal> {
        let met = self.faults.meet(Operation::Read);
        carry_out(met, "read the tunnel's port".to_owned(), self.datapath.tunnel()).await
    }

    async fn set_group(&mut self, id: GroupId, steps: Vec<Action>) -> Result<(), Refusal> {
        let met = self.faults.meet(Operation::Group);
        carry_out(met, format!("set {id}"), self.datapath.set_group(id, steps)).await
    }

    async fn delete_group(&mut self, id: GroupId) -> Result<(), Refusal> {
        let met = self.faults.meet(Operation::Group);
        carry_out(met, format!("delete {id}"), self.datapath.delete_group(id)).await
    }

    async fn groups(&mut self) -> Result<Vec<Group>, Refusal> {
        let met = self.faults.meet(Operation::Read);
        carry_out(met, "list groups".to_owned(), self.datapath.groups()).await
    }

    async fn execute(&mut self, batch: Vec<Execute>) -> Vec<Result<(), Refusal>> {
        let batch = Batch::meet(&self.faults, batch, |_| Operation::Execute, Execute::to_string);
        batch.carry_out(|rest| self.datapath.execute(rest)).await
    }

    async fn upcalls(&mut self, most: usize) -> Result<Vec<Upcall>, Refusal> {
        if let Some(refusal) = self.untold.take() {
            return Err(refusal);
        }
        let mut gone = self.faults.gone();
        if !self.kept.is_empty() && !*gone.borrow() {
            return Ok(self.kept.drain(..self.kept.len().min(most)).collect());
        }
        loop {
            // Nothing is waited for while frames are in hand: a call that is given up must lose none.
            let heard = tokio::select! {
                biased;
                Ok(_) = gone.wait_for(|is_gone| *is_gone) => {
                    return Err(Refusal { what: WAIT.to_owned(), cause: RefusalCause::DatapathGone });
                }
                heard = self.datapath.upcalls(most) => heard?,
            };
            let upcalls = self.sift(heard)?;
            if !upcalls.is_empty() || most == 0 {
                return Ok(upcalls);
            }
        }
    }

    fn stragglers(&mut self, ports: &[VportNo], most: usize) -> Vec<Upcall> {
        // Those that are kept came before, and what fails is met where upcalls are waited for.
        if !self.kept.is_empty() || *self.faults.gone().borrow() {
            return Vec::new();
        }
        let heard = self.datapath.stragglers(ports, most);
        self.sift(heard).unwrap_or_else(|refusal| {
            self.untold = Some(refusal);
            Vec::new()
        })
    }

    async fn set_meter(&mut self, id: MeterId, rate: MeterRate) -> Result<(), Refusal> {
        let met = self.faults.meet(Operation::Meter);
        carry_out(met, format!("set meter {}", id.0), self.datapath.set_meter(id, rate)).await
    }

    async fn delete_meter(&mut self, id: MeterId) -> Result<(), Refusal> {
        let met = self.faults.meet(Operation::Meter);
        carry_out(met, format!("delete meter {}", id.0), self.datapath.delete_meter(id)).await
    }

    async fn meter_stats(&mut self, id: MeterId) -> Result<MeterStats, Refusal> {
        let met = self.faults.meet(Operation::Read);
        carry_out(met, format!("read meter {}", id.0), self.datapath.meter_stats(id)).await
    }

    async fn counters(&mut self) -> Result<Counters, Refusal> {
        let met = self.faults.meet(Operation::Read);
        let counters = carry_out(met, "read counters".to_owned(), self.datapath.counters()).await?;
        Ok(Counters { lost: counters.lost + self.lost, ..counters })
    }

    async fn next_vports(&mut self) -> Result<Slice<(Vport, VportStats)>, Refusal> {
        let met = self.faults.meet(Operation::Read);
        carry_out(met, "read counters of vports".to_owned(), self.datapath.next_vports()).await
    }

    async fn teardown(self) -> Result<(), Refusal> {
        let met = self.faults.meet(Operation::Teardown);
        carry_out(met, "remove the datapath".to_owned(), self.datapath.teardown()).await
    }
}

impl<D: FlowTable> FlowTable for Faulty<D> {
    async fn change_flows(&mut self, batch: Vec<FlowChange>) -> Vec<FlowAnswer> {
        let operation = |change: &FlowChange| match change {
            FlowChange::Put { .. } => Operation::PutFlow,
            FlowChange::Delete { .. } => Operation::DeleteFlow,
        };
        let batch = Batch::meet(&self.faults, batch, operation, FlowChange::to_string);
        batch.carry_out(|rest| self.datapath.change_flows(rest)).await
    }

    async fn flows(&mut self) -> Result<Vec<Flow>, Refusal> {
        let met = self.faults.meet(Operation::Read);
        carry_out(met, "list flows".to_owned(), self.datapath.flows()).await
    }

    async fn flow_stats_of(&mut self, flows: Vec<FlowId>) -> Vec<Result<FlowStats, Refusal>> {
        let name = |id: &FlowId| format!("read counters of flow {id:032x}");
        let batch = Batch::meet(&self.faults, flows, |_| Operation::Read, name);
        batch.carry_out(|rest| self.datapath.flow_stats_of(rest)).await
    }

    async fn next_flow_stats(&mut self) -> Result<Slice<(FlowId, FlowStats)>, Refusal> {
        let met = self.faults.meet(Operation::Read);
        carry_out(met, "read counters of flows".to_owned(), self.datapath.next_flow_stats()).await
    }
}

impl<D: SwitchTables> SwitchTables for Faulty<D> {
    async fn change_tables(
        &mut self,
        generation: Generation,
        batch: Vec<TableChange>,
    ) -> Vec<Result<(), Refusal>> {
        let name = |change: &TableChange| format!("change table entry {:?}", change.key());
        let batch = Batch::meet(&self.faults, batch, |_| Operation::ChangeTable, name);
        batch.carry_out(|rest| self.datapath.change_tables(generation, rest)).await
    }

    async fn read_tables(&mut self) -> Result<Tables, Refusal> {
        let met = self.faults.meet(Operation::Read);
        carry_out(met, "read tables".to_owned(), self.datapath.read_tables()).await
    }

    async fn table_reports(&mut self, most: usize) -> Result<TableReports, Refusal> {
        self.datapath.table_reports(most).await
    }

    async fn table_stats(&mut self) -> Result<Vec<(VportNo, TableStats)>, Refusal> {
        let met = self.faults.meet(Operation::Read);
        carry_out(met, "read counters of tables".to_owned(), self.datapath.table_stats()).await
    }
}

async fn carry_out<T>(
    mut met: Met,
    what: String,
    call: impl Future<Output = Result<T, Refusal>> + Send,
) -> Result<T, Refusal> {
    match met.fault {
        Some(Fault::Refuse(cause)) => Err(Refusal { what, cause }),
        Some(Fault::Lose) => {
            call.await?;
            Err(lost(what))
        }
        Some(Fault::Delay(ms)) => {
            let answer = call.await;
            tokio::time::sleep(Duration::from_millis(ms)).await;
            answer
        }
        Some(Fault::Hold) => {
            wait_for(&mut met.let_go).await;
            call.await
        }
        Some(Fault::Vanish) | None => call.await,
    }
}

/// A batch of which some elements have met faults.
struct Batch<T> {
    /// Those that are carried out.
    rest: Vec<T>,
    /// What becomes of each element of the batch.
    fates: Vec<Fate>,
    held_by: Option<watch::Receiver<u64>>,
    delay: Duration,
}

/// What becomes of an element of a batch.
enum Fate {
    /// It is not carried out.
    Refused(Refusal),
    /// It is, and this is answered if that goes well.
    Lost(Refusal),
    /// It is.
    CarriedOut,
}

impl<T> Batch<T> {
    fn meet(
        faults: &Faults,
        batch: Vec<T>,
        operation: impl Fn(&T) -> Operation,
        name: impl Fn(&T) -> String,
    ) -> Batch<T> {
        let mut met = Batch { rest: Vec::new(), fates: Vec::new(), held_by: None, delay: Duration::ZERO };
        for element in batch {
            let Met { fault, let_go } = faults.meet(operation(&element));
            let fate = match fault {
                Some(Fault::Refuse(cause)) => Fate::Refused(Refusal { what: name(&element), cause }),
                Some(Fault::Lose) => Fate::Lost(lost(name(&element))),
                other => met.put_off(other, let_go),
            };
            if !matches!(fate, Fate::Refused(_)) {
                met.rest.push(element);
            }
            met.fates.push(fate);
        }
        met
    }

    fn put_off(&mut self, fault: Option<Fault>, let_go: watch::Receiver<u64>) -> Fate {
        match fault {
            Some(Fault::Delay(ms)) => self.delay = self.delay.max(Duration::from_millis(ms)),
            Some(Fault::Hold) => self.held_by = Some(let_go),
            _ => {}
        }
        Fate::CarriedOut
    }

    async fn carry_out<A, F>(self, call: impl FnOnce(Vec<T>) -> F) -> Vec<Result<A, Refusal>>
    where
        F: Future<Output = Vec<Result<A, Refusal>>> + Send,
    {
        if let Some(mut let_go) = self.held_by {
            wait_for(&mut let_go).await;
        }
        let mut done = call(self.rest).await.into_iter();
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        let answer = |fate| match fate {
            Fate::Refused(refusal) => Some(Err(refusal)),
            // What was not done has no answer to lose.
            Fate::Lost(refusal) => done.next().map(|outcome| outcome.and(Err(refusal))),
            Fate::CarriedOut => done.next(),
        };
        self.fates.into_iter().filter_map(answer).collect()
    }
}

/// Done at the next [`Faults::let_go`], or when there is nobody left to say it.
async fn wait_for(let_go: &mut watch::Receiver<u64>) {
    let _ = let_go.changed().await;
}

const WAIT: &str = "wait for upcalls";

fn lost(what: String) -> Refusal {
    Refusal { what, cause: RefusalCause::AnswerLost }
}
