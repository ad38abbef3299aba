//! Hosts of one topology, each with its daemon in a namespace of its own, an underlay between them, and a tap at the far end of every port's
//! link: frames in, and all that came out, byte by byte.
//!
//! ```text
//!   tap ══ leaf1 ══ gw1 ══╗
//!   tap ══ a8 ═════ cn1 ══╬══ bridge: the underlay, with a tap for what each host sends there
//!   tap ══ c8 ═════ cn2 ══╝
//!             each host ── 127.0.0.1:2181… ──► three ZooKeeper servers
//! ```
//! That all has come out which a frame leads to is seen as in [`super::testbed`]: by a marker behind it, a broadcast of an address that was
//! never seen, which must come out by every port of the VLAN.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::ensemble::{ADDRESSES, Reach, Servers};
use super::frames::{BROADCAST, Frame, Mac};
use super::gateway::Gateway;
use super::links::Carried;
use super::netns::Netns;
use super::tap::Tap;
use super::veth;

/// A host of a topology.
#[derive(Debug, Clone, Copy)]
pub struct Site {
    /// Its name.
    pub host: &'static str,
    /// Its address on the underlay, /24 or /64.
    pub underlay: IpAddr,
    /// What runs it.
    pub runs: Runs,
}

/// What runs a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    /// `l2gw run` with the file of the topology.
    L2gw,
    /// `l2gw-agent`, which knows the store.
    Agent,
}

/// A port, on a link of the same name, and what comes out there.
#[derive(Debug, Clone, Copy)]
pub struct Wire {
    /// The port.
    pub port: &'static str,
    /// Its host.
    pub host: &'static str,
    /// The VLAN of a port without tags; `None` is a trunk with all VLANs.
    pub vid: Option<u16>,
}

/// What a cluster is made of.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// The node under which its store is, without the `/`; no other cluster of the process has it.
    pub name: &'a str,
    /// The topology, without `[nsdb]`.
    pub topology: &'a str,
    /// The hosts with daemons; the first runs `l2gw`, and there the topology is applied.
    pub sites: &'a [Site],
    /// All ports.
    pub wires: &'a [Wire],
    /// The largest packet of the underlay, in bytes.
    pub underlay_mtu: u32,
    /// The largest payload of ports' links, in bytes.
    pub link_mtu: u32,
}

/// Hosts with daemons, and the far ends of their links.
#[derive(Debug)]
pub struct Cluster {
    sites: Vec<Site>,
    hosts: BTreeMap<&'static str, Gateway>,
    wires: Vec<Wire>,
    taps: BTreeMap<&'static str, Tap>,
    /// What each host sends to the underlay.
    sent: BTreeMap<&'static str, Tap>,
    /// Ports by which no marker comes out.
    silent: BTreeSet<&'static str>,
    markers: Cell<u32>,
    outside: Netns,
    underlay: Netns,
    underlay_mtu: u32,
    /// Each host's way to the store.
    reach: BTreeMap<&'static str, Reach>,
}

/// Frames that came out, by port.
pub type Outcome = BTreeMap<&'static str, Vec<Vec<u8>>>;

impl Cluster {
    /// Makes the hosts and a database, starts all daemons, applies the topology, and waits until every port is up and all hosts have heard
    /// each other.
    ///
    /// # Panics
    /// A step fails; the daemons' logs are shown.
    pub fn start(plan: &Plan<'_>) -> Cluster {
        let mut cluster = Cluster::prepare(plan);
        let hosts: Vec<&'static str> = cluster.sites.iter().map(|site| site.host).collect();
        hosts.iter().for_each(|host| cluster.host_mut(host).start());
        cluster.apply();
        hosts.iter().for_each(|host| cluster.wait_until_together(host));
        cluster
    }

    /// Makes the hosts, their links and a database; no daemon runs.
    ///
    /// # Panics
    /// A step fails.
    pub fn prepare(plan: &Plan<'_>) -> Cluster {
        let servers = Servers::of_this_process();
        let file = format!(
            "[nsdb]\nbackend = \"zookeeper\"\nservers = {ADDRESSES:?}\nroot = \"/{}\"\n{}",
            plan.name, plan.topology
        );
        let store = format!("zookeeper:{}/{}", ADDRESSES.join(","), plan.name);
        let host = |site: &Site| match site.runs {
            Runs::L2gw => Gateway::of_host(site.host, site.host, &file),
            Runs::Agent => Gateway::of_agent(site.host, &store),
        };
        let mut cluster = Cluster {
            sites: plan.sites.to_vec(),
            hosts: plan.sites.iter().map(|site| (site.host, host(site))).collect(),
            wires: Vec::new(),
            taps: BTreeMap::new(),
            sent: BTreeMap::new(),
            silent: BTreeSet::new(),
            markers: Cell::new(0),
            outside: Netns::new("outside"),
            underlay: Netns::new("underlay"),
            underlay_mtu: plan.underlay_mtu,
            reach: BTreeMap::new(),
        };
        cluster.underlay.links().add_vlan_bridge(BRIDGE);
        for site in plan.sites {
            let netns = cluster.host(site.host).netns();
            let tap = cluster.connect(netns, site.host, site.underlay);
            let reach = servers.reach_from(netns);
            cluster.sent.insert(site.host, tap);
            cluster.reach.insert(site.host, reach);
        }
        for wire in plan.wires {
            let netns = cluster.host(wire.host).netns();
            veth::connect((netns, wire.port), (&cluster.outside, wire.port));
            for end in [netns, &cluster.outside] {
                end.links().set_mtu(wire.port, plan.link_mtu);
            }
            let tap = cluster.outside.tap(wire.port);
            cluster.add_wire(*wire, tap);
        }
        let gateway = cluster.host(plan.sites[0].host);
        let file = gateway.file();
        let made = gateway.l2gw_by_itself(&["store", "init", file.to_str().expect("a path of letters")]);
        made.unwrap_or_else(|(code, said)| panic!("store init ended with {code}: {said}"));
        cluster
    }

