//! Which trunk carries which VLAN where nobody tells: all links are taken to be up. Then one trunk of a group carries each VLAN, on whichever
//! host it is (behaviour.md 7), and the others drop what they hear of it.

use std::collections::{BTreeMap, BTreeSet};

use agent::view::TrunkView;
use vlan::designation::{Carrier, Designation};
use vlan::model::id::{FabricId, PortId};
use vlan::model::port::Port;
use vlan::model::topology::Topology;
use vlan::peers::Peers;
use vlan::switch::Switch;
use vlan::verdict::{Dependency, Verdict};
use vlan::vid::{Vid, VidSet};

/// VLANs of fabrics on whose trunks a verdict rested.
pub(in crate::cli) type Asked = BTreeSet<(FabricId, Vid)>;

/// Which trunk is taken to carry which VLAN.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Assumed {
    designation: Designation,
    /// Trunks of which somebody told that they carry a VLAN.
    told: BTreeSet<(PortId, Vid)>,
    up: Up,
}

/// Which links are taken to be up.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Up {
    /// All: only a file is there.
    All,
    /// Those of other hosts than the one that is asked; of its own trunks these are not.
    OfOthers(BTreeSet<PortId>),
}

impl Assumed {
    /// All links are up.
    pub(super) fn all_up(topology: &Topology) -> Assumed {
        Assumed { designation: choose(topology, |_| true), told: BTreeSet::new(), up: Up::All }
    }

    /// All links of other hosts are up, and the trunks of host `here` are as it says.
    pub(in crate::cli) fn others_up(topology: &Topology, here: &str, trunks: &[TrunkView]) -> Assumed {
        let here = topology.host_named(here);
        let says = |port: &Port| trunks.iter().find(|trunk| trunk.trunk == port.name);
        let is_up =
            |port: &Port| Some(port.host) != here || says(port).is_some_and(|trunk| trunk.state == "up");
        let down = topology.trunks().iter().filter(|port| !is_up(port)).map(|port| port.id).collect();
        let designation = choose(topology, is_up);
        let mut assumed = Assumed { designation, told: BTreeSet::new(), up: Up::OfOthers(down) };
        let own = topology.trunks().iter().filter(|port| Some(port.host) == here && port.group.is_some());
        let carried = own.flat_map(|port| {
            let carries: Option<VidSet> = says(port).and_then(|trunk| trunk.carries.parse().ok());
            let vids: Vec<Vid> = carries.unwrap_or_default().iter().collect();
            vids.into_iter().map(move |vid| (port, vid))
        });
        assumed.tell(topology, carried);
        assumed
    }

    /// Trunks of groups carry VLANs of them.
    pub(super) fn tell<'a>(
        &mut self,
        topology: &Topology,
        carried: impl IntoIterator<Item = (&'a Port, Vid)>,
    ) {
        let carried: Vec<(&Port, Vid)> = carried.into_iter().collect();
        self.told.extend(carried.iter().map(|(trunk, vid)| (trunk.id, *vid)));
        self.designation
            .assign(topology, carried.into_iter().map(|(trunk, vid)| ((trunk.bridge, vid), trunk.id)));
    }

    /// Has a switch know it, as if all hosts had told which VLANs they carry.
    pub(super) fn set(&self, switch: &mut Switch) {
        let mut peers = Peers::default();
        if let Designation::Map(carried) | Designation::Told(carried) = &self.designation {
            for (vlan, trunk) in carried {
                peers.claim(switch.topology().port(*trunk).host, *vlan, true);
            }
        }
        switch.peers = peers;
        switch.set_designation(self.designation.clone());
    }

    /// What was taken for granted of the VLANs that verdicts rested on, and why: a sentence for each that has several trunks.
    pub(super) fn in_words(&self, topology: &Topology, asked: &Asked) -> Vec<String> {
        asked.iter().flat_map(|(fabric, vid)| self.of_vlan(topology, *fabric, *vid)).collect()
    }

