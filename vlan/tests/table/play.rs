//! Plays a story on `vlan::switch::Switch`, and does what the engine does around it: addresses of a port that goes down are
//! flushed, a port is blocked for a while after a BPDU, what was sent into a fabric is remembered.

use std::sync::Arc;
use std::time::Duration;

use vlan::designation::Designation;
use vlan::fdb::{Learned, Slot};
use vlan::frame::{Header, rewrite};
use vlan::model::id::{HostId, Location, PortId};
use vlan::model::topology::Topology;
use vlan::model::vnis::Origin;
use vlan::plane::PortState;
use vlan::plane::{Ingress, Tunnelled};
use vlan::switch::Switch;
use vlan::tag::Pcp;
use vlan::time::Instant;
use vlan::verdict::{Decision, Effect, Egress, Meter, Output, StormClass, Verdict};
use vlan::vid::Vid;

use super::{Fate, Frame, Note, Step, Story, To, What};

/// What differs, a line each, by the line of the table that is not met.
pub fn play(story: &Story) -> Vec<(usize, String)> {
    let topology = match Topology::build(&story.description) {
        Ok(topology) => Arc::new(topology),
        Err(mistakes) => {
            let texts: Vec<&str> = mistakes.iter().map(|mistake| mistake.text.as_str()).collect();
            return vec![(story.line, format!("refused: {}", texts.join("; ")))];
        }
    };
    let switch = Switch::offline(topology, HostId(0));
    let mut stage = Stage { switch, now: Instant::from_secs(1_000), blocked: Vec::new() };
    let act = |step: &Step| stage.act(&step.what).err().map(|difference| (step.line, difference));
    story.steps.iter().filter_map(act).collect()
}

struct Stage {
    switch: Switch,
    now: Instant,
    blocked: Vec<(PortId, Instant)>,
}

impl Stage {
    fn act(&mut self, what: &What) -> Result<(), String> {
        match what {
            What::Frame(frame) => self.send(frame),
            What::Wait(span) => {
                self.wait(*span);
                Ok(())
            }
            What::Down(port) => self.set(port, PortState::Down),
            What::Up(port) => self.set(port, PortState::Up),
            What::Choose => {
                let up = |port: &vlan::model::port::Port| self.switch.port_state(port.id) == PortState::Up;
                let chosen = Designation::among(self.switch.topology(), up);
                self.switch.set_designation(chosen);
                Ok(())
            }
            What::Carry(bridge, vid, trunk) => self.carry(bridge, *vid, trunk),
            What::Put(mac, on, at, vid) => {
                let (on, at) = (self.port(on)?, self.port(at)?);
                let topology = Arc::clone(self.switch.topology());
                let port = topology.port(on);
                let located = topology.locate(port.bridge, port.vids().first().copied(), None);
                let location = Location::Port { port: at, vid: Vid::new(*vid) };
                self.switch.fdb.addresses.declare(
                    located.ok_or("the port is on no segment")?.segment,
                    *mac,
                    location,
                );
                Ok(())
            }
            What::Replace(description) => {
                let topology = Topology::build(description).map_err(|mistakes| format!("{mistakes:?}"))?;
                self.switch.set_topology(Arc::new(topology), HostId(0));
                Ok(())
            }
        }
    }

    fn wait(&mut self, span: Duration) {
        self.now = self.now + span;
        let now = self.now;
        let (over, still): (Vec<_>, Vec<_>) = self.blocked.drain(..).partition(|(_, until)| *until <= now);
        self.blocked = still;
        for (port, _) in over {
            self.switch.set_port_state(port, PortState::Up);
        }
    }

    fn port(&self, name: &str) -> Result<PortId, String> {
        self.switch.topology().port_named(name).map(|port| port.id).ok_or_else(|| format!("no port {name:?}"))
    }

