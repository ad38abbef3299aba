//! Frames that are longer than a way out takes.
//!
//! A kernel drops a frame that is over the MTU of the link that it is sent by, and many drivers tell nobody. So where the way in takes longer
//! frames than a way out, flows look at the length themselves, and a meter counts what is too long. Elsewhere flows cost nothing more.

use smallvec::SmallVec;
use vlan::frame::Header;
use vlan::model::id::PortId;
use vlan::plane::Ingress;
use vlan::tag::Tag;
use vlan::verdict::{Egress, Output};

use super::meters::{Length, Meters};
use crate::counters::{Loss, PortKey};
use crate::engine::truth::Truth;
use crate::lower::flows::Limit;

/// What is too long for the ways out of a verdict.
#[derive(Debug, Default)]
pub(in crate::engine) struct Lengths {
    /// The ways out that take less than the way in.
    pub(in crate::engine) limits: SmallVec<[Limit; 2]>,
    /// The most bytes behind Ethernet header and first tag that a frame may have on arrival to leave by one of them; `None` where it
    /// leaves by another way whatever its length.
    most: Option<i64>,
}

impl Lengths {
    /// Which ways out take less than the way in does, with a meter for each.
    pub(super) fn of(
        meters: &mut Meters,
        truth: &Truth,
        arrival: Ingress,
        header: &Header,
        outputs: &[Output],
    ) -> Lengths {
        // What comes by the tunnel was let in by a port of another host.
        let Ingress::Port(arrival) = arrival else { return Lengths::default() };
        let mtu_in = truth.links.standings.mtu_of(arrival);
        let mut narrow: SmallVec<[Narrow; 2]> = SmallVec::new();
        let mut ways = 0;
        for output in outputs {
            let Egress::Port(port) = output.to else { continue };
            let mtu = truth.links.standings.mtu_of(port);
            ways += 1;
            let room = i64::from(mtu) - growth(header, output);
            if mtu > 0 && mtu_in > 0 && i64::from(mtu_in) > room {
                narrow.push(Narrow { port, mtu, room });
            }
        }
        if narrow.is_empty() {
            return Lengths::default();
        }
        let widest = narrow.iter().max_by_key(|way| way.room).filter(|_| narrow.len() == ways);
        let widest = widest.map(|way| (way.port, way.room));
        let mut limits = SmallVec::with_capacity(narrow.len());
        for way in &narrow {
            let is_whole = widest.is_some_and(|(port, _)| port == way.port);
            let what = Length { port: truth.key_of(arrival), exit: truth.key_of(way.port), is_whole };
            limits.push(Limit { port: way.port, mtu: way.mtu, meter: meters.of_length(what) });
        }
        Lengths { limits, most: widest.map(|(_, room)| room) }
    }

    /// A frame that came up is too long for every way out: it is not sent.
    pub(super) fn lose(&self, truth: &mut Truth, key: PortKey) {
        truth.telling.counts.lose(key, Loss::OverMtu, None, 1);
        for exit in &self.limits {
            let exit = truth.key_of(exit.port);
            truth.telling.counts.port(exit).over_mtu += 1;
        }
    }

    /// Whether a frame as it arrived leaves by no way out.
    pub(in crate::engine) fn are_exceeded_by(&self, frame: &[u8], header: &Header) -> bool {
        self.most.is_some_and(|most| payload_of(frame, header) > most)
    }
}

/// A way out that takes less than the way in.
struct Narrow {
    port: PortId,
    mtu: u32,
    room: i64,
}

/// How many bytes longer a copy is behind its first tag than the frame was behind its own. Kernels keep the first tag apart and let it be
/// over the MTU (`packet_length` in `net/openvswitch/vport.c`).
fn growth(header: &Header, output: &Output) -> i64 {
    let before = header.tags.len() as i64;
    let after = before - i64::from(output.edit.pop) + output.edit.push.len() as i64;
    (after.max(1) - before.max(1)) * Tag::LEN as i64
}

/// Bytes of a copy behind Ethernet header and first tag.
pub(in crate::engine) fn length_of_copy(frame: &[u8], header: &Header, output: &Output) -> i64 {
    payload_of(frame, header) + growth(header, output)
}

/// Bytes behind Ethernet header and first tag.
fn payload_of(frame: &[u8], header: &Header) -> i64 {
    let tag = if header.tags.is_empty() { 0 } else { Tag::LEN };
    frame.len() as i64 - (ETHERNET_HEADER + tag) as i64
}

/// Destination, source and EtherType (802.3 3.1.1).
const ETHERNET_HEADER: usize = 14;
