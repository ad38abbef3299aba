//! Whether a later frame overtakes an earlier one of its flow while the flow is being set up.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::streams::{Receiver, Streams};
use crate::bench::contender::{Contender, Kind};
use crate::bench::wire::SWITCH_MAC;

/// How often it did, of how many streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Order {
    /// Streams sent.
    pub streams: usize,
    /// Streams with a frame that came before an earlier one.
    pub disordered: usize,
    /// Streams whose first frame came behind a later one.
    pub overtaken: usize,
    /// Frames that did not arrive.
    pub lost: usize,
}

impl Order {
    /// Both together.
    pub fn and(self, other: Order) -> Order {
        Order {
            streams: self.streams + other.streams,
            disordered: self.disordered + other.disordered,
            overtaken: self.overtaken + other.overtaken,
            lost: self.lost + other.lost,
        }
    }
}

/// One sender of so many frames a second through a forwarder, one stream after another: `rounds` times 300 streams at each pace.
/// `ovs` is where Open vSwitch was unpacked.
///
/// # Panics
/// The forwarder does not start.
pub fn measure(kind: Kind, ovs: &Path, rounds: u32) -> Vec<(u32, Order)> {
    let contender = Contender::start(kind, ovs);
    let mut first = 1 << 20;
    let mut of_pace = |(rate, frames): (u32, u32)| {
        let mut all = Order::default();
        for _ in 0..rounds {
            all = all.and(once(&contender, Streams { first, count: COUNT, frames, rate, to: SWITCH_MAC }));
            first += COUNT;
        }
        println!("{}, {rate} frames a second: {all:?}", kind.title());
        (rate, all)
    };
    PACES.iter().map(|pace| of_pace(*pace)).collect()
}

/// Whether one count is more than another by more than chance explains: two standard deviations of their difference, as counts have them.
pub fn is_more(ours: usize, theirs: usize) -> bool {
    let difference = ours.saturating_sub(theirs);
    difference * difference > 4 * (ours + theirs)
}

fn once(contender: &Contender, streams: Streams) -> Order {
    let receiver = Receiver::start(contender.wire().switch());
    let sent = streams.send(&contender.wire().station(), &AtomicBool::new(false)) as usize;
    let arrived = receiver.stop();
    Order {
        streams: streams.count as usize,
        disordered: arrived.disordered(),
        overtaken: arrived.overtaken(),
        lost: sent.saturating_sub(arrived.count()),
    }
}

const COUNT: u32 = 300;
/// Frames a second, and of each stream. Both leave a daemon under QEMU time to breathe.
const PACES: [(u32, u32); 2] = [(500, 10), (1_000, 20)];

#[cfg(test)]
mod tests {
    use super::is_more;

    #[test]
    fn a_count_is_more_only_if_chance_does_not_explain_it() {
        assert!(is_more(133, 68) && is_more(228, 47) && is_more(5, 0));
        assert!(!is_more(14, 12) && !is_more(12, 86) && !is_more(4, 0) && !is_more(0, 0));
    }
}
