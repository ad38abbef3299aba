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
use super::part::Part;
use super::transact::{CREATE, DUMP, Denial, ECHO, Outbox, Request};
use super::tunnel::Tunnel;
use super::{Action, Flow, FlowChange, FlowId, FlowKey, FlowStats, Malformed, VportNo, action};

/// The flows of a datapath: where they are, and by which tunnel their copies go to other hosts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    pub(super) family: Family,
    pub(super) dp: DpIndex,
    pub(super) tunnel: Option<Tunnel>,
}

impl Table {
    /// One without a tunnel, of a family and a datapath with these numbers.
    pub(super) const fn numbered(family: u16, dp: u32) -> Table {
        Table { family: Family::numbered(family), dp: DpIndex(dp), tunnel: None }
    }
}

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
        let mask = key::widen(self.mask, self.key.header.tags.len(), self.key.tunnel.is_some());
        flow.mask == Some(mask)
            && flow.key.vport == self.key.vport
            && flow.key.recirc == self.key.recirc
            && key::came_alike(flow.key.tunnel, self.key.tunnel, mask.class)
            && mask.agree(&flow.key.header, &self.key.header)
    }

    /// Puts it if nothing is in its way.
    pub(super) fn create(&self, out: &mut Outbox, table: &Table) {
        let head = table.family.head(OVS_FLOW_CMD_NEW, CREATE).quietly();
        out.write(head, |message| self.fill(message, table));
    }

    /// Gives the flow of its id its actions.
    pub(super) fn replace(&self, out: &mut Outbox, table: &Table) {
        out.write(table.family.head(OVS_FLOW_CMD_SET, 0), |message| self.fill(message, table));
    }

    /// Appends what the kernel is told of it.
    pub(super) fn fill(&self, message: &mut NlaWriter, table: &Table) -> Result<(), Denial> {
        let tunnel = table.tunnel.as_ref();
        action::check(self.actions, tunnel)?;
        if self.key.opaque.len() < HEADER_LEN {
            return Err(too_short(self.key.opaque.len()));
        }
        message.put_header(&table.dp.0.to_ne_bytes());
        put_id(message, self.id);
        message.put(OVS_FLOW_ATTR_KEY, &self.key.opaque);
        key::encode_mask(message, OVS_FLOW_ATTR_MASK, self.key, self.mask);
        action::encode(message, OVS_FLOW_ATTR_ACTIONS, self.actions, tunnel);
        Ok(())
    }
}

/// Removes the flow of this id.
pub(super) fn delete(family: Family, dp: DpIndex, id: FlowId) -> Result<Request, Denial> {
    delete_by_ufid(family, dp, &id.0.to_be_bytes())
}

/// Removes the flow of this id, which has as many bytes as it was given, at least one.
pub(super) fn delete_by_ufid(family: Family, dp: DpIndex, ufid: &[u8]) -> Result<Request, Denial> {
    family.request(OVS_FLOW_CMD_DEL, 0, dp, |message| message.put(OVS_FLOW_ATTR_UFID, ufid))
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
pub(super) fn describe_whole(family: Family, dp: DpIndex, ufid: &[u8]) -> Result<Request, Denial> {
    family.request(OVS_FLOW_CMD_GET, 0, dp, |message| message.put(OVS_FLOW_ATTR_UFID, ufid))
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
    /// One of those of a group, and its steps if they are all ours.
    Part(Part, Option<Vec<Action>>),
    Alien(Alien),
}

/// A flow that another program made: without an id of 16 bytes, or with a key that this program does not understand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Alien {
    /// Of any length.
    id: Option<Vec<u8>>,
    key: Vec<u8>,
}

