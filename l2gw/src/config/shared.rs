//! What `check` warns of where hosts share a store or a journal: who may change it and who may listen, and how many servers it has.

use std::net::IpAddr;

use agent::config::file::File;
use agent::config::store::{Cluster, JournalBackend, Nsdb, Server};
use agent::reader::finding::Finding;

use super::document::Document;

/// The warnings of a right file, in no order.
pub(super) fn warnings(file: &File<'_, '_>, document: &Document) -> Vec<Finding> {
    let mut all = of_ensemble(file, &document.stores.nsdb);
    if let JournalBackend::Cassandra(cluster) = &document.stores.journal.backend {
        all.extend(of_cluster(file, cluster));
    }
    all
}

/// A warning about the value of a key.
fn at(file: &File<'_, '_>, keys: [&str; 2], text: &str) -> Finding {
    let position = file.position(&keys).unwrap_or_default();
    Finding { line: position.line, column: position.column, key: keys.join("."), text: text.to_owned() }
}

fn of_cluster(file: &File<'_, '_>, cluster: &Cluster) -> Vec<Finding> {
    let Cluster { contact_points, auth_file, ca_file, .. } = cluster;
    let at = |key, text: &str| at(file, ["journal", key], text);
    let is_far = ca_file.is_none() && contact_points.iter().any(|node| !is_here(node));
    let heard = is_far.then(|| at("contact-points", CLUSTER_IN_CLEAR));
    let open = auth_file.is_none().then(|| at("backend", OPEN_CLUSTER));
    [open, heard].into_iter().flatten().collect()
}

fn of_ensemble(file: &File<'_, '_>, nsdb: &Nsdb) -> Vec<Finding> {
    let Nsdb::ZooKeeper { servers, auth_file, .. } = nsdb else { return Vec::new() };
    let at = |key, text: &str| at(file, ["nsdb", key], text);
    let open = auth_file.is_none().then(|| at("backend", OPEN));
    let heard = if auth_file.is_some() { "the password and all else" } else { "all that is said" };
    let told = servers.iter().any(|server| !is_here(server)).then(|| at("servers", &in_clear(heard)));
    let count = of_count(servers.len()).map(|text| at("servers", &text));
    [open, told, count].into_iter().flatten().collect()
}

fn in_clear(heard: &str) -> String {
    format!(
        "the connection to the servers is not encrypted by this version: who listens on the way reads {heard}; a tunnel encrypts it \
         (docs/operations/zookeeper.md)"
    )
}

/// Whether a server, or the tunnel to it, is on this machine.
fn is_here(server: &Server) -> bool {
    let is_loopback = server.host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    is_loopback || server.host == "localhost"
}

/// What a number of servers that is not the best means. A majority decides (ZooKeeper's administrator's guide, "Clustered Setup").
fn of_count(servers: usize) -> Option<String> {
    if !servers.is_multiple_of(2) && servers > 1 {
        return None;
    }
    let lost = (servers.max(1) - 1) / 2;
    Some(match servers {
        0 | 1 => "if this server is the only one: while it is away nothing can be changed; three go on without one of them".to_owned(),
        2 => "if these are all servers: both are needed, so two fail more often than one; three go on without one of them".to_owned(),
        _ => format!(
            "if these are all servers: {servers} go on without {lost} of them, as {} do; the last one only adds work",
            servers - 1
        ),
    })
}

const OPEN_CLUSTER: &str =
    "no \"auth-file\": everybody who reaches the nodes may read and change what happened";
const CLUSTER_IN_CLEAR: &str = "the connection to the nodes is not encrypted: who listens on the way reads all that is said; \"ca-file\" makes it TLS \
                                (docs/operations/cassandra.md)";
const OPEN: &str = "no \"auth-file\": everybody who reaches the servers may read and change everything";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_number_of_servers_from_three_on_is_not_remarked() {
        for servers in [3, 5, 7] {
            assert_eq!(of_count(servers), None);
        }
        let said = |servers| of_count(servers).unwrap();
        assert!(
            said(1).starts_with("if this server is the only one: while it is away nothing can be changed")
        );
        assert!(said(2).contains("both are needed"), "{}", said(2));
        assert!(said(4).contains("4 go on without 1 of them, as 3 do"), "{}", said(4));
        assert!(said(6).contains("6 go on without 2 of them, as 5 do"), "{}", said(6));
    }

    #[test]
    fn a_server_behind_a_tunnel_is_on_this_machine() {
        let is = |host: &str| is_here(&Server { host: host.to_owned(), port: 2181 });
        assert!(["127.0.0.1", "127.9.0.3", "::1", "localhost"].into_iter().all(is));
        assert!(!["10.0.0.1", "zk1.example", "2001:db8::1", "127.example"].into_iter().any(is));
    }
}
