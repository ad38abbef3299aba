//! Frames that a pop makes too short for a wire.
//!
//! A kernel's flow has no action that pads, but the bytes of an executed frame are ours: they get the zeros before the actions are
//! carried out. So all copies of the frame carry them, also those that were long enough.

use std::borrow::Cow;

use vlan::tag::Tag;

use crate::flow::Action;

/// The frame with zeros behind it, as many as its shortest popped copy lacks to 60 bytes.
pub(crate) fn pad_for<'a>(frame: &'a [u8], actions: &[Action]) -> Cow<'a, [u8]> {
    let whole = Copy { len: frame.len(), is_popped: false };
    match whole.shortest_popped(actions) {
        Some(shortest) if shortest < MIN_FRAME => {
            let mut padded = frame.to_vec();
            padded.resize(frame.len() + MIN_FRAME - shortest, 0);
            Cow::Owned(padded)
        }
        _ => Cow::Borrowed(frame),
    }
}

/// A copy of a frame on its way through actions.
#[derive(Debug, Clone, Copy)]
struct Copy {
    len: usize,
    is_popped: bool,
}

impl Copy {
    /// The length of the shortest copy that is sent after a pop.
    fn shortest_popped(mut self, actions: &[Action]) -> Option<usize> {
        let mut shortest: Option<usize> = None;
        for action in actions {
            let sent = match action {
                Action::Output(_) | Action::Tunnel(_) | Action::Group(_) => {
                    Some(self.len).filter(|_| self.is_popped)
                }
                Action::Clone(steps) | Action::IfFits { fits: steps, .. } => self.shortest_popped(steps),
                Action::PushTag(_) => {
                    self.len += Tag::LEN;
                    None
                }
                Action::PopTag => {
                    self = Copy { len: self.len.saturating_sub(Tag::LEN), is_popped: true };
                    None
                }
                Action::Meter(_) => None,
            };
            shortest = shortest.into_iter().chain(sent).min();
        }
        shortest
    }
}

/// Shortest frame without FCS (802.3 4A.4.2: minFrameSize 64 with it).
pub(crate) const MIN_FRAME: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::VportNo;
    use vlan::tag::Tpid;

    const OUT: Action = Action::Output(VportNo(1));

    fn padded_len(len: usize, actions: &[Action]) -> usize {
        let padded = pad_for(&vec![7; len], actions).into_owned();
        assert!(padded[len..].iter().all(|byte| *byte == 0), "a pad byte is not zero");
        padded.len()
    }

    #[test]
    fn only_what_is_sent_after_a_pop_counts() {
        let push = Action::PushTag(Tag::from_wire(Tpid::Customer, 8));
        for (len, actions, expected) in [
            (46, vec![OUT], 46),
            (46, vec![Action::PopTag, OUT], 64),
            (63, vec![Action::PopTag, OUT], 64),
            (64, vec![Action::PopTag, OUT], 64),
            (46, vec![Action::PopTag], 46),
            (46, vec![OUT, Action::PopTag], 46),
            (46, vec![Action::PopTag, push.clone(), OUT], 60),
            (46, vec![Action::PopTag, Action::PopTag, OUT], 68),
            (46, vec![Action::Clone(vec![Action::PopTag, OUT]), OUT], 64),
            (46, vec![Action::Clone(vec![Action::PopTag]), OUT], 46),
            (46, vec![push, OUT], 46),
            (46, vec![Action::PopTag, Action::IfFits { mtu: 100, fits: vec![OUT], longer: vec![] }], 64),
        ] {
            assert_eq!(padded_len(len, &actions), expected, "{len} bytes, {actions:?}");
        }
    }
}
