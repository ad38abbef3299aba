//! What a frame and a first frame cost, against the other forwarders of the kernel. Programs, not tests: `make bench-kernel` and
//! `make bench-uml`; what they found is in docs/benchmarks.md.
//!
//! ```text
//!   bench-kernel ──► guest: qemu, one instruction a nanosecond ──► init (PID 1) ──► bench-kernel --inside
//!   bench-uml    ──► lab::machine: User-Mode Linux, real time  ──► lab-init     ──► bench-uml --inside
//!
//!   inside:   station ══ `vm`  [ contender ]  `trunk` ══ switch          a wire; the contender is one of seven
//!               └ pktgen, packet sockets ──► figures ──► report (table, ratios, aims)
//!   overlay:  station ══ `vm` [ host ] ══ VXLAN ══ [ host ] `trunk` ══ station   the same, of two hosts
//! ```
//! [`scale`] is `make bench-scale`: how cost grows with size. [`agents`] is `make bench-agents`: a fleet of
//! hosts on an ensemble. [`smp`] is `make test-smp`: what only two CPUs show.
//!
//! Figures are [`samples::Samples`]: what was measured several times, never one number without its spread. As in the lab, a step that
//! cannot be done panics and names what, which and why.

pub mod agents;
pub mod contender;
pub mod cpio;
pub mod feed;
pub mod figure;
pub mod first_frames;
pub mod guest;
pub mod init;
pub mod large;
pub mod least;
pub mod missed;
pub mod overlay;
pub mod ovs;
pub mod pktgen;
pub mod report;
pub mod samples;
pub mod scale;
pub mod smp;
pub mod static_flow;
pub mod table;
pub mod turns;
pub mod wire;
