//! What a datapath does with a frame by its tables alone, step by step as the tables' essay has them.

use vlan::addr::MacAddr;
use vlan::fdb::reflect::Likeness;
use vlan::frame::Header;
use vlan::model::id::SegmentId;
use vlan::tag::is_tag_type;
use vlan::verdict::{Decision, DropReason, StormClass};

use super::actions::InFlight;
use super::host::{Host, Limits};
use super::kernel::Kernel;
use super::learn::{Learning, Sighting};
use crate::port::VportNo;
use crate::tables::{
    Admission, Arrives, AttachmentRule, ControlClass, ControlFlood, ControlRule, Discard, Exit, GroupId,
    Ingress, PortGate, PortRule, Route, StormMeter, TableEvent,
};

/// The end of a frame's walk.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Drop(DropReason),
    Send(Departure),
}

/// Copies to be sent.
#[derive(Debug, PartialEq, Eq)]
struct Departure {
    exits: Vec<Exit>,
    storm: Option<StormMeter>,
    /// Whose frame it is, if it may come back from where it goes and is no move then.
    source: Option<Source>,
}

/// Segment, source address, and what the frame would look like if it came back.
type Source = (SegmentId, MacAddr, Likeness);

/// A walk that ends early does so with an `Err`.
type Step<T> = Result<T, End>;

impl Host {
    pub(super) fn receive_by_tables(&mut self, vport: VportNo, frame: &[u8]) {
        let (now, limits) = (self.now, self.limits);
        let Some(kernel) = self.kernel_mut() else { return };
        let end = match Header::parse(frame) {
            Ok(header) => {
                let mut walk = Walk { learning: &mut kernel.learning, limits, now, vport, header: &header };
                let end = walk.run_to_end();
                Some((header, end))
            }
            Err(_) => None,
        };
        match end {
            None => count(kernel, vport, Decision::Drop(DropReason::Malformed)),
            Some((_, End::Drop(reason))) => count(kernel, vport, Decision::Drop(reason)),
            Some((header, End::Send(departure))) => self.send(vport, &header, frame, departure),
        }
    }

    fn send(&mut self, vport: VportNo, header: &Header, frame: &[u8], departure: Departure) {
        let Departure { exits, storm, source } = departure;
        if storm.is_some_and(|storm| !self.passes(storm.vlan) || !self.passes(storm.port)) {
            if let Some(port) = self.kernel_mut().and_then(|kernel| kernel.port_mut(vport)) {
                port.table_stats.metered += 1;
            }
            return;
        }
        for exit in exits {
            let mut copy = InFlight::new(frame);
            for _ in 0..exit.pop {
                if !copy.pop() {
                    self.faults.push(format!("exit to {} pops a tag that is not there", exit.vport));
                }
            }
            for tag in exit.tags(header).into_iter().rev() {
                copy.push(tag, self.options.keeps_dei);
            }
            self.output(exit.vport, &copy);
            self.note_sent(source, exit.group);
        }
        if let Some(kernel) = self.kernel_mut() {
            count(kernel, vport, Decision::Forward);
        }
    }

    fn note_sent(&mut self, source: Option<Source>, group: Option<GroupId>) {
        let now = self.now;
        if let (Some(kernel), Some(source), Some(group)) = (self.kernel_mut(), source, group) {
            kernel.learning.note_sent(now, source, group);
        }
    }
}

fn count(kernel: &mut Kernel, vport: VportNo, decision: Decision) {
    let Some(port) = kernel.port_mut(vport) else { return };
    match decision {
        Decision::Forward => port.table_stats.forwarded += 1,
        Decision::Drop(reason) => port.table_stats.count_drop(reason),
        Decision::Unjudged => {}
    }
}

/// A frame on its way through the tables.
struct Walk<'a> {
    learning: &'a mut Learning,
    limits: Limits,
    now: vlan::time::Instant,
    vport: VportNo,
    header: &'a Header,
}

