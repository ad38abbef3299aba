//! The appliance: what an operator writes and types. The rest of a gateway is in crate `agent`.
//!
//! [`config`] reads the one TOML file, by [`agent::reader`]: from bytes to a checked [`vlan::model::topology::Topology`], or to every mistake
//! in it at once, each with its line and column. [`cli`] has the verbs:
//!
//! | verbs | need |
//! |---|---|
//! | `check`, `table`, `trace FILE` | a file, and nothing else |
//! | `run` | a file, the state directory, a datapath: it is the daemon |
//! | `show`, `plan`, `apply`, `rollback`, `port`, `flush`, `unblock`, `trace` | a daemon, by its socket |
//! | `plan`, `apply`, `rollback`, `port`, `show config`, `show revisions`, with `--nsdb` | a store that hosts share, and no daemon |
//! | `demo` | a kernel with openvswitch.ko, and root |
//!
//! A verb writes what it is asked for to `out`, what went wrong to `err`, and returns its exit code ([`cli::DONE`] and its neighbours).
//! A wrong file is found before anything but the file is opened.
//!
//! ```
//! use l2gw::config;
//!
//! let right = r#"
//! [hosts.gw1]
//!
//! [bridges.vub8]
//! kind = "vlan-unaware"
//!
//! [[ports]]
//! name = "vm8"
//! bridge = "vub8"
//! host = "gw1"
//! link = "tap8"
//! "#;
//! let checked = config::parse("gateway.toml", right)?;
//! assert_eq!(checked.topology.port_named("vm8").unwrap().link, "tap8");
//!
//! let wrong = right.replace("link =", "lnik =");
//! let problems = config::parse("gateway.toml", &wrong).unwrap_err().to_string();
//! assert!(problems.contains("gateway.toml:11:1: ports.vm8.lnik:"), "{problems}");
//! # Ok::<(), agent::reader::finding::Problems>(())
//! ```

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]

pub mod cli;
pub mod config;
