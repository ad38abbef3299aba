//! What the daemon would do with a frame that came up now: the steps that every first frame takes, on a copy of what it would change, then
//! what forwarding leaves to others: budget, lengths, links, limits.

use std::sync::Arc;

use datapath::flow::{FlowId, FlowKey};
use datapath::port::VportNo;
use vlan::fdb::reflect::Evidence;
use vlan::fdb::{ECHO, Learned};
use vlan::frame::Header;
use vlan::model::id::{HostId, PortId};
use vlan::model::port::Port;
use vlan::model::topology::Topology;
use vlan::plane::Ingress;
use vlan::policy;
use vlan::time::{Instant, span};
use vlan::trace::reason::sentence;
use vlan::trace::{Narrator, Silent, Story, copies, ending};
use vlan::verdict::{Decision, DropReason, Egress, Meter, Output, Verdict};

use super::View;
use crate::budget::UNTAGGED;
use crate::counters::Loss;
use crate::engine::flows::class::Class;
use crate::engine::flows::hosts::who_is_asked;
use crate::engine::flows::lengths::length_of_copy;
use crate::engine::flows::loops::Incoming;
use crate::engine::flows::turn::last_sent;
use crate::engine::flows::upcall::kernel_mask;
use crate::view::{TraceView, of_another_host};

