//! Objects by their names: what is searched for is found in one step, and a slip is guessed at within bounds.

use std::collections::HashMap;

use crate::model::description::{Description, Port, TrunkMode};
use crate::model::nearest::{LONGEST, nearest};
use crate::model::value::quote;
use crate::vid::VidSet;

/// The objects of a description by name. Names come from outside, so the maps are of the kind that no choice of names makes slow.
pub(super) struct Names<'a> {
    bridges: HashMap<&'a str, usize>,
    hosts: HashMap<&'a str, usize>,
    mapped: HashMap<&'a str, VidSet>,
}

impl<'a> Names<'a> {
    pub(super) fn new(description: &'a Description) -> Names<'a> {
        let mut mapped: HashMap<&str, VidSet> = HashMap::new();
        for peering in &description.vlans {
            mapped.entry(&peering.bridge).or_default().insert(peering.vid);
        }
        Names {
            bridges: first_of_each(description.bridges.iter().map(|bridge| bridge.name.as_str())),
            hosts: first_of_each(description.hosts.iter().map(|host| host.name.as_str())),
            mapped,
        }
    }

    /// The index of the bridge with this name.
    pub(super) fn bridge(&self, name: &str) -> Option<usize> {
        self.bridges.get(name).copied()
    }

    /// The index of the host with this name.
    pub(super) fn host(&self, name: &str) -> Option<usize> {
        self.hosts.get(name).copied()
    }

    /// The wire VIDs of a trunk: those declared, or those that bring the mapped VLANs of its bridge.
    pub(super) fn wire_vids(&self, port: &Port, trunk: &TrunkMode) -> VidSet {
        if let Some(vlans) = &trunk.vlans {
            return vlans.clone();
        }
        let mapped = self.mapped.get(port.bridge.as_str());
        let mut wire = mapped.cloned().unwrap_or_default();
        for bridge in trunk.translate.values() {
            wire.remove(*bridge);
        }
        for on_wire in trunk.translate.keys() {
            wire.insert(*on_wire);
        }
        wire
    }
}

fn first_of_each<'a>(names: impl Iterator<Item = &'a str>) -> HashMap<&'a str, usize> {
    let mut first = HashMap::new();
    for (index, name) in names.enumerate() {
        first.entry(name).or_insert(index);
    }
    first
}

/// Guesses which known name a misspelt one stands for. Each guess looks at every known name, so of a file with very many slips only
/// the first are guessed at.
pub(super) struct Guesses<'a> {
    known: Vec<&'a str>,
    /// Characters of all known names.
    characters: usize,
    left: usize,
}

impl<'a> Guesses<'a> {
    pub(super) fn new(known: impl Iterator<Item = &'a str>) -> Guesses<'a> {
        let known: Vec<&str> = known.filter(|name| name.len() <= LONGEST).collect();
        let characters = known.iter().map(|name| name.len()).sum();
        Guesses { known, characters, left: MOST_COMPARED }
    }

    /// `"vub9" is no bridge of this file, did you mean "vub8"?`
    pub(super) fn unknown(&mut self, given: &str, what: &str) -> String {
        match self.nearest(given) {
            Some(near) => {
                format!("{} is no {what} of this file, did you mean {}?", quote(given), quote(near))
            }
            None => format!("{} is no {what} of this file", quote(given)),
        }
    }

    fn nearest(&mut self, given: &str) -> Option<&'a str> {
        let cost = given.len().saturating_mul(self.characters);
        if given.len() > LONGEST || cost > self.left {
            return None;
        }
        self.left -= cost;
        nearest(given, self.known.iter().copied())
    }
}

/// Pairs of characters that are compared for all guesses together: a fraction of a second.
const MOST_COMPARED: usize = 1 << 25;

#[cfg(test)]
mod tests {
    use crate::vid::Vid;

    use super::*;

    #[test]
    fn guesses_end_when_they_have_cost_enough() {
        let known: Vec<String> = (0..10_000).map(|number| format!("bridge{number}")).collect();
        let mut guesses = Guesses::new(known.iter().map(String::as_str));
        assert_eq!(
            guesses.unknown("bridgx7", "bridge"),
            "\"bridgx7\" is no bridge of this file, did you mean \"bridge7\"?"
        );
        let guessed = (0..10_000)
            .filter(|number| guesses.unknown(&format!("bridgx{number}"), "bridge").contains("mean"))
            .count();
        assert!((20..100).contains(&guessed), "{guessed} of 10 000 cost a pass over all names each");
        assert_eq!(guesses.unknown("bridgx7", "bridge"), "\"bridgx7\" is no bridge of this file");
    }

    #[test]
    fn a_trunk_without_vlans_has_the_mapped_ones_as_they_are_on_the_wire() {
        let vid = |number| Vid::new(number).unwrap();
        let peering = |number| crate::model::description::Peering {
            bridge: "dc1".to_owned(),
            vid: vid(number),
            to: "v".to_owned(),
        };
        let description = Description { vlans: [8, 9].map(peering).into(), ..Description::default() };
        let names = Names::new(&description);
        let of = |translate: &[(u16, u16)]| {
            let translate = translate.iter().map(|(wire, bridge)| (vid(*wire), vid(*bridge))).collect();
            let trunk = TrunkMode { translate, ..TrunkMode::default() };
            let port = Port::plain("t", "dc1", "gw1", "eth0");
            names.wire_vids(&port, &trunk).to_string()
        };
        assert_eq!(of(&[]), "8-9");
        assert_eq!(of(&[(108, 9)]), "8,108");
        assert_eq!(of(&[(8, 9), (9, 8)]), "8-9");
        assert_eq!(of(&[(108, 10)]), "8-9,108");
    }
}
