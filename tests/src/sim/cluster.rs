//! Several hosts of one topology, each with an engine and a datapath in memory, on one underlay.

use std::net::IpAddr;
use std::time::Duration;

use agent::engine::Settings;
use agent::input::Input;
use datapath::fake::{FakeUnderlay, FakeWire};
use vlan::model::description::{Description, HostKind};
use vlan::model::numbers::Numbers;
use vlan::model::topology::Topology;
use vlan::time::Instant;

use super::feed::{Listener, SimFeed};
use super::gateway::Gateway;

/// The hosts of a description, and what lies between them.
pub struct Cluster {
    /// The network that carries their tunnels.
    pub underlay: FakeUnderlay,
    /// What they tell each other of addresses.
    pub feed: SimFeed,
    hosts: Vec<Member>,
    newest: Revision,
}

/// What was published once.
#[derive(Clone)]
struct Revision {
    number: u64,
    description: Description,
    /// Dealt out from revision to revision, as whoever publishes does.
    numbers: Numbers,
}

/// A host.
struct Member {
    name: String,
    wire: FakeWire,
    gateway: Gateway,
    listener: Listener,
    /// What is in force on it.
    revision: Revision,
    /// How often its daemon was started.
    runs: u64,
}

impl Cluster {
    /// Starts every l2gw host of a description at this moment. VTEPs are addresses that keep what they get.
    pub fn start(description: &Description, start: Instant) -> Cluster {
        let underlay = FakeUnderlay::default();
        let numbers = numbers_after(&Numbers::default(), description);
        let newest = Revision { number: 1, description: description.clone(), numbers };
        let mut hosts = Vec::new();
        for host in &description.hosts {
            let addresses: Vec<IpAddr> = host.underlay.into_iter().collect();
            if host.kind == HostKind::Vtep {
                addresses.into_iter().for_each(|address| underlay.add_vtep(address));
                continue;
            }
            let wire = Gateway::wire(&of_host(description, &host.name), start);
            underlay.join(&wire, &addresses);
            let settings = Settings::new(host.name.clone());
            let gateway = Gateway::start(&wire, settings, (1, description), Vec::new());
            let listener = Listener::default();
            let revision = newest.clone();
            hosts.push(Member { name: host.name.clone(), wire, gateway, listener, revision, runs: 1 });
        }
        let mut cluster = Cluster { underlay, feed: SimFeed::default(), hosts, newest };
        cluster.settle();
        cluster
    }

    /// A host's engine.
    ///
    /// # Panics
    /// There is no such host.
    pub fn host(&mut self, name: &str) -> &mut Gateway {
        &mut self.member(name).gateway
    }

    /// The description that was published last.
    pub fn description(&self) -> &Description {
        &self.newest.description
    }

    /// The numbers that were dealt out to it.
    pub fn numbers(&self) -> &Numbers {
        &self.newest.numbers
    }

    /// The description in force on a host.
    ///
    /// # Panics
    /// There is no such host.
    pub fn in_force(&self, name: &str) -> &Description {
        let member = self.hosts.iter().find(|host| host.name == name);
        &member.expect("a host of the description").revision.description
    }

    /// Whether every host goes by the revision that was published last.
    pub fn is_of_one_mind(&self) -> bool {
        self.hosts.iter().all(|host| host.revision.number == self.newest.number)
    }

    /// What it is now on every host.
    pub fn now(&self) -> Instant {
        self.hosts[0].wire.now()
    }

    /// Sends a frame into a port and returns what left by which port of any host, in the order of ports.
    pub fn send(&mut self, port: &str, frame: &[u8]) -> Vec<(String, Vec<u8>)> {
        let Description { trunks, ports, .. } = self.description();
        let ports = trunks.iter().chain(ports);
        let host = ports.into_iter().find(|one| one.name == port).map(|port| port.host.clone());
        self.host(&host.expect("a port of the description")).inject(port, frame);
        self.settle();
        let mut sent: Vec<_> = self.hosts.iter_mut().flat_map(|host| host.gateway.take_sent()).collect();
        sent.sort();
        sent
    }

    /// Sends a frame into a port and returns the ports that it left by.
    pub fn reached(&mut self, port: &str, frame: &[u8]) -> Vec<String> {
        self.send(port, frame).into_iter().map(|(port, _)| port).collect()
    }

