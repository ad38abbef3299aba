//! What the daemon would do with a frame that came up now: the steps that every first frame takes, on a copy of what it would change, then
//! what forwarding leaves to others: budget, lengths, links, limits.

use std::collections::BTreeSet;

use datapath::flow::FlowKey;
use datapath::port::VportNo;
use vlan::fdb::reflect::{Echo, Evidence};
use vlan::fdb::{ECHO, Learned};
use vlan::frame::Header;
use vlan::model::port::Port;
use vlan::policy;
use vlan::time::{Instant, span};
use vlan::trace::reason::sentence;
use vlan::verdict::{Decision, DropReason, Egress, Meter, Output, Verdict};

use crate::budget::UNTAGGED;
use crate::counters::Loss;
use crate::engine::Engine;
use crate::engine::lengths::length_of_copy;
use crate::engine::upcall::kernel_mask;
use crate::view::TraceView;

impl Engine {
    /// What would become of a frame now; nothing is sent, learned or counted.
    ///
    /// # Errors
    /// No port of that name, with the nearest one there is.
    pub fn trace(&self, now: Instant, port: &str, frame: &[u8]) -> Result<TraceView, String> {
        let port = self.find_port(port)?;
        let header = match Header::parse(frame) {
            Ok(header) => header,
            Err(error) => {
                let (reason, why) = (DropReason::Malformed, sentence(DropReason::Malformed));
                return Ok(TraceView::malformed(format!("{error}: dropped ({reason}): {why}")));
            }
        };
        let (mut verdict, mut steps) = (Verdict::default(), Vec::new());
        self.foresee(now, port, &header, &mut verdict, &mut steps);
        let lost = self.leave(port, frame, &header, &mut verdict, &mut steps);
        self.meet_limits(now, &verdict, &mut steps);
        let over = self.meet_budget(now, port, &header, &verdict, &mut steps);
        if over.is_some() {
            verdict.outputs.clear();
        }
        let mut view = TraceView::of(self.switch.topology(), frame, &verdict, steps);
        if let Some(loss) = over.or(lost) {
            view.drop_after_all(loss.name());
        }
        Ok(view)
    }

    /// Has the frame forwarded. Where it may be our own, come back, the daemon would ask the flows that may have sent it; here what they
    /// were last known to have done has to do.
    fn foresee(
        &self,
        now: Instant,
        port: &Port,
        header: &Header,
        verdict: &mut Verdict,
        steps: &mut Vec<String>,
    ) {
        let learned = self.switch.peek(now, (port.id, Evidence::FlowsUnasked), header, verdict, steps);
        let Some(Learned::Undecided { echo, .. }) = learned else { return };
        steps.clear();
        let was_sent = self.was_sent(now, &echo);
        if was_sent == Some(true) {
            self.switch.peek_after(now, (port.id, echo), header, verdict, steps);
            return;
        }
        self.switch.peek(now, (port.id, Evidence::Complete), header, verdict, steps);
        if was_sent.is_some() {
            let span = span(ECHO);
            steps.push(format!(
                "before, the flows that can have sent it are asked whether they did within the last {span}: as last read they did not"
            ));
        }
    }

    /// Whether a flow has sent such a frame lately, as far as is known; `None` if none can have.
    fn was_sent(&self, now: Instant, echo: &Echo) -> Option<bool> {
        let flows = self.book.may_have_sent(echo);
        let is_lately = |used: Instant| now.since(used) <= ECHO;
        let used = flows.iter().filter_map(|flow| self.book.get(*flow)?.stats.used);
        (!flows.is_empty()).then(|| used.into_iter().any(is_lately))
    }

    /// Takes away the copies that do not leave after all. Why none is left, if none is.
    fn leave(
        &self,
        port: &Port,
        frame: &[u8],
        header: &Header,
        verdict: &mut Verdict,
        steps: &mut Vec<String>,
    ) -> Option<Loss> {
        if verdict.decision != Decision::Forward {
            return None;
        }
        let mut lost = Loss::Verdict(DropReason::NoMember, None);
        let outputs = std::mem::take(&mut verdict.outputs);
        for output in outputs {
            match self.hindrance(port, frame, header, &output) {
                None => verdict.outputs.push(output),
                Some((loss, why)) => {
                    lost = loss;
                    steps.extend(why);
                }
            }
        }
        let drivers: BTreeSet<&str> =
            verdict.outputs.iter().filter_map(|output| self.link_of(output)).collect();
        if drivers.is_empty() {
            steps.push(format!("dropped ({}): no copy is left", lost.name()));
            return Some(lost);
        }
        steps.push(handed_over(&drivers));
        None
    }

