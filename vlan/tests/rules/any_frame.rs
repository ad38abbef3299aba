//! Whatever arrives, by whichever port: no panic, a named end, and what must hold of every verdict.

use std::sync::Arc;

use proptest::prelude::*;

use vlan::frame::{Header, rewrite};
use vlan::model::description::{BridgeKind, Description};
use vlan::model::id::{HostId, PortId};
use vlan::model::topology::Topology;
use vlan::switch::Switch;
use vlan::time::Instant;
use vlan::verdict::{Decision, Egress, Verdict};

use crate::table;

/// One of each: a chain, a translation, every kind of port, three kinds of redundancy, another host.
const EVERYTHING: &[&str] = &[
    "host h2",
    "bridge sw fabric dc",
    "bridge metro tpid 88a8 fabric metro",
    "bridge st redundancy stp fabric st",
    "bridge no redundancy none",
    "bridge red unaware",
    "vlan sw 8 red",
    "vlan metro 100 sw",
    "vlan st 108 red",
    "vlan no 9 red",
    "trunk t1 sw 8,9 native 9 priority-tags",
    "trunk t2 sw 8,109 translate 109=9",
    "trunk m1 metro 100,200",
    "trunk s1 st 108",
    "trunk s2 st 108",
    "trunk n1 no 9",
    "port a8 sw access 8 macs A,B",
    "port p9 sw trunk 8,9 native 8 native-inner=pass",
    "port q1 metro qinq 200 customer-vlans 8-10",
    "port q2 metro qinq 100 pcp 3",
    "port v1 red limit 2 on-limit=drop",
    "port v2 red priority-tags",
    "port r1 red host h2",
];

fn topology() -> Arc<Topology> {
    let mut description = Description::default();
    for line in EVERYTHING {
        table::stories::declare(&mut description, line).expect(line);
    }
    let is_aware = |kind: &BridgeKind| matches!(kind, BridgeKind::VlanAware { .. });
    assert_eq!(description.bridges.iter().filter(|bridge| is_aware(&bridge.kind)).count(), 4);
    Arc::new(Topology::build(&description).unwrap_or_else(|mistakes| panic!("{mistakes:?}")))
}

/// Bytes that are nearly always a frame: addresses from few, tags from few, then anything.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let address = prop_oneof![
        Just([0xff; 6]),
        (0x41..0x46_u8).prop_map(|last| [2, 0, 0, 0, 0, last]),
        (0..0x40_u8).prop_map(|last| [0x01, 0x80, 0xc2, 0, 0, last]),
        any::<[u8; 6]>(),
    ];
    let tag = (prop_oneof![Just(0x8100_u16), Just(0x88a8), Just(0x9100)], any::<u16>(), 0..16_u16).prop_map(
        |(tpid, tci, few)| {
            let vid = [8, 9, 100, 108, 109, 200, 0, 4095].get(usize::from(few)).copied();
            [tpid.to_be_bytes(), vid.map_or(tci, |vid| tci & 0xf000 | vid).to_be_bytes()].concat()
        },
    );
    let addresses = (address.clone(), address);
    (addresses, prop::collection::vec(tag, 0..4), prop::collection::vec(any::<u8>(), 0..20))
        .prop_map(|((dst, src), tags, rest)| [dst.to_vec(), src.to_vec(), tags.concat(), rest].concat())
}

proptest! {
    #[test]
    fn no_frame_makes_it_panic(frames in prop::collection::vec((0..17_u32, frame()), 1..20)) {
        let topology = topology();
        let mut switch = Switch::offline(Arc::clone(&topology), HostId(0));
        let mut verdict = Verdict::default();
        for (second, (port, bytes)) in frames.iter().enumerate() {
            let port = PortId(*port % topology.ports().len() as u32);
            let Ok(header) = Header::parse(bytes) else { continue };
            let mut steps: Vec<String> = Vec::new();
            switch.forward(Instant::from_secs(second as u64), port, &header, &mut verdict, &mut steps);
            prop_assert_ne!(verdict.decision, Decision::Unjudged);
            prop_assert_eq!(verdict.outputs.is_empty(), verdict.decision != Decision::Forward);
            prop_assert!(steps.len() >= 2, "{:?}", steps);
            for output in &verdict.outputs {
                prop_assert_ne!(output.to, Egress::Port(port));
                prop_assert!(rewrite(bytes, usize::from(output.edit.pop), &output.edit.push).is_ok());
            }
        }
    }

    #[test]
    fn any_bytes_are_a_header_or_named_as_none(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        match Header::parse(&bytes) {
            Ok(header) => prop_assert!(bytes.len() >= 14 + 4 * header.tags.len()),
            Err(error) => prop_assert!(error.to_string().contains("ends inside"), "{}", error),
        }
    }
}
