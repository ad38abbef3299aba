//! The forwarders that are compared, each between the same two links.

use std::path::Path;

use rtnetlink::LinkBridge;
use rtnetlink::packet_route::link::BridgeStpState;
use serde::{Deserialize, Serialize};

use super::least::LeastProgram;
use super::ovs::OpenVswitch;
use super::static_flow;
use super::wire::{STATION, TRUNK, VID, Wire};
use crate::lab::gateway::Gateway;
use crate::lab::links::Carried;
use crate::lab::netns::Netns;

/// Who forwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Nobody: the frame ends at the other end of the first cable.
    Cable,
    /// A Linux bridge that knows no VLANs; the frame stays untagged.
    Bridge,
    /// A Linux bridge with `vlan_filtering`.
    VlanBridge,
    /// openvswitch.ko with one flow that nobody looks after.
    StaticFlow,
    /// openvswitch.ko with a program that makes the same flow of every upcall and does nothing else.
    LeastProgram,
    /// `l2gw run`.
    Ours,
    /// Open vSwitch with ovs-vswitchd.
    OpenVswitch,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 7] = [
        Kind::Cable,
        Kind::Bridge,
        Kind::VlanBridge,
        Kind::StaticFlow,
        Kind::LeastProgram,
        Kind::Ours,
        Kind::OpenVswitch,
    ];

    /// Those for whom the first frame of an address is not like the others.
    pub const LEARNING: [Kind; 4] = [Kind::VlanBridge, Kind::LeastProgram, Kind::Ours, Kind::OpenVswitch];

    /// What a reader calls it.
    pub fn title(self) -> &'static str {
        match self {
            Kind::Cable => "veth to veth, nobody forwards",
            Kind::Bridge => "Linux bridge",
            Kind::VlanBridge => "Linux bridge vlan_filtering",
            Kind::StaticFlow => "openvswitch.ko, static flow",
            Kind::LeastProgram => "openvswitch.ko, least program",
            Kind::Ours => "ours, l2gw run",
            Kind::OpenVswitch => "Open vSwitch, ovs-vswitchd",
        }
    }
}

/// A forwarder that is running between the two links of a wire. Dropping it ends it.
#[derive(Debug)]
pub struct Contender {
    kind: Kind,
    wire: Wire,
    engine: Engine,
    /// The second host, of one that is two with a tunnel between them.
    #[allow(dead_code, reason = "held for its end")]
    far: Option<Engine>,
}

/// What keeps a host running. Daemons go before the namespace that they are in.
#[derive(Debug)]
pub(super) enum Engine {
    Kernel(Netns),
    #[allow(dead_code, reason = "held for their end")]
    Least(LeastProgram, Netns),
    Ours(Box<Gateway>),
    OpenVswitch(OpenVswitch, Netns),
}

impl Contender {
    /// Starts it and waits until it forwards from [`STATION`] to [`TRUNK`]. `ovs` is where Open vSwitch was unpacked.
    ///
    /// # Panics
    /// It does not start, or forwards nothing.
    pub fn start(kind: Kind, ovs: &Path) -> Contender {
        let contender = match kind {
            Kind::Ours => Contender::ours(&file()),
            Kind::OpenVswitch => {
                let (inside, wire) = laid();
                Contender {
                    kind,
                    wire,
                    engine: Engine::OpenVswitch(OpenVswitch::start(&inside, ovs), inside),
                    far: None,
                }
            }
            Kind::LeastProgram => {
                let (inside, wire) = laid();
                Contender {
                    kind,
                    wire,
                    engine: Engine::Least(LeastProgram::start(&inside), inside),
                    far: None,
                }
            }
            _ => {
                let (inside, wire) = laid();
                set_up(kind, &inside);
                Contender { kind, wire, engine: Engine::Kernel(inside), far: None }
            }
        };
        match kind {
            Kind::Cable | Kind::StaticFlow | Kind::LeastProgram => {}
            Kind::Bridge => contender.wire.establish(None),
            Kind::VlanBridge | Kind::Ours | Kind::OpenVswitch => contender.wire.establish(Some(VID)),
        }
        contender
    }

