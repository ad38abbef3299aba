//! Frames into a bridge: a topology by the first bytes, then what happens to it.
//!
//! The small topologies are those of `vlan`'s stories and of the examples, with several hosts among them; every other input plays a random
//! case of one host against the reference bridge ([`Duel`]), which says for each frame what must come out.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use vlan::designation::Designation;
use vlan::model::description::Description;
use vlan::model::id::PortId;
use vlan::model::topology::Topology;
use vlan::plane::PortState;
use vlan::switch::Switch;
use vlan::time::Instant;
use vlan::verdict::Effect;

use super::feed::Feed;
use super::frame_grammar::frame;
use super::verdicts::Judged;
use crate::rows;
use crate::sim::cases::Case;
use crate::sim::duel::{Duel, hex};
use crate::sim::rng::Rng;

/// Any bytes as a topology and frames into its ports.
///
/// # Panics
/// Something that holds of every frame does not.
pub fn frames(bytes: &[u8]) {
    let mut feed = Feed::new(bytes);
    match feed.byte() {
        kind if kind % 4 == 3 => duel(&mut feed),
        _ => play(&mut feed),
    }
}

/// The reference bridge says what must come out.
fn duel(feed: &mut Feed<'_>) {
    let (case, topology) = case(feed.byte());
    let mut rng = Rng::new(u64::from(feed.byte()));
    let mut duel = Duel::on(case, Arc::clone(topology)).unwrap_or_else(|error| panic!("{error}\n{case}"));
    for _ in 0..MOST_STEPS {
        if feed.is_empty() {
            return;
        }
        duel.wait(&mut rng);
        let port = &topology.ports()[feed.below(topology.ports().len())];
        let sent = (port.name.clone(), frame(feed, port));
        if let Err(difference) = duel.step(&mut rng, &sent) {
            panic!("frame {} into {}\n{difference}\n{case}", hex(&sent.1), sent.0);
        }
    }
}

/// One of the small topologies and what happens to it.
fn play(feed: &mut Feed<'_>) {
    let all = topologies();
    let topology = &all[usize::from(feed.u16()) % all.len()];
    let host = topology.ports()[feed.below(topology.ports().len())].host;
    let ports: Vec<PortId> =
        topology.ports().iter().filter(|port| port.host == host).map(|port| port.id).collect();
    let mut stage = Stage { switch: Switch::offline(Arc::clone(topology), host), now: START };
    for _ in 0..MOST_STEPS {
        if feed.is_empty() {
            return;
        }
        let port = feed.pick(&ports);
        match feed.byte() {
            event @ 0xe0.. => stage.happen(event, port, feed),
            _ => stage.receive(port, &frame(feed, topology.port(port))),
        }
    }
}

struct Stage {
    switch: Switch,
    now: Instant,
}

impl Stage {
    /// A link changes, time passes, somebody is told who carries what.
    fn happen(&mut self, event: u8, port: PortId, feed: &mut Feed<'_>) {
        let topology = Arc::clone(self.switch.topology());
        match event % 8 {
            0 => drop(self.switch.set_port_state(port, PortState::Down)),
            1 => drop(self.switch.set_port_state(port, PortState::Up)),
            2 => drop(self.switch.set_port_state(port, PortState::Blocked)),
            3 => drop(self.switch.set_designation(Designation::Everyone)),
            4 => drop(self.switch.set_designation(Designation::among(&topology, |live| live.id != port))),
            5 => self.switch.set_topology(Arc::clone(&topology), self.switch.host()),
            _ => {
                self.now = self.now + Duration::from_millis(u64::from(feed.u16()) * 10);
                drop(self.switch.fdb.addresses.age(self.now, usize::MAX));
            }
        }
    }

    fn receive(&mut self, port: PortId, bytes: &[u8]) {
        let Some(judged) = Judged::forward(&mut self.switch, self.now, port, bytes) else { return };
        judged.check(&self.switch, self.now);
        if let Some(Effect::BlockPort(port)) = judged.verdict.effect {
            self.switch.set_port_state(port, PortState::Blocked);
        }
    }
}

/// The number by which an input chooses the topology of a description.
pub(super) fn find(description: &Description) -> Option<(usize, &'static Topology)> {
    let all = topologies();
    let number = all.iter().position(|topology| topology.description() == description)?;
    Some((number, &all[number]))
}

/// A random case, made and compiled once.
fn case(seed: u8) -> &'static (Case, Arc<Topology>) {
    static ALL: [OnceLock<(Case, Arc<Topology>)>; 256] = [const { OnceLock::new() }; 256];
    ALL[usize::from(seed)].get_or_init(|| {
        let case = Case::random(&mut Rng::new(FIRST_CASE + u64::from(seed)));
        let topology = Topology::build(&case.description).expect("a case is accepted");
        (case, Arc::new(topology))
    })
}

/// Every topology of the stories and the examples, compiled once.
fn topologies() -> &'static [Arc<Topology>] {
    static ALL: OnceLock<Vec<Arc<Topology>>> = OnceLock::new();
    ALL.get_or_init(|| {
        let stories = rows::stories().into_iter().map(|story| story.description);
        let build = |description: Description| Topology::build(&description).ok().map(Arc::new);
        let mut all: Vec<Arc<Topology>> = Vec::new();
        for topology in super::examples::descriptions().into_iter().chain(stories).filter_map(build) {
            if !topology.ports().is_empty() && !all.contains(&topology) {
                all.push(topology);
            }
        }
        all
    })
}

/// The cases of the simulation begin at 1.
const FIRST_CASE: u64 = 1_000_000;
/// Frames and events of one input.
const MOST_STEPS: usize = 24;
/// Later than any span that is taken off a time.
const START: Instant = Instant::from_secs(1_000);
