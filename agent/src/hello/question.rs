//! What a gateway asks the host that has an address, where a frame of the address comes back from a fabric: have you sent such a frame there
//! lately (behaviour.md 4)? And what that host says.
//!
//! ```text
//!   question   destination, source, 0x88b5 │ "l2gw" 2 │ session 8 │ number 4 │ VNI 4 │ next VID 2 │ source 6 │ destination 6 │ EtherType 2
//!   reply      destination, source, 0x88b5 │ "l2gw" 3 │ session 8 │ number 4 │ 1 if it was sent, else 0 │ milliseconds ago 2
//! ```
//! Numbers are big-endian, and zeros follow up to the shortest frame. Both go on the VNI of hellos.

use std::time::Duration;

use vlan::addr::MacAddr;
use vlan::fdb::reflect::Likeness;

use super::{SHORTEST, behind_header, put_header, take};

/// Whether the host that is asked has sent such a frame into a fabric within the last second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// The session of the host that asks, as in its hellos: it comes back with the reply.
    pub session: u64,
    /// The number of the question in that session, which comes back too.
    pub number: u32,
    /// The VNI of what comes into the segment from the fabric, 1..=2^24-2: it names both, and means the same in every revision.
    pub vni: u32,
    /// The next tag's VID where the segment is one of many that share that VNI, else 0.
    pub inner: u16,
    /// The source address of the frame.
    pub mac: MacAddr,
    /// What else the frame looks like.
    pub likeness: Likeness,
}

/// What a host says to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// The session of the host that has asked.
    pub session: u64,
    /// The number of its question.
    pub number: u32,
    /// How long ago it was that the host last sent such a frame, in whole milliseconds, at most 65 535; `None`: not within the last second.
    pub sent: Option<Duration>,
}

impl Question {
    /// As a frame.
    pub fn to_frame(&self) -> Vec<u8> {
        let [_, _, a, b] = self.number.to_be_bytes();
        let mut frame = Vec::with_capacity(SHORTEST);
        put_header(&mut frame, [a, b], QUESTION);
        frame.extend(self.session.to_be_bytes());
        frame.extend(self.number.to_be_bytes());
        frame.extend(self.vni.to_be_bytes());
        frame.extend(self.inner.to_be_bytes());
        frame.extend(self.mac.0);
        frame.extend(self.likeness.dst.0);
        frame.extend(self.likeness.ether_type.to_be_bytes());
        frame.resize(SHORTEST, 0);
        frame
    }

    /// Reads a frame; `None` if it is no question that this version understands.
    pub fn from_frame(frame: &[u8]) -> Option<Question> {
        let mut rest = behind_header(frame, QUESTION)?;
        Some(Question {
            session: u64::from_be_bytes(take(&mut rest)?),
            number: u32::from_be_bytes(take(&mut rest)?),
            vni: u32::from_be_bytes(take(&mut rest)?),
            inner: u16::from_be_bytes(take(&mut rest)?),
            mac: MacAddr(take(&mut rest)?),
            likeness: Likeness {
                dst: MacAddr(take(&mut rest)?),
                ether_type: u16::from_be_bytes(take(&mut rest)?),
            },
        })
    }

    /// What is said to it.
    pub fn reply(&self, sent: Option<Duration>) -> Reply {
        Reply { session: self.session, number: self.number, sent }
    }
}

impl Reply {
    /// As a frame.
    pub fn to_frame(&self) -> Vec<u8> {
        let [_, _, a, b] = self.number.to_be_bytes();
        let mut frame = Vec::with_capacity(SHORTEST);
        put_header(&mut frame, [a, b], REPLY);
        frame.extend(self.session.to_be_bytes());
        frame.extend(self.number.to_be_bytes());
        frame.push(u8::from(self.sent.is_some()));
        let ago = u16::try_from(self.sent.unwrap_or_default().as_millis()).unwrap_or(u16::MAX);
        frame.extend(ago.to_be_bytes());
        frame.resize(SHORTEST, 0);
        frame
    }

    /// Reads a frame; `None` if it is no reply that this version understands.
    pub fn from_frame(frame: &[u8]) -> Option<Reply> {
        let mut rest = behind_header(frame, REPLY)?;
        let session = u64::from_be_bytes(take(&mut rest)?);
        let number = u32::from_be_bytes(take(&mut rest)?);
        let [was_sent] = take(&mut rest)?;
        let ago = Duration::from_millis(u64::from(u16::from_be_bytes(take(&mut rest)?)));
        let sent = match was_sent {
            0 => None,
            1 => Some(ago),
            _ => return None,
        };
        Some(Reply { session, number, sent })
    }
}

/// "l2gw", question, version 1.
const QUESTION: [u8; 6] = [b'l', b'2', b'g', b'w', 2, 1];
/// "l2gw", reply, version 1.
const REPLY: [u8; 6] = [b'l', b'2', b'g', b'w', 3, 1];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hello::{Hello, Said};

    fn question() -> impl Strategy<Value = Question> {
        let numbers = (any::<u64>(), any::<u32>(), any::<u32>(), any::<u16>());
        let looks = (any::<[u8; 6]>(), any::<[u8; 6]>(), any::<u16>());
        (numbers, looks).prop_map(|((session, number, vni, inner), (mac, dst, ether_type))| Question {
            session,
            number,
            vni,
            inner,
            mac: MacAddr(mac),
            likeness: Likeness { dst: MacAddr(dst), ether_type },
        })
    }

    fn reply() -> impl Strategy<Value = Reply> {
        (any::<u64>(), any::<u32>(), prop::option::of(0..=65_535_u64))
            .prop_map(|(session, number, ms)| Reply { session, number, sent: ms.map(Duration::from_millis) })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_what_it_is(question in question(), reply in reply()) {
            let (asked, said) = (question.to_frame(), reply.to_frame());
            prop_assert_eq!((asked.len(), said.len()), (60, 60));
            prop_assert_eq!(Said::from_frame(&asked), Some(Said::Question(question)));
            prop_assert_eq!(Said::from_frame(&said), Some(Said::Reply(reply)));
            // A version that does not know them takes neither for a hello.
            prop_assert_eq!((Hello::from_frame(&asked), Hello::from_frame(&said)), (None, None));
        }

        #[test]
        fn a_part_of_one_and_any_bytes_are_read_without_a_panic(
            question in question(), reply in reply(), cut in 0..60_usize, bytes in prop::collection::vec(any::<u8>(), 0..80)
        ) {
            let part = Said::from_frame(&question.to_frame()[..cut]);
            prop_assert_eq!(part, (cut >= 52).then_some(Said::Question(question)));
            let part = Said::from_frame(&reply.to_frame()[..cut]);
            prop_assert_eq!(part, (cut >= 35).then_some(Said::Reply(reply)));
            let _ = Said::from_frame(&bytes);
        }

        #[test]
        fn what_is_neither_sent_nor_not_sent_is_no_reply(reply in reply(), word in 2..=255_u8) {
            let mut frame = reply.to_frame();
            frame[32] = word;
            prop_assert_eq!(Said::from_frame(&frame), None);
        }
    }

    #[test]
    fn a_time_that_does_not_fit_is_the_longest_that_does() {
        let reply = Reply { session: 1, number: 2, sent: Some(Duration::from_secs(70)) };
        let read = Reply::from_frame(&reply.to_frame()).and_then(|reply| reply.sent);
        assert_eq!(read, Some(Duration::from_millis(65_535)));
    }
}
