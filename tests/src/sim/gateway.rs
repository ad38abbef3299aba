//! The engine of a host on the datapath's in-memory twin: what a running daemon is, without tasks, kernel or clock.
//!
//! ```text
//!   send ─► FakeWire ─► upcalls ─► Engine ─► outputs ─► FakeDatapath ─► FakeWire ─► what left by each port
//! ```

use std::time::Duration;

use agent::engine::{Engine, Settings};
use agent::event::Event;
use agent::input::{Answer, Input, SavedAddress};
use agent::list::everything;
use agent::output::Output;
use agent::record;
use agent::runtime::{answer, change_groups, flow_answer, move_tunnel, set_up_answers};
use agent::view::CounterView;
use datapath::fake::{FakeDatapath, FakeWire, Options};
use datapath::flow::MeterId;
use datapath::port::{Link, LinkEvent};
use datapath::{Datapath, FlowTable, Refusal, Upcall};
use futures::FutureExt;
use nsdb::AddressRecord;
use tokio::sync::mpsc::Receiver;
use vlan::model::description::Description;
use vlan::model::numbers::Numbers;
use vlan::time::Instant;

/// A gateway on a wire.
pub struct Gateway {
    /// Its engine.
    pub engine: Engine,
    /// What it has told since it was last asked.
    pub events: Vec<Event>,
    /// The addresses it had saved last.
    pub saved: Vec<SavedAddress>,
    /// The links that it had remembered last.
    pub bound: Vec<String>,
    /// All that went in, and when.
    pub inputs: Vec<record::Line>,
    /// All that came out, and when, in nanoseconds.
    pub outputs: Vec<(u64, Output)>,
    /// The segments that it wants to hear of, if they are others than when that was last asked.
    followed: Option<Vec<u32>>,
    /// What it says of its addresses.
    announced: Option<Vec<AddressRecord>>,
    datapath: FakeDatapath,
    wire: FakeWire,
    links: Receiver<LinkEvent>,
    names: Vec<(String, String)>,
    host: String,
}

impl Gateway {
    /// A wire with every link of the description.
    pub fn wire(description: &Description, start: Instant) -> FakeWire {
        let wire = FakeWire::new(Options::default());
        wire.advance(start.since(Instant::ZERO));
        for (_, link) in names(description) {
            wire.add_link(&link);
        }
        wire
    }

    /// Starts on a wire with whatever is in its datapath, as a daemon does: revision `revision` comes from the store.
    pub fn start(
        wire: &FakeWire,
        settings: Settings,
        (revision, description): (u64, &Description),
        saved: Vec<SavedAddress>,
    ) -> Gateway {
        Gateway::start_by(wire, settings, (revision, description, None), saved)
    }

    /// The same with numbers that were dealt out to the revision.
    pub fn start_by(
        wire: &FakeWire,
        settings: Settings,
        (revision, description, numbers): (u64, &Description, Option<&Numbers>),
        saved: Vec<SavedAddress>,
    ) -> Gateway {
        let host = settings.host.clone();
        let mut gateway = Gateway {
            engine: Engine::new(settings),
            events: Vec::new(),
            saved: Vec::new(),
            bound: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            followed: None,
            announced: None,
            datapath: FakeDatapath::open(wire),
            wire: wire.clone(),
            links: wire.watch_links(),
            names: names_on(description, &host),
            host,
        };
        let vports = at_once(gateway.datapath.vports()).expect("vports of a fake");
        let flows = at_once(gateway.datapath.flows()).expect("flows of a fake");
        let tunnel = at_once(gateway.datapath.tunnel()).expect("the tunnel of a fake").map(|(port, _)| port);
        let groups = at_once(gateway.datapath.groups()).expect("groups of a fake");
        gateway.handle(Input::Observed { vports, flows, tunnel, groups });
        gateway.handle(Input::Saved(saved));
        gateway.handle(Input::Topology {
            revision,
            description: Box::new(description.clone()),
            numbers: numbers.cloned().map(Box::new),
            built: None,
        });
        gateway.settle();
        gateway
    }

    /// Puts another revision in force. Links that it names and that are missing are added.
    pub fn change(&mut self, revision: u64, description: &Description) {
        self.change_by(revision, description, None);
    }

    /// The same with numbers that were dealt out to it.
    pub fn change_by(&mut self, revision: u64, description: &Description, numbers: Option<&Numbers>) {
        self.names = names_on(description, &self.host);
        for (_, link) in &self.names {
            self.wire.add_link(link);
        }
        self.handle(Input::Topology {
            revision,
            description: Box::new(description.clone()),
            numbers: numbers.cloned().map(Box::new),
            built: None,
        });
        self.settle();
    }

