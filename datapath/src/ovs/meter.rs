//! Meters (enum ovs_meter_cmd). The kernel keeps them in an array by id modulo its length, so ids are to be small and dense:
//! two ids that fall on one place are refused as busy.
//!
//! A meter's bucket is filled once a millisecond, with what the time since the last frame is worth, but never for longer than an empty
//! bucket takes to fill, in whole milliseconds (`max_delta_t` in `net/openvswitch/meter.c`). A bucket that fills in less than one would
//! therefore never be filled again; [`burst_for`] makes it larger.

use super::family::{DpIndex, Family, split_reply};
use super::nla::{Nla, malformed};
use super::transact::{Denial, Request};
use super::{Malformed, MeterId, MeterRate, MeterStats};

/// Sets a meter that drops what exceeds its rate, in packets; its counts begin at zero.
pub(super) fn set(family: Family, dp: DpIndex, id: MeterId, rate: MeterRate) -> Result<Request, Denial> {
    // The kernel takes a burst of none, and lets nothing pass; a rate of none it refuses.
    if rate.packets_per_second == 0 || rate.burst == 0 {
        let message = format!("rate {} and burst {}, at least 1 each", rate.packets_per_second, rate.burst);
        return Err(Denial::Errno { errno: libc::EINVAL, message: Some(message) });
    }
    family.request(OVS_METER_CMD_SET, 0, dp, |message| {
        message.put_u32(OVS_METER_ATTR_ID, id.0);
        message.nest(OVS_METER_ATTR_BANDS, |bands| {
            bands.nest(FIRST_BAND, |band| {
                band.put_u32(OVS_BAND_ATTR_TYPE, OVS_METER_BAND_TYPE_DROP);
                band.put_u32(OVS_BAND_ATTR_RATE, rate.packets_per_second);
                band.put_u32(OVS_BAND_ATTR_BURST, burst_for(rate));
            });
        });
    })
}

/// The burst, or what passes in a millisecond if that is more.
fn burst_for(rate: MeterRate) -> u32 {
    rate.burst.max(rate.packets_per_second.div_ceil(1_000))
}

/// Removes a meter; flows that name it let everything pass.
pub(super) fn delete(family: Family, dp: DpIndex, id: MeterId) -> Result<Request, Denial> {
    family.request(OVS_METER_CMD_DEL, 0, dp, |message| message.put_u32(OVS_METER_ATTR_ID, id.0))
}

/// Asks for a meter's counts.
pub(super) fn describe(family: Family, dp: DpIndex, id: MeterId) -> Result<Request, Denial> {
    family.request(OVS_METER_CMD_GET, 0, dp, |message| message.put_u32(OVS_METER_ATTR_ID, id.0))
}

/// Reads the answer to [`describe`].
pub(super) fn read(reply: &[u8]) -> Result<MeterStats, Malformed> {
    let (_, attributes) = split_reply(reply)?;
    let mut packets = None;
    let mut dropped = 0;
    for nla in attributes {
        let nla = nla?;
        match nla.kind {
            // struct ovs_flow_stats: packets, bytes.
            OVS_METER_ATTR_STATS => packets = Some(nla.u64_at(0)?),
            OVS_METER_ATTR_BANDS => dropped = read_bands(nla)?,
            _ => {}
        }
    }
    let packets = packets.ok_or_else(|| malformed("meter without statistics".into()))?;
    Ok(MeterStats { packets, dropped })
}

/// What the bands hit, which is what they dropped.
fn read_bands(bands: Nla<'_>) -> Result<u64, Malformed> {
    let mut dropped = 0_u64;
    for band in bands.nested() {
        for nla in band?.nested() {
            let nla = nla?;
            if nla.kind == OVS_BAND_ATTR_STATS {
                dropped = dropped.saturating_add(nla.u64_at(0)?);
            }
        }
    }
    Ok(dropped)
}

/// enum ovs_meter_cmd.
const OVS_METER_CMD_SET: u8 = 2;
const OVS_METER_CMD_DEL: u8 = 3;
const OVS_METER_CMD_GET: u8 = 4;

/// enum ovs_meter_attr.
const OVS_METER_ATTR_ID: u16 = 1;
const OVS_METER_ATTR_STATS: u16 = 3;
const OVS_METER_ATTR_BANDS: u16 = 4;

/// The kernel does not look at the type of a band's attribute; Open vSwitch counts from OVS_BAND_ATTR_UNSPEC.
const FIRST_BAND: u16 = 0;

/// enum ovs_band_attr.
const OVS_BAND_ATTR_TYPE: u16 = 1;
const OVS_BAND_ATTR_RATE: u16 = 2;
const OVS_BAND_ATTR_BURST: u16 = 3;
const OVS_BAND_ATTR_STATS: u16 = 4;

/// enum ovs_meter_band_type.
const OVS_METER_BAND_TYPE_DROP: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lasts_a_millisecond_at_least() {
        for (packets_per_second, burst, expected) in [
            (1, 1, 1),
            (1_000, 1, 1),
            (1_001, 1, 2),
            (200_000, 100, 200),
            (200_000, 300, 300),
            (u32::MAX, 1, 4_294_968),
        ] {
            assert_eq!(burst_for(MeterRate { packets_per_second, burst }), expected);
        }
    }
}
