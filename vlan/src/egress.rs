//! Egress: how a frame's tags change on the way from the domain it entered to the port it leaves by, and why it may not
//! leave there (behaviour.md 3).

use smallvec::SmallVec;

use crate::frame::Header;
use crate::ingress::{Admitted, Priority};
use crate::model::description::NativeInner;
use crate::model::port::{Mode, Port};
use crate::model::segment::{Domain, Member, Segment};
use crate::model::topology::Topology;
use crate::tag::{Pcp, Tag, Tpid, is_tag_type};
use crate::verdict::{Consulted, DropReason, Edit};
use crate::vid::{Vid, VidSet};

/// A classified frame on its segment.
#[derive(Debug, Clone, Copy)]
pub struct Passage<'a> {
    /// The topology.
    pub topology: &'a Topology,
    /// The segment the frame is in.
    pub segment: &'a Segment,
    /// The domain it entered.
    pub from: u16,
    /// How it was let in.
    pub admitted: Admitted,
    /// Its header.
    pub header: &'a Header,
}

/// A tag that the frame must have when it leaves, if it leaves tagged.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    vid: Vid,
    tpid: Tpid,
    origin: Origin,
}

/// Where a wanted tag comes from.
#[derive(Debug, Clone, Copy)]
enum Origin {
    /// It is on the frame, at this depth, and survived the way.
    Kept(usize),
    /// It is put on with this priority.
    New(Priority),
}

impl Origin {
    fn priority(self) -> Priority {
        match self {
            Origin::Kept(depth) => Priority::OfTag(depth),
            Origin::New(priority) => priority,
        }
    }
}

