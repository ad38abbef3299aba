//! Real Cassandra nodes for tests, tried themselves: each fault does what it says, and nothing is left behind.

mod disk;
mod left;
mod node;
mod secured;

use servers::{Cassandra, CassandraOptions};

/// None where there is no Cassandra, and a test may do without.
fn start(options: CassandraOptions) -> Option<Cassandra> {
    servers::cassandra_is_there().then(|| Cassandra::start(options).unwrap())
}

/// Makes a table for [`put()`] and [`has()`].
fn make_table(node: &Cassandra) {
    for statement in [
        "CREATE KEYSPACE t WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
        "CREATE TABLE t.t (k text PRIMARY KEY, v text)",
    ] {
        node.run(statement).unwrap();
    }
}

fn put(node: &Cassandra, key: &str, value: &str) -> Result<(), servers::ServersError> {
    node.run(&format!("INSERT INTO t.t (k, v) VALUES ('{key}', '{value}')")).map(drop)
}

fn has(node: &Cassandra, key: &str, value: &str) -> bool {
    let found = node.run(&format!("SELECT v FROM t.t WHERE k = '{key}'")).unwrap();
    found.windows(value.len()).any(|bytes| bytes == value.as_bytes())
}
