//! Random descriptions that a gateway accepts, small enough to read when one of them fails: one host, up to four VABs and five
//! VUBs, chains, translations, native VLANs, every kind of port, every kind of redundancy.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vlan::addr::MacAddr;
use vlan::designation::Designation;
use vlan::model::defaults::DEFAULT_BRIDGE_MAC_LIMIT;
use vlan::model::description::{
    BpduPolicy, Bridge, BridgeKind, Description, Flood, Host, Mode, NativeInner, Peering, Port, Redundancy,
    TagPolicy, TrunkMode,
};
use vlan::model::topology::Topology;
use vlan::tag::{Pcp, Tpid};
use vlan::vid::{Vid, VidSet};

use super::reference::Designated;
use super::rng::Rng;

/// A topology, what is designated in it and what is down.
#[derive(Debug, Clone)]
pub struct Case {
    /// Accepted by `Topology::build`, with at least one port.
    pub description: Description,
    /// Which trunk carries which VLAN.
    pub designation: Designated,
    /// Whether `designation` is the one that the gateway would choose itself.
    pub is_own_designation: bool,
    /// Ports without carrier.
    pub down: Vec<String>,
}

impl Case {
    /// The next case of a sequence.
    pub fn random(rng: &mut Rng) -> Case {
        loop {
            let description = description(rng);
            if description.trunks.is_empty() && description.ports.is_empty() {
                continue;
            }
            let Ok(topology) = Topology::build(&description) else { continue };
            let down = down(rng, &description);
            let (designation, is_own_designation) = match rng.below(4) {
                0 => (Designated::Everyone, false),
                1 => (random_designation(rng, &topology), false),
                _ => (own_designation(&topology, &down), true),
            };
            return Case { description, designation, is_own_designation, down };
        }
    }
}

/// What the gateway would choose by itself, by name.
pub fn own_designation(topology: &Topology, down: &[String]) -> Designated {
    match Designation::among(topology, |port| !down.contains(&port.name)) {
        Designation::Everyone => Designated::Everyone,
        Designation::Told(map) | Designation::Map(map) => Designated::Map(
            map.iter()
                .map(|((bridge, vid), trunk)| {
                    let bridge = topology.bridge(*bridge).name.clone();
                    ((bridge, vid.get()), topology.port(*trunk).name.clone())
                })
                .collect(),
        ),
    }
}

/// Each VLAN of each bridge with a trunk of it that is in the VLAN, or now and then with none.
fn random_designation(rng: &mut Rng, topology: &Topology) -> Designated {
    let mut able: BTreeMap<(String, u16), Vec<String>> = BTreeMap::new();
    for trunk in &topology.description().trunks {
        for vid in VIDS {
            let member = topology.port_named(&trunk.name);
            if Vid::new(vid).is_some_and(|vid| member.is_some_and(|port| port.vids().contains(&vid))) {
                able.entry((trunk.bridge.clone(), vid)).or_default().push(trunk.name.clone());
            }
        }
    }
    let mut map = BTreeMap::new();
    for (vlan, trunks) in able {
        if rng.chance(90) {
            map.insert(vlan, rng.pick(&trunks).clone());
        }
    }
    Designated::Map(map)
}

fn description(rng: &mut Rng) -> Description {
    let mut made = Description::default();
    made.hosts.push(Host { name: "h".to_owned(), ..Host::default() });
    let aware = rng.between(1, 4);
    for number in 0..aware {
        let bridge = vlan_aware(rng, number);
        made.bridges.push(bridge);
    }
    for number in 0..rng.between(1, 5) {
        let kind = BridgeKind::VlanUnaware { vni: None };
        made.bridges.push(bridge(rng, format!("u{number}"), kind));
    }
    peerings(rng, &mut made, aware);
    trunks(rng, &mut made);
    ports(rng, &mut made);
    declare(rng, &mut made);
    made
}

