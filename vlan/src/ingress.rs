//! Ingress: which VLAN a frame is in, or why it goes no further (behaviour.md 2, 802.1Q 6.9.1 and 8.6.2).

use crate::frame::Header;
use crate::model::port::{Mode, Port, Trunk};
use crate::tag::{Pcp, Tag, Tpid};
use crate::verdict::{Consulted, DropReason};
use crate::vid::{Vid, VidSet};

/// A frame that a port let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Admitted {
    /// The VLAN of the port's bridge; `None` on a VUB.
    pub vid: Option<Vid>,
    /// Whether the VLAN is the first tag's; otherwise it is the port's.
    pub is_tagged: bool,
    /// How many tags at the front the port took: the VLAN's or a priority tag.
    pub taken: usize,
    /// The priority to be given to the next tag put on.
    pub priority: Priority,
}

/// A priority that is read only if it is needed, so that flows are not narrower than they must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// It is known.
    Fixed(Pcp),
    /// It is that of the tag at this depth.
    OfTag(usize),
    /// It is this one, which a tunnel carried beside the frame.
    OfTunnel(Pcp),
}

impl Priority {
    /// Reads it, and notes that it was read.
    pub fn read(self, header: &Header, consulted: &mut Consulted) -> Pcp {
        match self {
            Priority::Fixed(pcp) => pcp,
            Priority::OfTag(depth) => {
                consulted.tag_pcp(depth);
                header.tag(depth).map_or(Pcp::ZERO, Tag::pcp)
            }
            Priority::OfTunnel(pcp) => {
                consulted.class = true;
                pcp
            }
        }
    }
}

/// Classifies a frame at an exterior port of a bridge whose tags have TPID `tpid`.
///
/// # Errors
/// Why the frame may not enter.
pub fn admit(
    port: &Port,
    tpid: Tpid,
    header: &Header,
    consulted: &mut Consulted,
) -> Result<Admitted, DropReason> {
    match &port.mode {
        Mode::Plain => Ok(admit_plain(header, consulted)),
        Mode::Access { vid } => admit_access(*vid, tpid, header, consulted),
        Mode::Trunk(trunk) => admit_trunk(trunk, tpid, header, consulted),
        Mode::Qinq { vid, customer_vlans, pcp } => {
            admit_qinq(*vid, customer_vlans.as_ref(), *pcp, header, consulted)
        }
    }
}

/// The first tag, if it is one that the port classifies by.
fn first_tag(tpid: Tpid, header: &Header, consulted: &mut Consulted) -> Option<Tag> {
    consulted.tag_vid(0);
    header.tag(0).filter(|tag| tag.tpid() == tpid)
}

fn admit_plain(header: &Header, consulted: &mut Consulted) -> Admitted {
    match first_tag(Tpid::Customer, header, consulted) {
        Some(tag) if tag.is_priority() => untagged(None, 1, Priority::OfTag(0)),
        _ => untagged(None, 0, Priority::Fixed(Pcp::ZERO)),
    }
}

fn admit_access(
    vid: Vid,
    tpid: Tpid,
    header: &Header,
    consulted: &mut Consulted,
) -> Result<Admitted, DropReason> {
    match first_tag(tpid, header, consulted) {
        None => Ok(untagged(Some(vid), 0, Priority::Fixed(Pcp::ZERO))),
        Some(tag) if tag.is_priority() => Ok(untagged(Some(vid), 1, Priority::OfTag(0))),
        Some(tag) => Err(refused(tag)),
    }
}

fn admit_trunk(
    trunk: &Trunk,
    tpid: Tpid,
    header: &Header,
    consulted: &mut Consulted,
) -> Result<Admitted, DropReason> {
    let native = || trunk.native.ok_or(DropReason::UntaggedOnTrunk);
    match first_tag(tpid, header, consulted) {
        None => Ok(untagged(Some(native()?), 0, Priority::Fixed(Pcp::ZERO))),
        Some(tag) if tag.is_priority() => Ok(untagged(Some(native()?), 1, Priority::OfTag(0))),
        Some(tag) => {
            let vid = tag.vid().and_then(|wire| trunk.bridge_vid(wire)).ok_or_else(|| refused(tag))?;
            let priority = Priority::Fixed(Pcp::ZERO);
            Ok(Admitted { vid: Some(vid), is_tagged: true, taken: 1, priority })
        }
    }
}

/// The customer's tag is payload; only its VID is judged, and its priority copied unless the port has one of its own.
fn admit_qinq(
    vid: Vid,
    allowed: Option<&VidSet>,
    pcp: Option<Pcp>,
    header: &Header,
    consulted: &mut Consulted,
) -> Result<Admitted, DropReason> {
    let own = |otherwise| pcp.map_or(otherwise, Priority::Fixed);
    match first_tag(Tpid::Customer, header, consulted) {
        Some(tag) if !tag.is_priority() => {
            let customer = tag.vid().ok_or(DropReason::VlanReserved)?;
            if allowed.is_some_and(|allowed| !allowed.contains(customer)) {
                return Err(DropReason::CustomerVlanNotAllowed);
            }
            Ok(untagged(Some(vid), 0, own(Priority::OfTag(0))))
        }
        _ if allowed.is_some() => Err(DropReason::CustomerVlanNotAllowed),
        Some(_) => Ok(untagged(Some(vid), 1, own(Priority::OfTag(0)))),
        None => Ok(untagged(Some(vid), 0, own(Priority::Fixed(Pcp::ZERO)))),
    }
}

fn untagged(vid: Option<Vid>, taken: usize, priority: Priority) -> Admitted {
    Admitted { vid, is_tagged: false, taken, priority }
}

fn refused(tag: Tag) -> DropReason {
    if tag.vid().is_none() { DropReason::VlanReserved } else { DropReason::VlanNotAllowed }
}
