//! Whether tests of servers can run on this machine, and what follows if not.

use std::fs::OpenOptions;
use std::io::Write;

use crate::error::ServersError;
use crate::{cassandra, java};

/// Whether ZooKeeper servers can be started here. A test asks this first and ends if not.
///
/// What is missing is told, and noted for the summary of `make test`.
///
/// # Panics
/// They cannot, and `L2GW_ALLOW_SKIP=1` is not set.
pub fn are_there() -> bool {
    java::find().map_err(|missing| skip("ZooKeeper", &missing)).is_ok()
}

/// Whether a Cassandra node can be started here, as [`are_there()`].
///
/// # Panics
/// It cannot, and `L2GW_ALLOW_SKIP=1` is not set.
pub fn cassandra_is_there() -> bool {
    cassandra::find().map_err(|missing| skip("Cassandra", &missing)).is_ok()
}

fn skip(server: &str, missing: &ServersError) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // Past libtest, which swallows what a passing test prints.
    let _ = writeln!(std::io::stderr(), "skipped: {missing} ({test})");
    if let Some(path) = std::env::var_os("L2GW_SKIPS") {
        let file = OpenOptions::new().create(true).append(true).open(&path);
        file.and_then(|mut file| writeln!(file, "no {server}: {test}"))
            .unwrap_or_else(|e| panic!("cannot note the skipped test in {}: {e}", path.display()));
    }
    let is_allowed = std::env::var("L2GW_ALLOW_SKIP").is_ok_and(|value| value == "1");
    assert!(is_allowed, "skipped: {missing}, or set L2GW_ALLOW_SKIP=1");
}
