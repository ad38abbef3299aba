//! Actions (enum ovs_action_attr).

use vlan::tag::{Tag, Tpid};

use super::nla::{HEADER_LEN, Nla, NlaIter, NlaWriter};
use super::transact::Denial;
use super::tunnel::{SET_KERNEL_LEN, Tunnel};
use super::{Action, MeterId, VportNo, part};
use crate::tunnel::GroupId;

/// Appends the actions, which [`check`] lets through, as an attribute of this type; copies to other hosts go by this tunnel.
pub(super) fn encode(message: &mut NlaWriter, kind: u16, actions: &[Action], tunnel: Option<&Tunnel>) {
    message.nest(kind, |list| actions.iter().for_each(|action| encode_one(list, action, tunnel)));
}

/// Refuses a list with copies that cannot go by this tunnel, and one that openvswitch.ko cannot hold; it would answer EMSGSIZE or, past
/// 64 KiB, misread it.
pub(super) fn check(actions: &[Action], tunnel: Option<&Tunnel>) -> Result<(), Denial> {
    actions.iter().try_for_each(|action| check_one(action, tunnel))?;
    let len = kernel_len(actions);
    if len <= MAX_ACTIONS_BUFSIZE {
        return Ok(());
    }
    let message = format!("list of actions of {len} bytes, allowed are up to {MAX_ACTIONS_BUFSIZE}");
    Err(Denial::Errno { errno: libc::EMSGSIZE, message: Some(message) })
}

fn check_one(action: &Action, tunnel: Option<&Tunnel>) -> Result<(), Denial> {
    match action {
        Action::Tunnel(to) => {
            let none = || Denial::Errno { errno: libc::ENOENT, message: None };
            tunnel.ok_or_else(none)?.check(*to)
        }
        Action::Group(id) => part::check(*id),
        other => other.inner().into_iter().flatten().try_for_each(|step| check_one(step, tunnel)),
    }
}

/// Reads a list of actions; none if it has one that this program does not make, or clones within clones deeper than the kernel takes.
pub(super) fn decode(list: NlaIter<'_>, tunnel: Option<&Tunnel>) -> Option<Vec<Action>> {
    decode_level(list, 0, tunnel)
}

/// An attribute of 64 KiB has room for 16 000 clones within each other, more than a stack has.
fn decode_level(mut list: NlaIter<'_>, depth: usize, tunnel: Option<&Tunnel>) -> Option<Vec<Action>> {
    if depth > DEEPEST {
        return None;
    }
    let mut actions = Vec::new();
    while let Some(nla) = list.split() {
        actions.push(match nla.kind {
            OVS_ACTION_ATTR_SET => decode_copy(nla, list.split()?, tunnel?)?,
            _ => decode_one(nla, depth, tunnel)?,
        });
    }
    list.end().ok().map(|()| actions)
}

/// A copy to another host: a SET, and an output to the tunnel's port.
fn decode_copy(set: Nla<'_>, output: Nla<'_>, tunnel: &Tunnel) -> Option<Action> {
    let goes_there = output.kind == OVS_ACTION_ATTR_OUTPUT && output.u32() == Ok(tunnel.no.0);
    tunnel.read_set(set).filter(|_| goes_there).map(Action::Tunnel)
}

fn encode_one(list: &mut NlaWriter, action: &Action, tunnel: Option<&Tunnel>) {
    match action {
        Action::Output(vport) => list.put_u32(OVS_ACTION_ATTR_OUTPUT, vport.0),
        Action::PushTag(tag) => list.put(OVS_ACTION_ATTR_PUSH_VLAN, &push_vlan(*tag)),
        Action::PopTag => list.put(OVS_ACTION_ATTR_POP_VLAN, &[]),
        Action::Meter(meter) => list.put_u32(OVS_ACTION_ATTR_METER, meter.0),
        Action::Tunnel(to) => {
            if let Some(tunnel) = tunnel {
                list.nest(OVS_ACTION_ATTR_SET, |set| tunnel.put_set(set, *to));
                list.put_u32(OVS_ACTION_ATTR_OUTPUT, tunnel.no.0);
            }
        }
        // The kernel itself goes on with a copy where steps follow (`execute_recirc` in `net/openvswitch/actions.c`).
        Action::Group(id) => list.put_u32(OVS_ACTION_ATTR_RECIRC, id.0),
        Action::Clone(steps) => encode(list, OVS_ACTION_ATTR_CLONE, steps, tunnel),
        Action::IfFits { mtu, fits, longer } => list.nest(OVS_ACTION_ATTR_CHECK_PKT_LEN, |check| {
            check.put(OVS_CHECK_PKT_LEN_ATTR_PKT_LEN, &length_of(*mtu).to_ne_bytes());
            encode(check, OVS_CHECK_PKT_LEN_ATTR_ACTIONS_IF_GREATER, longer, tunnel);
            encode(check, OVS_CHECK_PKT_LEN_ATTR_ACTIONS_IF_LESS_EQUAL, fits, tunnel);
        }),
    }
}

