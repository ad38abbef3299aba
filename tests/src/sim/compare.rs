//! What a side did, compared with what the forwarding plane says, and how a side of flows follows a play.

use datapath::Capabilities;
use vlan::tag::Tag;

use super::director::Scene;
use super::duel::hex;
use super::flow_host::{FlowHost, Met};
use super::oracle::Said;
use super::traffic::Sent;
use crate::suite::Rig;

/// Has a host of flows do what a scene says.
///
/// # Errors
/// Where what left is not what the forwarding plane says.
pub async fn follow<B: Rig>(host: &mut FlowHost<'_, '_, B>, scene: &Scene) -> Result<(), String> {
    match scene {
        Scene::Pass(span) => host.pass(*span).await,
        Scene::Carrier(port, has_carrier) => {
            host.change(|host| drop(host.set_carrier(port, *has_carrier))).await;
        }
        Scene::Revision(description) => {
            let ports = description.trunks.iter().chain(&description.ports);
            host.change(|host| {
                ports.for_each(|port| drop(host.set_carrier(&port.name, true)));
                host.change(description);
            })
            .await;
        }
        Scene::Frame { sent, said, .. } => {
            let Met { outputs, by_flow } = host.send(&sent.0, &sent.1).await;
            if !is_same(&outputs, &said.outputs, by_flow, &host.capabilities()) {
                let how = if by_flow { "a flow" } else { "a verdict" };
                return Err(differs(how, sent, said, &show(&outputs)));
            }
        }
    }
    Ok(())
}

/// Whether copies are the expected ones. A frame that is executed is padded before its tags, at most two, come off, so that no copy is
/// too short; one that meets a flow is padded only by a datapath that [`pads`](Capabilities::pads).
pub fn is_same(got: &[Sent], expected: &[Sent], by_flow: bool, capabilities: &Capabilities) -> bool {
    let shortest = expected.iter().map(|(_, frame)| frame.len()).min().unwrap_or(0);
    let most = match by_flow && !capabilities.pads {
        true => 0,
        false => (MIN_FRAME + 2 * Tag::LEN).saturating_sub(shortest),
    };
    got.len() == expected.len()
        && got.iter().zip(expected).all(|((port, frame), (other, wanted))| {
            let (head, tail) = frame.split_at(wanted.len().min(frame.len()));
            port == other && head == wanted && tail.len() <= most && tail.iter().all(|byte| *byte == 0)
        })
}

/// The story of a difference.
pub fn differs(side: &str, (port, frame): &Sent, said: &Said, got: &str) -> String {
    format!(
        "{side}: into {port} {}\nexpected {} {}\n     got {got}",
        hex(frame),
        said.decision,
        show(&said.outputs)
    )
}

/// Copies as text, a line each.
pub fn show(outputs: &[Sent]) -> String {
    let lines: Vec<String> =
        outputs.iter().map(|(port, frame)| format!("\n      {port} {}", hex(frame))).collect();
    format!("{} copies{}", outputs.len(), lines.concat())
}

/// The shortest frame without FCS (802.3 4A.4.2).
const MIN_FRAME: usize = 60;
