//! What the tests of this project stand on, for every test that needs more than one crate.
//!
//! [`lab`] is the real thing in small: test kernels, namespaces, links, frames on a wire, physical switches and hosts.

pub mod lab;
