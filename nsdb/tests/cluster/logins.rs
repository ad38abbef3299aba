//! Who may write: nodes that want a login.

use nsdb::Journal;
use nsdb::cassandra::CassandraSettings;
use nsdb::zookeeper::Login;
use servers::{CASSANDRA_ROLE, CassandraOptions};

use super::host::{ask, event, node, open, refused, settings, told};

fn login(user: &str, password: &str) -> Option<Login> {
    Some(Login { user: user.to_owned(), password: password.to_owned() })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_is_told_what_is_wrong_with_it_and_needs_no_right_to_make_tables() {
    let Some(node) = node(CassandraOptions::plain().login()).await else { return };
    let with = |login| CassandraSettings { login, ..settings(&node, "guarded", "gw1") };
    assert_eq!(
        refused(&open(with(None))).await,
        "the nodes want a login: auth-file names the file with user:password"
    );
    for wrong in [login(CASSANDRA_ROLE, "wrong"), login("nobody", "x")] {
        let why = refused(&open(with(wrong))).await;
        assert_eq!(why, "the login is refused: look at user and password in auth-file");
    }
    ask(&node, "CREATE ROLE gateway WITH PASSWORD = 'secret' AND LOGIN = true").await;
    let why = refused(&open(with(login("gateway", "secret")))).await;
    assert!(why.starts_with("the login has not the right to: "), "{why}");
    // Somebody who may makes them, and gives the right to read and write.
    open(with(login(CASSANDRA_ROLE, CASSANDRA_ROLE))).append(vec![event(1, "a")]).await.unwrap();
    for right in ["SELECT", "MODIFY"] {
        ask(&node, &format!("GRANT {right} ON KEYSPACE guarded TO gateway")).await;
    }
    let journal = open(with(login("gateway", "secret")));
    let mut tries = 0;
    // A node keeps what it knows of rights for two seconds.
    while let Err(error) = journal.append(vec![event(2, "b")]).await {
        tries += 1;
        assert!(tries < 40, "{error}");
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    }
    assert_eq!(told(&journal).await, ["a", "b"]);
}
