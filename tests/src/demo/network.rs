//! The demo's network: racks, hosts, an underlay, servers on it, and a desk at which somebody sits.
//!
//! All of it is in namespaces that exist as open descriptors, and in one folder for files: it goes when this is dropped.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use servers::Options;
use tempfile::TempDir;

use crate::lab::cluster::UPLINK;
use crate::lab::ensemble::{Reach, Servers};
use crate::lab::frames::{BROADCAST, Frame, Mac};
use crate::lab::gateway::{Gateway, program};
use crate::lab::host::Station;
use crate::lab::netns::Netns;
use crate::lab::switch::Switch;

/// The network in text.
pub(super) const PICTURE: &str = r"
    rack 1           switch                    underlay, VXLAN                       VMs on
    phys51 -- VLAN 5 +----+ trunk  +-----+     192.0.2.0/24       +-----+   vub5 --- vm51
    phys81 -- VLAN 8 +    +--------| gw1 |-----+            +-----| cn1 |   vub8 --- vm81
                     +----+ leaf1  +-----+     |            |     +-----+
                                               |            |     +-----+   vub5 --- vm52
    rack 2           switch                    +------------+-----| cn2 |   vub8 --- vm82
    phys52 -- VLAN 5 +----+ trunk  +-----+     |            |     +-----+
    phys82 -- VLAN 8 +    +--------| gw2 |-----+            |     +-----+   vub5 --- vm53
                     +----+ leaf2  +-----+     |            +-----| cn3 |   vub8 --- vm83
                                        zk1 zk2 zk3               +-----+

    The file is examples/09-ensemble/gateway.toml: VLAN 5 of both racks and vub5 are one segment, VLAN 8 and vub8 another. All ten machines
    are in 10.0.0.0/16; what keeps them apart is their VLAN. The first digit of a name is the VLAN, the second the rack or the compute host.
";

/// The hosts in the order in which they are started; those of [`GATEWAYS`] run `l2gw`, the others `l2gw-agent`.
pub(super) const HOSTS: [&str; 5] = ["gw1", "gw2", "cn1", "cn2", "cn3"];
/// The hosts that have trunks.
pub(super) const GATEWAYS: [&str; 2] = ["gw1", "gw2"];
/// Where no daemon runs, and somebody sits.
pub(super) const DESK: &str = "desk";
/// Where hosts find the servers.
pub(super) const STORE: &str = "zookeeper:192.0.2.21:2181,192.0.2.22:2181,192.0.2.23:2181/l2gw";
/// The servers' addresses, in the order of their numbers.
pub(super) const SERVERS: [&str; 3] = ["192.0.2.21:2181", "192.0.2.22:2181", "192.0.2.23:2181"];

/// All of it. Fields in the order in which they are to go.
pub(super) struct Network {
    #[allow(dead_code, reason = "held for its end")]
    reach: Reach,
    hosts: BTreeMap<&'static str, Gateway>,
    machines: BTreeMap<&'static str, Station>,
    #[allow(dead_code, reason = "held for their end")]
    switches: Vec<Switch>,
    desk: Netns,
    underlay: Switch,
    servers: Servers,
    directory: TempDir,
}

impl Network {
    /// Starts the servers, and lays all cables. No daemon runs.
    ///
    /// # Panics
    /// A step fails.
    pub(super) fn build() -> Network {
        let directory = tempfile::Builder::new().prefix("l2gw-demo-").tempdir().expect("a folder of its own");
        let underlay = Switch::new("underlay");
        let servers = Servers::start(Options::three());
        connect(&underlay, "servers", (servers.netns(), &[21, 22, 23]));
        let reach = servers.reach_at(servers.netns(), &SERVERS);
        let desk = Netns::new(DESK);
        connect(&underlay, DESK, (&desk, &[100]));
        let file = TOPOLOGY.replace("/etc/l2gw/zookeeper.auth", &path(&directory, GATEWAYS_LOGIN));
        write(&path(&directory, FILE), &file);
        write(&path(&directory, GATEWAYS_LOGIN), "gateway:only-for-this-demo-1\n");
        write(&path(&directory, AGENTS_LOGIN), "agent:only-for-this-demo-2\n");
        let hosts = HOSTS.map(|host| match GATEWAYS.contains(&host) {
            true => (host, Gateway::of_host(host, host, &file)),
            false => (host, Gateway::of_agent(host, STORE)),
        });
        let mut network = Network {
            reach,
            hosts: hosts.into(),
            machines: BTreeMap::new(),
            switches: Vec::new(),
            desk,
            underlay,
            servers,
            directory,
        };
        for (host, last) in HOSTS.into_iter().zip([1, 2, 11, 12, 13]) {
            connect(&network.underlay, host, (network.host(host).netns(), &[last]));
        }
        network.plug_machines();
        network
    }

