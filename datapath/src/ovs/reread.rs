//! The codec against itself, for tests: a datagram is read as everything that a kernel may send, and what was read is written and read
//! again.
//!
//! Nothing here is used by a running gateway. It is public so that a fuzzer can reach the codec without the codec being public.

use super::family::{DpIndex, Family, read_family};
use std::net::{IpAddr, Ipv4Addr};

use super::flow::{Dumped, Table, Wanted};
use super::key::Layers;
use super::nla::{NlaIter, NlaWriter};
use super::packet::{Missed, Reader};
use super::transact::{DUMP, Message, Request, read_outcomes, write_request};
use super::tunnel::Tunnel;
use super::watch::read_notices;
use super::{Execute, Flow, Upcall, VportNo, action, dp, flow, meter, packet, vport};

/// How much of a datagram meant something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reread {
    /// Netlink messages.
    pub messages: usize,
    /// Values that were read: outcomes, families, datapaths, ports, flows, counts, meters, upcalls, notices.
    pub values: usize,
    /// How many of them were written again.
    pub written: usize,
}

/// Reads a datagram as everything that it may be, and what can be written again after that.
///
/// # Errors
/// What came back as something else, or could not be written although it was read.
pub fn reread(datagram: &[u8]) -> Result<Reread, String> {
    let mut found = Reread::default();
    read_window(datagram, &mut found)?;
    let mut rest = datagram;
    while let Some((message, behind)) = Message::split(rest) {
        if behind.len() >= rest.len() {
            return Err(format!("{} bytes are left of {}", behind.len(), rest.len()));
        }
        rest = behind;
        found.messages += 1;
        if let Some((_, body)) = message.command() {
            let family = Family::numbered(message.kind);
            read_body(body, &mut found)?;
            let about = [DP, DpIndex(u32::from(message.kind))];
            found.values +=
                about.into_iter().map(|dp| read_notices(family, family, dp, datagram).len()).sum::<usize>();
            read_upcalls(family, datagram, &mut found)?;
        }
    }
    Ok(found)
}

/// As answers to three requests, numbered 0 to 2.
fn read_window(datagram: &[u8], found: &mut Reread) -> Result<(), String> {
    let mut replies = [0; 3];
    let outcomes = read_outcomes(datagram, replies.len(), &mut |index: usize, _: &[u8]| {
        if let Some(count) = replies.get_mut(index) {
            *count += 1;
        }
    });
    match outcomes.len() == replies.len() {
        true => found.values += outcomes.iter().flatten().count(),
        false => return Err(format!("{} outcomes of {} requests", outcomes.len(), replies.len())),
    }
    Ok(())
}

/// As what follows a generic netlink header, of each family.
fn read_body(body: &[u8], found: &mut Reread) -> Result<(), String> {
    let families = usize::from(read_family(body, 1).is_some());
    let datapaths = usize::from(dp::read(body).is_ok()) + usize::from(meter::read(body).is_ok());
    found.values += families + datapaths;
    if let Ok(port) = vport::read(body) {
        found.values += 1;
        rewrite_vport(&port, found)?;
    }
    match (flow::read(body, Some(&TUNNEL)), flow::read_stats(body)) {
        (Ok(Dumped::Flow(flow)), Ok(Some((id, stats)))) if (id, stats) == (flow.id, flow.stats) => {
            found.values += 1;
            rewrite_flow(&flow, found)?;
        }
        (Ok(Dumped::Part(..)), Ok(None)) => found.values += 1,
        (Ok(Dumped::Part(part, _)), other) => return Err(format!("{part:?}, but its counts are {other:?}")),
        (Ok(Dumped::Flow(flow)), other) => return Err(format!("{flow:?}, but its counts are {other:?}")),
        (Ok(Dumped::Alien(alien)), _) => {
            found.values += 1;
            flow::delete_alien(FAMILY, DP, &alien).map_err(|denial| format!("{alien:?}: {denial:?}"))?;
        }
        (Err(_), _) => {}
    }
    Ok(())
}

/// A request to make the port says what the kernel would say of it.
fn rewrite_vport(port: &vport::Description, found: &mut Reread) -> Result<(), String> {
    let (no, link) = (port.port.no, port.port.link.as_str());
    let Ok(request) = vport::create(FAMILY, DP, no, link, port.upcalls_to.unwrap_or(0)) else {
        // A name of 64 KiB, which grew when what is not UTF-8 was replaced.
        return Ok(());
    };
    let again = vport::read(&request.body).map_err(|why| format!("{port:?}: {why}"))?;
    found.written += 1;
    let is_same = again.port.no == no && again.port.link == link && again.upcalls_to == port.upcalls_to;
    if is_same { Ok(()) } else { Err(format!("{port:?} came back as {again:?}")) }
}

