//! The codec against messages that passed between it and a kernel: what we write is what the kernel took, byte for byte, and what it
//! answered is read as what it meant. `captured.txt` says where it is from and how to make a new one.

use vlan::addr::MacAddr;
use vlan::frame::Header;
use vlan::tag::{Tag, Tpid};
use vlan::time::Instant;
use vlan::verdict::{Consulted, TagFields};

use super::families::OVS_DATAPATH_VERSION;
use super::family::{DpIndex, Family, OVS_VERSION, Resolved, look_up, read_family};
use super::flow::{Dumped, Table, Wanted};
use super::nla::{NlaIter, NlaWriter};
use super::packet::{Missed, Reader};
use super::transact::{Denial, Message, Outbox, Request, write_request};
use super::watch::{Notice, read_notices};
use super::{
    Action, Counters, Execute, Flow, FlowId, FlowKey, FlowStats, LinkIndex, MeterId, MeterRate, MeterStats,
    Upcall, Vport, VportNo, action, dp, flow, key, meter, packet, vport,
};

const CAPTURED: &str = include_str!("captured.txt");

/// The index of the datapath's own link.
const DP: DpIndex = DpIndex(5);
const A: VportNo = VportNo(1);
const B: VportNo = VportNo(2);
const METER: MeterId = MeterId(3);
/// When the flows were hit, milliseconds after the kernel was booted: OVS_FLOW_ATTR_USED of this capture.
const HIT_AT: u64 = 845;

/// The datagrams that passed when this was done.
fn datagrams(what: &str) -> Vec<Vec<u8>> {
    let lines = CAPTURED.lines().filter_map(|line| line.split_once(' '));
    lines.filter(|(name, _)| *name == what).map(|(_, hex)| unhex(hex)).collect()
}

fn unhex(hex: &str) -> Vec<u8> {
    let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digits).collect()
}

fn messages(datagram: &[u8]) -> Vec<Message<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(|| {
        let (message, behind) = Message::split(rest)?;
        rest = behind;
        Some(message)
    })
    .collect()
}

/// What the kernel answered when this was done, without requests and acknowledgements.
fn replies(what: &str) -> Vec<Vec<u8>> {
    let all = datagrams(what);
    let messages = all[1..].iter().flat_map(|datagram| messages(datagram));
    messages
        .filter(|message| message.kind >= 16)
        .filter_map(|message| Some(message.command()?.1.to_vec()))
        .collect()
}

fn acknowledgements(what: &str) -> Vec<Result<(), Denial>> {
    let all = datagrams(what);
    let messages = all.iter().flat_map(|datagram| messages(datagram));
    messages.filter(|message| message.kind == 2).map(|message| message.outcome()).collect()
}

fn resolved(name: &str, version: u8) -> Resolved {
    let all = datagrams("open");
    let asked = all.iter().position(|datagram| *datagram == written(&[look_up(name).unwrap()], datagram));
    let answer = &all[asked.unwrap_or_else(|| panic!("nobody asked for {name}")) + 1];
    read_family(messages(answer)[0].command().unwrap().1, version).unwrap()
}

fn family(name: &str) -> Family {
    let version = if name == "ovs_datapath" { OVS_DATAPATH_VERSION } else { OVS_VERSION };
    resolved(name, version).family
}

/// The requests as they go out, numbered as the captured ones are.
fn written(requests: &[Request], like: &[u8]) -> Vec<u8> {
    let first = messages(like).first().map_or(0, |message| message.seq);
    let mut bytes = Vec::new();
    (first..).zip(requests).for_each(|(seq, request)| write_request(&mut bytes, request, seq));
    bytes
}

/// Checks that one datagram of those that passed when this was done is these requests.
fn assert_sent(what: &str, requests: &[Request]) {
    let all = datagrams(what);
    let is_sent = all.iter().any(|datagram| *datagram == written(requests, datagram));
    assert!(is_sent, "{what}: {:02x?} is none of {all:02x?}", written(requests, &all[0]));
}

/// As [`assert_sent`], of requests that are written where they go out from.
fn assert_written(what: &str, write: impl Fn(&mut Outbox)) {
    let all = datagrams(what);
    let written = |like: &[u8]| {
        let mut out = Outbox::default();
        write(&mut out);
        out.into_acknowledged(messages(like).first().map_or(0, |message| message.seq))
    };
    let is_sent = all.iter().any(|datagram| *datagram == written(datagram));
    assert!(is_sent, "{what}: {:02x?} is none of {all:02x?}", written(&all[0]));
}

