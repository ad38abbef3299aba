//! The agent of one host: a pure engine, and the tasks that feed it and carry out what it wants.
//!
//! [`engine::Engine`] decides everything: which links become ports, what becomes of each frame that the kernel has no flow for,
//! which flows the kernel gets and when they change. It is told what happens ([`input::Input`]) and says what it wants done
//! ([`output::Output`]). It does no I/O, knows no clock and draws no random number, so that a recorded run can be replayed
//! and hundreds of engines run in one test. Everything that touches the system is in the tasks around it.
//!
//! ```text
//!   links, upcalls, statistics ─┐                    ┌─► datapath: ports, flows, frames, meters
//!   revisions of the topology  ─┼─► runtime ◄► engine ┼─► store: learned addresses, journal
//!   an operator's commands     ─┘                    └─► log
//! ```
//!
//! - [`life`] is a daemon from its first moment to its last: signals, log, start order, its own file; the programs that run one are thin.
//! - [`reader`] reads files of TOML and finds every mistake in them at once; [`config`] is what such a file says of the host and its
//!   store. [`program`] is `l2gw-agent`.
//! - [`start`] and [`daemon`] open what is needed, start the tasks, and end them in order; [`supervise`] keeps the side tasks alive.
//! - [`runtime`] is the one task that owns engine and datapath, on a thread of its own. Nothing needs a lock.
//! - [`door`] is the one way by which a revision comes in; [`topology`] publishes and follows revisions, [`revisions`] shows them;
//!   [`documents`] lays them out in the store; [`journal`] keeps events.
//! - [`serving`], [`socket`] and [`admin`] answer operators, in the form of [`view`]; what may be long comes in pages ([`page`]), of which [`list`] makes
//!   one list.
//! - [`reconcile`], [`lower`], [`budget`] and [`counters`] are the engine's own and as pure as it is.
//!
//! # A link becomes a port
//! ```
//! use agent::engine::{Engine, Settings};
//! use agent::event::Event;
//! use agent::input::{Answer, Input};
//! use agent::output::Output;
//! use datapath::port::{Link, LinkEvent, LinkFacts, LinkIndex, Vport, VportNo};
//! use vlan::model::description::{Bridge, BridgeKind, Description, Host, Mode, Port};
//! use vlan::time::Instant;
//!
//! # use vlan::model::defaults::{DEFAULT_AGEING, DEFAULT_BRIDGE_MAC_LIMIT};
//! # use vlan::model::description::{BpduPolicy, OnLimit};
//! # let vub8 = Bridge {
//! #     name: "vub8".into(), ageing: DEFAULT_AGEING, mac_limit: DEFAULT_BRIDGE_MAC_LIMIT,
//! #     renamed_from: None, mtu: None, kind: BridgeKind::VlanUnaware { vni: None },
//! # };
//! # let vm8 = Port::plain("vm8", "vub8", "gw1", "tap8");
//! // `vm8` is a port of the bridge `vub8`, on the link `tap8`.
//! let description = Description {
//!     hosts: vec![Host { name: "gw1".to_owned(), ..Host::default() }],
//!     bridges: vec![vub8],
//!     ports: vec![vm8],
//!     ..Description::default()
//! };
//! let tap8 = Link {
//!     index: LinkIndex(7),
//!     name: "tap8".to_owned(),
//!     is_up: true,
//!     has_carrier: true,
//!     mtu: 1500,
//!     mac: None,
//!     facts: LinkFacts::default(),
//! };
//! let now = Instant::from_secs(1);
//! let mut engine = Engine::new(Settings::new("gw1"));
//! engine.handle(now, Input::Observed { vports: vec![], flows: vec![], tunnel: None, groups: vec![] });
//! engine.handle(now, Input::Topology { revision: 1, description: Box::new(description), numbers: None, built: None });
//! engine.handle(now, Input::Link(Box::new(LinkEvent::All(vec![tap8]))));
//!
//! // What can fail has a number, and is answered by it.
//! let mut wanted = std::iter::from_fn(|| engine.poll_output());
//! let (id, link) = wanted
//!     .find_map(|output| match output {
//!         Output::Attach { id, link } => Some((id, link)),
//!         _ => None,
//!     })
//!     .unwrap();
//! assert_eq!(link, "tap8");
//! let vport = Vport { no: VportNo(1), link, index: Some(LinkIndex(7)) };
//! engine.handle(now, Input::Done { id, answers: vec![Answer::Attached(vport)] });
//!
//! let told: Vec<Output> = std::iter::from_fn(|| engine.poll_output()).collect();
//! let up = Event::PortUp { port: "vm8".to_owned(), link: "tap8".to_owned() };
//! assert!(told.contains(&Output::Event(up)));
//!
//! // A second answer to the same is ignored.
//! engine.handle(now, Input::Done { id, answers: vec![Answer::Done] });
//! assert_eq!(engine.poll_output(), None);
//! ```
//!
//! # What a caller of the engine can rely on
//! - Until it is answered the engine goes by what it asked for; a refusal mends that, and is counted.
//! - Work for one input is bounded; [`engine::Engine::poll_timeout`] says when the rest wants an [`input::Input::Tick`].
//! - Outputs are in the order in which they must happen: a frame before the new flow that it led to. Flows of a port
//!   that goes may outlive it for a while: they match nothing, or reach nobody there.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]
// The same inputs give the same outputs, in the same order.
#![warn(clippy::iter_over_hash_type)]

pub mod absent;
pub mod admin;
pub mod budget;
pub mod clock;
pub mod config;
pub mod counters;
pub mod daemon;
pub mod documents;
pub mod door;
mod driver;
pub mod engine;
pub mod event;
pub mod feed;
pub mod hello;
pub mod hosts;
pub mod input;
pub mod journal;
pub mod life;
pub mod list;
pub mod lower;
pub mod output;
pub mod page;
pub mod presence;
pub mod program;
pub mod reader;
pub mod reconcile;
pub mod record;
pub mod regular;
pub mod replay;
pub mod revisions;
pub mod runtime;
pub mod serving;
pub mod socket;
pub mod start;
pub mod supervise;
pub mod topology;
pub mod tree;
pub mod view;
