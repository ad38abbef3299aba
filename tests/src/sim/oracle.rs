//! What a gateway should do, said by the forwarding plane alone: no flows, no cache, every frame judged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use vlan::designation::Designation;
use vlan::fdb::saved::Saved;
use vlan::forward::PortState;
use vlan::frame::{Header, rewrite};
use vlan::model::description::Description;
use vlan::model::id::{HostId, Location};
use vlan::model::topology::Topology;
use vlan::switch::Switch;
use vlan::time::Instant;
use vlan::trace::Silent;
use vlan::verdict::{Decision, Dependency, Effect, Egress, Verdict};

/// A switch and what a host knows around it.
#[derive(Debug)]
pub struct Oracle {
    switch: Switch,
    has_carrier: BTreeMap<String, bool>,
    blocked: BTreeMap<String, Instant>,
}

/// What became of a frame, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    /// Copies by port, in the order of ports.
    pub outputs: Vec<(String, Vec<u8>)>,
    /// Whether the destination was known.
    pub is_known: bool,
    /// Whether it went from one bridge to another.
    pub through_chain: bool,
    /// What was decided.
    pub decision: String,
}

impl Oracle {
    /// Every port has a carrier.
    ///
    /// # Panics
    /// The description does not build.
    pub fn new(description: &Description) -> Oracle {
        let topology = Arc::new(Topology::build(description).expect("a description that builds"));
        let mut oracle = Oracle {
            switch: Switch::new(topology, HostId(0), 0),
            has_carrier: BTreeMap::new(),
            blocked: BTreeMap::new(),
        };
        oracle.refresh(true);
        oracle
    }

    /// Another topology.
    ///
    /// # Panics
    /// The description does not build.
    pub fn change(&mut self, description: &Description) {
        let topology = Arc::new(Topology::build(description).expect("a description that builds"));
        self.switch.set_topology(Arc::clone(&topology), HostId(0));
        self.blocked.retain(|name, _| topology.port_named(name).is_some());
        self.refresh(false);
    }

    /// A port's carrier comes or goes.
    pub fn set_carrier(&mut self, port: &str, carrier: bool) {
        self.has_carrier.insert(port.to_owned(), carrier);
        self.refresh(false);
    }

    /// Ages, and lets blocked ports go.
    pub fn pass(&mut self, now: Instant) {
        while self.switch.fdb.next_due().is_some_and(|due| due <= now) {
            self.switch.fdb.age(now, 1_000);
        }
        self.blocked.retain(|_, until| *until > now);
        self.refresh(false);
    }

    /// As a daemon that was killed and started again: what was learned is known by its age in milliseconds; moves and what was sent
    /// are forgotten.
    pub fn restart(&mut self, now: Instant) {
        let to_ms = |span: Duration| Duration::from_millis(span.as_millis() as u64);
        let saved: Vec<Saved> = self
            .switch
            .fdb
            .save(now)
            .map(|one| Saved { idle: to_ms(one.idle), known: to_ms(one.idle), ..one })
            .collect();
        let topology = Arc::clone(self.switch.topology());
        self.switch = Switch::new(Arc::clone(&topology), HostId(0), 0);
        self.blocked.clear();
        self.refresh(true);
        let ports = topology.ports();
        let policies: Vec<_> = ports
            .iter()
            .map(|port| self.switch.learn_policy(Location::Port { port: port.id, vid: None }, port.id))
            .collect();
        self.switch.fdb.restore(now, saved, |one| match one.location {
            Location::Port { port, .. } => policies.get(port.0 as usize).copied(),
            Location::Fabric { fabric, .. } => {
                let trunk = ports.iter().find(|port| port.group == Some(fabric))?;
                policies.get(trunk.id.0 as usize).copied()
            }
            Location::Host(_) => None,
        });
    }

    /// What becomes of a frame.
    pub fn send(&mut self, now: Instant, port: &str, frame: &[u8]) -> Said {
        let topology = Arc::clone(self.switch.topology());
        let (Some(port), Ok(header)) = (topology.port_named(port), Header::parse(frame)) else {
            return Said { decision: "malformed".to_owned(), ..Said::default() };
        };
        let mut verdict = Verdict::default();
        self.switch.forward(now, port.id, &header, &mut verdict, &mut Silent);
        if let Some(Effect::BlockPort(port)) = verdict.effect {
            self.blocked.insert(topology.port(port).name.clone(), now + BLOCK_FOR);
            self.refresh(false);
        }
        self.note_sent(now, &topology, &verdict);
        said(&topology, &verdict, frame)
    }

    fn note_sent(&mut self, now: Instant, topology: &Topology, verdict: &Verdict) {
        let Some(source) = verdict.source.filter(|_| verdict.decision == Decision::Forward) else { return };
        for output in &verdict.outputs {
            if let Egress::Port(port) = output.to
                && let Some(fabric) = topology.port(port).group
            {
                self.switch.fdb.note_sent(now, source.segment, source.mac, fabric);
            }
        }
    }

    fn refresh(&mut self, is_new: bool) {
        let topology = Arc::clone(self.switch.topology());
        for port in topology.ports() {
            let has_carrier = self.has_carrier.get(&port.name).copied().unwrap_or(true);
            let state = match (has_carrier, self.blocked.contains_key(&port.name)) {
                (false, _) => PortState::Down,
                (true, true) => PortState::Blocked,
                (true, false) => PortState::Up,
            };
            let was = self.switch.set_port_state(port.id, state);
            if !is_new && was == PortState::Up && state != PortState::Up && port.group.is_none() {
                self.switch.fdb.flush_port(port.id);
            }
        }
        let chosen = Designation::among(&topology, |port| self.switch.port_state(port.id) == PortState::Up);
        self.switch.set_designation(chosen);
    }
}

fn said(topology: &Topology, verdict: &Verdict, frame: &[u8]) -> Said {
    let mut outputs = Vec::new();
    for output in &verdict.outputs {
        if let Egress::Port(port) = output.to
            && let Ok(out) = rewrite(frame, usize::from(output.edit.pop), &output.edit.push)
        {
            outputs.push((topology.port(port).name.clone(), out));
        }
    }
    outputs.sort();
    let is_flood = verdict.depends.iter().any(|state| matches!(state, Dependency::Segment(_)));
    let is_forward = verdict.decision == Decision::Forward;
    let arrival = verdict.depends.iter().find_map(|state| match state {
        Dependency::Port(port) => Some(topology.port(*port).bridge),
        _ => None,
    });
    let is_elsewhere = |output: &vlan::verdict::Output| match output.to {
        Egress::Port(port) => Some(topology.port(port).bridge) != arrival,
        Egress::Tunnel { .. } => false,
    };
    Said {
        outputs,
        is_known: is_forward && !is_flood,
        through_chain: is_forward && verdict.outputs.iter().any(is_elsewhere),
        decision: format!("{:?}", verdict.decision),
    }
}

/// How long a BPDU blocks a port (behaviour.md 6).
const BLOCK_FOR: Duration = Duration::from_secs(300);
