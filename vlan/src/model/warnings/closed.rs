//! Segments in which settings of ports, each of them right, leave a frame nobody to go to.

use crate::model::port::{Mode, Port};
use crate::model::segment::Segment;
use crate::model::value::quote;
use crate::model::warnings::{Warner, in_brief};
use crate::vid::VidSet;

impl<'a> Warner<'a> {
    /// What no frame leaves, and where an address that is not known is reached by nobody. Of a segment the first is told.
    pub(super) fn closed(&mut self) {
        let topology = self.topology;
        for segment in topology.segments() {
            let mut ports: Vec<&Port> =
                segment.members.iter().map(|member| topology.port(member.port)).collect();
            ports.dedup_by_key(|port| port.id);
            let Some((first, rest)) = ports.split_first() else { continue };
            if ports.iter().all(|port| port.isolated) {
                let text = format!(
                    "{} has no trunk, and no port that is not isolated: no frame gets anywhere ({})",
                    self.called(segment),
                    named(&ports)
                );
                self.add(first, "isolated", text);
            } else if !rest.is_empty() && ports.iter().all(|port| !port.takes_unknown) {
                let text = format!(
                    "{} has no trunk, and no port to which unicast to an unknown address is sent: a station is reached by broadcast only \
                     until it has spoken ({})",
                    self.called(segment),
                    named(&ports)
                );
                self.add(first, "flood", text);
            } else if !rest.is_empty() && have_nothing_in_common(&ports) {
                let text = format!(
                    "no customer VLAN of this port is one of another port of {}: no frame gets anywhere ({})",
                    self.called(segment),
                    named(&ports)
                );
                self.add(first, "customer-vlans", text);
            }
        }
    }

    /// A segment by its VLAN-unaware bridge, else by a VLAN that it is.
    fn called(&self, segment: &Segment) -> String {
        let name = |domain: &crate::model::segment::Domain| quote(&self.topology.bridge(domain.bridge).name);
        if let Some(unaware) = segment.domains.iter().find(|domain| domain.vid.is_none()) {
            return name(unaware);
        }
        let outermost = segment.domains.iter().max_by_key(|domain| domain.height());
        outermost.map_or_else(String::new, |domain| {
            let tags: Vec<String> = domain.stack().iter().map(ToString::to_string).collect();
            format!("VLAN {} of {}", tags.join("."), name(domain))
        })
    }
}

/// Whether all of them let some customer VLANs in, and none lets in one of another's.
fn have_nothing_in_common(ports: &[&Port]) -> bool {
    let (mut all, mut count) = (VidSet::new(), 0);
    for port in ports {
        let Mode::Qinq { customer_vlans: Some(vids), .. } = &port.mode else { return false };
        all.insert_all(vids);
        count += vids.len();
    }
    all.len() == count
}

fn named(ports: &[&Port]) -> String {
    in_brief(ports.iter().map(|port| port.name.as_str()))
}
