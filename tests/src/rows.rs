//! Every row of `vlan`'s table and stories on a backend.

use std::sync::Arc;
use std::time::Duration;

use vlan::addr::MacAddr;
use vlan::designation::Designation;
use vlan::model::description::Description;
use vlan::model::id::Location;
use vlan::vid::Vid;

use crate::sim::flow_host::FlowHost;
use crate::sim::standing::Standing;
use crate::sim::table_gateway::TableGateway;
use crate::sim::traffic::Sent;
use crate::suite::Rig;
use table::{Fate, Frame, Story, To, What};

#[path = "../../vlan/tests/table/mod.rs"]
pub mod table;

/// A backend with a host on it.
pub trait Side {
    /// Sends a frame into a port.
    fn send(&mut self, port: &str, frame: &[u8]) -> impl Future<Output = Seen>;

    /// Lets time pass.
    fn wait(&mut self, span: Duration) -> impl Future<Output = ()>;

    /// Changes what is known around the switch.
    fn change(&mut self, change: impl FnOnce(&mut Standing)) -> impl Future<Output = ()>;
}

/// What a backend did with a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Copies by port, in the order of ports.
    pub outputs: Vec<Sent>,
    /// `forward`, or `drop` with the reason; `None` where the backend cannot tell.
    pub decision: Option<String>,
    /// Why it could not do as the row says, if there is a reason.
    pub excuse: Option<&'static str>,
}

/// All stories of the table and of the stories' file but those of hosts with an overlay: a side is one host alone.
///
/// # Panics
/// A line is not understood.
pub fn stories() -> Vec<Story> {
    [include_str!("../../vlan/tests/table.txt"), include_str!("../../vlan/tests/stories.txt")]
        .iter()
        .flat_map(|text| table::parse(text).unwrap_or_else(|error| panic!("{error}")))
        .filter(|story| !has_overlay(&story.description) && !story.steps.iter().any(comes_by_tunnel))
        .collect()
}

fn has_overlay(description: &Description) -> bool {
    description.hosts.iter().any(|host| host.underlay.is_some())
}

fn comes_by_tunnel(step: &table::Step) -> bool {
    matches!(&step.what, What::Frame(frame) if frame.port.starts_with("via "))
}

/// The host that a story begins with: every port up, every trunk carrying its VLANs. `None` where the story says that there is none.
pub fn standing(description: &Description) -> Standing {
    let mut standing = Standing::new(description);
    standing.tell(Some(Designation::Everyone));
    standing
}

/// Whether the frames of a story depend on none before them, so that each may be sent twice.
pub fn is_timeless(story: &Story) -> bool {
    let is_of_one_port = ["ingress ", "egress "].iter().any(|kind| story.title.starts_with(kind));
    is_of_one_port && story.steps.iter().all(|step| matches!(step.what, What::Frame(_)))
}

/// Plays a story on a side; each frame so many times. Returns what differs, and how many frames were excused.
pub async fn play(story: &Story, side: &mut impl Side, times: usize) -> (Vec<String>, usize) {
    let (mut differences, mut excused) = (Vec::new(), 0);
    for step in &story.steps {
        let What::Frame(frame) = &step.what else {
            act(&step.what, side).await;
            continue;
        };
        if frame.bytes.len() < ETHERNET_HEADER {
            // No link delivers such a frame.
            continue;
        }
        for time in 0..times {
            let seen = side.send(&frame.port, &frame.bytes).await;
            match difference(frame, &seen) {
                None => {}
                Some(_) if seen.excuse.is_some() => excused += 1,
                Some(text) => {
                    let title = &story.title;
                    differences.push(format!("line {} of {title}, sent {}: {text}", step.line, time + 1));
                }
            }
        }
    }
    (differences, excused)
}

async fn act(what: &What, side: &mut impl Side) {
    match what {
        What::Wait(span) => side.wait(*span).await,
        What::Down(port) => side.change(|host| drop(host.set_carrier(port, false))).await,
        What::Up(port) => side.change(|host| host.set_up(port)).await,
        What::Choose => side.change(choose).await,
        What::Carry(bridge, vid, trunk) => side.change(|host| host.carry(bridge, *vid, trunk)).await,
        What::Replace(description) => side.change(|host| replace(host, description)).await,
        What::Put(mac, on, at, vid) => side.change(|host| put(host, *mac, on, (at, *vid))).await,
        What::Frame(_) => {}
    }
}

