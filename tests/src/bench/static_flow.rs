//! openvswitch.ko with one flow and nobody behind it: what any program that drives it can reach at best.

use super::wire::{STATION, STATION_MAC, SWITCH_MAC, TRUNK, VID};
use crate::lab::genl::{Call, Family, NEW, OtherHand, attribute, number, text};
use crate::lab::netns::Netns;

/// Makes a datapath in this namespace with both links and the flow from [`STATION`] to [`TRUNK`] that puts the tag on. It goes with the
/// namespace.
///
/// # Panics
/// The kernel refuses.
pub fn put(netns: &Netns) {
    netns.run(|| {
        let datapath = make_datapath(0);
        ask(&OtherHand::reach_out(), Family::Flow, datapath, &flow(), "flow");
    });
}

/// Makes a datapath in the namespace of this thread, [`STATION`] as port 1 and [`TRUNK`] as port 2; upcalls of port 1 go to the netlink
/// socket `hearer`, 0 for none. Its interface index.
///
/// # Panics
/// The kernel refuses.
pub fn make_datapath(hearer: u32) -> u32 {
    let hand = OtherHand::reach_out();
    hand.add_datapath(DATAPATH);
    let datapath = hand.index_of(DATAPATH);
    for (no, link, hearer) in [(1, STATION, hearer), (2, TRUNK, 0)] {
        let kind = [number(PORT_NO, no), number(PORT_TYPE, NETDEV)].concat();
        let attributes = [kind, text(PORT_NAME, link), number(PORT_PID, hearer)].concat();
        ask(&hand, Family::Vport, datapath, &attributes, link);
    }
    datapath
}

/// What a learning switch looks at: port, both addresses and type of the frame, and its tag's absence, all exact.
pub fn mask() -> Vec<u8> {
    let mut mask = [number(KEY_IN_PORT, u32::MAX), attribute(KEY_ETHERNET, &[0xff; 12])].concat();
    mask.extend(attribute(KEY_ETHERTYPE, &[0xff; 2]));
    mask
}

/// Tag on, out of the trunk.
pub fn actions() -> Vec<u8> {
    let tag = [TPID.to_be_bytes(), (TAG_PRESENT | VID).to_be_bytes()].concat();
    [attribute(ACTION_PUSH_VLAN, &tag), number(ACTION_OUTPUT, 2)].concat()
}

fn ask(hand: &OtherHand, family: Family, datapath: u32, attributes: &[u8], what: &str) {
    let call = Call { family, command: NEW, flags: CREATE, datapath, attributes };
    hand.ask(&call)
        .unwrap_or_else(|errno| panic!("cannot add {what}: {}", nix::errno::Errno::from_raw(errno)));
}

fn flow() -> Vec<u8> {
    let addresses = [STATION_MAC, SWITCH_MAC].concat();
    let mut key = [number(KEY_IN_PORT, 1), attribute(KEY_ETHERNET, &addresses)].concat();
    key.extend(attribute(KEY_ETHERTYPE, &IPV4.to_be_bytes()));
    // The kernel wants the addresses of an IPv4 frame in the key, and looks at none that the mask leaves out.
    key.extend(attribute(KEY_IPV4, &[0; 12]));
    let parts = [(FLOW_KEY, key), (FLOW_MASK, mask()), (FLOW_ACTIONS, actions())];
    parts.map(|(kind, bytes)| attribute(kind, &bytes)).concat()
}

const DATAPATH: &str = "static";

/// NLM_F_CREATE.
const CREATE: u16 = 0x400;

/// enum ovs_vport_attr.
const PORT_NO: u16 = 1;
const PORT_TYPE: u16 = 2;
const PORT_NAME: u16 = 3;
const PORT_PID: u16 = 5;
const NETDEV: u32 = 1;

/// enum ovs_flow_attr.
const FLOW_KEY: u16 = 1;
const FLOW_ACTIONS: u16 = 2;
const FLOW_MASK: u16 = 7;

/// enum ovs_key_attr.
const KEY_IN_PORT: u16 = 3;
const KEY_ETHERNET: u16 = 4;
const KEY_ETHERTYPE: u16 = 6;
const KEY_IPV4: u16 = 7;

/// enum ovs_action_attr.
const ACTION_OUTPUT: u16 = 1;
const ACTION_PUSH_VLAN: u16 = 4;

const IPV4: u16 = 0x0800;
const TPID: u16 = 0x8100;
/// VLAN_TAG_PRESENT of linux/openvswitch.h.
const TAG_PRESENT: u16 = 0x1000;
