//! The lab: a real kernel, and a network of namespaces inside it.
//!
//! ```text
//!   #[test]  ──►  kernel::run ──►  slot (one CPU)  ──►  Machine (linux.uml)  ──►  lab-init  ──►  the same #[test], inside
//!                     │                                    ▲ output, status                      │
//!                     └── running kernel has openvswitch: a thread in a fresh namespace ─────────┴──►  the body
//!
//!   the body:   PhysicalHost ══ Switch (vlan_filtering) ══ trunk ══ namespace of the gateway ══ Vm
//!                                                            └── Tap: frames as bytes, tags put back
//! ```
//! A step of the lab that cannot be done panics and names what, which and why: a test has nothing to handle there.
//! Everything that a lab makes lives in namespaces that exist only as open descriptors, so nothing outlives the test.
//!
//! VIDs and priorities are plain numbers here on purpose: the lab sends what the gateway must refuse, and it is the
//! yardstick for `vlan`, so it shares no code with it.

pub mod captures;
pub mod cluster;
pub mod console;
pub mod ensemble;
pub mod flood;
pub mod frames;
pub mod gateway;
pub mod genl;
pub mod host;
pub mod job;
pub mod kernel;
pub mod links;
pub mod machine;
pub mod netns;
pub mod ping;
mod record;
mod shim;
pub mod slot;
mod spawn;
pub mod standard;
pub mod switch;
pub mod tap;
pub mod testbed;
pub mod veth;