    fn of_vlan(&self, topology: &Topology, fabric: FabricId, vid: Vid) -> Vec<String> {
        let mut groups: BTreeMap<PortId, Vec<&Port>> = BTreeMap::new();
        let of_fabric =
            topology.trunks().iter().filter(|port| port.group == Some(fabric) && port.is_member(vid));
        for trunk in of_fabric {
            if let Some(chosen) = chosen(&self.designation, trunk, vid) {
                groups.entry(chosen).or_default().push(trunk);
            }
        }
        let is_chosen = |(chosen, trunks): &(PortId, Vec<&Port>)| {
            trunks.len() > 1 && !self.told.contains(&(*chosen, vid))
        };
        let sentence = |(chosen, trunks): (PortId, Vec<&Port>)| {
            let carries = format!(
                "{} carries VLAN {vid} of fabric {:?}",
                topology.port(chosen).name,
                topology.fabric_name(fabric)
            );
            self.sentence(&carries, (chosen, vid), &trunks)
        };
        groups.into_iter().filter(is_chosen).map(sentence).collect()
    }

    fn sentence(&self, carries: &str, (chosen, vid): (PortId, Vid), trunks: &[&Port]) -> String {
        match &self.up {
            Up::OfOthers(down) => {
                let up: Vec<&Port> =
                    trunks.iter().copied().filter(|trunk| !down.contains(&trunk.id)).collect();
                format!("all links of other hosts are taken to be up: then {carries}{}", why(&up))
            }
            Up::All => {
                let other = trunks.iter().find(|trunk| trunk.id != chosen).map_or("", |other| &other.name);
                let why = why(trunks);
                format!(
                    "all links are taken to be up: then {carries}{why}; with --designated {vid}={other} it is {other}"
                )
            }
        }
    }
}

/// Adds the VLANs on whose trunks a verdict rests.
pub(super) fn note(asked: &mut Asked, verdict: &Verdict) {
    asked.extend(verdict.depends.iter().filter_map(|depends| match depends {
        Dependency::Designation(fabric, vid) => Some((*fabric, *vid)),
        _ => None,
    }));
}

/// Which trunk carries each VLAN that has several, among those that are up.
fn choose(topology: &Topology, is_up: impl Fn(&Port) -> bool) -> Designation {
    let all = Designation::among(topology, is_up);
    let mut trunks: BTreeMap<(PortId, Vid), u32> = BTreeMap::new();
    for trunk in topology.trunks() {
        for vid in trunk.vids() {
            if let Some(chosen) = chosen(&all, trunk, vid) {
                *trunks.entry((chosen, vid)).or_default() += 1;
            }
        }
    }
    let Designation::Map(mut carried) = all else { return all };
    // Of a trunk that has no other beside it there is nothing to say.
    carried.retain(|(_, vid), trunk| trunks.get(&(*trunk, *vid)).is_some_and(|trunks| *trunks > 1));
    if carried.is_empty() { Designation::Everyone } else { Designation::Told(carried) }
}

/// The trunk that carries a VLAN in the group of this one; `None` if no trunk does, or this one is in no group.
fn chosen(designation: &Designation, trunk: &Port, vid: Vid) -> Option<PortId> {
    trunk.group?;
    match designation.carrier(trunk, Some(vid)) {
        Carrier::This => Some(trunk.id),
        Carrier::Other(other) => Some(other),
        Carrier::Nobody => None,
    }
}

/// Why one of these trunks carries a VLAN, where there are several.
fn why(trunks: &[&Port]) -> String {
    match trunks {
        [] | [_] => String::new(),
        several => format!("; of {} one is chosen by name, VID and weight", listed(several)),
    }
}

