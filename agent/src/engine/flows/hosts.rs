//! Frames that another host may have sent, by another gateway: the host that has their source is asked.
//!
//! ```text
//!   a source known at another host is heard from a fabric, and nothing here has sent such a frame
//!     ├── the host is dead, or of a version that does not answer ──────────────────► a move
//!     └── it is asked ──┬── it says that it has sent one within the last second ───► reflected
//!                       ├── it says that it has not ───────────────────────────────► a move
//!                       └── it says nothing for 200 ms ──┬── and is dead by then ──► a move
//!                                                        └── it is not ────────────► the frame is dropped
//! ```
//! The host that is asked asks its own flows, as it would for a frame that it hears itself (`echo`).

use vlan::fdb::reflect::{Echo, Evidence};
use vlan::model::id::{HostId, Location, SegmentId};
use vlan::model::topology::Topology;
use vlan::model::vnis::Origin;
use vlan::plane::Ingress;
use vlan::time::Instant;

use super::Flows;
use super::doubt::{Came, Doubt, MOST_WAITING, ORDINARY, Whose};
use super::questions::{Open, Outcome};
use crate::counters::Loss;
use crate::engine::truth::Truth;
use crate::hello::Said;
use crate::hello::question::{Question, Reply};

/// What is asked of other hosts, and by them.
pub(in crate::engine) struct Inquiry<'a> {
    now: Instant,
    truth: &'a mut Truth,
    flows: &'a mut Flows,
}

impl<'a> Inquiry<'a> {
    /// On this truth, as it is now.
    pub(in crate::engine) fn new(now: Instant, truth: &'a mut Truth, flows: &'a mut Flows) -> Inquiry<'a> {
        Inquiry { now, truth, flows }
    }

    /// Has a frame wait until the host that has its source was asked; where there is nobody to be asked, it is judged.
    pub(super) fn ask(&mut self, (ingress, at, echo): (Ingress, Location, Echo), came: Came) {
        let Some((host, vni)) = who_is_asked(self.now, self.truth, at, &echo) else {
            let judged = (ingress, Evidence::Complete, ORDINARY);
            return self.flows.judge_frame(self.now, self.truth, judged, came);
        };
        match self.flows.questions.ask(self.now, (host, echo), came) {
            Outcome::Asked(number) => {
                let Echo { segment, mac, likeness, .. } = echo;
                let session = self.truth.others.session();
                let question = Question { session, number, vni, inner: segment.inner, mac, likeness };
                self.say(host, question.to_frame());
            }
            Outcome::Joined => {}
            Outcome::Lost => lose(self.truth, ingress),
        }
    }

    /// Takes in what another host has said that is no hello.
    pub(super) fn hear(&mut self, (host, said): (HostId, Said)) {
        match said {
            Said::Question(question) => self.hear_question(host, &question),
            Said::Reply(reply) => self.hear_reply(host, reply),
            Said::Hello(_) => {}
        }
    }

    /// Judges the frames that waited for what a host says. Who was not asked that, by this run of the daemon, says nothing.
    fn hear_reply(&mut self, host: HostId, reply: Reply) {
        if reply.session != self.truth.others.session() {
            return;
        }
        let Some(open) = self.flows.questions.close(reply.number, host) else { return };
        let Some(ago) = reply.sent else { return self.judge_open(open, Evidence::Complete) };
        // Not later than that: how long the reply was under way is not known. Until a second has gone by since, nobody is asked again.
        let earliest = Instant::from_nanos(open.at.as_nanos().saturating_sub(ago.as_nanos() as u64));
        self.truth.switch.fdb.sent.note(earliest, open.echo);
        self.judge_open(open, Evidence::OurOwn);
    }

    /// Judges frames by what their host has said of them. It has said it of itself alone: where the address is at another host by now, they
    /// are lost, and where it is at none, they are judged from the beginning.
    fn judge_open(&mut self, open: Open, evidence: Evidence) {
        let Open { host, echo, frames, .. } = open;
        for came in frames {
            match self.truth.switch.fdb.addresses.find(self.now, echo.segment, echo.mac) {
                Some(Location::Host(at)) if at == host => self.judge_again(evidence, came),
                Some(Location::Host(_)) => lose_came(self.truth, &came),
                _ => self.judge_again(Evidence::FlowsUnasked, came),
            }
        }
    }

    /// A frame is dropped of which nobody can say whether it is our own.
    pub(super) fn lose(&mut self, came: &Came) {
        lose_came(self.truth, came);
    }

    /// Judges a frame that has waited.
    pub(super) fn judge_again(&mut self, evidence: Evidence, came: Came) {
        match self.truth.ingress_of(&came.key) {
            Some(ingress) => {
                self.flows.judge_frame(self.now, self.truth, (ingress, evidence, ORDINARY), came)
            }
            None => self.truth.telling.counts.strangers += 1,
        }
    }

    /// Gives up what was not answered in time. A host that is dead by now says nothing any more.
    pub(in crate::engine) fn give_up(&mut self) {
        while let Some(open) = self.flows.questions.take_due(self.now) {
            if can_be_asked(self.now, self.truth, open.host) {
                open.frames.iter().for_each(|came| lose_came(self.truth, came));
            } else {
                self.judge_open(open, Evidence::Complete);
            }
        }
    }

    /// Another host wants to know whether this one has sent a frame: its flows are asked, unless that is known.
    fn hear_question(&mut self, host: HostId, question: &Question) {
        let Some(echo) = echo_of(self.truth.switch.topology(), question) else { return };
        let suspects = self.flows.cache.book.may_have_sent(&echo);
        let is_none = suspects.flows.is_empty() && !suspects.may_be_more;
        let is_known = self.truth.switch.fdb.sent.last(self.now, echo).is_some();
        // As in `doubt`: what is withdrawn or diverted is still to tell.
        if is_known || (is_none && !self.flows.cache.is_one_to_tell()) {
            return self.answer(host, question, echo);
        }
        let may_look_up = suspects.flows.is_empty() || self.flows.questions.may_look_up(self.now, host);
        if may_look_up && self.flows.waiting < MOST_WAITING {
            self.flows.waiting += 1;
            let whose = Whose::Host(host, *question);
            let echo = self.flows.cache.book.eras.date(echo);
            self.flows.cache.changes.doubts.push(Doubt { echo, whose, suspects });
        }
    }

    /// Says to another host when this one has last sent such a frame.
    pub(super) fn answer(&mut self, host: HostId, question: &Question, echo: Echo) {
        // Another topology has come in between, by which the VNI is something else.
        if echo_of(self.truth.switch.topology(), question) != Some(echo) {
            return;
        }
        let sent = self.truth.switch.fdb.sent.last(self.now, echo).map(|at| self.now.since(at));
        if sent.is_some() || self.knows_what_was_not_sent() {
            self.say(host, question.reply(sent).to_frame());
        }
    }

    /// Whether a frame of which nothing is known was not sent within the last second. A daemon that has just started does not know what the one
    /// before it did, nor what flows that it found do, until it has looked them over.
    fn knows_what_was_not_sent(&self) -> bool {
        let Flows { heritage, cache, .. } = &*self.flows;
        (heritage.is_looked_over() || cache.book.is_fresh()) && heritage.is_past(self.now)
    }

    /// Says something to one host on the VNI of hellos; nothing without a tunnel.
    fn say(&mut self, host: HostId, frame: Vec<u8>) {
        let Truth { overlay, others, switch, .. } = &mut *self.truth;
        if overlay.is_open() {
            others.say_to(switch.topology(), host, frame);
        }
    }
}

