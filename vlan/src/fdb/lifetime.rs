//! How long an address is known after it was heard: for its ageing time, and to the end of the second of the clock in which that ends.
//!
//! Not shorter by a moment, or it would be forgotten too early; not to the nanosecond, or each of a million addresses would have an alarm
//! of its own. What asks and what removes go by the same second: a frame that is judged never finds an address forgotten to which a flow
//! still leads, nor the other way round.

use std::time::Duration;

use crate::time::Instant;

/// Whether the time of an address that was last heard at `used` is over; an ageing time of zero is never over.
#[inline]
pub fn is_over(now: Instant, used: Instant, ageing: Duration) -> bool {
    // Nearly always the first two answer, without a division.
    !ageing.is_zero() && now >= used + ageing && second_of(now) >= end_of(second_of(used), ageing)
}

/// The same of one that was last heard `idle` before `now`: the clock may have begun since, as after a restart of the host.
pub(super) fn is_over_after(now: Instant, idle: Duration, ageing: Duration) -> bool {
    // A clock that began whole seconds earlier has the same seconds.
    let earlier = Duration::from_secs(idle.as_secs().saturating_add(1));
    is_over(now + earlier, now + earlier - idle, ageing)
}

/// The second in which addresses are over that were last heard in `second`; an ageing time of zero has none.
pub(super) fn end_of(second: u32, ageing: Duration) -> u32 {
    let end = Instant::from_secs(u64::from(second) + 1) + ageing;
    u32::try_from(end.as_nanos().div_ceil(NANOS)).unwrap_or(NEVER)
}

/// The second of the clock that a moment is in.
pub(super) fn second_of(at: Instant) -> u32 {
    u32::try_from(at.as_nanos() / NANOS).unwrap_or(NEVER)
}

/// A second that does not come: 136 years after the start of the clock.
pub(super) const NEVER: u32 = u32::MAX;
/// Nanoseconds in a second.
const NANOS: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_ends_with_a_second() {
        let (used, ageing) = (Instant::from_millis(1_500), Duration::from_secs(300));
        assert!(!is_over(Instant::from_millis(301_500), used, ageing));
        assert!(!is_over(Instant::from_millis(301_999), used, ageing));
        assert!(is_over(Instant::from_secs(302), used, ageing));
        assert!(!is_over(Instant::from_secs(1_000_000), used, Duration::ZERO));
        let whole = Instant::from_secs(1);
        assert!(
            !is_over(Instant::from_secs(301), whole, ageing)
                && is_over(Instant::from_secs(302), whole, ageing)
        );
    }

    #[test]
    fn a_clock_that_began_since_changes_nothing() {
        let (used, ageing) = (Instant::from_millis(1_500), Duration::from_secs(300));
        for millis in (300_000..303_000).step_by(100) {
            let now = Instant::from_millis(millis);
            assert_eq!(is_over_after(now, now.since(used), ageing), is_over(now, used, ageing), "{now:?}");
        }
        // At 0.9 s: what was heard 300.9 s ago was heard as a second began.
        let now = Instant::from_millis(900);
        assert!(!is_over_after(now, Duration::from_millis(300_500), ageing));
        assert!(is_over_after(now, Duration::from_millis(300_900) + Duration::from_nanos(1), ageing));
        assert!(
            is_over_after(now, Duration::MAX, ageing) && !is_over_after(now, Duration::MAX, Duration::ZERO)
        );
    }

    #[test]
    fn what_is_over_is_what_is_due() {
        for ageing in [10_000, 10_001, 10_999, 300_000].map(Duration::from_millis) {
            for millis in (0..4_000).step_by(7) {
                let used = Instant::from_millis(50_000 + millis);
                let due = Instant::from_secs(u64::from(end_of(second_of(used), ageing)));
                let before = due - Duration::from_nanos(1);
                assert!(is_over(due, used, ageing) && !is_over(before, used, ageing), "{used:?} {ageing:?}");
                assert!(due >= used + ageing && due <= used + ageing + Duration::from_secs(2));
            }
        }
    }
}
