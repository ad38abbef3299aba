//! `l2gw trace`: what becomes of a frame, in words, without root and without a daemon.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use agent::view::{TraceOutput, TraceView};
use vlan::addr::MacAddr;
use vlan::designation::Designation;
use vlan::frame::{Header, MalformedFrame};
use vlan::model::id::{HostId, PortId};
use vlan::model::port::{Mode, Port};
use vlan::model::topology::Topology;
use vlan::switch::Switch;
use vlan::tag::{Pcp, Tag};
use vlan::time::Instant;
use vlan::trace::{Silent, reason::sentence};
use vlan::verdict::{Decision, DropReason, Verdict};
use vlan::vid::Vid;

use crate::cli::{DONE, FAILED, pcap};

/// Why a trace cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// No such port.
    #[error("--{option}: {name:?} is no port of this file{}", known(.near))]
    UnknownPort {
        /// The command line option.
        option: &'static str,
        /// What was given.
        name: String,
        /// The nearest name there is.
        near: Option<String>,
    },
    /// Not hexadecimal bytes.
    #[error(
        "--frame: {0}; give the frame as pairs of hexadecimal digits, from the destination address on, without FCS"
    )]
    Hex(String),
    /// Not `PORT=MAC[@VID]`.
    #[error("--learn: {0:?} is not PORT=MAC or PORT=MAC@VID")]
    Learn(String),
    /// The port would not learn it.
    #[error("--learn: {text:?} is not learned there: {}", sentence(*.why))]
    NotLearned {
        /// What was given.
        text: String,
        /// Why.
        why: DropReason,
    },
    /// Not one of several that could carry a VLAN.
    #[error(
        "--designated: {port:?} is in no group of trunks, only the trunks of a bridge with redundancy \"designated\" are told who carries a VLAN"
    )]
    NoGroup {
        /// The port's name.
        port: String,
    },
    /// Not `VID=TRUNK`.
    #[error("--designated: {0:?} is not VID=TRUNK, with a bridge VID from 1 to 4094")]
    Designated(String),
    /// The port has no such VLAN.
    #[error("--{option}: port {port:?} has no VLAN {vid}")]
    NoVlan {
        /// The command line option.
        option: &'static str,
        /// The port's name.
        port: String,
        /// What was asked for.
        vid: String,
    },
}

fn known(near: &Option<String>) -> String {
    near.as_ref().map(|near| format!(", did you mean {near:?}?")).unwrap_or_default()
}

/// Traces frames through one topology.
pub struct Tracer {
    switch: Switch,
    port: PortId,
}

impl Tracer {
    /// A switch as it is offline, with the arrival port `port`.
    ///
    /// # Errors
    /// No such port.
    pub fn new(topology: &Arc<Topology>, port: &str) -> Result<Tracer, TraceError> {
        let found = find(topology, "port", port)?;
        let (id, host): (PortId, HostId) = (found.id, found.host);
        Ok(Tracer { switch: Switch::offline(Arc::clone(topology), host), port: id })
    }

    /// Says which trunk carries a VLAN: `VID=TRUNK`.
    ///
    /// # Errors
    /// Not of that form, no such trunk, one of no group, or one without that VLAN.
    pub fn designate(&mut self, text: &str) -> Result<(), TraceError> {
        let refuse = || TraceError::Designated(text.to_owned());
        let (vid, name) = text.split_once('=').ok_or_else(refuse)?;
        let vid = vid.parse().ok().and_then(Vid::new).ok_or_else(refuse)?;
        let topology = Arc::clone(self.switch.topology());
        let trunk = find(&topology, "designated", name)?;
        if trunk.group.is_none() {
            return Err(TraceError::NoGroup { port: name.to_owned() });
        }
        if !trunk.is_member(vid) {
            let (port, vid) = (name.to_owned(), vid.to_string());
            return Err(TraceError::NoVlan { option: "designated", port, vid });
        }
        let mut designation = self.switch.designation().clone();
        designation.assign(&topology, trunk.bridge, vid, trunk.id);
        self.switch.set_designation(designation);
        Ok(())
    }

    /// Teaches where an address is: `PORT=MAC`, on a trunk `PORT=MAC@VID` with the bridge VID.
    ///
    /// # Errors
    /// Not of that form, no such port, or not a VLAN of that port.
    pub fn learn(&mut self, text: &str) -> Result<(), TraceError> {
        let refuse = || TraceError::Learn(text.to_owned());
        let (name, rest) = text.split_once('=').ok_or_else(refuse)?;
        let (mac, vid) = match rest.split_once('@') {
            Some((mac, vid)) => (mac, Some(vid.parse::<u16>().ok().and_then(Vid::new).ok_or_else(refuse)?)),
            None => (rest, None),
        };
        let src: MacAddr = mac.parse().map_err(|_| refuse())?;
        let topology = Arc::clone(self.switch.topology());
        let port = find(&topology, "learn", name)?;
        let tags = lesson_tags(&topology, port, vid)?;
        let header =
            Header { dst: MacAddr::BROADCAST, src, tags: tags.into_iter().collect(), ether_type: 0x0806 };
        let designation = self.switch.set_designation(Designation::Everyone);
        let mut verdict = Verdict::default();
        let learned = self.switch.forward(Instant::ZERO, port.id, &header, &mut verdict, &mut Silent);
        self.switch.set_designation(designation);
        match (learned.and_then(|learned| learned.refusal()), learned, verdict.decision) {
            (Some(why), ..) | (None, None, Decision::Drop(why)) => {
                Err(TraceError::NotLearned { text: text.to_owned(), why })
            }
            _ => Ok(()),
        }
    }