    /// Lays a cable from a namespace, in which it is called [`UPLINK`], to the underlay; a tap for what is sent there.
    ///
    /// # Panics
    /// The kernel refuses.
    pub fn connect(&self, netns: &Netns, name: &str, address: IpAddr) -> Tap {
        veth::connect((netns, UPLINK), (&self.underlay, name));
        netns.links().set_mtu(UPLINK, self.underlay_mtu);
        let underlay = self.underlay.links();
        underlay.set_mtu(name, self.underlay_mtu);
        underlay.attach(name, BRIDGE);
        underlay.add_bridge_vlan(name, 1, Carried::Untagged);
        underlay.wait_until_ready(name);
        netns.links().add_address(UPLINK, address, if address.is_ipv4() { 24 } else { 64 });
        self.underlay.tap(name)
    }

    /// Counts one more port among those of the cluster.
    pub fn add_wire(&mut self, wire: Wire, tap: Tap) {
        self.wires.push(wire);
        self.taps.insert(wire.port, tap);
    }

    /// Cuts a host off from the store, or lets it be reached again.
    ///
    /// # Panics
    /// There is no such host.
    pub fn cut_off(&mut self, name: &'static str, is_cut: bool) {
        if is_cut {
            self.reach.remove(name);
            return;
        }
        let reach = Servers::of_this_process().reach_from(self.host(name).netns());
        self.reach.insert(name, reach);
    }

    /// Applies the topology at the first host.
    ///
    /// # Panics
    /// It is refused.
    pub fn apply(&self) {
        let gateway = self.host(self.sites[0].host);
        let file = gateway.file();
        let applied = gateway.l2gw(&["apply", file.to_str().expect("a path of letters")]);
        applied.unwrap_or_else(|(code, said)| panic!("apply ended with {code}: {said}\n{}", gateway.log()));
    }

    /// Waits until all ports of a host are up, and it has heard all others that it shares a segment with.
    ///
    /// # Panics
    /// Not in time; its log is shown.
    pub fn wait_until_together(&self, host: &str) {
        self.host(host).wait_until_up();
        self.host(host).wait_for("the other hosts to be heard", |host| {
            host.status().others.is_some_and(|others| others.heard == others.hosts)
        });
    }

    /// A host.
    ///
    /// # Panics
    /// There is none of this name.
    pub fn host(&self, name: &str) -> &Gateway {
        self.hosts.get(name).unwrap_or_else(|| panic!("no host {name}"))
    }

    /// A host, to be started and ended.
    ///
    /// # Panics
    /// There is none of this name.
    pub fn host_mut(&mut self, name: &str) -> &mut Gateway {
        self.hosts.get_mut(name).unwrap_or_else(|| panic!("no host {name}"))
    }

    /// The namespace of the far ends.
    pub fn outside(&self) -> &Netns {
        &self.outside
    }

    /// The namespace of the bridge that is the underlay, in which each host's port has the host's name.
    pub fn underlay(&self) -> &Netns {
        &self.underlay
    }

    /// The far end of a port's link.
    ///
    /// # Panics
    /// There is no such port.
    pub fn tap(&self, port: &str) -> &Tap {
        self.taps.get(port).unwrap_or_else(|| panic!("no tap at {port}"))
    }

    /// What a host has sent to the underlay since this was last asked, as it was on the wire.
    ///
    /// # Panics
    /// There is no such host.
    pub fn sent_by(&self, host: &str) -> Vec<Vec<u8>> {
        self.sent.get(host).unwrap_or_else(|| panic!("no host {host}")).drain()
    }

    /// From now on nothing, or something again, is to come out of a port.
    pub fn set_silent(&mut self, port: &'static str, is_silent: bool) {
        match is_silent {
            true => self.silent.insert(port),
            false => self.silent.remove(port),
        };
    }

