//! Open vSwitch as its users run it: ovsdb-server and ovs-vswitchd, from a package that is unpacked and not installed.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::wire::{PATIENCE, STATION, TRUNK, VID};
use crate::lab::netns::Netns;

/// Both daemons of Open vSwitch. Dropping them kills them and removes their files.
#[derive(Debug)]
pub struct OpenVswitch {
    tree: PathBuf,
    directory: tempfile::TempDir,
    daemons: Vec<Child>,
}

impl OpenVswitch {
    /// Starts both daemons in a namespace and makes a bridge of its links [`STATION`] (access) and [`TRUNK`]. `tree` is where the
    /// package was unpacked.
    ///
    /// # Panics
    /// A step fails; what the daemons said is shown.
    pub fn start(netns: &Netns, tree: &Path) -> OpenVswitch {
        let tag = format!("tag={VID}");
        OpenVswitch::of_ports(
            netns,
            tree,
            &["add-port", BRIDGE, STATION, &tag, "--", "add-port", BRIDGE, TRUNK],
        )
    }

    /// The same of a link and a VXLAN tunnel to another host's address, with this VNI.
    ///
    /// # Panics
    /// A step fails; what the daemons said is shown.
    pub fn with_tunnel(
        netns: &Netns,
        tree: &Path,
        (link, remote, vni): (&str, Ipv4Addr, u32),
    ) -> OpenVswitch {
        let (remote, key) = (format!("options:remote_ip={remote}"), format!("options:key={vni}"));
        let tunnel =
            ["add-port", BRIDGE, "vx0", "--", "set", "interface", "vx0", "type=vxlan", &remote, &key];
        OpenVswitch::of_ports(netns, tree, &[&["add-port", BRIDGE, link, "--"][..], &tunnel].concat())
    }

    /// Starts both daemons and makes a bridge; `ports` are the words of ovs-vsctl that add its ports.
    fn of_ports(netns: &Netns, tree: &Path, ports: &[&str]) -> OpenVswitch {
        let directory =
            tempfile::Builder::new().prefix("l2gw-ovs-").tempdir().expect("a directory of its own");
        let mut ovs = OpenVswitch { tree: tree.to_owned(), directory, daemons: Vec::new() };
        let database = ovs.path("conf.db").to_string_lossy().into_owned();
        let schema = ovs.tree.join("usr/share/openvswitch/vswitch.ovsschema").to_string_lossy().into_owned();
        ovs.run(netns, "usr/bin/ovsdb-tool", &["create", &database, &schema]);
        ovs.daemon(netns, "usr/sbin/ovsdb-server", &[&database, &format!("--remote=p{}", ovs.socket())]);
        ovs.wait_for_socket();
        ovs.configure(netns, &["--no-wait", "init"]);
        wait_for_uptime();
        // By the file with its process number ovs-appctl finds it.
        ovs.daemon(netns, "usr/lib/openvswitch-switch/ovs-vswitchd", &[&ovs.socket(), "--pidfile"]);
        ovs.configure(netns, &[&["add-br", BRIDGE, "--"], ports].concat());
        let (table, age) =
            (format!("other-config:mac-table-size={MOST_ADDRESSES}"), "other-config:mac-aging-time=3600");
        ovs.configure(netns, &["set", "bridge", BRIDGE, &table, age]);
        ovs
    }

    /// The process number of ovs-vswitchd.
    ///
    /// # Panics
    /// It does not run.
    pub fn vswitchd(&self) -> u32 {
        self.daemons.last().expect("ovs-vswitchd runs since the start").id()
    }

    /// How many addresses its bridge has learned.
    ///
    /// # Panics
    /// It does not answer.
    pub fn addresses(&self, netns: &Netns) -> usize {
        // Header, and one line for each address.
        self.run(netns, "usr/bin/ovs-appctl", &["fdb/show", BRIDGE]).lines().count().saturating_sub(1)
    }

    fn configure(&self, netns: &Netns, arguments: &[&str]) {
        let database = format!("--db={}", self.socket());
        let all = [&["--timeout=30", database.as_str()], arguments].concat();
        self.run(netns, "usr/bin/ovs-vsctl", &all);
    }

    fn run(&self, netns: &Netns, program: &str, arguments: &[&str]) -> String {
        let mut command = self.command(program, arguments);
        let output = netns.run(move || command.output());
        let output =
            output.unwrap_or_else(|e| panic!("cannot run {program} of {}: {e}", self.tree.display()));
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {}\n{}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr),
            self.log()
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn daemon(&mut self, netns: &Netns, program: &str, arguments: &[&str]) {
        let log = File::options().create(true).append(true).open(self.path("log")).expect("a log file");
        let mut command = self.command(program, arguments);
        command.stdout(Stdio::null()).stderr(log);
        let child = netns.run(move || command.spawn());
        self.daemons.push(child.unwrap_or_else(|e| panic!("cannot start {program}: {e}")));
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.tree.join(program));
        command.args(arguments).stdin(Stdio::null());
        let own = self.directory.path();
        for variable in ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"] {
            command.env(variable, own);
        }
        command.env("LD_LIBRARY_PATH", self.tree.join("usr/lib/x86_64-linux-gnu"));
        command
    }

    fn wait_for_socket(&self) {
        let until = Instant::now() + PATIENCE;
        while !self.path("db.sock").exists() {
            assert!(Instant::now() < until, "ovsdb-server did not open its socket:\n{}", self.log());
            sleep(STEP);
        }
    }

    fn socket(&self) -> String {
        format!("unix:{}", self.path("db.sock").display())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for OpenVswitch {
    fn drop(&mut self) {
        for daemon in self.daemons.iter_mut().rev() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        if std::thread::panicking() {
            eprintln!("Open vSwitch said:\n{}", self.log());
        }
    }
}

/// ovs-vswitchd 3.1 that starts within the first ten seconds of a machine gets no handler threads, and drops every upcall.
fn wait_for_uptime() {
    let uptime = || -> Option<f64> {
        fs::read_to_string("/proc/uptime").ok()?.split_whitespace().next()?.parse().ok()
    };
    while uptime().is_some_and(|seconds| seconds <= 11.0) {
        sleep(STEP);
    }
}

const BRIDGE: &str = "br0";
/// Room for all addresses of any measurement.
const MOST_ADDRESSES: u32 = 200_000;
const STEP: Duration = Duration::from_millis(10);
