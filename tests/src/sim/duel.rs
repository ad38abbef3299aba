//! The forwarding plane and the reference bridge side by side: the same frame to both, and what must hold of every verdict.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use vlan::designation::Designation;
use vlan::frame::{self, Header};
use vlan::model::description::{BridgeKind, Description};
use vlan::model::id::{HostId, PortId};
use vlan::model::topology::Topology;
use vlan::plane::PortState;
use vlan::switch::Switch;
use vlan::time::Instant;
use vlan::trace::Silent;
use vlan::verdict::{Decision, Effect, Egress, Verdict};
use vlan::vid::Vid;

use super::cases::Case;
use super::reference::{Designated, Fate, Reference, Travel};
use super::rng::Rng;
use super::traffic::Sent;

/// Both sides of one case.
#[derive(Debug)]
pub struct Duel<'a> {
    case: &'a Case,
    topology: Arc<Topology>,
    switch: Switch,
    reference: Reference,
    now: Instant,
    blocked: Vec<(PortId, Instant)>,
    verdict: Verdict,
}

/// What both sides agree on.
#[derive(Debug)]
pub struct Agreed {
    /// What became of the frame.
    pub fate: Fate,
    /// How it travelled.
    pub travel: Travel,
    /// How many frames that the verdict cannot tell from this one were tried.
    pub twins: usize,
}

