//! How long a revision may be in force without a confirmation.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A time within which a revision has to be confirmed, or hosts go back to the one before: whole seconds, from [`SHORTEST`](Self::SHORTEST)
/// to [`LONGEST`](Self::LONGEST). In a root it is a number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct ConfirmWithin(u32);

impl ConfirmWithin {
    /// One second. In less a host has hardly read the revision and put it into force, so that nothing would be tried.
    pub const SHORTEST: Self = Self(1);
    /// A day. Until then nobody else may publish, and a host that the revision cuts off stays cut off: who needs longer does not watch.
    pub const LONGEST: Self = Self(24 * 60 * 60);

    /// This time; `None` if it is no whole number of seconds, too short or too long.
    pub fn new(time: Duration) -> Option<Self> {
        let seconds = u32::try_from(time.as_secs()).ok().filter(|_| time.subsec_nanos() == 0)?;
        (Self::SHORTEST.0..=Self::LONGEST.0).contains(&seconds).then_some(Self(seconds))
    }

    /// In seconds.
    pub fn as_secs(self) -> u64 {
        self.0.into()
    }

    /// As a span of time.
    pub fn as_duration(self) -> Duration {
        Duration::from_secs(self.as_secs())
    }
}

impl fmt::Display for ConfirmWithin {
    /// As `60 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0)
    }
}

impl TryFrom<u64> for ConfirmWithin {
    type Error = String;

    fn try_from(seconds: u64) -> Result<Self, Self::Error> {
        let range = (Self::SHORTEST.0, Self::LONGEST.0);
        Self::new(Duration::from_secs(seconds)).ok_or_else(|| {
            format!(
                "{seconds} s to confirm a revision, allowed are whole seconds from {} to {}",
                range.0, range.1
            )
        })
    }
}

impl From<ConfirmWithin> for u64 {
    fn from(within: ConfirmWithin) -> Self {
        within.as_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_seconds_up_to_a_day_are_allowed() {
        for (milliseconds, expected) in [
            (0, None),
            (999, None),
            (1_000, Some(1)),
            (1_500, None),
            (86_400_000, Some(86_400)),
            (86_401_000, None),
            (u64::MAX, None),
        ] {
            let within = ConfirmWithin::new(Duration::from_millis(milliseconds));
            assert_eq!(within.map(ConfirmWithin::as_secs), expected, "{milliseconds} ms");
        }
        let error = ConfirmWithin::try_from(0).unwrap_err();
        assert_eq!(error, "0 s to confirm a revision, allowed are whole seconds from 1 to 86400");
    }
}
