//! Storm control as rates of meters: each class of flooded frames has one of each (port, VLAN), inside one of the port as a whole.

use datapath::flow::MeterRate;
use vlan::model::port::Port;
use vlan::verdict::StormClass;

/// The rates of a class at a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StormRates {
    /// One VLAN's.
    pub vlan: MeterRate,
    /// All VLANs' together.
    pub port: MeterRate,
}

/// The rates at which a class may be flooded from a port; `None` where it is not limited.
pub fn rates(port: &Port, class: StormClass) -> Option<StormRates> {
    let vlan = match class {
        StormClass::Broadcast => port.storm.broadcast,
        StormClass::Multicast => port.storm.multicast,
        StormClass::Unknown => port.storm.unknown,
    };
    let whole = vlan.saturating_mul(VLANS_AT_FULL_RATE);
    let rate = if port.is_trunk { rate_of_trunk } else { rate_of_port };
    (vlan > 0).then(|| StormRates { vlan: rate(vlan), port: rate(whole) })
}

/// A tenth of a second's worth may come at once: ARP comes in bursts, a storm does not end.
fn rate_of_trunk(packets_per_second: u32) -> MeterRate {
    MeterRate { packets_per_second, burst: (packets_per_second / 10).max(1) }
}

/// A second's worth may come at once: a machine that starts, or looks for all its neighbours, is no storm.
fn rate_of_port(packets_per_second: u32) -> MeterRate {
    MeterRate { packets_per_second, burst: packets_per_second }
}

/// A port may flood as much as this many of its VLANs at their full rate: so many storms at once do not yet silence a quiet VLAN.
const VLANS_AT_FULL_RATE: u32 = 8;

#[cfg(test)]
mod tests {
    use vlan::model::description::{Bridge, BridgeKind, Description, Host, Mode, Port as Declared, Storm};
    use vlan::model::topology::Topology;

    use super::*;

    fn rates_of(storm: Option<Storm>, is_trunk: bool, class: StormClass) -> Option<StormRates> {
        let kind = match is_trunk {
            true => BridgeKind::VlanAware {
                fabric: "fabric".to_owned(),
                redundancy: Default::default(),
                tpid: vlan::tag::Tpid::Customer,
                join_vids: false,
            },
            false => BridgeKind::VlanUnaware { vni: None },
        };
        let ageing = std::time::Duration::from_secs(300);
        let mode = if is_trunk { Mode::Trunk(Default::default()) } else { Mode::Plain };
        let port = Declared { mode, storm, ..Declared::plain("p", "b", "h", "l") };
        let (trunks, ports) = if is_trunk { (vec![port], vec![]) } else { (vec![], vec![port]) };
        let description = Description {
            hosts: vec![Host { name: "h".to_owned(), ..Host::default() }],
            bridges: vec![Bridge {
                name: "b".to_owned(),
                ageing,
                mac_limit: 1_000,
                renamed_from: None,
                mtu: None,
                kind,
            }],
            trunks,
            ports,
            ..Description::default()
        };
        let topology = Topology::build(&description).expect("a topology");
        rates(&topology.ports()[0], class)
    }

    fn figures(rates: Option<StormRates>) -> Option<[u32; 4]> {
        rates.map(|StormRates { vlan, port }| {
            [vlan.packets_per_second, vlan.burst, port.packets_per_second, port.burst]
        })
    }

    #[test]
    fn without_a_word_a_port_may_broadcast_2000_a_second_and_its_other_floods_are_free() {
        let of = |class| figures(rates_of(None, false, class));
        assert_eq!(of(StormClass::Broadcast), Some([2_000, 2_000, 16_000, 16_000]));
        assert_eq!((of(StormClass::Unknown), of(StormClass::Multicast)), (None, None));
    }

    #[test]
    fn without_a_word_a_trunk_may_flood_20000_a_second_of_each_class() {
        for class in [StormClass::Broadcast, StormClass::Unknown, StormClass::Multicast] {
            assert_eq!(figures(rates_of(None, true, class)), Some([20_000, 2_000, 160_000, 16_000]));
        }
    }

    #[test]
    fn what_is_declared_holds_and_0_is_off() {
        let storm = Storm { broadcast: 0, multicast: 7, unknown: 50 };
        assert_eq!(rates_of(Some(storm), false, StormClass::Broadcast), None);
        assert_eq!(figures(rates_of(Some(storm), false, StormClass::Multicast)), Some([7, 7, 56, 56]));
        assert_eq!(figures(rates_of(Some(storm), true, StormClass::Unknown)), Some([50, 5, 400, 40]));
    }
}