impl Walk<'_> {
    fn run_to_end(&mut self) -> End {
        self.walk().unwrap_or_else(|end| end)
    }

    fn walk(&mut self) -> Step<End> {
        let port = self.open_port()?;
        let control = ControlClass::of(self.header);
        let mut unadmitted = None;
        if let Some(class) = control {
            unadmitted = self.control(&port, class)?.map(|discard| (class, discard));
        }
        let admission = match (self.admission(), unadmitted) {
            (Ok(admission), _) => admission,
            (Err(_), Some((class, discard))) => return Err(self.discard(class, discard)),
            (Err(end), None) => return Err(end),
        };
        let attachment =
            self.learning.tables.attachments.get(&admission.attachment).cloned().unwrap_or_default();
        let control_exits = control.map(|class| self.control_exits(class, &attachment)).transpose()?;
        admission.closed.map_or(Ok(()), |reason| Err(End::Drop(reason)))?;
        self.check_source(&port)?;
        self.check_tags(&port, &admission)?;
        let seen = self.sighting(&admission);
        if let Some(exits) = control_exits {
            self.learning.keeps_out(self.now, seen).map_or(Ok(()), |reason| Err(End::Drop(reason)))?;
            return Ok(self.flood(exits, None, None));
        }
        if self.header.src.is_zero() {
            self.learning.keeps_out(self.now, seen).map_or(Ok(()), |reason| Err(End::Drop(reason)))?;
        } else {
            self.learning.learn(self.now, seen, &self.limits).map_err(End::Drop)?;
        }
        Ok(self.to_destination(&admission, attachment))
    }

    fn sighting(&self, admission: &Admission) -> Sighting {
        let Admission { place, learn, group, .. } = *admission;
        let (segment, likeness) = (admission.segment_of(self.header), self.likeness(admission));
        Sighting { segment, mac: self.header.src, likeness, place, learn, group }
    }

    fn likeness(&self, admission: &Admission) -> Likeness {
        let ether_type = self.header.type_after(usize::from(admission.tags_read));
        Likeness { dst: self.header.dst, ether_type }
    }

    fn open_port(&self) -> Step<PortRule> {
        let port = self.learning.tables.ports.get(&self.vport);
        let port = port.ok_or(End::Drop(DropReason::PortDown))?;
        match port.gate {
            PortGate::Open => Ok(port.clone()),
            PortGate::Closed(reason) => Err(End::Drop(reason)),
        }
    }

    /// Goes on with a frame that is to be admitted, and says what to do with it if it is not.
    fn control(&mut self, port: &PortRule, class: ControlClass) -> Step<Option<Discard>> {
        match port.control(class) {
            ControlRule::Classify { unadmitted } => Ok(unadmitted),
            ControlRule::Pass(exits) => Err(self.flood(exits, None, None)),
            ControlRule::Drop(discard) => Err(self.discard(class, discard)),
        }
    }

    fn discard(&mut self, class: ControlClass, discard: Discard) -> End {
        if discard.is_reported {
            self.learning.report(TableEvent::Control { vport: self.vport, class }, self.limits.reports);
        }
        End::Drop(discard.reason)
    }

    fn admission(&self) -> Step<Admission> {
        let ingress = &self.learning.tables.ingress;
        let found = Arrives::keys(self.header).find_map(|key| ingress.get(&(self.vport, key)));
        match found {
            Some(Ingress::Admit(admission)) => Ok(*admission),
            Some(Ingress::Drop(reason)) => Err(End::Drop(*reason)),
            None => Err(End::Drop(Arrives::absent(self.header))),
        }
    }

    fn control_exits(&mut self, class: ControlClass, attachment: &AttachmentRule) -> Step<Vec<Exit>> {
        match &attachment.control {
            ControlFlood::To(exits) => Ok(exits.clone()),
            ControlFlood::Drop(discard) => Err(self.discard(class, *discard)),
        }
    }

    fn check_source(&self, port: &PortRule) -> Step<()> {
        if self.header.src.is_group() {
            return Err(End::Drop(DropReason::GroupSource));
        }
        if !port.macs.is_empty() && port.macs.binary_search(&self.header.src).is_err() {
            return Err(End::Drop(DropReason::AntiSpoof));
        }
        Ok(())
    }

    fn check_tags(&self, port: &PortRule, admission: &Admission) -> Step<()> {
        let is_tagged = is_tag_type(self.header.type_after(usize::from(admission.tags_read)));
        if port.drops_tags && is_tagged { Err(End::Drop(DropReason::Tagged)) } else { Ok(()) }
    }

    fn to_destination(&self, admission: &Admission, attachment: AttachmentRule) -> End {
        let dst = self.header.dst;
        let source = self.source(admission);
        let exits =
            |class| if class == StormClass::Unknown { &attachment.unknown } else { &attachment.flood };
        let flood = |class| self.flood(exits(class).clone(), admission.storm.of(class), source);
        if dst.is_broadcast() {
            return flood(StormClass::Broadcast);
        }
        if dst.is_group() {
            return flood(StormClass::Multicast);
        }
        let Some(place) = self.learning.find(self.now, admission.segment_of(self.header), dst) else {
            return flood(StormClass::Unknown);
        };
        match self.learning.tables.routes.get(&(admission.attachment, place)) {
            Some(Route::By(exits)) => self.unicast(exits, source),
            Some(Route::Drop(reason)) => End::Drop(*reason),
            None => End::Drop(DropReason::NotMember),
        }
    }

    /// The source of a frame that came in by no trunk group.
    fn source(&self, admission: &Admission) -> Option<Source> {
        let is_virtual = admission.group.is_none() && !self.header.src.is_zero();
        is_virtual.then(|| (admission.segment_of(self.header), self.header.src, self.likeness(admission)))
    }

    fn unicast(&self, exits: &[Exit], source: Option<Source>) -> End {
        if exits.iter().any(|exit| exit.vport == self.vport) {
            return End::Drop(DropReason::SamePort);
        }
        let mut reason = DropReason::NotMember;
        let mut chosen: Vec<Exit> = Vec::new();
        for exit in exits {
            match exit.guard.check(self.header) {
                Err(refused) => reason = refused,
                Ok(()) if chosen.iter().all(|other| other.vport == exit.vport) => chosen.push(exit.clone()),
                Ok(()) => {}
            }
        }
        match chosen.is_empty() {
            true => End::Drop(reason),
            false => End::Send(Departure { exits: chosen, storm: None, source }),
        }
    }

    fn flood(&self, mut exits: Vec<Exit>, storm: Option<StormMeter>, source: Option<Source>) -> End {
        exits.retain(|exit| exit.vport != self.vport && exit.guard.check(self.header).is_ok());
        match exits.is_empty() {
            true => End::Drop(DropReason::NoMember),
            false => End::Send(Departure { exits, storm, source }),
        }
    }
}
