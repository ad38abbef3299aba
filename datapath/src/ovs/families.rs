//! The families of openvswitch.ko: which there are, and what this kernel can do.

use super::family::{Family, OVS_VERSION, Resolved, look_up, read_family, refuse, unreadable};
use super::transact::Transactor;
use super::{Malformed, Refusal, RefusalCause, dp};

/// Family numbers, which the kernel gives out when the module is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Families {
    pub(super) datapath: Family,
    pub(super) vport: Family,
    pub(super) flow: Family,
    pub(super) packet: Family,
    /// None before Linux 4.15.
    pub(super) meter: Option<Family>,
    /// The multicast groups in which the kernel tells what becomes of datapaths and ports.
    pub(super) notices: [Option<u32>; 2],
    /// Whether upcalls can go by CPU (since Linux 5.15).
    pub(super) dispatches_by_cpu: bool,
}

impl Families {
    /// Asks the kernel, which loads the module if it has one.
    ///
    /// # Errors
    /// No openvswitch.ko: [`RefusalCause::Unsupported`].
    pub(super) async fn resolve(transactor: &mut Transactor) -> Result<Families, Refusal> {
        let datapath = resolve(transactor, "ovs_datapath", OVS_DATAPATH_VERSION).await?;
        let vport = resolve(transactor, "ovs_vport", OVS_VERSION).await?;
        Ok(Families {
            datapath: datapath.family,
            vport: vport.family,
            flow: resolve(transactor, "ovs_flow", OVS_VERSION).await?.family,
            packet: resolve(transactor, "ovs_packet", OVS_VERSION).await?.family,
            meter: resolve(transactor, "ovs_meter", OVS_VERSION).await.ok().map(|found| found.family),
            notices: [datapath.group, vport.group],
            dispatches_by_cpu: datapath.attributes >= u32::from(dp::OVS_DP_ATTR_PER_CPU_PIDS),
        })
    }
}

async fn resolve(transactor: &mut Transactor, name: &str, version: u8) -> Result<Resolved, Refusal> {
    let request = look_up(name).map_err(|denial| refuse(name, denial))?;
    let what = || format!("look up {name} of openvswitch.ko");
    let replies = transactor.ask(request).await.map_err(|denial| match denial.is(libc::ENOENT) {
        true => Refusal { what: what(), cause: RefusalCause::Unsupported },
        false => refuse(what(), denial),
    })?;
    let found = replies.iter().find_map(|reply| read_family(reply, version));
    found.ok_or_else(|| unreadable(what(), &Malformed::Message("no family id".into())))
}

/// Of linux/openvswitch.h.
pub(super) const OVS_DATAPATH_VERSION: u8 = 2;
