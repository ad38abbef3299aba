//! Which exterior ports are in which VLAN: indexed once, because every segment asks for its own.

use rustc_hash::FxHashMap;

use crate::model::id::BridgeId;
use crate::model::port::{Mode, Port};
use crate::vid::Vid;

/// The exterior ports of each bridge by VLAN.
pub(super) struct Members<'a> {
    /// Those of a VLAN; of a VUB with `None`.
    few: FxHashMap<(BridgeId, Option<Vid>), Vec<&'a Port>>,
    /// Those in so many VLANs that each asks them itself.
    many: FxHashMap<BridgeId, Vec<&'a Port>>,
    /// Trunks, which are among the others too.
    trunks: FxHashMap<BridgeId, Vec<&'a Port>>,
}

impl<'a> Members<'a> {
    pub(super) fn new(ports: &'a [Port]) -> Members<'a> {
        let (few, many, trunks) = (FxHashMap::default(), FxHashMap::default(), FxHashMap::default());
        let mut members = Members { few, many, trunks };
        for port in ports {
            members.add(port);
        }
        members
    }

    fn add(&mut self, port: &'a Port) {
        if port.is_trunk {
            self.trunks.entry(port.bridge).or_default().push(port);
        }
        match &port.mode {
            Mode::Plain => self.few.entry((port.bridge, None)).or_default().push(port),
            Mode::Access { vid } | Mode::Qinq { vid, .. } => {
                self.few.entry((port.bridge, Some(*vid))).or_default().push(port);
            }
            Mode::Trunk(trunk) if trunk.allowed.len() <= FEW => {
                for vid in trunk.allowed.iter() {
                    self.few.entry((port.bridge, Some(vid))).or_default().push(port);
                }
            }
            Mode::Trunk(_) => self.many.entry(port.bridge).or_default().push(port),
        }
    }

    /// The members of a VLAN of a VAB, or of a VUB (`None`), in no particular order.
    pub(super) fn of(&self, bridge: BridgeId, vid: Option<Vid>) -> impl Iterator<Item = &'a Port> {
        let few = self.few.get(&(bridge, vid)).map_or(&[][..], Vec::as_slice);
        let many = self.many.get(&bridge).map_or(&[][..], Vec::as_slice);
        let has_it = move |port: &&Port| vid.is_some_and(|vid| port.is_member(vid));
        few.iter().copied().chain(many.iter().copied().filter(has_it))
    }

    /// The trunks of a bridge, in the order of the description.
    pub(super) fn trunks(&self, bridge: BridgeId) -> &[&'a Port] {
        self.trunks.get(&bridge).map_or(&[][..], Vec::as_slice)
    }
}

/// A port in more VLANs than these is not listed in each of them.
const FEW: usize = 64;
