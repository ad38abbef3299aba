//! Compiles bridges and peerings into segments: every domain, the edges between them, and each connected tree.

use std::collections::{BTreeSet, VecDeque};

use rustc_hash::FxHashMap;

use crate::model::id::BridgeId;
use crate::model::segment::Domain;
use crate::vid::{Vid, VidSet};

/// A domain's identity: bridge, VLAN (`None` on a VUB), next tag's VLAN.
pub(super) type DomainKey = (BridgeId, Option<Vid>, Option<Vid>);

/// A peering with its names resolved.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    /// Index in the description.
    pub(super) index: usize,
    pub(super) bridge: BridgeId,
    pub(super) vid: Vid,
    pub(super) to: BridgeId,
}

/// Domains and what joins them.
pub(super) struct Graph {
    nodes: BTreeSet<DomainKey>,
    neighbours: FxHashMap<DomainKey, Vec<(DomainKey, usize)>>,
    /// (outer VAB, VLAN) → inner VAB.
    pub(super) chains: FxHashMap<(BridgeId, Vid), BridgeId>,
}

/// A connected part of the graph.
pub(super) struct Tree {
    pub(super) domains: Vec<Domain>,
    /// Index of a peering that closes a loop, if one does.
    pub(super) loop_at: Option<usize>,
    /// Indexes of its peerings.
    pub(super) edges: BTreeSet<usize>,
}

impl Graph {
    /// `known[b]` holds the VLANs that the ports of VAB `b` know; `None` for a VUB. Chains of VABs must have been checked to end.
    ///
    /// # Errors
    /// More VLANs, or more pairs of a VLAN and a next tag's VLAN, than memory is to be spent on.
    pub(super) fn new(mut known: Vec<Option<VidSet>>, edges: &[Edge]) -> Result<Graph, TooMany> {
        let mut graph =
            Graph { nodes: BTreeSet::new(), neighbours: FxHashMap::default(), chains: FxHashMap::default() };
        let mut is_led_to = vec![false; known.len()];
        for edge in edges {
            let is_led_to_again = std::mem::replace(&mut is_led_to[edge.to.0 as usize], true);
            if let (true, Some(vids)) = (is_led_to_again, &mut known[edge.to.0 as usize]) {
                // Two outer VLANs meet in it, in each of its VLANs, whether a port of its own has that VLAN or not.
                *vids = VidSet::all();
            }
            if let Some(vids) = &mut known[edge.bridge.0 as usize] {
                vids.insert(edge.vid);
            }
            if known[edge.to.0 as usize].is_some() {
                graph.chains.insert((edge.bridge, edge.vid), edge.to);
            }
        }
        count_vlans(&known)?;
        count_pairs(edges, &known)?;
        graph.add_nodes(&known);
        for edge in edges {
            graph.add_edges(edge, known[edge.to.0 as usize].as_ref());
        }
        Ok(graph)
    }

    fn add_nodes(&mut self, known: &[Option<VidSet>]) {
        for (number, vids) in known.iter().enumerate() {
            let bridge = BridgeId(number as u32);
            match vids {
                None => {
                    self.nodes.insert((bridge, None, None));
                }
                Some(vids) => self.nodes.extend(vids.iter().map(|vid| (bridge, Some(vid), None))),
            }
        }
    }

    fn add_edges(&mut self, edge: &Edge, inner: Option<&VidSet>) {
        let Some(inner) = inner else {
            return self.join((edge.bridge, Some(edge.vid), None), (edge.to, None, None), edge.index);
        };
        for next in inner.iter() {
            let outer = (edge.bridge, Some(edge.vid), Some(next));
            self.nodes.insert(outer);
            self.join(outer, (edge.to, Some(next), None), edge.index);
        }
    }

    fn join(&mut self, a: DomainKey, b: DomainKey, edge: usize) {
        self.neighbours.entry(a).or_default().push((b, edge));
        self.neighbours.entry(b).or_default().push((a, edge));
    }

    /// Every connected part, by its first domain in ascending order.
    pub(super) fn trees(&self) -> Vec<Tree> {
        let mut seen: FxHashMap<DomainKey, u16> = FxHashMap::default();
        let mut trees = Vec::new();
        for start in &self.nodes {
            if !seen.contains_key(start) {
                trees.push(self.tree(*start, &mut seen));
            }
        }
        trees
    }

    fn tree(&self, start: DomainKey, seen: &mut FxHashMap<DomainKey, u16>) -> Tree {
        let mut tree = Tree { domains: vec![domain(start, 0, 0)], loop_at: None, edges: BTreeSet::new() };
        let mut queue = VecDeque::from([(start, 0_u16, usize::MAX)]);
        seen.insert(start, 0);
        while let Some((here, index, came_by)) = queue.pop_front() {
            for &(next, edge) in self.neighbours.get(&here).map_or(&[][..], Vec::as_slice) {
                if edge == came_by && seen.contains_key(&next) {
                    continue;
                }
                tree.edges.insert(edge);
                if seen.contains_key(&next) {
                    tree.loop_at = tree.loop_at.max(Some(edge));
                    continue;
                }
                let number = tree.domains.len() as u16;
                let depth = tree.domains[usize::from(index)].depth + 1;
                tree.domains.push(domain(next, index, depth));
                seen.insert(next, number);
                queue.push_back((next, number, edge));
            }
        }
        tree
    }
}

/// More domains than are allowed. A line of a file may stand for 4 094 of them, so they are counted before any is made.
#[derive(Debug, Clone, Copy)]
pub(super) enum TooMany {
    /// Bridges have more VLANs together.
    Vlans {
        /// The first bridge that is one too many.
        bridge: BridgeId,
        /// How many there are with it.
        count: usize,
    },
    /// Peerings with VABs make more pairs: each of them one for every VLAN of the VAB it leads to.
    Pairs {
        /// Index of the first peering that is one too many.
        index: usize,
        /// How many there are with it.
        count: usize,
    },
}

fn count_vlans(known: &[Option<VidSet>]) -> Result<(), TooMany> {
    let mut count = 0;
    for (number, vids) in known.iter().enumerate() {
        count += vids.as_ref().map_or(0, VidSet::len);
        if count > MOST_VLANS {
            return Err(TooMany::Vlans { bridge: BridgeId(number as u32), count });
        }
    }
    Ok(())
}

fn count_pairs(edges: &[Edge], known: &[Option<VidSet>]) -> Result<(), TooMany> {
    let mut count = 0;
    for edge in edges {
        count += known[edge.to.0 as usize].as_ref().map_or(0, VidSet::len);
        if count > MOST_PAIRS {
            return Err(TooMany::Pairs { index: edge.index, count });
        }
    }
    Ok(())
}

fn domain((bridge, vid, inner): DomainKey, parent: u16, depth: u16) -> Domain {
    Domain { bridge, vid, inner, parent, depth }
}

/// All VLANs of 128 bridges.
pub(super) const MOST_VLANS: usize = 128 * 4096;
/// A VLAN of each of 128 customers with all of theirs, or 4 094 customers with 128 VLANs each. The daemon keeps some 300 bytes for each.
pub(super) const MOST_PAIRS: usize = 128 * 4096;
