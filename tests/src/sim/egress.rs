//! The edges of the bridges: behaviour.md 2, in which VLAN a frame is, and behaviour.md 3, with which tags it leaves.

use vlan::model::description::{Mode, NativeInner, TrunkMode};
use vlan::vid::{Vid, VidSet};

use super::tagged::{DEI, Tagged, pcp_of, vid_of};
use super::wiring::{PortIndex, Wiring, is};

/// The VLAN of a frame that arrives at a port, 0 on a VUB, with its own tag off; or why it is not let in.
pub fn enter(wiring: &Wiring, port: PortIndex, frame: &mut Tagged) -> Result<u16, &'static str> {
    let tpid = wiring.tpid(wiring.bridge_of[port]);
    match &wiring.ports[port].mode {
        Mode::Plain => {
            take_priority_tag(frame, tpid);
            Ok(0)
        }
        Mode::Access { vid } => match frame.outermost(tpid).map(vid_of) {
            Some(4095) => Err("vlan-reserved"),
            Some(1..) => Err("vlan-not-allowed"),
            _ => {
                take_priority_tag(frame, tpid);
                vid.map(Vid::get).ok_or("vlan-not-allowed")
            }
        },
        Mode::Trunk(trunk) => enter_trunk(wiring, port, trunk, frame),
        Mode::Qinq { vid, customer_vlans, pcp } => {
            enter_qinq(customer_vlans.as_ref(), frame)?;
            if let Some(pcp) = pcp {
                frame.pcp = pcp.get();
            }
            vid.map(Vid::get).ok_or("vlan-not-allowed")
        }
    }
}

fn enter_trunk(
    wiring: &Wiring,
    port: PortIndex,
    trunk: &TrunkMode,
    frame: &mut Tagged,
) -> Result<u16, &'static str> {
    let tpid = wiring.tpid(wiring.bridge_of[port]);
    match frame.outermost(tpid) {
        Some(tci) if vid_of(tci) == 4095 => Err("vlan-reserved"),
        Some(tci) if vid_of(tci) != 0 => {
            let vid = wiring.bridge_vid(port, trunk, vid_of(tci)).ok_or("vlan-not-allowed")?;
            frame.pop(tci);
            Ok(vid)
        }
        _ => {
            take_priority_tag(frame, tpid);
            trunk.native.map(Vid::get).ok_or("untagged-on-trunk")
        }
    }
}

/// The customer's tag stays on as payload; its priority goes with the frame.
fn enter_qinq(customer_vlans: Option<&VidSet>, frame: &mut Tagged) -> Result<(), &'static str> {
    let customer = frame.outermost(0x8100);
    frame.pcp = customer.map_or(0, pcp_of);
    match (customer.map_or(0, vid_of), customer_vlans) {
        (4095, _) => Err("vlan-reserved"),
        (0, Some(_)) => Err("customer-vlan-not-allowed"),
        (vid, Some(set)) if !Vid::new(vid).is_some_and(|vid| set.contains(vid)) => {
            Err("customer-vlan-not-allowed")
        }
        (0, None) => {
            take_priority_tag(frame, 0x8100);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// What a frame in VLAN `vid` leaves a member port as, or why it stays.
pub fn leave(wiring: &Wiring, port: PortIndex, vid: u16, frame: &Tagged) -> Result<Vec<u8>, &'static str> {
    let tpid = wiring.tpid(wiring.bridge_of[port]);
    match &wiring.ports[port].mode {
        Mode::Plain => Ok(untagged(wiring, port, 0x8100, frame)),
        Mode::Access { .. } if frame.is_tagged() => Err("native-hop"),
        Mode::Access { .. } => Ok(untagged(wiring, port, tpid, frame)),
        Mode::Trunk(trunk) if is(trunk.native, vid) && !trunk.native_tagged => {
            if frame.is_tagged() && trunk.native_inner == NativeInner::Drop {
                return Err("native-hop");
            }
            Ok(untagged(wiring, port, tpid, frame))
        }
        Mode::Trunk(trunk) => {
            let wire = wiring.wire_vid(port, trunk, vid).ok_or("not-member")?;
            Ok(tagged(tpid, wire, frame))
        }
        Mode::Qinq { customer_vlans: Some(set), .. } => {
            let customer = frame.outermost(0x8100).and_then(|tci| Vid::new(vid_of(tci)));
            if !customer.is_some_and(|vid| set.contains(vid)) {
                return Err("customer-vlan-not-allowed");
            }
            Ok(untagged(wiring, port, 0x8100, frame))
        }
        Mode::Qinq { .. } => Ok(untagged(wiring, port, 0x8100, frame)),
    }
}

/// Without our tag; a priority may leave as a priority tag, if the frame would have no tag otherwise.
fn untagged(wiring: &Wiring, port: PortIndex, tpid: u16, frame: &Tagged) -> Vec<u8> {
    let mut frame = frame.clone();
    if wiring.ports[port].priority_tags && frame.pcp != 0 && !frame.is_tagged() {
        frame.push(tpid, u16::from(frame.pcp) << 13);
    }
    frame.emit()
}

/// With a tag; DEI is kept where the tag is the one that it came with.
fn tagged(tpid: u16, wire: u16, frame: &Tagged) -> Vec<u8> {
    let mut frame = frame.clone();
    let tci = u16::from(frame.pcp) << 13 | wire;
    let kept = frame.own.filter(|own| own & !DEI == tci);
    frame.push(tpid, kept.unwrap_or(tci));
    frame.emit()
}

fn take_priority_tag(frame: &mut Tagged, tpid: u16) {
    if let Some(tci) = frame.outermost(tpid).filter(|tci| vid_of(*tci) == 0) {
        frame.pop(tci);
        frame.own = None;
    }
}
