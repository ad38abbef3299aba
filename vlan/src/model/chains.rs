//! VLANs that lead into VLAN-aware bridges: ways that come back, and ways that would need a third tag (behaviour.md 1).

use std::collections::BTreeMap;

use crate::model::bridge::{Awareness, Bridge};
use crate::model::findings::Findings;
use crate::model::graph::Edge;
use crate::model::id::BridgeId;
use crate::model::mistake::Table;
use crate::model::value::quote;

/// A VAB led into by a VAB may not lead into a third: the kernel's key holds two tags. A way back is a loop. So a way has
/// at most four peerings, a VUB in the middle and two VABs to each side, and stays below the eight of behaviour.md 1.
pub(super) fn check(bridges: &[Bridge], edges: &[Edge], findings: &mut Findings) {
    let is_aware = |id: BridgeId| bridges[id.0 as usize].kind != Awareness::Unaware;
    let name = |id: BridgeId| quote(&bridges[id.0 as usize].name);
    let leads: Vec<&Edge> = edges.iter().filter(|edge| is_aware(edge.to)).collect();
    let circles = Circles::new(bridges.len(), leads.iter().map(|edge| (edge.bridge, edge.to)));
    let mut is_inner = vec![false; bridges.len()];
    for edge in &leads {
        is_inner[edge.to.0 as usize] = true;
    }
    for edge in &leads {
        let (from, to) = (edge.bridge, edge.to);
        if circles.of[from.0 as usize] == circles.of[to.0 as usize] {
            let text = format!("{} leads back to {}: peerings may not form a loop", name(to), name(from));
            findings.add(Table::Vlans, edge.index, "to", text);
        } else if is_inner[from.0 as usize] {
            let text = format!(
                "{} is reached through a tag of another bridge already: at most 2 tags are looked at on the way of a frame",
                name(from)
            );
            findings.add(Table::Vlans, edge.index, "to", text);
        }
    }
}

/// Bridges that reach each other have the same number: the strongly connected parts of the graph, found in one walk (Tarjan, "Depth-first
/// search and linear graph algorithms", 1972), without recursion because a chain may be as long as the file.
struct Circles {
    of: Vec<usize>,
}

impl Circles {
    fn new(count: usize, leads: impl Iterator<Item = (BridgeId, BridgeId)>) -> Circles {
        let mut next: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (from, to) in leads {
            next.entry(from.0 as usize).or_default().push(to.0 as usize);
        }
        let mut walk = Walk {
            next,
            seen: vec![UNSEEN; count],
            low: vec![0; count],
            open: Vec::new(),
            of: vec![UNSEEN; count],
            time: 0,
        };
        for start in 0..count {
            if walk.seen[start] == UNSEEN {
                walk.from(start);
            }
        }
        Circles { of: walk.of }
    }
}

struct Walk {
    next: BTreeMap<usize, Vec<usize>>,
    /// When each was seen first.
    seen: Vec<usize>,
    /// The earliest that each is known to reach.
    low: Vec<usize>,
    /// Seen, and not yet known to be in which part.
    open: Vec<usize>,
    of: Vec<usize>,
    time: usize,
}

impl Walk {
    fn from(&mut self, start: usize) {
        self.enter(start);
        let mut way = vec![(start, 0)];
        while let Some((here, done)) = way.last_mut() {
            let here = *here;
            let next = self.next.get(&here).and_then(|next| next.get(*done)).copied();
            *done += 1;
            match next {
                Some(next) if self.seen[next] == UNSEEN => {
                    self.enter(next);
                    way.push((next, 0));
                }
                Some(next) if self.of[next] == UNSEEN => self.low[here] = self.low[here].min(self.seen[next]),
                Some(_) => {}
                None => {
                    way.pop();
                    self.leave(here);
                    if let Some((before, _)) = way.last() {
                        self.low[*before] = self.low[*before].min(self.low[here]);
                    }
                }
            }
        }
    }

    fn enter(&mut self, bridge: usize) {
        (self.seen[bridge], self.low[bridge]) = (self.time, self.time);
        self.time += 1;
        self.open.push(bridge);
    }

    /// All that is open behind a bridge that reaches nothing earlier is a part of its own.
    fn leave(&mut self, bridge: usize) {
        if self.low[bridge] != self.seen[bridge] {
            return;
        }
        while let Some(one) = self.open.pop() {
            self.of[one] = bridge;
            if one == bridge {
                return;
            }
        }
    }
}

const UNSEEN: usize = usize::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    fn circles(count: usize, leads: &[(u32, u32)]) -> Vec<usize> {
        Circles::new(count, leads.iter().map(|(from, to)| (BridgeId(*from), BridgeId(*to)))).of
    }

    #[test]
    fn those_that_reach_each_other_are_one() {
        let of = circles(7, &[(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (4, 3), (5, 5)]);
        assert_eq!((of[0] == of[1], of[1] == of[2]), (true, true));
        assert_eq!((of[3] == of[4], of[2] == of[3]), (true, false));
        assert_eq!((of[5] == of[6], of[4] == of[5]), (false, false));
    }

    /// Against the definition, on every graph of four bridges with up to four ways.
    #[test]
    fn it_is_as_following_every_way() {
        let ways: Vec<(u32, u32)> = (0..4).flat_map(|from| (0..4).map(move |to| (from, to))).collect();
        let reaches = |leads: &[(u32, u32)], from: u32, to: u32| {
            let mut there = vec![from];
            for _ in 0..4 {
                let more: Vec<u32> =
                    leads.iter().filter(|(a, _)| there.contains(a)).map(|(_, b)| *b).collect();
                there.extend(more);
            }
            there.contains(&to)
        };
        for chosen in 0..1_u32 << 16 {
            if chosen.count_ones() > 4 {
                continue;
            }
            let leads: Vec<_> = ways
                .iter()
                .enumerate()
                .filter(|(bit, _)| chosen >> bit & 1 == 1)
                .map(|(_, way)| *way)
                .collect();
            let of = circles(4, &leads);
            for (a, b) in &ways {
                let both = reaches(&leads, *a, *b) && reaches(&leads, *b, *a);
                assert_eq!(of[*a as usize] == of[*b as usize], both, "{leads:?}: {a} and {b}");
            }
        }
    }

    #[test]
    fn a_chain_as_long_as_a_file_does_not_end_the_stack() {
        let leads: Vec<(u32, u32)> = (0..400_000).map(|from| (from, from + 1)).collect();
        assert_eq!(circles(400_001, &leads).len(), 400_001);
    }
}
