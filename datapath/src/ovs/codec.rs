//! What passes between this program and the kernel for a first frame, as bytes and without a socket, for benchmarks.
//!
//! Nothing here is used by a running gateway. It is public so that the codec can be measured without being public.

use super::family::{DpIndex, Family};
use super::flow::Wanted;
use super::transact::Outbox;
use super::{Execute, FlowChange, Upcall, VportNo, packet};

/// The codec of upcalls, flows and frames.
#[derive(Debug, Default)]
pub struct Codec {
    out: Outbox,
}

impl Codec {
    /// The family number under which it takes upcalls and sends frames, as if the kernel had given it out.
    pub const PACKET_FAMILY: u16 = 31;

    /// The upcalls in a datagram that came to the socket of a port.
    pub fn read_upcalls(&self, port: VportNo, datagram: &[u8], upcalls: &mut Vec<Upcall>) {
        packet::read_upcalls(PACKET, Some(port), datagram, &mut |upcall| upcalls.push(upcall));
    }

    /// Writes frames to be sent and flows to be put, as they would go out; how many bytes.
    pub fn write(&mut self, flows: &[FlowChange], frames: &[Execute]) -> usize {
        self.out.clear();
        frames.iter().for_each(|order| packet::execute(&mut self.out, PACKET, DP, order));
        flows.iter().filter_map(Wanted::of).for_each(|wanted| wanted.create(&mut self.out, FLOW, DP));
        self.out.bytes_len()
    }
}

const FLOW: Family = Family::numbered(30);
const PACKET: Family = Family::numbered(Codec::PACKET_FAMILY);
const DP: DpIndex = DpIndex(5);
