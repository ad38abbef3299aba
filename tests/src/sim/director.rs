//! A random case as a play: what happens, one thing after another, and what the forwarding plane says to each frame. Whoever is to do
//! the same is told each [`Scene`] and compares.
//!
//! Scenes are new frames, frames that were sent before (which meet flows, perhaps with something else in what verdicts do not look
//! at), carriers that come and go, time, and other topologies.

use std::fmt::{self, Display, Formatter, Write as _};
use std::time::Duration;

use vlan::fdb::ECHO;
use vlan::model::description::{Description, OnLimit};
use vlan::model::topology::Topology;
use vlan::tag::Tag;
use vlan::time::Instant;

use super::cases::Case;
use super::duel::hex;
use super::oracle::{Oracle, Said};
use super::rng::Rng;
use super::traffic::{Sent, Traffic};

/// The writer of a play, and its prompter.
pub struct Director {
    /// The case, with the topology in force.
    pub case: Case,
    /// The forwarding plane.
    pub oracle: Oracle,
    rng: Rng,
    traffic: Option<Traffic>,
    now: Instant,
    bounds: Bounds,
    is_limited: bool,
    left: usize,
    down: Vec<String>,
    sent: Vec<Sent>,
    soon: Vec<Scene>,
    story: String,
}

/// Something that happens.
#[derive(Debug, Clone)]
pub enum Scene {
    /// Time passes.
    Pass(Duration),
    /// A port's carrier comes or goes.
    Carrier(String, bool),
    /// Another topology, every port of it with a carrier.
    Revision(Description),
    /// A frame arrives.
    Frame {
        /// Where, and its bytes.
        sent: Sent,
        /// What becomes of it.
        said: Said,
        /// Whether the port has a carrier.
        has_carrier: bool,
    },
}

/// What a case may have.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Most ports of a topology.
    pub ports: usize,
    /// Whether frames may end anywhere behind the first 14 bytes. Otherwise a cut frame keeps its tags, its EtherType and 4 bytes more: a
    /// kernel takes the first tag off what it receives, and drops what has less than 2 bytes behind it (`skb_vlan_untag`).
    pub may_end_in_tags: bool,
}

/// Who says which trunk carries a VLAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Each host for itself, by the same rule.
    Own,
    /// The case, at random.
    Told,
}

impl Director {
    /// The play of a seed, which begins at `start`.
    pub fn new(seed: u64, choice: Choice, start: Instant, bounds: Bounds) -> Director {
        let mut rng = Rng::new(seed);
        let mut case = random_case(&mut rng, bounds.ports);
        let is_limited = limit_addresses(&mut rng, &mut case.description);
        let oracle = match choice {
            Choice::Told => Oracle::told(&case.description, &case.designation),
            Choice::Own => Oracle::new(&case.description),
        };
        Director {
            oracle,
            traffic: Traffic::new(&case.description),
            now: start,
            bounds,
            is_limited,
            left: rng.between(8, 30),
            down: Vec::new(),
            sent: Vec::new(),
            soon: Vec::new(),
            story: String::new(),
            rng,
            case,
        }
    }

    /// The next scene, already played by the oracle.
    pub fn next_scene(&mut self) -> Option<Scene> {
        let scene = match self.soon.pop() {
            Some(scene) => scene,
            None => self.invent()?,
        };
        Some(self.rehearse(scene))
    }

    /// What happened so far, and in which topology.
    pub fn story(&self) -> String {
        format!("{}\n{}", self.story, self.case)
    }

    /// What the clock says.
    pub fn now(&self) -> Instant {
        self.now
    }

    fn invent(&mut self) -> Option<Scene> {
        self.left = self.left.checked_sub(1)?;
        Some(match self.rng.below(100) {
            0..25 => Scene::Pass(Duration::from_millis(*self.rng.pick(&SPANS))),
            25..29 if !self.ports().is_empty() => self.flap(),
            29..31 => self.revise(),
            31..60 if !self.sent.is_empty() => self.repeat(),
            _ => {
                let sent = self.traffic.as_mut()?.next(&mut self.rng);
                self.sent.push(sent.clone());
                self.frame(sent)
            }
        })
    }

    /// A frame, after a pause where it matters which address was heard first: that is told apart by seconds.
    fn frame(&mut self, sent: Sent) -> Scene {
        let frame = Scene::Frame { sent, said: Said::default(), has_carrier: true };
        if !self.is_limited {
            return frame;
        }
        self.soon.push(frame);
        Scene::Pass(Duration::from_millis(1_100))
    }

    fn repeat(&mut self) -> Scene {
        let (port, mut frame) = self.rng.pick(&self.sent).clone();
        match self.rng.below(4) {
            // Frames end with their number, and a case has fewer than 128.
            0 => *frame.last_mut().expect("a frame has bytes") ^= 0x80,
            1 if frame[12..14] == [0x81, 0] => frame[14] ^= 0x20 << self.rng.below(3),
            2 => {
                let least =
                    if self.bounds.may_end_in_tags { ETHERNET_HEADER } else { end_of_header(&frame) + 4 };
                frame.truncate(self.rng.between(least.min(frame.len()), frame.len()));
            }
            _ => {}
        }
        self.frame((port, frame))
    }

