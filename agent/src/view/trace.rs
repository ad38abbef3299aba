//! What becomes of a frame, as it is shown.

use serde::{Deserialize, Serialize};
use vlan::frame::rewrite;
use vlan::model::id::{HostId, PortId};
use vlan::model::topology::Topology;
use vlan::tag::Pcp;
use vlan::trace::Story;
use vlan::verdict::{Decision, DropReason, Egress, Output, Verdict};

/// What would become of a frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceView {
    /// `forward` or `drop`.
    pub verdict: String,
    /// Why it is dropped, if it is.
    pub drop: Option<String>,
    /// Where copies leave, and their bytes.
    pub outputs: Vec<TraceOutput>,
    /// The story, a sentence a step.
    pub steps: Vec<String>,
    /// Steps that are about a port, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub about: Vec<AboutPort>,
    /// What hosts do with it that a copy goes to; the first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<Elsewhere>,
    /// How many hosts more a copy goes to, of which it is not told.
    #[serde(default, skip_serializing_if = "is_none")]
    pub elsewhere_too: usize,
    /// What is taken for granted of links of which nobody has told, where the answer rests on it: a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assumed: Vec<String>,
}

fn is_none(count: &usize) -> bool {
    *count == 0
}

/// What another host does with a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// The host's name.
    pub host: String,
    /// What of the answer that host alone knows; empty where nothing is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unknown: String,
    /// What it does.
    #[serde(flatten)]
    pub story: TraceView,
}

/// A step of a story that is about a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AboutPort {
    /// Which step, from 1.
    pub step: usize,
    /// The port's name.
    pub port: String,
    /// Where it is declared, as file and line: `gateway.toml:42`; `None` where the file is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_at: Option<String>,
}

/// A copy that leaves, with its bytes in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TraceOutput {
    /// By a port of this host.
    Port {
        /// The port's name.
        port: String,
        /// The frame's bytes.
        frame: String,
    },
    /// To another host.
    Host {
        /// The host's name.
        host: String,
        /// VXLAN network identifier.
        vni: u32,
        /// The priority in the outer header, 0 to 7.
        class: u8,
        /// The inner frame's bytes.
        frame: String,
    },
}

impl TraceView {
    /// The story of a frame that a host has judged.
    pub fn of(
        (topology, host): (&Topology, HostId),
        frame: &[u8],
        verdict: &Verdict,
        story: Story,
    ) -> TraceView {
        let about = |(step, port): (usize, PortId)| AboutPort {
            step: step + 1,
            port: topology.port(port).name.clone(),
            declared_at: None,
        };
        let outputs =
            verdict.outputs.iter().flat_map(|output| TraceOutput::of((topology, host), frame, output));
        let (word, drop) = match verdict.decision {
            Decision::Forward => ("forward", None),
            Decision::Drop(reason) => ("drop", Some(reason)),
            Decision::Unjudged => ("drop", Some(DropReason::NoMember)),
        };
        TraceView {
            verdict: word.to_owned(),
            drop: drop.map(|reason| reason.name().to_owned()),
            outputs: outputs.collect(),
            steps: story.steps,
            about: story.about.into_iter().map(about).collect(),
            elsewhere: Vec::new(),
            elsewhere_too: 0,
            assumed: Vec::new(),
        }
    }

    /// It does not leave after all, for this reason.
    pub fn drop_after_all(&mut self, reason: &str) {
        (self.verdict, self.drop) = ("drop".to_owned(), Some(reason.to_owned()));
        self.outputs.clear();
    }

    /// The story of a frame that cannot be read.
    pub fn malformed(step: String) -> TraceView {
        TraceView {
            verdict: "drop".to_owned(),
            drop: Some(DropReason::Malformed.name().to_owned()),
            outputs: Vec::new(),
            steps: vec![step],
            about: Vec::new(),
            elsewhere: Vec::new(),
            elsewhere_too: 0,
            assumed: Vec::new(),
        }
    }
}

/// Why host `here` cannot say what becomes of a frame at a port of host `there`, and who can.
pub fn of_another_host(port: &str, there: &str, here: &str) -> String {
    format!(
        "{port} is a port of host {there}, and the daemon that was asked is host {here}: run this on {there}; or, by a file and with \
         all links taken to be up, `l2gw trace FILE --port {port}` (`l2gw show config` prints such a FILE)"
    )
}

impl TraceOutput {
    /// The copies that an output of a host comes to; none for a frame too short for the change of its tags.
    fn of((topology, from): (&Topology, HostId), frame: &[u8], output: &Output) -> Vec<TraceOutput> {
        let Ok(bytes) = rewrite(frame, usize::from(output.edit.pop), &output.edit.push) else {
            return Vec::new();
        };
        let frame: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let to_host = |(host, vni): (HostId, u32), class: Pcp| TraceOutput::Host {
            host: topology.hosts()[host.0 as usize].name.clone(),
            vni,
            class: class.get(),
            frame: frame.clone(),
        };
        match output.to {
            Egress::Port(port) => vec![TraceOutput::Port { port: topology.port(port).name.clone(), frame }],
            Egress::Tunnel { host, vni, class } => vec![to_host((host, vni), class)],
            Egress::Hosts { segment, origin, class } => {
                topology.copies(from, segment, origin).map(|to| to_host(to, class)).collect()
            }
        }
    }
}
