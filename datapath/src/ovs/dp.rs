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

/// Turns off what another program turned on: unaligned upcalls, upcalls by CPU.
pub(super) fn reset_features(family: Family, dp: DpIndex) -> Result<Request, Denial> {
    family.request(OVS_DP_CMD_SET, 0, dp, |message| message.put_u32(OVS_DP_ATTR_USER_FEATURES, 0))
}

/// Removes a datapath with its ports and flows.
pub(super) fn delete(family: Family, dp: DpIndex) -> Result<Request, Denial> {
    family.request(OVS_DP_CMD_DEL, 0, dp, |_| {})
}

/// Reads the answer to [`find`] or [`describe`].
pub(super) fn read(reply: &[u8]) -> Result<(DpIndex, Counters), Malformed> {
    let (dp, attributes) = split_reply(reply)?;
    let mut counters = None;
    let mut masks = 0;
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
                    masks: 0,
                });
            }
            // struct ovs_dp_megaflow_stats: u64 n_mask_hit, u32 n_masks.
            OVS_DP_ATTR_MEGAFLOW_STATS => masks = u64::from(nla.u32_at(8)?),
            _ => {}
        }
    }
    let counters = counters.ok_or_else(|| malformed("datapath without statistics".into()))?;
    Ok((dp, Counters { masks, ..counters }))
}

/// enum ovs_datapath_cmd.
const OVS_DP_CMD_NEW: u8 = 1;
const OVS_DP_CMD_DEL: u8 = 2;
const OVS_DP_CMD_GET: u8 = 3;
const OVS_DP_CMD_SET: u8 = 4;

/// enum ovs_datapath_attr.
const OVS_DP_ATTR_NAME: u16 = 1;
const OVS_DP_ATTR_UPCALL_PID: u16 = 2;
const OVS_DP_ATTR_STATS: u16 = 3;
const OVS_DP_ATTR_MEGAFLOW_STATS: u16 = 4;
const OVS_DP_ATTR_USER_FEATURES: u16 = 5;
