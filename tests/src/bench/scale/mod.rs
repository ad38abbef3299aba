//! How cost grows with size: ports to 12 282, VLANs to 4 094, addresses to 1 000 000, flows to 200 000. `make bench-scale`; what it found is
//! in docs/benchmarks.md.
//!
//! ```text
//!   events    one engine in this thread: a link, a frame, a slice, a page, a tick        ─┐
//!   files     `l2gw check` and `table`, no daemon                                         │
//!   daemon    `l2gw run --datapath fake`, asked by its socket                             ├─► readings ─► report
//!   latency   the daemon's loop on a wire in memory, one port that nobody means harm      │
//!   kernel    `l2gw run` on openvswitch.ko, in a test kernel                             ─┘
//! ```
//! An *event* costs what it touches: at four times the size at most 1.5 times as much. A *whole* is near-linear: at most 5 times.
//! Both are CPU time, so that the machine's other work tells little. What is waited for is wall time, with a [`spinner`] beside it that
//! says how long this machine keeps a program waiting that does nothing but look at the clock.

pub mod daemon;
pub mod events;
pub mod files;
pub mod host;
pub mod kernel;
pub mod latency;
pub mod live;
pub mod meter;
pub mod reading;
pub mod report;
pub mod sizes;
pub mod spinner;
pub mod watched;
pub mod world;
