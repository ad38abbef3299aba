//! How many first frames of conversations a port may bring up to the daemon: token buckets for each port and each (port, VID).
//!
//! A port that sends new addresses as fast as it can uses up its own tokens. One VLAN of a trunk uses up its share of the trunk's. So the
//! conversations of others still get their flows (behaviour.md 9).

use std::time::Duration;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use vlan::time::Instant;

use crate::counters::PortKey;

/// Rates of first frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// First frames per second of one port; 0 is no limit at all, for VLANs neither.
    pub port: u32,
    /// First frames that a port may bring at once, at least 1.
    pub port_burst: u32,
    /// First frames per second of one VID at one port.
    pub vlan: u32,
    /// First frames that a VID at a port may bring at once, at least 1.
    pub vlan_burst: u32,
}

impl Rates {
    /// So many first frames a second for a port, half of them for a VLAN of it; 0 is no limit. A second's worth may come at once:
    /// when addresses were flushed, every conversation of a trunk does.
    pub fn of_port(rate: u32) -> Rates {
        let vlan = rate.div_ceil(2);
        Rates { port: rate, port_burst: rate, vlan, vlan_burst: vlan }
    }
}

impl Default for Rates {
    /// One upcall costs the daemon about 30 µs (docs/benchmarks.md: 83 000 instructions for ovs-vswitchd): a port gets about 15 % of a CPU.
    fn default() -> Rates {
        Rates::of_port(5_000)
    }
}

/// The buckets of all ports. There is at most one for each port and first tag's VID: 4 097 a port.
#[derive(Debug)]
pub struct Budget {
    rates: Rates,
    ports: FxHashMap<PortKey, Bucket>,
    vlans: FxHashMap<(PortKey, u16), Bucket>,
    control: FxHashMap<PortKey, Bucket>,
}

impl Budget {
    /// Full buckets of these rates.
    pub fn new(rates: Rates) -> Budget {
        Budget {
            rates,
            ports: FxHashMap::default(),
            vlans: FxHashMap::default(),
            control: FxHashMap::default(),
        }
    }

    /// Whether a first frame at `port` whose first tag has VID `vid` (0..=4095, [`UNTAGGED`] for none) may be handled. If it may,
    /// it is taken from the budget.
    pub fn admit(&mut self, now: Instant, port: PortKey, vid: u16) -> bool {
        let Rates { port: rate, port_burst, vlan, vlan_burst } = self.rates;
        if rate == 0 {
            return true;
        }
        let whole = self.ports.entry(port).or_insert_with(|| Bucket::full(now, port_burst));
        let share = self.vlans.entry((port, vid)).or_insert_with(|| Bucket::full(now, vlan_burst));
        whole.refill(now, rate, port_burst);
        share.refill(now, vlan, vlan_burst);
        // Both or none: a VLAN over its share must not use up what is left for the others.
        let is_admitted = whole.has_token() && share.has_token();
        if is_admitted {
            whole.take();
            share.take();
        }
        is_admitted
    }

    /// Whether a control frame at `port` may be handled: a budget apart from that of the data.
    pub fn admit_control(&mut self, now: Instant, port: PortKey) -> bool {
        if self.rates.port == 0 {
            return true;
        }
        let bucket = self.control.entry(port).or_insert_with(|| Bucket::full(now, CONTROL_BURST));
        bucket.refill(now, CONTROL_RATE, CONTROL_BURST);
        let is_admitted = bucket.has_token();
        if is_admitted {
            bucket.take();
        }
        is_admitted
    }

    /// Whether [`Budget::admit`] would say so now.
    pub fn would_admit(&self, now: Instant, port: PortKey, vid: u16) -> bool {
        let Rates { port: rate, port_burst, vlan, vlan_burst } = self.rates;
        let has_token = |bucket: Option<&Bucket>, rate, burst| {
            bucket.copied().unwrap_or(Bucket::full(now, burst)).has_token_by(now, rate, burst)
        };
        rate == 0
            || has_token(self.ports.get(&port), rate, port_burst)
                && has_token(self.vlans.get(&(port, vid)), vlan, vlan_burst)
    }

    /// Whether [`Budget::admit_control`] would say so now.
    pub fn would_admit_control(&self, now: Instant, port: PortKey) -> bool {
        let bucket = self.control.get(&port).copied().unwrap_or(Bucket::full(now, CONTROL_BURST));
        self.rates.port == 0 || bucket.has_token_by(now, CONTROL_RATE, CONTROL_BURST)
    }

