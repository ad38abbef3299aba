//! Why a frame finds no port to leave by.

use std::fmt;

use vlan::model::port::{Mode, Port};
use vlan::model::segment::Domain;
use vlan::model::topology::{Located, Topology};

/// Why there is nobody else on a segment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) enum Why {
    /// There is, or it does not matter.
    #[default]
    Nothing,
    /// The frame's place has no other port, and nothing is peered with it.
    Alone(String),
    /// Nor has what it is peered with.
    Empty(String, Vec<String>),
    /// Another bridge classifies by a next tag, which the frame has not.
    NextTag(String),
}

impl Why {
    /// Of a frame that `port` let in and that is at `located`.
    pub(super) fn of(topology: &Topology, port: &Port, located: Located) -> Why {
        let segment = topology.segment(located.segment.number);
        let own = segment.domain(located.domain);
        if located.by_next_tag
            && let Some(inner) = own.vid.and_then(|vid| topology.inner_bridge(own.bridge, vid))
        {
            return Why::NextTag(topology.bridge(inner).name.clone());
        }
        let place = place(topology, port, own);
        let others =
            segment.domains.iter().enumerate().filter(|(index, _)| *index != usize::from(located.domain));
        let names: Vec<String> = others.map(|(_, domain)| domain_name(topology, domain)).collect();
        if names.is_empty() { Why::Alone(place) } else { Why::Empty(place, names) }
    }
}

/// Where the frame is. On a trunk many VLANs may be empty, so the VLAN's number is left out.
fn place(topology: &Topology, port: &Port, own: &Domain) -> String {
    match port.mode {
        Mode::Trunk(_) => "the VLAN".to_owned(),
        _ => domain_name(topology, own),
    }
}

fn domain_name(topology: &Topology, domain: &Domain) -> String {
    let bridge = &topology.bridge(domain.bridge).name;
    match domain.vid {
        Some(vid) => format!("VLAN {vid} of {bridge}"),
        None => bridge.clone(),
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Nothing => f.write_str("no other port is there to leave by"),
            Why::Alone(place) => write!(f, "{place} has no other port and is peered with nothing"),
            Why::Empty(place, others) => {
                let named = others.iter().take(MOST_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
                let more = others.len().saturating_sub(MOST_NAMES);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                write!(f, "{place} has no other port, nor has what it is peered with: {named}{more}")
            }
            Why::NextTag(bridge) => {
                write!(f, "{bridge} classifies by a second tag, which this frame has not")
            }
        }
    }
}

/// Most bridges that are named.
const MOST_NAMES: usize = 4;