fn vlan_aware(rng: &mut Rng, number: usize) -> Bridge {
    let fabric = if rng.chance(75) { format!("fabric-{number}") } else { "shared".to_owned() };
    let redundancy = match rng.below(10) {
        0 | 1 => Redundancy::Stp,
        2 | 3 => Redundancy::None,
        _ => Redundancy::Designated,
    };
    let tpid = if rng.chance(20) { Tpid::Service } else { Tpid::Customer };
    let kind = BridgeKind::VlanAware { fabric, redundancy, tpid, join_vids: rng.chance(15) };
    bridge(rng, format!("a{number}"), kind)
}

fn bridge(rng: &mut Rng, name: String, kind: BridgeKind) -> Bridge {
    let ageing = Duration::from_secs(*rng.pick(&[0, 0, 300, 1_000_000]));
    Bridge { name, ageing, mac_limit: DEFAULT_BRIDGE_MAC_LIMIT, renamed_from: None, mtu: None, kind }
}

/// Most VUBs are a VLAN of one VAB or of several; now and then a VLAN of a VAB leads into another VAB.
fn peerings(rng: &mut Rng, made: &mut Description, aware: usize) {
    let mut taken = BTreeSet::new();
    let vubs: Vec<String> = made.bridges[aware..].iter().map(|bridge| bridge.name.clone()).collect();
    for vub in vubs {
        for _ in 0..*rng.pick(&[0, 1, 1, 1, 2, 2, 3]) {
            let (outer, vid) = (rng.below(aware), vid(rng));
            join(made, &mut taken, (outer, vid), &vub);
        }
    }
    if aware > 1 && rng.chance(40) {
        let outer = rng.below(aware);
        let inner = (outer + rng.between(1, aware - 1)) % aware;
        join(made, &mut taken, (outer, SERVICE_VID), &format!("a{inner}"));
        if aware > 2 && rng.chance(10) {
            join(made, &mut taken, ((inner + 1) % aware, SERVICE_VID), &format!("a{inner}"));
        }
    }
}

fn join(made: &mut Description, taken: &mut BTreeSet<(usize, u16)>, from: (usize, u16), to: &str) {
    let bridge = format!("a{}", from.0);
    let (Some(vid), true) = (Vid::new(from.1), bridge != to) else { return };
    if taken.insert(from) {
        made.vlans.push(Peering { bridge, vid, to: to.to_owned() });
    }
}

fn trunks(rng: &mut Rng, made: &mut Description) {
    for index in 0..made.bridges.len() {
        let bridge = made.bridges[index].clone();
        let BridgeKind::VlanAware { redundancy, .. } = bridge.kind else { continue };
        let alike = trunk(rng, false);
        for _ in 0..*rng.pick(&[0, 1, 1, 2, 2, 3]) {
            let mode = if redundancy == Redundancy::Stp { alike.clone() } else { trunk(rng, true) };
            let name = format!("trunk{}", made.trunks.len());
            let mut port = port(rng, name, &bridge.name, Mode::Trunk(mode));
            port.priority_tags = rng.chance(10);
            // What a BPDU does to a trunk is the redundancy's to say.
            port.bpdu = BpduPolicy::Block;
            (port.isolated, port.sticky, port.flood) = (false, None, Flood::default());
            made.trunks.push(port);
        }
    }
}

/// Allowed VLANs, perhaps a native one of them, perhaps a translation.
fn trunk(rng: &mut Rng, may_translate: bool) -> TrunkMode {
    let mut mode = TrunkMode { weight: 1, ..TrunkMode::default() };
    if rng.chance(75) {
        let mut vlans: VidSet = VIDS.into_iter().filter(|_| rng.chance(75)).filter_map(Vid::new).collect();
        if may_translate && rng.chance(25) {
            let (wire, to) = (*rng.pick(&WIRE_VIDS), vid(rng));
            if let (Some(wire), Some(to)) = (Vid::new(wire), Vid::new(to)) {
                vlans.insert(wire);
                vlans.remove(to);
                mode.translate.insert(wire, to);
            }
        }
        if rng.chance(30) {
            let bridge_vids: Vec<Vid> =
                vlans.iter().map(|wire| mode.translate.get(&wire).copied().unwrap_or(wire)).collect();
            mode.native = (!bridge_vids.is_empty()).then(|| *rng.pick(&bridge_vids));
        }
        mode.vlans = Some(vlans);
    }
    mode.native_tagged = mode.native.is_some() && rng.chance(25);
    mode.native_inner = if rng.chance(40) { NativeInner::Pass } else { NativeInner::Drop };
    mode
}

