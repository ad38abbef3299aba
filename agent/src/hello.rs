//! What hosts say to each other through the tunnel, so that each knows who is alive and who carries which VLAN of a fabric (behaviour.md 7
//! and 8). A hello is an Ethernet frame on a VNI of its own, which no bridge ever gets.
//!
//! ```text
//!   destination, source, 0x88b5 │ "l2gw" 2 │ session 8 │ sequence 4 │ revision 8 │ heard 4 │ long 4 │ name of a bridge, 1 + n
//!                               │ 512 bytes, a bit for each VID that the host carries │ number 1, and marks 4 each, of trunks that are up
//!                               │ 1 if it answers questions ([`question`]), else 0 │ zeros
//! ```
//! Numbers are big-endian. Without a bridge its name is empty, and neither bits nor marks follow. Version 0.1 of before questions ends with
//! the marks, and reads nothing behind them.

use vlan::addr::MacAddr;
use vlan::policy::PROBE_TYPE;
use vlan::vid::{Vid, VidSet};

use question::{Question, Reply};

pub mod question;

/// What one host says to another through the tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// That it is there, and what it carries.
    Hello(Hello),
    /// It wants to know whether a frame was sent.
    Question(Question),
    /// It says whether a frame was sent.
    Reply(Reply),
}

impl Said {
    /// Reads a frame; `None` if it is nothing that this version understands.
    pub fn from_frame(frame: &[u8]) -> Option<Said> {
        let hello = || Hello::from_frame(frame).map(Said::Hello);
        let question = || Question::from_frame(frame).map(Said::Question);
        hello().or_else(question).or_else(|| Reply::from_frame(frame).map(Said::Reply))
    }
}

/// What a host says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hello {
    /// Differs each time that the daemon starts.
    pub session: u64,
    /// Counts the hellos of a session, from 1.
    pub sequence: u32,
    /// The revision of the topology that the host goes by.
    pub revision: u64,
    /// The sequence of the last long hello that was heard of the receiver; 0: none.
    pub heard: u32,
    /// How many bytes this frame has, if it is to be told whether frames so long arrive; 0: it is as short as can be.
    pub long: u32,
    /// What the host carries of one VLAN-aware bridge, if it has trunks of one.
    pub carries: Option<Carries>,
    /// Whether the host answers questions: hosts of an older version do not.
    pub answers: bool,
}

/// What a host carries of a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carries {
    /// The bridge's name.
    pub bridge: String,
    /// The VLANs that it carries.
    pub vids: VidSet,
    /// The marks ([`mark_of`]) of its trunks of that bridge that could carry any, being up: the first 200.
    pub up: Vec<u32>,
}

impl Hello {
    /// As a frame of [`long`](Self::long) bytes, or as many as it takes. Its source address differs with the sequence: so hellos try one path
    /// after the other, where routers choose by it.
    pub fn to_frame(&self) -> Vec<u8> {
        let least = SHORTEST.max(self.long as usize);
        let [_, _, a, b] = self.sequence.to_be_bytes();
        let mut frame = Vec::with_capacity(least.max(USUAL));
        put_header(&mut frame, [a, b], MARK);
        frame.extend(self.session.to_be_bytes());
        frame.extend(self.sequence.to_be_bytes());
        frame.extend(self.revision.to_be_bytes());
        frame.extend(self.heard.to_be_bytes());
        frame.extend(self.long.to_be_bytes());
        match &self.carries {
            None => frame.push(0),
            Some(carries) => carries.write(&mut frame),
        }
        frame.push(u8::from(self.answers));
        frame.resize(frame.len().max(least), 0);
        frame
    }

    /// Reads a frame; `None` if it is no hello that this version understands.
    pub fn from_frame(frame: &[u8]) -> Option<Hello> {
        let mut rest = behind_header(frame, MARK)?;
        let mut hello = Hello {
            session: u64::from_be_bytes(take(&mut rest)?),
            sequence: u32::from_be_bytes(take(&mut rest)?),
            revision: u64::from_be_bytes(take(&mut rest)?),
            heard: u32::from_be_bytes(take(&mut rest)?),
            long: u32::from_be_bytes(take(&mut rest)?),
            carries: None,
            answers: false,
        };
        let bridge = take_name(&mut rest)?;
        if !bridge.is_empty() {
            hello.carries = Some(Carries::read(bridge, &mut rest)?);
        }
        // Where an older version ends.
        hello.answers = take(&mut rest).is_some_and(|[answers]: [u8; 1]| answers == 1);
        Some(hello)
    }
}

impl Carries {
    fn write(&self, frame: &mut Vec<u8>) {
        put_name(frame, &self.bridge);
        let mut bits = [0; BITMAP];
        for vid in self.vids.iter() {
            bits[usize::from(vid.get()) / 8] |= 1 << (vid.get() % 8);
        }
        frame.extend(bits);
        let up = &self.up[..self.up.len().min(MOST_TRUNKS)];
        frame.push(up.len() as u8);
        up.iter().for_each(|mark| frame.extend(mark.to_be_bytes()));
    }

    fn read(bridge: String, rest: &mut &[u8]) -> Option<Carries> {
        let bits: [u8; BITMAP] = take(rest)?;
        let is_set = |vid: &u16| bits[usize::from(*vid) / 8] & 1 << (vid % 8) != 0;
        let vids: VidSet = (1..=4094).filter(is_set).filter_map(Vid::new).collect();
        let [trunks] = take(rest)?;
        let up = (0..trunks).map(|_| take(rest).map(u32::from_be_bytes)).collect::<Option<Vec<u32>>>()?;
        Some(Carries { bridge, vids, up })
    }
}

