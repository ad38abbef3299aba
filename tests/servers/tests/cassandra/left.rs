//! Nothing is left of a node, however its test ends.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use servers::{Cassandra, CassandraOptions};

#[test]
fn a_node_ends_with_a_process_that_is_killed() {
    if !servers::cassandra_is_there() {
        return;
    }
    let (mut process, pid) = start_holder();
    let folder = folder_of(pid);
    assert!(is_there(pid));
    process.kill().unwrap();
    process.wait().unwrap();
    let start = Instant::now();
    while is_there(pid) {
        assert!(start.elapsed() < Duration::from_secs(20), "{pid} is still there");
        std::thread::sleep(Duration::from_millis(5));
    }
    // The next that starts removes it after a minute; this test does not wait for that.
    std::fs::remove_dir_all(folder).unwrap();
}

/// Starts a process with a node, and says what that node's process is.
fn start_holder() -> (Child, u32) {
    let mut test = Command::new(std::env::current_exe().unwrap());
    test.args(["--ignored", "--exact", "left::waits_to_be_killed", "--nocapture"]);
    let mut process = test.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let pid = lines.find_map(|line| line.unwrap().split_once("pid ").map(|(_, pid)| pid.parse().unwrap()));
    (process, pid.unwrap())
}

/// Run by the test above, in a process of its own.
#[test]
#[ignore = "waits until it is killed"]
fn waits_to_be_killed() {
    let node = Cassandra::start(CassandraOptions::plain()).unwrap();
    println!("pid {}", node.pid().unwrap());
    std::io::stdout().flush().unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

/// The folder that goes with a node.
fn folder_of(pid: u32) -> PathBuf {
    let own = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
    own.parent().unwrap().to_owned()
}

fn is_there(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}
