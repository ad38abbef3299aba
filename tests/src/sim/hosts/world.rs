//! The topologies of a schedule: several hosts, two VLANs, some trunks into one fabric, and revisions that follow each other.

use std::fmt::Write as _;

use l2gw::config;
use vlan::model::description::{Description, Host, Port};

use crate::sim::rng::Rng;

/// Two to five hosts, of which none to two have a trunk; each has ports on VLAN 8, some on VLAN 5.
pub(super) fn first(rng: &mut Rng) -> Description {
    let hosts = rng.between(2, 5);
    let mut text = BRIDGES.to_owned();
    let mut ports = String::new();
    let mut gateways = rng.below(3);
    for host in 1..=hosts {
        let _ = writeln!(text, "[hosts.h{host}]\nunderlay = \"192.0.2.{host}\"");
        if gateways > 0 && (rng.chance(50) || hosts - host < gateways) {
            gateways -= 1;
            let trunk = format!("bridge = \"dc1\"\nhost = \"h{host}\"\nlink = \"eth1\"");
            let _ = writeln!(ports, "[[trunks]]\nname = \"leaf{host}\"\n{trunk}");
        }
        for (vlan, least, most) in [(8, 1, 2), (5, 0, 2)] {
            for number in 1..=rng.between(least, most) {
                let name = format!("h{host}v{vlan}n{number}");
                let port = format!("bridge = \"vub{vlan}\"\nhost = \"h{host}\"\nlink = \"{name}\"");
                let _ = writeln!(ports, "[[ports]]\nname = \"{name}\"\n{port}");
            }
        }
    }
    let read = config::parse("gateway.toml", &(text + &ports));
    read.unwrap_or_else(|mistakes| panic!("{mistakes:#?}")).description
}

/// A revision that follows another one, and what is new in it.
pub(super) fn next(rng: &mut Rng, before: &Description, number: u64) -> (Description, String) {
    let mut next = before.clone();
    let hosts: Vec<String> = next.hosts.iter().map(|host| host.name.clone()).collect();
    let hosts: Vec<String> = hosts.into_iter().filter(|host| host != STRANGER).collect();
    let own: Vec<usize> = (0..next.ports.len()).filter(|at| next.ports[*at].host != STRANGER).collect();
    let at = *rng.pick(&own);
    let host = rng.pick(&hosts).clone();
    let said = match rng.below(10) {
        0 | 1 => {
            let (name, vub) = (format!("h{number}new"), format!("vub{}", rng.pick(&VLANS)));
            next.ports.push(Port::plain(&name, &vub, &host, &name));
            format!("{name} on {vub} at {host}")
        }
        2 | 3 if own.len() > 3 => format!("without {}", next.ports.remove(at).name),
        4 | 5 => {
            next.ports[at].host.clone_from(&host);
            format!("{} at {host}", next.ports[at].name)
        }
        6 | 7 => {
            let port = &mut next.ports[at];
            port.bridge = if port.bridge == "vub8" { "vub5" } else { "vub8" }.to_owned();
            format!("{} on {}", port.name, port.bridge)
        }
        _ => renumber(&mut next),
    };
    (next, said)
}

/// A host that is never started comes before all others, or goes.
fn renumber(next: &mut Description) -> String {
    if next.hosts.iter().any(|host| host.name == STRANGER) {
        next.hosts.retain(|host| host.name != STRANGER);
        next.ports.retain(|port| port.host != STRANGER);
        return format!("without host {STRANGER}");
    }
    let underlay = Some("192.0.2.99".parse().expect("an address"));
    next.hosts.insert(0, Host { name: STRANGER.to_owned(), underlay, ..Host::default() });
    next.ports.insert(0, Port::plain("0a", "vub8", STRANGER, "0a"));
    format!("with host {STRANGER}")
}

/// The VLANs, and VUBs `vub8` and `vub5` behind them.
pub(super) const VLANS: [u16; 2] = [8, 5];
/// A host that is declared now and then, and never runs.
const STRANGER: &str = "aa1";
const BRIDGES: &str = r#"
[nsdb]
backend = "zookeeper"
servers = ["127.0.0.1:2181"]
[bridges.dc1]
kind = "vlan-aware"
[bridges.vub8]
kind = "vlan-unaware"
vni = 8008
[bridges.vub5]
kind = "vlan-unaware"
[[vlans]]
bridge = "dc1"
vid = 8
to = "vub8"
[[vlans]]
bridge = "dc1"
vid = 5
to = "vub5"
"#;