    /// A port, or `via HOST SEGMENT[+FABRIC|+isolated][/CLASS]` for the tunnel; HOST may be an address, and SEGMENT a VNI or a bridge.
    fn ingress(&self, text: &str) -> Result<Ingress, String> {
        let words: Vec<&str> = text.split(' ').collect();
        let ["via", host, way] = words[..] else { return self.port(text).map(Ingress::Port) };
        let topology = self.switch.topology();
        let of_host = topology.host_named(host).and_then(|host| topology.hosts()[host.0 as usize].underlay);
        let remote = of_host.or_else(|| host.parse().ok()).ok_or_else(|| format!("no host {host:?}"))?;
        let (way, class) = way.split_once('/').unwrap_or((way, "0"));
        let (bridge, origin) =
            way.split_once('+').map_or((way, None), |(bridge, origin)| (bridge, Some(origin)));
        let origin = match origin {
            None => Origin::Plain,
            Some("isolated") => Origin::Isolated,
            Some(fabric) => {
                Origin::Group(topology.fabric_named(fabric).ok_or_else(|| format!("no fabric {fabric:?}"))?)
            }
        };
        let segment = || topology.locate(topology.bridge_named(bridge)?.id, None, None);
        let of_bridge = || topology.vni(segment()?.segment.number, origin);
        let vni = bridge.parse().ok().or_else(of_bridge).ok_or_else(|| format!("no VNI of {way:?}"))?;
        let class = class.parse().ok().and_then(Pcp::new).ok_or_else(|| format!("no class {class:?}"))?;
        Ok(Ingress::Tunnel(Tunnelled { remote, vni, class }))
    }

    fn set(&mut self, name: &str, state: PortState) -> Result<(), String> {
        let port = self.port(name)?;
        self.switch.set_port_state(port, state);
        if state == PortState::Down {
            self.switch.fdb.addresses.flush(Slot::Port(port));
        }
        Ok(())
    }

    fn carry(&mut self, bridge: &str, vid: u16, trunk: &str) -> Result<(), String> {
        let trunk = self.port(trunk)?;
        let topology = Arc::clone(self.switch.topology());
        let bridge = topology.bridge_named(bridge).ok_or("no such bridge")?.id;
        let mut designation = self.switch.set_designation(Designation::Everyone);
        designation.assign(&topology, [((bridge, Vid::new(vid).ok_or("no VID")?), trunk)]);
        self.switch.set_designation(designation);
        Ok(())
    }

    fn send(&mut self, frame: &Frame) -> Result<(), String> {
        let ingress = self.ingress(&frame.port)?;
        let mut verdict = Verdict::default();
        let mut steps: Vec<String> = Vec::new();
        let mut learned = None;
        let got = match Header::parse(&frame.bytes) {
            Err(_) => Fate::Drop("malformed".to_owned()),
            Ok(header) => {
                learned = self.switch.forward(self.now, ingress, &header, &mut verdict, &mut steps);
                self.fate(&verdict, &frame.bytes)?
            }
        };
        self.aftermath(&verdict);
        if got != frame.expected {
            let story = steps.join("\n        ");
            return Err(format!(
                "{}\n    expected {}\n         got {}\n        {story}",
                sent(frame),
                show(&frame.expected),
                show(&got)
            ));
        }
        for note in &frame.notes {
            let said = match note {
                Note::Says(words) if steps.iter().any(|step| step.contains(words)) => note.clone(),
                Note::Says(_) => Note::Says(steps.join("\n              ")),
                _ => self.note_of(note, &verdict, learned.as_ref()),
            };
            if said != *note {
                return Err(format!("{}\n    expected {note:?}\n         got {said:?}", sent(frame)));
            }
        }
        Ok(())
    }

    fn aftermath(&mut self, verdict: &Verdict) {
        if let Some(Effect::BlockPort(port)) = verdict.effect {
            self.switch.set_port_state(port, PortState::Blocked);
            self.blocked.push((port, self.now + Duration::from_secs(300)));
        }
        let Some(source) = verdict.source else { return };
        for output in &verdict.outputs {
            let Egress::Port(port) = output.to else { continue };
            if let Some(fabric) = self.switch.topology().port(port).group {
                self.switch.fdb.sent.note(self.now, source.echo(verdict.likeness, fabric));
            }
        }
    }