impl View<'_> {
    /// What would become of a frame now; nothing is sent, learned or counted.
    ///
    /// # Errors
    /// No port of that name, with the nearest one there is; or another host's, where nothing is known of its link.
    pub fn trace(&self, now: Instant, port: &str, frame: &[u8]) -> Result<Traced, String> {
        let port = self.find_port(port)?;
        let (topology, here) = (self.truth.switch.topology(), self.truth.switch.host());
        if port.host != here && !topology.is_vtep(port.host) {
            let there = &topology.hosts()[port.host.0 as usize].name;
            return Err(of_another_host(&port.name, there, &self.engine.settings.host));
        }
        let header = match Header::parse(frame) {
            Ok(header) => header,
            Err(error) => {
                let (reason, why) = (DropReason::Malformed, sentence(DropReason::Malformed));
                return Ok(Traced::malformed(format!("{error}: dropped ({reason}): {why}")));
            }
        };
        let (mut verdict, mut story) = (Verdict::default(), Beginning::default());
        self.foresee(
            now,
            Incoming { from: port.id.into(), header: &header, frame },
            &mut verdict,
            &mut story,
        );
        story.go_on_after(|| self.ending(&verdict));
        let mut story = story.told;
        let steps = &mut story.steps;
        let lost = self.leave(port, frame, &header, &mut verdict, steps);
        self.meet_limits(now, &verdict, steps);
        let over = self.meet_budget(now, port, &header, &verdict, steps);
        let topology = Some(Arc::clone(self.truth.switch.topology()));
        Ok(Traced { topology, host: self.truth.switch.host(), verdict, story, lost: over.or(lost) })
    }

    /// Has the frame forwarded. Where it may be our own, come back, the daemon would ask the flows that may have sent it, and then the host
    /// that has its source; here what the flows were last known to have done has to do, and what that host would say nobody knows.
    fn foresee(&self, now: Instant, incoming: Incoming<'_>, verdict: &mut Verdict, story: &mut Beginning) {
        let Incoming { from: port, header, .. } = incoming;
        let learned = self.truth.switch.peek(now, (port, Evidence::FlowsUnasked), header, verdict, story);
        let Some(Learned::Undecided { echo, .. }) = learned else { return };
        *story = Beginning::default();
        let Some(echo) = echo else {
            // Whether it is the very frame that went out of a port its bytes tell.
            let evidence = self.flows.loops.evidence(now, &self.truth.switch, incoming, verdict);
            self.truth.switch.peek(now, (port, evidence), header, verdict, story);
            return;
        };
        let suspects = self.flows.cache.book.may_have_sent(&echo);
        let was_sent = self.was_sent(now, &suspects.flows);
        if was_sent == Some(true) {
            self.truth.switch.peek_after(now, (port, echo), header, verdict, story);
            return;
        }
        let asked = self.who_is_asked(now, port, header, verdict);
        self.truth.switch.peek(now, (port, Evidence::Complete), header, verdict, story);
        let span = span(ECHO);
        if was_sent.is_some() {
            story.told.steps.push(format!(
                "before, the flows that can have sent it are asked whether they did within the last {span}: as last read they did not"
            ));
        }
        if suspects.may_be_more {
            story.told.steps.push(format!(
                "before, if none of the {} flows that are asked has sent it, the frame is dropped (unanswered): there are others that may have",
                suspects.flows.len()
            ));
        }
        if let Some(host) = asked {
            story.told.steps.push(format!(
                "before, host {host}, which has the source, is asked whether it has sent such a frame there within the last {span}: if it has \
                 (reflected), or does not answer (unanswered), the frame is dropped"
            ));
        }
    }

    /// The host that is asked about the frame, where the flows of this one have not sent it.
    fn who_is_asked(
        &self,
        now: Instant,
        from: Ingress,
        header: &Header,
        verdict: &mut Verdict,
    ) -> Option<&str> {
        let unasked = (from, Evidence::HostUnasked);
        let learned = self.truth.switch.peek(now, unasked, header, verdict, &mut Silent)?;
        let Learned::Undecided { at, echo: Some(echo) } = learned else { return None };
        let (host, _) = who_is_asked(now, self.truth, at, &echo)?;
        Some(&self.truth.switch.topology().hosts()[host.0 as usize].name)
    }

    /// Whether one of these flows has sent its frames lately, as far as is known; `None` if none can have.
    fn was_sent(&self, now: Instant, flows: &[FlowId]) -> Option<bool> {
        let is_lately = |used: Instant| now.since(used) <= ECHO;
        let sent = flows.iter().filter_map(|flow| self.flows.cache.book.get(*flow));
        let used = sent.filter_map(|flow| last_sent(&flow.stats, flow.turned_at));
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
        // How it ends is told again, of the copies that are left.
        let told = self.ending(verdict);
        if let Some(at) = steps.iter().rposition(|step| *step == told) {
            steps.remove(at);
        }
        let (outputs, mut last) = (std::mem::take(&mut verdict.outputs), None);
        for output in outputs {
            match self.hindrance(port, frame, header, &output) {
                None => verdict.outputs.push(output),
                Some((loss, why)) => {
                    lost = loss;
                    // Of copies to several hosts it is the same.
                    if why != last {
                        steps.extend(why.clone());
                        last = why;
                    }
                }
            }
        }
        if verdict.outputs.is_empty() {
            steps.push(format!("dropped ({}): no copy is left", lost.name()));
            return Some(lost);
        }
        steps.push(self.ending(verdict));
        let links = verdict.outputs.iter().filter_map(|output| self.link_of(output));
        let here = verdict.outputs.iter().filter(|output| matches!(output.to, Egress::Port(_))).count();
        if here > 0 {
            steps.push(handed_over(&links.take(MOST_NAMES).collect::<Vec<_>>(), here));
        }
        if here < verdict.outputs.len() {
            steps.push(
                "what goes to other hosts is handed to the tunnel port; each of them decides where it leaves"
                    .to_owned(),
            );
        }
        None
    }

    /// How the story ends.
    fn ending(&self, verdict: &Verdict) -> String {
        let switch = &self.truth.switch;
        ending(verdict.decision, copies(switch.topology(), switch.host(), verdict))
    }

    fn link_of(&self, output: &Output) -> Option<&str> {
        match output.to {
            Egress::Port(port) => Some(&self.truth.switch.topology().port(port).link),
            Egress::Tunnel { .. } | Egress::Hosts { .. } => None,
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
        let topology = self.truth.switch.topology();
        let to = match output.to {
            Egress::Port(to) => topology.port(to),
            Egress::Tunnel { .. } | Egress::Hosts { .. } => {
                return self.no_tunnel(output.to).map(|why| (no_member, Some(why)));
            }
        };
        if self.truth.links.standings.vport_of(to.id).is_none() {
            let why = format!("not by {}: its link {} is not attached", to.name, to.link);
            return Some((no_member, Some(why)));
        }
        let (mtu, mtu_in) =
            (self.truth.links.standings.mtu_of(to.id), self.truth.links.standings.mtu_of(port.id));
        let length = length_of_copy(frame, header, output);
        (mtu > 0 && mtu_in > 0 && length > i64::from(mtu)).then(|| {
            let why = format!(
                "not by {}: {length} bytes behind Ethernet header and first tag are more than the MTU of {}, which is {mtu} (over-mtu)",
                to.name, to.link
            );
            (Loss::OverMtu, Some(why))
        })
    }

    /// Why no copy goes to other hosts, if none does.
    fn no_tunnel(&self, to: Egress) -> Option<String> {
        if !self.truth.overlay.tunnels_to(&self.truth.switch, to).is_empty() {
            return None;
        }
        let why = self.truth.overlay.why_not().unwrap_or("it is being made");
        Some(format!("not to other hosts: there is no tunnel port: {why}"))
    }

    /// Says of a storm limit whether it drops such frames just now.
    fn meet_limits(&self, now: Instant, verdict: &Verdict, steps: &mut Vec<String>) {
        let Some(Meter { port, class, .. }) = verdict.meter.filter(|_| !verdict.outputs.is_empty()) else {
            return;
        };
        let loss = Loss::Storm(class);
        if let Some((frames, since)) = self.truth.telling.bursts.going(self.truth.key_of(port), loss.name()) {
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
        let vport = self.truth.links.standings.vport_of(port.id).unwrap_or(VportNo(0));
        let key =
            FlowKey { vport, header: header.clone(), tunnel: None, recirc: 0, opaque: Default::default() };
        let flow = self.flows.cache.book.find_class(Class::of(&key, &kernel_mask(verdict.consulted)));
        if let Some(flow) = flow.and_then(|flow| self.flows.cache.book.get(flow)) {
            steps.push(format!(
                "the kernel has a flow for such frames, hit {} times so far",
                flow.stats.packets
            ));
            return None;
        }
        let key = self.truth.key_of(port.id);
        let has_room = match policy::special(header).is_some() {
            true => self.flows.budget.would_admit_control(now, key),
            false => self.flows.budget.would_admit(
                now,
                key,
                header.tag(0).map_or(UNTAGGED, vlan::tag::Tag::raw_vid),
            ),
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

fn handed_over(links: &[&str], copies: usize) -> String {
    let more = match copies.saturating_sub(links.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (drivers, they) =
        if copies == 1 { ("the driver", "it sends it") } else { ("the drivers", "they send it") };
    format!("handed to {drivers} of {}{more}; whether {they}, nobody else knows", links.join(", "))
}

/// What was found out about a frame. The rest, which takes the longer the more copies there are, needs the engine no more.
#[derive(Debug)]
pub struct Traced {
    /// `None` if the frame could not be read.
    topology: Option<Arc<Topology>>,
    host: HostId,
    verdict: Verdict,
    story: Story,
    /// Why it does not leave after all.
    lost: Option<Loss>,
}

impl Traced {
    fn malformed(step: String) -> Traced {
        let story = Story { steps: vec![step], about: Vec::new() };
        Traced { topology: None, host: HostId(0), verdict: Verdict::default(), story, lost: None }
    }

    /// As an operator sees it, with the bytes of each copy of `frame`.
    pub fn view(self, frame: &[u8]) -> TraceView {
        let Some(topology) = self.topology else { return TraceView::malformed(self.story.steps.concat()) };
        let mut view = TraceView::of((&topology, self.host), frame, &self.verdict, self.story);
        if let Some(loss) = self.lost {
            view.drop_after_all(loss.name());
        }
        view
    }
}

/// Hears the first sentences of a long story.
#[derive(Debug, Default)]
struct Beginning {
    told: Story,
    left_out: usize,
}

impl Beginning {
    /// Says how many sentences were not heard, and how it ended.
    fn go_on_after(&mut self, ending: impl Fn() -> String) {
        if self.left_out > 0 {
            let left_out = format!("({} sentences more, of other ports of the segment)", self.left_out);
            self.told.steps.extend([left_out, ending()]);
        }
    }

    /// Whether one sentence more is heard.
    fn has_room(&mut self) -> bool {
        let has_room = self.told.steps.len() < MOST_SENTENCES;
        self.left_out += usize::from(!has_room);
        has_room
    }
}

impl Narrator for Beginning {
    fn say_if(&mut self, sentence: impl FnOnce() -> Option<String>) {
        if self.has_room() {
            self.told.say_if(sentence);
        }
    }

    fn say_of(&mut self, port: PortId, sentence: impl FnOnce() -> Option<String>) {
        if self.has_room() {
            self.told.say_of(port, sentence);
        }
    }
}

/// Links that are named.
const MOST_NAMES: usize = 8;
/// Sentences of forwarding that are heard: a flood may have one for each of thousands of ports.
const MOST_SENTENCES: usize = 500;