    /// Lets time pass on every host, a piece at a time, as long as the shortest of what hosts wait for.
    pub fn pass(&mut self, span: Duration) {
        let end = self.now() + span;
        while self.now() < end {
            let step = end.since(self.now()).min(STEP);
            self.hosts.iter().for_each(|host| host.wire.advance(step));
            self.settle();
        }
    }

    /// Puts another revision in force on every host.
    pub fn change(&mut self, revision: u64, description: &Description) {
        self.publish(revision, description);
        for host in &mut self.hosts {
            host.adopt(&self.newest);
        }
        self.settle();
    }

    /// Deals out the numbers of another revision. It is in force where it is [adopted](Self::adopt).
    pub fn publish(&mut self, number: u64, description: &Description) {
        let numbers = numbers_after(&self.newest.numbers, description);
        self.newest = Revision { number, description: description.clone(), numbers };
    }

    /// Puts the revision that was published last in force on one host.
    pub fn adopt(&mut self, name: &str) {
        let newest = self.newest.clone();
        self.member(name).adopt(&newest);
        self.settle();
    }

    /// A daemon that was killed starts again, with the revision that it had. What its kernel has is there still.
    pub fn restart(&mut self, name: &str) {
        let member = self.member(name);
        member.runs += 1;
        let settings = Settings { seed: 5 + member.runs, session: member.runs, ..Settings::new(name) };
        let saved = std::mem::take(&mut member.gateway.saved);
        let Revision { number, description, numbers } = &member.revision;
        let revision = (*number, description, Some(numbers));
        member.gateway = Gateway::start_by(&member.wire, settings, revision, saved);
        member.listener.forget();
        self.settle();
    }

    /// Carries on until no host has anything left to do now.
    pub fn settle(&mut self) {
        loop {
            // Each has its turn, whether another was busy or not.
            let feed = &mut self.feed;
            let is_busy = |host: &mut Member| {
                host.gateway.settle_once() | feed.pass_on(&mut host.listener, &mut host.gateway)
            };
            let busy = self.hosts.iter_mut().map(is_busy).filter(|is_busy| *is_busy).count();
            if busy == 0 {
                break;
            }
        }
        for host in &mut self.hosts {
            host.gateway.read_statistics();
        }
    }

    /// Cuts a host off from the store, or lets it be reached again. The host is told when it has found out.
    pub fn cut_off(&mut self, name: &str, is_cut: bool, is_told: bool) {
        let member = self.member(name);
        member.listener.is_cut = is_cut;
        if is_told {
            member.gateway.handle(match is_cut {
                true => Input::StoreAway { why: "nobody is there".to_owned() },
                false => Input::StoreBack,
            });
        }
        self.settle();
    }

    /// How a host hears the feed.
    pub fn listener(&mut self, name: &str) -> &mut Listener {
        &mut self.member(name).listener
    }

    /// What left by which port of which host since this was last asked.
    pub fn take_sent(&mut self) -> Vec<(String, String, Vec<u8>)> {
        let of = |host: &mut Member| {
            let sent = host.gateway.take_sent().into_iter();
            let name = host.name.clone();
            sent.map(move |(port, frame)| (name.clone(), port, frame)).collect::<Vec<_>>()
        };
        self.hosts.iter_mut().flat_map(of).collect()
    }

    fn member(&mut self, name: &str) -> &mut Member {
        self.hosts.iter_mut().find(|host| host.name == name).expect("a host of the description")
    }
}

impl Member {
    fn adopt(&mut self, revision: &Revision) {
        let Revision { number, description, numbers } = revision;
        self.gateway.change_by(*number, description, Some(numbers));
        self.revision = revision.clone();
    }
}

/// The numbers of a description that follows the one that has these.
fn numbers_after(before: &Numbers, description: &Description) -> Numbers {
    let topology = Topology::build(description).expect("a description that builds");
    before.after(&topology).expect("numbers for it")
}

/// A description with the ports of one host alone.
fn of_host(description: &Description, host: &str) -> Description {
    let mut own = description.clone();
    own.trunks.retain(|port| port.host == host);
    own.ports.retain(|port| port.host == host);
    own
}

/// Hellos are sent every 100 ms at most.
const STEP: Duration = Duration::from_millis(50);
