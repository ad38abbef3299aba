//! What the tests of this project stand on, for every test that needs more than one crate.
//!
//! [`lab`] is the real thing in small: test kernels, namespaces, links, frames on a wire, physical switches and hosts. [`sim`] is the
//! forwarding plane against a reference that was written from behaviour.md alone. [`suite`] is what every datapath must do, run on each;
//! [`rows`] are `vlan`'s own table and stories, for every backend. [`bench`](mod@bench) is what programs measure, and tests do
//! not; [`demo`](mod@demo) is what `make demo-cluster` shows; [`house`] measures the code itself; [`entry`] takes any bytes, for fuzzers.
//!
//! ```
//! use tests::sim::cases::Case;
//! use tests::sim::duel::Duel;
//! use tests::sim::rng::Rng;
//! use tests::sim::traffic::Traffic;
//!
//! // A random gateway and a random frame: the forwarding plane and the reference must agree, byte by byte.
//! let mut rng = Rng::new(7);
//! let case = Case::random(&mut rng);
//! let mut traffic = Traffic::new(&case.description).ok_or("no ports")?;
//! let mut duel = Duel::new(&case)?;
//! for _ in 0..10 {
//!     duel.wait(&mut rng);
//!     let sent = traffic.next(&mut rng);
//!     duel.step(&mut rng, &sent)?;
//! }
//! # Ok::<(), String>(())
//! ```

pub mod bench;
pub mod demo;
pub mod entry;
pub mod house;
pub mod lab;
pub mod rows;
pub mod sim;
pub mod suite;
