//! The datapath itself: made, found, counted, removed (enum ovs_datapath_cmd).

use super::family::{DpIndex, Family, split_reply};
use super::nla::malformed;
use super::transact::{Denial, Request};
use super::{Counters, Malformed};

/// Makes a datapath without upcalls for its own link and without OVS_DP_F_UNALIGNED: its last attribute is padded.
pub(super) fn create(family: Family, name: &str) -> Result<Request, Denial> {
    family.request(OVS_DP_CMD_NEW, 0, DpIndex(0), |message| {
        message.put_str(OVS_DP_ATTR_NAME, name);
        message.put_u32(OVS_DP_ATTR_UPCALL_PID, 0);
        message.put_u32(OVS_DP_ATTR_USER_FEATURES, 0);
    })
}

/// Asks for a datapath by name.
pub(super) fn find(family: Family, name: &str) -> Result<Request, Denial> {
    family.request(OVS_DP_CMD_GET, 0, DpIndex(0), |message| message.put_str(OVS_DP_ATTR_NAME, name))
}

/// Asks for a datapath by index.
pub(super) fn describe(family: Family, dp: DpIndex) -> Result<Request, Denial> {
    family.request(OVS_DP_CMD_GET, 0, dp, |_| {})
}

/// Has each port's upcalls go to the port's own socket, and turns off what else another program turned on: unaligned upcalls.
pub(super) fn dispatch_by_port(family: Family, dp: DpIndex) -> Result<Request, Denial> {
    family.request(OVS_DP_CMD_SET, 0, dp, |message| message.put_u32(OVS_DP_ATTR_USER_FEATURES, 0))
}

/// Has the upcalls of all ports go to the socket of the CPU that the frame is on (since Linux 5.15). The list is of
/// port ids, one for each possible CPU.
pub(super) fn dispatch_by_cpu(family: Family, dp: DpIndex, port_ids: &[u32]) -> Result<Request, Denial> {
    let bytes: Vec<u8> = port_ids.iter().flat_map(|port_id| port_id.to_ne_bytes()).collect();
    family.request(OVS_DP_CMD_SET, 0, dp, |message| {
        message.put_u32(OVS_DP_ATTR_USER_FEATURES, OVS_DP_F_DISPATCH_UPCALL_PER_CPU);
        message.put(OVS_DP_ATTR_PER_CPU_PIDS, &bytes);
    })
}

/// Removes a datapath with its ports and flows.
pub(super) fn delete(family: Family, dp: DpIndex) -> Result<Request, Denial> {
    family.request(OVS_DP_CMD_DEL, 0, dp, |_| {})
}

/// A datapath as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Description {
    pub(super) dp: DpIndex,
    pub(super) counters: Counters,
    /// Where upcalls go if by CPU; empty where the kernel does not tell (before 6.1).
    pub(super) by_cpu: Option<Vec<u32>>,
}

/// Reads the answer to [`find`] or [`describe`].
pub(super) fn read(reply: &[u8]) -> Result<Description, Malformed> {
    let (dp, attributes) = split_reply(reply)?;
    let (mut counters, mut masks, mut features, mut port_ids) = (None, 0, 0, Vec::new());
    for nla in attributes {
        let nla = nla?;
        match nla.kind {
            OVS_DP_ATTR_STATS => {
                // struct ovs_dp_stats: n_hit, n_missed, n_lost, n_flows.
                counters = Some(Counters {
                    hit: nla.u64_at(0)?,
                    missed: nla.u64_at(8)?,
                    lost: nla.u64_at(16)?,
                    flows: nla.u64_at(24)?,
                    ..Counters::default()
                });
            }
            // struct ovs_dp_megaflow_stats: u64 n_mask_hit, u32 n_masks.
            OVS_DP_ATTR_MEGAFLOW_STATS => masks = u64::from(nla.u32_at(8)?),
            OVS_DP_ATTR_USER_FEATURES => features = nla.u32()?,
            OVS_DP_ATTR_PER_CPU_PIDS => port_ids = nla.u32s(),
            _ => {}
        }
    }
    let counters = counters.ok_or_else(|| malformed("datapath without statistics".into()))?;
    let is_by_cpu = features & OVS_DP_F_DISPATCH_UPCALL_PER_CPU != 0;
    Ok(Description { dp, counters: Counters { masks, ..counters }, by_cpu: is_by_cpu.then_some(port_ids) })
}

/// enum ovs_datapath_cmd.
const OVS_DP_CMD_NEW: u8 = 1;
pub(super) const OVS_DP_CMD_DEL: u8 = 2;
const OVS_DP_CMD_GET: u8 = 3;
const OVS_DP_CMD_SET: u8 = 4;

/// enum ovs_datapath_attr.
const OVS_DP_ATTR_NAME: u16 = 1;
const OVS_DP_ATTR_UPCALL_PID: u16 = 2;
const OVS_DP_ATTR_STATS: u16 = 3;
const OVS_DP_ATTR_MEGAFLOW_STATS: u16 = 4;
const OVS_DP_ATTR_USER_FEATURES: u16 = 5;
pub(super) const OVS_DP_ATTR_PER_CPU_PIDS: u16 = 8;

/// OVS_DP_F_*.
const OVS_DP_F_DISPATCH_UPCALL_PER_CPU: u32 = 1 << 3;