    /// `l2gw run` with this file, with all ports up.
    fn ours(file: &str) -> Contender {
        let mut gateway = Gateway::new("inside", file);
        let wire = Wire::lay(gateway.netns());
        gateway.start_up();
        Contender { kind: Kind::Ours, wire, engine: Engine::Ours(Box::new(gateway)), far: None }
    }

    /// Two hosts with a wire between them, which forward from [`STATION`] to [`TRUNK`] once they have heard of both ends.
    ///
    /// # Panics
    /// They forward nothing.
    pub(super) fn of_two(kind: Kind, wire: Wire, [near, far]: [Engine; 2]) -> Contender {
        wire.establish(None);
        Contender { kind, wire, engine: near, far: Some(far) }
    }

    /// Who it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its wire.
    pub fn wire(&self) -> &Wire {
        &self.wire
    }

    /// How many frames have come through, from [`STATION`] to as far as they go.
    pub fn came_through(&self) -> u64 {
        match &self.engine {
            Engine::Kernel(inside) if self.kind == Kind::Cable => Wire::received(inside, STATION),
            _ => Wire::received(self.wire.outside(), TRUNK),
        }
    }

    /// Process number of its daemon, if it has one.
    pub fn daemon(&self) -> Option<u32> {
        match &self.engine {
            Engine::Kernel(_) | Engine::Least(..) => None,
            Engine::Ours(gateway) => gateway.pid(),
            Engine::OpenVswitch(ovs, _) => Some(ovs.vswitchd()),
        }
    }

    /// How many addresses its daemon knows; 0 if it has none.
    pub fn addresses(&self) -> usize {
        match &self.engine {
            Engine::Kernel(_) | Engine::Least(..) => 0,
            Engine::Ours(gateway) => gateway.macs().len(),
            Engine::OpenVswitch(ovs, inside) => ovs.addresses(inside),
        }
    }
}

fn laid() -> (Netns, Wire) {
    let inside = Netns::new("inside");
    let wire = Wire::lay(&inside);
    (inside, wire)
}

fn set_up(kind: Kind, inside: &Netns) {
    let links = inside.links();
    match kind {
        Kind::Bridge => {
            let message = LinkBridge::new(BRIDGE).stp_state(BridgeStpState::Disabled).mcast_snooping(false);
            links.add(BRIDGE, message.build());
        }
        Kind::VlanBridge => links.add_vlan_bridge(BRIDGE),
        Kind::StaticFlow => return static_flow::put(inside),
        _ => return,
    }
    links.set_up(BRIDGE);
    for (link, carried) in [(STATION, Carried::Untagged), (TRUNK, Carried::Tagged)] {
        links.attach(link, BRIDGE);
        if kind == Kind::VlanBridge {
            links.add_bridge_vlan(link, VID, carried);
        }
        links.wait_until_ready(link);
    }
}

/// The chain that l2gw is for: a VM on a VUB, the VUB in a VLAN of a VAB, the VAB's trunk.
fn file() -> String {
    format!(
        "[hosts.gw1]\n[bridges.dc1]\nkind = \"vlan-aware\"\n[bridges.vub{VID}]\nkind = \"vlan-unaware\"\n\
         [[vlans]]\nbridge = \"dc1\"\nvid = {VID}\nto = \"vub{VID}\"\n\
         [[trunks]]\nname = \"{TRUNK}\"\nbridge = \"dc1\"\nhost = \"gw1\"\nlink = \"{TRUNK}\"\n\
         [[ports]]\nname = \"{STATION}\"\nbridge = \"vub{VID}\"\nhost = \"gw1\"\nlink = \"{STATION}\"\nmac-limit = 200000\n"
    )
}

const BRIDGE: &str = "br0";