/// A port that was not there before has no carrier yet.
fn replace(host: &mut Standing, description: &Description) {
    let before = Arc::clone(host.switch.topology());
    for port in description.trunks.iter().chain(&description.ports) {
        if before.port_named(&port.name).is_none() {
            host.set_carrier(&port.name, false);
        }
    }
    host.change(description);
    host.tell(Some(Designation::Everyone));
}

/// An address that a record says is on the segment of a port, behind another port in a VLAN.
fn put(host: &mut Standing, mac: MacAddr, on: &str, (at, vid): (&str, u16)) {
    let topology = Arc::clone(host.switch.topology());
    let ports = topology.port_named(on).zip(topology.port_named(at));
    let (on, at) = ports.unwrap_or_else(|| panic!("no port {on} or {at}"));
    let located = topology.locate(on.bridge, on.vids().first().copied(), None);
    let segment = located.unwrap_or_else(|| panic!("{} is on no segment", on.name)).segment;
    host.switch.fdb.addresses.declare(segment, mac, Location::Port { port: at.id, vid: Vid::new(vid) });
}

/// What the gateway chooses now; it does not choose again by itself.
fn choose(host: &mut Standing) {
    host.tell(None);
    let chosen = host.switch.designation().clone();
    host.tell(Some(chosen));
}

/// What is not as the row says. Copies to other hosts are left out: no datapath has tunnels yet.
fn difference(frame: &Frame, seen: &Seen) -> Option<String> {
    let (copies, decision) = match &frame.expected {
        Fate::Forward(copies) => (ports_of(copies), "forward".to_owned()),
        Fate::Drop(reason) => (Vec::new(), format!("drop {reason}")),
    };
    let leaves_by_hosts_alone = decision == "forward" && copies.is_empty();
    let is_same = |seen: &String| *seen == decision || is_of_blocked(&decision, seen);
    let is_same = leaves_by_hosts_alone || seen.decision.as_ref().is_none_or(is_same);
    (copies != seen.outputs || !is_same).then(|| {
        format!(
            "into {} {:02x?}: expected {decision} {copies:02x?}, got {seen:02x?}",
            frame.port, frame.bytes
        )
    })
}

/// The stories' own stage remembers what was behind a port that is blocked; a host forgets it, as behind one that is down.
fn is_of_blocked(expected: &str, seen: &str) -> bool {
    (expected, seen) == ("drop port-blocked", "drop no-member")
}

fn ports_of(copies: &[(To, Vec<u8>)]) -> Vec<Sent> {
    let to_ports = copies.iter().filter_map(|(to, bytes)| match to {
        To::Port(port) => Some((port.clone(), bytes.clone())),
        To::Host(_) => None,
    });
    to_ports.collect()
}

impl Side for TableGateway {
    async fn send(&mut self, port: &str, frame: &[u8]) -> Seen {
        let done = TableGateway::send(self, port, frame);
        let excuse =
            done.was_frozen.then_some("an address is frozen after the frame that moves it once too often");
        Seen { outputs: done.outputs, decision: Some(done.decision), excuse }
    }

    async fn wait(&mut self, span: Duration) {
        self.pass(span);
    }

    async fn change(&mut self, change: impl FnOnce(&mut Standing)) {
        TableGateway::change(self, change);
    }
}

impl<B: Rig> Side for FlowHost<'_, '_, B> {
    async fn send(&mut self, port: &str, frame: &[u8]) -> Seen {
        let met = FlowHost::send(self, port, frame).await;
        Seen { outputs: met.outputs, decision: None, excuse: None }
    }

    async fn wait(&mut self, span: Duration) {
        self.pass(span).await;
    }

    async fn change(&mut self, change: impl FnOnce(&mut Standing)) {
        FlowHost::change(self, change).await;
    }
}

/// Destination, source and EtherType (802.3 3.1.1).
const ETHERNET_HEADER: usize = 14;
