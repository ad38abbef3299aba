//! Servers start, lead, die, come back with what they had, and tell of it.

use std::process::Command;
use std::time::Duration;

use servers::{Ensemble, Mode, Options, SUPER_PASSWORD, Server, Watching};

use crate::client::Client;
use crate::start;

#[test]
fn three_servers_die_and_come_back_with_what_they_had() {
    let Some(ensemble) = start(Options::three()) else { return };
    let leader = ensemble.leader().unwrap();
    let mut client = connect(&ensemble.servers()[0]);
    client.create("/a").unwrap();

    leader.kill().unwrap();
    assert!(leader.kill().is_err() && !leader.is_running());
    ensemble.wait_for_quorum().unwrap();
    assert_ne!(ensemble.leader().unwrap().number(), leader.number());
    leader.restart().unwrap();
    ensemble.wait_until_ready().unwrap();
    assert!(!leader.is_leader(), "one that comes back follows");

    for server in ensemble.servers() {
        server.kill().unwrap();
    }
    for server in ensemble.servers() {
        server.restart().unwrap();
    }
    ensemble.wait_until_ready().unwrap();
    for server in ensemble.servers() {
        assert_eq!(server.statistics().unwrap().ephemerals, 1, "of server {}", server.number());
    }
}

#[test]
fn servers_tell_what_a_client_has() {
    let Some(ensemble) = start(Options::three()) else { return };
    let (leader, follower) = (ensemble.leader().unwrap(), follower_of(&ensemble));
    let mut client = connect(follower);
    client.create("/a").unwrap();
    client.watch("/a").unwrap();
    client.watch("/").unwrap();

    let counted = follower.statistics().unwrap();
    assert_eq!((counted.sessions, counted.ephemerals, counted.watches, counted.nodes), (1, 1, 2, 6));
    assert_eq!(follower.watching().unwrap(), Watching { connections: 1, paths: 2, watches: 2 });
    assert_eq!(leader.watching().unwrap().watches, 0);
    for server in ensemble.servers() {
        let dump = server.dump().unwrap();
        assert_eq!(dump.sessions, [client.session].into(), "of server {}", server.number());
        assert_eq!(dump.ephemerals, [(client.session, ["/a".to_owned()].into())].into());
    }
    assert_eq!(ensemble.server_of(client.session).unwrap().number(), follower.number());
    assert_eq!(ensemble.server_of(client.session + 1).map(|server| server.number()), None);
    let connections = follower.connections().unwrap();
    let own = connections.iter().find(|connection| connection.session == Some(client.session)).unwrap();
    assert_eq!(own.timeout, Some(TIMEOUT));
}

#[test]
fn an_ensemble_has_one_leader() {
    let Some(ensemble) = start(Options::three()) else { return };
    let modes = ensemble.servers().iter().filter_map(|server| server.mode());
    let (leaders, others): (Vec<Mode>, Vec<Mode>) = modes.partition(|mode| *mode == Mode::Leader);
    assert_eq!((leaders.len(), others), (1, vec![Mode::Follower; 2]));
}

#[test]
fn the_super_user_may_do_what_others_may_not() {
    let Some(ensemble) = start(Options::one().super_user()) else { return };
    let mut client = connect(&ensemble.servers()[0]);
    // What is ZooKeeper's own, anyone may read.
    assert_eq!(client.create("/zookeeper/config/a").unwrap_err().to_string(), "error -102");
    client.authenticate(&format!("super:{SUPER_PASSWORD}")).unwrap();
    client.create("/zookeeper/config/a").unwrap();
}

#[test]
fn what_is_configured_besides_reaches_the_server() {
    let options = Options::one().line("clientPortListenBacklog", "77").property("zookeeper.cnxTimeout", "55");
    let Some(ensemble) = start(options) else { return };
    let server = &ensemble.servers()[0];
    let told = server.ask("conf").unwrap();
    for line in ["tickTime=200", "minSessionTimeout=400", "maxClientCnxns=0", "clientPortListenBacklog=77"] {
        assert!(told.lines().any(|one| one == line), "{line} is not in {told}");
    }
    let pid = server.pid().unwrap();
    let started = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(String::from_utf8(started).unwrap().contains("-Dzookeeper.cnxTimeout=55"));
}

#[test]
fn a_stopped_server_is_silent_until_it_goes_on() {
    let Some(ensemble) = start(Options::one()) else { return };
    let server = &ensemble.servers()[0];
    server.stop().unwrap();
    assert!(server.is_running() && server.mode().is_none() && ensemble.leader().is_err());
    server.cont().unwrap();
    assert_eq!(ensemble.leader().unwrap().mode(), Some(Mode::Standalone));
    // Also what is stopped can be killed, and does not come back as something that is stopped.
    server.stop().unwrap();
    server.kill().unwrap();
    server.restart().unwrap();
    assert!(server.restart().is_err(), "it runs");
    ensemble.wait_until_ready().unwrap();
}

#[test]
fn data_in_a_folder_of_the_tests_own_is_taken_up_by_the_next() {
    if !servers::are_there() {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let options = Options::one().data(data.path());
    let Some(first) = start(options.clone()) else { return };
    let mut client = connect(&first.servers()[0]);
    client.create("/kept").unwrap();
    drop(first);
    let second = Ensemble::start(options).unwrap();
    assert_eq!(second.servers()[0].dump().unwrap().sessions, [client.session].into());
}

#[test]
fn a_test_that_cannot_run_fails_unless_it_may_be_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("skips");
    let run = |may: &str| {
        let mut test = Command::new(std::env::current_exe().unwrap());
        test.args(["--exact", "ensemble::a_stopped_server_is_silent_until_it_goes_on"]);
        // No Java is found there.
        test.env("PATH", folder.path()).env("L2GW_SKIPS", &notes).env("L2GW_ALLOW_SKIP", may);
        test.output().unwrap()
    };
    let (refused, allowed) = (run("0"), run("1"));
    assert!(!refused.status.success() && allowed.status.success(), "{refused:?} {allowed:?}");
    let told = String::from_utf8(refused.stdout).unwrap();
    assert!(told.contains("skipped: java is not there: make setup installs it"), "{told}");
    let noted = std::fs::read_to_string(notes).unwrap();
    let line = "no ZooKeeper: ensemble::a_stopped_server_is_silent_until_it_goes_on\n";
    assert_eq!(noted, line.repeat(2));
}

fn follower_of(ensemble: &Ensemble) -> &Server {
    ensemble.servers().iter().find(|server| !server.is_leader()).unwrap()
}

fn connect(server: &Server) -> Client {
    Client::connect(server.address(), TIMEOUT).unwrap()
}

/// A session that lasts as long as any test.
const TIMEOUT: Duration = Duration::from_secs(60);