    fn flap(&mut self) -> Scene {
        let ports = self.ports();
        let port = self.rng.pick(&ports).clone();
        let has_carrier = self.down.contains(&port);
        Scene::Carrier(port, has_carrier)
    }

    /// A topology of other objects, or the same one with something left out.
    fn revise(&mut self) -> Scene {
        let next = match self.rng.below(4) {
            0 => random_case(&mut self.rng, self.bounds.ports).description,
            1 => without_a_peering(&mut self.rng, &self.case.description),
            _ => without_a_port(&mut self.rng, &self.case.description),
        };
        if Topology::build(&next).is_err() {
            return Scene::Pass(ECHO);
        }
        // What was sent a moment ago is forgotten by the switch with the old topology, and remembered by tables.
        self.soon.push(Scene::Pass(ECHO + Duration::from_millis(1)));
        Scene::Revision(next)
    }

    fn rehearse(&mut self, scene: Scene) -> Scene {
        let _ = writeln!(self.story, "  {scene}");
        match scene {
            Scene::Pass(span) => {
                self.now = self.now + span;
                self.oracle.pass(self.now);
                Scene::Pass(span)
            }
            Scene::Carrier(port, has_carrier) => {
                self.down.retain(|other| *other != port);
                self.down.extend((!has_carrier).then(|| port.clone()));
                self.oracle.set_carrier(&port, has_carrier);
                Scene::Carrier(port, has_carrier)
            }
            Scene::Revision(description) => {
                for port in std::mem::take(&mut self.down) {
                    self.oracle.set_carrier(&port, true);
                }
                self.oracle.change(&description);
                self.case.description = description.clone();
                let ports = self.ports();
                self.sent.retain(|(port, _)| ports.contains(port));
                self.traffic = Traffic::new(&description);
                Scene::Revision(description)
            }
            Scene::Frame { sent: (port, frame), .. } => {
                let said = self.oracle.send(self.now, &port, &frame);
                self.traffic.iter_mut().for_each(|traffic| traffic.hear(&said.outputs));
                let has_carrier = !self.down.contains(&port);
                Scene::Frame { sent: (port, frame), said, has_carrier }
            }
        }
    }

    fn ports(&self) -> Vec<String> {
        let description = &self.case.description;
        description.trunks.iter().chain(&description.ports).map(|port| port.name.clone()).collect()
    }
}

impl Display for Scene {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Scene::Pass(span) => write!(f, "{span:?} pass"),
            Scene::Carrier(port, true) => write!(f, "{port} up"),
            Scene::Carrier(port, false) => write!(f, "{port} down"),
            Scene::Revision(_) => {
                f.write_str("another topology, later replaced by the one below if there is another")
            }
            Scene::Frame { sent: (port, frame), .. } => write!(f, "{port} {}", hex(frame)),
        }
    }
}

/// Where the EtherType behind all that looks like a tag ends.
fn end_of_header(frame: &[u8]) -> usize {
    let mut end = ETHERNET_HEADER;
    while matches!(frame.get(end - 2..end), Some([0x81, 0x00] | [0x88, 0xa8] | [0x91, 0x00])) {
        end += Tag::LEN;
    }
    end
}

/// Two outer VLANs that lead into one VAB make a segment of each of its 4 094 VLANs, and a case that costs as much as a hundred
/// others: only one in four of those is played.
fn random_case(rng: &mut Rng, most_ports: usize) -> Case {
    loop {
        let case = Case::random(rng);
        let ports = case.description.trunks.len() + case.description.ports.len();
        let segments = Topology::build(&case.description).map_or(0, |topology| topology.segments().len());
        if ports <= most_ports && (segments < 1_000 || rng.chance(25)) {
            return case;
        }
    }
}

/// Now and then ports have room for few addresses, besides those where they stick. Whether this is such a case.
fn limit_addresses(rng: &mut Rng, description: &mut Description) -> bool {
    let is_limited = rng.chance(30);
    for port in description.trunks.iter_mut().chain(&mut description.ports) {
        if is_limited && port.sticky.is_none() && rng.chance(50) {
            port.mac_limit = Some(rng.between(1, 3) as u32);
            port.on_limit = *rng.pick(&[OnLimit::Evict, OnLimit::Drop, OnLimit::Flood]);
        }
    }
    is_limited || description.ports.iter().any(|port| port.sticky.is_some())
}

fn without_a_port(rng: &mut Rng, description: &Description) -> Description {
    let mut next = description.clone();
    if !next.ports.is_empty() && rng.chance(50) {
        next.ports.remove(rng.below(next.ports.len()));
    } else if !next.trunks.is_empty() {
        next.trunks.remove(rng.below(next.trunks.len()));
    }
    next
}

fn without_a_peering(rng: &mut Rng, description: &Description) -> Description {
    let mut next = description.clone();
    if !next.vlans.is_empty() {
        next.vlans.remove(rng.below(next.vlans.len()));
    }
    next
}

/// Milliseconds that pass at once: within the second in which a frame of ours may come back, and beyond ageing times.
const SPANS: [u64; 8] = [1, 400, 900, 2_000, 30_000, 61_000, 61_000, 400_000];
/// Destination, source and EtherType (802.3 3.1.1).
const ETHERNET_HEADER: usize = 14;
