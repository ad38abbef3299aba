//! Monotonic time as a number that callers pass in.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point on CLOCK_MONOTONIC in nanoseconds, the clock the kernel's flow `used` times are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Instant(u64);

impl Instant {
    /// The start of the clock.
    pub const ZERO: Instant = Instant(0);
    /// A point that no clock reaches (584 years).
    pub const NEVER: Instant = Instant(u64::MAX);

    /// The point `ns` nanoseconds after the start of the clock.
    pub const fn from_nanos(ns: u64) -> Instant {
        Instant(ns)
    }

    /// The point `ms` milliseconds after the start of the clock.
    pub const fn from_millis(ms: u64) -> Instant {
        Instant(ms.saturating_mul(1_000_000))
    }

    /// The point `s` seconds after the start of the clock.
    pub const fn from_secs(s: u64) -> Instant {
        Instant(s.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since the start of the clock.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to here; zero when `earlier` is later.
    pub fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A length of time as people say it: `0.5s`, `42s`, `4m10s`, `2h05m`, `3d07h`.
pub fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..10 if span.subsec_millis() >= 100 => format!("{seconds}.{}s", span.subsec_millis() / 100),
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    /// Saturates at [`Instant::NEVER`].
    fn add(self, span: Duration) -> Instant {
        Instant(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;

    /// Saturates at [`Instant::ZERO`].
    fn sub(self, span: Duration) -> Instant {
        Instant(self.0.saturating_sub(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}s", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

/// A time as an operator writes it: a whole number with `ms`, `s`, `m`, `h` or `d`; `None` of anything else. One that is too large for a
/// clock is a time all the same, and refused as too long where it is not allowed.
pub fn parse(written: &str) -> Option<Duration> {
    let digits = written.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = written[..digits].parse().ok()?;
    let milliseconds = match &written[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.saturating_mul(milliseconds)))
}

/// A time of whole milliseconds as [`parse`] reads it: in seconds, where it is whole seconds.
pub fn written(time: Duration) -> String {
    match time.subsec_nanos() {
        0 => format!("{}s", time.as_secs()),
        _ => format!("{}ms", time.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        for (text, expected) in [
            ("300s", Some(300_000)),
            ("5m", Some(300_000)),
            ("30d", Some(2_592_000_000)),
            ("500ms", Some(500)),
            ("0s", Some(0)),
            ("99999999999999999d", Some(u64::MAX)),
            ("300", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("1 s", None),
            ("", None),
            ("5é", None),
        ] {
            assert_eq!(parse(text), expected.map(Duration::from_millis), "{text}");
        }
        for text in ["0s", "300s", "1500ms"] {
            assert_eq!(written(parse(text).unwrap()), text);
        }
    }

    #[test]
    fn spans_are_told_as_people_say_them() {
        for (millis, text) in [
            (0, "0s"),
            (99, "0s"),
            (500, "0.5s"),
            (9_950, "9.9s"),
            (42_700, "42s"),
            (60_000, "1m00s"),
            (250_000, "4m10s"),
            (7_500_000, "2h05m"),
            (284_400_000, "3d07h"),
        ] {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
    }
}
