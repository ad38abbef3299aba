//! Wall time for people.

/// Milliseconds since 1970 as a date and time of UTC (RFC 3339), as in the daemon's log.
pub fn utc(ms: u64) -> String {
    let (days, seconds, rest) = (ms / 86_400_000, ms / 1000 % 86_400, ms % 1000);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{rest:03}Z")
}

/// The date of a day, counted from 1970-01-01. Years are counted from March, so that a leap day is the last of its year, and in
/// cycles of 400, after which the Gregorian calendar repeats.
fn civil(days: u64) -> (u64, u64, u64) {
    let from_march_of_0 = days + DAYS_TO_1970;
    let (cycle, day) = (from_march_of_0 / DAYS_IN_CYCLE, from_march_of_0 % DAYS_IN_CYCLE);
    // Leap days of this cycle so far: every 4 years, not every 100; the last day of the cycle is that of the 400th year.
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Months from March have 31, 30, 31, 30, 31 days, again and again: 153 in five.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let is_next_year = month >= 10;
    let month = if is_next_year { month - 9 } else { month + 3 };
    (400 * cycle + year + u64::from(is_next_year), month, day)
}

/// From 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: u64 = 719_468;
const DAYS_IN_CYCLE: u64 = 146_097;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (1_709_251_200_000, "2024-03-01T00:00:00.000Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(utc(ms), text);
        }
    }

    #[test]
    fn every_day_of_a_cycle_follows_the_one_before() {
        let days_in = |year: u64, month: u64| match month {
            2 if year.is_multiple_of(400) || year.is_multiple_of(4) && !year.is_multiple_of(100) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let mut expected = (1970, 1, 1);
        for day in 0..DAYS_IN_CYCLE {
            assert_eq!(civil(day), expected, "day {day}");
            let (year, month, day) = expected;
            expected = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (_, last) if last == days_in(year, month) => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
    }
}