    /// What becomes of a frame.
    pub fn trace(&mut self, frame: &[u8]) -> TraceView {
        let header = match Header::parse(frame) {
            Ok(header) => header,
            Err(error) => return malformed(error),
        };
        let (mut verdict, mut steps) = (Verdict::default(), Vec::new());
        self.switch.forward(Instant::ZERO, self.port, &header, &mut verdict, &mut steps);
        TraceView::of(self.switch.topology(), frame, &verdict, steps)
    }
}

fn malformed(error: MalformedFrame) -> TraceView {
    let (reason, why) = (DropReason::Malformed, sentence(DropReason::Malformed));
    TraceView::malformed(format!("{error}: dropped ({reason}): {why}"))
}

fn find<'a>(topology: &'a Topology, option: &'static str, name: &str) -> Result<&'a Port, TraceError> {
    topology.port_named(name).ok_or_else(|| {
        let names = topology.ports().iter().map(|port| port.name.as_str());
        let near = vlan::model::nearest::nearest(name, names).map(str::to_owned);
        TraceError::UnknownPort { option, name: name.to_owned(), near }
    })
}

/// The tags with which a frame arrives at `port` in bridge VLAN `vid`.
fn lesson_tags(topology: &Topology, port: &Port, vid: Option<Vid>) -> Result<Option<Tag>, TraceError> {
    let no_vlan =
        |vid: &str| TraceError::NoVlan { option: "learn", port: port.name.clone(), vid: vid.to_owned() };
    let tpid = topology.bridge(port.bridge).tpid();
    match (&port.mode, vid) {
        (Mode::Trunk(trunk), Some(vid)) => {
            let wire = trunk.wire_vid(vid).ok_or_else(|| no_vlan(&vid.to_string()))?;
            Ok(Some(Tag::new(tpid, wire, Pcp::ZERO)))
        }
        (Mode::Trunk(trunk), None) if trunk.native.is_none() => Err(no_vlan("(none given; say MAC@VID)")),
        (Mode::Access { vid: own } | Mode::Qinq { vid: own, .. }, Some(vid)) if *own != vid => {
            Err(no_vlan(&vid.to_string()))
        }
        (Mode::Plain, Some(vid)) => Err(no_vlan(&vid.to_string())),
        _ => Ok(None),
    }
}

/// Hexadecimal digits as bytes; spaces, colons and line ends between them are passed over.
///
/// # Errors
/// Anything else, or an odd number of digits.
pub fn from_hex(text: &str) -> Result<Vec<u8>, TraceError> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_ascii_whitespace() && *c != ':').collect();
    if let Some(bad) = digits.iter().find(|c| !c.is_ascii_hexdigit()) {
        return Err(TraceError::Hex(format!("{bad:?} is not a hexadecimal digit")));
    }
    if digits.len() % 2 == 1 {
        return Err(TraceError::Hex(format!("{} digits are no whole number of bytes", digits.len())));
    }
    let value = |c: &char| c.to_digit(16).unwrap_or(0) as u8;
    Ok(digits.chunks(2).map(|pair| value(&pair[0]) << 4 | value(&pair[1])).collect())
}

/// Prints an answer as text or as JSON on one line.
///
/// # Errors
/// The output cannot be written.
pub fn print(answer: &TraceView, json: bool, out: &mut impl Write) -> io::Result<()> {
    if json {
        serde_json::to_writer(&mut *out, answer)?;
        return writeln!(out);
    }
    for (number, step) in answer.steps.iter().enumerate() {
        writeln!(out, "{:2}. {step}", number + 1)?;
    }
    for output in &answer.outputs {
        match output {
            TraceOutput::Port { port, frame } => writeln!(out, "    {port}: {frame}")?,
            TraceOutput::Host { host, vni, frame } => writeln!(out, "    host {host}, VNI {vni}: {frame}")?,
        }
    }
    Ok(())
}

/// Tells what becomes of each frame of a capture, a line each, until `answer` fails; the exit code.
///
/// # Errors
/// The output cannot be written; inside, why there is no answer.
pub fn tell_capture<E>(
    path: &Path,
    json: bool,
    out: &mut impl Write,
    err: &mut impl Write,
    mut answer: impl FnMut(Vec<u8>) -> Result<TraceView, E>,
) -> io::Result<Result<u8, E>> {
    let capture = match pcap::read(path) {
        Ok(capture) => capture,
        Err(error) => {
            writeln!(err, "l2gw: {error}")?;
            return Ok(Ok(FAILED));
        }
    };
    for (index, frame) in capture.frames.into_iter().enumerate() {
        match answer(frame) {
            Ok(answer) => print_line(index + 1, &answer, json, out)?,
            Err(error) => return Ok(Err(error)),
        }
    }
    if let Some(remark) = capture.remark {
        writeln!(err, "warning: {remark}")?;
    }
    Ok(Ok(DONE))
}

/// One line for one frame of a capture.
///
/// # Errors
/// The output cannot be written.
fn print_line(number: usize, answer: &TraceView, json: bool, out: &mut impl Write) -> io::Result<()> {
    if json {
        return print(answer, true, out);
    }
    let copies: Vec<&str> = answer
        .outputs
        .iter()
        .map(|output| match output {
            TraceOutput::Port { port, .. } => port.as_str(),
            TraceOutput::Host { host, .. } => host.as_str(),
        })
        .collect();
    let end = answer.drop.clone().unwrap_or_else(|| copies.join(" "));
    writeln!(out, "{number}: {} {end}", answer.verdict)
}
