//! The demo's network: namespaces, cables, a switch that speaks 802.1Q, and the daemon.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};

use super::program::{LabError, Running, finish, inside, own_path, shell};
use crate::cli::FAILED;

/// The network in text.
pub(super) const PICTURE: &str = r"
    physical machines     physical switch               this gateway                        VMs
                         (802.1Q, two VLANs)   (kernel datapath, no controller)

    phys5 10.0.0.15 ----- access 5 +                [      ]-- VLAN 5 --[ vub5 ]-- tap5 --- vm5 10.0.0.25
                                   |---- trunk ---- [ dc1  ]
    phys8 10.0.0.18 ----- access 8 +     leaf1      [      ]-- VLAN 8 --[ vub8 ]-- tap8 --- vm8 10.0.0.28

    All four are in 10.0.0.0/24: what keeps them apart is their VLAN, nothing else.
";

/// Namespaces and files with names of this process' own; all removed on drop.
pub(super) struct Network {
    tag: String,
    directory: PathBuf,
}

impl Network {
    /// Makes the namespaces and cables.
    ///
    /// # Errors
    /// Not root, no iproute2, or a kernel without namespaces, veth or VLAN filtering.
    pub(super) fn build() -> Result<Network, LabError> {
        let tag = format!("l2gwdemo{}", std::process::id());
        let network = Network { directory: directory(&tag), tag };
        let interrupts = remove_when_interrupted(network.tag.clone());
        interrupts.map_err(|error| failed("listen for signals", &error))?;
        let made = fs::create_dir_all(&network.directory).and_then(|()| fs::write(network.file(), FILE));
        made.map_err(|error| failed(&network.file().display().to_string(), &error))?;
        network.wire()?;
        Ok(network)
    }

    fn wire(&self) -> Result<(), LabError> {
        for name in NAMESPACES {
            shell(&format!("ip netns add {}", self.ns(name)))?;
            self.in_ns(name, "ip link set lo up")?;
        }
        self.cable(("switch", "trunk"), ("gateway", "leaf1"))?;
        for vlan in [5, 8] {
            let (machine, vm) = (format!("phys{vlan}"), format!("vm{vlan}"));
            self.cable(("switch", &machine), (&machine, "eth0"))?;
            self.cable(("gateway", &format!("tap{vlan}")), (&vm, "eth0"))?;
            self.in_ns(&machine, &format!("ip address add 10.0.0.1{vlan}/24 dev eth0"))?;
            self.in_ns(&vm, &format!("ip address add 10.0.0.2{vlan}/24 dev eth0"))?;
        }
        self.switch()
    }

    fn switch(&self) -> Result<(), LabError> {
        let bridge = "type bridge vlan_filtering 1 vlan_default_pvid 0 mcast_snooping 0";
        self.in_ns("switch", &format!("ip link add br0 {bridge}"))?;
        for port in ["trunk", "phys5", "phys8"] {
            self.in_ns("switch", &format!("ip link set {port} master br0"))?;
        }
        self.in_ns("switch", "ip link set br0 up")?;
        for vlan in [5, 8] {
            self.in_ns("switch", &format!("bridge vlan add dev trunk vid {vlan}"))?;
            self.in_ns("switch", &format!("bridge vlan add dev phys{vlan} vid {vlan} pvid untagged"))?;
        }
        Ok(())
    }

    fn cable(&self, (near, near_link): (&str, &str), (far, far_link): (&str, &str)) -> Result<(), LabError> {
        let (near_ns, far_ns) = (self.ns(near), self.ns(far));
        shell(&format!(
            "ip link add {near_link} netns {near_ns} type veth peer name {far_link} netns {far_ns}"
        ))?;
        self.in_ns(near, &format!("ip link set {near_link} up"))?;
        self.in_ns(far, &format!("ip link set {far_link} up"))?;
        Ok(())
    }

    /// Starts the daemon and waits until its three ports are up.
    ///
    /// # Errors
    /// It does not come up.
    pub(super) fn start_daemon(&self) -> Result<Running, LabError> {
        let log = self.directory.join("l2gw.log");
        let file = fs::OpenOptions::new().create(true).append(true).open(&log);
        let file = file.map_err(|error| failed(&log.display().to_string(), &error))?;
        let mut command = inside(&self.ns("gateway"), own_path());
        command.arg("run").arg(self.file()).args(["--host", "gw1", "--state"]);
        command.arg(self.directory.join("state")).arg("--socket").arg(self.socket());
        let daemon = Running::start(command.stdout(Stdio::null()).stderr(file))?;
        self.wait_until_up(&log)?;
        Ok(daemon)
    }

