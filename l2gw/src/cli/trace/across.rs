//! What becomes of a frame at the hosts that a copy of it goes to: out of the tunnel, and by which of their ports.

use std::sync::Arc;

use agent::view::{Elsewhere, TraceOutput, TraceView};
use vlan::frame::Header;
use vlan::model::id::HostId;
use vlan::model::topology::Topology;
use vlan::plane::{Ingress, Tunnelled};
use vlan::switch::Switch;
use vlan::tag::Pcp;
use vlan::time::Instant;
use vlan::trace::Story;
use vlan::verdict::Verdict;

use super::assumed::{self, Asked, Assumed};

/// Adds to the story of a frame at `from` what the hosts do with it that it goes to, the first [`FOLLOWED`] of them. `switch_at` is what is
/// known of a host, `asked` hears what the stories rest on.
pub(super) fn follow(
    topology: &Arc<Topology>,
    from: HostId,
    (view, asked): (&mut TraceView, &mut Asked),
    switch_at: impl Fn(HostId) -> Switch,
) {
    let (reached, more) = copies(topology, view);
    let told = reached.into_iter().filter_map(|copy| {
        let story = story_at(&mut switch_at(copy.host), from, &copy, asked)?;
        Some(Elsewhere { host: copy.name.to_owned(), unknown: String::new(), story })
    });
    (view.elsewhere, view.elsewhere_too) = (told.collect(), more);
}

/// The same where nothing is known of hosts but the topology: of a known address which of a host's ports it is behind, that host alone knows.
/// Which trunk carries a VLAN is `assumed`.
pub(in crate::cli) fn follow_by_topology(
    topology: &Arc<Topology>,
    from: &str,
    assumed: &Assumed,
    view: &mut TraceView,
) {
    let Some(from) = topology.host_named(from) else { return };
    let (reached, more) = copies(topology, view);
    let mut asked = Asked::new();
    let told = reached.into_iter().filter_map(|copy| {
        let is_group = Header::parse(&copy.frame).is_ok_and(|header| header.dst.is_group());
        let host = copy.name.to_owned();
        if is_group {
            let mut switch = Switch::offline(Arc::clone(topology), copy.host);
            assumed.set(&mut switch);
            let story = story_at(&mut switch, from, &copy, &mut asked)?;
            let unknown = format!("which of its links are up, {host} alone knows");
            return Some(Elsewhere { host, unknown, story });
        }
        let ports = ports_of(topology, &copy);
        let (step, unknown) = match &ports[..] {
            [only] => (format!("it leaves by {only}, its only port on the segment"), String::new()),
            _ => {
                let named = named(&ports);
                let step = format!(
                    "it leaves by the one of {named} behind which {host} has heard the destination; by all of them if it has not"
                );
                (step, format!("where it has heard the destination, {host} alone knows"))
            }
        };
        let story = TraceView::of((topology, copy.host), &[], &Verdict::default(), Story::default());
        let verdict = "forward".to_owned();
        Some(Elsewhere { host, unknown, story: TraceView { verdict, drop: None, steps: vec![step], ..story } })
    });
    (view.elsewhere, view.elsewhere_too) = (told.collect(), more);
    view.assumed = assumed.in_words(topology, &asked);
}

/// A copy that goes to a host of ours.
struct Copy<'a> {
    host: HostId,
    name: &'a str,
    vni: u32,
    class: u8,
    frame: Vec<u8>,
}

/// The first of them, and how many there are more.
fn copies<'a>(topology: &'a Topology, view: &TraceView) -> (Vec<Copy<'a>>, usize) {
    let copy = |output: &TraceOutput| {
        let TraceOutput::Host { host, vni, class, frame } = output else { return None };
        let host = topology.host_named(host).filter(|host| !topology.is_vtep(*host))?;
        let name = &topology.hosts()[host.0 as usize].name;
        Some(Copy { host, name, vni: *vni, class: *class, frame: bytes_of(frame)? })
    };
    let mut all = view.outputs.iter().filter_map(copy);
    (all.by_ref().take(FOLLOWED).collect(), all.count())
}

fn story_at(switch: &mut Switch, from: HostId, copy: &Copy<'_>, asked: &mut Asked) -> Option<TraceView> {
    let topology = Arc::clone(switch.topology());
    let remote = topology.hosts()[from.0 as usize].underlay?;
    let class = Pcp::new(copy.class)?;
    let header = Header::parse(&copy.frame).ok()?;
    let ingress = Ingress::Tunnel(Tunnelled { remote, vni: copy.vni, class });
    let (mut verdict, mut story) = (Verdict::default(), Story::default());
    switch.forward(Instant::ZERO, ingress, &header, &mut verdict, &mut story);
    assumed::note(asked, &verdict);
    Some(TraceView::of((&topology, copy.host), &copy.frame, &verdict, story))
}

/// The host's ports on the segment, by name.
fn ports_of<'a>(topology: &'a Topology, copy: &Copy<'_>) -> Vec<&'a str> {
    let Some((segment, _)) = topology.by_vni(copy.vni) else { return Vec::new() };
    let members = topology.segment(segment).members.iter().map(|member| topology.port(member.port));
    members.filter(|port| port.host == copy.host).map(|port| port.name.as_str()).collect()
}