impl Passage<'_> {
    /// How many tags at the front classification has looked through.
    fn read_tags(&self) -> usize {
        self.admitted.taken + usize::from(self.domain().inner.is_some())
    }

    fn domain(&self) -> &Domain {
        self.segment.domain(self.from)
    }

    /// The change of tags for a copy to another host, which gets frames as the segment's lowest domain has them: bare.
    pub fn bare(&self) -> Edit {
        Edit { pop: self.read_tags() as u8, push: SmallVec::new() }
    }

    /// The change of tags for a copy that leaves by `member`.
    ///
    /// # Errors
    /// Why it may not leave there.
    pub fn leave(&self, member: Member, consulted: &mut Consulted) -> Result<Edit, DropReason> {
        let port = self.topology.port(member.port);
        let (mut wanted, mut priority) = self.wanted(member.domain);
        let vid = self.segment.domain(member.domain).vid;
        if let (Some(vid), Some(own)) = (vid, wanted.first_mut()) {
            match wire_form(port, vid) {
                Some(on_wire) => own.vid = on_wire,
                None => {
                    priority = own.origin.priority();
                    wanted.remove(0);
                    self.may_leave_untagged(port, wanted.first(), consulted)?;
                }
            }
        }
        let mut edit = self.edit(&wanted, consulted);
        let is_own_tag_off = vid.is_none_or(|vid| wire_form(port, vid).is_none());
        if port.priority_tags && is_own_tag_off && wanted.is_empty() {
            self.add_priority_tag(port, priority, &mut edit, consulted);
        }
        Ok(edit)
    }

    /// The tags of the domain `to`, the outermost first, and the priority of the tag that came off last.
    fn wanted(&self, to: u16) -> (SmallVec<[Wanted; 2]>, Priority) {
        let (from, goal) = (self.domain(), self.segment.domain(to));
        let kept = self.segment.kept_tags(self.from, to);
        // A bridge takes the tag that it classifies by off and puts it on again, so a kept tag too hands its priority on.
        let priority = match (from.inner.is_some() && kept < from.height(), self.admitted.is_tagged) {
            (true, _) => Priority::OfTag(self.admitted.taken),
            (false, true) => Priority::OfTag(0),
            (false, false) => self.admitted.priority,
        };
        let stack = goal.stack();
        let tags = stack.iter().enumerate().map(|(depth, vid)| {
            let from_below = stack.len() - depth;
            let origin =
                if from_below <= kept { self.origin(from_below, priority) } else { Origin::New(priority) };
            Wanted { vid: *vid, tpid: self.tpid(goal, depth), origin }
        });
        (tags.collect(), priority)
    }

    /// Where the tag is that the domain of entry has at `from_below` (1 is the innermost).
    fn origin(&self, from_below: usize, priority: Priority) -> Origin {
        let is_own = from_below == self.domain().height();
        match (is_own, self.admitted.is_tagged) {
            (true, true) => Origin::Kept(0),
            (true, false) => Origin::New(priority),
            (false, _) => Origin::Kept(self.admitted.taken),
        }
    }

    fn tpid(&self, domain: &Domain, depth: usize) -> Tpid {
        let inner =
            domain.vid.filter(|_| depth > 0).and_then(|vid| self.topology.inner_bridge(domain.bridge, vid));
        self.topology.bridge(inner.unwrap_or(domain.bridge)).tpid()
    }

    /// From the innermost outwards, tags that are on the frame already stay; from the first that is not, all are put on.
    fn edit(&self, wanted: &[Wanted], consulted: &mut Consulted) -> Edit {
        let mut staying = 0;
        let mut push: SmallVec<[Tag; 2]> = SmallVec::new();
        for tag in wanted.iter().rev() {
            if push.is_empty() && self.is_on_frame(tag) {
                staying += 1;
            } else {
                let pcp = tag.origin.priority().read(self.header, consulted);
                push.insert(0, Tag::new(tag.tpid, tag.vid, pcp));
            }
        }
        Edit { pop: (self.read_tags() - staying) as u8, push }
    }

    fn is_on_frame(&self, wanted: &Wanted) -> bool {
        let Origin::Kept(depth) = wanted.origin else { return false };
        self.header.tag(depth).is_some_and(|tag| tag.vid() == Some(wanted.vid) && tag.tpid() == wanted.tpid)
    }

    /// A frame that is still tagged would be taken for another VLAN's by whoever receives it untagged.
    fn may_leave_untagged(
        &self,
        port: &Port,
        next: Option<&Wanted>,
        consulted: &mut Consulted,
    ) -> Result<(), DropReason> {
        match &port.mode {
            Mode::Plain | Mode::Qinq { customer_vlans: None, .. } => Ok(()),
            Mode::Qinq { customer_vlans: Some(allowed), .. } => {
                self.may_reach_customer(allowed, next, consulted)
            }
            Mode::Trunk(trunk) if trunk.native_inner == NativeInner::Pass => Ok(()),
            Mode::Trunk(_) | Mode::Access { .. } => {
                if next.is_some() || is_tag_type(self.payload_type(consulted)) {
                    return Err(DropReason::NativeHop);
                }
                Ok(())
            }
        }
    }

    fn may_reach_customer(
        &self,
        allowed: &VidSet,
        next: Option<&Wanted>,
        consulted: &mut Consulted,
    ) -> Result<(), DropReason> {
        let depth = self.read_tags();
        let (tpid, vid) = match next {
            Some(tag) => (Some(tag.tpid), Some(tag.vid)),
            None => {
                consulted.tag_vid(depth);
                let tag = self.header.tag(depth);
                (tag.map(Tag::tpid), tag.and_then(Tag::vid))
            }
        };
        let customer = vid.filter(|_| tpid == Some(Tpid::Customer));
        let is_allowed = customer.is_some_and(|vid| allowed.contains(vid));
        if is_allowed { Ok(()) } else { Err(DropReason::CustomerVlanNotAllowed) }
    }

    fn payload_type(&self, consulted: &mut Consulted) -> u16 {
        consulted.tag_presence(self.read_tags());
        self.header.type_after(self.read_tags())
    }

    /// A frame that is sent with no tag may keep its priority in one of VID 0; the customer of a qinq port reads 0x8100.
    fn add_priority_tag(&self, port: &Port, priority: Priority, edit: &mut Edit, consulted: &mut Consulted) {
        if is_tag_type(self.payload_type(consulted)) {
            return;
        }
        let pcp = priority.read(self.header, consulted);
        if pcp != Pcp::ZERO {
            let tpid = match port.mode {
                Mode::Qinq { .. } => Tpid::Customer,
                _ => self.topology.bridge(port.bridge).tpid(),
            };
            edit.push.insert(0, Tag::priority(tpid, pcp));
        }
    }
}

/// The VID with which a VLAN leaves by a port; `None` if it leaves untagged.
fn wire_form(port: &Port, vid: Vid) -> Option<Vid> {
    match &port.mode {
        Mode::Trunk(trunk) if !trunk.sends_untagged(vid) => trunk.wire_vid(vid).or(Some(vid)),
        _ => None,
    }
}
