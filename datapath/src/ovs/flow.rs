//! Flows (enum ovs_flow_cmd), and how one is put.
//!
//! What openvswitch.ko does with a new flow, seen on 6.1 and in `ovs_flow_cmd_new`:
//! - With NLM_F_CREATE it refuses (EEXIST) a flow whose id is taken, and one whose key some flow matches already, whatever that
//!   one's mask.
//! - Without it, it replaces the actions of the flow with that id, and leaves key *and mask* of what it found as they were,
//!   without a word. It compares the masked key of what it found with the unmasked one that it was given, so a flow
//!   of another id is found only where nothing is masked. A request by key alone finds no flow that has an id.
//!
//! So a flow is put as new first. If that is refused, `change.rs` looks at what is there: the same flow gets its new actions in
//! place; a flow with another mask or another id is taken away and put anew in one datagram; what overlaps with neither is refused as
//! busy.

use vlan::time::Instant;
use vlan::verdict::Consulted;

use super::family::{DpIndex, Family, split_reply};
use super::key;
use super::nla::{HEADER_LEN, Nla, NlaIter, NlaWriter, malformed};
use super::transact::{CREATE, DUMP, Denial, ECHO, Outbox, Request};
use super::{Action, Flow, FlowChange, FlowId, FlowKey, FlowStats, Malformed, VportNo, action};

/// A flow to be put.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) id: FlowId,
    pub(super) key: &'a FlowKey,
    pub(super) mask: &'a Consulted,
    pub(super) actions: &'a [Action],
}

impl<'a> Wanted<'a> {
    /// What a change asks for; none if it withdraws a flow.
    pub(super) fn of(change: &'a FlowChange) -> Option<Wanted<'a>> {
        match change {
            FlowChange::Put { id, key, mask, actions } => Some(Wanted { id: *id, key, mask, actions }),
            FlowChange::Delete { .. } => None,
        }
    }

    /// Whether a flow of the kernel is this one, its actions aside.
    pub(super) fn is_kept_as(&self, flow: &Flow) -> bool {
        let mask = key::widen(self.mask, self.key.header.tags.len());
        flow.mask == Some(mask)
            && flow.key.vport == self.key.vport
            && flow.key.recirc == self.key.recirc
            && mask.agree(&flow.key.header, &self.key.header)
    }

    /// Puts it if nothing is in its way.
    pub(super) fn create(&self, out: &mut Outbox, family: Family, dp: DpIndex) {
        out.write(family.head(OVS_FLOW_CMD_NEW, CREATE).quietly(), |message| self.fill(message, dp));
    }

    /// Gives the flow of its id its actions.
    pub(super) fn replace(&self, out: &mut Outbox, family: Family, dp: DpIndex) {
        out.write(family.head(OVS_FLOW_CMD_SET, 0), |message| self.fill(message, dp));
    }

    /// Appends what the kernel is told of it.
    pub(super) fn fill(&self, message: &mut NlaWriter, dp: DpIndex) -> Result<(), Denial> {
        action::check_len(self.actions)?;
        if self.key.opaque.len() < HEADER_LEN {
            return Err(too_short(self.key.opaque.len()));
        }
        // As many as the kernel's own form of the key has: who reads one makes sure of that.
        let tags = self.key.header.tags.len();
        message.put_header(&dp.0.to_ne_bytes());
        put_id(message, self.id);
        message.put(OVS_FLOW_ATTR_KEY, &self.key.opaque);
        key::encode_mask(message, OVS_FLOW_ATTR_MASK, tags, self.mask);
        action::encode(message, OVS_FLOW_ATTR_ACTIONS, self.actions);
        Ok(())
    }
}

/// Removes the flow of this id.
pub(super) fn delete(family: Family, dp: DpIndex, id: FlowId) -> Result<Request, Denial> {
    family.request(OVS_FLOW_CMD_DEL, 0, dp, |message| put_id(message, id))
}

/// Withdraws a flow, and has it told what it counted: the kernel echoes what it tells everyone who listens.
pub(super) fn delete_counted(family: Family, dp: DpIndex, id: FlowId) -> Result<Request, Denial> {
    family.request(OVS_FLOW_CMD_DEL, ECHO, dp, |message| {
        put_id(message, id);
        message.put_u32(OVS_FLOW_ATTR_UFID_FLAGS, STATS_ONLY);
    })
}

/// Removes a flow that another program made.
pub(super) fn delete_alien(family: Family, dp: DpIndex, alien: &Alien) -> Result<Request, Denial> {
    family.request(OVS_FLOW_CMD_DEL, 0, dp, |message| match &alien.id {
        Some(id) => message.put(OVS_FLOW_ATTR_UFID, id),
        None => message.put(OVS_FLOW_ATTR_KEY, &alien.key),
    })
}

/// Asks for the flow of this id with all that it has.
pub(super) fn describe_whole(family: Family, dp: DpIndex, id: FlowId) -> Result<Request, Denial> {
    family.request(OVS_FLOW_CMD_GET, 0, dp, |message| put_id(message, id))
}

/// Asks for the flow of this id, its actions left out.
pub(super) fn describe(family: Family, dp: DpIndex, id: FlowId) -> Result<Request, Denial> {
    family.request(OVS_FLOW_CMD_GET, 0, dp, |message| {
        put_id(message, id);
        message.put_u32(OVS_FLOW_ATTR_UFID_FLAGS, OVS_UFID_F_OMIT_ACTIONS);
    })
}

/// Asks for the counts of the flow of this id.
pub(super) fn describe_stats(family: Family, dp: DpIndex, id: FlowId) -> Result<Request, Denial> {
    family.request(OVS_FLOW_CMD_GET, 0, dp, |message| {
        put_id(message, id);
        message.put_u32(OVS_FLOW_ATTR_UFID_FLAGS, STATS_ONLY);
    })
}

/// Asks for all flows, their actions left out.
pub(super) fn list_keys(family: Family, dp: DpIndex) -> Result<Request, Denial> {
    let omit = OVS_UFID_F_OMIT_ACTIONS;
    family.request(OVS_FLOW_CMD_GET, DUMP, dp, |message| message.put_u32(OVS_FLOW_ATTR_UFID_FLAGS, omit))
}

/// Asks for all flows.
pub(super) fn list(family: Family, dp: DpIndex) -> Result<Request, Denial> {
    family.request(OVS_FLOW_CMD_GET, DUMP, dp, |_| {})
}

/// Asks for the counts of all flows.
pub(super) fn list_stats(family: Family, dp: DpIndex) -> Result<Request, Denial> {
    family.request(OVS_FLOW_CMD_GET, DUMP, dp, |message| {
        message.put_u32(OVS_FLOW_ATTR_UFID_FLAGS, STATS_ONLY);
    })
}

/// A flow of a dump.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Dumped {
    Flow(Flow),
    Alien(Alien),
}

