//! What hosts do with nothing in their way: from servers without data to a frame's story.

use std::time::Duration;

use servers::{Mode, Server};

use super::network::{DESK, GATEWAYS, HOSTS, Network, SERVERS, STORE, address_of, mac_of};
use super::script::{Script, Trouble};
use crate::lab::ping::ping;

/// The servers serve, and get a database with its users.
///
/// # Errors
/// The story cannot be written, or is to end.
pub(super) fn found(script: &mut Script<'_>, network: &Network) -> Result<(), Trouble> {
    let modes: Vec<&str> = network.servers().run(|ensemble| ensemble.servers().iter().map(mode).collect());
    for (number, (address, mode)) in SERVERS.iter().zip(&modes).enumerate() {
        script.say(&format!("  zk{} on {address}: {mode}", number + 1))?;
    }
    let count = |wanted: &str| modes.iter().filter(|mode| **mode == wanted).count();
    let got = format!("{} {LEADS}, {} {FOLLOWS}", count(LEADS), count(FOLLOWS));
    script.judge("of three servers", &format!("1 {LEADS}, 2 {FOLLOWS}"), &got)?;
    script.show(network, DESK, "store init gateway.toml --agents-auth-file agents.auth")
}

/// Daemons start, and get their topology.
///
/// # Errors
/// The story cannot be written, or is to end.
pub(super) fn start(script: &mut Script<'_>, network: &mut Network) -> Result<(), Trouble> {
    script.step(
        "Five daemons: a compute host knows its name, a login and where the servers are, and nothing else",
    )?;
    script.say(&format!("\n# STORE={STORE}"))?;
    for host in HOSTS {
        script.say(&started_by(host))?;
        network.start(host);
    }
    script.step("The topology comes in at one of them")?;
    script.show(network, "gw1", "apply gateway.toml")?;
    script.say("")?;
    for host in HOSTS {
        let ports = if GATEWAYS.contains(&host) { 1 } else { 2 };
        let expected = format!("{ports} of {ports} ports up, 4 of 4 other hosts heard");
        script.wait_for(network.host(host), "all hosts to be together", |_| {
            together(network, host) == expected
        })?;
        script.judge(host, &expected, &together(network, host))?;
    }
    script.show(network, "cn1", "show status")
}

/// Machines of one VLAN reach each other, wherever they are.
///
/// # Errors
/// The story cannot be written, or is to end.
pub(super) fn reach(script: &mut Script<'_>, network: &Network) -> Result<(), Trouble> {
    script.step("Within a VLAN, both ways: racks and VMs, VMs of several hosts, and racks whose switches no cable connects")?;
    for (one, other) in [
        ("phys51", "vm51"),
        ("phys51", "vm52"),
        ("phys51", "vm53"),
        ("phys81", "vm81"),
        ("phys81", "vm82"),
        ("phys81", "vm83"),
        ("vm81", "vm82"),
        ("vm82", "vm83"),
        ("vm51", "vm53"),
        ("phys51", "phys52"),
        ("phys81", "phys82"),
    ] {
        let answers =
            [(one, other), (other, one)].map(|(from, to)| answer(is_answered(network, from, to, TRIES)));
        script.judge(&format!("{one} and {other}"), BOTH, &answers.join(", "))?;
    }
    Ok(())
}

