//! Random frames for a case: mostly what stations would send, so that addresses are learned and found again, and some junk.

use vlan::addr::MacAddr;
use vlan::model::description::{BridgeKind, Description, Mode, Port, TrunkMode};
use vlan::tag::Tpid;
use vlan::vid::Vid;

use super::cases::{SERVICE_VID, VIDS, WIRE_VIDS, station};
use super::rng::Rng;

/// What arrives: a port's name and a frame.
pub type Sent = (String, Vec<u8>);

/// The conversations of a case.
#[derive(Debug)]
pub struct Traffic {
    description: Description,
    ports: Vec<Port>,
    /// A copy that left, to be answered from where it went, and the address that it came from.
    heard: Vec<(usize, Vec<u8>)>,
    count: u32,
}

impl Traffic {
    /// The stations of a description. `None` if it has no ports.
    pub fn new(description: &Description) -> Option<Traffic> {
        let ports: Vec<Port> = description.trunks.iter().chain(&description.ports).cloned().collect();
        let description = description.clone();
        (!ports.is_empty()).then_some(Traffic { description, ports, heard: Vec::new(), count: 0 })
    }

    /// The next frame.
    pub fn next(&mut self, rng: &mut Rng) -> Sent {
        self.count += 1;
        if !self.heard.is_empty() && rng.chance(60) {
            let (port, mut answer) = self.answer(rng);
            // No two frames are the same: one that came in elsewhere within the last second would be our own, come back.
            if let Some(end) = answer.len().checked_sub(size_of::<u32>()).filter(|end| *end > LONGEST_HEADER)
            {
                answer[end..].copy_from_slice(&self.count.to_be_bytes());
            }
            return (port, answer);
        }
        let port = rng.below(self.ports.len());
        let mut frame = Vec::new();
        frame.extend(self.destination(rng).0);
        frame.extend(self.source(rng, port).0);
        for tag in self.tags(rng, &self.ports[port]) {
            frame.extend(tag);
        }
        frame.extend(self.payload(rng, frame[5]));
        (self.ports[port].name.clone(), frame)
    }

    /// Copies that left: whoever got one may answer.
    pub fn hear(&mut self, outputs: &[Sent]) {
        for (name, frame) in outputs {
            if let Some(port) = self.ports.iter().position(|port| port.name == *name) {
                self.heard.push((port, frame.clone()));
            }
        }
        let surplus = self.heard.len().saturating_sub(8);
        self.heard.drain(..surplus);
    }

    /// From where a copy went, with the tags that it had there, to where it came from.
    fn answer(&self, rng: &mut Rng) -> Sent {
        let (port, frame) = rng.pick(&self.heard);
        let mut answer = frame.clone();
        let from = self.source(rng, *port).0;
        answer.copy_within(6..12, 0);
        answer[6..12].copy_from_slice(&from);
        (self.ports[*port].name.clone(), answer)
    }

    /// Mostly one of the port's two stations; sometimes one that has moved here from another port.
    fn source(&self, rng: &mut Rng, port: usize) -> MacAddr {
        let own = station((port.saturating_sub(self.description.trunks.len())) * 2 + rng.below(2));
        let own =
            if port < self.description.trunks.len() { station(0x100 + port * 2 + rng.below(2)) } else { own };
        match rng.below(100) {
            0 => MacAddr::ZERO,
            1 => MacAddr([0x03, 0, 0, 0, 0, 1]),
            2..=14 => self.anyone(rng),
            _ => self.ports[port].macs.first().copied().unwrap_or(own),
        }
    }

    fn anyone(&self, rng: &mut Rng) -> MacAddr {
        let port = rng.below(self.ports.len());
        match port.checked_sub(self.description.trunks.len()) {
            Some(port) => station(port * 2 + rng.below(2)),
            None => station(0x100 + port * 2 + rng.below(2)),
        }
    }