fn upcalls() -> Vec<Upcall> {
    let mut upcalls = Vec::new();
    for datagram in datagrams("upcall") {
        read_upcalls(Some(A), &datagram, &mut upcalls);
    }
    upcalls
}

fn read_upcalls(port: Option<VportNo>, datagram: &[u8], upcalls: &mut Vec<Upcall>) {
    Reader::new(family("ovs_packet")).read(port, datagram, &mut |missed| match missed {
        Missed::First(upcall) => upcalls.push(upcall),
        Missed::Ungrouped => panic!("no frame was given back"),
    });
}

fn mac(last: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, last])
}

fn tag(tpid: Tpid, tci: u16) -> Tag {
    Tag::from_wire(tpid, tci)
}

fn header(dst: MacAddr, tags: &[Tag], ether_type: u16) -> Header {
    Header { dst, src: mac(1), tags: tags.iter().copied().collect(), ether_type }
}

fn outer_vid() -> Consulted {
    let mut mask = Consulted::default();
    mask.tag_vid(0);
    mask
}

fn widest() -> Consulted {
    let read = TagFields { presence: true, vid: true, pcp: true };
    Consulted { dst: true, tags: [read; 2], ether_type: true, class: false }
}

fn push() -> Action {
    Action::PushTag(tag(Tpid::Customer, 0x4007))
}

#[test]
fn families_have_their_numbers_groups_and_attributes() {
    let datapath = resolved("ovs_datapath", OVS_DATAPATH_VERSION);
    assert_eq!((datapath.group, datapath.attributes), (Some(3), 9));
    assert!(datapath.family.is(28));
    assert_eq!(resolved("ovs_vport", OVS_VERSION).group, Some(4));
    assert_eq!(resolved("ovs_packet", OVS_VERSION).group, None);
    for (name, number) in [("ovs_vport", 29), ("ovs_flow", 30), ("ovs_packet", 31), ("ovs_meter", 32)] {
        assert!(family(name).is(number), "{name}");
    }
}

#[test]
fn a_datapath_is_made_found_and_counted() {
    let family = family("ovs_datapath");
    assert_sent("open", &[dp::create(family, "dp-test").unwrap()]);
    assert_sent("open", &[dp::find(family, "dp-test").unwrap()]);
    assert_sent("read-counters", &[dp::describe(family, DP).unwrap()]);
    let found = dp::read(&replies("read-counters")[0]).unwrap();
    let counters = Counters { hit: 2, missed: 4, flows: 3, masks: 3, ..Counters::default() };
    assert_eq!(found, dp::Description { dp: DP, counters, by_cpu: None });
}

#[test]
fn a_port_is_made_listed_and_released() {
    let family = family("ovs_vport");
    let described = vport::read(&replies("attach")[0]).unwrap();
    let port = Vport { no: A, link: "a".into(), index: Some(LinkIndex(3)) };
    assert_eq!((&described.port, described.stats.rx_packets), (&port, 0));
    assert_sent("attach", &[vport::create(family, DP, A, "a", described.upcalls_to.unwrap()).unwrap()]);
    assert_sent("attach", &[vport::describe(family, DP, A).unwrap()]);
    assert_sent("list-vports", &[vport::list(family, DP).unwrap()]);
    let listed: Vec<_> = replies("list-vports").iter().map(|reply| vport::read(reply).unwrap()).collect();
    let names: Vec<_> = listed.iter().map(|port| (port.port.no.0, port.port.link.as_str())).collect();
    assert_eq!(names, [(0, "dp-test"), (1, "a"), (2, "b")]);
    assert_eq!((listed[0].upcalls_to, &listed[1]), (None, &described));
    assert_sent("detach", &[vport::delete(family, DP, B).unwrap()]);
    let last = vport::read(&replies("detach")[0]).unwrap();
    assert_eq!((last.stats.tx_packets, last.stats.tx_bytes), (3, 42 + 43 + 42));
}

