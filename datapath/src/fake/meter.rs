//! A meter: a bucket of tokens that a clock refills (net/openvswitch/meter.c: thousandths of packets, milliseconds).

use vlan::time::Instant;

use crate::flow::{MeterRate, MeterStats};

#[derive(Debug)]
pub(super) struct Meter {
    rate: MeterRate,
    /// Thousandths of packets that may pass now.
    tokens: u64,
    /// Millisecond up to which the bucket was refilled.
    filled_at: u64,
    stats: MeterStats,
}

impl Meter {
    /// A meter that nothing has passed, with a full bucket.
    pub(super) fn new(rate: MeterRate, now: Instant) -> Meter {
        let tokens = capacity(rate);
        Meter { rate, tokens, filled_at: millis(now), stats: MeterStats::default() }
    }

    pub(super) fn stats(&self) -> MeterStats {
        self.stats
    }

    pub(super) fn passes(&mut self, now: Instant) -> bool {
        let elapsed = millis(now).saturating_sub(self.filled_at);
        self.filled_at += elapsed;
        let refill = elapsed.saturating_mul(u64::from(self.rate.packets_per_second));
        self.tokens = self.tokens.saturating_add(refill).min(capacity(self.rate));
        self.stats.packets += 1;
        let left = self.tokens.checked_sub(PACKET);
        match left {
            Some(left) => self.tokens = left,
            None => self.stats.dropped += 1,
        }
        left.is_some()
    }
}

fn capacity(rate: MeterRate) -> u64 {
    u64::from(rate.burst) * PACKET
}

fn millis(at: Instant) -> u64 {
    at.as_nanos() / 1_000_000
}

/// A packet in tokens.
const PACKET: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let rate = MeterRate { packets_per_second: 10, burst: 3 };
        let mut meter = Meter::new(rate, Instant::from_secs(5));
        let passed = |meter: &mut Meter, at| (0..10).filter(|_| meter.passes(at)).count();
        assert_eq!(passed(&mut meter, Instant::from_secs(5)), 3);
        assert_eq!(passed(&mut meter, Instant::from_millis(5_199)), 1);
        assert_eq!(passed(&mut meter, Instant::from_millis(5_200)), 1);
        assert_eq!(passed(&mut meter, Instant::from_secs(60)), 3, "no more than the burst is saved up");
        assert_eq!(meter.stats(), MeterStats { packets: 40, dropped: 32 });
    }
}