    /// Forgets buckets that are full again.
    pub fn forget_full(&mut self, now: Instant) {
        let Rates { port, port_burst, vlan, vlan_burst } = self.rates;
        self.ports.retain(|_, bucket| !bucket.is_full_by(now, port, port_burst));
        self.vlans.retain(|_, bucket| !bucket.is_full_by(now, vlan, vlan_burst));
        self.control.retain(|_, bucket| !bucket.is_full_by(now, CONTROL_RATE, CONTROL_BURST));
    }
}

/// Tokens in billionths, so that any rate fills evenly by nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: u64,
    filled: Instant,
}

impl Bucket {
    fn full(now: Instant, burst: u32) -> Bucket {
        Bucket { level: u64::from(burst.max(1)) * TOKEN, filled: now }
    }

    fn refill(&mut self, now: Instant, rate: u32, burst: u32) {
        let since = u64::try_from(now.since(self.filled).as_nanos()).unwrap_or(u64::MAX);
        let level = self.level.saturating_add(since.saturating_mul(u64::from(rate)));
        self.level = level.min(u64::from(burst.max(1)) * TOKEN);
        self.filled = now;
    }

    fn has_token(&self) -> bool {
        self.level >= TOKEN
    }

    fn has_token_by(mut self, now: Instant, rate: u32, burst: u32) -> bool {
        self.refill(now, rate, burst);
        self.has_token()
    }

    fn take(&mut self) {
        self.level -= TOKEN;
    }

    fn is_full_by(mut self, now: Instant, rate: u32, burst: u32) -> bool {
        self.refill(now, rate, burst);
        self.level == u64::from(burst.max(1)) * TOKEN
    }
}

/// Stands for a frame without a tag where a first tag's VID (0..=4095) is asked for.
pub const UNTAGGED: u16 = 4096;
/// How often [`Budget::forget_full`] is worth calling.
pub const SWEEP_EVERY: Duration = Duration::from_secs(10);
const TOKEN: u64 = 1_000_000_000;
/// Control frames per second of one port: a switch sends a BPDU every 2 s (802.1Q 13.25.7), per-VLAN spanning tree one for each VLAN.
const CONTROL_RATE: u32 = 3_000;
/// Control frames at once: one for each VLAN.
const CONTROL_BURST: u32 = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: Rates = Rates { port: 100, port_burst: 10, vlan: 50, vlan_burst: 5 };

    fn admitted(budget: &mut Budget, now: Instant, port: u32, vid: u16, tries: usize) -> usize {
        (0..tries).filter(|_| budget.admit(now, PortKey(port), vid)).count()
    }

    #[test]
    fn one_vlan_leaves_the_other_its_share() {
        let (mut budget, now) = (Budget::new(RATES), Instant::from_secs(1));
        assert_eq!(admitted(&mut budget, now, 1, 7, 1000), 5);
        assert_eq!(admitted(&mut budget, now, 1, 8, 1000), 5);
        assert_eq!(admitted(&mut budget, now, 1, 9, 1000), 0, "the port has ten");
        assert_eq!(admitted(&mut budget, now, 2, 9, 1000), 5, "another port has its own");
    }

    #[test]
    fn tokens_come_back_at_the_rate() {
        let mut budget = Budget::new(RATES);
        admitted(&mut budget, Instant::from_secs(1), 1, 7, 100);
        assert_eq!(admitted(&mut budget, Instant::from_millis(1_040), 1, 7, 100), 2);
        assert_eq!(admitted(&mut budget, Instant::from_secs(90), 1, 7, 100), 5, "never more than the burst");
    }

    #[test]
    fn rate_zero_is_no_limit() {
        let mut budget = Budget::new(Rates { port: 0, ..RATES });
        assert_eq!(admitted(&mut budget, Instant::ZERO, 1, 7, 1000), 1000);
    }

    #[test]
    fn full_buckets_are_forgotten_and_others_are_not() {
        let mut budget = Budget::new(RATES);
        admitted(&mut budget, Instant::from_secs(1), 1, 7, 5);
        budget.forget_full(Instant::from_millis(1_040));
        assert_eq!((budget.ports.len(), budget.vlans.len()), (1, 1));
        budget.forget_full(Instant::from_secs(2));
        assert_eq!((budget.ports.len(), budget.vlans.len()), (0, 0));
    }
}
