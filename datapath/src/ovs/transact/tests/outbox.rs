//! Where windows end, what is acknowledged, and what cannot be written.

use super::super::outbox::{NLM_F_ACK, NLM_F_REQUEST, WINDOW};
use super::super::*;

/// One body for each, of this many bytes.
fn outbox(requests: &[(bool, usize)]) -> Outbox {
    let mut out = Outbox::default();
    for (is_quiet, len) in requests {
        let head = Head { family: 30, command: 1, version: 2, flags: CREATE, is_quiet: *is_quiet };
        out.add(Ok(Request { head, body: vec![7; *len] }));
    }
    out
}

fn flags_and_numbers(mut datagram: &[u8]) -> Vec<(u16, u32)> {
    let mut all = Vec::new();
    while let Some((message, rest)) = Message::split(datagram) {
        all.push((message.flags, message.seq));
        datagram = rest;
    }
    all
}

#[test]
fn the_last_of_a_window_is_acknowledged_unless_all_are_quiet() {
    let flags = |requests: &[(bool, usize)]| {
        let mut out = outbox(requests);
        let window = out.window_from(0);
        out.seal(&window, 7);
        flags_and_numbers(out.datagram(&window))
    };
    let (quiet, loud) = (NLM_F_REQUEST | CREATE, NLM_F_REQUEST | CREATE | NLM_F_ACK);
    assert_eq!(flags(&[(true, 4), (true, 4)]), [(quiet, 7), (quiet, 8)]);
    assert_eq!(flags(&[(true, 4), (false, 4)]), [(quiet, 7), (loud, 8)]);
    assert_eq!(flags(&[(false, 4), (true, 4), (true, 4)]), [(loud, 7), (quiet, 8), (loud, 9)]);
}

#[test]
fn a_window_ends_where_its_bytes_or_its_requests_do() {
    let out = outbox(&[(true, 40 << 10); 5]);
    assert_eq!((out.window_from(0), out.window_from(2), out.window_from(4)), (0..2, 2..4, 4..5));
    let out = outbox(&[(true, 200 << 10), (true, 4)]);
    assert_eq!((out.window_from(0), out.window_from(1)), (0..1, 1..2), "one that is too long goes alone");
    let out = outbox(&[(true, 4); WINDOW + 1]);
    assert_eq!((out.window_from(0), out.window_from(WINDOW)), (0..WINDOW, WINDOW..WINDOW + 1));
}

#[test]
fn what_cannot_be_written_leaves_the_others_and_keeps_its_place() {
    let mut out = outbox(&[(true, 4)]);
    let head = Head { family: 30, command: 1, version: 2, flags: 0, is_quiet: true };
    out.write(head, |message| {
        message.put(1, &[0; 70_000]);
        Ok(())
    });
    out.write(head, |_| Err(Denial::Lost));
    out.write(head, |message| {
        message.put_u32(1, 9);
        Ok(())
    });
    assert_eq!(out.len(), 4);
    assert_eq!(out.outcomes[1], Some(Err(Denial::too_long(70_004))));
    assert_eq!(
        (&out.outcomes[0], &out.outcomes[2], &out.outcomes[3]),
        (&None, &Some(Err(Denial::Lost)), &None)
    );
    let window = out.window_from(0);
    out.seal(&window, 7);
    let numbers: Vec<u32> = flags_and_numbers(out.datagram(&window)).iter().map(|(_, seq)| *seq).collect();
    assert_eq!(numbers, [7, 10], "numbered by their places");
}