    /// Sends a frame into a port and returns what left by which port, in the order of ports.
    pub fn send(&mut self, port: &str, frame: &[u8]) -> Vec<(String, Vec<u8>)> {
        self.inject(port, frame);
        self.settle();
        self.read_statistics();
        self.settle();
        self.take_sent()
    }

    /// Sends a frame into a port. What comes up waits until it is [settled](Self::settle).
    pub fn inject(&mut self, port: &str, frame: &[u8]) {
        let link = self.link_of(port).to_owned();
        self.wire.inject(&link, frame);
    }

    /// The frame that came up first and waits, as the engine would be given it.
    ///
    /// # Panics
    /// None waits.
    pub fn next_upcall(&mut self) -> Input {
        Input::Upcalls(at_once(self.datapath.upcalls(1)).expect("upcalls of a fake"))
    }

    /// What left by which port since this was last asked, in the order of ports.
    pub fn take_sent(&mut self) -> Vec<(String, Vec<u8>)> {
        let mut sent = Vec::new();
        for (port, link) in &self.names {
            sent.extend(self.wire.sent(link).into_iter().map(|frame| (port.clone(), frame)));
        }
        sent.sort();
        sent
    }

    /// Sets a port's carrier.
    pub fn set_carrier(&mut self, port: &str, carrier: bool) {
        let link = self.link_of(port).to_owned();
        self.wire.change_link(&link, |link: &mut Link| link.has_carrier = carrier);
        self.settle();
    }

    /// Lets time pass.
    pub fn pass(&mut self, span: Duration) {
        self.wire.advance(span);
        self.handle(Input::Tick);
        self.settle();
        self.read_statistics();
        self.settle();
    }

    /// Gives the engine something and carries out all that follows.
    pub fn handle(&mut self, input: Input) {
        let now = self.wire.now();
        self.take_in(now, input);
        while let Some(output) = self.engine.poll_output() {
            self.outputs.push((now.as_nanos(), output.clone()));
            if let Some((id, answers)) = self.carry_out(output) {
                self.take_in(now, Input::Done { id, answers });
            }
        }
    }

    fn take_in(&mut self, now: Instant, input: Input) {
        self.inputs.push(record::Line { at: now.as_nanos(), input: input.clone() });
        self.engine.handle(now, input);
    }

    /// Carries on until nothing more is to be done now.
    pub fn settle(&mut self) {
        while self.settle_once() {}
    }

    /// Takes in what there is now and carries out what follows. Whether there was anything.
    pub fn settle_once(&mut self) -> bool {
        let mut has_news = false;
        while let Ok(event) = self.links.try_recv() {
            self.handle(Input::Link(Box::new(event)));
            has_news = true;
        }
        if let Some(Ok(upcalls)) = self.datapath.upcalls(64).now_or_never() {
            self.handle(Input::Upcalls(upcalls));
            has_news = true;
        }
        if self.engine.poll_timeout().is_some_and(|due| due <= self.wire.now()) {
            self.handle(Input::Tick);
            has_news = true;
        }
        has_news
    }

    /// The segments that it wants to hear of, by VNI, if that is news.
    pub fn take_followed(&mut self) -> Option<Vec<u32>> {
        self.followed.take()
    }

    /// What it has to say of its addresses, which is to be answered.
    pub fn take_announced(&mut self) -> Option<Vec<AddressRecord>> {
        self.announced.take()
    }

    /// Every counter of the engine.
    pub fn counters(&self) -> Vec<CounterView> {
        everything(&self.engine, self.wire.now())
    }

    /// The datapath it drives.
    pub fn datapath(&mut self) -> &mut FakeDatapath {
        &mut self.datapath
    }

    /// Every link of the host.
    pub fn links(&self) -> Vec<Link> {
        self.wire.links()
    }

    /// The upcall that a frame leads to that arrives at a port, where no flow takes it.
    ///
    /// # Panics
    /// The port is down, or a flow takes the frame.
    pub fn upcall_of(&mut self, port: &str, frame: &[u8]) -> Upcall {
        let link = self.link_of(port).to_owned();
        self.wire.inject(&link, frame);
        let upcalls = self.datapath.upcalls(1).now_or_never().expect("an upcall").expect("upcalls of a fake");
        upcalls.into_iter().next().expect("an upcall")
    }

