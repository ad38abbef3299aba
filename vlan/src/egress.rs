//! Egress: how a frame's tags change on the way from the domain it entered to the port it leaves by, and why it may not
//! leave there (behaviour.md 3).
//!
//! In two halves. A [`Departure`] is what holds for every frame that came in the same way; of the frame it reads only the tags that
//! classification has read. Its [`edit`](Departure::edit) is what holds for one frame. A kernel that has tables gets departures, one that
//! has flows gets edits.

use arrayvec::ArrayVec;
use smallvec::SmallVec;

use crate::frame::{Header, MAX_TAGS};
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
    /// Its header. A departure reads of it only the tags that classification has read.
    pub header: &'a Header,
    /// Whether it came from another host: then no tag of its domain is on it.
    pub is_bare: bool,
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

impl<'a> Passage<'a> {
    /// How many tags at the front classification has looked through.
    pub(crate) fn read_tags(&self) -> usize {
        if self.is_bare { 0 } else { self.admitted.taken + usize::from(self.domain().inner.is_some()) }
    }

    fn domain(&self) -> &Domain {
        self.segment.domain(self.from)
    }

    /// The change of tags for a copy to another host, which gets frames without any tag of their segment: bare.
    pub fn bare(&self) -> Edit {
        Edit { pop: self.read_tags() as u8, push: SmallVec::new() }
    }

    /// Whether the frame still shows a tag when all of its segment's are off.
    pub(crate) fn is_tagged_within(&self, consulted: &mut Consulted) -> bool {
        shows_tag(self.header, self.read_tags(), consulted)
    }

    /// The priority of the tag that came off last, once all have: what a tunnel carries beside the frame.
    pub fn bare_priority(&self, consulted: &mut Consulted) -> Pcp {
        let (_, priority) = self.took_off(0);
        priority.read(self.header, consulted)
    }

    /// The change of tags for a copy that leaves by `member`.
    ///
    /// # Errors
    /// Why it may not leave there.
    pub fn leave(&self, member: Member, consulted: &mut Consulted) -> Result<Edit, DropReason> {
        self.departure(member)?.edit(self.header, consulted)
    }

    /// How every frame that came in this way leaves by `member`.
    ///
    /// # Errors
    /// Why none of them may leave there.
    pub fn departure(&self, member: Member) -> Result<Departure<'a>, DropReason> {
        let port = self.topology.port(member.port);
        let (mut wanted, mut priority) = self.wanted(member.domain);
        let mut guard = Guard::Any;
        let mut is_own_tag_off = true;
        if let (Some(vid), Some(own)) = (self.segment.domain(member.domain).vid, wanted.first_mut()) {
            match wire_form(port, vid) {
                Some(on_wire) => (own.vid, is_own_tag_off) = (on_wire, false),
                None => {
                    priority = own.origin.priority();
                    wanted.remove(0);
                    guard = self.guard(port, wanted.first())?;
                }
            }
        }
        let (pop, push) = self.change(&wanted);
        let keeps_priority = port.priority_tags && is_own_tag_off && wanted.is_empty();
        let priority_tag = keeps_priority.then(|| (self.priority_tpid(port), priority));
        Ok(Departure { pop, push, priority_tag, guard })
    }

    /// The tags of the domain `to`, the outermost first, and the priority of the tag that came off last.
    fn wanted(&self, to: u16) -> (ArrayVec<Wanted, MAX_TAGS>, Priority) {
        let goal = self.segment.domain(to);
        let (kept, priority) = self.took_off(self.segment.kept_tags(self.from, to));
        let stack = goal.stack();
        let tags = stack.iter().enumerate().map(|(depth, vid)| {
            let from_below = stack.len() - depth;
            let origin =
                if from_below <= kept { self.origin(from_below, priority) } else { Origin::New(priority) };
            Wanted { vid: *vid, tpid: self.tpid(goal, depth), origin }
        });
        (tags.collect(), priority)
    }

    /// How many tags of the domain of entry stay on, of those that survive the way, and the priority of the one that came off last.
    fn took_off(&self, surviving: usize) -> (usize, Priority) {
        if self.is_bare {
            return (0, self.admitted.priority);
        }
        let from = self.domain();
        // A bridge takes the tag that it classifies by off and puts it on again, so a kept tag too hands its priority on.
        let priority = match (from.inner.is_some() && surviving < from.height(), self.admitted.is_tagged) {
            (true, _) => Priority::OfTag(self.admitted.taken),
            (false, true) => Priority::OfTag(0),
            (false, false) => self.admitted.priority,
        };
        (surviving, priority)
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
    fn change(&self, wanted: &[Wanted]) -> (u8, ArrayVec<NewTag, MAX_TAGS>) {
        let mut staying = 0;
        let mut push = ArrayVec::new();
        for tag in wanted.iter().rev() {
            if push.is_empty() && self.is_on_frame(tag) {
                staying += 1;
            } else {
                push.insert(0, NewTag { tpid: tag.tpid, vid: tag.vid, priority: tag.origin.priority() });
            }
        }
        ((self.read_tags() - staying) as u8, push)
    }

    fn is_on_frame(&self, wanted: &Wanted) -> bool {
        let Origin::Kept(depth) = wanted.origin else { return false };
        self.header.tag(depth).is_some_and(|tag| tag.vid() == Some(wanted.vid) && tag.tpid() == wanted.tpid)
    }

    /// A frame that is still tagged would be taken for another VLAN's by whoever receives it untagged.
    fn guard(&self, port: &'a Port, next: Option<&Wanted>) -> Result<Guard<'a>, DropReason> {
        match &port.mode {
            Mode::Plain | Mode::Qinq { customer_vlans: None, .. } => Ok(Guard::Any),
            Mode::Qinq { customer_vlans: Some(allowed), .. } => match next {
                None => Ok(Guard::CustomerTagAt(self.read_tags(), allowed)),
                Some(next) if next.tpid == Tpid::Customer && allowed.contains(next.vid) => Ok(Guard::Any),
                Some(_) => Err(DropReason::CustomerVlanNotAllowed),
            },
            Mode::Trunk(trunk) if trunk.native_inner == NativeInner::Pass => Ok(Guard::Any),
            Mode::Trunk(_) | Mode::Access { .. } if next.is_some() => Err(DropReason::NativeHop),
            Mode::Trunk(_) | Mode::Access { .. } => Ok(Guard::NoTagAt(self.read_tags())),
        }
    }

    /// The customer of a qinq port reads 0x8100.
    fn priority_tpid(&self, port: &Port) -> Tpid {
        match port.mode {
            Mode::Qinq { .. } => Tpid::Customer,
            _ => self.topology.bridge(port.bridge).tpid(),
        }
    }
}

/// How every frame that came in one way leaves by a port.
#[derive(Debug, Clone, PartialEq)]
pub struct Departure<'a> {
    /// How many tags come off the front, 0..=2.
    pub pop: u8,
    /// Tags put on then, the outermost first.
    pub push: ArrayVec<NewTag, MAX_TAGS>,
    /// A frame that shows no tag then, and whose priority is not 0, gets a tag of VID 0 with this TPID and the priority.
    pub priority_tag: Option<(Tpid, Priority)>,
    /// What the frame must be like.
    pub guard: Guard<'a>,
}

