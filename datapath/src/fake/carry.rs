//! Actions carried out: a frame goes through them, and out by ports and to other hosts.

use super::actions::InFlight;
use super::ecn;
use super::host::Host;
use super::length::wire_payload;
use super::packet::{Departed, Packet};
use crate::flow::Action;
use crate::port::VportNo;
use crate::tunnel::{TunnelEnd, TunnelTo};

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
                Action::Tunnel(to) => self.cross(*to, &frame),
                Action::Group(id) => match self.kernel_mut().and_then(|kernel| kernel.steps_of(*id)) {
                    Some(steps) => self.act(frame.clone(), &steps),
                    None => self.faults.push(format!("{id} is not set")),
                },
                Action::Clone(actions) => self.act(frame.clone(), actions),
                Action::IfFits { mtu, fits, longer } => {
                    let is_longer = wire_payload(&frame.bytes) > *mtu as usize;
                    self.act(frame.clone(), if is_longer { longer } else { fits });
                }
            }
        }
    }

    /// Sends a copy to another host.
    fn cross(&mut self, to: TunnelTo, frame: &InFlight) {
        let Some(tunnel) = self.kernel_mut().and_then(|kernel| kernel.tunnel) else {
            self.faults.push(format!("a copy to {}, and there is no tunnel", to.remote));
            return;
        };
        if let Some(fault) = fault_of(tunnel.end, to) {
            self.faults.push(fault);
            return;
        }
        if frame.crossings > 0 {
            self.faults.push(format!("a frame from the tunnel leaves by the tunnel, to {}", to.remote));
        }
        if frame.crossings >= MOST_CROSSINGS {
            self.faults
                .push(format!("a frame goes round: it has crossed the underlay {MOST_CROSSINGS} times"));
            return;
        }
        let bytes = frame.finish(self.options.pads);
        if let Some(port) = self.kernel_mut().and_then(|kernel| kernel.port_mut(tunnel.no)) {
            port.stats.tx_packets += 1;
            port.stats.tx_bytes += bytes.len() as u64;
        }
        let packet = Packet {
            from: tunnel.end.local,
            to: to.remote,
            port: tunnel.end.port,
            vni: to.vni,
            class: to.class,
            ecn: ecn::outer(&bytes),
            path: frame.path,
            frame: bytes,
        };
        self.uplink.send(Departed { packet, crossings: frame.crossings + 1 });
    }

    pub(super) fn output(&mut self, vport: VportNo, frame: &InFlight) {
        let bytes = frame.finish(self.options.pads);
        self.transmit(vport, bytes);
    }
}

/// What no program should ask of a tunnel.
fn fault_of(end: TunnelEnd, to: TunnelTo) -> Option<String> {
    let TunnelTo { remote, vni, class } = to;
    if remote.is_ipv4() != end.local.is_ipv4() {
        return Some(format!("a copy to {remote} by a tunnel from {}", end.local));
    }
    if remote == end.local {
        return Some(format!("a copy to {remote}, which is this host"));
    }
    if !(1..=VNI_MOST).contains(&vni) {
        return Some(format!("a copy to {remote} with VNI {vni}, allowed are 1 to {VNI_MOST}"));
    }
    (class > CLASS_MOST)
        .then(|| format!("a copy to {remote} with class {class}, allowed are 0 to {CLASS_MOST}"))
}

const VNI_MOST: u32 = (1 << 24) - 1;
const CLASS_MOST: u8 = 7;
/// A frame that hosts hand on to each other is let go round that often, and then no more.
const MOST_CROSSINGS: u8 = 4;