fn named(ports: &[&str]) -> String {
    match ports.len().saturating_sub(NAMED) {
        0 => ports.join(", "),
        more => format!("{} and {more} more ports", ports[..NAMED].join(", ")),
    }
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes().chunks(2).map(std::str::from_utf8);
    digits.map(|pair| u8::from_str_radix(pair.ok()?, 16).ok()).collect()
}

/// Hosts whose stories are told: of a flood to a thousand a reader wants some.
const FOLLOWED: usize = 8;
/// Ports that are named.
const NAMED: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::trace::{Tracer, from_hex};
    use crate::config;

    const FILE: &str = r#"
[nsdb]
backend = "zookeeper"
servers = ["192.0.2.9:2181"]
[hosts.gw1]
underlay = "192.0.2.1"
[hosts.cn1]
underlay = "192.0.2.11"
[hosts.cn2]
underlay = "192.0.2.12"
[bridges.dc1]
kind = "vlan-aware"
[bridges.vub8]
kind = "vlan-unaware"
vni = 8008
[[vlans]]
bridge = "dc1"
vid = 8
to = "vub8"
[[trunks]]
name = "leaf1"
bridge = "dc1"
host = "gw1"
link = "e1"
[[ports]]
name = "vm1"
bridge = "vub8"
host = "cn1"
link = "tap1"
[[ports]]
name = "vm2"
bridge = "vub8"
host = "cn1"
link = "tap2"
[[ports]]
name = "vm3"
bridge = "vub8"
host = "cn2"
link = "tap3"
"#;

    fn tracer(taught: &[&str]) -> Tracer {
        let topology = Arc::new(config::parse("file.toml", FILE).unwrap().topology);
        let mut tracer = Tracer::new(&topology, "leaf1").unwrap();
        taught.iter().for_each(|text| tracer.learn(text).unwrap());
        tracer
    }

    const BROADCAST: &str = "ffffffffffff 020000000043 8100a008 0806 0000";
    const UNICAST: &str = "020000000062 020000000043 81000008 0800 0000";

    #[test]
    fn a_flood_is_followed_to_each_host_and_out_of_its_ports() {
        let view = tracer(&[]).trace(&from_hex(BROADCAST).unwrap());
        let hosts: Vec<&str> = view.elsewhere.iter().map(|there| there.host.as_str()).collect();
        assert_eq!(hosts, ["cn1", "cn2"]);
        let there = &view.elsewhere[0].story;
        let arrived = "02:00:00:00:00:43 to ff:ff:ff:ff:ff:ff, untagged, arrives by the tunnel from host gw1, 192.0.2.1 with VNI ";
        assert!(
            there.steps[0].starts_with(arrived) && there.steps[0].ends_with(" and class 5"),
            "{:?}",
            there.steps
        );
        let ports: Vec<&str> = there
            .outputs
            .iter()
            .map(|output| match output {
                TraceOutput::Port { port, .. } => port.as_str(),
                TraceOutput::Host { host, .. } => panic!("what came by a tunnel goes to {host}"),
            })
            .collect();
        assert_eq!(ports, ["vm1", "vm2"]);
        assert_eq!(view.elsewhere[1].story.outputs.len(), 1);
    }

    #[test]
    fn a_known_address_is_followed_to_its_port() {
        let view = tracer(&["vm2=02:00:00:00:00:62"]).trace(&from_hex(UNICAST).unwrap());
        assert_eq!(view.elsewhere.len(), 1, "{view:?}");
        let there = &view.elsewhere[0];
        assert_eq!((there.host.as_str(), there.unknown.as_str()), ("cn1", ""));
        assert!(there.story.steps.contains(&"02:00:00:00:00:62 is behind port vm2".to_owned()), "{there:?}");
        assert_eq!(there.story.outputs.len(), 1);
    }

    #[test]
    fn without_what_hosts_know_it_is_told_by_which_ports_a_frame_may_leave() {
        let topology = Arc::new(config::parse("file.toml", FILE).unwrap().topology);
        let follow = |frame: &str, taught: &[&str]| {
            let mut view = tracer(taught).trace(&from_hex(frame).unwrap());
            let assumed = Assumed::others_up(&topology, "gw1", &[]);
            follow_by_topology(&topology, "gw1", &assumed, &mut view);
            view.elsewhere
        };
        let known = follow(UNICAST, &["vm2=02:00:00:00:00:62"]);
        assert_eq!(known.len(), 1);
        assert_eq!(known[0].unknown, "where it has heard the destination, cn1 alone knows");
        let step = "it leaves by the one of vm1, vm2 behind which cn1 has heard the destination; by all of them if it has not";
        assert_eq!(known[0].story.steps, [step]);
        let only = follow(UNICAST, &["vm3=02:00:00:00:00:62"]);
        assert_eq!((only[0].host.as_str(), only[0].unknown.as_str()), ("cn2", ""));
        assert_eq!(only[0].story.steps, ["it leaves by vm3, its only port on the segment"]);
        let flood = follow(BROADCAST, &[]);
        assert_eq!(flood[0].unknown, "which of its links are up, cn1 alone knows");
        assert_eq!((flood[0].story.outputs.len(), flood[1].story.outputs.len()), (2, 1));
    }
}