fn decode_one(nla: Nla<'_>, depth: usize, tunnel: Option<&Tunnel>) -> Option<Action> {
    match nla.kind {
        OVS_ACTION_ATTR_OUTPUT => Some(Action::Output(VportNo(nla.u32().ok()?))),
        OVS_ACTION_ATTR_PUSH_VLAN => {
            let [a, b, c, d] = nla.bytes().ok()?;
            let tpid = Tpid::from_ether_type(u16::from_be_bytes([a, b]))?;
            Some(Action::PushTag(Tag::from_wire(tpid, u16::from_be_bytes([c, d]) & !VLAN_CFI_MASK)))
        }
        OVS_ACTION_ATTR_POP_VLAN => Some(Action::PopTag),
        OVS_ACTION_ATTR_METER => Some(Action::Meter(MeterId(nla.u32().ok()?))),
        OVS_ACTION_ATTR_RECIRC => {
            let id = GroupId(nla.u32().ok()?);
            part::check(id).ok().map(|()| Action::Group(id))
        }
        OVS_ACTION_ATTR_CLONE => decode_level(nla.nested(), depth + 1, tunnel).map(Action::Clone),
        OVS_ACTION_ATTR_CHECK_PKT_LEN => decode_check(nla.nested(), depth + 1, tunnel),
        _ => None,
    }
}

fn decode_check(check: NlaIter<'_>, depth: usize, tunnel: Option<&Tunnel>) -> Option<Action> {
    let (mut mtu, mut fits, mut longer) = (None, None, None);
    for nla in check {
        let nla = nla.ok()?;
        match nla.kind {
            OVS_CHECK_PKT_LEN_ATTR_PKT_LEN => {
                let length = u16::from_ne_bytes(nla.bytes().ok()?);
                mtu = Some(u32::from(length).checked_sub(ETHERNET_HEADER)?);
            }
            OVS_CHECK_PKT_LEN_ATTR_ACTIONS_IF_GREATER => longer = decode_level(nla.nested(), depth, tunnel),
            OVS_CHECK_PKT_LEN_ATTR_ACTIONS_IF_LESS_EQUAL => fits = decode_level(nla.nested(), depth, tunnel),
            _ => return None,
        }
    }
    Some(Action::IfFits { mtu: mtu?, fits: fits?, longer: longer? })
}

/// The kernel compares with `skb->len`, in which the Ethernet header counts and the first tag does not: it keeps that apart from the
/// bytes. That is also what it judges by when it sends (`ovs_vport_send` in `net/openvswitch/vport.c`), but it sends super-frames whatever
/// their segments come to, and here each segment counts (`execute_check_pkt_len` in `net/openvswitch/actions.c`).
fn length_of(mtu: u32) -> u16 {
    u16::try_from(mtu.saturating_add(ETHERNET_HEADER)).unwrap_or(u16::MAX)
}

/// struct ovs_action_push_vlan. The kernel wants VLAN_CFI_MASK set and takes it off before it pushes, so DEI is not kept.
fn push_vlan(tag: Tag) -> [u8; 4] {
    let [a, b] = tag.tpid().ether_type().to_be_bytes();
    let [c, d] = (tag.tci() | VLAN_CFI_MASK).to_be_bytes();
    [a, b, c, d]
}

