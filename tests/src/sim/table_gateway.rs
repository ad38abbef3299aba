//! A host that switches by tables on the datapath's in-memory twin: the sibling of [`super::gateway`], which does by flows.
//!
//! ```text
//!   send ─► FakeWire ─► tables ─► FakeWire ─► what left by each port
//!                          ▲ └─► reports ─► TableWriter::take ─► the host's addresses
//!                          └─────────── TableWriter::owed ◄──spoil──┘
//! ```
//! Its addresses are known by reports alone: no frame is ever judged.

use std::collections::BTreeMap;
use std::time::Duration;

use agent::lower::Lowering;
use agent::lower::tables::{Lesson, TableBatch, TableWriter};
use datapath::fake::{FakeDatapath, FakeWire, Options, Switching};
use datapath::port::VportNo;
use datapath::tables::{Entry, EntryKey, SwitchTables, TableChange, TableStats, Tables};
use datapath::{Datapath, Refusal};
use futures::FutureExt;
use vlan::fdb::Learned;
use vlan::fdb::entry::Gone;
use vlan::model::id::PortId;
use vlan::switch::Switch;
use vlan::time::Instant;
use vlan::verdict::{Dependency, Effect};

use super::standing::Standing;
use super::traffic::Sent;

/// A host that switches by tables.
pub struct TableGateway {
    host: Standing,
    writer: TableWriter,
    datapath: FakeDatapath,
    wire: FakeWire,
    /// Each port of this host with its link.
    names: Vec<(String, String)>,
    vports: BTreeMap<String, VportNo>,
    /// How many changes of entries were asked for.
    pub changes: usize,
    /// How many of them were refused.
    pub refused: usize,
    /// How many of them were about addresses.
    pub address_changes: usize,
    /// How often reports were lost, and all addresses read instead.
    pub walks: usize,
}

/// What became of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Copies by port, in the order of ports.
    pub outputs: Vec<Sent>,
    /// What the datapath counted it as: `forward`, `metered`, or `drop` with the reason.
    pub decision: String,
    /// Whether the source moved once too often, which is known only afterwards.
    pub was_frozen: bool,
}

impl TableGateway {
    /// A wire without links, for a host that switches by tables.
    pub fn wire(start: Instant, options: Options) -> FakeWire {
        let wire = FakeWire::new(Options { switching: Switching::Tables, ..options });
        wire.advance(start.since(Instant::ZERO));
        wire
    }

    /// Starts with empty tables.
    pub fn start(wire: &FakeWire, host: Standing) -> TableGateway {
        let mut gateway = TableGateway {
            host,
            writer: TableWriter::new(),
            datapath: FakeDatapath::open(wire),
            wire: wire.clone(),
            names: Vec::new(),
            vports: BTreeMap::new(),
            changes: 0,
            refused: 0,
            address_changes: 0,
            walks: 0,
        };
        gateway.attach();
        gateway.write_owed();
        gateway
    }

    /// Changes what is known around the switch, in any way.
    pub fn change(&mut self, change: impl FnOnce(&mut Standing)) {
        // An address may get another name, and is written anew by what is known of it: so that is asked first.
        let there = self.read();
        self.writer.walk(self.wire.now(), &mut self.host.switch, &there);
        change(&mut self.host);
        self.attach();
        self.mend();
    }

    /// Sends a frame into a port. What it has taught is known when this returns.
    pub fn send(&mut self, port: &str, frame: &[u8]) -> Done {
        let link = self.names.iter().find(|(name, _)| name == port).map(|(_, link)| link.clone());
        let before = self.stats(port);
        self.wire.inject(&link.expect("a port of the description"), frame);
        let after = self.stats(port);
        let mut outputs = Vec::new();
        for (port, link) in &self.names {
            outputs.extend(self.wire.sent(link).into_iter().map(|frame| (port.clone(), frame)));
        }
        outputs.sort();
        let upcalls = at_once_if_any(self.datapath.upcalls(64)).map_or(0, |upcalls| upcalls.len());
        let decision = decision(&before, &after);
        assert_eq!(upcalls, 0, "a datapath that switches by itself hands up nothing: {decision}");
        let was_frozen = self.hear();
        Done { outputs, decision, was_frozen }
    }

    /// A port's carrier comes or goes, as far as the host was told: frames go on coming by it.
    pub fn set_carrier(&mut self, port: &str, carrier: bool) {
        let gone = self.host.set_carrier(port, carrier);
        self.write_changed(self.port(port), &gone);
    }

    /// Lets time pass.
    pub fn pass(&mut self, span: Duration) {
        self.wire.advance(span);
        self.hear();
        let now = self.wire.now();
        if self.host.switch.fdb.addresses.next_due().is_some_and(|due| due <= now) {
            self.age();
        }
        for port in self.host.unblock(now) {
            self.write_changed(port, &[]);
        }
    }

    /// Whether the datapath has what the host thinks that it has, and nothing is to be put right.
    ///
    /// # Errors
    /// What differs.
    pub fn check(&mut self) -> Result<(), String> {
        let mut there = self.read();
        self.writer.walk(self.wire.now(), &mut self.host.switch, &there);
        let batch = self.owed();
        if !batch.is_empty() {
            return Err(format!("addresses differ: {batch:?}"));
        }
        there.addresses.clear();
        if there != *self.writer.written() {
            return Err(format!("rules differ: {:?}", there.changes_to(self.writer.written())));
        }
        match self.wire.faults().first() {
            Some(fault) => Err(fault.clone()),
            None => Ok(()),
        }
    }