/// A flow that another program made: without an id of 16 bytes, or with a key that this program does not understand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Alien {
    /// Of any length.
    id: Option<Vec<u8>>,
    key: Vec<u8>,
}

/// Reads one answer to [`list`] or [`describe`].
pub(super) fn read(reply: &[u8]) -> Result<Dumped, Malformed> {
    let parts = Parts::read(reply)?;
    let key = parts.key.ok_or_else(|| malformed("flow without key".into()))?;
    let Some((id, (key, mask))) = parts.id().zip(key::read_masked(key, parts.mask).ok()) else {
        return Ok(Dumped::Alien(Alien { id: parts.id.map(<[u8]>::to_vec), key: key.to_vec() }));
    };
    let actions = parts.actions.and_then(|list| action::decode(NlaIter::new(list)));
    Ok(Dumped::Flow(Flow { id, key, mask, actions, stats: parts.stats }))
}

/// Whether an answer leaves the actions out: one to [`list`] does so where they do not fit into a piece of 32 KiB.
pub(super) fn lacks_actions(reply: &[u8]) -> bool {
    Parts::read(reply).is_ok_and(|parts| parts.actions.is_none())
}

/// Reads one answer to [`list_stats`]; none for a flow without an id of 16 bytes.
pub(super) fn read_stats(reply: &[u8]) -> Result<Option<(FlowId, FlowStats)>, Malformed> {
    let parts = Parts::read(reply)?;
    Ok(parts.id().map(|id| (id, parts.stats)))
}

