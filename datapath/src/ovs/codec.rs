//! What passes between this program and the kernel for a first frame, as bytes and without a socket, for benchmarks.
//!
//! Nothing here is used by a running gateway. It is public so that the codec can be measured without being public.

use super::family::{DpIndex, Family};
use super::flow::Wanted;
use super::transact::write_request;
use super::{Execute, FlowChange, Upcall, VportNo, packet};

/// The codec of upcalls, flows and frames.
#[derive(Debug, Default)]
pub struct Codec {
    bytes: Vec<u8>,
}

impl Codec {
    /// The family number under which it takes upcalls and sends frames, as if the kernel had given it out.
    pub const PACKET_FAMILY: u16 = 31;

    /// The upcalls in a datagram that came to the socket of a port.
    pub fn read_upcalls(&self, port: VportNo, datagram: &[u8], upcalls: &mut Vec<Upcall>) {
        packet::read_upcalls(PACKET, Some(port), datagram, &mut |upcall| upcalls.push(upcall));
    }

    /// Writes flows to be put and frames to be sent, as they would go out; how many bytes.
    ///
    /// # Panics
    /// A flow or a frame cannot be written.
    pub fn write(&mut self, flows: &[FlowChange], frames: &[Execute]) -> usize {
        self.bytes.clear();
        let puts = flows.iter().filter_map(Wanted::of).map(|wanted| wanted.create(FLOW, DP));
        let sends = frames.iter().map(|order| packet::execute(PACKET, DP, order));
        for (seq, request) in (1..).zip(puts.chain(sends)) {
            match request {
                Ok(request) => write_request(&mut self.bytes, &request, seq),
                Err(denial) => panic!("cannot be written: {denial:?}"),
            }
        }
        self.bytes.len()
    }
}

const FLOW: Family = Family::numbered(30);
const PACKET: Family = Family::numbered(Codec::PACKET_FAMILY);
const DP: DpIndex = DpIndex(5);
