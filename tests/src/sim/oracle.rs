//! What a gateway should do, said by the forwarding plane alone: no flows, no cache, every frame judged.

use std::sync::Arc;
use std::time::Duration;

use vlan::fdb::saved::Saved;
use vlan::frame::{Header, rewrite};
use vlan::model::description::Description;
use vlan::model::topology::Topology;
use vlan::switch::Switch;
use vlan::time::Instant;
use vlan::trace::Silent;
use vlan::verdict::{Decision, Dependency, DropReason, Effect, Egress, Verdict};

use super::reference::Designated;
use super::standing::Standing;

/// A host whose frames are judged one by one.
#[derive(Debug)]
pub struct Oracle {
    host: Standing,
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
    /// What was decided: `forward`, or `drop` with the reason.
    pub decision: String,
}

/// What the frames of many cases were made of.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mix {
    /// All.
    pub frames: u64,
    /// Those of which a copy left.
    pub forwarded: u64,
    /// Those to a known address.
    pub known: u64,
    /// Those that went from one bridge to another.
    pub chained: u64,
}

impl Mix {
    /// Adds a frame.
    pub fn add(&mut self, said: &Said) {
        self.frames += 1;
        self.forwarded += u64::from(!said.outputs.is_empty());
        self.known += u64::from(said.is_known);
        self.chained += u64::from(said.through_chain);
    }

    /// Adds those of another run.
    pub fn with(self, other: Mix) -> Mix {
        Mix {
            frames: self.frames + other.frames,
            forwarded: self.forwarded + other.forwarded,
            known: self.known + other.known,
            chained: self.chained + other.chained,
        }
    }

    /// How many of a hundred frames `part` is, rounded down.
    pub fn percent(&self, part: u64) -> u64 {
        part * 100 / self.frames.max(1)
    }
}

impl Oracle {
    /// Every port has a carrier.
    ///
    /// # Panics
    /// The description does not build.
    pub fn new(description: &Description) -> Oracle {
        Oracle { host: Standing::new(description) }
    }

    /// One whose designation is not its own choice.
    ///
    /// # Panics
    /// The description does not build.
    pub fn told(description: &Description, designated: &Designated) -> Oracle {
        Oracle { host: Standing::told(description, designated) }
    }

    /// Another topology.
    ///
    /// # Panics
    /// The description does not build.
    pub fn change(&mut self, description: &Description) {
        self.host.change(description);
    }

    /// A port's carrier comes or goes.
    pub fn set_carrier(&mut self, port: &str, carrier: bool) {
        self.host.set_carrier(port, carrier);
    }

    /// Ages, and lets blocked ports go.
    pub fn pass(&mut self, now: Instant) {
        let fdb = &mut self.host.switch.fdb;
        while fdb.addresses.next_due().is_some_and(|due| due <= now) {
            fdb.addresses.age(now, 1_000);
        }
        self.host.unblock(now);
    }

    /// The switch.
    pub fn switch(&self) -> &Switch {
        &self.host.switch
    }

    /// As a daemon that was killed and started again: what was learned is known by its age in milliseconds; moves and what was sent
    /// are forgotten.
    pub fn restart(&mut self, now: Instant) {
        let to_ms = |span: Duration| Duration::from_millis(span.as_millis() as u64);
        let save = self.host.switch.fdb.addresses.save(now);
        let saved: Vec<Saved> =
            save.map(|one| Saved { idle: to_ms(one.idle), known: to_ms(one.idle), ..one }).collect();
        self.host.restart();
        self.host.switch.restore(now, saved);
    }

    /// What becomes of a frame.
    pub fn send(&mut self, now: Instant, port: &str, frame: &[u8]) -> Said {
        let topology = Arc::clone(self.host.switch.topology());
        let (Some(port), Ok(header)) = (topology.port_named(port), Header::parse(frame)) else {
            let decision = name(Decision::Drop(DropReason::Malformed));
            return Said { decision, ..Said::default() };
        };
        let mut verdict = Verdict::default();
        self.host.switch.forward(now, port.id, &header, &mut verdict, &mut Silent);
        if let Some(Effect::BlockPort(port)) = verdict.effect {
            self.host.block(now, port);
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
                self.host.switch.fdb.sent.note(now, source.echo(verdict.likeness, fabric));
            }
        }
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
        Egress::Tunnel { .. } | Egress::Hosts { .. } => false,
    };
    Said {
        outputs,
        is_known: is_forward && !is_flood,
        through_chain: is_forward && verdict.outputs.iter().any(is_elsewhere),
        decision: name(verdict.decision),
    }
}

fn name(decision: Decision) -> String {
    match decision {
        Decision::Forward => "forward".to_owned(),
        Decision::Unjudged => "unjudged".to_owned(),
        Decision::Drop(reason) => format!("drop {reason}"),
    }
}
