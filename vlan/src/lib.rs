//! VLAN bridging as pure code: the model, frames, the forwarding database and the forwarding decision.
//!
//! Nothing here does I/O, reads a clock, draws a random number or spawns anything. Time is an argument
//! ([`time::Instant`]), so that the same code runs in the daemon, in `l2gw trace` and in a simulation.
//!
//! The story of a frame: [`frame::Header`] is read once from the bytes (or from the kernel's flow key);
//! [`ingress`] says which VLAN it is in, or why it is dropped; [`fdb`] learns where its source is;
//! [`forward`] finds the destination through the chain of bridges, which [`model::topology`] has compiled into
//! *segments*; [`egress`] says by which ports it leaves and with which tags. The result is a
//! [`verdict::Verdict`]. It also lists the header fields that it consulted and the state that it depended on. So
//! a verdict may become a kernel flow, which is withdrawn when, and only when, that state changes.
//!
//! ```text
//!   Description ──build──► Topology ──┐
//!                                     ├─► Switch::forward ──► Verdict
//!   bytes ──parse──► Header ──────────┘
//! ```
//!
//! # One frame
//! A trunk of `dc1` and a VM on `vub8`, which is VLAN 8 of `dc1`:
//! ```
//! use std::sync::Arc;
//! use vlan::frame::Header;
//! use vlan::model::description::{
//!     BpduPolicy, Bridge, BridgeKind, Description, Host, Mode, OnLimit, Peering, Port, Redundancy, TrunkMode,
//! };
//! use vlan::model::id::HostId;
//! use vlan::model::topology::Topology;
//! use vlan::switch::Switch;
//! use vlan::tag::Tpid;
//! use vlan::time::Instant;
//! use vlan::verdict::{Decision, Egress, Verdict};
//! use vlan::vid::Vid;
//! # use std::time::Duration;
//! # use vlan::model::defaults::{DEFAULT_AGEING, DEFAULT_BRIDGE_MAC_LIMIT};
//! # fn bridge(name: &str, kind: BridgeKind) -> Bridge {
//! #     Bridge { name: name.into(), ageing: DEFAULT_AGEING, mac_limit: DEFAULT_BRIDGE_MAC_LIMIT, renamed_from: None, mtu: None, kind }
//! # }
//! # fn port(name: &str, bridge: &str, link: &str, mode: Mode) -> Port {
//! #     Port { mode, ..Port::plain(name, bridge, "gw1", link) }
//! # }
//!
//! let aware = BridgeKind::VlanAware {
//!     fabric: "rack1".to_owned(),
//!     redundancy: Redundancy::Designated,
//!     tpid: Tpid::Customer,
//!     join_vids: false,
//! };
//! let description = Description {
//!     hosts: vec![Host { name: "gw1".to_owned(), ..Host::default() }],
//!     bridges: vec![bridge("dc1", aware), bridge("vub8", BridgeKind::VlanUnaware { vni: None })],
//!     vlans: vec![Peering { bridge: "dc1".to_owned(), vid: Vid::new(8).unwrap(), to: "vub8".to_owned() }],
//!     trunks: vec![port("leaf1", "dc1", "eth2", Mode::Trunk(TrunkMode::default()))],
//!     ports: vec![port("vm8", "vub8", "tap8", Mode::Plain)],
//!     ..Description::default()
//! };
//! let topology = Arc::new(Topology::build(&description).unwrap());
//! let mut switch = Switch::offline(Arc::clone(&topology), HostId(0));
//!
//! // A broadcast from the physical network, tagged with VLAN 8.
//! let frame = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x81, 0x00, 0x00, 0x08, 0x08, 0x06];
//! let [leaf1, vm8] = ["leaf1", "vm8"].map(|name| topology.port_named(name).unwrap().id);
//! let (mut verdict, mut story) = (Verdict::default(), Vec::new());
//! switch.forward(Instant::from_secs(1), leaf1, &Header::parse(&frame).unwrap(), &mut verdict, &mut story);
//!
//! assert_eq!(verdict.decision, Decision::Forward);
//! assert_eq!(verdict.outputs[0].to, Egress::Port(vm8));
//! assert_eq!(verdict.outputs[0].edit.pop, 1);
//! assert_eq!(story[1], "its tag puts it in VLAN 8 of dc1, one segment with vub8");
//! ```
//!
//! # What a caller can rely on
//! - The same calls in the same order give the same verdicts.
//! - Nothing panics on what a frame or a description holds.
//! - A verdict holds for every frame that agrees in arrival port, source address and the fields consulted, until state it depends on changes.
//! - Identifiers ([`model::id`]) are of one topology. From one to the next, names stay.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]
// The same inputs give the same outputs, in the same order.
#![warn(clippy::iter_over_hash_type)]

pub mod addr;
pub mod control;
pub mod designation;
pub mod egress;
pub mod exits;
pub mod fdb;
pub mod filters;
pub mod forward;
pub mod frame;
pub mod ingress;
pub mod model;
pub mod peers;
pub mod plane;
pub mod policy;
pub mod switch;
pub mod tag;
pub mod time;
pub mod trace;
pub mod tunnel;
pub mod verdict;
pub mod vid;