/// Identifiers are others from here on: nobody finds out any more what the frames that wait are the echo of.
pub(in crate::engine) fn forget_questions(flows: &mut Flows, truth: &mut Truth) {
    let lost = flows.questions.take_all();
    lost.flat_map(|open| open.frames).for_each(|came| lose_came(truth, &came));
}

/// Which host is asked about a frame whose source is known to be there, and by which VNI; `None` where there is nobody to be asked.
pub(in crate::engine) fn who_is_asked(
    now: Instant,
    truth: &Truth,
    at: Location,
    echo: &Echo,
) -> Option<(HostId, u32)> {
    let Location::Host(host) = at else { return None };
    let vni = truth.switch.topology().vni(echo.segment.number, Origin::Group(echo.fabric))?;
    can_be_asked(now, truth, host).then_some((host, vni))
}

/// Whether a host can say what it has sent: it is alive, and of a version that answers.
fn can_be_asked(now: Instant, truth: &Truth, host: HostId) -> bool {
    truth.others.can_be_asked(now, host, truth.overlay.is_open())
}

/// What a question is about. A host that does not know the VNI says nothing: by its revision no trunk of that fabric is on that segment, and
/// yet what it floods, or sends to a gateway that goes by a later one, may have left by one. "Not sent" would move the address on all
/// hosts; a frame that is lost comes again, and by then the revisions are the same.
fn echo_of(topology: &Topology, question: &Question) -> Option<Echo> {
    let Question { vni, inner, mac, likeness, .. } = *question;
    let (number, Origin::Group(fabric)) = topology.by_vni(vni)? else { return None };
    let segment = SegmentId { number, inner };
    Some(Echo { segment, mac, likeness, fabric })
}

/// A frame of which nobody said in time whether it is our own is dropped.
fn lose(truth: &mut Truth, ingress: Ingress) {
    let key = truth.key_of_ingress(ingress);
    truth.telling.counts.lose(key, Loss::Unanswered, None, 1);
}

fn lose_came(truth: &mut Truth, came: &Came) {
    match truth.ingress_of(&came.key) {
        Some(ingress) => lose(truth, ingress),
        None => truth.telling.counts.strangers += 1,
    }
}
