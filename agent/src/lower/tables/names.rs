//! Numbers for what tables name, the same from one revision to the next.
//!
//! A topology numbers its objects anew each time it is built. If the tables did too, an operator's new VLAN would rewrite every
//! entry behind it. So numbers are given by name, and kept as long as the name is there. None is ever given twice: a report
//! that was under way while its object went away names nothing, never something else.

use std::collections::BTreeMap;

use datapath::tables::WireTag;
use smallvec::SmallVec;
use vlan::ingress::Admitted;
use vlan::verdict::StormClass;
use vlan::vid::Vid;

/// All numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    pub(super) bridges: Numbers<String>,
    pub(super) ports: Numbers<String>,
    pub(super) fabrics: Numbers<String>,
    pub(super) hosts: Numbers<String>,
    pub(super) segments: Numbers<DomainName>,
    pub(super) places: Numbers<PlaceName>,
    pub(super) attachments: Numbers<AttachmentName>,
    pub(super) limits: Numbers<LimitName>,
    pub(super) meters: Numbers<MeterName>,
}

impl Names {
    /// Forgets the numbers that were not asked for since the last call.
    pub(super) fn sweep(&mut self) {
        self.bridges.sweep();
        self.ports.sweep();
        self.fabrics.sweep();
        self.hosts.sweep();
        self.segments.sweep();
        self.places.sweep();
        self.attachments.sweep();
        self.limits.sweep();
        self.meters.sweep();
    }
}

/// A domain: bridge, VLAN (`None` on a VUB), next tag's VLAN. A segment is named by one of its domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DomainName {
    pub(super) bridge: u32,
    pub(super) vid: Option<Vid>,
    pub(super) inner: Option<Vid>,
}

/// Where an address can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PlaceName {
    Port { port: u32, vid: Option<Vid> },
    Fabric { fabric: u32, vid: Vid },
    Host(u32),
}

/// A way into a segment: all on which it depends where and how frames leave. The trunk group that frames came in by is not in it: a
/// bridge is of one fabric, so that it follows from the domain and from whether the port is a trunk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AttachmentName {
    pub(super) domain: DomainName,
    /// The segment may be another when peerings change, with its domain the same.
    pub(super) segment: u32,
    pub(super) admitted: Admitted,
    /// The tags that classification read.
    pub(super) tags: SmallVec<[WireTag; 2]>,
    pub(super) is_trunk: bool,
    pub(super) is_isolated: bool,
}

/// What a limit counts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LimitName {
    Port(u32),
    Fabric(u32),
    Host(u32),
}

/// A storm meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MeterName {
    pub(super) port: u32,
    pub(super) scope: Scope,
    pub(super) class: StormClass,
}

/// How much of a port a storm meter is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    Vlan(Option<Vid>),
    Port,
}

/// A number for each name.
#[derive(Debug, Clone)]
pub(super) struct Numbers<N> {
    given: BTreeMap<N, Given>,
    next: u32,
}

#[derive(Debug, Clone, Copy)]
struct Given {
    number: u32,
    is_used: bool,
}

impl<N: Ord> Numbers<N> {
    /// The number of a name; a new one if it has none.
    pub(super) fn of(&mut self, name: N) -> u32 {
        let next = &mut self.next;
        let given = self.given.entry(name).or_insert_with(|| {
            *next += 1;
            Given { number: *next - 1, is_used: true }
        });
        given.is_used = true;
        given.number
    }

    /// Forgets the names that were not asked for since the last call.
    fn sweep(&mut self) {
        self.given.retain(|_, given| std::mem::take(&mut given.is_used));
    }
}

impl<N> Default for Numbers<N> {
    fn default() -> Numbers<N> {
        Numbers { given: BTreeMap::new(), next: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number_until_it_is_swept_and_none_is_given_twice() {
        let mut numbers = Numbers::default();
        assert_eq!((numbers.of("a"), numbers.of("b"), numbers.of("a")), (0, 1, 0));
        numbers.sweep();
        assert_eq!(numbers.of("b"), 1);
        numbers.sweep();
        assert_eq!((numbers.of("b"), numbers.of("a")), (1, 2), "a was away and is another now");
    }
}