/// The flow of another program that an answer to [`list_stats`] is about, if it is one. The kernel tells the key of a flow that has no
/// id, asked or not: that is its identity.
pub(super) fn read_alien(reply: &[u8]) -> Option<Alien> {
    let parts = Parts::read(reply).ok().filter(|parts| parts.id().is_none())?;
    let (id, key) = (parts.id.map(<[u8]>::to_vec), parts.key.unwrap_or_default().to_vec());
    (id.is_some() || !key.is_empty()).then_some(Alien { id, key })
}

/// Every port that a flow names.
pub(super) fn vports_of(flow: &Flow) -> Vec<VportNo> {
    let mut vports = vec![flow.key.vport];
    collect_outputs(flow.actions.as_deref().unwrap_or_default(), &mut vports);
    vports
}

fn collect_outputs(actions: &[Action], vports: &mut Vec<VportNo>) {
    for action in actions {
        match action {
            Action::Output(vport) => vports.push(*vport),
            other => other.inner().into_iter().for_each(|steps| collect_outputs(steps, vports)),
        }
    }
}

#[derive(Debug, Default)]
struct Parts<'a> {
    id: Option<&'a [u8]>,
    key: Option<&'a [u8]>,
    mask: Option<&'a [u8]>,
    actions: Option<&'a [u8]>,
    stats: FlowStats,
}

impl<'a> Parts<'a> {
    fn read(reply: &'a [u8]) -> Result<Parts<'a>, Malformed> {
        let (_, attributes) = split_reply(reply)?;
        let mut parts = Parts::default();
        for nla in attributes {
            parts.take(nla?)?;
        }
        Ok(parts)
    }

    /// An id is 16 bytes, the first of them most significant; one of another length was not given by this program.
    fn id(&self) -> Option<FlowId> {
        self.id?.try_into().ok().map(|bytes| FlowId(u128::from_be_bytes(bytes)))
    }

    fn take(&mut self, nla: Nla<'a>) -> Result<(), Malformed> {
        match nla.kind {
            OVS_FLOW_ATTR_UFID => self.id = Some(nla.payload),
            OVS_FLOW_ATTR_KEY => self.key = Some(nla.payload),
            OVS_FLOW_ATTR_MASK => self.mask = Some(nla.payload),
            OVS_FLOW_ATTR_ACTIONS => self.actions = Some(nla.payload),
            // struct ovs_flow_stats: packets, bytes.
            OVS_FLOW_ATTR_STATS => {
                self.stats.packets = nla.u64_at(0)?;
                self.stats.bytes = nla.u64_at(8)?;
            }
            OVS_FLOW_ATTR_USED => self.stats.used = Some(Instant::from_millis(nla.u64()?)),
            _ => {}
        }
        Ok(())
    }
}

/// A deletion without an id would remove every flow, so an id always goes out whole.
fn put_id(message: &mut NlaWriter, id: FlowId) {
    message.put(OVS_FLOW_ATTR_UFID, &id.0.to_be_bytes());
}

/// The kernel itself would complain of a range.
fn too_short(len: usize) -> Denial {
    let message =
        format!("a flow key of {len} bytes, the kernel's have an attribute of {HEADER_LEN} at least");
    Denial::Errno { errno: libc::EINVAL, message: Some(message) }
}

/// enum ovs_flow_cmd.
const OVS_FLOW_CMD_NEW: u8 = 1;
const OVS_FLOW_CMD_DEL: u8 = 2;
const OVS_FLOW_CMD_GET: u8 = 3;
const OVS_FLOW_CMD_SET: u8 = 4;

/// enum ovs_flow_attr.
const OVS_FLOW_ATTR_KEY: u16 = 1;
const OVS_FLOW_ATTR_ACTIONS: u16 = 2;
const OVS_FLOW_ATTR_STATS: u16 = 3;
const OVS_FLOW_ATTR_USED: u16 = 5;
const OVS_FLOW_ATTR_MASK: u16 = 7;
const OVS_FLOW_ATTR_UFID: u16 = 9;
const OVS_FLOW_ATTR_UFID_FLAGS: u16 = 10;

/// OVS_UFID_F_*.
const OVS_UFID_F_OMIT_KEY: u32 = 1;
const OVS_UFID_F_OMIT_MASK: u32 = 2;
const OVS_UFID_F_OMIT_ACTIONS: u32 = 4;
const STATS_ONLY: u32 = OVS_UFID_F_OMIT_KEY | OVS_UFID_F_OMIT_MASK | OVS_UFID_F_OMIT_ACTIONS;
