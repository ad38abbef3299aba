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
    (vlan > 0).then(|| StormRates { vlan: rate(vlan), port: rate(whole) })
}

/// A tenth of a second's worth may come at once: ARP comes in bursts, a storm does not end.
fn rate(packets_per_second: u32) -> MeterRate {
    MeterRate { packets_per_second, burst: (packets_per_second / 10).max(1) }
}

/// A port may flood as much as this many of its VLANs at their full rate: so many storms at once do not yet silence a quiet VLAN.
const VLANS_AT_FULL_RATE: u32 = 8;