    fn wait_until_up(&self, log: &Path) -> Result<(), LabError> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if self.l2gw(&["show", "status"]).is_ok_and(|said| said.contains("ports 3 of 3 up")) {
                return Ok(());
            }
            sleep(Duration::from_millis(50));
        }
        let log = fs::read_to_string(log).unwrap_or_default();
        Err(LabError::Daemon { seconds: PATIENCE.as_secs(), log })
    }

    /// Runs a verb of this program against the daemon and gives what it printed.
    ///
    /// # Errors
    /// It exits with anything but 0.
    pub(super) fn l2gw(&self, arguments: &[&str]) -> Result<String, LabError> {
        finish(Command::new(own_path()).args(arguments).arg("--socket").arg(self.socket()))
    }

    /// The address of a machine's card.
    ///
    /// # Errors
    /// `ip` cannot be run.
    pub(super) fn mac(&self, machine: &str) -> Result<String, LabError> {
        let shown = self.in_ns(machine, "ip -o link show dev eth0")?;
        let mut words = shown.split_whitespace().skip_while(|word| *word != "link/ether").skip(1);
        let missing = || LabError::Step { step: format!("address of {machine}"), said: shown.clone() };
        words.next().map(str::to_owned).ok_or_else(missing)
    }

    /// The start of an IPv4 frame from one machine to another, tagged as a trunk brings it, in hexadecimal.
    ///
    /// # Errors
    /// `ip` cannot be run.
    pub(super) fn frame(&self, from: &str, to: &str, vlan: u16) -> Result<String, LabError> {
        let (src, dst) = (self.mac(from)?.replace(':', ""), self.mac(to)?.replace(':', ""));
        Ok(format!("{dst}{src}8100{vlan:04x}0800"))
    }

    /// The namespace of a machine.
    pub(super) fn ns(&self, machine: &str) -> String {
        format!("{}-{machine}", self.tag)
    }

    fn file(&self) -> PathBuf {
        self.directory.join("gateway.toml")
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("l2gw.sock")
    }

    fn in_ns(&self, machine: &str, line: &str) -> Result<String, LabError> {
        shell(&format!("ip netns exec {} {line}", self.ns(machine)))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        remove(&self.tag);
    }
}

/// Removes all that a network of this name is made of.
fn remove(tag: &str) {
    for name in NAMESPACES {
        let _ = shell(&format!("ip netns delete {tag}-{name}"));
    }
    let _ = fs::remove_dir_all(directory(tag));
}

fn directory(tag: &str) -> PathBuf {
    std::env::temp_dir().join(tag)
}

/// Whoever stops the demo by Ctrl-C or SIGTERM finds nothing of it afterwards.
fn remove_when_interrupted(tag: String) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut int, mut term) = runtime.block_on(async {
        Ok::<_, io::Error>((signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
    })?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = int.recv() => {}
                _ = term.recv() => {}
            }
        });
        remove(&tag);
        std::process::exit(i32::from(FAILED));
    });
    Ok(())
}

fn failed(step: &str, error: &io::Error) -> LabError {
    LabError::Step { step: step.to_owned(), said: error.to_string() }
}

const NAMESPACES: [&str; 6] = ["switch", "gateway", "phys5", "phys8", "vm5", "vm8"];
const PATIENCE: Duration = Duration::from_secs(20);

const FILE: &str = r#"[hosts.gw1]

[bridges.dc1]
kind = "vlan-aware"
fabric = "rack1"

[bridges.vub5]
kind = "vlan-unaware"

[bridges.vub8]
kind = "vlan-unaware"

[[vlans]]
bridge = "dc1"
vid = 5
to = "vub5"

[[vlans]]
bridge = "dc1"
vid = 8
to = "vub8"

[[trunks]]
name = "leaf1"
bridge = "dc1"
host = "gw1"
link = "leaf1"

[[ports]]
name = "vm5"
bridge = "vub5"
host = "gw1"
link = "tap5"

[[ports]]
name = "vm8"
bridge = "vub8"
host = "gw1"
link = "tap8"
"#;