    /// Sends a frame into a port, in one of the VLANs of which it is, and returns all that came out. The frame has the tag of a trunk
    /// already.
    ///
    /// # Panics
    /// The marker behind it does not come out everywhere.
    pub fn deliver(&self, (port, vid): (&'static str, u16), frame: &[u8]) -> Outcome {
        self.taps.values().for_each(|tap| drop(tap.drain()));
        self.tap(port).send(frame);
        let mut outcome = self.settle((port, vid));
        outcome.values_mut().for_each(|frames| frames.retain(|frame| !is_marker(frame)));
        outcome.retain(|_, frames| !frames.is_empty());
        outcome
    }

    /// The ports by which a frame came out, which came out once where it did and nowhere tagged otherwise than it should be.
    ///
    /// # Panics
    /// Something else came out, or the frame twice.
    pub fn reached(&self, from: (&'static str, u16), frame: &[u8]) -> BTreeSet<&'static str> {
        let bare = |port: &str, frame: &[u8]| match self.is_trunk(port) {
            true => without_tag(frame, from.1),
            false => frame.to_vec(),
        };
        let sent = bare(from.0, frame);
        let outcome = self.deliver(from, frame);
        for (port, frames) in &outcome {
            let frames: Vec<Vec<u8>> = frames.iter().map(|frame| bare(port, frame)).collect();
            assert_eq!(frames, [&sent[..]], "at {port}, from {from:?}");
        }
        outcome.into_keys().collect()
    }

    /// Waits until all that was sent into a port before is through, and returns what came out, markers too.
    fn settle(&self, from: (&'static str, u16)) -> Outcome {
        self.markers.set(self.markers.get() + 1);
        let [a, b, c, d] = self.markers.get().to_be_bytes();
        let source: Mac = [MARKER, 0x4d, a, b, c, d];
        let marker = match (self.is_trunk(from.0), Frame::new(source, BROADCAST)) {
            (true, marker) => marker.tag(from.1, 0),
            (false, marker) => marker,
        };
        let marker = marker.payload(MARKER_TYPE, &[0; 46]);
        let mut outcome = Outcome::new();
        for _ in 0..TRIES {
            self.tap(from.0).send(&marker);
            let until = Instant::now() + SILENCE;
            while Instant::now() < until {
                for (port, tap) in &self.taps {
                    outcome.entry(*port).or_default().extend(tap.drain());
                }
                if self.missing(from, source, &outcome).is_empty() {
                    return outcome;
                }
                std::thread::sleep(STEP);
            }
        }
        let missing = self.missing(from, source, &outcome);
        let logs: Vec<String> = self.hosts.values().map(Gateway::log).collect();
        panic!("no marker from {from:?} at {missing:?}; the daemons said:\n{}", logs.join("\n---\n"));
    }

    /// The ports by which a marker has not come out yet. Of the trunks one is enough.
    fn missing(&self, (from, vid): (&str, u16), source: Mac, outcome: &Outcome) -> Vec<&'static str> {
        let is_there = |port: &str| {
            let frames = outcome.get(port).map(Vec::as_slice).unwrap_or_default();
            frames.iter().any(|frame| frame.get(6..12) == Some(&source[..]))
        };
        let wanted = |wire: &&Wire| wire.port != from && !self.silent.contains(wire.port);
        let (trunks, vms): (Vec<&Wire>, Vec<&Wire>) =
            self.wires.iter().filter(wanted).partition(|wire| wire.vid.is_none());
        let mut missing: Vec<&'static str> =
            vms.into_iter().filter(|wire| wire.vid == Some(vid)).map(|wire| wire.port).collect();
        missing.retain(|port| !is_there(port));
        if !self.is_trunk(from) && !trunks.iter().any(|wire| is_there(wire.port)) {
            missing.extend(trunks.iter().map(|wire| wire.port));
        }
        missing
    }

    fn is_trunk(&self, port: &str) -> bool {
        self.wires.iter().any(|wire| wire.port == port && wire.vid.is_none())
    }
}

/// A frame without its outermost tag, which must be that of a VLAN.
fn without_tag(frame: &[u8], vid: u16) -> Vec<u8> {
    assert_eq!(
        (&frame[12..14], u16::from_be_bytes([frame[14], frame[15]]) & 0xfff),
        (&[0x81, 0][..], vid),
        "{frame:02x?}"
    );
    [&frame[..12], &frame[16..]].concat()
}

fn is_marker(frame: &[u8]) -> bool {
    frame.get(6..8) == Some(&[MARKER, 0x4d])
}

/// The link of each host to the underlay.
pub const UPLINK: &str = "uplink";

const BRIDGE: &str = "br0";
/// First byte of a marker's source: locally administered, individual.
const MARKER: u8 = 0x9e;
/// IEEE 802 local experimental ethertype 2.
const MARKER_TYPE: u16 = 0x88b6;
/// So long nothing comes out where a marker is lost: it is sent again, this often in all.
const SILENCE: Duration = Duration::from_secs(2);
const TRIES: usize = 5;
const STEP: Duration = Duration::from_millis(1);
