//! What the cases about descriptions share: bridges, and what is said of a description.

use vlan::model::defaults::{DEFAULT_AGEING, DEFAULT_BRIDGE_MAC_LIMIT};
use vlan::model::description::{Bridge, BridgeKind, Description, Peering, Redundancy};
use vlan::model::mistake::Mistake;
use vlan::model::topology::Topology;
use vlan::tag::Tpid;
use vlan::vid::Vid;

pub(crate) type Change = fn(&mut Description);

/// A wrong value, what is said of it, and a right one in its place.
pub(crate) struct Case(pub &'static str, pub Change, pub &'static str, pub Change);

pub(crate) fn bridge(name: &str, kind: BridgeKind) -> Bridge {
    Bridge {
        name: name.to_owned(),
        ageing: DEFAULT_AGEING,
        mac_limit: DEFAULT_BRIDGE_MAC_LIMIT,
        renamed_from: None,
        mtu: None,
        kind,
    }
}

/// A VAB of this fabric.
pub(crate) fn aware(name: &str, fabric: &str) -> Bridge {
    let (fabric, redundancy) = (fabric.to_owned(), Redundancy::Designated);
    bridge(name, BridgeKind::VlanAware { fabric, redundancy, tpid: Tpid::Customer, join_vids: false })
}

/// A VUB.
pub(crate) fn unaware(name: &str, vni: Option<u32>) -> Bridge {
    bridge(name, BridgeKind::VlanUnaware { vni })
}

/// VLAN 8 of `dc1` is `vub8`.
pub(crate) fn vlan_8() -> Peering {
    Peering { bridge: "dc1".to_owned(), vid: Vid::new(8).unwrap(), to: "vub8".to_owned() }
}

/// A mistake with its place.
pub(crate) fn told(mistake: &Mistake) -> String {
    let place = &mistake.place;
    format!("{} {} {}: {}", place.table, place.index, place.key, mistake.text)
}

/// The mistakes of a description.
pub(crate) fn said(description: &Description) -> Vec<String> {
    Topology::build(description).err().iter().flatten().map(told).collect()
}

/// Each wrong value in what is right is refused by its sentence alone, and its neighbour is not.
pub(crate) fn hold(right: fn() -> Description, cases: &[Case]) {
    let changed = |change: Change| {
        let mut description = right();
        change(&mut description);
        said(&description)
    };
    assert_eq!(said(&right()), [""; 0]);
    for Case(name, wrong, expected, twin) in cases {
        assert_eq!(changed(*wrong), [*expected], "{name}");
        assert_eq!(changed(*twin), [""; 0], "the neighbour of {name}");
    }
}
