//! Numbers by which hosts speak of the same thing. Each host has one. Each segment that has ports on several hosts has a VXLAN network
//! identifier (VNI), and further ones for what came into it by a trunk group or by an isolated port.
//!
//! Whoever publishes a revision deals them out, and they are kept with it. They outlive it: hosts may follow neighbouring revisions for
//! a while, and a number that meant another segment in one of them would mix the two. So the next number is always one that nobody had.
//!
//! ```text
//! numbers of the revision before ─┐
//! names of the next topology ─────┴─► after ─► the same for names that stay, new ones for the others
//! ```

mod further;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::description::BridgeKind;
use crate::model::encapsulation::VNIS;
use crate::model::mistake::{Mistake, ObjectKey, Table};
use crate::model::segment::SegmentName;
use crate::model::topology::Topology;

pub use further::Further;

/// All numbers of a revision, and what is to be remembered of earlier ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Numbers {
    /// Of hosts, by name; from 1 up.
    pub hosts: BTreeMap<String, u32>,
    /// VNIs of segments.
    pub segments: BTreeMap<SegmentName, u32>,
    /// Further VNIs of segments.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub further: BTreeMap<SegmentName, Further>,
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
            further: BTreeMap::new(),
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
        let before = self.renamed(topology);
        let mut next = Numbers { retired: before.retired.clone(), next_host, next_vni, ..Numbers::default() };
        let mut mistakes = before.keep_hosts(topology, &mut next);
        mistakes.extend(before.keep_segments(topology, &mut next));
        if mistakes.is_empty() {
            mistakes.extend(before.keep_further(topology, &mut next));
        }
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

    /// The same under the names that bridges have now. A bridge of which there are numbers already keeps those.
    fn renamed(&self, topology: &Topology) -> Numbers {
        let known: BTreeSet<&str> = self.segments.keys().map(|name| name.bridge.as_str()).collect();
        let bridges = topology.description().bridges.iter();
        let renames =
            bridges.filter_map(|bridge| Some((bridge.renamed_from.as_deref()?, bridge.name.as_str())));
        let renames: BTreeMap<&str, &str> = renames.filter(|(_, to)| !known.contains(to)).collect();
        if renames.is_empty() {
            return self.clone();
        }
        let rename = |name: &SegmentName| match renames.get(name.bridge.as_str()) {
            Some(to) => SegmentName { bridge: (*to).to_owned(), ..name.clone() },
            None => name.clone(),
        };
        Numbers {
            segments: self.segments.iter().map(|(name, vni)| (rename(name), *vni)).collect(),
            further: self.further.iter().map(|(name, further)| (rename(name), further.clone())).collect(),
            retired: self.retired.iter().map(|(vni, name)| (*vni, rename(name))).collect(),
            ..self.clone()
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

    fn keep_further(&self, topology: &Topology, next: &mut Numbers) -> Option<Mistake> {
        let mut names: Vec<(SegmentName, u32)> = (0..topology.segments().len() as u32)
            .map(|number| (topology.segment_name(number), number))
            .collect();
        names.sort_unstable();
        let taken = next.taken();
        let none = Further::default();
        for (name, number) in names {
            let had = self.further.get(&name).unwrap_or(&none);
            let Some(further) = had.next((topology, number), || next.deal_one(&taken)) else {
                return Some(none_left(&name, topology));
            };
            if !further.is_empty() {
                next.further.insert(name, further);
            }
        }
        None
    }

    /// Whose a VNI is or was.
    fn holder<'a>(&'a self, vni: u32, owners: &BTreeMap<u32, &'a SegmentName>) -> Option<Holder<'a>> {
        let is_dealt = (FIRST_DEALT_VNI..self.next_vni).contains(&vni);
        let has_further = || self.further.iter().find(|(_, further)| further.vnis().any(|one| one == vni));
        let has = owners.get(&vni).map(|name| Holder::Is(name));
        let has = has.or_else(|| is_dealt.then(has_further)?.map(|(name, _)| Holder::HasFurther(name)));
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
        let taken = self.taken();
        for name in names {
            let Some(vni) = self.deal_one(&taken) else { return Some(none_left(&name, topology)) };
            self.segments.insert(name, vni);
        }
        None
    }

    /// VNIs that are not dealt, though the counter may come to them: declared ones.
    fn taken(&self) -> BTreeSet<u32> {
        self.segments.values().chain(self.retired.keys()).copied().collect()
    }

    /// The next one; `None` where all have been dealt.
    fn deal_one(&mut self, taken: &BTreeSet<u32>) -> Option<u32> {
        while taken.contains(&self.next_vni) {
            self.next_vni += 1;
        }
        let vni = Some(self.next_vni).filter(|vni| VNIS.allows(*vni))?;
        self.next_vni += 1;
        Some(vni)
    }
}

fn none_left(name: &SegmentName, topology: &Topology) -> Mistake {
    let bridge = topology.bridge_named(&name.bridge).map_or(0, |bridge| bridge.id.0 as usize);
    let text = format!("segment {name} needs a VNI, and all from {FIRST_DEALT_VNI} up have been dealt");
    mistake(Table::Bridges, bridge, "vni", text)
}

/// Whose a VNI is.
#[derive(Debug)]
enum Holder<'a> {
    /// A segment's.
    Is(&'a SegmentName),
    /// A segment's, for what comes into it in one way.
    HasFurther(&'a SegmentName),
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
        Holder::HasFurther(name) => format!("is a further VNI of segment {name}"),
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
    Mistake { place: ObjectKey { table, index, key }, text }
}

/// The first VNI that is dealt out: 2^23, the upper half of what RFC 7348 5 allows. What operators declare stays below.
pub const FIRST_DEALT_VNI: u32 = 1 << 23;
