//! `l2gw trace`: what becomes of a frame, in words, without root and without a daemon.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use agent::regular::{read_bounded, read_bytes};
use agent::view::{Elsewhere, TraceOutput, TraceView};
use vlan::addr::MacAddr;
use vlan::designation::Designation;
use vlan::frame::{Header, MalformedFrame};
use vlan::model::id::{HostId, PortId};
use vlan::model::port::{Mode, Port};
use vlan::model::topology::Topology;
use vlan::switch::Switch;
use vlan::tag::{Pcp, Tag, Tpid};
use vlan::time::Instant;
use vlan::trace::{Silent, Story, reason::sentence};
use vlan::verdict::{Decision, DropReason, Seen, Verdict};
use vlan::vid::Vid;

use crate::cli::args::TraceRequest;
use crate::cli::failure::{say, warn};
use crate::cli::paste::{self, PasteError};
use crate::cli::{DONE, FAILED, WRONG_USAGE, pcap};

use assumed::{Asked, Assumed};

pub(in crate::cli) mod across;
pub(in crate::cli) mod assumed;

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
    /// A link that several ports have, each on a host of its own.
    #[error("--{option}: {link:?} is the link of {}; name one of the ports", .ports.join(" and "))]
    ManyPorts {
        /// The command line option.
        option: &'static str,
        /// The link.
        link: String,
        /// The ports.
        ports: Vec<String>,
    },
    /// Not bytes of one frame.
    #[error("--frame: {0}; {FRAMES}")]
    Hex(PasteError),
    /// `@` and nothing behind it.
    #[error("--frame: \"@\" names no file, allowed is @FILE")]
    NoFile,
    /// What the frame is in cannot be read, or is not the bytes of one frame.
    #[error("--frame: {name}: {why}")]
    Unreadable {
        /// The file, or standard input.
        name: String,
        /// Why not.
        why: String,
    },
    /// Not `PORT=MAC[@VID]`.
    #[error("--learn: {0:?} is not PORT=MAC, PORT=MAC@VID or PORT=MAC@VID.VID")]
    Learn(String),
    /// Without the next tag nobody knows which VLAN of the inner bridge it is.
    #[error(
        "--learn: VLAN {vid} of {outer} leads into {inner}, which classifies by the next tag; say both: {port}={mac}@{vid}.VID"
    )]
    NoNextTag {
        /// What was given.
        port: String,
        /// What was given.
        mac: MacAddr,
        /// The VLAN.
        vid: Vid,
        /// Its bridge.
        outer: String,
        /// The bridge that it leads into.
        inner: String,
    },
    /// A next tag where it would be payload.
    #[error("--learn: {next} of {text:?} is one tag too many: {place} classifies by no tag behind its own")]
    NextTag {
        /// What was given.
        text: String,
        /// The VID that is too many.
        next: Vid,
        /// Where.
        place: String,
    },
    /// The port would not learn it.
    #[error("--learn: {text:?} is not learned there: {why}")]
    NotLearned {
        /// What was given.
        text: String,
        /// Why.
        why: &'static str,
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

impl TraceError {
    /// How a verb ends by it: what is in a file is no word of the command line.
    pub fn exit_code(&self) -> u8 {
        match self {
            TraceError::Unreadable { .. } => FAILED,
            _ => WRONG_USAGE,
        }
    }
}

fn known(near: &Option<String>) -> String {
    near.as_ref().map(|near| format!(", did you mean {near:?}?")).unwrap_or_default()
}

/// Traces frames through one topology.
pub struct Tracer {
    switch: Switch,
    port: PortId,
    /// What was taught, for other hosts' switches as well.
    taught: Vec<String>,
    assumed: Assumed,
}

impl Tracer {
    /// A switch as it is offline, with the arrival port `port`.
    ///
    /// # Errors
    /// No such port.
    pub fn new(topology: &Arc<Topology>, port: &str) -> Result<Tracer, TraceError> {
        let found = find(topology, "port", port)?;
        let (id, host): (PortId, HostId) = (found.id, found.host);
        let (mut switch, assumed) = (Switch::offline(Arc::clone(topology), host), Assumed::all_up(topology));
        assumed.set(&mut switch);
        Ok(Tracer { switch, port: id, taught: Vec::new(), assumed })
    }

    /// Says which trunk carries a VLAN: `VID=TRUNK`. Of the others it is the one that is chosen while all links are up.
    ///
    /// # Errors
    /// Not of that form, no such trunk, one of no group, or one without that VLAN.
    pub fn designate(&mut self, text: &str) -> Result<(), TraceError> {
        let refuse = || TraceError::Designated(text.to_owned());
        let (vid, name) = text.split_once('=').ok_or_else(refuse)?;
        let vid: Vid = vid.parse().map_err(|_| refuse())?;
        let topology = Arc::clone(self.switch.topology());
        let trunk = find(&topology, "designated", name)?;
        if trunk.group.is_none() {
            return Err(TraceError::NoGroup { port: name.to_owned() });
        }
        if !trunk.is_member(vid) {
            let (port, vid) = (name.to_owned(), vid.to_string());
            return Err(TraceError::NoVlan { option: "designated", port, vid });
        }
        self.assumed.tell(&topology, [(trunk, vid)]);
        self.assumed.set(&mut self.switch);
        Ok(())
    }

    /// Teaches where an address is: `PORT=MAC`, on a trunk `PORT=MAC@VID` with the bridge VID; where that VLAN leads into another
    /// VLAN-aware bridge, `PORT=MAC@VID.VID` with the VLAN of that bridge.
    ///
    /// # Errors
    /// Not of that form, no such port, or not a VLAN of that port.
    pub fn learn(&mut self, text: &str) -> Result<(), TraceError> {
        self.learn_here(text)?;
        self.taught.push(text.to_owned());
        Ok(())
    }

    /// The switch of another host that knows the same.
    fn switch_at(&self, host: HostId) -> Switch {
        let switch = Switch::offline(Arc::clone(self.switch.topology()), host);
        let (taught, assumed) = (Vec::new(), self.assumed.clone());
        let mut there = Tracer { switch, port: self.port, taught, assumed };
        // What one host would not learn another may, and the other way round.
        self.taught.iter().for_each(|text| drop(there.learn_here(text)));
        there.assumed.set(&mut there.switch);
        there.switch
    }

    fn learn_here(&mut self, text: &str) -> Result<(), TraceError> {
        let refuse = || TraceError::Learn(text.to_owned());
        let (name, rest) = text.split_once('=').ok_or_else(refuse)?;
        let (mac, vids) = rest.split_once('@').unwrap_or((rest, ""));
        let (vid, next) = match vids.split_once('.') {
            Some((vid, next)) => (vid, Some(next)),
            None => (vids, None),
        };
        let number = |text: &str| text.parse::<Vid>().map_err(|_| refuse());
        let vid = if rest.contains('@') { Some(number(vid)?) } else { None };
        let next = next.map(number).transpose()?;
        let src: MacAddr = mac.parse().map_err(|_| refuse())?;
        let topology = Arc::clone(self.switch.topology());
        let port = find(&topology, "learn", name)?;
        let tag = lesson_tag(&topology, port, vid)?;
        let next = next_tag(&topology, port, (text, src), vid, next)?;
        let tags = tag.into_iter().chain(next).collect();
        let header = Header { dst: MacAddr::BROADCAST, src, tags, ether_type: 0x0806 };
        let designation = self.switch.set_designation(Designation::Everyone);
        let mut verdict = Verdict::default();
        let learned = self.switch.forward(Instant::ZERO, port.id, &header, &mut verdict, &mut Silent);
        self.switch.set_designation(designation);
        let why = match (learned.and_then(|learned| learned.refusal()), learned, verdict.decision) {
            (Some(why), ..) | (None, None, Decision::Drop(why)) => sentence(why),
            (None, None, _) => "it is the null address, which no station has",
            (None, Some(_), _) if self.is_known(&verdict) => return Ok(()),
            (None, Some(_), _) => sentence(DropReason::AddressLimit),
        };
        Err(TraceError::NotLearned { text: text.to_owned(), why })
    }

    /// Whether the source of a frame is now known to be where it was seen.
    fn is_known(&self, verdict: &Verdict) -> bool {
        let find = |seen: Seen| {
            self.switch.fdb.addresses.find(Instant::ZERO, seen.segment, seen.mac) == Some(seen.location)
        };
        verdict.source.is_some_and(find)
    }

    /// The types of the tags that classify a frame which arrives here: that of the port's bridge, and that of the bridge into which the
    /// VLAN of the first tag leads.
    pub fn tpids(&self, vids: &[u16]) -> [Tpid; 2] {
        let topology = self.switch.topology();
        let port = topology.port(self.port);
        let vid = match &port.mode {
            Mode::Trunk(trunk) => vids.first().and_then(|vid| trunk.bridge_vid(Vid::new(*vid)?)),
            Mode::Plain | Mode::Access { .. } | Mode::Qinq { .. } => None,
        };
        let inner = vid.and_then(|vid| topology.inner_bridge(port.bridge, vid));
        let second = inner.map_or(Tpid::Customer, |inner| topology.bridge(inner).tpid());
        [if matches!(port.mode, Mode::Qinq { .. }) { Tpid::Customer } else { port.tpid }, second]
    }

    /// What becomes of a frame.
    pub fn trace(&mut self, frame: &[u8]) -> TraceView {
        let header = match Header::parse(frame) {
            Ok(header) => header,
            Err(error) => return malformed(error),
        };
        let (mut verdict, mut story) = (Verdict::default(), Story::default());
        self.switch.forward(Instant::ZERO, self.port, &header, &mut verdict, &mut story);
        let (topology, host) = (self.switch.topology(), self.switch.host());
        let mut view = TraceView::of((topology, host), frame, &verdict, story);
        let mut asked = Asked::new();
        assumed::note(&mut asked, &verdict);
        across::follow(topology, host, (&mut view, &mut asked), |other| self.switch_at(other));
        view.assumed = self.assumed.in_words(topology, &asked);
        view
    }
}

fn malformed(error: MalformedFrame) -> TraceView {
    let (reason, why) = (DropReason::Malformed, sentence(DropReason::Malformed));
    TraceView::malformed(format!("{error}: dropped ({reason}): {why}"))
}

/// The port with this name, else the one on the link with this name.
fn find<'a>(topology: &'a Topology, option: &'static str, name: &str) -> Result<&'a Port, TraceError> {
    if let Some(port) = topology.port_named(name) {
        return Ok(port);
    }
    let on_link: Vec<&Port> = topology.ports().iter().filter(|port| port.link == name).collect();
    match on_link[..] {
        [port] => Ok(port),
        [] => {
            let names = topology.ports().iter().map(|port| port.name.as_str());
            let near = vlan::model::nearest::nearest(name, names).map(str::to_owned);
            Err(TraceError::UnknownPort { option, name: name.to_owned(), near })
        }
        _ => {
            let host = |port: &Port| &topology.hosts()[port.host.0 as usize].name;
            let ports = on_link.iter().map(|port| format!("{} on {}", port.name, host(port))).collect();
            Err(TraceError::ManyPorts { option, link: name.to_owned(), ports })
        }
    }
}

/// The tag behind the VLAN's own with which a frame arrives at `port`. It has to be given if another bridge classifies by it.
fn next_tag(
    topology: &Topology,
    port: &Port,
    (text, mac): (&str, MacAddr),
    vid: Option<Vid>,
    next: Option<Vid>,
) -> Result<Option<Tag>, TraceError> {
    let own = match &port.mode {
        Mode::Plain => None,
        Mode::Access { vid } | Mode::Qinq { vid, .. } => Some(*vid),
        Mode::Trunk(trunk) => vid.or(trunk.native),
    };
    let outer = || topology.bridge(port.bridge).name.clone();
    let inner =
        own.and_then(|vid| topology.inner_bridge(port.bridge, vid)).map(|inner| topology.bridge(inner));
    match (own, inner, next) {
        (_, Some(inner), Some(next)) => Ok(Some(Tag::new(inner.tpid(), next, Pcp::ZERO))),
        (Some(vid), Some(inner), None) => Err(TraceError::NoNextTag {
            port: port.name.clone(),
            mac,
            vid,
            outer: outer(),
            inner: inner.name.clone(),
        }),
        (own, None, Some(next)) => {
            let place = own.map_or_else(outer, |vid| format!("VLAN {vid} of {}", outer()));
            Err(TraceError::NextTag { text: text.to_owned(), next, place })
        }
        (_, _, None) => Ok(None),
    }
}

/// The tag with which a frame arrives at `port` in bridge VLAN `vid`.
fn lesson_tag(topology: &Topology, port: &Port, vid: Option<Vid>) -> Result<Option<Tag>, TraceError> {
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

/// The bytes of a frame as people have it at hand: see [`paste`].
///
/// # Errors
/// Not the bytes of one frame.
pub fn from_hex(text: &str) -> Result<Vec<u8>, TraceError> {
    paste::frame(text).map_err(TraceError::Hex)
}

/// The frame that a command line gives: made of `fields`, in hexadecimal, or in a file or standard input. `tpids` are the types of
/// the first tags of one that is made.
///
/// # Errors
/// It cannot be read, or is not the bytes of one frame.
pub(crate) fn frame_of(request: &TraceRequest, tpids: [Tpid; 2]) -> Result<Vec<u8>, TraceError> {
    match request.frame.as_deref() {
        None => Ok(request.fields.frame(tpids)),
        Some("-") => read_from("standard input", read_bounded(io::stdin(), MAX_BYTES)),
        Some(text) => match text.strip_prefix('@') {
            Some("") => Err(TraceError::NoFile),
            Some(path) => read_from(path, read_bytes(Path::new(path), MAX_BYTES)),
            None => from_hex(text),
        },
    }
}

fn read_from(name: &str, read: Result<Vec<u8>, String>) -> Result<Vec<u8>, TraceError> {
    let text = read.and_then(|bytes| {
        String::from_utf8(bytes).map_err(|_| "is no text; a capture is given by --pcap".to_owned())
    });
    let frame = text.and_then(|text| paste::frame(&text).map_err(|why| format!("{why}; {FRAMES}")));
    frame.map_err(|why| TraceError::Unreadable { name: name.to_owned(), why })
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
    print_story(answer, out)?;
    for Elsewhere { host, unknown, story } in &answer.elsewhere {
        let unknown = if unknown.is_empty() { String::new() } else { format!(" ({unknown})") };
        writeln!(out, "at host {host}{unknown}:")?;
        print_story(story, out)?;
    }
    match answer.elsewhere_too {
        0 => {}
        1 => writeln!(out, "and at 1 more host")?,
        more => writeln!(out, "and at {more} more hosts")?,
    }
    answer.assumed.iter().try_for_each(|assumed| writeln!(out, "{assumed}"))
}

fn print_story(answer: &TraceView, out: &mut impl Write) -> io::Result<()> {
    for (number, step) in (1..).zip(&answer.steps) {
        let about = answer.about.iter().find(|about| about.step == number);
        let declared_at = about.and_then(|about| about.declared_at.as_ref());
        let declared_at = declared_at.map_or_else(String::new, |place| format!(" ({place})"));
        writeln!(out, "{number:2}. {step}{declared_at}")?;
    }
    for output in &answer.outputs {
        match output {
            TraceOutput::Port { port, frame } => writeln!(out, "    {port}: {frame}")?,
            TraceOutput::Host { host, vni, frame, .. } => {
                writeln!(out, "    host {host}, VNI {vni}: {frame}")?
            }
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
            say(&error, err)?;
            return Ok(Ok(FAILED));
        }
    };
    let mut assumed = BTreeSet::new();
    for (index, frame) in capture.frames.into_iter().enumerate() {
        match answer(frame) {
            Ok(answer) => {
                print_line(index + 1, &answer, json, out)?;
                assumed.extend(answer.assumed.into_iter().filter(|_| !json));
            }
            Err(error) => return Ok(Err(error)),
        }
    }
    assumed.iter().try_for_each(|assumed| warn(assumed, err))?;
    if let Some(remark) = capture.remark {
        warn(&remark, err)?;
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

/// What is taken for a frame.
const FRAMES: &str = "give the frame as pairs of hexadecimal digits or as a dump of `tcpdump -xx` or Wireshark, from the destination address on, without FCS";
/// Most bytes of a text that has one frame: a dump of the longest frame takes less than a tenth of that.
const MAX_BYTES: u64 = 4 << 20;