/// Bytes that the list takes in the kernel: as on the wire, but an attribute of 8 bytes more in each clone
/// (OVS_CLONE_ATTR_EXEC, `net/openvswitch/flow_netlink.c`), and less for each copy to another host.
fn kernel_len(actions: &[Action]) -> usize {
    let len = |action: &Action| match action {
        Action::PopTag => HEADER_LEN,
        Action::Output(_) | Action::PushTag(_) | Action::Meter(_) | Action::Group(_) => HEADER_LEN + 4,
        Action::Tunnel(_) => SET_KERNEL_LEN + HEADER_LEN + 4,
        Action::Clone(steps) => 2 * HEADER_LEN + 4 + kernel_len(steps),
        Action::IfFits { fits, longer, .. } => 4 * HEADER_LEN + 4 + kernel_len(fits) + kernel_len(longer),
    };
    actions.iter().map(len).sum()
}

/// MAX_ACTIONS_BUFSIZE of `net/openvswitch/flow_netlink.c`; kernels from 6.14 on allow more.
const MAX_ACTIONS_BUFSIZE: usize = 32 << 10;
/// OVS_COPY_ACTIONS_MAX_DEPTH of `net/openvswitch/flow_netlink.c`.
const DEEPEST: usize = 16;

/// linux/if_vlan.h; in openvswitch.ko's TCIs the bit says that there is a tag.
pub(super) const VLAN_CFI_MASK: u16 = 0x1000;

/// Destination, source and EtherType (802.3 3.1.1).
const ETHERNET_HEADER: u32 = 14;

/// enum ovs_check_pkt_len_attr.
const OVS_CHECK_PKT_LEN_ATTR_PKT_LEN: u16 = 1;
const OVS_CHECK_PKT_LEN_ATTR_ACTIONS_IF_GREATER: u16 = 2;
const OVS_CHECK_PKT_LEN_ATTR_ACTIONS_IF_LESS_EQUAL: u16 = 3;