    fn fate(&self, verdict: &Verdict, bytes: &[u8]) -> Result<Fate, String> {
        Ok(match verdict.decision {
            Decision::Unjudged => return Err("the frame was not judged".to_owned()),
            Decision::Drop(reason) => Fate::Drop(reason.name().to_owned()),
            Decision::Forward => {
                let mut copies = Vec::new();
                for output in &verdict.outputs {
                    let frame = edited(output, bytes)?;
                    copies.extend(self.to(output.to).into_iter().map(|to| (to, frame.clone())));
                }
                copies.sort();
                Fate::Forward(copies)
            }
        })
    }

    fn to(&self, to: Egress) -> Vec<To> {
        let topology = self.switch.topology();
        let host = |host: HostId| To::Host(topology.hosts()[host.0 as usize].name.clone());
        match to {
            Egress::Port(port) => vec![To::Port(topology.port(port).name.clone())],
            Egress::Tunnel { host: to, .. } => vec![host(to)],
            Egress::Hosts { segment, origin, .. } => {
                topology.copies(self.switch.host(), segment, origin).map(|(to, _)| host(to)).collect()
            }
        }
    }

    /// What happened, of the kind that a note speaks of.
    fn note_of(&self, note: &Note, verdict: &Verdict, learned: Option<&Learned>) -> Note {
        let name = |port: PortId| self.switch.topology().port(port).name.clone();
        match note {
            Note::Lesson(_) => Note::Lesson(lesson(learned).to_owned()),
            Note::Meter(..) | Note::Unmetered => match verdict.meter {
                Some(Meter { class, vid, .. }) => {
                    Note::Meter(class_name(class).to_owned(), vid.map_or(0, Vid::get))
                }
                None => Note::Unmetered,
            },
            Note::Blocks(_) | Note::NoEffect => match verdict.effect {
                Some(Effect::BlockPort(port)) => Note::Blocks(name(port)),
                None => Note::NoEffect,
            },
            Note::Withheld(port, _) => {
                let withheld = verdict.withheld.iter().find(|(at, _)| name(*at) == *port);
                let reason = withheld.map_or("nothing", |(_, reason)| reason.name());
                Note::Withheld(port.clone(), reason.to_owned())
            }
            Note::Says(_) => note.clone(),
            Note::Count(port, _) => {
                let slot = self.port(port).map(Slot::Port);
                Note::Count(port.clone(), slot.map_or(0, |slot| self.switch.fdb.addresses.count(slot)))
            }
        }
    }
}

fn edited(output: &Output, bytes: &[u8]) -> Result<Vec<u8>, String> {
    rewrite(bytes, usize::from(output.edit.pop), &output.edit.push).map_err(|error| error.to_string())
}

fn lesson(learned: Option<&Learned>) -> &'static str {
    match learned {
        None => "unlearned",
        Some(Learned::New { .. }) => "new",
        Some(Learned::Refreshed) => "refreshed",
        Some(Learned::Moved { .. }) => "moved",
        Some(Learned::Frozen { .. }) => "frozen",
        Some(Learned::NotLearned(_)) => "not-learned",
        Some(Learned::Undecided { .. }) => "undecided",
        Some(Learned::Refused(_)) => "refused",
    }
}

fn class_name(class: StormClass) -> &'static str {
    match class {
        StormClass::Broadcast => "broadcast",
        StormClass::Multicast => "multicast",
        StormClass::Unknown => "unknown",
    }
}

fn sent(frame: &Frame) -> String {
    format!("{} into {}", frame_text(&frame.bytes), frame.port)
}

fn show(fate: &Fate) -> String {
    match fate {
        Fate::Drop(reason) => format!("drop {reason}"),
        Fate::Forward(copies) => {
            let each: Vec<String> =
                copies.iter().map(|(to, bytes)| format!("{to:?} {}", frame_text(bytes))).collect();
            each.join("\n             ")
        }
    }
}

/// The header in hexadecimal, in groups: destination, source, tags and EtherType.
fn frame_text(bytes: &[u8]) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (addresses, rest) = bytes.split_at(bytes.len().min(12));
    let words: Vec<String> = rest.chunks(4).take(4).map(hex).collect();
    format!("{} {} {}…", hex(&addresses[..6]), hex(&addresses[6..]), words.join(" "))
}