    fn plug_machines(&mut self) {
        for (rack, gateway) in [("1", "gw1"), ("2", "gw2")] {
            let switch = Switch::new(&format!("rack {rack}"));
            let trunk = format!("leaf{rack}");
            switch.trunk("trunk", (self.host(gateway).netns(), &trunk), &[5, 8], None);
            for machine in
                MACHINES.into_iter().filter(|name| name.starts_with("phys") && name.ends_with(rack))
            {
                let station = Station::physical(machine);
                switch.access(machine, station.card(), vlan_of(machine));
                self.machines.insert(machine, addressed(machine, station));
            }
            self.switches.push(switch);
        }
        for machine in MACHINES.into_iter().filter(|name| name.starts_with("vm")) {
            let host = format!("cn{}", number_of(machine) % 10);
            let station = Station::vm(machine, self.host(&host).netns(), machine);
            self.machines.insert(machine, addressed(machine, station));
        }
    }

    /// Starts a host's daemon and waits until it answers.
    ///
    /// # Panics
    /// It does not come up; its log is shown.
    pub(super) fn start(&mut self, host: &str) {
        let login = path(&self.directory, AGENTS_LOGIN);
        let arguments = if GATEWAYS.contains(&host) { vec![] } else { vec!["--auth-file", &login] };
        self.hosts.get_mut(host).expect("a host of HOSTS").start_with(&arguments);
    }

    /// Kills a host's daemon, as a crash would.
    ///
    /// # Panics
    /// It does not run.
    pub(super) fn kill(&mut self, host: &str) {
        self.hosts.get_mut(host).expect("a host of HOSTS").kill();
    }