    fn link_of(&self, output: &Output) -> Option<&str> {
        match output.to {
            Egress::Port(port) => Some(&self.switch.topology().port(port).link),
            Egress::Tunnel { .. } => None,
        }
    }

    /// Why a copy does not leave though forwarding would have it, in words where nothing was said of it yet.
    fn hindrance(
        &self,
        port: &Port,
        frame: &[u8],
        header: &Header,
        output: &Output,
    ) -> Option<(Loss, Option<String>)> {
        let no_member = Loss::Verdict(DropReason::NoMember, None);
        let topology = self.switch.topology();
        let to = match output.to {
            Egress::Port(to) => topology.port(to),
            Egress::Tunnel { .. } => return Some((no_member, None)),
        };
        if self.links.vport_of(to.id).is_none() {
            let why = format!("not by {}: its link {} is not attached", to.name, to.link);
            return Some((no_member, Some(why)));
        }
        let (mtu, mtu_in) = (self.links.mtu_of(to.id), self.links.mtu_of(port.id));
        let length = length_of_copy(frame, header, output);
        (mtu > 0 && mtu_in > 0 && length > i64::from(mtu)).then(|| {
            let why = format!(
                "not by {}: {length} bytes behind Ethernet header and first tag are more than the MTU of {}, which is {mtu} (over-mtu)",
                to.name, to.link
            );
            (Loss::OverMtu, Some(why))
        })
    }

    /// Says of a storm limit whether it drops such frames just now.
    fn meet_limits(&self, now: Instant, verdict: &Verdict, steps: &mut Vec<String>) {
        let Some(Meter { port, class, .. }) = verdict.meter.filter(|_| !verdict.outputs.is_empty()) else {
            return;
        };
        let loss = Loss::Storm(class);
        if let Some((frames, since)) = self.bursts.going(self.key_of(port), loss.name()) {
            let span = span(now.since(since));
            steps.push(format!(
                "of such frames some are beyond the limit now and are dropped ({}): {frames} frames within the last {span}",
                loss.name()
            ));
        }
    }

    /// Says whether a flow carries such frames; where none does, they have to be within their port's budget.
    fn meet_budget(
        &self,
        now: Instant,
        port: &Port,
        header: &Header,
        verdict: &Verdict,
        steps: &mut Vec<String>,
    ) -> Option<Loss> {
        let vport = self.links.vport_of(port.id).unwrap_or(VportNo(0));
        let key = FlowKey { vport, header: header.clone(), recirc: 0, opaque: Default::default() };
        let flow = self.book.find_class(&key, &kernel_mask(verdict.consulted));
        if let Some(flow) = flow.and_then(|flow| self.book.get(flow)) {
            steps.push(format!(
                "the kernel has a flow for such frames, hit {} times so far",
                flow.stats.packets
            ));
            return None;
        }
        let key = self.key_of(port.id);
        let has_room = match policy::class(header).is_some() || policy::is_probe(header) {
            true => self.budget.would_admit_control(now, key),
            false => {
                self.budget.would_admit(now, key, header.tag(0).map_or(UNTAGGED, vlan::tag::Tag::raw_vid))
            }
        };
        if has_room {
            return None;
        }
        let loss = Loss::OverBudget;
        steps.push(format!(
            "dropped ({}): no flow carries such frames, and {} opens more conversations than its budget just now",
            loss.name(),
            port.name
        ));
        Some(loss)
    }
}

fn handed_over(links: &BTreeSet<&str>) -> String {
    let names: Vec<&str> = links.iter().copied().take(MOST_NAMES).collect();
    let more = match links.len().saturating_sub(MOST_NAMES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (drivers, they) =
        if links.len() == 1 { ("the driver", "it sends it") } else { ("the drivers", "they send it") };
    format!("handed to {drivers} of {}{more}; whether {they}, nobody else knows", names.join(", "))
}

/// Links that are named.
const MOST_NAMES: usize = 8;