/// The names of trunks; with their weights, if these differ.
fn listed(trunks: &[&Port]) -> String {
    let weight = |port: &Port| port.trunk().map_or(1, |trunk| trunk.weight);
    let is_even = trunks.windows(2).all(|pair| weight(pair[0]) == weight(pair[1]));
    let name = |port: &&Port| match is_even {
        true => port.name.clone(),
        false => format!("{} (weight {})", port.name, weight(port)),
    };
    let mut names: Vec<String> = trunks.iter().take(NAMED).map(name).collect();
    match (trunks.len().saturating_sub(NAMED), names.pop()) {
        (0, Some(last)) if !names.is_empty() => format!("{} and {last}", names.join(", ")),
        (more, last) => {
            names.extend(last);
            format!("{} and {more} more", names.join(", "))
        }
    }
}

/// Trunks that are named.
const NAMED: usize = 8;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use agent::view::{TraceOutput, TraceView};

    use super::*;
    use crate::cli::trace::{Tracer, across, from_hex};
    use crate::config;

    const FILE: &str = r#"
[nsdb]
backend = "zookeeper"
servers = ["192.0.2.9:2181"]
[hosts.gw1]
underlay = "192.0.2.1"
[hosts.gw2]
underlay = "192.0.2.2"
[hosts.cn1]
underlay = "192.0.2.11"
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
link = "e1"
vlans = ["5", "8"]
[[trunks]]
name = "leaf2"
bridge = "dc1"
host = "gw2"
link = "e2"
vlans = ["8"]
[[ports]]
name = "vm1"
bridge = "vub8"
host = "cn1"
link = "tap1"
[[ports]]
name = "vm2"
bridge = "vub8"
host = "gw1"
link = "tap2"
[[ports]]
name = "vm5"
bridge = "vub5"
host = "cn1"
link = "tap5"
"#;

    const BROADCAST: &str = "ffffffffffff 020000000043 0806 0000";
    const UNICAST: &str = "020000000062 020000000043 0800 0000";

    fn topology(file: &str) -> Arc<Topology> {
        Arc::new(config::parse("file.toml", file).unwrap().topology)
    }

    /// The trunks by which a frame leaves, wherever.
    fn delivering(view: &TraceView) -> Vec<&str> {
        let stories = view.elsewhere.iter().map(|there| &there.story).chain([view]);
        let ports = stories.flat_map(|story| &story.outputs).filter_map(|output| match output {
            TraceOutput::Port { port, .. } => Some(port.as_str()),
            TraceOutput::Host { .. } => None,
        });
        ports.filter(|port| port.starts_with("leaf")).collect()
    }

    /// The trunk that carries VLAN 8 while both are up, and the other.
    fn both(topology: &Arc<Topology>) -> [&'static str; 2] {
        let view = Tracer::new(topology, "vm1").unwrap().trace(&from_hex(BROADCAST).unwrap());
        match delivering(&view)[..] {
            ["leaf1"] => ["leaf1", "leaf2"],
            ["leaf2"] => ["leaf2", "leaf1"],
            ref other => panic!("one delivers, not {other:?}: {view:#?}"),
        }
    }

    #[test]
    fn of_several_trunks_one_delivers_and_it_is_told_which_and_why() {
        let topology = topology(FILE);
        let [chosen, other] = both(&topology);
        let mut tracer = Tracer::new(&topology, "vm1").unwrap();
        let view = tracer.trace(&from_hex(BROADCAST).unwrap());
        let silent = view.elsewhere.iter().find(|there| there.story.drop.is_some() && there.host != "cn1");
        let step = format!("not by {other}: {chosen} carries VLAN 8 of fabric \"rack1\"");
        let steps = view.elsewhere.iter().flat_map(|there| &there.story.steps).collect::<Vec<_>>();
        assert!(steps.contains(&&step), "{silent:?}: {steps:#?}");
        let why = "of leaf1 and leaf2 one is chosen by name, VID and weight";
        let assumed = format!(
            "all links are taken to be up: then {chosen} carries VLAN 8 of fabric \"rack1\"; {why}; with --designated 8={other} it is {other}"
        );
        assert_eq!(view.assumed, [assumed]);
        // A trunk that is alone in its VLAN is not worth a word.
        let alone = Tracer::new(&topology, "vm5").unwrap().trace(&from_hex(BROADCAST).unwrap());
        assert_eq!((delivering(&alone), alone.assumed.len()), (vec!["leaf1"], 0), "{alone:#?}");
        // What is told is not taken for granted.
        tracer.designate(&format!("8={other}")).unwrap();
        let view = tracer.trace(&from_hex(BROADCAST).unwrap());
        assert_eq!((delivering(&view), view.assumed.len()), (vec![other], 0), "{view:#?}");
    }

    #[test]
    fn what_is_behind_a_fabric_goes_to_the_host_whose_trunk_carries_it() {
        let topology = topology(FILE);
        let [chosen, _] = both(&topology);
        let mut tracer = Tracer::new(&topology, "vm1").unwrap();
        tracer.learn("leaf1=02:00:00:00:00:62@8").unwrap();
        let view = tracer.trace(&from_hex(UNICAST).unwrap());
        assert_eq!((view.outputs.len(), delivering(&view)), (1, vec![chosen]), "{view:#?}");
        assert_eq!(view.assumed.len(), 1);
        // The switch sends a frame of VLAN 8 to both, and one of them takes it.
        let frame = from_hex("ffffffffffff 020000000062 81000008 0806 0000").unwrap();
        let heard = ["leaf1", "leaf2"].map(|trunk| {
            let view = Tracer::new(&topology, trunk).unwrap().trace(&frame);
            assert_eq!(view.assumed.len(), 1, "{view:#?}");
            view.drop
        });
        let dropped = Some("not-designated".to_owned());
        let expected = if chosen == "leaf1" { [None, dropped] } else { [dropped, None] };
        assert_eq!(heard, expected);
    }

    #[test]
    fn weights_are_told_where_they_differ() {
        let file = FILE.replace("link = \"e2\"\n", "link = \"e2\"\nweight = 100\n");
        let view = Tracer::new(&topology(&file), "vm1").unwrap().trace(&from_hex(BROADCAST).unwrap());
        let why = "of leaf1 (weight 1) and leaf2 (weight 100) one is chosen by name, VID and weight";
        assert!(view.assumed.len() == 1 && view.assumed[0].contains(why), "{:?}", view.assumed);
    }

    /// A running daemon has told of its own trunks.
    #[test]
    fn a_hosts_own_trunks_are_as_it_says_and_those_of_others_up() {
        let topology = topology(FILE);
        let [chosen, _] = both(&topology);
        let trunk = |state: &str, carries: &str| {
            let [trunk, bridge, fabric, link] = ["leaf1", "dc1", "rack1", "e1"].map(str::to_owned);
            let (allowed, state, carries) = ("5,8".to_owned(), state.to_owned(), carries.to_owned());
            TrunkView { trunk, bridge, fabric, link, state, allowed, carries }
        };
        let at_others = |trunks: &[TrunkView]| {
            let mut view = Tracer::new(&topology, "vm2").unwrap().trace(&from_hex(BROADCAST).unwrap());
            // What the host itself does it says.
            view.outputs.retain(|output| matches!(output, TraceOutput::Host { .. }));
            let assumed = Assumed::others_up(&topology, "gw1", trunks);
            across::follow_by_topology(&topology, "gw1", &assumed, &mut view);
            let delivering = delivering(&view).len();
            (delivering, view.assumed)
        };
        let others_up =
            "all links of other hosts are taken to be up: then leaf2 carries VLAN 8 of fabric \"rack1\"";
        assert_eq!(at_others(&[trunk("down", "")]), (1, vec![others_up.to_owned()]));
        assert_eq!(
            at_others(&[trunk("up", "5,8")]),
            (0, vec![]),
            "both told by the host, chosen was {chosen}"
        );
        assert_eq!(at_others(&[trunk("up", "5")]).0, usize::from(chosen == "leaf2"));
    }
}