/// A tag to be put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewTag {
    /// Its TPID.
    pub tpid: Tpid,
    /// Its VID.
    pub vid: Vid,
    /// Its priority.
    pub priority: Priority,
}

/// What a frame must be like to leave. Depths count the tags of the frame as it came, 0 is the outermost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Guard<'a> {
    /// Anything.
    Any,
    /// No tag follows its first tags, so many.
    NoTagAt(usize),
    /// The tag at this depth is a customer's, of one of these VLANs.
    CustomerTagAt(usize, &'a VidSet),
}

impl Departure<'_> {
    /// The change of tags for one of the frames.
    ///
    /// # Errors
    /// Why this one may not leave.
    pub fn edit(&self, header: &Header, consulted: &mut Consulted) -> Result<Edit, DropReason> {
        self.guard.check(header, consulted)?;
        let tag = |new: &NewTag, consulted: &mut Consulted| {
            Tag::new(new.tpid, new.vid, new.priority.read(header, consulted))
        };
        let mut push: SmallVec<[Tag; MAX_TAGS]> = SmallVec::new();
        for new in &self.push {
            push.push(tag(new, consulted));
        }
        if let Some((tpid, priority)) = self.priority_tag
            && !shows_tag(header, usize::from(self.pop), consulted)
        {
            let pcp = priority.read(header, consulted);
            if pcp != Pcp::ZERO {
                push.push(Tag::priority(tpid, pcp));
            }
        }
        Ok(Edit { pop: self.pop, push })
    }
}

impl Guard<'_> {
    fn check(&self, header: &Header, consulted: &mut Consulted) -> Result<(), DropReason> {
        match self {
            Guard::Any => Ok(()),
            Guard::NoTagAt(depth) if shows_tag(header, *depth, consulted) => Err(DropReason::NativeHop),
            Guard::NoTagAt(_) => Ok(()),
            Guard::CustomerTagAt(depth, allowed) => {
                consulted.tag_vid(*depth);
                let tag = header.tag(*depth).filter(|tag| tag.tpid() == Tpid::Customer);
                let is_allowed = tag.and_then(Tag::vid).is_some_and(|vid| allowed.contains(vid));
                if is_allowed { Ok(()) } else { Err(DropReason::CustomerVlanNotAllowed) }
            }
        }
    }
}

/// Whether a switch would take the frame for a tagged one when its first `depth` tags are off.
fn shows_tag(header: &Header, depth: usize, consulted: &mut Consulted) -> bool {
    consulted.tag_presence(depth);
    is_tag_type(header.type_after(depth))
}

/// The VID with which a VLAN leaves by a port; `None` if it leaves untagged.
fn wire_form(port: &Port, vid: Vid) -> Option<Vid> {
    match &port.mode {
        Mode::Trunk(trunk) if !trunk.sends_untagged(vid) => trunk.wire_vid(vid).or(Some(vid)),
        _ => None,
    }
}