/// A trunk's name in four bytes: FNV-1a (Fowler, Noll, Vo), the same on every host and in every version.
pub fn mark_of(trunk: &str) -> u32 {
    trunk.bytes().fold(0x811c_9dc5, |mark, byte| (mark ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Begins a frame that says what the mark says; the source address differs by two bytes, as routers may choose a path by it.
fn put_header(frame: &mut Vec<u8>, [a, b]: [u8; 2], mark: [u8; 6]) {
    frame.extend(HELLO_ADDRESS.0);
    frame.extend([0x02, 0x6c, 0x32, 0x67, a, b]);
    frame.extend(PROBE_TYPE.to_be_bytes());
    frame.extend(mark);
}

/// What is behind the header of a frame that has this mark.
fn behind_header(frame: &[u8], mark: [u8; 6]) -> Option<&[u8]> {
    let (head, mut rest) = frame.split_at_checked(ETHERNET_HEADER)?;
    let is_one = head[12..] == PROBE_TYPE.to_be_bytes() && take::<6>(&mut rest)? == mark;
    is_one.then_some(rest)
}

/// Names are at most 63 bytes long.
fn put_name(frame: &mut Vec<u8>, name: &str) {
    frame.push(name.len() as u8);
    frame.extend(name.as_bytes());
}

fn take_name(rest: &mut &[u8]) -> Option<String> {
    let [len] = take(rest)?;
    let (name, behind) = rest.split_at_checked(usize::from(len))?;
    *rest = behind;
    String::from_utf8(name.to_vec()).ok()
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*first)
}

/// The VNI of hellos: the highest there is (RFC 7348 5). No segment gets it, dealt or declared.
pub const HELLO_VNI: u32 = vlan::model::encapsulation::HELLO_VNI;
/// The multicast address that hellos go to, beside that of probes ([`vlan::policy::PROBE_ADDRESS`]).
pub const HELLO_ADDRESS: MacAddr = MacAddr([0x03, 0x6c, 0x32, 0x67, 0x77, 0x02]);
/// "l2gw", hello, version 1.
const MARK: [u8; 6] = [b'l', b'2', b'g', b'w', 1, 1];
/// A bit for each VID that 12 bits can say (802.1Q 9.6).
const BITMAP: usize = 4096 / 8;
/// Trunks of one bridge on one host that are named.
const MOST_TRUNKS: usize = 200;
/// Without FCS (802.3 4A.4.2).
const SHORTEST: usize = 60;
/// A hello of a gateway, about.
const USUAL: usize = 640;
/// Destination, source and EtherType (802.3 3.1.1).
const ETHERNET_HEADER: usize = 14;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hello() -> impl Strategy<Value = Hello> {
        let carries = (
            "[a-z0-9][a-z0-9-]{0,62}",
            prop::collection::vec(1..=4094_u16, 0..40),
            prop::collection::vec(any::<u32>(), 0..=MOST_TRUNKS),
        )
            .prop_map(|(bridge, vids, up)| Carries {
                bridge,
                vids: vids.into_iter().filter_map(Vid::new).collect(),
                up,
            });
        let numbers = (any::<u64>(), any::<u32>(), any::<u64>(), any::<u32>(), 0..2_000_u32);
        (numbers, prop::option::of(carries), any::<bool>()).prop_map(
            |((session, sequence, revision, heard, long), carries, answers)| Hello {
                session,
                sequence,
                revision,
                heard,
                long,
                carries,
                answers,
            },
        )
    }

    fn a_bridge() -> Carries {
        Carries { bridge: "dc1".to_owned(), vids: [Vid::new(8).unwrap()].into_iter().collect(), up: vec![7] }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_whatever_length_it_is_padded_to(hello in hello()) {
            let frame = hello.to_frame();
            prop_assert!(frame.len() >= hello.long.max(60) as usize);
            prop_assert_eq!(Hello::from_frame(&frame), Some(hello));
        }

        #[test]
        fn a_part_of_one_and_any_bytes_are_read_as_none_or_some_without_a_panic(
            hello in hello(), cut in 0..700_usize, bytes in prop::collection::vec(any::<u8>(), 0..700)
        ) {
            let whole = Hello { long: 0, ..hello }.to_frame();
            let needed = whole.iter().rposition(|byte| *byte != 0).unwrap_or(0);
            let cut = &whole[..cut.min(whole.len())];
            prop_assert!(cut.len() > needed.min(43) || Hello::from_frame(cut).is_none());
            let _ = Hello::from_frame(&bytes);
        }
    }

    /// It ends with its marks, and with zeros up to the shortest frame.
    #[test]
    fn a_host_of_an_older_version_answers_no_questions() {
        for carries in [None, Some(a_bridge())] {
            let frame = Hello { answers: true, carries: carries.clone(), ..Hello::default() }.to_frame();
            assert!(Hello::from_frame(&frame).unwrap().answers);
            let ends_with = frame.iter().rposition(|byte| *byte != 0).unwrap();
            let mut older = frame[..ends_with].to_vec();
            let read = Hello::from_frame(&older).unwrap();
            assert_eq!((read.answers, &read.carries), (false, &carries));
            older.resize(frame.len(), 0);
            assert_eq!(Hello::from_frame(&older).unwrap(), read);
        }
    }

    #[test]
    fn each_hello_has_another_source_address_than_the_one_before() {
        let source = |sequence| Hello { sequence, ..Hello::default() }.to_frame()[6..12].to_vec();
        assert_ne!(source(1), source(2));
        assert_eq!(source(7)[0] & 1, 0, "an individual address");
    }
}