#[test]
fn upcalls_are_read_with_frame_and_key() {
    let upcalls = upcalls();
    let expected = [
        header(mac(2), &[], 0x0806),
        header(mac(2), &[tag(Tpid::Customer, 0xb008)], 0x0800),
        header(mac(2), &[tag(Tpid::Service, 0x6064), tag(Tpid::Customer, 0xa008)], 0x88b5),
        header(MacAddr([1, 0x80, 0xc2, 0, 0, 0]), &[], 0),
    ];
    assert_eq!(upcalls.len(), expected.len());
    for (upcall, expected) in upcalls.iter().zip(expected) {
        let key = upcall.key.as_ref().unwrap();
        assert_eq!((upcall.vport, key.vport, key.recirc), (A, A, 0));
        assert_eq!(key.header, expected);
        assert_eq!(Header::parse(&upcall.frame).unwrap(), expected);
    }
    assert_eq!(upcalls[1].frame.len(), 47, "the tag is in the bytes");
    let mut of_any = Vec::new();
    let datagram = &datagrams("upcall")[0];
    read_upcalls(None, datagram, &mut of_any);
    assert_eq!(of_any, upcalls[..1], "the key alone says which port it was");
}

#[test]
fn flows_are_put_as_the_kernel_took_them() {
    let upcalls = upcalls();
    let keys: Vec<&FlowKey> = upcalls.iter().map(|upcall| upcall.key.as_ref().unwrap()).collect();
    let first = Wanted {
        id: FlowId(1),
        key: keys[0],
        mask: &widest(),
        actions: &[Action::Meter(METER), push(), Action::Output(B)],
    };
    let second = Wanted {
        id: FlowId(2),
        key: keys[1],
        mask: &outer_vid(),
        actions: &[Action::PopTag, Action::Output(B)],
    };
    let family = family("ovs_flow");
    let table = Table { family, dp: DP, tunnel: None };
    assert_written("put-flows", |out| {
        [first, second].iter().for_each(|wanted| wanted.create(out, &table));
    });
    assert_eq!(acknowledgements("put-flows"), [Ok(()), Ok(())]);
    let deletions = [1, 9].map(|id| flow::delete_counted(family, DP, FlowId(id)).unwrap());
    assert_sent("delete-flows", &deletions);
    let counted = flow::read_stats(&replies("delete-flows")[0]).unwrap();
    assert_eq!(counted, Some((FlowId(1), FlowStats::default())), "what it had counted is told");
    let none = Denial::Errno { errno: libc::ENOENT, message: None };
    assert_eq!(acknowledgements("delete-flows"), [Ok(()), Err(none)]);
}

#[test]
fn a_dump_of_flows_is_read_and_its_parts_are_written_as_they_came() {
    let family = family("ovs_flow");
    assert_sent("list-flows", &[flow::list(family, DP).unwrap()]);
    let replies = replies("list-flows");
    let mut flows: Vec<Flow> = replies
        .iter()
        .map(|reply| match flow::read(reply, None).unwrap() {
            Dumped::Flow(flow) => flow,
            other => panic!("{other:?}"),
        })
        .collect();
    flows.sort_by_key(|flow| flow.id);
    assert_eq!(flows.iter().map(|flow| flow.id.0).collect::<Vec<_>>(), [1, 2, 3]);
    let stats = |packets, bytes, ms| FlowStats { packets, bytes, used: Some(Instant::from_millis(ms)) };
    let actions = [
        vec![Action::Meter(METER), push(), Action::Output(B)],
        vec![Action::PopTag, Action::Output(B)],
        vec![Action::Clone(vec![push(), Action::Output(B)]), Action::Output(A)],
    ];
    let expected = [
        (header(mac(2), &[], 0x0806), widest(), stats(1, 42, HIT_AT)),
        // What is not masked reads as zero, and DEI always does.
        (header(MacAddr::ZERO, &[tag(Tpid::Customer, 8)], 0), outer_vid(), stats(1, 47, HIT_AT)),
        (
            header(MacAddr::ZERO, &[tag(Tpid::Service, 100), tag(Tpid::Customer, 0)], 0),
            outer_vid(),
            FlowStats::default(),
        ),
    ];
    for ((flow, actions), (header, mask, stats)) in flows.iter().zip(actions).zip(expected) {
        assert_eq!((&flow.key.header, flow.key.vport), (&header, A));
        assert_eq!(flow.mask, Some(key::widen(&mask, header.tags.len(), false)), "flow {:x}", flow.id);
        assert_eq!((flow.actions.as_ref(), flow.stats), (Some(&actions), stats));
    }
    for reply in &replies {
        let attribute =
            |kind| NlaIter::behind(4, reply).flatten().find(|nla| nla.kind == kind).unwrap().payload;
        let mut writer = NlaWriter::default();
        let decoded = action::decode(NlaIter::new(attribute(2)), None).unwrap();
        action::encode(&mut writer, 2, &decoded, None);
        assert_eq!(&writer.finish().unwrap()[4..], attribute(2), "actions");
        let (key, mask) = key::read_masked(attribute(1), Some(attribute(7))).unwrap();
        let mut writer = NlaWriter::default();
        key::encode_mask(&mut writer, 7, &key, &mask.unwrap());
        let again = writer.finish().unwrap();
        assert_eq!(key::read_masked(attribute(1), Some(&again[4..])).unwrap(), (key, mask), "mask");
    }
}