/// Machines of several VLANs do not.
///
/// # Errors
/// The story cannot be written, or is to end.
pub(super) fn keep_apart(script: &mut Script<'_>, network: &Network) -> Result<(), Trouble> {
    script.step("Between VLANs, though all ten are in one IP network")?;
    let pairs =
        [("phys51", "phys81"), ("phys51", "vm82"), ("phys82", "vm51"), ("vm51", "vm81"), ("vm52", "vm83")];
    // Each waits for the whole second: all of them together.
    let got = std::thread::scope(|scope| {
        let tries = pairs.map(|(from, to)| scope.spawn(move || answer(is_answered(network, from, to, 1))));
        tries.map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    for ((from, to), got) in pairs.into_iter().zip(got) {
        script.judge(&format!("{from} pings {to} ({})", address_of(to)), NO_ANSWER, got)?;
    }
    Ok(())
}

/// What a compute host knows, and what it does with a frame.
///
/// # Errors
/// The story cannot be written, or is to end.
pub(super) fn look(script: &mut Script<'_>, network: &Network) -> Result<(), Trouble> {
    script.step("What cn1 knows: its own machines, and by the store those of the others")?;
    let places = [
        ("vm81", "vm81, dynamic"),
        ("vm82", "host cn2, remote"),
        ("vm83", "host cn3, remote"),
        ("phys81", "trunks of rack1, remote"),
        ("phys82", "trunks of rack2, remote"),
    ];
    let is_told = || places.iter().all(|(machine, place)| place_of(network, "cn1", machine) == *place);
    script.until(TOLD, is_told)?;
    script.show(network, "cn1", "show macs")?;
    script.say("")?;
    for (machine, place) in places {
        let what = format!("{machine} ({})", show_mac(machine));
        script.judge(&what, place, &place_of(network, "cn1", machine))?;
    }
    let (src, dst) = (show_mac("vm81"), show_mac("phys81"));
    script.show(
        network,
        "cn1",
        &format!("trace --port vm81 --src {src} --dst {dst} --ip={}", address_of("phys81")),
    )
}

/// What all hosts say at the end.
///
/// # Errors
/// The story cannot be written, or is to end.
pub(super) fn end(script: &mut Script<'_>, network: &Network) -> Result<(), Trouble> {
    script.step("All of it at the end")?;
    let alive = || network.l2gw("gw1", "show hosts").lines().last().unwrap_or_default().to_owned();
    script.until(TOLD, || alive().starts_with(ALL_ALIVE))?;
    script.show(network, "gw1", "show hosts")?;
    script.say("")?;
    let got = alive().split(';').next().unwrap_or_default().to_owned();
    script.judge("hosts with a session on the servers", ALL_ALIVE, &got)?;
    for host in HOSTS {
        script.show(network, host, "show status")?;
    }
    script.show(network, DESK, "show revisions --nsdb $STORE --auth-file zookeeper.auth")?;
    script.sum()
}

/// What a server does.
fn mode(server: &Server) -> &'static str {
    match server.mode() {
        Some(Mode::Leader) => LEADS,
        Some(Mode::Follower) => FOLLOWS,
        _ => "does not serve",
    }
}

/// What a host says of its ports and of the other hosts.
fn together(network: &Network, host: &str) -> String {
    let status = network.host(host).status();
    let others =
        status.others.map_or("0 of 0".to_owned(), |others| format!("{} of {}", others.heard, others.hosts));
    format!("{} of {} ports up, {others} other hosts heard", status.ports_up, status.ports)
}

/// The line by which a host's daemon is started.
pub(super) fn started_by(host: &str) -> String {
    match GATEWAYS.contains(&host) {
        true => format!("{host}$ l2gw run gateway.toml --host {host} &"),
        false => format!("{host}$ l2gw-agent --host {host} --nsdb $STORE --auth-file agents.auth &"),
    }
}

/// Waits until a host knows where a machine is, and judges that.
///
/// # Errors
/// The story cannot be written, or is to end.
pub(super) fn judge_place(
    script: &mut Script<'_>,
    network: &Network,
    host: &str,
    (machine, place): (&str, &str),
) -> Result<(), Trouble> {
    script.until(TOLD, || place_of(network, host, machine) == place)?;
    script.judge(&format!("{machine} as {host} knows it"), place, &place_of(network, host, machine))
}

/// Where a host knows a machine to be, and by whom; all places, were it several.
fn place_of(network: &Network, host: &str, machine: &str) -> String {
    let mac = mac_of(machine);
    let macs = network.host(host).macs();
    let rows = macs.iter().filter(|row| row.mac.0 == mac);
    rows.map(|row| format!("{}, {}", row.location, row.kind)).collect::<Vec<_>>().join(" and ")
}

fn is_answered(network: &Network, from: &str, to: &str, tries: u16) -> bool {
    let from = network.machine(from).netns();
    (0..tries).any(|_| ping(from, address_of(to), 1) == 1)
}

fn show_mac(machine: &str) -> String {
    vlan::addr::MacAddr(mac_of(machine)).to_string()
}

fn answer(is_answered: bool) -> &'static str {
    if is_answered { ANSWER } else { NO_ANSWER }
}

/// How long what hosts tell each other may take.
const TOLD: Duration = Duration::from_secs(10);
const LEADS: &str = "leads";
const FOLLOWS: &str = "follows";
const ALL_ALIVE: &str = "5 of 5 alive";
const ANSWER: &str = "an answer";
const NO_ANSWER: &str = "no answer";
const BOTH: &str = "an answer, an answer";
/// Echo requests sent, one after the other, until one is answered: addresses are resolved first.
const TRIES: u16 = 3;