    /// Tells the engine what the datapath counted.
    pub fn read_statistics(&mut self) {
        loop {
            let read = at_once(self.datapath.next_flow_stats()).expect("flow statistics of a fake");
            self.handle(Input::FlowStats { slice: read.entries, is_last: read.is_last });
            if read.is_last {
                break;
            }
        }
        loop {
            let read = at_once(self.datapath.next_vports()).expect("vports of a fake");
            self.handle(Input::Vports { slice: read.entries, is_last: read.is_last });
            if read.is_last {
                break;
            }
        }
        let datapath = at_once(self.datapath.counters()).expect("counters of a fake");
        self.handle(Input::Counted(datapath));
        if self.engine.has_tunnel() {
            let tunnel = at_once(self.datapath.tunnel()).expect("the tunnel of a fake").map(|(port, _)| port);
            self.handle(Input::Tunnel(tunnel));
        }
        let meters = self.engine.meters(MeterId(0), usize::MAX);
        let read = |meter: MeterId| Some((meter, at_once(self.datapath.meter_stats(meter)).ok()?));
        let stats: Vec<_> = meters.into_iter().filter_map(read).collect();
        if !stats.is_empty() {
            self.handle(Input::MeterStats(stats));
        }
    }

    fn carry_out(&mut self, output: Output) -> Option<(u64, Vec<Answer>)> {
        match output {
            Output::Attach { id, link } => {
                let answer =
                    at_once(self.datapath.attach(&link)).map_or_else(Answer::Refused, Answer::Attached);
                Some((id, vec![answer]))
            }
            Output::Detach { id, vport } => Some((id, vec![answer(at_once(self.datapath.detach(vport)))])),
            Output::Tunnel { id, end } => Some((id, vec![at_once(move_tunnel(&mut self.datapath, end))])),
            Output::Flows { id, changes } => Some((
                id,
                at_once(self.datapath.change_flows(changes)).into_iter().map(flow_answer).collect(),
            )),
            Output::SetUp { id, flows, frames } => {
                Some((id, set_up_answers(at_once(self.datapath.set_up(frames, flows)))))
            }
            Output::Execute { id, frames } => Some((id, answers(at_once(self.datapath.execute(frames))))),
            Output::ReadFlows { id, flows } => {
                let counted = at_once(self.datapath.flow_stats_of(flows)).into_iter();
                Some((id, counted.map(|one| one.map_or_else(Answer::Refused, Answer::Counted)).collect()))
            }
            Output::Meters { id, meters } => {
                let set = meters.into_iter().map(|(meter, rate)| match rate {
                    Some(rate) => at_once(self.datapath.set_meter(meter, rate)),
                    None => at_once(self.datapath.delete_meter(meter)),
                });
                Some((id, answers(set.collect())))
            }
            Output::Groups { id, groups } => Some((id, at_once(change_groups(&mut self.datapath, groups)))),
            Output::Event(event) => {
                self.events.push(event);
                None
            }
            Output::Follow(segments) => {
                self.followed = Some(segments);
                None
            }
            Output::Announce(words) => {
                assert!(self.announced.replace(words).is_none(), "said before the last was answered");
                None
            }
            Output::Save(piece) => {
                if piece.number == 0 {
                    self.saved.clear();
                }
                self.saved.extend(piece.addresses);
                if let Some(bound) = piece.bound {
                    self.bound = bound;
                }
                None
            }
        }
    }

    fn link_of(&self, port: &str) -> &str {
        self.names
            .iter()
            .find(|(name, _)| name == port)
            .map(|(_, link)| link.as_str())
            .expect("a port of the description")
    }
}

/// Ports and their links.
fn names(description: &Description) -> Vec<(String, String)> {
    let ports = description.trunks.iter().chain(&description.ports);
    ports.map(|port| (port.name.clone(), port.link.clone())).collect()
}

/// Those of a host; of all, where the host is none of the description's.
fn names_on(description: &Description, host: &str) -> Vec<(String, String)> {
    let is_one = description.hosts.iter().any(|one| one.name == host);
    let ports =
        description.trunks.iter().chain(&description.ports).filter(|port| !is_one || port.host == host);
    ports.map(|port| (port.name.clone(), port.link.clone())).collect()
}

/// The twin answers at once.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("the fake datapath answers at once")
}

fn answers(results: Vec<Result<(), Refusal>>) -> Vec<Answer> {
    results.into_iter().map(answer).collect()
}
