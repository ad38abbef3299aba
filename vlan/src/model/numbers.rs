//! Numbers by which hosts speak of the same thing: one for each host, a VXLAN network identifier (VNI) for each segment that has ports
//! on several hosts.
//!
//! Whoever publishes a revision deals them out, and they are kept with it. They outlive it: hosts may follow neighbouring revisions for
//! a while, and a number that meant another segment in one of them would mix the two. So the next number is always one that nobody had.
//!
//! ```text
//! numbers of the revision before ─┐
//! names of the next topology ─────┴─► after ─► the same for names that stay, new ones for the others
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::description::BridgeKind;
use crate::model::mistake::{Mistake, Place, Table};
use crate::model::segment::SegmentName;
use crate::model::topology::Topology;
use crate::model::value::VNIS;

/// All numbers of a revision, and what is to be remembered of earlier ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Numbers {
    /// Of hosts, by name; from 1 up.
    pub hosts: BTreeMap<String, u32>,
    /// VNIs of segments.
    pub segments: BTreeMap<SegmentName, u32>,
    /// Declared VNIs that belong to no segment any more, and whose they were.
    pub retired: BTreeMap<u32, SegmentName>,
    /// The next host's.
    pub next_host: u32,
    /// The next VNI: all from [`FIRST_DEALT_VNI`] up to it have been dealt.
    pub next_vni: u32,
}

impl Default for Numbers {
    fn default() -> Numbers {
        Numbers {
            hosts: BTreeMap::new(),
            segments: BTreeMap::new(),
            retired: BTreeMap::new(),
            next_host: 1,
            next_vni: FIRST_DEALT_VNI,
        }
    }
}

impl Numbers {
    /// Those of a topology that follows the one that has these.
    ///
    /// # Errors
    /// A declared VNI that another segment has or had; no number is left.
    pub fn after(&self, topology: &Topology) -> Result<Numbers, Vec<Mistake>> {
        let (next_host, next_vni) = (self.next_host, self.next_vni);
        let mut next = Numbers { retired: self.retired.clone(), next_host, next_vni, ..Numbers::default() };
        let mut mistakes = self.keep_hosts(topology, &mut next);
        mistakes.extend(self.keep_segments(topology, &mut next));
        if mistakes.is_empty() { Ok(next) } else { Err(mistakes) }
    }

    /// Whether a host finds here all numbers that it speaks by: those of hosts, and of the segments that it has ports on.
    ///
    /// # Errors
    /// The first name without one.
    pub fn check(&self, topology: &Topology, host: &str) -> Result<(), String> {
        let without = topology.hosts().iter().find(|host| !self.hosts.contains_key(&host.name));
        if let Some(without) = without {
            return Err(format!("host {}", without.name));
        }
        let lacks = |name: &SegmentName| !self.segments.contains_key(name);
        let host = topology.host_named(host);
        let is_on = |number: &u32| {
            let mut members = topology.segment(*number).members.iter();
            members.any(|member| Some(topology.port(member.port).host) == host)
        };
        let needs = (0..topology.segments().len() as u32)
            .filter(|number| is_on(number) && topology.is_on_several_hosts(*number));
        match needs.map(|number| topology.segment_name(number)).find(lacks) {
            Some(name) => Err(format!("segment {name}")),
            None => Ok(()),
        }
    }

    fn keep_hosts(&self, topology: &Topology, next: &mut Numbers) -> Vec<Mistake> {
        let mut names: Vec<(&str, usize)> =
            topology.hosts().iter().enumerate().map(|(index, host)| (host.name.as_str(), index)).collect();
        names.sort_unstable();
        for (name, index) in names {
            let number = match self.hosts.get(name) {
                Some(number) => *number,
                None if next.next_host == u32::MAX => {
                    return vec![mistake(
                        Table::Hosts,
                        index,
                        "",
                        "no number is left for this host".to_owned(),
                    )];
                }
                None => {
                    next.next_host += 1;
                    next.next_host - 1
                }
            };
            next.hosts.insert(name.to_owned(), number);
        }
        Vec::new()
    }

