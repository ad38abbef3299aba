//! `l2gw table`: what every (port, tag) does to a broadcast frame.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::Arc;

use serde::Serialize;
use vlan::addr::MacAddr;
use vlan::frame::Header;
use vlan::model::port::{Mode, Port};
use vlan::model::topology::Topology;
use vlan::switch::Switch;
use vlan::tag::{Pcp, Tag};
use vlan::time::Instant;
use vlan::trace::Silent;
use vlan::verdict::{Decision, Egress, Verdict};
use vlan::vid::Vid;

/// One row: a broadcast frame with these tags arriving at this port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The arrival port.
    pub port: String,
    /// Its tags, the outermost first, each VID and PCP.
    pub tags: Vec<(u16, u8)>,
    /// Where copies leave, in the order of ports.
    pub outputs: Vec<RowOutput>,
    /// Why it is dropped, if it is.
    pub drop: Option<&'static str>,
}

/// A copy that leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RowOutput {
    /// The port it leaves by; for another host `host NAME`.
    pub port: String,
    /// Its tags, the outermost first, each VID and PCP.
    pub tags: Vec<(u16, u8)>,
}

/// Every row of a topology: for each port untagged, VID 0, every VID that any port mentions and one that none does.
pub fn rows(topology: &Arc<Topology>) -> Vec<Row> {
    let mut vids = vids_mentioned(topology);
    vids.extend(vid_not_in(&vids));
    rows_of(topology, &vids)
}

/// The rows of a topology for these VIDs: for each port untagged, VID 0 and each of them.
pub(crate) fn rows_of(topology: &Arc<Topology>, vids: &BTreeSet<Vid>) -> Vec<Row> {
    let mut rows = Vec::new();
    for port in topology.ports() {
        let mut switch = Switch::offline(Arc::clone(topology), port.host);
        rows.push(row(&mut switch, port, None));
        rows.push(row(&mut switch, port, Some(0)));
        rows.extend(vids.iter().map(|vid| row(&mut switch, port, Some(vid.get()))));
    }
    rows
}

fn row(switch: &mut Switch, port: &Port, vid: Option<u16>) -> Row {
    let tpid = tpid_of(switch.topology(), port);
    let tag = vid.map(|vid| {
        Vid::new(vid).map_or(Tag::priority(tpid, Pcp::ZERO), |vid| Tag::new(tpid, vid, Pcp::ZERO))
    });
    let src = port.macs.first().copied().unwrap_or(SOURCE);
    let header = Header { dst: MacAddr::BROADCAST, src, tags: tag.into_iter().collect(), ether_type: ARP };
    let mut verdict = Verdict::default();
    switch.judge(Instant::ZERO, port.id, &header, &mut verdict, &mut Silent);
    let name = |to: Egress| match to {
        Egress::Port(id) => switch.topology().port(id).name.clone(),
        Egress::Tunnel { host, .. } => format!("host {}", switch.topology().hosts()[host.0 as usize].name),
    };
    let outputs = verdict.outputs.iter();
    Row {
        port: port.name.clone(),
        tags: pairs(&header.tags),
        outputs: outputs
            .map(|out| RowOutput { port: name(out.to), tags: pairs(&out.edit.applied_to(&header)) })
            .collect(),
        drop: match verdict.decision {
            Decision::Drop(reason) => Some(reason.name()),
            _ => None,
        },
    }
}

/// A qinq port and a plain one read customer tags, all others their bridge's.
fn tpid_of(topology: &Topology, port: &Port) -> vlan::tag::Tpid {
    match port.mode {
        Mode::Qinq { .. } | Mode::Plain => vlan::tag::Tpid::Customer,
        Mode::Access { .. } | Mode::Trunk(_) => topology.bridge(port.bridge).tpid(),
    }
}

fn pairs(tags: &[Tag]) -> Vec<(u16, u8)> {
    tags.iter().map(|tag| (tag.raw_vid(), tag.pcp().get())).collect()
}

/// Every VID that any port or peering mentions.
pub(crate) fn vids_mentioned(topology: &Topology) -> BTreeSet<Vid> {
    let mut vids: BTreeSet<Vid> = topology.description().vlans.iter().map(|peering| peering.vid).collect();
    for port in topology.ports() {
        vids.extend(port.vids());
        if let Some(trunk) = port.trunk() {
            vids.extend(trunk.native);
            vids.extend(trunk.translated().flat_map(|(wire, bridge)| [wire, bridge]));
        }
        if let Mode::Qinq { customer_vlans: Some(customer), .. } = &port.mode {
            vids.extend(customer.iter());
        }
    }
    vids
}

/// The highest VID that is not among these.
pub(crate) fn vid_not_in(vids: &BTreeSet<Vid>) -> Option<Vid> {
    (1..=Vid::MAX).rev().filter_map(Vid::new).find(|vid| !vids.contains(vid))
}

/// Prints the rows as lines of text or as one JSON list.
///
/// # Errors
/// The output cannot be written.
pub fn print(topology: &Arc<Topology>, json: bool, out: &mut impl Write) -> io::Result<()> {
    let rows = rows(topology);
    if json {
        serde_json::to_writer_pretty(&mut *out, &rows)?;
        return writeln!(out);
    }
    let width = rows.iter().map(|row| row.port.len()).max().unwrap_or(0).max(4);
    writeln!(out, "{:width$}  {:10}  a broadcast frame", "port", "arrives")?;
    let mut previous = "";
    for row in &rows {
        if !previous.is_empty() && previous != row.port {
            writeln!(out)?;
        }
        previous = &row.port;
        writeln!(out, "{:width$}  {:10}  {}", row.port, tags_text(&row.tags), fate(row))?;
    }
    Ok(())
}

pub(crate) fn fate(row: &Row) -> String {
    if let Some(reason) = row.drop {
        return format!("drop {reason}");
    }
    format!("-> {}", copies_text(row))
}

/// Where copies leave, and their tags.
pub(crate) fn copies_text(row: &Row) -> String {
    let copies: Vec<String> =
        row.outputs.iter().map(|out| format!("{} {}", out.port, tags_text(&out.tags))).collect();
    copies.join(", ")
}

pub(crate) fn tags_text(tags: &[(u16, u8)]) -> String {
    if tags.is_empty() {
        return "untagged".to_owned();
    }
    let each: Vec<String> = tags
        .iter()
        .map(|(vid, pcp)| if *pcp == 0 { format!("[{vid}]") } else { format!("[{vid} pcp {pcp}]") })
        .collect();
    each.join("")
}

/// The source of the frames in the table, from the range for documentation (RFC 7042 2.1.2).
const SOURCE: MacAddr = MacAddr([0x00, 0x00, 0x5e, 0x00, 0x53, 0x01]);
/// EtherType of ARP.
const ARP: u16 = 0x0806;