impl<'a> Duel<'a> {
    /// Both sides of a case, with no address but the declared ones.
    ///
    /// # Errors
    /// A description that one of the sides does not understand.
    pub fn new(case: &'a Case) -> Result<Duel<'a>, String> {
        let topology = Topology::build(&case.description).map_err(|mistakes| format!("{mistakes:?}"))?;
        Duel::on(case, Arc::new(topology))
    }

    /// As [`new`](Self::new), with the case's topology, which takes longer to compile than a frame to judge.
    ///
    /// # Errors
    /// A description that one of the sides does not understand.
    pub fn on(case: &'a Case, topology: Arc<Topology>) -> Result<Duel<'a>, String> {
        let reference = Reference::new(&case.description, case.designation.clone(), &case.down)
            .ok_or("a name is missing in the description")?;
        let mut switch = Switch::offline(Arc::clone(&topology), HostId(0));
        for name in &case.down {
            let port = topology.port_named(name).ok_or("a port that is down is missing")?;
            switch.set_port_state(port.id, PortState::Down);
        }
        switch.set_designation(compile(&topology, &case.designation));
        let now = Instant::from_nanos(1_000_000_007);
        Ok(Duel { case, topology, switch, reference, now, blocked: Vec::new(), verdict: Verdict::default() })
    }

    /// Lets time pass, more than the second in which a frame of ours may come back (behaviour.md 4) and so much that no
    /// address moves five times in 180 s.
    pub fn wait(&mut self, rng: &mut Rng) {
        self.now = self.now + Duration::from_secs(rng.between(46, 90) as u64);
        let now = self.now;
        let (over, still): (Vec<_>, Vec<_>) = self.blocked.drain(..).partition(|(_, until)| *until <= now);
        self.blocked = still;
        for (port, _) in over {
            self.switch.set_port_state(port, PortState::Up);
        }
    }

    /// Sends a frame into a port of both sides.
    ///
    /// # Errors
    /// Where they differ, or an invariant does not hold.
    pub fn step(&mut self, rng: &mut Rng, (port, bytes): &Sent) -> Result<Agreed, String> {
        let (expected, travel) = self.reference.forward(self.now, port, bytes);
        let id = self.topology.port_named(port).ok_or("no such port")?.id;
        let got = self.forward(id, bytes)?;
        if !agree(&expected, &got) {
            return Err(format!("expected {}\n     got {}", show(&expected), show(&got)));
        }
        self.hold(port, bytes, &got)?;
        let twins = match Header::parse(bytes) {
            Ok(header) if self.verdict.effect.is_none() => self.try_twins(rng, (port, id), bytes, &header)?,
            _ => 0,
        };
        if let Some(Effect::BlockPort(port)) = self.verdict.effect {
            self.switch.set_port_state(port, PortState::Blocked);
            self.blocked.push((port, self.now + Duration::from_secs(300)));
        }
        Ok(Agreed { fate: expected, travel, twins })
    }

    fn forward(&mut self, port: PortId, bytes: &[u8]) -> Result<Fate, String> {
        self.verdict.clear();
        let Ok(header) = Header::parse(bytes) else { return Ok(Fate::Drop("malformed")) };
        self.switch.forward(self.now, port, &header, &mut self.verdict, &mut Silent);
        fate(&self.topology, &self.verdict, bytes)
    }

    /// What holds whatever the reference says.
    fn hold(&self, port: &str, bytes: &[u8], fate: &Fate) -> Result<(), String> {
        let Fate::Forward(outputs) = fate else { return Ok(()) };
        let fabric = self.reference.fabric_of(port);
        let mut carriers = BTreeSet::new();
        for (name, out) in outputs {
            if name == port {
                return Err(format!("leaves by the arrival port {port}"));
            }
            let group = self.reference.fabric_of(name);
            if group.is_some() && group == fabric {
                return Err(format!("came in by {port} and leaves by {name}, both of fabric {group:?}"));
            }
            let is_second = group.is_some_and(|group| !carriers.insert(group));
            if is_second && self.case.is_own_designation && !joins_vids(&self.case.description) {
                return Err(format!("leaves by {name} and by another trunk of fabric {group:?}"));
            }
            if out[..12] != bytes[..12] {
                return Err(format!("leaves by {name} with other addresses"));
            }
        }
        Ok(())
    }

    /// Frames that agree with this one in every consulted field: the verdict, applied to them, must give what the reference gives.
    fn try_twins(
        &self,
        rng: &mut Rng,
        (port, id): (&str, PortId),
        bytes: &[u8],
        header: &Header,
    ) -> Result<usize, String> {
        let mut tried = 0;
        for _ in 0..4 {
            let twin = mutated(rng, bytes);
            let Ok(twin_header) = Header::parse(&twin) else { continue };
            if twin_header == *header || !self.verdict.consulted.agree(header, &twin_header) {
                continue;
            }
            tried += 1;
            let mut judged = Verdict::default();
            self.switch.judge(self.now, id, &twin_header, &mut judged, &mut Silent);
            let cached = fate(&self.topology, &self.verdict, &twin)?;
            let (expected, _) = self.reference.clone().forward(self.now, port, &twin);
            let alone = fate(&self.topology, &judged, &twin)?;
            if !agree(&expected, &cached) || !agree(&cached, &alone) {
                return Err(format!(
                    "not cacheable: consulted {:?}\n    twin {}\nexpected {}\n  cached {}\n   alone {}",
                    self.verdict.consulted,
                    hex(&twin),
                    show(&expected),
                    show(&cached),
                    show(&alone)
                ));
            }
        }
        Ok(tried)
    }
}

/// A verdict applied to a frame.
fn fate(topology: &Topology, verdict: &Verdict, bytes: &[u8]) -> Result<Fate, String> {
    match verdict.decision {
        Decision::Unjudged => Err("unjudged".to_owned()),
        Decision::Drop(reason) => Ok(Fate::Drop(reason.name())),
        Decision::Forward => {
            let mut outputs = Vec::new();
            for output in &verdict.outputs {
                let Egress::Port(port) = output.to else { return Err(format!("{output:?} on one host")) };
                let edit = &output.edit;
                let out =
                    frame::rewrite(bytes, usize::from(edit.pop), &edit.push).map_err(|e| e.to_string())?;
                outputs.push((topology.port(port).name.clone(), out));
            }
            outputs.sort();
            Ok(Fate::Forward(outputs))
        }
    }
}

/// Whether both say the same. Of several reasons to drop a frame the two may name different ones: which is tested first is not
/// a contract, that it is dropped is.
fn agree(expected: &Fate, got: &Fate) -> bool {
    matches!((expected, got), (Fate::Drop(_), Fate::Drop(_))) || expected == got
}

/// One field of the frame changed, or a tag put in or taken out.
fn mutated(rng: &mut Rng, bytes: &[u8]) -> Vec<u8> {
    let mut twin = bytes.to_vec();
    let tags = Header::parse(bytes).map_or(0, |header| header.tags.len());
    let at = 12 + 4 * rng.below(tags.max(1));
    match rng.below(8) {
        0 => twin[5] ^= 1 << rng.below(8),
        1 => twin[0] ^= 1,
        2 if tags > 0 => twin[at + 2] ^= 0x20 << rng.below(3),
        3 if tags > 0 => twin[at + 2] ^= 0x10,
        4 if tags > 0 => twin[at + 3] ^= 1 << rng.below(8),
        5 if tags > 0 => drop(twin.drain(at..at + 4)),
        6 => drop(twin.splice(at..at, [0x81, 0, 0x20 * rng.below(8) as u8, *rng.pick(&[0, 8, 9, 77])])),
        _ => {
            let end = 12 + 4 * tags;
            let other: u16 = *rng.pick(&[0x0806, 0x9100, 0x88b5, 0x88cc]);
            twin[end..end + 2].copy_from_slice(&other.to_be_bytes());
        }
    }
    twin
}

fn joins_vids(description: &Description) -> bool {
    let joins = |kind: &BridgeKind| matches!(kind, BridgeKind::VlanAware { join_vids: true, .. });
    description.bridges.iter().any(|bridge| joins(&bridge.kind))
}

/// A designation in the words of `vlan`.
pub fn compile(topology: &Topology, designated: &Designated) -> Designation {
    let Designated::Map(map) = designated else { return Designation::Everyone };
    let entry = |((bridge, vid), trunk): (&(String, u16), &String)| {
        let bridge = topology.bridge_named(bridge)?.id;
        Some(((bridge, Vid::new(*vid)?), topology.port_named(trunk)?.id))
    };
    Designation::Map(map.iter().filter_map(entry).collect())
}

/// A fate as text, a line a copy.
pub fn show(fate: &Fate) -> String {
    match fate {
        Fate::Forward(outputs) => {
            let each: Vec<String> =
                outputs.iter().map(|(port, bytes)| format!("\n         {port} {}", hex(bytes))).collect();
            format!("{} copies{}", outputs.len(), each.concat())
        }
        Fate::Drop(reason) => format!("drop {reason}"),
    }
}

/// Bytes as `l2gw trace --frame` takes them.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
