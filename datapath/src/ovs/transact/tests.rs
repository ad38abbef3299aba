//! Windows, answers, and what a datagram of others does to them.

use super::outbox::NLM_F_REQUEST;
use super::*;
use crate::netlink::message::{NLM_F_ACK_TLVS, NLM_F_CAPPED};
use crate::netlink::nla::align;
use proptest::prelude::*;

mod outbox;

fn message(kind: u16, flags: u16, seq: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = ((NLMSG_HEADER_LEN + payload.len()) as u32).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(seq.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

/// What is known of requests numbered 10 and following, of which some are quiet.
fn answers<const N: usize>(quiet: [bool; N]) -> Answers {
    let mut answers = Answers::new(10, vec![None; N]);
    let written =
        quiet.iter().enumerate().map(|(place, is_quiet)| Written { start: 0, place, is_quiet: *is_quiet });
    answers.expect(&written.collect::<Vec<_>>());
    answers
}

#[test]
fn answers_are_matched_by_sequence_number() {
    let mut datagram = message(NLMSG_ERROR, 0, 11, &(-libc::ENOENT).to_ne_bytes());
    datagram.extend(message(30, 0, 10, &[1, 0, 0, 0, 0xaa]));
    datagram.resize(align(datagram.len()), 0);
    datagram.extend(message(NLMSG_ERROR, 0, 10, &0_i32.to_ne_bytes()));
    datagram.extend(message(NLMSG_ERROR, 0, 9, &(-libc::EPERM).to_ne_bytes()));
    let mut window = answers([false; 2]);
    let mut replies = Vec::new();
    window.read(&datagram, &mut |index, reply: &[u8]| replies.push((index, reply.to_vec())));
    assert_eq!(replies, [(0, vec![0xaa])]);
    assert!(window.are_complete());
    assert_eq!(window.outcomes[0], Some(Ok(())));
    assert_eq!(
        window.outcomes[1],
        Some(Err(Denial::Errno { errno: libc::ENOENT, message: None })),
        "what belongs to an earlier window is ignored"
    );
}

#[test]
fn the_kernels_words_follow_a_capped_or_a_whole_request() {
    let words = [&[9, 0, 1, 0][..], b"nope\0\0\0\0"].concat();
    for (flags, echoed) in [(NLM_F_ACK_TLVS | NLM_F_CAPPED, 16), (NLM_F_ACK_TLVS, 24)] {
        let mut payload = (-libc::EINVAL).to_ne_bytes().to_vec();
        let mut request = vec![0; echoed];
        request[..4].copy_from_slice(&24_u32.to_ne_bytes());
        payload.extend(request);
        payload.extend(&words);
        let bytes = message(NLMSG_ERROR, flags, 1, &payload);
        let (message, _) = Message::split(&bytes).unwrap();
        let expected = Denial::Errno { errno: libc::EINVAL, message: Some("nope".into()) };
        assert_eq!(message.outcome(), Err(expected), "flags {flags:#x}");
    }
}

#[test]
fn a_dump_that_lost_a_part_is_not_taken_for_whole() {
    let mut window = answers([false]);
    window.has_lost = true;
    window.read(&message(NLMSG_DONE, 2, 10, &0_i32.to_ne_bytes()), &mut |_, _: &[u8]| {});
    assert_eq!(window.outcomes, [Some(Err(Denial::Lost))]);
}

#[test]
fn a_quiet_request_went_well_when_a_later_one_is_answered_and_not_before() {
    let refused = message(NLMSG_ERROR, 0, 11, &(-libc::EEXIST).to_ne_bytes());
    let acknowledged = message(NLMSG_ERROR, 0, 13, &0_i32.to_ne_bytes());
    let mut window = answers([true, true, true, false]);
    window.read(&refused, &mut |_, _: &[u8]| {});
    assert_eq!(window.outcomes[0], Some(Ok(())), "the kernel works them off in order");
    assert_eq!(window.outcomes[2..], [None, None]);
    window.read(&acknowledged, &mut |_, _: &[u8]| {});
    assert!(window.are_complete() && window.outcomes[1].as_ref().is_some_and(Result::is_err));
    assert_eq!((&window.outcomes[2], &window.outcomes[3]), (&Some(Ok(())), &Some(Ok(()))));
}

#[test]
fn of_a_quiet_request_whose_answer_may_be_lost_nothing_is_concluded() {
    let mut window = answers([true, false]);
    window.has_lost = true;
    window.read(&message(NLMSG_ERROR, 0, 11, &0_i32.to_ne_bytes()), &mut |_, _: &[u8]| {});
    assert_eq!(window.outcomes, [Some(Err(Denial::Lost)), Some(Ok(()))]);
}

#[test]
fn requests_are_padded_and_numbered() {
    let head = Head { family: 30, command: 1, version: 2, flags: DUMP, is_quiet: false };
    let request = |len| Request { head, body: vec![7; len] };
    let mut bytes = Vec::new();
    write_request(&mut bytes, &request(5), 1);
    assert_eq!(bytes.len(), 28);
    write_request(&mut bytes, &request(4), 2);
    let (first, rest) = Message::split(&bytes).unwrap();
    assert_eq!((first.seq, first.flags, first.payload.len()), (1, NLM_F_REQUEST | DUMP, 9));
    assert_eq!(Message::split(rest).unwrap().0.seq, 2);
}

/// Every kernel has the family that looks families up, and everybody may ask it.
#[tokio::test]
async fn answers_that_do_not_fit_are_lost_and_the_next_ones_come() {
    let mut transactor = Transactor::open_with(&Home::here().unwrap(), 1).unwrap();
    let look_up = || super::super::family::look_up("nlctrl").unwrap();
    for round in 0..3 {
        let mut replies = vec![0; 100];
        let mut count = |index: usize, _: &[u8]| replies[index] += 1;
        let mut out = transactor.outbox();
        (0..100).for_each(|_| out.add(Ok(look_up())));
        let outcomes = transactor.exchange(out, &mut count).await;
        let lost = outcomes.iter().filter(|outcome| **outcome == Err(Denial::Lost)).count();
        assert!(lost > 0, "round {round}: 32 answers fit into the smallest buffer, so this says nothing");
        let kept: Vec<_> = outcomes.iter().filter(|outcome| **outcome != Err(Denial::Lost)).collect();
        assert!(
            kept.iter().all(|outcome| outcome.is_ok()) && !kept.is_empty(),
            "round {round}: {outcomes:?}"
        );
        assert!(replies.iter().all(|count| *count <= 1), "round {round}: an answer was taken for another's");
        assert_eq!(transactor.ask(look_up()).await.unwrap().len(), 1, "round {round}");
    }
}

/// A family that nobody has: the kernel refuses, and only that is answered. It refuses a command that needs a right or does not exist
/// before it looks at who asks.
#[tokio::test]
async fn of_quiet_requests_only_refusals_are_answered_and_nothing_is_waited_for() {
    let mut transactor = Transactor::open(&Home::here().unwrap()).unwrap();
    let quiet = |family: u16| {
        let request = super::super::family::look_up("nlctrl").unwrap();
        Ok(Request { head: Head { family, ..request.head }.quietly(), body: request.body })
    };
    let control = super::super::family::look_up("nlctrl").unwrap().head.family;
    for round in 0..3 {
        let mut out = transactor.outbox();
        [control, 999, control].into_iter().for_each(|family| out.add(quiet(family)));
        let outcomes = transactor.exchange(out, &mut |_, _: &[u8]| {}).await;
        let refused = |outcome: &Outcome| outcome.as_ref().is_err_and(|denial| denial.is(libc::ENOENT));
        assert!(
            outcomes[0].is_ok() && refused(&outcomes[1]) && outcomes[2].is_ok(),
            "round {round}: {outcomes:?}"
        );
        assert_eq!(transactor.ask(super::super::family::look_up("nlctrl").unwrap()).await.unwrap().len(), 1);
    }
}

proptest! {
    #[test]
    fn any_datagram_is_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in 0_u16..40) {
        answers([false; 3]).read(&bytes, &mut |_, _: &[u8]| {});
        answers([true; 3]).read(&message(kind, bytes.len() as u16 * 64, 10, &bytes), &mut |_, _: &[u8]| {});
    }
}
