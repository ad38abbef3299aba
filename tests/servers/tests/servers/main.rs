//! The servers that tests stand on, tried themselves: each fault does what it says, and nothing is left behind.

mod client;
mod disk;
mod ensemble;
mod left;
mod relay;

use std::time::{Duration, Instant};

use servers::{Ensemble, Options};

/// None where there are no servers, and a test may do without.
fn start(options: Options) -> Option<Ensemble> {
    servers::are_there().then(|| Ensemble::start(options).unwrap())
}

/// Waits until it is so.
fn until(is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < SOON, "it did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Longer than anything takes here that is not a server's start, on a machine that does much else.
const SOON: Duration = Duration::from_secs(20);