/// enum ovs_action_attr.
const OVS_ACTION_ATTR_OUTPUT: u16 = 1;
const OVS_ACTION_ATTR_SET: u16 = 3;
const OVS_ACTION_ATTR_PUSH_VLAN: u16 = 4;
const OVS_ACTION_ATTR_POP_VLAN: u16 = 5;
const OVS_ACTION_ATTR_RECIRC: u16 = 7;
const OVS_ACTION_ATTR_METER: u16 = 19;
const OVS_ACTION_ATTR_CLONE: u16 = 20;
/// Since Linux 5.2.
const OVS_ACTION_ATTR_CHECK_PKT_LEN: u16 = 21;

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::tunnel::TunnelTo;

    #[test]
    fn a_list_is_read_as_it_was_written() {
        let tag = Tag::from_wire(Tpid::Service, 0xa008);
        let actions = vec![
            Action::Meter(MeterId(3)),
            Action::Clone(vec![Action::PopTag, Action::PushTag(tag), Action::Output(VportNo(7))]),
            Action::Output(VportNo(8)),
            Action::IfFits {
                mtu: 1_500,
                fits: vec![Action::Output(VportNo(9)), Action::Output(VportNo(10))],
                longer: vec![Action::Meter(MeterId(0))],
            },
        ];
        let mut writer = NlaWriter::default();
        encode(&mut writer, 1, &actions, None);
        let bytes = writer.finish().unwrap();
        assert_eq!(bytes.len(), 4 + kernel_len(&actions) - 8);
        let list = NlaIter::new(&bytes).next().unwrap().unwrap();
        assert_eq!(decode(list.nested(), None), Some(actions));
    }

    const TUNNEL: Tunnel = Tunnel { no: VportNo(9), local: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)) };

    fn copy(host: u8) -> Action {
        Action::Tunnel(TunnelTo { remote: Ipv4Addr::new(192, 0, 2, host).into(), vni: 7, class: 5 })
    }

    #[test]
    fn copies_to_hosts_are_read_as_they_were_written() {
        let actions = vec![
            Action::Clone(vec![copy(2), Action::PopTag, copy(3)]),
            Action::Group(GroupId(8)),
            copy(2),
            Action::Output(VportNo(9)),
        ];
        assert_eq!(check(&actions, Some(&TUNNEL)), Ok(()));
        let mut writer = NlaWriter::default();
        encode(&mut writer, 1, &actions, Some(&TUNNEL));
        let bytes = writer.finish().unwrap();
        let list = NlaIter::new(&bytes).next().unwrap().unwrap();
        assert_eq!(decode(list.nested(), Some(&TUNNEL)), Some(actions));
        for other in [None, Some(&Tunnel { no: VportNo(8), ..TUNNEL })] {
            assert_eq!(decode(list.nested(), other), None, "by another tunnel");
        }
        let set = list.nested().flatten().find(|nla| nla.kind == OVS_ACTION_ATTR_SET).unwrap();
        let mut lonely = NlaWriter::default();
        lonely.put(set.kind, set.payload);
        assert_eq!(
            decode(NlaIter::new(&lonely.into_bytes()), Some(&TUNNEL)),
            None,
            "a SET without an output"
        );
    }

    #[test]
    fn copies_are_refused_without_a_tunnel_wherever_they_stand() {
        let none = Denial::Errno { errno: libc::ENOENT, message: None };
        assert_eq!(check(&[copy(2)], None), Err(none.clone()), "there is no tunnel");
        assert_eq!(check(&[Action::Clone(vec![copy(2)])], None), Err(none.clone()));
        let fits = Action::IfFits { mtu: 1_500, fits: vec![], longer: vec![copy(2)] };
        assert_eq!(check(&[fits], None), Err(none));
    }

    #[test]
    fn a_group_has_a_number() {
        assert_eq!(check(&[Action::Group(GroupId(1))], None), Ok(()));
        assert!(check(&[Action::Group(GroupId(0))], None).is_err_and(|denial| denial.is(libc::EINVAL)));
    }

    #[test]
    fn as_many_copies_go_as_the_kernel_has_room_for() {
        let most = MAX_ACTIONS_BUFSIZE / 24;
        assert_eq!(check(&vec![copy(2); most], Some(&TUNNEL)), Ok(()));
        let longer = check(&vec![copy(2); most + 1], Some(&TUNNEL));
        assert!(longer.is_err_and(|denial| denial.is(libc::EMSGSIZE)));
    }

    #[test]
    fn a_pushed_tag_has_the_kernels_bit_and_no_dei() {
        assert_eq!(push_vlan(Tag::from_wire(Tpid::Customer, 0xb008)), [0x81, 0, 0xb0, 8]);
        assert_eq!(push_vlan(Tag::from_wire(Tpid::Customer, 0)), [0x81, 0, 0x10, 0]);
    }

    #[test]
    fn an_action_of_others_makes_the_list_unknown() {
        let mut writer = NlaWriter::default();
        writer.put_u32(OVS_ACTION_ATTR_OUTPUT, 1);
        // OVS_ACTION_ATTR_HASH.
        writer.put(8, &[0; 8]);
        assert_eq!(decode(NlaIter::new(&writer.finish().unwrap()), None), None);
    }

    #[test]
    fn clones_within_clones_end_before_the_stack_does() {
        let nested = |depth: usize| {
            let mut bytes = Vec::new();
            for level in (1..=depth).rev() {
                bytes.extend(((level * HEADER_LEN) as u16).to_ne_bytes());
                bytes.extend(OVS_ACTION_ATTR_CLONE.to_ne_bytes());
            }
            decode(NlaIter::new(&bytes), None)
        };
        assert!(nested(DEEPEST).is_some());
        assert_eq!(nested(DEEPEST + 1), None);
        assert_eq!(nested(16_383), None);
    }

    #[test]
    fn what_the_kernel_cannot_hold_is_refused_with_both_lengths() {
        let flood = vec![Action::Output(VportNo(1)); 4_096];
        assert_eq!(check(&flood, None), Ok(()));
        let long = [flood, vec![Action::PopTag]].concat();
        let Err(Denial::Errno { errno, message }) = check(&long, None) else {
            panic!("32772 bytes were let through")
        };
        assert_eq!(errno, libc::EMSGSIZE);
        assert_eq!(message.unwrap(), "list of actions of 32772 bytes, allowed are up to 32768");
    }
}
