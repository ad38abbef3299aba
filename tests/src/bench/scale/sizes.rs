//! How much of everything there is.

use std::time::Duration;

use super::world::World;

/// The sizes of a run, in ascending order; growth is judged between the last two, of which the second is four times the first.
#[derive(Debug, Clone)]
pub struct Sizes {
    /// For what is started as a program.
    pub starts: Vec<World>,
    /// For single events and for latency.
    pub worlds: [World; 2],
    /// Learned addresses.
    pub addresses: [u32; 2],
    /// Flows in the datapath.
    pub flows: [u32; 2],
    /// Flows of one port that go idle at once, of those.
    pub expiring: [u32; 2],
    /// How long a flow may be idle where some are to go, at least 1 s.
    pub flow_idle: Duration,
    /// Events of which the median is taken.
    pub events: usize,
    /// How long a state lasts in which latency is measured.
    pub state: Duration,
    /// How long an idle daemon is watched.
    pub idle: Duration,
    /// Ports on openvswitch.ko.
    pub kernel_ports: [u16; 2],
    /// Whether the figures are worth a judgement.
    pub is_judged: bool,
}

impl Sizes {
    /// Those of docs/benchmarks.md.
    pub fn full() -> Sizes {
        Sizes {
            starts: [84, 341, 1_023, 4_094].map(|vlans| World { vlans }).to_vec(),
            worlds: [1_023, 4_094].map(|vlans| World { vlans }),
            addresses: [250_000, 1_000_000],
            flows: [50_000, 200_000],
            expiring: [6_250, 25_000],
            flow_idle: Duration::from_secs(10),
            events: 301,
            state: Duration::from_secs(5),
            idle: Duration::from_secs(5),
            kernel_ports: [200, 800],
            is_judged: true,
        }
    }

    /// Small ones, to see that it runs. Their figures say nothing.
    pub fn quick() -> Sizes {
        Sizes {
            starts: [2, 8].map(|vlans| World { vlans }).to_vec(),
            worlds: [4, 16].map(|vlans| World { vlans }),
            addresses: [1_000, 4_000],
            flows: [250, 1_000],
            expiring: [50, 200],
            flow_idle: Duration::from_secs(1),
            events: 11,
            state: Duration::from_millis(300),
            idle: Duration::from_millis(300),
            kernel_ports: [5, 20],
            is_judged: false,
        }
    }
}
