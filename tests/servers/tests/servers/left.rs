//! Nothing is left of servers, however their test ends.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use servers::{Ensemble, Options};

use crate::until;

#[test]
fn nothing_is_left_of_an_ensemble_that_is_dropped_by_a_panic() {
    if !servers::are_there() {
        return;
    }
    let (tell, told) = std::sync::mpsc::channel();
    let failing = std::thread::spawn(move || {
        let ensemble = Ensemble::start(Options::one()).unwrap();
        let pid = ensemble.servers()[0].pid().unwrap();
        tell.send((pid, folder_of(pid))).unwrap();
        panic!("as a test that fails");
    });
    assert!(failing.join().is_err());
    let (pid, folder) = told.recv().unwrap();
    assert!(!is_there(pid) && !folder.exists(), "{pid} {}", folder.display());
}

#[test]
fn servers_end_with_a_process_that_is_killed() {
    if !servers::are_there() {
        return;
    }
    let (mut process, pid) = start_holder();
    let folder = folder_of(pid);
    assert!(is_there(pid));
    process.kill().unwrap();
    process.wait().unwrap();
    until(|| !is_there(pid));
    // The next ensemble removes it after a minute; this test does not wait for that.
    std::fs::remove_dir_all(folder).unwrap();
}

/// Starts a process with a server, and says what that server's process is.
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
    let ensemble = Ensemble::start(Options::one()).unwrap();
    println!("pid {}", ensemble.servers()[0].pid().unwrap());
    std::io::stdout().flush().unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

/// The folder of a server's ensemble.
fn folder_of(pid: u32) -> PathBuf {
    let own = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
    own.parent().unwrap().to_owned()
}

fn is_there(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}
