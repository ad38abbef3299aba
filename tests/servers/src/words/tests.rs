//! Answers as a ZooKeeper 3.8.0 gave them.

use super::*;

#[test]
fn one_that_has_no_quorum_has_no_part() {
    let answer = "Zookeeper version: 3.8.0\nReceived: 6\nMode: leader\nNode count: 6\n";
    assert_eq!(read_mode(answer), Some(Mode::Leader));
    assert_eq!(read_mode(NOT_SERVING), None);
    assert_eq!(read_mode("Mode: observer\n"), None);
}

#[test]
fn counts_are_numbers_and_what_is_missing_is_named() {
    let statistics = read_statistics(MNTR).unwrap();
    let expected = Statistics {
        mode: Mode::Follower,
        connections: 2,
        sessions: 1,
        ephemerals: 3,
        watches: 4,
        nodes: 6,
        outstanding: 5,
        received: 14,
        sent: 15,
        bytes: 193,
    };
    assert_eq!(statistics, expected);
    assert_eq!(
        read_statistics(&MNTR.replace("zk_watch_count\t4", "zk_watch_count\tx")),
        Err("zk_watch_count")
    );
    assert_eq!(read_statistics(NOT_SERVING), Err("zk_server_state"));
}

#[test]
fn a_connection_has_its_session_and_the_askers_has_none() {
    let connections = read_connections(CONS);
    let client = |text: &str| text.parse().unwrap();
    let asker = Connection { client: client("127.0.0.1:49296"), session: None, timeout: None, queued: 0 };
    let (session, timeout) = (Some(0x0100_03a6_082d_0000), Some(Duration::from_secs(60)));
    assert_eq!(
        connections,
        [asker, Connection { client: client("127.0.0.1:49240"), session, timeout, queued: 2 }]
    );
}

#[test]
fn watches_are_counted() {
    let expected = Watching { connections: 1, paths: 2, watches: 3 };
    assert_eq!(read_watching("1 connections watching 2 paths\nTotal watches:3"), Some(expected));
    assert_eq!(read_watching(NOT_SERVING), None);
}

#[test]
fn sessions_are_told_by_a_leader_and_by_a_follower() {
    let (a, b) = (0x0100_03a6_082d_0000, 0x0100_03a6_082d_0001);
    let paths = BTreeSet::from(["/a b:".to_owned(), "/c".to_owned()]);
    let expected = Dump { sessions: [a, b].into(), ephemerals: [(a, paths)].into() };
    for sessions in [LEADERS, FOLLOWERS] {
        let dump = format!("SessionTracker dump:\n{sessions}{REST}");
        assert_eq!(read_dump(&dump), expected);
    }
}

const MNTR: &str = "zk_version\t3.8.0-${mvngit.commit.id}, built on 2024-12-29 17:54 UTC
zk_server_state\tfollower
zk_ephemerals_count\t3
zk_num_alive_connections\t2
zk_avg_latency\t5.75
zk_outstanding_requests\t5
zk_znode_count\t6
zk_global_sessions\t1
zk_packets_sent\t15
zk_packets_received\t14
zk_watch_count\t4
zk_approximate_data_size\t193
";

const CONS: &str = " /127.0.0.1:49296[0](queued=0,recved=1,sent=0)
 /127.0.0.1:49240[1](queued=2,recved=4,sent=4,sid=0x10003a6082d0000,lop=EXIS,est=1795872947845,to=60000,lcxid=0x1,lzxid=0x100000002,lresp=61212872,llat=1,minlat=0,avglat=5,maxlat=12)

";

const LEADERS: &str = "Session Sets (1)/(2):
2 expire at Sat Nov 28 13:36:48 UTC 2026:
\t0x10003a6082d0000
\t0x10003a6082d0001
";

const FOLLOWERS: &str = "Global Sessions(2):
0x10003a6082d0000\t60000ms
0x10003a6082d0001\t60000ms
";

const REST: &str = "ephemeral nodes dump:
Sessions with Ephemerals (1):
0x10003a6082d0000:
\t/a b:
\t/c
Connections dump:
Connections Sets (1)/(1):
1 expire at Sat Nov 28 13:36:55 UTC 2026:
\tip: /127.0.0.1:49240 sessionId: 0x10003a6082d0002
";
