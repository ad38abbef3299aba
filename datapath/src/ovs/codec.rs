//! What passes between this program and the kernel for a first frame, as bytes and without a socket, for benchmarks.
//!
//! Nothing here is used by a running gateway. It is public so that the codec can be measured without being public.

use super::family::Family;
use super::flow::{Table, Wanted};
use super::packet::{Missed, Reader};
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
        Reader::new(PACKET).read(Some(port), datagram, &mut |missed| match missed {
            Missed::First(upcall) => upcalls.push(upcall),
            Missed::Ungrouped => {}
        });
    }

    /// Writes frames to be sent and flows to be put, as they would go out; how many bytes.
    pub fn write(&mut self, flows: &[FlowChange], frames: &[Execute]) -> usize {
        self.out.clear();
        frames.iter().for_each(|order| packet::execute(&mut self.out, PACKET, FLOWS.dp, (order, None)));
        flows.iter().filter_map(Wanted::of).for_each(|wanted| wanted.create(&mut self.out, &FLOWS));
        self.out.bytes_len()
    }
}

const FLOWS: Table = Table::numbered(30, 5);
const PACKET: Family = Family::numbered(Codec::PACKET_FAMILY);
