//! Actions carried out: a frame goes through them, and out by ports.

use super::actions::InFlight;
use super::host::Host;
use super::length::wire_payload;
use crate::flow::Action;
use crate::port::VportNo;

impl Host {
    /// Carries out actions, in order, until a meter stops them.
    pub(super) fn act(&mut self, mut frame: InFlight, actions: &[Action]) {
        for action in actions {
            match action {
                Action::Output(vport) => self.output(*vport, &frame),
                Action::PushTag(tag) => frame.push(*tag, self.options.keeps_dei),
                Action::PopTag => {
                    if !frame.pop() {
                        self.faults.push("pop of a tag that is not there".to_owned());
                    }
                }
                Action::Meter(id) => {
                    if !self.passes(*id) {
                        return;
                    }
                }
                Action::Tunnel(_) | Action::Group(_) => {}
                Action::Clone(actions) => self.act(frame.clone(), actions),
                Action::IfFits { mtu, fits, longer } => {
                    let is_longer = wire_payload(&frame.bytes) > *mtu as usize;
                    self.act(frame.clone(), if is_longer { longer } else { fits });
                }
            }
        }
    }

    pub(super) fn output(&mut self, vport: VportNo, frame: &InFlight) {
        let bytes = frame.finish(self.options.pads);
        self.transmit(vport, bytes);
    }
}
