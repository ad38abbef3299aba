//! The gateway itself, as its users run it: the program `l2gw run` in a namespace of its own, asked through its socket.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use agent::view::{CounterView, FlowView, MacView, PortView, StatusView, TrunkView};
use l2gw::cli::client::Client;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;

use super::machine::build_directory;
use super::netns::Netns;

/// A gateway's namespace, file, state and process. Dropping it kills the process and removes the files.
#[derive(Debug)]
pub struct Gateway {
    netns: Netns,
    host: String,
    start: Start,
    directory: tempfile::TempDir,
    child: Option<Child>,
}

/// Which program runs a host.
#[derive(Debug, Clone)]
enum Start {
    /// `l2gw run` with the file.
    Run,
    /// `l2gw-agent`, which is told by a word where the store is.
    Agent(String),
}

impl Gateway {
    /// A gateway that is not started, host `gw1` of the file.
    ///
    /// # Panics
    /// No namespace or directory can be made.
    pub fn new(name: &str, file: &str) -> Gateway {
        Gateway::of_host(name, "gw1", file)
    }

    /// A gateway that is not started, which is this host of the file.
    ///
    /// # Panics
    /// No namespace or directory can be made.
    pub fn of_host(name: &str, host: &str, file: &str) -> Gateway {
        let gateway = Gateway::not_started(name, host, Start::Run);
        gateway.write_file(file);
        gateway
    }

    /// A host that `l2gw-agent` runs, not started. It is told its name and where the store is: `zookeeper:127.0.0.1:2181/l2gw`.
    ///
    /// # Panics
    /// No namespace or directory can be made.
    pub fn of_agent(host: &str, store: &str) -> Gateway {
        let gateway = Gateway::not_started(host, host, Start::Agent(store.to_owned()));
        // What a host keeps is its own, and these share a file system.
        gateway.write_file(&format!("[nsdb]\npath = {:?}\n", gateway.state()));
        gateway
    }

    fn not_started(name: &str, host: &str, start: Start) -> Gateway {
        let directory =
            tempfile::Builder::new().prefix("l2gw-gateway-").tempdir().expect("a directory of its own");
        Gateway { netns: Netns::new(name), host: host.to_owned(), start, directory, child: None }
    }