    /// Runs a verb of `l2gw`, against a host's daemon or at the desk, and gives what it printed. Files are those of the demo's folder, and
    /// `$STORE` is [`STORE`].
    ///
    /// # Panics
    /// It ends with anything but 0.
    pub(super) fn l2gw(&self, at: &str, line: &str) -> String {
        let words: Vec<String> = line.split_whitespace().map(|word| self.word(word)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ask = || match self.hosts.get(at) {
            Some(host) => host.l2gw(&words),
            None => self.at_desk(&words),
        };
        // Where the machine stalls for seconds the program cannot know whether it was done: what it says to do is to try again.
        let is_unknown = |said: &Result<String, (i32, String)>| {
            said.as_ref().is_err_and(|(_, said)| said.contains("may or may not have been done"))
        };
        let tries = (1..TRIES).map(|_| ask()).find(|said| !is_unknown(said));
        let said = tries.unwrap_or_else(ask);
        let said = said.unwrap_or_else(|(code, said)| refused(at, line, code, &said));
        said.replace(&format!("{}/", self.directory.path().display()), "")
    }

    fn at_desk(&self, words: &[&str]) -> Result<String, (i32, String)> {
        let mut command = Command::new(program());
        command.args(words).stdin(Stdio::null());
        let output = self.desk.run(move || command.output()).expect("the l2gw program");
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match output.status.success() {
            true => Ok(said(&output.stdout)),
            false => Err((output.status.code().unwrap_or(-1), said(&output.stderr))),
        }
    }

    /// A word as the program gets it.
    fn word(&self, word: &str) -> String {
        match word {
            "$STORE" => STORE.to_owned(),
            FILE | GATEWAYS_LOGIN | AGENTS_LOGIN => path(&self.directory, word),
            word => word.to_owned(),
        }
    }

    /// Takes a VM's link from one host to another, and up there.
    ///
    /// # Panics
    /// It is not there.
    pub(super) fn move_vm(&self, vm: &str, from: &str, to: &str) {
        let to = self.host(to).netns();
        self.host(from).netns().links().give_to(vm, to);
        to.links().set_up(vm);
    }

    /// Sends what a hypervisor sends for a VM that has moved to it: a broadcast that says who is there (RFC 5227 2.3).
    ///
    /// # Panics
    /// The VM has no link.
    pub(super) fn announce(&self, vm: &str) {
        let (mac, IpAddr::V4(address)) = (mac_of(vm), address_of(vm)) else { return };
        let ip = address.octets();
        let request = [&[0, 1, 8, 0, 6, 4, 0, 1][..], &mac, &ip, &[0; 6], &ip, &[0; 18]].concat();
        // The link is up on this host a moment before it has its carrier.
        let _ = self.machine(vm).tap().try_send(&Frame::new(mac, BROADCAST).payload(ARP, &request));
    }

    /// A host.
    ///
    /// # Panics
    /// There is none of this name.
    pub(super) fn host(&self, name: &str) -> &Gateway {
        self.hosts.get(name).unwrap_or_else(|| panic!("no host {name}"))
    }

    /// A machine of a rack, or a VM.
    ///
    /// # Panics
    /// There is none of this name.
    pub(super) fn machine(&self, name: &str) -> &Station {
        self.machines.get(name).unwrap_or_else(|| panic!("no machine {name}"))
    }

    /// The servers.
    pub(super) fn servers(&self) -> &Servers {
        &self.servers
    }
}

/// The address of a machine's card: its number are the last two digits.
pub(super) fn mac_of(machine: &str) -> Mac {
    let number = number_of(machine);
    // Two decimal digits, each as a hexadecimal one, to be read at a glance.
    let last = number / 10 * 16 + number % 10;
    if machine.starts_with("vm") { [0x52, 0x54, 0, 0, 0, last] } else { [2, 0, 0, 0, 0, last] }
}

/// The address of a machine: 10.0.1.x in a rack, 10.0.2.x of a VM.
pub(super) fn address_of(machine: &str) -> IpAddr {
    Ipv4Addr::new(10, 0, if machine.starts_with("vm") { 2 } else { 1 }, number_of(machine)).into()
}

fn vlan_of(machine: &str) -> u16 {
    u16::from(number_of(machine) / 10)
}

fn number_of(machine: &str) -> u8 {
    let digits = machine.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    digits.parse().unwrap_or_else(|_| panic!("{machine} has no number"))
}

fn addressed(name: &str, machine: Station) -> Station {
    machine.netns().links().set_mac(machine.card().1, mac_of(name));
    machine.with_address(address_of(name), 16)
}

/// Lays a cable from a namespace to the underlay, and gives its end there addresses of 192.0.2.0/24.
fn connect(underlay: &Switch, port: &str, (netns, last): (&Netns, &[u8])) {
    underlay.access(port, (netns, UPLINK), 1);
    underlay.links().set_mtu(port, UNDERLAY_MTU);
    netns.links().set_mtu(UPLINK, UNDERLAY_MTU);
    for last in last {
        netns.links().add_address(UPLINK, Ipv4Addr::new(192, 0, 2, *last).into(), 24);
    }
}

fn path(directory: &TempDir, name: &str) -> String {
    directory.path().join(name).to_str().expect("a path of letters").to_owned()
}

/// A file that only its owner reads.
fn write(path: &str, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{path}: {error}"));
    let owners = fs::Permissions::from_mode(0o600);
    fs::set_permissions(path, owners).unwrap_or_else(|error| panic!("{path}: {error}"));
}

fn refused(at: &str, line: &str, code: i32, said: &str) -> String {
    panic!("{at}$ l2gw {line}\nended with {code}: {said}")
}

const MACHINES: [&str; 10] =
    ["phys51", "phys81", "phys52", "phys82", "vm51", "vm81", "vm52", "vm82", "vm53", "vm83"];

const FILE: &str = "gateway.toml";
const GATEWAYS_LOGIN: &str = "zookeeper.auth";
const AGENTS_LOGIN: &str = "agents.auth";
const TOPOLOGY: &str = include_str!("../../../examples/09-ensemble/gateway.toml");

/// 1 500 bytes of payload, a tag of the VM's own, and what VXLAN puts around them, with something to spare.
const UNDERLAY_MTU: u32 = 1_600;
/// How often, and how many milliseconds after the one before, QEMU announces a VM that has come to it.
pub(super) const ANNOUNCED: [u64; 5] = [0, 50, 150, 250, 350];
/// How often a command is tried of which it is not known whether it was done.
const TRIES: usize = 3;
/// The ethertype of ARP.
const ARP: u16 = 0x0806;
