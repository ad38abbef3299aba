//! A gateway with a number of VLANs, addresses that it has learned, and conversations between them.

// Included by a test as well, as a file.
#![allow(unreachable_pub)]

use std::sync::Arc;
use std::time::Duration;

use vlan::addr::MacAddr;
use vlan::designation::Designation;
use vlan::frame::Header;
use vlan::model::defaults::DEFAULT_BRIDGE_MAC_LIMIT;
use vlan::model::description::{
    Bridge, BridgeKind, Description, Host, Mode, Peering, Port, Redundancy, TrunkMode,
};
use vlan::model::id::{HostId, PortId};
use vlan::model::topology::Topology;
use vlan::switch::Switch;
use vlan::tag::{Tag, Tpid};
use vlan::time::Instant;
use vlan::trace::Silent;
use vlan::verdict::Verdict;
use vlan::vid::Vid;

/// How large a gateway is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// VLANs 1 to this, each of them a VUB with [`PORTS`] VM ports.
    pub vlans: u16,
    /// Stations of each VLAN, in turn behind the trunks and behind each port.
    pub stations: u32,
}

impl Size {
    /// What a test uses.
    pub const SMALL: Size = Size { vlans: 2, stations: 24 };
    /// Every VLAN there is and 1 000 000 addresses.
    pub const LARGE: Size = Size { vlans: Vid::MAX, stations: 1_000_000u32.div_ceil(Vid::MAX as u32) };

    /// All addresses.
    pub fn addresses(self) -> u32 {
        u32::from(self.vlans) * self.stations
    }
}

/// The gateway and its conversations.
#[derive(Debug)]
pub struct World {
    /// It has learned every address.
    pub switch: Switch,
    /// Arrival port and header: VLAN, source and destination are each uniformly random.
    pub frames: Vec<(PortId, Header)>,
}

impl World {
    /// A gateway of a size, and so many frames from `seed`.
    pub fn new(size: Size, frames: usize, seed: u64) -> World {
        let topology = Topology::build(&describe(size)).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        let mut switch = Switch::offline(Arc::new(topology), HostId(0));
        let designation = Designation::among(switch.topology(), |_| true);
        switch.set_designation(designation);
        let mut world = World { switch, frames: Vec::with_capacity(frames) };
        world.learn(size);
        let mut random = Random(seed);
        for _ in 0..frames {
            let vid = 1 + random.below(u32::from(size.vlans)) as u16;
            let (from, to) = (random.below(size.stations), random.below(size.stations));
            let frame = world.frame(vid, from, station(vid, to), (random.below(8) as u16) << 13);
            world.frames.push(frame);
        }
        world
    }

    fn learn(&mut self, size: Size) {
        let mut verdict = Verdict::default();
        for vid in 1..=size.vlans {
            for number in 0..size.stations {
                let (port, header) = self.frame(vid, number, MacAddr::BROADCAST, 0);
                self.switch.forward(NOW, port, &header, &mut verdict, &mut Silent);
            }
        }
        assert_eq!(self.switch.fdb.addresses.len(), size.addresses() as usize);
    }

    /// The frame of a station: tagged from the trunk that carries its VLAN, or untagged from its port.
    fn frame(&self, vid: u16, number: u32, dst: MacAddr, priority: u16) -> (PortId, Header) {
        let topology = self.switch.topology();
        let side = number % (PORTS + 1);
        let (port, tag) = if side == 0 {
            let carries = |port: &&vlan::model::port::Port| {
                let carrier = self.switch.designation().carrier(port, Vid::new(vid));
                carrier == vlan::designation::Carrier::This
            };
            let trunk = topology.ports().iter().take(TRUNKS).find(carries).expect("one trunk carries it");
            (trunk.id, Some(Tag::from_wire(Tpid::Customer, priority | vid)))
        } else {
            (PortId(TRUNKS as u32 + (u32::from(vid) - 1) * PORTS + side - 1), None)
        };
        let tags = tag.into_iter().collect();
        (port, Header { dst, src: station(vid, number), tags, ether_type: 0x0800 })
    }
}

fn station(vid: u16, number: u32) -> MacAddr {
    let [_, a, b, c] = number.to_be_bytes();
    let [d, e] = vid.to_be_bytes();
    MacAddr([0x52, a, b, c, d, e])
}

fn describe(size: Size) -> Description {
    let mut made = Description::default();
    made.hosts.push(Host { name: "gw1".to_owned(), ..Host::default() });
    let aware = BridgeKind::VlanAware {
        fabric: "fabric".to_owned(),
        redundancy: Redundancy::Designated,
        tpid: Tpid::Customer,
        join_vids: false,
    };
    made.bridges.push(bridge("sw".to_owned(), aware));
    for number in 0..TRUNKS {
        let mode = Mode::Trunk(TrunkMode { weight: 1, ..TrunkMode::default() });
        made.trunks.push(port(format!("trunk{number}"), "sw", mode));
    }
    for vid in (1..=size.vlans).filter_map(Vid::new) {
        let vub = format!("vub{vid}");
        for number in 0..PORTS {
            made.ports.push(port(format!("vm{vid}-{number}"), &vub, Mode::Plain));
        }
        made.vlans.push(Peering { bridge: "sw".to_owned(), vid, to: vub.clone() });
        made.bridges.push(bridge(vub, BridgeKind::VlanUnaware { vni: None }));
    }
    made
}

fn bridge(name: String, kind: BridgeKind) -> Bridge {
    Bridge {
        name,
        ageing: Duration::from_secs(300),
        mac_limit: DEFAULT_BRIDGE_MAC_LIMIT,
        renamed_from: None,
        mtu: None,
        kind,
    }
}

fn port(name: String, bridge: &str, mode: Mode) -> Port {
    Port { mode, ..Port::plain(&name, bridge, "gw1", &name) }
}

/// splitmix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    /// A number from 0 up to but without `end`.
    fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // Multiply and shift (Lemire 2019): as even as 32 bits allow.
        ((((z ^ (z >> 31)) >> 32) * u64::from(end)) >> 32) as u32
    }
}

/// When everything happens.
pub const NOW: Instant = Instant::from_secs(1_000);
/// Trunks into the fabric, among which its VLANs are shared out.
const TRUNKS: usize = 2;
/// VM ports of a VUB.
const PORTS: u32 = 3;