    fn destination(&self, rng: &mut Rng) -> MacAddr {
        match rng.below(100) {
            0..=54 => self.anyone(rng),
            55..=79 => MacAddr::BROADCAST,
            80..=84 => MacAddr([0x01, 0, 0x5e, 0, 0, 1]),
            85..=86 => MacAddr([0x33, 0x33, 0, 0, 0, 1]),
            87..=90 => MacAddr([0x01, 0x80, 0xc2, 0, 0, rng.below(0x40) as u8]),
            91..=92 => MacAddr([0x01, 0x80, 0xc2, 0, 0, *rng.pick(&[0, 3, 0x0e])]),
            93 => MacAddr([0x01, 0, 0x0c, 0xcc, 0xcc, 0xc0 | rng.below(16) as u8]),
            94 => MacAddr([0x01, 0, 0x0c, 0xcc, 0xcc, 0xcd]),
            95 => MacAddr([0x01, 0x19, 0xa7, 0, 0, 1]),
            96 => MacAddr::ZERO,
            _ => station(0x999),
        }
    }

    /// Tags that suit the port, or any.
    fn tags(&self, rng: &mut Rng, port: &Port) -> Vec<[u8; 4]> {
        let tpid = self.tpid(port);
        let mut tags = match &port.mode {
            Mode::Trunk(trunk) => wire_tags(rng, tpid, trunk),
            Mode::Qinq { .. } if rng.chance(70) => {
                let vid = *rng.pick(&VIDS);
                vec![tag(rng, 0x8100, vid)]
            }
            _ if rng.chance(10) => vec![tag(rng, tpid, 0)],
            _ => Vec::new(),
        };
        if rng.chance(12) {
            let at = rng.below(tags.len() + 1);
            let vid = *rng.pick(&[0, 1, 8, 9, 10, 77, 4094, 4095]);
            let tpid = *rng.pick(&[0x8100, 0x8100, 0x88a8, 0x9100]);
            tags.insert(at, tag(rng, tpid, vid));
        }
        tags
    }

    fn tpid(&self, port: &Port) -> u16 {
        let bridge = self.description.bridges.iter().find(|bridge| bridge.name == port.bridge);
        match bridge.map(|bridge| &bridge.kind) {
            Some(BridgeKind::VlanAware { tpid: Tpid::Service, .. }) => 0x88a8,
            _ => 0x8100,
        }
    }

    /// Mostly IPv4; what a reserved address is used with; a probe now and then; each payload is another.
    fn payload(&self, rng: &mut Rng, last_of_dst: u8) -> Vec<u8> {
        let ether_type: u16 = match rng.below(100) {
            0 => 0x88b5,
            1 => 0x0026,
            _ if last_of_dst == 0x0e && rng.chance(60) => 0x88cc,
            _ => 0x0800,
        };
        let mut payload = ether_type.to_be_bytes().to_vec();
        payload.extend(self.count.to_be_bytes());
        payload.resize(48 + rng.below(8), 0xa5);
        payload
    }
}

fn wire_tags(rng: &mut Rng, tpid: u16, trunk: &TrunkMode) -> Vec<[u8; 4]> {
    if trunk.native.is_some() && rng.chance(30) {
        return if rng.chance(20) { vec![tag(rng, tpid, 0)] } else { Vec::new() };
    }
    let wire: Vec<u16> = match &trunk.vlans {
        Some(vlans) if rng.chance(90) && !vlans.is_empty() => vlans.iter().map(Vid::get).collect(),
        _ => VIDS.into_iter().chain(WIRE_VIDS).collect(),
    };
    let vid = *rng.pick(&wire);
    let mut tags = vec![tag(rng, tpid, vid)];
    if rng.chance(if vid == SERVICE_VID { 85 } else { 10 }) {
        let tpid = if rng.chance(85) { 0x8100 } else { 0x88a8 };
        let vid = VIDS[rng.below(4)];
        tags.push(tag(rng, tpid, vid));
    }
    tags
}

fn tag(rng: &mut Rng, tpid: u16, vid: u16) -> [u8; 4] {
    let pcp = if rng.chance(50) { rng.below(8) as u16 } else { 0 };
    let dei = u16::from(rng.chance(5));
    let [a, b] = tpid.to_be_bytes();
    let [c, d] = (pcp << 13 | dei << 12 | vid).to_be_bytes();
    [a, b, c, d]
}

/// Addresses, four tags and an EtherType.
const LONGEST_HEADER: usize = 30;