/// A request to put the flow says what the kernel would say of it.
fn rewrite_flow(flow: &Flow, found: &mut Reread) -> Result<(), String> {
    let (Some(mask), Some(actions)) = (&flow.mask, &flow.actions) else { return Ok(()) };
    let wanted = Wanted { id: flow.id, key: &flow.key, mask, actions };
    if action::check(actions, Some(&TUNNEL)).is_err() {
        return Ok(());
    }
    let mut writer = NlaWriter::default();
    let table = Table { family: FAMILY, dp: DP, tunnel: Some(TUNNEL) };
    wanted.fill(&mut writer, &table).map_err(|denial| format!("{flow:?}: {denial:?}"))?;
    let body = writer.finish().map_err(|len| format!("{flow:?}: an attribute of {len} bytes"))?;
    let again = flow::read(&body, Some(&TUNNEL)).map_err(|why| format!("{flow:?}: {why}"))?;
    found.written += 1;
    match again {
        Dumped::Flow(again) if wanted.is_kept_as(&again) && again.actions == flow.actions => Ok(()),
        again => Err(format!("{flow:?} came back as {again:?}")),
    }
}

/// As frames without a flow, to a socket of one port and to one of all.
fn read_upcalls(family: Family, datagram: &[u8], found: &mut Reread) -> Result<(), String> {
    for port in [None, Some(VportNo(1))] {
        let mut upcalls = Vec::new();
        read_all(family, port, datagram, &mut upcalls);
        found.values += upcalls.len();
        for upcall in &upcalls {
            if port.is_some_and(|port| port != upcall.vport) {
                return Err(format!("{upcall:?} on the socket of {port:?}"));
            }
            rewrite_upcall(family, port, upcall, found)?;
        }
    }
    Ok(())
}

fn read_all(family: Family, port: Option<VportNo>, datagram: &[u8], upcalls: &mut Vec<Upcall>) {
    let mut reader = Reader::new(family);
    reader.set_tunnel(Some(TUNNEL));
    reader.read(port, datagram, &mut |missed| match missed {
        Missed::First(upcall) => upcalls.push(upcall),
        Missed::Ungrouped => {}
    });
}

/// The frame with its key, as the kernel would send it, is the same upcall; and both can be sent back.
fn rewrite_upcall(
    family: Family,
    port: Option<VportNo>,
    upcall: &Upcall,
    found: &mut Reread,
) -> Result<(), String> {
    let Ok(key) = &upcall.key else { return Ok(()) };
    let mut writer = NlaWriter::behind(&DP.0.to_ne_bytes());
    packet::put_upcall(&mut writer, upcall, &key.opaque);
    let body = writer.finish().map_err(|len| format!("{len} bytes: {upcall:?}"))?;
    let mut bytes = Vec::new();
    let request = Request { head: family.head(packet::OVS_PACKET_CMD_MISS, DUMP), body };
    write_request(&mut bytes, &request, 1);
    let mut again = Vec::new();
    read_all(family, port, &bytes, &mut again);
    if again != [upcall.clone()] {
        return Err(format!("{upcall:?} came back as {again:?}"));
    }
    Layers::read(&key.opaque).map_err(|why| format!("{upcall:?}: {why}"))?;
    let order = Execute {
        vport: Some(upcall.vport),
        frame: upcall.frame.clone(),
        actions: Vec::new(),
        hash: upcall.hash,
    };
    let mut writer = NlaWriter::default();
    packet::fill(&mut writer, DP, &order, None).map_err(|denial| format!("{order:?}: {denial:?}"))?;
    found.written += 1;
    let sent = writer.into_bytes();
    let mut attributes = NlaIter::behind(4, &sent).flatten();
    match attributes.find(|nla| nla.payload == upcall.frame) {
        Some(_) => Ok(()),
        None => Err(format!("{order:?} does not hold its frame")),
    }
}

const DP: DpIndex = DpIndex(5);
const TUNNEL: Tunnel = Tunnel { no: VportNo(9), local: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)) };
const FAMILY: Family = Family::numbered(31);