/// Reads one answer to [`list`] or [`describe`]; copies to other hosts are those by this tunnel.
pub(super) fn read(reply: &[u8], tunnel: Option<&Tunnel>) -> Result<Dumped, Malformed> {
    let parts = Parts::read(reply)?;
    let actions = || parts.actions.and_then(|list| action::decode(NlaIter::new(list), tunnel));
    if let Some(part) = parts.part() {
        return Ok(Dumped::Part(part, actions()));
    }
    let key = parts.key.ok_or_else(|| malformed("flow without key".into()))?;
    let Some((id, (key, mask))) = parts.id().zip(key::read_masked(key, parts.mask).ok()) else {
        return Ok(Dumped::Alien(Alien { id: parts.id.map(<[u8]>::to_vec), key: key.to_vec() }));
    };
    Ok(Dumped::Flow(Flow { id, key, mask, actions: actions(), stats: parts.stats }))
}

/// The id of a flow if an answer leaves its actions out: one to [`list`] does so where they do not fit into a piece of 32 KiB.
pub(super) fn lacks_actions(reply: &[u8]) -> Option<Vec<u8>> {
    let parts = Parts::read(reply).ok().filter(|parts| parts.actions.is_none())?;
    parts.id.map(<[u8]>::to_vec)
}

/// Reads one answer to [`list_stats`]; none for a flow without an id of 16 bytes.
pub(super) fn read_stats(reply: &[u8]) -> Result<Option<(FlowId, FlowStats)>, Malformed> {
    let parts = Parts::read(reply)?;
    Ok(parts.id().map(|id| (id, parts.stats)))
}

/// The flow of another program that an answer to [`list_stats`] is about, if it is one. The kernel tells the key of a flow that has no
/// id, asked or not: that is its identity.
pub(super) fn read_alien(reply: &[u8]) -> Option<Alien> {
    let parts = Parts::read(reply).ok().filter(|parts| parts.id().is_none() && parts.part().is_none())?;
    let (id, key) = (parts.id.map(<[u8]>::to_vec), parts.key.unwrap_or_default().to_vec());
    (id.is_some() || !key.is_empty()).then_some(Alien { id, key })
}

/// Those of other programs.
pub(super) fn aliens(dumped: Vec<Dumped>) -> Vec<Alien> {
    let alien = |dumped| match dumped {
        Dumped::Alien(alien) => Some(alien),
        Dumped::Flow(_) | Dumped::Part(..) => None,
    };
    dumped.into_iter().filter_map(alien).collect()
}

/// Every port that a flow names.
pub(super) fn vports_of(dumped: &Dumped) -> Vec<VportNo> {
    let mut vports = Vec::new();
    let actions = match dumped {
        Dumped::Flow(flow) => {
            vports.push(flow.key.vport);
            flow.actions.as_deref()
        }
        Dumped::Part(_, steps) => steps.as_deref(),
        Dumped::Alien(_) => None,
    };
    collect_outputs(actions.unwrap_or_default(), &mut vports);
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

    /// What it is of a group, if it is of one.
    fn part(&self) -> Option<Part> {
        self.id.and_then(Part::of_ufid)
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
pub(super) const OVS_FLOW_CMD_NEW: u8 = 1;
const OVS_FLOW_CMD_DEL: u8 = 2;
const OVS_FLOW_CMD_GET: u8 = 3;
pub(super) const OVS_FLOW_CMD_SET: u8 = 4;

/// enum ovs_flow_attr.
pub(super) const OVS_FLOW_ATTR_KEY: u16 = 1;
pub(super) const OVS_FLOW_ATTR_ACTIONS: u16 = 2;
const OVS_FLOW_ATTR_STATS: u16 = 3;
const OVS_FLOW_ATTR_USED: u16 = 5;
pub(super) const OVS_FLOW_ATTR_MASK: u16 = 7;
pub(super) const OVS_FLOW_ATTR_UFID: u16 = 9;
const OVS_FLOW_ATTR_UFID_FLAGS: u16 = 10;

/// OVS_UFID_F_*.
const OVS_UFID_F_OMIT_KEY: u32 = 1;
const OVS_UFID_F_OMIT_MASK: u32 = 2;
const OVS_UFID_F_OMIT_ACTIONS: u32 = 4;
const STATS_ONLY: u32 = OVS_UFID_F_OMIT_KEY | OVS_UFID_F_OMIT_MASK | OVS_UFID_F_OMIT_ACTIONS;
