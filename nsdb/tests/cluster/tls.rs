//! Connections that are encrypted, to nodes that show who they are.

use std::fs;

use nsdb::Journal;
use nsdb::cassandra::CassandraSettings;
use servers::CassandraOptions;

use super::host::{event, node, open, refused, settings, shared, told};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_somebody_trusted_vouches_for_is_spoken_to_and_no_other() {
    let Some(node) = node(CassandraOptions::plain().tls()).await else { return };
    let certificates = node.certificates().expect("it has some");
    let with = |authority: Option<&std::path::Path>| CassandraSettings {
        authority: authority.map(Into::into),
        ..settings(&node, "secret", "gw1")
    };
    let journal = open(with(Some(&certificates.authority)));
    journal.append(vec![event(1, "a")]).await.unwrap();
    assert_eq!(told(&journal).await, ["a"]);
    let why = refused(&open(with(Some(&certificates.other_authority)))).await;
    assert!(why.contains("certificate"), "{why}");
    let why = refused(&open(with(None))).await;
    assert!(why.contains("do the nodes speak TLS, and ca-file is not set?"), "{why}");
    // What is no file of certificates is named, before anybody is asked.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let why = refused(&open(with(Some(&file)))).await;
    assert!(why.contains("ca.pem: No such file"), "{why}");
    fs::write(&file, "no certificate").unwrap();
    assert!(refused(&open(with(Some(&file)))).await.ends_with("ca.pem: has no certificate"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_does_not_speak_tls_is_not_spoken_to_in_clear() {
    let Some(node) = shared().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let addresses = [node.contact_point().ip()];
    let certificates = servers::certificates(folder.path(), &addresses).unwrap();
    let authority = Some(certificates.authority);
    let journal = open(CassandraSettings { authority, ..settings(&node, "clear", "gw1") });
    let why = refused(&journal).await;
    assert!(why.contains("corrupt message") || why.contains("InvalidContentType"), "{why}");
}