    /// The namespace that its links are in.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Replaces the configuration file.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn write_file(&self, file: &str) {
        fs::write(self.file(), file).expect("the configuration file");
    }

    /// Starts the daemon and waits until it answers.
    ///
    /// # Panics
    /// It does not come up; its log is shown.
    pub fn start(&mut self) {
        self.start_with(&[]);
    }

    /// Starts the daemon with further arguments and waits until it answers.
    ///
    /// # Panics
    /// It does not come up; its log is shown.
    pub fn start_with(&mut self, arguments: &[&str]) {
        let log = File::options().create(true).append(true).open(self.log_file()).expect("a log file");
        let mut command = self.command();
        command.args(["--host", &self.host]).arg("--socket").arg(self.socket()).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        // A group of its own, so that a signal to the tests' group does not reach it first.
        command.process_group(0);
        let child = self.netns.run(|| command.spawn());
        self.child = Some(child.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}")));
        self.wait_for("the daemon to answer", |gateway| {
            gateway.try_show::<StatusView>("/v1/status").is_some()
        });
    }

    fn command(&self) -> Command {
        let mut command;
        match &self.start {
            Start::Run => {
                command = Command::new(program());
                command.arg("run").arg(self.file()).arg("--state").arg(self.state());
            }
            Start::Agent(store) => {
                command = Command::new(built("l2gw-agent"));
                command.arg("--config").arg(self.file()).args(["--nsdb", store]);
            }
        }
        command
    }

    /// Starts the daemon and waits until all its ports forward.
    ///
    /// # Panics
    /// They do not; its log is shown.
    pub fn start_up(&mut self) {
        self.start();
        self.wait_until_up();
    }

    /// Waits until every port forwards.
    ///
    /// # Panics
    /// They do not; its log is shown.
    pub fn wait_until_up(&self) {
        self.wait_for("all ports to be up", |gateway| {
            let status = gateway.status();
            status.settled && status.ports > 0 && status.ports_up == status.ports
        });
    }

    /// Kills it with SIGKILL and waits until it is gone.
    ///
    /// # Panics
    /// It does not run.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("a running daemon");
        child.kill().expect("a signal to our own child");
        child.wait().expect("the end of our own child");
    }

    /// Ends it with SIGTERM.
    ///
    /// # Panics
    /// It does not run, or does not end within 20 s.
    pub fn stop(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("a running daemon");
        kill(pid_of(&child), Signal::SIGTERM).expect("a signal to our own child");
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait().expect("our own child") {
                return status;
            }
            if Instant::now() > until {
                let _ = child.kill();
                panic!("the daemon did not end within {PATIENCE:?}; it said:\n{}", self.log());
            }
            sleep(STEP);
        }
    }

    /// Sends a signal to the daemon.
    ///
    /// # Panics
    /// It does not run.
    pub fn signal(&self, signal: Signal) {
        kill(pid_of(self.child.as_ref().expect("a running daemon")), signal)
            .expect("a signal to our own child");
    }

    /// The daemon's resident memory in KiB.
    ///
    /// # Panics
    /// It does not run.
    pub fn resident_kib(&self) -> u64 {
        resident_kib(self.pid().expect("a running daemon"))
    }

    /// The daemon's process number, if it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Asks the daemon.
    ///
    /// # Panics
    /// It does not answer; its log is shown.
    pub fn show<T: DeserializeOwned>(&self, path: &str) -> T {
        match self.client().read(path) {
            Ok(view) => view,
            Err(error) => panic!("{path}: {error}; the daemon said:\n{}", self.log()),
        }
    }

    /// Asks the daemon, if it answers.
    pub fn try_show<T: DeserializeOwned>(&self, path: &str) -> Option<T> {
        self.client().read(path).ok()
    }

    /// The whole at a glance.
    pub fn status(&self) -> StatusView {
        self.show("/v1/status")
    }

    /// One port.
    ///
    /// # Panics
    /// There is no such port.
    pub fn port(&self, name: &str) -> PortView {
        let ports: Vec<PortView> = self.show("/v1/ports");
        ports.into_iter().find(|port| port.port == name).unwrap_or_else(|| panic!("no port {name} is shown"))
    }

    /// Every trunk.
    pub fn trunks(&self) -> Vec<TrunkView> {
        self.show("/v1/trunks")
    }

    /// Every address.
    pub fn macs(&self) -> Vec<MacView> {
        self.show("/v1/macs")
    }

    /// Every flow.
    pub fn flows(&self) -> Vec<FlowView> {
        self.show("/v1/flows")
    }

    /// The sum of the counters with this name and all of these labels.
    pub fn counter(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let counters: Vec<CounterView> = self.show("/v1/counters");
        let has = |counter: &CounterView| {
            labels.iter().all(|(key, value)| counter.labels.iter().any(|(k, v)| k == key && v == value))
        };
        counters
            .iter()
            .filter(|counter| counter.name == name && has(counter))
            .map(|counter| counter.value)
            .sum()
    }

    /// Runs a verb of the command line against this daemon; what it printed, if it ended well.
    ///
    /// # Errors
    /// Exit code and what it said.
    pub fn l2gw(&self, arguments: &[&str]) -> Result<String, (i32, String)> {
        let socket = self.socket();
        let socket = socket.to_str().expect("a path of letters");
        self.l2gw_by_itself(&[arguments, &["--socket", socket]].concat())
    }

    /// Runs a verb of the command line that asks no daemon, in the gateway's namespace; what it printed, if it ended well.
    ///
    /// # Errors
    /// Exit code and what it said.
    pub fn l2gw_by_itself(&self, arguments: &[&str]) -> Result<String, (i32, String)> {
        let mut command = Command::new(program());
        command.args(arguments).stdin(Stdio::null());
        let output = self.netns.run(move || command.output()).expect("the l2gw program");
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match output.status.success() {
            true => Ok(said(&output.stdout)),
            false => Err((output.status.code().unwrap_or(-1), said(&output.stderr))),
        }
    }

    /// A client of its socket.
    pub fn client(&self) -> Client {
        Client::new(&self.socket())
    }

    /// Waits until something holds.
    ///
    /// # Panics
    /// It does not within [`PATIENCE`]; the daemon's log is shown.
    pub fn wait_for(&self, what: &str, mut holds: impl FnMut(&Gateway) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(
                Instant::now() < until,
                "waited {PATIENCE:?} for {what}; the daemon said:\n{}",
                self.log()
            );
            sleep(STEP);
        }
    }

    /// What the daemon has said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Its configuration file.
    pub fn file(&self) -> PathBuf {
        self.path("gateway.toml")
    }

    /// Its state directory.
    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    fn socket(&self) -> PathBuf {
        self.path("l2gw.sock")
    }

    fn log_file(&self) -> PathBuf {
        self.path("log")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("the daemon said:\n{}", self.log());
        }
    }
}

/// Resident memory of a process in KiB.
///
/// # Panics
/// There is no such process.
pub fn resident_kib(process: u32) -> u64 {
    let path = format!("/proc/{process}/status");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kibibytes.unwrap_or_else(|| panic!("no VmRSS in {path}"))
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("a process number"))
}

/// The program beside the running test or program: `target/PROFILE/l2gw`, built with the workspace. `cargo test -p tests` alone does not
/// build it anew.
pub fn program() -> PathBuf {
    built("l2gw")
}

fn built(program: &str) -> PathBuf {
    let beside = build_directory().unwrap_or_else(|error| panic!("{error}")).join(program);
    assert!(beside.is_file(), "no {}: run `cargo build --workspace --all-targets` first", beside.display());
    beside
}

/// How long anything of the daemon may take: a test kernel is slow, and two of them share a machine.
pub const PATIENCE: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_millis(10);
