//! What systemd is told, where it runs the daemon: that it is ready, that it stops, and, if asked to, that it is alive.
//!
//! ```text
//! every third of WATCHDOG_USEC:   ask the engine ──► it answered ──► WATCHDOG=1
//!                                       └─ it hangs: nothing is said, and systemd ends the daemon
//! ```
//! A timer alone would go on while the engine hangs, and would say of the wrong thread that it lives. What is asked changes nothing.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::runtime::{Request, ask};

/// Tells it; without systemd, nobody.
pub(super) fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        warn!(%error, "systemd cannot be told");
    }
}

/// From now on systemd hears that the engine answers, if it wants to (`WatchdogSec=`), until there is no engine any more.
pub(super) fn keep_watched(engine: mpsc::Sender<Request>) {
    let limit = sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero());
    if let Some(limit) = limit {
        info!(?limit, "systemd's watchdog is told that the engine answers");
        tokio::spawn(watch(engine, limit / BEATS, || tell(NotifyState::Watchdog)));
    }
}

/// Calls `beat` each time the engine has answered, and asks it again `every` so often.
async fn watch(engine: mpsc::Sender<Request>, every: Duration, beat: impl Fn()) {
    while ask(&engine, |_, _| ()).await.is_some() {
        beat();
        tokio::time::sleep(every).await;
    }
}

/// How many beats fit into the time after which systemd gives the daemon up: one may be late.
const BEATS: u32 = 3;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use vlan::time::Instant;

    use super::*;
    use crate::engine::{Engine, Settings};

    #[tokio::test]
    async fn it_is_alive_for_as_long_as_the_engine_answers() {
        let (engine, mut asked) = mpsc::channel(1);
        let beats = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&beats);
        let watching = tokio::spawn(watch(engine, Duration::from_millis(1), move || {
            counted.fetch_add(1, Ordering::SeqCst);
        }));
        let answers = Engine::new(Settings::new("gw1"));
        for expected in 0..3 {
            let Some(Request::Look(look)) = asked.recv().await else { panic!("it asks nothing") };
            // It may take as long as it likes: nothing is said before there is an answer.
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert_eq!(beats.load(Ordering::SeqCst), expected);
            look(&answers, Instant::default());
        }
        // The fourth question is never answered, and the engine goes with it.
        let unanswered = asked.recv().await;
        drop((unanswered, asked));
        watching.await.unwrap();
        assert_eq!(beats.load(Ordering::SeqCst), 3);
    }
}