    /// Writes whatever is not as it should be.
    pub fn mend(&mut self) {
        self.writer.spoil_all();
        self.write_owed();
    }

    /// The switch as reports have made it.
    pub fn switch(&self) -> &Switch {
        &self.host.switch
    }

    /// Everything that the datapath has.
    pub fn read(&mut self) -> Tables {
        at_once(self.datapath.read_tables()).expect("tables of a fake")
    }

    /// What the datapath counted at a port.
    pub fn stats(&mut self, port: &str) -> TableStats {
        let vport = self.vports[port];
        let stats = at_once(self.datapath.table_stats()).expect("statistics of a fake");
        stats.into_iter().find(|(no, _)| *no == vport).map(|(_, stats)| stats).expect("an attached port")
    }

    /// Ages as the datapath has: what it has heard since is known only by reading it.
    fn age(&mut self) {
        let now = self.wire.now();
        let there = self.read();
        self.writer.walk(now, &mut self.host.switch, &there);
        let fdb = &mut self.host.switch.fdb;
        while fdb.addresses.next_due().is_some_and(|due| due <= now) {
            let aged = fdb.addresses.age(now, 1_000);
            let expired = aged.expired.into_iter().map(|gone| (gone.segment, gone.mac));
            for (segment, mac) in aged.thawed.into_iter().chain(expired) {
                self.writer.spoil(Dependency::Address(segment, mac));
            }
        }
        self.write_owed();
    }

    /// Takes in every report; says whether an address was frozen.
    fn hear(&mut self) -> bool {
        let now = self.wire.now();
        let (mut was_frozen, mut lost) = (false, 0);
        while let Some(reports) = at_once_if_any(self.datapath.table_reports(64)) {
            lost += reports.lost;
            for report in reports.reports {
                let lesson = self.writer.take(now, &mut self.host.switch, &report);
                was_frozen |= matches!(lesson, Lesson::Learned(Learned::Frozen { .. }));
                if let Lesson::Control { effect: Some(Effect::BlockPort(port)), .. } = lesson {
                    let gone = self.host.block(now, port);
                    self.write_changed(port, &gone);
                }
            }
        }
        if lost > 0 {
            self.walks += 1;
            let there = self.read();
            self.writer.walk(now, &mut self.host.switch, &there);
        }
        self.write_owed();
        was_frozen
    }

    /// Every port of this host with its link, added to the wire if it is missing.
    fn attach(&mut self) {
        let (topology, host) = (self.host.switch.topology(), self.host.switch.host());
        let ports = topology.ports().iter().filter(|port| port.host == host);
        self.names = ports.map(|port| (port.name.clone(), port.link.clone())).collect();
        for (port, link) in &self.names {
            self.wire.add_link(link);
            let vport = at_once(self.datapath.attach(link)).expect("a link that is there");
            self.vports.insert(port.clone(), vport.no);
        }
    }

    /// Writes what follows from another state of a port, and from what went with it.
    fn write_changed(&mut self, port: PortId, gone: &[Gone]) {
        self.writer.spoil(Dependency::Port(port));
        gone.iter().for_each(|gone| self.writer.spoil(Dependency::Address(gone.segment, gone.mac)));
        self.write_owed();
    }

    fn write_owed(&mut self) {
        let batch = self.owed();
        self.write(batch);
    }

    fn owed(&mut self) -> TableBatch {
        let vports = self.vport_of();
        self.writer.owed(self.wire.now(), &self.host.switch, |port| vports.get(&port).copied())
    }

    fn port(&self, name: &str) -> PortId {
        self.host.switch.topology().port_named(name).expect("a port of the description").id
    }

    fn vport_of(&self) -> BTreeMap<PortId, VportNo> {
        let ports = self.host.switch.topology().ports().iter();
        ports.filter_map(|port| self.vports.get(&port.name).map(|vport| (port.id, *vport))).collect()
    }

    fn write(&mut self, batch: TableBatch) {
        let TableBatch { generation, meters, changes, unused_meters } = batch;
        self.changes += changes.len();
        self.address_changes += changes.iter().filter(|change| is_of_address(change)).count();
        for (meter, rate) in meters {
            at_once(self.datapath.set_meter(meter, rate)).expect("room for a meter");
        }
        let answers = at_once(self.datapath.change_tables(generation, changes.clone()));
        for (change, _) in changes.iter().zip(answers).filter(|(_, answer)| answer.is_err()) {
            self.writer.refused(change);
            self.refused += 1;
        }
        for meter in unused_meters {
            at_once(self.datapath.delete_meter(meter)).expect("a datapath");
        }
    }
}

fn is_of_address(change: &TableChange) -> bool {
    matches!(change, TableChange::Put(Entry::Address(..)) | TableChange::Delete(EntryKey::Address(..)))
}

/// What one frame was counted as.
fn decision(before: &TableStats, after: &TableStats) -> String {
    assert_eq!(after.total(), before.total() + 1, "a frame counts once: {before:?} {after:?}");
    if after.forwarded > before.forwarded {
        return "forward".to_owned();
    }
    if after.metered > before.metered {
        return "metered".to_owned();
    }
    let reason = after.drops.iter().find(|(reason, count)| before.dropped(*reason) < *count);
    format!("drop {}", reason.expect("a reason").0)
}

/// The twin answers at once.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("the fake datapath answers at once")
}

/// What there is already.
fn at_once_if_any<T>(future: impl Future<Output = Result<T, Refusal>>) -> Option<T> {
    future.now_or_never().map(|answer| answer.expect("a datapath"))
}
