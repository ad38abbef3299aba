//! What the tests of this project stand on, for every test that needs more than one crate.
//!
//! [`lab`] is the real thing in small: test kernels, namespaces, links, frames on a wire, physical switches and hosts. [`sim`] is the
//! forwarding plane against a reference that was written from behaviour.md alone. [`suite`] is what every datapath must do, run on each;
//! [`rows`] are `vlan`'s own table and stories, for every backend. [`bench`] is what programs measure, and tests do not.

pub mod bench;
pub mod entry;
pub mod lab;
pub mod rows;
pub mod sim;
pub mod suite;