    fn keep_segments(&self, topology: &Topology, next: &mut Numbers) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        let owners: BTreeMap<u32, &SegmentName> =
            self.segments.iter().map(|(name, vni)| (*vni, name)).collect();
        let mut without = BTreeSet::new();
        for number in 0..topology.segments().len() as u32 {
            let name = topology.segment_name(number);
            let had = self.segments.get(&name).copied();
            let declared = declared(topology, number);
            if let Some((vni, bridge)) = declared.filter(|(vni, _)| had != Some(*vni))
                && let Some(holder) = self.holder(vni, &owners).filter(|holder| !holder.was(&name))
            {
                mistakes.push(mistake(Table::Bridges, bridge, "vni", refusal(vni, &holder)));
                continue;
            }
            match declared.map(|(vni, _)| vni).or(had) {
                Some(vni) => drop(next.segments.insert(name, vni)),
                None if topology.is_on_several_hosts(number) => drop(without.insert(name)),
                None => {}
            }
        }
        next.retire(self);
        mistakes.extend(next.deal(without, topology));
        mistakes
    }

    /// Whose a VNI is or was.
    fn holder<'a>(&'a self, vni: u32, owners: &BTreeMap<u32, &'a SegmentName>) -> Option<Holder<'a>> {
        let is_dealt = (FIRST_DEALT_VNI..self.next_vni).contains(&vni);
        let has = owners.get(&vni).map(|name| Holder::Is(name));
        let had = || self.retired.get(&vni).map(Holder::Was);
        has.or_else(had).or(is_dealt.then_some(Holder::Forgotten))
    }

    /// Remembers the declared VNIs that a name of before has no more. Those that were dealt need not be: the counter is past them.
    fn retire(&mut self, before: &Numbers) {
        for vni in self.segments.values() {
            self.retired.remove(vni);
        }
        for (name, vni) in &before.segments {
            let is_dealt = (FIRST_DEALT_VNI..before.next_vni).contains(vni);
            let is_kept = self.segments.get(name) == Some(vni);
            if !is_kept && !is_dealt {
                self.retired.insert(*vni, name.clone());
            }
        }
    }

    fn deal(&mut self, names: BTreeSet<SegmentName>, topology: &Topology) -> Option<Mistake> {
        let taken: BTreeSet<u32> = self.segments.values().chain(self.retired.keys()).copied().collect();
        for name in names {
            while taken.contains(&self.next_vni) {
                self.next_vni += 1;
            }
            if !VNIS.allows(self.next_vni) {
                let bridge = topology.bridge_named(&name.bridge).map_or(0, |bridge| bridge.id.0 as usize);
                let text =
                    format!("segment {name} needs a VNI, and all from {FIRST_DEALT_VNI} up have been dealt");
                return Some(mistake(Table::Bridges, bridge, "vni", text));
            }
            self.segments.insert(name, self.next_vni);
            self.next_vni += 1;
        }
        None
    }
}

/// Whose a VNI is.
#[derive(Debug)]
enum Holder<'a> {
    /// A segment's.
    Is(&'a SegmentName),
    /// It was a segment's.
    Was(&'a SegmentName),
    /// It was dealt to one that is gone.
    Forgotten,
}

impl Holder<'_> {
    /// Whether it was this segment's, which may have it back.
    fn was(&self, name: &SegmentName) -> bool {
        matches!(self, Holder::Was(holder) if *holder == name)
    }
}

fn refusal(vni: u32, holder: &Holder<'_>) -> String {
    let whose = match holder {
        Holder::Is(name) => format!("is the VNI of segment {name}"),
        Holder::Was(name) => format!("was the VNI of segment {name}"),
        Holder::Forgotten => "was the VNI of a segment that is gone".to_owned(),
    };
    format!(
        "{vni} {whose}: hosts that follow the revision before would mix both, so no other segment gets it; choose one that was never used \
         (none below {FIRST_DEALT_VNI} is dealt out)"
    )
}

/// The VNI that a segment's VUB declares, and the bridge's index.
fn declared(topology: &Topology, number: u32) -> Option<(u32, usize)> {
    topology.segment(number).domains.iter().find_map(|domain| {
        let bridge = domain.bridge.0 as usize;
        match topology.description().bridges[bridge].kind {
            BridgeKind::VlanUnaware { vni } => vni.map(|vni| (vni, bridge)),
            BridgeKind::VlanAware { .. } => None,
        }
    })
}

fn mistake(table: Table, index: usize, key: &'static str, text: String) -> Mistake {
    Mistake { place: Place { table, index, key }, text }
}

/// The first VNI that is dealt out: 2^23, the upper half of what RFC 7348 5 allows. What operators declare stays below.
pub const FIRST_DEALT_VNI: u32 = 1 << 23;
