//! How often one host may write into logs, whatever its machines do: an ensemble takes some ten thousand writes a second from all together.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// Turns that are taken one after the other, in the order in which they were asked for.
#[derive(Debug)]
pub(super) struct Pace {
    begun: Instant,
    turns: Mutex<Turns>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { begun: Instant::now(), turns: Mutex::default() }
    }

    /// Waits for a turn.
    pub(super) async fn turn(&self) {
        let mut turns = self.turns.lock().await;
        let wait = turns.take(self.begun.elapsed());
        tokio::time::sleep(wait).await;
    }
}

/// When all turns that were taken are paid for, at one each [`BETWEEN`].
#[derive(Debug, Default)]
struct Turns(Duration);

impl Turns {
    /// Takes a turn at `now`; how long it has to wait: not at all, until [`BURST`] of them were taken at once.
    fn take(&mut self, now: Duration) -> Duration {
        let from = self.0.max(now);
        self.0 = from + BETWEEN;
        (from - now).saturating_sub(BETWEEN * BURST)
    }
}

/// Fifty a second: two hundred hosts whose machines never rest are what an ensemble takes.
const BETWEEN: Duration = Duration::from_millis(20);

/// What may come at once: a host's first words in its segments.
const BURST: u32 = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_what_follows_is_fifty_a_second() {
        let (mut turns, mut now) = (Turns::default(), Duration::from_secs(100));
        for _ in 0..=BURST {
            assert_eq!(turns.take(now), Duration::ZERO);
        }
        for _ in 0..50 {
            let wait = turns.take(now);
            assert_eq!(wait, BETWEEN);
            now += wait;
        }
        now += 2 * BURST * BETWEEN;
        for _ in 0..BURST {
            assert_eq!(turns.take(now), Duration::ZERO, "what was not used is there again, and no more");
        }
    }
}
