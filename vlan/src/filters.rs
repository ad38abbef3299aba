//! The two stages at which a frame is held against what a port is for: on its way in, behind the question which VLAN it is in, and,
//! copy by copy, on its way out. What belongs to neither a VLAN nor an address has its place here.
//!
//! A verdict rests on the settings of both ports by [`Dependency::Port`](crate::verdict::Dependency::Port): of the arrival port it is
//! noted on arrival, of the others of this host before they are asked here.

use crate::frame::Header;
use crate::ingress::Admitted;
use crate::model::port::Port;
use crate::tag::is_tag_type;
use crate::verdict::{Consulted, DropReason, StormClass};

/// Whether a frame that a port put into a VLAN may go on.
///
/// # Errors
/// `group-source` (802.1Q 8.6.5: a group address is no station), `anti-spoof`, `tagged`.
pub fn ingress_filter(
    port: &Port,
    admitted: Admitted,
    header: &Header,
    consulted: &mut Consulted,
) -> Result<(), DropReason> {
    if header.src.is_group() {
        return Err(DropReason::GroupSource);
    }
    if !port.lets_in(header.src) {
        return Err(DropReason::AntiSpoof);
    }
    if port.drops_tags && is_tagged(admitted, header, consulted) {
        return Err(DropReason::Tagged);
    }
    Ok(())
}

/// Whether a frame has a tag of its own behind those that the port took off. A priority tag does not count.
fn is_tagged(admitted: Admitted, header: &Header, consulted: &mut Consulted) -> bool {
    consulted.tag_presence(admitted.taken);
    is_tag_type(header.type_after(admitted.taken))
}

/// Whether a frame, which may have come in by an isolated port, may leave by `to`; `flooded` is the class of one whose destination is not
/// known to be there.
///
/// # Errors
/// `isolated`: both ports are. `flood-off`: unknown unicast is not sent there.
pub fn egress_filter(from_isolated: bool, to: &Port, flooded: Option<StormClass>) -> Result<(), DropReason> {
    if from_isolated && to.isolated {
        return Err(DropReason::Isolated);
    }
    if flooded == Some(StormClass::Unknown) && !to.takes_unknown {
        return Err(DropReason::FloodOff);
    }
    Ok(())
}