#[test]
fn counts_of_flows_are_read_without_their_keys() {
    assert_sent("list-stats", &[flow::list_stats(family("ovs_flow"), DP).unwrap()]);
    let read = |reply: &Vec<u8>| flow::read_stats(reply).unwrap().unwrap();
    let mut stats: Vec<_> = replies("list-stats").iter().map(read).collect();
    stats.sort_by_key(|(id, _)| *id);
    let counts: Vec<_> = stats.iter().map(|(id, stats)| (id.0, stats.packets, stats.bytes)).collect();
    assert_eq!(counts, [(1, 1, 42), (2, 1, 47), (3, 0, 0)]);
}

#[test]
fn a_meter_is_set_and_read() {
    let family = family("ovs_meter");
    let rate = MeterRate { packets_per_second: 100, burst: 10 };
    assert_sent("set-meter", &[meter::set(family, DP, METER, rate).unwrap()]);
    assert_sent("read-meter", &[meter::describe(family, DP, METER).unwrap()]);
    assert_eq!(meter::read(&replies("read-meter")[0]), Ok(MeterStats { packets: 1, dropped: 0 }));
}

#[test]
fn a_frame_is_executed_and_a_short_one_refused_in_the_kernels_words() {
    let order = |frame: &[u8]| Execute {
        vport: Some(A),
        frame: frame.to_vec(),
        actions: vec![Action::Output(B)],
        hash: None,
    };
    let family = family("ovs_packet");
    let orders = [order(&upcalls()[0].frame), order(&[0; 13])];
    assert_written("execute", |out| {
        orders.iter().for_each(|order| packet::execute(out, family, DP, (order, None)));
    });
    let words = Some("Attribute failed policy validation".to_owned());
    let short = Denial::Errno { errno: libc::ERANGE, message: words };
    assert_eq!(acknowledgements("execute"), [Ok(()), Err(short)]);
}

/// The kernel tells everyone what it answers to whoever asked.
#[test]
fn notices_are_read() {
    let (datapath, vport) = (family("ovs_datapath"), family("ovs_vport"));
    let notices = |what: &str, dp| -> Vec<Notice> {
        datagrams(what)
            .iter()
            .skip(1)
            .flat_map(|datagram| read_notices(datapath, vport, dp, datagram))
            .collect()
    };
    assert!(matches!(notices("attach", DP)[0], Notice::Vport(A, Some(_))));
    assert_eq!(notices("detach", DP), [Notice::VportGone(B)]);
    assert_eq!(notices("detach", DpIndex(6)), [], "of another datapath");
    assert_eq!(notices("read-counters", DP), [Notice::Datapath(None)]);
    assert_eq!(notices("deleted", DP).last(), Some(&Notice::DatapathGone));
}

/// What a kernel never sends, a broken one or a bug of ours might.
#[test]
fn messages_that_are_cut_short_or_changed_are_read_without_panic() {
    let lines = CAPTURED.lines().filter(|line| !line.starts_with('#'));
    let all: Vec<Vec<u8>> =
        lines.filter_map(|line| line.split_once(' ')).map(|(_, hex)| unhex(hex)).collect();
    let families = ["ovs_datapath", "ovs_vport", "ovs_packet"].map(family);
    assert!(all.len() > 50, "{} messages", all.len());
    for datagram in &all {
        for at in 0..datagram.len() {
            read_everyhow(families, &datagram[..at]);
            for bits in [0x01, 0x80, 0xff] {
                let mut changed = datagram.clone();
                changed[at] ^= bits;
                read_everyhow(families, &changed);
            }
        }
    }
}

fn read_everyhow(families: [Family; 3], datagram: &[u8]) {
    let [datapath, vport, packet] = families;
    read_notices(datapath, vport, DP, datagram);
    for port in [Some(A), None] {
        Reader::new(packet).read(port, datagram, &mut |_| {});
    }
    for message in messages(datagram) {
        let _ = message.outcome();
        let Some((_, body)) = message.command() else { continue };
        let _ = (
            dp::read(body),
            vport::read(body),
            flow::read(body, None),
            flow::read_stats(body),
            meter::read(body),
        );
        let _ = (read_family(body, 1).is_some(), flow::lacks_actions(body));
    }
}