fn ports(rng: &mut Rng, made: &mut Description) {
    for index in 0..made.bridges.len() {
        let bridge = made.bridges[index].clone();
        let most = if matches!(bridge.kind, BridgeKind::VlanAware { .. }) { 2 } else { 3 };
        for _ in 0..rng.between(0, most) {
            let mode = match bridge.kind {
                BridgeKind::VlanAware { .. } => mode(rng),
                BridgeKind::VlanUnaware { .. } => Mode::Plain,
            };
            let name = format!("port{}", made.ports.len());
            let port = port(rng, name, &bridge.name, mode);
            made.ports.push(port);
        }
    }
}

fn mode(rng: &mut Rng) -> Mode {
    let vid = if rng.chance(25) { Vid::new(SERVICE_VID) } else { Vid::new(vid(rng)) };
    match rng.below(5) {
        0 => Mode::Trunk(trunk(rng, true)),
        1 | 2 => Mode::Access { vid },
        _ => Mode::Qinq {
            vid,
            customer_vlans: rng
                .chance(40)
                .then(|| VIDS.into_iter().filter(|_| rng.chance(60)).filter_map(Vid::new).collect()),
            pcp: if rng.chance(30) { Pcp::new(rng.below(8) as u8) } else { None },
        },
    }
}

fn port(rng: &mut Rng, name: String, bridge: &str, mode: Mode) -> Port {
    let is_plain = mode == Mode::Plain;
    Port {
        mode,
        priority_tags: rng.chance(25),
        bpdu: if rng.chance(70) { BpduPolicy::Discard } else { BpduPolicy::Block },
        isolated: rng.chance(25),
        sticky: rng.chance(12).then(|| rng.between(1, 3) as u32),
        tags: (is_plain && rng.chance(15)).then_some(TagPolicy::Drop),
        flood: Flood { withholds_unknown: rng.chance(15) },
        ..Port::plain(&name, bridge, "h", &name)
    }
}

/// Now and then a port that is no trunk declares addresses, each address once.
fn declare(rng: &mut Rng, made: &mut Description) {
    for (number, port) in made.ports.iter_mut().enumerate() {
        if !matches!(port.mode, Mode::Trunk(_)) && rng.chance(15) {
            port.macs = (0..rng.between(1, 2)).map(|nth| station(number * 2 + nth)).collect();
            port.sticky = None;
        }
    }
}

fn down(rng: &mut Rng, description: &Description) -> Vec<String> {
    let names = description.trunks.iter().chain(&description.ports).map(|port| port.name.clone());
    names.filter(|_| rng.chance(4)).collect()
}

fn vid(rng: &mut Rng) -> u16 {
    *rng.pick(&VIDS[..4])
}

/// The address of station `number`; the stations of port `p` are `2 p` and `2 p + 1`.
pub fn station(number: usize) -> MacAddr {
    MacAddr([0x52, 0x54, 0, 0, (number >> 8) as u8, number as u8])
}

/// The bridge VIDs of all cases: four for VUBs, the one that leads into another VAB, the last that is usable.
pub const VIDS: [u16; 6] = [8, 9, 10, 1, SERVICE_VID, 4094];
/// Wire VIDs of translations.
pub const WIRE_VIDS: [u16; 3] = [108, 109, 9];
/// The VLAN that leads into another VAB.
pub const SERVICE_VID: u16 = 100;
